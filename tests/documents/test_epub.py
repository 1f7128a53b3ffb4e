"""Books: the chapters in the order of the spine, whatever the order of the files."""

import pytest
from tests.documents.corpus import zipped

from twokeys.documents.epub import CONTAINER, RIGHTS, read_epub
from twokeys.documents.refusal import Refusal

WHERE = b"""<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container">
<rootfiles><rootfile full-path="in/book.opf"/></rootfiles></container>"""
PACKAGE = b"""<package xmlns="http://www.idpf.org/2007/opf"><manifest>
<item id="b" href="second.xhtml" media-type="application/xhtml+xml"/>
<item id="a" href="first%20chapter.xhtml" media-type="application/xhtml+xml"/>
<item id="c" href="cover.png" media-type="image/png"/></manifest>
<spine>
<itemref idref="c"/><itemref idref="a"/><itemref idref="b"/><itemref idref="none"/></spine></package>"""


def book() -> dict[str, bytes]:
    return {
        CONTAINER: WHERE,
        "in/book.opf": PACKAGE,
        "in/second.xhtml": b"<html><body><p>later</p></body></html>",
        "in/first chapter.xhtml": "<html><body><h1>茶</h1><p>earlier</p></body></html>".encode(),
    }


def test_chapters_follow_the_spine_and_are_called_by_their_first_heading() -> None:
    chapters = read_epub(zipped(book()))
    assert [(chapter.number, chapter.title) for chapter in chapters] == [(1, "茶"), (2, "")]
    assert "earlier" in chapters[0].text and chapters[1].text == "later"


def test_a_book_that_a_shop_has_locked_is_refused() -> None:
    with pytest.raises(Refusal) as caught:
        read_epub(zipped(book() | {RIGHTS: b"<rights/>"}))
    assert caught.value.problem == "encrypted"


@pytest.mark.parametrize("name", [CONTAINER, "in/book.opf", "in/second.xhtml"])
def test_a_book_that_lacks_a_part_is_broken(name: str) -> None:
    files = book()
    del files[name]
    with pytest.raises(Refusal) as caught:
        read_epub(zipped(files))
    assert caught.value.problem == "broken"
