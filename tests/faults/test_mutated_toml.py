"""Mutated TOML: studies, presets and a person's own prompts are read or refused with our own error."""

import random
import tomllib
from collections.abc import Callable
from typing import Any

import pytest
import tomli_w
from tests.core.study.making import study

from twokeys.core.presets import BUILT_IN, from_toml, to_toml
from twokeys.core.study.own_prompt import own_prompts
from twokeys.core.study.study import Study
from twokeys.errors import TwoKeysError

from .test_mutated_imports import places

ROUNDS = 150
STUDY = (
    study(outcomes=("correct",)).to_toml() + "\n[grid]\ntemperature = [0.1, 0.9]\nmax_new_tokens = [16, 64]\n"
)
PRESETS = to_toml(list(BUILT_IN.values()))
BLOCKS = '[[prompt]]\nid = "a"\ntext = "3 + 4?"\nchecker = {kind = "number", value = 7}\n'
LINES = "What is 3 + 4? => number: 7\nName a colour. => regex: red|blue\n三加四等于几？ => 数字：7\n"
READERS: dict[str, tuple[str, Callable[[str], object]]] = {
    "study": (STUDY, Study.from_toml),
    "presets": (PRESETS, from_toml),
    "prompt blocks": (BLOCKS, own_prompts),
    "prompt lines": (LINES, own_prompts),
}
ODD: tuple[Any, ...] = (
    True,
    -1,
    0,
    2**62,
    1e308,
    float("nan"),
    float("-inf"),
    "",
    "x",
    "9" * 400,
    [],
    [[]],
    {},
)
SIGNS = "\"'[]{}=.,#\n\\0 9-+e:T\x00é双\ufffd"


def mutated_values(text: str, draw: random.Random) -> str:
    """Take the document apart, put odd values into some places, and write it again."""
    document = tomllib.loads(text)
    for _ in range(draw.randint(1, 3)):
        container, key = draw.choice(places(document))
        act = draw.randrange(3)
        if act == 0:
            del container[key]
        elif act == 1:
            for _ in range(draw.choice((1, 40))):
                container[key] = [container[key]] if draw.random() < 0.5 else {"x": container[key]}
        else:
            container[key] = draw.choice(ODD)
        if not places(document):
            break
    return tomli_w.dumps(document)


def mutated_signs(text: str, draw: random.Random) -> str:
    signs = list(text)
    for _ in range(draw.randint(1, 5)):
        at = draw.randrange(len(signs))
        act = draw.randrange(3)
        if act == 0:
            signs[at] = draw.choice(SIGNS)
        elif act == 1:
            signs.insert(at, draw.choice(SIGNS) * draw.choice((1, 1, 300)))
        else:
            del signs[at : at + draw.choice((1, 3, 40))]
        if not signs:
            break
    return "".join(signs)


@pytest.mark.parametrize("kind", READERS)
def test_a_mutated_text_is_read_or_refused_with_a_reason_in_both_languages(kind: str) -> None:
    draw = random.Random(11)
    text, read = READERS[kind]
    assert read(text)
    taken = refused = 0
    for _ in range(ROUNDS):
        by_value = kind != "prompt lines" and draw.random() < 0.6
        changed = (mutated_values if by_value else mutated_signs)(text, draw)
        try:
            read(changed)
            taken += 1
        except TwoKeysError as error:
            refused += 1
            assert error.message("zh") and error.message("en")
    assert taken > 10 and refused > 10
