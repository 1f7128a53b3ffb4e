"""The document as Markdown, with a contents list that links to the headings."""

import re

from twokeys.manuscript.manuscript import Manuscript


def to_markdown(document: Manuscript) -> str:
    """Return the whole document as Markdown."""
    blocks = [f"# {document.title}"]
    if document.abstract:
        blocks += [f"## {document.word('abstract')}", document.abstract]
    if document.parts:
        blocks.append(f"## {document.word('contents')}")
        blocks.append(
            "\n".join(
                f"{'  ' * (part.level - 1)}- [{part.heading}](#{anchor(part.heading)})"
                for part in document.parts
            )
        )
    for part in document.parts:
        blocks.append(f"{'#' * (part.level + 1)} {part.heading}")
        if part.text:
            blocks.append(part.text)
    if document.glossary:
        blocks += [f"## {document.word('glossary')}", document.glossary]
    return "\n\n".join(blocks) + "\n"


def anchor(heading: str) -> str:
    """Return the anchor that Markdown viewers give a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")
