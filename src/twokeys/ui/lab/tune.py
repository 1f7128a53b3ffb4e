"""Tune for me: a goal and a budget; the winner is offered as a preset only once it is proved better."""

from collections.abc import Mapping

import streamlit as st

from twokeys.core.study.axes import axis_title
from twokeys.core.study.own_prompt import own_prompts
from twokeys.core.study.tuner import TuningView
from twokeys.core.study.tuning import MIN_BUDGET, Goal, Tuning, proof_study, search_study
from twokeys.errors import TwoKeysError
from twokeys.types import Sampling
from twokeys.ui import actions, notices, state, widgets, words
from twokeys.ui.format import escape
from twokeys.ui.lab import plan
from twokeys.ui.lab.setup import set_title
from twokeys.ui.words import t

REDRAW_S = 2
ACTIVE = ("searching", "proving")
GOALS: tuple[Goal, ...] = ("correct", "diverse", "complete")
USUAL_SETS: Mapping[Goal, tuple[str, ...]] = {
    "correct": ("math",),
    "diverse": ("explain", "creative"),
    "complete": ("explain",),
}


def draw(*, has_model: bool) -> None:
    """Draw the form, then the tunings there are."""
    with st.container(key="card_lab_tune"):
        _form(has_model=has_model)
    for view in state.services().tuner.list():
        with st.container(key=f"card_tuning_{view.id}"):
            active = view.state in ACTIVE
            st.fragment(_tuning, run_every=REDRAW_S if active else None)(view.id, view.state)


def _form(*, has_model: bool) -> None:
    goal = st.segmented_control(
        t("labpage.tune.goal"),
        GOALS,
        key="tune_goal",
        default="correct",
        required=True,
        format_func={name: t(f"labpage.tune.goals.{name}") for name in GOALS}.__getitem__,
    ) or GOALS[0]  # fmt: skip
    widgets.note(t(f"labpage.tune.goal_note.{goal}"))
    language = words.language()
    sets = {
        prompt_set.name: prompt_set
        for prompt_set in state.services().lab.prompt_sets()
        if goal != "correct" or prompt_set.checkable
    }
    names = sorted(sets, key=lambda name: sets[name].language != language)
    chosen = st.multiselect(
        t("labpage.new.sets"),
        names,
        default=[f"{name}-{language}" for name in USUAL_SETS[goal]],
        key=f"tune_sets_{goal}",
        format_func={name: set_title(sets[name]) for name in names}.__getitem__,
    )
    own = _own(goal)
    left, middle, right = st.columns(3, gap="medium")
    with left:
        budget = st.number_input(
            t("labpage.tune.budget"), MIN_BUDGET, 5000, 120, 20, key="tune_budget",
            help=t("labpage.tune.budget_help"),
        )  # fmt: skip
    with middle:
        length = st.number_input(_capital(t("lab.axis.max_new_tokens")), 16, 8192, 256, 16, key="tune_length")
    limit = 60.0
    if goal == "complete":
        with right:
            limit = st.number_input(t("labpage.tune.limit"), 1.0, 3600.0, 60.0, 5.0, key="tune_limit")
    try:
        tuning = Tuning(
            name=t(f"labpage.tune.goals.{goal}"),
            goal=goal,
            prompts=(
                *(prompt for name in chosen for prompt in sets[name].prompts),
                *own_prompts(own, checked=goal == "correct"),
            ),
            budget=int(budget),
            base=Sampling(max_new_tokens=int(length)),
            limit_s=float(limit),
        ).check()
    except TwoKeysError as error:
        widgets.error(error)
        return
    widgets.note(t("labpage.tune.plan", tries=tuning.tries, time=plan.time_text(seconds(tuning))))
    st.button(t("labpage.tune.start"), key="tune_start", type="primary", icon=":material/auto_awesome:",
              on_click=_start_new, args=(tuning,), disabled=not has_model)  # fmt: skip
    if not has_model:
        widgets.note(t("labpage.no_model"))


def _own(goal: Goal) -> str:
    """Draw the box for prompts of one's own; for right answers each brings how it is judged."""
    if goal == "correct":
        text = st.text_area(
            t("labpage.tune.own_checked"), key="tune_own_correct", help=t("labpage.tune.own_checked_help"),
            placeholder=t("labpage.tune.own_example"), height=132,
        )  # fmt: skip
    else:
        text = st.text_area(t("labpage.new.own"), key="tune_own", help=t("labpage.tune.own_help"))
    return str(text or "")


def seconds(tuning: Tuning) -> float | None:
    """Return about how long a tuning takes; None when the model has never answered here."""
    lab = state.services().lab
    attempt = search_study(tuning, 0, {})
    search, proof = lab.plan(attempt), lab.plan(proof_study(tuning, {}, attempt.generations * tuning.tries))
    if search.seconds is None or proof.seconds is None:
        return None
    return search.seconds * tuning.tries + proof.seconds


def _tuning(tuning_id: str, drawn: str) -> None:
    tuner = state.services().tuner
    view = tuner.view(tuning_id)
    if view.state != drawn:
        st.rerun()
    counted = t("labpage.run.count", done=view.done, total=view.total)
    label = _capital(t(f"labpage.tune.state.{view.state}"))
    winner = "" if view.winner is None else _setting(view)
    with st.container(
        key=f"tuning_head_{view.id}", horizontal=True, vertical_alignment="center", gap="small", wrap=False
    ):
        widgets.html(f'<div class="tk-card"><h3>{escape(view.tuning.name)}</h3></div>')
        if st.button("", key=f"tune_delete_{view.id}", icon=":material/delete:", type="tertiary",
                     help=t("ui.delete")):  # fmt: skip
            _delete(view)
            st.rerun()
    widgets.html(
        f"{widgets.bar(view.done / view.total if view.total else 0.0, label=label)}"
        f'<div class="tk-progress" role="status"><span>{escape(label)} · {escape(counted)}</span>'
        f"<span>{escape(t('labpage.tune.tried', count=len(view.tries)))}</span></div>{winner}"
    )
    if view.error is not None:
        widgets.error_card(*words.error_text(view.error))
    if view.state in ACTIVE:
        st.button(t("labpage.run.pause"), key=f"tune_pause_{view.id}", icon=":material/pause:",
                  on_click=actions.attempt, args=(tuner.pause, view.id), disabled=view.elsewhere)  # fmt: skip
        if view.elsewhere:
            widgets.note(t("lab.tuning.elsewhere"))
    elif view.state != "done":
        st.button(t("labpage.run.go_on"), key=f"tune_go_on_{view.id}", icon=":material/play_arrow:",
                  on_click=actions.attempt, args=(tuner.start, view.id))  # fmt: skip
    else:
        _verdict(view)


def _setting(view: TuningView) -> str:
    values = ", ".join(
        f"{axis_title(name, words.language())} {value}" for name, value in (view.winner or {}).items()
    )
    return f'<p class="lab-winner">{escape(t("labpage.tune.winner", setting=values))}</p>'


def _verdict(view: TuningView) -> None:
    proof = "" if view.proof is None else f" {view.proof.sentence(words.language())}"
    key = "labpage.tune.better" if view.better else "labpage.tune.not_better"
    widgets.html(f'<p class="lab-winner">{escape(t(key) + proof)}</p>')
    if view.saved_as is not None:
        widgets.note(t("labpage.tune.saved", name=view.saved_as))
    elif view.better:
        with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
            name = st.text_input(
                t("labpage.tune.preset"), view.tuning.name, key=f"tune_name_{view.id}", max_chars=60
            )
            if st.button(t("labpage.tune.save"), key=f"tune_save_{view.id}", type="primary",
                         disabled=not name.strip()):  # fmt: skip
                actions.attempt(state.services().tuner.save_preset, view.id, name.strip(), words.language())
                st.rerun()


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _delete(view: TuningView) -> None:
    """Delete a tuning with its studies and offer to take it back."""
    services = state.services()
    try:
        tokens = services.tuner.delete(view.id)
    except TwoKeysError as error:
        notices.tell_error(error)
        return

    def bring_back() -> None:
        for token in reversed(tokens):
            services.conversations.undo(token)

    notices.offer_undo(t("ui.deleted", title=view.tuning.name), bring_back)


def _start_new(tuning: Tuning) -> None:
    tuner = state.services().tuner
    try:
        tuner.start(tuner.create(tuning).id)
    except TwoKeysError as error:
        notices.tell_error(error)
