"""An answer ends before the first stop string, however the stream was cut into pieces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twokeys.engines.stop_strings import StopStrings
from twokeys.types import Delta, TokenProb

letters = st.text("abc", max_size=30)


def shown(watcher: StopStrings, pieces: list[str]) -> list[str]:
    return [delta.text for piece in pieces for delta in watcher.feed(Delta(piece))]


@given(
    st.lists(st.text("abc", min_size=1, max_size=4), max_size=12), st.lists(letters.filter(bool), max_size=3)
)
def test_what_is_shown_is_the_text_up_to_the_first_string(pieces: list[str], strings: list[str]) -> None:
    watcher = StopStrings(strings)
    text = "".join(shown(watcher, pieces)) + "".join(delta.text for delta in watcher.flush())
    whole = "".join(pieces)
    if watcher.met is None:
        assert text == whole and not any(string in whole for string in strings)
    else:
        assert whole.startswith(text + watcher.met)
        assert not any(string in text for string in strings)


def test_only_what_may_begin_a_string_is_held_back() -> None:
    watcher = StopStrings(["</end>"])
    steps = ["One <", "two </e", "asy. ", "</", "end", "> more", "never"]
    assert ["".join(shown(watcher, [step])) for step in steps] == [
        "One ",
        "<two ",
        "</easy. ",
        "",
        "",
        "",
        "",
    ]
    assert watcher.met == "</end>" and watcher.flush() == []


def test_a_token_keeps_its_id_and_probability_only_when_it_is_shown_whole() -> None:
    watcher = StopStrings(["STOP"], at_char=10)
    whole = Delta("Good ", (1,), (TokenProb("Good ", 1, -0.1, 10),))
    cut = Delta("byeSTOP now", (2,), (TokenProb("byeSTOP now", 2, -0.2, 15),))
    assert watcher.feed(whole) == [whole]
    assert watcher.feed(cut) == [Delta("bye")]


@pytest.mark.parametrize("strings", [[], ["zzz"]])
def test_nothing_is_lost_where_no_string_comes(strings: list[str]) -> None:
    watcher = StopStrings(strings)
    text = shown(watcher, ["abc", "zz"])
    assert "".join(text) + "".join(delta.text for delta in watcher.flush()) == "abczz"
