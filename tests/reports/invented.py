"""An invented study with known truths, for pictures, reports and claims."""

import random
from typing import Any

from twokeys.core.study.evidence import Evidence
from twokeys.core.study.study import Study, shipped_studies

GRID = """
name = "grid"
title = "A <b>grid</b> & more"
seeds = 3
prompts = ["fact-zh", "math-en"]
outcomes = ["correct", "distinct_2", "self_bleu"]
baseline = "temperature=0.7, top_k=20"
[grid]
temperature = [0.3, 0.7, 1.0]
top_k = [0, 20]
"""


def evidence(study: Study, **truth: Any) -> Evidence:
    """Rows in which temperature makes answers diverse and wrong; truth: values by cell name."""
    rng = random.Random(1)
    answers, sets, texts = [], [], []
    for c, cell in enumerate(study.cells):
        heat = cell.sampling_on(study.base).temperature
        for p in range(len(study.prompts)):
            for s in range(study.seeds):
                values: dict[str, float] = {
                    "tokens": 80 + rng.random() * 40,
                    "truncated": 0.0,
                    "stalls": 0.0,
                    "distinct_2": 0.6 + 0.2 * heat + rng.gauss(0, 0.02),
                    "rep_4": max(0.0, 0.1 + rng.gauss(0, 0.01)),
                    "correct": float(rng.random() < 1.0 - 0.4 * heat),
                    "mean_nll": 0.4 + heat + rng.gauss(0, 0.1),
                    "entropy": 0.5 + heat + rng.gauss(0, 0.1),
                    "memory_bytes": 5e8 + (cell.setup.context or 0) * 12288.0 + rng.random() * 1e5,
                }
                values |= truth.get(cell.name, {})
                place = {"c": c, "p": p, "s": s}
                answers.append(place | {"v": values})
                along = {
                    "rep_4": [0.02 * step + rng.random() * 0.01 for step in range(32)],
                    "elapsed_s": [step + 0.02 * step * step for step in range(1, 33)],
                    "mean_nll": [1.0] * 32,
                }
                texts.append(place | {"text": f"answer {p} {s}", "along": along, "finish": "stop"})
            sets.append(
                {
                    "c": c,
                    "p": p,
                    "v": {"self_bleu": 60 - 30 * heat + rng.gauss(0, 5), "similarity": 0.8 - 0.4 * heat},
                }
            )
    return Evidence(study, "invented", answers, sets, texts, {"kind": "llama.cpp", "context": 8192})


def grid() -> Evidence:
    return evidence(Study.from_toml(GRID))


def claims() -> dict[str, Evidence]:
    return {name: evidence(study) for name, study in shipped_studies().items() if name.startswith("claims-")}
