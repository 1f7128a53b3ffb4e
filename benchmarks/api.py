"""What the API costs: the client's speed against the engine's own, first token, memory over many requests.

    python benchmarks/api.py --model MODEL.gguf

Each figure is a ratio or a difference within one run. Needs the `openai` package (`pip install '.[bench]'`).
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import openai
import psutil

QUESTION = "Write a long fairy tale about a fox who travels around the whole world."


def start(home: str, model: str) -> tuple["subprocess.Popen[str]", str, str]:
    command = [sys.executable, "-m", "twokeys"]
    env_home = {"TWOKEYS_HOME": home}
    import os

    env = {**os.environ, **env_home}
    made = subprocess.run(
        [*command, "keys", "add", "bench", "--json"], env=env, capture_output=True, text=True, check=True
    )
    server = subprocess.Popen(
        [*command, "serve", "--port", "0", "--json", "--model", model],
        env=env,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    return server, json.loads(server.stdout.readline())["base_url"], json.loads(made.stdout)["key"]


def stream(client: openai.OpenAI, tokens: int, seed: int) -> dict[str, Any]:
    """Stream one answer; return the client's speed and the engine's, and both first tokens."""
    began = time.perf_counter()
    first = last = None
    facts: dict[str, Any] = {}
    for chunk in client.chat.completions.create(
        model="twokeys",
        messages=[{"role": "user", "content": QUESTION}],
        max_tokens=tokens,
        seed=seed,
        stream=True,
        extra_body={"guard": {"loop": "off", "decay": "off", "drift": "off"}},
    ):
        facts = (chunk.model_extra or {}).get("twokeys") or facts
        if chunk.choices and chunk.choices[0].delta.content:
            last = time.perf_counter()
            first = first or last
    timings = facts["timings"]
    written = facts["context"]["size"] - facts["context"]["left"]
    return {
        "tokens": written,
        "client_s": (last or began) - (first or began),
        "client_ttft_s": (first or began) - began,
        "engine_ttft_s": timings["ttft_s"],
        "engine_decode_s": timings["decode_s"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--tokens", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--many", type=int, default=200, help="short requests in a row, for memory")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/api.json"))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        server, url, key = start(home, args.model)
        try:
            client = openai.OpenAI(base_url=url, api_key=key, max_retries=0)
            stream(client, 16, 0)
            rows = [stream(client, args.tokens, n) for n in range(args.rounds)]
            process = psutil.Process(server.pid)
            memory = []
            for number in range(args.many):
                stream(client, 8, number)
                memory.append(process.memory_info().rss)
        finally:
            server.terminate()
            server.wait(20)
    tenth = max(1, len(memory) // 10)
    found = {
        "speed at the client ÷ the engine's own": round(
            statistics.median(row["engine_decode_s"] / row["client_s"] for row in rows), 3
        ),
        "first token, API − engine, ms": round(
            1000 * statistics.median(row["client_ttft_s"] - row["engine_ttft_s"] for row in rows), 2
        ),
        "memory of the server, last tenth ÷ second tenth": round(
            statistics.mean(memory[-tenth:]) / statistics.mean(memory[tenth : 2 * tenth]), 3
        ),
        "requests": args.many,
    }
    for name, value in found.items():
        print(f"{name:50} {value}")
    args.out.write_text(json.dumps(found, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
