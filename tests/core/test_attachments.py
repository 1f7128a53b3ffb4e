"""Documents before a question: what is sent, what is written down, and which the model reads."""

from tests.store.making import message

from twokeys.core.attachments import Attachment, documents_read, facts_of, sent_text, with_documents
from twokeys.documents.document import Document, Passage

TEA = Document("tea.md", "markdown", "sha-of-tea", "section", (Passage(1, "", "Tea came by sea."),), 1)
PAGES = Document(
    'a "b"\nc.pdf', "pdf", "sha-of-pages", "page", (Passage(2, "", "Two."), Passage(3, "", "Three.")), 9
)


def test_documents_stand_before_the_question_each_between_marks_that_name_it() -> None:
    sent = with_documents([TEA, PAGES], "Whence?")
    assert sent == (
        '<document name="tea.md">\nTea came by sea.\n</document>\n\n'
        "<document name=\"a 'b' c.pdf\">\n[page 2]\nTwo.\n\n[page 3]\nThree.\n</document>\n\nWhence?"
    )
    facts = facts_of([Attachment(TEA, 9), Attachment(PAGES, 12)])
    assert facts.question_at is not None and sent[facts.question_at :] == "Whence?"


def test_what_is_written_down_names_the_file_and_the_passages_sent() -> None:
    (fact,) = facts_of([Attachment(PAGES, 12)]).documents
    assert fact == {
        "name": PAGES.name,
        "sha256": "sha-of-pages",
        "tokens": 12,
        "pages": "2-3",
        "unit": "page",
    }


def test_only_documents_of_messages_that_are_read_count_as_read() -> None:
    first = message("c", None, "user", sent_text(TEA), provenance=facts_of([Attachment(TEA, 9)]))
    second = message("c", first.id, "user", "And now?", provenance=facts_of([Attachment(PAGES, 12)]))
    path = [first, second]
    assert [fact["name"] for fact in documents_read(path, {first.id, second.id})] == ["tea.md", PAGES.name]
    assert [fact["name"] for fact in documents_read(path, {second.id})] == [PAGES.name]
