"""The sections: a list beside the one that is open, its text, tools, versions and token budget."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import streamlit as st

from twokeys.core.compare.difference import compare_texts
from twokeys.core.writer.outline import Node
from twokeys.core.writer.prompts import OPERATIONS
from twokeys.core.writer.quality import RepeatedSentence
from twokeys.core.writer.section import SectionVersion
from twokeys.core.writer.view import ProjectView, SectionView
from twokeys.core.writer.writer import TO_WRITE
from twokeys.errors import NotFound
from twokeys.ui import actions, guard_levels, model_text, state, widgets, words, writing
from twokeys.ui.format import count_text, escape, markdown_label
from twokeys.ui.noticed import events_markup
from twokeys.ui.words import t
from twokeys.units import duration_text

REDRAW_S = 0.4
ICONS = {
    "empty": ":material/radio_button_unchecked:",
    "queued": ":material/schedule:",
    "writing": ":material/edit:",
    "partial": ":material/incomplete_circle:",
    "done": ":material/check_circle:",
    "skipped": ":material/block:",
    "failed": ":material/error:",
}
OPERATION_ICONS = {
    "expand": ":material/unfold_more:",
    "condense": ":material/unfold_less:",
    "rewrite": ":material/edit_note:",
    "translate": ":material/translate:",
    "continue": ":material/arrow_downward:",
}
SKIP_ICONS = {"skip": ":material/skip_next:", "discard": ":material/undo:"}
SCOPE_CHARS = 26
LIST_MARK = re.compile(r"(?:[-*+]|\d+[.)])\s+")
PLAIN_ONLY = frozenset("[]`*_|$\n")


def draw(view: ProjectView) -> None:
    """Draw the list of sections and the open one."""
    chosen = _open_section(view)
    left, right = st.columns([1, 2.1], gap="medium")
    with left, st.container(key="writing_sections"):
        missing = [section for section in view.sections if section.state in TO_WRITE]
        ticked = []
        for section in view.sections:
            here = section.node.id == chosen.node.id
            if len(missing) < 2 or view.active or view.elsewhere:
                _entry(view, section, here=here)
            elif _entry_to_tick(view, section, here=here):
                ticked.append(section.node.id)
        if ticked:
            st.button(
                t("writing.act.ticked", count=len(ticked)),
                key="writing_ticked",
                icon=":material/edit:",
                on_click=_write_ticked,
                args=(view.id, ticked),
            )
        conversation = state.services().conversations.get(view.conversation)
        guard_levels.draw(conversation, guard_levels.WRITING)
    with right, st.container(key="writing_section"):
        _section(view, chosen)


def _open_section(view: ProjectView) -> SectionView:
    """The section a person chose, else the one being written, else the first that wants a look."""
    wanted = writing.OPEN_SECTION.get()
    section = view.section(wanted) if wanted else None
    if section is not None and section in view.sections:
        return section
    if view.doing is not None and (doing := view.section(view.doing)) in view.sections and doing is not None:
        return doing
    unsettled = [
        section for section in view.sections if section.state not in ("done", "skipped") or section.problem
    ]
    return unsettled[0] if unsettled else view.sections[0]


def _write_ticked(project_id: str, sections: Sequence[str]) -> None:
    for node_id in sections:
        state.put_value(_tick(node_id), False)
    actions.attempt(lambda: state.services().writer.start(project_id, sections=sections))


def _tick(node_id: str) -> str:
    return f"wr_tick_{node_id}"


def _entry_to_tick(view: ProjectView, section: SectionView, *, here: bool) -> bool:
    """Draw a section of the list with a box where it has no text yet; return whether it is ticked."""
    _headings(view, section)
    with st.container(
        key=f"wr_entry_{section.node.id}",
        horizontal=True,
        vertical_alignment="center",
        gap="xsmall",
        wrap=False,
    ):
        ticked = section.state in TO_WRITE and st.checkbox(
            t("writing.section.tick", number=section.number, title=markdown_label(section.node.title)),
            key=_tick(section.node.id),
            label_visibility="collapsed",
        )
        _open_button(view, section, here=here)
    return ticked


def _entry(view: ProjectView, section: SectionView, *, here: bool) -> None:
    _headings(view, section)
    _open_button(view, section, here=here)


def _headings(view: ProjectView, section: SectionView) -> None:
    numbers = view.outline.numbers()
    for heading in _opened_by(view, section):
        _chapter(view, heading, f"{numbers[heading.id]} {heading.title}")


def _open_button(view: ProjectView, section: SectionView, *, here: bool) -> None:
    mark = " ⚠" if section.problem else ""
    if st.button(
        markdown_label(f"{section.number} {section.node.title}{mark}"),
        key=f"wr_open_{'here_' if here else ''}{section.node.id}",
        icon=ICONS[section.state],
        width="stretch",
        type="tertiary",
        help=_about(view, section),
    ):
        writing.OPEN_SECTION.set(section.node.id)
        st.rerun()


def _chapter(view: ProjectView, heading: Node, title: str) -> None:
    """Draw a heading of the list and, where something under it has no text yet, the way to write that."""
    beneath = view.outline.under(heading.id)
    missing = [section for section in view.sections if section.node in beneath and section.state in TO_WRITE]
    with st.container(
        key=f"wr_chapter_{heading.id}", horizontal=True, vertical_alignment="center", gap=None, wrap=False
    ):
        widgets.html(f'<div class="wr-chapter">{escape(title)}</div>')
        if (
            missing
            and not view.elsewhere
            and st.button(
                t("writing.act.chapter"),
                key=f"wr_write_{heading.id}",
                icon=":material/edit:",
                type="tertiary",
            )
        ):
            ids = [section.node.id for section in missing]
            writing.attempt(state.services().writer.start, view.id, sections=ids)


def _opened_by(view: ProjectView, section: SectionView) -> list[Node]:
    """Return the headings above a section that stand between it and the section before."""
    at = view.outline.nodes.index(section.node)
    above = view.outline.parents(section.node.id)
    start = at
    while start and view.outline.nodes[start - 1] in above:
        start -= 1
    return list(view.outline.nodes[start:at])


def _about(view: ProjectView, section: SectionView) -> str:
    unit = t(f"writing.unit.{view.project.unit}")
    text = f"{t(f'writing.section.{section.state}')} · {section.length}/{section.node.length} {unit}"
    return f"{text} · {t(f'writing.problem.{section.problem}')}" if section.problem else text


def _section(view: ProjectView, section: SectionView) -> None:
    titles = " › ".join(node.title for node in view.outline.parents(section.node.id))
    widgets.html(
        f'<div class="wr-head"><span>{escape(titles)}</span>'
        f"<h2>{escape(section.number)} {escape(section.node.title)}</h2></div>"
    )
    widgets.html(f'<div class="wr-facts">{_facts(view, section)}</div>')
    if section.node.goal:
        widgets.note(t("writing.section.goal", goal=section.node.goal))
    if section.error is not None and section.state == "failed":
        widgets.error_card(*words.error_text(section.error))
    if section.state == "writing":
        st.fragment(_live, run_every=REDRAW_S)(view.id, section.node.id, writing.signature(view))
        return
    if section.problem is not None:
        _problem(view, section)
    if section.text:
        repeated = [] if view.active else _repeated(view, section)
        with st.container(key="writing_body"):
            model_text.draw(section.text, marks=_marks(repeated))
        if repeated:
            numbers = view.outline.numbers()
            where = sorted({numbers[sentence.before.section] for sentence in repeated})
            widgets.note(t("writing.section.repeated", count=len(repeated), where=", ".join(where)))
    if section.state == "partial" and section.current is not None:
        with st.expander(
            t("writing.section.draft"), icon=ICONS["partial"], key=f"wr_draft_{section.node.id}"
        ):
            model_text.draw(section.draft)
    _noticed(section)
    _tools(view, section)
    if len(section.versions) > 1:
        _versions(view, section)
    if section.prompt_tokens:
        _budget(view, section)


def _repeated(view: ProjectView, section: SectionView) -> list[RepeatedSentence]:
    """Return the sentences of a section that were said before."""
    all_repeated = state.services().writer.repeated(view.id, view)
    return [sentence for sentence in all_repeated if sentence.place.section == section.node.id]


def _marks(repeated: Sequence[RepeatedSentence]) -> list[model_text.Mark]:
    """Return where sentences stand that were said before; those with Markdown in them stay plain."""
    marks = []
    for place in (sentence.place for sentence in repeated):
        lead = LIST_MARK.match(place.text)
        skipped = lead.end() if lead else 0
        if place.text[skipped:] and not set(place.text[skipped:]) & PLAIN_ONLY:
            marks.append(model_text.Mark(place.start + skipped, place.end))
    return marks


def _facts(view: ProjectView, section: SectionView) -> str:
    unit = t(f"writing.unit.{view.project.unit}")
    kind = {"done": "", "failed": "warm", "partial": "warm", "writing": ""}.get(section.state, "plain")
    facts = [widgets.tag(t(f"writing.section.{section.state}"), kind)]
    facts.append(f"<span>{section.length} / {section.node.length} {escape(unit)}</span>")
    if loops := sum(version.loops for version in section.versions):
        facts.append(f"<span>{escape(t('writing.section.loops', count=loops))}</span>")
    if dropped := sum(version.dropped for version in section.versions):
        facts.append(f"<span>{escape(t('writing.section.dropped', count=dropped))}</span>")
    return "".join(facts)


def _noticed(section: SectionView) -> None:
    """Show what the guard noticed while the shown version was written, and what it cut off."""
    answer = section.answer_id
    if answer is None:
        return
    try:
        provenance = state.services().conversations.message(answer).provenance
    except NotFound:
        return
    events = events_markup([event.to_dict() for event in provenance.guard])
    if not events:
        return
    with st.expander(
        t("guard.events.heading"), icon=":material/shield:", key=f"wr_noticed_{section.node.id}"
    ):
        widgets.html(events)
        tails = provenance.removed_tails
        for tail in tails:
            widgets.note(t("guard.events.removed"))
            st.text(tail)


def _live(project_id: str, node_id: str, drawn: tuple[object, ...]) -> None:
    """Draw the text as it is being written."""
    view = state.services().writer.view(project_id)
    if writing.signature(view) != drawn:
        st.rerun()
    section = view.section(node_id)
    job = state.services().jobs.view(section.job) if section is not None and section.job else None
    if section is None:
        return
    with st.container(key="writing_body"):
        model_text.draw(section.draft, growing=True)
    if job is not None and not job.text:
        widgets.note(t(f"chat.phase.{job.phase or 'queued'}"))
    elif job is not None and job.stalled_s:
        widgets.note(t("chat.stalled", seconds=duration_text(job.stalled_s, words.language())))
    unit = t(f"writing.unit.{view.project.unit}")
    speed = f" · {job.tok_per_s:.0f} tok/s" if job is not None and job.tok_per_s else ""
    length = view.project.length_of(section.draft)
    widgets.html(f'<div class="tk-under">{length} / {section.node.length} {escape(unit)}{speed}</div>')
    writer = state.services().writer
    with st.container(horizontal=True, key="writing_live_tools", gap="small"):
        if st.button(t("writing.act.stop"), key="writing_section_stop", icon=":material/stop_circle:"):
            writing.attempt(writer.stop, project_id)
        name = "discard" if section.current is not None else "skip"
        if st.button(t(f"writing.act.{name}"), key="writing_section_skip", icon=SKIP_ICONS[name]):
            writing.attempt(writer.skip, project_id, node_id)


def _problem(view: ProjectView, section: SectionView) -> None:
    with st.container(
        key="writing_problem", horizontal=True, vertical_alignment="center", gap="small", wrap=True
    ):
        text = t(f"writing.problem.{section.problem}_text", length=section.length, asked=section.node.length)
        widgets.html(f'<p class="wr-problem">{escape(text)}</p>')
        if section.problem in ("short", "long", "cut", "loop") and st.button(
            t(f"writing.problem.{section.problem}_fix"), key="writing_fix", icon=":material/healing:"
        ):
            writing.attempt(state.services().writer.fix, view.id, section.node.id)


# --- tools ----------------------------------------------------------------------------------------


def _tools(view: ProjectView, section: SectionView) -> None:
    writer = state.services().writer
    node_id = section.node.id
    with st.container(horizontal=True, key="writing_tools", gap="small", wrap=True):
        if section.state == "partial" and st.button(
            t("writing.act.go_on"), key="writing_go_on", type="primary", icon=":material/play_arrow:"
        ):
            writing.attempt(writer.work, view.id, node_id, "continue")
        name = "again" if section.text else "write"
        if section.state != "queued" and st.button(
            t(f"writing.act.{name}"),
            key="writing_again",
            icon=":material/refresh:" if section.text else ":material/edit:",
        ):
            writing.attempt(writer.work, view.id, node_id, "write")
        leave = "discard" if section.current is not None else "skip"
        if section.state in ("empty", "queued", "partial", "failed") and st.button(
            t(f"writing.act.{leave}"),
            key="writing_skip",
            icon=SKIP_ICONS[leave],
            help=t("writing.act.discard_help") if leave == "discard" else None,
        ):
            writing.attempt(writer.skip, view.id, node_id)
        if section.state == "skipped" and st.button(t("writing.act.unskip"), key="writing_unskip"):
            writing.attempt(writer.unskip, view.id, node_id)
        if section.state == "done":
            with st.popover(t("writing.act.edit"), icon=":material/edit:", key="writing_edit"):
                key = f"wr_edit_{node_id}_{section.current}"
                text = st.text_area(t("writing.act.edit"), value=section.text, key=key, height=380)
                if st.button(t("ui.save"), key="writing_edit_save", type="primary"):
                    writing.attempt(writer.edit, view.id, node_id, text or "")
    if section.state == "done" and section.text:
        _deepen(view, section)


def _deepen(view: ProjectView, section: SectionView) -> None:
    """Expand, condense, rewrite, translate, go on: with the section or a passage of it."""
    writer, node_id = state.services().writer, section.node.id
    with st.expander(t("writing.deepen.title"), icon=":material/auto_fix_high:", key=f"wr_deepen_{node_id}"):
        scope, known = _scope(section)
        instruction = st.text_input(
            t("writing.deepen.instruction"),
            key=f"wr_instruction_{node_id}",
            placeholder=t("writing.deepen.instruction_hint"),
        )
        with st.container(horizontal=True, key="writing_deepen_tools", gap="small", wrap=True):
            for operation in OPERATIONS:
                if operation == "translate":
                    continue
                if st.button(
                    t(f"writing.operation.{operation}"),
                    key=f"writing_{operation}",
                    icon=OPERATION_ICONS[operation],
                    disabled=(operation == "rewrite" and not (instruction or "").strip())
                    or (operation != "continue" and not known),
                ):
                    selection = None if operation == "continue" else scope
                    writing.attempt(
                        writer.work,
                        view.id,
                        node_id,
                        operation,
                        instruction=(instruction or "") if operation == "rewrite" else "",
                        selection=selection,
                    )
            for language in ("zh", "en"):
                if st.button(
                    t(f"writing.deepen.translate_{language}"),
                    key=f"writing_translate_{language}",
                    icon=OPERATION_ICONS["translate"],
                    disabled=not known,
                ):
                    writing.attempt(
                        writer.work, view.id, node_id, "translate", instruction=language, selection=scope
                    )


class _Scope(NamedTuple):
    """place: what is worked on, None for the whole section. known: whether it was found."""

    place: tuple[int, int] | None
    known: bool = True


def _scope(section: SectionView) -> _Scope:
    """Ask what is worked on: the whole section, one of its paragraphs, or a passage given in words."""
    places: list[tuple[int, int]] = []
    at = 0
    for paragraph in section.text.split("\n\n"):
        if paragraph.strip():
            places.append((at, at + len(paragraph)))
        at += len(paragraph) + 2
    options = [-1, *range(len(places)), -2]

    def name(number: int) -> str:
        if number < 0:
            return t("writing.deepen.whole" if number == -1 else "writing.deepen.passage")
        start, end = places[number]
        text = " ".join(section.text[start:end].split())
        return t(
            "writing.deepen.paragraph",
            number=number + 1,
            text=text[:SCOPE_CHARS] + ("…" if len(text) > SCOPE_CHARS else ""),
        )

    labels = {number: name(number) for number in options}
    chosen = st.selectbox(
        t("writing.deepen.scope"),
        options,
        format_func=labels.__getitem__,
        key=f"wr_scope_{section.node.id}_{section.current}",
    )
    if chosen == -2:
        passage = st.text_input(t("writing.deepen.passage_label"), key=f"wr_passage_{section.node.id}") or ""
        start = section.text.find(passage.strip()) if passage.strip() else -1
        if start < 0:
            note = "passage_none" if passage.strip() else "passage_note"
            widgets.note(t(f"writing.deepen.{note}"))
            return _Scope(None, known=False)
        return _Scope((start, start + len(passage.strip())))
    return _Scope(None if chosen in (None, -1) else places[int(chosen)])


# --- versions, budget -----------------------------------------------------------------------------


def _versions(view: ProjectView, section: SectionView) -> None:
    with st.expander(
        t("writing.version.title", count=len(section.versions)),
        icon=":material/history:",
        key=f"wr_versions_{section.node.id}",
    ):
        keys = [version.key for version in section.versions]
        names = {v.key: _version_name(view, v, number) for number, v in enumerate(section.versions, 1)}
        others = [key for key in reversed(keys) if key != section.current]
        chosen = st.selectbox(
            t("writing.version.compare"),
            others,
            format_func=names.__getitem__,
            key=f"wr_version_{section.node.id}_{section.current}",
        )
        if chosen is None:
            return
        other = section.versions[keys.index(chosen)]
        difference = compare_texts(other.text, section.text)
        widgets.note(t("writing.version.similar", percent=round(100 * difference.similarity)))
        pieces = []
        for piece in difference.pieces:
            if piece.operation == "equal":
                pieces.append(escape(piece.first))
                continue
            pieces.append(f"<del>{escape(piece.first)}</del>" if piece.first else "")
            pieces.append(f"<ins>{escape(piece.second)}</ins>" if piece.second else "")
        widgets.html(f'<div class="wr-diff">{"".join(pieces)}</div>')
        st.button(
            t("writing.version.use"),
            key="writing_version_use",
            icon=":material/undo:",
            on_click=actions.attempt,
            args=(state.services().writer.choose, view.id, section.node.id, chosen),
        )


def _version_name(view: ProjectView, version: SectionVersion, number: int) -> str:
    at = datetime.fromtimestamp(version.created_at).strftime("%m-%d %H:%M")
    unit = t(f"writing.unit.{view.project.unit}")
    name = t(f"writing.operation.{version.operation}")
    label = f"{number}. {name} · {version.length} {unit} · {at}"
    return f"{label} · {version.instruction[:30]}" if version.instruction else label


def _budget(view: ProjectView, section: SectionView) -> None:
    """Show that the prompt keeps to its budget however long the text is."""
    budget = view.budget
    with st.expander(
        t("writing.budget.title"), icon=":material/data_usage:", key=f"wr_budget_{section.node.id}"
    ):
        share = min(1.0, section.prompt_tokens / budget.prompt)
        widgets.html(widgets.meter(share, label=t("writing.budget.title")))
        widgets.note(
            t(
                "writing.budget.line",
                prompt=count_text(section.prompt_tokens),
                limit=count_text(budget.prompt),
                answer=count_text(budget.answer),
                largest=count_text(view.largest_prompt),
            )
        )
        rows = [
            (
                t("writing.budget.cost"),
                t(
                    "writing.budget.cost_value",
                    seconds=duration_text(sum(v.seconds for v in section.versions), words.language()),
                    tokens=count_text(sum(v.tokens for v in section.versions)),
                    cached=count_text(section.versions[-1].cached_tokens),
                ),
            )
        ]
        widgets.html(widgets.facts(rows))
