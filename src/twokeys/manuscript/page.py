"""The document as one HTML file that needs nothing from elsewhere."""

import html
from functools import cache
from importlib.resources import files

from twokeys.manuscript.manuscript import Manuscript
from twokeys.manuscript.reader import parser


@cache
def _style() -> str:
    return files(__package__).joinpath("page.css").read_text(encoding="utf-8")


def to_html(document: Manuscript) -> str:
    """Return the whole document as HTML."""
    title = html.escape(document.title)
    language = "zh-CN" if document.language == "zh" else "en"
    pieces = [f"<h1>{title}</h1>", f'<p class="kind">{html.escape(document.subtitle)}</p>']
    if document.abstract:
        heading = html.escape(document.word("abstract"))
        pieces.append(f'<section class="abstract"><h2>{heading}</h2>{render(document.abstract)}</section>')
    links = "".join(
        f'<a class="l{part.level}" href="#s{part.number}">{html.escape(part.heading)}</a>'
        for part in document.parts
    )
    pieces.append(f"<nav><b>{html.escape(document.word('contents'))}</b>{links}</nav>")
    pieces.append("<article>")
    for part in document.parts:
        level = part.level + 1
        pieces.append(f'<h{level} id="s{part.number}">{html.escape(part.heading)}</h{level}>')
        pieces.append(render(part.text))
    pieces.append("</article>")
    if document.glossary:
        pieces.append(
            f"<section><h2>{html.escape(document.word('glossary'))}</h2>{render(document.glossary)}</section>"
        )
    return (
        f'<!doctype html>\n<html lang="{language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{title}</title><style>{_style()}</style></head><body><main>{''.join(pieces)}</main></body></html>\n"
    )


def render(text: str) -> str:
    """Return a Markdown text as HTML."""
    rendered: str = parser().render(text)
    return rendered
