"""A study on two engines beside one, and what one driver process and its SQLite file take.

    python benchmarks/cluster.py [--json OUT] [--rounds 3]

Engines that sleep instead of computing, so that only TwoKeys' own work is in the way. Every round runs all
ways one after another; figures are medians over the rounds, and the first is a ratio within each round.

- two_against_one: the same study on one and on two engines that take 0.4 s for an answer.
- driver_N_per_s: answers a second of a study on N engines that answer at once: measuring, storing and giving
  out are all that is left. driver_N_cpu_ms: its processor time for one.
- store_per_s: answers a second that the study's table takes, one (two rows) a transaction.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twokeys.config import load_config
from twokeys.core.study.fleet import FleetSpec
from twokeys.core.study.lab import Lab
from twokeys.core.study.prompt import StudyPrompt
from twokeys.core.study.study import Study, grid_cells
from twokeys.engines.scripted import Say, ScriptedEngine, Stall, Step
from twokeys.lab_engines import ServerFleet, ServerPool
from twokeys.services import Services, build_services
from twokeys.store.locks import FileLock
from twokeys.types import GenerationRequest, Sampling

TEXT = "Tea is made of leaves, and its taste depends on how long they stay in the water. " * 4
SLEEP_S = 0.4


def engine(sleep_s: float) -> ScriptedEngine:
    """Return an engine that sleeps and says the same as always."""

    def play(_request: GenerationRequest) -> Sequence[Step]:
        return [Stall(sleep_s), Say(TEXT, logprob=-1.0)] if sleep_s else [Say(TEXT, logprob=-1.0)]

    return ScriptedEngine(play)


def made(prompts: int) -> Study:
    """Return a study of four answers to each prompt."""
    return Study(
        name="cluster",
        prompts=tuple(StudyPrompt(f"p{n}", f"Write about tea, number {n}.") for n in range(prompts)),
        cells=grid_cells({"temperature": [0.3, 1.0]}),
        seeds=2,
        base=Sampling(max_new_tokens=64),
    )


def seconds(services: Services, study: Study, engines: dict[str, ScriptedEngine]) -> float:
    """Run a study on these engines; return the seconds from its start to its end."""
    lab = Lab(
        services.repository.documents,
        services.jobs,
        ServerPool(engine(0.0)),
        make_lock=lambda name: FileLock(services.config.run_dir / f"{name}.lock"),
        speed=lambda _model: None,
        model=lambda: "scripted",
        make_fleet=lambda spec: ServerFleet(spec.servers, engines.__getitem__),
    )
    study_id = lab.create(study).id
    began = time.perf_counter()
    lab.start(study_id, FleetSpec(tuple(engines)))
    view = lab.wait(study_id, 600)
    took = time.perf_counter() - began
    if view.state != "done":
        raise SystemExit(f"the study ended as {view.state}: {view.error}")
    lab.close()
    return took


def stored_per_s(services: Services, answers: int) -> float:
    """Return the answers a second that the table takes, each two rows in one transaction."""
    documents = services.repository.documents
    document = documents.create("study", "rows", {}).id
    values = {"v": {"tokens": 80.0, "distinct_2": 0.9}, "text": TEXT, "along": {"nll": [1.0] * 80}}
    began = time.perf_counter()
    for number in range(answers):
        documents.put_rows(document, {f"a/{number}": values, f"t/{number}": values})
    return answers / (time.perf_counter() - began)


def one_round(services: Services) -> dict[str, float]:
    study = made(12)
    alone = seconds(services, study, {"one": engine(SLEEP_S)})
    two = seconds(services, study, {"one": engine(SLEEP_S), "two": engine(SLEEP_S)})
    result = {"two_against_one": alone / two}
    for count in (1, 8, 32):
        many = made(48)
        cpu = time.process_time()
        took = seconds(services, many, {f"e{n}": engine(0.0) for n in range(count)})
        result[f"driver_{count}_per_s"] = many.generations / took
        result[f"driver_{count}_cpu_ms"] = (time.process_time() - cpu) / many.generations * 1e3
    result["store_per_s"] = stored_per_s(services, 1000)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    rounds = []
    for _ in range(asked.rounds):
        with tempfile.TemporaryDirectory() as home:
            os.environ["TWOKEYS_HOME"] = home
            services = build_services(load_config(), engine=engine(0.0))
            try:
                rounds.append(one_round(services))
            finally:
                services.close()
    result: dict[str, Any] = {name: statistics.median(entry[name] for entry in rounds) for name in rounds[0]}
    for name, value in result.items():
        print(f"{name}: {value:.2f}")
    if asked.json:
        asked.json.write_text(json.dumps({**result, "rounds": rounds}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
