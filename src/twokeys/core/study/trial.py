"""A trial: one answer to be written, its key, and which answers need not be written at all.

The order makes the most of what the engine has read already: setups one after another (each may
mean a restart), within them all trials of a prompt side by side. Pure functions.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from twokeys.core.study.cell import Cell, Setup
from twokeys.core.study.prompt import StudyPrompt
from twokeys.core.study.study import Study
from twokeys.types import Sampling

LENGTH = "max_new_tokens"


@dataclass(frozen=True, slots=True)
class Trial:
    """One answer of a study. cell, prompt: positions in the study; number: which seed."""

    cell: int
    prompt: int
    number: int

    @property
    def key(self) -> str:
        """The key of its row: the same in every run of the same study."""
        return f"a/{self.cell}/{self.prompt}/{self.number}"

    @property
    def text_key(self) -> str:
        return "t" + self.key[1:]


@dataclass(frozen=True, slots=True)
class Batch:
    """Trials whose answers are one and the same text, or beginnings of it: the first is written.

    trials: the longest first.
    """

    trials: tuple[Trial, ...]

    @property
    def written(self) -> Trial:
        return self.trials[0]


@dataclass(frozen=True, slots=True)
class Group:
    """All batches of one prompt under one setup: they share what the engine reads."""

    setup: Setup
    prompt: int
    batches: tuple[Batch, ...]


def plan_groups(study: Study, done: Collection[str] = ()) -> list[Group]:
    """Return what is left to be written, in the best order. done: keys of finished rows."""
    setups = list(dict.fromkeys(cell.setup for cell in study.cells))
    # the usual engine first: it may be running
    setups.sort(key=lambda setup: not setup.usual)
    groups = []
    for setup in setups:
        cells = [number for number, cell in enumerate(study.cells) if cell.setup == setup]
        for prompt in range(len(study.prompts)):
            batches = [batch for batch in _batches(study, cells, prompt) if _open(batch, done)]
            if batches:
                left = tuple(Batch(tuple(t for t in b.trials if t.key not in done)) for b in batches)
                groups.append(Group(setup, prompt, left))
    return groups


def _open(batch: Batch, done: Collection[str]) -> bool:
    return any(trial.key not in done for trial in batch.trials)


def _batches(study: Study, cells: Sequence[int], prompt: int) -> list[Batch]:
    shared: dict[object, list[Trial]] = {}
    for cell in cells:
        for number in range(study.seeds):
            trial = Trial(cell, prompt, number)
            shared.setdefault(_text_identity(study, trial), []).append(trial)
    lengths = [study.cells[cell].sampling_on(study.base).max_new_tokens for cell in range(len(study.cells))]
    return [
        Batch(tuple(sorted(trials, key=lambda trial: -lengths[trial.cell]))) for trials in shared.values()
    ]


def _text_identity(study: Study, trial: Trial) -> object:
    """What decides the text but for its length. Trials that may not be shared are their own."""
    cell = study.cells[trial.cell]
    if study.kind == "exact":
        # one tree of probabilities serves every sampling
        return (cell.form, cell.system_prompt)
    if not study.share or cell.before != "nothing" or cell.segments > 1 or cell.ignore_eos:
        return trial
    sampling = cell.sampling_on(study.base)
    # at temperature 0 the seed decides nothing
    number = -1 if greedy(sampling) else trial.number
    plain = {name: value for name, value in sampling.to_dict().items() if name != LENGTH}
    how = (number, cell.form, cell.system_prompt, cell.grammar)
    return (*how, repr(sorted(plain.items(), key=lambda item: item[0])))


def greedy(sampling: Sampling) -> bool:
    """Return whether the seed decides nothing."""
    return sampling.temperature == 0 and sampling.xtc_probability == 0


def sampling_of(study: Study, trial: Trial) -> Sampling:
    """Return the trial's full sampling with its seed."""
    cell = study.cells[trial.cell]
    seed = study.seed(study.prompts[trial.prompt], trial.number)
    return replace(cell.sampling_on(study.base), seed=seed)


def question_of(prompt: StudyPrompt, cell: Cell) -> str:
    """Return the prompt in the cell's wording."""
    return prompt.text_in(cell.form)
