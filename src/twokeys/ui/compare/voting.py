"""The blind vote on one comparison: letters instead of names, the best or a tie, then the reveal."""

from itertools import combinations

import streamlit as st

from twokeys.core.compare.comparison import Comparison
from twokeys.types import Vote
from twokeys.ui import actions, navigation, state, widgets
from twokeys.ui.compare.board import hidden, letter, places
from twokeys.ui.compare.tasks import TASKS, task_name
from twokeys.ui.format import escape
from twokeys.ui.words import t


def draw(comparison: Comparison) -> None:
    """Draw the offer, the vote under way, or what was voted."""
    if comparison.active:
        if hidden(comparison):
            widgets.note(t("compare.blind.wait"))
        return
    if comparison.blind is None:
        with st.container(horizontal=True, key="vote_offer", vertical_alignment="center"):
            if st.button(t("compare.blind.hide"), key="compare_hide", icon=":material/visibility_off:"):
                actions.attempt(state.services().compare.voting.hide, comparison.id)
                st.rerun()
            widgets.note(t("compare.blind.hide_note"))
        return
    if hidden(comparison):
        _ballot(comparison)
    else:
        _results(comparison)


def _ballot(comparison: Comparison) -> None:
    blind = comparison.blind
    if blind is None:
        return
    letters = {number: letter(place) for place, number in enumerate(blind.order)}
    with st.container(key="card_vote"):
        widgets.html(
            f'<div class="tk-card"><h3>{escape(t("compare.blind.title"))}</h3>'
            f"<p>{escape(t('compare.blind.lead'))}</p></div>"
        )
        among = _among(comparison.id, letters)
        best = st.pills(
            t("compare.blind.best"),
            sorted(among, key=lambda number: letters[number]),
            selection_mode="multi",
            key=f"vote_best_{comparison.id}",
            format_func=letters.__getitem__,
            help=t("compare.blind.tie_help"),
        )
        task = _task(comparison)
        with st.container(horizontal=True, key="vote_buttons"):
            if st.button(
                t("compare.blind.tie") if best and len(best) > 1 else t("compare.blind.vote"),
                key="vote_send",
                type="primary",
                disabled=not best,
            ):
                chosen = [int(number) for number in best]
                actions.attempt(
                    lambda: state.services().compare.voting.vote(
                        comparison.id, chosen, tuple(among), task_type=task
                    )
                )
                st.rerun()
            if st.button(t("compare.blind.reveal"), key="vote_reveal", icon=":material/visibility:"):
                actions.attempt(state.services().compare.voting.reveal, comparison.id)
                st.rerun()
        for vote in state.services().compare.voting.votes(comparison.id):
            widgets.note(t("compare.blind.voted", vote=_vote_text(vote, letters)))


def _among(comparison_id: str, letters: dict[int, str]) -> tuple[int, ...]:
    """Ask whether all columns are judged or a pair of them."""
    everyone = tuple(letters)
    if len(everyone) == 2:
        return everyone
    pairs = [everyone, *combinations(everyone, 2)]
    key = f"vote_among_{comparison_id}"
    chosen = st.selectbox(
        t("compare.blind.among"),
        pairs,
        key=key,
        format_func=lambda numbers: (
            t("compare.blind.all")
            if len(numbers) == len(everyone) and len(everyone) > 2
            else " – ".join(letters[number] for number in numbers)
        ),
        width=220,
    )
    return tuple(chosen)


def _task(comparison: Comparison) -> str | None:
    key = f"vote_task_{comparison.id}"
    if state.value_of(key) is None and comparison.task_type is not None:
        state.show_value(key, comparison.task_type)
    known = [*TASKS]
    if comparison.task_type is not None and comparison.task_type not in known:
        known.append(comparison.task_type)
    task = st.selectbox(
        t("compare.task.label"),
        known,
        index=None,
        key=key,
        format_func=task_name,
        placeholder=t("compare.task.any"),
        accept_new_options=True,
        width=260,
    )
    return str(task).strip() or None if task else None


def _vote_text(vote: Vote, names: dict[int, str]) -> str:
    best = " = ".join(sorted(names.get(int(number), "?") for number in vote.data.get("best", ())))
    among = [names.get(int(number), "?") for number in vote.data.get("order", ())]
    return best if len(among) == len(names) else f"{best} ({' – '.join(among)})"


def _results(comparison: Comparison) -> None:
    names = {column.index: name for name, column in places(comparison)}
    votes = [vote for vote in state.services().compare.voting.votes(comparison.id) if vote.data.get("blind")]
    if not votes:
        widgets.note(t("compare.blind.no_vote"))
        return
    for vote in votes:
        widgets.note(t("compare.blind.voted", vote=_vote_text(vote, names)))
    if st.button(t("compare.blind.table"), key="vote_table", type="tertiary", icon=":material/leaderboard:"):
        navigation.open_comparison(None)
        st.query_params["view"] = "votes"
        st.rerun()
