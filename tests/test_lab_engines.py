"""The lab's own engines: SmolLM2 in real workers, one setup after the other."""

from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from twokeys.core.memory.overrides import Overrides
from twokeys.core.study.prompt import Prompt
from twokeys.core.study.study import Study, grid_cells
from twokeys.engines import local
from twokeys.engines.process import WorkerProcess
from twokeys.lab_engines import parallel_workers
from twokeys.services import Services
from twokeys.types import Sampling, WorkerSpec

WAIT_S = 180


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[WorkerProcess]:
    """Every worker that a real engine starts, in order."""
    found: list[WorkerProcess] = []

    def start(spec: WorkerSpec, run_dir: Path, log_dir: Path) -> WorkerProcess:
        assert not any(one.running for one in found), "two models never share the memory"
        found.append(WorkerProcess(spec, run_dir, log_dir))
        return found[-1]

    monkeypatch.setattr(local, "WorkerProcess", start)
    return found


def contexts() -> Study:
    """Two contexts; the second prompt fits only the larger one."""
    return Study(
        name="contexts",
        prompts=(
            Prompt("short", "What is the capital of France?", "fact"),
            Prompt("long", "Count on: " + " ".join(str(n) for n in range(1000, 1060)), "fact"),
        ),
        cells=grid_cells({"context": [256, 1024]}),
        seeds=1,
        base=Sampling(max_new_tokens=8),
    )


def test_two_contexts_are_two_starts_and_each_row_was_written_in_its_own(
    services: Services, started: list[WorkerProcess]
) -> None:
    view = services.lab.create(contexts())
    services.lab.start(view.id)
    view = services.lab.wait(view.id, WAIT_S)
    assert view.state == "done", view.error
    assert [one.spec.context for one in started] == [256, 1024]
    assert {key: one["context"] for key, one in view.engines.items()} == {
        "context=256": 256,
        "context=1024": 1024,
    }
    written = {
        (cell.name, prompt.id): services.lab.answers(view.id, cell.name, prompt.id)[0]
        for cell in view.study.cells
        for prompt in view.study.prompts
    }
    refused = written["context=256", "long"].error
    assert refused is not None and refused["code"] == "context_exceeded"
    assert all(one.error is None and one.text for place, one in written.items() if one.error is not refused)
    assert [cell.values for cell in services.lab.result(view.id).cells] == [
        {"context": 256},
        {"context": 1024},
    ]


def test_when_a_study_ends_its_engine_ends_and_the_chats_starts_again(
    services: Services, started: list[WorkerProcess]
) -> None:
    engine = services.jobs.loop.run(services.engines.ready())
    services.jobs.loop.run(engine.info(), timeout_s=WAIT_S)
    assert [one.running for one in started] == [True], "the chat's engine runs"
    study = Study(
        name="one", prompts=contexts().prompts[:1], cells=grid_cells({"context": [512]}), seeds=1,
        base=Sampling(max_new_tokens=4),
    )  # fmt: skip
    view = services.lab.create(study)
    services.lab.start(view.id)
    assert services.lab.wait(view.id, WAIT_S).state == "done"
    assert len(started) == 2 and not any(one.running for one in started)
    assert not any(psutil.pid_exists(one.pid) for one in started)
    assert services.engines.meter()["pid"] is None
    services.jobs.loop.run(engine.info(), timeout_s=WAIT_S)
    assert [one.running for one in started] == [False, False, True], (
        "the next message finds the chat's engine"
    )


def test_parallel_answers_of_a_study_get_a_worker_each_where_memory_allows(services: Services) -> None:
    study = Study(
        name="pool", prompts=contexts().prompts[:1], cells=grid_cells({"temperature": [0.3, 0.7]}), seeds=2,
        base=Sampling(max_new_tokens=6), slots=2,
    )  # fmt: skip
    view = services.lab.create(study)
    services.lab.start(view.id)
    view = services.lab.wait(view.id, WAIT_S)
    assert view.state == "done", view.error
    [engine] = view.engines.values()
    assert engine["slots"] == 2
    spec = services.engines.worker_spec()
    assert spec is not None
    two_cores = replace(spec, threads=2)
    assert [one.threads for one in parallel_workers(two_cores, 2, services.memory)] == [1, 1]
    assert parallel_workers(two_cores, 4, services.memory) == [], "more slots than cores are one worker's"
    assert parallel_workers(replace(two_cores, gpu_layers=-1), 2, services.memory) == [], "a card batches"
    services.memory.keep(spec.model_name, Overrides(limit_mib=300))
    assert parallel_workers(two_cores, 2, services.memory) == [], "two do not fit"
