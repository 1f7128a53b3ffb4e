"""The coach: silent on well-formed prompts, and what it says of the others."""

import re
import tomllib
from pathlib import Path

import pytest

from twokeys.core.advice.coach import KINDS, DraftAdvice, review
from twokeys.core.advice.rewrite import clean_rewrite, rewrite_request
from twokeys.core.advice.tasks import BY_NAME
from twokeys.i18n import LANGUAGES, translate

WELL_FORMED = Path(__file__).with_name("well_formed.toml")
DEFAULT_TEMPERATURE = 0.7


def well_formed() -> list[tuple[str, str]]:
    """Return (prompt, task) of every well-formed prompt."""
    data = tomllib.loads(WELL_FORMED.read_text(encoding="utf-8"))
    return [(text, task) for task, lists in data.items() for texts in lists.values() for text in texts]


def kinds(text: str, temperature: float, **more: object) -> list[str]:
    return [result.kind for result in review(text, temperature, **more)]  # type: ignore[arg-type]


def only(text: str, temperature: float) -> DraftAdvice:
    return review(text, temperature)[0]


@pytest.mark.parametrize("at", ["default", "task"])
def test_the_coach_is_silent_on_95_percent_of_well_formed_prompts(at: str) -> None:
    prompts = well_formed()
    assert len(prompts) >= 100
    spoken = [
        (text, advice)
        for text, task in prompts
        if (advice := kinds(text, DEFAULT_TEMPERATURE if at == "default" else BY_NAME[task].temperature))
    ]
    assert len(spoken) / len(prompts) <= 0.05, spoken


def test_the_coach_is_silent_when_the_chosen_task_is_the_right_one() -> None:
    spoken = [
        text for text, task in well_formed() if kinds(text, BY_NAME[task].temperature, task=BY_NAME[task])
    ]
    assert len(spoken) <= 5


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_stronger_prompt_invents_no_age_and_no_kind_of_people(language: str) -> None:
    """Whom it is for only the person knows: what stands there must hold for everybody."""
    tasks = ("explain", "document", "long_text", "brainstorm", "naming", "story")
    lines = [translate(f"advice.add.{task}.audience", language) for task in tasks]
    invented = r"\d|young|adult|worker|client|colleague|student|city|年轻|成年|上班|客户|同事|学生|城市|专业"
    assert [line for line in lines if re.search(invented, line)] == []


@pytest.mark.parametrize(
    "text", ["写个故事", "给公司想个口号", "write a story", "Give me ideas", "随便写点东西"]
)
def test_a_vague_prompt_is_spoken_of_from_temperature_08(text: str) -> None:
    advice = only(text, 0.8)
    assert advice.kind == "vague"
    assert advice.rewritten is not None
    assert advice.rewritten.startswith(text)
    assert "vague" not in kinds(text, 0.75)


@pytest.mark.parametrize("temperature", [0.7, 0.9, 1.0])
def test_the_rewritten_prompt_needs_no_further_advice(temperature: float) -> None:
    for text in ("写个故事", "给公司想个口号", "write a story", "Draft an email"):
        for result in review(text, temperature):
            if result.rewritten is not None:
                assert kinds(result.rewritten, temperature) == [], result.rewritten


def test_what_is_missing_is_named() -> None:
    assert only("给公司想个口号", 0.9).missing == ("count", "stance")
    assert "count" not in only("想 5 个口号", 0.9).missing


@pytest.mark.parametrize(
    ("text", "temperature", "wanted"),
    [("解方程 x + 1 = 2", 0.9, "hot_exact"), ("写一首关于雨的诗", 0.2, "cold_open")],
)
def test_a_temperature_that_does_not_fit_the_task_is_named_with_a_better_one(
    text: str, temperature: float, wanted: str
) -> None:
    advice = only(text, temperature)
    assert advice.kind == wanted
    assert advice.temperature is not None
    assert wanted not in kinds(text, advice.temperature)


@pytest.mark.parametrize(
    "text", ["介绍一下量子计算，附上参考文献", "Explain photosynthesis with citations", "给出论文 DOI"]
)
def test_sources_are_not_to_be_had_from_a_local_model(text: str) -> None:
    assert kinds(text, 0.7)[0] == "sources"


@pytest.mark.parametrize(
    "text", ["把下面的参考文献改成 APA 格式：……", "Summarise the references below", "What are light sources?"]
)
def test_sources_that_are_given_are_no_request_for_sources(text: str) -> None:
    assert "sources" not in kinds(text, 0.7)


def test_several_tasks_become_numbered_steps() -> None:
    advice = only("帮我翻译这段话，再总结一下，顺便写一封邮件给客户", 0.7)
    assert advice.kind == "several"
    assert advice.rewritten is not None
    assert "3. " in advice.rewritten


def test_cold_professional_text_gets_a_role_and_a_warmer_key() -> None:
    advice = only("写一份正式的工作总结报告", 0.2)
    assert (advice.kind, advice.temperature) == ("stiff", 0.55)
    assert advice.rewritten is not None
    assert advice.rewritten.startswith("你是")
    assert kinds("写一份正式的工作总结报告", 0.2, system_prompt="你是编辑") == []
    assert kinds(advice.rewritten, 0.55) == []


def test_a_follow_up_may_be_short() -> None:
    assert kinds("写个故事", 0.9, follow_up=True) == []


@pytest.mark.parametrize("text", ["", "  ", "hi", "嗯", "\n\n"])
def test_hardly_begun_drafts_are_left_alone(text: str) -> None:
    assert kinds(text, 1.0) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_finding_is_explained_in_one_line(language: str) -> None:
    for kind in KINDS:
        line = DraftAdvice(kind, "…", ("audience", "count"), 0.55).why(language, 0.9)
        assert "\n" not in line
        assert "{" not in line


def test_the_request_for_a_rewrite_keeps_the_prompt_and_its_language() -> None:
    request = rewrite_request("写个故事", ("audience",))
    assert "写个故事" in request.messages[-1].content
    assert "给谁看" in request.messages[-1].content
    assert request.messages[0].role == "system"


def test_a_reply_is_cleaned_to_the_prompt_alone() -> None:
    assert clean_rewrite('Rewritten prompt: "Write a story for children"', "write a story") == (
        "Write a story for children"
    )
    assert clean_rewrite("改写后：写一个 300 字的童话", "写个故事") == "写一个 300 字的童话"
    assert clean_rewrite("", "写个故事") == ""
    assert clean_rewrite("Write a story", "写个故事") == ""


@pytest.mark.parametrize("temperature", [0.1, 0.3, 0.55, 0.7, 0.9])
@pytest.mark.parametrize(
    "text", ["第七条的交货日期是什么？", "总结这份合同", "write a report with sources", "explain this"]
)
def test_the_coach_asks_for_no_material_that_is_attached(text: str, temperature: float) -> None:
    kinds = {finding.kind for finding in review(text, temperature, attached=True)}
    assert not kinds & {"sources", "vague", "missing", "stiff", "role"}


def test_without_the_file_the_same_drafts_are_advised() -> None:
    assert review("write a report with sources", 0.7)[0].kind == "sources"
    assert review("第七条的交货日期是什么？", 0.9)[0].kind == "vague"
