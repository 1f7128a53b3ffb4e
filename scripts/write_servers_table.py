"""Writes the table of docs/servers.md from docs/servers-proof.json, and that file from a run of the tests.

Without arguments the table alone is written anew. scripts/prove-servers.sh gives --held (what the contract
tests recorded), --version KIND=PACKAGE for each server that ran and --not-run KIND=REASON for each that did
not. A cell that is not recorded for a server that ran failed its test, and says so.
"""

import argparse
import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent.parent / "docs"
PROOF, PAGE = DOCS / "servers-proof.json", DOCS / "servers.md"
BEGIN, END = "<!-- servers-proof: begin -->", "<!-- servers-proof: end -->"
NAMES = {
    "llama.cpp": "llama.cpp",
    "vllm": "vLLM",
    "transformers": "`transformers serve`",
    "openai": "any other",
}
NOT_RUN = {
    "sglang": "SGLang: its package is built for graphics cards",
    "ollama": "Ollama: no package index has its server",
    "lmstudio": "LM Studio: no package index has it",
}
ROWS = {
    "context": "context told",
    "count": "prompt counted",
    "overlong": "too long a prompt",
    "stream": "streams text with usage and end",
    "cancel": "stopping frees it",
    "stop strings": "16 stop strings",
    "continue": "continue",
    "seed": "seed",
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "min_p": "min_p",
    "typical_p": "typical_p",
    "repetition_penalty": "repetition penalty",
    "presence_penalty": "presence penalty",
    "frequency_penalty": "frequency penalty",
    "ignore_eos": "ignore_eos",
    "logprobs": "token probabilities",
    "schema": "JSON Schema",
    "grammar": "grammar",
    "at once": "answers at once",
    "n": "several answers to one request (`n`; never sent)",
    "side by side": "side by side as alone",
    "drafts": "speculation",
}
WORDS = {
    ("logprobs", "named"): "no; named `n_probs`",
    ("schema", "named"): "no; named `json_schema`",
    ("continue", "refused"): "refused (`cannot_continue`)",
    ("overlong", "refused"): "refused with both numbers (`context_exceeded`)",
    ("overlong", "not known"): "left to the server",
    ("count", "estimate"): "estimated, not below",
    ("n", "one"): "one comes",
    ("drafts", "ok"): "drafts told; no half heat map",
}


def main() -> None:
    arguments = read_arguments()
    if arguments.held is not None:
        PROOF.write_text(
            json.dumps(proof_of(arguments), indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    table = render(json.loads(PROOF.read_text(encoding="utf-8")))
    PAGE.write_text(f"{before}{BEGIN}\n{table}{END}{after}", encoding="utf-8")


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--held", type=Path)
    parser.add_argument("--version", action="append", default=[])
    parser.add_argument("--not-run", action="append", default=[])
    return parser.parse_args()


def proof_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what is kept of one run: date, machine, versions and what held."""
    held = json.loads(arguments.held.read_text(encoding="utf-8"))
    packages = dict(pair.split("=", 1) for pair in arguments.version)
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{os.cpu_count()} processor cores, no graphics card",
        "model": "SmolLM2-135M-Instruct",
        "servers": {kind: {"package": packages.get(kind, ""), "held": held[kind]} for kind in held},
        "not_run": dict(pair.split("=", 1) for pair in arguments.not_run),
    }


def render(proof: Mapping[str, Any]) -> str:
    """Return the table and what stands around it."""
    kinds = [kind for kind in NAMES if kind in proof["servers"]]
    lines = [f"Run on {proof['date']} with {proof['model']} on {proof['machine']}.", ""]
    lines += ["| | " + " | ".join(NAMES[kind] for kind in kinds) + " |", "|---" * (len(kinds) + 1) + "|"]
    lines.append("| package | " + " | ".join(proof["servers"][kind]["package"] for kind in kinds) + " |")
    for cell, title in ROWS.items():
        words = [word(cell, proof["servers"][kind]["held"].get(cell)) for kind in kinds]
        lines.append(f"| {title} | " + " | ".join(words) + " |")
    missing = [f"{NAMES[kind]}: {reason}" for kind, reason in proof["not_run"].items()]
    lines += ["", "Not run here: " + "; ".join([*missing, *NOT_RUN.values()]) + ".", ""]
    return "\n".join(lines)


def word(cell: str, held: str | None) -> str:
    """Return a cell's words: "ok", or how the record under the answer names what is missing."""
    if held is None:
        return "**failed**"
    return WORDS.get((cell, held)) or (f"no; named `{cell}`" if held == "named" else held)


if __name__ == "__main__":
    main()
