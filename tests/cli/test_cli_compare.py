"""`twokeys compare`: columns for people and the one object for scripts, on the real engine."""

import sys
from pathlib import Path

import pexpect
import pytest
from commanding import Cli
from rich.console import Console
from tests.core.counting import counted_calls
from tests.questions import LONG, SEED

from twokeys.cli.chat import guard_levels
from twokeys.cli.compare import compare_object, follow, report
from twokeys.cli.failures import EXIT_INTERRUPTED
from twokeys.cli.output import Output
from twokeys.config import load_config
from twokeys.core.compare.column import Column
from twokeys.engines.scripted import Say, ScriptedEngine
from twokeys.services import build_services
from twokeys.types import Sampling, Settings

SHORT = ("--max-new-tokens", "8", "--seed", "7")


def test_json_mode_prints_the_whole_contract(cli: Cli, smollm2: Path) -> None:
    ran = cli.run(
        "compare", "Name three colours.", "-m", smollm2, "--temperatures", "0,0.7", *SHORT, "--json"
    )
    assert ran.code == 0, ran
    reported = ran.json
    assert reported["prompt_tokens"] > 5 and reported["wall_s"] > 0
    assert reported["sharing"] == "cloned"
    assert reported["processed_prompt_tokens"] == reported["prompt_tokens"] + 2
    assert [run["temperature"] for run in reported["runs"]] == [0.0, 0.7]
    for run in reported["runs"]:
        assert run["text"] and run["finish_reason"] == "length"
        assert run["usage"]["completion_tokens"] == 8
        assert run["usage"]["prompt_tokens"] == reported["prompt_tokens"]
        assert run["timings"]["ttft_s"] > 0 and run["timings"]["tok_per_s"] > 0
        assert run["seed"] == 7 and run["error"] is None
        assert run["guard"] == []


def test_people_see_columns_side_by_side_or_below_each_other(cli: Cli, smollm2: Path) -> None:
    arguments = ("compare", "Name a colour.", "-m", smollm2, "-t", "0.3,1.0", *SHORT)
    wide = cli.run(*arguments, env={"COLUMNS": "120"}).out
    assert any("temperature 0.3" in line and "temperature 1" in line for line in wide.splitlines())
    narrow = cli.run(*arguments, env={"COLUMNS": "50"}, language="zh").out
    assert "温度 0.3" in narrow and "温度 1" in narrow
    assert not any("温度 0.3" in line and "温度 1" in line for line in narrow.splitlines())


@pytest.mark.parametrize(
    ("temperatures", "code"), [("0.3", "bad_input"), ("0.3,hot", "bad_parameter"), ("0.3,9", "bad_parameter")]
)
def test_what_cannot_be_compared_is_said_in_one_sentence(
    cli: Cli, smollm2: Path, temperatures: str, code: str
) -> None:
    ran = cli.run("compare", "Hi", "-m", smollm2, "--temperatures", temperatures, "--json")
    assert ran.code == 2
    assert ran.lines[-1]["error"]["code"] == code


def test_what_the_guard_noticed_is_told_of_its_column(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    looping = "It hunts at night. " + "It is what it is, my friend. " * 40
    services = build_services(load_config(), engine=ScriptedEngine([Say(looping)]))
    columns = [Column(Sampling(temperature=heat, max_new_tokens=2000)) for heat in (0.3, 0.9)]
    made = services.compare.start("Tell me of the fox.", columns)
    for column in made.columns:
        services.jobs.wait(column.job.id, 20)  # type: ignore[union-attr]
    ended = services.compare.stored.get(made.id)
    report(ended, 1.0, Output("en"))
    text = " ".join(capsys.readouterr().err.split())
    assert "temperature 0.3: Guard: The answer was looping, so it was stopped." in text
    assert "temperature 0.9: Guard: The answer was looping" in text
    runs = compare_object(ended, 1.0)["runs"]
    assert [run["guard"][-1]["level"] for run in runs] == ["stop", "stop"]
    services.close()


@pytest.mark.parametrize("drawing", [False, True])
def test_waiting_reads_the_comparison_when_something_ended_and_not_by_the_clock(
    home: Path, capsys: pytest.CaptureFixture[str], drawing: bool
) -> None:
    engine = ScriptedEngine([Say("word " * 120, delay_s=0.01)], slots=3)
    services = build_services(load_config(), engine=engine)
    out = Output("en")
    out.console = Console(force_terminal=drawing, width=120, height=30)
    columns = [Column(Sampling(temperature=heat, max_new_tokens=2000)) for heat in (0.3, 0.7, 1.0)]
    unguarded = Settings(guard=guard_levels("off"))
    begun = services.compare.start("Tell me of the fox.", columns, settings=unguarded)
    with counted_calls(services) as calls:
        followed = follow(services, begun, out)
    assert [column.answer.content for column in followed.comparison.columns] == ["word " * 120] * 3
    assert not followed.cancelled and followed.comparison.sharing == "cloned"
    # three ends, the two things that are stored of the sharing, and the columns' own beginning
    assert calls.count("documents.get") <= 8, calls
    assert ("word word" in capsys.readouterr().out) is drawing
    services.close()


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals of POSIX")
def test_ctrl_c_stops_every_column_and_keeps_what_was_written(cli: Cli, smollm2: Path) -> None:
    terminal = cli.terminal("compare", LONG, "-m", smollm2, "-t", "0.3,0.7", "-n", "4000", "--seed", SEED)
    terminal.expect(r"\d{2} tokens")
    terminal.sendintr()
    terminal.expect("stopped")
    terminal.expect(pexpect.EOF)
    terminal.wait()
    assert terminal.exitstatus == EXIT_INTERRUPTED
