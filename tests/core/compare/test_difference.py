"""What differs between two texts."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twokeys.core.compare.difference import Stretch, Unit, compare_texts

texts = st.text(alphabet="ab 中文。\n'x1", max_size=60)


@given(texts, texts, st.sampled_from(["word", "char"]))
def test_the_pieces_join_to_both_texts_and_none_is_empty(first: str, second: str, unit: Unit) -> None:
    difference = compare_texts(first, second, unit)
    assert "".join(piece.first for piece in difference.pieces) == first
    assert "".join(piece.second for piece in difference.pieces) == second
    for piece in difference.pieces:
        assert (piece.first == piece.second) == (piece.operation == "equal")
        assert piece.operation != "insert" or not piece.first
        assert piece.operation != "delete" or not piece.second
    assert 0 <= difference.similarity <= 1


def test_english_differs_by_words_and_chinese_by_characters() -> None:
    assert compare_texts("The cat sat.", "The dog sat.").pieces == (
        Stretch("equal", "The ", "The "),
        Stretch("replace", "cat", "dog"),
        Stretch("equal", " sat.", " sat."),
    )
    assert compare_texts("我喜欢苹果。", "我很喜欢苹果。").pieces == (
        Stretch("equal", "我", "我"),
        Stretch("insert", "", "很"),
        Stretch("equal", "喜欢苹果。", "喜欢苹果。"),
    )


def test_changed_words_with_only_space_between_them_are_one_change() -> None:
    result = compare_texts("a big old house", "a tiny new house").pieces
    assert result[1] == Stretch("replace", "big old", "tiny new")


def test_characters_show_a_changed_ending() -> None:
    result = compare_texts("walked", "walking", "char").pieces
    assert result[0] == Stretch("equal", "walk", "walk")


def test_same_texts_are_alike_and_strange_ones_are_not() -> None:
    assert compare_texts("同样的话", "同样的话").similarity == 1.0
    assert compare_texts("", "").similarity == 1.0
    assert compare_texts("abc def", "甲乙丙").similarity == 0.0


@pytest.mark.parametrize("unit", ["word", "char"])
def test_answers_of_4096_tokens_keep_what_they_share(unit: Unit) -> None:
    chance = random.Random(5)
    common = [chr(0x4E00 + n) for n in range(500)]
    weights = [1 / (n + 1) for n in range(500)]
    first = "".join(chance.choices(common, weights, k=6500))
    second = first[:2000] + "".join(chance.choices(common, weights, k=1500)) + first[3500:]
    difference = compare_texts(first, second, unit)
    assert "".join(piece.second for piece in difference.pieces) == second
    assert difference.similarity >= 2 * 5000 / 13000
    assert difference.pieces[0].operation == "equal" and len(difference.pieces[0].first) >= 2000


def test_one_letter_over_and_over_is_no_trap() -> None:
    difference = compare_texts("x" * 9000, "x" * 8000 + "y" * 1000, "char")
    assert difference.similarity > 0.85
