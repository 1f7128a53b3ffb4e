"""Real processes that die in the middle of an answer: the app, the worker; and a full disk."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from twokeys.config import load_config
from twokeys.engines.scripted import Say, ScriptedEngine
from twokeys.services import Services, build_services
from twokeys.types import Sampling, Settings

CHILD = Path(__file__).with_name("app_child.py")
WAIT_S = 120.0

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and limits of POSIX")


class App:
    """The child process and what it said so far."""

    def __init__(self, *arguments: str) -> None:
        source = str(Path(__file__).resolve().parents[2] / "src")
        self.process = subprocess.Popen(
            [sys.executable, str(CHILD), *arguments],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": source},
        )
        self.ids = self.line()

    def line(self) -> dict[str, Any]:
        if self.process.stdout is None:
            raise RuntimeError("no output")
        said: dict[str, Any] = json.loads(self.process.stdout.readline())
        return said

    def text_of(self, chars: int) -> str:
        """Read on until the answer is at least so long; return it."""
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            text: str = self.line()["text"]
            if len(text) >= chars:
                return text
        raise AssertionError(f"no {chars} characters within {WAIT_S} s")

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)


@pytest.fixture
def app() -> Iterator[type[App]]:
    made: list[App] = []

    class Made(App):
        def __init__(self, *arguments: str) -> None:
            super().__init__(*arguments)
            made.append(self)

    yield Made
    for version in made:
        if version.process.poll() is None:
            version.process.kill()
        version.process.wait(10)
        if version.process.stdout is not None:
            version.process.stdout.close()


def finished(services: Services, job_id: str) -> None:
    view = services.jobs.wait(job_id, WAIT_S)
    assert not view.active


def test_killed_app_keeps_the_streamed_text(app: type[App]) -> None:
    running = app("scripted")
    text = running.text_of(500)
    seen_at = time.monotonic()
    while time.monotonic() - seen_at < 0.5:
        running.line()
    running.kill()
    services = build_services(load_config(), engine=ScriptedEngine([Say(" and so on.")]))
    try:
        answer = services.repository.get_message(running.ids["message"])
        assert answer.id in services.recovered
        assert (answer.state, answer.finish_reason) == ("interrupted", "interrupted")
        assert answer.content.startswith(text)
        sent = services.answers.continue_(answer.id, {"max_new_tokens": 50})
        finished(services, sent.job.id)
        whole = services.repository.get_message(answer.id)
        assert whole.content == answer.content + " and so on."
        assert [part.finish_reason for part in whole.provenance.parts] == ["interrupted", "stop"]
        assert whole.provenance.completion_tokens > len(text) // 6
    finally:
        services.close()


def test_killed_app_on_a_real_model_leaves_no_worker_and_continues_exactly(
    app: type[App], smollm2: Path
) -> None:
    running = app(str(smollm2))
    running.text_of(120)
    workers = psutil.Process(running.process.pid).children(recursive=True)
    assert workers
    running.kill()
    _, alive = psutil.wait_procs(workers, timeout=10)
    assert alive == []
    services = build_services(load_config(model=str(smollm2)))
    try:
        [question, answer] = services.conversations.messages(running.ids["conversation"])
        assert answer.state == "interrupted" and len(answer.content) > 20 and answer.token_ids
        settings = Settings(sampling=Sampling(temperature=0.0, max_new_tokens=12), guard={"loop": "off"})
        services.conversations.set_settings(answer.conversation_id, settings)
        finished(services, services.answers.continue_(answer.id).job.id)
        continued = services.repository.get_message(answer.id)
        assert continued.token_ids[: len(answer.token_ids)] == answer.token_ids
        assert continued.content.startswith(answer.content)
        # the same run, not killed, from the same empty cache
        services.force_clear.release(None)
        whole = Settings(
            sampling=Sampling(temperature=0.0, max_new_tokens=len(answer.token_ids)), guard={"loop": "off"}
        )
        fresh = services.conversations.new(whole)
        sent = services.answers.send(fresh.id, question.content)
        finished(services, sent.job.id)
        assert services.repository.get_message(sent.answer_message.id).token_ids == answer.token_ids
    finally:
        services.close()


def test_killed_worker_keeps_the_text_says_what_happened_and_the_next_message_works(smollm2: Path) -> None:
    services = build_services(load_config(model=str(smollm2)))
    try:
        settings = Settings(sampling=Sampling(temperature=0.0, max_new_tokens=4000), guard={"loop": "off"})
        topic = services.conversations.new(settings)
        sent = services.answers.send(topic.id, "Count upwards for a long time, please.")
        deadline = time.monotonic() + WAIT_S
        while len(services.jobs.view(sent.job.id).text) < 60:  # type: ignore[union-attr]
            assert time.monotonic() < deadline
            time.sleep(0.02)
        os.kill(services.engines.meter()["pid"], signal.SIGKILL)
        finished(services, sent.job.id)
        answer = services.repository.get_message(sent.answer_message.id)
        assert (answer.state, answer.finish_reason) == ("failed", "error")
        assert len(answer.content) >= 60
        assert answer.error is not None and answer.error["code"] in ("engine_died", "engine_memory")
        short = Settings(sampling=Sampling(temperature=0.0, max_new_tokens=8))
        services.conversations.set_settings(topic.id, short)
        again = services.answers.send(topic.id, "Hello.")
        finished(services, again.job.id)
        assert services.repository.get_message(again.answer_message.id).state == "done"
        finished(services, services.answers.continue_(answer.id).job.id)
        healed = services.repository.get_message(answer.id)
        assert healed.content.startswith(answer.content) and healed.error is None
    finally:
        services.close()


def test_a_full_disk_is_told_once_and_nothing_is_lost_when_there_is_room_again(app: type[App]) -> None:
    running = app("scripted", "--file-limit")
    while "state" not in (said := running.line()):
        continue
    assert (said["state"], said["unsaved"]) == ("done", True)
    assert [notice["code"] for notice in said["notices"]] == ["store_full"]
    after = running.line()
    assert after["stored"] == said["text"]
    assert after["notices"][-1] is None
    assert running.process.wait(20) == 0
