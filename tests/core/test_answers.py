"""The chat service: sending, the context, versions, branches, continuing, replaying, clearing."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from twokeys.core.answers import MAX_MESSAGE_CHARS, Sent
from twokeys.engines.scripted import Fail, Say, ScriptedEngine
from twokeys.errors import (
    BadInput,
    BadParameter,
    ContextExceeded,
    EmptyMessage,
    EngineDied,
    EngineError,
    MessageTooLarge,
    NotFound,
)
from twokeys.services import Services
from twokeys.types import GenerationRequest, Message, Sampling, Settings

from .making import MakeServices, conversation, until

ALPHABET = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi"


def letters(request: GenerationRequest) -> Sequence[Say]:
    """Say the alphabet, going on where a prefix ends."""
    return [Say(ALPHABET.removeprefix(request.prefix), delay_s=0.001)]


def echo(request: GenerationRequest) -> Sequence[Say]:
    """Answer with the question and the seed."""
    return [Say(f"{request.messages[-1].content} / {request.sampling.seed}")]


def ask(services: Services, conversation_id: str, text: str) -> Message:
    return finished(services, services.answers.send(conversation_id, text))


def finished(services: Services, sent: Sent) -> Message:
    services.jobs.wait(sent.job.id, 20)
    return services.repository.get_message(sent.answer_message.id)


def read(request: GenerationRequest) -> list[str]:
    return [message.content for message in request.messages]


def test_a_follow_up_is_read_with_the_turns_before_it(make_services: MakeServices) -> None:
    engine = ScriptedEngine(echo)
    services = make_services(engine)
    topic = conversation(services, seed=7).id
    ask(services, topic, "first")
    ask(services, topic, "second")
    assert read(engine.requests[-1]) == ["first", "first / 7", "second"]
    assert [m.role for m in services.conversations.messages(topic)] == ["user", "assistant"] * 2


def test_moving_a_slider_does_not_touch_the_running_answer(make_services: MakeServices) -> None:
    engine = ScriptedEngine([Say(ALPHABET, delay_s=0.02)])
    services = make_services(engine)
    talk = conversation(services, temperature=0.3)
    sent = services.answers.send(talk.id, "hello")
    until(lambda: bool(engine.requests))
    settings = replace(talk.settings, sampling=talk.settings.sampling.with_(temperature=0.9))
    services.conversations.set_settings(talk.id, settings)
    answer = finished(services, sent)
    assert answer.content == ALPHABET
    assert answer.provenance.sampling_set["temperature"] == 0.3
    assert ask(services, talk.id, "again").provenance.sampling_set["temperature"] == 0.9


def test_a_second_message_waits_and_reads_the_finished_answer(make_services: MakeServices) -> None:
    engine = ScriptedEngine([Say(ALPHABET, delay_s=0.01)], slots=2)
    services = make_services(engine)
    topic = conversation(services).id
    first = services.answers.send(topic, "first")
    until(lambda: services.jobs.view(first.job.id).phase == "generating")  # type: ignore[union-attr]
    second = services.answers.send(topic, "second")
    assert services.jobs.view(second.job.id).state == "queued"  # type: ignore[union-attr]
    assert [m.state for m in services.conversations.messages(topic)][-1] == "queued"
    finished(services, second)
    assert read(engine.requests[-1]) == ["first", ALPHABET, "second"]


def test_a_question_waiting_for_a_stopped_answer_reads_what_there_is(make_services: MakeServices) -> None:
    engine = ScriptedEngine([Say(ALPHABET, delay_s=0.03)])
    services = make_services(engine)
    topic = conversation(services).id
    first = services.answers.send(topic, "first")
    until(lambda: len(services.jobs.view(first.job.id).text) > 10)  # type: ignore[union-attr]
    second = services.answers.send(topic, "second")
    services.jobs.stop(first.job.id)
    until(lambda: len(engine.requests) == 2)
    assert read(engine.requests[-1])[1] == services.jobs.view(first.job.id).text  # type: ignore[union-attr]
    services.jobs.stop(second.job.id)


@pytest.mark.parametrize("text", ["", "   ", "\n\t"])
def test_an_empty_message_is_refused(make_services: MakeServices, text: str) -> None:
    services = make_services(ScriptedEngine())
    talk = conversation(services)
    with pytest.raises(EmptyMessage):
        services.answers.send(talk.id, text)
    assert services.conversations.messages(talk.id) == []


def test_a_message_of_more_than_a_million_characters_is_refused(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine())
    with pytest.raises(MessageTooLarge) as error:
        services.answers.send(conversation(services).id, "x" * (MAX_MESSAGE_CHARS + 1))
    assert error.value.params == {"size": MAX_MESSAGE_CHARS + 1, "limit": MAX_MESSAGE_CHARS}


def test_a_megabyte_is_refused_for_the_context_before_anything_is_stored(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine(context=4096))
    talk = conversation(services)
    with pytest.raises(ContextExceeded):
        services.answers.send(talk.id, "word " * 190_000)
    assert services.conversations.messages(talk.id) == []


def test_broken_surrogates_arrive_as_replacement_characters(make_services: MakeServices) -> None:
    engine = ScriptedEngine()
    services = make_services(engine)
    ask(services, conversation(services).id, "fox 🦊 \ud83e alone")
    assert read(engine.requests[0]) == ["fox 🦊 \ufffd alone"]


def test_sending_to_an_unknown_or_deleted_conversation_is_an_error(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine())
    talk = conversation(services)
    services.repository.delete_conversation(talk.id)
    for name in ("nowhere", talk.id):
        with pytest.raises(NotFound):
            services.answers.send(name, "hello")


def full_conversation(services: Services) -> str:
    """Three turns of about 90 tokens in a context of 400."""
    topic = conversation(services, max_new_tokens=60).id
    for name in ("first", "second", "third"):
        ask(services, topic, f"{name} " + "question " * 30)
    return topic


def test_what_does_not_fit_is_refused_with_numbers_and_ways_out(make_services: MakeServices) -> None:
    engine = ScriptedEngine([Say("short answer")], context=400)
    services = make_services(engine)
    topic = full_conversation(services)
    text = "last " + "question " * 60
    plan = services.answers.plan(topic, text)
    assert plan.exact and not plan.fits
    assert [turn.title.split()[0] for turn in plan.turns] == ["first", "second", "third"]
    with pytest.raises(ContextExceeded) as error:
        services.answers.send(topic, text)
    assert error.value.params == {
        "prompt_tokens": plan.prompt_tokens,
        "max_new_tokens": 60,
        "context": 400,
    }
    assert len(services.conversations.messages(topic)) == 6
    oldest = services.conversations.messages(topic)[:2]
    assert plan.drop_to_fit[:2] == tuple(message.id for message in oldest)
    services.conversations.exclude(topic, plan.drop_to_fit)
    answer = ask(services, topic, text)
    assert answer.finish_reason == "stop"
    assert answer.provenance.excluded == plan.drop_to_fit
    assert not any(content.startswith("first") for content in read(engine.requests[-1]))
    services.conversations.include(topic, plan.drop_to_fit)
    assert not any(message.excluded for message in services.conversations.messages(topic))


def test_a_shorter_answer_is_offered_when_it_makes_the_message_fit(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine([Say("ok")], context=400))
    topic = full_conversation(services)
    talk = services.repository.get_conversation(topic)
    longer = replace(talk.settings, sampling=talk.settings.sampling.with_(max_new_tokens=300))
    services.conversations.set_settings(topic, longer)
    plan = services.answers.plan(topic, "a little more")
    assert not plan.fits and plan.shorten_to is not None
    assert plan.prompt_tokens + plan.shorten_to <= 400
    shorter = replace(talk.settings, sampling=talk.settings.sampling.with_(max_new_tokens=plan.shorten_to))
    services.conversations.set_settings(topic, shorter)
    assert ask(services, topic, "a little more").finish_reason == "stop"


def test_the_planned_prompt_is_the_prompt_that_is_read(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine(echo))
    topic = conversation(services).id
    ask(services, topic, "one")
    planned = services.answers.plan(topic, "two and three")
    answer = ask(services, topic, "two and three")
    assert planned.exact
    assert answer.provenance.prompt_tokens == planned.prompt_tokens


def test_without_a_running_engine_the_plan_is_a_marked_estimate(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine())
    plan = services.answers.plan(conversation(services).id, "hello there")
    assert not plan.exact and plan.fits and plan.context == 8192


def test_what_an_estimate_let_through_is_refused_by_the_job_with_numbers(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine(context=120))
    sent = services.answers.send(conversation(services, max_new_tokens=64).id, ". " * 40)
    answer = finished(services, sent)
    assert (answer.state, answer.error and answer.error["code"]) == ("failed", "context_exceeded")
    assert answer.error is not None and answer.error["params"]["context"] == 120


def test_regenerating_keeps_the_earlier_version(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine(echo))
    topic = conversation(services).id
    first = ask(services, topic, "hello")
    second = finished(services, services.answers.regenerate(first.id, {"seed": 5, "temperature": 0.1}))
    assert second.content == "hello / 5"
    assert second.provenance.sampling_set["temperature"] == 0.1
    shown = services.conversations.messages(topic)[-1]
    assert (shown.id, shown.version, shown.versions) == (second.id, 2, 2)
    services.conversations.select_version(first.id)
    shown = services.conversations.messages(topic)[-1]
    assert (shown.id, shown.version, shown.content) == (first.id, 1, first.content)
    assert [m.id for m in services.conversations.versions(first.id)] == [first.id, second.id]


def test_regenerating_with_a_bad_parameter_names_it(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine(echo))
    first = ask(services, conversation(services).id, "hello")
    with pytest.raises(BadParameter) as error:
        services.answers.regenerate(first.id, {"temperature": -1})
    assert error.value.params["field"] == "temperature"


def test_editing_a_question_makes_a_branch_and_keeps_the_old_one(make_services: MakeServices) -> None:
    engine = ScriptedEngine(echo)
    services = make_services(engine)
    topic = conversation(services, seed=1).id
    ask(services, topic, "hello")
    ask(services, topic, "more")
    old = services.conversations.messages(topic)
    edited = services.answers.edit(old[2].id, "instead")
    finished(services, edited)
    assert read(engine.requests[-1]) == ["hello", "hello / 1", "instead"]
    assert [m.content for m in services.conversations.messages(topic)][2] == "instead"
    assert services.conversations.messages(topic)[2].parent_id == old[1].id
    services.conversations.select_version(old[2].id)
    assert [m.id for m in services.conversations.messages(topic)] == [m.id for m in old]
    with pytest.raises(BadInput):
        services.answers.edit(old[1].id, "an answer cannot be edited")


def test_continuing_grows_the_same_message_from_its_last_token(make_services: MakeServices) -> None:
    engine = ScriptedEngine(letters)
    services = make_services(engine)
    topic = conversation(services, max_new_tokens=6).id
    cut = ask(services, topic, "the alphabet")
    assert cut.finish_reason == "length"
    talk = services.repository.get_conversation(topic)
    services.conversations.set_settings(
        topic, replace(talk.settings, sampling=talk.settings.sampling.with_(max_new_tokens=400))
    )
    whole = finished(services, services.answers.continue_(cut.id))
    assert whole.id == cut.id
    assert whole.content == ALPHABET
    assert whole.finish_reason == "stop"
    assert engine.requests[-1].prefix_ids == cut.token_ids
    parts = whole.provenance.parts
    assert [part.finish_reason for part in parts] == ["length", "stop"]
    assert [part.sampling_set["max_new_tokens"] for part in parts] == [6, 400]
    assert whole.provenance.completion_tokens == len(whole.token_ids)
    assert [m.id for m in services.conversations.messages(topic)][-1] == cut.id


def test_continuing_an_older_answer_does_not_hide_the_later_turns(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine(letters))
    topic = conversation(services, max_new_tokens=6).id
    cut = ask(services, topic, "the alphabet")
    ask(services, topic, "again")
    before = [m.id for m in services.conversations.messages(topic)]
    finished(services, services.answers.continue_(cut.id))
    assert [m.id for m in services.conversations.messages(topic)] == before


def test_continuing_reads_the_system_prompt_the_answer_began_with(make_services: MakeServices) -> None:
    engine = ScriptedEngine(letters)
    services = make_services(engine)
    talk = conversation(services, max_new_tokens=6)
    services.conversations.set_settings(talk.id, replace(talk.settings, system_prompt="be old"))
    cut = ask(services, talk.id, "the alphabet")
    services.conversations.set_settings(talk.id, replace(talk.settings, system_prompt="be new"))
    finished(services, services.answers.continue_(cut.id))
    assert read(engine.requests[-1])[0] == "be old"


def test_nothing_is_glued_onto_an_answer_by_a_server_that_cannot_go_on_from_it(
    make_services: MakeServices,
) -> None:
    engine = ScriptedEngine([Say(ALPHABET, logprob=-1.0)], local=False, supports_prefill=False)
    services = make_services(engine)
    topic = conversation(services, max_new_tokens=6).id
    services.conversations.set_settings(
        topic,
        replace(services.repository.get_conversation(topic).settings, auto_continue=3, keep_probs=True),
    )
    cut = ask(services, topic, "the alphabet")
    assert (cut.finish_reason, len(engine.requests)) == ("length", 1)
    candidate = services.repository.get_probs(cut.id)[2].alternatives[1]
    before = services.conversations.messages(topic)
    for attempt in (
        lambda: services.answers.continue_(cut.id),
        lambda: services.answers.continue_differently(cut.id),
        lambda: services.answers.fork(cut.id, 2, candidate),
        lambda: services.next_token.distribution(cut.id, 2),
    ):
        with pytest.raises(EngineError) as caught:
            attempt()
        assert "cannot_continue" in (caught.value.code, str(caught.value.params.get("reason")))
    assert services.conversations.messages(topic) == before
    assert len(engine.requests) == 1


def test_an_answer_being_written_cannot_be_continued(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine([Say(ALPHABET, delay_s=0.05)]))
    sent = services.answers.send(conversation(services).id, "hello")
    with pytest.raises(BadInput):
        services.answers.continue_(sent.answer_message.id)
    services.jobs.stop(sent.job.id)


def test_auto_continue_writes_one_answer_up_to_its_limit(make_services: MakeServices) -> None:
    engine = ScriptedEngine(letters)
    services = make_services(engine)
    talk = conversation(services, max_new_tokens=6)
    services.conversations.set_settings(talk.id, replace(talk.settings, auto_continue=2))
    answer = ask(services, talk.id, "the alphabet")
    assert len(engine.requests) == 3
    assert len(answer.provenance.parts) == 3
    assert (answer.finish_reason, len(answer.token_ids)) == ("length", 18)
    assert ALPHABET.startswith(answer.content)
    services.conversations.set_settings(talk.id, replace(talk.settings, auto_continue=8))
    assert ask(services, talk.id, "once more").content == ALPHABET


def test_replaying_uses_the_same_parameters_and_the_used_seed(make_services: MakeServices) -> None:
    engine = ScriptedEngine(echo)
    services = make_services(engine)
    talk = conversation(services, temperature=0.4)
    answer = ask(services, talk.id, "hello")
    used = answer.provenance.seed
    assert used is not None
    services.conversations.set_settings(talk.id, Settings())
    again = finished(services, services.answers.replay(answer.id))
    assert again.content == f"hello / {used}"
    assert again.provenance.sampling_set["temperature"] == 0.4
    assert again.provenance.replay_of == answer.id
    assert again.parent_id == answer.parent_id and again.id != answer.id


def test_replaying_an_answer_in_parts_writes_the_same_parts(make_services: MakeServices) -> None:
    engine = ScriptedEngine(letters)
    services = make_services(engine)
    topic = conversation(services, max_new_tokens=6).id
    cut = ask(services, topic, "the alphabet")
    longer = finished(services, services.answers.continue_(cut.id))
    again = finished(services, services.answers.replay(longer.id))
    assert again.content == longer.content
    assert [part.completion_tokens for part in again.provenance.parts] == [6, 6]


def test_deleting_a_message_takes_what_follows_and_can_be_undone(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine(echo))
    topic = conversation(services).id
    ask(services, topic, "one")
    ask(services, topic, "two")
    before = [m.id for m in services.conversations.messages(topic)]
    token = services.conversations.delete_message(before[2])
    assert [m.id for m in services.conversations.messages(topic)] == before[:2]
    services.conversations.undo(token, topic)
    assert [m.id for m in services.conversations.messages(topic)] == before


def test_deleting_an_answer_being_written_stops_it(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine([Say(ALPHABET, delay_s=0.05)]))
    topic = conversation(services).id
    sent = services.answers.send(topic, "hello")
    until(lambda: services.jobs.view(sent.job.id).phase == "generating")  # type: ignore[union-attr]
    services.conversations.delete_message(sent.answer_message.parent_id or "")
    assert services.jobs.wait(sent.job.id, 5).state == "cancelled"
    assert services.conversations.messages(topic) == []


def test_force_clear_forgets_the_history_and_keeps_the_transcript(make_services: MakeServices) -> None:
    engine = ScriptedEngine(echo, memory=1000)
    services = make_services(engine)
    topic = conversation(services, seed=1).id
    ask(services, topic, "one")
    report = services.force_clear.release(topic, keep_history=False)
    assert (report.before_bytes, report.freed_bytes) == (1000, 1000)
    talk = services.repository.get_conversation(topic)
    assert talk.state_reset_at == talk.head_id
    answer = ask(services, topic, "two")
    assert read(engine.requests[-1]) == ["two"]
    assert len(services.conversations.messages(topic)) == 4
    assert answer.provenance.history_from == services.conversations.messages(topic)[2].id
    services.conversations.set_history_after_reset(topic, True)
    ask(services, topic, "three")
    assert read(engine.requests[-1])[0] == "one"


def test_force_clear_stops_what_is_being_written(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine([Say(ALPHABET, delay_s=0.05)]))
    topic = conversation(services).id
    sent = services.answers.send(topic, "hello")
    until(lambda: services.jobs.view(sent.job.id).phase == "generating")  # type: ignore[union-attr]
    services.force_clear.release(topic, keep_history=True)
    assert services.repository.get_message(sent.answer_message.id).finish_reason == "cancelled"


def test_the_creative_combination_clears_after_a_finished_answer(make_services: MakeServices) -> None:
    engine = ScriptedEngine(echo, memory=1000)
    services = make_services(engine)
    talk = conversation(services)
    services.conversations.set_settings(talk.id, services.presets.apply("creative", talk.settings))
    answer = ask(services, talk.id, "a poem")
    until(lambda: not engine.running)
    until(lambda: services.repository.get_conversation(talk.id).state_reset_at == answer.id)


def test_a_cut_creative_answer_is_not_cleared_so_that_it_can_go_on(make_services: MakeServices) -> None:
    engine = ScriptedEngine(letters)
    services = make_services(engine)
    talk = conversation(services, max_new_tokens=6)
    services.conversations.set_settings(talk.id, replace(talk.settings, clear_after_answer=True))
    ask(services, talk.id, "a poem")
    until(lambda: services.jobs.views() == [])
    assert engine.running


def test_a_conversation_is_called_by_its_first_words(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine(echo))
    topic = conversation(services).id
    ask(services, topic, "用一个生活中的比喻，解释 LSTM 怎样缓解梯度消失的问题，最好讲得生动一些")
    title = services.repository.get_conversation(topic).title
    assert title.startswith("用一个生活中的比喻") and title.endswith("…") and len(title) <= 25


def test_the_model_titles_a_conversation_when_it_is_idle(
    make_services: MakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twokeys.core.titles.IDLE_BEFORE_TITLE_S", 0.05)

    def script(request: GenerationRequest) -> Sequence[Any]:
        return [Say("Title: “Foxes at night”.\nrest" if len(request.messages) == 3 else "They hunt.")]

    services = make_services(ScriptedEngine(script))
    services.repository.set_setting("titles.by_model", True)
    topic = conversation(services).id
    ask(services, topic, "What do foxes do at night, and why?")
    until(lambda: services.repository.get_conversation(topic).title_by == "model")
    assert services.repository.get_conversation(topic).title == "Foxes at night"
    assert len(services.conversations.messages(topic)) == 2


def test_a_title_given_by_a_person_stays(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine(echo))
    topic = conversation(services).id
    services.conversations.set_title(topic, "  My   talk ")
    ask(services, topic, "hello")
    assert services.repository.get_conversation(topic).title == "My talk"


def test_after_a_failure_the_next_message_works(make_services: MakeServices) -> None:
    engine = ScriptedEngine([Say("Half"), Fail(EngineDied(reason="SIGKILL", log=""))])
    services = make_services(engine)
    topic = conversation(services).id
    failed = ask(services, topic, "one")
    assert failed.state == "failed"
    engine.script = letters
    assert ask(services, topic, "two").content == ALPHABET
    engine.script = [Say(" more.")]
    healed = finished(services, services.answers.continue_(failed.id))
    assert (healed.content, healed.state, healed.error) == ("Half more.", "done", None)


def test_going_on_differently_after_a_loop_changes_what_matters(make_services: MakeServices) -> None:
    engine = ScriptedEngine([Say("The fox runs. "), Say("And on and on it goes. " * 60)])
    services = make_services(engine)
    topic = conversation(services, max_new_tokens=1000, temperature=0.2).id
    looped = ask(services, topic, "Tell me of the fox.")
    assert looped.finish_reason == "guard"
    engine.script = [Say(" It sleeps.")]
    answer = finished(services, services.answers.continue_differently(looped.id))
    assert answer.content == looped.content + " It sleeps."
    changed = {change["name"] for change in answer.provenance.changed}
    assert {"seed", "temperature"} <= changed


def test_provenance_tells_how_an_answer_was_made(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine(echo))
    talk = conversation(services, temperature=0.4, top_k=7)
    services.conversations.set_settings(
        talk.id, replace(talk.settings, system_prompt="be brief", preset="precise")
    )
    known = ask(services, talk.id, "hello").provenance
    assert known.sampling_set["top_k"] == known.sampling_used["top_k"] == 7
    assert known.order == "llama.cpp"
    assert isinstance(known.seed, int)
    assert (known.model, known.engine["kind"], known.context) == ("scripted", "scripted", 8192)
    assert (known.system_prompt, known.preset, known.finish_reason) == (
        "be brief",
        "precise",
        "stop",
    )
    assert (known.prompt_tokens or 0) > 0 and (known.completion_tokens or 0) > 0 and known.cached_tokens == 0
    assert known.timings.ttft_s is not None
    assert known.excluded == () and known.guard == ()


def test_a_second_app_on_the_same_store_sees_what_the_first_wrote(make_services: MakeServices) -> None:
    first = make_services(ScriptedEngine([Say(ALPHABET, delay_s=0.03)]))
    topic = conversation(first).id
    sent = first.answers.send(topic, "hello")
    until(lambda: len(first.jobs.view(sent.job.id).text) > 20)  # type: ignore[union-attr]
    second = make_services(ScriptedEngine(echo))
    assert second.recovered == []
    until(lambda: second.conversations.messages(topic)[-1].content != "", 3)
    assert second.conversations.messages(topic)[-1].state == "streaming"
    finished(first, sent)
    assert second.conversations.messages(topic)[-1].content == ALPHABET
    assert finished(second, second.answers.send(topic, "more")).state == "done"
    assert len(first.conversations.messages(topic)) == 4


def test_continuing_takes_the_room_that_is_left(make_services: MakeServices) -> None:
    engine = ScriptedEngine(letters, context=400)
    services = make_services(engine)
    topic = conversation(services, max_new_tokens=6).id
    cut = ask(services, topic, "the alphabet " + "please " * 30)
    talk = services.repository.get_conversation(topic)
    longest = talk.settings.sampling.with_(max_new_tokens=390)
    services.conversations.set_settings(topic, replace(talk.settings, sampling=longest))
    whole = finished(services, services.answers.continue_(cut.id))
    assert (whole.content, whole.finish_reason) == (ALPHABET, "stop")
    asked = engine.requests[-1].sampling.max_new_tokens
    assert whole.provenance.parts[1].prompt_tokens + asked == 400


def test_continuing_without_room_for_more_is_refused_with_numbers(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine(letters, context=120))
    topic = conversation(services, max_new_tokens=64).id
    services.conversations.set_settings(topic, Settings(sampling=Sampling(max_new_tokens=6)))
    cut = ask(services, topic, "word " * 40)
    services.conversations.set_settings(topic, Settings(sampling=Sampling(max_new_tokens=512)))
    with pytest.raises(ContextExceeded) as error:
        services.answers.continue_(cut.id)
    assert error.value.params["max_new_tokens"] == 64, "the shortest answer that is worth going on for"
    assert services.repository.get_message(cut.id) == cut


def test_editing_and_regenerating_are_refused_before_anything_is_stored(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine([Say("short answer")], context=400))
    topic = full_conversation(services)
    before = services.conversations.messages(topic)
    question, answer = before[-2:]
    text = "last " + "question " * 120
    assert not services.answers.plan(topic, text, instead_of=question.id).fits
    with pytest.raises(ContextExceeded):
        services.answers.edit(question.id, text)
    talk = services.repository.get_conversation(topic)
    longest = talk.settings.sampling.with_(max_new_tokens=390)
    services.conversations.set_settings(topic, replace(talk.settings, sampling=longest))
    with pytest.raises(ContextExceeded):
        services.answers.regenerate(answer.id)
    assert services.conversations.messages(topic) == before
    assert services.conversations.versions(answer.id) == [answer]


def test_creative_messages_keep_the_history_and_clear_when_all_is_written(
    make_services: MakeServices,
) -> None:
    engine = ScriptedEngine(echo, memory=1000)
    services = make_services(engine)
    talk = conversation(services, seed=1)
    services.conversations.set_settings(talk.id, services.presets.apply("creative", talk.settings))
    other = conversation(services, seed=1)
    first = services.answers.send(talk.id, "three names")
    second = services.answers.send(talk.id, "the second one shorter")
    ask(services, other.id, "a question of another conversation")
    answer = finished(services, second)
    asked = next(request for request in engine.requests if "shorter" in request.messages[-1].content)
    assert [text.split(" / ")[0] for text in read(asked)] == [
        "three names",
        "three names",
        "the second one shorter",
    ]
    assert answer.provenance.history_from is None
    until(lambda: not engine.running)
    until(lambda: len(services.conversations.get(talk.id).resets) == 2)
    marks = services.conversations.get(talk.id).resets
    assert {mark.after for mark in marks} == {first.answer_message.id, second.answer_message.id}
    assert all(mark.keep_history and mark.by_itself for mark in marks)


def test_what_is_refused_is_said_in_both_languages(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine())
    with pytest.raises(BadInput) as error:
        services.conversations.set_title(conversation(services).id, " ")
    assert "标题是空的" in error.value.message("zh") and "empty" in error.value.message("en")
