"""What a stored record may look like, so that one odd value never hides a conversation.

Records come from other versions, from files and from hands. What does not have the shape that readers
count on is left out, value by value; names that are not known here stay, as plain JSON.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

MAX_DEPTH = 40
"""Deeper than any record nests; far from where readers that call themselves give up."""
LARGEST = 2**53
"""Beyond it a whole number is not exact in every reader of JSON."""

Shape = Callable[[Any], Any]
"""Returns the value as it may stay; raises ValueError when none of it may."""


def plain(value: Any, depth: int = MAX_DEPTH) -> Any:
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


def text(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError("not a text")
    return value


def number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < LARGEST:
        raise ValueError("not a number")
    return value


def whole(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int) or not abs(value) < LARGEST:
        raise ValueError("not a whole number")
    return value


def flag(value: Any) -> Any:
    if not isinstance(value, bool):
        raise ValueError("neither true nor false")
    return value


def mapping(value: Any) -> Any:
    if not isinstance(value, Mapping):
        raise ValueError("not an object")
    return dict(value)


def maybe(shape: Shape) -> Shape:
    """Return the shape that also lets None stay."""
    return lambda value: None if value is None else shape(value)


def each(shape: Shape) -> Shape:
    """Return the shape of a list whose odd entries fall out."""

    def read(value: Any) -> list[Any]:
        if not isinstance(value, list | tuple):
            raise ValueError("not a list")
        return [entry for item in value if (entry := _or_none(shape, item)) is not None]

    return read


def record(shapes: Mapping[str, Shape], *, needs: tuple[str, ...] = (), others: Shape | None = None) -> Shape:
    """Return the shape of an object: of its known names what fits, of the others what `others` lets stay."""

    def read(value: Any) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        for name, inner in mapping(value).items():
            shape = shapes.get(name, others)
            if shape is None:
                kept[name] = inner
                continue
            try:
                kept[name] = shape(inner)
            except ValueError:
                continue
        if any(name not in kept for name in needs):
            raise ValueError("incomplete")
        return kept

    return read


def _or_none(shape: Shape, value: Any) -> Any:
    try:
        return shape(value)
    except ValueError:
        return None


def _level(value: Any) -> Any:
    if value not in ("note", "warn", "stop"):
        raise ValueError("no level")
    return value


def _point(value: Any) -> Any:
    """A row of the decay's series: where in the text, and three shares."""
    if not isinstance(value, list | tuple) or len(value) < 3:
        raise ValueError("no row")
    return [number(inner) for inner in value]


def _pair(value: Any) -> Any:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise ValueError("no pair")
    return [number(inner) for inner in value]


def _simple(value: Any) -> Any:
    """A value of a parameter: what `Sampling` has."""
    if isinstance(value, list | tuple):
        return [text(inner) for inner in value]
    return value if value is None or isinstance(value, str | bool) else number(value)


def _none(value: Any) -> Any:
    raise ValueError("not known here")


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
    "recovery": each(
        record({"rung": text, "before": _simple, "after": _simple, "context": _pair}, needs=("rung",))
    ),
    "documents": each(
        record({"name": text, "sha256": text, "pages": text, "tokens": whole}, needs=("name", "sha256"))
    ),
    **dict.fromkeys(("excluded", "unsupported"), each(text)),
    **dict.fromkeys(
        (
            "model",
            "model_sha256",
            "system_prompt",
            "history_from",
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


def _part(value: Any) -> dict[str, Any]:
    """A part of an answer: what its sums and its beginning are read from is always there."""
    return {"completion_tokens": 0, "from_char": 0, **_PART(value)}


_PART = record({**_FACTS, "completion_tokens": whole})
_PROVENANCE = record({**_FACTS, "parts": each(_part)})
_ERROR = record({"code": text, "params": mapping}, needs=("code",))


def provenance(value: Any) -> dict[str, Any]:
    """Return an answer's record with what readers can count on."""
    kept: dict[str, Any] = _or_none(_PROVENANCE, plain(value)) or {}
    return kept


def error(value: Any) -> dict[str, Any] | None:
    """Return the error that a message keeps, None when it keeps none."""
    if not value:
        return None
    kept = _or_none(_ERROR, plain(value))
    return {"params": {}, **kept} if kept else {"code": "unexpected", "params": {"reason": ""}}


def event_data(value: Any) -> dict[str, Any]:
    """Return the facts of one thing that the guard noticed."""
    kept: dict[str, Any] = _or_none(_EVENT_DATA, plain(value)) or {}
    return kept
