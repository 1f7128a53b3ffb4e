"""Texts drawn from a grammar: what a model could write, without a model."""

import random

from twokeys.grammar.nodes import AnyOf, CharSet, Grammar, Node, Repeated, RuleName, Series, Word

SHORT = 12
"""Nodes within nodes after which the shortest way out is taken."""
CHARS = 'a0 éß中文😀-_.\t"\\Z9'


class Sampler:
    """Draws texts of one grammar; the same seed draws the same texts."""

    def __init__(self, grammar: Grammar, seed: int = 0) -> None:
        self._grammar = grammar
        self._random = random.Random(seed)
        self._depths: dict[str, float] = dict.fromkeys(grammar.rules, float("inf"))
        for _ in grammar.rules:
            self._depths = {name: 1 + self._depth(node) for name, node in grammar.rules.items()}

    def text(self) -> str:
        return self._draw(self._grammar.root, 0)

    def _depth(self, node: Node) -> float:
        """Return how many rules within rules the shortest text of a node needs."""
        match node:
            case Series(items):
                return max((self._depth(item) for item in items), default=0)
            case AnyOf(options):
                return min(self._depth(option) for option in options)
            case Repeated(item, least, _):
                return self._depth(item) if least else 0
            case RuleName(name):
                return self._depths[name]
        return 0

    def _draw(self, node: Node, depth: int) -> str:
        match node:
            case Word(text):
                return text
            case CharSet(ranges, negated):
                return self._char(node, ranges, negated)
            case Series(items):
                return "".join(self._draw(item, depth) for item in items)
            case AnyOf(options):
                if depth > SHORT:
                    return self._draw(min(options, key=self._depth), depth)
                return self._draw(self._random.choice(options), depth)
            case Repeated(item, least, most):
                longest = least + 3 if most is None else min(most, least + 3)
                times = (
                    least
                    if depth > SHORT
                    else self._random.choice((least, longest, self._random.randint(least, longest)))
                )
                if most is not None and self._random.random() < 0.1 and depth <= SHORT:
                    times = most
                return "".join(self._draw(item, depth) for _ in range(times))
            case RuleName(name):
                return self._draw(self._grammar.rules[name], depth + 1)
        raise AssertionError(node)

    def _char(self, node: CharSet, ranges: tuple[tuple[str, str], ...], negated: bool) -> str:
        if negated:
            return self._random.choice([char for char in CHARS if char in node])
        low, high = self._random.choice(ranges)
        return chr(self._random.randint(ord(low), ord(high)))
