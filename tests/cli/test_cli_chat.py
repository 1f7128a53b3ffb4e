"""`twokeys chat` with a prompt: one turn on the real engine, for people, pipes and scripts."""

import json
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest
from commanding import Cli
from tests.questions import LONG, SEED

SHORT = ("--max-new-tokens", "12", "--seed", "7")


def test_json_mode_streams_deltas_and_ends_with_the_whole_contract(cli: Cli, smollm2: Path) -> None:
    ran = cli.run("chat", "Name three colours.", "--model", smollm2, *SHORT, "--json")
    assert ran.code == 0, ran
    *deltas, done = ran.lines
    assert deltas
    assert all(set(line) == {"type", "text"} and line["type"] == "delta" for line in deltas)
    assert done["type"] == "done"
    assert done["text"] == "".join(line["text"] for line in deltas) != ""
    assert done["finish_reason"] == "length"
    assert done["usage"]["completion_tokens"] == 12
    assert done["usage"]["prompt_tokens"] > 5
    assert done["timings"]["ttft_s"] > 0
    assert done["timings"]["tok_per_s"] > 0
    assert done["sampling"]["temperature"] == 0.7
    assert done["sampling"]["top_p"] == 0.8
    assert done["sampling"]["top_k"] == 20
    assert done["sampling"]["repetition_penalty"] == 1.05
    assert done["sampling"]["max_new_tokens"] == 12
    assert done["sampling"]["seed"] == 7
    assert done["conversation"]
    assert done["message"]


def test_what_is_asked_is_stored_and_a_conversation_goes_on(cli: Cli, smollm2: Path) -> None:
    first = cli.run("chat", "My name is Zebedee.", "-m", smollm2, *SHORT, "--json").lines[-1]
    second = cli.run(
        "chat", "And you?", "-m", smollm2, *SHORT, "--conversation", first["conversation"], "--json"
    ).lines[-1]
    assert second["conversation"] == first["conversation"]
    assert second["usage"]["prompt_tokens"] > first["usage"]["prompt_tokens"] + 12
    exported = json.loads(cli.run("conversations", "export", first["conversation"], "--json").out)
    [conversation] = exported["conversations"]
    assert [m["role"] for m in conversation["messages"]] == ["user", "assistant"] * 2
    assert conversation["messages"][1]["content"] == first["text"]
    assert conversation["messages"][3]["id"] == second["message"]


def test_options_become_the_conversations_settings(cli: Cli, smollm2: Path) -> None:
    done = cli.run(
        "chat", "Hi", "-m", smollm2, "--preset", "precise", *SHORT, "--system", "Be brief.", "--json"
    ).lines[-1]
    assert done["sampling"]["temperature"] == 0.3
    assert done["sampling"]["max_new_tokens"] == 12
    exported = json.loads(cli.run("conversations", "export", done["conversation"], "--json").out)
    settings = exported["conversations"][0]["settings"]
    assert settings["preset"] is None, "its length was not used"
    assert settings["system_prompt"] == "Be brief."
    assert settings["sampling"]["seed"] == 7


def test_a_temperature_beside_a_preset_is_recorded_without_the_presets_name(cli: Cli, smollm2: Path) -> None:
    done = cli.run(
        "chat", "Hi", "-m", smollm2, *SHORT, "--preset", "precise", "--temperature", "1.5", "--json"
    ).lines[-1]
    exported = json.loads(cli.run("conversations", "export", done["conversation"], "--json").out)
    [conversation] = exported["conversations"]
    provenance = conversation["messages"][1]["provenance"]
    assert (provenance["preset"], provenance["sampling_set"]["temperature"]) == (None, 1.5)
    assert {"temperature", "max_new_tokens", "seed"} == set(conversation["settings"]["pinned"])


def test_the_same_seed_gives_the_same_answer(cli: Cli, smollm2: Path) -> None:
    answers = {cli.run("chat", "Tell me a story.", "-m", smollm2, *SHORT).out for _ in range(2)}
    assert len(answers) == 1


def test_a_pipe_gets_the_plain_text_alone(cli: Cli, smollm2: Path) -> None:
    ran = cli.run("chat", "-", "-m", smollm2, *SHORT, stdin="Name three\ncolours.\n")
    assert ran.code == 0
    assert ran.out.endswith("\n")
    assert "\x1b" not in ran.out + ran.err
    assert "tokens" not in ran.out
    exported = cli.run("conversations", "export", "--all", "--format", "json").out
    question = json.loads(exported)["conversations"][0]["messages"][0]
    assert question["content"] == "Name three\ncolours."


def test_a_piped_question_needs_no_dash(cli: Cli, smollm2: Path) -> None:
    ran = cli.run("chat", "-m", smollm2, *SHORT, stdin="Name a colour.")
    assert ran.code == 0
    assert ran.out.strip()


def test_bytes_that_are_no_text_become_replacement_characters(cli: Cli, smollm2: Path) -> None:
    done = cli.run("chat", "-", "-m", smollm2, *SHORT, "--json", stdin=b"caf\xe9 \xff?").lines[-1]
    exported = json.loads(cli.run("conversations", "export", done["conversation"], "--json").out)
    assert exported["conversations"][0]["messages"][0]["content"] == "caf\ufffd \ufffd?"


@pytest.mark.parametrize(("language", "expected"), [("en", "Not complete"), ("zh", "没写完")])
def test_a_cut_answer_says_so_and_can_be_continued(
    cli: Cli, smollm2: Path, language: str, expected: str
) -> None:
    ran = cli.run("chat", "Tell me a long story.", "-m", smollm2, *SHORT, language=language)
    assert ran.code == 0
    assert expected in ran.err
    assert "12" in ran.err
    command = ran.err.split("twokeys ")[-1].split()
    assert command[:2] == ["chat", "-c"]
    more = cli.run(*command, "-m", smollm2, *SHORT, language=language)
    assert more.code == 0
    exported = json.loads(cli.run("conversations", "export", command[2], "--json").out)
    answer = exported["conversations"][0]["messages"][1]
    assert answer["content"].startswith(ran.out.rstrip("\n"))
    assert len(answer["token_ids"]) > 12
    assert answer["content"].endswith(more.out.rstrip("\n"))


@pytest.mark.parametrize(
    ("options", "field"),
    [
        (("--temperature", "-1"), "temperature"),
        (("--temperature", "nan"), "temperature"),
        (("--temperature", "1e9"), "temperature"),
        (("--max-new-tokens", "0"), "max_new_tokens"),
        (("--seed", "-5"), "seed"),
    ],
)
def test_a_value_out_of_range_names_the_field_and_the_range(
    cli: Cli, smollm2: Path, options: tuple[str, str], field: str
) -> None:
    ran = cli.run("chat", "Hi", "-m", smollm2, *options, "--json")
    assert ran.code == 2
    error = ran.json["error"]
    assert error["code"] == "bad_parameter"
    assert field in error["message"]
    assert " … " in error["message"]
    assert cli.run("conversations", "list", "--json").json == []


def test_nothing_to_ask_is_refused_and_leaves_no_conversation(cli: Cli, smollm2: Path) -> None:
    for prompt, stdin in (("   ", None), ("-", "\n\n"), ("-", None)):
        ran = cli.run("chat", prompt, "-m", smollm2, "--json", stdin=stdin)
        assert ran.code == 2
        assert ran.json["error"]["code"] == "empty_message"
    assert cli.run("conversations", "list", "--json").json == []


def test_a_prompt_that_cannot_fit_is_refused_before_it_is_sent(cli: Cli, smollm2: Path) -> None:
    ran = cli.run("chat", "-", "-m", smollm2, "--json", stdin="word " * 20_000)
    assert ran.code == 1
    assert ran.json["error"]["code"] == "context_exceeded"
    assert cli.run("conversations", "list", "--json").json == []


@pytest.mark.parametrize("language", ["en", "zh"])
def test_no_model_is_one_clear_sentence(cli: Cli, language: str) -> None:
    ran = cli.run("chat", "Hi", "--json", language=language)
    assert ran.code == 1
    error = ran.lines[-1]["error"]
    assert error["code"] == "model_missing"
    assert "twokeys models pull" in error["hint"]


def test_a_file_that_is_no_model_is_refused_before_it_is_loaded(cli: Cli, tmp_path: Path) -> None:
    fake = tmp_path / "fake.gguf"
    fake.write_bytes(b"<html>sign in</html>")
    ran = cli.run("chat", "Hi", "-m", fake, "--json")
    assert ran.code == 1
    assert ran.lines[-1]["error"]["code"] == "model_broken"


def test_unknown_names_are_refused(cli: Cli, smollm2: Path) -> None:
    for options in (("--conversation", "0123456789"), ("--preset", "nonsense")):
        ran = cli.run("chat", "Hi", "-m", smollm2, *options, "--json")
        assert ran.code == 1
        assert ran.json["error"]["code"] == "not_found"
    alone = cli.run("chat", "--continue", "-m", smollm2, "--json")
    assert alone.code == 2
    assert "--conversation" in alone.json["error"]["message"]


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_ctrl_c_keeps_what_was_written_and_leaves_no_worker(cli: Cli, smollm2: Path) -> None:
    process = cli.start("chat", LONG, "-m", smollm2, "-n", "4000", "--seed", SEED, "--json")
    assert process.stdout is not None
    first = json.loads(process.stdout.readline())
    assert first["type"] == "delta"
    workers = psutil.Process(process.pid).children(recursive=True)
    assert workers
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=30)
    done = json.loads(rest.splitlines()[-1])
    assert process.returncode == 130
    assert done["finish_reason"] == "cancelled"
    assert done["text"].startswith(first["text"])
    _gone, alive = psutil.wait_procs(workers, timeout=10)
    assert not alive


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_killed_command_leaves_no_worker_and_its_text_can_be_continued(cli: Cli, smollm2: Path) -> None:
    process = cli.start("chat", LONG, "-m", smollm2, "-n", "4000", "--seed", SEED, "--json")
    assert process.stdout is not None
    seen = ""
    while len(seen) < 60:
        seen += json.loads(process.stdout.readline())["text"]
    time.sleep(0.5)
    workers = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    _gone, alive = psutil.wait_procs(workers, timeout=10)
    assert not alive
    [row] = cli.run("conversations", "list", "--json").json
    more = cli.run("chat", "-c", row["id"], "--continue", "-m", smollm2, *SHORT, "--json").lines[-1]
    assert more["text"].startswith(seen[:60])


def test_an_unknown_guard_level_is_refused_with_what_is_allowed(cli: Cli, smollm2: Path) -> None:
    ran = cli.run("chat", "Hi", "-m", smollm2, "--guard", "loud", "--json")
    assert ran.code != 0
    assert "off | note | warn | stop" in ran.err


def test_drafts_are_counted_in_the_timings_and_an_unknown_draft_model_is_refused(
    cli: Cli, smollm2: Path
) -> None:
    text = "The keeper walks down the stairs and counts the boats that come home before the storm. " * 3
    asked = ("chat", f"Repeat this text:\n\n{text}", "--model", smollm2, "-t", "0", "-n", "40", "--json")
    ran = cli.run(*asked, "--draft", "simple")
    assert ran.code == 0, ran.err
    timings = json.loads(ran.out.splitlines()[-1])["timings"]
    assert timings["draft_tokens"] >= timings["draft_accepted"] > 0
    refused = cli.run(*asked, "--draft", "nobody-knows-this-model")
    assert refused.code != 0 and "nobody-knows-this-model" in refused.out + refused.err
