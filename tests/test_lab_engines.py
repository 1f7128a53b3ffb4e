"""The lab's own engines: SmolLM2 in real workers, one setup after the other."""

from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from tests.real_server import running_server

from twokeys.config import load_config
from twokeys.core.memory.overrides import Overrides
from twokeys.core.study.prompt import StudyPrompt
from twokeys.core.study.study import Study, grid_cells
from twokeys.engines import local
from twokeys.engines.process import WorkerProcess
from twokeys.lab_engines import parallel_workers
from twokeys.services import Services, build_services
from twokeys.types import Sampling, WorkerSpec

WAIT_S = 180


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[WorkerProcess]:
    """Every worker that a real engine starts, in order."""
    result: list[WorkerProcess] = []

    def start(spec: WorkerSpec, run_dir: Path, log_dir: Path) -> WorkerProcess:
        assert not any(entry.running for entry in result), "two models never share the memory"
        result.append(WorkerProcess(spec, run_dir, log_dir))
        return result[-1]

    monkeypatch.setattr(local, "WorkerProcess", start)
    return result


def contexts() -> Study:
    """Two contexts; the second prompt fits only the larger one."""
    return Study(
        name="contexts",
        prompts=(
            StudyPrompt("short", "What is the capital of France?", "fact"),
            StudyPrompt("long", "Count on: " + " ".join(str(n) for n in range(1000, 1060)), "fact"),
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
    assert [entry.spec.context for entry in started] == [256, 1024]
    assert {key: engine["context"] for key, engine in view.engines.items()} == {
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
    assert all(
        entry.error is None and entry.text for place, entry in written.items() if entry.error is not refused
    )
    assert [cell.values for cell in services.lab.result(view.id).cells] == [
        {"context": 256},
        {"context": 1024},
    ]


def test_a_cell_that_drafts_says_what_was_accepted_and_has_no_probabilities(
    services: Services, started: list[WorkerProcess]
) -> None:
    copied = "Return this text: " + "The ferry leaves the northern quay at seven and comes back at noon. " * 4
    study = Study(
        name="drafts",
        prompts=(StudyPrompt("copy", copied, "copy"),),
        cells=grid_cells({"draft": ["off", "simple"]}),
        seeds=1,
        base=Sampling(temperature=0.0, max_new_tokens=48, repetition_penalty=1.0),
    )
    view = services.lab.create(study)
    services.lab.start(view.id)
    view = services.lab.wait(view.id, WAIT_S)
    assert view.state == "done", view.error
    kinds = [entry.spec.draft.kind if entry.spec.draft is not None else None for entry in started]
    assert kinds == [None, "simple"]
    plain, drafted = (
        services.lab.answers(view.id, cell, "copy")[0].values for cell in ("draft=off", "draft=simple")
    )
    assert "accepted" not in plain and "entropy" in plain
    assert 0 < drafted["accepted"] <= 1 and "entropy" not in drafted


def test_when_a_study_ends_its_engine_ends_and_the_chats_starts_again(
    services: Services, started: list[WorkerProcess]
) -> None:
    engine = services.jobs.loop.run(services.engines.ready())
    services.jobs.loop.run(engine.info(), timeout_s=WAIT_S)
    assert [entry.running for entry in started] == [True], "the chat's engine runs"
    study = Study(
        name="one", prompts=contexts().prompts[:1], cells=grid_cells({"context": [512]}), seeds=1,
        base=Sampling(max_new_tokens=4),
    )  # fmt: skip
    view = services.lab.create(study)
    services.lab.start(view.id)
    assert services.lab.wait(view.id, WAIT_S).state == "done"
    assert len(started) == 2 and not any(entry.running for entry in started)
    assert not any(psutil.pid_exists(entry.pid) for entry in started)
    assert services.engines.meter()["pid"] is None
    services.jobs.loop.run(engine.info(), timeout_s=WAIT_S)
    assert [entry.running for entry in started] == [False, False, True], (
        "the next message finds the chat's engine"
    )


def test_a_study_uses_the_slots_of_a_server_and_is_told_why_more_are_refused(
    llama_server: str, smollm2: Path
) -> None:
    two = replace(contexts(), cells=grid_cells({"temperature": [0.0, 1.0]}), slots=2)
    with running_server(llama_server, smollm2, "-c", "1024", "-np", "2", "--no-kv-unified") as url:
        services = build_services(load_config(model=url))
        try:
            views = [services.lab.create(study) for study in (two, replace(two, slots=3), contexts())]
            for view in views:
                services.lab.start(view.id)
                services.lab.wait(view.id, WAIT_S)
            done, more, other = (services.lab.wait(view.id, WAIT_S) for view in views)
            assert done.state == "done", done.error
            [engine] = done.engines.values()
            assert engine["slots"] == 2, "before anything else asked the server what it is"
            reasons = [
                view.error["params"]["_reasons"]["reason"]["key"] for view in (more, other) if view.error
            ]
            assert reasons == ["lab.remote_slots", "lab.remote_setup"]
        finally:
            services.close()


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
    assert [worker.threads for worker in parallel_workers(two_cores, 2, services.memory)] == [1, 1]
    assert parallel_workers(two_cores, 4, services.memory) == [], "more slots than cores are one worker's"
    assert parallel_workers(replace(two_cores, gpu_layers=-1), 2, services.memory) == [], "a card batches"
    services.memory.keep(spec.model_name, Overrides(limit_mib=300))
    assert parallel_workers(two_cores, 2, services.memory) == [], "two do not fit"
