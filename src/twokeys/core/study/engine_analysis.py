"""Whether the engines of a study wrote alike: the check beside its verdicts.

Blocks were given to engines at random, so the prompts of one engine are like those of another; what differs
between them by more than chance is the engines' doing.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from twokeys.core import stats
from twokeys.core.study.engine_check import EngineCheck, EngineDifference, EngineShare, Seeds
from twokeys.core.study.measure import ANSWER_MEASURES
from twokeys.core.study.study import Study
from twokeys.core.study.table import Array, Ints, Table

LEAST_PROMPTS = 3
"""An engine with fewer prompts is left out of the test."""

PERMUTATIONS = 2000


def check_engines(
    study: Study, answers: Sequence[Mapping[str, Any]], engines: Mapping[str, Mapping[str, Any]]
) -> EngineCheck | None:
    """Return the check; None where no answer carries its engine. answers: rows "a/…", by name (rows.py)."""
    rows = [row for row in answers if "m" in row]
    if not rows:
        return None
    written = Counter(row["m"] for row in rows)
    prompts = Counter({row["p"]: row["m"] for row in rows}.values())
    names = sorted(written)
    shares = tuple(EngineShare(name, engines.get(name, {}), written[name], prompts[name]) for name in names)
    return EngineCheck(shares, _differences(study, rows, names), _seeds(shares))


def _seeds(shares: Sequence[EngineShare]) -> Seeds:
    """Return whether all engines wrote the same text of the probe's seed."""
    probes = {str(share.facts.get("probe") or "") for share in shares}
    if len(probes - {""}) > 1:
        return "differ"
    return "unknown" if "" in probes else "same"


def _differences(
    study: Study, rows: Sequence[Mapping[str, Any]], names: Sequence[str]
) -> tuple[EngineDifference, ...]:
    measures = [name for name in study.outcomes if name in ANSWER_MEASURES]
    of_prompt = {row["p"]: names.index(row["m"]) for row in rows}
    enough = [number for number, count in Counter(of_prompt.values()).items() if count >= LEAST_PROMPTS]
    prompts = sorted(prompt for prompt, engine in of_prompt.items() if engine in enough)
    if len(enough) < 2 or not measures:
        return ()
    groups = np.array([of_prompt[prompt] for prompt in prompts], dtype=np.int64)
    means = Table.of_answers(study, rows).prompt_means()
    tested: list[tuple[str, float]] = []
    for measure in measures:
        by_cell = means[:, prompts, ANSWER_MEASURES.index(measure)]
        there = ~np.isnan(by_cell).any(axis=0)  # a prompt that lacks a cell says more of the cell than of it
        if len(set(groups[there].tolist())) > 1:
            tested.append((measure, _between(by_cell[:, there].mean(axis=0), groups[there])))
    corrected = stats.holm(np.array([p for _, p in tested]))
    return tuple(
        EngineDifference(measure, p, float(p_holm))
        for (measure, p), p_holm in zip(tested, corrected, strict=True)
    )


def _between(values: Array, groups: Ints) -> float:
    """Return p of the between-group sum of squares among random assignments of the groups."""
    if np.ptp(values) == 0:
        return 1.0
    shuffled = np.random.default_rng(0).permuted(np.tile(groups, (PERMUTATIONS, 1)), axis=1)
    seen = _spread(values, groups[None, :])[0]
    as_large = np.count_nonzero(_spread(values, shuffled) >= seen * (1 - 1e-9))
    return float((as_large + 1) / (PERMUTATIONS + 1))


def _spread(values: Array, groups: Ints) -> Array:
    """Return Σ n·(mean − grand mean)² for each row of groups."""
    centred = values - values.mean()
    total = np.zeros(len(groups))
    for group in np.unique(groups):
        member = groups == group
        total += (member @ centred) ** 2 / member.sum(axis=1)
    return total
