"""A card whose memory runs out at the start: layers leave it, down to none; what does not help is undone.

No card is needed: a script before the real llama-server lists one and refuses more layers than it has room
for, in the words of llama.cpp's Vulkan backend. With fewer layers the real server answers.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from twokeys.config import load_config
from twokeys.core.memory.overrides import NO_OVERRIDES
from twokeys.services import Services, build_services
from twokeys.types import Conversation, Sampling, Settings

from .test_recovery import until

SCRIPT = """#!/bin/sh
if [ "$1" = --list-devices ]; then
  echo "Available devices:"; echo "  Vulkan0: Made Card (8192 MiB, 8000 MiB free)"; exit 0
fi
for word in "$@"; do
  [ "$before" = --n-gpu-layers ] && layers=$word
  before=$word
done
echo "$layers" >> "{starts}"
if [ "$layers" -gt "{room}" ]; then
  echo "0.00.9 E alloc_tensor_range: failed to allocate Vulkan0 buffer of size 98358784" >&2
  exit 1
fi
exec "{binary}" "$@"
"""
Make = Callable[[int], Services]


@pytest.fixture
def starts(tmp_path: Path) -> Path:
    return tmp_path / "starts"


@pytest.fixture
def with_card(smollm2: Path, llama_server: str, starts: Path, tmp_path: Path) -> Iterator[Make]:
    """Make the composition with a card that has room for so many layers."""
    built: list[Services] = []

    def make(room: int) -> Services:
        script = tmp_path / "llama-server"
        script.write_text(
            SCRIPT.replace("{starts}", str(starts))
            .replace("{room}", str(room))
            .replace("{binary}", llama_server)
        )
        script.chmod(0o755)
        config = load_config(
            {"TWOKEYS_HOME": str(tmp_path / "home"), "TWOKEYS_LLAMA_SERVER": str(script)}, model=str(smollm2)
        )
        built.append(build_services(config))
        return built[-1]

    yield make
    for services in built:
        services.close()


def failed(services: Services) -> tuple[Conversation, str]:
    settings = Settings(sampling=Sampling(max_new_tokens=1024, temperature=0.9))
    conversation = services.conversations.new(settings)
    sent = services.answers.send(conversation.id, "Say hello.")
    assert services.jobs.wait(sent.job.id, 60).state == "failed"
    error = services.repository.get_message(sent.answer_message.id).error
    assert error is not None and error["code"] == "engine_memory" and error["params"]["device"] is True
    return conversation, sent.answer_message.id


def ended(services: Services, answer: str) -> str:
    def over() -> bool:
        view = services.recovery.view(answer)
        return view is not None and view.state != "running"

    until(over, timeout_s=120)
    view = services.recovery.view(answer)
    assert view is not None
    return view.state


def test_layers_leave_the_card_until_none_is_there_and_nothing_else_is_given_up(
    with_card: Make, starts: Path
) -> None:
    services = with_card(0)
    plan = services.memory_plan()
    assert plan is not None and plan.choice.gpu_layers == -1, "by its size everything fits"
    conversation, answer = failed(services)
    services.recovery.start(answer)
    assert ended(services, answer) == "recovered"
    tried = [int(line) for line in starts.read_text().split()]
    assert tried[0] == 999 and tried[-1] == 0 and tried == sorted(tried, reverse=True)
    view = services.recovery.view(answer)
    assert view is not None and {step.name for step in view.done} == {"clear", "gpu"}
    settings = services.repository.get_conversation(conversation.id).settings
    assert (settings.sampling.max_new_tokens, settings.sampling.temperature) == (1024, 0.9)
    assert services.memory.overrides(plan.shape.name).gpu_layers == 0, "the next message is safe as well"
    assert services.repository.get_message(answer).content


def test_what_did_not_help_is_undone(with_card: Make, starts: Path) -> None:
    services = with_card(-1)
    plan = services.memory_plan()
    assert plan is not None
    conversation, answer = failed(services)
    services.recovery.start(answer)
    assert ended(services, answer) == "failed"
    assert "0" in starts.read_text().split(), "it went down to no layer"
    assert services.memory.overrides(plan.shape.name) == NO_OVERRIDES
    settings = services.repository.get_conversation(conversation.id).settings
    assert settings == conversation.settings
    spec = services.engines.worker_spec()
    assert spec is not None and spec.gpu_layers == -1
