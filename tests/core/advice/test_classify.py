"""Naming the task by the model's own probabilities: the request, the reading, the doubt."""

import math

from twokeys.core.advice.classify import (
    LETTERS,
    classify_request,
    guess_from,
    prior_request,
    read_letters,
    shares,
)
from twokeys.types import Candidate, ChatMessage, TokenProb


def told(**letters: float) -> TokenProb:
    """A token's probabilities as an engine tells them."""
    candidates = tuple(Candidate(text, n, math.log(p)) for n, (text, p) in enumerate(letters.items()))
    return TokenProb("A", 0, -1.0, 0, candidates)


def test_the_request_asks_for_one_letter_behind_the_message_and_what_was_said_before() -> None:
    history = (ChatMessage("user", "Hello"), ChatMessage("assistant", "Hi"))
    request = classify_request("Write a poem", history)
    assert request.messages[:2] == history
    assert request.messages[2].content.startswith("Write a poem")
    assert request.sampling.max_new_tokens == 1
    assert request.grammar == "root ::= [A-M]"
    assert all(f"{letter} " in request.messages[2].content for letter in LETTERS.values())


def test_a_long_message_is_read_at_its_beginning_and_end() -> None:
    content = classify_request("BEGIN" + "x" * 50_000 + "END").messages[-1].content
    assert "BEGIN" in content
    assert "END" in content
    assert len(content) < 2000


def test_a_letter_with_a_blank_before_it_counts_as_the_letter() -> None:
    prob = TokenProb("A", 0, -1.0, 0, (Candidate("A", 1, math.log(0.3)), Candidate(" A", 2, math.log(0.3))))
    assert math.isclose(math.exp(read_letters(prob)["fact_check"]), 0.6)


def test_the_likeliest_letter_is_the_task_and_its_share_the_confidence() -> None:
    guess = guess_from(read_letters(told(A=0.1, D=0.8)))
    assert guess.task is not None
    assert guess.task.name == "code"
    assert 0.85 < guess.confidence < 0.9


def test_what_the_letters_have_for_themselves_is_taken_off() -> None:
    others = dict.fromkeys(sorted(set(LETTERS.values()) - {"A", "D"}), 0.005)
    prior = read_letters(told(A=0.8, D=0.1, **others))
    guess = guess_from(read_letters(told(A=0.7, D=0.25, **others)), prior)
    assert guess_from(read_letters(told(A=0.7, D=0.25, **others))).task != guess.task
    ranked = shares(read_letters(told(A=0.7, D=0.25, **others)), prior)
    assert max(ranked, key=lambda name: ranked[name]) == "code"


def test_an_even_spread_names_no_task() -> None:
    even = dict.fromkeys(LETTERS, -2.0)
    assert math.isclose(sum(shares(even).values()), 1.0)
    assert guess_from(even).task is None


def test_the_letters_own_preference_is_asked_of_a_message_without_content() -> None:
    for language in ("zh", "en"):
        assert classify_request("...") == prior_request("en")
        assert not any(c.isalpha() for c in prior_request(language).messages[-1].content.split("\n")[0])
