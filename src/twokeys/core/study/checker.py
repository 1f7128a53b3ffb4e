"""Judges an answer by its prompt's checker: right, wrong. Nothing of the answer is ever executed.

number  a number anywhere in the answer: the one after the last "=", "is", "是" … or the last one
choice  the option named: alone, after "answer", in brackets, or the only one that stands there
regex   the pattern is found, ignoring case
json    the first JSON value in the answer, in a fence or bare, fulfils the schema

The first two are read here; patterns and schemas come from others and are tried by judge.py.
"""

import re

from twokeys.core.study.prompt import Checker

READ_CHARS = 8000
"""So much of an answer is read."""

_NUMBER = re.compile(r"(?<![\w.])[-−]?\d+(?:[,，]\d{3})*(?:\.\d+)?(?!\.\d)")
_RESULT = re.compile(
    r"(?:answer(?:\s+is)?|result(?:\s+is)?|equals|totals?|=|答案(?:是|为)?|等于|结果(?:是|为)?|一共(?:有|是)?|共)\s*[:：]?\s*\**\s*",
    re.IGNORECASE,
)


def check(checker: Checker, answer: str) -> bool:
    """Return whether the answer is the number or the choice. See the module for what is read.

    Raises ValueError for a pattern or a schema.
    """
    text = answer[:READ_CHARS].strip()
    if checker.kind == "number":
        number = _read_number(text)
        return number is not None and abs(number - float(checker.value)) <= checker.tolerance + 1e-9
    if checker.kind == "choice":
        return _read_choice(text, checker.options) == str(checker.value)
    raise ValueError(f"a {checker.kind} is tried by the judge")


def _read_number(text: str) -> float | None:
    """The last number right after a word that announces a result, else the last of all."""
    announced = [
        match for result in _RESULT.finditer(text) if (match := _NUMBER.match(text, result.end())) is not None
    ]
    matches = announced or list(_NUMBER.finditer(text))
    if not matches:
        return None
    return float(matches[-1].group().replace(",", "").replace("，", "").replace("−", "-"))


def _read_choice(text: str, options: tuple[str, ...]) -> str | None:
    names = "|".join(re.escape(option) for option in sorted(options, key=len, reverse=True))
    edge = r"(?<![A-Za-z0-9]){}(?![A-Za-z0-9])"
    for pattern in (
        rf"^[\s(（\[*]*({names})(?![A-Za-z0-9])",
        rf"(?:answer|choice|option|答案|选项|应选|选)\s*(?:is|是|为)?\s*[:：]?\s*[(（\[*\"“]*({names})(?![A-Za-z0-9])",
        rf"[(（\[]({names})[)）\]]",
    ):
        match = re.search(pattern, text, re.IGNORECASE)
        if match:
            return _as_option(match.group(1), options)
    named = {_as_option(m, options) for m in re.findall(edge.format(f"({names})"), text, re.IGNORECASE)}
    return named.pop() if len(named) == 1 else None


def _as_option(letter: str, options: tuple[str, ...]) -> str:
    return next(option for option in options if option.lower() == letter.lower())
