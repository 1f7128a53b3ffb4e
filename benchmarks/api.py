"""What the API costs: the client's speed against the engine's own, first token, a client that leaves, memory.

    python benchmarks/api.py --model MODEL.gguf

Each figure is a ratio or a difference within one answer or one run: the client's clock against the engine's
own timings, which come with every answer. The first token is compared a second time with the same client
asking the worker's own server directly, in turns: what the client itself takes cancels out there. The
server's memory is its own (`own_memory.py`), read by itself after each tenth of the short requests. Needs the
`openai` package (`pip install '.[bench]'`).
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai

from own_memory import own_bytes
from twokeys.api.keys import KEYS_FILE, ApiKeys
from twokeys.api.server import serve_api
from twokeys.config import load_config
from twokeys.core.memory.overrides import Overrides
from twokeys.engines.local import LocalEngine
from twokeys.services import Services, build_services

QUESTION = "Write a long fairy tale about a fox who travels around the whole world."
TENTHS = 10
GUARD_OFF = {"guard": {"loop": "off", "decay": "off", "drift": "off"}}


@dataclass(frozen=True)
class Stream:
    """One streamed answer, by the client's clock and by the engine's (0 when asked directly)."""

    client_s: float
    client_ttft_s: float
    engine_ttft_s: float
    engine_decode_s: float

    @property
    def speed_ratio(self) -> float:
        """Return the client's speed ÷ the engine's own, of the tokens after the first."""
        return self.engine_decode_s / self.client_s

    @property
    def overhead_ms(self) -> float:
        """Return what the first token took beyond the engine's own time."""
        return 1000 * (self.client_ttft_s - self.engine_ttft_s)


@dataclass(frozen=True)
class Served:
    """The API in a process of its own, and the questions about itself that this process answers."""

    client: openai.OpenAI
    process: "subprocess.Popen[str]"

    def memory(self) -> int:
        """Return the process's own memory in bytes."""
        return int(self._tell("memory"))

    def worker(self) -> openai.OpenAI:
        """Return a client of the worker's own server."""
        reported = self._tell("worker")
        return openai.OpenAI(base_url=reported["base_url"], api_key=reported["key"])

    def _tell(self, question: str) -> Any:
        assert self.process.stdin is not None and self.process.stdout is not None
        print(question, file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())


@contextlib.contextmanager
def served(model: str, slots: int) -> Iterator[Served]:
    """Serve the API in a process of its own, over an engine with so many slots."""
    with tempfile.TemporaryDirectory() as home:
        env = {**os.environ, "TWOKEYS_HOME": home}
        services = build_services(load_config(env, model=model))
        services.memory.keep(services.models.resolve(model).name, Overrides(context=2048, parallel=slots))
        services.close()
        key = ApiKeys(Path(home) / KEYS_FILE).add("bench").key
        pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        server = subprocess.Popen([sys.executable, __file__, "--serve", "--model", model], env=env, **pipes)
        assert server.stdout is not None
        try:
            base_url = json.loads(server.stdout.readline())
            yield Served(openai.OpenAI(base_url=base_url, api_key=key, max_retries=5), server)
        finally:
            server.terminate()
            server.wait(20)


def serve(model: str) -> None:
    """Serve the API as `twokeys serve` does, and answer on stdout what is asked on stdin."""
    services = build_services(load_config(model=model))
    threading.Thread(target=answer_questions, args=(services,), daemon=True).start()
    serve_api(
        services,
        "127.0.0.1",
        0,
        on_listening=lambda listening: print(json.dumps(f"{listening.url}/v1"), flush=True),
    )


def answer_questions(services: Services) -> None:
    for line in sys.stdin:
        reported: object = own_bytes()
        if line.strip() == "worker":
            engine = services.engines.current()
            assert isinstance(engine, LocalEngine)
            process, _dialect = engine._current()
            assert process.ready is not None
            reported = {"base_url": f"{process.ready.address}/v1", "key": process.key}
        print(json.dumps(reported), flush=True)


def ask(client: openai.OpenAI, tokens: int, seed: int, question: str = QUESTION) -> Any:
    return client.chat.completions.create(
        model="twokeys",
        messages=[{"role": "user", "content": question}],
        max_tokens=tokens,
        seed=seed,
        stream=True,
        extra_body=GUARD_OFF,
    )


def stream(client: openai.OpenAI, tokens: int, seed: int, question: str = QUESTION) -> Stream:
    """Stream one answer to its end."""
    began = time.perf_counter()
    first = last = None
    facts: dict[str, Any] = {}
    for chunk in ask(client, tokens, seed, question):
        facts = (chunk.model_extra or {}).get("twokeys") or facts
        if chunk.choices and chunk.choices[0].delta.content:
            last = time.perf_counter()
            first = first or last
    timings = facts.get("timings", {})
    return Stream(
        client_s=(last or began) - (first or began),
        client_ttft_s=(first or began) - began,
        engine_ttft_s=timings.get("ttft_s", 0.0),
        engine_decode_s=timings.get("decode_s", 0.0),
    )


def leave(client: openai.OpenAI, seed: int) -> float:
    """Go away in the middle of an answer; return how long the next one's first token then takes, in s."""
    chunks = ask(client, 512, seed)
    for _ in range(5):
        next(chunks)
    chunks.close()
    return stream(client, 4, seed).client_ttft_s


def first_token(api: Served, pairs: int) -> list[tuple[Stream, Stream]]:
    """Return short answers of the API and of the worker's own server, asked in turns."""
    worker = api.worker()
    stream(worker, 8, 0)
    return [(stream(api.client, 8, number), stream(worker, 8, number)) for number in range(pairs)]


def memory(api: Served, requests: int) -> list[int]:
    """Return the server's own memory after each tenth of so many requests."""
    read = []
    for part in range(TENTHS):
        for number in range(requests * part // TENTHS, requests * (part + 1) // TENTHS):
            stream(api.client, 8, number)
        read.append(api.memory())
    return read


def one_slot(api: Served, args: argparse.Namespace) -> dict[str, float]:
    """Measure all but the streams at once."""
    stream(api.client, 16, 0)
    rows = [stream(api.client, args.tokens, number) for number in range(args.rounds)]
    freed, usual = [], []
    for number in range(args.rounds):
        usual.append(stream(api.client, 4, number).client_ttft_s)
        freed.append(leave(api.client, number))
    pairs = first_token(api, args.pairs)
    tenths = memory(api, args.many)
    return {
        "one stream: speed at the client ÷ the engine's own": statistics.median(
            row.speed_ratio for row in rows
        ),
        "first token, API − the worker asked directly, ms": statistics.median(
            1000 * (ours.client_ttft_s - direct.client_ttft_s) for ours, direct in pairs
        ),
        "first token, client − engine, ms": statistics.median(ours.overhead_ms for ours, _ in pairs),
        "first token after a client that left − usual, ms": 1000
        * (statistics.median(freed) - statistics.median(usual)),
        "memory of the server, highest ÷ after a tenth": max(tenths[1:]) / tenths[0],
        "its growth in the last half, KiB a request": (tenths[-1] - tenths[TENTHS // 2 - 1])
        / 1024
        / (args.many / 2),
    }


def at_once(api: Served, args: argparse.Namespace) -> float:
    """Return the speed at the client ÷ the engine's own of as many streams as there are slots."""
    with ThreadPoolExecutor(args.slots) as pool:
        stream(api.client, 16, 0)
        rows = [
            row
            for number in range(args.rounds)
            for row in pool.map(
                lambda slot, number=number: stream(api.client, args.tokens, number * 10 + slot),
                range(args.slots),
            )
        ]
    return statistics.median(row.speed_ratio for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--tokens", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=100, help="short answers, for the first token")
    parser.add_argument("--many", type=int, default=200, help="short requests in a row, for memory")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/api.json"))
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        serve(args.model)
        return
    with served(args.model, 1) as api:
        figures = one_slot(api, args)
    with served(args.model, args.slots) as api:
        figures[f"{args.slots} streams at once: speed at the client ÷ the engine's own"] = at_once(api, args)
    rounded = {name: round(value, 3) for name, value in figures.items()} | {"requests": args.many}
    for name, value in rounded.items():
        print(f"{name:60} {value}")
    args.out.write_text(json.dumps(rounded, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
