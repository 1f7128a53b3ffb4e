"""What the guard costs: microseconds per token along an answer of 32,768 tokens.

    python benchmarks/guard_cost.py

Streams prose, code and a loop with five candidates per token through a guard and prints the cost
near token 1k, 8k and 32k (CPU time), the ratio of last to first, and the share of the time of a model
that writes 140 tokens per second (7.1 ms per token; larger models are slower). Memory is the
guard's own size at the end.
"""

import argparse
import json
import random
import sys
import time
from pathlib import Path
from typing import Any

import guard_tables
from twokeys.core.guard import Guard
from twokeys.types import Candidate, TokenProb

TOKENS = 32_768
MARKS = (1_000, 8_000, 32_000)
SPAN = 700
TOK_PER_S = 140.0

WORDS_EN = [
    "the",
    "sea",
    "wind",
    "light",
    "house",
    "keeper",
    "letter",
    "morning",
    "table",
    "paper",
    "slowly",
    "under",
    "bright",
    "which",
    "never",
    "again",
    "about",
    "water",
    "people",
    "number",
    "history",
    "simple",
    "answer",
    "reason",
    "found",
    "through",
    "between",
    "small",
    "world",
    "order",
    "change",
]
CHARACTERS = (
    "的一是不了人我在有他这为之大来以个中上们到说国和地也子时道出而要于就下得可你年生自会那后能对着事"
    "其里所去行过家十用发天如然作方成者多日都三小军二无同"
)


def made_stream(kind: str, count: int) -> list[str]:
    """Return tokens of one kind of text, random but always the same."""
    rng = random.Random(3)
    if kind == "loop":
        unit = made_stream("en", 60)
        return (unit * (count // 60 + 1))[:count]
    tokens = []
    for _ in range(count):
        if kind == "en":
            tokens.append(" " + rng.choice(WORDS_EN) + rng.choice(("", "", "", "", "", "", "", ".", ",")))
        elif kind == "zh":
            tokens.append(
                rng.choice(CHARACTERS) + rng.choice(CHARACTERS) + rng.choice(("", "", "", "，", "。"))
            )
        else:
            tokens.append(
                rng.choice(("x", " = ", "foo(", ")", "\n    ", "return ", "0, ", "if ", ":\n", "self."))
            )
    return tokens


def measure(kind: str) -> dict[str, Any]:
    """Return µs per token at the marks, the mean, and the guard's size."""
    tokens = made_stream(kind, TOKENS)
    candidates = tuple(Candidate("x", n, -1.0 - n) for n in range(5))
    guard = Guard({}, "请说明" if kind == "zh" else "Explain this.")
    times: list[int] = []
    chars = 0
    for number, token in enumerate(tokens, start=1):
        chars += len(token)
        probs = (TokenProb(token, 0, -1.0, 0, candidates),)
        begin = time.thread_time_ns()
        guard.on_token(token, number, chars, probs, number * 0.007)
        times.append(time.thread_time_ns() - begin)
    at = {mark: sum(times[mark - SPAN // 2 : mark + SPAN // 2]) / SPAN / 1000 for mark in MARKS}
    mean = sum(times) / len(times) / 1000
    ordered = sorted(times)
    return {
        "us_per_token": {str(mark): round(value, 1) for mark, value in at.items()},
        "mean_us": round(mean, 1),
        "p99_us": round(ordered[int(0.99 * len(ordered))] / 1000, 1),
        "max_us": round(ordered[-1] / 1000, 1),
        "ratio_32k_to_1k": round(at[32_000] / at[1_000], 2),
        "share_percent": round(100 * mean * 1e-6 * TOK_PER_S, 2),
        "bytes_at_8k_and_32k": [size_after(tokens[:8_000]), size_after(tokens)],
    }


def size_after(tokens: list[str]) -> int:
    guard = Guard({}, "Explain this.")
    guard.on_token("".join(tokens), len(tokens), sum(map(len, tokens)))
    return deep_size(guard)


def deep_size(value: Any, seen: set[int] | None = None) -> int:
    """Return the bytes of an object and everything it alone refers to."""
    seen = set() if seen is None else seen
    if id(value) in seen or isinstance(value, type) or callable(value):
        return 0
    seen.add(id(value))
    size = sys.getsizeof(value)
    if isinstance(value, dict):
        size += sum(deep_size(k, seen) + deep_size(v, seen) for k, v in value.items())
    elif isinstance(value, str | bytes):
        return size
    elif hasattr(value, "__iter__") and not hasattr(value, "typecode"):
        size += sum(deep_size(item, seen) for item in value)
    for name in getattr(type(value), "__slots__", ()):
        size += deep_size(getattr(value, name, None), seen)
    if hasattr(value, "__dict__"):
        size += deep_size(vars(value), seen)
    return size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/guard_cost.json"))
    args = parser.parse_args()
    rows = {kind: measure(kind) for kind in ("en", "zh", "code", "loop")}
    for kind, row in rows.items():
        print(f"{kind:5} {row}")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    if guard_tables.DOCS.exists():
        guard_tables.write()


if __name__ == "__main__":
    main()
