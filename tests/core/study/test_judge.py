"""Foreign patterns: one that takes for ever costs its answer's judgement and nothing else."""

import subprocess
import sys
import threading
import time

import psutil
import pytest

from twokeys.core.study.judge import CHILD_SCRIPT, Judge, PatternResult
from twokeys.core.study.own_prompt import own_prompts
from twokeys.core.study.prompt import Checker, StudyPrompt
from twokeys.core.study.study import grid_cells
from twokeys.errors import BadParameter

from ..making import MakeServices
from .making import PROMPTS, engine, study

ENDLESS = r"^(?:.|\w|\s)+§$"
PROSE = "The answer is 7, as everybody knows. " * 5
JSON = '{"a": "' + "x" * 60 + '", "' + "y" * 60 + '": 1}'
HOSTILE = [
    Checker("regex", ENDLESS),
    Checker("regex", r"(a|a|\w|.)*\1*§"),
    Checker("json", {"properties": {"a": {"pattern": ENDLESS}}}),
    Checker("json", {"patternProperties": {ENDLESS: True}}),
]


@pytest.mark.parametrize("checker", HOSTILE, ids=lambda checker: str(checker.value))
def test_a_pattern_that_takes_for_ever_is_given_up(checker: Checker) -> None:
    judge = Judge(limit_s=0.5)
    text = JSON if checker.kind == "json" else PROSE
    try:
        assert judge.judge(checker, text) == PatternResult(None, "checker_timeout")
        assert judge.judge(Checker("regex", "7"), PROSE) == PatternResult(True), "the next one is judged"
    finally:
        judge.close()


@pytest.mark.parametrize("schema", [{"$ref": "#"}, {"properties": {"a": {"$ref": "#/$defs/gone"}}}])
def test_a_schema_that_breaks_judges_nothing(judge: Judge, schema: dict[str, object]) -> None:
    assert judge.judge(Checker("json", schema), JSON) == PatternResult(None, "checker_failed")
    assert judge.judge(Checker("json", {"required": ["a"]}), JSON) == PatternResult(True)


def test_everything_else_goes_on_while_a_pattern_takes_for_ever() -> None:
    judge = Judge(limit_s=2.0)
    trying = threading.Thread(target=judge.judge, args=(HOSTILE[0], PROSE))
    trying.start()
    turns = 0
    while trying.is_alive():
        turns += 1
        time.sleep(0.01)
    judge.close()
    assert turns > 20, "this thread had its turns"


def test_the_process_is_used_again_and_ends_with_the_judge() -> None:
    before = set(psutil.Process().children())
    judge = Judge()
    for _ in range(3):
        assert judge.judge(Checker("regex", "7"), PROSE) == PatternResult(True)
    mine = [
        p for p in set(psutil.Process().children()) - before if CHILD_SCRIPT.name in " ".join(p.cmdline())
    ]
    assert len(mine) == 1
    judge.close()
    assert not mine[0].is_running() or mine[0].status() == psutil.STATUS_ZOMBIE
    assert judge.judge(Checker("regex", "8"), PROSE) == PatternResult(False), "it starts again"
    judge.close()


def test_a_child_whose_parent_is_gone_ends_itself() -> None:
    child = subprocess.Popen(
        [sys.executable, "-P", str(CHILD_SCRIPT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdin is not None and child.stdout is not None
    assert "ready" in child.stdout.readline()
    child.stdin.write('{"kind": "regex", "value": "(a|a)*§", "text": "%s", "limit_s": 0.3}\n' % ("a" * 60))
    child.stdin.close()
    assert child.wait(30) != 0
    child.stdout.close()


def test_a_study_with_a_hostile_pattern_runs_to_its_end_and_says_so(
    make_services: MakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twokeys.core.study.runner.PATTERN_LIMIT_S", 0.5)
    services = make_services(engine())
    (typed,) = own_prompts(f"What is 3 + 4? => regex: {ENDLESS}")
    prompts = (*PROMPTS, StudyPrompt("hostile", typed.text, checker=typed.checker))
    study_id = services.lab.create(study(prompts=prompts, seeds=1)).id
    services.lab.start(study_id)
    assert services.lab.wait(study_id, 60).state == "done"
    cold, hot = services.lab.result(study_id).cells
    assert (cold.unjudged, hot.unjudged, cold.failed) == (1, 1, 0)
    answer = services.lab.answers(study_id, cold.name, "hostile")[0]
    assert answer.problem == "checker_timeout" and "correct" not in answer.values
    assert services.lab.answers(study_id, cold.name, "sum")[0].values["correct"] == 1.0
    (first, _) = services.lab.result(study_id).notes("en")
    assert "1 answer of “temperature=0.3” could not be judged" in first
    assert "没能判对错" in services.lab.result(study_id).notes("zh")[0]


@pytest.mark.parametrize("pattern", ["a{99999999999}", "(" * 250 + ")" * 250 + "{99999999999}"])
def test_a_pattern_that_python_cannot_hold_is_refused_with_a_sentence(pattern: str) -> None:
    with pytest.raises(BadParameter) as refused:
        Checker("regex", pattern)
    assert refused.value.message("zh") and refused.value.message("en")


def test_a_grid_too_large_is_refused_before_it_is_multiplied_out() -> None:
    axes = ("temperature", "top_p", "min_p", "top_k", "repetition_penalty", "frequency_penalty")
    with pytest.raises(BadParameter) as refused:
        grid_cells({axis: [value / 1000 for value in range(1000)] for axis in axes})
    assert "200" in refused.value.message("en")
