"""The app's memory stays flat while it works: a small run of `benchmarks/leak.py` in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "leak.py"
COUNTS = {"chats": 120, "comparisons": 20, "sections": 20, "answers": 200}
CACHES = 10 * 2**20
"""So short a run still fills caches; what leaked once would be 100 MiB here."""


def test_memory_stays_flat_over_chats_comparisons_long_texts_and_studies() -> None:
    counts = [part for kind, count in COUNTS.items() for part in (f"--{kind}", str(count))]
    ran = subprocess.run(
        [sys.executable, str(BENCHMARK), "--json", *counts], capture_output=True, text=True, check=False
    )
    rows = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [row["work"] for row in rows] == list(COUNTS), ran.stderr
    grown = [row for row in rows if row["highest_bytes"] - row["first_tenth_bytes"] > CACHES]
    assert grown == []
