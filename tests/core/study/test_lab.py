"""The lab with a real store and the scripted engine: runs, pauses, crashes, chats in between."""

from collections.abc import Callable, Sequence

import pytest

from twokeys.core.presets import to_toml
from twokeys.core.study.cell import Cell
from twokeys.core.study.measure import MIN_UNITS
from twokeys.core.study.prompt import Prompt
from twokeys.core.study.study import grid_cells
from twokeys.core.study.tuning import Goal, Tuning, proof_study, search_study
from twokeys.engines.scripted import Fail, Say, ScriptedEngine, Step
from twokeys.errors import BadInput, BadParameter, ContextExceeded, EngineDied, NotFound
from twokeys.services import Services
from twokeys.types import GenerationRequest, Sampling, Settings

from ..making import MakeServices
from .making import PROMPTS, engine, speaker, study, until


def run(services: Services, made: object, timeout_s: float = 30.0) -> str:
    view = services.lab.create(made)  # type: ignore[arg-type]
    services.lab.start(view.id)
    assert services.lab.wait(view.id, timeout_s).state == "done"
    return view.id


def test_a_study_runs_to_its_end_and_tells_what_differs(make_services: MakeServices) -> None:
    services = make_services(engine())
    eight = tuple(Prompt(f"p{i}", f"Question {i}: 3 + 4?", checker=PROMPTS[0].checker) for i in range(10))
    study_id = run(
        services, study(prompts=eight, outcomes=("correct", "similarity", "mean_nll", "truncated"))
    )
    view = services.lab.view(study_id)
    assert (view.done, view.total, view.left_s) == (40, 40, None)
    assert view.model == "scripted"
    result = services.lab.result(study_id)
    cold, hot = result.cells
    assert cold.estimates["correct"].mean == 1.0
    assert hot.estimates["correct"].mean < 0.2
    assert cold.estimates["similarity"].mean == 1.0
    verdicts = {one.measure: one for one in result.comparisons}
    assert verdicts["correct"].kind == "different" and verdicts["correct"].better is False
    assert verdicts["similarity"].better is True
    assert "lower" in verdicts["correct"].sentence("en") and "低" in verdicts["correct"].sentence("zh")
    assert verdicts["mean_nll"].difference == pytest.approx(1.4, abs=0.01)
    assert set(result.to_dict()) >= {"cells", "verdicts"}


def test_answers_can_be_read_with_their_measures_and_seeds(make_services: MakeServices) -> None:
    services = make_services(engine())
    made = study()
    study_id = run(services, made)
    answers = services.lab.answers(study_id, "temperature=0.3", "sum")
    assert [answer.number for answer in answers] == [0, 1]
    assert answers[0].text.startswith("The answer is 7")
    assert answers[0].seed == made.seed(PROMPTS[0], 0)
    assert answers[0].values["correct"] == 1.0
    assert len(services.lab.answers(study_id, "temperature=1.0")) == 4
    with pytest.raises(NotFound):
        services.lab.answers(study_id, "no such cell")


def test_shared_answers_are_cut_where_the_shorter_length_would_have_cut_them(
    make_services: MakeServices,
) -> None:
    scripted = engine()
    services = make_services(scripted)
    cells = grid_cells({"temperature": [0.9], "max_new_tokens": [5, 12]})
    study_id = run(services, study(cells=cells))
    assert len(scripted.requests) == 4, "one generation for two lengths"
    short = services.lab.answers(study_id, cells[0].name)
    long = services.lab.answers(study_id, cells[1].name)
    for cut, whole in zip(short, long, strict=True):
        assert cut.shared and not whole.shared
        assert whole.text.startswith(cut.text) and cut.text != whole.text
        assert (cut.values["tokens"], cut.finish_reason) == (5.0, "length")
    again = study(cells=cells, share=False)
    alone_id = run(services, again)
    alone = [(a.text, a.finish_reason) for a in services.lab.answers(alone_id, cells[0].name)]
    assert alone == [(a.text, a.finish_reason) for a in short], "the same as when generated on its own"


def test_a_paused_study_goes_on_without_running_an_answer_again(make_services: MakeServices) -> None:
    scripted = engine(delay_s=0.01)
    services = make_services(scripted)
    view = services.lab.create(study(seeds=3))
    services.lab.start(view.id)
    until(lambda: services.lab.view(view.id).done >= 4)
    paused = services.lab.pause(view.id)
    assert paused.state == "paused" and 4 <= paused.done < 12
    kept = {(a.prompt, a.number): a.text for a in services.lab.answers(view.id, "temperature=0.3")}
    asked = len(scripted.requests)
    services.lab.start(view.id)
    assert services.lab.wait(view.id, 30).state == "done"
    assert len(scripted.requests) - asked == 12 - paused.done
    after = {(a.prompt, a.number): a.text for a in services.lab.answers(view.id, "temperature=0.3")}
    assert kept.items() <= after.items()
    assert services.lab.start(view.id).state == "done", "starting a finished study changes nothing"


def test_a_new_app_finds_a_study_that_a_closed_one_left_and_finishes_it(make_services: MakeServices) -> None:
    first = make_services(engine(delay_s=0.01))
    made = study(seeds=3)
    study_id = first.lab.create(made).id
    first.lab.start(study_id)
    until(lambda: first.lab.view(study_id).done >= 2)
    first.close()
    scripted = engine()
    second = make_services(scripted)
    found = second.lab.find(made)
    assert found is not None and found.id == study_id and found.state == "paused"
    second.lab.start(study_id)
    assert second.lab.wait(study_id, 30).state == "done"
    assert len(scripted.requests) == 12 - found.done
    again = second.lab.find(made)
    assert again is not None and (again.id, again.state) == (study_id, "done")


def test_a_study_that_another_app_runs_is_seen_and_not_started_twice(make_services: MakeServices) -> None:
    first = make_services(engine(delay_s=0.02))
    second = make_services(engine())
    study_id = first.lab.create(study()).id
    first.lab.start(study_id)
    seen = second.lab.view(study_id)
    assert seen.elsewhere and seen.state == "running"
    with pytest.raises(BadInput):
        second.lab.start(study_id)
    first.lab.pause(study_id)
    assert second.lab.view(study_id).state == "paused"


def dying(times: int, then: Callable[[GenerationRequest], Sequence[Step]]) -> ScriptedEngine:
    left = [times]

    def script(request: GenerationRequest) -> Sequence[Step]:
        if left[0] > 0:
            left[0] -= 1
            return [Say("half an ans"), Fail(EngineDied(reason="signal 9", log=""))]
        return then(request)

    return ScriptedEngine(script)


def test_an_engine_that_dies_costs_no_answer(make_services: MakeServices) -> None:
    services = make_services(dying(2, speaker()))
    study_id = run(services, study())
    assert services.lab.view(study_id).done == 8
    texts = [a.text for a in services.lab.answers(study_id, "temperature=0.3")]
    assert all(text.startswith("The answer") for text in texts)


def test_an_engine_that_keeps_dying_ends_the_study_with_its_reason(
    make_services: MakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twokeys.core.study.runner.MAX_TRIES", 1)
    services = make_services(dying(10_000, speaker()))
    view = services.lab.create(study())
    services.lab.start(view.id)
    ended = services.lab.wait(view.id, 30)
    assert ended.state == "failed"
    assert ended.error is not None and ended.error["code"] == "engine_died"


def test_an_answer_that_cannot_fit_is_kept_as_failed_and_the_rest_goes_on(
    make_services: MakeServices,
) -> None:
    services = make_services(engine(context=200))
    cells = (Cell("fits", {"max_new_tokens": 32}), Cell("too long", {"max_new_tokens": 400}))
    study_id = run(services, study(cells=cells, share=False))
    fits, long = services.lab.result(study_id).cells
    assert (fits.failed, long.failed) == (0, 4)
    answer = services.lab.answers(study_id, "too long")[0]
    assert answer.error is not None and answer.error["code"] == ContextExceeded.code


def test_a_chat_goes_first_and_the_answer_given_up_is_written_again(make_services: MakeServices) -> None:
    services = make_services(engine(delay_s=0.03))
    view = services.lab.create(study())
    services.lab.start(view.id)
    until(lambda: bool(services.lab.view(view.id).now))
    chat = services.conversations.new(Settings(sampling=Sampling(max_new_tokens=40)))
    sent = services.answers.send(chat.id, "Hello?")
    until(lambda: services.lab.view(view.id).state == "waiting")
    assert services.jobs.wait(sent.job.id, 20).state == "done"
    assert services.lab.wait(view.id, 40).state == "done"
    for name in ("temperature=0.3", "temperature=1.0"):
        assert all(a.finish_reason == "stop" for a in services.lab.answers(view.id, name))


def test_two_studies_take_turns(make_services: MakeServices) -> None:
    services = make_services(engine(delay_s=0.01))
    first, second = services.lab.create(study()), services.lab.create(study(name="other", base_seed=2))
    services.lab.start(first.id)
    services.lab.start(second.id)
    assert services.lab.view(second.id).state == "waiting"
    assert services.lab.wait(second.id, 30).state == "done"
    assert services.lab.view(first.id).state == "done"


def test_slots_are_used_side_by_side_each_prompt_in_its_own(make_services: MakeServices) -> None:
    scripted = engine(delay_s=0.01, slots=2)
    services = make_services(scripted)
    run(services, study(seeds=3))
    slots = {request.messages[0].content: set() for request in scripted.requests}
    for request in scripted.requests:
        slots[request.messages[0].content].add(request.slot)
    assert all(len(used) == 1 for used in slots.values())
    assert {slot for used in slots.values() for slot in used} == {0, 1}


def test_segments_and_hot_answers_before_are_asked_for_as_the_cell_says(make_services: MakeServices) -> None:
    scripted = engine()
    services = make_services(scripted)
    cells = (
        Cell("parts", {}, segments=2),
        Cell("hot", {}, before="hot"),
        Cell("role", {}, system_prompt="Be brief."),
    )
    study_id = run(services, study(cells=cells, seeds=1, prompts=PROMPTS[:1]))
    assert services.lab.answers(study_id, "parts")[0].text.count("\n\n") == 1
    asked = [request.messages for request in scripted.requests]
    assert sum("part 1 of 2" in messages[0].content for messages in asked) == 1
    assert sum(messages[0].role == "system" for messages in asked) == 1
    assert sum(request.sampling.temperature == 1.0 for request in scripted.requests) == 3


def test_a_deleted_study_leaves_the_list_and_can_be_brought_back(make_services: MakeServices) -> None:
    services = make_services(engine())
    study_id = run(services, study())
    token = services.lab.delete(study_id)
    assert services.lab.list() == []
    services.repository.undo(token)
    assert [view.id for view in services.lab.list()] == [study_id]


def checkable(count: int) -> tuple[Prompt, ...]:
    return tuple(Prompt(f"p{i}", f"{i}: 3 + 4?", checker=PROMPTS[0].checker) for i in range(count))


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
    kept = services.presets.get("right at last")
    assert kept == preset
    assert done.proof.sentence("en") in services.presets.why(kept, "en") and "scripted" in kept.evidence
    services.presets.delete(kept.name)
    services.presets.import_toml(to_toml([kept]))
    assert services.presets.get(kept.name) == kept
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
