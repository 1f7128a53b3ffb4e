"""Advice while a message is being written: the coach's line and what length the answer needs.

A fragment of its own, so that a pause in typing redraws these lines and nothing else. The draft comes
from the browser (web.component.draft); everything said about it is decided in core.advice.
"""

from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st

from twokeys.core.advice.coach import DraftAdvice, review
from twokeys.core.advice.length import LengthNeed
from twokeys.core.advice.tasks import BY_NAME
from twokeys.core.structured.command import command_part, without_command
from twokeys.core.writer.draft_request import DraftRequest
from twokeys.errors import TwoKeysError
from twokeys.types import Conversation
from twokeys.ui import attachments, changes, drafts, evidence, looks, navigation, state, widgets, words
from twokeys.ui.format import count_text, escape
from twokeys.ui.words import t
from twokeys.web.component.draft import draft_reader

COACH_SETTING = "advice.coach"
IGNORED_SETTING = "advice.ignored."
"""With a conversation: the kinds of lines that were ignored in it."""
BOX = ".st-key-chat_send textarea"
LEAST_CHARS = 4
READ_CHARS = 4000
"""Of a long draft only so much is judged; the rest of it is mostly material."""
REWRITE_KEY = "coach_rewrite"


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A stronger prompt for a draft; text is empty when the model had nothing better."""

    draft: str
    text: str


_BY_MODEL = state.TabValue[Rewritten | None]("coach_by_model", None)
_SHOWN = state.TabValue[Rewritten | None]("coach_shown", None)


def coach_on() -> bool:
    """Whether a person wants advice while writing; on until it is switched off."""
    return state.services().repository.get_setting(COACH_SETTING) is not False


def switch_coach(on: bool) -> None:
    """Remember whether a person wants advice while writing."""
    state.services().repository.set_setting(COACH_SETTING, on)


@st.fragment
def draw(conversation_id: str, also: Callable[[], None] = lambda: None) -> None:
    """Draw one line about the draft, and read along in the message box.

    A message that would be cut comes before the coach, and both before what is said in any case.
    also: draws what stands here when there is nothing to say of the draft.
    """
    if state.take_redraw():
        st.rerun()
    if not navigation.plain():
        draft_reader(
            BOX,
            key="draft_reader",
            on_action=lambda action: attachments.hear(conversation_id, action),
            show=drafts.shown(),
            files=attachments.for_browser(),
            ctrl_enter=looks.send_key() == "ctrl_enter",
        )
    attachments.draw_pasted(conversation_id)
    text = without_command(drafts.seen(conversation_id)[:READ_CHARS])
    if len(text.strip()) < LEAST_CHARS:
        also()
        return
    conversation = state.services().conversations.get(conversation_id)
    need = _need(conversation, text)
    finding = _finding(conversation, text) if coach_on() else None
    if need is not None and (finding is None or need.tokens > conversation.settings.sampling.max_new_tokens):
        _need_line(conversation, need)
    elif finding is not None:
        _coach_line(conversation, text, finding)
    else:
        also()


# --- the coach ----------------------------------------------------------------------------------------


def _finding(conversation: Conversation, text: str) -> DraftAdvice | None:
    settings = conversation.settings
    automatic = state.services().advice.automatic and settings.task is None
    ignored = _ignored(conversation.id)
    for finding in review(
        text,
        settings.sampling.temperature,
        task=BY_NAME.get(settings.task or ""),
        system_prompt=settings.system_prompt,
        follow_up=conversation.head_id is not None,
        attached=bool(attachments.documents(conversation.id)),
    ):
        turned = finding.temperature is not None and finding.rewritten is None
        if finding.kind in ignored:
            continue
        if turned and automatic and "temperature" not in settings.pinned:
            continue  # Automatic will turn that key itself
        return finding
    return None


def _coach_line(conversation: Conversation, text: str, finding: DraftAdvice) -> None:
    now = conversation.settings.sampling.temperature
    with st.container(key="coach", horizontal=True, vertical_alignment="center", gap="xsmall"):
        why = finding.why(words.language(), now)
        widgets.html(f'<p class="tk-coach" role="status">{escape(why)}</p>')
        if finding.rewritten is not None:
            with st.popover(t("advice.coach.see"), key="coach_see", type="tertiary"):
                _rewrite(conversation, text, finding)
        elif finding.temperature is not None:
            st.button(
                t("advice.coach.set", wanted=f"{finding.temperature:g}"),
                key="coach_set",
                type="tertiary",
                on_click=_set_temperature,
                args=(conversation.id, finding.temperature),
            )
        evidence.draw(finding.kind, key="evidence_coach")
        st.button(
            "",
            icon=":material/close:",
            key="coach_ignore",
            type="tertiary",
            help=t("advice.coach.ignore"),
            on_click=_ignore,
            args=(conversation.id, finding.kind),
        )


def _rewrite(conversation: Conversation, text: str, finding: DraftAdvice) -> None:
    """Show the stronger prompt to accept, edit or leave; the template's at once, the model's on demand."""
    by_model = _BY_MODEL.get()
    asked = by_model is not None and by_model.draft == text
    rewritten = (by_model.text if by_model is not None and asked else "") or finding.rewritten or text
    shown = Rewritten(text, rewritten)
    if _SHOWN.get() not in (None, shown):
        state.renew(REWRITE_KEY)
    _SHOWN.set(shown)
    st.text_area(t("advice.coach.edit_label"), value=rewritten, key=state.key_of(REWRITE_KEY), height=210)
    if finding.temperature is not None:
        st.checkbox(
            t("advice.coach.and_key", wanted=f"{finding.temperature:g}"),
            value=True,
            key="coach_and_key",
        )
    with st.container(key="coach_buttons", horizontal=True):
        st.button(
            t("advice.coach.accept"),
            key="coach_accept",
            type="primary",
            on_click=_accept,
            args=(conversation.id, finding.temperature),
        )
        if st.button(t("advice.coach.by_model"), key="coach_by_model", icon=":material/edit_note:"):
            _let_model_rewrite(text, finding)
    if asked and by_model is not None and not by_model.text:
        widgets.note(t("advice.coach.by_model_nothing"))


def _let_model_rewrite(text: str, finding: DraftAdvice) -> None:
    with st.spinner(t("advice.coach.by_model_running")):
        try:
            rewritten = state.services().advice.rewrite(text, finding.missing)
        except (TwoKeysError, TimeoutError):
            rewritten = ""
    _BY_MODEL.set(Rewritten(text, rewritten))
    st.rerun()


def _accept(conversation_id: str, temperature: float | None) -> None:
    text = str(state.value_of(state.key_of(REWRITE_KEY)) or "")
    if temperature is not None and state.value_of("coach_and_key"):
        changes.set_by_hand(conversation_id, "temperature", temperature)
    text = command_part(drafts.seen(conversation_id)) + text
    drafts.put_back(text)
    drafts.see(conversation_id, text)
    state.ask_redraw()


def _set_temperature(conversation_id: str, temperature: float) -> None:
    changes.set_by_hand(conversation_id, "temperature", temperature)
    state.ask_redraw()


def _ignore(conversation_id: str, kind: str) -> None:
    ignored = sorted({*_ignored(conversation_id), kind})
    state.services().repository.set_setting(IGNORED_SETTING + conversation_id, ignored)


def _ignored(conversation_id: str) -> list[str]:
    stored = state.services().repository.get_setting(IGNORED_SETTING + conversation_id)
    return stored if isinstance(stored, list) else []


# --- the length ---------------------------------------------------------------------------------------


def _need(conversation: Conversation, text: str) -> LengthNeed | None:
    """Return what the answer needs when the message says so itself, or when it would be cut."""
    settings = conversation.settings
    try:
        need = state.services().advice.need(
            text, BY_NAME.get(settings.task or ""), attachments.material_tokens(conversation.id)
        )
    except TwoKeysError:
        return None
    if need.said or (need.source == "earlier" and need.tokens > settings.sampling.max_new_tokens):
        return need
    return None  # what is usual for a task is in the picker


def _need_line(conversation: Conversation, need: LengthNeed) -> None:
    now = conversation.settings.sampling.max_new_tokens
    parts = [t("advice.need.line", tokens=count_text(need.wanted), source=_source(need))]
    if need.over_ceiling:
        over = "over" if need.segments else "over_code"
        parts.append(t(f"advice.need.{over}", ceiling=count_text(need.ceiling or 0)))
    elif need.tokens > now:
        parts.append(t("advice.need.short", now=count_text(now)))
    if need.segments and not need.over_ceiling:
        parts.append(t("advice.need.segments"))
    elif need.said and need.tokens <= now:
        parts.append(t("advice.need.fits"))
    with st.container(key="need", horizontal=True, vertical_alignment="center", gap="xsmall"):
        widgets.html(f'<p class="tk-need" role="status">{escape(" · ".join(parts))}</p>')
        if need.tokens != now and (need.tokens > now or need.said):
            st.button(
                t("advice.need.set", tokens=count_text(need.tokens)),
                key="need_set",
                type="tertiary",
                on_click=_set_length,
                args=(conversation.id, need.tokens),
            )
        if need.segments:
            st.button(
                t("advice.need.writer"),
                key="need_writer",
                type="tertiary",
                on_click=_to_writer,
                args=(conversation.id, need),
            )


def _source(need: LengthNeed) -> str:
    if need.source == "asked" and need.pieces > 1:
        each = count_text((need.asked or 0) // need.pieces)
        return t(f"advice.need.source.asked_{need.unit}_each", count=each, pieces=count_text(need.pieces))
    name = f"asked_{need.unit}" if need.source == "asked" else need.source
    return t(f"advice.need.source.{name}", count=count_text(need.asked or 0))


def _set_length(conversation_id: str, tokens: int) -> None:
    changes.set_by_hand(conversation_id, "max_new_tokens", tokens)
    state.ask_redraw()


def _to_writer(conversation_id: str, need: LengthNeed) -> None:
    """Open the form of a new project with what was typed; back in the chat the draft is still there."""
    text = drafts.seen(conversation_id)
    drafts.bring_to_writer(DraftRequest.of(without_command(text), need, state.services().advice.ratio()))
    drafts.put_back(text)
    navigation.go_to("writing")
    state.ask_redraw()
