"""The two keys: temperature and answer length, with the combinations and scenarios that set them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import streamlit as st

from twokeys.core.memory.ceiling import Ceiling
from twokeys.core.memory.plan import USUAL_PROMPT_TOKENS
from twokeys.core.presets import has_parameters
from twokeys.types import BOUNDS, Conversation, Preset, Sampling
from twokeys.ui import changes, evidence, parameters, state, widgets, words
from twokeys.ui.format import count_text, escape
from twokeys.ui.keys.parameter import bound, key_heading
from twokeys.ui.parameters import Binding
from twokeys.ui.words import t

HIGH_LENGTH = 3584
"""The longest scenario (S8); from here on it is said that more is not safer."""
_TOUCHED = state.TabValue[str]("key_touched", "combination")
"""What the one line under the keys explains: the key that was touched last, or the combination."""


@dataclass(frozen=True, slots=True)
class CeilingLine:
    """What is to be said of the safe ceiling. over: the length is beyond it, or nothing fits at all."""

    text: str
    over: bool


def draw(conversation: Conversation) -> None:
    """Draw the combinations, the two keys with their marks, and one line that explains them."""
    presets = _row_of_presets(conversation, "combination", st.segmented_control, width="stretch")
    chosen = presets.get(str(state.value_of("key_combination")))
    why = state.services().presets.why(chosen, words.language()) if chosen else ""
    _temperature(conversation)
    warning = _length(conversation)
    band = t(f"sidebar.temperature.band.{_band_of(conversation)}")
    lines = {
        "combination": why or t("sidebar.combination.none"),
        "temperature": evidence.measured_text() or band,
        "max_new_tokens": _length_text(conversation),
    }
    with st.container(
        key="keys_note", horizontal=True, vertical_alignment="center", gap="xxsmall", wrap=False
    ):
        kind = " over" if warning.over else ""
        line = warning.text if warning.over else lines[_TOUCHED.get()]
        widgets.html(f'<p class="tk-note{kind}" title="{escape(line)}">{escape(line)}</p>')
        with st.popover(t("sidebar.keys.explain"), icon=":material/help:", key="keys_help", type="tertiary"):
            widgets.note(lines["combination"])
            if chosen is not None and chosen.kind == "combination":
                evidence.draw(chosen.name, key="evidence_combination")
            widgets.note(band)
            evidence.draw_measured()
            for text in (lines["max_new_tokens"], warning.text):
                if text:
                    widgets.note(text)


def _band_of(conversation: Conversation) -> str:
    return temperature_band(conversation.settings.sampling.temperature)


def _temperature(conversation: Conversation) -> None:
    settings = conversation.settings
    bounds = BOUNDS["temperature"]
    everyday = (bounds.ui_low or bounds.low, bounds.ui_high or bounds.high)
    low, high = (bounds.low, bounds.high) if settings.advanced else everyday
    with st.container(
        key="key_line_temperature", horizontal=True, vertical_alignment="center", gap="xxsmall", wrap=False
    ):
        widgets.html(f'<span class="tk-key">{escape(t("sidebar.temperature.label"))}</span>')
        parameters.slider(_touching("temperature", conversation), low=low, high=high)
        key_heading("temperature", "", f"{settings.sampling.temperature:.2f}", conversation)


def _length(conversation: Conversation) -> CeilingLine:
    """Draw the length with the scenarios as its ticks; return what is to be said of its ceiling."""
    value = conversation.settings.sampling.max_new_tokens
    bounds = BOUNDS["max_new_tokens"]
    low, high = int(bounds.ui_low or 512), max(int(bounds.ui_high or 4096), value)
    ceiling = state.services().length_ceiling()
    with st.container(key="length", gap=None):
        with st.container(key="key_line_max_new_tokens", horizontal=True, gap="xxsmall", wrap=False):
            label, unit = t("sidebar.length.label"), t("sidebar.length.unit")
            key_heading("max_new_tokens", label, str(value), conversation, unit=unit)
        parameters.slider(_touching("max_new_tokens", conversation), low=low, high=high)
        if ceiling is not None and ceiling.tokens < high:
            edge = max(0.0, _share(ceiling.tokens, low, high))
            text = escape(t("sidebar.length.ceiling.mark", tokens=count_text(ceiling.tokens)))
            widgets.html(
                f'<div class="tk-ceiling" role="img" aria-label="{text}" title="{text}">'
                f'<i style="left:{edge:.1%}"></i></div>'
            )
        scenarios = _row_of_presets(conversation, "scenario", st.pills, width="stretch")
    ticks = "".join(
        f".st-key-key_scenario [role=radiogroup] button:nth-of-type({number})"
        f"{{left:{_share(preset.changes['max_new_tokens'], low, high):.1%}}}"
        for number, preset in enumerate(scenarios.values(), 1)
    )
    widgets.html(f"<style>{ticks}</style>")
    return _ceiling_line(ceiling, value)


def _share(tokens: int, low: int, high: int) -> float:
    return (tokens - low) / (high - low)


def _length_text(conversation: Conversation) -> str:
    value = conversation.settings.sampling.max_new_tokens
    ratio = state.services().advice.known_ratio()
    characters = count_text(round(value * ratio.chars_per_token_zh, -2))
    words = count_text(round(value * ratio.words_per_token_en, -2))
    text = t("sidebar.length.note", characters=characters, words=words)
    return f"{text} {t('sidebar.length.high')}" if value >= HIGH_LENGTH else text


def _ceiling_line(ceiling: Ceiling | None, value: int) -> CeilingLine:
    """Return what sets the longest answer that is safe on this machine, and whether it is exceeded (S9)."""
    if ceiling is None:
        return CeilingLine("", over=False)
    shown = {"tokens": count_text(ceiling.tokens), "context": count_text(ceiling.context)}
    if ceiling.reason == "refused":
        return CeilingLine(t("sidebar.length.ceiling.refused", **shown), over=True)
    if value > ceiling.tokens:
        return CeilingLine(t("sidebar.length.ceiling.over", **shown), over=True)
    shown |= {"possible": count_text(ceiling.possible_context), "prompt": str(USUAL_PROMPT_TOKENS)}
    return CeilingLine(t(f"sidebar.length.ceiling.{ceiling.reason}", **shown), over=False)


def _touching(name: str, conversation: Conversation) -> Binding:
    """Return the binding of a key that also remembers that it was the one touched last."""
    binding = bound(name, conversation)

    def change(value: object) -> None:
        _TOUCHED.set(name)
        binding.change(value)

    return replace(binding, change=change)


def _row_of_presets(
    conversation: Conversation, group: str, draw: Callable[..., object], *, width: str
) -> dict[str, Preset]:
    """Draw the presets of a group side by side; return them by name."""
    presets = {preset.name: preset for preset in state.services().presets.of_kind(group)}
    key = f"key_{group}"
    state.show_value(key, _matching(conversation.settings.sampling, presets.values()))
    draw(
        t(f"sidebar.{group}.label"),
        list(presets),
        format_func=lambda name: t(f"sidebar.{group}.{name}"),
        key=key,
        help=t(f"sidebar.{group}.help"),
        on_change=_preset_chosen,
        args=(key, conversation.id),
        label_visibility="collapsed",
        width=width,
    )
    return presets


def _matching(sampling: Sampling, presets: Iterable[Preset]) -> str | None:
    """Return the preset whose values are in effect, whether or not it was clicked."""
    return next((preset.name for preset in presets if has_parameters(preset, sampling)), None)


def _preset_chosen(key: str, conversation_id: str) -> None:
    if name := state.value_of(key):
        _TOUCHED.set("combination" if key == "key_combination" else "max_new_tokens")
        changes.choose_preset(conversation_id, name)


def temperature_band(value: float) -> str:
    """Return the name of the explanation for a temperature."""
    if value == 0:
        return "greedy"
    for limit, name in ((0.4, "exact"), (0.6, "professional"), (0.8, "balanced"), (1.0, "lively")):
        if value <= limit + 1e-9:
            return name
    return "hot" if value <= 1.3 else "wild"
