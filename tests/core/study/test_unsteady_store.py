"""Studies and tunings while another program holds the database, or another TwoKeys the work."""

import contextlib
import sqlite3
from collections.abc import Iterator

import pytest

from twokeys.core.study.tuning import Tuning
from twokeys.errors import BadInput, StoreLocked
from twokeys.services import Services
from twokeys.store.locks import FileLock, sweep
from twokeys.types import Sampling

from ..making import MakeServices
from .making import PROMPTS, engine, study, until


@contextlib.contextmanager
def held(services: Services) -> Iterator[None]:
    """Hold the database as a backup program does: nobody else can write."""
    other = sqlite3.connect(services.config.database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


def tuning(**changes: object) -> Tuning:
    prompts = tuple(type(PROMPTS[0])(f"p{i}", f"{i}: 3 + 4?", checker=PROMPTS[0].checker) for i in range(12))
    values = {"budget": 60, "space": {"temperature": (0.1, 1.2)}, "base": Sampling(max_new_tokens=24)}
    return Tuning("t", "correct", prompts, **{**values, **changes})  # type: ignore[arg-type]


def test_a_database_held_at_the_start_does_not_block_a_study_for_good(make_services: MakeServices) -> None:
    services = make_services(engine())
    study_id = services.lab.create(study()).id
    with held(services):
        with pytest.raises(StoreLocked):
            services.lab.start(study_id)
        assert services.lab.view(study_id).state == "new"
    services.lab.start(study_id)
    assert services.lab.wait(study_id, 30).state == "done"


def test_a_study_outlasts_a_database_that_is_held_and_throws_no_answer_away(
    make_services: MakeServices,
) -> None:
    scripted = engine(delay_s=0.01)
    services = make_services(scripted)
    study_id = services.lab.create(study(seeds=3)).id
    services.lab.start(study_id)
    until(lambda: services.lab.view(study_id).done >= 2)
    with held(services):
        until(lambda: services.lab.view(study_id).error is not None, 30)
        waiting = services.lab.view(study_id)
        assert waiting.state == "waiting" and waiting.error is not None
        assert waiting.error["code"] == "store_locked"
    ended = services.lab.wait(study_id, 60)
    assert (ended.state, ended.error, ended.done) == ("done", None, 12)
    assert len(scripted.requests) == 12, "no answer is written twice"


def test_a_tuning_that_another_app_runs_is_refused_and_nothing_fails(make_services: MakeServices) -> None:
    first = make_services(engine(delay_s=0.02))
    second = make_services(engine())
    tuning_id = first.tuner.create(tuning()).id
    first.tuner.start(tuning_id)
    until(lambda: bool(first.tuner.view(tuning_id).tries))
    with pytest.raises(BadInput) as refused:
        second.tuner.start(tuning_id)
    assert "another TwoKeys is running this tuning" in refused.value.message("en")
    assert "另一个 TwoKeys" in refused.value.message("zh")
    seen = second.tuner.view(tuning_id)
    assert (seen.state, seen.elsewhere, seen.error) == ("searching", True, None)
    first.tuner.pause(tuning_id)
    assert first.tuner.view(tuning_id).state == "paused"
    second.tuner.start(tuning_id)
    done = second.tuner.wait(tuning_id, 60)
    assert (done.state, done.elsewhere) == ("done", False), done.error


def test_a_database_held_at_the_start_does_not_block_a_tuning_for_good(make_services: MakeServices) -> None:
    services = make_services(engine())
    tuning_id = services.tuner.create(tuning()).id
    with held(services), pytest.raises(StoreLocked):
        services.tuner.start(tuning_id)
    assert services.tuner.view(tuning_id).state == "new"
    services.tuner.start(tuning_id)
    assert services.tuner.wait(tuning_id, 60).state == "done"


def test_a_tuning_outlasts_a_database_that_is_held(
    make_services: MakeServices, caplog: pytest.LogCaptureFixture
) -> None:
    services = make_services(engine(delay_s=0.005))
    tuning_id = services.tuner.create(tuning()).id
    services.tuner.start(tuning_id)
    until(lambda: len(services.tuner.view(tuning_id).tries) >= 2)
    with held(services):
        open_study = services.repository.documents.get(tuning_id).data["tries"][-1]["study"]
        # it waits within a study, or between two of them
        until(lambda: bool(services.lab.view(open_study).error) or "cannot be stored now" in caplog.text, 30)
    done = services.tuner.wait(tuning_id, 90)
    assert done.state == "done", done.error


def test_locks_leave_no_files_behind(make_services: MakeServices) -> None:
    services = make_services(engine())
    study_id = services.lab.create(study()).id
    services.lab.start(study_id)
    assert services.lab.wait(study_id, 30).state == "done"
    tuning_id = services.tuner.create(tuning()).id
    services.tuner.start(tuning_id)
    assert services.tuner.wait(tuning_id, 60).state == "done"
    left = [path.name for path in services.config.run_dir.glob("*.lock")]
    assert not [name for name in left if name.startswith(("study-", "tuning-"))], left


def test_a_start_sweeps_the_locks_of_killed_processes_and_no_others(make_services: MakeServices) -> None:
    services = make_services(engine())
    run_dir = services.config.run_dir
    (run_dir / "study-killed.lock").touch()
    living = FileLock(run_dir / "study-living.lock")
    assert living.try_acquire()
    sweep(run_dir, ("study",))
    assert not (run_dir / "study-killed.lock").exists()
    assert living.path.exists()
    (run_dir / "tuning-killed.lock").touch()
    make_services(engine())
    assert not (run_dir / "tuning-killed.lock").exists()
    living.release(remove=True)
