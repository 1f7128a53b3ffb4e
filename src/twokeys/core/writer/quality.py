"""The quality of the whole text: its figures, what is said twice, terms written in two ways. Pure functions.

Sentences are alike when they share most of their runs of three tokens (Jaccard ≥ NEAR). Says where;
changes nothing.
"""

import re
import threading
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from twokeys.core.metrics import length_score, ngrams, text_tokens
from twokeys.core.writer.project import Project
from twokeys.core.writer.prose import sentences

NEAR = 0.75
SHORTEST = 9
"""Sentences of fewer tokens are alike by chance."""

REP_N = {"zh": 8, "en": 4}
"""n of the n-grams that count as repeated: characters in Chinese, words in English."""

CHINESE_VARIANTS = (
    ("账号", "帐号"),
    ("登录", "登陆"),
    ("阈值", "阀值"),
    ("其他", "其它"),
    ("图像", "图象"),
    ("人工智能", "人工智慧"),
    ("视频", "影片"),
    ("大语言模型", "大型语言模型"),
    ("用户", "使用者"),
    ("算法", "演算法"),
)
_LATIN = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[-–.][A-Za-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class TextSpan:
    """A stretch of a section's text."""

    section: str
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class RepeatedSentence:
    """A sentence that was said before. similarity: 0…1."""

    place: TextSpan
    before: TextSpan
    similarity: float


@dataclass(frozen=True, slots=True)
class Variants:
    """One term written in several ways: spellings with their counts and sections, the most used first."""

    spellings: tuple[tuple[str, int, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class SectionQuality:
    """length, asked and score (F10) of a section; repeated: share of its n-grams that stood in
    earlier sections; inner: rep-n within it."""

    section: str
    asked: int
    length: int
    score: float
    repeated: float
    inner: float


@dataclass(frozen=True, slots=True)
class Quality:
    """Figures of the whole. asked: the project's length, whatever was left out or is not written yet.
    rep_n: 1 − unique / all n-grams of the whole text (F11), n in `n`."""

    asked: int
    length: int
    score: float
    rep_n: float
    n: int
    sections: tuple[SectionQuality, ...]

    def length_of(self, sections: Collection[str]) -> tuple[int, int]:
        """Return the length asked for, and that which is there, of some sections taken together."""
        rows = [row for row in self.sections if row.section in sections]
        return sum(row.asked for row in rows), sum(row.length for row in rows)

    def score_of(self, sections: Collection[str]) -> float | None:
        """Return the length score (F10) of some sections taken together; None when there are none."""
        asked, length = self.length_of(sections)
        return length_score(asked, length) if asked > 0 and length > 0 else None

    def to_dict(self) -> dict[str, object]:
        """Return the figures of the whole; those of a section follow from its text."""
        return {
            "asked": self.asked,
            "length": self.length,
            "score": round(self.score, 1),
            "rep_n": round(self.rep_n, 4),
            "n": self.n,
        }


def find_repeated(texts: Sequence[tuple[str, str]]) -> list[RepeatedSentence]:
    """Return the sentences that say nearly the same as an earlier one; texts: (section, text) in order."""
    index: dict[tuple[str, ...], list[int]] = defaultdict(list)
    earlier: list[tuple[TextSpan, set[tuple[str, ...]]]] = []
    repeated: list[RepeatedSentence] = []
    for section, text in texts:
        for sentence in sentences(text):
            tokens = [token for token in text_tokens(sentence.text) if token[0].isalnum()]
            if len(tokens) < SHORTEST:
                continue
            grams = set(ngrams(tokens, 3))
            place = TextSpan(section, sentence.start, sentence.end, sentence.text)
            shared = Counter(number for gram in grams for number in index.get(gram, ()))
            best: tuple[float, int] = (0.0, -1)
            for number, count in shared.most_common(8):
                best = max(best, (count / (len(grams) + len(earlier[number][1]) - count), number))
            if best[0] >= NEAR:
                repeated.append(RepeatedSentence(place, earlier[best[1]][0], best[0]))
                continue
            for gram in grams:
                if len(index[gram]) < 32:
                    index[gram].append(len(earlier))
            earlier.append((place, grams))
    return repeated


def find_variants(texts: Sequence[tuple[str, str]], language: str) -> list[Variants]:
    """Return terms that are written in more than one way: case, hyphens, known Chinese doublets."""
    groups: dict[str, Counter[str]] = defaultdict(Counter)
    where: dict[str, set[str]] = defaultdict(set)
    for section, text in texts:
        for match in _LATIN.finditer(text):
            word = match.group()
            if len(word) < 3 or _begins_sentence(text, match.start()):
                continue
            groups[re.sub(r"[-–.]", "", word).lower()][word] += 1
            where[word].add(section)
    variants = [group for group in groups.values() if len(group) > 1]
    if language == "zh":
        for pair in CHINESE_VARIANTS:
            counts: Counter[str] = Counter()
            for section, text in texts:
                for spelling in pair:
                    longer = [other for other in pair if spelling in other and other != spelling]
                    number = text.count(spelling) - sum(text.count(other) for other in longer)
                    if number > 0:
                        counts[spelling] += number
                        where[spelling].add(section)
            if len(counts) > 1:
                variants.append(counts)
    order = [section for section, _ in texts]
    return [
        Variants(
            tuple(
                (spelling, count, tuple(place for place in order if place in where[spelling]))
                for spelling, count in group.most_common()
            )
        )
        for group in sorted(variants, key=lambda group: -sum(group.values()))
    ]


def _begins_sentence(text: str, at: int) -> bool:
    """A capital at a sentence's beginning says nothing of the term."""
    before = text[:at].rstrip(" \"'“‘(*-")
    return not before or before[-1] in ".!?。！？\n:：" or text[:at].endswith(("\n", "**"))


def measure(project: Project, asked: Mapping[str, int], texts: Sequence[tuple[str, str]]) -> Quality:
    """Return the figures of the whole and of every section. asked: the length of each section."""
    return QualityMeter(project.language).read(project, asked, texts)


@dataclass(frozen=True, slots=True)
class _Measured:
    """A section that was read. first_seen, crossing: hashes of its n-grams that had not stood before, and of
    those that begin in the text before it. edge: the last n − 1 tokens of all that was read so far."""

    section: str
    text: str
    repeated: float
    inner: float
    tokens: int
    first_seen: tuple[int, ...]
    crossing: tuple[int, ...]
    edge: tuple[str, ...]


class QualityMeter:
    """Measures a text again and again while it grows: a section at the end costs only itself.

    A change further up costs what stands behind it. Safe to be used by several threads.
    """

    def __init__(self, language: str) -> None:
        self.language = language
        self._n = REP_N[language]
        self._measured: list[_Measured] = []
        self._seen: set[int] = set()
        self._crossing: Counter[int] = Counter()
        self._lock = threading.Lock()

    def read(self, project: Project, asked: Mapping[str, int], texts: Sequence[tuple[str, str]]) -> Quality:
        """Return the figures of the whole and of every section. asked: the length of each section."""
        with self._lock:
            self._follow(texts)
            measured, rep_n = list(self._measured), self._rep_n()
        rows = []
        for part in measured:
            length, wanted = project.length_of(part.text), asked.get(part.section, 0)
            score = length_score(wanted, length) if wanted > 0 else 0.0
            rows.append(SectionQuality(part.section, wanted, length, score, part.repeated, part.inner))
        total, wanted = sum(row.length for row in rows), project.length
        score = length_score(wanted, total) if wanted > 0 else 0.0
        return Quality(wanted, total, score, rep_n, self._n, tuple(rows))

    def _follow(self, texts: Sequence[tuple[str, str]]) -> None:
        same = 0
        for part, (section, text) in zip(self._measured, texts, strict=False):
            if (part.section, part.text) != (section, text):
                break
            same += 1
        while len(self._measured) > same:
            gone = self._measured.pop()
            self._seen.difference_update(gone.first_seen)
            self._crossing.subtract(gone.crossing)
        for section, text in texts[same:]:
            self._measured.append(self._measure(section, text))

    def _measure(self, section: str, text: str) -> _Measured:
        n = self._n
        tokens = text_tokens(text)
        grams = [hash(gram) for gram in ngrams(tokens, n)]
        unique = set(grams)
        repeated = sum(gram in self._seen for gram in grams) / len(grams) if grams else 0.0
        first_seen = tuple(unique - self._seen)
        self._seen.update(first_seen)
        before = self._measured[-1].edge if self._measured else ()
        crossing = tuple(hash(gram) for gram in ngrams([*before, *tokens[: n - 1]], n))
        self._crossing.update(crossing)
        return _Measured(
            section,
            text,
            repeated,
            1 - len(unique) / len(grams) if grams else 0.0,
            len(tokens),
            first_seen,
            crossing,
            tuple([*before, *tokens][-(n - 1) :]),
        )

    def _rep_n(self) -> float:
        """Return 1 − unique / all n-grams of the whole, those across two sections included."""
        grams = sum(part.tokens for part in self._measured) - self._n + 1
        if grams <= 0:
            return 0.0
        across = sum(count > 0 and gram not in self._seen for gram, count in self._crossing.items())
        return 1 - (len(self._seen) + across) / grams
