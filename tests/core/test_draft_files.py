"""Files of a message that is not sent yet: they wait with the conversation, and pages of them are chosen."""

import pytest

from twokeys.config import load_config
from twokeys.engines.scripted import ScriptedEngine
from twokeys.errors import BadDocument, ContextExceeded
from twokeys.services import build_services

from .making import MakeServices, conversation

TEXT = b"# One\n\nfirst part\n\n# Two\n\nthe delivery is due on 15 March\n\n# Three\n\nlast part\n"


def test_a_file_waits_over_a_restart_and_its_pages_are_chosen(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine())
    chat = conversation(services)
    [draft] = [services.draft_files.add(chat.id, "contract.md", TEXT)]
    assert draft.is_whole and draft.whole.total == 3
    services.draft_files.choose(draft.id, [2])
    services.close()
    again = build_services(load_config(), engine=ScriptedEngine())
    [waiting] = again.draft_files.waiting(chat.id)
    assert waiting.document.numbers == "2" and not waiting.is_whole
    assert "15 March" in waiting.document.text and "first part" not in waiting.document.text
    again.draft_files.drop([waiting])
    assert again.draft_files.waiting(chat.id) == []
    again.close()


def test_a_file_that_cannot_be_read_is_refused_and_nothing_waits(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine())
    chat = conversation(services)
    with pytest.raises(BadDocument):
        services.draft_files.add(chat.id, "empty.txt", b"  ")
    assert services.draft_files.waiting(chat.id) == []


def test_an_edited_question_keeps_its_documents_and_the_model_reads_them(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine())
    chat = conversation(services)
    draft = services.draft_files.add(chat.id, "contract.md", TEXT)
    counted = services.draft_files.count([draft.document], start=True)
    sent = services.answers.send(chat.id, "When?", attachments=counted.attachments)
    services.draft_files.drop([draft])
    services.jobs.wait(sent.job.id, 10.0)
    asked = services.conversations.message(sent.answer_message.parent_id or "")
    plan = services.answers.plan(chat.id, "When exactly?", instead_of=asked.id)
    edited = services.answers.edit(asked.id, "When exactly?")
    services.jobs.wait(edited.job.id, 10.0)
    question = services.conversations.message(edited.answer_message.parent_id or "")
    assert question.own_words == "When exactly?"
    assert question.before_own_words == asked.before_own_words != ""
    answer = services.conversations.message(edited.answer_message.id)
    assert answer.provenance.prompt_tokens == plan.prompt_tokens
    assert [document["name"] for document in answer.provenance.documents] == ["contract.md"]
    prompt = services.answers.sent_prompt(answer.id)
    assert prompt[-1].content == question.content
    services.draft_files.ask_again(question, conversation(services).id)
    assert services.repository.files.read(draft.whole.sha256) == TEXT


def test_what_is_too_long_is_not_sent_and_one_page_of_it_is(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine(context=1200))
    chat = conversation(services, max_new_tokens=64)
    long = b"\n\n".join(b"# Part %d\n\n" % number + b"word " * 400 for number in range(1, 5))
    draft = services.draft_files.add(chat.id, "long.md", long)
    counted = services.draft_files.count([draft.document], start=True)
    with pytest.raises(ContextExceeded):
        services.answers.send(chat.id, "Why?", attachments=counted.attachments)
    assert services.conversations.messages(chat.id) == []
    assert len(services.draft_files.passage_tokens(draft.whole)) == 4
    services.draft_files.choose(draft.id, [3])
    [chosen] = services.draft_files.waiting(chat.id)
    assert services.answers.plan(chat.id, "Why?", documents=[chosen.document]).fits
