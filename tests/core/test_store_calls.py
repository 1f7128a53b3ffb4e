"""What one chat message asks of the store."""

import threading

import pytest

from twokeys.engines.scripted import Say, ScriptedEngine

from .counting import count_calls
from .making import MakeServices, conversation

MOST_CALLS = 8
ANSWER = (
    "Water is drawn towards the moon, and the earth turns beneath the two bulges that form; "
    "coasts pass through both of them, so most harbours see two high tides a day."
)


@pytest.mark.parametrize("earlier", [0, 2])
def test_one_message_takes_eight_store_calls_and_reads_the_conversation_once(
    make_services: MakeServices, monkeypatch: pytest.MonkeyPatch, earlier: int
) -> None:
    counters = count_calls(monkeypatch)
    services = make_services(ScriptedEngine([Say(ANSWER)]))
    (counter,) = counters
    services.late.advice.get()  # as the app does beside its page; it reads once what earlier answers took
    ended = threading.Event()
    services.jobs.on_done(lambda _outcome: ended.set())  # the last of the hooks
    topic = conversation(services).id

    def ask() -> None:
        ended.clear()
        services.answers.send(topic, "explain how tides work")
        assert ended.wait(10)

    for _ in range(earlier):
        ask()
    counter.calls.clear()
    ask()
    assert counter.calls["get_conversation"] == 1
    assert counter.calls["finish"] == 1 and counter.calls["begin_turn"] == 1
    assert sum(counter.calls.values()) <= MOST_CALLS, dict(counter.calls)
    assert services.conversations.messages(topic)[-1].finish_reason == "stop"
