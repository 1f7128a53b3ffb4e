"""The lab's speed: a grid beside a plain client that sends it one after another, and the analysis.

    python benchmarks/lab.py --model PATH.gguf        the grid, on a real model (about two minutes)
    python benchmarks/lab.py --analysis               100 000 stored rows

The plain client is what a person would write: the `openai` package (`pip install -e '.[bench]'`) against the
same worker's /v1/chat/completions, one request after another, cell after cell, prompt after prompt, each
answer generated. The grid is the usual one of a person who asks "which temperature, which length":
3 temperatures × 2 lengths × prompts × seeds.
"""

import argparse
import json
import os
import random
import tempfile
import time
from pathlib import Path
from typing import Any

from twokeys.config import load_config
from twokeys.core.study.measure import ANSWER_MEASURES
from twokeys.core.study.prompt import choose_prompts
from twokeys.core.study.study import Study, grid_cells
from twokeys.core.study.trial import Trial, sampling_of
from twokeys.engines.local import LocalEngine
from twokeys.services import Services, build_services
from twokeys.types import Sampling

GOAL_RATIO = 1.3
GOAL_ANALYSIS_S = 2.0
NO_CLIENT = (
    "The grid is measured beside the OpenAI client, which is not installed: pip install -e '.[bench]', "
    "then run this again."
)


def grid(prompts: list[str], seeds: int, lengths: list[int], slots: int | None) -> Study:
    """3 temperatures × the lengths, with whatever else the product measures left on."""
    return Study(
        name="benchmark",
        prompts=choose_prompts(prompts),
        cells=grid_cells({"temperature": [0.3, 0.7, 1.0], "max_new_tokens": lengths}),
        seeds=seeds,
        base=Sampling(),
        slots=slots,
    )


def run_lab(services: Services, study: Study) -> float:
    """Return the seconds that the lab takes, measures and storing included."""
    view = services.lab.create(study)
    start = time.perf_counter()
    services.lab.start(view.id)
    ended = services.lab.wait(view.id)
    seconds = time.perf_counter() - start
    if ended.state != "done":
        raise SystemExit(f"the study ended as {ended.state}: {ended.error}")
    return seconds


def openai_client() -> Any:
    """Return the OpenAI client's class. Ends the program with what to install when it is missing."""
    try:
        from openai import OpenAI
    except ImportError as exc:
        raise SystemExit(NO_CLIENT) from exc
    return OpenAI


def all_trials(study: Study) -> list[Trial]:
    return [
        Trial(cell, prompt, number)
        for prompt in range(len(study.prompts))
        for cell in range(len(study.cells))
        for number in range(study.seeds)
    ]


def plain_client(make: Any, engine: LocalEngine) -> Any:
    """Return an OpenAI client of the very same worker, which never asks twice."""
    server: Any = engine._server
    key = server._client.headers["authorization"].removeprefix("Bearer ")
    return make(base_url=f"{server.base_url}/v1", api_key=key, timeout=600, max_retries=0)


def run_plain(client: Any, study: Study) -> float:
    """Return the seconds of the plain client: cells, then prompts, then seeds, one after another."""
    trials = sorted(all_trials(study), key=lambda trial: (trial.cell, trial.prompt, trial.number))
    start = time.perf_counter()
    for trial in trials:
        sampling = sampling_of(study, trial)
        client.chat.completions.create(
            model="local",
            messages=[{"role": "user", "content": study.prompts[trial.prompt].text}],
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            max_tokens=sampling.max_new_tokens,
            seed=sampling.seed,
            extra_body={"top_k": sampling.top_k, "repeat_penalty": sampling.repetition_penalty},
        )
    return time.perf_counter() - start


def measure_grid(model: str, study: Study, rounds: int) -> dict[str, Any]:
    """Run both in turns on one warm engine; return the medians."""
    make = openai_client()
    with tempfile.TemporaryDirectory() as home:
        services = build_services(load_config({**os.environ, "TWOKEYS_HOME": home}, model=model))
        try:
            engine = services.jobs.loop.run(services.engines.ready())
            services.jobs.loop.run(engine.info(), timeout_s=120)
            assert isinstance(engine, LocalEngine)
            lab_s, plain_s = [], []
            with plain_client(make, engine) as client:
                for _ in range(rounds):
                    plain_s.append(run_plain(client, study))
                    lab_s.append(run_lab(services, study))
        finally:
            services.close()
    lab, plain = sorted(lab_s)[rounds // 2], sorted(plain_s)[rounds // 2]
    return {
        "answers": study.generations,
        "lab_s": round(lab, 1),
        "plain_s": round(plain, 1),
        "lab_cells_per_hour": round(3600 * study.generations / lab),
        "plain_cells_per_hour": round(3600 * study.generations / plain),
        "ratio": round(plain / lab, 2),
        "goal": GOAL_RATIO,
    }


def measure_analysis(rows: int = 100_000) -> dict[str, Any]:
    """Fill a store with invented rows and time the analysis from the database to the verdicts."""
    study = Study(
        name="large",
        prompts=choose_prompts(["fact-en", "fact-zh", "math-en", "math-zh", "choice-en", "choice-zh"]),
        cells=grid_cells({"temperature": [0.1, 0.3, 0.5, 0.7, 1.0], "top_k": [0, 20, 40]}),
        seeds=rows // (44 * 15) + 1,
    )
    rng = random.Random(1)
    with tempfile.TemporaryDirectory() as home:
        services = build_services(load_config({**os.environ, "TWOKEYS_HOME": home}))
        try:
            view = services.lab.create(study)
            documents = services.repository.documents
            trials = all_trials(study)[:rows]
            with services.repository.transaction():
                for trial in trials:
                    values = {name: round(rng.random() + trial.cell / 50, 6) for name in ANSWER_MEASURES}
                    row = {"c": trial.cell, "p": trial.prompt, "s": trial.number, "v": values}
                    documents.put_row(view.id, trial.key, row)
            services.lab.result(view.id, along=False)
            times = []
            for _ in range(5):
                services.lab._results.clear()
                start = time.perf_counter()
                result = services.lab.result(view.id, along=False)
                times.append(time.perf_counter() - start)
        finally:
            services.close()
    return {
        "rows": len(trials),
        "comparisons": len(result.comparisons),
        "seconds": round(sorted(times)[2], 2),
        "goal": GOAL_ANALYSIS_S,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path)
    parser.add_argument("--analysis", action="store_true")
    parser.add_argument("--prompts", nargs="+", default=["explain-en:3", "creative-en:1"])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--lengths", nargs="+", type=int, default=[64, 128])
    parser.add_argument("--slots", type=int, help="parallel slots of the lab; the plain client has one")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    if given.analysis or given.model is None:
        print(json.dumps({"analysis": measure_analysis()}))
    if given.model is not None:
        study = grid(given.prompts, given.seeds, given.lengths, given.slots)
        measured = measure_grid(str(given.model), study, given.rounds)
        print(json.dumps({"grid": measured}))


if __name__ == "__main__":
    main()
