"""The reading order of a page: columns one after another, rows of a table as a table.

Knows boxes and texts only, not PDF. Text that runs from top to bottom or is turned is left in the
order it was found in.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from twokeys.documents.table import markdown_table

SOFT_HYPHEN = "\u00ad"
WIDE_GAP = 1.0
"""In heights of the text: a wider gap is none between two words."""

LEAST_COLUMN_RUNS = 4
LEAST_COLUMN_SHARE = 0.25
"""Of the text's width; a narrower side is no column of prose."""

LEAST_LINE_SHARE = 0.6
"""Of its column: how much of it the middle line of prose fills."""

LEAST_LINE_CHARS = 10


@dataclass(slots=True)
class TextRun:
    """A piece of a line, and its box: the origin is the page's lower left corner."""

    text: str
    left: float
    bottom: float
    right: float
    top: float

    @property
    def height(self) -> float:
        return max(self.top - self.bottom, 0.1)

    def goes_on_at(self, left: float, bottom: float, top: float) -> bool:
        """Whether a character there belongs to this run."""
        overlap = min(self.top, top) - max(self.bottom, bottom)
        gap = left - self.right
        return overlap > 0.3 * min(self.height, top - bottom) and (
            -self.height < gap < WIDE_GAP * self.height
        )

    def add(self, char: str, left: float, bottom: float, right: float, top: float) -> None:
        """Take a character at the end."""
        self.text += char
        self.left, self.right = min(self.left, left), max(self.right, right)
        self.bottom, self.top = min(self.bottom, bottom), max(self.top, top)


def reading_order(runs: Sequence[TextRun]) -> str:
    """Return the page's text: a line for each line, tables as Markdown, broken words joined."""
    blocks = [_block(block) for block in _blocks(list(runs))]
    return "\n".join(block for block in blocks if block).replace(SOFT_HYPHEN + "\n", "")


def _blocks(runs: list[TextRun]) -> list[list[TextRun]]:
    """Return the runs in blocks of one column each, in reading order."""
    gutter = _gutter(runs)
    if gutter is None:
        return [runs] if runs else []
    blocks: list[list[TextRun]] = []
    band: list[TextRun] = []
    for run in [*sorted(runs, key=lambda run: -run.top), None]:
        if run is not None and not run.left < gutter < run.right:
            band.append(run)
            continue
        left = [other for other in band if other.right <= gutter]
        right = [other for other in band if other.right > gutter]
        blocks += [*_blocks(left), *_blocks(right)]
        band = []
        if run is not None:
            blocks.append([run])
    return _joined(blocks)


def _joined(blocks: list[list[TextRun]]) -> list[list[TextRun]]:
    """Return the blocks with single lines across the page put together: they may be rows."""
    joined: list[list[TextRun]] = []
    for block in blocks:
        if joined and len(block) == 1 and len(joined[-1]) == 1:
            joined[-1].extend(block)
        else:
            joined.append(list(block))
    return joined


def _gutter(runs: list[TextRun]) -> float | None:
    """Return where a gap parts two columns of prose, None where there is no such gap."""
    if len(runs) < 2 * LEAST_COLUMN_RUNS:
        return None
    left, right = min(run.left for run in runs), max(run.right for run in runs)
    best: tuple[int, float] | None = None
    for run in runs:
        place = run.left - 0.5
        if not left + LEAST_COLUMN_SHARE * (right - left) <= place:
            continue
        crossing = sum(other.left < place < other.right for other in runs)
        if (
            (best is None or crossing < best[0])
            and crossing <= len(runs) // 4
            and _parts(runs, place, right - left)
        ):
            best = (crossing, place)
    return None if best is None else best[1]


def _parts(runs: list[TextRun], place: float, width: float) -> bool:
    """Whether both sides of a place are columns of prose."""
    sides = ([r for r in runs if r.right <= place], [r for r in runs if r.left >= place])
    for side in sides:
        if len(side) < LEAST_COLUMN_RUNS:
            return False
        extent = max(run.right for run in side) - min(run.left for run in side)
        if extent < LEAST_COLUMN_SHARE * width:
            return False
        if median(run.right - run.left for run in side) < LEAST_LINE_SHARE * extent:
            return False
        if median(len(run.text) for run in side) < LEAST_LINE_CHARS:
            return False
    return True


def _block(runs: list[TextRun]) -> str:
    """Return the lines of one column; rows of as many cells, one below the other, are a table."""
    lines: list[str] = []
    table: list[list[str]] = []
    for row in [*_rows(runs), []]:
        cells = [" ".join(run.text.split()) for run in row]
        if table and len(cells) != len(table[0]):
            lines.append(markdown_table(table) if len(table) > 1 else "  ".join(table[0]))
            table = []
        if len(cells) > 1:
            table.append(cells)
        elif cells:
            lines.append(cells[0])
    return "\n".join(lines)


def _rows(runs: list[TextRun]) -> list[list[TextRun]]:
    """Return the runs in rows from top to bottom, each from left to right."""
    rows: list[list[TextRun]] = []
    for run in sorted(runs, key=lambda run: (-(run.top + run.bottom), run.left)):
        row = rows[-1] if rows else None
        if row is not None:
            overlap = min(row[0].top, run.top) - max(row[0].bottom, run.bottom)
            if overlap > 0.5 * min(row[0].height, run.height):
                row.append(run)
                continue
        rows.append([run])
    return [sorted(row, key=lambda run: run.left) for row in rows]
