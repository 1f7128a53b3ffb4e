"""`--schema`, `/json` and `/table`: answers in a form on the real engine, and what is said of them."""

import json
import sys
from pathlib import Path

import pytest
from commanding import READY, Cli

SCHEMA = {
    "type": "object",
    "properties": {
        "colour": {"enum": ["red", "蓝"]},
        "count": {"type": "integer", "minimum": 1, "maximum": 9},
    },
    "required": ["colour", "count"],
}


def schema_file(folder: Path, schema: object) -> Path:
    path = folder / "paint.json"
    path.write_text(json.dumps(schema), encoding="utf-8")
    return path


def test_an_answer_holds_to_the_file_s_schema_and_says_so(cli: Cli, smollm2: Path, tmp_path: Path) -> None:
    path = schema_file(tmp_path, SCHEMA)
    hot = ("-m", smollm2, "-t", "1.5", "-n", "60", "--seed", "3", "--schema", path)
    done = cli.run("chat", "Which paint?", *hot, "--json").lines[-1]
    answer = json.loads(str(done["text"]))
    assert answer["colour"] in ("red", "蓝")
    assert 1 <= answer["count"] <= 9
    assert done["validity"] == {"schema": "paint", "state": "valid", "reasons": []}


def test_a_cut_answer_is_not_called_valid_and_goes_on(cli: Cli, smollm2: Path, tmp_path: Path) -> None:
    path = schema_file(tmp_path, SCHEMA)
    cut = cli.run("chat", "Which paint?", "-m", smollm2, "-n", "4", "--schema", path, "--json").lines[-1]
    assert (cut["finish_reason"], cut["validity"]["state"]) == ("length", "cut")  # type: ignore[index]
    # the conversation has the form from now on; stdout has JSON alone, the verdict goes to stderr
    whole = cli.run("chat", "-m", smollm2, "-n", "60", "-c", str(cut["conversation"]), "--continue")
    assert json.loads(str(cut["text"]) + whole.out)["colour"] in ("red", "蓝")
    assert "paint: Valid" in whole.err


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('{"type": "array", "uniqueItems": true}', "uniqueItems (#)"),
        ('{"type": "text"}', "is not a usable JSON Schema"),
        (None, "cannot be read"),
    ],
)
def test_a_schema_that_cannot_be_used_is_refused_before_anything_is_stored(
    cli: Cli, smollm2: Path, tmp_path: Path, content: str | None, problem: str
) -> None:
    path = tmp_path / "form.json"
    if content is not None:
        path.write_text(content)
    ran = cli.run("chat", "Which?", "-m", smollm2, "--schema", path)
    assert ran.code != 0
    assert problem in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals of POSIX")
def test_a_table_is_asked_for_in_a_session_and_taken_off(cli: Cli, smollm2: Path) -> None:
    terminal = cli.terminal("chat", "-m", smollm2, "--seed", "7", "-n", "4")
    terminal.expect(READY)
    terminal.send("/table name, price:number\r")
    terminal.expect("Form of answers: name, price, from the next message on")
    terminal.expect(READY)
    terminal.send("Which parts?\r")
    terminal.expect("name, price: (Valid|Cut off)")
    terminal.expect(READY)
    terminal.send("/json off\r")
    terminal.expect("Answers have no form")
    terminal.expect(READY)
    terminal.send("/table part\x1b\rWhich parts?\r")  # a question below a form: for this message alone
    terminal.expect("part: (Valid|Cut off)")
    terminal.expect(READY)
    terminal.send("/table\r")
    terminal.expect("Answers have no form")
    cli.leave(terminal)
