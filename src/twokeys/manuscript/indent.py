"""Sub-items that models indent by two blanks below a numbered item.

CommonMark wants them to begin where the item's text begins ("1. " three blanks, "10. " four); with two they
end the list and begin another. Pure; knows nothing else of Markdown than lists and code fences.
"""

import re

_ITEM = re.compile(r"^( *)([-*+]|\d{1,9}[.)])( +)\S")
_FENCE = re.compile(r"^ *(`{3,}|~{3,})")
LEAST = 2
"""Blanks that make a sub-item; one blank less is a list written carelessly."""


def indent_sub_items(text: str) -> str:
    """Return a Markdown text in which such sub-items, and what belongs to them, are moved to the right."""
    lines: list[str] = []
    fence = ""
    item = content = -1  # columns of the last numbered item and of its text
    moved = shift = 0  # what begins at column `moved` or later is moved by `shift`
    for line in text.split("\n"):
        indent = len(line) - len(line.lstrip(" "))
        if line.strip() and not fence:
            match = _ITEM.match(line)
            if indent < moved:
                moved = shift = 0
            below = match is not None and item >= 0 and item + LEAST <= indent < content
            if shift == 0 and match is not None and below and match[2][:-1] in ("", "1"):
                moved, shift = indent, content - indent
            if shift == 0 and match is not None and match[2][0].isdigit():
                item, content = indent, match.end(3)
            elif shift == 0 and indent <= max(item, 0):
                item = content = -1
        fence = _fence_after(line, fence)
        lines.append(" " * shift + line if line.strip() else line)
    return "\n".join(lines)


def _fence_after(line: str, fence: str) -> str:
    """Return the fence that is open behind a line."""
    match = _FENCE.match(line)
    if match is None:
        return fence
    if not fence:
        return match[1]
    closes = match[1][0] == fence[0] and len(match[1]) >= len(fence) and line.strip() == match[1]
    return "" if closes else fence
