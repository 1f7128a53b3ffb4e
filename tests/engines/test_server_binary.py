"""A llama-server given by the user: started with equal settings, guarded like our own worker."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from asking import MakeEngine, ask, hear

from twokeys.errors import EngineDied, EngineOutOfMemory, EngineStartFailed

pytestmark = pytest.mark.anyio


@pytest.fixture
def binary(tmp_path: Path) -> str:
    script = tmp_path / "llama-server"
    source = Path(__file__).with_name("stand_in_llama_server.py")
    script.write_text(f'#!/bin/sh\nexec {sys.executable} {source} "$@"\n')
    script.chmod(0o755)
    return str(script)


def server_of(pid: int) -> psutil.Process:
    (child,) = psutil.Process(pid).children(recursive=True)
    return child


async def test_a_named_binary_answers_with_equal_settings(make_engine: MakeEngine, binary: str) -> None:
    engine = make_engine(server_binary=binary, context=512, parallel=2)
    heard = await hear(engine, ask())
    assert heard.finished.unsupported == ()
    info = await engine.info()
    assert (info.context, info.slots, info.model) == (512, 2, "smollm2-135m")
    assert engine.pid is not None and engine._process is not None
    child = server_of(engine.pid)
    assert engine._process.key not in " ".join(child.cmdline())
    assert engine.memory_bytes() > 90_000_000, "the server's memory counts, not only its guard's"
    report = await engine.release()
    assert report.freed_bytes == report.before_bytes > 90_000_000
    assert not child.is_running()


async def test_the_death_of_the_binary_is_told_with_its_cause(make_engine: MakeEngine, binary: str) -> None:
    engine = make_engine(server_binary=binary)
    await engine.start()
    assert engine.pid is not None
    stream = engine.generate(ask(max_new_tokens=900))
    with pytest.raises((EngineDied, EngineOutOfMemory)) as caught:
        async for event in stream:
            if "generating" in str(event):
                os.kill(server_of(engine.pid).pid, signal.SIGKILL)
    assert "SIGKILL" in caught.value.params["reason"]
    assert (await hear(engine, ask())).text


@pytest.mark.parametrize("name", ["none", "refuses"])
async def test_a_binary_that_does_not_start_is_explained(
    make_engine: MakeEngine, tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    if name == "refuses":
        path.write_text("#!/bin/sh\necho 'error: bad CPU' >&2\nexit 3\n")
        path.chmod(0o755)
    with pytest.raises(EngineStartFailed) as caught:
        await make_engine(server_binary=str(path)).start()
    reason = caught.value.params["reason"] + caught.value.params["log"]
    assert ("bad CPU" in reason) if name == "refuses" else ("No such file" in reason)


APP = """
import asyncio, sys
from pathlib import Path
from twokeys.engines.local import LocalEngine
from twokeys.types import WorkerSpec

async def main():
    spec = WorkerSpec(sys.argv[1], "m", context=512, threads=1, server_binary=sys.argv[3])
    engine = LocalEngine(spec, Path(sys.argv[2]) / "run", Path(sys.argv[2]) / "logs")
    await engine.start()
    print(engine.pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


@pytest.mark.parametrize("victim", ["app", "guard"])
def test_no_binary_outlives_its_app_or_guard(smollm2: Path, home: Path, binary: str, victim: str) -> None:
    app = subprocess.Popen(
        [sys.executable, "-c", APP, str(smollm2), str(home), binary], stdout=subprocess.PIPE, text=True
    )
    assert app.stdout is not None
    guard = psutil.Process(int(app.stdout.readline()))
    server = server_of(guard.pid)
    (app if victim == "app" else guard).kill()
    deadline = time.monotonic() + 10
    while server.is_running() and server.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "the server lives on"
        time.sleep(0.05)
    app.kill()
    app.wait()
    app.stdout.close()
