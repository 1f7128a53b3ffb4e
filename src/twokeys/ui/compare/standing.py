"""What the blind votes add up to per kind of task: strengths, pairs, place, votes still needed."""

import streamlit as st

from twokeys.core.compare.votes import Contestant, Pairing, PositionBias, Standing
from twokeys.ui import saved_presets, state, widgets
from twokeys.ui.compare.board import letter
from twokeys.ui.compare.tasks import task_name
from twokeys.ui.format import escape
from twokeys.ui.words import t


def draw() -> None:
    """Draw the table of votes of the chosen kind of task."""
    compare = state.services().compare
    tasks = [None, *compare.voting.task_types()]
    everything = compare.voting.standing()
    if not everything.votes:
        widgets.note(t("compare.votes.none"))
        return
    with st.container(horizontal=True, key="votes_choice", vertical_alignment="bottom"):
        task = st.selectbox(
            t("compare.task.label"), tasks, key="votes_task", format_func=_task_label, width=260
        )
        model = None
        if len(everything.models) > 1:
            model = st.selectbox(
                t("compare.votes.model"),
                [None, *everything.models],
                key="votes_model",
                format_func=lambda name: name or t("compare.votes.all_models"),
                width=260,
            )
    standing = compare.voting.standing(task, model)
    widgets.note(
        t("compare.votes.count", votes=standing.votes, ties=standing.ties, models=", ".join(standing.models))
    )
    if not standing.contestants:
        return
    widgets.html(_table(standing))
    widgets.note(t("compare.votes.method"))
    names = _names(standing)
    widgets.section(t("compare.votes.pairs"))
    for pairing in standing.pairings:
        widgets.html(f'<p class="tk-claim">{escape(_verdict(pairing, names))}</p>')
    widgets.section(t("compare.votes.position"))
    widgets.note(_position(standing.position))
    _save(standing.contestants[0], names)


def _task_label(task: str | None) -> str:
    return t("compare.votes.all_tasks") if task is None else task_name(task)


def _names(standing: Standing) -> dict[str, str]:
    """Return a name for every contestant; two with the same name are told apart by their numbers."""
    names: dict[str, str] = {}
    for contestant in standing.contestants:
        name = contestant.name
        if name == f"{contestant.sampling.temperature:g}":
            name = t("chat.tag.temperature", value=name)
        if sum(other.name == contestant.name for other in standing.contestants) > 1:
            sampling = contestant.sampling
            name = f"{name} (top_p {sampling.top_p:g}, top_k {sampling.top_k}, {sampling.order})"
        names[contestant.key] = name
    return names


def _table(standing: Standing) -> str:
    names = _names(standing)
    heads = ("name", "win", "interval", "best", "wins")
    head = "".join(
        f"<th scope='col'>{escape(t(f'compare.votes.head.{name}'))}"
        f"<small>{escape(t(f'compare.votes.about.{name}'))}</small></th>"
        for name in heads
    )
    low = min(-0.5, *(contestant.low for contestant in standing.contestants))
    high = max(0.5, *(contestant.high for contestant in standing.contestants))
    rows = "".join(_row(contestant, names[contestant.key], low, high) for contestant in standing.contestants)
    return (
        f'<div class="tk-scroll" tabindex="0"><table class="tk-table tk-standing">'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _row(contestant: Contestant, name: str, low: float, high: float) -> str:
    span = high - low

    def at(value: float) -> float:
        return (value - low) / span * 100

    label = escape(t("compare.votes.interval", low=f"{contestant.low:+.2f}", high=f"{contestant.high:+.2f}"))
    left, right = at(contestant.low), at(contestant.high)
    whisker = (
        f'<div class="tk-whisker" role="img" aria-label="{label}" title="{label}">'
        f'<i class="zero" style="left:{at(0):.1f}%"></i>'
        f'<i class="line" style="left:{left:.1f}%;width:{right - left:.1f}%"></i>'
        f'<i class="dot" style="left:{at(contestant.strength):.1f}%"></i></div>'
    )
    return (
        f"<tr><th scope='row'>{escape(name)}</th><td>{contestant.win:.0%}</td><td>{whisker}</td>"
        f"<td>{contestant.best:.0%}</td><td>{contestant.wins:.3g} / {contestant.votes}</td></tr>"
    )


def _verdict(pairing: Pairing, names: dict[str, str]) -> str:
    first, second = names.get(pairing.first, pairing.first), names.get(pairing.second, pairing.second)
    chance = t(
        "compare.votes.chance",
        first=first,
        second=second,
        chance=f"{pairing.chance:.0%}",
        low=f"{pairing.low:.0%}",
        high=f"{pairing.high:.0%}",
    )
    if pairing.claimed:
        verdict = t("compare.votes.claimed")
    elif pairing.more_votes is None:
        verdict = t("compare.votes.many_more")
    else:
        verdict = t("compare.votes.more", count=pairing.more_votes)
    return f"{chance} {verdict}"


def _position(position: PositionBias | None) -> str:
    if position is None:
        return t("compare.votes.position_few")
    shares = " · ".join(f"{letter(place)} {share:.0%}" for place, share in enumerate(position.shares))
    sentence = t("compare.votes.position_found") if position.significant else t("compare.votes.position_not")
    numbers = t(
        "compare.votes.position_odds",
        odds=f"{position.odds:.2f}",
        low=f"{position.low:.2f}",
        high=f"{position.high:.2f}",
        shares=shares,
    )
    return f"{sentence} {numbers}"


def _save(winner: Contestant, names: dict[str, str]) -> None:
    with st.form("votes_save", border=False, clear_on_submit=True):
        name = st.text_input(
            t("compare.votes.save_name", winner=names[winner.key]),
            key="votes_save_name",
            placeholder=t("sidebar.presets.name_hint"),
            width=320,
        )
        if st.form_submit_button(
            t("sidebar.presets.save"), icon=":material/bookmark_add:", key="votes_save_send"
        ):
            voting, key = state.services().compare.voting, winner.key
            chosen = (name or "").strip()
            saved_presets.save(lambda replace: voting.save_winner(key, chosen, replace=replace))
            st.rerun()
