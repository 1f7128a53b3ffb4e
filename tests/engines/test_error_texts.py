"""Every error a person can meet has a sentence and a next step in both languages."""

import ast
import json
import re
from pathlib import Path

import pytest

from twokeys.errors import (
    BadFile,
    DiskFull,
    EngineDied,
    EngineStartFailed,
    NotFound,
    Reason,
    TwoKeysError,
    from_stored,
    read_stored,
    to_stored,
    unexpected,
)
from twokeys.i18n import catalogue

SOURCE = Path(__file__).resolve().parents[2] / "src" / "twokeys"


def all_errors() -> list[type[TwoKeysError]]:
    result, open_ = [], [TwoKeysError]
    while open_:
        kind = open_.pop()
        result.append(kind)
        open_ += [subclass for subclass in kind.__subclasses__() if subclass.__module__ == "twokeys.errors"]
    return result


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


def test_a_reason_inside_a_reason_is_told_in_the_reader_s_language() -> None:
    inner = Reason("errors.reason.preset_name", most=60)
    error = BadFile(name="mine", reason=Reason("errors.bad_input.text", reason=inner))
    assert "预设的名字" in error.message("zh") and "preset's name" not in error.message("zh")
    assert "preset's name" in error.message("en")


def test_an_error_that_was_stored_is_told_in_both_languages() -> None:
    error = EngineDied(reason=Reason("errors.reason.ended_by", signal="SIGKILL", log="; {oops}"), log="")
    loaded = json.loads(json.dumps(to_stored(error.params)))
    assert loaded["reason"] == "ended by SIGKILL; {oops}"
    again = from_stored(error.code, loaded)
    assert type(again) is EngineDied
    for language in ("zh", "en"):
        assert again.message(language) == error.message(language)
    assert "被 SIGKILL 结束; {oops}" in again.message("zh")
    assert from_stored("not_found", {"kind": "preset", "name": "x"}).message("zh") == NotFound(
        kind="preset", name="x"
    ).message("zh")
    assert type(from_stored("of a newer version", {})) is TwoKeysError


def test_a_full_disk_is_told_in_units_people_read() -> None:
    error = DiskFull(path="models", needed_bytes=4951201344, free_bytes=12_000_000)
    for language in ("zh", "en"):
        assert "4.95 GB" in error.message(language) and "12.0 MB" in error.message(language)
        assert "4951201344" not in error.message(language)


def test_no_reason_is_a_sentence_of_one_language() -> None:
    """`reason=` with a literal of several words would stand in English in a Chinese sentence."""
    result = []
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.keyword) or node.arg != "reason":
                continue
            value = node.value
            parts = value.values if isinstance(value, ast.JoinedStr) else [value]
            words = "".join(str(p.value) for p in parts if isinstance(p, ast.Constant))
            name = path.relative_to(SOURCE).as_posix()
            if re.search(r"[a-z]{2,} [a-z]", words):
                result.append(f"{name}:{value.lineno}: {words}")
    assert result == []


def test_a_stored_error_is_read_as_what_was_raised_and_any_other_is_plain() -> None:
    stored = unexpected(NotFound(kind="model", name="q"))
    assert (read_stored(stored).code, read_stored(stored).params["name"]) == ("not_found", "q")
    assert unexpected(ValueError("odd")) == {"code": "unexpected", "params": {"reason": "ValueError: odd"}}
    assert unexpected(ValueError()) == {"code": "unexpected", "params": {"reason": "ValueError"}}
    assert unexpected() == {"code": "unexpected", "params": {"reason": ""}}
    assert read_stored({}).code == read_stored({"code": "of a later version"}).code == "unexpected"
