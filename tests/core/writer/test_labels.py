"""Labels before a section's text go; lists of terms, numbered texts and prose stay."""

import pytest

from twokeys.core.writer.labels import drop_labels, plain_title, task_line

NAMES = {plain_title("茶的历史"), plain_title("The History of Tea")}


@pytest.mark.parametrize(
    "label",
    [
        "标题：茶的历史",
        "**正文：**",
        "【正文】",
        "## 茶的历史",
        "第 2 节：茶的历史",
        "改写后的文字：",
        "Title: The History of Tea",
        "Section 2: The History of Tea",
        "**Revised Version:**",
        "Rewritten Text:",
        "Body:",
        "Answer:",
        "---",
        "请直接写出《茶的历史》这一节的正文。",
        "Write the body of “The History of Tea” now.",
    ],
)
def test_a_label_at_the_beginning_is_taken_off(label: str) -> None:
    assert drop_labels([label, "", "Tea came by sea."], NAMES) == ["Tea came by sea."]


def test_what_follows_a_label_on_its_line_stays_unless_it_is_a_heading() -> None:
    assert drop_labels(["正文：茶从海上来。"], NAMES) == ["茶从海上来。"]
    assert drop_labels(["**Text: Tea came by sea.**"], NAMES) == ["Tea came by sea."]
    assert drop_labels(["Title: A short heading", "Tea came by sea."], NAMES) == ["Tea came by sea."]


@pytest.mark.parametrize(
    "lines",
    [
        ["Title: Tea", "Author: Lu Yu", "Year: 760"],
        ["Section 1: pick the leaves.", "", "Section 2: dry them."],
        ["Tea came by sea.", "Text: this stands within."],
        ["Contents of the chest were sold."],
    ],
)
def test_what_only_looks_like_a_label_stays(lines: list[str]) -> None:
    assert drop_labels(lines, NAMES) == lines


def test_titles_are_the_same_without_marks_and_numbers() -> None:
    assert plain_title("## 2.1 茶的历史") == plain_title("《茶的历史》") == "茶的历史"
    assert plain_title("Chapter 3 The History of Tea") == plain_title("The *History* of Tea!")
    assert plain_title("2024") == "2024", "a title that is a number is one"


def test_a_line_of_the_task_names_its_title() -> None:
    assert task_line("Now write section 2.1, “Tea”.") == "Tea"
    assert task_line("- 篇幅：约 300 字，3 段。") == ""
    assert task_line("Now the ships were loaded.") is None
