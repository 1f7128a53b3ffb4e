"""`twokeys ui` as a process: it comes up, says where, fetches only the small model, and leaves."""

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pexpect
import psutil
import pytest
from commanding import Cli
from hub_server import Fault, HubServer

SMALLEST = ("Qwen/Qwen2.5-0.5B-Instruct-GGUF", "qwen2.5-0.5b-instruct-q4_k_m.gguf")
PINNED = "74a4da8c9fdbcd15bd1f6d01d621410d31c6fc00986f5eb687824e7b93d7a9db"


def health(url: str) -> int:
    with urllib.request.urlopen(f"{url}/_stcore/health", timeout=10) as answer:
        return int(answer.status)


def read_url(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    line = json.loads(process.stdout.readline())
    assert set(line) == {"url", "open"}
    assert line["open"].startswith(line["url"])
    return str(line["url"])


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_the_app_answers_where_it_says_and_ctrl_c_ends_it(cli: Cli, smollm2: Path) -> None:
    process = cli.start("ui", "--port", "0", "--no-browser", "--json", "--model", smollm2)
    url = read_url(process)
    assert url.startswith("http://127.0.0.1:")
    assert health(url) == 200
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "Traceback" not in err
    _gone, alive = psutil.wait_procs(children, timeout=5)
    assert not alive


def test_a_proxys_name_is_served_when_it_is_given_and_refused_otherwise(cli: Cli, smollm2: Path) -> None:
    options = ("ui", "--port", "0", "--no-browser", "--no-token", "--json", "--model", smollm2)
    process = cli.start(*options, "--allowed-host", "keys.example.org")
    url = read_url(process)

    def status(host: str) -> int:
        request = urllib.request.Request(f"{url}/compare", headers={"Host": host})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    assert (status("keys.example.org"), status("other.example.org")) == (200, 403)
    process.terminate()
    process.communicate(timeout=20)


def test_only_the_printed_address_opens_it_and_a_second_call_prints_it_again(cli: Cli, smollm2: Path) -> None:
    def status(url: str) -> int:
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    refused = cli.run("ui", "--print-address")
    assert refused.code == 2
    assert "no app of TwoKeys is running" in refused.err
    process = cli.start("ui", "--port", "0", "--no-browser", "--json", "--model", smollm2)
    assert process.stdout is not None
    line = json.loads(process.stdout.readline())
    assert (status(line["url"]), status(line["open"])) == (401, 200)
    assert cli.run("ui", "--print-address").out.strip() == line["open"]
    assert cli.run("ui", "--no-browser", "--json").lines == [line]
    process.terminate()
    process.communicate(timeout=20)
    assert cli.run("ui", "--print-address").code == 2


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_terminated_app_leaves_as_quietly(cli: Cli, smollm2: Path) -> None:
    process = cli.start("--json", "--port", "0", "--no-browser", "--model", smollm2)
    read_url(process)
    process.terminate()
    _, err = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "Traceback" not in err


def test_people_get_the_address_in_their_language(cli: Cli, smollm2: Path) -> None:
    process = cli.start("--lang", "zh", "ui", "--port", "0", "--no-browser", "--model", smollm2)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert "TwoKeys 已就绪：http://127.0.0.1:" in line


def test_a_taken_port_makes_way_for_the_next_one(cli: Cli, smollm2: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = cli.start("ui", "--port", str(port), "--no-browser", "--json", "--model", smollm2)
        assert read_url(process) != f"http://127.0.0.1:{port}"


def test_with_no_model_only_the_smallest_is_fetched_and_the_app_is_up_meanwhile(
    cli: Cli, home: Path, smollm2: Path, hub: HubServer, hub_env: dict[str, str]
) -> None:
    repository, file = SMALLEST
    hub.repositories[repository] = {file: smollm2.read_bytes()}
    hub.listed_sha256[file] = PINNED
    hub.fault(file, Fault(bytes_per_s=1e6), always=True)
    process = cli.start("ui", "--port", "0", "--no-browser", "--yes", "--json", env=hub_env)
    url = read_url(process)
    deadline = time.monotonic() + 60
    while not hub.downloads(file) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert hub.downloads(file)
    assert health(url) == 200
    assert {seen.path for seen in hub.requests if "/cdn/" in seen.path} == {f"/cdn/{repository}/{file}"}
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=40)
    assert [path.name for path in (home / "models").glob("*.gguf.part")] == [f"{file}.part"]


def test_other_hosts_need_a_password(cli: Cli, smollm2: Path) -> None:
    ran = cli.run("ui", "--host", "0.0.0.0", "--port", "0", "--no-browser", "--json", "--model", smollm2)
    assert ran.code == 1
    assert ran.lines[-1]["error"]["code"] == "access"
    process = cli.start(
        *("ui", "--host", "0.0.0.0", "--port", "0", "--no-browser", "--json", "--model", smollm2),
        env={"TWOKEYS_PASSWORD": "correct horse"},
    )
    url = read_url(process)
    assert health(url) == 200
    request = urllib.request.Request(url, headers={"Accept": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert "/twokeys/login" in answer.url
    except urllib.error.HTTPError as error:
        assert error.code in (401, 403)


@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal of POSIX")
def test_with_yes_not_even_a_terminal_is_asked_for_a_password(cli: Cli, smollm2: Path) -> None:
    options = ("ui", "--host", "0.0.0.0", "--port", "0", "--no-browser", "--model", smollm2)
    asked = cli.terminal(*options)
    asked.expect("password", timeout=60)
    assert asked.isalive(), "without --yes it waits for a password"
    session = cli.terminal(*options, "--yes")
    session.expect("TWOKEYS_PASSWORD", timeout=60)
    session.expect(pexpect.EOF, timeout=60)
    session.close()
    assert session.exitstatus == 1


def test_an_address_of_another_machine_is_refused(cli: Cli, smollm2: Path) -> None:
    ran = cli.run(
        *("ui", "--host", "203.0.113.1", "--port", "0", "--no-browser", "--json", "--model", smollm2),
        env={"TWOKEYS_PASSWORD": "correct horse"},
    )
    assert ran.code == 2
    assert "203.0.113.1" in ran.lines[-1]["error"]["message"]
