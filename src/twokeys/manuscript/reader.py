"""Reading the Markdown of a section's text: one parser for HTML, DOCX and plain text.

HTML in the text is text; pictures from elsewhere are not loaded but become links.
"""

from functools import cache

from markdown_it import MarkdownIt
from markdown_it.token import Token


@cache
def parser() -> MarkdownIt:
    """Return the parser: CommonMark and tables, no raw HTML, no pictures."""
    return MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")


def read(text: str) -> list[Token]:
    """Return the tokens of a Markdown text."""
    return parser().parse(text)
