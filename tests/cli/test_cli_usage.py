"""Help, versions, languages and mistakes: what is said, where, and with which exit code."""

import json
from contextlib import closing
from pathlib import Path

import pytest
from commanding import Cli

from twokeys import __version__
from twokeys.cli import language_of, with_default_command
from twokeys.config import load_config
from twokeys.services import build_services
from twokeys.types import AnswerSchema, Settings

COMMANDS = ("ui", "chat", "compare", "presets", "models", "conversations", "release", "doctor")
EVERY_HELP = (
    (),
    ("ui",),
    ("chat",),
    ("presets",),
    ("models",),
    ("models", "list"),
    ("models", "pull"),
    ("models", "info"),
    ("models", "rm"),
    ("conversations",),
    ("conversations", "list"),
    ("conversations", "search"),
    ("conversations", "export"),
    ("conversations", "import"),
    ("conversations", "rm"),
    ("conversations", "undo"),
    ("bench",),
    ("release",),
    ("doctor",),
)


def test_help_lists_every_command_in_both_languages(cli: Cli) -> None:
    english, chinese = cli.run("--help"), cli.run("--help", language="zh")
    assert english.code == chinese.code == 0
    for name in COMMANDS:
        assert f" {name} " in english.out
        assert f" {name} " in chinese.out
    assert "Talk" in english.out or "talk" in english.out
    assert "对话" in chinese.out
    assert "…" not in english.out + chinese.out, "a help text is cut off at 80 columns"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_no_help_text_is_missing_or_cut_off(language: str, capsys: pytest.CaptureFixture[str]) -> None:
    from twokeys.cli import run

    for command in EVERY_HELP:
        assert run(["--lang", language, *command, "--help"]) == 0
        shown = capsys.readouterr().out
        assert "option." not in shown
        assert ".about" not in shown
        assert "…" not in shown
        if command not in ((), ("models",), ("conversations",)):
            assert "--model" in shown
            assert "--json" in shown


def test_version_is_the_package_version(cli: Cli) -> None:
    assert cli.run("--version").out == f"twokeys {__version__}\n"


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "en_US.UTF-8"}, "en"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LC_MESSAGES": "zh_TW", "LANG": "en_GB"}, "zh"),
        ({}, "en"),
    ],
)
def test_language_follows_the_locale(env: dict[str, str], expected: str) -> None:
    assert language_of([], env) == expected
    assert language_of(["--lang", "zh"], env) == "zh"
    assert language_of(["--lang=en", "chat"], env) == "en"
    assert language_of(["chat", "--", "--lang", "zh"], {}) == "en"


def test_without_a_command_the_window_opens() -> None:
    assert with_default_command([]) == ["ui"]
    assert with_default_command(["--port", "9000"]) == ["ui", "--port", "9000"]
    assert with_default_command(["--lang", "zh", "--json"]) == ["--lang", "zh", "--json", "ui"]
    assert with_default_command(["--model", "x.gguf", "--yes"]) == ["--model", "x.gguf", "ui", "--yes"]
    assert with_default_command(["--help"]) == ["--help"]
    assert with_default_command(["chat", "hi"]) == ["chat", "hi"]


@pytest.mark.parametrize(
    ("arguments", "english", "chinese"),
    [
        (["frobnicate"], "no command frobnicate", "没有 frobnicate 这个命令"),
        (["doctor", "--depp"], "no option --depp; did you mean --deep", "没有 --depp 这个选项"),
        (["models", "pull"], "NAME is missing", "缺少 NAME"),
        (["chat", "hi", "--temperature", "warm"], "--temperature", "--temperature"),
        (["chat", "hi", "there"], "quotes", "引号"),
        (["chat", "hi", "--preset"], "--preset needs a value", "--preset 后面要有一个值"),
        (["ui", "--port", "70000"], "--port", "--port"),
    ],
)
def test_a_mistyped_command_is_told_in_one_sentence_with_a_hint(
    cli: Cli, arguments: list[str], english: str, chinese: str
) -> None:
    for language, expected in (("en", english), ("zh", chinese)):
        ran = cli.run(*arguments, language=language)
        assert ran.code == 2
        assert ran.out == ""
        sentence, hint = ran.err.strip().splitlines()
        assert expected in sentence
        assert hint.startswith("→ ")
        assert "--help" in hint
    in_json = cli.run("--json", *arguments)
    assert in_json.code == 2
    error = json.loads(in_json.out.splitlines()[-1])["error"]
    assert error["code"] == "usage"
    assert english in error["message"]
    assert error["hint"]


def test_the_language_switch_wins_over_the_locale(cli: Cli) -> None:
    ran = cli.run("--lang", "zh", "conversations", "rm", "nothing-here")
    assert ran.code == 1
    assert "找不到" in ran.err


def test_an_error_in_json_mode_is_the_last_line_of_stdout(cli: Cli) -> None:
    ran = cli.run("conversations", "export", "nothing-here", "--json")
    assert ran.code == 1
    assert set(ran.json["error"]) == {"code", "message", "hint"}
    assert ran.json["error"]["code"] == "not_found"
    assert ran.json["error"]["message"] in ran.err


def test_switches_before_the_command_count_too(cli: Cli) -> None:
    assert isinstance(cli.run("--json", "presets").json, list)


def test_presets_are_listed_with_their_two_keys(cli: Cli) -> None:
    rows = {row["name"]: row for row in cli.run("presets", "--json").json}
    two_keys = {name: (row["temperature"], row["max_new_tokens"]) for name, row in rows.items()}
    assert two_keys["precise"] == (0.3, 1024)
    assert two_keys["professional"] == (0.7, 2048)
    assert two_keys["creative"] == (0.9, 3072)
    assert [rows[name]["max_new_tokens"] for name in ("qa", "code", "draft", "dialogue", "report")] == [
        512,
        1024,
        2048,
        3072,
        3584,
    ]
    assert rows["creative"]["clear_after_answer"] is True
    assert "严谨" in cli.run("presets", language="zh").out


def test_a_preset_with_a_form_is_listed_with_it(cli: Cli, home: Path) -> None:
    schema = AnswerSchema.of({"type": "object", "properties": {"city": {"type": "string"}}}, "city")
    with closing(build_services(load_config({"TWOKEYS_HOME": str(home)}))) as services:
        services.presets.save("cities", Settings(answer_schema=schema))
    rows = {row["name"]: row for row in cli.run("presets", "--json").json}
    assert rows["cities"]["answer_schema"] == {"name": "city", "schema": schema.value}
    assert rows["precise"]["answer_schema"] is None


def test_piped_output_has_no_colours(cli: Cli) -> None:
    for command in (["presets"], ["models", "list"], ["doctor"]):
        ran = cli.run(*command)
        assert "\x1b" not in ran.out + ran.err


def test_a_reader_that_leaves_is_no_error_message(cli: Cli) -> None:
    process = cli.start("presets", "--json")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == ""
    process.wait(30)


def test_prompts_are_taken_along_as_toml_and_listed_before_the_shipped_ones(cli: Cli, tmp_path: Path) -> None:
    source, target = tmp_path / "mine.toml", tmp_path / "out.toml"
    source.write_text('[[prompt]]\nname = "Mine"\ntext = "Say {{what}}"\n', encoding="utf-8")
    rows = cli.run("prompts", "--import", source, "--json").json
    assert rows[0]["name"] == "Mine" and rows[0]["variables"] == [{"name": "what", "default": ""}]
    assert all(row["shipped"] for row in rows[1:]) and len(rows) > 5
    cli.run("prompts", "--export", target)
    assert target.read_text(encoding="utf-8").startswith("[[prompt]]")
    assert cli.run("prompts", "--import", tmp_path / "none.toml").code == 2
