"""Shorten what stands above: which turns, the summary as it is written, its price, and taking it."""

import streamlit as st

from twokeys.core.shortening import Summary
from twokeys.errors import TwoKeysError
from twokeys.types import Message
from twokeys.ui import notices, state, widgets, words
from twokeys.ui.actions import attempt
from twokeys.ui.format import count_text, escape
from twokeys.ui.words import t
from twokeys.units import duration_text

REDRAW_S = 0.4
OFFERED_FROM = 0.5
"""How full the context is, as a share, when shortening is offered under the conversation."""


def offer(conversation_id: str, last: Message) -> None:
    """Offer to shorten what stands above where the newest answer had half of the context above it."""
    known = last.provenance
    if last.role != "assistant" or not known.context or not known.prompt_tokens:
        return
    if known.prompt_tokens + (known.completion_tokens or 0) >= OFFERED_FROM * known.context:
        st.button(
            t("chat.shorten.title"),
            key="shorten_offer",
            icon=":material/compress:",
            type="tertiary",
            on_click=notices.ask,
            args=("shorten",),
            kwargs={"conversation_id": conversation_id},
        )


def draw_dialog(conversation_id: str) -> None:
    """Draw the dialog: choose the turns, watch the summary grow, read and take it."""
    summary = state.services().shortening.draft(conversation_id)
    if summary is None:
        _choose(conversation_id)
    elif summary.active:
        st.fragment(_growing, run_every=REDRAW_S)(conversation_id)
    else:
        _written(conversation_id, summary)


def _choose(conversation_id: str) -> None:
    widgets.html(f'<p class="tk-lead">{escape(t("chat.shorten.lead"))}</p>')
    try:
        plan = state.services().shortening.plan(conversation_id)
    except TwoKeysError as error:
        widgets.error(error)
        return
    turns = plan.turns
    if not turns:
        widgets.note(t("chat.shorten.nothing"))
        return
    chosen = st.selectbox(
        t("chat.shorten.upto"),
        range(len(turns)),
        index=max(0, len(turns) - 2),
        format_func=lambda at: t("chat.shorten.turn", number=at + 1, title=turns[at].title),
        key="shorten_upto",
    )
    last = len(turns) - 1 if chosen is None else chosen
    tokens = sum(turn.tokens for turn in turns[: last + 1])
    cost = "cost" if plan.exact else "cost_estimate"
    widgets.note(t(f"chat.shorten.{cost}", count=last + 1, tokens=count_text(tokens)))
    if st.button(
        t("chat.shorten.start"),
        key="shorten_start",
        icon=":material/compress:",
        type="primary",
        width="stretch",
    ):
        _start(conversation_id, turns[last].message_ids[-1])


def _start(conversation_id: str, after: str) -> None:
    try:
        state.services().shortening.start(conversation_id, after)
    except TwoKeysError as error:
        widgets.error(error)
    else:
        st.rerun()


def _growing(conversation_id: str) -> None:
    shortening = state.services().shortening
    summary = shortening.draft(conversation_id)
    if summary is None or not summary.active:
        st.rerun()
    if summary.text:
        with st.container(key="shorten_growing"):
            st.text(summary.text)
    else:
        widgets.note(t(f"chat.phase.{summary.phase or 'queued'}"))
    widgets.note(t("chat.shorten.tokens", tokens=count_text(summary.tokens)))
    st.button(
        t("chat.shorten.stop"),
        key="shorten_stop",
        icon=":material/stop_circle:",
        on_click=shortening.stop,
        args=(conversation_id,),
    )


def _written(conversation_id: str, summary: Summary) -> None:
    shortening = state.services().shortening
    if summary.error is not None:
        widgets.error_card(*words.error_text(summary.error))
    elif summary.cut:
        widgets.note(t("chat.shorten.cut"))
    text = st.text_area(
        t("chat.shorten.text"), value=summary.text, key=f"shorten_text_{summary.job}", height=220
    )
    text = (text or "").strip()
    tokens = shortening.tokens_of(text) if text else 0
    saved = summary.replaced_tokens - tokens
    rows = [
        (t("chat.shorten.replaced"), t("chat.shorten.tokens", tokens=count_text(summary.replaced_tokens))),
        (t("chat.shorten.takes"), t("chat.shorten.tokens", tokens=count_text(tokens))),
    ]
    if text and saved > 0:
        rows.append((t("chat.shorten.saves"), t("chat.shorten.tokens", tokens=count_text(saved))))
    if summary.seconds is not None:
        rows.append((t("chat.shorten.took"), duration_text(summary.seconds, words.language())))
    widgets.html(widgets.facts(rows))
    widgets.note(t("chat.shorten.no_gain" if text and saved <= 0 else "chat.shorten.check"))
    with st.container(horizontal=True, key="shorten_end", gap="small"):
        if st.button(t("chat.shorten.take"), key="shorten_take", type="primary", disabled=not text):
            attempt(_take, conversation_id, text)
            notices.close_question()
            st.rerun()
        if st.button(t("chat.shorten.again"), key="shorten_again", icon=":material/refresh:"):
            _start(conversation_id, summary.after)
        if st.button(t("chat.shorten.drop"), key="shorten_drop", type="tertiary"):
            shortening.drop(conversation_id)
            notices.close_question()
            st.rerun()


def _take(conversation_id: str, text: str) -> None:
    notices.offer_undo(t("chat.shorten.done"), state.services().shortening.take(conversation_id, text))
