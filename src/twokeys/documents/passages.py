"""Markdown text split at its headings into numbered passages."""

import re
from collections.abc import Iterable

from twokeys.documents.document import Passage

_HEADING = re.compile(r"#{1,6}[ \t]+(\S.*)")
_FENCE = re.compile(r"\s{0,3}(```|~~~)")


def passages_of_markdown(text: str) -> list[Passage]:
    """Return what each heading heads, and what stands before the first; lines in code are no headings."""
    passages: list[tuple[str, list[str]]] = [("", [])]
    fence = ""
    for line in text.splitlines():
        if mark := _FENCE.match(line):
            fence = "" if fence == mark[1] else fence or mark[1]
        heading = None if fence else _HEADING.match(line)
        if heading is not None:
            passages.append((heading[1].strip().rstrip("#").strip(), []))
        passages[-1][1].append(line)
    return numbered((title, "\n".join(lines)) for title, lines in passages)


def numbered(parts: Iterable[tuple[str, str]]) -> list[Passage]:
    """Return passages of titles and texts, without those that are empty."""
    filled = [(title, text.strip("\r\n").rstrip()) for title, text in parts if text.strip()]
    return [Passage(number, title, text) for number, (title, text) in enumerate(filled, start=1)]
