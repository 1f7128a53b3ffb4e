"""What a later section must know of the earlier ones: a running summary and the terms in use.

Both are taken from the text itself, so they cost no request, are the same every time and cannot
say what the text does not. Their size is bounded, however long the text is.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from twokeys.core.writer.budget import LengthEstimator
from twokeys.core.writer.prose import first_sentence

SUMMARY_CHARS = {"zh": 64, "en": 150}
MAX_TERMS = 16
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
    told: Sequence[WrittenSection], language: str, estimator: LengthEstimator, tokens: int
) -> str:
    """Return a line for each written section, the nearest first to be kept, within `tokens`.

    told: in the order of the text. The lines are in that order too; those far back that do not fit
    are left to the list of chapters, STEP of them at once.
    """
    lines = []
    for one in told:
        if said := first_sentence(one.text, SUMMARY_CHARS[language]):
            lines.append(f"- {one.number} {one.title}{'：' if language == 'zh' else ': '}{said}")
    first, cost = len(lines), 0
    while first and (cost := cost + estimator.tokens(lines[first - 1]) + 1) <= tokens:
        first -= 1
    stepped = -(-first // STEP) * STEP
    return "\n".join(lines[stepped if stepped < len(lines) else first :])


def terms_in_use(texts: Sequence[str], language: str, limit: int = MAX_TERMS) -> tuple[str, ...]:
    """Return names and terms that the texts use again and again, the most used first."""
    joined = "\n".join(texts)
    counts: Counter[str] = Counter()
    for found in _LATIN.findall(joined) + _PHRASE.findall(joined):
        counts[found] += 2
    for quoted, bold in _QUOTED.findall(joined):
        counts[(quoted or bold).strip("：: ")] += 2
    counts.update(_han_terms(joined) if language == "zh" else _words(joined))
    kept: list[str] = []
    for term, count in sorted(counts.items(), key=lambda item: (-item[1] * min(len(item[0]), 8), item[0])):
        if count < 4 or len(kept) == limit:
            continue
        if not any(term in other or other in term for other in kept):
            kept.append(term)
    return tuple(kept)


def _han_terms(text: str) -> Counter[str]:
    """Runs of 2–6 characters that come often and are not part of a longer run that comes as often."""
    counts: Counter[str] = Counter()
    for run in _HAN.findall(text):
        for size in range(2, 7):
            for at in range(len(run) - size + 1):
                gram = run[at : at + size]
                if gram[0] not in _STOP_HAN and gram[-1] not in _STOP_HAN:
                    counts[gram] += 1
    often = {gram: count for gram, count in counts.items() if count >= 4}
    inner: set[str] = set()
    for gram, count in often.items():
        for part in (gram[1:], gram[:-1]):
            if often.get(part, 0) <= count * 1.25:
                inner.add(part)
    return Counter({gram: count for gram, count in often.items() if gram not in inner})


def _words(text: str) -> Counter[str]:
    words = Counter(word for word in _WORD.findall(text.lower()) if word not in _STOP_WORDS)
    return Counter({word: count for word, count in words.items() if count >= 5})


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
