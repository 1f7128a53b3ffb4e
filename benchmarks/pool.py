"""Two workers of one thread beside one worker of two: answers an hour, and whether the texts are the same.

    python benchmarks/pool.py --model PATH.gguf [--answers 24] [--tokens 64] [--rounds 3]

Every round runs all ways one after another, so that a busy machine is busy for all of them; the ratio is of
the medians. The ways: one worker with all threads, one with a slot for each core, a worker for each core.
"""

import argparse
import asyncio
import hashlib
import statistics
import tempfile
import time
from collections import deque
from contextlib import aclosing
from pathlib import Path

from twokeys.engine import OwnedEngine
from twokeys.engines.cores import usable_cores
from twokeys.engines.local import LocalEngine
from twokeys.engines.pool import PoolEngine
from twokeys.types import ChatMessage, Delta, GenerationRequest, Sampling, WorkerSpec

TOPICS = ("tea", "rain", "a lighthouse", "the moon", "bread", "a train", "winter", "a clock")


def requests(answers: int, tokens: int) -> list[GenerationRequest]:
    """Questions with seeds of their own, as a study asks them."""
    return [
        GenerationRequest(
            (ChatMessage("user", f"Write about {TOPICS[number % len(TOPICS)]}."),),
            Sampling(max_new_tokens=tokens, seed=number),
            ignore_eos=True,
        )
        for number in range(answers)
    ]


async def write_all(engine: OwnedEngine, slots: int, asked: list[GenerationRequest]) -> tuple[float, str]:
    """Return the seconds for all answers and a hash of all texts; the start is not counted."""
    await engine.info()
    waiting = deque(enumerate(asked))
    texts = [""] * len(asked)

    async def work() -> None:
        while waiting:
            number, request = waiting.popleft()
            async with aclosing(engine.generate(request)) as events:
                async for event in events:
                    if isinstance(event, Delta):
                        texts[number] += event.text

    started = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(slots)))
    seconds = time.perf_counter() - started
    return seconds, hashlib.sha256("\0".join(texts).encode()).hexdigest()[:12]


def ways(model: Path, folder: Path, cores: int) -> dict[str, tuple[int, OwnedEngine]]:
    def worker(parallel: int, threads: int) -> LocalEngine:
        spec = WorkerSpec(str(model), model.stem, context=1024, parallel=parallel, threads=threads)
        return LocalEngine(spec, folder / "run", folder / "logs")

    return {
        f"1 worker × {cores} threads": (1, worker(1, cores)),
        f"1 worker, {cores} slots": (cores, worker(cores, cores)),
        f"{cores} workers × 1 thread": (cores, PoolEngine([worker(1, 1) for _ in range(cores)])),
    }


async def measure(model: Path, answers: int, tokens: int, rounds: int) -> None:
    asked = requests(answers, tokens)
    hourly: dict[str, list[float]] = {}
    hashes: dict[str, set[str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for _round in range(rounds):
            for name, (slots, engine) in ways(model, Path(folder), usable_cores()).items():
                seconds, digest = await write_all(engine, slots, asked)
                await engine.close()
                hourly.setdefault(name, []).append(3600 * answers / seconds)
                hashes.setdefault(name, set()).add(digest)
    first = statistics.median(next(iter(hourly.values())))
    for name, rates in hourly.items():
        median = statistics.median(rates)
        runs = " ".join(f"{rate:.0f}" for rate in rates)
        line = f"{name:24} {median:7.0f} answers an hour  ×{median / first:.2f}  ({runs})"
        print(line, sorted(hashes[name]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--answers", type=int, default=24)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    asyncio.run(measure(given.model, given.answers, given.tokens, given.rounds))


if __name__ == "__main__":
    main()
