"""Provenance: what is written down with every answer (decision D4), as values and as JSON.

An answer is written in one or more parts (a first generation, then continuations). Each part keeps its
own facts; the answer's own record holds the sums and the last part's values. Where its rows are
odd, `store/shapes.py` has taken out what is before this reads it. How parts are recorded and add up is
the business of `core/provenance.py`.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, Self

if TYPE_CHECKING:
    from twokeys.types import FinishReason


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds and speeds of one generation.

    ttft_s: from the request to the first token, as seen by us. prompt_s, decode_s and tok_per_s:
    the engine's own figures where it gives them, else ours. None means not known.
    """

    ttft_s: float | None = None
    total_s: float | None = None
    prompt_s: float | None = None
    decode_s: float | None = None
    tok_per_s: float | None = None
    prompt_tok_per_s: float | None = None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        known = {f.name for f in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in known})


@dataclass(frozen=True, slots=True)
class GuardEvent:
    """Something the guard noticed. at_token / at_char: where in the answer. data: kind-specific."""

    kind: str
    level: Literal["note", "warn", "stop"]
    at_token: int
    at_char: int
    data: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values by the names of the fields."""
        return {**{f.name: getattr(self, f.name) for f in fields(self)}, "data": dict(self.data)}


@dataclass(frozen=True, slots=True)
class PartRecord:
    """The facts of one part of an answer. None: not known, or not so.

    sampling_set: the parameters asked for, by the names of Sampling. sampling_used: the engine's own
    echo; empty when the server does not tell. unsupported: parameters the server ignored. order, seed:
    in force, None when the server does not tell the order or does not obey the seed. engine: kind, build,
    context, slots and what else the engine says of itself. prompt_exact: the prompt was counted, not
    estimated. token_ids_complete: the ids are the whole part. from_char … to_char, from_token: where in
    the answer. removed_tail: text that the guard cut off, or a person. excluded: ids of the messages
    left out. history_from: the first message read after a force clear. summary: what was read in place of
    what stands above that. kind: what was asked for (send,
    continue, replay …). column: of a comparison. changed: name, before, after of what was changed to
    leave a loop. recovery: steps taken when memory ran out. documents: name, sha256, tokens and pages of
    those that were read. answer_schema: the form that was asked for, as AnswerSchema.to_dict has it.
    draft: name of what drafted, and the reason. more: what other versions have written down besides.
    """

    sampling_set: Mapping[str, Any] = field(default_factory=dict)
    sampling_used: Mapping[str, Any] = field(default_factory=dict)
    unsupported: tuple[str, ...] = ()
    order: str | None = None
    seed: int | None = None
    model: str | None = None
    model_sha256: str | None = None
    engine: Mapping[str, Any] = field(default_factory=dict)
    context: int | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    prompt_exact: bool = False
    token_ids_complete: bool = True
    finish_reason: "FinishReason | None" = None
    timings: Timings = field(default_factory=Timings)
    guard: tuple[GuardEvent, ...] = ()
    started_at: float | None = None
    finished_at: float | None = None
    from_char: int = 0
    to_char: int | None = None
    from_token: int = 0
    removed_tail: str | None = None
    kind: str | None = None
    system_prompt: str | None = None
    preset: str | None = None
    excluded: tuple[str, ...] | None = None
    history_from: str | None = None
    summary: str | None = None
    n_probs: int = 0
    column: int | None = None
    forked_from: Mapping[str, Any] | None = None
    replay_of: str | None = None
    changed: tuple[Mapping[str, Any], ...] = ()
    recovery: tuple[Mapping[str, Any], ...] = ()
    writing: Mapping[str, Any] | None = None
    documents: tuple[Mapping[str, Any], ...] = ()
    answer_schema: Mapping[str, Any] | None = None
    draft: Mapping[str, str] | None = None
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def engine_kind(self) -> str | None:
        """The kind of the engine that wrote it; see EngineInfo."""
        kind = self.engine.get("kind")
        return kind if isinstance(kind, str) else None

    @property
    def drafted(self) -> Mapping[str, int]:
        """Tokens that were drafted and those of them that were accepted; {} where nothing was drafted."""
        names = ("draft_tokens", "draft_accepted")
        return {name: int(self.engine[name]) for name in names} if self.engine.get(names[0]) else {}

    @property
    def sampling(self) -> Mapping[str, object]:
        """The parameters in force, as far as they are known."""
        return self.sampling_used or self.sampling_set

    @property
    def facts(self) -> dict[str, Any]:
        """The fields that are not at their default, by name."""
        empty = type(self)()
        return {
            f.name: value for f in fields(self) if (value := getattr(self, f.name)) != getattr(empty, f.name)
        }

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values by the names of the fields.

        What is not known is left out, but of a record that is complete only what is not so.
        """
        names = [name for name in self.facts if name != "more"]
        if self.finish_reason is not None:
            names += [name for name in _OF_COMPLETE if name not in names]
        return {**self.more, **{name: _plain(name, getattr(self, name)) for name in names}}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Build from what `to_dict` gives; names that are not known are kept in `more`."""
        names = {f.name for f in fields(cls)} - {"more"}
        known = {
            name: _READERS[name](value) if name in _READERS else value
            for name, value in values.items()
            if name in names and value is not None
        }
        return cls(**known, more={name: value for name, value in values.items() if name not in names})


@dataclass(frozen=True, slots=True)
class Provenance(PartRecord):
    """The record of an answer: the sums of its parts and the last one's values.

    guard_report: the guard's summary; `decay` has the line along the answer. cut_from: the whole
    answer that a person cut where it went downhill. kept_from: the comparison it was kept from.
    imported_from: the program whose export it came in. question_at: of a question, where the
    person's own words begin behind its documents.
    """

    parts: tuple[PartRecord, ...] = ()
    guard_report: Mapping[str, Any] | None = None
    cut_from: str | None = None
    kept_from: Mapping[str, Any] | None = None
    imported_from: str | None = None
    question_at: int = 0

    def __bool__(self) -> bool:
        return bool(self.facts)

    @property
    def drafted(self) -> Mapping[str, int]:
        """The sums over all parts; see PartRecord."""
        counts = [part.drafted for part in self.parts if part.drafted]
        return {name: sum(count[name] for count in counts) for name in (counts[0] if counts else ())}

    @property
    def decay(self) -> Mapping[str, Any] | None:
        """The line of self-repetition and new words: {"series", "downhill_at"}."""
        return (self.guard_report or {}).get("decay")

    @property
    def removed_tails(self) -> tuple[str, ...]:
        """What was cut off, part by part."""
        return tuple(part.removed_tail for part in self.parts if part.removed_tail)

    def stored(self) -> dict[str, Any]:
        """Return what the database keeps: as `to_dict`, but what says the same twice stands once.

        The one part of an answer is the answer's record; the parameters used are kept as they differ
        from those that were set.
        """
        values = self.to_dict()
        if len(self.parts) == 1 and _only_part(values) == self.parts[0].to_dict():
            del values["parts"]
        return _without_echo({**values, **_parts_without_echo(values)})

    @classmethod
    def from_stored(cls, values: Mapping[str, object]) -> Self:
        """Build from what `stored` gives."""
        return cls.from_dict(complete(values))


def complete(stored: Mapping[str, object]) -> dict[str, object]:
    """Return a stored record in full, as JSON: see `Provenance.stored`."""
    values = _with_echo(stored)
    parts = values.get("parts")
    if isinstance(parts, list):
        values["parts"] = [_with_echo(part) if isinstance(part, Mapping) else part for part in parts]
    elif values.get("finish_reason") is not None and "to_char" in values:
        values["parts"] = [_only_part(values)]
    return values


_DIFFERS = "sampling_differs"


def _without_echo(values: dict[str, Any]) -> dict[str, object]:
    asked, used = values.get("sampling_set"), values.get("sampling_used")
    if not asked or not used or not used.keys() >= asked.keys():
        return values
    differs = {name: value for name, value in used.items() if name not in asked or asked[name] != value}
    return {_DIFFERS: differs, **{name: value for name, value in values.items() if name != "sampling_used"}}


def _parts_without_echo(values: Mapping[str, Any]) -> dict[str, object]:
    return {"parts": [_without_echo(part) for part in values["parts"]]} if "parts" in values else {}


def _with_echo(values: Mapping[str, object]) -> dict[str, object]:
    full = {name: value for name, value in values.items() if name != _DIFFERS}
    differs, asked = values.get(_DIFFERS), values.get("sampling_set")
    if isinstance(differs, Mapping) and isinstance(asked, Mapping):
        full["sampling_used"] = {**asked, **differs}
    return full


_OF_COMPLETE = (
    *("sampling_set", "sampling_used", "unsupported", "order", "seed", "model", "model_sha256", "engine"),
    *("context", "prompt_tokens", "completion_tokens", "cached_tokens", "prompt_exact"),
    *("token_ids_complete", "timings", "guard", "started_at", "finished_at", "from_char", "to_char"),
    *("from_token", "system_prompt", "preset", "excluded", "history_from", "n_probs"),
)
"""What the record of every part that has ended names, known or not."""

_OF_ANSWERS = frozenset(f.name for f in fields(Provenance)) - frozenset(f.name for f in fields(PartRecord))


def _only_part(values: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in values.items() if name not in _OF_ANSWERS}


def _plain(name: str, value: Any) -> object:
    if name == "timings":
        return asdict(value)
    if name in ("guard", "parts"):
        return [entry.to_dict() for entry in value]
    if isinstance(value, tuple):
        return [dict(entry) if isinstance(entry, Mapping) else entry for entry in value]
    return dict(value) if isinstance(value, Mapping) else value


_READERS: Mapping[str, Any] = {
    "timings": Timings.from_dict,
    "guard": lambda events: tuple(GuardEvent(**event) for event in events),
    "parts": lambda parts: tuple(PartRecord.from_dict(part) for part in parts),
    "unsupported": tuple,
    "excluded": tuple,
    "changed": tuple,
    "recovery": tuple,
    "documents": tuple,
}
