"""Tags and the archive: filters of lists and of the search, and their way through an export."""

from collections.abc import Iterator

import pytest

from twokeys.config import Config
from twokeys.store.exchange import Exchange
from twokeys.store.repository import Repository
from twokeys.types import AT_HAND, Conversation, Message, SearchFilter


@pytest.fixture
def repository(config: Config) -> Iterator[Repository]:
    opened = Repository.open(config)
    for number, tags in enumerate((("work", "law"), ("work",), (), ("work' OR 1=1",))):
        name = f"c{number}"
        opened.create_conversation(Conversation(name, f"Zebra {number}", 1.0, float(number), tags=tags))
        message = Message(f"m{number}", name, None, "user", "A zebra sleeps.", float(number))
        opened.add_message(message)
    opened.update_conversation("c1", archived=True)
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (SearchFilter(), ["c3", "c2", "c1", "c0"]),
        (AT_HAND, ["c3", "c2", "c0"]),
        (SearchFilter(tag="work"), ["c1", "c0"]),
        (SearchFilter(tag="work", archived=False), ["c0"]),
        (SearchFilter(archived=True), ["c1"]),
        (SearchFilter(tag="wor"), []),
        (SearchFilter(tag="work' OR 1=1"), ["c3"]),
        (SearchFilter(model="nobody"), []),
    ],
)
def test_a_filter_holds_for_the_list_and_for_the_search(
    repository: Repository, wanted: SearchFilter, expected: list[str]
) -> None:
    assert [c.id for c in repository.list_conversations(wanted=wanted)] == expected
    hits = repository.search("zebra", 30, wanted)
    assert {hit.conversation_id for hit in hits if hit.message_id} == set(expected)
    assert {hit.conversation_id for hit in hits if hit.message_id is None} == set(expected)


def test_tags_in_use_are_told_the_most_frequent_first_and_not_from_the_bin(repository: Repository) -> None:
    assert repository.tags_used() == ["work", "law", "work' OR 1=1"]
    repository.delete_conversation("c0")
    assert repository.tags_used() == ["work", "work' OR 1=1"]


def test_tags_and_the_archive_come_back_from_an_export(repository: Repository) -> None:
    exchange = Exchange(repository)
    text = exchange.export_json(["c0", "c1"])
    for name in ("c0", "c1"):
        repository.delete_conversation(name)
    stored = exchange.import_file(text.encode(), "export.json").conversation_ids
    back = [repository.get_conversation(name) for name in stored]
    assert [(c.tags, c.archived) for c in back] == [(("work", "law"), False), (("work",), True)]
