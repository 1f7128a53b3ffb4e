"""What a later section must know of the earlier ones: a running summary and the terms in use.

Both are taken from the text itself, so they cost no request, are the same every time and cannot
say what the text does not. Their size is bounded, however long the text is.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from twokeys.core.writer.budget import LengthEstimator
from twokeys.core.writer.prose import first_sentence

SUMMARY_CHARS = {"zh": 64, "en": 150}
MAX_TERMS = 16
OFTEN, OFTEN_HAN, OFTEN_WORD = 4, 4, 5
"""How often a name, a run of Chinese characters and an English word must come to be a term."""

STEP = 6
"""A summary that is full forgets so many lines at once: its beginning, and what the engine's prompt
cache holds of it, stays the same for as many sections."""

_HAN = re.compile(r"[\u4e00-\u9fff]{2,}")
_LATIN = re.compile(
    r"(?<![A-Za-z0-9])[A-Z][A-Za-z0-9]*[A-Z0-9](?:[A-Za-z0-9+-]*[A-Za-z0-9+])?(?![A-Za-z0-9])"
)
_PHRASE = re.compile(r"(?<![A-Za-z0-9])[A-Z][a-z]+(?:[ -][A-Z][a-z]+)+(?![A-Za-z0-9])")
_QUOTED = re.compile(r"[《「“]([^》」”\n]{2,16})[》」”]|\*\*([^*\n]{2,24})\*\*")
_WORD = re.compile(r"[a-z][a-z-]{3,}")
_STOP_HAN = set(
    "的了是在和与或及而但对于从到为以其这那此该之也都就还更很将会能可需要应让使被把由因所如若等个种些每各一二三不没有我你他她它们着过来去上下中里外后前时"
)
_STOP_WORDS = frozenset(
    re.findall(
        r"\S+",
        """
        this that with from have been they their there these those which while when what will would could
        should also into more most such than then them some only other about between through during because
        however where being both each very much many make made like well even over after before under upon
        your using used can't does doing within without across among often important ensure ensures provide
        provides help helps including include includes example another different way ways need needs part
        best take good
        """,
    )
)


@dataclass(frozen=True, slots=True)
class WrittenSection:
    """A section that is written: its number, title and text."""

    number: str
    title: str
    text: str


def running_summary(
    sections: Sequence[WrittenSection], language: str, estimator: LengthEstimator, tokens: int
) -> str:
    """Return a line for each written section, the nearest first to be kept, within `tokens`.

    sections: in the order of the text. The lines are in that order too; those far back that do not fit
    are left to the list of chapters, STEP of them at once.
    """
    lines = []
    for section in sections:
        if sentence := _first_sentence(section.text, SUMMARY_CHARS[language]):
            lines.append(f"- {section.number} {section.title}{'：' if language == 'zh' else ': '}{sentence}")
    first, cost = len(lines), 0
    while first and (cost := cost + estimator.tokens(lines[first - 1]) + 1) <= tokens:
        first -= 1
    stepped = -(-first // STEP) * STEP
    return "\n".join(lines[stepped if stepped < len(lines) else first :])


_first_sentence = lru_cache(maxsize=512)(first_sentence)


class TermIndex:
    """Counts the terms of texts; goes on from those it counted last, so a text more costs only itself."""

    def __init__(self, language: str) -> None:
        self._language = language
        self._texts: Counter[str] = Counter()
        self._names: Counter[str] = Counter()
        self._words: Counter[str] = Counter()
        self._often: dict[str, int] = {}
        """Of the words those that came often enough to be a term."""
        self._enough = OFTEN_HAN if language == "zh" else OFTEN_WORD

    def of(self, texts: Sequence[str], limit: int = MAX_TERMS) -> tuple[str, ...]:
        """Return names and terms that the texts use again and again, the most used first."""
        wanted = Counter(texts)
        for text, count in (wanted - self._texts).items():
            self._count(text, count)
        for text, count in (self._texts - wanted).items():
            self._count(text, -count)
        self._texts = wanted
        counts = Counter(self._names)
        counts.update(_whole(self._often) if self._language == "zh" else self._often)
        terms: list[str] = []
        for term, count in sorted(
            counts.items(), key=lambda item: (-item[1] * min(len(item[0]), 8), item[0])
        ):
            if count < OFTEN or len(terms) == limit:
                continue
            if not any(term in other or other in term for other in terms):
                terms.append(term)
        return tuple(terms)

    def _count(self, text: str, times: int) -> None:
        for term, count in _names(text).items():
            self._names[term] += times * count
            if not self._names[term]:
                del self._names[term]
        words = _han_runs(text) if self._language == "zh" else _words(text)
        for word, count in words.items():
            self._words[word] = total = self._words[word] + times * count
            if total >= self._enough:
                self._often[word] = total
            else:
                self._often.pop(word, None)
            if not total:
                del self._words[word]


def _names(text: str) -> Counter[str]:
    """Names and quoted or bold terms; each counts twice."""
    counts: Counter[str] = Counter()
    for name in _LATIN.findall(text) + _PHRASE.findall(text):
        counts[name] += 2
    for quoted, bold in _QUOTED.findall(text):
        counts[(quoted or bold).strip("：: ")] += 2
    return counts


def _han_runs(text: str) -> Counter[str]:
    """Runs of 2–6 characters that begin and end with a character that can be part of a term."""
    counts: Counter[str] = Counter()
    for run in _HAN.findall(text):
        for size in range(2, 7):
            for at in range(len(run) - size + 1):
                gram = run[at : at + size]
                if gram[0] not in _STOP_HAN and gram[-1] not in _STOP_HAN:
                    counts[gram] += 1
    return counts


def _whole(often: Mapping[str, int]) -> dict[str, int]:
    """Leave out the runs that are part of a longer run that comes as often."""
    inner: set[str] = set()
    for gram, count in often.items():
        for part in (gram[1:], gram[:-1]):
            if often.get(part, 0) <= count * 1.25:
                inner.add(part)
    return {gram: count for gram, count in often.items() if gram not in inner}


def _words(text: str) -> Counter[str]:
    return Counter(word for word in _WORD.findall(text.lower()) if word not in _STOP_WORDS)


def relevant_notes(notes: str, question: str, estimator: LengthEstimator, tokens: int) -> str:
    """Return the paragraphs of the author's notes that share most words with a question."""
    paragraphs = [p.strip() for p in re.split(r"\n\s*\n|\n(?=#)", notes) if len(p.strip()) > 3]
    if not paragraphs or tokens < 16:
        return ""
    asked = _shingles(question)
    scored = sorted(
        ((len(asked & _shingles(p)) / (len(p) ** 0.5), -i, p) for i, p in enumerate(paragraphs)), reverse=True
    )
    chosen: list[tuple[int, str]] = []
    left = tokens
    for score, place, paragraph in scored:
        if left < 16 or (score == 0 and chosen):
            break
        piece = estimator.clip(paragraph, left)
        chosen.append((-place, piece))
        left -= estimator.tokens(piece) + 1
    return "\n".join(piece for _, piece in sorted(chosen))


def _shingles(text: str) -> set[str]:
    lowered = text.lower()
    han = {run[i : i + 2] for run in _HAN.findall(lowered) for i in range(len(run) - 1)}
    return han | {word for word in _WORD.findall(lowered) if word not in _STOP_WORDS}
