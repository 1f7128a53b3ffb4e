"""Another token at one place of an answer: text, ids and the record of the fork belong together."""

import pytest

from twokeys.core.compare.service import alternative
from twokeys.core.fork import fork_answer, text_before
from twokeys.errors import BadInput
from twokeys.types import Candidate, Message, TokenProb

HERE = (Candidate(" night", 21, -0.2), Candidate(" day", 22, -1.7))
PROBS = (TokenProb("Good", 1, -0.1, 0), TokenProb(" night", 21, -0.2, 4, HERE), TokenProb("!", 3, -0.3, 10))


def answer(text: str = "Good night!", token_ids: tuple[int, ...] = (1, 21, 3)) -> Message:
    return Message("a", "c", "q", "assistant", text, created_at=0.0, token_ids=token_ids)


def test_a_fork_has_the_text_and_the_ids_before_its_place_and_then_the_candidate() -> None:
    fork = fork_answer(answer(), PROBS, 1, Candidate(" day", 22, -9.0))
    assert (fork.text, fork.token_ids) == ("Good day", (1, 22))
    assert fork.probs == (PROBS[0], TokenProb(" day", 22, -1.7, 4, HERE)), (
        "as the engine told it, not as asked"
    )
    assert fork.origin == {
        "answer": "a",
        "token": 1,
        "at_char": 4,
        "before": {"text": " night", "token_id": 21, "logprob": -0.2},
        "after": {"text": " day", "token_id": 22, "logprob": -1.7},
    }


def test_at_the_first_token_nothing_stands_before() -> None:
    fork = fork_answer(answer(), PROBS, 0, Candidate("Bad", 7, -2.0))
    assert (fork.text, fork.token_ids, len(fork.probs)) == ("Bad", (7,), 1)


@pytest.mark.parametrize("token_ids", [(), (1, 99, 3), (99, 21, 3)])
def test_ids_that_do_not_name_the_same_tokens_are_left_out(token_ids: tuple[int, ...]) -> None:
    before = text_before(answer(token_ids=token_ids), PROBS, 2)
    assert (before.text, before.token_ids) == ("Good night", ())


def test_ids_are_left_out_where_a_token_ends_within_a_character() -> None:
    probs = [TokenProb("\ufffd", 1, -0.1, 0), TokenProb("好", 2, -0.1, 0), TokenProb("。", 3, -0.1, 1)]
    halves = answer("好。", (1, 2, 3))
    assert text_before(halves, probs, 2).token_ids == (1, 2)
    assert text_before(halves, [probs[0], TokenProb("", 2, -0.1, 0), probs[2]], 1).token_ids == ()


def test_a_server_without_ids_is_forked_by_text() -> None:
    others = tuple(Candidate(text, number, -1.0) for text, number in (("Yes", -1), ("No", -3)))
    probs = [TokenProb("Yes", -1, -1.0, 0, others), TokenProb(".", -1, -1.0, 3)]
    fork = fork_answer(answer("Yes.", ()), probs, 0, alternative(probs, 0, -3))
    assert (fork.text, fork.token_ids) == ("No", ()), "what the server did not tell is no id"


@pytest.mark.parametrize("piece", ["", "\ufffd", "<0xE5>"])
def test_a_piece_of_a_character_begins_no_version(piece: str) -> None:
    with pytest.raises(BadInput):
        fork_answer(answer(), PROBS, 1, Candidate(piece, 5, -1.0))


@pytest.mark.parametrize("token_index", [-1, 3])
def test_a_place_outside_of_the_answer_is_refused(token_index: int) -> None:
    with pytest.raises(BadInput):
        text_before(answer(), PROBS, token_index)


def test_probabilities_of_another_text_are_refused() -> None:
    with pytest.raises(BadInput):
        text_before(answer("Good evening!"), PROBS, 1)


def test_the_tail_that_the_guard_cut_off_leaves_the_places_before_it() -> None:
    assert text_before(answer("Good night", (1, 21)), PROBS, 1).text == "Good"
