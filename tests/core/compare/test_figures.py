"""The figures of one answer, and what is not known of it."""

import math

import pytest

from twokeys.core.compare.figures import measure_answer
from twokeys.types import Message, TokenProb


def answer(text: str, **facts: object) -> Message:
    return Message("a", "c", None, "assistant", text, 1.0, **facts)  # type: ignore[arg-type]


def test_a_repeated_text_is_less_varied_and_every_figure_is_counted() -> None:
    varied = measure_answer(answer("the quick brown fox jumps over a lazy dog"))
    repeated = measure_answer(answer("to be or not to be or not to be or not"))
    assert (varied.words, varied.distinct_1, varied.rep_4) == (9, 1.0, 0.0)
    assert repeated.distinct_1 is not None and repeated.distinct_1 < 0.5
    assert repeated.rep_4 is not None and repeated.rep_4 > 0.4


def test_a_chinese_character_is_a_word_and_white_space_is_none() -> None:
    figures = measure_answer(answer("绿茶 很\n好"))
    assert (figures.chars, figures.words) == (4, 4)


def test_an_answer_without_text_or_record_has_no_figures_but_counts() -> None:
    figures = measure_answer(answer(""))
    assert (figures.chars, figures.words) == (0, 0)
    assert {figures.tok_per_s, figures.ttft_s, figures.distinct_1, figures.mean_prob} == {None}


def test_the_tokens_that_are_kept_are_counted_and_their_mean_probability_is_no_mean_of_logarithms() -> None:
    probs = [TokenProb("a", 1, math.log(0.9)), TokenProb("b", 2, math.log(0.1))]
    figures = measure_answer(answer("ab", token_ids=(1, 2)), probs)
    assert figures.tokens == 2
    assert figures.mean_prob == pytest.approx(0.5)
