"""What a document costs is counted before it is sent, exactly: the engine reads as many tokens."""

from tests.documents.corpus import docx

from twokeys.documents import read_document
from twokeys.services import Services
from twokeys.types import Sampling, Settings

QUESTION = "What is the delivery date in clause 7?"


def test_predicted_and_counted_tokens_are_the_same(services: Services) -> None:
    settings = Settings(sampling=Sampling(max_new_tokens=4, seed=7))
    conversation = services.conversations.new(settings)
    documents = [read_document(docx(language), "a.docx") for language in ("en", "zh")]
    attachments = services.draft_files.count(documents, start=True).attachments
    plan = services.answers.plan(conversation.id, QUESTION, documents=documents)
    sent = services.answers.send(conversation.id, QUESTION, attachments=attachments)
    services.jobs.wait(sent.job.id, 60.0)
    answer = services.repository.get_message(sent.answer_message.id)
    assert plan.exact
    assert answer.provenance.prompt_tokens == plan.prompt_tokens
    assert [document["pages"] for document in answer.provenance.documents] == ["1-3", "1-3"]
    assert sum(attachment.tokens for attachment in attachments) < plan.prompt_tokens
