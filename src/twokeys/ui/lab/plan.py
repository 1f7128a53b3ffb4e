"""What starting a study would mean, told before the start: answers, time, and what it can see."""

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
        lines = "".join(f"<li>{escape(_sees(power))}</li>" for power in plan.power)
        widgets.html(
            f'<div class="tk-note lab-sees">{escape(t("labpage.plan.sees_title"))}<ul>{lines}</ul></div>'
        )


def _sees(power: Power) -> str:
    measure = t(f"lab.measure.{power.measure}.title")
    if power.smallest is None:
        few = t("labpage.plan.sees_nothing", measure=measure)
        return few if power.needed is None else f"{few} {t('labpage.plan.needs', **power_values(power))}"
    seen = t("labpage.plan.sees", measure=measure, smallest=smallest_text(power))
    return seen if power.needed is None else f"{seen} {t('labpage.plan.needs', **power_values(power))}"


def smallest_text(power: Power) -> str:
    """Return the smallest difference that is found; "–" with too few answers."""
    if power.smallest is None:
        return "–"
    if power.relative:
        return f"{power.smallest:.0%}"
    return shown_difference(power.measure, power.smallest, words.language())


def power_values(power: Power) -> dict[str, object]:
    """Return what a sentence on the answers that are needed fills in."""
    margin = power.margin or 0.0
    shown = f"{margin:.0%}" if power.relative else shown_difference(power.measure, margin, words.language())
    return {"margin": shown, "needed": power.needed, "answers": power.answers}
