"""What a comparison asks of the composition: an engine with a slot for each column, where it fits.

Only protocols and values: engines and memory plans are known elsewhere.
"""

from dataclasses import dataclass
from typing import Protocol

from twokeys.core.compare.comparison import Sharing
from twokeys.engine import SlotEngine


@dataclass(frozen=True, slots=True)
class Prospect:
    """How columns would share the question now, and the memory that the parallel way takes."""

    sharing: Sharing
    needed_bytes: int | None = None
    available_bytes: int | None = None


class ColumnEngines(Protocol):
    """Where comparisons are written."""

    def prospect(self, slots: int, context: int) -> Prospect:
        """Return what `parallel` would come to, starting nothing."""
        ...

    async def parallel(self, slots: int, context: int) -> SlotEngine | None:
        """Return an engine with at least so many slots of so much context each, not yet started.

        None when memory does not allow it, or when the server is not ours.
        """
        ...

    def standing(self, slots: int, context: int) -> SlotEngine | None:
        """Return such an engine when one runs already."""
        ...
