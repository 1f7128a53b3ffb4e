"""A comparison as a file: JSON with everything, Markdown with a table to be read by people."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from twokeys import __version__
from twokeys.core.compare.comparison import ColumnView, Comparison
from twokeys.core.compare.figures import Figures
from twokeys.core.structured.markdown import message_markdown
from twokeys.i18n import translate
from twokeys.types import PARAMETERS, Message, Sampling, TokenProb, Vote

FORMAT = "twokeys.comparison"
ALWAYS_SHOWN = (
    "temperature",
    "max_new_tokens",
    "top_p",
    "top_k",
    "min_p",
    "repetition_penalty",
    "order",
    "seed",
)
"""The parameters that the table has even where every column leaves them at their defaults."""


@dataclass(frozen=True, slots=True)
class ColumnVersion:
    """One version of a column with all that is kept of it."""

    answer: Message
    figures: Figures
    probs: Sequence[TokenProb]


def to_json(comparison: Comparison, versions: Mapping[str, ColumnVersion], votes: Sequence[Vote]) -> str:
    """Return the whole comparison. versions: of all columns, by answer.

    A column has its shown version's values and, under other_versions, those of its other ones. A
    token's probabilities are [text, id, log-probability, start, [[text, id, log-probability], …]].
    """
    return json.dumps(
        {
            "format": FORMAT,
            "version": 1,
            "program": f"twokeys {__version__}",
            "id": comparison.id,
            "title": comparison.title,
            "created_at": comparison.created_at,
            "system_prompt": comparison.system_prompt,
            "history": [{"role": m.role, "content": m.content} for m in comparison.history],
            "question": comparison.question.content,
            "same_seed": comparison.same_seed,
            "sharing": comparison.sharing,
            "prefill": asdict(comparison.prefill),
            "task_type": comparison.task_type,
            "columns": [_column(view, versions) for view in comparison.columns],
            "votes": [{"created_at": vote.created_at, **vote.data} for vote in votes],
        },
        ensure_ascii=False,
    )


def _column(view: ColumnView, versions: Mapping[str, ColumnVersion]) -> dict[str, object]:
    return {
        "name": view.name,
        "label": view.label,
        "preset": view.preset,
        "system_prompt": view.system_prompt,
        "answer_schema": view.answer_schema and view.answer_schema.to_dict(),
        "sampling": view.sampling.to_dict(),
        **_version(versions[view.answer.id]),
        "other_versions": [
            _version(versions[answer_id]) for answer_id in view.answer_ids if answer_id != view.answer.id
        ],
    }


def _version(version: ColumnVersion) -> dict[str, object]:
    answer = version.answer
    return {
        "id": answer.id,
        "text": answer.content,
        "state": answer.state,
        "finish_reason": answer.finish_reason,
        "error": answer.error,
        "provenance": answer.provenance.to_dict(),
        "figures": asdict(version.figures),
        "probs": [
            [
                prob.text,
                prob.token_id,
                prob.logprob,
                prob.start,
                [[candidate.text, candidate.token_id, candidate.logprob] for candidate in prob.alternatives],
            ]
            for prob in version.probs
        ],
    }


def to_markdown(comparison: Comparison, figures: Sequence[Figures], language: str) -> str:
    """Return question, table and answers; parameters stay hidden while a blind vote goes on."""

    def say(key: str, **values: object) -> str:
        return translate(f"comparison.{key}", language, **values)

    hidden = comparison.blind is not None and not comparison.blind.revealed
    order = comparison.blind.order if hidden and comparison.blind else range(len(comparison.columns))
    views = [comparison.columns[number] for number in order]
    names = [chr(ord("A") + place) if hidden else view.name for place, view in enumerate(views)]
    rows: list[tuple[str, list[str]]] = []
    if not hidden:
        shown_names = [name for name in PARAMETERS if name in ALWAYS_SHOWN or _is_set(name, views)]
        rows += [(name, [_plain(getattr(view.sampling, name)) for view in views]) for name in shown_names]
        if any(view.preset for view in views):
            rows.append((say("table.preset"), [view.preset or "–" for view in views]))
    measured = [asdict(figures[view.index]) for view in views]
    for name in measured[0]:
        rows.append((say(f"figure.{name}.title"), [_figure(name, values, say) for values in measured]))
    lines = [f"# {_line(comparison.title)}", ""]
    if comparison.system_prompt.strip():
        lines += [f"**{say('table.system_prompt')}**", "", *_quoted(comparison.system_prompt), ""]
    lines += [*_quoted(comparison.question.content), ""]
    lines += ["| " + " | ".join(["", *map(_cell, names)]) + " |", "|---" * (len(names) + 1) + "|"]
    lines += ["| " + " | ".join([_cell(title), *map(_cell, cells)]) + " |" for title, cells in rows]
    if comparison.sharing is not None:
        lines += ["", say(f"sharing.{comparison.sharing}")]
    for name, view in zip(names, views, strict=True):
        lines += ["", f"## {_line(name)}", "", message_markdown(view.answer).strip() or "–"]
    return "\n".join(lines) + "\n"


def _figure(name: str, values: Mapping[str, Any], say: Any) -> str:
    value = values[name]
    if value is None:
        return "–"
    if name == "finish_reason":
        return str(say(f"finish.{value}"))
    if isinstance(value, float):
        return f"{value:.2f}" if name in ("tok_per_s", "ttft_s") else f"{value:.3f}"
    return str(value)


def _is_set(name: str, views: Sequence[ColumnView]) -> bool:
    return any(getattr(view.sampling, name) != getattr(Sampling(), name) for view in views)


def _plain(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(repr, value)) or "–"
    return "–" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _cell(text: str) -> str:
    return _line(text).replace("|", "\\|")


def _line(text: str) -> str:
    return " ".join(text.split())


def _quoted(text: str) -> list[str]:
    return [f"> {line}".rstrip() for line in text.strip().splitlines()]
