"""An answer held to its very tokens: characters of several tokens stay together."""

import asyncio
import json
from collections.abc import Sequence
from typing import cast

from twokeys.core.probabilities import BROKEN, MOST_PIECES, Characters, held_to, whole_characters
from twokeys.engine import PromptEngine


class Bytes:
    """Tokens that are single bytes."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, ...]] = []

    async def detokenize(self, ids: Sequence[int]) -> str:
        self.asked.append(tuple(ids))
        return bytes(ids).decode("utf-8", "replace")


def characters(text: bytes) -> tuple[list[Characters], Bytes]:
    engine = Bytes()
    return asyncio.run(whole_characters(cast(PromptEngine, engine), list(text))), engine


def test_tokens_that_are_pieces_of_a_character_stay_together() -> None:
    parts, _ = characters("a茶😀".encode())
    assert [part.text for part in parts] == ["a", "茶", "😀"]
    assert [len(part.ids) for part in parts] == [1, 3, 4]


def test_a_token_that_comes_again_is_asked_for_once() -> None:
    _, engine = characters(b"aaaa")
    assert engine.asked == [(97,)]


def test_bytes_that_never_become_a_character_do_not_swallow_the_answer() -> None:
    parts, _ = characters(b"\xff" * (MOST_PIECES + 1) + b"a")
    assert len(parts[0].ids) == MOST_PIECES and BROKEN in parts[0].text
    assert b"".join(bytes(part.ids) for part in parts) == b"\xff" * (MOST_PIECES + 1) + b"a"


def test_pieces_left_over_at_the_end_are_kept() -> None:
    parts, _ = characters(b"a\xe8\x8c")
    assert parts[-1].ids == (0xE8, 0x8C)


def test_the_grammar_names_single_tokens_by_id_and_characters_of_several_by_their_text() -> None:
    grammar = held_to([Characters((7,), "a"), Characters((1, 2), '茶"')])
    assert grammar.startswith("root ::= <[7]> ")
    assert json.loads(grammar.removeprefix("root ::= <[7]> ")) == '茶"'
