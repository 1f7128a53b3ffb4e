"""Conversations: resets of the model's state, what can be brought back, and what listeners hear."""

import pytest

from twokeys.engines.scripted import Say, ScriptedEngine
from twokeys.errors import BadInput, NotFound
from twokeys.services import Services
from twokeys.types import GenerationRequest

from .making import MakeServices, conversation


def echo(request: GenerationRequest) -> list[Say]:
    return [Say(f"about {request.messages[-1].content}")]


def ask(services: Services, conversation_id: str, text: str) -> str:
    """Ask, wait for the answer, and return its id."""
    sent = services.answers.send(conversation_id, text)
    services.jobs.wait(sent.job.id, 20)
    return sent.answer_message.id


def last_read(engine: ScriptedEngine) -> list[str]:
    return [message.content for message in engine.requests[-1].messages if message.role == "user"]


def test_every_force_clear_keeps_its_place_and_each_can_be_taken_back(make_services: MakeServices) -> None:
    engine = ScriptedEngine(echo)
    services = make_services(engine)
    topic = conversation(services).id
    first = ask(services, topic, "one")
    services.force_clear.release(topic)
    second = ask(services, topic, "two")
    services.force_clear.release(topic)
    ask(services, topic, "three")
    assert last_read(engine) == ["three"]
    assert [mark.after for mark in services.conversations.get(topic).resets] == [first, second]
    services.conversations.set_history(topic, second, True)
    ask(services, topic, "four")
    assert last_read(engine) == ["two", "three", "four"]
    services.conversations.set_history(topic, first, True)
    ask(services, topic, "five")
    assert last_read(engine) == ["one", "two", "three", "four", "five"]
    services.conversations.set_history(topic, second, False)
    ask(services, topic, "six")
    assert last_read(engine) == ["three", "four", "five", "six"]
    with pytest.raises(NotFound):
        services.conversations.set_history(topic, "no such message", True)


def test_clearing_twice_at_one_place_leaves_one_mark(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine(echo))
    topic = conversation(services).id
    answer = ask(services, topic, "one")
    services.force_clear.release(topic)
    services.force_clear.release(topic, keep_history=True)
    (mark,) = services.conversations.get(topic).resets
    assert (mark.after, mark.keep_history) == (answer, True)


def test_clearing_an_empty_conversation_leaves_no_mark(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine(echo))
    topic = conversation(services).id
    services.force_clear.release(topic)
    assert services.conversations.get(topic).resets == ()


def test_a_reset_on_another_branch_forgets_nothing_here(make_services: MakeServices) -> None:
    engine = ScriptedEngine(echo)
    services = make_services(engine)
    topic = conversation(services).id
    ask(services, topic, "one")
    second = ask(services, topic, "two")
    services.force_clear.release(topic)
    question = services.conversations.message(second).parent_id
    assert question is not None
    edited = services.answers.edit(question, "instead")
    services.jobs.wait(edited.job.id, 20)
    assert last_read(engine) == ["one", "instead"]


def test_messages_of_another_conversation_cannot_be_left_out(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine(echo))
    here, there = conversation(services).id, conversation(services).id
    answer = ask(services, there, "one")
    with pytest.raises(BadInput):
        services.conversations.exclude(here, [answer])
    assert not services.conversations.message(answer).excluded
