"""The live WebSocket on a running server, and the mailbox between job thread and browser."""

import asyncio
import json
from typing import Any

import httpx
import pytest
import websockets
from demo_server import Demo, run_scene

from twokeys.web.live import Mailbox

Event = dict[str, Any]


def delta(at: int, text: str, job: str = "j", n: int = 1, **more: Any) -> Event:
    return {"type": "delta", "job": job, "message": "m", "at": at, "text": text, "n": n, **more}


def mailbox(**limits: int) -> Mailbox:
    return Mailbox(lambda: None, **limits)


def test_neighbouring_deltas_of_a_job_are_joined() -> None:
    box = mailbox()
    box.put(delta(0, "你", n=1, probs=[1]))
    box.put(delta(1, "好", n=2, probs=[2]))
    box.put(delta(0, "x", job="other"))
    box.put(delta(2, "！", n=3))
    events, stale = box.take()
    assert not stale
    assert [(event["job"], event["text"], event["n"]) for event in events] == [
        ("j", "你好", 2),
        ("other", "x", 1),
        ("j", "！", 3),
    ]
    assert events[0]["probs"] == [1, 2]


def test_joining_never_changes_the_event_of_the_publisher() -> None:
    first, second = delta(0, "a"), delta(1, "b")
    boxes = mailbox(), mailbox()
    for box in boxes:
        box.put(first)
        box.put(second)
    assert first["text"] == "a"
    assert [box.take()[0][0]["text"] for box in boxes] == ["ab", "ab"]


def test_a_newer_state_of_a_job_replaces_the_waiting_one() -> None:
    box = mailbox()
    box.put({"type": "job", "job": {"id": "j", "progress": 0.1}})
    box.put({"type": "job", "job": {"id": "j", "progress": 0.2}})
    assert [event["job"]["progress"] for event in box.take()[0]] == [0.2]


@pytest.mark.parametrize("limits", [{"max_events": 10}, {"max_chars": 20}])
def test_a_slow_reader_is_told_to_ask_again_instead_of_filling_memory(limits: dict[str, int]) -> None:
    box = mailbox(**limits)
    for number in range(1000):
        box.put(delta(number * 7, "1234"))
    events, stale = box.take()
    assert stale
    assert events == []
    box.put({"type": "snapshot", "jobs": []})
    box.put(delta(0, "on"))
    assert [event["type"] for event in box.take()[0]] == ["snapshot", "delta"]


def test_a_snapshot_makes_everything_before_it_void() -> None:
    box = mailbox()
    box.put(delta(0, "old"))
    box.put({"type": "snapshot", "jobs": []})
    assert box.take()[0] == [{"type": "snapshot", "jobs": []}]


class Listener:
    """A browser's side of the stream, reduced to putting the text together."""

    def __init__(self) -> None:
        self.text = ""
        self.events: list[Event] = []

    async def read(self, socket: websockets.ClientConnection, until: str, timeout_s: float = 15) -> None:
        async with asyncio.timeout(timeout_s):
            while not any(event["type"] == until for event in self.events):
                for event in json.loads(await socket.recv()):
                    self.take(event)

    def take(self, event: Event) -> None:
        self.events.append(event)
        if event["type"] == "snapshot" and event["jobs"]:
            self.text = event["jobs"][0]["text"]
        if event["type"] == "delta":
            assert event["at"] == len(self.text)
            self.text += event["text"]


def listen(demo: Demo) -> websockets.connect:
    url = f"{demo.url.replace('http', 'ws')}/twokeys/live?topic={demo.topic}"
    return websockets.connect(url, origin=demo.url, proxy=None)  # type: ignore[arg-type]


def ask(demo: Demo, text: str) -> None:
    httpx.post(f"{demo.url}/demo/ask", json={"text": text}, headers={"origin": demo.url}, trust_env=False)


def test_two_listeners_hear_the_whole_answer_whenever_they_join(demo: Demo) -> None:
    async def scene() -> tuple[Listener, Listener]:
        early, late = Listener(), Listener()
        async with listen(demo) as first:
            await early.read(first, "snapshot")
            await asyncio.to_thread(ask, demo, "emoji")
            await early.read(first, "delta")
            async with listen(demo) as second:
                await asyncio.gather(early.read(first, "done"), late.read(second, "done"))
        return early, late

    early, late = run_scene(scene())
    assert early.text == late.text == "🙂 你好 👩‍👩‍👧 " * 40 + "end"


def test_a_listener_can_stop_the_job_and_hears_it_end(demo: Demo) -> None:
    async def scene() -> Listener:
        heard = Listener()
        async with listen(demo) as socket:
            await heard.read(socket, "snapshot")
            await asyncio.to_thread(ask, demo, "slow")
            await heard.read(socket, "delta")
            job = next(event["job"] for event in heard.events if event["type"] == "delta")
            await socket.send(json.dumps({"type": "stop", "job": job}))
            await heard.read(socket, "done", timeout_s=3)
        return heard

    done = next(event for event in run_scene(scene()).events if event["type"] == "done")
    assert done["finish_reason"] == "cancelled"


def test_asking_for_a_snapshot_brings_the_text_so_far(demo: Demo) -> None:
    async def scene() -> Event:
        heard = Listener()
        async with listen(demo) as socket:
            await heard.read(socket, "snapshot")
            await asyncio.to_thread(ask, demo, "slow")
            await heard.read(socket, "delta")
            heard.events.clear()
            await socket.send(json.dumps({"type": "sync"}))
            await heard.read(socket, "snapshot")
        return next(event for event in heard.events if event["type"] == "snapshot")

    assert run_scene(scene())["jobs"][0]["text"].startswith("word")


def test_nonsense_from_a_listener_does_not_end_the_stream(demo: Demo) -> None:
    async def scene() -> Listener:
        heard = Listener()
        async with listen(demo) as socket:
            await heard.read(socket, "snapshot")
            for junk in (
                "",
                "{",
                "[]",
                '"x"',
                '{"type": 5}',
                '{"type": "stop", "job": "none"}',
                "x" * 10_000,
            ):
                await socket.send(junk)
            await asyncio.to_thread(ask, demo, "cut")
            await heard.read(socket, "done")
        return heard

    assert run_scene(scene()).text == "The first half of a sentence that"


def test_a_topic_is_required(shared_demo: Demo) -> None:
    async def scene() -> int:
        url = f"{shared_demo.url.replace('http', 'ws')}/twokeys/live"
        try:
            async with websockets.connect(url, origin=shared_demo.url, proxy=None):  # type: ignore[arg-type]
                return 200
        except websockets.InvalidStatus as refused:
            return refused.response.status_code

    assert run_scene(scene()) == 403


def test_health_names_the_version_and_nothing_else(shared_demo: Demo) -> None:
    answer = httpx.get(f"{shared_demo.url}/twokeys/health", trust_env=False).json()
    assert answer.keys() == {"ok", "version"}


@pytest.mark.parametrize("frame", [b"\x00\x01", "[" * 4000, "{", "5", '"stop"'])
def test_a_frame_that_says_nothing_leaves_the_connection_as_it_is(
    shared_demo: Demo, frame: str | bytes
) -> None:
    async def scene() -> list[Event]:
        url = f"{shared_demo.url.replace('http', 'ws')}/twokeys/live?topic={shared_demo.topic}"
        async with websockets.connect(url, origin=shared_demo.url, proxy=None) as live:  # type: ignore[arg-type]
            await live.recv()
            await live.send(frame)
            await live.send(json.dumps({"type": "sync"}))
            return list(json.loads(await asyncio.wait_for(live.recv(), 10)))

    assert [event["type"] for event in run_scene(scene())] == ["snapshot"]
