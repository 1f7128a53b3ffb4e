"""Writing speed beside other busy programs: the worker as we start it, and with the library's own spinning.

    python benchmarks/busy.py MODEL.gguf [--rounds 3] [--tokens 48] [--json]

Between two steps of a token llama.cpp's threads wait for each other. The OpenMP library lets them spin
for long, which takes the cores from the very thread they wait for as soon as other programs want them;
`PATIENCE` in engines/process.py lets them sleep sooner. Prints tokens per second on a free machine and
with one busy program per core, for both, and ours ÷ the library's.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from twokeys.config import load_config
from twokeys.engines.process import PATIENCE
from twokeys.services import build_services
from twokeys.types import Sampling, Settings

QUESTION = "Write a long fairy tale about a fox who travels around the whole world."
LIBRARY = dict.fromkeys(PATIENCE, "300000")


def speed(model: Path, surroundings: dict[str, str], tokens: int) -> float:
    """Return the engine's own tokens per second of one answer."""
    os.environ.update(surroundings)
    with tempfile.TemporaryDirectory() as home:
        services = build_services(load_config({**os.environ, "TWOKEYS_HOME": home}, model=str(model)))
        try:
            settings = Settings(sampling=Sampling(max_new_tokens=tokens, seed=1))
            sent = services.answers.send(services.conversations.new(settings).id, QUESTION)
            services.jobs.wait(sent.job.id, 600)
            answer = services.repository.get_message(sent.answer_message.id)
        finally:
            services.close()
    return float(answer.provenance.parts[-1].timings.tok_per_s or 0.0)


def spin() -> None:
    while True:
        pass


@contextmanager
def busy_programs(count: int) -> Iterator[None]:
    """Keep so many processes computing."""
    running = [multiprocessing.Process(target=spin, daemon=True) for _ in range(count)]
    for process in running:
        process.start()
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.join()


def measure(model: Path, rounds: int, tokens: int) -> dict[str, Any]:
    """Take both settings in turn, free and busy; return medians and ratios."""
    cores = os.cpu_count() or 1
    rates: dict[str, list[float]] = {
        "free_library": [],
        "free_ours": [],
        "busy_library": [],
        "busy_ours": [],
    }
    for _ in range(rounds):
        for state, count in (("free", 0), ("busy", cores)):
            with busy_programs(count):
                rates[f"{state}_library"].append(speed(model, LIBRARY, tokens))
                rates[f"{state}_ours"].append(speed(model, PATIENCE, tokens))
    result: dict[str, Any] = {name: round(statistics.median(values), 2) for name, values in rates.items()}
    for state in ("free", "busy"):
        result[f"{state}_ratio"] = round(result[f"{state}_ours"] / result[f"{state}_library"], 2)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    result = measure(given.model.resolve(), given.rounds, given.tokens)
    if given.json:
        print(json.dumps(result))
    else:
        print("\n".join(f"{name:14} {value:8.2f}" for name, value in result.items()))


if __name__ == "__main__":
    main()
