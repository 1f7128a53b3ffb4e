"""Opening a 1000-message conversation, searching 100 000 messages, journalling a 32 768-token answer.

    python benchmarks/store.py [--json] [--messages 100000]

Prints times and, because times belong to a machine, the ratios: opening the last 30 messages to
opening all, a search to a plain scan of the same texts, a piece of the journal at the end of a long
answer to one at its beginning. Texts are made from a fixed seed, half Chinese and half English.
"""

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from twokeys.config import Config, prepare_home
from twokeys.ids import new_id
from twokeys.store.repository import Repository
from twokeys.types import Message

LONG_CONVERSATION = 1000
LAST = 30
ANSWER_TOKENS = 32_768
TOKENS_PER_PIECE = 25
"""A quarter of a second at 100 tokens per second."""

ZH_WORDS = (
    "温度 模型 长度 回答 参数 显存 梯度 消失 网络 记忆 比喻 解释 老师 学生 代码 注释 报告 章节 数据 实验 "
    "结果 方法 问题 城市 天气 历史 文化 音乐 电影 旅行 美食 健康 运动 经济 市场 产品 设计 用户 体验 系统 "
    "安全 隐私 开源 社区 许可 测试 部署 性能 优化 内存 缓存 线程 进程 网页 浏览 数学 证明 概率 统计 分布"
)
ZH_JOIN = "的了和在是有就不也都要会能对这那我们可以因为所以如果但是然后而且一个什么怎么"
EN_WORDS = (
    "temperature model length answer parameter memory gradient vanishing network analogy explain teacher "
    "student code comment report chapter data experiment result method question city weather history music "
    "travel health sport economy market product design user system security privacy open source community "
    "licence test deploy performance cache thread process browser mathematics proof probability statistics"
)
EN_JOINS = "the a of and in is to that it for as with on this be are not have which but"

QUERIES = {
    "two characters": "梯度",
    "one character": "梯",
    "one very common character": "的",
    "four characters": "梯度消失",
    "two Chinese words": "显存 老师",
    "rare Chinese word": "琥珀",
    "English word": "probability",
    "English prefix": "prob",
    "two English words": "gradient teacher",
    "both": "python 琥珀",
    "not there": "薛定谔",
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument("--messages", type=int, default=100_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        config = Config(home=Path(folder))
        prepare_home(config)
        repository = Repository.open(config)
        figures: dict[str, Any] = {
            "open": measure_opening(repository),
            "journal": measure_journal(repository),
            "search": measure_search(repository, options.messages),
        }
        figures["database_bytes"] = config.database.stat().st_size
        repository.close()
        figures["reopen_ms"] = _ms(lambda: Repository.open(config).close(), 3)
    if options.json:
        print(json.dumps(figures, ensure_ascii=False))
    else:
        _print(figures)


def measure_opening(repository: Repository) -> dict[str, float]:
    conversation = repository.create_conversation()
    chooser = random.Random(1)
    parent: str | None = None
    for number in range(LONG_CONVERSATION):
        message = Message(
            id=new_id(),
            conversation_id=conversation.id,
            parent_id=parent,
            role="assistant" if number % 2 else "user",
            content=_text(chooser, 300 if number % 2 else 20),
            created_at=float(number),
            token_ids=tuple(range(600)) if number % 2 else (),
        )
        parent = repository.add_message(message).id
    last_ms = _ms(lambda: repository.branch(conversation.id, LAST), 20)
    all_ms = _ms(lambda: repository.branch(conversation.id), 5)
    return {"last_30_ms": last_ms, "all_ms": all_ms, "ratio": last_ms / all_ms}


def measure_journal(repository: Repository) -> dict[str, float]:
    conversation = repository.create_conversation()
    answer = Message(new_id(), conversation.id, None, "assistant", "", time.time(), state="streaming")
    repository.begin(answer)
    pieces = ANSWER_TOKENS // TOKENS_PER_PIECE
    text = "梯度消失是指 " * (TOKENS_PER_PIECE // 5)
    times: list[float] = []
    for number in range(pieces):
        ids = range(number, number + TOKENS_PER_PIECE)
        started = time.perf_counter()
        repository.append(answer.id, text, ids)
        times.append((time.perf_counter() - started) * 1000)
    begin_ms, end_ms = statistics.median(times[:100]), statistics.median(times[-100:])
    whole = replace(answer, content=text * pieces, state="done", finish_reason="stop")
    finish_ms = _ms(lambda: repository.finish(whole), 1)
    return {
        "append_first_ms": begin_ms,
        "append_last_ms": end_ms,
        "append_max_ms": max(times),
        "ratio": end_ms / begin_ms,
        "finish_ms": finish_ms,
        "rewriting_whole_ms": _rewriting(repository, whole),
    }


def _rewriting(repository: Repository, whole: Message) -> float:
    """The other way to journal, for comparison: storing the whole text again each time."""
    repository.update_message(whole.id, state="streaming")
    return _ms(lambda: repository.update_message(whole.id, content=whole.content), 10)


def measure_search(repository: Repository, count: int) -> dict[str, Any]:
    started = time.perf_counter()
    for batch in _batches(count):
        with repository.transaction():
            conversation = repository.create_conversation()
            repository.update_conversation(conversation.id, title=batch[0].content[:20])
            repository.add_messages([replace(m, conversation_id=conversation.id) for m in batch])
    build_s = time.perf_counter() - started
    rows = []
    for name, query in QUERIES.items():
        hits = len(repository.search(query))
        search_ms = _ms(lambda query=query: repository.search(query), 9)
        scan_ms = _ms(lambda query=query: _scan(repository, query), 3)
        rows.append(
            {
                "query": name,
                "text": query,
                "hits": hits,
                "search_ms": search_ms,
                "scan_ms": scan_ms,
                "ratio": search_ms / scan_ms,
            }
        )
    return {
        "messages": count,
        "build_s": build_s,
        "queries": rows,
        "median_ms": statistics.median(row["search_ms"] for row in rows),
        "median_ratio": statistics.median(row["ratio"] for row in rows),
    }


def _scan(repository: Repository, query: str) -> int:
    """What a search without an index does: LIKE over every message."""
    words = query.split()
    wanted = " AND ".join("content LIKE ?" for _ in words)
    with repository._db.read() as db:
        sql = f"SELECT count(*) FROM messages WHERE {wanted}"
        return int(db.execute(sql, [f"%{word}%" for word in words]).fetchone()[0])


ZH, EN, EN_JOIN = ZH_WORDS.split(), EN_WORDS.split(), EN_JOINS.split()


def _batches(count: int, size: int = 100) -> Iterator[list[Message]]:
    chooser = random.Random(2)
    for start in range(0, count, size):
        batch: list[Message] = []
        for number in range(start, min(start + size, count)):
            text = _text(chooser, 60 if number % 2 else 12)
            if number % 13 == 0:
                text += " 梯度消失"
            if number % 997 == 0:
                text += " 琥珀 python"
            role = "assistant" if number % 2 else "user"
            parent = batch[-1].id if batch else None
            batch.append(Message(new_id(), "", parent, role, text, float(number)))  # type: ignore[arg-type]
        yield batch


def _text(chooser: random.Random, words: int) -> str:
    if chooser.random() < 0.5:
        return "".join(
            chooser.choice(ZH) + chooser.choice(ZH_JOIN) + ("，" if chooser.random() < 0.1 else "")
            for _ in range(words)
        )
    return " ".join(chooser.choice(EN if n % 2 else EN_JOIN) for n in range(words))


def _ms(act: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        act()
        times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times)


def _print(figures: dict[str, Any]) -> None:
    opening, journal, search = figures["open"], figures["journal"], figures["search"]
    write = sys.stdout.write
    write(f"conversation of {LONG_CONVERSATION} messages\n")
    write(f"  last {LAST}: {opening['last_30_ms']:.1f} ms, all: {opening['all_ms']:.1f} ms")
    write(f", ratio {opening['ratio']:.3f}\n")
    write(f"journal of {ANSWER_TOKENS} tokens\n")
    write(
        f"  a piece at first {journal['append_first_ms']:.2f} ms, at last {journal['append_last_ms']:.2f} ms"
    )
    write(f", ratio {journal['ratio']:.2f}, slowest {journal['append_max_ms']:.1f} ms\n")
    write(f"  the whole text each time instead: {journal['rewriting_whole_ms']:.1f} ms at last\n")
    write(f"search in {search['messages']} messages (built in {search['build_s']:.0f} s, ")
    write(f"database {figures['database_bytes'] / 2**20:.0f} MiB, opened in {figures['reopen_ms']:.0f} ms)\n")
    for row in search["queries"]:
        write(f"  {row['query']:<28}{row['hits']:>4} shown {row['search_ms']:>8.1f} ms")
        write(f"   scan {row['scan_ms']:>7.1f} ms   ratio {row['ratio']:.3f}\n")
    write(f"  median {search['median_ms']:.1f} ms, ratio {search['median_ratio']:.3f}\n")


if __name__ == "__main__":
    main()
