"""The page of the API: its address, its keys, how to use it, the requests as they come, who may ask."""

from datetime import datetime
from urllib.parse import urlsplit

import streamlit as st

from twokeys.api.keys import ApiKey
from twokeys.api.origins import origin_of
from twokeys.api.routes import ApiRoutes
from twokeys.api.runtime import get_api
from twokeys.api.writing import Seen
from twokeys.errors import TwoKeysError
from twokeys.ui import notices, state, widgets
from twokeys.ui.format import escape
from twokeys.ui.pages import Pages
from twokeys.ui.words import t

SHOWN_REQUESTS = 20
REDRAW_S = 2
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


def draw(pages: Pages) -> None:
    """Draw the page."""
    widgets.page_heading(t("api.page.title"), t("api.page.lead"))
    api = get_api()
    if api is None:
        widgets.note(t("api.page.not_served"))
        return
    url = base_url()
    with st.container(key="card_api"):
        _card(t("api.page.address"))
        st.code(url, language=None)
        widgets.html(widgets.facts([(t("api.page.models"), t("api.page.models_value"))]))
    with st.container(key="card_api_keys"):
        _card(t("api.page.keys"))
        _keys(api)
    with st.container(key="card_api_examples"):
        _card(t("api.page.examples"))
        _examples(url)
    with st.container(key="card_api_requests"):
        _card(t("api.page.requests"))
        _requests()
    with st.container(key="card_api_origins"):
        _card(t("api.page.origins"))
        _origins()


def _card(title: str) -> None:
    widgets.html(f'<div class="tk-card"><h3>{escape(title)}</h3></div>')


def _examples(url: str) -> None:
    name = st.segmented_control(
        t("api.page.examples"), list(EXAMPLES), key="api_example", default="curl",
        label_visibility="collapsed", required=True,
    )  # fmt: skip
    language, text = EXAMPLES[str(name)]
    st.code(text.format(url=url, key=NEW_KEY.get() or "tk-…"), language=language)
    widgets.note(t("api.page.examples_key") if NEW_KEY.get() else t("api.page.examples_no_key"))


def base_url() -> str:
    """Return the API's address as this browser reaches it."""
    here = urlsplit(str(st.context.url or ""))
    return f"{here.scheme}://{here.netloc}/v1"


def _keys(api: ApiRoutes) -> None:
    """Draw the keys, each with the button that takes it back, and the form that makes one."""
    keys = api.keys.list()
    if not keys:
        widgets.note(t("api.page.none"))
    for key in keys:
        line, button = st.columns([5, 1], vertical_alignment="center")
        with line:
            st.text(_row(key))
        with button, st.popover(t("api.page.revoke"), key=f"api_ask_{key.name}"):
            widgets.note(t("api.page.revoke_note", name=key.name))
            st.button(
                t("api.page.revoke"), key=f"api_revoke_{key.name}", on_click=_revoke, args=(api, key.name)
            )
    if NEW_KEY.get():
        widgets.note(t("api.page.once"))
        st.code(NEW_KEY.get(), language=None)
    with st.form("api_new", clear_on_submit=True, border=False):
        name, button = st.columns([4, 1], vertical_alignment="bottom")
        with name:
            st.text_input(
                t("api.page.name"),
                key="api_new_name",
                placeholder=t("api.page.name_placeholder"),
                max_chars=60,
            )
        with button:
            st.form_submit_button(t("api.page.add"), key="api_add", on_click=_add, args=(api,))


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
    notices.tell(notices.Notice(t("api.page.revoked", name=name)))


@st.fragment(run_every=REDRAW_S)
def _requests() -> None:
    """Draw the requests that are being answered and the latest ones, again and again."""
    api = get_api()
    seen = api.requests.list()[:SHOWN_REQUESTS] if api is not None else []
    if not seen:
        widgets.note(t("api.page.no_requests"))
        return
    head = "".join(
        f'<th scope="col">{escape(t(f"api.column.{name}"))}</th>'
        for name in ("began", "state", "program", "tokens", "model")
    )
    rows = "".join(_request_row(request) for request in seen)
    label = escape(t("api.page.requests"))
    widgets.html(
        f'<div class="tk-scroll" tabindex="0"><table class="tk-table" aria-label="{label}">'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _request_row(request: Seen) -> str:
    began = datetime.fromtimestamp(request.began_at).strftime("%H:%M:%S")
    kind = {"failed": "warm", "writing": ""}.get(request.state, "plain")
    cells = (
        began,
        widgets.tag(t(f"api.state.{request.state}"), kind),
        escape(request.program),
        str(request.tokens),
        escape(request.model),
    )
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _origins() -> None:
    """Draw which web pages may ask, one on each line."""
    widgets.note(t("api.page.origins_note"))
    with st.form("api_origins", border=False):
        st.text_area(
            t("api.page.origins"),
            "\n".join(state.services().api_origins()),
            key="api_origins_text",
            placeholder="https://chat.example.org",
            height=80,
            label_visibility="collapsed",
        )
        st.form_submit_button(t("api.page.origins_save"), key="api_origins_save", on_click=_keep_origins)


def _keep_origins() -> None:
    lines = str(state.value_of("api_origins_text") or "").splitlines()
    try:
        origins = list(dict.fromkeys(origin_of(line) for line in lines if line.strip()))
        state.services().set_api_origins(origins)
    except TwoKeysError as error:
        notices.tell_error(error)
        return
    notices.tell(notices.Notice(t("api.page.origins_saved")))


def _row(key: ApiKey) -> str:
    if key.last_used_at is None:
        return t("api.page.row_unused", name=key.name)
    used = datetime.fromtimestamp(key.last_used_at).strftime("%Y-%m-%d %H:%M")
    return t("api.page.row", name=key.name, requests=key.requests, used=used)
