"""How many threads are fastest on this machine: one text copied with each number, in a minute.

The count of cores is a good guess, but not where another program keeps some busy, or memory is the limit.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from twokeys.core.trials import ENOUGH, measure
from twokeys.engine import OwnedEngine
from twokeys.types import WorkerSpec

LIMIT_S = 60.0
MOST = 4
"""More numbers than these cannot be measured in the time."""


@dataclass(frozen=True, slots=True)
class ThreadTrial:
    """Tokens per second by the number of threads, and the number that was in use."""

    tok_per_s: Mapping[int, float]
    used: int

    @property
    def best(self) -> int:
        """The number to keep: the one in use unless another is faster by more than noise."""
        if self.used not in self.tok_per_s:
            return self.used
        fastest = max(self.tok_per_s, key=lambda number: self.tok_per_s[number])
        gain = self.tok_per_s[fastest] / self.tok_per_s[self.used]
        return fastest if gain >= ENOUGH else self.used


def numbers_to_try(used: int, cores: int, processors: int) -> tuple[int, ...]:
    """Return the numbers worth a trial, the one in use first.

    cores: those that are counted on by default. processors: all that may be computed on, second threads of
    a core and slow cores with them.
    """
    wanted = (used, cores, cores - 1, cores // 2, processors)
    return tuple(dict.fromkeys(number for number in wanted if 1 <= number <= max(used, processors)))[:MOST]


async def try_threads(
    make: Callable[[WorkerSpec], OwnedEngine],
    spec: WorkerSpec,
    numbers: Sequence[int],
    limit_s: float = LIMIT_S,
) -> ThreadTrial:
    """Measure numbers of threads, as many as the time allows; the first is the one in use.

    make: returns an engine that has not started. Raises EngineError, also where fewer than two could be
    measured.
    """
    specs = [replace(spec, threads=number) for number in numbers]
    measured = await measure(make, specs, limit_s, "memory.threads.slow")
    return ThreadTrial({numbers[place]: speed.tok_per_s for place, speed in measured.items()}, numbers[0])
