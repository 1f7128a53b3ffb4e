"""Prompts of a person's own, typed into a box: one a line, each with its checker after "=>" if it has one.

    How many legs has a spider? => number: 8
    What is π? => number: 3.14 ± 0.01
    Which one is a mammal? => choice: shark, *dolphin, trout
    What is the capital of France? => regex: \\bparis\\b
    Describe Anna (31) in JSON. => json: {"required": ["name", "age"]}

Or, for texts of several lines, the `[[prompt]]` blocks of a study file. Texts that are wrong are told with
their line. Judges no answer: that is checker.py.
"""

import json
import re
import tomllib
from collections.abc import Mapping
from typing import Any

from twokeys.core.metrics import is_chinese
from twokeys.core.study.prompt import CheckerKind, StudyPrompt
from twokeys.errors import BadFile, BadInput, BadParameter, Reason

BLOCK = "[[prompt]]"
KINDS: Mapping[str, CheckerKind] = {
    "number": "number", "数字": "number", "choice": "choice", "选择": "choice",
    "regex": "regex", "正则": "regex", "json": "json",
}  # fmt: skip
# an input method writes the arrow and the colon wide
_ARROW = re.compile(r"\s*[=＝][>＞》]\s*")
_KIND = re.compile(r"([A-Za-z]+|[\u4e00-\u9fff]{2})\s*[:：]\s*(.*)")
_NUMBER = re.compile(r"([-−+]?[\d.,]+(?:[eE][-+]?\d+)?)(?:\s*(?:±|\+-|\+/-)\s*([\d.]+))?")
_BETWEEN = re.compile(r"[,，、;；]")
EXCERPT_CHARS = 60


def own_prompts(text: str, *, checked: bool = False) -> tuple[StudyPrompt, ...]:
    """Return the prompts of a box's text. checked: each must have a checker.

    Raises BadInput, which tells the line, or BadFile for `[[prompt]]` blocks that are no TOML.
    """
    if text.lstrip().startswith(BLOCK):
        return _blocks(text, checked)
    prompts: list[StudyPrompt] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            prompts.append(_prompt(line.strip(), f"own-{len(prompts) + 1}", number, checked))
    return tuple(prompts)


def _prompt(line: str, name: str, number: int, checked: bool) -> StudyPrompt:
    question, kind, value = _split(line)
    if kind is None:
        if checked:
            raise _wrong(number, line, Reason("lab.own.no_checker"))
        return _named({"text": line}, name)
    if not question:
        raise _wrong(number, line, Reason("lab.own.no_text"))
    try:
        if kind not in KINDS:
            raise _wrong(number, line, Reason("lab.own.kind", kind=kind))
        return _named({"text": question, "checker": _checker(KINDS[kind], value)}, name)
    except BadParameter as exc:
        raise _wrong(number, line, exc.params["allowed"]) from exc


def _split(line: str) -> tuple[str, str | None, str]:
    """Return question, kind and value of a line; kind None where no "=> kind:" stands in it."""
    for arrow in _ARROW.finditer(line):
        match = _KIND.fullmatch(line, arrow.end())
        if match is not None:
            return line[: arrow.start()].strip(), match.group(1).lower(), match.group(2).strip()
    return line, None, ""


def _checker(kind: CheckerKind, value: str) -> dict[str, object]:
    if kind == "number":
        return {"kind": kind, **_number(value)}
    if kind == "choice":
        return {"kind": kind, **_choice(value)}
    if kind == "json":
        try:
            return {"kind": kind, "value": json.loads(value)}
        except (ValueError, RecursionError) as exc:
            raise BadParameter(field="json", value=value, allowed=Reason("lab.checker.json")) from exc
    return {"kind": kind, "value": value}


def _number(value: str) -> dict[str, object]:
    match = _NUMBER.fullmatch(value)
    try:
        if match is None:
            raise ValueError(value)
        wanted = float(match.group(1).replace(",", "").replace("−", "-"))
        return {"value": wanted, "tolerance": float(match.group(2) or 0.0)}
    except ValueError as exc:
        raise BadParameter(field="number", value=value, allowed=Reason("lab.checker.number")) from exc


def _choice(value: str) -> dict[str, Any]:
    options = [option.strip() for option in _BETWEEN.split(value) if option.strip(" *＊")]
    right = [option for option in options if option[0] in "*＊"]
    if len(options) < 2 or len(right) != 1:
        raise BadParameter(field="choice", value=value, allowed=Reason("lab.own.choice"))
    return {"value": right[0].lstrip("*＊ "), "options": [option.lstrip("*＊ ") for option in options]}


def _blocks(text: str, checked: bool) -> tuple[StudyPrompt, ...]:
    try:
        rows = tomllib.loads(text)
        prompts = tuple(_named(row, f"own-{n}") for n, row in enumerate(rows.pop("prompt"), start=1))
    except (TypeError, ValueError, AttributeError, RecursionError) as exc:
        raise BadFile(name=BLOCK, reason=str(exc)) from exc
    if rows:
        raise BadParameter(field=next(iter(rows)), value="…", allowed=BLOCK)
    for prompt in prompts if checked else ():
        if prompt.checker is None:
            raise BadInput(reason=Reason("lab.own.block", name=prompt.id))
    return prompts


def _named(row: Mapping[str, object], name: str) -> StudyPrompt:
    language = "zh" if is_chinese(str(row.get("text", ""))) else "en"
    return StudyPrompt.from_dict({"id": name, "language": language, **row})


def _wrong(number: int, line: str, reason: Reason | str) -> BadInput:
    shown = line if len(line) <= EXCERPT_CHARS else line[: EXCERPT_CHARS - 1] + "…"
    return BadInput(reason=Reason("lab.own.line", line=number, text=shown, reason=reason))
