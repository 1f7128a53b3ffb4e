"""The outline's editor: a row for every heading with its title, its length and what can be done."""

from collections.abc import Callable

import streamlit as st

from twokeys.core.writer.outline import MAX_GOAL_CHARS, SHORTEST_SECTION, Node, Outline
from twokeys.core.writer.view import ProjectView
from twokeys.errors import TwoKeysError
from twokeys.ui import notices, state, widgets, writing
from twokeys.ui.format import count_text, escape
from twokeys.ui.words import t

ACTIONS = ("up", "down", "deeper", "higher", "add", "add_inner", "delete")


def draw(view: ProjectView) -> None:
    """Draw the outline to be edited."""
    outline = view.outline
    unit = t(f"writing.unit.{view.project.unit}")
    widgets.note(
        t(
            "writing.outline.lead",
            sections=len(outline.sections),
            length=count_text(outline.length),
            target=count_text(view.project.length),
            unit=unit,
        )
    )
    numbers = outline.numbers()
    leaves = {node.id for node in outline.sections}
    goals = st.toggle(
        t("writing.outline.goals"), key=f"writing_goals_{view.id}", help=t("writing.outline.goals_help")
    )
    with st.container(key="writing_outline"):
        for node in outline.nodes:
            _row(view, outline, node, numbers[node.id], leaf=node.id in leaves)
            if goals and node.id in leaves:
                _goal(view, node)
    with st.container(horizontal=True, key="writing_outline_tools", gap="small"):
        if st.button(t("writing.outline.add_chapter"), key="writing_add", icon=":material/add:"):
            title = t("writing.outline.new_title")
            length = max(SHORTEST_SECTION, round(view.project.length / max(4, len(leaves))))
            _change(view.id, lambda before: before.add(title, length=length))
        if outline.length != view.project.length and st.button(
            t("writing.outline.rescale", length=count_text(view.project.length), unit=unit),
            key="writing_rescale",
            icon=":material/balance:",
        ):
            _change(view.id, lambda before: before.rescale(view.project.length))
        written = any(section.state != "empty" for section in view.sections)
        if st.button(
            t("writing.outline.again"),
            key="writing_outline_again",
            icon=":material/refresh:",
            type="tertiary",
            disabled=view.active or written,
            help=t("writing.outline.again_help"),
        ):
            writing.attempt(state.services().writer.make_outline, view.id)


def _row(view: ProjectView, outline: Outline, node: Node, number: str, *, leaf: bool) -> None:
    with st.container(
        key=f"wr_row_l{node.level}_{node.id}",
        horizontal=True,
        vertical_alignment="center",
        gap="xsmall",
        wrap=False,
    ):
        widgets.html(f'<span class="wr-number">{escape(number)}</span>')
        title_key, length_key = f"wr_title_{node.id}", f"wr_length_{node.id}"
        state.show_value(title_key, node.title)
        st.text_input(
            t("writing.outline.title"),
            key=title_key,
            label_visibility="collapsed",
            max_chars=120,
            on_change=_renamed,
            args=(view.id, node.id),
        )
        if leaf:
            state.show_value(length_key, node.length)
            st.number_input(
                t("writing.outline.length"),
                key=length_key,
                min_value=SHORTEST_SECTION,
                max_value=20_000,
                step=50,
                label_visibility="collapsed",
                on_change=_resized,
                args=(view.id, node.id),
                width=130,
            )
        else:
            widgets.html(f'<span class="wr-sum">{escape(count_text(outline.length_of(node.id)))}</span>')
        act = st.menu_button(
            t("ui.more"),
            list(ACTIONS),
            icon=":material/more_horiz:",
            key=f"wr_more_{node.id}",
            type="tertiary",
            format_func={name: t(f"writing.outline.act.{name}") for name in ACTIONS}.__getitem__,
        )
    if act:
        _act(view.id, node, str(act))


def _goal(view: ProjectView, node: Node) -> None:
    key = f"wr_goal_{node.id}"
    state.show_value(key, node.goal)
    with st.container(key=f"wr_goal_row_{node.id}"):
        st.text_input(
            t("writing.outline.goal", title=node.title),
            key=key,
            label_visibility="collapsed",
            placeholder=t("writing.outline.goal_hint"),
            max_chars=MAX_GOAL_CHARS,
            on_change=_aimed,
            args=(view.id, node.id),
        )


def _act(project_id: str, node: Node, act: str) -> None:
    title = t("writing.outline.new_title")
    length = max(node.length, 200)
    match act:
        case "up":
            _change(project_id, lambda outline: outline.move(node.id, -1))
        case "down":
            _change(project_id, lambda outline: outline.move(node.id, 1))
        case "deeper":
            _change(project_id, lambda outline: outline.shift(node.id, 1))
        case "higher":
            _change(project_id, lambda outline: outline.shift(node.id, -1))
        case "add":
            _change(project_id, lambda outline: outline.add(title, after=node.id, length=length))
        case "add_inner":
            _change(
                project_id,
                lambda outline: outline.add(title, after=node.id, level=node.level + 1, length=length),
            )
        case "delete":
            _delete(project_id, node)


def _delete(project_id: str, node: Node) -> None:
    """Take a heading out; the outline before can be brought back."""
    writer = state.services().writer
    before = writer.outline(project_id)

    def bring_back() -> None:
        writer.change_outline(project_id, lambda _: before)

    notices.offer_undo(t("ui.deleted", title=node.title), bring_back)
    _change(project_id, lambda outline: outline.delete(node.id))


def _change(project_id: str, change: Callable[[Outline], Outline]) -> None:
    writing.attempt(_changed, project_id, change)


def _changed(project_id: str, change: Callable[[Outline], Outline]) -> None:
    """Change the outline; tell where the text of a section went that has headings below it now."""
    writer = state.services().writer
    before = {node.id: node.title for node in writer.outline(project_id).nodes}
    after = writer.change_outline(project_id, change)
    numbers = after.numbers()
    for node in after.sections:
        title = before.get(node.id, node.title)
        if title != node.title:
            text = t("writing.outline.text_kept", before=title, number=numbers[node.id], title=node.title)
            notices.tell(notices.Notice(text))


def _renamed(project_id: str, node_id: str) -> None:
    title = str(state.value_of(f"wr_title_{node_id}") or "")
    _quietly(project_id, lambda outline: outline.rename(node_id, title))


def _aimed(project_id: str, node_id: str) -> None:
    goal = str(state.value_of(f"wr_goal_{node_id}") or "")
    _quietly(project_id, lambda outline: outline.set_goal(node_id, goal))


def _resized(project_id: str, node_id: str) -> None:
    length = int(state.value_of(f"wr_length_{node_id}") or 0)
    _quietly(project_id, lambda outline: outline.set_length(node_id, length))


def _quietly(project_id: str, change: Callable[[Outline], Outline]) -> None:
    """Change the outline from a widget's callback: the page is drawn again by itself."""
    try:
        state.services().writer.change_outline(project_id, change)
    except TwoKeysError as error:
        notices.tell_error(error)
