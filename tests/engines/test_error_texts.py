"""Every error a person can meet has a sentence and a next step in both languages."""

import re

import pytest

from twokeys.errors import EngineStartFailed, TwoKeysError
from twokeys.i18n import catalogue


def all_errors() -> list[type[TwoKeysError]]:
    found, open_ = [], [TwoKeysError]
    while open_:
        kind = open_.pop()
        found.append(kind)
        open_ += [one for one in kind.__subclasses__() if one.__module__ == "twokeys.errors"]
    return found


@pytest.mark.parametrize("kind", all_errors())
def test_an_error_says_what_happened_and_what_to_do(kind: type[TwoKeysError]) -> None:
    docs = [base.__doc__ or "" for base in kind.__mro__ if issubclass(base, TwoKeysError)]
    promised = {name for doc in docs for name in re.findall(r"[a-z_]+", doc.partition("params:")[2])}
    for part in ("text", "hint"):
        entry = catalogue()[f"errors.{kind.code}.{part}"]
        assert set(entry) == {"zh", "en"}
        for language in ("zh", "en"):
            assert entry[language].strip()
            used = set(re.findall(r"{(\w+)}", entry[language]))
            assert used <= promised, f"{kind.code}: {used - promised} is not among its params"
        assert any("\u4e00" <= char <= "\u9fff" for char in entry["zh"])


def test_codes_are_unique() -> None:
    codes = [kind.code for kind in all_errors()]
    assert len(codes) == len(set(codes))


def test_braces_in_a_value_do_not_break_a_message() -> None:
    error = EngineStartFailed(reason="{oops}", command='worker.py --order {"a": 1}', log="")
    assert "{oops}" in error.message("zh")
    assert '{"a": 1}' in error.hint("en")
