"""Comparisons on the scripted engine with a real store."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from twokeys.core.compare.column import Column
from twokeys.core.compare.comparison import Comparison
from twokeys.engines.scripted import Fail, Say, ScriptedEngine
from twokeys.errors import BadInput, ContextExceeded, EmptyMessage, EngineRefused, NotFound
from twokeys.services import Services
from twokeys.types import GenerationRequest, Sampling, Settings

from ..making import MakeServices, until

QUESTION = "Why do gradients vanish?"
BASE = Settings(sampling=Sampling(max_new_tokens=200), system_prompt="Be brief.")


def by_temperature(request: GenerationRequest) -> list[Say]:
    return [Say(f"answer at {request.sampling.temperature:g} degrees", delay_s=0.01)]


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine(by_temperature, slots=3)


@pytest.fixture
def services(make_services: MakeServices, engine: ScriptedEngine) -> Iterator[Services]:
    yield make_services(engine)


def start(services: Services, **more: Any) -> Comparison:
    return services.compare.start(QUESTION, services.compare.default_columns(BASE), settings=BASE, **more)


def ended(services: Services, comparison: Comparison) -> Comparison:
    until(lambda: not services.compare.stored.get(comparison.id).active)
    until(lambda: services.compare.stored.get(comparison.id).sharing is not None)
    return services.compare.stored.get(comparison.id)


def test_three_columns_are_written_with_their_own_parameters_and_stored(services: Services) -> None:
    begun = start(services)
    assert [column.name for column in begun.columns] == ["0.3", "0.7", "1"]
    found = ended(services, begun)
    assert [c.answer.content for c in found.columns] == [
        f"answer at {t} degrees" for t in ("0.3", "0.7", "1")
    ]
    for number, column in enumerate(found.columns):
        known = column.answer.provenance
        assert known.column == number and known.sampling_set["temperature"] == column.sampling.temperature
        assert known.system_prompt == "Be brief."
    assert len({column.answer.provenance.seed for column in found.columns}) == 1


def test_the_question_is_read_once_and_its_state_goes_to_every_slot(
    services: Services, engine: ScriptedEngine
) -> None:
    found = ended(services, start(services))
    assert found.sharing == "cloned"
    reading, *columns = engine.requests
    assert (reading.slot, reading.sampling.max_new_tokens) == (0, 1)
    assert sorted(request.slot or 0 for request in columns) == [0, 1, 2]
    assert found.prefill.processed_tokens == found.prefill.prompt_tokens
    assert found.prefill.ratio == 1.0


def test_all_columns_write_at_the_same_time(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine([Say("word " * 40, delay_s=0.02)], slots=3))
    begun = start(services)
    until(lambda: all(column.answer.content for column in services.compare.stored.get(begun.id).columns))
    assert all(column.active for column in services.compare.stored.get(begun.id).columns)


def test_where_there_is_one_slot_the_columns_run_one_after_another_over_the_cache(
    make_services: MakeServices,
) -> None:
    services = make_services(ScriptedEngine(by_temperature, slots=1))
    assert services.compare.plan(QUESTION, services.compare.default_columns(BASE)).sharing == "cached"
    found = ended(services, start(services))
    assert found.sharing == "cached"
    assert found.prefill.processed_tokens == found.prefill.prompt_tokens


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


def test_a_column_with_another_role_reads_its_own_prompt(services: Services, engine: ScriptedEngine) -> None:
    columns = [*services.compare.default_columns(BASE)[:2], Column(BASE.sampling, "poet", None, "Be a poet.")]
    found = ended(services, services.compare.start(QUESTION, columns, settings=BASE))
    assert found.columns[2].name == "poet"
    assert found.columns[2].answer.provenance.system_prompt == "Be a poet."
    readings = [request for request in engine.requests if request.sampling.max_new_tokens == 1]
    assert sorted(request.slot or 0 for request in readings) == [0, 2]


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
    found = ended(services, services.compare.start_from(path[3].id, services.compare.default_columns(BASE)))
    assert found.question.content == "second question"
    assert [m.content for m in found.history] == [path[0].content, path[1].content]
    asked = engine.requests[-1].messages
    assert [m.content for m in asked] == ["Be brief.", path[0].content, path[1].content, "second question"]


def test_keeping_one_makes_it_a_version_in_the_conversation_it_came_from(services: Services) -> None:
    chat = services.conversations.new(BASE)
    first = services.answers.send(chat.id, QUESTION)
    services.jobs.wait(first.job.id, 20)
    begun = services.compare.start_from(first.user_message.id, services.compare.default_columns(BASE))
    found = ended(services, begun)
    kept = services.compare.keeping.keep(found.id, 2)
    assert not kept.created and kept.conversation_id == chat.id
    _question, answer = services.conversations.messages(chat.id)
    assert answer.id == kept.message_id and answer.versions == 2
    assert answer.content == "answer at 1 degrees"
    assert answer.provenance.kept_from["comparison"] == found.id
    assert services.repository.get_probs(answer.id) == services.compare.stored.probs(found.id, 2)
    assert services.compare.keeping.keep(found.id, 2) == kept
    assert services.compare.stored.get(found.id).columns[2].kept_as == answer.id


def test_keeping_answers_to_a_new_question_adds_the_question_once(services: Services) -> None:
    chat = services.conversations.new(BASE)
    services.jobs.wait(services.answers.send(chat.id, "before").job.id, 20)
    found = ended(services, start(services, conversation_id=chat.id))
    services.compare.keeping.keep(found.id, 0)
    services.compare.keeping.keep(found.id, 1)
    messages = services.conversations.messages(chat.id)
    assert [m.content for m in messages[2:]] == [QUESTION, "answer at 0.7 degrees"]
    assert messages[3].versions == 2


def test_keeping_without_a_conversation_makes_one(services: Services) -> None:
    found = ended(services, start(services))
    kept = services.compare.keeping.keep(found.id, 0)
    assert kept.created
    conversation = services.repository.get_conversation(kept.conversation_id)
    assert conversation.kind == "chat" and conversation.settings.sampling.temperature == 0.3
    assert [m.role for m in services.conversations.messages(kept.conversation_id)] == ["user", "assistant"]
    services.repository.delete_conversation(kept.conversation_id)
    again = services.compare.keeping.keep(found.id, 0)
    assert again.created and again.conversation_id != kept.conversation_id


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
    found = services.compare.stored.get(begun.id)
    assert [column.answer.finish_reason for column in found.columns] == ["cancelled"] * 3


def test_stopping_one_column_while_the_question_is_read_leaves_the_others(
    make_services: MakeServices,
) -> None:
    services = make_services(ScriptedEngine(by_temperature, slots=3, prompt_s=0.3))
    begun = start(services)
    until(lambda: services.compare.stored.get(begun.id).sharing is not None)
    services.compare.stop(begun.id, 0)
    found = ended(services, begun)
    assert [c.answer.finish_reason for c in found.columns] == ["cancelled", "stop", "stop"]


def test_an_engine_that_fails_to_copy_lets_every_column_read_for_itself(make_services: MakeServices) -> None:
    class NoCopies(ScriptedEngine):
        async def restore_slot(self, slot: int, name: str) -> int:
            raise EngineRefused(status=501, reason="no slots here")

    services = make_services(NoCopies(by_temperature, slots=3))
    begun = start(services)
    until(lambda: services.compare.stored.get(begun.id).sharing == "none")
    found = ended(services, begun)
    assert all(column.answer.finish_reason == "stop" for column in found.columns)


def test_a_failed_reading_fails_every_column_with_its_cause(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine([Fail(EngineRefused(status=400, reason="no"))], slots=3))
    found = ended(services, start(services))
    assert [(c.answer.error or {}).get("code") for c in found.columns] == ["engine_refused"] * 3


def test_a_fork_is_a_new_version_of_its_column(services: Services, engine: ScriptedEngine) -> None:
    found = ended(services, start(services))
    probs = services.compare.stored.probs(found.id, 0)
    assert "".join(prob.text for prob in probs) == found.columns[0].answer.content
    at = probs[2]
    services.compare.fork(found.id, 0, 2, at.alternatives[0].token_id)
    forked = ended(services, found).columns[0]
    assert len(forked.answer_ids) == 2 and forked.answer.id == forked.answer_ids[1]
    origin = forked.answer.provenance.forked_from
    assert (origin["answer"], origin["token"], origin["at_char"]) == (forked.answer_ids[0], 2, at.start)
    assert engine.requests[-1].prefix == "answer at"
    back = services.compare.show_version(found.id, 0, forked.answer_ids[0])
    assert back.columns[0].answer.content == "answer at 0.3 degrees"
    with pytest.raises(BadInput):
        services.compare.fork(found.id, 0, 2, 987654)
    with pytest.raises(NotFound):
        services.compare.show_version(found.id, 0, found.columns[1].answer.id)


def test_a_column_is_written_again_as_another_version(services: Services) -> None:
    found = ended(services, start(services))
    ended(services, services.compare.rerun(found.id, 1))
    services.compare.rerun(found.id, 1, same_seed=True)
    column = ended(services, found).columns[1]
    assert len(column.answer_ids) == 3
    assert column.answer.provenance.replay_of == column.answer_ids[1]


def test_blind_votes_are_shuffled_counted_and_end_with_the_reveal(services: Services) -> None:
    found = ended(services, start(services, blind=True, task_type="explain"))
    assert found.blind is not None and sorted(found.blind.order) == [0, 1, 2] and not found.blind.revealed
    services.compare.voting.vote(found.id, [1])
    services.compare.voting.vote(found.id, [2])  # thought again
    services.compare.voting.vote(found.id, [0, 1], among=[0, 1])
    assert services.compare.voting.reveal(found.id).blind == replace(found.blind, revealed=True)
    services.compare.voting.vote(found.id, [0], among=[0, 2])  # no longer blind
    standing = services.compare.voting.standing("explain")
    assert (standing.votes, standing.ties) == (2, 1)
    assert standing.contestants[0].sampling.temperature == 1.0
    assert standing.contestants[0].wins == 1.0
    assert services.compare.voting.task_types() == ["explain"]
    assert services.compare.voting.standing("other").contestants == ()
    preset = services.compare.voting.save_winner(standing.contestants[0].key, "best for explaining")
    assert preset.changes["temperature"] == 1.0 and "seed" not in preset.changes
    with pytest.raises(BadInput):
        services.compare.voting.vote(found.id, [])
    with pytest.raises(BadInput):
        services.compare.voting.vote(found.id, [2], among=[0, 1])


def test_many_votes_for_one_claim_a_difference_and_say_so(services: Services) -> None:
    found = ended(services, start(services))
    for _ in range(25):
        services.compare.voting.hide(found.id, "draft")
        comparison = services.compare.stored.get(found.id)
        again = ended(services, services.compare.again(comparison.id))
        services.compare.voting.hide(again.id, "draft")
        services.compare.voting.vote(again.id, [0])
    standing = services.compare.voting.standing("draft")
    assert standing.votes == 25 and standing.contestants[0].name == "0.3"
    assert all(pairing.claimed and pairing.more_votes == 0 for pairing in standing.pairings)
    assert standing.position is not None and not standing.position.found


def test_it_is_exported_as_json_and_as_a_table(services: Services) -> None:
    found = ended(services, start(services))
    told = json.loads(services.compare.export_json(found.id))
    assert told["format"] == "twokeys.comparison" and told["question"] == QUESTION
    assert [column["text"] for column in told["columns"]] == [c.answer.content for c in found.columns]
    assert told["columns"][0]["provenance"]["sampling_set"]["temperature"] == 0.3
    assert told["columns"][0]["probs"] and told["columns"][0]["figures"]["tokens"] == 9
    for language in ("zh", "en"):
        table = services.compare.export_markdown(found.id, language)  # type: ignore[arg-type]
        assert "| temperature | 0.3 | 0.7 | 1 |" in table
        assert all(column.answer.content in table for column in found.columns)
    services.compare.voting.hide(found.id)
    blind = services.compare.export_markdown(found.id, "en")
    assert "temperature" not in blind and "| A | B | C |" in blind


def test_the_table_has_a_row_for_every_parameter_that_a_column_sets(services: Services) -> None:
    columns = [Column(BASE.sampling), Column(BASE.sampling.with_(typical_p=0.9, stop=("END",)))]
    found = ended(services, services.compare.start(QUESTION, columns, settings=BASE))
    table = services.compare.export_markdown(found.id, "en")
    assert "| typical_p | 1 | 0.9 |" in table and "| stop | – | 'END' |" in table
    assert "xtc_probability" not in table


def test_the_json_export_has_every_version_of_a_column_with_its_probabilities(services: Services) -> None:
    found = ended(services, start(services))
    first = services.compare.stored.probs(found.id, 0)
    services.compare.fork(found.id, 0, 2, first[2].alternatives[0].token_id)
    forked = ended(services, found).columns[0]
    shown, *others = json.loads(services.compare.export_json(found.id))["columns"]
    assert (shown["id"], shown["text"]) == (forked.answer.id, forked.answer.content)
    assert shown["provenance"]["forked_from"]["token"] == 2
    assert [len(prob) for prob in shown["probs"]] == [5] * len(services.compare.stored.probs(found.id, 0))
    [before] = shown["other_versions"]
    assert (before["id"], before["text"]) == (forked.answer_ids[0], "answer at 0.3 degrees")
    assert [prob[:4] for prob in before["probs"]] == [[p.text, p.token_id, p.logprob, p.start] for p in first]
    assert before["probs"][2][4][0][1] == first[2].alternatives[0].token_id
    assert [column["other_versions"] for column in others] == [[], []]


def test_a_deleted_comparison_comes_back_by_undo(services: Services) -> None:
    found = ended(services, start(services))
    token = services.compare.stored.delete(found.id)
    assert services.compare.stored.list() == []
    services.compare.stored.undo(token)
    assert [row.id for row in services.compare.stored.list()] == [found.id]
    assert services.compare.stored.get(found.id).columns[0].answer.content == "answer at 0.3 degrees"
    with pytest.raises(NotFound):
        services.compare.stored.undo(token)


def test_figures_and_differences_of_columns(services: Services) -> None:
    found = ended(services, start(services))
    figures = services.compare.figures(found.id)
    assert figures[0].tokens == 9 and figures[0].finish_reason == "stop"
    assert figures[0].mean_prob == pytest.approx(0.905, abs=0.001)
    assert services.compare.difference(found.id, 0, 1).similarity > 0.5
    with pytest.raises(NotFound):
        services.compare.difference(found.id, 0, 5)
