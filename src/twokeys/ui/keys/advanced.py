"""Every other parameter, and what a conversation does by itself: for who wants more than two keys."""

import streamlit as st

from twokeys.types import PARAMETER_GROUPS, Conversation
from twokeys.ui import changes, parameters, state, switch, widgets
from twokeys.ui.keys.parameter import DEFAULTS, bound, heading
from twokeys.ui.words import t

MAX_AUTO_CONTINUE = 8
DRAFTS = ("auto", "off", "simple")


def draw(conversation: Conversation) -> None:
    """Draw the parameters in their groups."""
    settings = conversation.settings
    switch.draw(
        t("sidebar.advanced.wide"),
        settings.advanced,
        key="key_advanced",
        note=t("sidebar.advanced.wide_help"),
        change=lambda wanted: changes.save_settings(conversation.id, advanced=wanted),
        in_popover=True,
    )
    for group, names in PARAMETER_GROUPS.items():
        widgets.section(t(f"sidebar.group.{group}"))
        for name in names:
            heading(name, conversation)
            parameters.slider(bound(name, conversation, in_popover=True))
            widgets.note(t(f"sidebar.parameter.{name}.note"))
    widgets.section(t("sidebar.group.other"))
    heading("seed", conversation)
    parameters.seed(bound("seed", conversation, in_popover=True))
    widgets.note(t("sidebar.parameter.seed.note"))
    heading("stop", conversation)
    parameters.stop_strings(bound("stop", conversation, in_popover=True))
    widgets.note(t("sidebar.parameter.stop.note"))
    heading("order", conversation)
    parameters.order(bound("order", conversation, in_popover=True))
    widgets.note(t("sidebar.parameter.order.note"))
    _auto_continue(conversation)
    _keep_probs(conversation)
    _drafts(conversation)
    if settings.sampling != DEFAULTS:
        st.button(
            t("sidebar.advanced.reset_all"),
            icon=":material/restart_alt:",
            key="reset_all",
            on_click=changes.reset_by_hand,
            args=(conversation.id, tuple(DEFAULTS.to_dict())),
            width="stretch",
        )


def _auto_continue(conversation: Conversation) -> None:
    value = conversation.settings.auto_continue
    key = state.popover_key("key_auto_continue", value)
    st.slider(
        t("sidebar.auto_continue.label"),
        0,
        MAX_AUTO_CONTINUE,
        value=value,
        key=key,
        on_change=changes.save_setting_of,
        args=(conversation.id, "auto_continue", key),
    )
    widgets.note(
        t("sidebar.auto_continue.off") if value == 0 else t("sidebar.auto_continue.note", count=value)
    )


def _keep_probs(conversation: Conversation) -> None:
    decided = conversation.settings.keep_probs
    switch.draw(
        t("sidebar.keep_probs.label"),
        keeps_by_itself() if decided is None else decided,
        key="key_keep_probs",
        note=t("sidebar.keep_probs.help"),
        change=lambda wanted: changes.save_settings(conversation.id, keep_probs=wanted),
        in_popover=True,
    )


def _drafts(conversation: Conversation) -> None:
    chosen = conversation.settings.draft
    options = list(dict.fromkeys((*DRAFTS, chosen)))
    named = (*DRAFTS, "mod")
    labels = {name: t(f"drafts.option.{name}") if name in named else name for name in options}
    key = state.popover_key("key_draft", chosen)
    st.selectbox(
        t("drafts.label"),
        options,
        index=options.index(chosen),
        key=key,
        format_func=labels.__getitem__,
        help=t("drafts.help"),
        on_change=changes.save_setting_of,
        args=(conversation.id, "draft", key),
    )


def keeps_by_itself() -> bool:
    """Whether token probabilities are kept where the conversation does not say: where they are free."""
    answering = state.services().engines.expected()
    return answering is not None and answering.tells_probs
