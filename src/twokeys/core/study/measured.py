"""What studies measured by temperature on one model, in one line: for the temperature's slider.

Read off any finished study with cells that differ in temperature alone. Compares nothing and judges nothing:
that is the study's own report. What the shipped runs measured is in claims.json, under "measured".
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Self

from twokeys.core.study.evidence import Evidence
from twokeys.core.study.study import Study
from twokeys.i18n import translate

MEASURES: tuple[str, ...] = ("looped", "chance", "correct")
FEWEST = 8
"""Fewer answers a temperature are not worth a line."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Shares by temperature on one model.

    points: (temperature, share), colder first; answers: of each temperature, the fewest. study_id: of the
    study stored here, "" where it is a shipped run.
    """

    model: str
    measure: str
    points: tuple[tuple[float, float], ...]
    answers: int
    study: str
    study_id: str = ""

    def phrase(self, language: str) -> str:
        """Return the coldest and the hottest of the usual range: "loops 9 % at 0.1, 1 % at 0.7"."""
        usual = [point for point in self.points if 0.1 <= point[0] <= 1.0] or list(self.points)
        shown = [usual[0], usual[-1]] if len(usual) > 1 else usual
        parts = [
            translate("lab.measured.at", language, share=f"{share:.0%}", temperature=_short(temperature))
            for temperature, share in shown
        ]
        said = translate("lab.measured.and", language).join(parts)
        return translate(f"lab.measured.{self.measure}", language, points=said)

    def to_dict(self) -> dict[str, Any]:
        values = asdict(self)
        del values["study_id"]
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        points = tuple((float(at), float(share)) for at, share in values["points"])
        return cls(**{**values, "points": points})


def measured_in(evidence: Evidence, study_id: str = "") -> tuple[Measured, ...]:
    """Return what a study says by temperature, a row for each measure that it is about."""
    places = by_temperature(evidence.study)
    rows = []
    for measure in (name for name in MEASURES if name in evidence.study.outcomes):
        values: dict[float, list[float]] = {}
        for row in evidence.answers:
            temperature = places.get(row["c"])
            if temperature is not None and measure in row["v"]:
                values.setdefault(temperature, []).append(float(row["v"][measure]))
        fewest = min((len(of) for of in values.values()), default=0)
        if len(values) > 1 and fewest >= FEWEST:
            points = tuple((at, round(sum(of) / len(of), 4)) for at, of in sorted(values.items()))
            rows.append(Measured(evidence.model, measure, points, fewest, evidence.study.name, study_id))
    return tuple(rows)


def by_temperature(study: Study) -> dict[int, float]:
    """Return the temperatures of the largest group of cells that differ in nothing else, by their places."""
    groups: dict[str, dict[int, float]] = {}
    for place, cell in enumerate(study.cells):
        others = {
            name: value for name, value in cell.to_dict().items() if name not in ("name", "temperature")
        }
        group = groups.setdefault(json.dumps(others, sort_keys=True, default=str), {})
        group[place] = cell.sampling_on(study.base).temperature
    return max(groups.values(), key=len, default={})


def best(rows: Iterable[Measured]) -> tuple[Measured, ...]:
    """Return one row for each measure, in their order: that with the most answers.

    "correct" stays out beside "chance", which is the same thing counted exactly.
    """
    chosen: dict[str, Measured] = {}
    for row in rows:
        if row.measure not in chosen or row.answers > chosen[row.measure].answers:
            chosen[row.measure] = row
    if "chance" in chosen:
        chosen.pop("correct", None)
    return tuple(chosen[measure] for measure in MEASURES if measure in chosen)


def sentence(rows: Sequence[Measured], language: str) -> str:
    """Return all of it as one line; "" where nothing was measured."""
    if not rows:
        return ""
    said = translate("lab.measured.then", language).join(row.phrase(language) for row in rows)
    return translate("lab.measured.here", language, said=said)


@cache
def load_measured() -> tuple[Measured, ...]:
    """Return what the shipped runs measured."""
    text = files(__package__).joinpath("claims.json").read_text(encoding="utf-8")
    return tuple(Measured.from_dict(row) for row in json.loads(text).get("measured", ()))


def _short(temperature: float) -> str:
    """Return a temperature as it is written on the slider: 0.7, 1.0, 0.85."""
    return max(f"{temperature:.1f}", f"{temperature:g}", key=len)
