"""The model page: what answers now, the catalogue, downloads, an own file or a server."""

import streamlit as st

from twokeys.errors import TwoKeysError
from twokeys.ui import downloads, engine_card, notices, state, widgets
from twokeys.ui.answering import ModelNow, answering
from twokeys.ui.format import count_text, escape
from twokeys.ui.pages import Pages
from twokeys.ui.shapes import ModelRow
from twokeys.ui.words import t
from twokeys.units import bytes_text

RESEARCH_ONLY = "Qwen-Research"
"""The licence that allows no commercial use."""


def draw(pages: Pages) -> None:
    """Draw the page."""
    widgets.page_heading(t("modelpage.title"), t("modelpage.lead"))
    services = state.services()
    now = answering(services)
    if now is None:
        downloads.draw_first_run()
    else:
        if all(entry.name != now.name for entry in services.models.list()):
            _now(now)
        downloads.draw_running()
    engine_card.draw()
    widgets.section(t("modelpage.catalogue"))
    moving = {view.name for view in services.models.downloads.views() if view.state in downloads.MOVING}
    for entry in services.models.list():
        _entry(entry, now, moving)
    _own()


def _now(now: ModelNow) -> None:
    kind = t("sidebar.model.main") if now.main else t("sidebar.model.fallback")
    context = t("modelpage.now.context", tokens=count_text(now.context)) if now.context else ""
    with st.container(key="card_now"):
        widgets.html(
            f'<div class="tk-card"><h3>{escape(now.name)} '
            + widgets.tag(t("modelpage.now.tag"))
            + f"</h3><p>{escape(' · '.join(x for x in (kind, context) if x))}</p></div>"
        )


def _entry(entry: ModelRow, now: ModelNow | None, moving: set[str]) -> None:
    used = now is not None and entry.name == now.name
    with st.container(key=f"card_model_{entry.name}"):
        text, tools = st.columns([2.4, 1], vertical_alignment="center", gap="medium")
        with text:
            widgets.html(_description(entry, used))
        with tools, st.container(key=f"model_tools_{entry.name}", horizontal_alignment="right", gap="small"):
            _tools(entry, used, moving)


def _description(entry: ModelRow, used: bool) -> str:
    tags = []
    if used:
        tags.append(widgets.tag(t("modelpage.now.tag")))
    elif entry.installed:
        tags.append(widgets.tag(t("modelpage.installed"), "plain"))
    if entry.is_fallback:
        tags.append(widgets.tag(t("modelpage.fallback"), "warm"))
    if entry.languages == ("en",):
        tags.append(widgets.tag(t("modelpage.english_only"), "plain"))
    line = " · ".join(
        part
        for part in (
            entry.quantisation.upper() if entry.installed or entry.is_fallback else "",
            bytes_text(entry.bytes) if entry.installed or entry.is_fallback else "",
            entry.licence
            if entry.licence != RESEARCH_ONLY
            else t("modelpage.research", licence=entry.licence),
            t(f"models.source.{entry.source}") if entry.source else "",
        )
        if part
    )
    broken = f'<p class="tk-warm">{escape(t("modelpage.broken"))}</p>' if entry.broken else ""
    return (
        f'<div class="tk-card"><h3>{escape(downloads.display_name(entry))}{"".join(tags)}</h3>'
        f"<p>{escape(t(entry.about))}</p><p class='tk-under'>{escape(line)}</p>{broken}</div>"
    )


def _tools(entry: ModelRow, used: bool, moving: set[str]) -> None:
    if entry.installed:
        if not used and not entry.broken:
            st.button(
                t("modelpage.use"),
                key=f"use_{entry.name}",
                type="primary",
                on_click=downloads.use,
                args=(entry.name,),
                width="stretch",
            )
        if not used:
            with st.popover(t("modelpage.remove"), key=f"remove_box_{entry.name}", width="stretch"):
                widgets.note(t("modelpage.remove_note", size=bytes_text(entry.bytes)))
                st.button(
                    t("modelpage.remove_confirm"),
                    key=f"remove_{entry.name}",
                    icon=":material/delete:",
                    on_click=_remove,
                    args=(entry.name,),
                )
        others = _not_here(entry)
        if others:
            with st.popover(
                t("modelpage.other_quantisations"), key=f"others_box_{entry.name}", width="stretch"
            ):
                _fetch(entry, others, moving)
        return
    _fetch(entry, _not_here(entry), moving)


def _fetch(entry: ModelRow, rows: list[ModelRow], moving: set[str]) -> None:
    """Draw the quantisations to choose from, where there are several, and the button that fetches one."""
    sizes = {row.name: row for row in rows}
    choices = list(sizes)
    name = entry.name if entry.name in sizes or not choices else choices[-1]
    if len(choices) > 1:
        name = (
            st.selectbox(
                t("modelpage.quantisation"),
                choices,
                index=choices.index(name),
                format_func=lambda n: f"{sizes[n].quantisation.upper()} · {bytes_text(sizes[n].bytes)}",
                key=f"quantisation_{entry.name}",
                label_visibility="collapsed",
            )
            or name
        )
    chosen = sizes.get(name, entry)
    label = t("modelpage.resume") if chosen.partial_bytes else t("modelpage.download")
    st.button(
        label,
        key=f"download_{entry.name}",
        icon=":material/download:",
        on_click=downloads.start,
        args=(name,),
        disabled=name in moving,
        width="stretch",
    )


def _not_here(entry: ModelRow) -> list[ModelRow]:
    """Return a model's quantisations to fetch, under its main entry; one listed by itself has none."""
    if ":" in entry.name:
        return []
    return [row for row in state.services().models.variants(entry.name) if not row.installed]


def _remove(name: str) -> None:
    try:
        state.services().models.remove(name)
    except TwoKeysError as error:
        notices.tell_error(error)


def _own() -> None:
    widgets.section(t("modelpage.own.title"))
    with st.container(key="card_own"):
        widgets.html(f'<div class="tk-card"><p>{escape(t("modelpage.own.lead"))}</p></div>')
        with st.form("own_model", border=False):
            text = st.text_input(
                t("modelpage.own.label"),
                key="own_model_path",
                placeholder="/models/qwen2.5-7b-instruct-q4_k_m.gguf · http://127.0.0.1:8080/v1",
            )
            if (
                st.form_submit_button(t("modelpage.own.button"), key="own_model_use")
                and text
                and text.strip()
            ):
                downloads.use(text.strip())
                st.rerun()
