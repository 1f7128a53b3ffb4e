"""What is published about advice is what was measured."""

import json
from pathlib import Path

from benchmarks.advice import load, score, table

from twokeys.core.advice.advisor import DEFAULT_BY
from twokeys.core.advice.rules import guess_by_rules
from twokeys.ui.task_picker import HELD_OUT_COUNT, HELD_OUT_RIGHT

ROOT = Path(__file__).resolve().parents[3]
ROWS = json.loads((ROOT / "benchmarks" / "results" / "advice.json").read_text(encoding="utf-8"))


def test_the_table_of_the_documents_is_the_measured_one() -> None:
    assert table(ROWS) in (ROOT / "docs" / "advice.md").read_text(encoding="utf-8")


def test_the_rules_measure_today_what_was_published() -> None:
    held_out = [message for message in load() if message.held_out]
    assert score(held_out, lambda message: guess_by_rules(message.text)) == ROWS["rules"]["held_out"]


def test_the_picker_names_the_published_figures() -> None:
    held_out = ROWS["rules"]["held_out"]
    assert f"{held_out['right']:.0%}".replace("%", " %") == HELD_OUT_RIGHT
    assert held_out["messages"] == HELD_OUT_COUNT


def test_the_default_is_what_wins() -> None:
    best = max(ROWS, key=lambda name: (ROWS[name]["held_out"]["right"], -ROWS[name]["seconds"]))
    assert (best, DEFAULT_BY) == ("rules", "rules")
