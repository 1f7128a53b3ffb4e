"""`twokeys study` on the real engine: one command that goes on after a kill, and says what it found."""

import json
import signal
import time
from pathlib import Path

import psutil
import pytest
from commanding import Cli

STUDY = """
name = "tiny"
seeds = 2
outcomes = ["tokens", "correct"]
n_probs = 2
[base]
max_new_tokens = 6
[grid]
temperature = [0.3, 1.0]
[[prompt]]
id = "sum"
text = "3 + 4 ="
checker = { kind = "number", value = 7 }
[[prompt]]
id = "colour"
text = "Name a colour."
"""


@pytest.fixture
def study_file(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(STUDY, encoding="utf-8")
    return path


def stored(cli: Cli) -> int:
    rows = cli.run("study", "list", "--json").json
    return rows[0]["done"] if rows else 0


@pytest.mark.slow
def test_a_killed_study_goes_on_and_keeps_every_answer(cli: Cli, smollm2: Path, study_file: Path) -> None:
    study_file.write_text(STUDY.replace("seeds = 2", "seeds = 20"), encoding="utf-8")  # time to be killed in
    running = cli.start("study", "run", str(study_file), "--model", str(smollm2), "--json")
    deadline = time.monotonic() + 100
    while stored(cli) < 2:
        assert time.monotonic() < deadline and running.poll() is None
    workers = psutil.Process(running.pid).children(recursive=True)
    running.send_signal(signal.SIGKILL)
    running.wait(10)
    psutil.wait_procs(workers, timeout=20)
    [row] = cli.run("study", "list", "--json").json
    assert row["state"] == "paused" and 2 <= row["done"] < 80
    before = cli.run("study", "report", row["id"], "--json").json
    ran = cli.run("study", "run", study_file, "--model", smollm2, "--json", "--html", cli.home / "r.html")
    assert ran.code == 0, ran
    report = ran.json
    assert report["id"] == row["id"] and report["complete"] and report["answers"] == 80
    assert before["answers"] >= 2
    assert [cell["name"] for cell in report["cells"]] == ["temperature=0.3", "temperature=1.0"]
    assert report["cells"][0]["measures"]["tokens"]["mean"] <= 6
    assert {verdict["measure"] for verdict in report["verdicts"]} == {"tokens", "correct"}
    assert report["engine"]["kind"] == "llama.cpp"
    page = (cli.home / "r.html").read_text(encoding="utf-8")
    assert "<svg" in page and "http://" not in page.replace("http://www.w3.org", "")
    again = cli.run("study", "run", study_file, "--model", smollm2, "--json").json
    assert again == report, "a finished study is not run again"
    assert len(cli.run("study", "list", "--json").json) == 1


def test_what_a_run_would_mean_is_told_without_running(cli: Cli, smollm2: Path, study_file: Path) -> None:
    ran = cli.run("study", "run", study_file, "--plan", "--model", smollm2, "--json")
    assert ran.json["generations"] == 8
    assert cli.run("study", "list", "--json").json == []
    reported = cli.run("study", "run", study_file, "--plan", "--model", smollm2).out
    assert "a difference that matters takes about" in reported


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("study", "run"), 2),
        (("study", "run", "missing.toml"), 2),
        (("study", "run", "--shipped", "nothing"), 1),
        (("study", "report", "nothing"), 1),
    ],
)
def test_what_is_not_there_is_said_in_one_sentence(cli: Cli, arguments: tuple[str, ...], code: int) -> None:
    ran = cli.run(*arguments, "--json")
    assert ran.code == code
    assert set(json.loads(ran.out)["error"]) == {"code", "message", "hint"}


def test_the_claims_are_listed_in_both_languages(cli: Cli) -> None:
    rows = cli.run("study", "claims", "--json").json
    assert {row["claim"] for row in rows} == {f"C{number}" for number in range(1, 16)}
    assert "未定" in cli.run("study", "claims", language="zh").out
