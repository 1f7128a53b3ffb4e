"""How near the engine is to what the machine allows: `twokeys bench` for each model, the shares side by side.

    python benchmarks/limit.py MODEL.gguf [MODEL.gguf …] [--rounds 3]

Writing: tokens per second · bytes read for one ÷ the bandwidth of memory. Reading a prompt: operations per
second ÷ the rate of multiplying f32 matrices (above 1 where the engine multiplies small integers instead).
Both sides of each share are measured within one run. A model that fits into the processor's cache exceeds
the first.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

COLUMNS = ("prompt_tok_per_s", "answer_tok_per_s", "bandwidth_share", "matmul_share")


def shares(model: Path, rounds: int) -> dict[str, float]:
    """Return the figures of one model by their names in `twokeys bench --json`."""
    command = [
        sys.executable,
        "-m",
        "twokeys",
        "--model",
        str(model),
        "bench",
        "--rounds",
        str(rounds),
        "--json",
    ]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    return {row["name"]: row["value"] for row in json.loads(run.stdout)}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    print(f"{'':28}" + "".join(f"{name:>18}" for name in COLUMNS))
    for model in arguments.models:
        figures = shares(model, arguments.rounds)
        print(f"{model.stem:28}" + "".join(f"{figures.get(name, float('nan')):>18.2f}" for name in COLUMNS))
    return 0


if __name__ == "__main__":
    sys.exit(main())
