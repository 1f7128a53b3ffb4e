"""Findings of papers as studies that anybody can run on a model of their own, and what a run says of each.

A paper's direction is the hypothesis: it holds, does not hold, or is undecided, on this model, with these
questions. The studies are among the shipped ones; several papers are read off one exact study. How a run is
judged is in paper_rules.py. Says nothing of whether a paper is right about its own models.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Literal, Self

from twokeys.i18n import translate

PaperVerdict = Literal["holds", "fails", "undecided"]


@dataclass(frozen=True, slots=True)
class Paper:
    """A finding to be tried. study: the shipped study; measure: of it, that decides.

    margin: the smallest difference that matters, in `unit`; anything smaller counts as none. It is fixed
    here, before any run. None where the finding is not a difference.
    """

    name: str
    arxiv: str
    study: str
    measure: str
    margin: float | None = None
    unit: Literal["share", "score"] = "share"

    def title(self, language: str) -> str:
        return translate(f"lab.paper.{self.name}.title", language)

    def hypothesis(self, language: str) -> str:
        """Return what the paper found, as the hypothesis that is tried."""
        return translate(f"lab.paper.{self.name}.says", language)

    def margin_text(self, language: str) -> str:
        """Return the smallest difference that matters, as people read it; "" where there is none."""
        if self.margin is None:
            return ""
        number = f"{self.margin * 100:g}" if self.unit == "share" else f"{self.margin:g}"
        return translate(f"lab.paper.margin.{self.unit}", language, number=number)

    @property
    def url(self) -> str:
        return f"https://arxiv.org/abs/{self.arxiv}"


PAPERS: tuple[Paper, ...] = (
    Paper("loops", "2603.08274", "paper-loops", "looped", 0.1),
    Paper("turning", "2502.05234", "paper-turning", "entropy"),
    Paper("union", "2510.02611", "claims-exact", "chance", 0.02),
    Paper("length", "2505.16234", "paper-length", "length_score", 10.0, "score"),
    Paper("cuts", "2506.13681", "claims-exact", "chance", 0.05),
    Paper("choice", "2402.05201", "claims-exact", "chance", 0.05),
)
BY_NAME: Mapping[str, Paper] = {paper.name: paper for paper in PAPERS}


@dataclass(frozen=True, slots=True)
class PaperResult:
    """What one model's run says of one paper.

    figure with low … high: the deciding number and its 95 % interval, a difference of shares but for
    "turning" (a temperature) and "length" (points). units: independent ones it rests on. values: what
    `sentence` fills in.
    """

    paper: str
    model: str
    verdict: PaperVerdict
    figure: float | None = None
    low: float | None = None
    high: float | None = None
    units: int = 0
    values: Mapping[str, Any] = field(default_factory=dict)

    def sentence(self, language: str) -> str:
        """Return what was found, and the verdict in words."""
        parts = [translate(f"lab.paper.{self.paper}.found", language, **self.values)]
        if self.values.get("more"):
            parts.append(translate(f"lab.paper.{self.paper}.more", language, **self.values))
        parts.append(translate(f"lab.paper.verdict.{self.verdict}", language))
        return ("" if language == "zh" else " ").join(parts)

    def verdict_text(self, language: str) -> str:
        return translate(f"lab.paper.word.{self.verdict}", language)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        return cls(**values)


@cache
def load_papers() -> tuple[PaperResult, ...]:
    """Return what the shipped runs found, a row for each paper and model."""
    text = files(__package__).joinpath("claims.json").read_text(encoding="utf-8")
    return tuple(PaperResult.from_dict(row) for row in json.loads(text).get("papers", ()))


def known_papers(own: Sequence[PaperResult]) -> list[PaperResult]:
    """Return one's own rows first, then the shipped ones that are not of the same paper and model."""
    mine = {(row.paper, row.model) for row in own}
    return [*own, *(row for row in load_papers() if (row.paper, row.model) not in mine)]
