"""A comparison as it is written down: the data of its document."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from twokeys.core.compare.column import Column
from twokeys.core.compare.comparison import Origin, Prefill, Sharing
from twokeys.types import AnswerSchema, Message, Sampling


@dataclass(slots=True)
class Record:
    """The data of the document. columns: see column_dict. prefill_tokens: of the prefill that is shared."""

    conversation_id: str
    question_id: str
    columns: list[dict[str, Any]]
    source: dict[str, Any] | None = None
    same_seed: bool = True
    sharing: Sharing | None = None
    prefill_tokens: int = 0
    task_type: str | None = None
    blind: dict[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Record":
        """Read a document's data; what a later version wrote beside it is left alone.

        Earlier versions kept prefill_tokens as {"reading": {"read_tokens": …}}.
        """
        former = values.get("reading")
        if isinstance(former, Mapping) and "prefill_tokens" not in values:
            values = {**values, "prefill_tokens": int(former.get("read_tokens") or 0)}
        known = {name: values[name] for name in cls.__slots__ if name in values}
        return cls(**known)


def source_dict(source: Origin) -> dict[str, object]:
    return {
        "conversation_id": source.conversation_id,
        "question_id": source.question_id,
        "parent_id": source.parent_id,
    }


def column_dict(column: Column, answer_id: str) -> dict[str, object]:
    """Return what is stored of a column. kept_as: messages in conversations, by answer."""
    return {
        "label": column.label,
        "sampling": column.sampling.to_dict(),
        "preset": column.preset,
        "system_prompt": column.system_prompt,
        "answer_schema": column.answer_schema and column.answer_schema.to_dict(),
        "answer_id": answer_id,
        "answer_ids": [answer_id],
        "kept_as": {},
    }


def read_column(values: Mapping[str, Any]) -> Column:
    schema = values.get("answer_schema")
    return Column(
        Sampling.from_dict(values["sampling"]),
        values["label"],
        values["preset"],
        values.get("system_prompt"),
        AnswerSchema.from_dict(schema) if schema is not None else None,
    )


def prefill_of(record: Record, answers: Sequence[Message]) -> Prefill:
    """Add up the prefill of all columns, from their own records."""
    firsts = [answer.provenance.parts[0] for answer in answers if answer.provenance.parts]
    counted = [(part, part.prompt_tokens) for part in firsts if part.prompt_tokens is not None]
    if not counted or record.sharing is None:
        return Prefill()
    own = sum(tokens - (part.cached_tokens or 0) for part, tokens in counted)
    started = [part.started_at for part, _ in counted if part.started_at]
    finished = [part.finished_at for part, _ in counted if part.finished_at]
    return Prefill(
        prompt_tokens=max(tokens for _, tokens in counted),
        processed_tokens=own + record.prefill_tokens,
        wall_s=max(finished) - min(started) if started and finished else None,
    )
