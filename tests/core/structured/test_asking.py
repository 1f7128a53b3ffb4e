"""An answer is asked for in a form: by the message, the conversation, a preset or a column."""

import json
from dataclasses import replace

import pytest

from twokeys.core import presets as preset_values
from twokeys.core.compare.column import Column
from twokeys.core.structured.schema import AnswerSchema, answer_validity
from twokeys.engines.scripted import End, Say, ScriptedEngine
from twokeys.errors import BadInput, NotSupported, SchemaRefused
from twokeys.services import Services
from twokeys.store.exchange import Exchange
from twokeys.types import GenerationRequest, Message, Sampling, Settings

from ..making import MakeServices, conversation

CITY = AnswerSchema.of(
    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}, "city"
)
COUNT = AnswerSchema.of({"type": "integer"}, "count", "table")
ANSWER = '{"city": "Paris"}'


def script(request: GenerationRequest) -> list[Say | End]:
    """Say the answer, going on where a prefix ends; in two parts where it may have few tokens."""
    rest = ANSWER.removeprefix(request.prefix)
    if request.sampling.max_new_tokens <= 4:
        return [Say(rest[:9]), End("length")]
    return [Say(rest)]


def finished(services: Services, sent: object) -> Message:
    services.jobs.wait(sent.job.id, 20)  # type: ignore[attr-defined]
    return services.repository.get_message(sent.answer_message.id)  # type: ignore[attr-defined]


def with_schema(services: Services, schema: AnswerSchema | None, conversation_id: str) -> None:
    settings = services.conversations.get(conversation_id).settings
    services.conversations.set_settings(conversation_id, replace(settings, answer_schema=schema))


def test_a_conversation_s_schema_stays_until_it_is_taken_off(make_services: MakeServices) -> None:
    engine = ScriptedEngine(script)
    services = make_services(engine)
    talk = conversation(services).id
    with_schema(services, CITY, talk)
    first = finished(services, services.answers.send(talk, "Where?"))
    finished(services, services.answers.send(talk, "And then?"))
    with_schema(services, None, talk)
    last = finished(services, services.answers.send(talk, "Thanks."))
    assert [request.json_schema for request in engine.requests] == [CITY.value, CITY.value, None]
    validity = answer_validity(first)
    assert validity is not None and validity.valid
    assert first.provenance.answer_schema == CITY.to_dict()
    assert answer_validity(last) is None


def test_a_message_s_schema_holds_for_its_answers_alone(make_services: MakeServices) -> None:
    engine = ScriptedEngine(script)
    services = make_services(engine)
    talk = conversation(services).id
    with_schema(services, COUNT, talk)
    sent = services.answers.send(talk, "Where?", answer_schema=CITY)
    answer = finished(services, sent)
    finished(services, services.answers.regenerate(answer.id))
    question = services.conversations.messages(talk)[0]
    finished(services, services.answers.edit(question.id, "Where exactly?"))
    finished(services, services.answers.send(talk, "How many?"))
    assert [request.json_schema for request in engine.requests] == [CITY.value] * 3 + [COUNT.value]


def test_a_cut_answer_is_not_valid_and_goes_on_in_the_form_it_began_with(make_services: MakeServices) -> None:
    engine = ScriptedEngine(script)
    services = make_services(engine)
    talk = conversation(services, max_new_tokens=4).id
    with_schema(services, CITY, talk)
    cut = finished(services, services.answers.send(talk, "Where?"))
    assert answer_validity(cut).state == "cut"  # type: ignore[union-attr]
    with_schema(services, COUNT, talk)
    whole = finished(services, services.answers.continue_(cut.id, {"max_new_tokens": 100}))
    assert (engine.requests[-1].json_schema, engine.requests[-1].prefix) == (CITY.value, cut.content)
    assert whole.content == ANSWER
    assert answer_validity(whole).state == "valid"  # type: ignore[union-attr]


def test_an_answer_without_a_form_goes_on_without(make_services: MakeServices) -> None:
    engine = ScriptedEngine(script)
    services = make_services(engine)
    talk = conversation(services, max_new_tokens=4).id
    cut = finished(services, services.answers.send(talk, "Where?"))
    with_schema(services, CITY, talk)
    finished(services, services.answers.continue_(cut.id))
    assert engine.requests[-1].json_schema is None


def test_keywords_that_cannot_be_honoured_are_named_and_nothing_is_stored(
    make_services: MakeServices,
) -> None:
    services = make_services(ScriptedEngine(script))
    talk = conversation(services).id
    unique = AnswerSchema.of({"type": "array", "uniqueItems": True}, "set")
    with pytest.raises(SchemaRefused):
        services.answers.send(talk, "Which?", answer_schema=unique)
    with pytest.raises(SchemaRefused):
        services.compare.start("Which?", [Column(answer_schema=unique), Column()])
    assert services.conversations.messages(talk) == []
    assert services.compare.stored.list() == []


def test_an_engine_that_holds_to_no_schema_is_named_and_nothing_is_stored(
    make_services: MakeServices,
) -> None:
    services = make_services(ScriptedEngine(script, local=False, supports_schema=False))
    talk = conversation(services).id
    with pytest.raises(NotSupported) as refusal:
        services.answers.send(talk, "Where?", answer_schema=CITY)
    assert "JSON Schema" in refusal.value.message("zh")
    assert services.conversations.messages(talk) == []


def test_a_fork_that_leaves_the_form_is_refused(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine(script))
    talk = conversation(services).id
    sent = services.answers.send(talk, "Where?", answer_schema=CITY, n_probs=2)
    answer = finished(services, sent)
    [first, *_] = services.conversations.probs(answer.id)
    with pytest.raises(BadInput) as refusal:
        services.answers.fork(answer.id, 0, replace(first.alternatives[0], text="The"))
    assert "JSON Schema" in refusal.value.message("en")
    assert len(services.conversations.messages(talk)) == 2


def test_a_preset_brings_its_form_along_through_toml_and_the_store(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine(script))
    services.presets.save("cities", Settings(answer_schema=CITY))
    text = services.presets.export_toml(["cities"])
    [read] = preset_values.from_toml(text)
    assert read.answer_schema == CITY == services.presets.get("cities").answer_schema
    assert services.presets.apply("cities", Settings()).answer_schema == CITY
    assert services.presets.apply("precise", Settings(answer_schema=COUNT)).answer_schema == COUNT


def test_a_column_has_a_form_of_its_own(make_services: MakeServices) -> None:
    engine = ScriptedEngine(script, slots=2)
    services = make_services(engine)
    columns = [Column(Sampling(max_new_tokens=50), answer_schema=CITY), Column(Sampling(max_new_tokens=50))]
    comparison = services.compare.start("Where?", columns)
    for column in comparison.columns:
        services.jobs.wait(column.job.id, 20)  # type: ignore[union-attr]
    again = services.compare.stored.get(comparison.id)
    assert [column.answer_schema for column in again.columns] == [CITY, None]
    shown = {
        column.index: column.answer.provenance.answer_schema
        and column.answer.provenance.answer_schema["name"]
        for column in again.columns
    }
    assert shown == {0: "city", 1: None}
    assert {json.dumps(request.json_schema) for request in engine.requests} >= {json.dumps(CITY.value)}


def test_the_form_of_a_conversation_goes_out_and_comes_in_again(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine(script))
    talk = conversation(services).id
    with_schema(services, COUNT, talk)
    finished(services, services.answers.send(talk, "Where?", answer_schema=CITY))
    exchange = Exchange(services.repository)
    exported = exchange.export_json([talk])
    [imported] = exchange.import_file(exported.encode(), "x.json", again=True).conversation_ids
    settings = services.conversations.get(imported).settings
    question, answer = services.conversations.messages(imported)
    assert settings.answer_schema == COUNT
    assert question.provenance.answer_schema == answer.provenance.answer_schema == CITY.to_dict()


def test_a_broken_form_in_a_file_hides_no_conversation(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine(script))
    talk = conversation(services).id
    finished(services, services.answers.send(talk, "Where?", answer_schema=CITY))
    exchange = Exchange(services.repository)
    data = json.loads(exchange.export_json([talk]))
    for broken in ({"document": "{"}, {"document": 7}, {"name": "x"}, []):
        data["conversations"][0]["settings"]["answer_schema"] = broken
        data["conversations"][0]["messages"][1]["provenance"]["answer_schema"] = broken
        text = json.dumps(data).encode()
        [imported] = exchange.import_file(text, "x.json", again=True).conversation_ids
        assert services.conversations.get(imported).settings.answer_schema is None
        assert answer_validity(services.conversations.messages(imported)[1]) is None
