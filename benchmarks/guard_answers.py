"""Writes the model answers that the guard's proof reads: good ones, and loops that really happened.

Good answers: temperature 0.7 with Qwen2.5's own settings. Loops: long tasks at temperature 0 … 0.3
without any penalty; whether an answer truly loops is decided later, by an independent check in
guard_proof.py. Needs the two test models (`make models`) and some hours on one core. Where the folder of
the models also holds qwen2.5-coder-1.5b.gguf, its loops are written too.

    python benchmarks/guard_answers.py --out .cache/guard/answers.jsonl

Each line: model, kind ("good" or "loop"), prompt, sampling, finish, tokens (texts), entropy (nats of
the reported candidates plus the bound of the remainder). A run that was interrupted goes on.
"""

import argparse
import json
import math
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, product
from pathlib import Path
from typing import Any

MODELS = {"smollm2-135m": "smollm2-135m.gguf", "qwen2.5-coder-0.5b": "qwen2.5-coder-0.5b.gguf"}
LARGER = {"qwen2.5-coder-1.5b": "qwen2.5-coder-1.5b.gguf"}
"""Writes loops alone, and only where its file is there: it is no test model."""

GOOD = {
    "temperature": 0.7,
    "top_p": 0.8,
    "top_k": 20,
    "min_p": 0.0,
    "repeat_penalty": 1.05,
    "repeat_last_n": 4096,
}
TOP = 10

GOOD_EN = (
    "Explain how a refrigerator works, step by step.",
    "Compare TCP and UDP in a Markdown table and then explain when to use which.",
    "Write a Python class for a bounded queue with tests.",
    "Give me ten practical tips for learning a language.",
    "What is the difference between weather and climate?",
    "Write a short story about a lighthouse keeper who finds a letter.",
    "Explain Bayes' theorem with a worked example and formulas.",
    "Write a SQL schema for a small library and five example queries.",
    "Describe the water cycle for a ten-year-old.",
    "Write a poem with a refrain about the sea.",
    "List the planets with their size, distance and number of moons as JSON.",
    "How do I plan a week of simple vegetarian dinners? Give a shopping list.",
    "Write a bash script that backs up a folder and rotates the last seven copies.",
    "Explain recursion with three examples in JavaScript.",
    "What should I check before buying a used car?",
    "Write a formal letter asking a landlord to repair the heating.",
    "Summarise the causes of the First World War.",
    "Explain how photosynthesis works.",
    "Write unit tests for a function that parses dates.",
    "Write a song with a chorus about going home.",
    "Describe a good morning routine hour by hour.",
    "Explain the multiplication table of 7 and show it.",
    "Write an HTML page with a form of six fields.",
    "What are the advantages and disadvantages of remote work?",
    "Write a dialogue between a teacher and a pupil about gravity.",
    "Explain the difference between a process and a thread.",
    "Show an example access log of a web server with fifteen lines and explain the fields.",
    "Write a C function that reverses a linked list, with comments.",
    "Prove that the square root of two is irrational.",
    "Give a history of the bicycle.",
)
GOOD_ZH = (
    "请解释冰箱的工作原理，分步骤说明。",
    "用表格比较 TCP 和 UDP，并说明各自的适用场景。",
    "写一个 Python 的有界队列类，并附上测试。",
    "给出十条学习外语的实用建议。",
    "天气和气候有什么区别？",
    "写一个关于灯塔看守人收到一封信的短篇故事。",
    "用例子和公式解释贝叶斯定理。",
    "设计一个小型图书馆的 SQL 表结构，并给出五个查询示例。",
    "给十岁的孩子讲讲水循环。",
    "写一首带副歌的关于大海的诗。",
    "用 JSON 列出八大行星的大小、距离和卫星数量。",
    "帮我安排一周的素食晚餐，并列出购物清单。",
    "写一个备份文件夹并保留最近七份的 bash 脚本。",
    "用三个例子解释递归。",
    "买二手车前应该检查什么？",
    "写一封请房东维修暖气的正式信件。",
    "概述第一次世界大战的起因。",
    "光合作用是怎样进行的？",
    "为一个解析日期的函数写单元测试。",
    "写一首有副歌的、关于回家的歌词。",
    "按小时描述一个健康的早晨作息。",
    "列出九九乘法表并讲解规律。",
    "写一个有六个字段的 HTML 表单页面。",
    "远程办公有哪些优点和缺点？",
    "写一段老师和学生关于重力的对话。",
    "进程和线程有什么区别？",
    "给出十五行网站访问日志的例子，并解释各字段。",
    "用 C 语言写一个反转链表的函数，并加注释。",
    "证明根号二是无理数。",
    "介绍一下自行车的历史。",
)
LOOP_EN = (
    "Write a very long and detailed essay about the history of the ocean.",
    "List 200 reasons to read books.",
    "Write a 3000-word story about two brothers who travel to the north.",
    "Describe every room of a large castle in great detail.",
    "Write a long article about healthy food. Do not stop early.",
    "List 100 names for a cat with the reason for each.",
    "Write a complete textbook chapter about electricity.",
    "Tell me everything about trees.",
    "Write a long letter to a friend about your summer.",
    "Write a detailed travel guide for Italy with at least 40 places.",
    "Write a long speech about courage.",
    "Write the minutes of a very long meeting.",
    "Explain quantum mechanics in as much detail as possible.",
    "Write a 50-verse poem about winter.",
    "Write a diary of a hundred days on a ship.",
)
LOOP_ZH = (
    "请写一篇三千字的文章，详细介绍海洋的历史。",
    "列出两百个读书的理由。",
    "写一个五千字的故事，讲两兄弟去北方旅行。",
    "详细描述一座大城堡的每一个房间。",
    "写一篇很长的关于健康饮食的文章，不要提前结束。",
    "给猫起一百个名字，并说明每个名字的理由。",
    "写一章完整的关于电的教科书内容。",
    "告诉我关于树的一切。",
    "给朋友写一封很长的信，讲你的夏天。",
    "写一份至少包含四十个景点的意大利旅行指南。",
    "写一篇很长的关于勇气的演讲稿。",
    "写一份很长的会议记录。",
    "尽可能详细地解释量子力学。",
    "写一首五十节的关于冬天的诗。",
    "写一百天的航海日记。",
)


@dataclass(frozen=True, slots=True)
class Task:
    """One answer to be written. `parameters` are those of llama.cpp's completion request."""

    model: str
    kind: str
    prompt: str
    parameters: dict[str, Any]

    @property
    def key(self) -> str:
        return json.dumps([self.model, self.kind, self.prompt, self.parameters], sort_keys=True)


def tasks() -> Iterator[Task]:
    """Yield all tasks, the good answers first, models and languages mixed."""
    rng = random.Random(5)
    planned: list[Task] = []
    for model in MODELS:
        chinese = model.startswith("qwen")
        for number, prompt in enumerate(GOOD_EN + (GOOD_ZH if chinese else ())):
            planned.append(Task(model, "good", prompt, {**GOOD, "seed": 1000 + number, "n_predict": 400}))
        for number, prompt in enumerate(LOOP_EN + (LOOP_ZH if chinese else ())):
            temperature = (0.0, 0.2, 0.0)[number % 3]
            free = {
                "temperature": temperature,
                "repeat_penalty": 1.0,
                "top_k": 40,
                "top_p": 0.95,
                "min_p": 0.0,
            }
            planned.append(
                Task(
                    model,
                    "loop",
                    prompt,
                    {**free, "seed": 2000 + number, "n_predict": 1000, "ignore_eos": bool(number % 2)},
                )
            )
            if not chinese:
                again = {**free, "temperature": 0.1 if temperature else 0.3, "seed": 3000 + number}
                planned.append(Task(model, "loop", prompt, {**again, "n_predict": 1200, "ignore_eos": True}))
    rng.shuffle(planned)
    yield from sorted(planned, key=lambda task: task.kind != "good")
    yield from more_loops(rng)


def more_loops(rng: random.Random) -> Iterator[Task]:
    """Yield the long tasks again at other temperatures and seeds, so that there are 300 of them."""
    again: list[Task] = []
    for model in MODELS:
        prompts = LOOP_EN + LOOP_ZH if model.startswith("qwen") else LOOP_EN
        for number, (prompt, repetition) in enumerate(product(prompts, range(120 // len(prompts)))):
            parameters = {
                "temperature": (0.1, 0.2, 0.3)[repetition % 3],
                "repeat_penalty": 1.0,
                "top_k": 40,
                "top_p": 0.95,
                "min_p": 0.0,
                "seed": 4000 + number,
                "n_predict": 1000,
                "ignore_eos": bool(repetition % 2),
            }
            again.append(Task(model, "loop", prompt, parameters))
    rng.shuffle(again)
    yield from again


def larger_loops() -> Iterator[Task]:
    """Yield the long tasks once for the larger model, both languages in turn."""
    for model in LARGER:
        for number, prompt in enumerate(chain.from_iterable(zip(LOOP_EN, LOOP_ZH, strict=True))):
            parameters = {
                "temperature": (0.0, 0.2, 0.3)[number % 3],
                "repeat_penalty": 1.0,
                "top_k": 40,
                "top_p": 0.95,
                "min_p": 0.0,
                "seed": 5000 + number,
                "n_predict": 1000,
                "ignore_eos": bool(number // 2 % 2),
            }
            yield Task(model, "loop", prompt, parameters)


def entropy_bound(logprobs: list[float]) -> float:
    """Return Σ −p·ln p of the candidates plus the remainder taken as one candidate (a lower bound)."""
    total, left = 0.0, 1.0
    for logprob in logprobs:
        p = math.exp(logprob)
        total -= p * logprob
        left -= p
    return total - left * math.log(left) if left > 1e-9 else total


class Writer:
    """Holds one model in this process and writes answers, a token at a time."""

    def __init__(self, path: Path, threads: int) -> None:
        import xllamacpp

        params = xllamacpp.CommonParams()
        params.model.path = str(path)
        params.n_ctx, params.n_parallel, params.verbosity, params.cache_ram_mib = 4096, 1, 0, 0
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
        self._server = xllamacpp.Server(params)

    def write(self, task: Task) -> dict[str, Any]:
        tokens: list[str] = []
        entropies: list[float] = []
        errors: list[str] = []
        finish: list[str | None] = [None]

        def collect(chunk: dict[str, Any]) -> bool:
            if "choices" not in chunk:
                errors.append(str(chunk))
                return True
            choice = chunk["choices"][0]
            for item in (choice.get("logprobs") or {}).get("content") or ():
                entropies.append(round(entropy_bound([c["logprob"] for c in item["top_logprobs"]]), 3))
                tokens.append("")
            if choice["text"]:
                if not tokens:
                    tokens.append("")
                tokens[-1] += choice["text"]
            finish[0] = choice.get("finish_reason") or finish[0]
            return False

        prompt = f"<|im_start|>user\n{task.prompt}<|im_end|>\n<|im_start|>assistant\n"
        self._server.handle_completions(
            {"prompt": prompt, "stream": True, "n_probs": TOP, **task.parameters}, collect
        )
        if errors or not tokens:
            # an exception inside the callback would be swallowed by the library
            raise RuntimeError(f"the engine wrote nothing: {errors}")
        return {"tokens": tokens, "entropy": entropies, "finish": finish[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(".cache/guard/answers.jsonl"))
    parser.add_argument(
        "--models", type=Path, default=Path(os.environ.get("TWOKEYS_TEST_MODELS", ".cache/models"))
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", choices=[*MODELS, *LARGER], help="this model's answers alone")
    args = parser.parse_args()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    done = set()
    if args.out.exists():
        done = {json.loads(line)["key"] for line in args.out.read_text(encoding="utf-8").splitlines()}
    writers: dict[str, Writer] = {}
    files = MODELS | {name: file for name, file in LARGER.items() if (args.models / file).exists()}
    with args.out.open("a", encoding="utf-8") as out:
        for task in chain(tasks(), larger_loops()):
            if task.key in done or task.model not in files or (args.only and task.model != args.only):
                continue
            if task.model not in writers:
                writers[task.model] = Writer(args.models / files[task.model], args.threads)
            answer = writers[task.model].write(task)
            row = {"key": task.key, "model": task.model, "kind": task.kind, "prompt": task.prompt}
            out.write(json.dumps({**row, "sampling": task.parameters, **answer}, ensure_ascii=False) + "\n")
            out.flush()


if __name__ == "__main__":
    main()
