"""Slides: title first, then what stands on them from top to bottom, then what the speaker says."""

import io

import pytest
from pptx import Presentation
from pptx.util import Inches
from tests.documents.corpus import zipped

from twokeys.documents.refusal import Refusal
from twokeys.documents.slides import read_pptx

BLANK, TITLE_ONLY = 6, 5


def stored(presentation: object) -> bytes:
    data = io.BytesIO()
    presentation.save(data)
    return data.getvalue()


def test_a_slide_is_read_from_top_to_bottom_with_its_table_and_its_notes() -> None:
    presentation = Presentation()
    slide = presentation.slides.add_slide(presentation.slide_layouts[TITLE_ONLY])
    below = slide.shapes.add_textbox(Inches(1), Inches(5), Inches(4), Inches(1)).text_frame
    below.text = "below"
    item = below.add_paragraph()
    item.text, item.level = "an item", 1
    table = slide.shapes.add_table(2, 2, Inches(1), Inches(3), Inches(4), Inches(1)).table
    for row, values in enumerate((("tea", "price"), ("green", "12"))):
        for column, value in enumerate(values):
            table.cell(row, column).text = value
    slide.shapes.add_textbox(Inches(1), Inches(2), Inches(4), Inches(1)).text_frame.text = "above"
    slide.shapes.title.text = "Tea\vin China"
    slide.notes_slide.notes_text_frame.text = "Say this.\n\nAnd this."
    [passage] = read_pptx(stored(presentation))
    assert passage.title == "Tea in China"
    assert passage.text == (
        "# Tea in China\n\nabove\n\n| tea | price |\n| --- | --- |\n| green | 12 |\n\nbelow\n- an item\n\n"
        "> Say this.\n\n> And this."
    )


def test_what_stands_in_a_group_is_read_too() -> None:
    presentation = Presentation()
    slide = presentation.slides.add_slide(presentation.slide_layouts[BLANK])
    group = slide.shapes.add_group_shape()
    group.shapes.add_textbox(Inches(1), Inches(1), Inches(2), Inches(1)).text_frame.text = "grouped"
    presentation.slides.add_slide(presentation.slide_layouts[BLANK])
    first, second = read_pptx(stored(presentation))
    assert (first.number, first.title, first.text) == (1, "", "grouped")
    assert (second.number, second.text) == (2, "")


def test_an_archive_that_is_no_presentation_is_broken() -> None:
    with pytest.raises(Refusal) as caught:
        read_pptx(zipped({"a.txt": b"tea"}))
    assert caught.value.problem == "broken"
