"""The guard's proof: false alarms on normal text, detection of loops, made and real.

    python benchmarks/guard_corpora.py --fetch     # normal texts, once
    python benchmarks/guard_answers.py             # model answers, once (slow)
    python benchmarks/guard_proof.py               # the figures: benchmarks/results/guard.json, docs/guard.md

Normal text: every piece is streamed through a guard with default settings, raw (code outside any
fence, which is the harder case), with a question in the piece's language. A false alarm is any
event of level warn or stop; quiet notes of a loop are counted beside it, and how many of the alarms
were on texts that do repeat four times or more.

Loops: a loop is warned of in time when the first warn or stop came before its fourth copy was over,
and noticed in time when at least a note did.
Whether a model's answer really loops is decided by `true_loop`, which shares no code with the guard.
"""

import argparse
import json
import platform
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import guard_tables
from guard_corpora import Text, collect
from twokeys.core.guard import Guard
from twokeys.types import GuardEvent

QUESTION = {"zh": "请详细说明一下这个问题。", "en": "Please explain this in detail."}
LEVELS = ("warn", "stop")
COUNTED = ("texts", "warn", "stop", "note", "repeats", "repeats_stop")
BANDS = ((1, 4), (5, 20), (21, 100), (101, 400))


def watch(pieces: Iterable[str], question: str) -> list[GuardEvent]:
    """Stream the pieces through a fresh guard, one token per piece, and return its events."""
    guard = Guard({}, question)
    events: list[GuardEvent] = []
    chars = 0
    for number, piece in enumerate(pieces, start=1):
        chars += len(piece)
        events += guard.on_token(piece, number, chars, (), number * 0.02)
    return events + guard.finish()


def tokens_of(text: str) -> list[str]:
    """Cut text into pieces the size of tokens: words with their space, Chinese characters by two."""
    return re.findall(r"\s?[^\W\d_\u2e80-\u9fff]{1,8}|[\u2e80-\u9fff]{1,2}|\d|\s+|.", text)


@dataclass(slots=True)
class Tally:
    """Alarms among a number of texts. repeats: alarms on texts that do repeat, by `true_loop`."""

    texts: int = 0
    warn: int = 0
    stop: int = 0
    note: int = 0
    repeats: int = 0
    repeats_stop: int = 0
    by: Counter[str] = field(default_factory=Counter)
    examples: list[dict[str, Any]] = field(default_factory=list)

    def add(self, source: str, events: Sequence[GuardEvent], text: str = "") -> None:
        alarms = [event for event in events if event.level in LEVELS and event.kind != "stall"]
        self.texts += 1
        self.warn += any(alarms)
        self.note += any(event.kind == "loop" and event.level == "note" for event in events)
        stopped = any(event.level == "stop" for event in alarms)
        self.stop += stopped
        if any(event.kind == "loop" for event in alarms) and true_loop(text):
            self.repeats += 1
            self.repeats_stop += stopped
        self.by.update({f"{event.kind}-{event.level}" for event in alarms})
        for event in alarms:
            self.examples.append(
                {
                    "source": source,
                    "kind": event.kind,
                    "level": event.level,
                    "at": event.at_char,
                    **event.data,
                }
            )

    def to_dict(self) -> dict[str, Any]:
        values = {name: getattr(self, name) for name in COUNTED}
        return {**values, "by": dict(self.by)}


def false_alarms(texts: Iterable[Text]) -> dict[str, Tally]:
    tallies: dict[str, Tally] = defaultdict(Tally)
    for text in texts:
        events = watch(tokens_of(text.text), QUESTION[text.language])
        if text.is_mixed:
            # half-translated documents do leave their language: reported apart, see docs/guard.md
            mixed = tallies["(half-translated: drift)"]
            mixed.add(text.source, [event for event in events if event.kind == "drift"])
            events = [event for event in events if event.kind != "drift"]
        tallies[text.kind].add(text.source, events, text.text)
    return tallies


# ---- synthetic loops --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MadeLoop:
    """Good text, then a unit again and again. unit_chars: of the first copy; loop_at: where it begins."""

    text: str
    loop_at: int
    fourth_ends: int
    period: int
    noise: str
    language: str


NOISES = ("counter", "word", "comma")


def made_loops(texts: Sequence[Text], count: int) -> list[MadeLoop]:
    """Make `count` exact loops of period 1 … 400 tokens, evenly, and half as many with noise.

    Prose of both languages, every fifth is code.
    """
    rng = random.Random(17)
    bases: dict[str, list[str]] = {"en": [], "zh": [], "code": []}
    for text in texts:
        if len(text.text) < 1500:
            continue
        if text.kind.startswith("code"):
            bases["code"].append(text.text)
        elif text.kind in ("prose-en", "prose-zh", "poem-zh"):
            marks = sum(
                not (c.isalpha() or c.isspace() or c in ",.;:'\"!?-()，。；：、？！“”") for c in text.text
            )
            if marks < 0.05 * len(text.text):
                bases["en" if text.language == "en" else "zh"].append(text.text)
    loops = []
    for number in range(count):
        language = "code" if number % 5 == 4 else ("en", "zh")[number % 2]
        period = 1 + (number * 400) // count
        loops.append(_make_loop(rng, bases[language], period, "none", language))
        if period >= 12 and number % 2:
            noise = NOISES[(number // 2) % len(NOISES)]
            loops.append(_make_loop(rng, bases[language], period, noise, language))
    return loops


def _make_loop(rng: random.Random, bases: list[str], period: int, noise: str, language: str) -> MadeLoop:
    while True:
        tokens = tokens_of(rng.choice(bases))
        if len(tokens) < period + 60:
            continue
        at = rng.randrange(40, len(tokens) - period)
        unit = tokens[at : at + period]
        if sum(map(str.isalpha, "".join(unit))) * 2 >= len("".join(unit)):
            break
    before = "".join(tokens[max(0, at - 200) : at])
    copies = [noisy(unit, noise, number, rng) for number in range(12)]
    ends = [len(before)]
    for copy in copies:
        ends.append(ends[-1] + len(copy))
    return MadeLoop(before + "".join(copies), ends[0], ends[4], period, noise, language)


def noisy(unit: list[str], noise: str, number: int, rng: random.Random) -> str:
    """Change a copy as models do: a counter at its end, one word replaced, or a comma put in."""
    copy = list(unit)
    if noise == "counter":
        copy.append(f" {number + 1}. ")
    elif noise == "word":
        copy[rng.randrange(len(copy))] = rng.choice((" other", " water", "其他", "问题"))
    elif noise == "comma":
        copy.insert(rng.randrange(len(copy)), ", ")
    return "".join(copy)


def detection(loops: Iterable[MadeLoop]) -> dict[str, Any]:
    rows: dict[tuple[str, str], list[tuple[bool, bool, bool, bool]]] = defaultdict(list)
    missed = []
    for loop in loops:
        events = watch(tokens_of(loop.text), QUESTION.get(loop.language, QUESTION["en"]))
        seen = [e for e in events if e.kind == "loop" and e.at_char > loop.loop_at]
        noticed = any(e.at_char <= loop.fourth_ends for e in seen)
        alarms = [e for e in seen if e.level in LEVELS]
        in_time = any(e.at_char <= loop.fourth_ends for e in alarms)
        band = next(f"{low}-{high}" for low, high in BANDS if low <= loop.period <= high)
        what = ("code " if loop.language == "code" else "") + ("exact" if loop.noise == "none" else "noisy")
        stopped = any(e.level == "stop" for e in alarms)
        rows[band, what].append((in_time, bool(alarms), stopped, noticed))
        if not in_time:
            missed.append(
                {
                    "period": loop.period,
                    "noise": loop.noise,
                    "language": loop.language,
                    "late": bool(alarms),
                    "noticed": noticed,
                    "unit": loop.text[loop.loop_at :][:80],
                }
            )
    table = {
        f"{band} {noise}": {
            "loops": len(r),
            "in_time": sum(x[0] for x in r),
            "ever": sum(x[1] for x in r),
            "stopped": sum(x[2] for x in r),
            "noticed": sum(x[3] for x in r),
        }
        for (band, noise), r in rows.items()
    }
    return {"bands": table, "missed": missed}


# ---- real loops -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TrueLoop:
    """What brute force found: copies of `period` characters from `start` on, for `length` characters."""

    start: int
    period: int
    length: int
    exact: bool


def true_loop(text: str, longest_period: int = 2500) -> TrueLoop | None:
    """Find the loop whose fourth copy is over first, by trying every period on the whole text.

    A loop: at least four copies and 60 characters, letters in it, and it goes on to six copies or
    300 characters (so that a stock phrase said four times is none). Exact ones are looked for first,
    then those with 92 % equal characters at one distance.
    """
    codes = np.fromiter(map(ord, text), dtype=np.int32, count=len(text))
    best: TrueLoop | None = None
    for tolerant in (False, True):
        for period in range(2, min(longest_period, len(text) // 4)):
            same = codes[period:] == codes[:-period]
            run = _longest_equal(same, 0.92 if tolerant else 1.0, 3 * period)
            if run is None:
                continue
            start, held = run
            length = held + period
            unit = text[start : start + period]
            if length < 60 or sum(map(str.isalpha, unit)) < 0.4 * period or len(set(unit)) < 3:
                continue
            if held < 5 * period and length < 300:
                continue
            if best is None or start + 4 * period < best.start + 4 * best.period:
                best = TrueLoop(start, period, length, not tolerant)
        if best is not None:
            return best
    return None


def _longest_equal(
    same: "np.ndarray[Any, np.dtype[np.bool_]]", share: float, need: int
) -> tuple[int, int] | None:
    """Return (start, length) of the first run of at least `need` that is equal by `share`."""
    if len(same) < need or need < 1:
        return None
    if share >= 1.0:
        breaks = np.flatnonzero(~same)
        edges = np.concatenate(([-1], breaks, [len(same)]))
        lengths = np.diff(edges) - 1
        indices = np.flatnonzero(lengths >= need)
        return (int(edges[indices[0]] + 1), int(lengths[indices[0]])) if len(indices) else None
    sums = np.concatenate(([0], np.cumsum(same)))
    window = sums[need:] - sums[:-need]
    good = np.flatnonzero(window >= share * need)
    if not len(good):
        return None
    start = int(good[0])
    end = start
    for at in good:
        if at > end + need:
            break
        end = int(at)
    while start < len(same) and not same[start]:
        start += 1
    return start, end + need - start


def real_loops(rows: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Judge the answers written to provoke loops."""
    by: dict[str, Counter[str]] = defaultdict(Counter)
    missed: list[dict[str, Any]] = []
    tally = Tally()
    for row in rows:
        text = "".join(row["tokens"])
        loop = true_loop(text)
        language = "zh" if re.search(r"[\u4e00-\u9fff]", row["prompt"]) else "en"
        events = watch(row["tokens"], row["prompt"])
        seen = [e for e in events if e.kind == "loop"]
        alarms = [e for e in seen if e.level in LEVELS]
        count = by[f"{row['model']} {language}"]
        count["answers"] += 1
        if loop is None:
            count["no true loop"] += 1
            count["no true loop, warned"] += bool(alarms)
            count["no true loop, stopped"] += any(e.level == "stop" for e in alarms)
            if alarms:
                tally.add(row["prompt"], events)
            continue
        count["true loops"] += 1
        deadline = loop.start + 4 * loop.period
        in_time = any(e.at_char <= deadline for e in alarms)
        count["in time"] += in_time
        count["noticed"] += any(e.at_char <= deadline for e in seen)
        count["ever"] += bool(alarms)
        count["stopped"] += any(e.level == "stop" for e in alarms)
        if not in_time:
            missed.append({
                "model": row["model"], "prompt": row["prompt"], "period": loop.period, "start": loop.start,
                "exact": loop.exact, "deadline": deadline, "first": alarms[0].at_char if alarms else None,
                "unit": text[loop.start : loop.start + loop.period][:160],
            })  # fmt: skip
    return {
        "by": {key: dict(value) for key, value in by.items()},
        "missed": missed,
        "warned_without": tally.examples,
    }


def good_answers(rows: Iterable[dict[str, Any]]) -> Tally:
    tally = Tally()
    for row in rows:
        if true_loop("".join(row["tokens"])) is None:
            tally.add(f"{row['model']}: {row['prompt']}", watch(row["tokens"], row["prompt"]))
    return tally


def read_answers(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for row in rows:
        row["tokens"] = [token for token in row["tokens"] if token]
        if not row["tokens"]:
            raise SystemExit(f"{path} holds an empty answer; delete it and run guard_answers.py again")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(".cache/guard"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/guard.json"))
    parser.add_argument(
        "--docs", type=Path, default=guard_tables.DOCS, help="the page whose tables are renewed"
    )
    parser.add_argument("--made", type=int, default=1000)
    parser.add_argument("--half", choices=("tune", "publish"), default="publish", help="which packages")
    parser.add_argument("--examples", type=Path, help="write every alarm here, to look at")
    args = parser.parse_args()
    texts = [text for text in collect(args.folder / "packages") if text.half == args.half]
    answers = read_answers(args.folder / "answers.jsonl")
    tallies = false_alarms(texts)
    tallies["model answers"] = good_answers(row for row in answers if row["kind"] == "good")
    made = detection(made_loops(texts, args.made))
    real = real_loops(row for row in answers if row["kind"] == "loop")
    counted = [tally for kind, tally in tallies.items() if not kind.startswith("(")]
    total = {name: sum(getattr(tally, name) for tally in counted) for name in COUNTED}
    if args.examples:
        examples = [{"text_kind": kind, **row} for kind, tally in tallies.items() for row in tally.examples]
        rows = [*examples, *made["missed"], *real["missed"], *real["warned_without"]]
        args.examples.write_text(
            "\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8"
        )
    summary = {
        "python": platform.python_version(),
        "false_alarms": {kind: tally.to_dict() for kind, tally in sorted(tallies.items())},
        "false_alarms_total": total,
        "made_loops": made["bands"],
        "made_loops_noticed_percent": shares(made["bands"], "noticed"),
        "made_loops_in_time_percent": shares(made["bands"], "in_time"),
        "made_loops_ever_percent": shares(made["bands"], "ever"),
        "real_loops": real["by"],
        "real_loops_missed": real["missed"],
    }
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(summary, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    print_tables(summary)
    if args.docs.exists():
        guard_tables.write(args.docs, args.out.parent)


def shares(bands: dict[str, Any], what: str) -> dict[str, float]:
    """Return the percentage of made loops of which `what` is true, by kind and together."""
    result = {}
    for kind in ("exact", "noisy", "code exact", "code noisy", "all"):
        rows = [row for key, row in bands.items() if kind in ("all", key.partition(" ")[2])]
        result[kind] = round(100 * sum(r[what] for r in rows) / max(1, sum(r["loops"] for r in rows)), 1)
    return result


def print_tables(summary: dict[str, Any]) -> None:
    print(f"{'normal text':18} {'texts':>6} {'warn':>5} {'stop':>5} {'note':>5}")
    for kind, row in summary["false_alarms"].items():
        print(
            f"{kind:18} {row['texts']:6} {row['warn']:5} {row['stop']:5} {row['note']:5}  {row['by'] or ''}"
        )
    total = summary["false_alarms_total"]
    percent = ", ".join(f"{level} {100 * total[level] / max(1, total['texts']):.2f} %" for level in LEVELS)
    print(f"{'all':18} {total['texts']:6} {total['warn']:5} {total['stop']:5} {total['note']:5}  {percent}")
    for title in ("made_loops", "real_loops"):
        print(title)
        for key, row in summary[title].items():
            print(f"  {key:32} {row}")
    for what in ("noticed", "in_time"):
        print(f"made loops {what}, %:", summary[f"made_loops_{what}_percent"])


if __name__ == "__main__":
    main()
