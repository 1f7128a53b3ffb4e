"""`twokeys engine`: the list for this machine, its survey, and a llama-server of one's own."""

from pathlib import Path

from commanding import Cli


def test_the_list_has_what_scripts_rely_on_and_the_bundled_engine_always(cli: Cli) -> None:
    rows = cli.run("engine", "list", "--json").json
    fields = {"name", "backend", "version", "installed", "active", "usable", "reason", "devices"}
    assert all(fields <= set(row) for row in rows)
    [bundled] = [row for row in rows if row["name"] == "bundled"]
    assert bundled["installed"] and bundled["active"] and bundled["usable"]
    assert all(row["reason"] for row in rows)
    shown = cli.run("engine")
    assert "bundled" in shown.out and shown.code == 0


def test_the_survey_names_the_system_and_why_a_look_found_nothing(cli: Cli) -> None:
    shown = cli.run("engine", "survey", "--json").json
    assert shown["system"] and shown["machine"]
    assert set(shown["problems"]) <= {"pci", "nvml", "rocm", "metal", "vulkan", "facts"}


def test_a_llama_server_of_one_s_own_is_added_proven_used_and_taken_away_again(
    cli: Cli, smollm2: Path, llama_server: str, tmp_path: Path
) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    script = mine / "llama-server"
    script.write_text(f'#!/bin/sh\nexec "{llama_server}" "$@"\n')
    script.chmod(0o755)
    added = cli.run("engine", "add", str(mine), "--json").json
    assert (added["name"], added["installed"], added["active"]) == ("mine", True, False)
    refused = cli.run("engine", "use", "mine", "--json")
    assert refused.code != 0 and refused.json["error"]["code"] == "build_refused"
    proof = cli.run("engine", "prove", "mine", "--model", str(smollm2), "--tokens", "16", "--json").json
    assert proof["agreed"] == proof["tokens"] and proof["device"] == ""
    assert proof["prompt_tok_per_s"] > 0 < proof["processor_prompt_tok_per_s"], "both read a prompt too"
    assert cli.run("engine", "use", "mine", "--json").json["active"]
    assert cli.run("engine", "use", "bundled", "--json").json["name"] == "bundled"
    assert cli.run("engine", "rm", "mine", "--json").json["removed"]
    assert script.is_file()


def test_an_unknown_engine_is_an_error_with_a_next_step(cli: Cli) -> None:
    ran = cli.run("engine", "fetch", "nonesuch", "--json")
    assert ran.code != 0
    assert ran.json["error"]["code"] == "not_found" and "engine" in ran.json["error"]["message"]
