"""Chats of other programs, in the shapes that those programs write."""

import io
import json
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pytest

from twokeys.errors import BadFile
from twokeys.store.exchange import Exchange
from twokeys.store.parcel import seconds
from twokeys.store.repository import Repository
from twokeys.types import Imported

from .making import shown

FOLDER = Path(__file__).parent / "formats"


def written(name: str) -> Any:
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))


OPEN_WEBUI = written("openwebui.json")
LLAMA_CPP = written("llamacpp.json")
LLAMA_CPP_DATABASE = written("llamacpp_database.json")
LM_STUDIO = written("1700000000000.conversation.json")
CLAUDE = written("claude.json")
MESSAGES = written("messages.json")
SILLY_TAVERN = (FOLDER / "sillytavern.jsonl").read_bytes()


def lines(*values: Any) -> bytes:
    return "\n".join(json.dumps(value) for value in values).encode() + b"\n"


FILES: dict[str, tuple[str, bytes]] = {
    "Open WebUI": ("openwebui", json.dumps(OPEN_WEBUI).encode()),
    "Open WebUI, one bare chat": ("openwebui", json.dumps(OPEN_WEBUI[0]["chat"]).encode()),
    "llama.cpp": ("llamacpp", json.dumps(LLAMA_CPP).encode()),
    "llama.cpp, all": ("llamacpp", json.dumps([LLAMA_CPP]).encode()),
    "llama.cpp, lines": ("llamacpp", lines(LLAMA_CPP)),
    "llama.cpp, database": ("llamacpp", json.dumps(LLAMA_CPP_DATABASE).encode()),
    "LM Studio": ("lmstudio", json.dumps(LM_STUDIO, indent=2).encode()),
    "Claude": ("claude", json.dumps(CLAUDE).encode()),
    "SillyTavern": ("sillytavern", SILLY_TAVERN),
    "message list": ("messages", json.dumps(MESSAGES, indent=1).encode()),
    "messages": ("messages", json.dumps({"messages": MESSAGES, "model": "gpt-4o"}).encode()),
    "messages, lines": ("messages", lines({"messages": MESSAGES})),
    "message list, lines": ("messages", lines(*MESSAGES)),
}
WITH_VERSIONS = ("Open WebUI", "llama.cpp", "LM Studio", "Claude", "SillyTavern")
WITH_SYSTEM_PROMPT = ("Open WebUI", "LM Studio", "message", "llama.cpp, all", "llama.cpp, lines")


def imported(repository: Repository, name: str) -> Imported:
    source, data = FILES[name]
    report = Exchange(repository).import_file(data, "file")
    assert report.source == source and report.left_out == ()
    return report


@pytest.mark.parametrize("name", list(FILES))
def test_the_shown_branch_comes_with_its_versions_system_prompt_model_and_times(
    repository: Repository, name: str
) -> None:
    (made,) = imported(repository, name).conversation_ids
    question, answer = repository.branch(made)
    image = "\n\n[image]" if name.startswith("message") else "\n\n[file]" if name == "LM Studio" else ""
    assert (question.content, answer.content) == (f"Why are there tides?{image}", "Moon and sun.")
    assert answer.provenance.imported_from == FILES[name][0]
    conversation = repository.get_conversation(made)
    if name.startswith(WITH_VERSIONS):
        assert (answer.version, answer.versions) == (2, 2)
        assert conversation.title == "Tides"
    if name.startswith(WITH_SYSTEM_PROMPT):
        assert conversation.settings.system_prompt == "Be brief."
    if not name.startswith("message"):
        assert 1699900000 < conversation.created_at < 1700100000
        assert 1699900000 < conversation.updated_at < 1700100000
    else:
        assert conversation.title == "Why are there tides?"


@pytest.mark.parametrize("name", list(FILES))
def test_the_same_file_is_recognised(repository: Repository, name: str) -> None:
    first = imported(repository, name)
    second = imported(repository, name)
    assert second.conversation_ids == ()
    assert [here.conversation_id for here in second.already_here] == list(first.conversation_ids)


def test_lines_of_message_lists_are_conversations_of_their_own(repository: Repository) -> None:
    other = [{"role": "user", "content": "Another"}, {"role": "assistant", "content": "Yes."}]
    data = lines({"messages": MESSAGES}, {"messages": other}, {"messages": "no"})
    imported = Exchange(repository).import_file(data, "tuning.jsonl")
    assert sorted(shown(repository, made)[0] for made in imported.conversation_ids) == [
        "Another",
        "Why are there tides?\n\n[image]",
    ]
    assert [left_out.title for left_out in imported.left_out] == ["conversation 3"]


def test_an_archive_of_many_files_brings_all_that_are_conversations(repository: Repository) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("conversations/1700000000000.conversation.json", json.dumps(LM_STUDIO))
        archive.writestr("conversations/2.conversation.json", json.dumps({**LM_STUDIO, "createdAt": 5}))
        archive.writestr("config.json", "{}")
        archive.writestr("broken.json", "{")
        archive.writestr("picture.png", b"\x89PNG")
    imported = Exchange(repository).import_file(packed.getvalue(), "x.zip")
    assert (imported.source, len(imported.conversation_ids), imported.left_out) == (
        "lmstudio",
        2,
        (),
    )


def test_an_archive_that_unpacks_to_far_more_than_text_does_is_refused_before_it_is_unpacked(
    repository: Repository,
) -> None:
    packed = io.BytesIO()
    with (
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("conversations.json", "w") as member,
    ):
        member.write(b"[")
        for _ in range(300):
            member.write(b" " * 2**20)
    assert len(packed.getvalue()) < 400_000
    with pytest.raises(BadFile) as caught:
        Exchange(repository).import_file(packed.getvalue(), "bomb.zip")
    assert caught.value.params["reason"].key == "store.bad.too_large"


@pytest.mark.parametrize("packed", [False, True])
def test_millions_of_values_that_are_no_conversations_are_not_all_read(
    repository: Repository, packed: bool
) -> None:
    data = b"[" + b"[]," * 5_000_000 + b"[]]"
    if packed:
        written_to = io.BytesIO()
        with zipfile.ZipFile(written_to, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("conversations.json", data)
        data = written_to.getvalue()
    tracemalloc.start()
    with pytest.raises(BadFile):
        Exchange(repository).import_file(data, "x.json")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 20 * 2**20


def test_one_value_without_end_is_refused_in_bounded_memory(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twokeys.store.json_stream.MAX_VALUE_CHARS", 2**20)
    with pytest.raises(BadFile) as caught:
        Exchange(repository).import_file(b'[{"mapping": "' + b"x" * 2**23, "x.json")
    assert caught.value.params["reason"].key == "store.bad.too_large_value"


def test_an_own_export_of_any_size_is_read_a_conversation_at_a_time(repository: Repository) -> None:
    from twokeys.store.json_stream import read_values

    document = {
        "format": "f",
        "version": 1,
        "conversations": [{"n": n, "x": "字" * 999} for n in range(2000)],
    }
    values = list(
        read_values(io.BytesIO(json.dumps({**document, "after": [1]}, ensure_ascii=False).encode()))
    )
    assert [value["conversations"][0]["n"] for value in values] == list(range(2000))
    assert all(value["version"] == 1 for value in values)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (1700000000, 1700000000.0),
        (1700000000123, 1700000000.123),
        ("1700000000123", 1700000000.123),
        ("2023-11-14T22:13:20Z", 1700000000.0),
        ("", None),
        ("yesterday", None),
        (True, None),
        (float("inf"), None),
        (10**400, None),
        ("9" * 400, None),
        (-5, None),
        ([], None),
    ],
)
def test_times_are_read_in_any_of_the_ways_they_are_written(written: Any, meant: float | None) -> None:
    assert seconds(written) == meant
