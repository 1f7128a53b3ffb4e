"""The worker's life and death with real processes: crashes, kills, releases, orphans, collisions."""

import asyncio
import json
import os
import shlex
import signal
import stat
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from asking import Heard, MakeEngine, ask, hear

from twokeys.engines import registry
from twokeys.engines.process import LogTail, WorkerProcess
from twokeys.errors import (
    EngineDied,
    EngineError,
    EngineOutOfMemory,
    EngineStartFailed,
    ModelBroken,
    ModelMissing,
)
from twokeys.types import Delta, WorkerSpec

pytestmark = pytest.mark.anyio


async def until_text(heard: Heard, task: "asyncio.Task[Heard]") -> None:
    deadline = time.monotonic() + 60
    while not heard.text:
        assert time.monotonic() < deadline
        assert not task.done()
        await asyncio.sleep(0.02)


def gone(pid: int, wait_s: float = 10.0) -> bool:
    deadline = time.monotonic() + wait_s
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


async def test_the_first_request_starts_the_worker_with_visible_phases(make_engine: MakeEngine) -> None:
    engine = make_engine()
    assert engine.pid is None
    assert engine.memory_bytes() == 0
    assert not await engine.healthy()
    heard = await hear(engine, ask())
    assert heard.phases == ["starting", "loading", "prompt", "generating"]
    assert engine.running
    assert await engine.healthy()


async def test_a_killed_worker_is_explained_and_the_next_request_works(make_engine: MakeEngine) -> None:
    seen: list[EngineError | None] = []
    engine = make_engine(seen.append)
    heard = Heard()
    task = asyncio.create_task(hear(engine, ask(max_new_tokens=900), heard))
    await until_text(heard, task)
    first = engine.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    with pytest.raises((EngineDied, EngineOutOfMemory)) as caught:
        await task
    assert "SIGKILL" in caught.value.params["reason"]
    assert heard.text, "the text that was streamed stays with the listener"
    assert len(seen) == 1 and isinstance(seen[0], EngineDied | EngineOutOfMemory)
    again = await hear(engine, ask())
    assert again.text
    assert engine.pid != first


async def test_a_worker_that_dies_while_idle_is_noticed(make_engine: MakeEngine) -> None:
    seen: list[EngineError | None] = []
    engine = make_engine(seen.append)
    await engine.start()
    assert engine.pid is not None
    os.kill(engine.pid, signal.SIGSEGV)
    deadline = time.monotonic() + 10
    while not seen:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
    assert isinstance(seen[0], EngineDied)
    assert "SIGSEGV" in seen[0].params["reason"]
    assert not engine.running
    assert (await hear(engine, ask())).text


async def test_release_gives_the_memory_back_at_the_os(make_engine: MakeEngine) -> None:
    engine = make_engine()
    await engine.start()
    pid = engine.pid
    assert pid is not None
    held = engine.memory_bytes()
    assert held > 90_000_000, "the weights alone are 98 MB"
    report = await engine.release()
    assert not psutil.pid_exists(pid)
    assert report.after_bytes == 0
    assert report.freed_bytes == report.before_bytes
    assert abs(report.before_bytes - held) < 30_000_000
    assert (await engine.release()).before_bytes == 0
    assert (await hear(engine, ask())).text


async def test_release_ends_a_stopped_worker(make_engine: MakeEngine) -> None:
    engine = make_engine()
    await engine.start()
    pid = engine.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    started = time.monotonic()
    await engine.release()
    assert time.monotonic() - started < 30
    assert not psutil.pid_exists(pid)


async def test_release_in_mid_answer_ends_it_as_cancelled(make_engine: MakeEngine) -> None:
    seen: list[EngineError | None] = []
    engine = make_engine(seen.append)
    heard = Heard()
    task = asyncio.create_task(hear(engine, ask(max_new_tokens=900), heard))
    await until_text(heard, task)
    await engine.release()
    done = (await task).finished
    assert done.reason == "cancelled"
    assert done.usage.completion_tokens == len(heard.ids)
    assert seen == []


async def test_a_release_from_another_process_is_no_crash(make_engine: MakeEngine, home: Path) -> None:
    seen: list[EngineError | None] = []
    engine = make_engine(seen.append)
    heard = Heard()
    task = asyncio.create_task(hear(engine, ask(max_new_tokens=900), heard))
    await until_text(heard, task)
    code = (
        "import sys, json, pathlib, dataclasses; from twokeys.engines.registry import release_workers;"
        "print(json.dumps(dataclasses.asdict(release_workers(pathlib.Path(sys.argv[1])))))"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, str(home / "run"), stdout=subprocess.PIPE
    )
    communicate, _ = await process.communicate()
    report = json.loads(communicate)
    assert report["before_bytes"] > 90_000_000
    assert report["after_bytes"] == 0
    assert (await task).finished.reason == "cancelled"
    assert seen == [None]
    assert list((home / "run").iterdir()) == []
    assert (await hear(engine, ask())).text


async def test_a_release_while_the_model_loads_ends_the_request_as_cancelled(
    make_engine: MakeEngine, qwen: Path
) -> None:
    engine = make_engine(model_path=str(qwen), model_name="qwen2.5-coder-0.5b")
    heard = Heard()
    task = asyncio.create_task(hear(engine, ask(), heard))
    while "loading" not in heard.phases:
        await asyncio.sleep(0.02)
    await engine.release()
    assert (await task).finished.reason == "cancelled"
    assert engine.pid is None


async def test_stopping_an_answer_while_the_model_loads_leaves_it_loading(make_engine: MakeEngine) -> None:
    engine = make_engine()
    task = asyncio.create_task(hear(engine, ask()))
    while engine.pid is None:
        await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait({task})
    await engine.start()
    assert engine.running


ORPHAN = """
import asyncio, sys, time
from dataclasses import replace
from pathlib import Path
from twokeys.engines.local import LocalEngine
from twokeys.types import WorkerSpec

async def main():
    spec = WorkerSpec(sys.argv[1], "m", context=512, threads=1)
    engine = LocalEngine(spec, Path(sys.argv[2]), Path(sys.argv[3]))
    task = asyncio.create_task(engine.start())
    while engine.pid is None:
        await asyncio.sleep(0.01)
    if sys.argv[4] == "ready":
        await task
    print(engine.pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


@pytest.mark.parametrize("when", ["loading", "ready"])
def test_no_worker_outlives_a_killed_app(qwen: Path, home: Path, when: str) -> None:
    arguments = [str(qwen), str(home / "run"), str(home / "logs"), when]
    app = subprocess.Popen([sys.executable, "-c", ORPHAN, *arguments], stdout=subprocess.PIPE, text=True)
    assert app.stdout is not None
    pid = int(app.stdout.readline())
    if when == "loading":
        time.sleep(0.3)
    assert psutil.pid_exists(pid)
    app.kill()
    app.wait()
    app.stdout.close()
    assert gone(pid)
    assert registry.list_workers(home / "run") == []


async def test_two_engines_on_one_home_do_not_collide(make_engine: MakeEngine, home: Path) -> None:
    entry, two = make_engine(model_name="one"), make_engine(model_name="two")
    await asyncio.gather(entry.start(), two.start())
    assert entry._process is not None and two._process is not None
    assert entry._process.key != two._process.key
    assert entry._server is not None and two._server is not None
    assert entry._server.base_url != two._server.base_url
    assert {record.model for record in registry.list_workers(home / "run")} == {"one", "two"}
    answers = await asyncio.gather(hear(entry, ask()), hear(two, ask()))
    assert all(answer.text for answer in answers)
    await entry.release()
    assert (await hear(two, ask())).text


async def test_the_key_is_neither_in_the_arguments_nor_in_a_file(make_engine: MakeEngine, home: Path) -> None:
    engine = make_engine()
    await hear(engine, ask())
    assert engine._process is not None and engine.pid is not None
    key = engine._process.key
    worker = psutil.Process(engine.pid)
    assert key not in " ".join(worker.cmdline())
    assert key not in " ".join(worker.environ().values())
    for path in home.rglob("*"):
        if path.is_file():
            assert key not in path.read_text(errors="replace")
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert stat.S_IMODE(engine._process.slot_dir.stat().st_mode) == 0o700


async def test_the_log_of_the_last_run_can_be_read_after_it(make_engine: MakeEngine, home: Path) -> None:
    engine = make_engine()
    await engine.start()
    assert "model loaded" in engine.log_tail()
    await engine.release()
    assert "model loaded" in engine.log_tail()
    assert len(list((home / "logs").glob("worker-*.log"))) == 1


async def test_want_of_memory_is_told_as_such(make_engine: MakeEngine) -> None:
    engine = make_engine(memory_limit_bytes=300 << 20, context=8192, parallel=16)
    with pytest.raises(EngineOutOfMemory):
        await engine.start()
    await engine.restart(WorkerSpec(engine.spec.model_path, "smollm2-135m", context=512, threads=1))
    assert (await hear(engine, ask())).text


async def test_a_missing_or_foreign_file_is_refused_before_native_code(
    make_engine: MakeEngine, tmp_path: Path
) -> None:
    with pytest.raises(ModelMissing):
        await make_engine(model_path=str(tmp_path / "none.gguf")).start()
    foreign = tmp_path / "page.gguf"
    foreign.write_text("<html>not found</html>")
    with pytest.raises(ModelBroken):
        await make_engine(model_path=str(foreign)).start()


async def test_a_truncated_model_fails_with_its_cause_and_a_command(
    make_engine: MakeEngine, smollm2: Path, tmp_path: Path
) -> None:
    cut = tmp_path / "cut.gguf"
    with smollm2.open("rb") as source:
        cut.write_bytes(source.read(30_000_000))
    engine = make_engine(model_path=str(cut))
    with pytest.raises(EngineStartFailed) as caught:
        await hear(engine, ask())
    assert "exit code" in caught.value.params["reason"]
    assert "tensor" in caught.value.params["reason"] or "load" in caught.value.params["reason"]
    assert "worker.py" in caught.value.params["command"]
    assert engine.pid is None


async def test_the_command_in_an_error_starts_the_worker_by_hand(make_engine: MakeEngine, home: Path) -> None:
    process = WorkerProcess(make_engine().spec, home / "run", home / "logs")
    by_hand = subprocess.Popen(
        shlex.split(process.command()),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert by_hand.stdout is not None and by_hand.stdin is not None
    loaded = json.loads(by_hand.stdout.readline())
    assert loaded["address"].startswith("http://127.0.0.1:")
    assert loaded["key"] and loaded["key"] != process.key
    by_hand.stdin.close()
    assert by_hand.wait(10) == 0
    by_hand.stdout.close()
    await process.stop()


async def ended(engine: Any) -> None:
    deadline = time.monotonic() + 10
    while engine.pid is not None:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


async def test_an_idle_worker_is_ended_after_its_time_and_starts_again(make_engine: MakeEngine) -> None:
    seen: list[EngineError | None] = []
    engine = make_engine(seen.append, idle_timeout_s=0.5)
    await hear(engine, ask())
    await ended(engine)
    assert seen == []
    assert (await hear(engine, ask())).text


async def test_a_worker_that_was_only_asked_to_count_is_ended_after_its_time_too(
    make_engine: MakeEngine,
) -> None:
    engine = make_engine(idle_timeout_s=0.3)
    assert await engine.tokenize("one two three")
    await ended(engine)


async def test_an_idle_time_out_chosen_later_holds_for_the_worker_that_runs(make_engine: MakeEngine) -> None:
    engine = make_engine()
    await hear(engine, ask())
    pid = engine.pid
    engine.idle_after(0.3)
    assert engine.pid == pid, "nothing is ended at once"
    await ended(engine)
    assert engine.spec.idle_timeout_s == 0.3


async def test_no_idle_time_out_strikes_while_an_answer_is_written(make_engine: MakeEngine) -> None:
    engine = make_engine(idle_timeout_s=0.2)
    heard = await hear(engine, ask(max_new_tokens=200, temperature=1.5))
    assert heard.finished.reason in {"length", "stop"}


async def test_more_context_than_the_model_was_trained_for_is_clamped(make_engine: MakeEngine) -> None:
    engine = make_engine(context=1_000_000)
    assert (await engine.start()).context == 8192
    assert engine.memory_bytes() < 900_000_000


async def test_a_worker_whose_number_was_reused_is_not_ended(home: Path) -> None:
    run_dir = home / "run"
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    registry.register(run_dir, registry.WorkerRecord(bystander.pid, 1.0, os.getpid(), "old"))
    assert registry.list_workers(run_dir) == []
    assert registry.release_workers(run_dir).before_bytes == 0
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()


async def test_a_clock_that_was_set_hides_no_worker_and_keeps_it_releasable(
    make_engine: MakeEngine, home: Path
) -> None:
    run_dir = home / "run"
    engine = make_engine()
    await engine.start()
    [record] = registry.list_workers(run_dir)
    # what another process sees of the same worker after the clock was set three seconds back
    registry.register(run_dir, replace(record, created_at=record.created_at + 3))
    assert [worker.pid for worker in registry.list_workers(run_dir)] == [record.pid]
    assert registry.release_workers(run_dir).freed_bytes > 50_000_000
    assert not psutil.pid_exists(record.pid) or psutil.Process(record.pid).status() == "zombie"


async def test_a_process_started_at_another_tick_is_not_the_worker(home: Path) -> None:
    run_dir = home / "run"
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        now = psutil.Process(bystander.pid).create_time()
        mark = registry.start_mark(bystander.pid)
        assert mark
        record = registry.WorkerRecord(bystander.pid, now, os.getpid(), "old", None, f"{mark}0")
        registry.register(run_dir, record)
        assert registry.release_workers(run_dir).before_bytes == 0
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


async def test_what_killed_apps_left_behind_is_swept(home: Path) -> None:
    run_dir = home / "run"
    old, young = run_dir / "slots-old", run_dir / "slots-young"
    for folder in (old, young):
        folder.mkdir(parents=True)
        (folder / "text.bin").write_bytes(b"somebody's words")
    os.utime(old, (1, 1))
    (run_dir / "worker-1.json").write_text("not json")
    registry.sweep(run_dir)
    assert not old.exists()
    assert young.exists()
    assert not list(run_dir.glob("*.json"))


def test_the_log_keeps_its_last_lines_and_a_bounded_file(tmp_path: Path) -> None:
    for pid in range(8):
        log = LogTail(tmp_path)
        log.name_file(pid)
        for number in range(1000):
            log.add(f"line {number}")
        log.close()
    assert log.tail(2) == ["line 998", "line 999"]
    assert len(list(tmp_path.glob("worker-*.log"))) == 5


async def test_chinese_streams_from_the_qwen_family(make_engine: MakeEngine, qwen: Path) -> None:
    engine = make_engine(model_path=str(qwen), model_name="qwen2.5-coder-0.5b", kv_type="q8_0")
    heard = await hear(engine, ask("用一句话介绍大海。", max_new_tokens=60))
    assert any("\u4e00" <= char <= "\u9fff" for char in heard.text)
    assert list(heard.ids) == await engine.tokenize(heard.text)
    assert any(isinstance(event, Delta) for event in heard.events)
