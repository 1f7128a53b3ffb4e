"""What could have stood at one place: asked of the engine, with the text before it and nothing behind."""

import math

import pytest

from twokeys.engines.scripted import Fail, Say, ScriptedEngine
from twokeys.errors import BadInput, EngineDied, EngineError
from twokeys.services import Services
from twokeys.types import Message

from .making import MakeServices, conversation


def answered(services: Services, question: str = "Whence?") -> Message:
    """An answer with its probabilities."""
    sent = services.answers.send(conversation(services, temperature=0.9).id, question, n_probs=2)
    services.jobs.wait(sent.job.id, 10)
    return services.repository.get_message(sent.answer_message.id)


def test_the_engine_is_asked_for_the_place_after_the_text_before_it(make_services: MakeServices) -> None:
    engine = ScriptedEngine(lambda request: [Say("Tea came by sea"[len(request.prefix) :], logprob=-2.0)])
    services = make_services(engine)
    answer = answered(services)
    place = services.next_token.distribution(answer.id, 2, candidates=5)
    assert (place.text, place.logprob, len(place.alternatives)) == ("came", -2.0, min(5, int(math.exp(2.0))))
    asked = engine.requests[-1]
    assert (asked.prefix, asked.prefix_ids, asked.n_probs) == ("Tea ", answer.token_ids[:2], 5)
    assert (asked.sampling.temperature, asked.sampling.repetition_penalty) == (0.0, 1.0), "before sampling"
    assert asked.grammar is None, "only llama.cpp is told to write no end"


def test_asking_leaves_the_conversation_as_it_was(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine([Say("Tea came by sea")]))
    answer = answered(services)
    before = services.repository.branch(answer.conversation_id)
    services.next_token.distribution(answer.id, 0)
    assert services.repository.branch(answer.conversation_id) == before


def test_a_place_outside_of_the_answer_is_refused_before_the_engine_is_asked(
    make_services: MakeServices,
) -> None:
    engine = ScriptedEngine([Say("Tea")])
    services = make_services(engine)
    answer = answered(services)
    with pytest.raises(BadInput):
        services.next_token.distribution(answer.id, 1)
    assert len(engine.requests) == 1


def test_an_engine_that_fails_or_tells_no_probabilities_is_an_error(make_services: MakeServices) -> None:
    engine = ScriptedEngine([Say("Tea")])
    services = make_services(engine)
    answer = answered(services)
    engine.script = []
    with pytest.raises(BadInput):
        services.next_token.distribution(answer.id, 0)
    engine.script = [Fail(EngineDied(reason="SIGKILL", log=""))]
    with pytest.raises(EngineError):
        services.next_token.distribution(answer.id, 0)
