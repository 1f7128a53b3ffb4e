"""`twokeys bench` on a real model: the figures belong together, nothing is left behind."""

import signal
import time
from pathlib import Path

import pytest
from commanding import Cli

from twokeys.config import load_config
from twokeys.engines.registry import list_workers
from twokeys.models.gguf import read_model
from twokeys.planner import OVERRIDES_SETTING
from twokeys.store.repository import Repository


def test_the_figures_of_a_real_model_belong_together(cli: Cli, smollm2: Path, home: Path) -> None:
    ran = cli.run("bench", "--model", smollm2, "--rounds", "1", "--json")
    assert ran.code == 0, ran.err
    assert all(set(row) == {"name", "value", "unit"} for row in ran.json)
    rows = {row["name"]: row["value"] for row in ran.json}
    units = {row["name"]: row["unit"] for row in ran.json}
    assert rows["model"] == "smollm2-135m" and rows["answer_tokens"] == 128
    assert rows["prompt_tokens"] > 300
    assert rows["prompt_tok_per_s"] > 0 and rows["answer_tok_per_s"] > 0
    assert units["answer_tok_per_s"] == units["prompt_tok_per_s"] == "tok/s"
    assert rows["ttft_s"] == pytest.approx(rows["prompt_tokens"] / rows["prompt_tok_per_s"], rel=0.5)
    planned = rows["planned_memory_bytes"]
    assert abs(rows["memory_bytes"] - planned) <= max(0.03 * planned, 50 << 20)
    info = read_model(smollm2)
    weights = info.tensor_bytes  # tied: the input table is the head, so all of it is read
    assert weights < rows["bytes_per_token"] < 1.3 * weights
    share = rows["answer_tok_per_s"] * rows["bytes_per_token"] / rows["read_bandwidth"]
    assert rows["bandwidth_share"] == pytest.approx(share, rel=0.01)
    assert list_workers(home / "run") == []


def test_a_model_that_drafts_says_how_many_drafts_were_kept(cli: Cli, smollm2: Path, home: Path) -> None:
    repository = Repository.open(load_config({"TWOKEYS_HOME": str(home)}))
    repository.set_setting(OVERRIDES_SETTING, {smollm2.stem: {"draft": "simple"}})
    repository.close()
    ran = cli.run("bench", "--model", smollm2, "--rounds", "1", "--json")
    assert ran.code == 0, ran.err
    rows = {row["name"]: row["value"] for row in ran.json}
    assert 0 < rows["draft_accepted"] <= 1 and rows["draft_tok_per_s"] > 0
    names = list(rows)
    assert names.index("draft_tok_per_s") > names.index("answer_tok_per_s")


@pytest.mark.parametrize(("language", "words"), [("zh", "写回答"), ("en", "writing the answer")])
def test_a_person_gets_a_table_and_hears_what_is_measured(
    cli: Cli, smollm2: Path, language: str, words: str
) -> None:
    ran = cli.run("bench", "--model", smollm2, "--rounds", "1", language=language)
    assert ran.code == 0, ran.err
    assert words in ran.out and "tok/s" in ran.out and "%" in ran.out
    assert len(ran.err.splitlines()) >= 3, "progress, on standard error"


def test_ctrl_c_ends_the_engine_and_leaves_nothing(cli: Cli, smollm2: Path, home: Path) -> None:
    process = cli.start("bench", "--model", smollm2, "--rounds", "50")
    deadline = time.monotonic() + 60
    while not list_workers(home / "run"):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=40)
    assert process.returncode == 130 and out == ""
    assert list_workers(home / "run") == []


def test_without_a_model_it_says_what_to_do(cli: Cli) -> None:
    ran = cli.run("bench", "--json")
    assert ran.code == 1 and ran.json["error"]["code"] == "model_missing"


def test_nothing_of_a_bench_is_stored(cli: Cli, smollm2: Path, home: Path) -> None:
    assert cli.run("bench", "--model", smollm2, "--rounds", "1", "--json").code == 0
    repository = Repository.open(load_config())
    try:
        assert repository.count_conversations() == 0 and repository.speed("smollm2-135m") is None
    finally:
        repository.close()
