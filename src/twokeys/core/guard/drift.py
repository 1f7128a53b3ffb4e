"""Notices when an answer leaves the question's language, or drops in letters of a strange script.

By script, not by dictionary: it cannot tell French from English. Code, quotes, brackets, formulas,
links and capitalised names are left out; a language that the question names or uses is welcome.
"""

import re
from collections import Counter
from collections.abc import Iterator

from twokeys.core.guard.finding import GuardFinding
from twokeys.core.guard.reader import TextPiece
from twokeys.core.guard.script import HAN_WEIGHT, script_of
from twokeys.core.guard.settings import EventLevel

MIN_WORDS = 12
"""English words in one Chinese answer's sentence that make it an English sentence."""

MIN_HAN = 10
"""Chinese characters in one English answer's sentence that make it a Chinese sentence."""

SEVERE_WEIGHT = 300.0
"""Latin-equivalent letters in a row of the wrong language that make it certain."""

_SKIPPED = re.compile(
    r"`[^`\n]*`?|\$[^$\n]*\$?|\\[\[(].*?\\[\])]|https?://\S+|<[^>\n]*>"
    r"|“[^”]*”?|‘[^’\n]*’|「[^」]*」?|『[^』]*』?|《[^》]*》?|〈[^〉]*〉?|«[^»]*»?|\"[^\"\n]*\"?"
    r"|（[^）]*）?|\([^)\n]*\)?|\[[^\]\n]*\]?|【[^】]*】?|\*\*[^*\n]*\*\*",
    re.DOTALL,
)
_LATIN_WORD = re.compile(r"[a-z]+(?:['’][a-z]+)?")
_FUNCTION_WORDS = frozenset(
    {
        "the", "a", "an", "of", "and", "or", "to", "in", "on", "for", "with", "is", "are", "was", "were",
        "be", "been", "it", "its", "this", "that", "these", "those", "as", "at", "by", "from", "you",
        "your", "we", "our", "they", "their", "he", "she", "his", "her", "not", "but", "if", "then", "can",
        "will", "would", "should", "may", "have", "has", "had", "do", "does", "which", "when", "where",
        "what", "how", "there", "here", "than", "also", "more", "most", "such", "into", "about",
    }
)  # fmt: skip
_LANGUAGES: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"english|英文|英语|英譯|英译|双语|雙語|bilingual|translat|翻译|翻譯", ("latin",)),
    (r"chinese|mandarin|中文|汉语|漢語|华语|translat|双语|bilingual|古诗|唐诗|hanzi|pinyin", ("han",)),
    (r"japan|日语|日文|日本", ("kana", "han")),
    (r"korea|韩语|韩文|朝鲜|韩国|韓", ("hangul",)),
    (r"russia|俄|ukrain|乌克兰|bulgar|serb|cyrillic|西里尔|soviet|苏联", ("cyrillic",)),
    (r"arab|阿拉伯|persian|farsi|波斯|伊朗|urdu|quran|古兰", ("arabic",)),
    (r"thai|泰国|泰语|泰文", ("thai",)),
    (r"hebrew|希伯来|israel|以色列|bible|圣经", ("hebrew",)),
    (r"hindi|印地|sanskrit|梵|india|印度|nepal|尼泊尔", ("devanagari",)),
    (r"greek|希腊|math|数学|physics|物理", ("greek",)),
    (r"french|german|spanish|italian|portug|vietnam|latin", ("latin",)),
    (r"法语|法文|德语|德文|西班牙|意大利|拉丁|葡萄牙|越南", ("latin",)),
    (r"every language|all languages|many languages|多种语言|各国语言|unicode|各种语言|multilingual|多语", (
        "latin", "han", "kana", "hangul", "cyrillic", "arabic", "thai", "hebrew", "devanagari", "greek",
        "armenian", "georgian", "other",
    )),
)  # fmt: skip
_STRANGE = frozenset(
    {
        "cyrillic", "thai", "arabic", "hebrew", "devanagari", "hangul", "kana", "armenian", "georgian",
        "greek", "other",
    }
)  # fmt: skip


def script_counts(text: str) -> Counter[str]:
    """Return how many characters of each script a text has, "" for those of none."""
    counts: Counter[str] = Counter()
    for char, number in Counter(text).items():
        counts[script_of(char)] += number
    return counts


def main_script(text: str) -> str:
    """Return "han", "latin" or another script: the one most of the text is written in; "" if none."""
    return _main_of(script_counts(text))


def _main_of(every: Counter[str]) -> str:
    counts = {name: number for name, number in every.items() if name}
    if not counts:
        return ""
    weighted = {name: number * (HAN_WEIGHT if name == "han" else 1.0) for name, number in counts.items()}
    if weighted.get("kana", 0.0) > 0.2 * weighted.get("han", 0.0) and "kana" in weighted:
        return "kana"
    if weighted.get("han", 0.0) >= 0.25 * sum(weighted.values()):
        return "han"
    return max(weighted, key=lambda name: weighted[name])


def welcome_scripts(question: str) -> frozenset[str]:
    """Return the scripts that the question uses or whose language it names."""
    counts = script_counts(question)
    welcome = {name for name, number in counts.items() if name and (name != "latin" or number >= 40)}
    welcome.add(_main_of(counts))
    lowered = question.lower()
    for pattern, scripts in _LANGUAGES:
        if re.search(pattern, lowered):
            welcome.update(scripts)
    if "kana" in welcome:
        welcome.add("han")
    return frozenset(welcome)


class Drift:
    """Feed it pieces; it yields findings of kind "drift"."""

    __slots__ = ("_foreign", "_foreign_at", "_question", "_said", "_strange", "_welcome", "expected")

    def __init__(self, question: str) -> None:
        self._question = question
        self.expected = main_script(question)
        self._welcome = welcome_scripts(question)
        self._foreign = 0.0
        self._foreign_at = 0
        self._strange: Counter[str] = Counter()
        self._said: dict[str, str] = {}

    def read(self, piece: TextPiece) -> Iterator[GuardFinding]:
        """Read one piece."""
        if piece.fence or piece.is_fence or piece.is_table or piece.is_code:
            return
        text = _SKIPPED.sub(" ", piece.text)
        if not self.expected:
            # no question to go by: the answer's own beginning says the language
            self.expected = main_script(text)
            self._welcome |= {self.expected} | ({"han"} if self.expected == "kana" else set())
            return
        yield from self._strange_letters(text, piece)
        yield from self._other_language(text, piece)

    def _strange_letters(self, text: str, piece: TextPiece) -> Iterator[GuardFinding]:
        counts = Counter(map(script_of, text)) if not text.isascii() else Counter[str]()
        for script in counts:
            if script not in _STRANGE or script in self._welcome or counts[script] < 2:
                continue
            if script == "greek" and counts[script] < 8:
                continue  # formulas
            self._strange[script] += counts[script]
            level: EventLevel = "warn" if self._strange[script] >= 4 else "note"
            if self._strange[script] >= SEVERE_WEIGHT:
                level = "stop"
            if self._louder(script, level):
                sample = "".join(c for c in text if script_of(c) == script)[:20]
                yield GuardFinding(
                    "drift", level, piece.end, self._data(piece.start, script) | {"sample": sample}
                )

    def _other_language(self, text: str, piece: TextPiece) -> Iterator[GuardFinding]:
        if self.expected in ("han", "kana") and "latin" not in self._welcome:
            weight, script = _english_weight(text), "latin"
        elif self.expected not in ("han", "kana") and "han" not in self._welcome:
            weight, script = _chinese_weight(text), "han"
        else:
            return
        if weight == 0.0:
            if any(script_of(c) == self.expected for c in text):
                self._foreign = 0.0
            return
        if self._foreign == 0.0:
            self._foreign_at = piece.start
        self._foreign += weight
        level: EventLevel = "stop" if self._foreign >= SEVERE_WEIGHT else "warn"
        if self._louder(script, level):
            sample = " ".join(text.split())[:60]
            data = self._data(self._foreign_at, script) | {"sample": sample}
            yield GuardFinding("drift", level, piece.end, data)

    def _louder(self, script: str, level: str) -> bool:
        order = ("", "note", "warn", "stop")
        if order.index(level) <= order.index(self._said.get(script, "")):
            return False
        self._said[script] = level
        return True

    def _data(self, start: int, script: str) -> dict[str, object]:
        return {"start": start, "script": script, "expected": self.expected}


def _english_weight(text: str) -> float:
    """Return the letters of an English sentence, 0 when it is not one (names and terms are not)."""
    if any(script_of(char) == "han" for char in text):
        # a sentence that mixes both drifts only where English runs on without a Chinese character
        runs = re.split(r"[\u2e80-\u9fff]+", text)
        text = max(runs, key=len)
    words = _LATIN_WORD.findall(text)
    if len(words) < MIN_WORDS:
        return 0.0
    function_words = sum(word in _FUNCTION_WORDS for word in words)
    return float(sum(map(len, words))) if function_words >= 3 and function_words >= 0.15 * len(words) else 0.0


def _chinese_weight(text: str) -> float:
    if text.isascii():
        return 0.0
    han = sum(1 for char in text if script_of(char) == "han")
    return HAN_WEIGHT * han if han >= MIN_HAN else 0.0
