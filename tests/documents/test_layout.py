"""The reading order of boxes on a page: columns, tables, words that were broken."""

from twokeys.documents.layout import SOFT_HYPHEN, TextRun, reading_order

LINE = 12.0
PROSE = "a line of prose that fills its column"


def run(text: str, left: float, line: int, width: float) -> TextRun:
    """A piece of the line with this number, counted from the top."""
    top = 700 - line * LINE
    return TextRun(text, left, top - 10, left + width, top)


def test_lines_follow_each_other_from_top_to_bottom_whatever_their_order() -> None:
    runs = [run(f"line {number}", 60, number, 200) for number in (2, 0, 1)]
    assert reading_order(runs) == "line 0\nline 1\nline 2"


def test_two_columns_of_prose_are_read_one_after_the_other() -> None:
    left = [run(f"left {number} {PROSE}", 60, number, 200) for number in range(6)]
    right = [run(f"right {number} {PROSE}", 300, number, 200) for number in range(6)]
    lines = reading_order([piece for pair in zip(left, right, strict=True) for piece in pair]).splitlines()
    assert [line.split()[0] for line in lines] == ["left"] * 6 + ["right"] * 6


def test_a_heading_across_both_columns_parts_what_is_above_from_what_is_below() -> None:
    def band(name: str, first: int) -> list[TextRun]:
        return [
            run(f"{name}-{side} {PROSE}", left, first + number, 200)
            for number in range(4)
            for side, left in (("left", 60.0), ("right", 300.0))
        ]

    runs = [*band("upper", 0), run("Heading " + PROSE, 60, 5, 440), *band("lower", 7)]
    words = [line.split()[0] for line in reading_order(runs).splitlines()]
    assert words == [
        *["upper-left"] * 4,
        *["upper-right"] * 4,
        "Heading",
        *["lower-left"] * 4,
        *["lower-right"] * 4,
    ]


def test_rows_of_as_many_cells_are_a_table_and_no_columns() -> None:
    runs = [
        run(text, left, line, 40)
        for line, row in enumerate((("tea", "price"), ("green", "12"), ("black", "9")))
        for text, left in zip(row, (60.0, 300.0), strict=True)
    ]
    assert reading_order(runs) == "| tea | price |\n| --- | --- |\n| green | 12 |\n| black | 9 |"


def test_a_single_row_of_cells_is_a_line() -> None:
    assert reading_order([run("Name", 60, 0, 40), run("Date", 300, 0, 40)]) == "Name  Date"


def test_a_word_broken_at_the_end_of_a_line_is_whole_again() -> None:
    runs = [run(f"temper{SOFT_HYPHEN}", 60, 0, 200), run("ature", 60, 1, 200)]
    assert reading_order(runs) == "temperature"


def test_a_run_goes_on_across_a_space_and_not_across_a_gap_or_on_another_line() -> None:
    first = run("tea", 60, 0, 30)
    assert first.goes_on_at(92, first.bottom, first.top)
    assert not first.goes_on_at(120, first.bottom, first.top)
    assert not first.goes_on_at(92, first.bottom - LINE, first.top - LINE)


def test_a_page_without_text_has_none() -> None:
    assert reading_order([]) == ""
