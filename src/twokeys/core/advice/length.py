"""How long the answer has to be: what the message asks for, or what such answers usually need (S9).

need = tokens for the asked length (or the task's usual length, or this person's earlier answers of
the kind) + 20 %. Compared with the safe ceiling of the machine; beyond one good answer it suggests
segments (S12). Never "all the way up".
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from twokeys.core.advice.numbers import EN, NUMERALS, ZH, read_number
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
EARLIER_NEEDED = 5

Source = Literal[
    "asked",
    "items",
    "chapters",
    "pages",
    "paragraphs",
    "lines",
    "functions",
    "earlier",
    "task",
    "usual",
    "material",
]


@dataclass(frozen=True, slots=True)
class TokenRatio:
    """Characters (Chinese) and words (English) per token of the model at hand."""

    chars_per_token_zh: float = CHARS_PER_TOKEN_ZH
    words_per_token_en: float = WORDS_PER_TOKEN_EN


@dataclass(frozen=True, slots=True)
class LengthNeed:
    """tokens: what to set, with the margin, in steps of 128. source: where the figure is from.

    asked: the number found in the message, in `unit` ("chars", "words", or the source's own name).
    wanted: the need before the ceiling. ceiling: the safe tokens of this machine, None when not known.
    pieces: what was asked holds for each of so many, and `asked` is all of them together.
    over_ceiling: the need is more than that. segments: write it in sections (never said of code).
    """

    tokens: int
    wanted: int
    source: Source
    asked: int | None = None
    unit: str | None = None
    over_ceiling: bool = False
    segments: bool = False
    ceiling: int | None = None
    pieces: int = 1

    @property
    def said(self) -> bool:
        """Whether the message itself says how long the answer is to be."""
        return self.asked is not None


_MORE = r"\s*(?:个)?(?:左右|以上|以内|来|多|余)?\s*"
_ABOUT = r"(?:about |around |roughly |at least |up to |under |max(?:imum)? )?"
_UNIT = r"(words?|characters?)\b"
_NO_COUNT = re.compile(
    rf"第\s*{ZH}(?:\s*[到至、和~—–-]+\s*第?\s*{ZH})*|(?:[上下中]午|早上|晚上|凌晨|今晚|明早)\s*{ZH}\s*点|三百六十行"
)
"""Which one, or when: no number of things."""
_GIVEN = re.compile(
    r"(?:[这那此该]|下面|以下|上面|上述|前面?|最后)[篇段份个些本]?\s*$"
    r"|\b(?:this|these|that|those|the|my|our|attached|following|above|first|last|next|previous)\s+$",
    re.IGNORECASE,
)
"""What stands before a length that something has already: "this 20-page report"."""
_READING = frozenset(("summary", "translate", "code_review", "fact_check"))
"""Tasks whose pages, lines and functions are those of the text they are given."""
_CHARS = re.compile(
    ZH + _MORE + r"(?:汉|中文)?字(?!符串|段|典|母|节|体|面|号|路口|架|形|文)"
    rf"|字数[^\d{NUMERALS}，。；;\n]{{0,8}}(?:[\d,]+\s*[-~—–到至]+\s*)?"
    + ZH
    + rf"|{EN}[- ](?:Chinese )?characters?\b",
    re.IGNORECASE,
)
_WORDS = re.compile(rf"{EN}[- ]*words?\b", re.IGNORECASE)
_ITEMS = re.compile(
    ZH + r"\s*(?:多|余|来)?\s*(?:个|条|点|种|项|句|步)(?!月|小时|人|星期|百|字|章|钟|半)"
    rf"|{EN}\s+(?:(?!of\b)[\w-]+\s+){{0,3}}"
    r"(?:items?|ideas?|points?|ways?|tips?|reasons?|examples?|steps?|names?|questions?|options?|slogans?"
    r"|titles?|taglines?|headlines?|features?|activities|bullets?|facts|suggestions|topics)\b",
    re.IGNORECASE,
)
_CHAPTERS = re.compile(
    ZH + rf"\s*(?:个)?(?:章|大?部分|大节)|{EN}[- ](?:chapters?|sections?|parts)\b", re.IGNORECASE
)
_PAGES = re.compile(
    ZH + rf"{_MORE}(?:A4\s*)?页(?!面|码|眉|脚)|{EN}[- ](?:A4[- ]|full[- ])?pages?\b", re.IGNORECASE
)
_PARAGRAPHS = re.compile(
    ZH + r"\s*(?:个|小|大)?(?:自然)?段(?!论|子|时|位|经历|历史|感情|关系|代码|视频|音频|录音|路|距离|旅)"
    rf"|{EN}[- ](?:short[- ]|long[- ])?paragraphs?\b",
    re.IGNORECASE,
)
_LINES = re.compile(
    ZH + rf"{_MORE}行(?!业|动|为|程|李|星|人|政|走|驶|情|长|军|\s*[\d{NUMERALS}]*\s*[列x×])|{EN}[- ]lines?\b",
    re.IGNORECASE,
)
_FUNCTIONS = re.compile(
    ZH + rf"\s*个\s*(?:\w{{1,8}}\s*)??函数(?!图)|{EN}\s+(?:(?!of\b)[\w-]+\s+){{0,2}}functions\b",
    re.IGNORECASE,
)
_EACH = re.compile(
    r"(?:每(?:一)?(?:个)?(?:章|节|条|个|点|篇|段|部分|项|种|句|步)|各)[^。；;\n]{0,8}?" + ZH + _MORE + r"(字)"
    rf"|{EN}[- ]{_UNIT}\s+(?:each|per\b|a (?:chapter|section|part|piece|paragraph)|apiece)"
    rf"|\b(?:each|every)\b[^.;\n]{{0,24}}?{EN}[- ]{_UNIT}"
    rf"|(?:chapters?|sections?|parts|items?|paragraphs?)\s+of\s+{_ABOUT}{EN}[- ]{_UNIT}",
    re.IGNORECASE,
)
"""A length that is meant for every chapter or item, not for all of them together."""


@dataclass(frozen=True, slots=True)
class _Countable:
    """Things an answer may have: at least and at most so many, so many tokens each."""

    source: Source
    pattern: re.Pattern[str]
    least: int
    most: int
    tokens: int


_COUNTABLE = (
    _Countable("chapters", _CHAPTERS, 2, 100, 700),
    _Countable("pages", _PAGES, 1, 300, 650),
    _Countable("lines", _LINES, 2, 5000, 10),
    _Countable("functions", _FUNCTIONS, 2, 50, 400),
    _Countable("paragraphs", _PARAGRAPHS, 2, 100, 130),
    _Countable("items", _ITEMS, 3, 300, 60),
)
"""In the order in which they are believed. A page: 500 words; a line of TwoKeys' own Python: 9.0 tokens."""
_OFTEN_GIVEN = frozenset(("pages", "lines", "functions", "paragraphs"))
_CODE = frozenset(("lines", "functions"))


@dataclass(frozen=True, slots=True)
class _Asked:
    amount: int
    unit: str
    source: Source
    each: int = 0
    """Tokens of one; 0 where the tokenizer says."""
    pieces: int = 1

    def tokens(self, ratio: TokenRatio) -> float:
        if self.unit == "chars":
            return self.amount / ratio.chars_per_token_zh
        if self.unit == "words":
            return self.amount / ratio.words_per_token_en
        return float(self.amount * self.each)


def length_need(
    text: str,
    task: Task | None = None,
    *,
    ratio: TokenRatio | None = None,
    ceiling: int | None = None,
    earlier_tokens: Sequence[int] = (),
    material_tokens: int = 0,
) -> LengthNeed:
    """Return what the answer to `text` needs.

    earlier_tokens: lengths of this person's earlier, complete answers to the same task; five or
    more of them are believed before the task's usual length. ceiling: safe tokens of this machine.
    material_tokens: of the documents before it; a translation is about as long as they are.
    """
    ratio = ratio or TokenRatio()
    asked = _asked(text, task)
    if asked is not None:
        need = _settle(
            asked.tokens(ratio), asked.source, ceiling, asked.amount, asked.unit, code=asked.unit in _CODE
        )
        return replace(need, pieces=asked.pieces)
    if material_tokens and task is not None and task.name == "translate":
        return _settle(material_tokens, "material", ceiling, material_tokens, "material")
    if len(earlier_tokens) >= EARLIER_NEEDED:
        ordered = sorted(earlier_tokens)
        nine_of_ten = ordered[min(len(ordered) - 1, math.ceil(0.9 * len(ordered)) - 1)]
        return _settle(nine_of_ten, "earlier", ceiling)
    if task is not None:
        return _settle(task.max_new_tokens / MARGIN, "task", ceiling, segments=task.segments)
    return _settle(1024 / MARGIN, "usual", ceiling)


def _asked(text: str, task: Task | None) -> _Asked | None:
    text = _NO_COUNT.sub("第", text)
    text_is_given = task is not None and task.name in _READING
    counted = {
        kind.source: _Asked(amount, kind.source, kind.source, kind.tokens)
        for kind in _COUNTABLE
        if not (text_is_given and kind.source in _OFTEN_GIVEN)
        and (amount := _first(kind.pattern, text, kind.least, kind.most))
    }
    several = counted.get("chapters") or counted.get("paragraphs") or counted.get("items")
    if several is not None and (match := _EACH.search(text)):
        each, unit = (group for group in match.groups() if group)
        unit = "words" if unit.lower().startswith("word") else "chars"
        return _Asked(several.amount * read_number(each), unit, "asked", pieces=several.amount)
    if chars := _first(_CHARS, text, 10, 1_000_000):
        return _Asked(chars, "chars", "asked")
    if words := _first(_WORDS, text, 10, 1_000_000):
        return _Asked(words, "words", "asked")
    return next(iter(counted.values()), None)


def _first(pattern: re.Pattern[str], text: str, least: int, most: int) -> int | None:
    for match in pattern.finditer(text):
        amount = read_number(next(group for group in match.groups() if group))
        if least <= amount <= most and not _GIVEN.search(text, max(0, match.start() - 20), match.start()):
            return amount
    return None


def _settle(
    tokens: float,
    source: Source,
    ceiling: int | None,
    asked: int | None = None,
    unit: str | None = None,
    *,
    segments: bool = False,
    code: bool = False,
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
        not code and (segments or over or needed > ONE_GOOD_ANSWER * MARGIN),
        ceiling,
    )


def settled(tokens: int, ceiling: int) -> int:
    """Return a length that stays under the ceiling, in steps of STEP."""
    return min(tokens, max(SMALLEST, ceiling // STEP * STEP))
