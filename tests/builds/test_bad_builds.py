"""Builds that do not work: each is refused with its reason, and the processor goes on answering.

Scripts stand before the real llama-server and spoil one thing each.
"""

import time
from pathlib import Path

import pytest

from twokeys.builds.folder import BuildFolder, InstalledBuild, active_program
from twokeys.builds.proof import Proof, check_devices, prove_build
from twokeys.config import load_config
from twokeys.errors import BuildRefused
from twokeys.services import Services, build_services
from twokeys.types import Sampling, Settings

LISTED = '[ "$1" = --list-devices ] && { echo "  Vulkan0: Made Card (8192 MiB, 8000 MiB free)"; exit 0; }'
CLAIMS = """
echo '0.1 I load_tensors: offloaded 31/31 layers to GPU' >&2
echo '0.1 I load_tensors: Vulkan0 model buffer size = 92.10 MiB' >&2
"""
PROVEN = Proof("m", "Made Card", 31, 31, 64, 64, 90.0, 20.0, 1.0)
SHORT = 16


def script(folder: Path, body: str) -> str:
    path = folder / "llama-server"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


def reason(program: str, model: Path, folder: Path) -> str:
    """Let a build prove itself in vain and return the key of the reason."""
    with pytest.raises(BuildRefused) as refused:
        prove_build(program, "vulkan", model, folder, tokens=SHORT)
    for language in ("zh", "en"):
        assert "{" not in refused.value.message(language)
    return str(refused.value.params["reason"].key).removeprefix("engines.refused.")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("echo 'error while loading shared libraries: libvulkan.so.1' >&2; exit 127", "no_start"),
        ("echo 'Available devices:'", "no_device"),
        ("echo nonsense; echo '  : (many MiB)'", "no_device"),
        ("kill -SEGV $$", "no_start"),
    ],
)
def test_a_program_that_does_not_start_or_sees_no_card_is_refused(
    tmp_path: Path, body: str, expected: str
) -> None:
    with pytest.raises(BuildRefused) as refused:
        check_devices(script(tmp_path, body), "vulkan")
    assert refused.value.params["reason"].key == f"engines.refused.{expected}"
    if "libvulkan" in body:
        assert "libvulkan.so.1" in refused.value.message()


def test_a_file_that_is_no_program_is_refused(tmp_path: Path) -> None:
    half = tmp_path / "llama-server"
    half.write_bytes(b"\x7fELF half a file")
    half.chmod(0o755)
    with pytest.raises(BuildRefused) as refused:
        check_devices(str(half), "vulkan")
    assert refused.value.params["reason"].key == "engines.refused.no_start"


def test_a_build_that_runs_on_the_processor_although_told_to_use_the_card_is_caught_by_its_log(
    tmp_path: Path, smollm2: Path, llama_server: str
) -> None:
    body = f'{LISTED}\nexport LLAMA_ARG_DEVICE=none\nexec "{llama_server}" "$@"'
    assert reason(script(tmp_path, body), smollm2, tmp_path) == "on_processor"


def test_a_build_that_dies_at_the_first_token_is_refused(
    tmp_path: Path, smollm2: Path, llama_server: str
) -> None:
    log = tmp_path / "server.log"
    body = f'''{LISTED}
{CLAIMS}
"{llama_server}" "$@" --device none 2> "{log}" &
server=$!
until grep -q "processing task" "{log}"; do kill -0 $server || exit 1; sleep 0.05; done
kill -9 $server
exit 1'''
    assert reason(script(tmp_path, body), smollm2, tmp_path) in ("failed", "silent")


def test_a_build_that_talks_garbage_is_refused(
    tmp_path: Path, smollm2: Path, qwen: Path, llama_server: str
) -> None:
    other = f'set -- "$@" --model "{qwen}"'
    body = f'{LISTED}\n{CLAIMS}\n{other}\nexec "{llama_server}" "$@" --device none'
    assert reason(script(tmp_path, body), smollm2, tmp_path) == "garbage"


@pytest.fixture
def broken(home: Path, smollm2: Path, tmp_path: Path) -> Services:
    """An app whose proven build does not start any more, as after a driver's change."""
    program = script(tmp_path, f"{LISTED}\necho 'error: no kernel image' >&2; exit 1")
    config = load_config(model=str(smollm2))
    folder = BuildFolder(config.engines_dir)
    place = folder.place("vulkan", "vulkan", "1")
    build = InstalledBuild("vulkan", "vulkan", "1", "release", "0" * 64, Path(program), place, 1, PROVEN)
    folder.keep(build)
    folder.set_active(build)
    assert active_program(config) == program
    return build_services(config)


def test_a_proven_build_that_fails_at_work_is_given_up_and_the_next_message_is_answered(
    broken: Services,
) -> None:
    try:
        settings = Settings(sampling=Sampling(temperature=0.0, max_new_tokens=8))
        conversation = broken.conversations.new(settings)
        first = broken.answers.send(conversation.id, "Say hello.")
        assert broken.jobs.wait(first.job.id, 60).state == "failed"
        error = broken.repository.get_message(first.answer_message.id).error
        assert error is not None and "no kernel image" in str(error)
        given_up = time.monotonic() + 20
        while broken.builds.active() is not None and time.monotonic() < given_up:
            time.sleep(0.01)
        second = broken.answers.send(conversation.id, "Say hello again.")
        assert broken.jobs.wait(second.job.id, 60).state == "done"
        assert broken.builds.active() is None
        answer = broken.repository.get_message(second.answer_message.id)
        assert answer.provenance.engine["build"].startswith("xllamacpp")
        assert answer.provenance.engine["layers"] == 0
    finally:
        broken.close()
