"""What speculative decoding gains, task by task and by temperature: with drafts beside without, in turns.

    python benchmarks/speculation.py --model PATH.gguf [--draft simple,mod] [--drafter PATH.gguf] [--rounds 5]
        [--tokens 96] [--temperatures 0,0.7] [--out RESULTS]

Workers of one model: without drafts, without again (the control: its ratio is the noise), and one for each
way of drafting. For each task, temperature and round all of them write the same answer with the same seed,
one after another, in turning order, while the others sleep. Compared is the processor time of the worker
for one token, as wall time on a shared machine is mostly the others' work; the ratio is without ÷ with,
above 1 is a gain. The interval is of the mean of the logarithms of the paired ratios (Student's t, 95 %).
Beside it stand the share of drafted tokens that were accepted, and in how many answers the text is the
same. `mod` drafts from everything its worker has read, so that worker starts anew before each answer: a
second round would copy from the first.
With `--out` every row is stored as it is measured; the same command goes on where it was ended.

    python benchmarks/speculation.py --table RESULTS …

The stored rows of several models as the table of docs/speed.md.

    python benchmarks/speculation.py --model PATH.gguf --distribution 2000

Whether drafts change what is written: so many seeds without and as many others with drafts write three tokens
after a text that is about to repeat itself, at temperature 2; Pearson's χ² of the two samples.
"""

import argparse
import asyncio
import json
import math
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import psutil
from scipy import stats

from twokeys.core.memory.drafts import make_draft
from twokeys.engines.local import LocalEngine
from twokeys.types import ChatMessage, Delta, Draft, Finished, GenerationRequest, Sampling, WorkerSpec

ARTICLE = (
    "The lighthouse at Corran Point was built in 1863 after two ships had been lost within one winter. It is "
    "twenty-four metres high, and its lamp can be seen for eighteen sea miles. Until 1987 a keeper lived "
    "there with his family; since then it has been run from the harbour office in Oban. Visitors may climb "
    "the 112 steps from May to September, when the weather allows it. The old kitchen is a small museum."
)
REPORT = (
    "老城区的自行车道将于九月开工。第一期长六公里，从火车站经过市图书馆到大学东门，预算为两千四百万元。"
    "施工期间，沿线的公交车站会向前移动五十米，夜间停止施工。市政府说，完工后每天大约有一万二千人骑车上下班，"
    "早高峰的拥堵可以减少百分之十五。第二期的路线将在明年春天公布，并向市民征求意见。"
)
CODE = (
    "def mean_of_positive(values):\n    total = 0\n    count = 0\n    for value in values:\n"
    "        if value > 0:\n            total += value\n            count += 1\n"
    "    return total / count\n\n\ndef spread(values):\n"
    "    middle = mean_of_positive(values)\n"
    "    return sum((value - middle) ** 2 for value in values) / len(values)\n"
)
TASKS = {
    "copy-edit en": f"Correct spelling and commas and return the whole text, nothing else:\n\n{ARTICLE}",
    "copy-edit zh": f"改正错别字和标点，把全文原样返回，不要解释：\n\n{REPORT}",
    "rewrite": f"Return the whole text; only turn the last sentence into two shorter ones:\n\n{ARTICLE}",
    "summarise": f"Summarise this text in three sentences:\n\n{ARTICLE}",
    "code fix": f"mean_of_positive fails for an empty list. Return the whole corrected code:\n\n{CODE}",
    "translate": f"把下面的文字翻译成英文：\n\n{REPORT}",
    "JSON": f"Return all numbers of this text with what they count as a JSON list of objects:\n\n{ARTICLE}",
    "continue": f"Go on with this text for another paragraph:\n\n{ARTICLE}",
    "story en": "Write a story about a fox who keeps a lighthouse.",
    "story zh": "写一个关于看守灯塔的狐狸的故事。",
}
SECTIONS = {
    "section rewrite en": f"The section's present text:\n{ARTICLE}\n\nRewrite the text above as follows: "
    "address the reader, and be less formal\nWrite the rewritten text only.",
    "section rewrite zh": f"这一节现在的正文：\n{REPORT}\n\n"
    "请按这个要求改写上面的文字：语气更亲切，面向市民\n只写改写后的文字。",
    "section condense en": f"The section's present text:\n{ARTICLE}\n\nCondense the text above to about 55 "
    "words: keep its points, terms and figures, drop repetition and padding. Write the condensed text only.",
    "section condense zh": f"这一节现在的正文：\n{REPORT}\n\n请把上面的文字压缩到约 90 字："
    "保留要点、术语和数字，删去重复和空话。只写压缩后的文字。",
}
"""What the writer asks of a section, in its words: measured where --tasks names them."""
CONTROLS = ("without", "control")


@dataclass(frozen=True, slots=True)
class Answered:
    """One answer: processor seconds and tokens, what was drafted and accepted, and its text."""

    cpu_s: float
    tokens: int
    drafted: int
    accepted: int
    text: str


@dataclass(frozen=True, slots=True)
class Row:
    """One task at one temperature, drafted in one way; the control is without ÷ without again."""

    draft: str
    task: str
    temperature: float
    rounds: int
    gain: float
    low: float
    high: float
    control: float
    control_low: float
    control_high: float
    accepted: float | None
    same_text: int


class Store:
    """The rows measured so far, printed as they come and kept in a file where one is named."""

    def __init__(self, model: str, path: Path | None) -> None:
        self._model = model
        self._path = path
        self._rows: list[Row] = []
        if path and path.exists():
            facts = json.loads(path.read_text(encoding="utf-8"))
            if facts["model"] != model:
                raise SystemExit(f"{path} holds the rows of {facts['model']}")
            self._rows = [Row(**row) for row in facts["rows"]]

    def has(self, task: str, temperature: float) -> bool:
        return any((row.task, row.temperature) == (task, temperature) for row in self._rows)

    def add(self, row: Row) -> None:
        self._rows.append(row)
        print(line_of(row), flush=True, file=sys.stderr)
        if self._path:
            facts = {"model": self._model, "rows": [asdict(row) for row in self._rows]}
            self._path.write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


async def write(engine: LocalEngine, request: GenerationRequest) -> Answered:
    """Write one answer from a prompt that is in the cache already; measures its worker meanwhile."""
    process = psutil.Process(engine.pid)
    text, finished, began = "", None, _cpu(process)
    async with aclosing(engine.generate(request)) as events:
        async for event in events:
            if isinstance(event, Delta):
                text += event.text
            elif isinstance(event, Finished):
                finished = event
    if finished is None:
        raise RuntimeError("the answer did not end")
    counts = finished.engine
    return Answered(
        _cpu(process) - began,
        finished.usage.completion_tokens,
        int(counts.get("draft_tokens", 0)),
        int(counts.get("draft_accepted", 0)),
        text,
    )


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


async def measure(
    engines: dict[str, LocalEngine],
    tasks: dict[str, str],
    temperatures: list[float],
    rounds: int,
    tokens: int,
    store: Store,
) -> None:
    for task, prompt in tasks.items():
        for temperature in temperatures:
            if store.has(task, temperature):
                continue
            asked = GenerationRequest(
                (ChatMessage("user", prompt),),
                Sampling(temperature=temperature, max_new_tokens=tokens),
                ignore_eos=True,
            )
            turns = [await _turn(engines, asked, number) for number in range(rounds)]
            for way in engines:
                if way not in CONTROLS:
                    store.add(row_of(way, task, temperature, turns))


async def _turn(
    engines: dict[str, LocalEngine], asked: GenerationRequest, number: int
) -> dict[str, Answered]:
    """Let every worker write the same answer, the first of them another one each time."""
    request = replace(asked, sampling=asked.sampling.with_(seed=number))
    ways = list(engines)
    turn = {}
    for place in range(len(ways)):
        way = ways[(place + number) % len(ways)]
        anew = way == "mod"
        if anew:
            await engines[way].close()
            await engines[way].start()
        if anew or not number:  # the prompt is read unmeasured
            await write(engines[way], _short(request))
        turn[way] = await write(engines[way], request)
    return turn


async def compare_samples(engines: dict[str, LocalEngine], seeds: int) -> dict[str, float]:
    """Return χ², its degrees of freedom and p of what so many seeds write without and with drafts."""
    drafting = next(way for way in engines if way not in CONTROLS)
    counts: dict[str, Counter[str]] = {"without": Counter(), drafting: Counter()}
    drafted = 0
    begun = " ".join((ARTICLE, *ARTICLE.split()[:30]))
    for number in range(seeds):
        for way, first in (("without", 0), (drafting, seeds)):
            sampling = Sampling(temperature=2.0, top_k=20, top_p=1.0, max_new_tokens=3, seed=first + number)
            request = GenerationRequest(
                (ChatMessage("user", TASKS["copy-edit en"]),), sampling, prefix=begun, ignore_eos=True
            )
            answered = await write(engines[way], request)
            counts[way][answered.text] += 1
            drafted += answered.drafted
    if not drafted:
        raise SystemExit("nothing was drafted: the samples would say nothing")
    often = [text for text, count in (counts["without"] + counts["with"]).items() if count >= 10]
    rows = [[count[text] for text in often] for count in counts.values()]
    rows = [[*row, seeds - sum(row)] for row in rows]
    columns = [column for column in zip(*rows, strict=True) if sum(column)]
    test = stats.chi2_contingency(list(zip(*columns, strict=True)))
    return {
        "seeds": seeds,
        "drafted": drafted,
        "chi2": float(test.statistic),
        "freedom": float(test.dof),
        "p": float(test.pvalue),
    }


def _short(request: GenerationRequest) -> GenerationRequest:
    return GenerationRequest(request.messages, request.sampling.with_(max_new_tokens=1))


def row_of(way: str, task: str, temperature: float, turns: list[dict[str, Answered]]) -> Row:
    gains = [_per_token(turn["without"]) / _per_token(turn[way]) for turn in turns]
    noise = [_per_token(turn["without"]) / _per_token(turn["control"]) for turn in turns]
    drafted = sum(turn[way].drafted for turn in turns)
    accepted = sum(turn[way].accepted for turn in turns) / drafted if drafted else None
    same = sum(turn[way].text == turn["without"].text for turn in turns)
    return Row(way, task, temperature, len(turns), *interval(gains), *interval(noise), accepted, same)


def _per_token(answered: Answered) -> float:
    return answered.cpu_s / max(1, answered.tokens)


def interval(ratios: list[float]) -> tuple[float, float, float]:
    """Return the geometric mean of paired ratios with its 95 % interval."""
    logs = [math.log(max(ratio, 1e-9)) for ratio in ratios]
    middle = statistics.fmean(logs)
    if len(logs) < 2:
        return math.exp(middle), 0.0, math.inf
    half = stats.t.ppf(0.975, len(logs) - 1) * statistics.stdev(logs) / math.sqrt(len(logs))
    return math.exp(middle), math.exp(middle - half), math.exp(middle + half)


def line_of(row: Row) -> str:
    accepted = "  –  " if row.accepted is None else f"{row.accepted:5.0%}"
    return (
        f"{row.draft:8} {row.task:14} T {row.temperature:<4} "
        f"×{row.gain:.2f} [{row.low:.2f}, {row.high:.2f}]  control "
        f"×{row.control:.2f} [{row.control_low:.2f}, {row.control_high:.2f}]  accepted {accepted}  "
        f"same text {row.same_text} of {row.rounds}"
    )


def table_of(paths: Sequence[Path]) -> str:
    """Return stored rows as a Markdown table, one line for each task and temperature."""
    held = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    rows = {(facts["model"], row["draft"], row["task"], row["temperature"]): Row(**row)
            for facts in held for row in facts["rows"]}  # fmt: skip
    ways = list(dict.fromkeys(key[:2] for key in rows))
    models = list(dict.fromkeys(model for model, _ in ways))
    heads = [
        head for model in models for head in (f"{model}: control", *(way for of, way in ways if of == model))
    ]
    lines = ["| task | T | " + " | ".join(heads) + " |", "|---" * (len(heads) + 2) + "|"]
    for task, temperature in dict.fromkeys(key[2:] for key in rows):
        fields = []
        for model in models:
            of_model = [rows.get((model, way, task, temperature)) for of, way in ways if of == model]
            first = next((row for row in of_model if row is not None), None)
            fields.append(
                "–" if first is None else _ratio(first.control, first.control_low, first.control_high)
            )
            fields += ["–" if row is None else _cell(row) for row in of_model]
        lines.append(f"| {task} | {temperature:g} | " + " | ".join(fields) + " |")
    return "\n".join(lines)


def _cell(row: Row) -> str:
    drafted = "nothing drafted" if row.accepted is None else f"{row.accepted:.0%} accepted"
    same = "" if row.same_text == row.rounds else f", same text {row.same_text} of {row.rounds}"
    return f"{_ratio(row.gain, row.low, row.high)}, {drafted}{same}"


def _ratio(middle: float, low: float, high: float) -> str:
    return f"{middle:.2f} [{low:.2f}, {high:.2f}]"


async def run(arguments: argparse.Namespace) -> None:
    every = TASKS | SECTIONS
    tasks = {name: every[name] for name in arguments.tasks.split(",")} if arguments.tasks else TASKS
    temperatures = [float(text) for text in arguments.temperatures.split(",")]
    store = Store(arguments.model.stem, arguments.out)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        usual = WorkerSpec(
            str(arguments.model), arguments.model.stem, context=2048, threads=arguments.threads
        )
        specs = dict.fromkeys(CONTROLS, usual)
        specs |= {draft.name: replace(usual, draft=draft) for draft in drafts_of(arguments)}
        engines = {way: LocalEngine(spec, home / way, home / "logs") for way, spec in specs.items()}
        for way in engines:
            (home / way).mkdir(mode=0o700)
        try:
            for engine in engines.values():
                await engine.start()
            if arguments.distribution:
                print(json.dumps(await compare_samples(engines, arguments.distribution)), flush=True)
            else:
                await measure(engines, tasks, temperatures, arguments.rounds, arguments.tokens, store)
        finally:
            for engine in engines.values():
                await engine.close()


def drafts_of(arguments: argparse.Namespace) -> list[Draft]:
    path = str(arguments.drafter) if arguments.drafter else None
    names = [arguments.drafter.stem] if arguments.drafter else arguments.draft.split(",")
    drafts = [make_draft(name, batch=128, parallel=1, path=path) for name in names]
    if not all(drafts):
        raise SystemExit("--draft simple, mod or simple,mod, or --drafter PATH.gguf")
    return [draft for draft in drafts if draft is not None]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path)
    parser.add_argument("--draft", default="simple,mod")
    parser.add_argument("--drafter", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=96)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--temperatures", default="0,0.3,0.7,1.0")
    parser.add_argument("--tasks", default="", help="some of: " + ", ".join(TASKS | SECTIONS))
    parser.add_argument("--distribution", type=int, default=0, metavar="SEEDS")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--table", type=Path, nargs="+", metavar="RESULTS")
    arguments = parser.parse_args()
    if arguments.table:
        print(table_of(arguments.table))
    elif arguments.model is None:
        parser.error("--model is needed to measure")
    else:
        asyncio.run(run(arguments))
    return 0


if __name__ == "__main__":
    sys.exit(main())
