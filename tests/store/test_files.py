"""Attached files: kept once, linked to what uses them, exported, and gone with the last that does."""

import hashlib
import json
import stat
from dataclasses import replace

import pytest

from twokeys.config import Config
from twokeys.errors import NotFound
from twokeys.store.exchange import Exchange
from twokeys.store.repository import Repository
from twokeys.types import Conversation, Provenance

from .making import Maker, message

DATA = b"clause 7: quetzalcoatl"
SHA256 = hashlib.sha256(DATA).hexdigest()
BEFORE = '<document name="contract.txt">\nclause 7\n</document>\n\n'


def asked(repository: Repository, make: Maker) -> Conversation:
    """A conversation with a question that a file stands before."""
    conversation = make.conversation("Contract")
    facts = {"name": "contract.txt", "sha256": SHA256, "tokens": 9, "pages": "1"}
    provenance = Provenance(documents=(facts,), question_at=len(BEFORE))
    with repository.transaction():
        repository.files.keep(DATA)
        question = message(conversation.id, None, "user", BEFORE + "When?")
        repository.add_message(replace(question, provenance=provenance))
    return conversation


def test_a_file_is_kept_once_and_only_its_owner_can_read_it(config: Config, repository: Repository) -> None:
    drafts = [repository.files.add_draft(None, DATA, name) for name in ("a.txt", "a.txt", "b.txt")]
    assert [draft.sha256 for draft in drafts] == [SHA256] * 3
    assert [draft.name for draft in repository.files.drafts(None)] == ["a.txt", "b.txt"]
    [path] = (config.home / "files").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert repository.files.read(SHA256) == DATA
    for name in ("../twokeys.db", "0" * 64):
        with pytest.raises(NotFound):
            repository.files.read(name)


def test_a_file_goes_with_the_last_conversation_that_uses_it(
    config: Config, repository: Repository, make: Maker
) -> None:
    first, second = asked(repository, make), asked(repository, make)
    repository.delete_conversation(first.id)
    assert repository.bin.purge().complete
    assert repository.files.read(SHA256) == DATA, "the second conversation uses it"
    token = repository.delete_conversation(second.id)
    repository.bin.purge(older_than_s=60.0)
    repository.undo(token)
    assert repository.files.read(SHA256) == DATA, "it could be taken back"
    repository.delete_conversation(second.id)
    assert repository.bin.purge().complete
    assert list((config.home / "files").iterdir()) == []


def test_a_file_that_was_taken_off_again_is_removed_and_one_that_waits_is_not(
    repository: Repository, make: Maker
) -> None:
    conversation = make.conversation()
    draft = repository.files.add_draft(conversation.id, DATA, "a.txt")
    repository.files.choose_pages(draft.id, "1-3")
    repository.bin.purge_due()
    assert repository.files.drafts(conversation.id) == [replace(draft, pages="1-3")]
    assert repository.files.read(SHA256) == DATA
    repository.files.drop_drafts([draft.id])
    repository.bin.purge_due()
    with pytest.raises(NotFound):
        repository.files.read(SHA256)


def test_json_holds_the_files_and_brings_them_back(repository: Repository, make: Maker) -> None:
    conversation = asked(repository, make)
    exchange = Exchange(repository)
    exported = exchange.export_json([conversation.id])
    repository.delete_conversation(conversation.id)
    repository.bin.purge()
    imported = exchange.import_file(exported.encode(), "chats.json")
    assert repository.files.read(SHA256) == DATA
    [question] = repository.all_messages(imported.conversation_ids[0])
    assert (question.before_own_words, question.own_words) == (BEFORE, "When?")
    repository.bin.purge()
    assert repository.files.read(SHA256) == DATA
    broken = json.loads(exported)
    broken["conversations"][0]["files"][0]["data"] = "no base64!"
    left_out = exchange.import_file(json.dumps([json.loads(exported), broken]).encode(), "x.json", again=True)
    assert len(left_out.conversation_ids) == 1 and len(left_out.left_out) == 1


def test_markdown_names_the_files_and_leaves_their_texts_out(repository: Repository, make: Maker) -> None:
    text = Exchange(repository).export_markdown(asked(repository, make).id, "en")
    assert f"- file: contract.txt (1), 9 tokens, SHA-256 {SHA256[:16]}…" in text
    assert "When?" in text and "clause 7" not in text
