"""The outline: editing keeps ids and levels sound, lengths add up, a model's nonsense is repaired."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twokeys.core.writer.outline import LEVELS, Outline, build_outline
from twokeys.core.writer.planning import (
    growing_headings,
    outline_request,
    read_outline,
    rule_outline,
    shape_of,
)
from twokeys.core.writer.project import KINDS, Project, length_from_chars
from twokeys.errors import BadInput, BadParameter, EmptyMessage

from .scripts import outline_json

SMALL = build_outline(
    [
        (1, "A", 0, ""),
        (2, "A1", 100, ""),
        (2, "A2", 100, ""),
        (1, "B", 0, ""),
        (2, "B1", 200, ""),
        (1, "C", 100, ""),
    ],
    1000,
)


def titles(outline: Outline) -> list[str]:
    return [f"{outline.numbers()[node.id]} {node.title}" for node in outline.nodes]


def node(title: str, outline: Outline = SMALL) -> str:
    return next(node.id for node in outline.nodes if node.title == title)


def test_lengths_add_up_to_what_was_asked() -> None:
    assert SMALL.length == 1000
    assert SMALL.length_of(node("A")) == sum(SMALL.get(node(t)).length for t in ("A1", "A2"))


def test_only_headings_without_headings_below_are_sections() -> None:
    assert [section.title for section in SMALL.sections] == ["A1", "A2", "B1", "C"]


def test_moving_takes_the_sections_below_along_and_keeps_ids() -> None:
    moved = SMALL.move(node("A"), 1)
    assert titles(moved) == ["1 B", "1.1 B1", "2 A", "2.1 A1", "2.2 A2", "3 C"]
    assert {node.id for node in moved.nodes} == {node.id for node in SMALL.nodes}
    assert moved.move(node("A"), -1) == SMALL


def test_a_section_moves_over_into_the_next_chapter_and_stays_at_the_ends() -> None:
    assert titles(SMALL.move(node("A2"), 1))[2:4] == ["2 B", "2.1 A2"]
    assert titles(SMALL.move(node("B1"), -1))[:5] == ["1 A", "1.1 A1", "1.2 A2", "1.3 B1", "2 B"]
    assert SMALL.move(node("A1"), -1) == SMALL
    assert SMALL.move(node("C"), 1) == SMALL


def test_adding_renaming_deleting_and_lengths() -> None:
    outline = SMALL.add("A3", after=node("A"), level=2, length=80)
    assert titles(outline)[1] == "1.1 A3"
    outline = outline.rename(node("A1"), "  New   name ").delete(node("B"))
    assert titles(outline) == ["1 A", "1.1 A3", "1.2 New name", "1.3 A2", "2 C"]
    shared = outline.set_length(node("A", outline), 600)
    assert shared.length_of(node("A", outline)) == 600
    with pytest.raises(BadInput):
        outline.rename(node("A2"), "  ")
    with pytest.raises(BadInput):
        outline.set_length(node("A2"), 3)


def test_shifting_levels_never_skips_one() -> None:
    deeper = SMALL.shift(node("A2"), 1)
    assert titles(deeper)[2] == "1.1.1 A2"
    assert SMALL.shift(node("A"), 1).nodes[0].level == 1


@given(
    st.lists(
        st.tuples(st.integers(-3, 9), st.text(max_size=8), st.integers(-5, 10**9), st.just("")), max_size=40
    ),
    st.integers(500, 30000),
)
def test_any_headings_become_a_sound_outline(headings: list[tuple[int, str, int, str]], length: int) -> None:
    outline = build_outline(headings, length)
    level = 0
    for node in outline.nodes:
        assert 1 <= node.level <= min(LEVELS, level + 1)
        level = node.level
    if 0 < len(outline.sections) <= length // 60:
        assert outline.length == length


def test_a_stored_outline_comes_back_the_same() -> None:
    assert Outline.from_list(json.loads(json.dumps(SMALL.to_list()))) == SMALL


PROJECT = Project("Tea", language="en", length=1000)


def test_a_cut_answer_loses_only_its_unfinished_section() -> None:
    whole = outline_json(3, 2)
    outline = read_outline(whole[: whole.rindex('"title"') + 20], PROJECT)
    assert outline is not None
    assert outline.length == 1000
    assert len(outline.sections) == 5


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "no json at all",
        "[]",
        '{"chapters": 3}',
        '{"chapters": [{"title": "title", "sections": []}]}',
        outline_json(1, 1),
        outline_json(3, 2)[:120],
    ],
)
def test_nonsense_is_refused(answer: str) -> None:
    assert read_outline(answer, PROJECT) is None


def test_doubled_titles_are_left_out() -> None:
    value = json.loads(outline_json(4, 2))
    value["chapters"][1]["sections"][0]["title"] = value["chapters"][0]["sections"][0]["title"]
    outline = read_outline(json.dumps(value), PROJECT)
    assert outline is not None
    assert len({node.title for node in outline.nodes}) == len(outline.nodes)


def test_numbers_in_titles_are_taken_off_before_doubles_are_sought() -> None:
    value = json.loads(outline_json(3, 2))
    for number, chapter in enumerate(value["chapters"], 1):
        chapter["title"] = f"{number}. Chapter {number}: {['Water', 'Leaves', 'Cups'][number - 1]}"
        chapter["sections"][0]["title"] = f"{number}.1 The same everywhere"
    outline = read_outline(json.dumps(value), PROJECT)
    assert outline is not None
    assert [node.title for node in outline.nodes if "same" in node.title] == ["The same everywhere"]


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("kind", KINDS)
def test_rules_give_every_kind_an_outline_of_the_right_length(kind: str, language: str) -> None:
    project = Project("茶", kind=kind, language=language, length=6000)
    outline = rule_outline(project)
    assert outline.length == 6000
    assert len(outline.sections) >= 4


def test_a_white_paper_has_eight_chapters_on_three_levels() -> None:
    project = Project("茶", kind="white_paper", length=9600)
    shape = shape_of(project)
    assert (shape.chapters, shape.parts) == (8, 2)
    outline = rule_outline(project)
    assert sum(node.level == 1 for node in outline.nodes) == 8
    assert max(node.level for node in outline.nodes) == 3
    assert shape_of(Project("茶", kind="story", length=9600)).chapters < 8


@pytest.mark.parametrize("kind", KINDS)
def test_the_usual_outline_of_a_long_text_has_three_levels_and_no_huge_section(kind: str) -> None:
    outline = rule_outline(Project("茶", kind=kind, length=30000))
    assert {node.level for node in outline.nodes} == {1, 2, 3}
    assert max(section.length for section in outline.sections) <= 1100


def test_the_lengths_a_model_gives_its_sections_reach_the_parts_below() -> None:
    value = {
        "chapters": [
            {
                "title": f"Chapter {chapter}",
                "sections": [
                    {
                        "title": f"Section {chapter} {size}",
                        "length": size,
                        "parts": [
                            {"title": f"Part {part} of {size} in {chapter}", "goal": "say why"}
                            for part in "ab"
                        ],
                    }
                    for size in (4000, 2000)
                ],
            }
            for chapter in range(8)
        ]
    }
    outline = read_outline(json.dumps(value), Project("茶", length=30000))
    assert outline is not None
    first, _second, third, _fourth = (section.length for section in outline.sections[:4])
    assert first == pytest.approx(2 * third, rel=0.1)


def test_long_texts_get_three_levels() -> None:
    assert shape_of(Project("茶", length=30000)).parts == 2
    assert shape_of(Project("茶", length=6000)).parts == 0


def test_the_outline_is_asked_for_at_07_with_1536_tokens_as_json() -> None:
    request = outline_request(PROJECT)
    assert (request.sampling.temperature, request.sampling.max_new_tokens) == (0.7, 1536)
    assert request.json_schema is not None


def test_a_project_is_validated() -> None:
    with pytest.raises(EmptyMessage):
        Project("  ")
    with pytest.raises(BadParameter):
        Project("x", kind="poem")
    with pytest.raises(BadParameter):
        Project("x", length=3)
    assert length_from_chars(6000, "en") == 1000


def test_an_outline_that_is_being_written_shows_its_headings_as_they_come() -> None:
    whole = outline_json(3, 2)
    headings = growing_headings(whole)
    written = read_outline(whole, PROJECT)
    assert written is not None
    assert [title for _, title in headings] == [node.title for node in written.nodes]
    seen = 0
    for end in range(len(whole)):
        growing = growing_headings(whole[:end])
        assert len(growing) >= seen, "a heading that was there stays"
        seen = len(growing)
        assert growing[:-1] == headings[: len(growing)][:-1]
        assert all(
            now == then or then[1].startswith(now[1]) for now, then in zip(growing, headings, strict=False)
        )
    assert growing_headings("") == growing_headings("no outline") == growing_headings("[1]") == ()
