"""Asks an engine for every distribution that the right answer to one question passes through.

The prompt is read once; each further node costs the reading of its last token. The likeliest open beginnings
are followed first, until what is left open matters to no chance any more or there are enough
nodes. Knows nothing of studies; the mathematics is in spectrum.py and answer_tree.py.
"""

import asyncio
import heapq
import itertools
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from twokeys.core.study.answer_tree import AnswerTree, Branch, TreeNode
from twokeys.core.study.exact_answer import LEAD, AnswerReading
from twokeys.core.study.spectrum import Array, Cuts, Spectrum, steps_of
from twokeys.types import NextTokens

TEMPERATURES = np.round(np.arange(0.0, 1.001, 0.1), 2)
"""Temperatures at which a beginning has to matter to be followed; beyond them much is left open."""
DOUBT = 0.01
"""A tree is good enough when its chances are known to so much, at each of TEMPERATURES."""
MOST_NODES = 12
TOO_RARE = 1e-4
RIGHT, OPEN = 1, 2

Ints = npt.NDArray[np.int64]
Ask = Callable[[Sequence[int]], Awaitable[NextTokens]]
"""Returns what may follow an answer that began with these tokens."""


class TokenTable:
    """A model's tokens by what they spell, to be read against an answer quickly."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self.pieces = pieces
        groups: dict[bytes, list[int]] = defaultdict(list)
        for token_id, piece in enumerate(pieces):
            blank = len(piece) - len(piece.lstrip(LEAD))
            groups[piece[: blank + 1]].append(token_id)
        self._groups = {key: np.array(ids, dtype=np.int64) for key, ids in groups.items()}

    def outcomes(self, reading: AnswerReading, text: bytes) -> npt.NDArray[np.int8]:
        """Return for each token by its id what the answer is after it: 0 wrong, RIGHT or OPEN.

        A token that spells nothing ends the answer: it is a control token.
        """
        codes = {"wrong": 0, "right": RIGHT, "open": OPEN}
        out = np.zeros(len(self.pieces), dtype=np.int8)
        for key, ids in self._groups.items():
            # what is right or wrong after a piece's beginning is so after the piece
            after = codes[reading.read(text + key, ended=not key)]
            out[ids] = after
            if after == OPEN:
                out[ids] = [codes[reading.read(text + self.pieces[token_id])] for token_id in ids]
        return out


@dataclass(slots=True)
class _Growing:
    """A node under construction. reach: the chance of coming here, as cuts × temperatures."""

    token_ids: tuple[int, ...]
    text: bytes
    reach: Array
    spectrum: Spectrum
    right: dict[int, float]
    open: dict[int, float]
    branches: list[Branch] = field(default_factory=list)


@dataclass(order=True, slots=True)
class _Beginning:
    """A beginning that is open and not followed yet; the likeliest come first."""

    rank: float
    number: int
    parent: int = field(compare=False)
    token_id: int = field(compare=False)
    logprob: float = field(compare=False)
    step: int = field(compare=False)
    reach: Array = field(compare=False)


class TreeGrowth:
    """Grows the tree of one question. cuts: those under which a beginning has to matter."""

    def __init__(self, reading: AnswerReading, cuts: Sequence[Cuts], vocabulary: TokenTable) -> None:
        self._reading = reading
        self._cuts = tuple(cuts) or (Cuts(),)
        self._vocabulary = vocabulary
        self._nodes: list[_Growing] = []
        self._heap: list[_Beginning] = []
        self._numbers = itertools.count()
        self._doubt = np.zeros((len(self._cuts), len(TEMPERATURES)))

    def grow(self, next_tokens: NextTokens, beginning: _Beginning | None) -> None:
        """Add the node of a beginning (the first: None) from what may come next there."""
        parent = None if beginning is None else self._nodes[beginning.parent]
        token_ids: tuple[int, ...] = ()
        text, reach = b"", np.ones_like(self._doubt)
        if beginning is not None and parent is not None:
            token_ids = (*parent.token_ids, beginning.token_id)
            text = parent.text + self._vocabulary.pieces[beginning.token_id]
            reach = beginning.reach
            self._doubt -= reach
            parent.open[beginning.step] -= 1
            parent.branches.append(Branch(beginning.logprob, beginning.step, len(self._nodes)))
        logprobs = np.asarray(next_tokens.logprobs, dtype=float)
        ids = np.asarray(next_tokens.token_ids, dtype=np.int64)
        steps = steps_of(logprobs)
        outcomes = self._vocabulary.outcomes(self._reading, text)[ids]
        node = _Growing(
            token_ids,
            text,
            reach,
            Spectrum.of(logprobs),
            _counted(steps[outcomes == RIGHT]),
            _counted(steps[outcomes == OPEN]),
        )
        self._nodes.append(node)
        self._push(node, ids, logprobs, steps, np.flatnonzero(outcomes == OPEN))

    def _push(self, node: _Growing, ids: Ints, logprobs: Array, steps: Ints, places: Ints) -> None:
        """Note a node's open beginnings with the chance of coming there."""
        hot = np.where(TEMPERATURES > 0, TEMPERATURES, 1.0)
        weights = np.stack([node.spectrum.weights(cuts, TEMPERATURES) for cuts in self._cuts])
        parent = len(self._nodes) - 1
        for step in np.unique(steps[places]):
            members = places[steps[places] == step]
            at_step = node.reach * weights[:, :, step]
            self._doubt += at_step * len(members)
            if float(at_step.max()) < TOO_RARE:
                continue
            for place in members:
                own = np.exp((logprobs[place] - node.spectrum.logprobs[step]) / hot)
                reach = at_step * own
                self._doubt += reach - at_step
                entry = _Beginning(
                    -float(reach.max()),
                    next(self._numbers),
                    parent,
                    int(ids[place]),
                    float(logprobs[place]),
                    int(step),
                    reach,
                )
                heapq.heappush(self._heap, entry)

    def next(self) -> _Beginning | None:
        """Return the beginning to follow next; None when the tree is good enough."""
        enough = float(self._doubt.max()) < DOUBT or len(self._nodes) >= MOST_NODES
        return None if enough or not self._heap else heapq.heappop(self._heap)

    def tokens_of(self, beginning: _Beginning) -> tuple[int, ...]:
        return (*self._nodes[beginning.parent].token_ids, beginning.token_id)

    def tree(self) -> AnswerTree:
        """Return what has grown."""
        return AnswerTree(
            tuple(
                TreeNode(
                    node.spectrum,
                    node.right,
                    {step: count for step, count in node.open.items() if count > 0},
                    tuple(node.branches),
                )
                for node in self._nodes
            )
        )


class Scorer:
    """Scores questions one after the other, of one engine: its vocabulary is looked through once."""

    def __init__(self, cuts: Sequence[Cuts]) -> None:
        self._cuts = cuts
        self._vocabulary: TokenTable | None = None

    async def score(self, reading: AnswerReading, ask: Ask) -> AnswerTree:
        """Return the tree of one question. Raises what `ask` raises."""
        beginning: _Beginning | None = None
        growth: TreeGrowth | None = None
        while True:
            token_ids = () if growth is None or beginning is None else growth.tokens_of(beginning)
            next_tokens = await ask(token_ids)
            if growth is None:
                vocabulary = await self._vocabulary_of(next_tokens)
                growth = TreeGrowth(reading, self._cuts, vocabulary)
            await asyncio.to_thread(growth.grow, next_tokens, beginning)
            beginning = growth.next()
            if beginning is None:
                return growth.tree()

    async def _vocabulary_of(self, next_tokens: NextTokens) -> TokenTable:
        if self._vocabulary is None or self._vocabulary.pieces is not next_tokens.pieces:
            self._vocabulary = await asyncio.to_thread(TokenTable, next_tokens.pieces)
        return self._vocabulary


def _counted(steps: Ints) -> dict[int, float]:
    unique, counts = np.unique(steps, return_counts=True)
    return {int(step): float(count) for step, count in zip(unique, counts, strict=True)}
