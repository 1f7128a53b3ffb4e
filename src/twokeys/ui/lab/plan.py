"""What starting a study would mean, told before the start: answers, time, and what it can see."""

from typing import Any

from twokeys.core.study.estimate import Power, StudyPlan
from twokeys.core.study.result import shown_difference
from twokeys.ui import widgets, words
from twokeys.ui.format import count_text, escape
from twokeys.ui.words import t
from twokeys.units import duration_text


def time_text(seconds: float | None) -> str:
    """Return an estimate of time, or that none is known."""
    if seconds is None:
        return t("labpage.plan.time_unknown")
    return t("labpage.plan.about", time=duration_text(seconds, words.language()))


def draw(plan: StudyPlan) -> None:
    """Draw the estimate and the smallest differences it will find."""
    rows = [
        (t("labpage.plan.answers"), count_text(plan.generations)),
        (t("labpage.plan.written"), count_text(plan.generations - plan.shared)),
        (t("labpage.plan.tokens"), count_text(plan.tokens)),
        (t("labpage.plan.time"), time_text(plan.seconds)),
    ]
    widgets.html(f'<div class="lab-plan">{widgets.facts(rows, pairs=2)}</div>')
    if plan.power:
        lines = "".join(f"<li>{escape(_sees(one))}</li>" for one in plan.power)
        widgets.html(
            f'<div class="tk-note lab-sees">{escape(t("labpage.plan.sees_title"))}<ul>{lines}</ul></div>'
        )


def _sees(one: Power) -> str:
    measure = t(f"lab.measure.{one.measure}.title")
    if one.smallest is None:
        few = t("labpage.plan.sees_nothing", measure=measure)
        return few if one.needed is None else f"{few} {t('labpage.plan.needs', **power_values(one))}"
    smallest = f"{one.smallest:.0%}"
    if not one.relative:
        smallest = shown_difference(one.measure, one.smallest, words.language())
    seen = t("labpage.plan.sees", measure=measure, smallest=smallest)
    return seen if one.needed is None else f"{seen} {t('labpage.plan.needs', **power_values(one))}"


def power_values(one: Power) -> dict[str, Any]:
    """Return what a sentence on the answers that are needed fills in."""
    margin = one.margin or 0.0
    shown = f"{margin:.0%}" if one.relative else shown_difference(one.measure, margin, words.language())
    return {"margin": shown, "needed": one.needed, "answers": one.answers}
