"""Pairs of answers that a person judges blind, and what the votes say of claim C11.

The answers are those of the study "reading-role": the same request once at 0.1 and once with a role at 0.55.
Which of the two is shown as A is drawn once per reading and told only after the last vote. A sign test over
all pairs decides; ties are left out of it. There is no verdict before the last pair, so that nobody stops at
a moment that suits. Knows no screen.
"""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from twokeys.core.study.claims import ClaimResult, ClaimVerdict
from twokeys.core.study.study import Study, shipped_group
from twokeys.errors import BadInput, Reason
from twokeys.types import StoredDocument

STUDY = "reading-role"
PLAIN, ROLE = "plain 0.1", "role 0.55"
PAIRS = 20
FEWEST_VOTES = 8
"""Fewer votes for one of the two give no verdict."""
ALPHA = 0.05

Choice = Literal["a", "b", "tie"]
CHOICES: tuple[Choice, ...] = ("a", "b", "tie")


@dataclass(frozen=True, slots=True)
class BlindPair:
    """Two answers to one request. role_first: A is the one with the role; not to be shown before the end."""

    prompt: str
    request: str
    a: str
    b: str
    role_first: bool


@dataclass(frozen=True, slots=True)
class Tally:
    """How the votes stand: for the one with the role, for the other, for neither."""

    role: int
    plain: int
    ties: int

    @property
    def p(self) -> float:
        """Of the two-sided sign test that neither is preferred; ties are left out."""
        return sign_p(self.role, self.plain)

    @property
    def verdict(self) -> ClaimVerdict:
        if self.role + self.plain < FEWEST_VOTES or self.p >= ALPHA:
            return "undecided"
        return "confirmed" if self.role > self.plain else "refuted"


@dataclass(frozen=True, slots=True)
class BlindReading:
    """The pairs of one study and the votes given so far, in the order of the pairs."""

    study_id: str
    model: str
    pairs: tuple[BlindPair, ...]
    votes: tuple[Choice, ...]

    @property
    def complete(self) -> bool:
        return bool(self.pairs) and len(self.votes) >= len(self.pairs)

    @property
    def tally(self) -> Tally:
        """Count the votes by what was hidden."""
        given = [
            "tie" if vote == "tie" else "role" if (vote == "a") == pair.role_first else "plain"
            for pair, vote in zip(self.pairs, self.votes, strict=False)
        ]
        return Tally(given.count("role"), given.count("plain"), given.count("tie"))

    def claim(self) -> ClaimResult:
        """Return the row of C11; meant for a complete reading."""
        tally = self.tally
        decided = tally.role + tally.plain
        values = {
            "how": "read",
            "role": tally.role,
            "plain": tally.plain,
            "ties": tally.ties,
            "pairs": len(self.pairs),
            "p": f"{tally.p:.2g}",
        }
        share = tally.role / decided if decided else None
        low, high = _wilson(tally.role, decided) if decided else (None, None)
        return ClaimResult(
            "C11", self.model, tally.verdict, share, low, high, "share", STUDY, 2 * len(self.pairs), values
        )


class ReadingStore(Protocol):
    """Where the studies are: their documents and the rows of their texts."""

    def get(self, document_id: str) -> StoredDocument: ...

    def update(
        self, document_id: str, *, title: str | None = None, data: Mapping[str, object] | None = None
    ) -> StoredDocument: ...

    def row_values(self, document_id: str, prefix: str) -> Sequence[Mapping[str, Any]]: ...


class BlindReadings:
    """The readings of one home; votes are kept with the study whose answers are read.

    newest: returns the id and the model of the newest finished study to be read (of a model).
    """

    def __init__(self, store: ReadingStore, newest: Callable[[str | None], tuple[str, str] | None]) -> None:
        self._store = store
        self._newest = newest

    def study(self, language: str) -> Study:
        """Return the study whose answers are read, in "zh" or "en"."""
        return shipped_group(STUDY, language)[0]

    def of(self, model: str | None) -> BlindReading | None:
        """Return the reading of the newest finished study (of a model); None without one."""
        newest = self._newest(model)
        return None if newest is None else self._reading(*newest)

    def vote(self, study_id: str, number: int, vote: Choice) -> BlindReading:
        """Store which of a pair reads better; number: of the pair, from 0.

        An earlier vote may be changed until the last one is given. Raises NotFound, and BadInput for a vote
        out of turn, of no pair, or after the end.
        """
        document = self._store.get(study_id)
        reading = self._reading(study_id, str(document.data.get("model", "")))
        if vote not in CHOICES or not 0 <= number <= len(reading.votes) or reading.complete:
            raise BadInput(reason=Reason("lab.reading.out_of_turn"))
        votes = [*reading.votes[:number], vote, *reading.votes[number + 1 :]]
        stored = dict(self._store.get(study_id).data)
        self._store.update(study_id, data={**stored, "reading": {**stored["reading"], "votes": votes}})
        return BlindReading(study_id, reading.model, reading.pairs, tuple(votes))

    def _reading(self, study_id: str, model: str) -> BlindReading:
        """Return a study's reading; what is shown as A is drawn at the first time and kept."""
        data = dict(self._store.get(study_id).data)
        if "reading" not in data:
            data["reading"] = {"seed": random.SystemRandom().randrange(2**31), "votes": []}
            self._store.update(study_id, data=data)
        stored = data["reading"]
        rows = self._store.row_values(study_id, "t/")
        pairs = make_pairs(Study.from_dict(data["study"]), rows, int(stored["seed"]))
        return BlindReading(study_id, model, pairs, tuple(stored["votes"]))


def make_pairs(study: Study, rows: Sequence[Mapping[str, Any]], seed: int) -> tuple[BlindPair, ...]:
    """Return up to PAIRS pairs, one per request, in a random order and with random sides.

    rows: of the texts. Answers that failed, are empty or are the same in both cells make no pair.
    """
    cells = {cell.name: place for place, cell in enumerate(study.cells)}
    texts = {
        (row["c"], row["p"]): str(row["text"]).strip()
        for row in rows
        if row["s"] == 0 and not row.get("error")
    }
    rng = random.Random(seed)
    places = list(range(len(study.prompts)))
    rng.shuffle(places)
    pairs: list[BlindPair] = []
    for place in places:
        plain, role = texts.get((cells[PLAIN], place), ""), texts.get((cells[ROLE], place), "")
        first = rng.random() < 0.5
        if plain and role and plain != role and len(pairs) < PAIRS:
            prompt = study.prompts[place]
            a, b = (role, plain) if first else (plain, role)
            pairs.append(BlindPair(prompt.id, prompt.text, a, b, first))
    return tuple(pairs)


def sign_p(first: int, second: int) -> float:
    """Return the two-sided p of the sign test that both are as likely; 1.0 without votes."""
    n, k = first + second, max(first, second)
    tail = math.ldexp(math.fsum(math.comb(n, i) for i in range(k, n + 1)), -n)
    return min(1.0, 2.0 * tail)


def _wilson(count: int, n: int) -> tuple[float, float]:
    from twokeys.core import stats

    low, high = stats.wilson_interval(count, n)
    return float(low), float(high)
