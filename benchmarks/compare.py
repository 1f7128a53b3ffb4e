"""One question, several columns: what sharing its prefill saves.

    python benchmarks/compare.py [--json] [--columns 3,5] [--prompt-tokens 1500] [--tokens 48]
                                 [--rounds 1] [--threads N] [--model PATH]

Three ways to get the same columns (temperatures spread over 0.3 … 1.0), each with an empty cache:

    shared    as `twokeys compare` does it: read once, the state copied into every slot
    at once   each sent as a request of its own to as many slots, each reading the question
    in turn   one after another over one slot with llama.cpp's own prompt cache

Prints wall times and, because times belong to a machine, the ratios: shared ÷ at once, shared ÷ in
turn, and the prompt tokens processed ÷ one prompt. Goals: ≤ 0.5 for three columns and ≤ 0.35 for
five beside at once, ≤ 1.1 beside in turn, ≤ 1.1 prompts processed. The worker's start is left out.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import psutil

from twokeys.config import load_config, prepare_home
from twokeys.core.compare.column_engines import Prospect
from twokeys.core.compare.shared_prefill import ColumnEngine, SharedPrefill, SharingReport, column_context
from twokeys.engine import SlotEngine
from twokeys.engines.host import EngineHost
from twokeys.engines.local import LocalEngine
from twokeys.types import ChatMessage, Finished, GenerationRequest, Sampling, WorkerSpec

CHECKOUT = Path(__file__).resolve().parent.parent
MODEL = CHECKOUT / ".cache" / "models" / "smollm2-135m.gguf"
SENTENCE = "The river number {n} runs past an old mill where somebody counts slow boats. "


@dataclass(frozen=True)
class Row:
    """One way once. first_s / last_s: when the first and the last column began to write.

    cpu_s: processor seconds of the worker, which other programs disturb less than the wall time.
    """

    way: str
    columns: int
    wall_s: float
    processed: int
    prompt_tokens: int
    first_s: float
    last_s: float
    cpu_s: float


class OneEngine:
    """Fulfils ColumnEngines with one engine, whatever is asked for."""

    def __init__(self, engine: SlotEngine) -> None:
        self._engine = engine

    def prospect(self, slots: int, context: int) -> Prospect:
        return Prospect("cloned")

    async def parallel(self, slots: int, context: int) -> SlotEngine | None:
        return self._engine

    def standing(self, slots: int, context: int) -> SlotEngine | None:
        return self._engine


def question(words: int) -> tuple[ChatMessage, ...]:
    text = "".join(SENTENCE.format(n=n) for n in range(words)) + "Tell a story of it."
    return (ChatMessage("user", text),)


async def sized_question(engine: LocalEngine, tokens: int) -> tuple[ChatMessage, ...]:
    """A question of about so many tokens as the model reads it."""
    low, high = 1, 2
    while await engine.count_prompt(question(high)) < tokens:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        if await engine.count_prompt(question(middle)) <= tokens:
            low = middle
        else:
            high = middle
    return question(low)


def requests(messages: tuple[ChatMessage, ...], columns: int, tokens: int) -> list[GenerationRequest]:
    heat = [0.3 + 0.7 * n / (columns - 1) for n in range(columns)]
    return [
        GenerationRequest(messages, Sampling(temperature=t, max_new_tokens=tokens, seed=7), n_probs=5)
        for t in heat
    ]


async def write(engine: LocalEngine | ColumnEngine, request: GenerationRequest) -> tuple[Finished, float]:
    """Write one column; return its end and when its first token came."""
    first = 0.0
    async for event in engine.generate(request):
        if not first and type(event).__name__ == "Delta":
            first = time.monotonic()
        if isinstance(event, Finished):
            return event, first
    raise RuntimeError("no end")


def cpu_s(engine: LocalEngine) -> float:
    """Return the processor seconds the worker has used so far."""
    times = psutil.Process(engine.pid).cpu_times()
    return float(times.user + times.system)


def row(way: str, ends: list[tuple[Finished, float]], started: float, read: int, cpu_seconds: float) -> Row:
    own = sum(end.usage.prompt_tokens - end.usage.cached_tokens for end, _ in ends)
    firsts = [first - started for _, first in ends]
    wall_s = time.monotonic() - started
    tokens = ends[0][0].usage.prompt_tokens
    return Row(way, len(ends), wall_s, own + read, tokens, min(firsts), max(firsts), cpu_seconds)


async def shared(spec: WorkerSpec, home: Path, asked: list[GenerationRequest]) -> Row:
    engine = LocalEngine(spec, home / "run", home / "logs")
    await engine.start()
    before = cpu_s(engine)
    reports: list[SharingReport] = []
    started = time.monotonic()
    prefill = SharedPrefill(
        OneEngine(engine),
        EngineHost(lambda name: engine, ""),
        [request.messages for request in asked],
        longest=asked[0].sampling.max_new_tokens,
        on_report=reports.append,
    )
    ends = await asyncio.gather(*(write(ColumnEngine(prefill, n), r) for n, r in enumerate(asked)))
    made = row("shared", list(ends), started, reports[-1].prefill_tokens, cpu_s(engine) - before)
    await engine.close()
    return made


async def at_once(spec: WorkerSpec, home: Path, asked: list[GenerationRequest]) -> Row:
    engine = LocalEngine(spec, home / "run", home / "logs")
    await engine.start()
    before = cpu_s(engine)
    started = time.monotonic()
    ends = await asyncio.gather(*(write(engine, request) for request in asked))
    made = row("at once", list(ends), started, 0, cpu_s(engine) - before)
    await engine.close()
    return made


async def in_turn(spec: WorkerSpec, home: Path, asked: list[GenerationRequest]) -> Row:
    engine = LocalEngine(spec, home / "run", home / "logs")
    await engine.start()
    before = cpu_s(engine)
    started = time.monotonic()
    ends = [await write(engine, request) for request in asked]
    made = row("in turn", ends, started, 0, cpu_s(engine) - before)
    await engine.close()
    return made


async def measure(
    model: Path, columns: list[int], prompt_tokens: int, tokens: int, rounds: int, threads: int | None
) -> list[Row]:
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        config = load_config({"TWOKEYS_HOME": folder})
        prepare_home(config)
        context = column_context(prompt_tokens + 64, tokens)
        entry = WorkerSpec(str(model), model.stem, context=context, threads=threads)
        engine = LocalEngine(entry, config.run_dir, config.logs_dir)
        messages = await sized_question(engine, prompt_tokens)
        await engine.close()
        for count in columns:
            many = replace(entry, parallel=count)
            asked = requests(messages, count, tokens)
            for _ in range(rounds):
                for way, spec in ((shared, many), (in_turn, entry), (at_once, many)):
                    rows.append(await way(spec, config.home, asked))
                    print(f"{rows[-1].way}, {count} columns: {rows[-1].wall_s:.1f} s", file=sys.stderr)
    return rows


def middle(rows: list[Row], way: str, columns: int) -> Row:
    chosen = [row for row in rows if (row.way, row.columns) == (way, columns)]
    wall_s = statistics.median_low([conversation.wall_s for conversation in chosen])
    return next(conversation for conversation in chosen if conversation.wall_s == wall_s)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--columns", default="3,5")
    parser.add_argument("--prompt-tokens", type=int, default=1500)
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--model", type=Path, default=MODEL)
    given = parser.parse_args()
    columns = [int(part) for part in given.columns.split(",")]
    rows = asyncio.run(
        measure(given.model, columns, given.prompt_tokens, given.tokens, given.rounds, given.threads)
    )
    if given.json:
        json.dump([asdict(row) for row in rows], sys.stdout, indent=1)
        return
    for count in columns:
        mine, once, turn = (middle(rows, way, count) for way in ("shared", "at once", "in turn"))
        print(f"{count} columns over {mine.prompt_tokens} prompt tokens, {given.tokens} tokens each")
        for entry in (mine, once, turn):
            print(
                f"  {entry.way:8} {entry.wall_s:7.2f} s, {entry.processed:6d} prompt tokens processed, "
                f"{entry.cpu_s:.1f} CPU-s, first tokens after {entry.first_s:.2f} … {entry.last_s:.2f} s"
            )
        print(f"  prompts processed          {mine.processed / mine.prompt_tokens:.3f}  (goal ≤ 1.1)")
        goal = {3: "(goal ≤ 0.5)", 5: "(goal ≤ 0.35)"}.get(count, "")
        for name, other, aim in (("sent at once", once, goal), ("one after another", turn, "(goal ≤ 1.1)")):
            wall, work = mine.wall_s / other.wall_s, mine.cpu_s / other.cpu_s
            print(f"  shared ÷ {name:17} {wall:.3f}  {aim}, by CPU seconds {work:.3f}")


if __name__ == "__main__":
    main()
