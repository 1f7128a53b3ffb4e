"""`twokeys doctor` and its checks, one by one; and `twokeys release`."""

import json
import os
import shutil
import socket
import sys
from importlib import metadata
from pathlib import Path

import psutil
import pytest
from commanding import Cli
from hub_server import HubServer
from tests.real_server import running_server

from twokeys import doctor
from twokeys.config import load_config
from twokeys.errors import EngineStartFailed, ModelBroken, Reason, StoreCorrupt
from twokeys.i18n import catalogue
from twokeys.store.repository import Repository

NAMES = [
    *("python", "packages", "engine", "llama-server", "gpu", "memory", "memory-plan", "disk", "home"),
    *("database", "models", "workers", "port"),
]


def test_doctor_reports_every_check_with_its_four_fields(cli: Cli) -> None:
    ran = cli.run("doctor", "--json")
    assert ran.code == 0
    checks = {check["name"]: check for check in ran.json["checks"]}
    assert list(checks) == NAMES
    for check in checks.values():
        assert set(check) == {"name", "ok", "detail", "hint"}
        assert isinstance(check["ok"], bool)
        assert check["detail"]
    assert checks["engine"]["ok"] is True
    assert "xllamacpp" in checks["engine"]["detail"]
    assert checks["models"]["ok"] is False
    assert "models pull" in checks["models"]["hint"]


def test_doctor_speaks_both_languages_and_counts_what_is_wrong(cli: Cli) -> None:
    assert "内存" in cli.run("doctor", language="zh").out or "可用" in cli.run("doctor", language="zh").out
    shown = cli.run("doctor").out
    assert "✗ models" in shown
    assert "to look into" in shown


def test_doctor_finds_a_damaged_model_and_with_deep_a_changed_one(
    cli: Cli, home: Path, smollm2: Path
) -> None:
    (home / "models").mkdir()
    file = home / "models" / "smollm2-135m.gguf"
    shutil.copy(smollm2, file)

    def models(*options: str) -> dict[str, object]:
        [check] = [c for c in cli.run("doctor", *options, "--json").json["checks"] if c["name"] == "models"]
        return dict(check)

    assert models("--deep")["ok"] is True
    with file.open("r+b") as changed:
        changed.seek(60_000_000)
        changed.write(b"flipped")
    assert models()["ok"] is True
    assert models("--deep")["ok"] is False
    os.truncate(file, 1_000_000)
    damaged = models()
    assert damaged["ok"] is False
    assert "smollm2-135m" in str(damaged["detail"])


def test_doctor_asks_the_network_only_when_told_to(cli: Cli, hub: HubServer, hub_env: dict[str, str]) -> None:
    cli.run("doctor", env=hub_env)
    assert hub.requests == []
    checks = {c["name"]: c for c in cli.run("doctor", "--network", "--json", env=hub_env).json["checks"]}
    assert {"hubs", "package-index"} <= set(checks)


def test_doctor_works_when_the_database_does_not(cli: Cli, home: Path) -> None:
    (home / "twokeys.db").write_bytes(b"this is no database, " * 500)
    checks = {c["name"]: c for c in cli.run("doctor", "--json").json["checks"]}
    assert list(checks) == NAMES
    assert checks["database"]["ok"] is False
    assert "backups" in checks["database"]["hint"]


def test_doctor_starts_the_named_llama_server_for_real(
    cli: Cli, home: Path, smollm2: Path, llama_server: str, tmp_path: Path
) -> None:
    def named(binary: str) -> dict[str, object]:
        checks = cli.run("doctor", "--json", env={"TWOKEYS_LLAMA_SERVER": binary}).json["checks"]
        [check] = [check for check in checks if check["name"] == "llama-server"]
        return dict(check)

    refusing = tmp_path / "refusing"
    refusing.write_text(f'#!/bin/sh\nexec "{llama_server}" "$@" --no-such-flag\n')
    refusing.chmod(0o755)
    (home / "models").mkdir()
    flags_only = named(llama_server)
    assert flags_only["ok"] and "trial" not in str(flags_only["detail"])
    (home / "models" / "smollm2-135m.gguf").symlink_to(smollm2)
    started = named(llama_server)
    assert started["ok"] and "started and ended for a trial" in str(started["detail"])
    refused = named(str(refusing))
    assert not refused["ok"]
    assert "--no-such-flag" in str(refused["detail"])
    assert "another version" in str(refused["hint"])


def test_doctor_asks_the_server_that_was_chosen(cli: Cli, smollm2: Path, llama_server: str) -> None:
    def checks(url: str, key: str) -> dict[str, dict[str, object]]:
        ran = cli.run("doctor", "--model", url, "--json", env={"TWOKEYS_SERVER_KEY": key})
        assert key not in ran.out
        return {check["name"]: check for check in ran.json["checks"]}

    with running_server(llama_server, smollm2, "-c", "512", "-np", "1", key="the-right-key") as url:
        results = checks(url, "the-right-key")
        assert results["server"]["ok"] and "smollm2" in str(results["server"]["detail"])
        assert "512" in str(results["server"]["detail"])
        assert results["models"]["ok"], "a server needs no model here"
        refused = checks(url, "a-wrong-key")["server"]
        assert not refused["ok"] and "401" in str(refused["detail"])
    silent = checks(url, "the-right-key")["server"]
    assert not silent["ok"] and "TWOKEYS_SERVER_KEY" in str(silent["hint"])


def test_the_cards_are_those_that_the_engine_tells(cli: Cli, llama_server: str, tmp_path: Path) -> None:
    binary = tmp_path / "llama-server"
    device = "  Vulkan0: AMD Radeon RX 7600 (8192 MiB, 7000 MiB free)"
    binary.write_text(
        f'#!/bin/sh\n[ "$1" = --list-devices ] && {{ echo "{device}"; exit; }}\nexec "{llama_server}" "$@"\n'
    )
    binary.chmod(0o755)
    ran = cli.run("doctor", "--json", env={"TWOKEYS_LLAMA_SERVER": str(binary)})
    [gpu] = [check for check in ran.json["checks"] if check["name"] == "gpu"]
    assert gpu["ok"] and "AMD Radeon RX 7600" in gpu["detail"] and not gpu["hint"]


def test_every_finding_has_its_texts_in_both_languages() -> None:
    findings = [
        doctor.check_python((3, 9, 1)),
        doctor.check_packages(["nonesuch>=1", "rich>=999", "pytest>=1; extra == 'test'"]),
        doctor.check_engine_library(
            frozenset(), [sys.executable, "-c", "raise ImportError('no such library')"]
        ),
        doctor.check_engine_library(frozenset({"avx512f"})),
        doctor.check_server_binary("/nowhere/llama-server"),
        doctor.check_server_binary(sys.executable),
        doctor.check_server_binary(sys.executable, lambda path: True),
        doctor.check_server_binary(sys.executable, _refuse),
        doctor.check_gpu(list, lambda: doctor.IdleCard(Reason("engines.choice.no_card"))),
        doctor.check_gpu(list, lambda: doctor.IdleCard(Reason("engines.choice.no_card"), "vulkan")),
        doctor.check_gpu(list, lambda: None),
        doctor.check_gpu(lambda: ["MTL0: Apple M2, 10.0 / 12.0 GiB"], lambda: None),
        doctor.check_server("http://x", lambda: ("vLLM 1", "qwen", 4096)),
        doctor.check_server("http://x", lambda: ("openai", "qwen", 0)),
        doctor.check_models([], lambda name: None, needed=False),
        doctor.check_memory(doctor.MachineMemory(8 * 2**30, 2**20, 2 * 2**30)),
        doctor.check_database(Path(__file__), lambda: 3),
        doctor.check_models(["a", "b"], lambda name: None, deep=True),
        doctor.check_workers([doctor.Worker(7, "qwen", 2**30)]),
        doctor.check_reachable("hubs", ["http://x"], lambda url: 200),
        doctor.check_reachable("package-index", ["http://x"], lambda url: 503),
    ]
    for finding in findings:
        for language in ("zh", "en"):
            sentence = doctor.describe(finding, language)
            assert sentence["detail"]
            assert "{" not in sentence["detail"] + sentence["hint"]
            assert sentence["ok"] or sentence["hint"]
    texts = [key for key in catalogue() if key.startswith("cli.doctor.")]
    assert all(set(catalogue()[key]) == {"zh", "en"} for key in texts)


def _refuse(path: str) -> bool:
    raise EngineStartFailed(reason="it will not", command=path, log="")


def test_packages_that_are_missing_or_unsuitable_are_named() -> None:
    result = doctor.check_packages(["nonesuch>=1", "rich>=999", "httpx>=0.1"])
    assert not result.ok
    assert "nonesuch" in result.values["names"]
    assert f"rich {metadata.version('rich')}" in result.values["names"]
    assert "httpx" not in result.values["names"]


def test_a_processor_that_can_do_more_than_the_build_gets_a_hint() -> None:
    assert doctor.enabled_features("CPU : SSE3 = 1 | AVX = 0 | AVX2 = 1 | ") == ["SSE3", "AVX2"]
    assert doctor.check_engine_library(frozenset({"avx512f"})).hint == "native_hint"
    assert doctor.check_engine_library(frozenset()).hint is None


def test_a_file_named_like_the_library_in_the_current_folder_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("json", "xllamacpp"):
        (tmp_path / f"{name}.py").write_text("open('ran', 'w').close()\n")
    monkeypatch.chdir(tmp_path)
    assert doctor.check_engine_library(frozenset()).ok
    assert not (tmp_path / "ran").exists()


def test_a_crashing_library_is_a_finding_and_not_a_crash() -> None:
    crash = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    assert not doctor.check_engine_library(frozenset(), [sys.executable, "-c", crash]).ok


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_home_that_others_can_read_is_told(tmp_path: Path) -> None:
    home = tmp_path / "open"
    home.mkdir(mode=0o755)
    home.chmod(0o755)
    assert doctor.check_home(home).state == "open"
    home.chmod(0o700)
    assert doctor.check_home(home).ok
    assert doctor.check_home(tmp_path / "not yet").state == "new"


def test_a_busy_port_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert not doctor.check_port("127.0.0.1", taken.getsockname()[1]).ok


def test_broken_databases_and_models_are_findings(tmp_path: Path) -> None:
    def broken() -> int:
        raise StoreCorrupt(path="x.db", backup="x.bak", reason="malformed")

    def damaged(name: str) -> None:
        raise ModelBroken(name=name, reason="cut short")

    assert doctor.check_database(tmp_path / "none.db", broken).state == "new"
    assert not doctor.check_database(Path(__file__), broken).ok
    assert doctor.check_models(["a"], damaged).values["names"] == "a"


def test_release_from_outside_ends_the_worker_and_says_what_came_back(cli: Cli, smollm2: Path) -> None:
    nothing = cli.run("release", "--json").json
    assert nothing == {"before_bytes": 0, "after_bytes": 0, "freed_bytes": 0}
    assert "nothing to clear" in cli.run("release").out
    process = cli.start(
        *("chat", "Write a long fairy tale about a fox who travels around the whole world.", "-m", smollm2),
        *("-n", "4000", "--json"),
    )
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["type"] == "delta"
    [worker, *_] = psutil.Process(process.pid).children(recursive=True)
    [running] = [c for c in cli.run("doctor", "--json").json["checks"] if c["name"] == "workers"]
    assert "smollm2-135m" in running["detail"]
    report = cli.run("release", "--json").json
    assert report["before_bytes"] > 90 * 10**6
    assert report["after_bytes"] == 0
    assert report["freed_bytes"] == report["before_bytes"]
    assert not worker.is_running()
    repository = Repository.open(load_config())
    [talk] = repository.list_conversations()
    assert talk.state_reset_at == talk.head_id is not None, "its next message starts clean"
    assert not talk.history_after_reset
    repository.close()
    out, err = process.communicate(timeout=30)
    last = json.loads(out.splitlines()[-1])
    assert "error" in last or last["finish_reason"] in ("cancelled", "interrupted")
    assert "Traceback" not in err
