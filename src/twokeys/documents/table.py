"""Tables as Markdown tables: one line a row, the first row as the head."""

from collections.abc import Sequence


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """Return the rows as a table; empty rows and columns at the end are left out."""
    cells = [[_cell(value) for value in row] for row in rows]
    while cells and not any(cells[-1]):
        cells.pop()
    width = max((index + 1 for row in cells for index, value in enumerate(row) if value), default=0)
    if not width:
        return ""
    lines = ["| " + " | ".join((row + [""] * width)[:width]) + " |" for row in cells]
    lines.insert(1, "|" + " --- |" * width)
    return "\n".join(lines)


def _cell(value: str) -> str:
    return " ".join(value.split()).replace("|", "\\|")
