"""Presets: the three golden combinations (S13), the five scenarios (S8) and a person's own.

A preset touches only what it sets. Built-in names are keys with texts in `texts/presets.toml`; own
presets are called what the person called them. Values only: what a preset is good for is in the texts.
"""

import dataclasses
import tomllib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twokeys.core.ports import PresetStore
from twokeys.errors import BadFile, BadInput, NotFound, PresetTaken, Reason, TwoKeysError
from twokeys.i18n import translate
from twokeys.types import AnswerSchema, Preset, Sampling, Settings

GOLDEN_COMBINATIONS: tuple[Preset, ...] = (
    Preset("precise", "combination", {"temperature": 0.3, "max_new_tokens": 1024}),
    Preset("professional", "combination", {"temperature": 0.7, "max_new_tokens": 2048}),
    Preset("creative", "combination", {"temperature": 0.9, "max_new_tokens": 3072}, clear_after_answer=True),
)
SCENARIOS: tuple[Preset, ...] = (
    Preset("qa", "scenario", {"max_new_tokens": 512}),
    Preset("code", "scenario", {"max_new_tokens": 1024}),
    Preset("draft", "scenario", {"max_new_tokens": 2048}),
    Preset("dialogue", "scenario", {"max_new_tokens": 3072}),
    Preset("report", "scenario", {"max_new_tokens": 3584}),
)
BUILT_IN: Mapping[str, Preset] = {preset.name: preset for preset in (*GOLDEN_COMBINATIONS, *SCENARIOS)}
MAX_NAME_CHARS = 60


def apply(preset: Preset, settings: Settings) -> Settings:
    """Return the settings with what the preset sets; everything else stays as it was.

    A scenario says nothing about clearing; a combination and an own preset do.
    """
    changed = dataclasses.replace(
        settings, sampling=settings.sampling.with_(**preset.changes), preset=preset.name
    )
    if preset.kind != "scenario":
        changed = dataclasses.replace(changed, clear_after_answer=preset.clear_after_answer)
    if preset.system_prompt is not None:
        changed = dataclasses.replace(changed, system_prompt=preset.system_prompt)
    if preset.answer_schema is not None:
        changed = dataclasses.replace(changed, answer_schema=preset.answer_schema)
    return changed


def has_parameters(preset: Preset, sampling: Sampling) -> bool:
    """Return whether the parameters have all the values that the preset sets, whatever else it sets."""
    return sampling == sampling.with_(**preset.changes)


def matches(preset: Preset, settings: Settings) -> bool:
    """Return whether the settings have all the values that the preset sets."""
    return apply(preset, settings) == dataclasses.replace(settings, preset=preset.name)


class Presets:
    """All presets that can be chosen: the built-in ones and those in the store."""

    def __init__(self, store: PresetStore) -> None:
        self._store = store

    def list(self) -> list[Preset]:
        """Return combinations, scenarios and own presets, in this order."""
        return [*BUILT_IN.values(), *self._store.list_presets()]

    def of_kind(self, kind: str) -> Sequence[Preset]:
        """Return the presets of a kind: "combination", "scenario" or "own"."""
        return [preset for preset in self.list() if preset.kind == kind]

    def get(self, name: str) -> Preset:
        """Return a preset by its name, or a built-in one by its title in any language."""
        for preset in self.list():
            if preset.name == name:
                return preset
        for preset in BUILT_IN.values():
            if name.strip().lower() in {self.label(preset, language).lower() for language in ("zh", "en")}:
                return preset
        raise NotFound(kind="preset", name=name)

    def apply(self, preset: Preset | str, settings: Settings) -> Settings:
        """Return the settings with a preset applied. Raises NotFound for an unknown name."""
        return apply(self.get(preset) if isinstance(preset, str) else preset, settings)

    def label(self, preset: Preset, language: str) -> str:
        """Return what people call the preset."""
        return preset.name if preset.kind == "own" else translate(f"presets.{preset.name}.title", language)

    def why(self, preset: Preset, language: str) -> str:
        """Return one line on what it is good for; of an own preset what tuning found, "" without."""
        return preset.evidence if preset.kind == "own" else translate(f"presets.{preset.name}.why", language)

    def save(self, name: str, settings: Settings, *, replace: bool = False) -> Preset:
        """Keep parameters, system prompt, form of answers and clearing habit under a name of one's own.

        Raises PresetTaken when there is one of that name, unless it may be replaced; BadInput for an
        empty, long or built-in name.
        """
        return self.add(preset_of(name, settings), replace=replace)

    def add(self, preset: Preset, *, replace: bool = False) -> Preset:
        """Keep a preset of one's own. Raises like `save`."""
        preset = dataclasses.replace(preset, name=_checked_name(preset.name))
        if not replace:
            self._refuse_taken(preset.name)
        self._store.save_preset(preset)
        return preset

    def rename(self, old: str, new: str) -> None:
        """Rename an own preset. Raises NotFound; PresetTaken, or BadInput for a name not allowed."""
        new = _checked_name(new)
        if new != old:
            self._refuse_taken(new)
        self._store.rename_preset(old, new)

    def _refuse_taken(self, name: str) -> None:
        if any(preset.name == name for preset in self._store.list_presets()):
            raise PresetTaken(name=name)

    def delete(self, name: str) -> None:
        """Delete an own preset. Raises NotFound; built-in ones cannot be deleted (BadInput)."""
        if name in BUILT_IN:
            raise BadInput(reason=Reason("errors.reason.preset_built_in", name=name))
        self._store.delete_preset(name)

    def export_toml(self, names: Sequence[str] | None = None) -> str:
        """Return own presets (or those named, built-in ones too) as TOML."""
        chosen = [self.get(name) for name in names] if names is not None else self._store.list_presets()
        return to_toml(chosen)

    def import_toml(self, text: str) -> Sequence[Preset]:
        """Store the presets of a TOML text and return them; a taken name gets a number.

        Raises BadFile, and then stores nothing, when one of them cannot be used.
        """
        taken = {preset.name for preset in self.list()}
        imported = []
        for preset in from_toml(text):
            name = _free_name(preset.name, taken.__contains__)
            taken.add(name)
            imported.append(dataclasses.replace(preset, name=name))
        for preset in imported:
            self._store.save_preset(preset)
        return imported


def preset_of(name: str, settings: Settings) -> Preset:
    """Return a preset that brings back the settings' parameters; an unset seed is not part of it."""
    changes = {key: value for key, value in settings.sampling.to_dict().items() if value is not None}
    return Preset(
        name,
        "own",
        changes,
        clear_after_answer=settings.clear_after_answer,
        system_prompt=settings.system_prompt or None,
        answer_schema=settings.answer_schema,
    )


def to_toml(presets: Sequence[Preset]) -> str:
    """Write presets as TOML: one [[preset]] each with its name and the parameters it sets."""
    import tomli_w  # loads what the first page does without

    rows = []
    for preset in presets:
        row: dict[str, Any] = {"name": preset.name, **preset.changes}
        if preset.clear_after_answer:
            row["clear_after_answer"] = True
        if preset.system_prompt is not None:
            row["system_prompt"] = preset.system_prompt
        if preset.evidence:
            row["evidence"] = preset.evidence
        if preset.answer_schema is not None:
            row["answer_schema"] = preset.answer_schema.to_dict()
        rows.append(row)
    return tomli_w.dumps({"preset": rows}, multiline_strings=True)


def from_toml(text: str) -> list[Preset]:
    """Read presets written by `to_toml` or by hand; every value is checked. Raises BadFile."""
    try:
        rows = tomllib.loads(text).get("preset")
    except tomllib.TOMLDecodeError as exc:
        raise BadFile(name="presets", reason=str(exc)) from exc
    if not isinstance(rows, list) or not rows:
        raise BadFile(name="presets", reason=Reason("errors.reason.presets_none"))
    return [_from_row(row) for row in rows]


def _from_row(row: object) -> Preset:
    if not isinstance(row, dict) or not isinstance(row.get("name"), str):
        raise BadFile(name="presets", reason=Reason("errors.reason.preset_nameless"))
    changes = dict(row)
    name = changes.pop("name")
    clear = changes.pop("clear_after_answer", False)
    system_prompt = changes.pop("system_prompt", None)
    evidence = changes.pop("evidence", "")
    schema = changes.pop("answer_schema", None)
    if (
        not isinstance(clear, bool)
        or not isinstance(system_prompt, str | None)
        or not isinstance(evidence, str)
        or not isinstance(schema, dict | None)
    ):
        raise BadFile(name=name, reason=Reason("errors.reason.preset_kinds"))
    try:
        checked = Sampling.from_dict(changes).to_dict()
        name = _checked_name(name, built_in_too=True)
        form = AnswerSchema.from_dict(schema) if schema is not None else None
    except TwoKeysError as exc:
        raise BadFile(name=name, reason=Reason(f"errors.{exc.code}.text", **exc.params)) from exc
    kept_changes = {key: checked[key] for key in changes}
    return Preset(name, "own", kept_changes, clear, system_prompt, evidence, form)


def _checked_name(name: str, *, built_in_too: bool = False) -> str:
    name = " ".join(name.split())
    if not 1 <= len(name) <= MAX_NAME_CHARS:
        raise BadInput(reason=Reason("errors.reason.preset_name", most=MAX_NAME_CHARS))
    if name in BUILT_IN and not built_in_too:
        raise BadInput(reason=Reason("errors.reason.preset_built_in_name", name=name))
    return name


def _free_name(name: str, taken: Callable[[str], bool]) -> str:
    if not taken(name):
        return name
    number = 2
    while taken(f"{name} ({number})"):
        number += 1
    return f"{name} ({number})"
