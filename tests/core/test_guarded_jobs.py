"""Every kind of guard event on its way from a scripted engine through the job manager into the store."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from twokeys.core.provenance import was_cut_back
from twokeys.engines.scripted import Say, ScriptedEngine, Stall
from twokeys.errors import BadInput
from twokeys.services import Services
from twokeys.store.exchange import Exchange
from twokeys.types import Message, Sampling, Settings

from .making import MakeServices, until

SENTENCE = "It is what it is, my friend. "
GOOD = "The fox lives in the forest. It hunts at night. "
NAMES = ("fox", "owl", "bear", "hare", "wolf", "deer", "crow", "toad", "mole", "lynx")
VERBS = ("sees", "greets", "follows", "finds", "passes", "warns", "helps")
PLACES = ("by the old mill", "near the river", "under the moon", "behind a stone", "on the hill")


def fresh(sentences: int, start: int = 0) -> str:
    """Sentences that differ from one another."""
    return "".join(
        f"The {NAMES[n % 10]} {VERBS[n % 7]} the {NAMES[(3 * n + n // 10) % 10]} {PLACES[n % 5]}. "
        for n in range(start, start + sentences)
    )


def ask(
    services: Services,
    question: str = "Tell me of the fox.",
    *,
    guard: Mapping[str, Any] = {},
    n_probs: int = 0,
    **keys: Any,
) -> Message:
    settings = Settings(Sampling(**{"max_new_tokens": 4000, "temperature": 0.7, **keys}), guard=guard)
    sent = services.answers.send(services.conversations.new(settings).id, question, n_probs=n_probs)
    services.jobs.wait(sent.job.id, 30)
    return services.repository.get_message(sent.answer_message.id)


def levels(answer: Message, kind: str) -> list[str]:
    return [event.level for event in answer.provenance.guard if event.kind == kind]


def test_a_loop_is_warned_of_and_never_cut_when_the_conversation_says_so(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine([Say(GOOD + SENTENCE * 20)]))
    answer = ask(services, guard={"loop": "warn"})
    assert answer.finish_reason == "stop"
    assert answer.content == GOOD + SENTENCE * 20
    assert "warn" in levels(answer, "loop") and "stop" not in levels(answer, "loop")


def test_a_loop_switched_off_is_not_told(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine([Say(GOOD + SENTENCE * 20)]))
    answer = ask(services, guard={"loop": "off", "decay": "off"})
    assert (answer.finish_reason, answer.provenance.guard) == ("stop", ())


def test_decay_is_told_with_the_point_it_began_at(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine([Say(worn_out())]))
    answer = ask(services, guard={"loop": "off", "decay": "warn"})
    assert "warn" in levels(answer, "decay")
    decay = answer.provenance.guard_report["decay"]
    assert len(decay["series"]) >= 4
    assert 0 < decay["downhill_at"] < len(answer.content)


def worn_out() -> str:
    """Sixty fresh sentences, and then three times a selection of them in another order."""
    begun = fresh(60)
    again = " ".join(sorted(begun.split(". ")[:40], key=len))
    return begun + "".join(f"{sentence}. " for sentence in again.split(". ")) * 3


def test_a_decaying_answer_is_cut_where_it_turned_and_the_whole_of_it_stays(
    make_services: MakeServices,
) -> None:
    services = make_services(ScriptedEngine([Say(worn_out(), logprob=-0.5)]))
    answer = ask(services, guard={"loop": "off"}, n_probs=2)
    turned = answer.provenance.guard_report["decay"]["downhill_at"]
    cut = services.answers.cut_back(answer.id)
    assert answer.content.startswith(cut.content) and 0 < len(cut.content) <= turned
    assert cut.content.endswith(".")
    assert cut.provenance.parts[-1].removed_tail == answer.content[len(cut.content) :]
    assert services.repository.get_message(answer.id) == replace(answer, versions=2)
    shown = services.repository.branch(answer.conversation_id)[-1]
    assert (shown.id, shown.version, shown.versions) == (cut.id, 2, 2)
    assert "decay" not in [event.kind for event in services.repository.events(cut.id)]
    probs = services.repository.get_probs(cut.id)
    assert "".join(prob.text for prob in probs) == cut.content
    assert was_cut_back(cut)
    with pytest.raises(BadInput):
        services.answers.cut_back(cut.id)


@pytest.mark.parametrize(
    ("question", "text", "script"),
    [
        ("Tell me of the fox.", GOOD + "狐狸住在森林里，夜晚出来觅食，白天在洞中休息。", "han"),
        ("介绍一下狐狸。", "狐狸住在森林里。Она живёт в лесу и охотится по ночам. 它很聪明。", "cyrillic"),
    ],
)
def test_another_language_is_told_with_its_script(
    make_services: MakeServices, question: str, text: str, script: str
) -> None:
    answer = ask(make_services(ScriptedEngine([Say(text)])), question)
    [drift] = [event for event in answer.provenance.guard if event.kind == "drift"]
    assert (drift.level, drift.data["script"]) == ("warn", script)


def test_an_unsure_stretch_is_marked_at_a_creative_temperature_and_its_text_is_named(
    make_services: MakeServices,
) -> None:
    engine = ScriptedEngine([Say(fresh(8)), Say(fresh(8, 40), logprob=-1.8), Say(fresh(8, 80))])
    services = make_services(engine)
    answer = ask(services, temperature=0.9)
    [mark] = [event for event in answer.provenance.guard if event.kind == "uncertainty"]
    assert mark.level == "note"
    marked = answer.content[mark.data["start"] : mark.data["end"]]
    assert fresh(8, 40)[40:-60] in marked
    assert engine.requests[-1].n_probs == 5
    assert services.repository.get_probs(answer.id) == []  # asked for the guard's sake, kept for nobody


def test_probabilities_are_asked_for_only_where_the_guard_reads_them(make_services: MakeServices) -> None:
    engine = ScriptedEngine([Say(GOOD)])
    services = make_services(engine)
    asked = []
    for temperature, chosen in ((0.7, {}), (0.7, {"uncertainty": "note"}), (0.9, {"uncertainty": "off"})):
        ask(services, temperature=temperature, guard=chosen)
        asked.append(engine.requests[-1].n_probs)
    assert asked == [0, 5, 0]


class _HangingEngine(ScriptedEngine):
    """Stands still with the stalls of its script, and answers no health check then."""

    async def healthy(self) -> bool:
        await asyncio.sleep(0.05)
        return False


@pytest.mark.parametrize(("make", "state"), [(ScriptedEngine, "slow"), (_HangingEngine, "engine_hung")])
def test_a_slow_engine_and_one_that_hangs_are_told_apart(
    make_services: MakeServices, make: type[ScriptedEngine], state: str
) -> None:
    answer = ask(make_services(make([Say("Some words. "), Stall(3.2), Say("More words.")])))
    reported = [event.data["state"] for event in answer.provenance.guard if event.kind == "stall"]
    assert reported == ["begun", state, "over"]
    assert answer.provenance.guard_report["stall"]["longest_gap_s"] > 3


def test_a_gap_that_is_usual_for_this_answer_is_no_stall(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine([Say("One two three four five", delay_s=0.7), Stall(2.3)]))
    sent = services.answers.send(services.conversations.new(Settings()).id, "Count.")
    seen = []
    until(lambda: seen.append(services.jobs.view(sent.job.id)) or not seen[-1].active, 30)  # type: ignore[union-attr]
    assert max(view.stalled_s for view in seen) == 0.0  # type: ignore[union-attr]


def test_stalls_switched_off_are_shown_nowhere(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine([Say("Some words. "), Stall(2.6), Say("More words.")]))
    settings = Settings(guard={"stall": "off"})
    sent = services.answers.send(services.conversations.new(settings).id, "Tell me.")
    seen = []
    until(lambda: seen.append(services.jobs.view(sent.job.id)) or not seen[-1].active, 30)  # type: ignore[union-attr]
    assert {(view.stalled_s, view.tells_stalls) for view in seen} == {(0.0, False)}  # type: ignore[union-attr]


def test_a_loop_that_was_only_warned_of_is_cut_off_before_going_on_differently(
    make_services: MakeServices,
) -> None:
    engine = ScriptedEngine([Say(GOOD + SENTENCE * 5)])
    services = make_services(engine)
    looped = ask(services, guard={"loop": "warn"})
    engine.script = [Say("It sleeps.")]
    sent = services.answers.continue_differently(looped.id)
    services.jobs.wait(sent.job.id, 10)
    answer = services.repository.get_message(looped.id)
    assert answer.content.startswith(GOOD.strip()) and answer.content.endswith("It sleeps.")
    assert answer.content.count(SENTENCE.strip()) == 1
    assert SENTENCE.strip() in answer.provenance.parts[0].removed_tail
    changed = {change["name"]: change["after"] for change in answer.provenance.changed}
    assert changed["temperature"] == 0.8


def test_going_on_with_other_parameters_names_no_preset(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine([Say(GOOD + SENTENCE * 40)]))
    settings = services.presets.apply("creative", Settings())
    talk = services.conversations.new(replace(settings, clear_after_answer=False))
    sent = services.answers.send(talk.id, "Tell me of the fox.")
    services.jobs.wait(sent.job.id, 10)
    assert services.repository.get_message(sent.answer_message.id).provenance.preset == "creative"
    sent = services.answers.continue_differently(sent.answer_message.id)
    services.jobs.wait(sent.job.id, 10)
    answer = services.repository.get_message(sent.answer_message.id)
    assert answer.provenance.sampling_set["temperature"] != 0.9
    assert answer.provenance.preset is None


def test_a_tail_that_was_cut_off_leaves_the_probabilities_too(make_services: MakeServices) -> None:
    engine = ScriptedEngine([Say(GOOD + SENTENCE * 40, logprob=-0.5)])
    services = make_services(engine)
    answer = ask(services, guard={"uncertainty": "note"}, n_probs=3)

    def spelled() -> str:
        return "".join(prob.text for prob in services.repository.get_probs(answer.id))

    assert answer.finish_reason == "guard"
    assert spelled() == answer.content
    engine.script = [Say("It sleeps.", logprob=-0.5)]
    sent = services.answers.continue_differently(answer.id)
    services.jobs.wait(sent.job.id, 10)
    assert spelled() == services.repository.get_message(answer.id).content


def test_a_loop_cut_off_before_going_on_leaves_the_probabilities_too(make_services: MakeServices) -> None:
    engine = ScriptedEngine([Say(GOOD + SENTENCE * 5, logprob=-0.5)])
    services = make_services(engine)
    looped = ask(services, guard={"loop": "warn"}, n_probs=3)
    assert len(services.repository.get_probs(looped.id)) > 0
    engine.script = [Say("It sleeps.", logprob=-0.5)]
    sent = services.answers.continue_differently(looped.id)
    services.jobs.wait(sent.job.id, 10)
    answer = services.repository.get_message(looped.id)
    probs = services.repository.get_probs(looped.id)
    assert "".join(prob.text for prob in probs) == answer.content


def test_each_try_to_go_on_differently_goes_further(make_services: MakeServices) -> None:
    engine = ScriptedEngine([Say(GOOD + SENTENCE * 30)])
    services = make_services(engine)
    answer = ask(services, temperature=0.3)
    temperatures = []
    for _ in range(2):
        sent = services.answers.continue_differently(answer.id)
        services.jobs.wait(sent.job.id, 10)
        temperatures.append(engine.requests[-1].sampling.temperature)
    assert temperatures == [0.5, 0.5] or temperatures[1] > temperatures[0]
    assert engine.requests[-1].sampling.frequency_penalty > engine.requests[-2].sampling.frequency_penalty


def test_events_are_stored_with_the_message_and_leave_with_an_export(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine([Say(GOOD + SENTENCE * 40)]))
    answer = ask(services)
    stored = services.repository.events(answer.id)
    assert [event.kind for event in stored] == [event.kind for event in answer.provenance.guard]
    exported = Exchange(services.repository).export_json([answer.conversation_id])
    assert "It is what it is" in str(exported) and "removed_tail" in str(exported)


def test_a_comparison_and_a_single_answer_are_watched_by_the_same_guard(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine([Say(GOOD + SENTENCE * 40)]))
    question = ask(services)
    parent = services.repository.get_message(str(question.parent_id))
    sent = services.answers.answer(parent, replace(Settings(), guard={}), kind="column")
    services.jobs.wait(sent.job.id, 10)
    column = services.repository.get_message(sent.answer_message.id)
    assert (column.finish_reason, levels(column, "loop")[-1]) == ("guard", "stop")


def test_a_column_of_a_comparison_goes_on_differently_with_its_own_parameters(
    make_services: MakeServices,
) -> None:
    engine = ScriptedEngine([Say(GOOD + SENTENCE * 40)])
    services = make_services(engine)
    settings = Settings(Sampling(temperature=0.2, max_new_tokens=2000))
    columns = services.compare.default_columns(settings)
    comparison = services.compare.start("Tell me of the fox.", columns, settings=settings)
    until(lambda: all(not job.active for job in services.jobs.views()), 20)
    looped = services.compare.stored.get(comparison.id).columns[0].answer
    assert looped.finish_reason == "guard"
    engine.script = [Say("It sleeps.")]
    services.compare.continue_differently(comparison.id, 0)
    until(lambda: services.compare.stored.get(comparison.id).columns[0].answer.content.endswith("It sleeps."))
    answer = services.compare.stored.get(comparison.id).columns[0].answer
    before = {change["name"]: change["before"] for change in answer.provenance.changed}
    assert before["temperature"] == looped.provenance.sampling_set["temperature"]
