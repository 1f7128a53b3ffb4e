"""The model is told of the form that it is held to, and a person can read what it was told."""

from dataclasses import replace

from twokeys.core.structured.derive import TableColumn, table_schema
from twokeys.core.structured.instruction import INSTRUCTION, told_system_prompt, with_instruction
from twokeys.engines.scripted import Say, ScriptedEngine
from twokeys.types import AnswerSchema, Settings

from ..making import MakeServices, conversation

TABLE = AnswerSchema.of(table_schema([TableColumn("零件")]), "parts", "table")


def test_the_form_stands_behind_the_system_prompt() -> None:
    assert told_system_prompt(Settings(system_prompt="Be brief.")) == "Be brief."
    prompt = told_system_prompt(Settings(system_prompt="Be brief.\n", answer_schema=TABLE))
    assert prompt == f"Be brief.\n\n{INSTRUCTION}\n{TABLE.document}" and "零件" in prompt
    assert with_instruction(" ", TABLE).startswith(INSTRUCTION)


def test_what_was_told_is_counted_sent_shown_and_told_again(make_services: MakeServices) -> None:
    engine = ScriptedEngine([Say("[]")])
    services = make_services(engine)
    talk = conversation(services).id
    before = services.answers.plan(talk, "List them").prompt_tokens
    settings = services.conversations.get(talk).settings
    services.conversations.set_settings(talk, replace(settings, answer_schema=TABLE))
    assert services.answers.plan(talk, "List them").prompt_tokens > before
    sent = services.answers.send(talk, "List them")
    services.jobs.wait(sent.job.id, 20)
    services.conversations.set_settings(talk, settings)
    again = services.answers.replay(sent.answer_message.id)
    services.jobs.wait(again.job.id, 20)
    first, second = (request.messages for request in engine.requests)
    assert first == second and first[0].content.endswith(TABLE.document)
    shown = services.answers.sent_prompt(sent.answer_message.id)
    assert shown == first
    answer = services.conversations.message(sent.answer_message.id)
    assert answer.provenance.system_prompt == settings.system_prompt
