"""What a grammar changes: the shares of valid and of right answers with and without it, by temperature.

Read off the study `structured`, each temperature compared with itself. Says nothing of other texts or forms.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Self

from twokeys.core.study.evidence import Evidence
from twokeys.core.study.result import MUCH_AT_BOUND, Kind
from twokeys.i18n import translate
from twokeys.units import signed_text

STUDY = "structured"
"""The shipped study that this is read off."""


@dataclass(frozen=True, slots=True)
class ShareChange:
    """A share (0–1) without and with a grammar.

    low … high: 95 % interval of the difference, wide enough for all comparisons of the measure together; None
    with too few texts. kind: "different", "same" (no difference that matters) or "undecided". at_bound: share
    of the texts that are at the same bound both ways, where nothing can differ.
    """

    without: float
    held: float
    low: float | None
    high: float | None
    kind: Kind
    at_bound: float = 0.0


@dataclass(frozen=True, slots=True)
class FormFinding:
    """What one model's run of the study says at one temperature. texts: how many it rests on."""

    model: str
    temperature: float
    texts: int
    valid: ShareChange
    correct: ShareChange

    @property
    def answers(self) -> int:
        return 2 * self.texts

    def sentence(self, language: str) -> str:
        """Return what was found, in "zh" or "en"."""
        return translate(
            "lab.forms.found",
            language,
            temperature=f"{self.temperature:g}",
            valid=_change_text(self.valid, language),
            correct=_change_text(self.correct, language),
        )

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        shares = {name: ShareChange(**values[name]) for name in ("valid", "correct")}
        return cls(**{**values, **shares})


def examine_forms(evidence: Evidence) -> tuple[FormFinding, ...]:
    """Return a row for each temperature that was asked with and without a grammar."""
    cells = {
        (cell.grammar, float(cell.sampling_on(evidence.study.base).temperature)): cell.name
        for cell in evidence.study.cells
    }
    rows = []
    for held, temperature in sorted(cells):
        if not held or (False, temperature) not in cells:
            continue
        pair = cells[True, temperature], cells[False, temperature]
        changes = [_change(evidence, measure, *pair) for measure in ("valid", "correct")]
        if None not in changes:
            valid, correct = changes
            rows.append(FormFinding(evidence.model, temperature, evidence.prompts, valid, correct))  # type: ignore[arg-type]
    return tuple(rows)


@cache
def load_forms() -> tuple[FormFinding, ...]:
    """Return what the shipped runs found, a row for each model and temperature."""
    text = files(__package__).joinpath("forms.json").read_text(encoding="utf-8")
    return tuple(FormFinding.from_dict(row) for row in json.loads(text)["forms"])


def known_forms(own: Sequence[FormFinding]) -> list[FormFinding]:
    """Return one's own rows first, then the shipped ones of other models."""
    models = {row.model for row in own}
    return [*own, *(row for row in load_forms() if row.model not in models)]


def _change(evidence: Evidence, measure: str, held: str, without: str) -> ShareChange | None:
    compared = evidence.compare(measure, held, without)
    if compared is None:
        return None
    shares = [evidence.values(measure, cell) for cell in (without, held)]
    before, after = (sum(values) / len(values) for values in shares)
    return ShareChange(
        before, after, compared.low_corrected, compared.high_corrected, compared.kind, compared.at_bound.both
    )


def _change_text(change: ShareChange, language: str) -> str:
    key: str = change.kind
    if change.kind == "same" and change.at_bound > MUCH_AT_BOUND:
        key = "same_at_bound"
    return translate(
        f"lab.forms.{key}",
        language,
        without=f"{change.without:.0%}",
        held=f"{change.held:.0%}",
        low=_points(change.low),
        high=_points(change.high),
        share=f"{change.at_bound:.0%}",
    )


def _points(value: float | None) -> str:
    return signed_text(None if value is None else value * 100, 0)
