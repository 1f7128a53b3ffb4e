"""Tasks by name and by rules, on the tables of the specification and on labelled messages."""

import tomllib
from pathlib import Path

import pytest

from twokeys.core.advice.length import length_need
from twokeys.core.advice.rules import guess_by_rules, guess_with_material
from twokeys.core.advice.tasks import BY_NAME, TASKS, advise
from twokeys.i18n import LANGUAGES, catalogue

LABELLED = Path(__file__).resolve().parents[3] / "benchmarks" / "data" / "advice_labelled.toml"
RANGES = {"exact": (0.1, 0.4), "steady": (0.6, 0.8), "open": (0.8, 1.0)}


def labelled(*, held_out: bool | None = None) -> list[tuple[str, str]]:
    """Return (message, task) of the labelled set, of one half or of both."""
    data = tomllib.loads(LABELLED.read_text(encoding="utf-8"))
    return [
        (text, task)
        for task, lists in data.items()
        for texts in lists.values()
        for number, text in enumerate(texts)
        if held_out is None or (number % 2 == 1) is held_out
    ]


def test_every_task_keeps_to_the_temperatures_of_its_family() -> None:
    for task in TASKS:
        low, high = RANGES[task.family]
        assert low <= task.temperature <= high, task.name


def test_open_tasks_ask_for_facts_to_be_checked() -> None:
    assert {task.name for task in TASKS if task.check_facts} == {"brainstorm", "naming", "story"}


def test_every_task_has_a_title_and_a_reason_in_both_languages() -> None:
    for task in TASKS:
        for part in ("title", "why"):
            assert set(catalogue()[f"advice.task.{task.name}.{part}"]) == set(LANGUAGES)


def test_advice_leaves_out_what_was_pinned() -> None:
    assert advise(BY_NAME["code"], pinned=("temperature",)) == {"max_new_tokens": 1024}
    assert advise(BY_NAME["code"], pinned=("temperature", "max_new_tokens")) == {}


def test_the_labelled_set_has_more_than_120_messages_in_both_languages() -> None:
    messages = [text for text, task in labelled() if task != "none"]
    chinese = [text for text in messages if any("\u4e00" <= c <= "\u9fff" for c in text)]
    assert len(messages) >= 120
    assert len(set(messages)) == len(messages)
    assert 0.4 < len(chinese) / len(messages) < 0.6


def test_rules_name_nine_of_ten_held_out_messages_rightly() -> None:
    named = [(text, task) for text, task in labelled(held_out=True) if task != "none"]
    result = [(guess_by_rules(text).task, task) for text, task in named]
    right = sum(guess is not None and guess.name == task for guess, task in result)
    wrong = sum(guess is not None and guess.name != task for guess, task in result)
    assert right / len(named) >= 0.9
    assert wrong / len(named) <= 0.05


def test_rules_leave_small_talk_and_follow_ups_alone() -> None:
    assert [text for text, task in labelled() if task == "none" and guess_by_rules(text).task] == []


@pytest.mark.parametrize(
    ("text", "task"),
    [
        ("把下面这段代码翻译成英文注释", "translate"),
        ("Which is right? A. one B. two C. three", "exam"),
        ("写一份八章的白皮书", "long_text"),
        ("", None),
        ("x" * 100_000, None),
    ],
)
def test_rules_read_forms_and_survive_anything(text: str, task: str | None) -> None:
    result = guess_by_rules(text).task
    assert (result.name if result else None) == task


@pytest.mark.parametrize(
    ("text", "task"),
    [
        ("summarise this contract", "summary"),
        ("概括附件", "summary"),
        ("第七条的交货日期是什么？", "fact_check"),
        ("What is the delivery date in clause 7?", "fact_check"),
        ("translate it into English", "translate"),
        ("go on", None),
    ],
)
def test_a_request_about_attached_material_names_its_task(text: str, task: str | None) -> None:
    result = guess_with_material(text).task
    assert (result.name if result else None) == task


def test_a_translation_of_attached_material_is_as_long_as_that() -> None:
    need = length_need("translate it", BY_NAME["translate"], material_tokens=3000)
    assert (need.source, need.asked, need.said) == ("material", 3000, True) and need.wanted >= 3600
    assert length_need("summarise it", BY_NAME["summary"], material_tokens=3000).source == "task"
