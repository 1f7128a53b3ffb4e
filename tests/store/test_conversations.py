import threading
import time

import pytest

from twokeys.config import Config
from twokeys.errors import BadInput, NotFound
from twokeys.store.repository import Repository
from twokeys.types import Conversation, ResetMark, Sampling, Settings

from .making import Maker, message, shown


def test_a_conversation_comes_back_as_it_was_stored_after_a_restart(config: Config) -> None:
    settings = Settings(Sampling(temperature=0.3, seed=7, stop=("终",)), "你是老师", guard={"loops": False})
    marks = (ResetMark("m1", at=12.5), ResetMark("m2", keep_history=True, by_itself=True))
    conversation = Conversation("c1", "标题 🎈", 10.5, 20.5, True, "model", settings, None, marks, True)
    first = Repository.open(config)
    assert first.create_conversation(conversation) == conversation
    first.close()
    second = Repository.open(config)
    assert second.get_conversation("c1") == conversation
    second.close()


def test_pinned_conversations_come_first_then_the_latest_and_pages_do_not_overlap(
    repository: Repository, make: Maker
) -> None:
    made = [make.conversation(f"c{n}") for n in range(7)]
    for place, conversation in enumerate(made):
        repository.update_conversation(conversation.id, updated_at=1000.0 + place)
    repository.update_conversation(made[2].id, pinned=True)
    titles = [c.title for start in (0, 3, 6) for c in repository.list_conversations(3, start)]
    assert titles == ["c2", "c6", "c5", "c4", "c3", "c1", "c0"]


def test_renaming_and_settings_do_not_move_a_conversation_but_a_message_does(
    repository: Repository, make: Maker
) -> None:
    conversation = make.conversation()
    repository.update_conversation(conversation.id, updated_at=5.0)
    renamed = repository.update_conversation(conversation.id, title="新名字", title_by="person")
    repository.update_conversation(conversation.id, settings=Settings(system_prompt="x"))
    assert (renamed.title, renamed.title_by, renamed.updated_at) == ("新名字", "person", 5.0)
    make.add(conversation.id, None, "user", "问")
    assert repository.get_conversation(conversation.id).updated_at > 5.0


def test_a_deleted_conversation_leaves_list_and_search_and_undo_brings_it_back(
    repository: Repository, make: Maker
) -> None:
    conversation, _ = make.talk("量子力学", title="物理")
    token = repository.delete_conversation(conversation.id)
    assert repository.list_conversations() == []
    assert repository.search("量子") == [] and repository.search("物理") == []
    assert [c.id for c in repository.list_conversations(deleted=True)] == [conversation.id]
    repository.undo(token)
    assert [c.id for c in repository.list_conversations()] == [conversation.id]
    assert len(repository.search("量子")) == 1
    with pytest.raises(NotFound):
        repository.undo(token)


def test_purge_removes_only_what_was_deleted_long_ago_and_its_words(config: Config) -> None:
    now = [1000.0]
    repository = Repository.open(config, clock=lambda: now[0])
    make = Maker(repository, now[0])
    old, _ = make.talk(*(f"旧的 {n}" for n in range(1500)), title="旧标题")
    talk, messages = make.talk("问", "留下", title="新标题")
    gone_later = make.add(talk.id, messages[1], "user", "稍后")
    token = repository.delete_conversation(old.id)
    now[0] = 5000.0
    repository.delete_message(gone_later.id)
    assert repository.bin.purge(older_than_s=3000.0).conversations == 1
    with pytest.raises(NotFound):
        repository.get_conversation(old.id)
    with pytest.raises(NotFound):
        repository.undo(token)
    assert shown(repository, talk.id) == ["问", "留下"]
    assert repository.get_message(gone_later.id).content == "稍后"
    assert repository.search("旧标题") == [] and len(repository.search("留下")) == 1
    assert repository.check() == []
    repository.close()


def test_stored_parameters_this_version_does_not_accept_are_left_out(
    repository: Repository, make: Maker
) -> None:
    conversation = make.conversation()
    with repository._db.write() as db:
        odd = '{"sampling":{"temperature":99,"top_k":5,"from_the_future":1},"system_prompt":"角色","odd":1}'
        db.execute("UPDATE conversations SET settings = ? WHERE id = ?", (odd, conversation.id))
    settings = repository.get_conversation(conversation.id).settings
    assert settings.sampling == Sampling(top_k=5)
    assert settings.system_prompt == "角色"


def test_unknown_ids_and_fields_are_refused(repository: Repository, make: Maker) -> None:
    conversation, (question,) = make.talk("问")
    for call in (
        lambda: repository.get_conversation("no"),
        lambda: repository.update_conversation("no", title="x"),
        lambda: repository.delete_conversation("no"),
        lambda: repository.get_message("no"),
        lambda: repository.branch("no"),
        lambda: repository.path("no"),
        lambda: repository.siblings("no"),
        lambda: repository.latest_leaf("no"),
        lambda: repository.delete_message("no"),
        lambda: repository.add_message(message("no", None, "user", "x")),
        lambda: repository.add_message(message(conversation.id, "no", "user", "x")),
        lambda: repository.append("no", "x"),
        lambda: repository.put_probs("no", []),
        lambda: repository.update_message("no", content="x"),
    ):
        with pytest.raises(NotFound):
            call()
    with pytest.raises(BadInput):
        repository.update_conversation(conversation.id, id="other")
    with pytest.raises(BadInput):
        repository.update_message(question.id, parent_id=None)
    with pytest.raises(BadInput):
        repository.create_conversation(conversation)
    with pytest.raises(BadInput):
        repository.get_conversation("\udcff")
    with pytest.raises(BadInput):
        repository.add_message(question)


def test_a_transaction_that_fails_leaves_nothing_behind(repository: Repository, make: Maker) -> None:
    conversation, _ = make.talk("问")
    with pytest.raises(NotFound), repository.transaction():
        make.add(conversation.id, None, "user", "另一个")
        repository.get_message("no")
    assert shown(repository, conversation.id) == ["问"]
    assert repository.search("另一个") == []


def test_many_threads_write_and_read_at_once_and_nothing_is_lost(repository: Repository, make: Maker) -> None:
    conversation, (root,) = make.talk("根")
    failures: list[BaseException] = []

    def work(name: int) -> None:
        try:
            for number in range(25):
                make.add(conversation.id, root, "user", f"{name}-{number}")
                repository.list_conversations()
                repository.branch(conversation.id)
        except BaseException as exc:
            failures.append(exc)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len({m.content for m in repository.all_messages(conversation.id) if m.parent_id == root.id}) == 200


def test_opening_the_last_thirty_of_a_thousand_messages_costs_a_fraction_of_all(
    repository: Repository, make: Maker
) -> None:
    conversation = make.conversation()
    parent: str | None = None
    made = []
    for number in range(1000):
        entry = message(
            conversation.id, parent, "assistant" if number % 2 else "user", f"{number} " + "字" * 400
        )
        made.append(entry)
        parent = entry.id
    repository.add_messages(made)
    repository.update_conversation(conversation.id, head_id=parent)

    def seconds(limit: int | None) -> float:
        times = []
        for _ in range(5):
            started = time.perf_counter()
            repository.branch(conversation.id, limit)
            times.append(time.perf_counter() - started)
        return min(times)

    last = repository.branch(conversation.id, 30)
    assert [m.id for m in last] == [m.id for m in made[-30:]]
    earlier = repository.branch(conversation.id, 30, before=last[0].id)
    assert [m.id for m in earlier] == [m.id for m in made[-60:-30]]
    assert len(repository.branch(conversation.id)) == 1000
    assert seconds(30) < seconds(None) / 4


def test_a_comparisons_conversation_stands_in_no_list_of_chats_and_no_search(repository: Repository) -> None:
    chat = repository.create_conversation(Conversation("c1", "amber chat", 1.0, 1.0))
    hidden = repository.create_conversation(Conversation("c2", "amber columns", 1.0, 1.0, kind="comparison"))
    repository.add_message(message("c2", None, "user", "an amber question"))
    assert repository.get_conversation(hidden.id).kind == "comparison"
    assert [c.id for c in repository.list_conversations()] == [chat.id]
    assert [c.id for c in repository.list_conversations(kind="comparison")] == [hidden.id]
    assert repository.count_conversations() == 1
    assert [hit.conversation_id for hit in repository.search("amber")] == [chat.id]
