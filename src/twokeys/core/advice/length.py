"""How long the answer has to be: what the message asks for, or what such answers usually need (S9).

need = tokens for the asked length (or the task's usual length, or this person's earlier answers of
the kind) + 20 %. Compared with the safe ceiling of the machine; beyond one good answer it suggests
segments (S12). Never "all the way up".
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from twokeys.core.advice.tasks import Task

MARGIN = 1.2
CHARS_PER_TOKEN_ZH = 1.55
WORDS_PER_TOKEN_EN = 0.75
"""First guesses for Qwen2.5's tokenizer; `TokenRatio` of the model at hand replaces them."""
SMALLEST = 512
"""The shortest length of the scenarios (S8): a shorter limit saves nothing."""
STEP = 128
ONE_GOOD_ANSWER = 2500
"""Beyond this many tokens answers are said to decay (S10, claim C4); segments are suggested."""
TOKENS_PER_ITEM = 60
TOKENS_PER_CHAPTER = 700
EARLIER_NEEDED = 5

Source = Literal["asked", "items", "chapters", "earlier", "task", "usual"]


@dataclass(frozen=True, slots=True)
class TokenRatio:
    """Characters (Chinese) and words (English) per token of the model at hand."""

    chars_per_token_zh: float = CHARS_PER_TOKEN_ZH
    words_per_token_en: float = WORDS_PER_TOKEN_EN


@dataclass(frozen=True, slots=True)
class LengthNeed:
    """tokens: what to set, with the margin, in steps of 128. source: where the figure is from.

    asked: the number found in the message, in `unit` ("chars", "words", "items", "chapters").
    wanted: the need before the ceiling. ceiling: the safe tokens of this machine, None when not known.
    over_ceiling: the need is more than that. segments: write it in sections.
    """

    tokens: int
    wanted: int
    source: Source
    asked: int | None = None
    unit: str | None = None
    over_ceiling: bool = False
    segments: bool = False
    ceiling: int | None = None


_DIGITS = {"一": 1, "二": 2, "两": 2, "三": 3, "四": 4, "五": 5, "六": 6, "七": 7, "八": 8, "九": 9, "十": 10}
_WORDED = {
    word: number
    for number, word in enumerate(
        ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"), 1
    )
} | {"fifteen": 15, "twenty": 20, "thirty": 30, "a dozen": 12, "dozen": 12}
_NUMBER = r"(\d[\d,]*(?:\.\d+)?\s*[千万kK]?|[一二两三四五六七八九十]+[百千万]?)"
_ENGLISH = rf"(\d{{1,3}}|{'|'.join(sorted(_WORDED, key=len, reverse=True))})"
_ABOUT = r"(?:about |around |roughly |at least |up to |under |max(?:imum)? )?"
_UNIT = r"(words?|characters?)\b"
_CHARS = re.compile(
    _NUMBER + r"\s*(?:个)?(?:左右|来)?\s*(?:汉)?字(?!符串|段|典|母|节|体|面)"
    r"|(\d{2}[\d,]*)\s+(?:Chinese )?characters?\b",
    re.IGNORECASE,
)
_WORDS = re.compile(r"(\d[\d,]*(?:\.\d+)?\s*k?)[- ]*words?\b", re.IGNORECASE)
_ITEMS = re.compile(
    _NUMBER + r"\s*(?:个|条|点|种|项|句|步)(?!月|小时|人|星期|百|字|章)"
    rf"|\b{_ENGLISH}\s+(?:[\w-]+\s+){{0,3}}"
    r"(?:items?|ideas?|points?|ways?|tips?|reasons?|examples?|steps?|names?|questions?|options?|slogans?"
    r"|titles?|taglines?|headlines?|features?|activities|bullets?|facts|suggestions|topics)\b",
    re.IGNORECASE,
)
_CHAPTERS = re.compile(
    _NUMBER + rf"\s*(?:个)?(?:章|大?部分|大节)|\b{_ENGLISH}[- ](?:chapters?|sections?|parts)\b", re.IGNORECASE
)
_EACH = re.compile(
    r"(?:每(?:一)?(?:个)?(?:章|节|条|个|点|篇|段|部分|项|种|句|步)|各)[^。；;\n]{0,8}?"
    + _NUMBER
    + r"\s*(?:个)?(?:左右|来)?\s*(字)"
    rf"|(\d[\d,]*)[- ]{_UNIT}\s+(?:each|per\b|a (?:chapter|section|part|piece)|apiece)"
    rf"|\b(?:each|every)\b[^.;\n]{{0,24}}?(\d[\d,]*)[- ]{_UNIT}"
    rf"|(?:chapters?|sections?|parts|items?)\s+of\s+{_ABOUT}(\d[\d,]*)[- ]{_UNIT}",
    re.IGNORECASE,
)
"""A length that is meant for every chapter or item, not for all of them together."""


@dataclass(frozen=True, slots=True)
class _Asked:
    amount: int
    unit: str
    source: Source


def length_need(
    text: str,
    task: Task | None = None,
    *,
    ratio: TokenRatio | None = None,
    ceiling: int | None = None,
    earlier_tokens: Sequence[int] = (),
) -> LengthNeed:
    """Return what the answer to `text` needs.

    earlier_tokens: lengths of this person's earlier, complete answers to the same task; five or
    more of them are believed before the task's usual length. ceiling: safe tokens of this machine.
    """
    ratio = ratio or TokenRatio()
    asked = _asked(text)
    if asked is not None:
        return _settle(_tokens(asked, ratio), asked.source, ceiling, asked.amount, asked.unit)
    if len(earlier_tokens) >= EARLIER_NEEDED:
        ordered = sorted(earlier_tokens)
        nine_of_ten = ordered[min(len(ordered) - 1, math.ceil(0.9 * len(ordered)) - 1)]
        return _settle(nine_of_ten, "earlier", ceiling)
    if task is not None:
        return _settle(task.max_new_tokens / MARGIN, "task", ceiling, segments=task.segments)
    return _settle(1024 / MARGIN, "usual", ceiling)


def _asked(text: str) -> _Asked | None:
    parts = _first(_CHAPTERS, text, 2) or 0
    items = _first(_ITEMS, text, 3) or 0
    if (match := _EACH.search(text)) and (count := parts or items):
        amount, unit = (group for group in match.groups() if group)
        unit = "words" if unit.lower().startswith("word") else "chars"
        return _Asked(count * _number(amount), unit, "asked")
    if (words := _first(_CHARS, text, 10)) is not None:
        return _Asked(words, "chars", "asked")
    if (words := _first(_WORDS, text, 10)) is not None:
        return _Asked(words, "words", "asked")
    if parts:
        return _Asked(parts, "chapters", "chapters")
    return _Asked(items, "items", "items") if items else None


def _first(pattern: re.Pattern[str], text: str, least: int) -> int | None:
    for match in pattern.finditer(text):
        amount = _number(next(group for group in match.groups() if group))
        if amount >= least:
            return amount
    return None


def _tokens(asked: _Asked, ratio: TokenRatio) -> float:
    if asked.unit == "chars":
        return asked.amount / ratio.chars_per_token_zh
    if asked.unit == "words":
        return asked.amount / ratio.words_per_token_en
    return asked.amount * (TOKENS_PER_ITEM if asked.unit == "items" else TOKENS_PER_CHAPTER)


def _settle(
    tokens: float,
    source: Source,
    ceiling: int | None,
    asked: int | None = None,
    unit: str | None = None,
    *,
    segments: bool = False,
) -> LengthNeed:
    needed = max(SMALLEST, math.ceil(round(tokens * MARGIN / STEP, 6)) * STEP)
    over = ceiling is not None and needed > ceiling
    return LengthNeed(
        needed if ceiling is None else settled(needed, ceiling),
        needed,
        source,
        asked,
        unit,
        over,
        segments or over or needed > ONE_GOOD_ANSWER * MARGIN,
        ceiling,
    )


def settled(tokens: int, ceiling: int) -> int:
    """Return a length that stays under the ceiling, in steps of STEP."""
    return min(tokens, max(SMALLEST, ceiling // STEP * STEP))


def _number(text: str) -> int:
    text = text.replace(",", "").strip()
    if text.lower() in _WORDED:
        return _WORDED[text.lower()]
    factor = 1
    for mark, times in (("万", 10_000), ("千", 1000), ("百", 100), ("k", 1000), ("K", 1000)):
        if text.endswith(mark):
            text, factor = text[:-1].strip(), times
            break
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return round(float(text) * factor)
    return _chinese_number(text) * factor


def _chinese_number(text: str) -> int:
    if not text:
        return 1
    if "十" in text and text != "十":
        tens, _, ones = text.partition("十")
        return _DIGITS.get(tens, 1) * 10 + _DIGITS.get(ones, 0)
    return _DIGITS.get(text[0], 0)
