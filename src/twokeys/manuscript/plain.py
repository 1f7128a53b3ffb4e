"""The document as plain text: headings underlined, marks of Markdown taken off."""

from collections.abc import Iterator
from unicodedata import east_asian_width

from markdown_it.token import Token

from twokeys.manuscript.manuscript import Manuscript
from twokeys.manuscript.reader import read

_SMALL = {
    "sub": dict(zip("0123456789+-=()aehijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ", strict=True)),
    "sup": dict(zip("0123456789+-=()in", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁱⁿ", strict=True)),
}


def to_plain(document: Manuscript) -> str:
    """Return the whole document as plain text."""
    blocks = [_underlined(document.title, "=")]
    if document.abstract:
        blocks += [_underlined(document.word("abstract"), "-"), strip_marks(document.abstract)]
    blocks.append(_underlined(document.word("contents"), "-"))
    blocks.append("\n".join(f"{'  ' * (part.level - 1)}{part.heading}" for part in document.parts))
    for part in document.parts:
        blocks.append(_underlined(part.heading, "-") if part.level == 1 else part.heading)
        if part.text:
            blocks.append(strip_marks(part.text))
    if document.glossary:
        blocks += [_underlined(document.word("glossary"), "-"), strip_marks(document.glossary)]
    return "\n\n".join(blocks) + "\n"


def strip_marks(text: str) -> str:
    """Return a Markdown text without its marks; lists keep their bullets and numbers."""
    lines: list[str] = []
    numbers: list[int | None] = []
    mark = ""
    for token in read(text):
        if token.type in ("bullet_list_open", "ordered_list_open"):
            numbers.append(int(token.attrGet("start") or 1) if token.type.startswith("ordered") else None)
        elif token.type in ("bullet_list_close", "ordered_list_close"):
            numbers.pop()
        elif token.type == "list_item_open":
            number = numbers[-1]
            mark = "  " * (len(numbers) - 1) + ("- " if number is None else f"{number}. ")
            if number is not None:
                numbers[-1] = number + 1
        elif token.type == "inline":
            lines.append(mark + "".join(_words(token)))
            mark = ""
        elif token.type in ("fence", "code_block", "math_block"):
            lines.append(token.content.rstrip("\n"))
        elif token.type in ("paragraph_close", "heading_close", "table_close") and not numbers:
            lines.append("")
    return "\n".join(lines).strip()


def _words(token: Token) -> Iterator[str]:
    script = ""
    for child in token.children or ():
        if child.type in ("text", "code_inline", "math_inline"):
            yield _raised(child.content, script) if script else child.content
        elif child.type in ("softbreak", "hardbreak"):
            yield "\n"
        elif child.type in ("sub_open", "sup_open"):
            script = child.tag
        elif child.type in ("sub_close", "sup_close"):
            script = ""


def _raised(text: str, script: str) -> str:
    """Return small letters where there are some for all of it, else what can be typed: _x, ^x."""
    small = _SMALL[script]
    if all(char in small for char in text):
        return "".join(small[char] for char in text)
    mark = "_" if script == "sub" else "^"
    return f"{mark}{text}" if len(text) == 1 else f"{mark}({text})"


def _underlined(text: str, mark: str) -> str:
    width = sum(2 if east_asian_width(char) in "WF" else 1 for char in text)
    return f"{text}\n{mark * width}"
