"""What a message becomes when it is to be written in sections."""

import pytest

from twokeys.core.advice.length import TokenRatio, length_need
from twokeys.core.writer.draft_request import DraftRequest
from twokeys.core.writer.project import MAX_TOPIC_CHARS, Project


def request(text: str) -> DraftRequest:
    return DraftRequest.of(text, length_need(text), TokenRatio())


@pytest.mark.parametrize(
    ("text", "language", "kind", "length"),
    [
        ("写一份 8000 字的白皮书，讲本地大模型怎样落地", "zh", "white_paper", 8000),
        ("Write a 5,000-word report on rain", "en", "report", 5000),
        ("Write an essay of 12000 characters about tea", "en", "essay", 2000),
        ("写一篇三万字的小说", "zh", "story", 30_000),
        ("Write a novel in 12 chapters about a fox", "en", "story", 6300),
        ("Explain tides", "en", None, None),
    ],
)
def test_language_kind_and_length_come_from_the_message(
    text: str, language: str, kind: str | None, length: int | None
) -> None:
    result = request(text)
    assert (result.topic, result.language, result.kind, result.length, result.notes) == (
        text,
        language,
        kind,
        length,
        "",
    )


def test_what_is_too_long_for_a_topic_is_kept_whole_in_the_notes() -> None:
    text = "Write a 4000-word report on rain.\n\n" + "- a point that matters\n" * 40
    result = request(text)
    assert result.topic == "Write a 4000-word report on rain"
    assert result.notes == text.strip()
    assert result.length == 4000


def test_a_sentence_without_end_is_cut_to_what_a_project_takes() -> None:
    result = request("雨" * 5000)
    assert len(result.topic) == MAX_TOPIC_CHARS
    assert Project(topic=result.topic, notes=result.notes).notes == "雨" * 5000
