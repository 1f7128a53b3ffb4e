"""A study's stored rows: measures by name, and how rows of earlier versions are read.

A row is {"c": cell, "p": prompt, "s": number of the seed, "v": {measure: value}}; a measure that does not
apply to an answer is not in it. A failed answer has its error's code as "e", one that could not be judged
the reason as "j" (judge.py). In earlier rows "v" is a list in the order that measures had at the time.
Knows neither the store nor the archives.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from twokeys.core.study.measure import FORMER_NAMES

ANSWER_ORDER = (
    "tokens", "truncated", "ttft_s", "total_s", "tok_per_s", "memory_bytes", "distinct_1", "distinct_2",
    "distinct_3", "rep_4", "rep_tail", "entropy", "mean_nll", "drift", "correct", "length_score",
    "guard_events", "looped", "complete", "stalls",
)  # fmt: skip
"""The order of lists of which none is stored: those of archives. Never changed: it is what was written."""
SET_ORDER = ("self_bleu", "similarity")
"""The same of measures of sets of answers."""


def stored_values(values: Mapping[str, float]) -> dict[str, float]:
    """Return measures as they are stored: six digits, without those that do not apply."""
    return {name: float(f"{value:.6g}") for name, value in values.items() if not math.isnan(value)}


def named_rows(
    rows: Sequence[Mapping[str, object]], order: Sequence[str] = ANSWER_ORDER
) -> list[Mapping[str, Any]]:
    """Return stored rows with their measures by name. order: of those that are lists."""
    return [row if _is_named(row["v"]) else {**row, "v": _named(row["v"], order)} for row in rows]


def text_rows(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the stored rows of texts with the curves along them by the names they have now."""
    return [
        {**row, "along": _renamed(row["along"])} if FORMER_NAMES.keys() & row.get("along", {}).keys() else row
        for row in rows
    ]


def _is_named(values: object) -> bool:
    return isinstance(values, Mapping) and not FORMER_NAMES.keys() & values.keys()


def _named(values: Any, order: Sequence[str]) -> dict[str, float]:
    if isinstance(values, Mapping):
        return _renamed(values)
    listed = {name: value for name, value in zip(order, values, strict=False) if value is not None}
    return _renamed(listed)


def _renamed(values: Mapping[str, object]) -> dict[str, Any]:
    return {FORMER_NAMES.get(name, name): value for name, value in values.items()}
