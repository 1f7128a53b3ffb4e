"""Reading blind: the card that offers it, one pair of answers after the other, and what the votes say.

Which answer has the role is not on the page before the last vote.
"""

import streamlit as st

from twokeys.core.study.blind_reading import BlindPair, BlindReading, Choice
from twokeys.core.study.claims import claim_text
from twokeys.ui import actions, state, widgets, words
from twokeys.ui.format import escape
from twokeys.ui.lab import plan, steps
from twokeys.ui.words import t

VIEW = "read"
CLAIM = "C11"
KINDS = {"confirmed": "", "refuted": "warm", "undecided": "plain"}
_BACK = state.TabValue[int | None]("reading_back", None)
"""The pair whose vote is to be given anew; None for the next one."""


def card(*, has_model: bool) -> None:
    """Draw what is to be read: the answers still to be written, the pairs to be judged, or the result."""
    services = state.services()
    reading = services.lab.readings.of(services.engines.name)
    with st.container(key="card_lab_reading"):
        widgets.html(
            f'<div class="tk-card"><h3>{escape(t("labpage.read.title"))}</h3>'
            f"<p>{escape(t('labpage.read.lead', claim=claim_text(CLAIM, words.language())))}</p></div>"
        )
        if reading is None:
            _offer_writing(has_model=has_model)
        elif reading.complete:
            _verdict(reading)
            st.button(t("labpage.read.look"), key="lab_read_look", icon=":material/visibility:",
                      on_click=steps.open_view, args=(VIEW,))  # fmt: skip
        else:
            label = "labpage.read.go_on" if reading.votes else "labpage.read.begin"
            count = len(reading.pairs) - len(reading.votes)
            st.button(t(label, count=count), key="lab_read_begin", type="primary",
                      icon=":material/menu_book:", disabled=not reading.pairs,
                      on_click=steps.open_view, args=(VIEW,))  # fmt: skip
            if not reading.pairs:
                widgets.note(t("labpage.read.nothing"))


def draw() -> None:
    """Draw the pair that is to be judged, or the result after the last one."""
    services = state.services()
    reading = services.lab.readings.of(services.engines.name)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", wrap=False, key="lab_head"):
        st.button("", key="lab_back", icon=":material/arrow_back:", type="tertiary",
                  help=t("labpage.read.leave"), on_click=steps.open_view, args=("claims",))  # fmt: skip
        facts = "" if reading is None else _place(reading)
        title = escape(t("labpage.read.title"))
        widgets.html(f'<div class="lab-title"><h1>{title}</h1><span>{escape(facts)}</span></div>')
    if reading is None or not reading.pairs:
        widgets.note(t("labpage.read.nothing"))
    elif reading.complete:
        _verdict(reading)
        _revealed(reading)
    else:
        _ballot(reading)


def _offer_writing(*, has_model: bool) -> None:
    services = state.services()
    study = services.lab.readings.study(words.language())
    planned = services.lab.plan(study)
    time = plan.time_text(planned.seconds)
    widgets.note(t("labpage.read.first", answers=planned.generations, time=time))
    if st.button(t("labpage.read.write"), key="lab_read_write", icon=":material/science:",
                 disabled=not has_model):  # fmt: skip
        steps.run_group((study,))
        steps.open_view("studies")
        st.rerun()


def _ballot(reading: BlindReading) -> None:
    number = _number(reading)
    pair = reading.pairs[number]
    done = number / len(reading.pairs)
    widgets.html(
        widgets.bar(done, label=_place(reading))
        + f'<section class="lab-request"><h2>{escape(t("labpage.read.asked"))}</h2>'
        f"<p>{escape(pair.request)}</p></section>" + _pair(pair)
    )
    widgets.note(t("labpage.read.which"))
    with st.container(horizontal=True, key="lab_read_votes", gap="small"):
        for choice in ("a", "tie", "b"):
            st.button(
                t(f"labpage.read.choice.{choice}"),
                key=f"lab_read_{choice}_{number}",
                on_click=_give,
                args=(reading.study_id, number, choice),
            )
        if number:
            st.button(t("labpage.read.back"), key="lab_read_back", type="tertiary",
                      icon=":material/undo:", on_click=_BACK.set, args=(number - 1,))  # fmt: skip


def _give(study_id: str, number: int, choice: Choice) -> None:
    _BACK.set(None)
    actions.attempt(state.services().lab.readings.vote, study_id, number, choice)


def _number(reading: BlindReading) -> int:
    back = _BACK.get()
    return len(reading.votes) if back is None else min(back, len(reading.votes))


def _place(reading: BlindReading) -> str:
    if reading.complete:
        return reading.model
    return t("labpage.read.place", number=_number(reading) + 1, count=len(reading.pairs))


def _pair(pair: BlindPair, names: tuple[str, str] = ("A", "B"), chosen: str = "") -> str:
    """Return the markup of two answers beside each other, under each other where it is narrow."""
    answers = "".join(
        f'<article class="{"chosen" if chosen == choice else ""}"><h3>{escape(name)}</h3>'
        f"<p>{escape(text)}</p></article>"
        for choice, name, text in zip(("a", "b"), names, (pair.a, pair.b), strict=True)
    )
    return f'<div class="lab-pair">{answers}</div>'


def _verdict(reading: BlindReading) -> None:
    row, language = reading.claim(), words.language()
    widgets.html(
        f'<p class="lab-winner">{widgets.tag(row.verdict_text(language), KINDS[row.verdict])} '
        f"{escape(row.sentence(language))}</p>"
    )


def _revealed(reading: BlindReading) -> None:
    """Draw every pair with its names and the vote, folded."""
    widgets.section(t("labpage.read.revealed"))
    plain, role = t("labpage.read.plain"), t("labpage.read.role")
    items = []
    for number, (pair, vote) in enumerate(zip(reading.pairs, reading.votes, strict=False), 1):
        names = (role, plain) if pair.role_first else (plain, role)
        said = t("labpage.read.neither") if vote == "tie" else names[0 if vote == "a" else 1]
        items.append(
            f'<details class="lab-read"><summary><span>{number}</span><b>{escape(pair.request)}</b>'
            f"<span>{widgets.tag(said, 'plain')}</span></summary>{_pair(pair, names, vote)}</details>"
        )
    widgets.html("".join(items))
