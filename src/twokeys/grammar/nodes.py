"""Grammars as values: written in llama.cpp's language (GBNF), followed along a text, cut to what is left.

llama.cpp's grammar begins at the first token it writes. To go on with a text that is there, the grammar of
its rest is needed: `Grammar.after` follows the text through the rules and writes down what may still come.
Knows nothing of JSON. A grammar whose rules are left-recursive cannot be followed; see `left_recursive`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, eq=False)
class Word:
    """A text, character by character."""

    text: str


@dataclass(frozen=True, slots=True, eq=False)
class CharSet:
    """One character of the ranges, ends included; negated: one that is in none of them."""

    ranges: tuple[tuple[str, str], ...]
    negated: bool = False

    def __contains__(self, char: str) -> bool:
        return any(low <= char <= high for low, high in self.ranges) is not self.negated


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Nodes one after another."""

    items: tuple["Node", ...]


@dataclass(frozen=True, slots=True, eq=False)
class AnyOf:
    """One of several nodes."""

    options: tuple["Node", ...]


@dataclass(frozen=True, slots=True, eq=False)
class Repeated:
    """A node again and again: at least `least` times, at most `most`; None for any number."""

    item: "Node"
    least: int = 0
    most: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class RuleName:
    """What the rule of this name says."""

    name: str


Node = Word | CharSet | Series | AnyOf | Repeated | RuleName
Stack = tuple[Any, ...]
"""What is still to come: (node, how far in it, the stack below), or () at the end. The nodes are those of the
rules themselves, compared by identity, so that equal stacks are found by hash."""


def series(*items: Node) -> Node:
    """Return nodes one after another, itself where there is one."""
    return items[0] if len(items) == 1 else Series(items)


def any_of(options: Iterable[Node]) -> Node:
    """Return one of several nodes, itself where there is one."""
    nodes = tuple(options)
    return nodes[0] if len(nodes) == 1 else AnyOf(nodes)


def optional(item: Node) -> Node:
    return Repeated(item, 0, 1)


@dataclass(frozen=True, slots=True)
class Grammar:
    """Rules by their names; `root` is what a whole text is."""

    rules: Mapping[str, Node]
    root: Node

    def gbnf(self) -> str:
        """Return the grammar as llama.cpp reads it."""
        lines = [f"root ::= {_gbnf(self.root)}"]
        lines += [f"{name} ::= {_gbnf(node)}" for name, node in self.rules.items()]
        return "\n".join(lines) + "\n"

    def after(self, text: str) -> "Grammar | None":
        """Return the grammar of what may follow `text`; None where no text of this grammar begins so."""
        stacks = self._follow(text)
        if not stacks:
            return None
        return Grammar(self.rules, AnyOf(tuple(_rest(stack) for stack in stacks)))

    def accepts(self, text: str) -> bool:
        """Return whether `text` is a whole text of this grammar."""
        return () in self._follow(text)

    def left_recursive(self) -> bool:
        """Return whether a rule can begin with itself, so that nothing could follow it."""
        nullable = self._nullable_rules()
        first = {name: set(_first_rules(node, nullable)) for name, node in self.rules.items()}
        for name in first:
            waiting, seen = list(first[name]), set(first[name])
            while waiting:
                for following in first.get(waiting.pop(), ()):
                    if following not in seen:
                        seen.add(following)
                        waiting.append(following)
            if name in seen:
                return True
        return False

    def _nullable_rules(self) -> set[str]:
        nullable: set[str] = set()
        while True:
            more = {name for name, node in self.rules.items() if _nullable(node, nullable)}
            if more == nullable:
                return nullable
            nullable = more

    def _follow(self, text: str) -> set[Stack]:
        """Return the stacks after `text`, each with a word or a character on top, or empty."""
        stacks = self._expanded({(self.root, 0, ())})
        for char in text:
            if not stacks:
                break
            stacks = self._expanded(_stepped(stacks, char))
        return stacks

    def _expanded(self, stacks: set[Stack]) -> set[Stack]:
        waiting, seen, ready = list(stacks), set(stacks), set()
        while waiting:
            stack = waiting.pop()
            followers = self._followers(stack)
            if followers is None:
                ready.add(stack)
                continue
            for follower in followers:
                if follower not in seen:
                    seen.add(follower)
                    waiting.append(follower)
        return ready

    def _followers(self, stack: Stack) -> list[Stack] | None:
        """Return what a stack can be without reading a character; None where one has to be read."""
        if not stack:
            return None
        node, at, below = stack
        match node:
            case Word(text):
                return [below] if at == len(text) else None
            case Series(items):
                if at == len(items):
                    return [below]
                return [(items[at], 0, below if at + 1 == len(items) else (node, at + 1, below))]
            case AnyOf(options):
                return [(option, 0, below) for option in options]
            case Repeated(item, least, most):
                done = min(at + 1, least) if most is None else at + 1
                again = [(item, 0, (node, done, below))] if most is None or at < most else []
                return again if at < least else [below, *again]
            case RuleName(name):
                return [(self.rules[name], 0, below)]
        return None


def _stepped(stacks: set[Stack], char: str) -> set[Stack]:
    """Return the stacks that have read one more character."""
    stepped: set[Stack] = set()
    for stack in stacks:
        if not stack:
            continue
        node, at, below = stack
        if isinstance(node, Word) and node.text[at] == char:
            stepped.add((node, at + 1, below))
        elif isinstance(node, CharSet) and char in node:
            stepped.add(below)
    return stepped


def _rest(stack: Stack) -> Node:
    """Return what a stack still asks for as a node."""
    items: list[Node] = []
    while stack:
        node, at, stack = stack
        match node:
            case Word(text):
                items.append(Word(text[at:]))
            case Series(parts):
                items.append(Series(parts[at:]))
            case Repeated(item, least, most):
                items.append(Repeated(item, max(0, least - at), None if most is None else most - at))
            case _:
                items.append(node)
    return Series(tuple(items))


def _nullable(node: Node, rules: set[str]) -> bool:
    match node:
        case Word(text):
            return not text
        case Series(items):
            return all(_nullable(item, rules) for item in items)
        case AnyOf(options):
            return any(_nullable(option, rules) for option in options)
        case Repeated(item, least, _):
            return least == 0 or _nullable(item, rules)
        case RuleName(name):
            return name in rules
    return False


def _first_rules(node: Node, nullable: set[str]) -> Iterable[str]:
    match node:
        case Series(items):
            for item in items:
                yield from _first_rules(item, nullable)
                if not _nullable(item, nullable):
                    return
        case AnyOf(options):
            for option in options:
                yield from _first_rules(option, nullable)
        case Repeated(item, _, _):
            yield from _first_rules(item, nullable)
        case RuleName(name):
            yield name


def _gbnf(node: Node) -> str:
    match node:
        case Word(text):
            return f'"{"".join(_escaped(char, _IN_WORDS) for char in text)}"'
        case CharSet(ranges, negated):
            inner = "".join(_range(low, high) for low, high in ranges)
            return f"[{'^' if negated else ''}{inner}]"
        case Series(items):
            return f"({' '.join(_gbnf(item) for item in items)})" if items else '""'
        case AnyOf(options):
            return f"({' | '.join(_gbnf(option) for option in options)})"
        case Repeated(item, least, most):
            return '""' if most == 0 else f"({_gbnf(item)}){_times(least, most)}"
        case RuleName(name):
            return name


def _times(least: int, most: int | None) -> str:
    if (least, most) == (0, 1):
        return "?"
    if most is None:
        return ("*", "+")[least] if least < 2 else f"{{{least},}}"
    return f"{{{least},{most}}}"


_IN_WORDS: Mapping[str, str] = {'"': '\\"', "\\": "\\\\", "\n": "\\n"}
_IN_SETS: Mapping[str, str] = {char: f"\\x{ord(char):02X}" for char in "[]^-\\"}


def _range(low: str, high: str) -> str:
    first = _escaped(low, _IN_SETS)
    return first if low == high else f"{first}-{_escaped(high, _IN_SETS)}"


def _escaped(char: str, special: Mapping[str, str]) -> str:
    code = ord(char)
    if char in special:
        return special[char]
    if code < 0x20 or code == 0x7F:
        return f"\\x{code:02X}"
    return f"\\U{code:08X}" if 0xD800 <= code <= 0xDFFF else char
