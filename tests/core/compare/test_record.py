"""What is stored of a comparison, by this version and by earlier ones."""

from twokeys.core.compare.record import Record

STORED = {"conversation_id": "c", "question_id": "q", "columns": [], "sharing": "cloned"}


def test_a_record_comes_back_as_it_was_stored() -> None:
    record = Record("c", "q", [], sharing="cloned", prefill_tokens=41)
    assert Record.from_dict(record.to_dict()) == record


def test_the_shared_prefill_of_an_earlier_version_is_read() -> None:
    assert Record.from_dict({**STORED, "reading": {"read_tokens": 41}}).prefill_tokens == 41
    assert Record.from_dict({**STORED, "reading": {}}).prefill_tokens == 0
