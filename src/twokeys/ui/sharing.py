"""A conversation, an answer or a comparison taken along as a file.

What writes the pages is loaded by the click.
"""

import streamlit as st

from twokeys.core.compare.comparison import Comparison
from twokeys.errors import TwoKeysError
from twokeys.types import Conversation, Message
from twokeys.ui import state, widgets, words
from twokeys.ui.words import t

LONGEST_NAME = 40


def file_name(title: str, otherwise: str) -> str:
    """Return a title as the beginning of a file's name."""
    name = "".join(c if c.isalnum() else "-" for c in title).strip("-")[:LONGEST_NAME]
    return name or otherwise


def draw_downloads(conversation: Conversation) -> None:
    """Draw the buttons that take a conversation along: a page for others, Markdown, our own JSON."""
    services, language = state.services(), words.language()
    name = file_name(conversation.title, conversation.id)

    def page() -> str:
        from twokeys.manuscript.share import conversation_page

        return conversation_page(conversation, services.conversations.messages(conversation.id), language)

    for kind, mime, label, write in (
        ("html", "text/html", t("ui.share.page"), page),
        (
            "md",
            "text/markdown",
            "Markdown",
            lambda: services.exchange.export_markdown(conversation.id, language),
        ),
        ("json", "application/json", "JSON", lambda: services.exchange.export_json([conversation.id])),
    ):
        st.download_button(
            label,
            write,
            file_name=f"{name}.{kind}",
            mime=mime,
            icon=":material/download:",
            key=f"export_{kind}_{conversation.id}",
            on_click="ignore",
        )


def draw_dialog(conversation_id: str) -> None:
    """Draw the dialog that takes the open conversation along."""
    try:
        conversation = state.services().conversations.get(conversation_id)
    except TwoKeysError as error:
        widgets.error(error)
        return
    widgets.note(t("ui.share.lead"))
    with st.container(horizontal=True, gap="small"):
        draw_downloads(conversation)


def draw_answer(answer: Message) -> None:
    """Draw the button that takes one answer along as a page, below its question."""
    language = words.language()

    def page() -> str:
        from twokeys.manuscript.share import answer_page

        conversations = state.services().conversations
        question = conversations.message(answer.parent_id) if answer.parent_id is not None else None
        title = conversations.get(answer.conversation_id).title or t("ui.untitled")
        return answer_page(question, answer, title, language)

    st.download_button(
        t("ui.share.answer"),
        page,
        file_name=f"twokeys-{answer.id}.html",
        mime="text/html",
        icon=":material/download:",
        key="details_share",
        on_click="ignore",
        width="stretch",
    )


def draw_comparison(comparison: Comparison) -> None:
    """Draw the button that takes a comparison along as a page."""
    language = words.language()

    def page() -> str:
        from twokeys.manuscript.share import comparison_page

        return comparison_page(comparison, language)

    st.download_button(
        t("ui.share.page"),
        page,
        file_name=f"{file_name(comparison.title, comparison.id)}.html",
        mime="text/html",
        key="compare_export_html",
        on_click="ignore",
        width="stretch",
    )
