"""Studies on 1 to 1000 engines and a team's chat on 1 to 64 cards, simulated from measured times.

    python benchmarks/scale.py [--rows-per-s 65] [--json OUT]

Nothing runs but this program: no engine, no network. What goes in is measured (benchmarks/cluster.py: answers
that one driver stores) or from a named source (docs/scale.md lists both); what comes out is what those times
would add up to. Draws follow a seed, so a figure comes out again. tests/scale holds the simulation to known
results of queueing theory.
"""

import argparse
import heapq
import itertools
import json
import math
import random
import statistics
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Draw = Callable[[random.Random], float]


def exactly(value: float) -> Draw:
    """Return a draw that is always the same."""
    return lambda _random: value


def exponential(mean: float) -> Draw:
    return lambda source: source.expovariate(1 / mean)


def spread_about(mean: float, variation: float) -> Draw:
    """Return a log-normal draw; variation: standard deviation over mean."""
    sigma = math.sqrt(math.log(1 + variation**2))
    centre = math.log(mean) - sigma**2 / 2
    return lambda source: source.lognormvariate(centre, sigma)


# ---- a team's chat -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Card:
    """One card with a server that batches. slots: answers at once. step_s, more_s: seconds of one step for
    all of them, alone and for each further answer. reads_tok_per_s: prompt tokens read a second, while
    nothing is written."""

    slots: int
    step_s: float
    more_s: float = 0.0
    reads_tok_per_s: float = math.inf

    def step(self, answers: int) -> float:
        """Return the seconds in which each of so many answers gets a token."""
        return self.step_s + self.more_s * (answers - 1)


@dataclass(slots=True)
class Request:
    """One question and its answer. Times in seconds; tokens may be fractions, as a theory's are."""

    person: int
    asked_s: float
    prompt: float
    tokens: float
    admitted_s: float = 0.0
    first_s: float = 0.0
    done_s: float = 0.0


@dataclass(slots=True)
class Server:
    """A card at work: who waits, whose prompt is read, who is written for. reading comes first."""

    card: Card
    waiting: deque[Request] = field(default_factory=deque)
    reading: deque[Request] = field(default_factory=deque)
    writing: list[tuple[float, int, Request]] = field(default_factory=list)
    clock: float = 0.0
    tokens: float = 0.0
    read_until: float = 0.0
    version: int = 0
    count: int = 0

    @property
    def load(self) -> int:
        return len(self.waiting) + len(self.reading) + len(self.writing)

    def advance(self, now: float) -> None:
        """Bring what is written up to now; while a prompt is read nothing is."""
        if self.writing and not self.reading:
            self.tokens += (now - self.clock) / self.card.step(len(self.writing))
        self.clock = now

    def admit(self, now: float) -> None:
        """Begin what there is a slot for. Call after `advance`."""
        while self.waiting and len(self.reading) + len(self.writing) < self.card.slots:
            request = self.waiting.popleft()
            request.admitted_s = now
            if math.isinf(self.card.reads_tok_per_s):
                self._write(request, now)
                continue
            if not self.reading:
                self.read_until = now + request.prompt / self.card.reads_tok_per_s
            self.reading.append(request)

    def next_event(self) -> float:
        """Return when something ends here; infinite when nothing is under way."""
        if self.reading:
            return self.read_until
        if self.writing:
            left = self.writing[0][0] - self.tokens
            return self.clock + max(0.0, left) * self.card.step(len(self.writing))
        return math.inf

    def end_next(self, now: float) -> Request | None:
        """Do what is due; return an answer that ended. Call after `advance`."""
        if self.reading:
            self._write(self.reading.popleft(), now)
            if self.reading:
                self.read_until = now + self.reading[0].prompt / self.card.reads_tok_per_s
            return None
        _, _, request = heapq.heappop(self.writing)
        request.done_s = now
        return request

    def _write(self, request: Request, now: float) -> None:
        self.count += 1
        heapq.heappush(self.writing, (self.tokens + request.tokens, self.count, request))
        request.first_s = now + self.card.step(len(self.writing))


@dataclass(frozen=True, slots=True)
class Talk:
    """How people ask. people: who think between answers; at 0 questions arrive by themselves, arrivals_per_s
    of them. think_s: between an answer and the next question. prompt, tokens: read and written."""

    prompt: Draw
    tokens: Draw
    think_s: Draw = field(default=lambda _random: 0.0)
    people: int = 0
    arrivals_per_s: float = 0.0


def chat(talk: Talk, cards: list[Card], questions: int, seed: int = 1, warm_up: float = 0.1) -> list[Request]:
    """Return the answered questions in the order of their ends, without the first share `warm_up` of them.

    A question goes to the card with the fewest, as a balancer by open connections does.
    """
    source = random.Random(seed)
    servers = [Server(card) for card in cards]
    events: list[tuple[float, int, str, int, int]] = []
    order = iter(range(1 << 62))

    def at(when: float, kind: str, which: int, version: int = 0) -> None:
        heapq.heappush(events, (when, next(order), kind, which, version))

    for person in range(talk.people):
        at(talk.think_s(source) * source.random(), "ask", person)
    if not talk.people:
        at(source.expovariate(talk.arrivals_per_s), "ask", 0)
    answered: list[Request] = []
    while len(answered) < questions:
        now, _, kind, which, version = heapq.heappop(events)
        if kind == "ask":
            place = min(range(len(servers)), key=lambda number: servers[number].load)
            server = servers[place]
            server.advance(now)
            server.waiting.append(Request(which, now, talk.prompt(source), talk.tokens(source)))
            if not talk.people:
                at(now + source.expovariate(talk.arrivals_per_s), "ask", 0)
        else:
            place, server = which, servers[which]
            if version != server.version:
                continue
            server.advance(now)
            ended = server.end_next(now)
            if ended is not None:
                answered.append(ended)
                if talk.people:
                    at(now + talk.think_s(source), "ask", ended.person)
        server.admit(now)
        server.version += 1
        due = server.next_event()
        if due < math.inf:
            at(due, "end", place, server.version)
    return answered[int(questions * warm_up) :]


def quantile(values: list[float], share: float) -> float:
    """Return the value that so large a share of them does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)]


def first_token_p95(requests: list[Request]) -> float:
    """Return the 95th percentile of the time from a question to its answer's first token, seconds."""
    return quantile([request.first_s - request.asked_s for request in requests], 0.95)


def cards_needed(talk: Talk, card: Card, limit_s: float, questions: int, most: int = 64) -> int | None:
    """Return the fewest cards that keep the 95th percentile within the limit; None when `most` do not."""
    for count in range(1, most + 1):
        if first_token_p95(chat(talk, [card] * count, questions)) <= limit_s:
            return count
    return None


# ---- a study on many engines ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StudyRun:
    """What a study came to. seconds: until the last answer was stored; lost: answers written for nothing."""

    seconds: float
    answers: int
    lost: int

    @property
    def per_s(self) -> float:
        return self.answers / self.seconds


def study(
    engines: int,
    blocks: int,
    block_answers: int,
    answer_s: Draw,
    store_s: float,
    *,
    failures_per_s: float = 0.0,
    back_s: float = 30.0,
    seed: int = 1,
) -> StudyRun:
    """Return how a study goes: blocks go whole to engines, and the one driver stores each answer.

    store_s: the driver's own seconds for an answer, one after the other. failures_per_s: of one engine; a
    failure loses its block so far, which another writes from the start, and back_s later the engine is there
    again.
    """
    source = random.Random(seed)
    waiting, written, lost, driver_s = blocks, 0, 0, 0.0

    def next_failure(now: float) -> float:
        return now + source.expovariate(failures_per_s) if failures_per_s else math.inf

    fails = [next_failure(0.0) for _ in range(engines)]
    events = [(0.0, "free", number, 0) for number in range(engines)]
    idle: list[int] = []
    while written < blocks * block_answers:
        now, kind, number, done = heapq.heappop(events)
        if kind == "failed":
            lost += done + 1
            waiting += 1
            fails[number] = next_failure(now + back_s)
            heapq.heappush(events, (now + back_s, "free", number, 0))
            while idle:
                heapq.heappush(events, (now, "free", idle.pop(), 0))
            continue
        if kind == "written":
            now = driver_s = max(driver_s, now) + store_s
            done += 1
            if done == block_answers:
                written, done = written + done, 0
        if done == 0:
            if not waiting:
                idle.append(number)
                continue
            waiting -= 1
        fails[number] = fails[number] if fails[number] > now else next_failure(now)
        ends = now + answer_s(source)
        event = "written" if ends <= fails[number] else "failed"
        heapq.heappush(events, (min(ends, fails[number]), event, number, done))
    return StudyRun(driver_s, written, lost)


# ---- the figures of docs/scale.md ----------------------------------------------------------------

A6000 = Card(slots=256, step_s=0.0219, more_s=0.000122, reads_tok_per_s=4000.0)
"""Steps fitted to a published run of Qwen2.5-7B-Instruct on vLLM; reading computed. See docs/scale.md."""

TEAM = (1, 5, 10, 25, 50, 100, 250, 500)
ENGINES = (1, 3, 10, 30, 100, 300, 1000)


THINKS_S = {"a minute": 60.0, "ten seconds": 10.0}
READS = {"all 1500 tokens": 1500.0, "150 new tokens": 150.0}
"""What a card has to read of a question's prompt: everything, or what its prefix cache lacks."""


def talk_of(people: int, thinks_s: float, reads: float) -> Talk:
    """Return a team that asks again so long after an answer; answers have 300 tokens on average."""
    return Talk(spread_about(reads, 0.6), spread_about(300, 0.6), exponential(thinks_s), people)


def chat_rows(questions: int) -> list[dict[str, Any]]:
    rows = []
    for (thinks, thinks_s), (reads, tokens) in itertools.product(THINKS_S.items(), READS.items()):
        for people in TEAM:
            talk, asked = talk_of(people, thinks_s, tokens), max(questions, people * 8)
            alone = chat(talk, [A6000], asked)
            seconds = max(request.done_s for request in alone) - min(request.done_s for request in alone)
            writing = [request.tokens / (request.done_s - request.first_s) for request in alone
                       if request.done_s > request.first_s]  # fmt: skip
            rows.append(
                {
                    "thinks": thinks,
                    "reads": reads,
                    "people": people,
                    "p95_first_s": first_token_p95(alone),
                    "tok_per_s": sum(request.tokens for request in alone) / seconds,
                    "each_tok_per_s": statistics.median(writing),
                    "cards": cards_needed(talk, A6000, 1.0, asked),
                }
            )
    return rows


def study_rows(rows_per_s: float) -> list[dict[str, Any]]:
    """A study of 2000 prompts, 3 cells, 2 seeds: 12 000 answers of about 5 s each."""
    rows = []
    for engines in ENGINES:
        run = study(engines, 2000, 6, spread_about(5.0, 0.5), 1 / rows_per_s)
        rows.append({"engines": engines, "per_s": run.per_s, "of_ideal": run.per_s / (engines / 5.0)})
    return rows


def block_rows(rows_per_s: float) -> list[dict[str, Any]]:
    """12 000 answers on 100 engines that each fail once an hour, in blocks of 2 to 120 answers."""
    rows = []
    for block in (2, 6, 24, 120):
        runs = {
            failing: study(100, 12_000 // block, block, spread_about(5.0, 0.5), 1 / rows_per_s,
                           failures_per_s=failing)
            for failing in (0.0, 1 / 3600)
        }  # fmt: skip
        lossy = runs[1 / 3600]
        rows.append(
            {
                "block": block,
                "per_s": runs[0.0].per_s,
                "per_s_failing": lossy.per_s,
                "lost_share": lossy.lost / (lossy.answers + lossy.lost),
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows-per-s", type=float, default=65.0, help="answers one driver stores a second")
    parser.add_argument("--questions", type=int, default=2000)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    result = {
        "rows_per_s": asked.rows_per_s,
        "chat": chat_rows(asked.questions),
        "studies": study_rows(asked.rows_per_s),
        "blocks": block_rows(asked.rows_per_s),
    }
    for name, rows in result.items():
        if isinstance(rows, list):
            print(f"\n{name}: {' | '.join(rows[0])}")
            for row in rows:
                print(" | ".join(f"{v:.3g}" if isinstance(v, float) else str(v) for v in row.values()))
    if asked.json:
        asked.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
