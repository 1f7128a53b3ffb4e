"""The interactive session of `twokeys chat`, in a pseudo-terminal as a person sees it."""

import json
import re
import stat
import sys
from pathlib import Path

import pexpect
import psutil
import pytest
from commanding import READY, Cli
from hub_server import HubServer
from tests.questions import LONG

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals of POSIX")


def open_session(cli: Cli, model: Path, *options: str) -> "pexpect.spawn[str]":
    terminal = cli.terminal("chat", "-m", model, "--seed", "7", *options)
    terminal.expect(READY)
    return terminal


def stored(cli: Cli) -> list[dict[str, object]]:
    exported = json.loads(cli.run("conversations", "export", "--all", "--format", "json").out)
    conversations: list[dict[str, object]] = exported["conversations"]
    return conversations


def test_an_answer_is_drawn_with_its_figures_and_stored(cli: Cli, smollm2: Path) -> None:
    terminal = open_session(cli, smollm2, "-n", "40")
    terminal.send("Name a colour.\r")
    terminal.expect(r"\d+ tokens · [\d.]+ s · [\d.]+ tok/s · first token [\d.]+ s")
    cli.leave(terminal)
    [conversation] = stored(cli)
    assert [m["role"] for m in conversation["messages"]] == ["user", "assistant"]  # type: ignore[attr-defined]


def test_ctrl_c_stops_the_answer_and_not_the_program_and_continue_goes_on(cli: Cli, smollm2: Path) -> None:
    terminal = open_session(cli, smollm2, "-n", "4000")
    terminal.send(LONG + "\r")
    terminal.expect(r"[3-9]\d tokens|\d{3} tokens")
    terminal.sendintr()
    terminal.expect("Not complete: you stopped it. To go on: /continue")
    terminal.expect(READY)
    before = stored(cli)[0]["messages"][1]["content"]  # type: ignore[index]
    terminal.send("/length 8\r")
    terminal.expect("max_new_tokens = 8 from the next message on")
    terminal.expect(READY)
    terminal.send("/continue\r")
    terminal.expect("Not complete: it reached the length limit of 8")
    cli.leave(terminal)
    answer = stored(cli)[0]["messages"][1]  # type: ignore[index]
    assert answer["content"].startswith(before)
    assert len(answer["content"]) > len(before)
    assert answer["finish_reason"] == "length"


def test_the_terminal_does_not_pass_ctrl_c_on_to_the_engine(cli: Cli, smollm2: Path) -> None:
    terminal = open_session(cli, smollm2, "-n", "4000")
    terminal.send(LONG + "\r")
    terminal.expect(r"\d{2} tokens")
    [worker, *_] = psutil.Process(terminal.pid).children(recursive=True)
    terminal.sendintr()
    terminal.expect("you stopped it")
    terminal.expect(READY)
    assert worker.is_running()
    terminal.sendintr()
    terminal.expect("leaves")
    assert worker.is_running()
    cli.leave(terminal)
    _gone, alive = psutil.wait_procs([worker], timeout=10)
    assert not alive


def test_earlier_questions_come_back_in_the_next_session_and_are_private(
    cli: Cli, smollm2: Path, home: Path
) -> None:
    terminal = open_session(cli, smollm2, "-n", "4")
    terminal.send("A question worth remembering\r")
    terminal.expect("length limit of 4")
    cli.leave(terminal)
    history = home / "chat_history"
    assert stat.S_IMODE(history.stat().st_mode) == 0o600
    again = open_session(cli, smollm2, "-n", "4")
    again.send("\x1b[A")
    again.expect("A question worth remembering")
    again.sendintr()
    cli.leave(again)


def test_alt_enter_and_a_paste_make_one_message_of_several_lines(cli: Cli, smollm2: Path) -> None:
    terminal = open_session(cli, smollm2, "-n", "4")
    terminal.send("first line\x1b\rsecond line\r")
    terminal.expect("length limit of 4")
    terminal.expect(READY)
    terminal.send("\x1b[200~pasted one\npasted two\x1b[201~\r")
    terminal.expect("length limit of 4")
    cli.leave(terminal)
    messages = stored(cli)[0]["messages"]
    assert messages[0]["content"] == "first line\nsecond line"  # type: ignore[index]
    assert messages[2]["content"] == "pasted one\npasted two"  # type: ignore[index]


def test_slash_commands_change_what_they_say(cli: Cli, smollm2: Path, tmp_path: Path) -> None:
    terminal = open_session(cli, smollm2, "-n", "4")

    def say(line: str, *expected: str) -> None:
        terminal.send(f"{line}\r")
        for text in expected:
            terminal.expect(re.escape(text))
        terminal.expect(READY)

    say("/help", "/temperature", "/regenerate", "force clear")
    say("/temperature 0.3", "temperature = 0.3 from the next message on")
    say("/temperature 9", "temperature cannot be 9; allowed: 0 … 2")
    say("/temperature", "temperature = 0.3 (allowed 0 … 2)")
    say("/set top_p 0.9", "top_p = 0.9")
    say("/set nonsense 1", "nonsense cannot be 1")
    say("/system Answer in verse.", "System prompt: Answer in verse.")
    say("/temperatur 1", "did you mean /temperature")
    say("/continue", "no answer yet")
    say("/undo", "no question to take back")
    say("/export", "no conversation to export yet")
    say("What is a leaf?", "length limit of 4")
    say("/regenerate", "length limit of 4")
    say("/preset precise", "temperature 0.3, length 1024")
    say("/length 4", "max_new_tokens = 4")
    say("/clear", "Cleared:", "freed")
    file = tmp_path / "talk.md"
    say(f"/export {file}", "Exported to")
    say(f"/export {file}", "exists")
    say("/list", "What is a leaf?")
    terminal.send("/undo\r")
    terminal.expect("What is a leaf")
    terminal.send("\x15/redo\r")
    terminal.expect("Brought back")
    terminal.expect(READY)
    say("/new", "A new conversation")
    terminal.send("/quit\r")
    terminal.expect(pexpect.EOF)
    text = file.read_text(encoding="utf-8")
    assert "What is a leaf?" in text
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    [conversation] = stored(cli)
    assert [m["role"] for m in conversation["messages"]].count("assistant") == 2  # type: ignore[attr-defined]
    settings = conversation["settings"]
    assert settings["system_prompt"] == "Answer in verse."  # type: ignore[index]
    assert settings["sampling"]["top_p"] == 0.9  # type: ignore[index]


def test_what_is_set_by_a_slash_command_is_pinned_and_ends_the_presets_name(cli: Cli, smollm2: Path) -> None:
    terminal = cli.terminal("chat", "-m", smollm2, "--seed", "7", "-n", "4")
    for line, expected in (
        ("What is a leaf?", "length limit of 4"),
        ("/preset precise", "temperature 0.3, length 1024"),
        ("/temperature 1.5", "temperature = 1.5"),
        ("/set stop END|###", "stop = "),
    ):
        terminal.expect(READY)
        terminal.send(f"{line}\r")
        terminal.expect(re.escape(expected))
    cli.leave(terminal)
    [conversation] = stored(cli)
    settings = conversation["settings"]
    assert settings["preset"] is None  # type: ignore[index]
    assert settings["sampling"]["stop"] == ["END", "###"]  # type: ignore[index]
    assert set(settings["pinned"]) == {"max_new_tokens", "seed", "temperature", "stop"}  # type: ignore[index]


def test_a_conversation_is_opened_again_with_its_last_words(cli: Cli, smollm2: Path) -> None:
    done = cli.run("chat", "Say something.", "-m", smollm2, "-n", "6", "--seed", "3", "--json").lines[-1]
    terminal = cli.terminal("chat", "-m", smollm2, "-c", done["conversation"])
    terminal.expect("› Say something.")
    terminal.expect(READY)
    terminal.send("/open 0000zzzz\r")
    terminal.expect("There is no conversation named 0000zzzz")
    cli.leave(terminal)


def test_the_session_speaks_chinese_where_the_system_does(cli: Cli, smollm2: Path) -> None:
    terminal = cli.terminal("chat", "-m", smollm2, "-n", "4", language="zh")
    terminal.expect("想问点什么")
    terminal.send("Hello\r")
    terminal.expect("没写完：到了长度上限 4")
    cli.leave(terminal, "想问点什么")


def test_a_failing_engine_is_told_and_the_session_goes_on(cli: Cli) -> None:
    terminal = cli.terminal("chat", "-m", "http://127.0.0.1:9")
    terminal.expect(READY)
    terminal.send("Hello\r")
    terminal.expect("Error: No answer from the model server")
    cli.leave(terminal)


def test_with_no_model_the_smallest_is_offered_and_never_fetched_unasked(
    cli: Cli, smollm2: Path, hub: HubServer, hub_env: dict[str, str]
) -> None:
    repository, file = "Qwen/Qwen2.5-0.5B-Instruct-GGUF", "qwen2.5-0.5b-instruct-q4_k_m.gguf"
    hub.repositories[repository] = {file: smollm2.read_bytes()}
    hub.listed_sha256[file] = "74a4da8c9fdbcd15bd1f6d01d621410d31c6fc00986f5eb687824e7b93d7a9db"
    terminal = cli.terminal("chat", env=hub_env)
    terminal.expect(r"Fetch the smallest, qwen2.5-0.5b \(98.4 MB\), now")
    terminal.send("n\r")
    terminal.expect("twokeys models pull qwen2.5-0.5b")
    terminal.expect(pexpect.EOF)
    terminal.wait()
    assert terminal.exitstatus == 1
    assert hub.downloads(file) == []


def test_what_stands_above_is_shortened_to_a_summary_that_the_person_edits(cli: Cli, smollm2: Path) -> None:
    terminal = open_session(cli, smollm2, "-n", "12")
    terminal.send("/shorten\r")
    terminal.expect("the model reads nothing up there")
    terminal.expect(READY)
    for question in ("Name a colour.", "Name an animal."):
        terminal.send(f"{question}\r")
        terminal.expect(r"first token [\d.]+ s")
        terminal.expect(READY)
    terminal.send("/shorten two\r")
    terminal.expect("how many turns stay")
    terminal.expect(READY)
    terminal.send("/shorten\r")
    terminal.expect("Summary > ")
    terminal.send("\x05\x15They spoke of blue.\r")
    terminal.expect(r"Shortened: \d+ tokens in place of \d+")
    terminal.expect(READY)
    terminal.send("/shorten 0\r")
    terminal.expect("Summary > ")
    terminal.sendintr()
    terminal.expect("Nothing was changed")
    terminal.expect(READY)
    terminal.send("/shorten off\r")
    terminal.expect("reads everything above again")
    terminal.expect(READY)
    terminal.send("/shorten off\r")
    terminal.expect("nothing above is shortened")
    cli.leave(terminal)
    [conversation] = stored(cli)
    [mark] = conversation["resets"]  # type: ignore[misc]
    assert (mark["summary"], mark["keep_history"]) == ("They spoke of blue.", True)
    assert mark["after"] == conversation["messages"][1]["id"]  # type: ignore[index]
