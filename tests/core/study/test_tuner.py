"""Tunings with a real store and the scripted engine: what is offered is proved on fresh prompts."""

import pytest

from twokeys.core.presets import to_toml
from twokeys.core.study.measure import MIN_UNITS
from twokeys.core.study.prompt import StudyPrompt
from twokeys.core.study.tuning import Goal, Tuning, proof_study, search_study
from twokeys.errors import BadInput, BadParameter
from twokeys.types import Sampling

from ..making import MakeServices
from .making import PROMPTS, engine, until


def checkable(count: int) -> tuple[StudyPrompt, ...]:
    return tuple(StudyPrompt(f"p{i}", f"{i}: 3 + 4?", checker=PROMPTS[0].checker) for i in range(count))


def test_tuning_offers_what_fresh_prompts_prove_and_only_that(make_services: MakeServices) -> None:
    """Right below 0.5, wrong above: the default of 0.9 can be beaten."""
    services = make_services(engine())
    tuning = Tuning(
        "right", "correct", checkable(24), budget=120, space={"temperature": (0.1, 1.2)},
        base=Sampling(temperature=0.9, max_new_tokens=24),
    )  # fmt: skip
    assert not {p.id for p in tuning.searched} & {p.id for p in tuning.fresh}
    view = services.tuner.create(tuning)
    services.tuner.start(view.id)
    done = services.tuner.wait(view.id, 60)
    assert done.state == "done", done.error
    assert done.winner is not None and done.winner["temperature"] < 0.5
    assert done.better and done.proof is not None and done.proof.low is not None and done.proof.low > 0
    assert done.done == done.total <= tuning.budget
    preset = services.tuner.save_preset(view.id, "right at last")
    stored = services.presets.get("right at last")
    assert stored == preset
    assert done.proof.sentence("en") in services.presets.why(stored, "en") and "scripted" in stored.evidence
    services.presets.delete(stored.name)
    services.presets.import_toml(to_toml([stored]))
    assert services.presets.get(stored.name) == stored
    assert services.lab.list() == [], "its studies are its own"


@pytest.mark.parametrize("goal", ["correct", "diverse", "complete"])
@pytest.mark.parametrize("count", [4, 10, 44, 100])
@pytest.mark.parametrize("budget", [40, 52, 67, 120, 500])
def test_a_tuning_keeps_to_its_budget_and_can_prove_something(goal: Goal, count: int, budget: int) -> None:
    try:
        tuning = Tuning("t", goal, checkable(count), budget=budget).check()
    except BadParameter as refused:
        assert goal == "diverse" and (count < 10 or budget < 52), refused
        return
    spent = search_study(tuning, 0, {}).generations * tuning.tries
    proof = proof_study(tuning, {}, spent)
    assert spent + proof.generations <= budget
    units = len(proof.prompts) if goal == "diverse" or proof.seeds == 1 else len(proof.prompts) * proof.seeds
    assert units >= MIN_UNITS


def test_what_tuning_needs_is_said_in_the_readers_language() -> None:
    with pytest.raises(BadParameter) as refused:
        Tuning("t", "correct", checkable(2)).check()
    assert "至少 4 道有标准答案的题" in refused.value.message("zh")
    assert "at least 4 prompts" in refused.value.message("en")


def test_a_default_that_cannot_be_beaten_is_kept(make_services: MakeServices) -> None:
    services = make_services(engine())
    tuning = Tuning(
        "as good", "correct", checkable(12), budget=60, space={"temperature": (0.1, 0.4)},
        base=Sampling(temperature=0.3, max_new_tokens=24),
    )  # fmt: skip
    view = services.tuner.create(tuning)
    services.tuner.start(view.id)
    done = services.tuner.wait(view.id, 60)
    assert done.state == "done" and not done.better
    with pytest.raises(BadInput):
        services.tuner.save_preset(view.id, "no")


def test_a_paused_tuning_goes_on_with_the_try_that_was_open(make_services: MakeServices) -> None:
    services = make_services(engine(delay_s=0.003))
    tuning = Tuning("t", "correct", checkable(12), budget=60, space={"temperature": (0.1, 1.2)})
    view = services.tuner.create(tuning)
    services.tuner.start(view.id)
    until(lambda: len(services.tuner.view(view.id).tries) >= 2)
    paused = services.tuner.pause(view.id)
    assert paused.state == "paused"
    services.tuner.start(view.id)
    done = services.tuner.wait(view.id, 60)
    assert done.state == "done"
    assert len(done.tries) == tuning.tries
    assert done.tries[: len(paused.tries) - 1] == paused.tries[:-1]
