"""Where a model runs, in one line: on a card with so many layers, or on the processor and why.

Reads what the engine's own log said and what the survey found, of an answer what its record says; draws
nothing and never waits.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from twokeys.core.speed import is_card_unused
from twokeys.services import Services
from twokeys.ui import words
from twokeys.ui.words import t


def running_on(services: Services) -> str:
    """Return where the present model runs or will run, "" for a server and while that is not known."""
    spec = services.engines.worker_spec()
    if spec is None:
        return ""
    offload = services.engines.offload()
    active = services.builds.active()
    program = services.config.server_binary or (str(active.program) if active is not None else None)
    if offload is None and spec.server_binary != program:
        return ""  # another engine was chosen a moment ago: the plan for it is being made
    if offload is None and spec.gpu_layers:
        return t("engines.line.planned")
    why = services.builds.processor_reason()
    shown = why.in_language(words.language()) if why is not None else ""
    if offload is None:
        return _on_processor(shown)
    return _line(offload.devices, offload.layers, offload.of_layers, spec.gpu_layers, shown)


def ran_on(engine: Mapping[str, Any]) -> str:
    """Return where an answer was written, from its record of the engine; "" when that does not say."""
    if "of_layers" not in engine:
        return ""
    devices = [str(device) for device in engine.get("devices", ())]
    layers, of_layers = int(engine.get("layers") or 0), int(engine.get("of_layers") or 0)
    why = engine.get("why")
    shown = str(why.get(words.language(), "")) if isinstance(why, Mapping) else ""
    return _line(devices, layers, of_layers, int(engine.get("asked_layers") or 0), shown)


def card_share(engine: Mapping[str, object]) -> str:
    """Return how much of what its card's memory allows an answer reached; "" where nobody knows."""
    share = engine.get("bandwidth_share")
    if not isinstance(share, int | float):
        return ""
    return t(
        "engines.line.share_low" if is_card_unused(share) else "engines.line.share", share=f"{share:.0%}"
    )


def _line(devices: Sequence[str], layers: int, of_layers: int, asked: int, why: str) -> str:
    if layers:
        return t("engines.line.on_card", device=", ".join(devices), layers=layers, all=of_layers)
    return _on_processor(t("engines.line.not_used") if asked else why)


def _on_processor(why: str) -> str:
    return t("engines.line.on_processor_why", why=why) if why else t("engines.line.on_processor")
