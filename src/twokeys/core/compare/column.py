"""A column of a comparison: one set of parameters. What is to run, not what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from twokeys.errors import BadInput, Reason
from twokeys.types import AnswerSchema, Sampling

DEFAULT_TEMPERATURES = (0.3, 0.7, 1.0)
"""The three of S6."""
MIN_COLUMNS, MAX_COLUMNS = 2, 8


@dataclass(frozen=True, slots=True)
class Column:
    """What one column is to run with: all of its parameters, the preset they came from, a name.

    label "": the temperature names it. sampling.seed None: the comparison decides (see
    `same_seed`); a number is kept as it is. system_prompt: its own, None for the
    comparison's; columns with another one do not share the prefill of the question. answer_schema: the
    form of its answer, None for the comparison's.
    """

    sampling: Sampling = field(default_factory=Sampling)
    label: str = ""
    preset: str | None = None
    system_prompt: str | None = None
    answer_schema: AnswerSchema | None = None

    @property
    def name(self) -> str:
        """The label, or what tells the column apart when nobody named it."""
        return self.label or f"{self.sampling.temperature:g}"


def temperature_columns(
    sampling: Sampling | None = None, temperatures: Sequence[float] = DEFAULT_TEMPERATURES
) -> tuple[Column, ...]:
    """Return one column for each temperature, everything else as in `sampling`.

    Raises BadParameter for a temperature out of range.
    """
    base = sampling or Sampling()
    return tuple(Column(base.with_(temperature=temperature)) for temperature in temperatures)


def check_columns(columns: Sequence[Column]) -> tuple[Column, ...]:
    """Return the columns when there are two to eight of them. Raises BadInput."""
    if not MIN_COLUMNS <= len(columns) <= MAX_COLUMNS:
        raise BadInput(reason=Reason("comparison.error.columns", low=MIN_COLUMNS, high=MAX_COLUMNS))
    return tuple(columns)
