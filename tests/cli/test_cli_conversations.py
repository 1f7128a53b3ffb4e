"""`twokeys conversations`: listing, searching, taking out, bringing in, deleting, undoing."""

import json
import stat
from pathlib import Path

import pytest
from commanding import Cli

from twokeys.config import Config
from twokeys.ids import new_id
from twokeys.store.repository import Repository
from twokeys.types import Conversation, Message

TALKS = {
    "反向传播": ("什么是梯度消失？", "链式法则连乘，梯度越来越小。"),
    "Leaves": ("Why are leaves green?", "Because of **chlorophyll**."),
}


@pytest.fixture
def ids(home: Path) -> dict[str, str]:
    """Two short conversations in the store, by their titles."""
    repository = Repository.open(Config(home=home))
    made = {}
    for number, (title, (question, answer)) in enumerate(TALKS.items()):
        conversation = Conversation(new_id(), title, 1000.0 + number, 1000.0 + number)
        repository.create_conversation(conversation)
        asked = Message(new_id(), conversation.id, None, "user", question, 1000.0)
        repository.add_message(asked)
        reply = Message(
            new_id(), conversation.id, asked.id, "assistant", answer, 1001.0, finish_reason="stop"
        )
        repository.add_message(reply)
        made[title] = conversation.id
    repository.close()
    return made


def test_list_has_a_row_for_each_conversation(cli: Cli, ids: dict[str, str]) -> None:
    rows = cli.run("conversations", "list", "--json").json
    assert {row["title"]: row["id"] for row in rows} == ids
    for row in rows:
        assert {"id", "title", "created_at", "updated_at", "pinned", "messages"} <= set(row)
        assert row["messages"] == 2
    assert len(cli.run("conversations", "list", "--limit", "1", "--json").json) == 1
    shown = cli.run("conversations", "list", language="zh").out
    assert "反向传播" in shown
    assert ids["Leaves"] in shown


def test_an_empty_history_is_said_and_not_an_error(cli: Cli) -> None:
    ran = cli.run("conversations", "list")
    assert ran.code == 0
    assert "No conversations yet" in ran.err


@pytest.mark.parametrize(
    ("query", "title"), [("梯度", "反向传播"), ("chlorophyll", "Leaves"), ("反向", "反向传播")]
)
def test_search_finds_chinese_and_english_words(
    cli: Cli, ids: dict[str, str], query: str, title: str
) -> None:
    hits = cli.run("conversations", "search", query, "--json").json
    assert {hit["conversation"] for hit in hits} == {ids[title]}
    assert all({"title", "message_id", "snippet", "highlights", "score"} <= set(hit) for hit in hits)
    assert ids[title] in cli.run("conversations", "search", query).out


def test_a_search_without_hits_is_an_empty_list(cli: Cli, ids: dict[str, str]) -> None:
    assert cli.run("conversations", "search", "zebra", "--json").json == []
    assert "zebra" in cli.run("conversations", "search", "zebra").err


def test_export_and_import_bring_the_same_conversation_back(
    cli: Cli, ids: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "all.json"
    reported = cli.run("conversations", "export", "--all", "--output", file, "--json").json
    assert reported == {"path": str(file), "format": "json", "bytes": file.stat().st_size}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert cli.run("conversations", "import", file, "--json").json["conversations"] == []
    imported = cli.run("conversations", "import", file, "--again", "--json").json
    assert imported["source"] == "twokeys"
    assert imported["messages"] == 4
    assert {row["title"] for row in imported["conversations"]} == set(TALKS)
    assert len(cli.run("conversations", "list", "--json").json) == 4
    piped = cli.run("conversations", "import", "-", "--again", stdin=file.read_bytes())
    assert "2 conversations imported" in piped.out


def test_markdown_is_for_people(cli: Cli, ids: dict[str, str], tmp_path: Path) -> None:
    shown = cli.run("conversations", "export", ids["Leaves"]).out
    assert "# Leaves" in shown
    assert "Because of **chlorophyll**." in shown
    in_json = cli.run("conversations", "export", ids["Leaves"], "--format", "md", "--json").json
    assert in_json["text"].strip() == shown.strip()
    packed = tmp_path / "all.zip"
    assert cli.run("conversations", "export", "--all", "-o", packed).code == 0
    assert packed.read_bytes().startswith(b"PK")


def test_an_existing_file_is_replaced_only_when_told_so(
    cli: Cli, ids: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "kept.md"
    file.write_text("precious", encoding="utf-8")
    ran = cli.run("conversations", "export", ids["Leaves"], "-o", file, "--json")
    assert ran.code == 2
    assert str(file) in ran.json["error"]["message"]
    assert file.read_text(encoding="utf-8") == "precious"
    assert cli.run("conversations", "export", ids["Leaves"], "-o", file, "--force").code == 0
    assert "chlorophyll" in file.read_text(encoding="utf-8")


def test_a_deleted_conversation_can_be_brought_back(cli: Cli, ids: dict[str, str]) -> None:
    reported = cli.run("conversations", "rm", ids["Leaves"], "--json").json
    assert reported["id"] == ids["Leaves"]
    assert [row["title"] for row in cli.run("conversations", "list", "--json").json] == ["反向传播"]
    assert cli.run("conversations", "export", ids["Leaves"]).code == 1
    assert cli.run("conversations", "undo", reported["undo"], "--json").json == {"undone": reported["undo"]}
    assert len(cli.run("conversations", "list", "--json").json) == 2
    assert cli.run("conversations", "undo", reported["undo"]).code == 1


def test_a_search_is_narrowed_by_date_and_model_and_says_where_the_hit_is(
    cli: Cli, ids: dict[str, str]
) -> None:
    (hit,) = cli.run("conversations", "search", "chlorophyll", "--json").json
    assert hit["conversation"] == ids["Leaves"] and hit["head_id"] == hit["message_id"]
    for narrowed in (("--since", "2020-01-01"), ("--until", "1969-01-01"), ("--by", "gpt-4o")):
        assert cli.run("conversations", "search", "chlorophyll", *narrowed, "--json").json == []
    assert len(cli.run("conversations", "search", "chlorophyll", "--until", "1970-02-01", "--json").json) == 1
    assert cli.run("conversations", "search", "chlorophyll", "--since", "tomorrow").code == 2


def test_now_erases_a_conversation_from_every_file(cli: Cli, ids: dict[str, str], home: Path) -> None:
    def holds() -> list[str]:
        return [p.name for p in home.rglob("*") if p.is_file() and b"chlorophyll" in p.read_bytes()]

    assert holds() == ["twokeys.db"]
    reported = cli.run("conversations", "rm", ids["Leaves"], "--now", "--json").json
    assert reported == {"id": ids["Leaves"], "title": "Leaves", "removed": True, "complete": True}
    assert holds() == []
    assert cli.run("conversations", "rm", ids["Leaves"], "--now").code == 1


def test_the_beginning_of_an_id_is_enough_when_it_is_the_only_one(cli: Cli, ids: dict[str, str]) -> None:
    whole = ids["Leaves"]
    assert "# Leaves" in cli.run("conversations", "export", whole[:-2]).out
    several = cli.run("conversations", "export", whole[:5], "--json")
    assert several.code == 2
    assert whole[:5] in several.json["error"]["message"]


@pytest.mark.parametrize("content", [b"", b"{broken", b'{"format": "something else"}'])
def test_a_file_that_is_no_export_is_refused(cli: Cli, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "odd.json"
    file.write_bytes(content)
    ran = cli.run("conversations", "import", file, "--json")
    assert ran.code == 2
    assert ran.json["error"]["code"] == "bad_file"
    assert "odd.json" in ran.json["error"]["message"]
    missing = cli.run("conversations", "import", tmp_path / "none.json", "--json")
    assert missing.json["error"]["code"] == "bad_file"


def test_a_database_that_cannot_be_read_is_refused_in_one_sentence(cli: Cli, home: Path) -> None:
    (home / "twokeys.db").write_bytes(b"this is no database, " * 500)
    ran = cli.run("conversations", "list", "--json")
    assert ran.code == 1
    error = json.loads(ran.out.splitlines()[-1])["error"]
    assert error["code"] == "store_corrupt"
    assert "Traceback" not in ran.err


HOSTILE = "before\x1b]52;c;ZXZpbA==\x07 \x1b[2J\x9b31mafter\x1b]0;title\x07"


def test_what_others_wrote_never_commands_the_terminal(cli: Cli, home: Path, tmp_path: Path) -> None:
    repository = Repository.open(Config(home=home))
    made = repository.create_conversation(Conversation("hostile1", HOSTILE, 1.0, 1.0))
    repository.add_message(Message("m1", made.id, None, "user", f"quartz {HOSTILE}", 1.0))
    repository.close()
    for arguments in (
        ("list",),
        ("search", "quartz"),
        ("search", "quartz", "--json"),
        ("export", "hostile1"),
        ("rm", "hostile1"),
    ):
        terminal = cli.terminal("conversations", *arguments)
        shown = terminal.read()
        assert "after" in shown
        assert not any(sign in shown for sign in ("\x1b]", "\x1b[2J", "\x9b", "\x07")), (arguments, shown)
    repository = Repository.open(Config(home=home))
    repository.create_conversation(Conversation("hostile2", HOSTILE, 1.0, 1.0))
    repository.close()
    file = tmp_path / "as-it-is.json"
    assert cli.run("conversations", "export", "hostile2", "-o", file).code == 0
    assert json.loads(file.read_text(encoding="utf-8"))["conversations"][0]["title"] == HOSTILE


def test_one_conversation_leaves_as_a_web_page_that_loads_nothing(
    cli: Cli, ids: dict[str, str], tmp_path: Path
) -> None:
    name, file = next(iter(ids.values())), tmp_path / "page.html"
    assert cli.run("conversations", "export", name, "-o", file).code == 0
    page = file.read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>") and "default-src 'none'" in page
    assert cli.run("conversations", "export", "--all", "-o", tmp_path / "all.html").code == 2
