"""EPUB: the chapters in the order of the book's spine. Fetches nothing, resolves no entities."""

import posixpath
import zipfile
from typing import Any
from urllib.parse import unquote

from twokeys.documents.archive import open_archive, read_member
from twokeys.documents.document import Passage
from twokeys.documents.encoding import decode
from twokeys.documents.html import markdown_of_html
from twokeys.documents.passages import numbered, passages_of_markdown
from twokeys.documents.refusal import Refusal

CONTAINER = "META-INF/container.xml"
RIGHTS = "META-INF/rights.xml"
"""There when a bookshop has locked the book."""


def read_epub(data: bytes) -> list[Passage]:
    """Return the chapters, each called by its first heading. Raises Refusal."""
    with open_archive(data) as archive:
        if RIGHTS in archive.namelist():
            raise Refusal("encrypted")
        chapters = [
            markdown_of_html(decode(read_member(archive, name), declares=True).text)
            for name in _spine(archive)
        ]
    return numbered((_title(text), text) for text in chapters)


def _title(text: str) -> str:
    return next((passage.title for passage in passages_of_markdown(text) if passage.title), "")


def _spine(archive: zipfile.ZipFile) -> list[str]:
    """Return the names of the chapters' files, in reading order."""
    root = _xml(read_member(archive, CONTAINER))
    path = next((str(file.get("full-path")) for file in root.iter("{*}rootfile")), "")
    package = _xml(read_member(archive, path))
    folder = posixpath.dirname(path)
    files = {
        item.get("id"): posixpath.normpath(posixpath.join(folder, unquote(str(item.get("href")))))
        for item in package.iter("{*}item")
        if "html" in str(item.get("media-type"))
    }
    return [files[ref.get("idref")] for ref in package.iter("{*}itemref") if ref.get("idref") in files]


def _xml(data: bytes) -> Any:
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        return etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as exc:
        raise Refusal("broken", reason=str(exc)) from exc
