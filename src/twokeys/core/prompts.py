"""Prompts by name: a text with {{variables}}, which may bring parameters, a system prompt and an
answer's schema along.

A variable is {{topic}}, or {{tone=friendly}} with what stands there when nothing is given. Shipped prompts
are TOML files in the folder prompt_library, one a language, in the form that a person's own are exported in:

    [[prompt]]
    name = "Review code"
    text = "Review this {{language=Python}} code: {{code}}"
    temperature = 0.3
    system_prompt = "You are a careful reviewer."
    answer_schema = '{"type": "object", "properties": {"problems": {"type": "array"}}}'

A schema is called as its prompt is. Sends nothing and changes no conversation: `applied` returns the
settings, `fill` the text.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any

from twokeys.answer_schema import AnswerSchema
from twokeys.core import by_hand
from twokeys.core.ports import PromptStore
from twokeys.core.presets import Presets
from twokeys.errors import BadFile, BadInput, NotFound, Reason, TwoKeysError
from twokeys.types import Sampling, SavedPrompt, Settings

LONGEST_NAME = 60
LONGEST_TEXT = 100_000
VARIABLE = re.compile(r"\{\{[ \t]*([^{}=\n]{1,40}?)[ \t]*(?:=([^{}]*))?\}\}")


@dataclass(frozen=True, slots=True)
class Variable:
    """A place in a prompt that is filled in; default: what stands there when nothing is given."""

    name: str
    default: str = ""


def variables(text: str) -> tuple[Variable, ...]:
    """Return the variables of a text in their order, each once; the first default given to a name holds."""
    known: dict[str, Variable] = {}
    for match in VARIABLE.finditer(text):
        name, default = match[1], (match[2] or "").strip()
        if name not in known or (default and not known[name].default):
            known[name] = Variable(name, default)
    return tuple(known.values())


def fill(text: str, values: Mapping[str, str]) -> str:
    """Return the text with its variables filled in; what is empty or not given gets its default.

    What is filled in is taken as it is: braces in it are no variables.
    """
    defaults = {variable.name: variable.default for variable in variables(text)}
    return VARIABLE.sub(lambda match: values.get(match[1]) or defaults[match[1]], text)


def applied(prompt: SavedPrompt, settings: Settings, presets: Presets) -> Settings:
    """Return the settings with what the prompt brings along, as a person's choice."""
    if prompt.changes:
        settings = by_hand.set_parameters(settings, presets, prompt.changes)
    if prompt.system_prompt is not None:
        settings = replace(settings, system_prompt=prompt.system_prompt)
    if prompt.answer_schema is not None:
        settings = replace(settings, answer_schema=prompt.answer_schema)
    return by_hand.drop_stale_preset(settings, presets)


class Prompts:
    """The prompts that can be chosen: a person's own in the store, and the shipped ones of a language."""

    def __init__(self, store: PromptStore) -> None:
        self._store = store

    def list(self, language: str) -> list[SavedPrompt]:
        """Return own prompts in the order they were made, then the shipped ones that no own one replaces."""
        own = self._store.list_prompts()
        names = {prompt.name for prompt in own}
        return [*own, *(prompt for prompt in shipped(language) if prompt.name not in names)]

    def get(self, name: str, language: str) -> SavedPrompt:
        """Return a prompt by its name, whatever case it is written in. Raises NotFound."""
        listed = self.list(language)
        for wanted in (name, name.strip().lower()):
            for prompt in listed:
                if wanted in (prompt.name, prompt.name.lower()):
                    return prompt
        raise NotFound(kind="prompt", name=name)

    def save(self, prompt: SavedPrompt, *, instead_of: str | None = None) -> SavedPrompt:
        """Keep a prompt of one's own, in place of the one named `instead_of`.

        Raises BadInput for an unusable name or text, or a name that another own one has; BadParameter for a
        parameter out of range.
        """
        prompt = _checked(replace(prompt, shipped=False))
        if prompt.name != instead_of and any(own.name == prompt.name for own in self._store.list_prompts()):
            raise BadInput(reason=Reason("errors.reason.prompt_taken", name=prompt.name))
        self._store.save_prompt(prompt, instead_of)
        return prompt

    def delete(self, name: str) -> SavedPrompt:
        """Delete an own prompt and return it. Raises NotFound, for shipped ones too."""
        for prompt in self._store.list_prompts():
            if prompt.name == name:
                self._store.delete_prompt(name)
                return prompt
        raise NotFound(kind="prompt", name=name)

    def export_toml(self) -> str:
        """Return all own prompts as TOML."""
        return to_toml(self._store.list_prompts())

    def import_toml(self, text: str) -> Sequence[SavedPrompt]:
        """Keep the prompts of a TOML text and return them; a taken name gets a number.

        Raises BadFile, and then keeps nothing, when one of them cannot be used.
        """
        taken = {prompt.name for prompt in self._store.list_prompts()}
        imported: list[SavedPrompt] = []
        for prompt in from_toml(text):
            name, number = prompt.name, 2
            while name in taken:
                name, number = f"{prompt.name} ({number})", number + 1
            taken.add(name)
            imported.append(replace(prompt, name=name))
        for prompt in imported:
            self._store.save_prompt(prompt, None)
        return imported


@cache
def shipped(language: str) -> tuple[SavedPrompt, ...]:
    """Return the shipped prompts of a language."""
    text = files("twokeys.core").joinpath("prompt_library", f"{language}.toml").read_text(encoding="utf-8")
    return tuple(replace(prompt, shipped=True) for prompt in from_toml(text))


def to_toml(prompts: Sequence[SavedPrompt]) -> str:
    """Write prompts as TOML: one [[prompt]] each with its name, its text and what it brings along."""
    import tomli_w  # loads what the first page does without

    rows = []
    for prompt in prompts:
        row: dict[str, Any] = {"name": prompt.name, "text": prompt.text, **prompt.changes}
        if prompt.system_prompt is not None:
            row["system_prompt"] = prompt.system_prompt
        if prompt.answer_schema is not None:
            row["answer_schema"] = prompt.answer_schema.document
        rows.append("[[prompt]]\n" + tomli_w.dumps(row, multiline_strings=True))
    return "\n".join(rows)


def from_toml(text: str) -> list[SavedPrompt]:
    """Read prompts written by `to_toml` or by hand; every value is checked. Raises BadFile."""
    try:
        rows = tomllib.loads(text).get("prompt")
    except tomllib.TOMLDecodeError as exc:
        raise BadFile(name="prompts", reason=str(exc)) from exc
    if not isinstance(rows, list) or not rows:
        raise BadFile(name="prompts", reason=Reason("errors.reason.prompts_none"))
    return [_from_row(row) for row in rows]


def _from_row(row: object) -> SavedPrompt:
    if not isinstance(row, dict):
        raise BadFile(name="prompts", reason=Reason("errors.reason.prompts_none"))
    changes = dict(row)
    name, text = changes.pop("name", None), changes.pop("text", None)
    system_prompt, schema = changes.pop("system_prompt", None), changes.pop("answer_schema", None)
    texts = isinstance(name, str) and isinstance(text, str)
    if not texts or not isinstance(system_prompt, str | None) or not isinstance(schema, str | None):
        raise BadFile(name=str(name or "prompts"), reason=Reason("errors.reason.prompt_kinds"))
    try:
        form = AnswerSchema.from_text(schema, name) if schema is not None else None
        return _checked(SavedPrompt(name, text, changes, system_prompt, form))
    except TwoKeysError as exc:
        raise BadFile(name=name, reason=Reason(f"errors.{exc.code}.text", **exc.params)) from exc


def _checked(prompt: SavedPrompt) -> SavedPrompt:
    name = " ".join(prompt.name.split())
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
        raise BadInput(reason=Reason("errors.reason.prompt_name", most=LONGEST_NAME))
    if not 1 <= len(prompt.text.strip()) <= LONGEST_TEXT:
        raise BadInput(reason=Reason("errors.reason.prompt_text", most=LONGEST_TEXT))
    checked = Sampling.from_dict({**Sampling().to_dict(), **prompt.changes}).to_dict()
    form = replace(prompt.answer_schema, name=name) if prompt.answer_schema is not None else None
    changes = {key: checked[key] for key in prompt.changes}
    return replace(prompt, name=name, changes=changes, answer_schema=form)
