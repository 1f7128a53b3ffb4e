"""Chances that are counted instead of drawn: against all texts of a small model, and the real engine's."""

import asyncio
import itertools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from twokeys.core.study.answer_tree import AnswerTree, ExactChance
from twokeys.core.study.cell import Cell
from twokeys.core.study.exact_answer import ANSWER_PREFIX, AnswerReading
from twokeys.core.study.exact_curve import exact_curves
from twokeys.core.study.exact_run import exact_rows, score_batch, scorer_of
from twokeys.core.study.exact_score import Scorer
from twokeys.core.study.prompt import Checker, StudyPrompt
from twokeys.core.study.spectrum import Cuts
from twokeys.core.study.study import Study, grid_cells
from twokeys.core.study.trial import plan_groups
from twokeys.engines.local import LocalEngine
from twokeys.engines.scripted import ScriptedEngine
from twokeys.errors import BadParameter, NotSupported
from twokeys.types import ChatMessage, Delta, GenerationRequest, NextTokens, Sampling, WorkerSpec

PIECES = (b"", b" ", b"1", b"12", b"2", b"x", b"3")
OPEN_SAMPLING = Sampling(top_k=0, top_p=1.0, repetition_penalty=1.0, max_new_tokens=8)
TWELVE = AnswerReading.of(Checker("number", 12))


def toy(after: Sequence[int]) -> list[float]:
    """A model of seven tokens whose next one depends on the last."""
    source = np.random.default_rng(len(after) * 100 + (after[-1] if after else 0))
    logits = source.normal(0, 1.5, len(PIECES))
    return list(logits - math.log(np.exp(logits).sum()))


async def ask_toy(after: Sequence[int]) -> NextTokens:
    values = toy(after)
    order = sorted(range(len(values)), key=lambda token_id: -values[token_id])
    return NextTokens(order, [values[token_id] for token_id in order], PIECES)


def heated(after: Sequence[int], temperature: float) -> list[float]:
    weights = [math.exp(value / temperature) for value in toy(after)]
    return [weight / sum(weights) for weight in weights]


def brute_force(temperature: float, length: int = 5) -> float:
    """The chance of all texts of up to `length` tokens that begin with 12."""
    total = 0.0
    for tokens in itertools.product(range(len(PIECES)), repeat=length):
        chance, text, outcome = 1.0, b"", "open"
        for place, token in enumerate(tokens):
            chance *= heated(tokens[:place], temperature)[token]
            text += PIECES[token]
            outcome = TWELVE.read(text, ended=token == 0)
            if outcome != "open":
                # what follows no longer matters: counted once, with the first of all continuations
                if any(tokens[place + 1 :]):
                    chance = 0.0
                break
        total += chance if outcome == "right" else 0.0
    return total


def test_the_tree_has_the_chance_of_all_texts_together() -> None:
    tree = asyncio.run(Scorer((Cuts(),)).score(TWELVE, ask_toy))
    temperatures = np.array([0.5, 1.0])
    result = tree.chance(Cuts(), temperatures)
    for place, temperature in enumerate(temperatures):
        truth = brute_force(float(temperature))
        assert result.right[place] - 0.005 <= truth <= result.right[place] + result.doubt[place] + 0.005


def test_what_was_left_open_is_taken_to_be_right_as_often_as_what_was_followed() -> None:
    chance = ExactChance(np.array([0.3, 0.0, 0.0, 0.6]), np.array([0.4, 0.4, 1.0, 0.4]))
    assert chance.likely == pytest.approx([0.5, 0.0, 0.5, 1.0])
    tree = asyncio.run(Scorer((Cuts(),)).score(TWELVE, ask_toy))
    result = tree.chance(Cuts(), np.arange(0.0, 2.01, 0.1))
    assert (result.right <= result.likely).all()
    assert (result.likely <= result.right + result.doubt + 1e-12).all()


def test_a_tree_comes_back_from_what_is_stored() -> None:
    tree = asyncio.run(Scorer((Cuts(),)).score(TWELVE, ask_toy))
    temperatures = np.array([0.0, 0.7, 2.0])
    back = AnswerTree.from_dict(tree.to_dict()).chance(Cuts(top_k=3), temperatures)
    assert back.right == pytest.approx(tree.chance(Cuts(top_k=3), temperatures).right, abs=1e-3)


def exact_study(**changes: object) -> Study:
    values: dict[str, object] = {
        "name": "exact",
        "kind": "exact",
        "seeds": 1,
        "base": OPEN_SAMPLING,
        "cells": grid_cells({"temperature": [0.0, 1.0]}),
        "outcomes": ("chance",),
        "prompts": tuple(
            StudyPrompt(f"q{number}", f"Say {number}.", "math", checker=Checker("number", 12))
            for number in range(8)
        ),
    }
    return Study(**(values | changes))  # type: ignore[arg-type]


def test_one_question_serves_all_temperatures_and_cuts() -> None:
    cells = (*grid_cells({"temperature": [0.0, 1.0]}), Cell("cut", {"top_k": 2, "temperature": 1.0}))
    study = exact_study(cells=cells)
    groups = plan_groups(study)
    assert [len(group.batches) for group in groups] == [1] * 8
    tree = asyncio.run(scorer_of(study).score(TWELVE, ask_toy))
    rows = [row for group in groups for row in exact_rows(study, group.batches[0], tree, "12").values()]
    curves = exact_curves(study, [row for row in rows if "tree" in row])
    assert [curve.name for curve in curves] == ["default", "top_k=2"]
    chances = {row["c"]: row["v"]["chance"] for row in rows if "v" in row}
    assert curves[0].at(1.0).mean == pytest.approx(chances[1], abs=1e-3)
    assert curves[1].at(1.0).mean == pytest.approx(chances[2], abs=1e-3)
    # eight times the same question leaves no doubt between questions
    assert curves[0].at(1.0).low == pytest.approx(chances[1], abs=0.01)
    assert "8 questions" in curves[0].sentence("en")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"base": Sampling(repetition_penalty=1.05)}, "repetition_penalty"),
        ({"base": OPEN_SAMPLING.with_(typical_p=0.9)}, "typical_p"),
        ({"seeds": 2}, "seeds"),
        ({"prompts": (StudyPrompt("sky", "Why is the sky blue?"),)}, "prompt.sky.checker"),
        ({"cells": (Cell("parts", segments=2),)}, "cell"),
        ({"kind": "guessed"}, "kind"),
    ],
)
def test_what_cannot_be_counted_is_refused(changes: dict[str, object], field: str) -> None:
    with pytest.raises(BadParameter) as refused:
        exact_study(**changes)
    assert refused.value.params["field"] == field


def test_a_study_file_says_exact() -> None:
    study = Study.from_toml(
        'kind = "exact"\nprompts = ["made/logic-en:3"]\n[base]\nrepetition_penalty = 1.0', "mine"
    )
    assert (study.seeds, study.outcomes) == (1, ("chance",))
    assert Study.from_toml(study.to_toml()).fingerprint == study.fingerprint


def test_an_engine_without_whole_distributions_is_refused() -> None:
    async def scored() -> None:
        study = exact_study()
        batch = plan_groups(study)[0].batches[0]
        await score_batch(study, batch, ScriptedEngine(), scorer_of(study), None, lambda: asyncio.sleep(0))

    with pytest.raises(NotSupported):
        asyncio.run(scored())


# ---- the real engine ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def smollm2_spec(
    smollm2: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[WorkerSpec, Path]]:
    spec = WorkerSpec(str(smollm2), "smollm2-135m", context=512, parallel=1, threads=1)
    yield spec, tmp_path_factory.mktemp("exact")


DRAWS = 40


def test_the_counted_chance_is_how_often_the_engine_draws_the_right_answer(
    smollm2_spec: tuple[WorkerSpec, Path],
) -> None:
    spec, folder = smollm2_spec
    question = "Emma has 3 books, Ben has 9 books. Who has the fewest books? Give the name only."
    prompt = StudyPrompt("q", question, "choice", checker=Checker("choice", "Emma", ("Ben", "Emma")))
    cells = grid_cells({"temperature": [0.4, 0.9], "top_p": [0.9]})
    study = exact_study(prompts=(prompt,), cells=cells)

    async def both() -> tuple[list[float], list[float]]:
        engine = LocalEngine(spec, folder / "run", folder / "logs")
        try:
            batch = plan_groups(study)[0].batches[0]
            rows = await score_batch(study, batch, engine, scorer_of(study), None, lambda: asyncio.sleep(0))
            counted = [rows[f"a/{cell}/0/0"]["v"]["chance"] for cell in range(2)]
            drawn = [await share_right(engine, study, cell) for cell in range(2)]
        finally:
            await engine.close()
        return counted, drawn

    counted, drawn = asyncio.run(both())
    for chance, share in zip(counted, drawn, strict=True):
        # four standard errors and what the tree may leave open
        assert abs(chance - share) <= 4 * math.sqrt(max(chance * (1 - chance), 0.01) / DRAWS) + 0.01


async def share_right(engine: LocalEngine, study: Study, cell: int) -> float:
    """Return how many of DRAWS sampled answers begin with the right one."""
    prompt = study.prompts[0]
    assert prompt.checker is not None
    reading = AnswerReading.of(prompt.checker)
    right = 0
    for seed in range(DRAWS):
        sampling = study.cells[cell].sampling_on(study.base).with_(seed=seed, max_new_tokens=3)
        request = GenerationRequest((ChatMessage("user", prompt.text),), sampling, prefix=ANSWER_PREFIX["en"])
        text = "".join([event.text async for event in engine.generate(request) if isinstance(event, Delta)])
        right += reading.read(text.encode(), ended=True) == "right"
    return right / DRAWS
