"""A contract, two questions and the real engine: the answer is in the document, which is prefilled once."""

from pathlib import Path

import pytest
from tests.documents.corpus import docx

from twokeys.config import load_config
from twokeys.services import build_services
from twokeys.types import Sampling, Settings


@pytest.mark.parametrize(
    ("language", "question", "date"),
    [
        ("en", "What is the delivery date in clause 7?", ("15 March 2027", "March 15, 2027")),
        ("zh", "第七条规定的交货日期是哪一天？", ("2027年3月15日", "2027 年 3 月 15 日")),
    ],
)
def test_the_delivery_date_is_read_out_of_clause_7(
    qwen: Path, language: str, question: str, date: tuple[str, ...]
) -> None:
    services = build_services(load_config(model=str(qwen)))
    try:
        settings = Settings(sampling=Sampling(temperature=0.0, max_new_tokens=48, seed=7))
        chat = services.conversations.new(settings)
        draft = services.draft_files.add(chat.id, "contract.docx", docx(language))
        attachments = services.draft_files.count([draft.document], start=True).attachments
        asked = services.answers.send(chat.id, question, attachments=attachments)
        services.jobs.wait(asked.job.id, 120.0)
        answer = services.conversations.message(asked.answer_message.id)
        assert any(wording in answer.content for wording in date), answer.content
        again = services.answers.send(chat.id, question)
        services.jobs.wait(again.job.id, 120.0)
        second = services.conversations.message(again.answer_message.id).provenance
        assert (second.cached_tokens or 0) >= attachments[0].tokens, "the document is not prefilled again"
        assert second.documents == answer.provenance.documents
    finally:
        services.close()
