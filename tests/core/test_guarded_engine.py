"""The guard over a real model, through services and job manager: a real loop, a real stall."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from twokeys.config import load_config
from twokeys.engines.local import LocalEngine
from twokeys.services import Services, build_services
from twokeys.types import Sampling, Settings, WorkerSpec

from .making import until

QUESTION = "List 200 reasons to read books."
GREEDY = Sampling(temperature=0.0, max_new_tokens=600, top_p=1.0, top_k=0, repetition_penalty=1.0, seed=1)

pytestmark = pytest.mark.slow


@pytest.fixture
def services(smollm2: Path, home: Path) -> Iterator[Services]:
    spec = WorkerSpec(model_path=str(smollm2), model_name="smollm2-135m", context=2048, threads=1)
    built = build_services(load_config(), engine=LocalEngine(spec, Path(home) / "run", Path(home) / "logs"))
    yield built
    built.close()


def test_a_real_loop_is_stopped_and_cut_and_goes_on_differently(services: Services) -> None:
    topic = services.conversations.new(Settings(GREEDY)).id
    sent = services.answers.send(topic, QUESTION)
    assert services.jobs.wait(sent.job.id, 300).finish_reason == "guard"
    looped = services.repository.get_message(sent.answer_message.id)
    tail = looped.provenance.parts[-1].removed_tail
    assert len(tail) > 40 and not looped.content.endswith(tail)
    assert [event.level for event in services.repository.events(looped.id)][-1] == "stop"
    services.conversations.set_settings(topic, Settings(GREEDY.with_(max_new_tokens=40)))
    again = services.answers.continue_differently(looped.id)
    view = services.jobs.wait(again.job.id, 300)
    assert view.finish_reason in ("length", "stop")
    answer = services.repository.get_message(looped.id)
    assert answer.content.startswith(looped.content) and len(answer.content) > len(looped.content)
    changed = {change["name"]: change["after"] for change in answer.provenance.changed}
    assert (changed["dry_multiplier"], changed["temperature"]) == (0.8, 0.5)
    assert answer.provenance.sampling_used["dry_multiplier"] == pytest.approx(0.8)
    assert answer.provenance.parts[0].removed_tail == tail


def test_a_stopped_worker_is_told_as_a_hanging_engine_until_it_goes_on(services: Services) -> None:
    settings = Settings(GREEDY, guard={"loop": "off", "decay": "off"})
    sent = services.answers.send(services.conversations.new(settings).id, QUESTION)
    until(lambda: (services.jobs.view(sent.job.id) or sent.job).token_count >= 8, 120)
    worker = services.engines.meter()["pid"]
    os.kill(worker, signal.SIGSTOP)
    try:

        def states() -> list[str]:
            view = services.jobs.view(sent.job.id) or sent.job
            return [event.data["state"] for event in view.guard if event.kind == "stall"]

        until(lambda: states()[-1:] == ["engine_hung"], 60)
        until(lambda: (services.jobs.view(sent.job.id) or sent.job).stalled_s > 2, 60)
    finally:
        os.kill(worker, signal.SIGCONT)
    until(lambda: states()[-1:] == ["over"], 60)
    services.jobs.stop(sent.job.id)
    assert services.jobs.wait(sent.job.id, 30).stalled_s == 0.0
