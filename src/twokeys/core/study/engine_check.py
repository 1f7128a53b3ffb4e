"""Whether the engines of a study wrote alike: values and sentences. The numbers: engine_analysis.py."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from twokeys.i18n import translate

ALPHA = 0.05
Seeds = Literal["same", "differ", "unknown"]


@dataclass(frozen=True, slots=True)
class EngineShare:
    """What one engine is, and what it wrote. facts: as `fleet.engine_facts`."""

    name: str
    facts: Mapping[str, Any]
    answers: int
    prompts: int


@dataclass(frozen=True, slots=True)
class EngineDifference:
    """A measure between engines: p of the permutation test over prompts, p_holm over all measures."""

    measure: str
    p: float
    p_holm: float

    @property
    def shown(self) -> bool:
        return self.p_holm < ALPHA


@dataclass(frozen=True, slots=True)
class EngineCheck:
    """All engines of a study. seeds: whether the same seed gave the same text on all of them."""

    engines: tuple[EngineShare, ...]
    differences: tuple[EngineDifference, ...]
    seeds: Seeds

    def sentences(self, language: str) -> list[str]:
        """Return what has to be known of the engines, in "zh" or "en"."""
        if len(self.engines) < 2:
            return []
        differ = [
            translate(f"lab.measure.{difference.measure}.title", language)
            for difference in self.differences
            if difference.shown
        ]
        key = "untested" if not self.differences else "differ" if differ else "alike"
        separator = "、" if language == "zh" else ", "
        values = {"count": len(self.engines), "measures": separator.join(differ)}
        return [
            translate(f"lab.fleet.{key}", language, **values),
            translate(f"lab.fleet.seeds_{self.seeds}", language),
        ]

    def to_dict(self) -> dict[str, Any]:
        return {
            "seeds": self.seeds,
            "engines": [asdict(engine) for engine in self.engines],
            "differences": [
                {**asdict(difference), "differs": difference.shown} for difference in self.differences
            ],
        }
