"""Turns an event into the words of the catalogue: title, what was seen, what to do next.

Chooses keys and fills in values; the texts are in i18n/texts/guard.toml.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from twokeys.core.guard.retry import Change
from twokeys.i18n import catalogue, translate
from twokeys.types import GuardEvent


@dataclass(frozen=True, slots=True)
class EventText:
    """What a person reads of one event."""

    title: str
    detail: str
    next_step: str


def describe(event: GuardEvent, language: str) -> EventText:
    """Return the words for an event, in "zh" or "en"; its bare kind for one that is not known here."""
    key = f"guard.{event.kind}.{_variant(event)}"
    if f"{key}.title" not in catalogue():
        return EventText(event.kind, "", "")
    values = _values(event.data, language)
    return EventText(
        *(translate(f"{key}.{part}", language, **values) for part in ("title", "detail", "next"))
    )


def describe_changes(changed: Sequence[Change], language: str) -> str:
    """Return one line that says what “continue differently” changed."""
    changes = [
        translate(
            "guard.retry.change",
            language,
            name=_name(change.name, language),
            before=translate("guard.retry.random", language)
            if change.before is None
            else f"{change.before:g}",
            after=str(change.after) if change.name == "seed" else f"{change.after:g}",
        )
        for change in changed
    ]
    return translate(
        "guard.retry.changed", language, changes=("，" if language == "zh" else ", ").join(changes)
    )


def _name(parameter: str, language: str) -> str:
    key = f"guard.retry.names.{parameter}"
    return translate(key, language) if key in catalogue() else parameter


def _variant(event: GuardEvent) -> str:
    if event.kind == "stall":
        return str(event.data.get("state", "begun"))
    return "note" if event.kind == "uncertainty" else event.level


def _values(data: Mapping[str, Any], language: str) -> dict[str, object]:
    values = dict(data)
    if "script" in values:
        script = f"guard.scripts.{values['script']}"
        values["script"] = translate(script, language) if script in catalogue() else str(values["script"])
    for name in ("rep", "new"):
        if name in values:
            values[f"{name}_percent"] = round(100 * values[name])
    if not values.get("copies", 1):
        values["copies"] = "≥ 2"
    return values
