"""Which model a name means: the one that answers, or it with a preset's keys.

Every preset is a model: `MODEL:PRESET`, or `twokeys/PRESET` whatever model answers. Switches
nothing: which model answers is the person's choice.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from twokeys.api.errors import RETRY_AFTER_S, ApiError
from twokeys.types import Preset

ANY = "twokeys"
"""The model that answers, whichever it is; also the first half of `twokeys/PRESET`."""


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """What a request's `model` asks for. preset None: the model's own settings."""

    name: str
    preset: Preset | None

    @property
    def label(self) -> str:
        """The model with its preset, as a person reads it."""
        return self.name if self.preset is None else f"{self.name}:{self.preset.name}"


def choose(
    name: str, active: str | None, installed: Callable[[], Sequence[str]], presets: Sequence[Preset]
) -> ModelChoice:
    """Return what a request's `model` means. Raises ApiError: 404, or 503 for a model not chosen.

    installed: asked only when another model than the active one is meant, as it reads the disk.
    """
    known = {preset.name: preset for preset in presets}
    if name in ("", ANY):
        return ModelChoice(_active(active), None)
    family, slash, rest = name.partition("/")
    if family == ANY and slash:
        if rest not in known:
            raise _unknown(name)
        return ModelChoice(_active(active), known[rest])
    if name == active:
        return ModelChoice(name, None)
    model, colon, preset = name.rpartition(":")
    if colon and preset in known:
        return ModelChoice(_must_answer(model, active, installed, name), known[preset])
    return ModelChoice(_must_answer(name, active, installed, name), None)


def listed(active: str | None, installed: Sequence[str], presets: Sequence[Preset]) -> list[dict[str, Any]]:
    """Return what `GET /v1/models` lists: models, and every preset as one of the model that answers."""
    names = [*([active] if active else []), *(name for name in installed if name != active)]
    rows = [_row(name, active=name == active, preset=None) for name in names]
    if active:
        for preset in presets:
            rows.append(_row(f"{ANY}/{preset.name}", active=True, preset=preset))
            rows.append(_row(f"{active}:{preset.name}", active=True, preset=preset))
    return rows


def _row(name: str, *, active: bool, preset: Preset | None) -> dict[str, object]:
    sets = {} if preset is None else {"preset": preset.name, "sets": dict(preset.changes)}
    return {
        "id": name,
        "object": "model",
        "created": 0,
        "owned_by": "twokeys",
        "twokeys": {"active": active, **sets},
    }


def _active(active: str | None) -> str:
    if active is None:
        raise ApiError(
            503,
            "model_not_ready",
            "There is no model on this computer yet. Fetch one on the page “Models”, or: twokeys models pull",
            retry_after_s=RETRY_AFTER_S,
        )
    return active


def _must_answer(model: str, active: str | None, installed: Callable[[], Sequence[str]], asked: str) -> str:
    if model == active:
        return model
    if model in installed():
        raise ApiError(
            503,
            "model_not_active",
            f"{model} is on this computer but another model answers now ({active}). "
            "Choose it on the page “Models”, or ask for “twokeys”.",
            param="model",
        )
    raise _unknown(asked)


def _unknown(name: str) -> ApiError:
    return ApiError(
        404,
        "model_not_found",
        f"There is no model or preset {name!r}. GET /v1/models lists them.",
        param="model",
    )
