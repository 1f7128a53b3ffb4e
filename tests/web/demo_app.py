"""The smallest page around the transcript component: what the browser tests look at."""

from typing import Any

import streamlit as st

from twokeys.types import Message
from twokeys.web.component import Action, component_texts, message_view, transcript
from twokeys.web.runtime import get_services

services = get_services()
query = st.query_params
topic = query.get("c", "")
language = query.get("lang", "en")
log = st.session_state.setdefault("log", [])


def perform(action: Action) -> None:
    log.append(f"{action.type}:{action.message or ''}:{action.text or ''}".rstrip(":"))
    if action.type == "regenerate" and action.message:
        services.answers.regenerate(action.message)
    elif action.type == "continue" and action.message:
        services.answers.continue_(action.message)
    elif action.type == "edit" and action.message and action.text:
        services.answers.edit(action.message, action.text)
    elif action.type == "version" and action.message and action.version:
        siblings = services.conversations.versions(action.message)
        services.conversations.select_version(siblings[action.version - 1].id)
    elif action.type == "delete" and action.message:
        services.conversations.delete_message(action.message)


messages = services.jobs.overlay(services.repository.branch(topic)) if topic else []
earlier = int(query.get("earlier", "0"))


def view(message: Message, question: str) -> dict[str, Any]:
    shown = message_view(message)
    if message.role == "assistant" and question.startswith("table"):
        shown["structured"] = {
            "columns": ["part", "count"],
            "verdict": {"state": "valid", "text": "Valid"},
            "cut": "Cut off after 1 row.",
            "files": ["csv", "xlsx", "json"],
        }
    return shown


asked = ["", *(message.content for message in messages)]
views = [view(message, question) for message, question in zip(messages, asked, strict=False)]
transcript(
    views[earlier:],
    topic=topic,
    texts=component_texts(language),
    options={
        "lang": language,
        "earlier": earlier,
        "resets": [{"after": query["cleared"], "kept": False}] if "cleared" in query else [],
    },
    key="transcript",
    on_action=perform,
)
with st.sidebar:
    st.slider("slider", 0, 10, key="slider")
    st.code("\n".join(log) or "-", language=None)
    st.text(f"runs {st.session_state.setdefault('runs', 0)}")
    st.session_state["runs"] += 1
if text := st.chat_input("Ask", key="ask"):
    services.answers.send(topic, text)
    st.rerun()
