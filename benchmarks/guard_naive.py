"""The guard beside three naive rules on the same texts: misses, alarms, delay, cost.

    python benchmarks/guard_corpora.py --fetch
    python benchmarks/guard_naive.py               # benchmarks/results/guard_naive.json, docs/guard.md

Rules, each looked at after every token and each with the threshold people use first:
n-grams: a run of 8 words (Chinese: characters) that stands in the last 512 for the fourth time;
compression: the last 1000 characters shrink to less than 20 % (zlib, looked at every 50 characters);
lines: the same line of at least 8 characters for the third time in a row.
"""

import argparse
import json
import re
import time
import zlib
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import guard_tables
from guard_corpora import Text, collect
from guard_proof import QUESTION, MadeLoop, made_loops, tokens_of
from twokeys.core.guard import Guard

Rule = Callable[[Sequence[str], str], Iterator[bool]]
"""Given tokens and a question: yields for each token whether it alarms there."""


def guard(tokens: Sequence[str], question: str) -> Iterator[bool]:
    watcher, chars = Guard({"drift": "off", "decay": "off"}, question), 0
    for number, token in enumerate(tokens, start=1):
        chars += len(token)
        events = watcher.on_token(token, number, chars, (), number * 0.02)
        yield any(event.level in ("warn", "stop") for event in events)


def n_grams(tokens: Sequence[str], question: str) -> Iterator[bool]:
    recent: deque[tuple[str, ...]] = deque(maxlen=512)
    counts: Counter[tuple[str, ...]] = Counter()
    words: deque[str] = deque(maxlen=8)
    for token in tokens:
        alarm = False
        for word in re.findall(r"[\u2e80-\u9fff]|[^\W\u2e80-\u9fff]+", token.lower()):
            words.append(word)
            if len(words) == 8:
                gram = tuple(words)
                if len(recent) == recent.maxlen:
                    counts[recent[0]] -= 1
                recent.append(gram)
                counts[gram] += 1
                alarm = alarm or counts[gram] >= 4
        yield alarm


def compression(tokens: Sequence[str], question: str) -> Iterator[bool]:
    text, looked = "", 0
    for token in tokens:
        text = (text + token)[-1000:]
        looked += len(token)
        alarm = False
        if looked >= 50 and len(text) == 1000:
            looked = 0
            raw = text.encode()
            alarm = len(zlib.compress(raw)) < 0.2 * len(raw)
        yield alarm


def lines(tokens: Sequence[str], question: str) -> Iterator[bool]:
    line, last, times = "", "", 0
    for token in tokens:
        alarm = False
        for char in token:
            if char != "\n":
                line += char
                continue
            if line.strip():
                times = times + 1 if line == last else 1
                last = line
                alarm = alarm or (times >= 3 and len(line) >= 8)
            line = ""
        yield alarm


RULES: dict[str, Rule] = {"guard": guard, "n-grams": n_grams, "compression": compression, "lines": lines}


def first_alarm(rule: Rule, tokens: Sequence[str], question: str) -> int | None:
    """Return the number of the first token at which the rule alarms."""
    return next((at for at, alarm in enumerate(rule(tokens, question)) if alarm), None)


def measure(rule: Rule, texts: Sequence[Text], loops: Sequence[MadeLoop]) -> dict[str, Any]:
    began, tokens_read = time.process_time(), 0
    alarms = 0
    for text in texts:
        tokens = tokens_of(text.text)
        for alarm in rule(tokens, QUESTION[text.language]):
            tokens_read += 1
            if alarm:
                alarms += 1
                break
    cost = time.process_time() - began
    delays, missed = [], 0
    for loop in loops:
        tokens = tokens_of(loop.text)
        at = first_alarm(rule, tokens, QUESTION.get(loop.language, QUESTION["en"]))
        chars = len("".join(tokens[: at + 1])) if at is not None else None
        if chars is None or chars <= loop.loop_at:
            missed += chars is None
            continue
        second_ends = loop.loop_at + 2 * (loop.fourth_ends - loop.loop_at) / 4
        delays.append(at + 1 - len(tokens_of(loop.text[: int(second_ends)])))
    delays.sort()
    return {
        "texts": len(texts),
        "alarms": alarms,
        "loops": len(loops),
        "missed": missed,
        "delay_tokens_median": delays[len(delays) // 2] if delays else None,
        "us_per_token": round(1e6 * cost / max(1, tokens_read), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(".cache/guard"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/guard_naive.json"))
    parser.add_argument("--docs", type=Path, default=guard_tables.DOCS)
    parser.add_argument("--made", type=int, default=300)
    args = parser.parse_args()
    texts = [text for text in collect(args.folder / "packages") if text.half == "publish"]
    loops = made_loops(texts, args.made)
    result = {name: measure(rule, texts, loops) for name, rule in RULES.items()}
    for name, row in result.items():
        print(name, row)
    args.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if args.docs.exists():
        guard_tables.write(args.docs, args.out.parent)


if __name__ == "__main__":
    main()
