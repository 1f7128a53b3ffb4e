"""A parameter is set, by a person or for one: the one place that says what follows from it.

What was set by hand is pinned: no task, no advice and not Automatic moves it again. And settings name a
preset only as long as everything it sets is in effect, so that no record of an answer names a preset
whose values were not used. Where the hand was (a slider, a dialog, a slash command, an option) is not
known here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from twokeys.core.compare.column import Column
from twokeys.core.presets import Presets, matches
from twokeys.errors import NotFound
from twokeys.types import Sampling, Settings


def set_parameters(settings: Settings, presets: Presets, changes: Mapping[str, object]) -> Settings:
    """Return the settings with parameters of Sampling that a person chose, by their names.

    Raises BadParameter for an unknown name or a value out of range.
    """
    sampling = Sampling.from_dict({**settings.sampling.to_dict(), **changes})
    changed = replace(settings, sampling=sampling, pinned=with_pinned(settings, changes))
    return drop_stale_preset(changed, presets)


def reset_parameters(settings: Settings, presets: Presets, names: Iterable[str]) -> Settings:
    """Return the settings with parameters at their defaults again, free to be moved by advice."""
    names = tuple(names)
    defaults = {name: getattr(Sampling(), name) for name in names}
    pinned = tuple(name for name in settings.pinned if name not in names)
    changed = replace(settings, sampling=settings.sampling.with_(**defaults), pinned=pinned)
    return drop_stale_preset(changed, presets)


def choose_preset(settings: Settings, presets: Presets, name: str) -> Settings:
    """Return the settings with a preset that a person chose; what it sets is pinned. Raises NotFound."""
    preset = presets.get(name)
    held = replace(settings, pinned=with_pinned(settings, preset.changes))
    return presets.apply(preset, held)


def change_column(column: Column, presets: Presets, changes: Mapping[str, Any]) -> Column:
    """Return a comparison's column with what a person chose: parameters by their names, other fields too.

    Raises BadParameter for a value out of range.
    """
    own = {name: value for name, value in changes.items() if hasattr(column.sampling, name)}
    rest = {name: value for name, value in changes.items() if name not in own}
    changed = replace(column, sampling=column.sampling.with_(**own), **rest)
    if changed.preset is None:
        return changed
    try:
        preset = presets.get(changed.preset)
    except NotFound:
        return replace(changed, preset=None)
    # a column clears nothing, whatever its preset says of that
    as_settings = Settings(
        changed.sampling,
        changed.system_prompt or "",
        clear_after_answer=preset.clear_after_answer,
        answer_schema=changed.answer_schema,
    )
    return changed if matches(preset, as_settings) else replace(changed, preset=None)


def with_values(
    settings: Settings, values: Mapping[str, object], *, system_prompt: str | None = None
) -> Settings:
    """Return the settings with parameters that no person pinned: advice, recovery, another try.

    Settings that are not what they were are no preset's any longer. Raises BadParameter for an unknown
    name or a value out of range.
    """
    changed = replace(
        settings,
        sampling=Sampling.from_dict({**settings.sampling.to_dict(), **values}),
        system_prompt=settings.system_prompt if system_prompt is None else system_prompt,
    )
    return settings if changed == settings else replace(changed, preset=None)


def drop_stale_preset(settings: Settings, presets: Presets) -> Settings:
    """Return the settings without the name of their preset where not all of its values are in effect."""
    if settings.preset is None:
        return settings
    try:
        preset = presets.get(settings.preset)
    except NotFound:
        return replace(settings, preset=None)
    return settings if matches(preset, settings) else replace(settings, preset=None)


def with_pinned(settings: Settings, names: Iterable[str]) -> tuple[str, ...]:
    """Return what advice must leave alone from now on: what was set by hand before, and these."""
    return tuple(dict.fromkeys((*settings.pinned, *names)))
