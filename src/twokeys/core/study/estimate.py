"""What a study will cost and what it will be able to see, before it is started. Pure arithmetic."""

from collections.abc import Mapping
from dataclasses import dataclass

from twokeys.core.study.measure import FEW_PROMPTS, MEASURES, MIN_UNITS
from twokeys.core.study.prompt import StudyPrompt
from twokeys.core.study.study import Study
from twokeys.core.study.trial import Trial, plan_groups, sampling_of
from twokeys.types import EngineSpeed

USUAL_TOKENS: Mapping[str, int] = {
    "fact": 60, "math": 120, "choice": 60, "extract": 60, "code": 300, "explain": 350, "creative": 300,
    "copy": 200, "summary": 150, "long": 900, "format": 100, "fields": 60,
}  # fmt: skip
"""About how long small instruct models answer, where the length lets them; by task."""

OVERHEAD_S = 0.08
START_S = 4.0
"""About how long a start of the engine with a small model takes; a 7B that is not cached takes longer."""
CHARS_PER_TOKEN = 3.5
HAN_CHARS_PER_TOKEN = 1.5


@dataclass(frozen=True, slots=True)
class Power:
    """What a study can see of one measure.

    smallest: the smallest difference that is found with 80 % probability with the prompts and seeds
    there are, in the measure's unit, or as a share of the baseline when `relative`; None with too few.
    needed: answers per cell that would find a difference of `margin`; None without a margin. answers:
    per cell, as planned.
    """

    measure: str
    smallest: float | None
    relative: bool
    margin: float | None
    needed: int | None
    answers: int


@dataclass(frozen=True, slots=True)
class StudyPlan:
    """What starting would mean.

    generations: answers in all. shared: of these, taken from others without generating. tokens:
    expected to be written. seconds: None when the model has never answered here.
    """

    generations: int
    shared: int
    tokens: int
    seconds: float | None
    power: tuple[Power, ...]


def plan_study(
    study: Study, speed: EngineSpeed | None, of_models: Mapping[str, EngineSpeed | None] | None = None
) -> StudyPlan:
    """Return what starting would mean, from the usual speeds on this machine.

    speed: of the chat's model; of_models: of the models that cells name. Parallel slots are not
    counted on: with them it takes less.
    """
    groups = plan_groups(study)
    written = [batch for group in groups for batch in group.batches]
    tokens = 0
    seconds: float | None = START_S * engine_starts(study)
    for group in groups:
        own = sum(expected_tokens(study, batch.written) for batch in group.batches)
        forms = len({study.cells[batch.written.cell].form for batch in group.batches})
        prefill = _prompt_tokens(study.prompts[group.prompt]) * forms + len(group.batches)
        tokens += own
        model = group.setup.model
        known = speed if model is None else (of_models or {}).get(model)
        if known is None or known.tok_per_s <= 0 or seconds is None:
            seconds = None
            continue
        prefill_s = prefill / known.prompt_tok_per_s if known.prompt_tok_per_s else 0.0
        seconds += own / known.tok_per_s + prefill_s + OVERHEAD_S * len(group.batches)
    return StudyPlan(
        generations=study.generations,
        shared=study.generations - len(written),
        tokens=tokens,
        seconds=seconds,
        power=tuple(_power(study, name) for name in study.outcomes if len(study.cells) > 1),
    )


def engine_starts(study: Study) -> int:
    """Return how often an engine is started for the study: once for each setup of its own or number of
    slots, and before every answer that wants a fresh one."""
    setups = {cell.setup for cell in study.cells}
    own = sum(1 for setup in setups if not setup.usual or study.slots is not None)
    fresh = [
        batch
        for group in plan_groups(study)
        for batch in group.batches
        if study.cells[batch.written.cell].before == "fresh"
    ]
    return own + len(fresh)


def expected_tokens(study: Study, trial: Trial) -> int:
    """Return about how many tokens a trial will write."""
    cell = study.cells[trial.cell]
    limit = sampling_of(study, trial).max_new_tokens
    extra = 3 * 96 if cell.before == "hot" else 0
    if cell.ignore_eos or cell.segments > 1:
        return limit + extra
    prompt = study.prompts[trial.prompt]
    usual = USUAL_TOKENS[prompt.task]
    if prompt.length:
        usual = round(prompt.length * (1.4 if prompt.unit == "words" else 0.8))
    return min(limit, usual) + extra


def _prompt_tokens(prompt: StudyPrompt) -> int:
    per_token = HAN_CHARS_PER_TOKEN if prompt.language == "zh" else CHARS_PER_TOKEN
    return round(len(prompt.text) / per_token) + 25


def _power(study: Study, name: str) -> Power:
    """The unit is the prompt; its spread holds for the mean over a few seeds."""
    from twokeys.core import stats

    measure = MEASURES[name]
    margin = study.margin(name)
    needed = None
    if margin:
        needed = stats.units_needed(margin, measure.spread) * (1 if measure.of_set else study.seeds)
    prompts = len(study.prompts)
    if measure.name == "correct":
        prompts = sum(1 for prompt in study.prompts if prompt.checker)
    if measure.name == "length_score":
        prompts = sum(1 for prompt in study.prompts if prompt.length)
    single = len(study.prompts) < FEW_PROMPTS and not measure.of_set
    units = prompts * study.seeds if single else prompts
    return Power(
        measure=name,
        smallest=stats.smallest_effect(units, measure.spread) if units >= MIN_UNITS else None,
        relative=measure.relative and name not in study.margins,
        margin=margin,
        needed=needed,
        answers=prompts * study.seeds,
    )
