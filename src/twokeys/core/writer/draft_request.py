"""What a message asks for, as the beginning of a writing project.

Only a beginning: every field stays to be changed by the person. Nothing of the message is lost: what is
too long for a topic is kept whole among the notes.
"""

import re
from dataclasses import dataclass
from typing import Self

from twokeys.core.advice.length import MARGIN, LengthNeed, TokenRatio
from twokeys.core.advice.rewrite import language_of
from twokeys.core.writer.project import LONGEST, MAX_TOPIC_CHARS, SHORTEST, Unit, length_from_chars

STEP = {"chars": 500, "words": 100}
"""Lengths that are only estimated are rounded to these."""
_KINDS = (
    ("white_paper", re.compile(r"白皮书|\bwhite ?papers?\b", re.IGNORECASE)),
    ("review", re.compile(r"综述|\b(?:literature|systematic) reviews?\b|\bsurvey of\b", re.IGNORECASE)),
    ("tutorial", re.compile(r"教程|入门指南|\btutorials?\b|\bhow-to guides?\b", re.IGNORECASE)),
    ("story", re.compile(r"小说|故事|童话|\b(?:story|stories|novels?|novellas?|tales?)\b", re.IGNORECASE)),
    ("essay", re.compile(r"散文|随笔|文章|\b(?:essays?|articles?)\b", re.IGNORECASE)),
    ("report", re.compile(r"报告|\breports?\b", re.IGNORECASE)),
)
_SENTENCE_END = re.compile(r"[。！？；!?;\n]|\.(?=\s|$)")


@dataclass(frozen=True, slots=True)
class DraftRequest:
    """topic: at most MAX_TOPIC_CHARS on one line. notes: the whole message where it is more than that.

    kind: None when the message names none. length: in the unit of `language`, None when not known.
    """

    topic: str
    language: str
    kind: str | None = None
    length: int | None = None
    notes: str = ""

    @classmethod
    def of(cls, message: str, need: LengthNeed, ratio: TokenRatio) -> Self:
        """Read a message; `need` is what core.advice.length found in it."""
        text = message.strip()
        topic = " ".join(text.split())
        language = language_of(text)
        notes = ""
        if len(topic) > MAX_TOPIC_CHARS:
            topic, notes = _first_sentence(text), text
        kind = next((name for name, words in _KINDS if words.search(topic)), None)
        return cls(topic, language, kind, _length(need, language, ratio), notes)


def _first_sentence(text: str) -> str:
    match = _SENTENCE_END.search(text)
    sentence = " ".join(text[: match.start() if match else None].split())
    return sentence[: MAX_TOPIC_CHARS - 1] + "…" if len(sentence) > MAX_TOPIC_CHARS else sentence


def _length(need: LengthNeed, language: str, ratio: TokenRatio) -> int | None:
    unit: Unit = "chars" if language == "zh" else "words"
    if need.source == "asked" and need.asked is not None:
        length = need.asked
        if need.unit == "chars":
            length = length_from_chars(length, language)
        elif language == "zh":
            length = round(length * ratio.chars_per_token_zh / ratio.words_per_token_en)
    elif need.said or need.source == "earlier":
        tokens = need.wanted / MARGIN
        each = ratio.chars_per_token_zh if language == "zh" else ratio.words_per_token_en
        length = round(tokens * each / STEP[unit]) * STEP[unit]
    else:
        return None
    return min(max(length, SHORTEST[unit]), LONGEST[unit])
