"""The two keys and everything beside them: combinations, scenarios, role, own presets, the rest.

Every change is written to the conversation at once and takes effect on its next message.
"""

from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from twokeys.core.memory.plan import USUAL_PROMPT_TOKENS
from twokeys.errors import TwoKeysError
from twokeys.types import (
    BOUNDS,
    PARAMETER_GROUPS,
    SAMPLER_ORDERS,
    Conversation,
    Preset,
    Sampling,
    Settings,
)
from twokeys.ui import changes, notices, saved_presets, state, widgets, words
from twokeys.ui.format import count_text, escape, markdown_label
from twokeys.ui.words import t

DEFAULTS = Sampling()
HIGH_LENGTH = 3584
"""The longest scenario (S8); from here on it is said that more is not safer."""
MAX_AUTO_CONTINUE = 8
_UPLOADED = state.TabValue[str | None]("preset_upload", None)


def draw(conversation: Conversation) -> None:
    """Draw the card with the two keys and the folded rest."""
    with st.container(key="keys_card"):
        _combinations(conversation)
        _temperature(conversation)
        _length(conversation)
        _scenarios(conversation)
    with st.container(key="folds"):
        _role(conversation)
        with st.expander(t("sidebar.presets.title"), icon=":material/bookmark:", key="presets_box"):
            _own_presets(conversation)
        with st.expander(t("sidebar.advanced.title"), icon=":material/tune:", key="advanced_box"):
            _advanced(conversation)


# --- the card -----------------------------------------------------------------------------------------


def _combinations(conversation: Conversation) -> None:
    presets = _row_of_presets(conversation, "combination", st.segmented_control, width="stretch")
    chosen = presets.get(str(state.value_of("key_combination")))
    why = state.services().presets.why(chosen, words.language()) if chosen else ""
    widgets.note(why or t("sidebar.combination.none"))
    if conversation.settings.clear_after_answer or (chosen and chosen.clear_after_answer):
        state.show_value("key_clear_after", conversation.settings.clear_after_answer)
        st.toggle(
            t("sidebar.clear_after.label"),
            key="key_clear_after",
            help=t("sidebar.clear_after.help"),
            on_change=_setting_changed,
            args=("clear_after_answer", "key_clear_after", conversation.id),
        )


def _temperature(conversation: Conversation) -> None:
    settings = conversation.settings
    value = settings.sampling.temperature
    bounds = BOUNDS["temperature"]
    everyday = (bounds.ui_low or bounds.low, bounds.ui_high or bounds.high)
    low, high = (bounds.low, bounds.high) if settings.advanced else everyday
    _key_heading(t("sidebar.temperature.label"), f"{value:.2f}", "", "temperature", conversation)
    _slider("temperature", t("sidebar.temperature.label"), low, high, conversation)
    widgets.note(t(f"sidebar.temperature.band.{temperature_band(value)}"))


def _length(conversation: Conversation) -> None:
    value = conversation.settings.sampling.max_new_tokens
    bounds = BOUNDS["max_new_tokens"]
    low, high = int(bounds.ui_low or 512), int(bounds.ui_high or 4096)
    unit = t("sidebar.length.unit")
    _key_heading(t("sidebar.length.label"), str(value), unit, "max_new_tokens", conversation)
    _slider("max_new_tokens", t("sidebar.length.label"), low, high, conversation)
    ratio = state.services().advice.known_ratio()
    characters = count_text(round(value * ratio.chars_per_token_zh, -2))
    words = count_text(round(value * ratio.words_per_token_en, -2))
    widgets.note(t("sidebar.length.note", characters=characters, words=words))
    if value >= HIGH_LENGTH:
        widgets.note(t("sidebar.length.high"))
    _ceiling(value, low, high)


def _ceiling(value: int, low: int, high: int) -> None:
    """Mark the longest answer that is safe on this machine, and say what sets the limit (S9)."""
    ceiling = state.services().length_ceiling()
    if ceiling is None:
        return
    shown = {"tokens": count_text(ceiling.tokens), "context": count_text(ceiling.context)}
    if ceiling.reason == "refused":
        text, kind = t("sidebar.length.ceiling.refused", **shown), " over"
    elif value > ceiling.tokens:
        text, kind = t("sidebar.length.ceiling.over", **shown), " over"
    else:
        shown |= {"possible": count_text(ceiling.possible_context), "prompt": str(USUAL_PROMPT_TOKENS)}
        text, kind = t(f"sidebar.length.ceiling.{ceiling.reason}", **shown), ""
    strip = ""
    if ceiling.tokens < max(high, value):
        share = max(0.0, (ceiling.tokens - low) / (max(high, value) - low))
        strip = f'<div class="tk-ceiling"><i style="width:{share:.1%}"></i></div>'
    widgets.html(f'{strip}<p class="tk-note tk-ceiling-note{kind}">{escape(text)}</p>')


def _scenarios(conversation: Conversation) -> None:
    _row_of_presets(conversation, "scenario", st.pills, width="content")


def _row_of_presets(
    conversation: Conversation, group: str, draw: Callable[..., object], *, width: str
) -> dict[str, Preset]:
    """Draw the presets of a group side by side; return them by name."""
    presets = {p.name: p for p in _presets(group)}
    key = f"key_{group}"
    state.show_value(key, _matching(conversation.settings, presets))
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


def _key_heading(label: str, value: str, unit: str, name: str, conversation: Conversation) -> None:
    """Draw a key's label and value, and the button to its default where it has another value."""
    small = f"<small>{escape(unit)}</small>" if unit else ""
    with st.container(key=f"label_{name}", horizontal=True, vertical_alignment="center", wrap=False):
        widgets.html(f'<div class="tk-key"><span>{escape(label)}</span><output>{value}{small}</output></div>')
        if getattr(conversation.settings.sampling, name) != getattr(DEFAULTS, name):
            _reset_button(name, conversation)


def _reset_button(name: str, conversation: Conversation) -> None:
    st.button(
        "",
        icon=":material/restart_alt:",
        key=f"reset_{name}",
        type="tertiary",
        help=t("sidebar.advanced.reset", value=_default_text(getattr(DEFAULTS, name))),
        on_click=_reset,
        args=((name,), conversation.id),
    )


def temperature_band(value: float) -> str:
    """Return the name of the explanation for a temperature."""
    if value == 0:
        return "greedy"
    for limit, name in ((0.4, "exact"), (0.6, "professional"), (0.8, "balanced"), (1.0, "lively")):
        if value <= limit + 1e-9:
            return name
    return "hot" if value <= 1.3 else "wild"


# --- role ----------------------------------------------------------------------------------------------


def _role(conversation: Conversation) -> None:
    role = conversation.settings.system_prompt
    label = t("sidebar.role.title_set") if role else t("sidebar.role.title")
    with st.expander(label, icon=":material/badge:", key="role_box"):
        state.show_value("key_system_prompt", role)
        st.text_area(
            t("sidebar.role.label"),
            key="key_system_prompt",
            placeholder=t("sidebar.role.placeholder"),
            help=t("sidebar.role.help"),
            on_change=_setting_changed,
            args=("system_prompt", "key_system_prompt", conversation.id),
            height=130,
        )
        widgets.note(t("sidebar.role.note"))


# --- own presets -------------------------------------------------------------------------------------


def _own_presets(conversation: Conversation) -> None:
    presets = {p.name: p for p in _presets("own")}
    if presets:
        for name in presets:
            _own_preset(name, conversation)
    else:
        widgets.note(t("sidebar.presets.empty"))
    with st.form("preset_save", border=False, clear_on_submit=True):
        st.text_input(
            t("sidebar.presets.name"), key="preset_name", placeholder=t("sidebar.presets.name_hint")
        )
        if st.form_submit_button(t("sidebar.presets.save"), icon=":material/add:", key="preset_save_button"):
            _save_preset(str(state.value_of("preset_name") or ""), conversation.settings)
    if presets:
        st.download_button(
            t("sidebar.presets.export"),
            state.services().presets.export_toml(),
            file_name="twokeys-presets.toml",
            mime="application/toml",
            icon=":material/download:",
            key="preset_export",
            on_click="ignore",
            width="stretch",
        )
    upload = st.file_uploader(t("sidebar.presets.import"), type=["toml"], key="preset_import")
    if upload is not None and _UPLOADED.get() != upload.file_id:
        _UPLOADED.set(upload.file_id)
        _import_presets(upload.getvalue())


def _own_preset(name: str, conversation: Conversation) -> None:
    with st.container(key=f"preset_row_{name}", horizontal=True, gap="xxsmall", wrap=False):
        st.button(
            markdown_label(name),
            key=f"preset_use_{name}",
            on_click=_apply_preset,
            args=(name, conversation.id),
            width="stretch",
        )
        with st.popover(
            t("ui.more"), icon=":material/more_horiz:", key=f"preset_more_{name}", type="tertiary"
        ):
            new_name = st.text_input(t("sidebar.presets.rename"), value=name, key=f"preset_rename_{name}")
            if st.button(t("ui.rename"), key=f"preset_rename_button_{name}") and new_name != name:
                _rename_preset(name, new_name or "")
            if st.button(t("ui.delete"), key=f"preset_delete_{name}", icon=":material/delete:"):
                _delete_preset(name)


def _save_preset(name: str, settings: Settings) -> None:
    presets = state.services().presets
    saved_presets.save(lambda replace: presets.save(name.strip(), settings, replace=replace))
    st.rerun()


def _rename_preset(name: str, new_name: str) -> None:
    try:
        state.services().presets.rename(name, new_name.strip())
    except TwoKeysError as error:
        notices.tell_error(error)
    st.rerun()


def _delete_preset(name: str) -> None:
    kept = next((p for p in _presets("own") if p.name == name), None)
    try:
        state.services().presets.delete(name)
    except TwoKeysError as error:
        notices.tell_error(error)
    else:
        if kept is not None:
            preset = kept
            notices.offer_undo(
                t("sidebar.presets.deleted", name=name),
                lambda: state.services().repository.save_preset(preset),
            )
    st.rerun()


def _import_presets(data: bytes) -> None:
    try:
        names = state.services().presets.import_toml(data.decode("utf-8", errors="replace"))
        notices.tell(notices.Notice(t("sidebar.presets.imported", count=len(names))))
    except TwoKeysError as error:
        notices.tell_error(error)
    st.rerun()


# --- advanced ------------------------------------------------------------------------------------------


def _advanced(conversation: Conversation) -> None:
    settings = conversation.settings
    state.show_value("key_advanced", settings.advanced)
    st.toggle(
        t("sidebar.advanced.wide"),
        key="key_advanced",
        help=t("sidebar.advanced.wide_help"),
        on_change=_setting_changed,
        args=("advanced", "key_advanced", conversation.id),
    )
    for group, names in PARAMETER_GROUPS.items():
        widgets.section(t(f"sidebar.group.{group}"))
        for name in names:
            _parameter(name, conversation)
    widgets.section(t("sidebar.group.other"))
    _seed(conversation)
    _stop_strings(conversation)
    _order(conversation)
    _auto_continue(conversation)
    _keep_probs(conversation)
    if settings.sampling != DEFAULTS:
        st.button(
            t("sidebar.advanced.reset_all"),
            icon=":material/restart_alt:",
            key="reset_all",
            on_click=_reset,
            args=(tuple(DEFAULTS.to_dict()), conversation.id),
            width="stretch",
        )


def _parameter(name: str, conversation: Conversation) -> None:
    bounds = BOUNDS[name]
    value = getattr(conversation.settings.sampling, name)
    _labelled(name, value, conversation)
    high = bounds.slider_high(value)
    _slider(name, t(f"sidebar.parameter.{name}.label"), bounds.low, high, conversation)
    widgets.note(t(f"sidebar.parameter.{name}.note"))


def _slider(name: str, label: str, low: float, high: float, conversation: Conversation) -> None:
    """Draw the slider of a parameter, from low to high, wider only where the value needs it."""
    number = int if BOUNDS[name].integer else float
    value = getattr(conversation.settings.sampling, name)
    state.show_value(f"key_{name}", value)
    st.slider(
        label,
        min_value=number(min(low, value)),
        max_value=number(max(high, value)),
        step=number(BOUNDS[name].step),
        key=f"key_{name}",
        on_change=_sampling_changed,
        args=(name, f"key_{name}", conversation.id),
        label_visibility="collapsed",
    )


def _seed(conversation: Conversation) -> None:
    value = conversation.settings.sampling.seed
    _labelled("seed", value, conversation)
    state.show_value("key_seed", value)
    st.number_input(
        t("sidebar.parameter.seed.label"),
        min_value=0,
        max_value=int(BOUNDS["seed"].high),
        value=None,
        step=1,
        key="key_seed",
        placeholder=t("sidebar.parameter.seed.placeholder"),
        on_change=_sampling_changed,
        args=("seed", "key_seed", conversation.id),
        label_visibility="collapsed",
    )
    widgets.note(t("sidebar.parameter.seed.note"))


def _stop_strings(conversation: Conversation) -> None:
    value = conversation.settings.sampling.stop
    _labelled("stop", value, conversation)
    state.show_value("key_stop", "\n".join(value))
    st.text_area(
        t("sidebar.parameter.stop.label"),
        key="key_stop",
        height=80,
        on_change=_stop_changed,
        args=(conversation.id,),
        label_visibility="collapsed",
    )
    widgets.note(t("sidebar.parameter.stop.note"))


def _order(conversation: Conversation) -> None:
    value = conversation.settings.sampling.order
    _labelled("order", value, conversation)
    state.show_value("key_order", value)
    st.segmented_control(
        t("sidebar.parameter.order.label"),
        list(SAMPLER_ORDERS),
        key="key_order",
        required=True,
        on_change=_sampling_changed,
        args=("order", "key_order", conversation.id),
        label_visibility="collapsed",
        width="stretch",
    )
    widgets.note(t("sidebar.parameter.order.note"))


def _auto_continue(conversation: Conversation) -> None:
    value = conversation.settings.auto_continue
    state.show_value("key_auto_continue", value)
    st.slider(
        t("sidebar.auto_continue.label"),
        0,
        MAX_AUTO_CONTINUE,
        key="key_auto_continue",
        on_change=_setting_changed,
        args=("auto_continue", "key_auto_continue", conversation.id),
    )
    widgets.note(
        t("sidebar.auto_continue.off") if value == 0 else t("sidebar.auto_continue.note", count=value)
    )


def _keep_probs(conversation: Conversation) -> None:
    kept = conversation.settings.keep_probs
    state.show_value("key_keep_probs", keeps_by_itself() if kept is None else kept)
    st.toggle(
        t("sidebar.keep_probs.label"),
        key="key_keep_probs",
        help=t("sidebar.keep_probs.help"),
        on_change=_setting_changed,
        args=("keep_probs", "key_keep_probs", conversation.id),
    )


def keeps_by_itself() -> bool:
    """Whether token probabilities are kept where the conversation does not say: for local models."""
    answering = state.services().engines.expected()
    return answering is not None and answering.spec is not None


def _labelled(name: str, value: Any, conversation: Conversation) -> None:
    default = getattr(DEFAULTS, name)
    shown = f"{value:g}" if isinstance(value, int | float) and name != "seed" else ""
    with st.container(key=f"label_{name}", horizontal=True, vertical_alignment="center", wrap=False):
        widgets.html(
            f'<div class="tk-key tk-small"><span>{escape(t(f"sidebar.parameter.{name}.label"))}</span>'
            f"<output>{shown}</output></div>"
        )
        if value != default:
            _reset_button(name, conversation)


def _default_text(value: Any) -> str:
    if value is None or value == ():
        return t("sidebar.advanced.nothing")
    return f"{value:g}" if isinstance(value, int | float) else str(value)


# --- callbacks -------------------------------------------------------------------------------------------


def _presets(kind: str) -> list[Preset]:
    return [preset for preset in state.services().presets.list() if preset.kind == kind]


def _matching(settings: Settings, presets: Mapping[str, Preset]) -> str | None:
    """Return the preset whose values the settings have now, whether or not it was clicked."""
    now = settings.sampling.to_dict()
    for name, preset in presets.items():
        if all(now.get(field) == value for field, value in preset.changes.items()):
            return name
    return None


def _preset_chosen(key: str, conversation_id: str) -> None:
    if name := state.value_of(key):
        _apply_preset(name, conversation_id)


def _apply_preset(name: str, conversation_id: str) -> None:
    changes.choose_preset(conversation_id, name)


def _sampling_changed(name: str, key: str, conversation_id: str) -> None:
    changes.set_by_hand(conversation_id, name, state.value_of(key))


def _setting_changed(name: str, key: str, conversation_id: str) -> None:
    changes.save_settings(conversation_id, **{name: state.value_of(key)})


def _stop_changed(conversation_id: str) -> None:
    lines = tuple(line for line in str(state.value_of("key_stop") or "").split("\n") if line)
    changes.set_by_hand(conversation_id, "stop", lines)


def _reset(names: tuple[str, ...], conversation_id: str) -> None:
    changes.reset_by_hand(conversation_id, names)
