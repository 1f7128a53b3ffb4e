"""Reads llama.cpp's grammar language as far as our grammars use it, and says which texts they let through."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass

_TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|\[(?:[^\]\\]|\\.)*\]|\{\d+,\d*\}|[\w-]+|[()|?*+])')
_TIMES = {"?": (0, 1), "*": (0, 10_000), "+": (1, 10_000)}
Matcher = Callable[[str, int], frozenset[int]]
"""From a text and a place in it to every place where a match may end."""


@dataclass(slots=True)
class _Reader:
    """The tokens of one rule's body, read from the left."""

    tokens: list[str]
    rules: dict[str, Matcher]

    def alternatives(self) -> Matcher:
        choices = [self._sequence()]
        while self.tokens and self.tokens[0] == "|":
            self.tokens.pop(0)
            choices.append(self._sequence())
        return lambda text, at: frozenset().union(*(choice(text, at) for choice in choices))

    def _sequence(self) -> Matcher:
        parts: list[Matcher] = []
        while self.tokens and self.tokens[0] not in "|)":
            part = self._part(self.tokens.pop(0))
            while self.tokens and (self.tokens[0] in _TIMES or self.tokens[0].startswith("{")):
                part = _repeated(part, *_times(self.tokens.pop(0)))
            parts.append(part)

        def match(text: str, at: int) -> frozenset[int]:
            places = frozenset({at})
            for part in parts:
                places = frozenset().union(*(part(text, place) for place in places))
            return places

        return match

    def _part(self, token: str) -> Matcher:
        if token == "(":
            inner = self.alternatives()
            assert self.tokens.pop(0) == ")"
            return inner
        if token.startswith('"'):
            literal = json.loads(token)
            return lambda text, at: frozenset({at + len(literal)} if text.startswith(literal, at) else ())
        if token.startswith("["):
            sign = re.compile(token, re.DOTALL)
            return lambda text, at: frozenset({at + 1} if sign.match(text, at) else ())
        return lambda text, at: self.rules[token](text, at)


def _times(token: str) -> tuple[int, int]:
    if token in _TIMES:
        return _TIMES[token]
    least, most = token.strip("{}").split(",")
    return int(least), int(most or 10_000)


def _repeated(part: Matcher, least: int, most: int) -> Matcher:
    def match(text: str, at: int) -> frozenset[int]:
        ends, places = set[int](), frozenset({at})
        for count in range(most + 1):
            if count >= least:
                if places <= ends:
                    break
                ends |= places
            places = frozenset().union(*(part(text, place) for place in places))
            if not places:
                break
        return frozenset(ends)

    return match


def allows(grammar: str) -> Callable[[str], bool]:
    """Return whether the grammar lets a whole text through; KeyError for a rule that is missing."""
    rules: dict[str, Matcher] = {}
    for line in grammar.splitlines():
        if "::=" in line:
            name, _, body = line.partition("::=")
            rules[name.strip()] = _Reader(_TOKEN.findall(body), rules).alternatives()
    return lambda text: len(text) in rules["root"](text, 0)
