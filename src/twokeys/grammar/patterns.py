"""Regular expressions of a JSON schema as grammar: what a JSON string may hold between its quotes.

Patterns mean what Python's `re.search` means by them, as that is what answers are checked with. Where a
class of characters is larger than anyone writes (every digit of Unicode) the grammar has the usual part of
it, so what is written always matches. Look-around, references, flags and anchors within a pattern have no
grammar.
"""

import json
from collections.abc import Iterator, Sequence
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from re import error as PatternError
from typing import Any

from twokeys.grammar.nodes import CharSet, Node, Repeated, Series, Word, any_of

Spans = tuple[tuple[int, int], ...]

_LAST = 0x10FFFF
_WRITABLE: Spans = ((0x20, 0x7E), (0x80, 0xD7FF), (0xE000, _LAST))
"""Every character but controls and halves of surrogate pairs."""
_COMMON: Spans = ((0x20, 0x7E), (0x4E00, 0x9FFF))
_DIGITS: Spans = ((0x30, 0x39),)
_WORDS: Spans = ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A), (0x4E00, 0x9FFF))
_SPACES: Spans = (
    *((0x09, 0x0D), (0x1C, 0x20), (0x85, 0x85), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A)),
    *((0x2028, 0x2029), (0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000)),
)
MOST_REPEATS = 1000
"""llama.cpp takes no grammar with more."""


class NoGrammar(Exception):
    """The pattern has something that has no grammar."""


def pattern_node(pattern: str) -> Node:
    """Return what stands between the quotes. Raises NoGrammar."""
    try:
        tree = parser.parse(pattern)
    except (PatternError, RecursionError, OverflowError) as exc:
        raise NoGrammar from exc
    if tree.state.flags & ~int(codes.SRE_FLAG_UNICODE):
        raise NoGrammar
    items = list(tree)
    anything = Repeated(_any_char(_WRITABLE))
    before: list[Node] = [anything]
    after: list[Node] = [anything]
    if items and _is_at(items[0], codes.AT_BEGINNING, codes.AT_BEGINNING_STRING):
        items, before = items[1:], []
    if items and _is_at(items[-1], codes.AT_END, codes.AT_END_STRING):
        items, after = items[:-1], []
    return Series((*before, *(_node(item) for item in items), *after))


def _is_at(item: tuple[object, object], *places: object) -> bool:
    return item[0] is codes.AT and item[1] in places


def _all(items: Sequence[tuple[object, object]]) -> Node:
    return Series(tuple(_node(item) for item in items))


def _node(item: tuple[Any, Any]) -> Node:
    code, value = item
    if code is codes.LITERAL:
        return _exactly(value)
    if code is codes.NOT_LITERAL:
        return _any_char(_without(_WRITABLE, ((value, value),)))
    if code is codes.ANY:
        return _any_char(_WRITABLE)
    if code is codes.IN:
        return _any_char(_members(value))
    if code is codes.BRANCH:
        return any_of(_all(branch) for branch in value[1])
    if code is codes.SUBPATTERN and not value[1] and not value[2]:
        return _all(value[3])
    if code in (codes.MAX_REPEAT, codes.MIN_REPEAT):
        return _repeated(*value)
    raise NoGrammar


def _repeated(least: int, most: int, items: Sequence[tuple[object, object]]) -> Node:
    limit = None if most == codes.MAXREPEAT else int(most)
    if max(least, limit or 0) > MOST_REPEATS:
        raise NoGrammar
    return Repeated(_all(items), least, limit)


def _exactly(code: int) -> Node:
    if 0xD800 <= code <= 0xDFFF:
        raise NoGrammar
    return Word(json.dumps(chr(code), ensure_ascii=False)[1:-1])


def _members(members: Sequence[tuple[Any, Any]]) -> Spans:
    negated = bool(members) and members[0][0] is codes.NEGATE
    spans: list[tuple[int, int]] = []
    universe = _WRITABLE
    for code, value in members[1:] if negated else members:
        if code is codes.LITERAL:
            spans.append((value, value))
        elif code is codes.RANGE:
            spans.append(value)
        elif code is codes.CATEGORY:
            spans += _category(value)
            universe = _WRITABLE if value is codes.CATEGORY_SPACE and universe is _WRITABLE else _COMMON
        else:
            raise NoGrammar
    return _without(universe, tuple(spans)) if negated else tuple(spans)


def _category(category: object) -> Spans:
    known: dict[Any, Spans] = {
        codes.CATEGORY_DIGIT: _DIGITS,
        codes.CATEGORY_WORD: _WORDS,
        codes.CATEGORY_SPACE: _SPACES,
        codes.CATEGORY_NOT_DIGIT: _without(_COMMON, _DIGITS),
        codes.CATEGORY_NOT_WORD: _without(_COMMON, _WORDS),
        codes.CATEGORY_NOT_SPACE: _without(_WRITABLE, _SPACES),
    }
    if category not in known:
        raise NoGrammar
    return known[category]


def _without(universe: Spans, taken: Spans) -> Spans:
    return tuple(_left(universe, taken))


def _left(universe: Spans, taken: Spans) -> Iterator[tuple[int, int]]:
    for low, high in universe:
        for first, last in sorted(taken):
            if last < low or first > high:
                continue
            if first > low:
                yield low, first - 1
            low = last + 1
            if low > high:
                break
        if low <= high:
            yield low, high


_NEED_ESCAPES: Spans = ((0x00, 0x1F), (0x22, 0x22), (0x5C, 0x5C), (0x7F, 0x7F), (0xD800, 0xDFFF))


def _any_char(spans: Spans) -> Node:
    """Return one character of the spans as JSON writes it: quotes, backslashes and tabs by their escapes."""
    plain = tuple((chr(low), chr(high)) for low, high in _without(spans, _NEED_ESCAPES))
    escaped = [
        _exactly(code)
        for code in (0x09, 0x0A, 0x0D, 0x22, 0x5C)
        if any(low <= code <= high for low, high in spans)
    ]
    nodes: list[Node] = [CharSet(plain)] if plain else []
    if not nodes and not escaped:
        raise NoGrammar
    return any_of([*nodes, *escaped])
