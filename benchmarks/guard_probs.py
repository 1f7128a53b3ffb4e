"""What the five candidates per token cost that the guard reads at creative temperatures.

    python benchmarks/guard_probs.py MODEL.gguf …

Writes the same answer with and without them, in turns, and compares the medians of the CPU time per
token; writes benchmarks/results/guard_probs.json and renews the table of docs/guard.md.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from contextlib import aclosing
from pathlib import Path

import psutil

import guard_tables
from twokeys.core.guard.settings import CANDIDATES
from twokeys.engines.local import LocalEngine
from twokeys.types import ChatMessage, Delta, Finished, GenerationRequest, Sampling, WorkerSpec

SAMPLING = Sampling(temperature=0.9, seed=1)


async def cost(engine: LocalEngine, n_probs: int, tokens: int) -> float:
    """Return the CPU milliseconds per token, of the worker and of this process that reads it."""
    sampling = SAMPLING.with_(max_new_tokens=tokens)
    request = GenerationRequest((ChatMessage("user", "Write about the sea."),), sampling, n_probs=n_probs)
    begun, written = 0.0, 0
    async with aclosing(engine.generate(request)) as events:  # type: ignore[type-var]
        async for event in events:
            if isinstance(event, Delta):
                begun = begun or cpu_s(engine)
            elif isinstance(event, Finished):
                written = event.usage.completion_tokens
    return 1000 * (cpu_s(engine) - begun) / (written - 1)


def cpu_s(engine: LocalEngine) -> float:
    used = psutil.Process(engine.pid).cpu_times()
    return used.user + used.system + time.process_time()


async def measure(model: Path, rounds: int, tokens: int) -> dict[str, float]:
    ms: dict[int, list[float]] = {0: [], CANDIDATES: []}
    with tempfile.TemporaryDirectory() as home:
        # one thread: several would wait for each other, and waiting counts as CPU time
        spec = WorkerSpec(model_path=str(model), model_name=model.stem, context=2048, threads=1)
        engine = LocalEngine(spec, Path(home) / "run", Path(home) / "logs")
        try:
            await cost(engine, 0, tokens)
            for number in range(rounds):
                for n_probs in (0, CANDIDATES) if number % 2 else (CANDIDATES, 0):
                    ms[n_probs].append(await cost(engine, n_probs, tokens))
        finally:
            await engine.close()
    without, with_5 = (statistics.median(ms[n]) for n in (0, CANDIDATES))
    return {
        "without": round(without, 2),
        "with_5": round(with_5, 2),
        "cost_percent": round(100 * (with_5 / without - 1), 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/guard_probs.json"))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--tokens", type=int, default=160)
    args = parser.parse_args()
    rows = {model.stem: asyncio.run(measure(model, args.rounds, args.tokens)) for model in args.models}
    for name, row in rows.items():
        print(name, row)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    guard_tables.write()


if __name__ == "__main__":
    main()
