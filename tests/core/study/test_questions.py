"""Question sets made by rule: the same every time, all different, and their answers are right."""

import contextlib
import datetime
import io
import re

import pytest

from twokeys.core.study.checker import check
from twokeys.core.study.prompt import StudyPrompt
from twokeys.core.study.questions import GRADES, KINDS, WEEKDAYS, made_prompts, named_prompts
from twokeys.core.study.study import Study
from twokeys.errors import BadParameter, NotFound

LANGUAGES = ("zh", "en")
ALL = [(kind, language) for kind in KINDS for language in LANGUAGES]


def value(prompt: StudyPrompt) -> object:
    assert prompt.checker is not None
    return prompt.checker.value


def test_there_are_more_than_a_thousand_questions_in_each_language() -> None:
    for language in LANGUAGES:
        made = [prompt for kind in KINDS for prompt in made_prompts(kind, language, 100)]
        assert len(made) >= 1000
        assert len({prompt.text for prompt in made}) == len({prompt.id for prompt in made}) == len(made)


@pytest.mark.parametrize(("kind", "language"), ALL)
def test_the_same_seed_makes_the_same_questions_with_answers_that_their_checkers_accept(
    kind: str, language: str
) -> None:
    made = made_prompts(kind, language, 60)
    assert made == made_prompts(kind, language, 60)
    assert made[:20] == made_prompts(kind, language, 20), "more of them begin with the same"
    assert made != made_prompts(kind, language, 60, seed=2)
    assert {prompt.id.rpartition("-g")[2] for prompt in made} == {str(grade + 1) for grade in range(GRADES)}
    for prompt in made:
        assert prompt.checker is not None
        said = f"答案是 {value(prompt)}" if language == "zh" else f"The answer is {value(prompt)}."
        assert check(prompt.checker, said), prompt.text
        assert StudyPrompt.from_dict(prompt.to_dict()) == prompt


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_answers_are_right(language: str) -> None:
    for prompt in made_prompts("arithmetic", language, 100):
        written = re.search(r"[\d(][\d ()+×-]*\d", prompt.text)
        assert written is not None
        assert eval(written.group().replace("×", "*")) == value(prompt)
    for prompt in made_prompts("code", language, 100):
        program = prompt.text.split("```python\n")[1].removesuffix("\n```")
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(program, {})
        assert float(printed.getvalue()) == value(prompt)
    for prompt in made_prompts("ordering", language, 100):
        *numbers, place = map(int, re.findall(r"\d+", prompt.text))
        assert sorted(numbers)[place - 1] == value(prompt)
    for prompt in made_prompts("dates", language, 100):
        days = re.findall(r"\d{4}-\d\d-\d\d", prompt.text)
        if days:
            first, second = (datetime.date.fromisoformat(day) for day in days)
            assert (second - first).days == value(prompt)
        else:
            names = WEEKDAYS["zh" if language == "zh" else "en"]
            today = next(i for i, name in enumerate(names) if name in prompt.text)
            ahead = int(re.findall(r"\d+", prompt.text)[0])
            assert names[(today + ahead) % 7] == value(prompt)


@pytest.mark.parametrize("language", LANGUAGES)
def test_who_is_the_tallest_follows_from_what_is_said(language: str) -> None:
    for prompt in made_prompts("logic", language, 100):
        pattern = r"(\w+) is taller than (\w+)" if language == "en" else r"(小\w)比(小\w)高"
        pairs = re.findall(pattern, prompt.text)
        above, below = {a for a, _ in pairs}, {b for _, b in pairs}
        tallest = "tallest" in prompt.text or "最高" in prompt.text
        assert {value(prompt)} == (above - below if tallest else below - above)


def test_a_study_file_asks_for_made_questions_by_name() -> None:
    made = Study.from_toml(
        'name = "m"\nprompts = ["made/arithmetic-en:30", "made/logic-zh:5:7", "math-en:1"]'
    )
    assert len(made.prompts) == 36
    assert made.prompts[30:35] == made_prompts("logic", "zh", 5, seed=7)
    assert Study.from_dict(made.to_dict()) == made


@pytest.mark.parametrize(
    "name", ["made/arithmetic-en", "made/magic-en:3", "made/code-de:3", "made/code-en:x"]
)
def test_an_unknown_set_is_refused(name: str) -> None:
    with pytest.raises(NotFound):
        named_prompts(name)


def test_no_more_questions_are_promised_than_there_are() -> None:
    for count in (0, 5000):
        with pytest.raises(BadParameter):
            made_prompts("arithmetic", "en", count)
    assert len(made_prompts("arithmetic", "en", 500)) == 500
