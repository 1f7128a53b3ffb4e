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
OVERLOADS = "".join(
    f"CREATE FUNCTION isn{name}({left}, {right})\nRETURNS boolean AS 'int8{name}'\n"
    "LANGUAGE 'internal' IMMUTABLE;\n"
    for name in ("lt", "le", "eq", "ge")
    for left, right in (("ean13", "isbn13"), ("isbn", "ean13"), ("issn13", "upc"))
)
RESULTS = "".join(
    f"SELECT '{left}'::segment {sign} '{right}'::segment AS answer;\n"
    f" answer \n--------\n {given}\n(1 row)\n\n"
    for left, sign, right, given in (
        ("0", "<<", "1 to 9", "t"), ("0 to 1", ">>", "2", "f"), ("3", "&<", "0 to 5", "t"),
        ("7 to 8", "&>", "4", "t"), ("1", "@>", "6 to 7", "f"), ("5 to 6", "<@", "1", "f"),
    )
)  # fmt: skip
LOG = "".join(
    f"2031-04-0{day} 07:1{day}:42 INFO: job {name} ended with {count} rows in the table\n"
    for day, (name, count) in enumerate((("copy", 31), ("clean", 8), ("index", 977), ("mail", 12)), start=1)
)
PROSE = "The old mill stands by the river.\nIt has a wheel, a roof and two doors.\nNobody lives there now.\n"


@pytest.mark.parametrize("text", [DDL, KEYS, OVERLOADS, RESULTS, LOG])
def test_declarations_of_one_form_are_no_loop(text: str) -> None:
    assert is_code(text)
    assert of_kind(watch(text, step=1), "loop", "warn", "stop") == []


def test_prose_is_not_taken_for_code() -> None:
    assert not is_code(PROSE)


@pytest.mark.parametrize("sign", [";", "["])
def test_a_row_of_a_sign_that_code_draws_with_is_no_loop(sign: str) -> None:
    assert of_kind(watch(f"a title\n{sign * 70}\n", step=1), "loop", "warn", "stop") == []


def test_a_loop_in_code_without_a_fence_is_still_ended() -> None:
    unit = "def total(values):\n    result = 0\n    for value in values:\n        result += value\n"
    unit += "    return result\n\n"
    assert of_kind(watch(unit * 12, step=1), "loop")[-1].level == "stop"


def is_code(text: str) -> bool:
    lines = Lines()
    for line in text.splitlines():
        lines.read(line)
    return lines.are_code
