"""Plan and reality: start the worker in every cell, ask it something short, and measure its memory.

    python benchmarks/memory_truth.py MODEL.gguf [MODEL.gguf …] --out benchmarks/results/memory_truth.json
    python benchmarks/memory_truth.py --table benchmarks/results/memory_truth.json

Measured is the worker's PSS after about 100 tokens, and the peak of its resident memory (VmHWM),
which counts shared pages in full. A cell is good when the plan is off by at most 3 % or 50 MiB,
whichever is larger. A 7B-shaped file is written by `shape_7b.py`. Large cells take a minute each;
finished cells are kept, so that an interrupted run goes on.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from contextlib import aclosing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil

from twokeys.core.memory.plan import StartChoice, memory_needs
from twokeys.engines.local import LocalEngine
from twokeys.model_shape import file_shape
from twokeys.models.gguf import read_model
from twokeys.types import ChatMessage, GenerationRequest, KvType, LoadMode, Sampling, WorkerSpec

MIB = 1 << 20
CONTEXTS = (2048, 4096, 8192, 16384, 32768)
KV_TYPES: tuple[KvType, ...] = ("f16", "q8_0")
MMAP_CONTEXTS = (4096,)
TOLERANCE_SHARE, TOLERANCE_BYTES = 0.03, 50 * MIB


def peak_bytes(pid: int) -> int:
    """Return VmHWM of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) << 10
    return 0


async def measure(path: Path, choice: StartChoice, tokens: int, threads: int) -> dict[str, Any]:
    """Start one worker, write a short answer, and return what was planned and what it holds."""
    info = read_model(path)
    shape = file_shape(path.stem, info)
    planned = memory_needs(shape, choice).host
    spec = WorkerSpec(
        str(path),
        path.stem,
        context=choice.context,
        kv_type=choice.kv_type,
        load_mode=choice.load_mode,
        threads=threads,
    )
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        engine = LocalEngine(spec, Path(folder) / "run", Path(folder) / "logs")
        try:
            await engine.start()
            load_s = time.monotonic() - started
            request = GenerationRequest(
                (ChatMessage("user", "Count from one to one hundred, in words, separated by commas."),),
                Sampling(max_new_tokens=tokens, temperature=1.0, seed=1),
            )
            async with aclosing(engine.generate(request)) as events:
                async for _event in events:
                    pass
            pid = engine.pid
            if pid is None:
                raise RuntimeError(engine.log_tail(10))
            pss, peak = engine.memory_bytes(), peak_bytes(pid)
        finally:
            await engine.close()
    error = planned.total_bytes - pss
    return {
        "model": path.stem,
        "context": choice.context,
        "kv_type": choice.kv_type,
        "load_mode": choice.load_mode,
        "planned_bytes": planned.total_bytes,
        "pss_bytes": pss,
        "peak_bytes": peak,
        "error_bytes": error,
        "within": abs(error) <= max(TOLERANCE_SHARE * pss, TOLERANCE_BYTES),
        "load_s": round(load_s, 1),
        "parts": {name: value for name, value in asdict(planned).items() if value},
    }


def cells(path: Path) -> list[StartChoice]:
    """Return the cells of a model: contexts it was trained for, both cache types, and mapped files."""
    trained = read_model(path).context
    modes: list[tuple[LoadMode, tuple[int, ...]]] = [("copy", CONTEXTS), ("mmap", MMAP_CONTEXTS)]
    return [
        StartChoice(context=context, kv_type=kv_type, load_mode=mode)
        for mode, contexts in modes
        for kv_type in KV_TYPES
        for context in contexts
        if context <= trained and (mode == "copy" or kv_type == "f16")
    ]


def table(rows: list[dict[str, Any]]) -> str:
    """Return the results as a Markdown table."""
    lines = [
        "| model | context | KV | load | planned MiB | PSS MiB | peak RSS MiB | error | within goal |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        share = row["error_bytes"] / row["pss_bytes"]
        figures = [f"{row[name] / MIB:.0f}" for name in ("planned_bytes", "pss_bytes", "peak_bytes")]
        lines.append(
            f"| {row['model']} | {row['context']} | {row['kv_type']} | {row['load_mode']} | "
            f"{' | '.join(figures)} | {row['error_bytes'] / MIB:+.0f} MiB ({share:+.1%}) | "
            f"{'yes' if row['within'] else '**no**'} |"
        )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("models", type=Path, nargs="*")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/memory_truth.json"))
    parser.add_argument("--tokens", type=int, default=100, help="length of the answer in each cell")
    parser.add_argument("--threads", type=int, default=max(1, (psutil.cpu_count(logical=False) or 1)))
    parser.add_argument("--table", type=Path, help="only print the table of these results")
    arguments = parser.parse_args()
    if arguments.table:
        print(table(json.loads(arguments.table.read_text())["cells"]))
        return 0
    rows: list[dict[str, Any]] = []
    if arguments.out.exists():
        rows = json.loads(arguments.out.read_text())["cells"]
    done = {(r["model"], r["context"], r["kv_type"], r["load_mode"]) for r in rows}
    for path in arguments.models:
        for choice in cells(path):
            if (path.stem, choice.context, choice.kv_type, choice.load_mode) in done:
                continue
            row = asyncio.run(measure(path, choice, arguments.tokens, arguments.threads))
            rows.append(row)
            arguments.out.parent.mkdir(parents=True, exist_ok=True)
            arguments.out.write_text(json.dumps({"cells": rows}, indent=1) + "\n")
            print(table([row]).splitlines()[-1], flush=True)
    return 0 if all(row["within"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
