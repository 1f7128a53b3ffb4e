"""Files of text by their kind: prose, code, JSON, values between commas."""

import pytest

from twokeys.documents.plain import fenced, read_code, read_json, read_prose, read_values
from twokeys.documents.refusal import Refusal


def test_prose_is_split_at_its_headings() -> None:
    passages, encoding = read_prose("# 茶\n绿\n# 水\n".encode())
    assert [(passage.title, passage.text) for passage in passages] == [("茶", "# 茶\n绿"), ("水", "# 水")]
    assert encoding == "utf-8"


def test_code_stands_in_a_fence_of_its_language_longer_than_any_within() -> None:
    [passage], _ = read_code(b'"""\n````\n"""\n', "py")
    assert passage.text == '`````py\n"""\n````\n"""\n`````'
    assert fenced("x") == "```\nx\n```"
    assert fenced(" \n") == ""


def test_json_is_kept_word_for_word_and_lines_are_read_one_by_one() -> None:
    [passage], _ = read_json(b'{"a":  1}')
    assert passage.text == '```json\n{"a":  1}\n```'
    [passage], _ = read_json(b'{"a": 1}\n\n[2]\n', lines=True)
    assert passage.text.splitlines()[1:-1] == ['{"a": 1}', "", "[2]"]


@pytest.mark.parametrize(("data", "lines"), [(b'{"a": 1}\n{"b": 2}', False), (b"", False), (b"{}\nno", True)])
def test_what_is_no_json_is_broken(data: bytes, lines: bool) -> None:
    with pytest.raises(Refusal) as caught:
        read_json(data, lines=lines)
    assert caught.value.problem == "broken"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_values_are_parted_by_what_their_first_line_has_most_of(delimiter: str) -> None:
    data = f'tea{delimiter}price{delimiter}note\ngreen{delimiter}12{delimiter}"a{delimiter}b"\n'.encode()
    [passage], _ = read_values(data, tabs=False)
    lines = passage.text.splitlines()
    assert lines[0] == "| tea | price | note |" and lines[2].startswith("| green | 12 | a")


def test_a_file_of_tabs_keeps_its_commas() -> None:
    [passage], _ = read_values(b"a,b\tc,d,e\n", tabs=True)
    assert passage.text.splitlines()[0] == "| a,b | c,d,e |"


def test_a_quote_that_never_ends_makes_the_file_a_broken_one() -> None:
    with pytest.raises(Refusal) as caught:
        read_values(b'a,b\n"never,ends\n', tabs=False)
    assert caught.value.problem == "broken"
