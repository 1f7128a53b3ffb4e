"""`twokeys models`: the catalogue and the files, fetched from a local hub."""

import json
import shutil
import signal
import sys
from pathlib import Path

import pexpect
import pytest
from commanding import Cli
from hub_server import Fault, HubServer

REPOSITORY = "Qwen/Qwen2.5-0.5B-Instruct-GGUF"
NAME = "qwen2.5-0.5b:q2_k"
FILE = "qwen2.5-0.5b-instruct-q2_k.gguf"


def test_the_list_has_the_catalogue_and_own_files(cli: Cli, home: Path, smollm2: Path) -> None:
    (home / "models").mkdir()
    shutil.copy(smollm2, home / "models" / "mine.gguf")
    (home / "models" / "broken.gguf").write_bytes(b"not a model at all")
    rows = {row["name"]: row for row in cli.run("models", "list", "--json").json}
    assert {"qwen2.5-7b", "qwen2.5-3b", "qwen2.5-1.5b", "qwen2.5-0.5b", "qwen2.5-coder-0.5b"} <= set(rows)
    for row in rows.values():
        assert {"name", "installed", "bytes", "path", "sha256"} <= set(row)
    assert rows["qwen2.5-7b"]["installed"] is False
    assert rows["qwen2.5-7b"]["path"] is None
    assert rows["qwen2.5-7b"]["bytes"] > 4 * 10**9
    assert rows["mine"]["installed"] is True
    assert rows["mine"]["bytes"] == smollm2.stat().st_size
    assert Path(rows["mine"]["path"]) == home / "models" / "mine.gguf"
    assert rows["broken"]["installed"] is False
    assert "GGUF" in cli.run("models", "list", language="zh").out


def test_info_tells_what_is_in_a_file(cli: Cli, smollm2: Path) -> None:
    row = cli.run("models", "info", smollm2, "--json").json
    assert row["architecture"] == "llama"
    assert row["context"] == 8192
    assert row["bytes"] == smollm2.stat().st_size
    known = cli.run("models", "info", "qwen2.5-7b", "--json").json
    assert known["installed"] is False
    assert known["shape"]["layers"] == 28
    assert "70 亿" in cli.run("models", "info", "qwen2.5-7b", language="zh").out
    unknown = cli.run("models", "info", "gpt-9", "--json")
    assert unknown.code == 1
    assert unknown.json["error"]["code"] == "not_found"


def test_pull_tells_its_progress_and_ends_with_the_checked_file(
    cli: Cli, home: Path, smollm2: Path, hub: HubServer, hub_env: dict[str, str]
) -> None:
    hub.repositories[REPOSITORY] = {FILE: smollm2.read_bytes()}
    ran = cli.run("models", "pull", NAME, "--json", env=hub_env)
    assert ran.code == 0, ran
    *progress, done = ran.lines
    assert {line["type"] for line in progress} == {"progress"}
    for line in progress:
        assert {"name", "done_bytes", "total_bytes", "speed", "eta_s", "stage", "source"} <= set(line)
    assert progress[-1]["done_bytes"] == progress[-1]["total_bytes"] == smollm2.stat().st_size
    assert done["type"] == "done"
    assert done["installed"] is True
    assert done["name"] == NAME
    assert done["sha256"] == "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
    assert Path(done["path"]) == home / "models" / FILE
    again = cli.run("models", "pull", NAME, env=hub_env)
    assert again.code == 0
    assert "here already" in again.out
    assert len(hub.downloads(FILE)) == 1
    removed = cli.run("models", "rm", NAME, "--json").json
    assert removed["name"] == NAME
    assert removed["freed_bytes"] >= smollm2.stat().st_size
    assert not (home / "models" / FILE).exists()
    assert cli.run("models", "rm", NAME).code == 1


def test_a_paused_pull_goes_on_where_it_stopped(
    cli: Cli, smollm2: Path, hub: HubServer, hub_env: dict[str, str]
) -> None:
    hub.repositories[REPOSITORY] = {FILE: smollm2.read_bytes()}
    hub.fault(FILE, Fault(bytes_per_s=4e6))
    process = cli.start("models", "pull", NAME, "--json", env=hub_env)
    assert process.stdout is not None
    while json.loads(process.stdout.readline())["done_bytes"] < 2 * 10**6:
        pass
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=40)
    assert process.returncode == 130
    error = json.loads(out.splitlines()[-1])["error"]
    assert error["code"] == "paused"
    assert f"twokeys models pull {NAME}" in error["message"]
    assert cli.run("models", "info", NAME, "--json").json["partial_bytes"] >= 2 * 10**6
    done = cli.run("models", "pull", NAME, "--json", env=hub_env).lines[-1]
    assert done["installed"] is True
    assert hub.downloads(FILE)[-1].range is not None


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals of POSIX")
def test_a_person_sees_a_bar_and_how_to_go_on(
    cli: Cli, smollm2: Path, hub: HubServer, hub_env: dict[str, str]
) -> None:
    hub.repositories[REPOSITORY] = {FILE: smollm2.read_bytes()}
    hub.fault(FILE, Fault(bytes_per_s=4e6))
    terminal = cli.terminal("models", "pull", NAME, env=hub_env)
    terminal.expect(r"MB / 98\.4 MB · [\d.]+ [kM]B/s · \d+")
    terminal.sendintr()
    terminal.expect("Paused; what has come so far is kept")
    terminal.expect(pexpect.EOF)
    terminal.wait()
    assert terminal.exitstatus == 130


def test_without_any_hub_the_error_says_what_was_tried(cli: Cli, hub_env: dict[str, str]) -> None:
    ran = cli.run("models", "pull", "qwen2.5-0.5b", "--json", env=hub_env)
    assert ran.code == 1
    error = ran.lines[-1]["error"]
    assert error["code"] == "download_failed"
    assert "404" in error["message"]
