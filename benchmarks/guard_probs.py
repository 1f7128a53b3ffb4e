"""What the five candidates per token cost that the guard reads at creative temperatures.

    python benchmarks/guard_probs.py MODEL.gguf …

Writes the same answer with and without them, in turns, and compares the medians of the decoding
speeds; writes benchmarks/results/guard_probs.json and renews the table of docs/guard.md.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
from contextlib import aclosing
from pathlib import Path

import guard_tables
from twokeys.core.guard.settings import CANDIDATES
from twokeys.engines.local import LocalEngine
from twokeys.types import ChatMessage, Finished, GenerationRequest, Sampling, WorkerSpec

ROUNDS = 7
SAMPLING = Sampling(temperature=0.9, max_new_tokens=160, seed=1)


async def speed(engine: LocalEngine, n_probs: int) -> float:
    request = GenerationRequest((ChatMessage("user", "Write about the sea."),), SAMPLING, n_probs=n_probs)
    async with aclosing(engine.generate(request)) as events:  # type: ignore[type-var]
        async for event in events:
            if isinstance(event, Finished):
                return event.timings.tok_per_s or 0.0
    raise RuntimeError("the answer did not finish")


async def measure(model: Path) -> dict[str, float]:
    speeds: dict[int, list[float]] = {0: [], CANDIDATES: []}
    with tempfile.TemporaryDirectory() as home:
        spec = WorkerSpec(model_path=str(model), model_name=model.stem, context=2048)
        engine = LocalEngine(spec, Path(home) / "run", Path(home) / "logs")
        try:
            await speed(engine, 0)
            for number in range(ROUNDS):
                for n_probs in (0, CANDIDATES) if number % 2 else (CANDIDATES, 0):
                    speeds[n_probs].append(await speed(engine, n_probs))
        finally:
            await engine.close()
    without, with_5 = (statistics.median(speeds[n]) for n in (0, CANDIDATES))
    pairs = [1 - b / a for a, b in zip(speeds[0], speeds[CANDIDATES], strict=True)]
    return {
        "without": round(without, 1),
        "with_5": round(with_5, 1),
        "cost_percent": round(100 * statistics.median(pairs), 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/guard_probs.json"))
    args = parser.parse_args()
    rows = {model.stem: asyncio.run(measure(model)) for model in args.models}
    for name, row in rows.items():
        print(name, row)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    guard_tables.write()


if __name__ == "__main__":
    main()
