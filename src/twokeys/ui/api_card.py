"""The API on the settings page: its address, its keys, how to use it, the latest requests."""

from datetime import datetime
from urllib.parse import urlsplit

import streamlit as st

from twokeys.api.keys import ApiKey
from twokeys.api.routes import ApiRoutes
from twokeys.api.runtime import get_api
from twokeys.errors import TwoKeysError
from twokeys.ui import notices, state, widgets
from twokeys.ui.format import escape
from twokeys.ui.words import t

SHOWN_REQUESTS = 10
NEW_KEY = state.TabValue[str]("api_new_key", "")
"""The key just made: on the screen until the page is left."""

EXAMPLES = {
    "curl": (
        "bash",
        'curl {url}/chat/completions \\\n  -H "Authorization: Bearer {key}" \\\n'
        '  -H "Content-Type: application/json" \\\n'
        '  -d \'{{"model": "twokeys/precise", "messages": [{{"role": "user", "content": "Hello"}}]}}\'',
    ),
    "Python": (
        "python",
        "from openai import OpenAI\n\n"
        'client = OpenAI(base_url="{url}", api_key="{key}")\n'
        "answer = client.chat.completions.create(\n"
        '    model="twokeys/professional", messages=[{{"role": "user", "content": "Hello"}}]\n'
        ")\n"
        "print(answer.choices[0].message.content)",
    ),
    "llm": (
        "yaml",
        "# extra-openai-models.yaml in the folder that `llm logs path` names\n"
        "- model_id: twokeys\n  model_name: twokeys\n  api_base: {url}\n  api_key_name: twokeys\n"
        "# then: llm keys set twokeys",
    ),
    "LangChain": (
        "python",
        "from langchain_openai import ChatOpenAI\n\n"
        'model = ChatOpenAI(model="twokeys/creative", base_url="{url}", api_key="{key}")',
    ),
    "Continue": (
        "yaml",
        "models:\n  - name: TwoKeys\n    provider: openai\n    model: twokeys/code\n    apiBase: {url}\n"
        "    apiKey: {key}\n    roles: [chat, edit]",
    ),
    "Open WebUI": ("text", "OPENAI_API_BASE_URL={url}\nOPENAI_API_KEY={key}"),
}


def draw() -> None:
    """Draw the card; without an API in this process there is none."""
    api = get_api()
    if api is None:
        return
    url = base_url()
    with st.container(key="card_api"):
        widgets.html(
            f'<div class="tk-card"><h3>{escape(t("api.card.title"))}</h3>'
            f"<p>{escape(t('api.card.lead'))}</p></div>"
            + widgets.facts(
                [(t("api.card.base_url"), url), (t("api.card.models"), t("api.card.models_value"))]
            )
        )
        _keys(api)
        with st.expander(t("api.card.examples"), key="api_examples"):
            name = st.segmented_control(
                t("api.card.examples"), list(EXAMPLES), key="api_example", default="curl",
                label_visibility="collapsed", required=True,
            )  # fmt: skip
            language, text = EXAMPLES[str(name)]
            st.code(text.format(url=url, key=NEW_KEY.get() or "tk-…"), language=language)
        with st.expander(t("api.card.requests"), key="api_requests"):
            _requests(api)


def base_url() -> str:
    """Return the API's address as this browser reaches it."""
    here = urlsplit(str(st.context.url or ""))
    return f"{here.scheme}://{here.netloc}/v1"


def _keys(api: ApiRoutes) -> None:
    """Draw the keys, each with the button that takes it back, and the form that makes one."""
    kept = api.keys.list()
    if not kept:
        widgets.note(t("api.card.none"))
    for key in kept:
        line, button = st.columns([5, 1], vertical_alignment="center")
        with line:
            st.text(_row(key))
        with button, st.popover(t("api.card.revoke"), key=f"api_ask_{key.name}"):
            widgets.note(t("api.card.revoke_note", name=key.name))
            st.button(
                t("api.card.revoke"), key=f"api_revoke_{key.name}", on_click=_revoke, args=(api, key.name)
            )
    if NEW_KEY.get():
        widgets.note(t("api.card.once"))
        st.code(NEW_KEY.get(), language=None)
    with st.form("api_new", clear_on_submit=True, border=False):
        name, button = st.columns([4, 1], vertical_alignment="bottom")
        with name:
            st.text_input(
                t("api.card.name"),
                key="api_new_name",
                placeholder=t("api.card.name_placeholder"),
                max_chars=60,
            )
        with button:
            st.form_submit_button(t("api.card.add"), key="api_add", on_click=_add, args=(api,))


def _add(api: ApiRoutes) -> None:
    try:
        NEW_KEY.set(api.keys.add(str(state.value_of("api_new_name") or "")).key)
    except TwoKeysError as error:
        notices.tell_error(error)


def _revoke(api: ApiRoutes, name: str) -> None:
    try:
        api.keys.remove(name)
    except TwoKeysError as error:
        notices.tell_error(error)
        return
    NEW_KEY.set("")
    notices.tell(notices.Notice(t("api.card.revoked", name=name)))


def _requests(api: ApiRoutes) -> None:
    seen = api.requests.list()[:SHOWN_REQUESTS]
    if not seen:
        widgets.note(t("api.card.no_requests"))
    for request in seen:
        began = datetime.fromtimestamp(request.began_at).strftime("%H:%M:%S")
        line = t(
            "api.card.request",
            program=request.program,
            model=request.model,
            state=t(f"api.state.{request.state}"),
            tokens=request.tokens,
        )
        st.text(f"{began}  {line}")


def _row(key: ApiKey) -> str:
    if key.last_used_at is None:
        return t("api.card.row_unused", name=key.name)
    used = datetime.fromtimestamp(key.last_used_at).strftime("%Y-%m-%d %H:%M")
    return t("api.card.row", name=key.name, requests=key.requests, used=used)
