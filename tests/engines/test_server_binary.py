"""A real llama-server named by a person: started with equal settings, guarded like our own worker."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
import pytest
from asking import QUESTION, MakeEngine, ask, hear

from twokeys.engines import registry
from twokeys.engines.preflight import MIB, preflight
from twokeys.engines.trial_start import try_flags, try_start
from twokeys.engines.worker import binary_command, binary_environment
from twokeys.errors import EngineDied, EngineOutOfMemory, EngineStartFailed
from twokeys.types import WorkerSpec

pytestmark = pytest.mark.anyio


def server_of(pid: int) -> psutil.Process:
    (child,) = psutil.Process(pid).children(recursive=True)
    return child


def wrapped(llama_server: str, folder: Path, *, flags: str = "", exports: str = "") -> str:
    """Return a script that starts the real server with more flags or variables than the worker gives it."""
    script = folder / "llama-server"
    script.write_text(f'#!/bin/sh\n{exports}\nexec "{llama_server}" "$@" {flags}\n')
    script.chmod(0o755)
    return str(script)


async def test_a_named_binary_answers_with_equal_settings(
    make_engine: MakeEngine, llama_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLAMA_ARG_CTX_SIZE", "64")
    monkeypatch.setenv("LLAMA_ARG_KV_UNIFIED", "1")
    engine = make_engine(server_binary=llama_server, context=512, parallel=2)
    heard = await hear(engine, ask(n_probs=3))
    assert heard.text
    assert heard.finished.unsupported == ()
    assert len(heard.probs) == len(heard.ids) == 16
    info = await engine.info()
    assert (info.context, info.slots, info.model) == (512, 2, "smollm2-135m")
    assert engine.pid is not None and engine._process is not None
    child = server_of(engine.pid)
    assert engine._process.key not in " ".join(child.cmdline())
    assert engine.memory_bytes() > 90_000_000, "the server's memory counts, not only its guard's"
    mapped = [region.path for region in child.memory_maps()]
    assert not [path for path in mapped if path.endswith(".gguf")], "weights are copied, not mapped"
    log = engine.start_log()
    assert "KV buffer size" in log and "compute buffer size" in log, "sizes for the proof of a plan"
    assert QUESTION not in log + engine.log_tail(400)
    report = await engine.release()
    assert report.freed_bytes == report.before_bytes > 90_000_000
    assert not child.is_running()


async def test_the_binary_answers_only_its_owner_and_no_page(
    make_engine: MakeEngine, llama_server: str
) -> None:
    engine = make_engine(server_binary=llama_server, context=256)
    await engine.start()
    assert engine._process is not None and engine._process.ready is not None
    address = engine._process.ready.address
    async with httpx.AsyncClient(trust_env=False) as stranger:
        assert (await stranger.get(f"{address}/props")).status_code == 401
        body = {"content": "a"}
        assert (await stranger.post(f"{address}/tokenize", json=body)).status_code == 401
        page = await stranger.get(address, headers={"Origin": "http://evil.example"})
        assert page.headers.get("access-control-allow-origin") != "http://evil.example"


def test_the_figures_of_a_start_are_asked_of_the_binary_that_would_start(
    llama_server: str, smollm2: Path
) -> None:
    spec = WorkerSpec(str(smollm2), "smollm2-135m", context=512, server_binary=llama_server)
    before = set(psutil.Process().children(recursive=True))
    [row] = preflight(spec)
    assert row.place == "Host"
    assert row.kv_bytes == 512 * 30 * 2 * 3 * 64 * 2 // MIB * MIB, "tokens, layers, K and V, heads, size, f16"
    assert 80 * MIB < row.model_bytes < 130 * MIB
    assert set(psutil.Process().children(recursive=True)) <= before
    for preflighting, wanted in ((True, "on"), (False, "off")):
        environment = binary_environment({"key": "k", "preflight": preflighting})
        assert environment["LLAMA_ARG_FIT"] == wanted, "a start takes what was planned, not what fits"


async def test_a_binary_s_memory_is_counted_as_our_own(make_engine: MakeEngine, llama_server: str) -> None:
    engine = make_engine(server_binary=llama_server, context=256)
    await engine.start()
    assert engine.pid is not None
    both = {engine.pid, server_of(engine.pid).pid}
    assert set(registry.family(engine.pid)) == both, "a driver lists them apart"


async def test_the_same_seed_gives_the_same_text_as_the_bundled_engine(
    make_engine: MakeEngine, llama_server: str
) -> None:
    question = ask("What is the capital of France?", temperature=0.0, max_new_tokens=8)
    bundled, named = make_engine(), make_engine(server_binary=llama_server)
    assert (await hear(named, question)).text == (await hear(bundled, question)).text
    begun = (await hear(named, question)).ids[:4]
    assert begun, "token ids come from the binary too"


def test_no_flag_that_is_given_to_a_binary_is_on_its_way_out(llama_server: str) -> None:
    shown = subprocess.run([llama_server, "--help"], capture_output=True, text=True, check=True).stdout
    entries = re.split(r"^(?=-)", shown, flags=re.MULTILINE)
    given = binary_command({"server_binary": "x", "model_path": "m", "context": 8, "slot_dir": "s"}, 1)
    for flag in (word for word in given if word.startswith("--")):
        (entry,) = [entry for entry in entries if re.search(rf"(?<![\w-]){flag}(?![\w-])", entry[:100])]
        assert "DEPRECATED" not in entry and "removed" not in entry, flag


async def test_a_flag_that_a_binary_refuses_is_named_in_the_reason(
    make_engine: MakeEngine, llama_server: str, tmp_path: Path
) -> None:
    binary = wrapped(llama_server, tmp_path, flags="--no-such-flag")
    with pytest.raises(EngineStartFailed) as caught:
        await make_engine(server_binary=binary).start()
    reason = str(caught.value.params["reason"])
    assert "invalid argument: --no-such-flag" in reason
    assert "SIGABRT" not in reason and "1" in reason
    with pytest.raises(EngineStartFailed, match="no-such-flag"):
        try_flags(binary)


def test_a_trial_start_loads_the_model_and_leaves_nothing(
    llama_server: str, smollm2: Path, tmp_path: Path
) -> None:
    try_flags(llama_server)
    before = set(psutil.Process().children(recursive=True))
    info = try_start(llama_server, smollm2, tmp_path)
    assert (info.context, info.model) == (256, smollm2.stem)
    assert set(psutil.Process().children(recursive=True)) <= before
    assert not list((tmp_path / "run").iterdir())


async def test_the_death_of_the_binary_names_its_cause(make_engine: MakeEngine, llama_server: str) -> None:
    engine = make_engine(server_binary=llama_server)
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
def test_no_binary_outlives_its_app_or_guard(
    smollm2: Path, home: Path, llama_server: str, victim: str
) -> None:
    app = subprocess.Popen(
        [sys.executable, "-c", APP, str(smollm2), str(home), llama_server],
        stdout=subprocess.PIPE,
        text=True,
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
