"""Naming the task by the model's own probabilities: the request, the reading, the doubt."""

import math
import tomllib
from pathlib import Path

from twokeys.core.advice.classify import (
    classify_request,
    guess_from,
    label_words,
    read_words,
    shares,
)
from twokeys.core.advice.tasks import TASKS
from twokeys.types import Candidate, TokenProb

LABELLED = Path(__file__).resolve().parents[3] / "benchmarks" / "data" / "advice_labelled.toml"


def probs_of(**words: float) -> TokenProb:
    """A token's probabilities as an engine tells them."""
    candidates = tuple(Candidate(text, n, math.log(p)) for n, (text, p) in enumerate(words.items()))
    return TokenProb("fact", 0, -1.0, 0, candidates)


def test_the_request_is_one_constrained_token_behind_a_fixed_beginning() -> None:
    entry, other = classify_request("Write a poem"), classify_request("你好")
    assert entry.messages[:-1] == other.messages[:-1]
    assert entry.messages[-1].content == "Write a poem"
    assert entry.sampling.max_new_tokens == 1
    assert entry.grammar is not None
    assert all(f'"{word}"' in entry.grammar for word in label_words().values())


def test_every_task_has_a_word_that_no_other_begins_with() -> None:
    words = label_words()
    assert set(words) == {task.name for task in TASKS}
    assert len({word[:3] for word in words.values()}) == len(words)


def test_no_example_stands_in_the_labelled_set() -> None:
    data = tomllib.loads(LABELLED.read_text(encoding="utf-8"))
    labelled = {text for lists in data.values() for texts in lists.values() for text in texts}
    shown = {message.content for message in classify_request("x").messages if message.role == "user"}
    assert labelled.isdisjoint(shown)


def test_a_long_message_is_read_at_its_beginning_and_end() -> None:
    content = classify_request("BEGIN" + "x" * 50_000 + "END").messages[-1].content
    assert content.startswith("BEGIN")
    assert content.endswith("END")
    assert len(content) < 1000


def test_a_piece_of_a_word_counts_for_it_unless_it_begins_several() -> None:
    words = read_words(probs_of(tr=0.4, ex=0.3, st=0.1))
    assert math.isclose(math.exp(words["translate"]), 0.4)
    assert words["exam"] == words["explain"]
    assert words["exam"] < -10


def test_the_likeliest_word_is_the_task_and_its_share_the_confidence() -> None:
    guess = guess_from(read_words(probs_of(fact=0.1, code=0.8)))
    assert guess.task is not None
    assert guess.task.name == "code"
    assert 0.85 < guess.confidence < 0.9


def test_an_even_spread_names_no_task() -> None:
    even = dict.fromkeys(label_words(), -2.0)
    assert math.isclose(sum(shares(even).values()), 1.0)
    assert guess_from(even).task is None
