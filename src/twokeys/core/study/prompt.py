"""A prompt of a study: its text (or its forms), its task and how its answer can be checked.

The shipped sets lie in `prompts/*.toml`, written for this project, in Chinese and English. Nothing
an answer contains is ever executed.
"""

import json
import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any, Literal, Self, cast

from twokeys.errors import BadFile, BadParameter, NotFound, Reason
from twokeys.grammar.json_schema import schema_grammar

CheckerKind = Literal["number", "choice", "regex", "json"]
Task = Literal[
    "fact",
    "math",
    "choice",
    "extract",
    "code",
    "explain",
    "creative",
    "copy",
    "summary",
    "long",
    "format",
    "fields",
]
CHECKER_KINDS: tuple[CheckerKind, ...] = ("number", "choice", "regex", "json")
TASKS: tuple[Task, ...] = (
    "fact", "math", "choice", "extract", "code", "explain", "creative", "copy", "summary", "long", "format",
    "fields",
)  # fmt: skip
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
MAX_PATTERN_CHARS = 500
MAX_LENGTH = 1_000_000


@dataclass(frozen=True, slots=True)
class Checker:
    """How an answer is judged right or wrong. See checker.py for what each kind reads.

    value: the number, the right option, the pattern, or the JSON schema. options: the options of a
    choice. tolerance: how far a number may be off.
    """

    kind: CheckerKind
    value: Any
    options: tuple[str, ...] = ()
    tolerance: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in CHECKER_KINDS:
            raise BadParameter(field="checker.kind", value=self.kind, allowed=" | ".join(CHECKER_KINDS))
        kinds = {"number": int | float, "choice": str, "regex": str, "json": Mapping}
        usable = isinstance(self.value, kinds[self.kind]) and not isinstance(self.value, bool)
        if self.kind == "number" and usable:
            usable = math.isfinite(self.value) and math.isfinite(self.tolerance) and self.tolerance >= 0
        if not usable or self.value == "":
            reason = Reason(f"lab.checker.{self.kind}")
            raise BadParameter(field="checker.value", value=self.value, allowed=reason)
        if not _is_texts(self.options):
            raise BadParameter(field="checker.options", value=self.options, allowed=Reason("lab.texts"))
        if self.kind == "choice" and self.value not in self.options:
            raise BadParameter(field="checker.value", value=self.value, allowed=" | ".join(self.options))
        if self.kind == "regex":
            _check_pattern(str(self.value))
        if self.kind == "json":
            _check_schema(_json_text("checker.value", self.value))

    def to_dict(self) -> dict[str, Any]:
        values: dict[str, Any] = {"kind": self.kind, "value": self.value}
        if self.options:
            values["options"] = list(self.options)
        if self.tolerance:
            values["tolerance"] = self.tolerance
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> Self:
        """Raises BadParameter."""
        known = {"kind", "value", "options", "tolerance"}
        for name in values:
            if name not in known:
                raise BadParameter(field=f"checker.{name}", value=values[name], allowed=", ".join(known))
        options, tolerance = values.get("options", ()), values.get("tolerance", 0.0)
        if not isinstance(options, list | tuple):
            raise BadParameter(field="checker.options", value=options, allowed=Reason("lab.texts"))
        if isinstance(tolerance, bool) or not isinstance(tolerance, int | float):
            raise BadParameter(field="checker.tolerance", value=tolerance, allowed="≥ 0")
        return cls(
            kind=cast(CheckerKind, values.get("kind", "")),
            value=values.get("value"),
            options=tuple(options),
            tolerance=float(tolerance),
        )


def _is_texts(values: object) -> bool:
    return isinstance(values, list | tuple) and all(isinstance(text, str) for text in values)


def _json_text(field_name: str, value: object) -> str:
    """Return a value as JSON. Raises BadParameter for what JSON cannot hold, such as a date, or too deep."""
    try:
        return json.dumps(value, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as exc:
        reason = Reason("lab.checker.json")
        raise BadParameter(field=field_name, value="…", allowed=reason) from exc


def _check_pattern(pattern: str) -> None:
    if len(pattern) > MAX_PATTERN_CHARS:
        raise BadParameter(field="checker.value", value=pattern, allowed=f"≤ {MAX_PATTERN_CHARS} characters")
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as exc:
        reason = Reason("lab.checker.pattern", reason=str(exc))
        raise BadParameter(field="checker.value", value=pattern, allowed=reason) from exc


@lru_cache(maxsize=512)
def _check_schema(schema: str) -> None:
    """Raises BadParameter for what is no JSON Schema, or refers to another document: nothing is fetched."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    try:
        Draft202012Validator.check_schema(json.loads(schema))
    except (SchemaError, RecursionError) as exc:
        said = exc.message if isinstance(exc, SchemaError) else type(exc).__name__
        reason = Reason("lab.checker.schema", reason=said)
        raise BadParameter(field="checker.value", value=schema, allowed=reason) from exc
    if re.search(r'"\$(?:ref|dynamicRef)": "(?!#)', schema):
        raise BadParameter(field="checker.value", value=schema, allowed=Reason("lab.checker.reference"))


@dataclass(frozen=True, slots=True)
class StudyPrompt:
    """One question.

    id: unique in a study; answers of the same prompt are compared across cells. forms: other
    wordings by name, which a cell chooses with its `form`. length / unit: how long the answer was
    asked to be, in "words" or "chars", for the length score. schema: the form of the answer, a JSON
    schema; a cell with `grammar` holds the engine to it, and `valid` says whether an answer is.
    """

    id: str
    text: str
    task: Task = "explain"
    language: Literal["zh", "en"] = "en"
    checker: Checker | None = None
    forms: Mapping[str, str] = field(default_factory=dict)
    length: int | None = None
    unit: Literal["words", "chars"] = "words"
    schema: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.id, str) or not _ID.fullmatch(self.id):
            raise BadParameter(field="prompt.id", value=self.id, allowed="letters, digits, - _ . (≤ 64)")
        if not isinstance(self.text, str) or not self.text.strip():
            raise BadParameter(field=f"prompt.{self.id}.text", value=self.text, allowed="a text")
        if self.task not in TASKS:
            raise BadParameter(field=f"prompt.{self.id}.task", value=self.task, allowed=" | ".join(TASKS))
        if self.language not in ("zh", "en"):
            raise BadParameter(field=f"prompt.{self.id}.language", value=self.language, allowed="zh | en")
        if self.unit not in ("words", "chars"):
            raise BadParameter(field=f"prompt.{self.id}.unit", value=self.unit, allowed="words | chars")
        if not isinstance(self.forms, Mapping) or not _is_texts([*self.forms, *self.forms.values()]):
            raise BadParameter(field=f"prompt.{self.id}.forms", value=self.forms, allowed=Reason("lab.texts"))
        if self.length is not None and (
            isinstance(self.length, bool)
            or not isinstance(self.length, int)
            or not 0 < self.length <= MAX_LENGTH
        ):
            raise BadParameter(
                field=f"prompt.{self.id}.length", value=self.length, allowed=f"1 … {MAX_LENGTH}"
            )

        if self.schema is not None:
            self._check_form()

    def _check_form(self) -> None:
        """Raise BadParameter for what is no JSON schema, or what no engine can be held to."""
        name = f"prompt.{self.id}.schema"
        if not isinstance(self.schema, Mapping):
            raise BadParameter(field=name, value=self.schema, allowed=Reason("lab.checker.json"))
        _check_schema(_json_text(name, self.schema))
        if refused := schema_grammar(dict(self.schema)).refused:
            keywords = ", ".join(f"{entry.keyword} ({entry.place})" for entry in refused)
            raise BadParameter(field=name, value=keywords, allowed=Reason("lab.checker.refused"))

    def text_in(self, form: str | None) -> str:
        """Return the wording of a form; the plain text when the prompt has no such form."""
        return self.forms.get(form, self.text) if form else self.text

    def to_dict(self) -> dict[str, Any]:
        values: dict[str, Any] = {
            "id": self.id, "text": self.text, "task": self.task, "language": self.language,
        }  # fmt: skip
        if self.checker:
            values["checker"] = self.checker.to_dict()
        if self.forms:
            values["forms"] = dict(self.forms)
        if self.length:
            values |= {"length": self.length, "unit": self.unit}
        if self.schema is not None:
            values["schema"] = dict(self.schema)
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Raises BadParameter for unknown names or unusable values."""
        known = set(cls.__slots__)
        for name in values:
            if name not in known:
                raise BadParameter(
                    field=f"prompt.{name}", value=values[name], allowed=", ".join(sorted(known))
                )
        rest = dict(values)
        if rest.get("checker") is not None:
            if not isinstance(rest["checker"], Mapping):
                raise BadParameter(field="prompt.checker", value=rest["checker"], allowed="{ kind, value }")
            rest["checker"] = Checker.from_dict(rest["checker"])
        return cls(**{"id": "", "text": "", **rest})


@dataclass(frozen=True, slots=True)
class PromptSet:
    """A shipped file of prompts. name: of the file, such as "facts-zh"; checkable: how many have checkers."""

    name: str
    language: str
    task: str
    prompts: tuple[StudyPrompt, ...]

    @property
    def checkable(self) -> int:
        return sum(1 for prompt in self.prompts if prompt.checker)


@cache
def shipped_sets() -> tuple[PromptSet, ...]:
    """Return all shipped prompt sets, read once."""
    folder = files(__package__).joinpath("prompts")
    entries = [entry for entry in folder.iterdir() if entry.name.endswith(".toml")]
    return tuple(
        _read_set(entry.name.removesuffix(".toml"), entry.read_text(encoding="utf-8"))
        for entry in sorted(entries, key=lambda entry: entry.name)
    )


def prompt_set(name: str) -> PromptSet:
    """Return a shipped set by its name. Raises NotFound."""
    for prompt_set in shipped_sets():
        if prompt_set.name == name:
            return prompt_set
    raise NotFound(kind="prompt set", name=name)


def choose_prompts(names: Sequence[str]) -> tuple[StudyPrompt, ...]:
    """Return shipped prompts by "set" (all of it), "set:N" (its first N) or "id". Raises NotFound."""
    by_id = {prompt.id: prompt for prompt_set in shipped_sets() for prompt in prompt_set.prompts}
    chosen: dict[str, StudyPrompt] = {}
    for name in names:
        if name in by_id:
            chosen[name] = by_id[name]
            continue
        base, _, count = name.partition(":")
        if count and not count.isdigit():
            raise NotFound(kind="prompt set", name=name)
        prompts = prompt_set(base).prompts
        chosen |= {prompt.id: prompt for prompt in (prompts[: int(count)] if count else prompts)}
    return tuple(chosen.values())


def _read_set(name: str, text: str) -> PromptSet:
    try:
        read = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise BadFile(name=name, reason=str(exc)) from exc
    common = {"task": read["task"], "language": read["language"]}
    prompts = tuple(StudyPrompt.from_dict(common | row) for row in read["prompt"])
    return PromptSet(name, read["language"], read["task"], prompts)
