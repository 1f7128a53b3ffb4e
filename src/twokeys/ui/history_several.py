"""Several conversations at once: chosen by their boxes, then tagged, put away, exported or deleted."""

from collections.abc import Sequence

import streamlit as st

from twokeys.errors import TwoKeysError
from twokeys.types import Conversation
from twokeys.ui import navigation, notices, state, tag_form, words
from twokeys.ui.words import t

ON = "history_several"
_BOX = "history_box_"


def choosing() -> bool:
    """Return whether the rows have boxes."""
    return bool(state.value_of(ON))


def draw_box(conversation: Conversation) -> None:
    """Draw the box of one row."""
    title = conversation.title or t("ui.untitled")
    st.checkbox(title, key=_BOX + conversation.id, label_visibility="collapsed")


def draw(shown: Sequence[Conversation]) -> None:
    """Draw the switch, and what can be done with the conversations that are chosen."""
    with st.container(
        key="several_bar", horizontal=True, vertical_alignment="center", gap="small", wrap=True
    ):
        st.toggle(t("ui.several.switch"), key=ON)
        if not choosing():
            return
        chosen = [conversation for conversation in shown if state.value_of(_BOX + conversation.id)]
        everything = len(chosen) == len(shown)
        st.button(
            t("ui.several.none" if everything else "ui.several.all"),
            key="several_all",
            type="tertiary",
            on_click=_set_boxes,
            args=(shown, not everything),
        )
        st.text(t("ui.several.count", count=len(chosen)))
        if chosen:
            _tools(chosen)


def _set_boxes(shown: Sequence[Conversation], on: bool) -> None:
    for conversation in shown:
        st.session_state[_BOX + conversation.id] = on


def _tools(chosen: Sequence[Conversation]) -> None:
    ids = [conversation.id for conversation in chosen]
    services, language = state.services(), words.language()
    _tagging(chosen)
    away = not all(conversation.archived for conversation in chosen)
    st.button(
        t("ui.archive" if away else "ui.unarchive"),
        key="several_archive",
        icon=":material/archive:" if away else ":material/unarchive:",
        on_click=_archive,
        args=(chosen, away),
    )
    for name, suffix, mime, write in (
        ("Markdown", "zip", "application/zip", lambda: services.exchange.export_markdown_zip(language, ids)),
        ("JSON", "json", "application/json", lambda: services.exchange.export_json(ids)),
    ):
        st.download_button(
            name,
            write,
            file_name=f"twokeys-{len(ids)}.{suffix}",
            mime=mime,
            icon=":material/download:",
            key=f"several_export_{suffix}",
            on_click="ignore",
        )
    st.button(
        t("ui.delete"), key="several_delete", icon=":material/delete:", on_click=_delete, args=(chosen,)
    )


def _tagging(chosen: Sequence[Conversation]) -> None:
    """Draw the tags that all of them have; what is added or taken off there is so for each."""
    known = state.services().conversations.tags()
    common = [tag for tag in known if all(tag in conversation.tags for conversation in chosen)]
    with st.popover(t("ui.tags"), icon=":material/sell:", key="several_tags"):
        tags = tag_form.draw("several_tags", common)
    if tags is not None:
        _tag(chosen, common, tags)
        st.rerun()


def _tag(chosen: Sequence[Conversation], before: Sequence[str], after: Sequence[str]) -> None:
    dropped = set(before) - set(after)
    try:
        for conversation in chosen:
            retained = [tag for tag in conversation.tags if tag not in dropped]
            state.services().conversations.tag(conversation.id, [*retained, *after])
    except TwoKeysError as error:
        notices.tell_error(error)


def _archive(chosen: Sequence[Conversation], away: bool) -> None:
    archive = state.services().conversations.archive

    def put(where: bool) -> None:
        for conversation in chosen:
            archive(conversation.id, where)

    put(away)
    notices.offer_undo(
        t("ui.several.archived" if away else "ui.several.unarchived", count=len(chosen)),
        lambda: put(not away),
    )


def _delete(chosen: Sequence[Conversation]) -> None:
    conversations = state.services().conversations
    tokens = []
    try:
        for conversation in chosen:
            tokens.append(conversations.delete(conversation.id))
            navigation.leave_conversation(conversation.id)
    except TwoKeysError as error:
        notices.tell_error(error)

    def bring_back() -> None:
        for token in tokens:
            conversations.undo(token)

    notices.offer_undo(t("ui.several.deleted", count=len(tokens)), bring_back)
