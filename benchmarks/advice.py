"""How well automatic advice names the task of a message: rules, SmolLM2, Qwen2.5-0.5B, and both together.

    python benchmarks/advice.py [--models DIR] [--model FILE.gguf] [--write]

Every message of benchmarks/data/advice_labelled.toml is named by each. The first, third, … message of a
list may have been looked at while rules and prompts were made ("tune"); the others are only measured
("held out"). Right: of the messages that name a task, the share named rightly. Wrong: named as another
task. Silent: left alone. "None" messages name no task; a name for one of them is a false alarm.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twokeys.core.advice.classify import classify_request, guess_from, read_words
from twokeys.core.advice.rules import Guess, guess_by_rules
from twokeys.engines.local import LocalEngine
from twokeys.types import Delta, Finished, GenerationRequest, TokenProb, WorkerSpec

HERE = Path(__file__).resolve().parent
DATA = HERE / "data" / "advice_labelled.toml"
RESULTS = HERE / "results" / "advice.json"
MODELS = {"SmolLM2-135M": "smollm2-135m", "Qwen2.5-Coder-0.5B": "qwen2.5-coder-0.5b"}
SURE = (0.0, 0.5, 0.7, 0.9)


@dataclass(frozen=True, slots=True)
class Labelled:
    """A message with the task it names ("none" for no task)."""

    text: str
    task: str
    language: str
    held_out: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """What a model said of one message: natural-log probabilities of the tasks, and the seconds."""

    log_probs: dict[str, float]
    seconds: float


def load() -> list[Labelled]:
    """Return the labelled messages in the order of the file."""
    data = tomllib.loads(DATA.read_text(encoding="utf-8"))
    return [
        Labelled(text, task, language, number % 2 == 1)
        for task, lists in data.items()
        for language, texts in lists.items()
        for number, text in enumerate(texts)
    ]


def score(messages: Sequence[Labelled], name: Callable[[Labelled], Guess]) -> dict[str, float]:
    """Return counts and shares of one way of naming over some messages."""
    right = wrong = silent = alarms = nones = 0
    for message in messages:
        task = name(message).task
        if message.task == "none":
            nones += 1
            alarms += task is not None
        elif task is None:
            silent += 1
        elif task.name == message.task:
            right += 1
        else:
            wrong += 1
    named = right + wrong + silent
    return {
        "messages": named,
        "right": right / named if named else 0.0,
        "wrong": wrong / named if named else 0.0,
        "silent": silent / named if named else 0.0,
        "none": nones,
        "false_alarms": alarms,
    }


async def ask_model(path: Path, name: str, messages: Sequence[Labelled]) -> list[Asked]:
    """Return what the model says of every message."""
    with tempfile.TemporaryDirectory() as folder:
        engine = LocalEngine(WorkerSpec(str(path), name, context=2048, threads=1), Path(folder), Path(folder))
        try:
            asked = []
            for number, message in enumerate(messages, 1):
                asked.append(await _words(engine, classify_request(message.text)))
                print(f"\r{name}: {number}/{len(messages)}", end="", file=sys.stderr, flush=True)
            print(file=sys.stderr)
            return asked
        finally:
            await engine.close()


async def _words(engine: LocalEngine, request: GenerationRequest) -> Asked:
    prob: TokenProb | None = None
    began = time.perf_counter()
    seconds = 0.0
    async for event in engine.generate(request):
        if isinstance(event, Delta) and event.probs and prob is None:
            prob = event.probs[0]
        if isinstance(event, Finished):
            seconds = time.perf_counter() - began
    if prob is None:
        raise RuntimeError("the model told no probabilities")
    return Asked(read_words(prob), seconds)


def table(rows: dict[str, dict[str, Any]]) -> str:
    """Return the results as a Markdown table of the held-out messages and of all."""
    lines = [
        "| who decides | right, held out | wrong | silent | false alarms | right, all | s a message |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in rows.items():
        held, everything = row["held_out"], row["all"]
        lines.append(
            f"| {name} | {held['right']:.0%} | {held['wrong']:.0%} | {held['silent']:.0%} | "
            f"{everything['false_alarms']} of {everything['none']} | {everything['right']:.0%} | "
            f"{row['seconds']:.2g} |"
        )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--models", type=Path, default=HERE.parent / ".cache" / "models")
    parser.add_argument("--model", type=Path, action="append", default=[], help="one more model's file")
    parser.add_argument("--write", action="store_true", help="write results/advice.json")
    arguments = parser.parse_args()
    messages = load()
    rows: dict[str, dict[str, Any]] = {}

    def add(name: str, way: Callable[[Labelled], Guess], seconds: float, **facts: Any) -> None:
        rows[name] = {
            "tune": score([m for m in messages if not m.held_out], way),
            "held_out": score([m for m in messages if m.held_out], way),
            "all": score(messages, way),
            "zh": score([m for m in messages if m.language == "zh"], way),
            "en": score([m for m in messages if m.language == "en"], way),
            "seconds": seconds,
            **facts,
        }

    began = time.perf_counter()
    by_rules = {message.text: guess_by_rules(message.text) for message in messages}
    add("rules", lambda m: by_rules[m.text], (time.perf_counter() - began) / len(messages))
    models = {title: arguments.models / f"{name}.gguf" for title, name in MODELS.items()}
    for title, path in (models | {path.stem: path for path in arguments.model}).items():
        asked = asyncio.run(ask_model(path, path.stem, messages))
        reported = {message.text: entry for message, entry in zip(messages, asked, strict=True)}
        seconds = statistics.median(entry.seconds for entry in asked)

        def by_model(m: Labelled, report: dict[str, Asked] = reported, sure: float = 0.0) -> Guess:
            return guess_from(report[m.text].log_probs, sure=sure)

        for sure in SURE:
            share = f", sure ≥ {sure:.1f}" if sure else ""
            add(f"{title}{share}", lambda m, s=sure, by=by_model: by(m, sure=s), seconds)

        def both(m: Labelled, by: Callable[..., Guess] = by_model) -> Guess:
            return by_rules[m.text] if by_rules[m.text].task else by(m, sure=0.9)

        add(f"rules, then {title} ≥ 0.9", both, seconds)
    print(table(rows))
    if arguments.write:
        RESULTS.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
