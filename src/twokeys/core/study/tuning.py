"""Tune for me: the best parameters for a goal with a fixed number of answers, proved on fresh ones.

First a search: Optuna's TPE sampler (Bergstra et al. 2011) proposes settings, each is scored on a few
prompts. Then the winner meets the default on prompts and seeds that the search never saw, as an
ordinary study; only when the interval of their difference lies on the good side is it offered. So
the search may overfit as it likes, and "the default is as good" is a result.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self, get_args

from twokeys.core.study.cell import SAMPLING_NAMES, Cell
from twokeys.core.study.measure import MIN_UNITS
from twokeys.core.study.prompt import StudyPrompt
from twokeys.core.study.result import MeasureComparison, StudyResult
from twokeys.core.study.study import Study
from twokeys.errors import BadParameter, Reason
from twokeys.types import BOUNDS, Sampling

Goal = Literal["correct", "diverse", "complete"]
SEARCH_SHARE = 0.6
PROMPTS_A_TRY = 4
MIN_BUDGET = 40
MIN_TRIES = 4
MOST_SEEDS = 20
COHERENCE_NATS = 0.5
"""A diverse setting's mean NLL may be so much above the default's before it counts as incoherent."""

DEFAULT_SPACE: Mapping[str, tuple[float, float]] = {
    "temperature": (0.1, 1.3),
    "top_p": (0.5, 1.0),
    "repetition_penalty": (1.0, 1.15),
}


@dataclass(frozen=True, slots=True)
class Tuning:
    """What to tune. Raises BadParameter.

    goal: "correct" (right answers), "diverse" (answers that differ from each other, without becoming
    incoherent), or "complete" (ended by itself within limit_s). space: parameter → (low, high) or a
    list of choices. budget: answers in all, which search and proof together do not exceed; at least
    `least_budget`, see `check`. base: what the default is.
    """

    name: str
    goal: Goal
    prompts: tuple[StudyPrompt, ...]
    budget: int = 120
    space: Mapping[str, Sequence[Any]] = field(default_factory=lambda: dict(DEFAULT_SPACE))
    base: Sampling = field(default_factory=lambda: Sampling(max_new_tokens=256))
    limit_s: float = 60.0
    seed: int = 1

    def __post_init__(self) -> None:
        if self.goal not in get_args(Goal):
            raise BadParameter(field="goal", value=self.goal, allowed=" | ".join(get_args(Goal)))
        if not self.space:
            raise BadParameter(field="space", value="", allowed=Reason("lab.tuning.space"))
        for axis, values in self.space.items():
            if axis not in SAMPLING_NAMES or len(values) < 2:
                raise BadParameter(field=axis, value=values, allowed=Reason("lab.tuning.values"))
            for value in values:
                self.base.with_(**{axis: value})

    def check(self) -> Self:
        """Return the tuning. Raises BadParameter when it can prove nothing: too few prompts or answers."""
        least = 2 * MIN_UNITS if self.goal == "diverse" else 4
        if len(self.usable) < least:
            key = "lab.tuning.checked" if self.goal == "correct" else "lab.tuning.prompts"
            raise BadParameter(field="prompts", value=len(self.usable), allowed=Reason(key, count=least))
        if (
            isinstance(self.budget, bool)
            or not isinstance(self.budget, int)
            or self.budget < self.least_budget
        ):
            raise BadParameter(field="budget", value=self.budget, allowed=f"≥ {self.least_budget}")
        return self

    @property
    def usable(self) -> tuple[StudyPrompt, ...]:
        """The prompts that can tell anything of the goal."""
        return tuple(p for p in self.prompts if p.checker) if self.goal == "correct" else self.prompts

    @property
    def searched(self) -> tuple[StudyPrompt, ...]:
        """The prompts of the search: every other one."""
        return self.usable[::2]

    @property
    def fresh(self) -> tuple[StudyPrompt, ...]:
        """The prompts of the proof, which the search never sees."""
        return self.usable[1::2]

    @property
    def seeds_a_try(self) -> int:
        return 2 if self.goal == "diverse" else 1

    @property
    def tries(self) -> int:
        """How many settings the search tries."""
        return max(MIN_TRIES, int(self.budget * SEARCH_SHARE) // self.answers_a_try)

    @property
    def answers_a_try(self) -> int:
        return min(PROMPTS_A_TRY, len(self.searched)) * self.seeds_a_try

    @property
    def least_budget(self) -> int:
        """The fewest answers: the shortest search, and a proof of MIN_UNITS units in both cells."""
        proof = 2 * MIN_UNITS * self.seeds_a_try
        return max(MIN_BUDGET, MIN_TRIES * self.answers_a_try + proof)

    @property
    def outcome(self) -> str:
        """The measure that proves the goal."""
        return {"correct": "correct", "diverse": "similarity", "complete": "complete"}[self.goal]

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "goal": self.goal,
            "prompts": [prompt.to_dict() for prompt in self.prompts],
            "budget": self.budget,
            "space": {axis: list(values) for axis, values in self.space.items()},
            "base": self.base.to_dict(),
            "limit_s": self.limit_s,
            "seed": self.seed,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        rest = dict(values)
        rest["prompts"] = tuple(StudyPrompt.from_dict(row) for row in values["prompts"])
        rest["space"] = {axis: tuple(of) for axis, of in values["space"].items()}
        rest["base"] = Sampling.from_dict(values["base"])
        return cls(**rest)


@dataclass(frozen=True, slots=True)
class Try:
    """One setting of the search and how it did; score None: not scored yet."""

    changes: Mapping[str, Any]
    score: float | None = None


def propose(tuning: Tuning, tried: Sequence[Try]) -> dict[str, Any]:
    """Return the next setting to try. The first is the default itself; the same tries give the same one."""
    if not tried:
        return {axis: _nearest(getattr(tuning.base, axis), values) for axis, values in tuning.space.items()}
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    space = {axis: _distribution(axis, values) for axis, values in tuning.space.items()}
    sampler = optuna.samplers.TPESampler(seed=tuning.seed + len(tried), n_startup_trials=4, multivariate=True)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    for attempt in tried:
        if attempt.score is not None:
            study.add_trial(
                optuna.trial.create_trial(
                    params=dict(attempt.changes), distributions=space, value=attempt.score
                )
            )
    return dict(study.ask(space).params)


def search_study(tuning: Tuning, number: int, changes: Mapping[str, object]) -> Study:
    """Return the little study that scores one setting: prompts in turn, seeds of its own."""
    prompts = tuning.searched
    count = min(PROMPTS_A_TRY, len(prompts))
    chosen = [prompts[(number * count + i) % len(prompts)] for i in range(count)]
    return Study(
        name=f"{tuning.name} {number + 1}",
        prompts=tuple(chosen),
        cells=(Cell("try", dict(changes)),),
        seeds=tuning.seeds_a_try,
        base=tuning.base,
        base_seed=tuning.seed + 1000 + number,
        outcomes=(),
    )


def proof_study(tuning: Tuning, changes: Mapping[str, object], spent: int) -> Study:
    """Return the study that sets the winner against the default: fresh prompts, fresh seeds.

    It takes as many of the fresh prompts as what is left of the budget allows, then more seeds.
    """
    a_cell = max(0, tuning.budget - spent) // 2
    prompts = tuning.fresh[: max(1, a_cell // tuning.seeds_a_try)]
    seeds = max(tuning.seeds_a_try, min(MOST_SEEDS, a_cell // len(prompts)))
    return Study(
        name=f"{tuning.name} proof",
        prompts=prompts,
        cells=(Cell("default"), Cell("tuned", dict(changes))),
        seeds=seeds,
        base=tuning.base,
        base_seed=tuning.seed + 500_000,
        baseline="default",
        outcomes=(tuning.outcome, *(("mean_nll",) if tuning.goal == "diverse" else ())),
        limit_s=tuning.limit_s,
    )


def score(tuning: Tuning, result: StudyResult, default_mean_nll: float | None) -> float:
    """Return how well a setting did, higher is better: what its one cell says of the goal."""
    cell = result.cells[0]

    def mean(name: str, fallback: float) -> float:
        estimate = cell.estimates.get(name)
        return estimate.mean if estimate is not None else fallback

    if tuning.goal == "correct":
        return mean("correct", 0.0)
    if tuning.goal == "complete":
        return mean("complete", 0.0)
    excess = 0.0
    if default_mean_nll is not None:
        excess = max(0.0, mean("mean_nll", math.inf) - default_mean_nll - COHERENCE_NATS)
    return 1.0 - mean("similarity", 1.0) - min(excess, 10.0)


def best(tried: Sequence[Try]) -> Try:
    """Return the try with the highest score; the earlier of equals."""
    scored = [attempt for attempt in tried if attempt.score is not None]
    return max(scored, key=lambda attempt: attempt.score if attempt.score is not None else -math.inf)


def proved(tuning: Tuning, result: StudyResult) -> MeasureComparison | None:
    """Return the comparison that proves the winner better, None when it does not.

    Its 95 % interval lies wholly on the good side and its permutation test agrees; a diverse winner
    must not have become incoherent.
    """
    by_name = {comparison.measure: comparison for comparison in result.comparisons}
    proof = by_name.get(tuning.outcome)
    if (
        proof is None
        or proof.kind != "different"
        or not proof.better
        or proof.low is None
        or proof.high is None
    ):
        return None
    if proof.low <= 0 <= proof.high:
        return None
    mean_nll = by_name.get("mean_nll")
    if mean_nll is not None and mean_nll.difference > COHERENCE_NATS:
        return None
    return proof


def _nearest(value: Any, values: Sequence[Any]) -> Any:
    if _is_range(values):
        return min(max(value, values[0]), values[1])
    return value if value in values else values[0]


def _is_range(values: Sequence[object]) -> bool:
    return len(values) == 2 and all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in values
    )


def _distribution(axis: str, values: Sequence[Any]) -> Any:
    import optuna

    if not _is_range(values):
        return optuna.distributions.CategoricalDistribution(list(values))
    if BOUNDS[axis].integer:
        return optuna.distributions.IntDistribution(int(values[0]), int(values[1]))
    return optuna.distributions.FloatDistribution(float(values[0]), float(values[1]))


def rounded(changes: Mapping[str, object]) -> dict[str, object]:
    """Return a setting as a person would write it: two decimals."""
    return {axis: round(value, 2) if isinstance(value, float) else value for axis, value in changes.items()}
