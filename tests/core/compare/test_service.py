"""Comparisons on the scripted engine with a real store."""

import pytest

from twokeys.core.compare.column import Column
from twokeys.engines.scripted import Say, ScriptedEngine
from twokeys.errors import BadInput, ContextExceeded, EmptyMessage, NotFound
from twokeys.services import Services
from twokeys.types import Sampling

from ..making import MakeServices, until
from .making import BASE, QUESTION, ended, start


def test_three_columns_are_written_with_their_own_parameters_and_stored(services: Services) -> None:
    begun = start(services)
    assert [column.name for column in begun.columns] == ["0.3", "0.7", "1"]
    comparison = ended(services, begun)
    assert [c.answer.content for c in comparison.columns] == [
        f"answer at {t} degrees" for t in ("0.3", "0.7", "1")
    ]
    for number, column in enumerate(comparison.columns):
        known = column.answer.provenance
        assert known.column == number and known.sampling_set["temperature"] == column.sampling.temperature
        assert known.system_prompt == "Be brief."
    assert len({column.answer.provenance.seed for column in comparison.columns}) == 1


def test_a_chat_message_sent_meanwhile_waits_and_is_answered(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine([Say("word " * 30, delay_s=0.01)], slots=4))
    begun = start(services)
    chat = services.conversations.new(BASE)
    sent = services.answers.send(chat.id, "hello")
    until(lambda: all(column.answer.content for column in services.compare.stored.get(begun.id).columns))
    waiting = services.jobs.view(sent.job.id)
    assert waiting is not None and waiting.state == "queued"
    assert services.jobs.wait(sent.job.id, 20).state == "done"
    assert not services.compare.stored.get(begun.id).active


def test_seeds_are_the_same_or_different_as_wanted(services: Services) -> None:
    same = start(services, seed=7)
    assert [column.sampling.seed for column in same.columns] == [7, 7, 7]
    other = start(services, same_seed=False, seed=7)
    assert [column.sampling.seed for column in other.columns] == [7, 8, 9]
    own = [Column(Sampling(seed=1, max_new_tokens=9)), Column(Sampling(max_new_tokens=9))]
    mixed = services.compare.start(QUESTION, own, seed=5)
    assert [column.sampling.seed for column in mixed.columns] == [1, 5]


def test_what_cannot_be_compared_is_refused_and_nothing_stored(services: Services) -> None:
    columns = services.compare.default_columns(BASE)
    with pytest.raises(BadInput):
        services.compare.start(QUESTION, columns[:1])
    with pytest.raises(BadInput):
        services.compare.start(QUESTION, columns * 3)
    with pytest.raises(EmptyMessage):
        services.compare.start("  ", columns)
    with pytest.raises(ContextExceeded):
        services.compare.start("word " * 30_000, columns)
    assert services.compare.stored.list() == []
    assert services.repository.list_conversations(kind="comparison") == []


def test_comparisons_stand_in_no_list_of_chats(services: Services) -> None:
    ended(services, start(services))
    assert services.repository.list_conversations() == []
    assert services.repository.search("gradients") == []
    (row,) = services.compare.stored.list()
    assert row.names == ("0.3", "0.7", "1") and row.title.startswith("Why do gradients")


def test_compare_from_here_reads_the_conversation_so_far(services: Services, engine: ScriptedEngine) -> None:
    chat = services.conversations.new(BASE)
    for text in ("first question", "second question", "third question"):
        services.jobs.wait(services.answers.send(chat.id, text).job.id, 20)
    path = services.conversations.messages(chat.id)
    comparison = ended(
        services, services.compare.start_from(path[3].id, services.compare.default_columns(BASE))
    )
    assert comparison.question.content == "second question"
    assert [m.content for m in comparison.history] == [path[0].content, path[1].content]
    asked = engine.requests[-1].messages
    assert [m.content for m in asked] == ["Be brief.", path[0].content, path[1].content, "second question"]


def test_one_column_is_stopped_and_continued_with_its_own_parameters(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine([Say("word " * 100, delay_s=0.01)], slots=3))
    begun = start(services)
    until(lambda: bool(services.compare.stored.get(begun.id).columns[1].answer.content))
    services.compare.stop(begun.id, 1)
    stopped = services.compare.stored.get(begun.id).columns[1]
    assert stopped.answer.finish_reason == "cancelled" and stopped.answer.content
    ended(services, begun)
    services.compare.continue_(begun.id, 1)
    grown = ended(services, begun).columns[1].answer
    assert grown.content.startswith(stopped.answer.content) and len(grown.content) > len(
        stopped.answer.content
    )
    assert [part.sampling_set["temperature"] for part in grown.provenance.parts] == [0.7, 0.7]
    assert grown.provenance.column == 1


def test_stopping_all_stops_all(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine([Say("word " * 500, delay_s=0.01)], slots=3))
    begun = start(services)
    services.compare.stop(begun.id)
    stored = services.compare.stored.get(begun.id)
    assert [column.answer.finish_reason for column in stored.columns] == ["cancelled"] * 3


def test_a_fork_is_a_new_version_of_its_column(services: Services, engine: ScriptedEngine) -> None:
    comparison = ended(services, start(services))
    probs = services.compare.stored.probs(comparison.id, 0)
    assert "".join(prob.text for prob in probs) == comparison.columns[0].answer.content
    at = probs[2]
    services.compare.fork(comparison.id, 0, 2, at.alternatives[0].token_id)
    forked = ended(services, comparison).columns[0]
    assert len(forked.answer_ids) == 2 and forked.answer.id == forked.answer_ids[1]
    origin = forked.answer.provenance.forked_from
    assert (origin["answer"], origin["token"], origin["at_char"]) == (forked.answer_ids[0], 2, at.start)
    assert engine.requests[-1].prefix == "answer at"
    back = services.compare.show_version(comparison.id, 0, forked.answer_ids[0])
    assert back.columns[0].answer.content == "answer at 0.3 degrees"
    with pytest.raises(BadInput):
        services.compare.fork(comparison.id, 0, 2, 987654)
    with pytest.raises(NotFound):
        services.compare.show_version(comparison.id, 0, comparison.columns[1].answer.id)


def test_a_column_is_written_again_as_another_version(services: Services) -> None:
    comparison = ended(services, start(services))
    ended(services, services.compare.rerun(comparison.id, 1))
    services.compare.rerun(comparison.id, 1, same_seed=True)
    column = ended(services, comparison).columns[1]
    assert len(column.answer_ids) == 3
    assert column.answer.provenance.replay_of == column.answer_ids[1]


def test_a_deleted_comparison_comes_back_by_undo(services: Services) -> None:
    comparison = ended(services, start(services))
    token = services.compare.stored.delete(comparison.id)
    assert services.compare.stored.list() == []
    services.compare.stored.undo(token)
    assert [row.id for row in services.compare.stored.list()] == [comparison.id]
    assert services.compare.stored.get(comparison.id).columns[0].answer.content == "answer at 0.3 degrees"
    with pytest.raises(NotFound):
        services.compare.stored.undo(token)


def test_figures_and_differences_of_columns(services: Services) -> None:
    comparison = ended(services, start(services))
    figures = services.compare.figures(comparison.id)
    assert figures[0].tokens == 9 and figures[0].finish_reason == "stop"
    assert figures[0].mean_prob == pytest.approx(0.905, abs=0.001)
    assert services.compare.difference(comparison.id, 0, 1).similarity > 0.5
    with pytest.raises(NotFound):
        services.compare.difference(comparison.id, 0, 5)
