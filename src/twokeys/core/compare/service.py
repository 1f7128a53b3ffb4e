"""Comparisons: everything a screen or a command asks of them. `services.compare` is one of these.

All methods are synchronous and may be called from any thread. The columns are written by jobs of the
topic `comparison.conversation_id`, so the live WebSocket draws them as it draws a chat; each job's
`message_id` is its column's answer. A {"type": "changed"} on that topic says: read again.
"""

from collections.abc import Sequence
from typing import Literal

from twokeys.core.compare.column import DEFAULT_TEMPERATURES, Column
from twokeys.core.compare.comparison import ComparePlan, Comparison, ComparisonRow, Kept
from twokeys.core.compare.difference import Difference, Unit
from twokeys.core.compare.figures import Figures
from twokeys.core.compare.votes import Standing
from twokeys.types import Preset, Settings, TokenProb

N_PROBS = 5
"""Candidates kept for every token of a column."""


class CompareService:
    """See the module."""

    # ---- starting -------------------------------------------------------------------------------

    def default_columns(
        self, settings: Settings | None = None, temperatures: Sequence[float] = DEFAULT_TEMPERATURES
    ) -> tuple[Column, ...]:
        """Return columns at these temperatures, all else as in the settings (0.3, 0.7, 1.0: S6)."""
        raise NotImplementedError

    def preset_column(self, preset: str, settings: Settings | None = None) -> Column:
        """Return a column with a preset applied to the settings. Raises NotFound."""
        raise NotImplementedError

    def plan(
        self,
        text: str,
        columns: Sequence[Column],
        *,
        conversation_id: str | None = None,
        message_id: str | None = None,
        settings: Settings | None = None,
    ) -> ComparePlan:
        """Return what `start` (or, with message_id, `start_from`) would need. Nothing is started."""
        raise NotImplementedError

    def start(
        self,
        text: str,
        columns: Sequence[Column],
        *,
        conversation_id: str | None = None,
        settings: Settings | None = None,
        same_seed: bool = True,
        seed: int | None = None,
        task_type: str | None = None,
        blind: bool = False,
        n_probs: int = N_PROBS,
    ) -> Comparison:
        """Ask one question in two to eight columns at once; return at once, the columns stream.

        conversation_id: read that conversation's shown turns before the question. settings: role
        (system_prompt) and guard; the conversation's own by default. same_seed: all columns whose
        sampling has no seed get one and the same, `seed` or a drawn one; otherwise each its own.
        task_type: what kind of task it is, for the votes. blind: begin with a blind vote (see
        `hide`). Raises EmptyMessage, MessageTooLarge, BadInput, ContextExceeded, NotFound,
        ModelMissing; nothing is stored when it raises.
        """
        raise NotImplementedError

    def start_from(
        self,
        message_id: str,
        columns: Sequence[Column],
        *,
        same_seed: bool = True,
        seed: int | None = None,
        task_type: str | None = None,
        blind: bool = False,
        n_probs: int = N_PROBS,
    ) -> Comparison:
        """Compare from here: ask a question of a conversation again, its turns so far included.

        message_id: a question, or an answer, whose question is taken then. Raises like `start`.
        """
        raise NotImplementedError

    def again(self, comparison_id: str, columns: Sequence[Column] | None = None) -> Comparison:
        """Start a new comparison of the same question, by default with the same columns."""
        raise NotImplementedError

    # ---- reading --------------------------------------------------------------------------------

    def get(self, comparison_id: str) -> Comparison:
        """Return a comparison with its live text. Raises NotFound."""
        raise NotImplementedError

    def list(self, limit: int = 50, offset: int = 0) -> Sequence[ComparisonRow]:
        """Return the comparisons, the latest first."""
        raise NotImplementedError

    def probs(self, comparison_id: str, column: int) -> Sequence[TokenProb]:
        """Return the probabilities of a column's shown answer; empty while it is being written."""
        raise NotImplementedError

    def difference(self, comparison_id: str, first: int, second: int, unit: Unit = "word") -> Difference:
        """Return what differs between the shown answers of two columns."""
        raise NotImplementedError

    def figures(self, comparison_id: str) -> Sequence[Figures]:
        """Return the figures of every column, by column number."""
        raise NotImplementedError

    # ---- while it runs, and after ---------------------------------------------------------------

    def stop(self, comparison_id: str, column: int | None = None) -> None:
        """Stop one column, or all; the text so far is kept."""
        raise NotImplementedError

    def continue_(self, comparison_id: str, column: int) -> Comparison:
        """Go on with a cut column, with its own parameters. Raises like ChatService.continue_."""
        raise NotImplementedError

    def rerun(self, comparison_id: str, column: int, *, same_seed: bool = False) -> Comparison:
        """Write a column anew as another version of it; with the seed it used, or with a new one."""
        raise NotImplementedError

    def fork(self, comparison_id: str, column: int, token_index: int, token_id: int) -> Comparison:
        """Let a column grow on from another token, as a new version; see ChatService.fork."""
        raise NotImplementedError

    def show_version(self, comparison_id: str, column: int, answer_id: str) -> Comparison:
        """Show another version of a column."""
        raise NotImplementedError

    def keep(self, comparison_id: str, column: int) -> Kept:
        """Make a column's answer the answer in the conversation that the comparison came from.

        It becomes a version beside the answer there, or follows the question when that was new.
        Without such a conversation a new one is made of question and answer. Keeping the same
        answer twice returns what was made the first time. Raises BadInput while it is written.
        """
        raise NotImplementedError

    # ---- the blind vote -------------------------------------------------------------------------

    def hide(self, comparison_id: str, task_type: str | None = None) -> Comparison:
        """Begin a blind vote: shuffle the columns and hide their parameters (`comparison.blind`)."""
        raise NotImplementedError

    def vote(
        self,
        comparison_id: str,
        best: Sequence[int],
        among: Sequence[int] | None = None,
        *,
        task_type: str | None = None,
    ) -> Comparison:
        """Store a judgement: `best` of the columns `among` (all by default).

        best: one column number, or several for a tie. among: the columns compared, two for a pair.
        A vote after the reveal is stored as not blind and counts in no estimate. A second vote
        on the same columns replaces the first. Raises BadInput while a column is being written.
        """
        raise NotImplementedError

    def reveal(self, comparison_id: str) -> Comparison:
        """Show the parameters: ends the blind vote."""
        raise NotImplementedError

    def task_types(self) -> Sequence[str]:
        """Return the task types that have votes, the most voted first."""
        raise NotImplementedError

    def standing(self, task_type: str | None = None, model: str | None = None) -> Standing:
        """Return what the blind votes say; of one task type or of all, of one model or of all."""
        raise NotImplementedError

    def save_winner(self, contestant: str, name: str) -> Preset:
        """Save a contestant of a standing (its key) as a preset. Raises NotFound, BadInput."""
        raise NotImplementedError

    # ---- export, delete -------------------------------------------------------------------------

    def export_json(self, comparison_id: str, *, with_probs: bool = False) -> str:
        """Return everything of a comparison as JSON."""
        raise NotImplementedError

    def export_markdown(self, comparison_id: str, language: Literal["zh", "en"]) -> str:
        """Return a table of parameters and figures, then the answers, to be read by people."""
        raise NotImplementedError

    def delete(self, comparison_id: str) -> str:
        """Stop it, move it to the bin, and return the token that `undo` takes."""
        raise NotImplementedError

    def undo(self, token: str) -> None:
        """Take a deletion back. Raises NotFound when it was taken back already or purged."""
        raise NotImplementedError
