"""Code and data outside any fence are taken for what they are."""

import pytest

from twokeys.core.guard.lines import Lines

from .reading import of_kind, watch

OPERATORS = ("eq", "ne", "lt", "le", "gt", "ge")
DDL = "".join(
    f"CREATE FUNCTION ltree_{name}(ltree,ltree)\nRETURNS bool\nAS 'MODULE_PATHNAME'\n"
    "LANGUAGE C STRICT IMMUTABLE PARALLEL SAFE;\n\n"
    for name in OPERATORS
)
KEYS = "".join(
    f'(define-key map (kbd "C-c C-{key}") \'editor-insert-{word})\n'
    for key, word in zip("abcdef", OPERATORS, strict=True)
)
PROSE = "The old mill stands by the river.\nIt has a wheel, a roof and two doors.\nNobody lives there now.\n"


@pytest.mark.parametrize("text", [DDL, KEYS])
def test_declarations_of_one_form_are_no_loop(text: str) -> None:
    assert is_code(text)
    assert of_kind(watch(text, step=1), "loop", "warn", "stop") == []


def test_prose_is_not_taken_for_code() -> None:
    assert not is_code(PROSE)


def test_a_loop_in_code_without_a_fence_is_still_ended() -> None:
    unit = "def total(values):\n    result = 0\n    for value in values:\n        result += value\n"
    unit += "    return result\n\n"
    assert of_kind(watch(unit * 12, step=1), "loop")[-1].level == "stop"


def is_code(text: str) -> bool:
    lines = Lines()
    for line in text.splitlines():
        lines.read(line)
    return lines.are_code
