"""Shorten what stands above: the summary, what is read once it is taken, and the way back."""

from collections.abc import Sequence

import pytest

from twokeys.core.compare.column import Column
from twokeys.core.context import TOLD_SUMMARY
from twokeys.core.shortening import LONGEST, SHORTEST, summary_request
from twokeys.engines.scripted import Fail, Say, ScriptedEngine
from twokeys.errors import BadInput, ContextExceeded, EngineDied, NotFound
from twokeys.services import Services
from twokeys.types import ChatMessage, GenerationRequest, ResetMark, Sampling

from .making import MakeServices, conversation, until

FACTS = "Anna lives in Oslo and has two cats."


def teller(request: GenerationRequest) -> Sequence[Say]:
    """Summarise when asked to, else repeat the question at some length."""
    asked = request.messages[-1].content
    return [Say(FACTS if asked.startswith("Summarise") else f"{asked} " + "and so on " * 40)]


def ask(services: Services, topic: str, text: str) -> str:
    sent = services.answers.send(topic, text)
    services.jobs.wait(sent.job.id, 20)
    return sent.answer_message.id


def written(services: Services, topic: str, after: str) -> None:
    """Let a summary be written to its end."""
    services.shortening.start(topic, after)
    until(lambda: (draft := services.shortening.draft(topic)) is not None and not draft.active)


def read(engine: ScriptedEngine) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in engine.requests[-1].messages]


def test_the_summary_is_read_in_place_of_the_turns_and_they_can_be_read_again(
    make_services: MakeServices,
) -> None:
    engine = ScriptedEngine(teller)
    services = make_services(engine)
    topic = conversation(services).id
    first, second = ask(services, topic, "one"), ask(services, topic, "two")
    written(services, topic, first)
    draft = services.shortening.draft(topic)
    assert draft is not None and draft.text == FACTS
    assert draft.replaced_tokens > draft.tokens > 0
    assert read(engine)[0] == ("user", "one"), "it goes on from what the model reads"
    assert services.conversations.get(topic).resets == (), "nothing changes until it is taken"

    take_back = services.shortening.take(topic, FACTS)
    assert services.shortening.draft(topic) is None
    assert len(services.conversations.messages(topic)) == 4
    third = ask(services, topic, "three")
    head = f"{TOLD_SUMMARY['en']}\n{FACTS}"
    assert [content for role, content in read(engine) if role != "assistant"] == [head, "two", "three"]
    known = services.conversations.message(third).provenance
    assert known.summary == FACTS
    assert known.history_from == services.conversations.message(second).parent_id

    services.conversations.set_history(topic, first, True)
    ask(services, topic, "four")
    assert read(engine)[0] == ("user", "one")
    services.conversations.set_history(topic, first, False)
    ask(services, topic, "five")
    assert read(engine)[0] == ("system", head)

    take_back()
    assert services.conversations.get(topic).resets == ()
    # an answer is run again with what it was read with
    services.jobs.wait(services.answers.replay(third).job.id, 20)
    assert read(engine)[0] == ("system", head)
    assert services.answers.sent_prompt(third)[0].content == head


def test_it_stands_behind_the_system_prompt_and_the_next_summary_holds_the_one_before(
    make_services: MakeServices,
) -> None:
    engine = ScriptedEngine(teller)
    services = make_services(engine)
    talk = conversation(services)
    settings = services.conversations.get(talk.id).settings
    services.conversations.set_settings(talk.id, type(settings)(settings.sampling, "Be brief."))
    first, second = ask(services, talk.id, "one"), ask(services, talk.id, "two")
    written(services, talk.id, first)
    services.shortening.take(talk.id, "mine")
    written(services, talk.id, second)
    assert read(engine)[0] == ("system", f"Be brief.\n\n{TOLD_SUMMARY['en']}\nmine")
    services.shortening.take(talk.id, "both")
    ask(services, talk.id, "three")
    assert read(engine) == [("system", f"Be brief.\n\n{TOLD_SUMMARY['en']}\nboth"), ("user", "three")]


def test_a_comparison_reads_the_summary_in_every_column(make_services: MakeServices) -> None:
    engine = ScriptedEngine(teller)
    services = make_services(engine)
    topic = conversation(services).id
    written(services, topic, ask(services, topic, "one"))
    services.shortening.take(topic, FACTS)
    columns = [
        Column(Sampling(temperature=0.3)),
        Column(Sampling(temperature=0.7), system_prompt="A pirate."),
    ]
    comparison = services.compare.start("two", columns, conversation_id=topic)
    until(lambda: not services.compare.stored.get(comparison.id).active)
    heads = {request.messages[0].content for request in engine.requests[-2:]}
    head = f"{TOLD_SUMMARY['en']}\n{FACTS}"
    assert heads == {head, f"A pirate.\n\n{head}"}


def test_a_clearing_at_its_place_leaves_a_summary_and_forgetting_is_told_apart(
    make_services: MakeServices,
) -> None:
    engine = ScriptedEngine(teller)
    services = make_services(engine)
    topic = conversation(services).id
    first = ask(services, topic, "one")
    written(services, topic, first)
    services.shortening.take(topic, FACTS)
    services.conversations.mark_reset(topic, True)
    assert [mark.summary for mark in services.conversations.get(topic).resets] == [FACTS]
    services.conversations.set_history_after_reset(topic, True)
    ask(services, topic, "two")
    assert read(engine)[0][0] == "system", "the choice for clearings is none about summaries"
    services.conversations.mark_reset(topic, False)
    ask(services, topic, "three")
    assert read(engine) == [("user", "three")]


def test_what_cannot_be_shortened_says_why_and_changes_nothing(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine(teller, context=1000))
    topic = conversation(services, max_new_tokens=64).id
    with pytest.raises(NotFound):
        services.shortening.take(topic, "mine")
    first = ask(services, topic, "one")
    with pytest.raises(NotFound):
        services.shortening.start(topic, "nowhere")
    written(services, topic, first)
    with pytest.raises(BadInput, match="summary is empty"):
        services.shortening.take(topic, "  \n")
    with pytest.raises(NotFound):
        services.shortening.start(topic, "nowhere")
    assert services.shortening.draft(topic) is not None, "what was written stays when another is refused"
    services.shortening.drop(topic)
    services.conversations.exclude(topic, [m.id for m in services.conversations.messages(topic)])
    with pytest.raises(BadInput, match="reads nothing"):
        services.shortening.start(topic, first)
    services.conversations.include(topic, [m.id for m in services.conversations.messages(topic)])
    last = ask(services, topic, "word " * 340)
    with pytest.raises(ContextExceeded):
        services.shortening.start(topic, last)
    assert services.conversations.get(topic).resets == ()
    assert services.shortening.draft(topic) is None


def test_an_answer_that_is_still_written_is_waited_for_and_an_engine_that_dies_is_told(
    make_services: MakeServices,
) -> None:
    engine = ScriptedEngine([Say("a b c d e f g h", delay_s=0.05), Fail(EngineDied(reason="killed"))])
    services = make_services(engine)
    topic = conversation(services).id
    sent = services.answers.send(topic, "one")
    until(lambda: services.jobs.view(sent.job.id).phase == "generating")  # type: ignore[union-attr]
    with pytest.raises(BadInput, match="still being written"):
        services.shortening.start(topic, sent.answer_message.id)
    assert services.shortening.plan(topic).turns == ()
    services.answers._stop_writing(sent.answer_message.id)
    written(services, topic, sent.answer_message.id)
    draft = services.shortening.draft(topic)
    assert draft is not None and draft.error is not None and draft.error["code"] == "engine_died"


def test_a_stopped_summary_can_be_finished_by_hand(make_services: MakeServices) -> None:
    engine = ScriptedEngine(lambda request: [Say("word " * 200, delay_s=0.02)])
    services = make_services(engine)
    topic = conversation(services, max_new_tokens=3).id
    first = ask(services, topic, "one")
    services.shortening.start(topic, first)
    until(lambda: bool((draft := services.shortening.draft(topic)) and draft.text))
    services.shortening.stop(topic)
    until(lambda: (draft := services.shortening.draft(topic)) is not None and not draft.active)
    services.shortening.take(topic, "my own words")
    assert [mark.summary for mark in services.conversations.get(topic).resets] == ["my own words"]


def test_a_summary_survives_export_and_import(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine(teller))
    topic = conversation(services).id
    written(services, topic, ask(services, topic, "one"))
    services.shortening.take(topic, FACTS)
    exported = services.exchange.export_json([topic])
    (copy,) = services.exchange.import_file(exported.encode(), "one.json", again=True).conversation_ids
    assert [mark.summary for mark in services.conversations.get(copy).resets] == [FACTS]


@pytest.mark.parametrize("stored", [{"after": "m1"}, {"after": "m1", "summary": None}])
def test_marks_of_older_versions_have_no_summary(stored: dict[str, object]) -> None:
    assert ResetMark.from_dict(stored) == ResetMark("m1")


def test_the_request_is_in_the_language_of_the_questions_and_has_room_for_a_quarter() -> None:
    chinese = summary_request([ChatMessage("user", "茶怎么泡？"), ChatMessage("assistant", "Hot.")], 1000)
    english = summary_request([ChatMessage("user", "How is tea made?")], 40)
    long = summary_request([ChatMessage("user", "How is tea made?")], 100_000)
    assert "摘要" in chinese.messages[-1].content and "250 字" in chinese.messages[-1].content
    assert english.messages[-1].content.startswith("Summarise")
    assert [r.sampling.max_new_tokens for r in (chinese, english, long)] == [250, SHORTEST, LONGEST]
