import pytest

from twokeys.errors import NotFound
from twokeys.store.repository import Repository
from twokeys.types import Provenance

from .making import Maker, message, shown


def test_an_edited_question_makes_a_branch_and_versions_are_counted(
    repository: Repository, make: Maker
) -> None:
    conversation, (question, answer) = make.talk("问一", "答一")
    edited = make.add(conversation.id, None, "user", "问一改")
    make.add(conversation.id, edited, "assistant", "答改")
    assert [(m.content, m.version, m.versions) for m in repository.branch(conversation.id)] == [
        ("问一改", 2, 2),
        ("答改", 1, 1),
    ]
    repository.update_conversation(conversation.id, head_id=answer.id)
    assert [(m.content, m.version, m.versions) for m in repository.branch(conversation.id)] == [
        ("问一", 1, 2),
        ("答一", 1, 1),
    ]
    assert [m.id for m in repository.siblings(edited.id)] == [question.id, edited.id]
    assert [m.id for m in repository.path(answer.id)] == [question.id, answer.id]


def test_several_messages_are_read_at_once_in_the_order_asked_for(
    repository: Repository, make: Maker
) -> None:
    conversation, (question, first) = make.talk("问", "版本一")
    second = make.add(conversation.id, question, "assistant", "版本二")
    ids = [second.id, question.id, first.id]
    read = repository.get_messages(ids)
    assert read == [repository.get_message(message_id) for message_id in ids]
    assert [m.versions for m in read] == [2, 1, 2]
    assert repository.get_messages([]) == []
    with pytest.raises(NotFound):
        repository.get_messages([first.id, "no"])


def test_the_newest_branch_below_a_version_is_found(repository: Repository, make: Maker) -> None:
    conversation, (question, first) = make.talk("问", "版本一")
    make.add(conversation.id, first, "user", "追问旧")
    newest = make.add(conversation.id, first, "user", "追问新")
    second = make.add(conversation.id, question, "assistant", "版本二")
    assert shown(repository, conversation.id) == ["问", "版本二"]
    assert repository.latest_leaf(first.id) == newest.id
    assert repository.latest_leaf(second.id) == second.id


def test_a_deleted_message_takes_what_follows_and_undo_brings_all_back(
    repository: Repository, make: Maker
) -> None:
    conversation, messages = make.talk("问一", "答一", "问二", "答二")
    token = repository.delete_message(messages[1].id)
    assert shown(repository, conversation.id) == ["问一"]
    assert repository.search("答二") == []
    with pytest.raises(NotFound):
        repository.delete_message(messages[2].id)
    repository.undo(token)
    assert shown(repository, conversation.id) == ["问一", "答一", "问二", "答二"]
    assert len(repository.search("答二")) == 1


def test_deleting_a_version_shows_the_other_one(repository: Repository, make: Maker) -> None:
    conversation, (question, _) = make.talk("问", "版本一")
    second = make.add(conversation.id, question, "assistant", "版本二")
    token = repository.delete_message(second.id)
    assert [(m.content, m.versions) for m in repository.branch(conversation.id)] == [("问", 1), ("版本一", 1)]
    repository.undo(token)
    assert [(m.content, m.versions) for m in repository.branch(conversation.id)] == [("问", 1), ("版本二", 2)]


def test_deleting_a_branch_that_is_not_shown_leaves_the_shown_one(
    repository: Repository, make: Maker
) -> None:
    conversation, (question, first) = make.talk("问", "版本一")
    make.add(conversation.id, question, "assistant", "版本二")
    repository.delete_message(first.id)
    assert shown(repository, conversation.id) == ["问", "版本二"]


def test_undo_does_not_pull_back_someone_who_went_on_elsewhere(repository: Repository, make: Maker) -> None:
    conversation, (question, answer) = make.talk("问", "答")
    token = repository.delete_message(answer.id)
    make.add(conversation.id, question, "assistant", "新答")
    repository.undo(token)
    assert shown(repository, conversation.id) == ["问", "新答"]
    assert [m.content for m in repository.siblings(answer.id)] == ["答", "新答"]


def test_deleting_the_first_message_empties_the_view_and_undo_refills_it(
    repository: Repository, make: Maker
) -> None:
    conversation, messages = make.talk("问", "答")
    token = repository.delete_message(messages[0].id)
    assert repository.branch(conversation.id) == []
    assert repository.get_conversation(conversation.id).head_id is None
    repository.undo(token)
    assert shown(repository, conversation.id) == ["问", "答"]


@pytest.mark.parametrize(
    ("given", "retained"),
    [
        ("", ""),
        ("👩‍👩‍👧 família\x00零", "👩‍👩‍👧 família\x00零"),
        ("半个\ud83d代理", "半个\ufffd代理"),
        ("\ud83d\ude00", "😀"),
        ("<|im_end|>'; DROP TABLE messages; --", "<|im_end|>'; DROP TABLE messages; --"),
        ("长" * 1_000_000, "长" * 1_000_000),
    ],
    ids=["empty", "emoji and NUL", "half a surrogate pair", "a split pair", "SQL and control token", "3 MB"],
)
def test_any_text_can_be_stored_and_comes_back(
    repository: Repository, make: Maker, given: str, retained: str
) -> None:
    conversation = make.conversation()
    made = repository.add_message(
        message(
            conversation.id,
            None,
            "user",
            given,
            provenance=Provenance(more={"问": given}),
            error={"reason": given},
        )
    )
    assert repository.get_message(made.id).content == retained
    assert repository.get_message(made.id).provenance == Provenance(more={"问": retained})
    repository.update_conversation(conversation.id, title=given)
    repository.search(given[:100])


def test_excluded_messages_are_marked_and_unmarked(repository: Repository, make: Maker) -> None:
    conversation, messages = make.talk("一", "二", "三")
    for left_out in messages[:2]:
        repository.update_message(left_out.id, excluded=True)
    assert [m.excluded for m in repository.branch(conversation.id)] == [True, True, False]
    repository.update_message(messages[0].id, excluded=False)
    assert [m.excluded for m in repository.branch(conversation.id)] == [False, True, False]


def test_a_changed_text_is_found_by_its_new_words_only(repository: Repository, make: Maker) -> None:
    _, (question,) = make.talk("老话题")
    repository.update_message(question.id, content="新东西", provenance=Provenance(more={"a": 1}))
    assert repository.search("话题") == []
    assert [hit.message_id for hit in repository.search("东西")] == [question.id]
    assert repository.get_message(question.id).provenance == Provenance(more={"a": 1})
