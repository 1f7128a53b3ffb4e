"""All ways in which a model can give the right answer to one question, with their probabilities.

A node is what the answer begins with; its spectrum is the distribution of the next token there. Each token
makes the answer right, wrong, or leads to a node of its own; where it is left open it counts as a doubt.
From the tree the chance of being right follows for every temperature and every cut of the likeliest tokens.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from twokeys.core.study.spectrum import Array, Cuts, Spectrum


@dataclass(frozen=True, slots=True)
class Branch:
    """A token that leads to another node. step: where it stands in the spectrum."""

    logprob: float
    step: int
    node: int


@dataclass(frozen=True, slots=True)
class TreeNode:
    """right, open: how many tokens of each step of the spectrum end the answer right, or were left open."""

    spectrum: Spectrum
    right: Mapping[int, float]
    open: Mapping[int, float]
    branches: tuple[Branch, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return {
            **self.spectrum.to_dict(),
            "right": {str(step): count for step, count in self.right.items()},
            "open": {str(step): count for step, count in self.open.items()},
            "to": [[round(b.logprob, 4), b.step, b.node] for b in self.branches],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        return cls(
            Spectrum.from_dict(values),
            {int(step): float(count) for step, count in values["right"].items()},
            {int(step): float(count) for step, count in values["open"].items()},
            tuple(Branch(float(at[0]), int(at[1]), int(at[2])) for at in values["to"]),
        )


@dataclass(frozen=True, slots=True)
class ExactChance:
    """The chance of being right by temperature, and how much larger it may be for what was not followed."""

    right: Array
    doubt: Array

    @property
    def likely(self) -> Array:
        """The chance with what was left open taken to be right as often as what was followed."""
        followed = np.maximum(1.0 - self.doubt, 1e-12)
        return np.where(self.doubt < 1.0, np.minimum(self.right / followed, 1.0), 0.5)


@dataclass(frozen=True, slots=True)
class AnswerTree:
    """nodes: the first is the answer's beginning; a branch leads to a later node always."""

    nodes: tuple[TreeNode, ...]

    def chance(self, cuts: Cuts, temperatures: Array) -> ExactChance:
        """Return the chance of being right under these cuts at each temperature."""
        right: list[Array] = [np.zeros(len(temperatures))] * len(self.nodes)
        doubt: list[Array] = [np.zeros(len(temperatures))] * len(self.nodes)
        hot = np.where(temperatures > 0, temperatures, 1.0)
        for place in reversed(range(len(self.nodes))):
            node = self.nodes[place]
            weights = node.spectrum.weights(cuts, temperatures)
            right[place] = _mass(weights, node.right)
            doubt[place] = _mass(weights, node.open)
            for branch in node.branches:
                # a step's tokens are about as likely: this one's own probability in its place
                own = np.exp((branch.logprob - node.spectrum.logprobs[branch.step]) / hot)
                weight = weights[:, branch.step] * np.where(temperatures > 0, own, 1.0)
                right[place] = right[place] + weight * right[branch.node]
                doubt[place] = doubt[place] + weight * doubt[branch.node]
        return ExactChance(np.clip(right[0], 0.0, 1.0), np.clip(doubt[0], 0.0, 1.0))

    def to_dict(self) -> dict[str, Any]:
        return {"nodes": [node.to_dict() for node in self.nodes]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        return cls(tuple(TreeNode.from_dict(node) for node in values["nodes"]))


def _mass(weights: Array, tokens: Mapping[int, float]) -> Array:
    if not tokens:
        return np.zeros(len(weights))
    steps = list(tokens)
    return np.asarray(weights[:, steps] @ np.array([tokens[step] for step in steps]))
