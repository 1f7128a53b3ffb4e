"""What a stored record may look like, so that one odd value never hides a conversation.

Records come from other versions, from files and from hands. What does not have the shape that readers
count on is left out, value by value; names that are not known here stay, as plain JSON.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from twokeys.errors import unexpected

MAX_DEPTH = 40
"""Deeper than any record nests; far from where readers that call themselves give up."""
LARGEST = 2**53
"""Beyond it a whole number is not exact in every reader of JSON."""

Shape = Callable[[object], object]
"""Returns the value as it may stay; raises ValueError when none of it may."""
Record = Callable[[object], dict[str, Any]]
"""The shape of an object."""
T = TypeVar("T")


def plain(value: object, depth: int = MAX_DEPTH) -> Any:
    """Return a JSON value without what is no JSON (NaN, infinity) or nests too deep."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**63 else None
    if depth == 0:
        return None
    if isinstance(value, Mapping):
        return {str(name): plain(inner, depth - 1) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner, depth - 1) for inner in value]
    return None


def text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("not a text")
    return value


def number(value: object) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < LARGEST:
        raise ValueError("not a number")
    return value


def whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not abs(value) < LARGEST:
        raise ValueError("not a whole number")
    return value


def flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("neither true nor false")
    return value


def mapping(value: object) -> dict[str, object]:
    if not isinstance(value, Mapping):
        raise ValueError("not an object")
    return dict(value)


def maybe(shape: Shape) -> Shape:
    """Return the shape that also lets None stay."""
    return lambda value: None if value is None else shape(value)


def each(shape: Shape) -> Shape:
    """Return the shape of a list whose odd entries fall out."""

    def read(value: object) -> list[object]:
        if not isinstance(value, list | tuple):
            raise ValueError("not a list")
        return [entry for item in value if (entry := _or_none(shape, item)) is not None]

    return read


def record(
    shapes: Mapping[str, Shape], *, needs: tuple[str, ...] = (), others: Shape | None = None
) -> Record:
    """Return the shape of an object: of its known names what fits, of the others what `others` lets stay."""

    def read(value: object) -> dict[str, Any]:
        shaped: dict[str, Any] = {}
        for name, inner in mapping(value).items():
            shape = shapes.get(name, others)
            if shape is None:
                shaped[name] = inner
                continue
            try:
                shaped[name] = shape(inner)
            except ValueError:
                continue
        if any(name not in shaped for name in needs):
            raise ValueError("incomplete")
        return shaped

    return read


def _or_none(shape: Callable[[object], T], value: object) -> T | None:
    try:
        return shape(value)
    except ValueError:
        return None


def _level(value: object) -> object:
    if value not in ("note", "warn", "stop"):
        raise ValueError("no level")
    return value


def _point(value: object) -> object:
    """A row of the decay's series: where in the text, and three shares."""
    if not isinstance(value, list | tuple) or len(value) < 3:
        raise ValueError("no row")
    return [number(inner) for inner in value]


def _pair(value: object) -> object:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise ValueError("no pair")
    return [number(inner) for inner in value]


def _simple(value: object) -> object:
    """A value of a parameter: what `Sampling` has."""
    if isinstance(value, list | tuple):
        return [text(inner) for inner in value]
    return value if value is None or isinstance(value, str | bool) else number(value)


def _none(value: object) -> object:
    raise ValueError("not known here")


def _recovery_step(value: object) -> dict[str, Any]:
    """A step taken when memory ran out. Its name stood under `rung` in earlier versions."""
    step = mapping(value)
    if "step" not in step and "rung" in step:
        step["step"] = step.pop("rung")
    return _RECOVERY_STEP(step)


_RECOVERY_STEP = record(
    {"step": text, "before": _simple, "after": _simple, "context": _pair}, needs=("step",)
)


_DECAY = record({"series": each(_point), "downhill_at": maybe(number)}, needs=("series",))
_EVENT_DATA = record(
    {
        **dict.fromkeys(("rep", "new", "copies", "start", "downhill_at"), maybe(number)),
        **dict.fromkeys(("script", "state", "cut_suffix"), text),
        "cut_at_char": whole,
    }
)
_EVENT = record(
    {"kind": text, "level": _level, "at_token": whole, "at_char": whole, "data": _EVENT_DATA},
    needs=("kind", "level", "at_token", "at_char", "data"),
    others=_none,
)
_PARAMETERS = record({}, others=_simple)
_FACTS: dict[str, Shape] = {
    **dict.fromkeys(("sampling_set", "sampling_used"), _PARAMETERS),
    **dict.fromkeys(("engine", "writing"), mapping),
    "timings": record({}, others=maybe(number)),
    "guard": each(_EVENT),
    "guard_report": record({"decay": maybe(_DECAY)}),
    "changed": each(
        record(
            {"name": text, "before": maybe(number), "after": number},
            needs=("name", "before", "after"),
            others=_none,
        )
    ),
    "recovery": each(_recovery_step),
    "documents": each(
        record(
            {"name": text, "sha256": text, "pages": text, "unit": text, "tokens": whole},
            needs=("name", "sha256"),
        )
    ),
    "answer_schema": maybe(
        record({"document": text, "name": text, "origin": text}, needs=("document",), others=_none)
    ),
    **dict.fromkeys(("excluded", "unsupported"), each(text)),
    **dict.fromkeys(
        (
            "model",
            "model_sha256",
            "system_prompt",
            "history_from",
            "summary",
            "order",
            "finish_reason",
            "preset",
            "imported_from",
            "cut_from",
            "removed_tail",
        ),
        maybe(text),
    ),
    **dict.fromkeys(
        (
            "prompt_tokens",
            "completion_tokens",
            "cached_tokens",
            "context",
            "seed",
            "started_at",
            "finished_at",
        ),
        maybe(number),
    ),
    **dict.fromkeys(("from_char", "to_char", "from_token", "n_probs", "column", "question_at"), whole),
    **dict.fromkeys(("prompt_exact", "token_ids_complete"), flag),
}


def _part(value: object) -> dict[str, object]:
    """A part of an answer: what its sums and its beginning are read from is always there."""
    return {"completion_tokens": 0, "from_char": 0, **_PART(value)}


_PART = record({**_FACTS, "completion_tokens": whole})
_PROVENANCE = record({**_FACTS, "parts": each(_part)})
_ERROR = record({"code": text, "params": mapping}, needs=("code",))


def provenance(value: object) -> dict[str, Any]:
    """Return an answer's record with what readers can count on."""
    return _or_none(_PROVENANCE, plain(value)) or {}


def error(value: object) -> dict[str, Any] | None:
    """Return the error that a message keeps, None when it keeps none."""
    if not value:
        return None
    shaped = _or_none(_ERROR, plain(value))
    return {"params": {}, **shaped} if shaped else unexpected()


def event_data(value: object) -> dict[str, Any]:
    """Return the facts of one thing that the guard noticed."""
    return _or_none(_EVENT_DATA, plain(value)) or {}
