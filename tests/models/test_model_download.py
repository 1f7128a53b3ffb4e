"""One file over HTTP: breaks, kills, lying servers, full disks; never a false byte under the real name."""

import hashlib
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from hub_server import QUICK, Fault, HubServer

from twokeys.errors import DiskFull, DownloadFailed, Reason
from twokeys.models import download
from twokeys.models.download import (
    Cancelled,
    Control,
    DownloadProgress,
    DownloadSource,
    Meter,
    fetch,
    open_client,
)

NAME = "model.gguf"
CONTENT = os.urandom(300_000)
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with open_client({}) as opened:
        yield opened


@pytest.fixture
def source(hub: HubServer) -> DownloadSource:
    hub.repositories["a/b"] = {NAME: CONTENT}
    return DownloadSource("huggingface", f"{hub.url}/a/b/resolve/main/{NAME}")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "models" / NAME


def part_of(target: Path) -> Path:
    return target.with_name(NAME + ".part")


def reason_of(error: DownloadFailed) -> str:
    reason = error.params["reason"]
    assert isinstance(reason, Reason)
    assert "{" not in reason
    return reason.key.removeprefix("models.failed.")


def load(client: httpx.Client, source: DownloadSource, target: Path, **options: object) -> str:
    settings: dict[str, object] = {"size": len(CONTENT), "sha256": DIGEST, "policy": QUICK, **options}
    return fetch(client, [source], target, **settings)  # type: ignore[arg-type]


def test_a_file_arrives_whole_under_its_name(
    client: httpx.Client, source: DownloadSource, target: Path
) -> None:
    assert load(client, source, target) == DIGEST
    assert target.read_bytes() == CONTENT
    assert not part_of(target).exists()


def test_a_transfer_cut_in_the_middle_goes_on_where_it_was(
    client: httpx.Client, source: DownloadSource, target: Path, hub: HubServer
) -> None:
    hub.fault(NAME, Fault(cut_after=100_000), Fault(cut_after=50_000))
    load(client, source, target)
    assert target.read_bytes() == CONTENT
    assert [seen.range for seen in hub.downloads(NAME)] == [None, "bytes=100000-", "bytes=150000-"]
    assert hub.sent(NAME) == len(CONTENT)


def test_a_server_without_ranges_sends_it_all_again_and_the_file_is_right(
    client: httpx.Client, source: DownloadSource, target: Path, hub: HubServer
) -> None:
    hub.fault(NAME, Fault(cut_after=100_000), Fault(ignore_range=True))
    load(client, source, target)
    assert target.read_bytes() == CONTENT


def test_a_range_that_does_not_continue_is_not_appended(
    client: httpx.Client, source: DownloadSource, target: Path, hub: HubServer
) -> None:
    hub.fault(NAME, Fault(cut_after=100_000), Fault(wrong_range=True))
    load(client, source, target)
    assert target.read_bytes() == CONTENT


def test_an_overloaded_server_is_asked_again_after_the_time_it_names(
    client: httpx.Client, source: DownloadSource, target: Path, hub: HubServer
) -> None:
    hub.fault(NAME, Fault(status=503, retry_after="0"), Fault(status=429), Fault(status=500))
    load(client, source, target)
    assert len(hub.downloads(NAME)) == 4


def test_a_server_that_stays_down_ends_in_a_clear_error_and_keeps_what_came(
    client: httpx.Client, source: DownloadSource, target: Path, hub: HubServer
) -> None:
    hub.fault(NAME, Fault(cut_after=100_000), *[Fault(status=503)] * 50)
    with pytest.raises(DownloadFailed) as caught:
        load(client, source, target)
    assert reason_of(caught.value) == "broken_off"
    assert "HTTP 503" in caught.value.params["reason"]
    assert part_of(target).stat().st_size == 100_000
    assert not target.exists()
    hub.faults.clear()
    load(client, source, target)
    assert hub.downloads(NAME)[-1].range == "bytes=100000-"
    assert target.read_bytes() == CONTENT


def test_a_server_that_is_gone_ends_in_a_clear_error(client: httpx.Client, target: Path) -> None:
    with pytest.raises(DownloadFailed) as caught:
        load(client, DownloadSource("huggingface", "http://127.0.0.1:9/none"), target)
    assert reason_of(caught.value) == "broken_off"


def test_wrong_bytes_of_the_right_length_are_thrown_away(
    client: httpx.Client, source: DownloadSource, target: Path, hub: HubServer
) -> None:
    hub.fault(NAME, Fault(corrupt=True), always=True)
    with pytest.raises(DownloadFailed) as caught:
        load(client, source, target)
    assert reason_of(caught.value) == "checksum"
    assert not target.exists()
    assert part_of(target).stat().st_size == 0


def test_a_kept_part_of_another_file_is_replaced(
    client: httpx.Client, source: DownloadSource, target: Path, hub: HubServer
) -> None:
    target.parent.mkdir()
    part_of(target).write_bytes(os.urandom(120_000))
    load(client, source, target)
    assert target.read_bytes() == CONTENT
    assert [seen.range for seen in hub.downloads(NAME)] == ["bytes=120000-", None]


@pytest.mark.parametrize("extra", [0, 5000])
def test_a_kept_part_as_long_as_the_file_or_longer_is_checked_too(
    client: httpx.Client, source: DownloadSource, target: Path, hub: HubServer, extra: int
) -> None:
    target.parent.mkdir()
    part_of(target).write_bytes(os.urandom(len(CONTENT) + extra))
    load(client, source, target)
    assert target.read_bytes() == CONTENT


def test_a_whole_part_needs_no_further_byte(
    client: httpx.Client, source: DownloadSource, target: Path, hub: HubServer
) -> None:
    target.parent.mkdir()
    part_of(target).write_bytes(CONTENT)
    load(client, source, target)
    assert target.read_bytes() == CONTENT
    assert hub.downloads(NAME) == []


@pytest.mark.parametrize("fault", [Fault(html=True), Fault(status=404), Fault(status=403)])
def test_a_login_page_or_a_refusal_is_not_taken_for_the_file(
    client: httpx.Client, source: DownloadSource, target: Path, hub: HubServer, fault: Fault
) -> None:
    hub.fault(NAME, fault)
    with pytest.raises(DownloadFailed) as caught:
        load(client, source, target)
    assert reason_of(caught.value) == "not_offered"
    assert not target.exists()


def test_a_file_of_another_size_is_refused_before_it_is_transferred(
    client: httpx.Client, source: DownloadSource, target: Path
) -> None:
    with pytest.raises(DownloadFailed) as caught:
        load(client, source, target, size=len(CONTENT) - 1)
    assert reason_of(caught.value) == "not_offered"


def test_another_source_takes_over_in_the_middle(
    client: httpx.Client, source: DownloadSource, target: Path, hub: HubServer
) -> None:
    hub.repositories["c/d"] = {NAME: CONTENT}
    second = DownloadSource("modelscope", f"{hub.url}/models/c/d/resolve/master/{NAME}")
    hub.fault("a/b/" + NAME, Fault(cut_after=100_000), *[Fault(status=503)] * 50)
    fetch(client, [source, second], target, size=len(CONTENT), sha256=DIGEST, policy=QUICK)
    assert target.read_bytes() == CONTENT
    assert hub.downloads(NAME)[-1].path == f"/cdn/c/d/{NAME}"
    assert hub.downloads(NAME)[-1].range == "bytes=100000-"


def test_without_a_checksum_nothing_kept_is_trusted(
    client: httpx.Client, source: DownloadSource, target: Path, hub: HubServer
) -> None:
    target.parent.mkdir()
    part_of(target).write_bytes(CONTENT[:1000])
    assert load(client, source, target, sha256=None) == DIGEST
    assert hub.downloads(NAME)[0].range is None


def test_a_full_disk_is_said_before_the_first_byte(
    client: httpx.Client, source: DownloadSource, target: Path, hub: HubServer
) -> None:
    with pytest.raises(DiskFull) as caught:
        load(client, source, target, size=1 << 60)
    assert caught.value.params["needed_bytes"] > caught.value.params["free_bytes"]
    assert hub.downloads(NAME) == []


def test_a_disk_that_fills_up_on_the_way_is_said_and_the_part_kept(
    client: httpx.Client, source: DownloadSource, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(DownloadFailed) as caught:
            load(client, source, target)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, previous)
    assert reason_of(caught.value) == "disk"
    load(client, source, target)
    assert target.read_bytes() == CONTENT


def test_progress_is_told_with_speed_and_time_left(
    client: httpx.Client, source: DownloadSource, target: Path, hub: HubServer
) -> None:
    reported: list[DownloadProgress] = []
    hub.fault(NAME, Fault(bytes_per_s=250_000))
    load(client, source, target, meter=Meter(len(CONTENT), reported.append))
    flowing = [item for item in reported if item.stage == "downloading" and item.eta_s is not None]
    assert flowing
    assert 50_000 < flowing[-1].speed < 400_000
    assert flowing[0].eta_s is not None
    assert 0 < flowing[0].eta_s < 600
    assert [item.done_bytes for item in reported] == sorted(item.done_bytes for item in reported)
    assert reported[-1].done_bytes == reported[-1].total_bytes == len(CONTENT)
    assert {item.source for item in flowing} == {"huggingface"}


def test_pause_stops_the_bytes_and_resume_goes_on_from_there(
    client: httpx.Client, source: DownloadSource, target: Path, hub: HubServer
) -> None:
    hub.fault(NAME, Fault(bytes_per_s=200_000))
    control = Control()
    reported: list[DownloadProgress] = []
    meter = Meter(len(CONTENT), reported.append)
    thread = threading.Thread(
        target=load, args=(client, source, target), kwargs={"control": control, "meter": meter}
    )
    thread.start()
    wait_until(lambda: hub.sent(NAME) > 20_000)
    control.pause()
    wait_until(lambda: bool(reported) and reported[-1].stage == "paused")
    retained = part_of(target).stat().st_size
    time.sleep(0.3)
    assert part_of(target).stat().st_size == retained < len(CONTENT)
    control.resume()
    thread.join(10)
    assert target.read_bytes() == CONTENT
    assert hub.downloads(NAME)[-1].range == f"bytes={retained}-"


def test_cancel_ends_it_and_keeps_what_came(
    client: httpx.Client, source: DownloadSource, target: Path, hub: HubServer
) -> None:
    hub.fault(NAME, Fault(bytes_per_s=200_000))
    control = Control()
    threading.Timer(0.3, control.cancel).start()
    with pytest.raises(Cancelled):
        load(client, source, target, control=control)
    assert 0 < part_of(target).stat().st_size < len(CONTENT)
    assert not target.exists()


def test_cancel_works_while_paused_and_while_waiting_for_a_retry(
    client: httpx.Client, source: DownloadSource, target: Path, hub: HubServer
) -> None:
    control = Control()
    control.pause()
    threading.Timer(0.1, control.cancel).start()
    with pytest.raises(Cancelled):
        load(client, source, target, control=control)
    hub.fault(NAME, *[Fault(status=503, retry_after="20")] * 9)
    control, start = Control(), time.monotonic()
    threading.Timer(0.1, control.cancel).start()
    with pytest.raises(Cancelled):
        load(client, source, target, control=control, policy=download.RetryPolicy())
    assert time.monotonic() - start < 30


def test_two_downloads_of_one_file_do_not_write_over_each_other(
    client: httpx.Client, source: DownloadSource, target: Path, hub: HubServer
) -> None:
    hub.fault(NAME, Fault(bytes_per_s=300_000))
    first = threading.Thread(target=load, args=(client, source, target))
    first.start()
    wait_until(lambda: hub.sent(NAME) > 0)
    with pytest.raises(DownloadFailed) as caught:
        load(client, source, target)
    assert reason_of(caught.value) == "busy"
    first.join(10)
    assert target.read_bytes() == CONTENT


def test_a_killed_download_is_taken_up_by_the_next_process(
    client: httpx.Client, source: DownloadSource, target: Path, hub: HubServer
) -> None:
    hub.fault(NAME, Fault(bytes_per_s=100_000))
    code = (
        "import sys; from pathlib import Path; from twokeys.models.download import *;"
        "fetch(open_client(), [DownloadSource('huggingface', sys.argv[1])], Path(sys.argv[2]),"
        " size=int(sys.argv[3]), sha256=sys.argv[4])"
    )
    process = subprocess.Popen([sys.executable, "-c", code, source.url, target, str(len(CONTENT)), DIGEST])
    wait_until(lambda: part_of(target).exists() and part_of(target).stat().st_size > 30_000, within_s=30)
    process.kill()
    process.wait(10)
    retained = part_of(target).stat().st_size
    assert retained < len(CONTENT)
    load(client, source, target)
    assert target.read_bytes() == CONTENT
    assert hub.downloads(NAME)[-1].range == f"bytes={retained}-"


def test_certificates_come_from_the_environment_before_pips_own(tmp_path: Path) -> None:
    nonsense = tmp_path / "ca.pem"
    nonsense.write_text("not a certificate")
    for env, cafile in (({"PIP_CERT": str(nonsense)}, None), ({}, str(nonsense))):
        with pytest.raises(DownloadFailed) as caught:
            open_client(env, cafile)
        assert reason_of(caught.value) == "surroundings"


def test_a_proxy_that_cannot_be_used_is_named_instead_of_crashing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "gopher://127.0.0.1:1")
    with pytest.raises(DownloadFailed) as caught:
        open_client()
    assert "ALL_PROXY" in caught.value.params["reason"]


def wait_until(condition: Callable[[], bool], within_s: float = 10.0) -> None:
    """Wait for something another thread or process brings about."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
