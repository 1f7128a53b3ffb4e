"""The claims C1–C15: what each says, and what was found of it on which model.

The results of the shipped study are in claims.json. How a claim is examined is in claim_rules.py.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Literal, Self

from twokeys.i18n import translate
from twokeys.units import signed_text

ClaimVerdict = Literal["confirmed", "refuted", "undecided"]
SHARES = ("C7", "C9")
"""Claims whose figure is a share; the other shares are differences, in percentage points."""
CLAIMS: tuple[str, ...] = tuple(f"C{number}" for number in range(1, 16))


@dataclass(frozen=True, slots=True)
class ClaimResult:
    """What one model's study found of one claim.

    figure with low … high: the deciding number and its 95 % interval in `unit`, wide enough for all
    comparisons of its study together (see docs/lab.md);
    None where there is none. study: the name of the study it comes from. answers: how many
    answers it rests on, 0 when nothing here can examine it. values: what `sentence` fills in; "how"
    among them names its wording where there is more than one, "why" the reason for which it is undecided.
    """

    claim: str
    model: str
    verdict: ClaimVerdict
    figure: float | None = None
    low: float | None = None
    high: float | None = None
    unit: str = ""
    study: str = ""
    answers: int = 0
    values: Mapping[str, Any] = field(default_factory=dict)

    def sentence(self, language: str) -> str:
        """Return what was found, in "zh" or "en"."""
        if self.answers == 0:
            return translate(f"lab.claim.{self.claim}.untested", language)
        values = {name: value for name, value in self.values.items() if name != "how"}
        how = self.values.get("how", "found")
        sentence = translate(f"lab.claim.{self.claim}.{how}", language, model=self.model, **values)
        if "why" not in values:
            return sentence
        why = translate(f"lab.claim.why.{values['why']}", language, **values)
        return f"{sentence}{'' if language == 'zh' else ' '}{why}"

    def figure_text(self, language: str) -> str:
        """Return the deciding number with its interval as people read it; "" without one."""
        if self.figure is None or math.isnan(self.figure):
            return ""
        whole = self.claim in SHARES or self.values.get("how") == "read"
        text = self._figure(self.figure, whole)
        if self.low is not None and self.high is not None:
            text += f" [{self._figure(self.low, whole)}, {self._figure(self.high, whole)}]"
        if self.unit == "share":
            return f"{text} %" if whole else translate("lab.points", language, number=text)
        keys = {"MiB": "mib", "× − 2": "times"}
        return translate(f"lab.unit.{keys.get(self.unit, self.unit)}", language, number=text)

    def _figure(self, value: float, whole: bool) -> str:
        if self.unit == "share":
            return f"{value * 100:.0f}" if whole else signed_text(value * 100)
        if self.unit == "nats":
            return signed_text(value, 2)
        return f"{value + 2:.2f}" if self.unit == "× − 2" else f"{value:.3g}".replace("-", "−")

    def decided_by(self, language: str) -> str:
        """Return what would decide the claim where it is undecided; "" where it is decided."""
        if not self.undecided:
            return ""
        what = translate(f"lab.claim.{self.claim}.decide", language)
        return translate("lab.claim.verdict.decide", language, what=what)

    @property
    def undecided(self) -> bool:
        return self.verdict == "undecided"

    def verdict_text(self, language: str) -> str:
        """Return the verdict as one word."""
        return translate(f"lab.claim.verdict.{self.verdict}", language)

    def scope(self, language: str) -> str:
        """Return what a small model's result does and does not say of the 7B."""
        return translate(f"lab.claim.{self.claim}.scope", language)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        return cls(**values)


def claim_text(claim: str, language: str) -> str:
    """Return a claim in our words."""
    return translate(f"lab.claim.{claim}.text", language)


@cache
def load_claims() -> tuple[ClaimResult, ...]:
    """Return what the shipped study found, a row for each claim and model."""
    text = files(__package__).joinpath("claims.json").read_text(encoding="utf-8")
    return tuple(ClaimResult.from_dict(row) for row in json.loads(text)["claims"])


def known_claims(own: Sequence[ClaimResult]) -> list[ClaimResult]:
    """Return one's own rows first, then the shipped study's rows of other models.

    What was not examined here stays as the shipped study found it on the same model.
    """
    examined = {(row.model, row.claim) for row in own}
    shipped = {(row.model, row.claim): row for row in load_claims()}
    mine = [row if row.answers else shipped.get((row.model, row.claim), row) for row in own]
    return [*mine, *(row for row in load_claims() if (row.model, row.claim) not in examined)]
