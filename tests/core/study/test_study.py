"""Studies, prompts and checkers: what a file may say, and what an answer is worth."""

import contextlib
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twokeys.core.study.cell import Cell, Setup
from twokeys.core.study.checker import check
from twokeys.core.study.estimate import START_S, engine_starts, plan_study
from twokeys.core.study.judge import Judge, PatternResult
from twokeys.core.study.prompt import Checker, StudyPrompt, choose_prompts, shipped_sets
from twokeys.core.study.study import (
    IN_BOTH_LANGUAGES,
    Study,
    first_look,
    grid_cells,
    shipped_group,
    shipped_studies,
)
from twokeys.core.study.trial import plan_groups
from twokeys.errors import BadFile, BadInput, BadParameter, NotFound, TwoKeysError
from twokeys.types import EngineSpeed, Sampling

from .making import PROMPTS, study

TOML = """
name = "heat"
seeds = 2
prompts = ["math-en:2"]
outcomes = ["correct"]
baseline = "plain"
[margins]
correct = 0.2
[base]
max_new_tokens = 64
[grid]
temperature = [0.3, 1.0]
kv_type = ["f16", "q8_0"]
[[cell]]
name = "plain"
[[prompt]]
id = "own"
text = "Sag etwas."
checker = { kind = "regex", value = "etwas" }
"""


def test_a_study_file_becomes_prompts_cells_and_seeds() -> None:
    made = Study.from_toml(TOML)
    assert [prompt.id for prompt in made.prompts] == ["math-en-01", "math-en-02", "own"]
    assert [cell.name for cell in made.cells][-2:] == ["temperature=1.0, kv_type=q8_0", "plain"]
    assert made.cells[1].setup == Setup(kv_type="q8_0")
    assert made.generations == 3 * 5 * 2
    assert made.baseline_cell.name == "plain"
    assert made.margin("correct") == 0.2
    assert made.axes == ("temperature", "kv_type")


def test_a_study_survives_its_own_toml_and_keeps_its_fingerprint() -> None:
    for made in (Study.from_toml(TOML), study(), *shipped_studies().values()):
        again = Study.from_toml(made.to_toml())
        assert again == made
        assert again.fingerprint == made.fingerprint


@pytest.mark.parametrize(
    "bad",
    [
        "seeds = ",
        "seeds = 0",
        'seeds = "3"',
        "colour = 1",
        "[grid]\ncolour = [1]",
        "[grid]\ntemperature = 0.3",
        "[grid]\ntemperature = [9.0]",
        "[base]\ntop_k = 1.5",
        'prompts = ["no-such-set"]',
        'prompts = ["math-en:x"]',
        "prompts = 3",
        'outcomes = ["beauty"]',
        '[[cell]]\nname = "a"\n[[cell]]\nname = "a"',
        'baseline = "nobody"',
        '[[prompt]]\nid = "a b"\ntext = "x"',
        '[[prompt]]\nid = "a"\ntext = "x"\nchecker = { kind = "python", value = "1" }',
        '[[prompt]]\nid = "a"\ntext = "x"\nchecker = { kind = "regex", value = "(" }',
        '[[prompt]]\nid = "a"\ntext = "x"\nchecker = { kind = "json", value = { type = "objekt" } }',
        '[[prompt]]\nid = "a"\ntext = "x"\nchecker = { kind = "json", value = { "$ref" = "http://a.b/c" } }',
        '[[prompt]]\nid = "a"\ntext = "x"\nchecker = { kind = "number", value = nan }',
        '[[prompt]]\nid = "a"\ntext = "x"\nchecker = { kind = "number", value = "8" }',
        "[[cell]]\nsegments = 99",
        '[[cell]]\ncontext = "big"',
        "[grid]\ntemperature = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]\ntop_k = [1, 2, 3, 4, 5, 6]\n"
        "top_p = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]",
    ],
)
def test_what_cannot_be_used_is_refused_with_a_sentence(bad: str) -> None:
    head = "" if "prompts" in bad else 'prompts = ["math-en:2"]\n'
    with pytest.raises((BadFile, BadParameter, BadInput, NotFound)) as refused:
        Study.from_toml(head + bad)
    assert refused.value.message("zh") and refused.value.message("en")


WHOLE = """
name = "whole"
title = "All of it"
seeds = 2
base_seed = 3
baseline = "a"
outcomes = ["correct"]
guard = "watch"
n_probs = 2
share = true
slots = 1
limit_s = 3.5
prompts = ["math-en:1"]
[margins]
correct = 0.1
[base]
temperature = 0.5
stop = ["END"]
[grid]
top_k = [1, 2]
[[cell]]
name = "a"
temperature = 1.0
model = "smollm2-135m"
context = 512
kv_type = "f16"
form = "short"
system_prompt = "Be brief."
before = "nothing"
segments = 1
ignore_eos = false
grammar = false
[[prompt]]
id = "p"
text = "Why?"
task = "explain"
language = "en"
length = 20
unit = "words"
forms = { short = "Why" }
checker = { kind = "choice", value = "A", options = ["A", "B"], tolerance = 0.0 }
[[prompt]]
id = "q"
text = "In JSON?"
checker = { kind = "json", value = { type = "object" } }
"""
DEEP = "[" * 3000 + "]" * 3000
ODD = ("3", "-1", "1.5", "nan", "inf", "true", '""', '"x"', "[]", "{}", "[[1]]", "{ a = 1 }", "1979-05-27",
       "07:32:00", "99999999999999999999999", '["x", 1]', "[1979-05-27]", DEEP)  # fmt: skip


@pytest.mark.parametrize("odd", ODD, ids=lambda text: text[:24])
def test_an_odd_value_anywhere_in_a_study_file_is_used_or_refused_with_a_sentence(odd: str) -> None:
    Study.from_toml(WHOLE)
    lines = WHOLE.splitlines()
    for number, line in enumerate(lines):
        if " = " not in line:
            continue
        for before in ("", "checker = { kind = "):
            changed = lines.copy()
            changed[number] = f"{line.partition(' = ')[0]} = {odd}"
            if before:
                if not line.startswith(before):
                    continue
                changed[number] = line.replace(line.split("value = ")[1].split(",")[0].rstrip(" }"), odd)
            try:
                made = Study.from_toml("\n".join(changed))
            except TwoKeysError as refused:
                assert refused.message("zh") and refused.message("en")
            else:
                json.dumps(made.to_dict(), allow_nan=False)
                assert Study.from_dict(made.to_dict()).fingerprint == made.fingerprint


@given(st.text(max_size=200))
def test_no_text_breaks_the_reader_of_study_files(text: str) -> None:
    with contextlib.suppress(TwoKeysError):
        Study.from_toml(text)


def test_the_same_prompt_has_the_same_seeds_in_every_cell_and_others_elsewhere() -> None:
    made = study()
    seeds = {(p.id, n): made.seed(p, n) for p in made.prompts for n in range(2)}
    assert len(set(seeds.values())) == 4
    assert study(cells=grid_cells({"top_k": [5]})).seed(PROMPTS[0], 1) == seeds["sum", 1]


def test_the_shipped_sets_have_60_prompts_in_both_languages_each_checker_fit_for_use() -> None:
    prompts = [prompt for prompt_set in shipped_sets() for prompt in prompt_set.prompts]
    assert len(prompts) >= 60
    assert len({prompt.id for prompt in prompts}) == len(prompts)
    for language in ("zh", "en"):
        assert sum(1 for p in prompts if p.language == language) >= 30
        assert sum(1 for p in prompts if p.language == language and p.checker) >= 20
    for prompt in prompts:
        if prompt.checker and prompt.checker.kind == "choice":
            assert check(prompt.checker, prompt.checker.value)
        if prompt.checker and prompt.checker.kind == "number":
            assert check(prompt.checker, f"The answer is {prompt.checker.value}.")


def test_prompts_are_chosen_by_set_by_number_and_by_id() -> None:
    assert len(choose_prompts(["fact-zh"])) == 8
    assert [p.id for p in choose_prompts(["fact-zh:2", "math-en-03", "fact-zh-01"])] == [
        "fact-zh-01", "fact-zh-02", "math-en-03",
    ]  # fmt: skip


def test_the_shipped_studies_can_be_read_and_examine_the_claims() -> None:
    assert {s.name for s in shipped_group("claims")} >= {"claims-diversity", "claims-correct"}
    with pytest.raises(NotFound):
        shipped_group("nothing")


@pytest.mark.parametrize(
    ("checker", "answer", "right"),
    [
        (Checker("number", 7), "7", True),
        (Checker("number", 7), "3 + 4 = 7.", True),
        (Checker("number", 7), "3 + 4 = 7, and 4 + 3 as well", True),
        (Checker("number", 7), "答案是 **7**。", True),
        (Checker("number", 7), "It is 17", False),
        (Checker("number", 7), "no number", False),
        (Checker("number", 1234.5), "about 1,234.5 dollars", True),
        (Checker("number", 3.14, tolerance=0.01), "π ≈ 3.1416", True),
        (Checker("number", -2), "−2", True),
        (Checker("choice", "B", ("A", "B", "C")), "B", True),
        (Checker("choice", "B", ("A", "B", "C")), "B. Dolphin", True),
        (Checker("choice", "B", ("A", "B", "C")), "The answer is (B), not A.", True),
        (Checker("choice", "B", ("A", "B", "C")), "答案：B", True),
        (Checker("choice", "B", ("A", "B", "C")), "A or B", False),
        (Checker("choice", "B", ("A", "B", "C")), "Because", False),
        (Checker("choice", "negative", ("positive", "negative")), "It is Negative.", True),
        (Checker("choice", "差评", ("好评", "差评")), "差评", True),
        (Checker("regex", r"\bau\b"), "AU", True),
        (Checker("regex", r"\bau\b"), "Australia", False),
        (Checker("json", {"required": ["a"]}), '```json\n{"a": 1}\n```', True),
        (Checker("json", {"required": ["a"]}), 'Here: {"a": 1} done', True),
        (Checker("json", {"required": ["a"]}), '{"b": 1}', False),
        (Checker("json", {"const": [1, 2]}), "[1, 2]", True),
        (Checker("json", {"required": ["a"]}), "{not json", False),
    ],
)
def test_answers_are_judged_by_their_checker(
    judge: Judge, checker: Checker, answer: str, right: bool
) -> None:
    assert judge.judge(checker, answer) == PatternResult(right)


@given(st.text(max_size=300))
def test_no_answer_breaks_a_checker(answer: str) -> None:
    for checker in (Checker("number", 1), Checker("choice", "A", ("A", "B"))):
        assert check(checker, answer) in (True, False)


@given(st.text(alphabet='[]{}",:0a\\` \n', max_size=300))
def test_no_answer_breaks_a_schema(judge: Judge, answer: str) -> None:
    assert judge.judge(Checker("json", {"type": "array"}), answer).problem is None


def test_first_looks_ask_in_the_readers_language_and_the_claims_stay_as_they_are() -> None:
    for name, shipped in shipped_studies().items():
        asked = {p.language for p in first_look(shipped, "en").prompts}
        if name.startswith(IN_BOTH_LANGUAGES):
            assert first_look(shipped, "en") == first_look(shipped, "zh") == shipped
        else:
            assert asked == {"en"} and {p.language for p in first_look(shipped, "zh").prompts} == {"zh"}
            asked_twice = {re.sub(r"-(zh|en)(?=-|$)", "", prompt.id) for prompt in shipped.prompts}
            assert len(first_look(shipped, "en").prompts) == len(asked_twice)
    [only] = shipped_group("temperature", "en")
    assert {p.language for p in only.prompts} == {"en"}


def test_answers_that_are_the_beginning_of_others_are_not_planned_twice() -> None:
    made = study(cells=grid_cells({"temperature": [0.0, 0.7], "max_new_tokens": [16, 32]}), seeds=3)
    batches = [batch for group in plan_groups(made) for batch in group.batches]
    assert made.generations == 24
    # per prompt: greedy once for all seeds and lengths, hot once for each seed
    assert len(batches) == 2 * (1 + 3)
    assert all(made.cells[batch.written.cell].sampling["max_new_tokens"] == 32 for batch in batches)
    apart = study(cells=made.cells, seeds=3, share=False)
    assert sum(len(group.batches) for group in plan_groups(apart)) == 24


def test_one_setup_after_the_other_and_prompts_side_by_side() -> None:
    made = study(cells=grid_cells({"context": [4096, 8192], "temperature": [0.3, 0.9]}))
    order = [(group.setup.context, group.prompt) for group in plan_groups(made)]
    assert order == [(4096, 0), (4096, 1), (8192, 0), (8192, 1)]


def test_what_is_stored_is_not_planned_again() -> None:
    made = study()
    keys = {trial.key for group in plan_groups(made) for b in group.batches for trial in b.trials}
    first = sorted(keys)[:3]
    left = {t.key for group in plan_groups(made, first) for b in group.batches for t in b.trials}
    assert left == keys - set(first)
    assert plan_groups(made, keys) == []


def test_the_plan_tells_time_sharing_and_what_can_be_seen() -> None:
    made = study(
        cells=grid_cells({"temperature": [0.3, 0.7], "max_new_tokens": [64, 128]}), outcomes=("tokens",)
    )
    plan = plan_study(made, EngineSpeed("m", 50.0, 200.0, 3))
    assert (plan.generations, plan.shared) == (16, 8)
    assert plan.seconds is not None and plan.seconds > plan.tokens / 50
    assert plan_study(made, None).seconds is None
    many = study(prompts=tuple(StudyPrompt(f"p{i}", "x") for i in range(30)), outcomes=("distinct_2",))
    few = study(prompts=tuple(StudyPrompt(f"p{i}", "x") for i in range(10)), outcomes=("distinct_2",))
    assert plan_study(many, None).power[0].smallest < plan_study(few, None).power[0].smallest
    assert plan_study(many, None).power[0].needed is not None


def test_the_plan_counts_starts_of_the_engine_and_each_models_own_speed() -> None:
    speed = EngineSpeed("m", 50.0, 200.0, 3)
    usual = study(cells=(Cell("a"), Cell("b", {"temperature": 0.9})))
    fresh = study(cells=(Cell("a"), Cell("b", {"temperature": 0.9}, before="fresh")))
    assert engine_starts(usual) == 0
    assert engine_starts(fresh) == len(fresh.prompts) * fresh.seeds
    assert engine_starts(shipped_studies()["claims-memory"]) == 4
    first, other = plan_study(usual, speed).seconds, plan_study(fresh, speed).seconds
    assert first is not None and other is not None
    assert other - first == pytest.approx(START_S * engine_starts(fresh))
    models = study(cells=(Cell("a"), Cell("b", setup=Setup(model="big"))))
    slow = plan_study(models, speed, {"big": EngineSpeed("big", 5.0, 20.0, 3)}).seconds
    assert slow is not None and slow > 4 * first
    assert plan_study(models, speed, {"big": None}).seconds is None


def test_a_cell_says_what_it_changes_and_reads_it_back() -> None:
    cell = Cell.of({"temperature": 0.9, "context": 4096, "form": "vague", "before": "hot"})
    assert cell.values() == {"temperature": 0.9, "context": 4096, "form": "vague", "before": "hot"}
    assert Cell.of(cell.to_dict()) == cell
    assert cell.sampling_on(Sampling()).temperature == 0.9


def test_a_study_file_of_an_earlier_version_still_forbids_the_end_token() -> None:
    shipped = shipped_studies()["claims-long"]
    former = shipped.to_toml().replace("ignore_eos = true", "forced = true")
    assert "forced = true" in former
    assert Study.from_toml(former) == shipped
