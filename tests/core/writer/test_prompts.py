"""The budget of a prompt: it never grows with the number of sections, and the cache's prefix stays."""

import itertools

import pytest

from twokeys.core.writer.budget import WRITING_BUDGET, LengthEstimator
from twokeys.core.writer.outline import build_outline
from twokeys.core.writer.project import Project
from twokeys.core.writer.prompts import (
    SectionPrompt,
    Surroundings,
    whole_prompt,
    working_prompt,
    writing_prompt,
)
from twokeys.token_estimate import estimate_prompt

from .scripts import prose


def surroundings(chapters: int, language: str, context: int = 0) -> Surroundings:
    """A long text in which every section but the last is written."""
    zh = language == "zh"
    headings = []
    for chapter in range(chapters):
        name = f"第{chapter}个相当长的章节标题" if zh else f"Chapter {chapter} with a rather long heading"
        headings.append((1, name, 0, ""))
        headings += [(2, f"{name} {part}", 500, "goal " * 20) for part in range(3)]
    outline = build_outline(headings, 500 * 3 * chapters)
    texts = {node.id: prose(500, i, zh=zh) for i, node in enumerate(outline.sections[:-1])}
    notes = "\n\n".join(prose(80, 900 + i, zh=zh) for i in range(200))
    project = Project("Topic " * 20, language=language, length=30000, style="s" * 900, notes=notes)
    return Surroundings(project, outline, texts, LengthEstimator(0.68 if zh else 1.4), context)


def last(around: Surroundings) -> SectionPrompt:
    return writing_prompt(around, around.outline.sections[-1])


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_prompt_does_not_grow_with_the_number_of_sections(language: str) -> None:
    sizes = [last(surroundings(chapters, language)) for chapters in (4, 12, 60)]
    for prompt in sizes:
        assert estimate_prompt(prompt.messages) <= WRITING_BUDGET.prompt
    assert estimate_prompt(sizes[2].messages) <= estimate_prompt(sizes[1].messages) * 1.1


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_part_keeps_to_its_share(language: str) -> None:
    prompt = last(surroundings(60, language))
    assert set(prompt.parts) >= {"project", "chapters", "summary", "notes", "before", "place"}
    over = {
        name: (cost, prompt.budget.parts[name])
        for name, cost in prompt.parts.items()
        if cost > prompt.budget.parts[name]
    }
    assert over == {}


def test_a_small_context_gets_a_smaller_budget() -> None:
    prompt = last(surroundings(12, "zh", context=2048))
    assert prompt.budget.total <= 2048
    assert estimate_prompt(prompt.messages) + prompt.budget.answer <= 2048


def test_the_system_message_stays_the_same_from_section_to_section() -> None:
    around = surroundings(6, "en")
    systems = {writing_prompt(around, node).system for node in around.outline.sections}
    assert len(systems) == 1
    windows = surroundings(60, "en")
    systems = {writing_prompt(windows, node).system for node in windows.outline.sections}
    assert len(systems) < 12


def test_a_prompt_begins_as_the_last_one_did_up_to_the_end_of_its_summary() -> None:
    around = surroundings(8, "en")
    sections = around.outline.sections
    retained = 0
    for before, after in itertools.pairwise(sections[1:]):
        first, second = writing_prompt(around, before), writing_prompt(around, after)
        retained += first.system == second.system and second.user.startswith(first.user.split("\n\n")[0])
    assert retained >= 0.8 * (len(sections) - 2)


def test_the_prompt_tells_summary_terms_edges_and_goal() -> None:
    around = surroundings(4, "en")
    node = around.outline.sections[5]
    text = writing_prompt(around, node).user
    before, after = around.outline.neighbours(node.id)
    assert before is not None and after is not None
    assert around.texts[before.id].rsplit(". ", 1)[-1] in text
    assert after.title in text and node.title in text and "goal" in text
    assert "Earlier sections have said" in text


def test_working_prompts_hold_the_text_and_keep_the_budget() -> None:
    around = surroundings(40, "zh")
    node = around.outline.sections[3]
    prompt = working_prompt(around, node, "rewrite", prose(900, 5, zh=True), length=900, instruction="更口语")
    assert "更口语" in prompt.user
    assert estimate_prompt(prompt.messages) <= prompt.budget.prompt
    for operation in ("abstract", "glossary"):
        whole = whole_prompt(around, operation, length=200)  # type: ignore[arg-type]
        assert estimate_prompt(whole.messages) <= whole.budget.prompt


def test_the_length_estimator_learns_from_what_the_engine_counted() -> None:
    estimator = LengthEstimator.learned("chars", tokens=9000, length=10000, estimated=7500)
    assert 0.88 < estimator.per_unit < 0.92
    assert estimator.factor > 1.15
    assert LengthEstimator.learned("words", 0, 0, 0).per_unit == pytest.approx(1.4)
