"""The lab with a real store and the scripted engine: runs, pauses, crashes, chats in between."""

from collections.abc import Callable, Sequence

import pytest

from twokeys.core.study.cell import Cell
from twokeys.core.study.prompt import StudyPrompt
from twokeys.core.study.study import grid_cells
from twokeys.engines.scripted import Fail, Say, ScriptedEngine, Step
from twokeys.errors import BadInput, ContextExceeded, EngineDied, NotFound
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
    eight = tuple(
        StudyPrompt(f"p{i}", f"Question {i}: 3 + 4?", checker=PROMPTS[0].checker) for i in range(10)
    )
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
    verdicts = {comparison.measure: comparison for comparison in result.comparisons}
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
    retained = {(a.prompt, a.number): a.text for a in services.lab.answers(view.id, "temperature=0.3")}
    asked = len(scripted.requests)
    services.lab.start(view.id)
    assert services.lab.wait(view.id, 30).state == "done"
    assert len(scripted.requests) - asked == 12 - paused.done
    after = {(a.prompt, a.number): a.text for a in services.lab.answers(view.id, "temperature=0.3")}
    assert retained.items() <= after.items()
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
    match = second.lab.find(made)
    assert match is not None and match.id == study_id and match.state == "paused"
    second.lab.start(study_id)
    assert second.lab.wait(study_id, 30).state == "done"
    assert len(scripted.requests) == 12 - match.done
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
