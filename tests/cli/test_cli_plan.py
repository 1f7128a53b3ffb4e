"""`twokeys plan`, the doctor's memory plan and `chat --recover`, as scripts and people run them."""

from pathlib import Path

import pytest
from commanding import Cli

from twokeys.config import load_config
from twokeys.core.memory.overrides import Overrides
from twokeys.store.repository import Repository

FIELDS = {
    "weights_bytes",
    "kv_bytes",
    "compute_bytes",
    "total_bytes",
    "available_bytes",
    "fits",
    "safe_context",
    "safe_max_new_tokens",
}


def test_a_plan_needs_no_model_file_and_has_the_fields_of_the_contract(cli: Cli) -> None:
    short = cli.run("plan", "--context", "2048", "--kv-type", "f16", "--memory-gib", "16", "--json").json
    long = cli.run("plan", "--context", "4096", "--kv-type", "f16", "--memory-gib", "16", "--json").json
    assert set(short) >= FIELDS
    assert long["kv_bytes"] - short["kv_bytes"] == 112 << 20, "what 2048 to 4096 really costs"
    assert short["available_bytes"] == 16 << 30 and short["fits"] is True
    assert short["safe_context"] == 32768 and short["safe_max_new_tokens"] == 8192


def test_a_plan_says_what_lies_on_the_card_and_what_in_memory(cli: Cli) -> None:
    ran = cli.run("plan", "--model", "qwen2.5-7b", "--memory-gib", "16", "--gpu-gib", "3")
    assert "On the graphics card 2.74 GiB (3.00 GiB free there), in memory 2.81 GiB." in ran.out
    none = cli.run("plan", "--model", "qwen2.5-7b", "--memory-gib", "16")
    assert "graphics card" not in none.out


def test_a_plan_that_does_not_fit_says_so_and_is_still_an_answer(cli: Cli) -> None:
    ran = cli.run("plan", "--model", "qwen2.5-7b", "--memory-gib", "3", "--json")
    assert ran.code == 0
    assert ran.json["fits"] is False and ran.json["safe_context"] == ran.json["safe_max_new_tokens"] == 0
    for language, words in (("en", "does not fit"), ("zh", "放不下")):
        assert words in cli.run("plan", "-m", "qwen2.5-7b", "--memory-gib", "3", language=language).out


def test_a_length_beyond_the_context_does_not_fit(cli: Cli) -> None:
    ran = cli.run("plan", "--context", "2048", "--max-new-tokens", "4096", "--memory-gib", "16", "--json")
    assert ran.json["fits"] is False and ran.json["possible"] is True


def test_a_document_is_planned_for_and_priced_page_by_page(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "long.md"
    file.write_text("\n\n".join(f"# Chapter {number}\n\n{'word ' * 900}" for number in range(1, 6)))
    asked = ("plan", "-m", "qwen2.5-7b", "--memory-gib", "16", "--file", file)
    planned = cli.run(*asked, "--json").json
    [document] = planned["files"]
    assert [passage["title"] for passage in document["passages"]] == [f"Chapter {n}" for n in range(1, 6)]
    assert sum(passage["tokens"] for passage in document["passages"]) <= document["tokens"]
    assert planned["file_tokens"] == document["tokens"] > 4000 and planned["fits"] is True
    assert planned["context"] > document["tokens"]
    assert cli.run(*asked, "--context", "4096", "--json").json["fits"] is False
    assert "  5  ≈" in cli.run(*asked, language="en").out


def test_a_file_is_planned_by_its_own_header(cli: Cli, smollm2: Path) -> None:
    ran = cli.run("plan", "--model", smollm2, "--context", "2048", "--kv-type", "q8_0", "--json").json
    assert ran["weights_bytes"] == 96_576_768 and ran["approximate"] is False
    assert ran["kv_bytes"] == 2048 * 30 * 3 * 128 * 34 // 32


@pytest.mark.parametrize(
    "wrong", [("--context", "3"), ("--kv-type", "f32"), ("--max-new-tokens", "0"), ("--model", "nothing")]
)
def test_what_cannot_be_planned_is_refused_in_one_sentence(cli: Cli, wrong: tuple[str, str]) -> None:
    ran = cli.run("plan", *wrong, "--json")
    assert ran.code != 0 and set(ran.json["error"]) == {"code", "message", "hint"}


def test_llama_cpp_can_be_asked_whether_the_plan_is_right(cli: Cli, smollm2: Path) -> None:
    ran = cli.run("plan", "-m", smollm2, "--context", "4096", "--kv-type", "f16", "--check", "--json").json
    for name, count in ran["llama_cpp"].items():
        assert abs(count - ran[name]) <= 1 << 20
    assert cli.run("plan", "-m", "qwen2.5-7b", "--check").code != 0, "there is no file to ask about"


def test_an_engine_of_one_s_own_is_started_and_its_buffers_stand_beside_the_plan(
    cli: Cli, smollm2: Path, llama_server: str
) -> None:
    asked = ("plan", "-m", smollm2, "--context", "1024", "--kv-type", "f16", "--check", "--json")
    checked = cli.run(*asked, env={"TWOKEYS_LLAMA_SERVER": llama_server}).json["check"]
    planned, real = checked["planned"]["host"], checked["real"]["host"]
    assert checked["program"] == llama_server and set(checked["real"]) == {"host"}
    for name, count in real.items():
        assert abs(count - planned[name]) <= 3 << 20, name
    assert cli.run(*asked).json["check"] is None


def test_doctor_plans_the_model_that_would_answer(cli: Cli, smollm2: Path) -> None:
    checks = {row["name"]: row for row in cli.run("doctor", "--model", smollm2, "--json").json["checks"]}
    assert checks["memory-plan"]["ok"] and "8192" in checks["memory-plan"]["detail"]


def test_chat_recovers_by_itself_or_leaves_it(cli: Cli, smollm2: Path) -> None:
    """A start that memory refuses: off fails, auto takes the steps and answers."""
    repository = Repository.open(load_config())
    tight = Overrides(context=8192, kv_type="f16", threads=1, limit_mib=310)
    repository.set_setting("memory.overrides", {smollm2.stem: tight.to_dict()})
    repository.set_setting("memory.recover", "auto")  # the app's choice, which is not the command's
    repository.close()
    asked = ("chat", "Hello.", "--model", smollm2, "--max-new-tokens", "1024", "--json")
    left = cli.run(*asked, "--recover", "off")
    assert left.code != 0 and left.lines[-1]["error"]["code"] == "memory_refused"
    repository = Repository.open(load_config())
    [conversation] = repository.list_conversations()
    assert conversation.settings.sampling.max_new_tokens == 1024, "off changes nothing"
    assert repository.branch(conversation.id)[-1].provenance.recovery == ()
    repository.close()
    done = cli.run(*asked, "--recover", "auto")
    kinds = [line["type"] for line in done.lines]
    assert done.code == 0 and kinds[-1] == "done"
    steps = [line["step"] for line in done.lines if line["type"] == "recovery"]
    assert steps == ["clear", "length"]
    assert done.lines[-1]["text"]
    assert cli.run("chat", "Hi", "--recover", "sometimes").code != 0
