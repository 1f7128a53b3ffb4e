"""What is deleted is gone: found by looking for its bytes in every file of the home."""

import random
import string
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from twokeys.config import Config
from twokeys.errors import BadParameter, NotFound, StoreLocked
from twokeys.ids import new_id
from twokeys.store.bin import UNDO_S
from twokeys.store.repository import Repository
from twokeys.types import Candidate, Conversation, GuardEvent, Message, Provenance, Settings, TokenProb

from .making import Maker, message, shown

DAY_S = 86400.0


def left_in_files(home: Path, *words: str) -> dict[str, list[str]]:
    """Which of the words stand in which files of a home, lock and sign-of-life files included."""
    result: dict[str, list[str]] = {}
    for path in sorted(home.rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            if here := [word for word in words if word.encode() in data]:
                result[path.name] = here
    return result


def word(draw: random.Random) -> str:
    return "q" + "".join(draw.choices(string.ascii_lowercase, k=11))


def full_talk(repository: Repository, draw: random.Random) -> tuple[str, list[str]]:
    """A conversation that leaves traces in every table; return its id and its words."""
    words = [word(draw) for _ in range(9)]
    title, system_prompt, asked, answered, noticed, token, other, waiting, reason = words
    settings = Settings(system_prompt=system_prompt)
    made = repository.create_conversation(Conversation(new_id(), title, 1.0, 1.0, settings=settings))
    filler = [f"filler{draw.randrange(400)}" for _ in range(draw.choice((3, 40, 1500)))]
    question = repository.add_message(message(made.id, None, "user", " ".join([asked, *filler])))
    answer = message(made.id, question.id, "assistant", "", state="streaming")
    repository.begin(answer)
    text = " ".join([*filler, answered])
    for start in range(0, len(text), 700):
        repository.append(answer.id, text[start : start + 700], [1, 2])
    repository.finish(
        replace(
            answer,
            content=text,
            state="done",
            provenance=Provenance(system_prompt=system_prompt),
            error={"code": "unexpected", "params": {"reason": reason}},
        )
    )
    repository.put_probs(answer.id, [TokenProb(token, 1, -0.1, 0, (Candidate(other, 2, -1.0),))])
    repository.add_events(answer.id, [GuardEvent("loop", "warn", 1, 1, {"text": noticed})])
    repository.set_setting(f"ui.waiting.{made.id}", waiting)
    return made.id, words


@pytest.mark.parametrize("seed", range(3))
def test_nothing_of_what_was_purged_is_left_in_any_file(config: Config, seed: int) -> None:
    draw = random.Random(seed)
    repository = Repository.open(config)
    talks = [full_talk(repository, draw) for _ in range(30)]
    gone: list[str] = []
    for conversation_id, words in draw.sample(talks, 12):
        repository.delete_conversation(conversation_id)
        gone += words
        if draw.random() < 0.3:
            assert repository.bin.purge().complete
    assert repository.bin.purge().complete
    assert left_in_files(config.home, *gone) == {}
    retained = [words for conversation_id, words in talks if words[0] not in gone]
    assert len(repository.list_conversations()) == len(retained) == 18
    for words in retained:
        assert len(repository.search(words[2])) == len(repository.search(words[3])) == 1
        assert repository.search(words[0])[0].message_id is None
    assert all(repository.search(lost) == [] for lost in gone)
    assert repository.check() == []
    repository.close()
    assert left_in_files(config.home, *gone) == {}


def test_a_deleted_branch_goes_with_what_came_below_it_and_the_rest_stays(
    repository: Repository, make: Maker, config: Config
) -> None:
    conversation, (_, answer, _, _) = make.talk("first", "kept answer", "branchword", "leafword")
    below = repository.branch(conversation.id)[2]
    repository.delete_message(below.id)
    late = repository.add_message(message(conversation.id, below.id, "user", "lateword"), head=False)
    removed = repository.bin.purge()
    assert (removed.messages, removed.conversations, removed.complete) == (3, 0, True)
    assert shown(repository, conversation.id) == ["first", "kept answer"]
    assert repository.all_messages(conversation.id)[-1].id == answer.id
    with pytest.raises(NotFound):
        repository.get_message(late.id)
    assert left_in_files(config.home, "branchword", "leafword", "lateword") == {}


def test_a_document_takes_its_hidden_conversation_along_and_brings_it_back(
    repository: Repository, config: Config
) -> None:
    for kind, key in (("comparison", "conversation_id"), ("writing", "conversation")):
        hidden = repository.create_conversation(Conversation(new_id(), "hid", 1.0, 1.0, kind=kind))  # type: ignore[arg-type]
        repository.add_message(message(hidden.id, None, "user", f"{kind}word"))
        made = repository.documents.create(kind, f"{kind}title", {key: hidden.id})
        repository.documents.put_row(made.id, "r", {"text": f"{kind}row"})
        repository.documents.add_vote(made.id, "v", {"why": f"{kind}vote"})
        token = repository.documents.delete(made.id)
        assert repository.get_conversation(hidden.id).deleted_at is not None
        repository.undo(token)
        assert repository.get_conversation(hidden.id).deleted_at is None
        repository.documents.delete(made.id)
    contents = repository.bin.contents()
    assert (contents.comparisons, contents.texts, contents.conversations) == (1, 1, 0)
    assert repository.bin.purge().documents == 2
    ends = ("word", "title", "row", "vote")
    assert left_in_files(config.home, *(k + e for k in ("comparison", "writing") for e in ends)) == {}
    assert repository.bin.contents().is_empty


def test_a_hidden_conversation_whose_document_is_gone_goes_too_but_not_one_in_the_making(
    config: Config,
) -> None:
    now = [100_000.0]
    repository = Repository.open(config, clock=lambda: now[0])
    old = repository.create_conversation(Conversation("h1", "old", 1.0, 1.0, kind="writing"))
    new = repository.create_conversation(Conversation("h2", "new", now[0], now[0], kind="writing"))
    repository.delete_conversation(repository.create_conversation().id)
    assert repository.bin.purge().conversations == 2
    assert repository.get_conversation(new.id).title == "new"
    with pytest.raises(NotFound):
        repository.get_conversation(old.id)
    repository.close()


def test_what_was_deleted_is_kept_for_the_days_that_were_chosen_and_never_shorter_than_the_undo(
    config: Config,
) -> None:
    now = [DAY_S]
    repository = Repository.open(config, clock=lambda: now[0])
    assert repository.bin.days == 30
    for days, wait_s in ((30, 30 * DAY_S), (7, 7 * DAY_S), (1, DAY_S), (0, UNDO_S)):
        repository.bin.keep_days(days)
        made = repository.create_conversation()
        token = repository.delete_conversation(made.id)
        now[0] += wait_s - 1
        assert not repository.bin.purge_due()
        repository.undo(token)
        repository.delete_conversation(made.id)
        now[0] += wait_s
        assert repository.bin.purge_due().conversations == 1
        with pytest.raises(NotFound):
            repository.get_conversation(made.id)
    for days in (-1, 2, 31, 365):
        with pytest.raises(BadParameter):
            repository.bin.keep_days(days)
    repository.set_setting("store.bin_days", 4000)
    assert repository.bin.days == 30
    repository.close()


def test_one_deletion_can_be_made_final_at_once_and_the_others_stay_in_the_bin(
    repository: Repository, make: Maker, config: Config
) -> None:
    first, _ = make.talk("firstword")
    second, _ = make.talk("secondword")
    token = repository.delete_conversation(first.id)
    other = repository.delete_conversation(second.id)
    assert repository.bin.remove(token).complete
    assert left_in_files(config.home, "firstword") == {}
    with pytest.raises(NotFound):
        repository.undo(token)
    with pytest.raises(NotFound):
        repository.bin.remove(token)
    repository.undo(other)
    assert shown(repository, second.id) == ["secondword"]


def test_an_answer_being_written_is_left_for_the_next_time(config: Config) -> None:
    repository, other = Repository.open(config), Repository.open(config)
    make = Maker(repository, time.time())
    conversation, (question,) = make.talk("busyword")
    begun = make.begin(conversation.id, question)
    token = other.delete_conversation(conversation.id)
    assert other.bin.purge().conversations == 0
    token = other.delete_conversation(conversation.id)
    with pytest.raises(StoreLocked):
        other.bin.remove(token)
    other.undo(token)
    repository.append(begun.id, "more")
    repository.finish(replace(begun, content="more", state="done"))
    assert shown(other, conversation.id) == ["busyword", "more"]
    token = other.delete_conversation(conversation.id)
    assert other.bin.remove(token).conversations == 1
    repository.close()
    other.close()


def test_a_reader_that_holds_the_log_delays_the_end_and_the_next_time_finishes_it(config: Config) -> None:
    repository = Repository.open(config)
    make = Maker(repository, time.time())
    conversation, _ = make.talk("heldword")
    reading, done = threading.Event(), threading.Event()

    def read() -> None:
        with repository._db.read() as db:
            db.execute("SELECT count(*) FROM messages").fetchone()
            reading.set()
            done.wait(60)

    thread = threading.Thread(target=read)
    thread.start()
    reading.wait(10)
    repository.delete_conversation(conversation.id)
    assert not repository.bin.purge().complete
    done.set()
    thread.join()
    assert repository.bin.purge_due().complete
    assert left_in_files(config.home, "heldword") == {}
    repository.close()


def test_copies_of_before_a_migration_lose_what_is_purged(config: Config, tmp_path: Path) -> None:
    repository = Repository.open(config)
    make = Maker(repository, time.time())
    gone, _ = make.talk("copiedword", title="copiedtitle")
    make.talk("stayingword")
    from twokeys.store.migrations import keep_backup

    copy = config.backups_dir / "twokeys-before-m999-1.db"
    connection = repository._db._take()
    keep_backup(connection, copy)
    repository._db._give_back(connection, True)
    broken = config.backups_dir / "twokeys-before-m998-1.db"
    broken.write_bytes(b"no database, but copiedword")
    repository.delete_conversation(gone.id)
    assert repository.bin.purge().complete
    assert left_in_files(config.home, "copiedword", "copiedtitle") == {}
    assert not broken.exists()
    repository.close()
    old = Config(home=tmp_path / "old")
    old.home.mkdir()
    copy.rename(old.database)
    again = Repository.open(old)
    assert len(again.search("stayingword")) == 1 and again.check() == []
    again.close()


@pytest.mark.parametrize("act", [lambda r, m: r.append(m.id, "x"), lambda r, m: r.finish(m)])
def test_an_answer_whose_conversation_is_gone_is_not_stored_again(
    repository: Repository, make: Maker, act: Callable[[Repository, Message], None]
) -> None:
    conversation, (question,) = make.talk("word")
    answer = message(conversation.id, question.id, "assistant", "late")
    repository.delete_conversation(conversation.id)
    repository.bin.purge()
    with pytest.raises(NotFound):
        act(repository, answer)
    assert repository.count_messages(conversation.id) == 0
