"""The tables of docs/guard.md, made of what the benchmarks wrote.

    python benchmarks/guard_tables.py    # guard_proof.py and guard_cost.py do this at their end

Replaces what stands between `<!-- NAME -->` and `<!-- /NAME -->`; measures nothing.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

DOCS = Path("docs/guard.md")
RESULTS = Path("benchmarks/results")
KINDS = ("exact", "noisy", "code exact", "code noisy")
HEADS = ("prose, exact", "prose, noisy", "code, exact", "code, noisy")
BANDS = ("1-4", "5-20", "21-100", "101-400")


def write(docs: Path = DOCS, results: Path = RESULTS) -> None:
    """Renew the tables whose figures are there."""
    text = docs.read_text(encoding="utf-8")
    if (proof := results / "guard.json").exists():
        summary = json.loads(proof.read_text(encoding="utf-8"))
        text = _put(text, "FALSE_ALARMS", _false_alarms(summary))
        text = _put(text, "DETECTION", f"{_made(summary)}\n\n{_real(summary)}")
    if (cost := results / "guard_cost.json").exists():
        text = _put(text, "COST", _cost(json.loads(cost.read_text(encoding="utf-8"))))
    if (probs := results / "guard_probs.json").exists():
        text = _put(text, "PROBS", _probs(json.loads(probs.read_text(encoding="utf-8"))))
    if (naive := results / "guard_naive.json").exists():
        text = _put(text, "NAIVE", _naive(json.loads(naive.read_text(encoding="utf-8"))))
    docs.write_text(text, encoding="utf-8")


def _put(text: str, name: str, block: str) -> str:
    whole = re.compile(rf"<!-- {name} -->.*?<!-- /{name} -->", re.DOTALL)
    if not whole.search(text):
        raise SystemExit(f"the page has no place for {name}")
    return whole.sub(lambda _: f"<!-- {name} -->\n{block}\n<!-- /{name} -->", text)


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [list(head), ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines).replace("| --- ", "|--- ")


def _false_alarms(summary: Mapping[str, Any]) -> str:
    rows = [
        [kind, row["texts"], row["warn"], row["stop"], row["repeats"], row["note"]]
        for kind, row in sorted(summary["false_alarms"].items())
        if not kind.startswith("(")
    ]
    total = summary["false_alarms_total"]

    def share(level: str) -> str:
        return f"{total[level]} = {100 * total[level] / total['texts']:.2f} %"

    rows.append(
        [
            "**all**",
            f"**{total['texts']}**",
            f"**{share('warn')}** (goal ≤ 1 %)",
            f"**{share('stop')}** (goal ≤ 0.1 %)",
            f"{total['repeats']}, of them stopped {total['repeats_stop']}",
            share("note"),
        ]
    )
    mixed = summary["false_alarms"].get("(half-translated: drift)")
    if mixed:
        rows.append(
            [
                "half-translated documents, drift only",
                mixed["texts"],
                mixed["warn"],
                mixed["stop"],
                mixed["repeats"],
                mixed["note"],
            ]
        )
    head = ["normal text", "texts", "warn or stop", "stop", "alarm, and repeats", "a quiet note of a loop"]
    return _table(head, rows)


def _made(summary: Mapping[str, Any]) -> str:
    bands = summary["made_loops"]
    rows = []
    for band in BANDS:
        cells = [bands.get(f"{band} {kind}") for kind in KINDS]
        rows.append(
            [band, *(f"{c['noticed']} / {c['in_time']} of {c['loops']}" if c else "–" for c in cells)]
        )
    for title, name in (
        ("**noticed in time**", "made_loops_noticed_percent"),
        ("**warned in time**", "made_loops_in_time_percent"),
        ("warned at all (12 copies)", "made_loops_ever_percent"),
    ):
        rows.append([title, *(f"{summary[name][kind]} %" for kind in KINDS)])
    head = ["made loops, period in tokens: noticed / warned in time", *HEADS]
    total = summary["made_loops_noticed_percent"]["all"], summary["made_loops_in_time_percent"]["all"]
    count = sum(row["loops"] for row in bands.values())
    line = f"All {count} made loops together: {total[0]} % noticed in time, {total[1]} % warned in time."
    return f"{_table(head, rows)}\n\n{line}"


def _real(summary: Mapping[str, Any]) -> str:
    rows = []
    for name, row in sorted(summary["real_loops"].items()):
        without = f"{row.get('no true loop, warned', 0)} of {row.get('no true loop', 0)}"
        rows.append(
            [name, *(row.get(key, 0) for key in ("true loops", "noticed", "in time", "stopped")), without]
        )
    loops = sum(row[1] for row in rows)
    head = [
        "real loops",
        "true loops",
        "noticed in time",
        "warned in time",
        "stopped",
        "without a true loop, warned",
    ]
    line = f"{sum(row[3] for row in rows)} of {loops} real loops were warned of in time."
    return f"{_table(head, rows)}\n\n{line}"


def _cost(rows: Mapping[str, Any]) -> str:
    head = [
        "stream",
        "µs per token at 1k",
        "at 8k",
        "at 32k",
        "32k : 1k",
        "share of 7.1 ms (140 tok/s)",
        "memory at 8k, 32k tokens",
    ]
    return _table(
        head,
        [
            [
                kind,
                *row["us_per_token"].values(),
                row["ratio_32k_to_1k"],
                f"{row['share_percent']} %",
                ", ".join(f"{size / 1e6:.1f}" for size in row["bytes_at_8k_and_32k"]) + " MB",
            ]
            for kind, row in rows.items()
        ],
    )


def _probs(rows: Mapping[str, Any]) -> str:
    head = ["model", "CPU ms per token without candidates", "with 5", "cost"]
    return _table(
        head,
        [[name, row["without"], row["with_5"], f"{row['cost_percent']} %"] for name, row in rows.items()],
    )


def _naive(rows: Mapping[str, Any]) -> str:
    head = [
        "rule",
        "alarms on normal texts",
        "made loops missed",
        "delay after the second copy, tokens",
        "µs per token",
    ]
    return _table(
        head,
        [
            [
                name,
                f"{row['alarms']} of {row['texts']} = {100 * row['alarms'] / row['texts']:.1f} %",
                f"{row['missed']} of {row['loops']}",
                row["delay_tokens_median"],
                row["us_per_token"],
            ]
            for name, row in rows.items()
        ],
    )


if __name__ == "__main__":
    write()
