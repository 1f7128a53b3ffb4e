"""The figures of a machine: how fast a model reads and writes, how near that is to what memory allows.

Decoding one token reads every weight that takes part in it once, so the bandwidth of memory sets the
limit: bandwidth ÷ bytes per token. Reading a prompt multiplies many tokens with each weight at once, so the
processor's rate of multiplying matrices sets its limit. Both sides are measured within one run. Knows no
commands; the engine and its memory plan come in as arguments.
"""

import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median
from typing import Literal

import numpy as np

from twokeys.core.memory.plan import MemoryPlan
from twokeys.core.trials import COPY_REQUEST, write_to_end
from twokeys.engine import Engine
from twokeys.types import ChatMessage, Finished, GenerationRequest, Sampling

PROMPT_WORDS = 400
ANSWER_TOKENS = 128
READ_BYTES = 512 << 20
"""Far more than any processor's cache holds."""
READ_ROUNDS = 6
MATRIX = 1024
MATRIX_ROUNDS = 8
WORDS = (
    "river stone cloud garden winter letter silver market window morning forest bridge summer candle "
    "harbour mountain paper engine orange station village music shadow corner island pocket ladder thunder"
)

Step = Literal["bandwidth", "start", "round", "drafts"]


@dataclass(frozen=True, slots=True)
class BenchFigure:
    """One figure. unit: tok/s, s, B, B/s, FLOP/s, share, tokens or ""."""

    name: str
    value: float | str
    unit: str


@dataclass(frozen=True, slots=True)
class Round:
    """One prompt read and one answer written."""

    prompt_tokens: int
    answer_tokens: int
    ttft_s: float
    prompt_tok_per_s: float | None
    answer_tok_per_s: float | None


@dataclass(frozen=True, slots=True)
class LocalWorker:
    """What a bench needs to know of a worker of ours. memory_bytes: what it holds now."""

    plan: MemoryPlan
    threads: int
    memory_bytes: Callable[[], int]


def read_bandwidth(threads: int, size_bytes: int = READ_BYTES) -> float:
    """Return the bytes per second that so many threads read from memory: the best of some rounds."""
    data = np.ones(size_bytes // 8, dtype=np.int64)
    parts = np.array_split(data, threads)
    fastest_s = float("inf")
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(READ_ROUNDS):
            started = time.perf_counter()
            list(pool.map(np.bitwise_xor.reduce, parts))
            fastest_s = min(fastest_s, time.perf_counter() - started)
    return data.nbytes / fastest_s


def matmul_rate(size: int = MATRIX) -> float:
    """Return the operations per second of multiplying f32 matrices on all cores: the best of some rounds."""
    left = np.ones((size, size), dtype=np.float32)
    right, product = left.copy(), np.empty_like(left)
    fastest_s = float("inf")
    for _ in range(MATRIX_ROUNDS):
        started = time.perf_counter()
        np.matmul(left, right, out=product)
        fastest_s = min(fastest_s, time.perf_counter() - started)
    return 2 * size**3 / fastest_s


async def run_bench(
    engine: Engine,
    worker: LocalWorker | None,
    *,
    rounds: int,
    context: int = 0,
    on_step: Callable[[Step, int], None] = lambda step, number: None,
) -> list[BenchFigure]:
    """Measure an engine and return its figures. worker None: a server answers, whose memory is its own.

    context: tokens of prompt + answer, 0 while unknown. on_step hears what begins now.
    Raises EngineError subclasses.
    """
    bandwidth = rate = 0.0
    if worker is not None and not worker.plan.needs.device.total_bytes:
        on_step("bandwidth", 0)
        bandwidth, rate = read_bandwidth(worker.threads), matmul_rate()
    on_step("start", 0)
    started = time.perf_counter()
    info = await engine.info()
    start_s = time.perf_counter() - started
    words = min(PROMPT_WORDS, max(32, ((context or info.context or 4096) - ANSWER_TOKENS) // 3))
    await measure_round(engine, 0, 16, 4)  # the first one pays for pages that were never touched
    results = []
    for number in range(1, rounds + 1):
        on_step("round", number)
        results.append(await measure_round(engine, number, words, ANSWER_TOKENS))
    drafts: list[BenchFigure] = []
    if worker is not None and worker.plan.choice.draft is not None:
        on_step("drafts", 0)
        drafts = draft_rows(await write_to_end(engine, COPY_REQUEST))
    if bandwidth and worker is not None:
        # once more, as another program may have been busy before
        bandwidth, rate = max(bandwidth, read_bandwidth(worker.threads)), max(rate, matmul_rate())
    return [
        BenchFigure("model", info.model, ""),
        BenchFigure("start_s", start_s, "s"),
        *speed_rows(results),
        *drafts,
        *(memory_rows(worker, results, bandwidth) if worker is not None else ()),
        *(compute_rows(worker, results, rate) if worker is not None else ()),
    ]


async def measure_round(engine: Engine, seed: int, words: int, answer_tokens: int) -> Round:
    """Ask once with a prompt that no cache has seen."""
    chooser, vocabulary = random.Random(seed), WORDS.split()
    text = f"{seed}. " + " ".join(chooser.choice(vocabulary) for _ in range(words))
    request = GenerationRequest(
        (ChatMessage("user", text),),
        Sampling(max_new_tokens=answer_tokens, seed=seed),
        ignore_eos=True,
    )
    finished = await write_to_end(engine, request)
    timings = finished.timings
    return Round(
        finished.usage.prompt_tokens,
        finished.usage.completion_tokens,
        timings.ttft_s or 0.0,
        timings.prompt_tok_per_s,
        timings.tok_per_s,
    )


def draft_rows(copied: Finished) -> list[BenchFigure]:
    """Return how fast a text is copied with drafts, and how many of the drafted tokens were right."""
    drafted, accepted = (int(copied.engine.get(name, 0)) for name in ("draft_tokens", "draft_accepted"))
    return [
        BenchFigure("draft_tok_per_s", copied.timings.tok_per_s or 0.0, "tok/s"),
        BenchFigure("draft_accepted", accepted / drafted if drafted else 0.0, "share"),
    ]


def speed_rows(results: Sequence[Round]) -> list[BenchFigure]:
    """Return medians over the rounds; a server that does not report its prompt speed has no row for it."""
    rows = [
        BenchFigure("prompt_tokens", median(result.prompt_tokens for result in results), "tokens"),
        BenchFigure("answer_tokens", median(result.answer_tokens for result in results), "tokens"),
    ]
    prompt_speeds = [result.prompt_tok_per_s for result in results if result.prompt_tok_per_s]
    writing = [result.answer_tok_per_s for result in results if result.answer_tok_per_s]
    if prompt_speeds:
        rows.append(BenchFigure("prompt_tok_per_s", median(prompt_speeds), "tok/s"))
    if writing:
        rows.append(BenchFigure("answer_tok_per_s", median(writing), "tok/s"))
    return [*rows, BenchFigure("ttft_s", median(result.ttft_s for result in results), "s")]


def memory_rows(worker: LocalWorker, results: Sequence[Round], bandwidth: float) -> list[BenchFigure]:
    """Return what the worker holds and, on the processor, its share of what memory bandwidth allows."""
    plan = worker.plan
    rows = [
        BenchFigure("memory_bytes", worker.memory_bytes(), "B"),
        BenchFigure("planned_memory_bytes", plan.needs.total_bytes, "B"),
    ]
    speeds = [result.answer_tok_per_s for result in results if result.answer_tok_per_s]
    if not bandwidth or not speeds:
        return rows
    tokens = median(result.prompt_tokens + result.answer_tokens / 2 for result in results)
    bytes_per_token = plan.shape.bytes_read(tokens, plan.choice.kv_type)
    return [
        *rows,
        BenchFigure("read_bandwidth", bandwidth, "B/s"),
        BenchFigure("bytes_per_token", round(bytes_per_token), "B"),
        BenchFigure("bandwidth_share", median(speeds) * bytes_per_token / bandwidth, "share"),
    ]


def compute_rows(worker: LocalWorker, results: Sequence[Round], rate: float) -> list[BenchFigure]:
    """Return how fast the processor multiplies, and the share of it that reading a prompt reaches.

    Two operations for each weight of the layers and each token; attention and the output head, which only the
    last token takes, are left out. A mixture of experts has no share: not all weights take part.
    """
    speeds = [result.prompt_tok_per_s for result in results if result.prompt_tok_per_s]
    weights = worker.plan.shape.layer_weights
    if not rate or not speeds or not weights:
        return []
    return [
        BenchFigure("matmul_flop_per_s", rate, "FLOP/s"),
        BenchFigure("matmul_share", 2 * weights * median(speeds) / rate, "share"),
    ]


def json_rows(rows: Sequence[BenchFigure]) -> list[dict[str, object]]:
    """Return the rows as scripts read them, with as many digits as the measurement is worth."""
    return [
        {
            "name": row.name,
            "value": float(f"{row.value:.4g}") if isinstance(row.value, float) else row.value,
            "unit": row.unit,
        }
        for row in rows
    ]
