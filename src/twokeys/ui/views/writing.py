"""Long texts by segments: the list of projects, one project's outline, sections, quality and exports.

A project is addressed by `?w=<id>`. What runs is drawn by fragments that repeat themselves while
something is written; everything else is drawn when it changes. Writing itself never depends on a
page being open.
"""

from collections.abc import Callable, Iterable, Mapping

import streamlit as st

from twokeys.core.writer.draft_request import DraftRequest
from twokeys.core.writer.project import KINDS, LONGEST, SHORTEST, Project, Unit
from twokeys.core.writer.view import ProjectRow, ProjectView
from twokeys.errors import NotFound, TwoKeysError
from twokeys.manuscript import read_notes
from twokeys.ui import drafts, navigation, notices, state, widgets, words, writing
from twokeys.ui.format import count_text, escape, markdown_label
from twokeys.ui.pages import Pages
from twokeys.ui.words import t
from twokeys.ui.writing import document, outline, quality, section
from twokeys.units import duration_text

REDRAW_S = 0.7
USUAL_LENGTH = {"zh": 6000, "en": 1500}
UNITS: Mapping[str, Unit] = {"zh": "chars", "en": "words"}


def draw(pages: Pages) -> None:
    """Draw the page."""
    widgets.html(f"<style>{writing.style()}</style>")
    wanted = st.query_params.get("w")
    if wanted:
        try:
            view = state.services().writer.view(wanted)
        except NotFound as error:
            notices.tell_error(error)
            _leave()
        else:
            _project(view, pages)
            return
    widgets.page_heading(t("writing.page.title"), t("writing.page.lead"))
    rows = state.services().writer.projects()
    request = drafts.draft_request()
    if request is not None:
        _form(open_at_first=True)
    if rows:
        widgets.section(t("writing.page.projects"))
        with st.container(key="writing_projects"):
            for row in rows:
                _row(row)
    if request is None:
        _form(open_at_first=not rows)


# --- the list, a new project ----------------------------------------------------------------------


def _row(row: ProjectRow) -> None:
    with st.container(
        key=f"writing_row_{row.id}", horizontal=True, vertical_alignment="center", gap="small", wrap=False
    ):
        if st.button(
            markdown_label(row.title),
            key=f"writing_open_{row.id}",
            type="tertiary",
            icon=":material/edit_note:",
            width="stretch",
        ):
            _open(row.id)
        done = t("writing.page.done", done=row.done, total=row.total) if row.total else t("writing.state.new")
        widgets.html(f'<span class="tk-under">{escape(done)}</span>')
        if st.button(
            "",
            key=f"writing_delete_{row.id}",
            type="tertiary",
            icon=":material/delete:",
            help=t("writing.project.delete"),
        ):
            _delete(row.id, row.title)


def _begin_with(request: DraftRequest | None) -> None:
    """Let the form's fields begin with what was asked for in the chat, else with what is usual."""
    state.show_default("writing_kind", (request and request.kind) or "report")
    state.show_default("writing_language", request.language if request else words.language())
    for language, unit in UNITS.items():
        asked = request.length if request is not None and request.language == language else None
        state.show_default(f"writing_length_{unit}", asked or USUAL_LENGTH[language])
    if request is not None:
        state.show_default("writing_topic", request.topic)
        state.show_default("writing_notes", request.notes)


def _form(*, open_at_first: bool) -> None:
    request = drafts.draft_request()
    _begin_with(request)
    with st.expander(
        t("writing.form.title"), expanded=open_at_first, icon=":material/add:", key="writing_new"
    ):
        if request is not None:
            widgets.note(t("writing.form.from_chat"))
        topic = st.text_input(
            t("writing.form.topic"),
            key="writing_topic",
            max_chars=300,
            placeholder=t("writing.form.topic_hint"),
        )
        kind, language, length = _measures()
        audience = st.text_input(t("writing.form.audience"), key="writing_audience", max_chars=1000)
        style = st.text_input(
            t("writing.form.style"),
            key="writing_style",
            max_chars=1000,
            placeholder=t("writing.form.style_hint"),
        )
        notes = st.text_area(
            t("writing.form.notes"), key="writing_notes", height=110, placeholder=t("writing.form.notes_hint")
        )
        files = st.file_uploader(
            t("writing.form.files"),
            accept_multiple_files=True,
            key="writing_files",
        )
        if st.button(
            t("writing.form.create"),
            key="writing_create",
            type="primary",
            icon=":material/format_list_numbered:",
            disabled=not (topic or "").strip(),
        ):
            _create(
                lambda: Project(
                    topic=(topic or "").strip(),
                    kind=kind,
                    language=language,
                    length=length,
                    audience=audience or "",
                    style=style or "",
                    notes=_with_files(notes or "", [(file.getvalue(), file.name) for file in files or ()]),
                )
            )


def _measures() -> tuple[str, str, int]:
    """Draw kind, language and length of the document in one line; return them."""
    kind_column, language_column, length_column = st.columns([1.2, 1, 1.2], gap="medium")
    with kind_column:
        kind = st.selectbox(
            t("writing.form.kind"),
            KINDS,
            format_func={name: t(f"writing.kind.{name}") for name in KINDS}.__getitem__,
            key="writing_kind",
        )
    with language_column:
        language = st.segmented_control(
            t("writing.form.language"),
            ["zh", "en"],
            format_func={code: t(f"writing.language.{code}") for code in ("zh", "en")}.__getitem__,
            required=True,
            key="writing_language",
        )
    language = language or "zh"
    unit = UNITS[language]
    with length_column:
        length = st.number_input(
            t(f"writing.form.length_{unit}"),
            min_value=SHORTEST[unit],
            max_value=LONGEST[unit],
            step=500 if unit == "chars" else 100,
            key=f"writing_length_{unit}",
            help=t("writing.form.length_help"),
        )
    return str(kind), language, int(length)


def _with_files(notes: str, files: Iterable[tuple[bytes, str]]) -> str:
    """Return the notes with the texts of files (content, name) behind them. Raises like read_notes."""
    texts = [read_notes(data, name) for data, name in files]
    return "\n\n".join([*([notes] if notes else []), *texts])


def _create(project: Callable[[], Project]) -> None:
    """Make a project, let its outline be made, and open it; what is refused is told."""
    try:
        made = state.services().writer.new(project())
        drafts.drop_draft_request()
        state.services().writer.make_outline(made)
    except TwoKeysError as error:
        notices.tell_error(error)
        st.rerun()
    _open(made)


def _open(project_id: str) -> None:
    st.query_params["w"] = project_id
    writing.OPEN_SECTION.drop()
    st.rerun()


def _leave() -> None:
    del st.query_params["w"]
    st.rerun()


def _delete(project_id: str, title: str) -> None:
    services = state.services()
    try:
        token = services.writer.delete(project_id)
    except TwoKeysError as error:
        notices.tell_error(error)
    else:
        notices.offer_undo(t("ui.deleted", title=title), lambda: services.conversations.undo(token))
    if "w" in st.query_params:
        del st.query_params["w"]
    st.rerun()


# --- one project ----------------------------------------------------------------------------------


def _project(view: ProjectView, pages: Pages) -> None:
    with st.container(
        horizontal=True, vertical_alignment="center", key="writing_head", gap="small", wrap=False
    ):
        if st.button(
            "",
            key="writing_back",
            icon=":material/arrow_back:",
            type="tertiary",
            help=t("writing.project.back"),
        ):
            _leave()
        unit = t(f"writing.unit.{view.project.unit}")
        facts = (
            f"{t(f'writing.kind.{view.project.kind}')} · {t(f'writing.language.{view.project.language}')} · "
            f"{t('writing.project.target', length=count_text(view.project.length), unit=unit)}"
        )
        widgets.html(f'<div class="wr-title"><h1>{escape(view.title)}</h1><span>{escape(facts)}</span></div>')
    _progress_fragment(view)
    if view.error is not None and not view.active:
        widgets.error_card(*words.error_text(view.error))
        if view.error.get("code") == "model_missing":
            st.page_link(pages["models"], label=t("sidebar.model.choose"), query_params=navigation.address())
    if view.state == "outlining":
        return
    if not view.sections:
        _without_outline(view)
        return
    if view.origin == "rules" and view.state == "ready":
        widgets.note(t("writing.outline.by_rules"))
    quality.draw_so_far(view)
    names = ["text", "outline", "quality", "document"]
    tab = st.segmented_control(
        t("writing.tab.label"),
        names,
        format_func={name: t(f"writing.tab.{name}") for name in names}.__getitem__,
        default="text" if view.state != "ready" else "outline",
        required=True,
        key=f"writing_tab_{view.id}",
        label_visibility="collapsed",
    )
    match tab:
        case "outline":
            outline.draw(view)
        case "quality":
            quality.draw(view)
        case "document":
            document.draw(view)
            if st.button(
                t("writing.project.delete"), key="writing_delete", icon=":material/delete:", type="tertiary"
            ):
                _delete(view.id, view.title)
        case _:
            section.draw(view)


def _without_outline(view: ProjectView) -> None:
    widgets.note(t("writing.outline.none"))
    writer = state.services().writer
    with st.container(horizontal=True, key="writing_outline_choice", gap="small"):
        if st.button(
            t("writing.outline.make"),
            key="writing_outline_make",
            type="primary",
            icon=":material/auto_awesome:",
        ):
            writing.attempt(writer.make_outline, view.id)
        if st.button(t("writing.outline.use_rules"), key="writing_outline_rules"):
            writing.attempt(writer.use_rules, view.id)


def _progress_fragment(view: ProjectView) -> None:
    active = view.active
    st.fragment(_progress, run_every=REDRAW_S if active else None)(view.id, writing.signature(view))


def _progress(project_id: str, drawn: tuple[object, ...]) -> None:
    """Draw how far the text is and what can be done now; draw the page anew when something ended."""
    view = state.services().writer.view(project_id)
    if writing.signature(view) != drawn:
        st.rerun()
    writer = state.services().writer
    if view.state == "outlining":
        widgets.html(widgets.bar(min(view.outline_tokens / 900, 0.95), label=t("writing.state.outlining")))
        widgets.note(t("writing.outline.making", tokens=view.outline_tokens))
        if st.button(t("writing.act.stop"), key="writing_stop", icon=":material/stop_circle:"):
            writing.attempt(writer.stop, project_id)
        _growing_outline(view)
        return
    if not view.sections:
        return
    share = min(1.0, view.length / view.asked) if view.asked else 0.0
    widgets.html(widgets.bar(share, label=t("writing.progress.label")))
    with st.container(
        horizontal=True, vertical_alignment="center", key="writing_actions", gap="small", wrap=True
    ):
        widgets.html(f'<p class="wr-progress" role="status">{escape(_line(view))}</p>')
        if view.state in ("running", "pausing"):
            if view.elsewhere:
                widgets.note(t("writing.progress.elsewhere"))
                return
            if st.button(
                t("writing.act.pause"),
                key="writing_pause",
                icon=":material/pause_circle:",
                disabled=view.state == "pausing",
                help=t("writing.act.pause_help"),
            ):
                writing.attempt(writer.pause, project_id)
            if st.button(
                t("writing.act.stop"),
                key="writing_stop",
                icon=":material/stop_circle:",
                help=t("writing.act.stop_help"),
            ):
                writing.attempt(writer.stop, project_id)
        elif view.state != "done":
            label = "start" if view.state == "ready" else "resume"
            if st.button(
                t(f"writing.act.{label}"), key="writing_start", type="primary", icon=":material/play_arrow:"
            ):
                writing.attempt(writer.start, project_id)


def _growing_outline(view: ProjectView) -> None:
    """Draw the headings that the model has written so far; the last one may still be growing."""
    if view.growing:
        rows = "".join(
            f'<div role="listitem" class="wr-l{level}">{escape(title)}</div>' for level, title in view.growing
        )
        widgets.html(f'<div role="list" class="wr-growing">{rows}</div>')


def _line(view: ProjectView) -> str:
    unit = t(f"writing.unit.{view.project.unit}")
    parts = [
        t(f"writing.state.{view.state}"),
        t("writing.progress.length", length=count_text(view.length), asked=count_text(view.asked), unit=unit),
    ]
    done = sum(section.state in ("done", "skipped") for section in view.sections)
    parts.append(t("writing.page.done", done=done, total=len(view.sections)))
    doing = next((section for section in view.sections if section.node.id == view.doing), None)
    if doing is not None:
        parts.append(t("writing.progress.doing", number=doing.number, title=doing.node.title))
    if view.left_s and view.state != "done":
        parts.append(t("writing.progress.left", left=duration_text(view.left_s, words.language())))
    return " · ".join(parts)
