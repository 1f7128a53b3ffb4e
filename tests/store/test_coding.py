"""Values become columns and come back; what is odd in a stored record hides nothing else."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twokeys.store import coding
from twokeys.types import Candidate, Sampling, TokenProb

ids = st.lists(st.integers(0, 2**32 - 1))


@given(ids, ids)
def test_packed_ids_come_back_and_packs_can_be_joined(first: list[int], second: list[int]) -> None:
    assert coding.unpack_ids(coding.pack_ids(first) + coding.pack_ids(second)) == (*first, *second)


def test_ids_are_stored_little_endian_on_every_machine() -> None:
    assert coding.pack_ids([1, 258]) == b"\x01\0\0\0\x02\x01\0\0"


def test_probabilities_come_back_to_four_decimals_with_their_candidates() -> None:
    probs = [
        TokenProb("好", 5, -0.123456, 0, (Candidate("好", 5, -0.123456), Candidate("坏", 6, -2.0))),
        TokenProb("\ud83d", -1, -1.0, 1),
    ]
    assert coding.unpack_probs(coding.pack_probs(probs)) == [
        TokenProb("好", 5, -0.1235, 0, (Candidate("好", 5, -0.1235), Candidate("坏", 6, -2.0))),
        TokenProb("\ufffd", -1, -1.0, 1),
    ]


@pytest.mark.parametrize(
    ("text", "stored"), [("\ud83d\ude00", "😀"), ("a\ud83d", "a\ufffd"), ("普通 text", "普通 text")]
)
def test_halves_of_characters_are_joined_or_replaced(text: str, stored: str) -> None:
    assert coding.clean(text) == stored
    assert stored.encode() in coding.to_json({"text": text}).encode()


def test_numbers_that_json_does_not_have_become_null() -> None:
    assert json.loads(coding.to_json({"nll": math.nan, "best": [math.inf, 1.5]})) == {
        "nll": None,
        "best": [None, 1.5],
    }


def test_what_is_no_value_of_json_is_refused_not_stored_as_something_else() -> None:
    with pytest.raises(TypeError):
        coding.to_json({"when": object()})


@pytest.mark.parametrize("stored", [None, "", "{", "[1, 2]", '"text"', "[" * 100_000])
def test_a_column_that_holds_no_object_is_read_as_an_empty_one(stored: str | None) -> None:
    assert coding.from_json(stored) == {}


def test_one_odd_parameter_costs_only_itself() -> None:
    values = {"temperature": 0.4, "top_k": "many", "top_p": 7, "of_a_later_version": 1, "min_p": 0.1}
    assert coding.read_sampling(values) == Sampling(temperature=0.4, min_p=0.1)
    settings = coding.read_settings({"sampling": values, "system_prompt": "Be brief."})
    assert settings.system_prompt == "Be brief." and settings.sampling.temperature == 0.4
    assert coding.read_settings({"sampling": "hot"}).sampling == Sampling()


def test_reset_marks_that_are_none_are_left_out() -> None:
    assert coding.read_resets("none") == ()
    marks = coding.read_resets([{"after": "m1", "keep_history": True, "at": 1.0}, {"before": 1}, 7, None])
    assert [mark.after for mark in marks] == ["m1"]
