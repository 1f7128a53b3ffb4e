"""JSON schemas as grammar: what a model may write so that the answer is valid, and what cannot be kept to.

Every text of the grammar is valid by its schema; not every valid value can be written: an object with named
properties has no others, and properties come in the order of the schema. A keyword that cannot be kept to is
named in `SchemaGrammar.refused`, with its place, and the grammar is made as if it were not there. The meaning
is that of JSON Schema 2020-12.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from twokeys.grammar.nodes import (
    CharSet,
    Grammar,
    Node,
    Repeated,
    RuleName,
    Word,
    any_of,
    optional,
    series,
)
from twokeys.grammar.numbers import DIGIT, MOST_DIGITS, number, whole, whole_bound
from twokeys.grammar.patterns import MOST_REPEATS, NoGrammar, pattern_node

DEEPEST = 48
"""Schemas within schemas."""

KINDS = ("object", "array", "string", "integer", "number", "boolean", "null")
ANNOTATIONS = frozenset(
    (
        *("title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "$comment"),
        *("$schema", "$defs", "definitions", "$vocabulary"),
        *("contentEncoding", "contentMediaType", "contentSchema", "discriminator"),
    )
)
"""Keywords that ask nothing of a value."""

_OF_KIND: Mapping[str, frozenset[str]] = {
    "object": frozenset(("properties", "required", "additionalProperties")),
    "array": frozenset(("items", "prefixItems", "minItems", "maxItems")),
    "string": frozenset(("minLength", "maxLength", "pattern", "format")),
    "number": frozenset(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")),
}
_GENERAL = frozenset(("type", "enum", "const", "anyOf", "oneOf", "allOf", "$ref"))
CLAIMED = _GENERAL.union(*_OF_KIND.values())
"""The keywords that answers are held to, as far as `refused` does not name a use of them."""

_HOUR = "([01][0-9]|2[0-3])"
_TIME = f"{_HOUR}:[0-5][0-9]:[0-5][0-9](\\.[0-9]{{1,6}})?(Z|[+-]{_HOUR}:[0-5][0-9])"
_LEAP = "([0-9]{2}(0[48]|[2468][048]|[13579][26])|([2468][048]|[13579][26]|0[48])00)-02-29"
_YEAR = "([1-9][0-9]{3}|0[1-9][0-9]{2})"
_DATE = (
    f"({_YEAR}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)"
    f"|02-(0[1-9]|1[0-9]|2[0-8]))|{_LEAP})"
)
_HEX = "[0-9a-f]"
_BYTE = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
FORMATS: Mapping[str, str] = {
    "date": f"^{_DATE}$",
    "time": f"^{_TIME}$",
    "date-time": f"^{_DATE}T{_TIME}$",
    "uuid": f"^{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}$",
    "email": r"^[A-Za-z0-9_%+-]+(\.[A-Za-z0-9_%+-]+)*@([A-Za-z0-9]+(-[A-Za-z0-9]+)*\.)+[A-Za-z]{2,}$",
    "ipv4": rf"^{_BYTE}(\.{_BYTE}){{3}}$",
}
"""The formats that answers are held to, as patterns."""

_WS = RuleName("ws")
_STRING_CHAR = RuleName("char")


def base_rules() -> dict[str, Node]:
    """Return the rules of JSON itself."""
    value, string = RuleName("value"), RuleName("string")
    hexadecimal = CharSet((("0", "9"), ("a", "f"), ("A", "F")))
    whole_character = CharSet((("0", "9"), ("a", "c"), ("A", "C"), ("e", "f"), ("E", "F")))
    code = any_of(
        (
            series(whole_character, Repeated(hexadecimal, 3, 3)),
            series(CharSet((("d", "d"), ("D", "D"))), CharSet((("0", "7"),)), Repeated(hexadecimal, 2, 2)),
        )
    )
    escape = any_of((CharSet(tuple((char, char) for char in '"\\/bfnrt')), series(Word("u"), code)))
    member = series(string, _WS, Word(":"), _WS, value, _WS)
    digits = Repeated(DIGIT, 1, MOST_DIGITS)
    exponent = series(
        CharSet((("e", "e"), ("E", "E"))), optional(CharSet((("+", "+"), ("-", "-")))), Repeated(DIGIT, 1, 2)
    )
    integer = any_of((Word("0"), series(CharSet((("1", "9"),)), Repeated(DIGIT, 0, MOST_DIGITS - 1))))
    indent = series(Word("\n"), Repeated(CharSet(((" ", " "), ("\t", "\t"))), 0, 20))
    plain = CharSet((('"', '"'), ("\\", "\\"), ("\x7f", "\x7f"), ("\x00", "\x1f")), negated=True)
    return {
        "ws": any_of((Word(""), Word(" "), indent)),
        "value": any_of(RuleName(kind) for kind in KINDS if kind != "integer"),
        "object": _listed("{", "}", member),
        "array": _listed("[", "]", series(value, _WS)),
        "string": series(Word('"'), Repeated(_STRING_CHAR), Word('"')),
        "char": any_of((plain, series(Word("\\"), escape))),
        "integer": series(optional(Word("-")), integer),
        "number": series(RuleName("integer"), optional(series(Word("."), digits)), optional(exponent)),
        "boolean": any_of((Word("true"), Word("false"))),
        "null": Word("null"),
    }


def _listed(opening: str, closing: str, item: Node, least: int = 0, most: int | None = None) -> Node:
    """Return items between brackets, with commas between them. most: at least 1."""
    further = Repeated(series(Word(","), _WS, item), max(0, least - 1), None if most is None else most - 1)
    items: Node = series(item, further)
    return series(Word(opening), _WS, items if least else optional(items), Word(closing))


@dataclass(frozen=True, slots=True)
class RefusedKeyword:
    """A keyword that an answer cannot be held to. place: of the schema it stands in, as a JSON pointer."""

    place: str
    keyword: str


@dataclass(frozen=True, slots=True)
class SchemaGrammar:
    """A schema's grammar, and the keywords that it does not keep to."""

    grammar: Grammar
    refused: tuple[RefusedKeyword, ...]


def schema_grammar(schema: object, *, prefix: str = "r") -> SchemaGrammar:
    """Return the grammar of a schema's answers. Never raises, whatever the schema is.

    prefix: of the names of its own rules, beside those of `base_rules`.
    """
    rules = SchemaRules(schema, prefix)
    root = rules.node(schema, "#")
    grammar = Grammar(rules.rules, root)
    if grammar.left_recursive():
        rules.refuse("#", "$ref")
        grammar = Grammar(base_rules(), RuleName("value"))
    return SchemaGrammar(grammar, tuple(dict.fromkeys(rules.refused)))


@dataclass(slots=True)
class SchemaRules:
    """The rules of one schema; `prefix` tells their names from those of another."""

    root: object
    prefix: str = "r"
    rules: dict[str, Node] = field(default_factory=base_rules)
    refused: list[RefusedKeyword] = field(default_factory=list)
    _names: dict[str, str] = field(default_factory=dict)
    _depth: int = 0

    def refuse(self, place: str, keyword: str) -> None:
        self.refused.append(RefusedKeyword(place, keyword))

    def node(self, schema: object, place: str) -> Node:
        """Return what a value of `schema` may be."""
        if schema is True:
            return RuleName("value")
        if not isinstance(schema, Mapping) or self._depth > DEEPEST:
            self.refuse(place, "false" if schema is False else "schema")
            return RuleName("value")
        self._depth += 1
        try:
            return self._of(schema, place)
        finally:
            self._depth -= 1

    def _of(self, schema: Mapping[str, object], place: str) -> Node:
        if "enum" in schema or "const" in schema:
            return self._listed_values(schema, place)
        self._name_unknown(schema, place)
        if "$ref" in schema:
            return self._reference(schema, place)
        if "allOf" in schema:
            return self._all_of(schema, place)
        if "oneOf" in schema or "anyOf" in schema:
            return self._alternatives(schema, place)
        kinds = _kinds(schema)
        if _impossible(schema):
            self.refuse(place, "type")
        if not kinds:
            return RuleName("value")
        made = [self._kind(kind, schema, place) for kind in kinds]
        return any_of(node for node in made if node is not None) if any(made) else RuleName("value")

    def _name_unknown(self, schema: Mapping[str, object], place: str) -> None:
        for keyword, value in schema.items():
            harmless = (keyword, value) in (("uniqueItems", False), ("nullable", False))
            at_root = keyword == "$id" and schema is self.root
            known = keyword in CLAIMED or keyword in ANNOTATIONS or keyword.startswith("x-")
            if not (known or harmless or at_root):
                self.refuse(place, keyword)

    # ---- values, references, alternatives ---------------------------------------------------------

    def _listed_values(self, schema: Mapping[str, object], place: str) -> Node:
        keyword = "enum" if "enum" in schema else "const"
        values = _list(schema, "enum") if keyword == "enum" else [schema["const"]]
        allowed = [value for value in values if self._is_valid(value, schema)]
        if not allowed:
            self.refuse(place, keyword)
            return RuleName("value")
        return any_of(Word(json.dumps(value, ensure_ascii=False)) for value in allowed)

    def _is_valid(self, value: object, schema: Mapping[str, object]) -> bool:
        """Ask the library: whatever else stands beside the values decides which of them are left."""
        from jsonschema import Draft202012Validator
        from jsonschema.exceptions import UnknownType
        from referencing import Registry
        from referencing.exceptions import Unresolvable

        root = self.root if isinstance(self.root, Mapping) else {}
        whole_schema = Draft202012Validator(dict(root), registry=Registry())
        try:
            return whole_schema.evolve(schema=dict(schema)).is_valid(value)
        except (Unresolvable, UnknownType, RecursionError):
            return False

    def _reference(self, schema: Mapping[str, Any], place: str) -> Node:
        pointer = schema["$ref"]
        target = self._resolved(pointer)
        if target is None:
            self.refuse(place, "$ref")
            return RuleName("value")
        if any(keyword not in ANNOTATIONS and keyword != "$ref" for keyword in schema):
            beside = {keyword: value for keyword, value in schema.items() if keyword != "$ref"}
            return self._all_of({**beside, "allOf": [{"$ref": pointer}]}, place)
        if pointer not in self._names:
            name = self._names[pointer] = self.new_name()
            self.rules[name] = RuleName("value")
            self.rules[name] = self.node(target, pointer)
        return RuleName(self._names[pointer])

    def new_name(self) -> str:
        """Return a name that no rule has; rules that are not made yet have theirs already."""
        name = f"{self.prefix}{len(self.rules)}"
        self.rules[name] = RuleName("value")
        return name

    def _resolved(self, pointer: object) -> object:
        """Return what a reference within the schema means; None for any other."""
        if not isinstance(pointer, str) or not pointer.startswith("#"):
            return None
        if pointer == "#":
            return self.root
        if not pointer.startswith("#/"):
            return None
        from urllib.parse import unquote

        target: Any = self.root
        for step in unquote(pointer[2:]).split("/"):
            step = step.replace("~1", "/").replace("~0", "~")
            if isinstance(target, Mapping) and step in target:
                target = target[step]
            elif isinstance(target, list) and step.isdecimal() and int(step) < len(target):
                target = target[int(step)]
            else:
                return None
        return target

    def _all_of(self, schema: Mapping[str, Any], place: str) -> Node:
        beside = {keyword: value for keyword, value in schema.items() if keyword != "allOf"}
        merged: dict[str, Any] | None = beside
        for number_, part in enumerate(_list(schema, "allOf")):
            followed = self._followed(part)
            if followed is None or merged is None:
                merged = None
                break
            self._name_unknown(followed, f"{place}/allOf/{number_}")
            merged = _merged(merged, followed)
        if merged is None:
            self.refuse(
                place, "$ref" if "$ref" in str(schema["allOf"]) and len(schema["allOf"]) == 1 else "allOf"
            )
            return RuleName("value")
        return self.node(merged, place)

    def _followed(self, schema: object) -> Mapping[str, Any] | None:
        """Return a schema with its reference, and that one's, in place; None where that has no end."""
        for _ in range(DEEPEST):
            if schema is True:
                return {}
            if not isinstance(schema, Mapping):
                return None
            if "$ref" not in schema:
                return schema
            target = self._resolved(schema["$ref"])
            if not isinstance(target, Mapping):
                return None
            beside = {keyword: value for keyword, value in schema.items() if keyword != "$ref"}
            schema = _merged(beside, target)
        return None

    def _alternatives(self, schema: Mapping[str, object], place: str) -> Node:
        keyword = "oneOf" if "oneOf" in schema else "anyOf"
        beside = {name: value for name, value in schema.items() if name != keyword}
        parts: list[Node] = []
        branches = _list(schema, keyword)
        if keyword == "oneOf" and not self._disjoint(branches):
            self.refuse(place, keyword)
        plain = not any(name not in ANNOTATIONS for name in beside)
        for number_, branch in enumerate(branches):
            if branch is False:
                continue
            if plain:
                parts.append(self.node(branch, f"{place}/{keyword}/{number_}"))
                continue
            followed = self._followed(branch)
            merged = None if followed is None else _merged(beside, followed)
            if merged is None:
                self.refuse(place, keyword)
                continue
            if not _impossible(merged):
                parts.append(self.node(merged, f"{place}/{keyword}/{number_}"))
        if not parts:
            self.refuse(place, keyword)
            return RuleName("value")
        return any_of(parts)

    def _disjoint(self, branches: Sequence[object]) -> bool:
        followed = [self._followed(branch) for branch in branches]
        return all(
            one_branch is not None and other is not None and self._apart(one_branch, other, 0)
            for number_, one_branch in enumerate(followed)
            for other in followed[number_ + 1 :]
        )

    def _apart(self, left: Mapping[str, object], right: Mapping[str, object], depth: int) -> bool:
        """Return whether no value is valid by both: by their kinds, values or a required property."""
        ours, theirs = _values(left), _values(right)
        if ours is not None and theirs is not None:
            return not any(_same(value, other) for value in ours for other in theirs)
        left_kinds, right_kinds = _stated_kinds(left, ours), _stated_kinds(right, theirs)
        if left_kinds and right_kinds and not left_kinds & right_kinds:
            return True
        if depth > 4 or left_kinds != {"object"} or right_kinds != {"object"}:
            return False
        shared = set(_list(left, "required")) & set(_list(right, "required"))
        mine, others = _mapping(left, "properties"), _mapping(right, "properties")
        for name in shared & set(mine) & set(others):
            pair = self._followed(mine[name]), self._followed(others[name])
            if pair[0] is not None and pair[1] is not None and self._apart(pair[0], pair[1], depth + 1):
                return True
        return any(
            closed.get("additionalProperties") is False
            and any(name not in _mapping(closed, "properties") for name in _list(open_, "required"))
            for closed, open_ in ((left, right), (right, left))
        )

    # ---- kinds --------------------------------------------------------------------------------------

    def _kind(self, kind: str, schema: Mapping[str, object], place: str) -> Node | None:
        makers: dict[str, Callable[[Mapping[str, Any], str], Node | None]] = {
            "object": self._object,
            "array": self._array,
            "string": self._string,
            "integer": self._integer,
            "number": self._number,
        }
        return makers[kind](schema, place) if kind in makers else RuleName(kind)

    def _object(self, schema: Mapping[str, object], place: str) -> Node:
        properties = dict(_mapping(schema, "properties"))
        further = schema.get("additionalProperties", True)
        required = [name for name in _list(schema, "required") if isinstance(name, str)]
        for name in required:
            if name not in properties:
                properties[name] = further
            if properties[name] is False:
                self.refuse(place, "required")
        shown = {name: value for name, value in properties.items() if value is not False}
        if shown:
            return self._members(shown, frozenset(required), place)
        if further is False or properties:
            return series(Word("{"), _WS, Word("}"))
        value = self.node(further, f"{place}/additionalProperties")
        return _listed("{", "}", series(RuleName("string"), _WS, Word(":"), _WS, value, _WS))

    def _members(self, properties: Mapping[str, object], required: frozenset[str], place: str) -> Node:
        """Return an object with its properties in their order; those not required may be left out."""
        members: dict[str, Node] = {}
        for name, value in properties.items():
            rule = self.new_name()
            step = name.replace("~", "~0").replace("/", "~1")
            label = Word(json.dumps(name, ensure_ascii=False))
            self.rules[rule] = series(
                label, _WS, Word(":"), _WS, self.node(value, f"{place}/properties/{step}"), _WS
            )
            members[name] = RuleName(rule)
        names = list(members)
        later = [series(Word(","), _WS, members[name]) for name in names]
        later = [
            node if name in required else optional(node) for name, node in zip(names, later, strict=True)
        ]
        starts: list[Node] = []
        for number_, name in enumerate(names):
            starts.append(series(members[name], *later[number_ + 1 :]))
            if name in required:
                break
        else:
            starts.append(Word(""))
        return series(Word("{"), _WS, any_of(starts), Word("}"))

    def _array(self, schema: Mapping[str, object], place: str) -> Node:
        least, most = _count(schema, "minItems", 0), _count(schema, "maxItems", None)
        first = _list(schema, "prefixItems")
        rest = schema.get("items", True if not first else None)
        if isinstance(rest, list):  # as the drafts before 2020-12 wrote prefixItems
            self.refuse(place, "items")
            rest = True
        if (most is not None and (least or 0) > most) or max(least or 0, most or 0) > MOST_REPEATS:
            self.refuse(place, "minItems" if most is None or (least or 0) > most else "maxItems")
            least, most = 0, None
        least = least or 0
        if most is not None:
            first = first[:most]
        if rest is None:
            rest = least > len(first)
        if rest is False and least > len(first):
            self.refuse(place, "minItems")
            least = len(first)
        return self._items(first, rest, least, most, place)

    def _items(self, first: Sequence[object], rest: object, least: int, most: int | None, place: str) -> Node:
        starts = [series(self.node(item, f"{place}/prefixItems/{n}"), _WS) for n, item in enumerate(first)]
        if rest is False or most == len(starts):
            between: list[Node] = []
            for start in starts:
                between += [series(Word(","), _WS), start] if between else [start]
            return series(Word("["), _WS, *between, Word("]"))
        item = series(self.node(rest, f"{place}/items"), _WS)
        if not starts:
            return _listed("[", "]", item, least, most)
        further = Repeated(
            series(Word(","), _WS, item),
            max(0, least - len(starts)),
            None if most is None else most - len(starts),
        )
        joined = [starts[0], *(series(Word(","), _WS, start) for start in starts[1:])]
        return series(Word("["), _WS, *joined, further, Word("]"))

    def _string(self, schema: Mapping[str, object], place: str) -> Node:
        lengths = [name for name in ("minLength", "maxLength") if name in schema]
        pattern = schema.get("pattern")
        wanted = FORMATS.get(str(schema["format"])) if "format" in schema else None
        if "format" in schema and (wanted is None or pattern is not None):
            self.refuse(place, "format")
            wanted = None
        pattern = wanted if pattern is None else pattern
        if pattern is not None:
            for name in lengths:
                self.refuse(place, name)
            try:
                return series(Word('"'), pattern_node(str(pattern)), Word('"'))
            except NoGrammar:
                self.refuse(place, "pattern")
                return RuleName("string")
        least, most = _count(schema, "minLength", 0), _count(schema, "maxLength", None)
        for name, bound in (("minLength", least), ("maxLength", most)):
            if bound is not None and bound > MOST_REPEATS:
                self.refuse(place, name)
                return RuleName("string")
        if most is not None and (least or 0) > most:
            self.refuse(place, "minLength")
            return RuleName("string")
        return (
            series(Word('"'), Repeated(_STRING_CHAR, least or 0, most), Word('"'))
            if lengths
            else RuleName("string")
        )

    def _integer(self, schema: Mapping[str, Any], place: str) -> Node | None:
        lows = [math.ceil(schema["minimum"])] if _is_number(schema.get("minimum")) else []
        highs = [math.floor(schema["maximum"])] if _is_number(schema.get("maximum")) else []
        if _is_number(schema.get("exclusiveMinimum")):
            lows.append(math.floor(schema["exclusiveMinimum"]) + 1)
        if _is_number(schema.get("exclusiveMaximum")):
            highs.append(math.ceil(schema["exclusiveMaximum"]) - 1)
        if not lows and not highs:
            return RuleName("integer")
        node = whole(max(lows) if lows else None, min(highs) if highs else None)
        if node is None:
            self.refuse(place, "minimum" if "minimum" in schema else "exclusiveMinimum")
        return node

    def _number(self, schema: Mapping[str, Any], place: str) -> Node | None:
        bounds = {name: schema[name] for name in _OF_KIND["number"] if _is_number(schema.get(name))}
        for name, bound in list(bounds.items()):
            if not whole_bound(bound):
                self.refuse(place, name)
                del bounds[name]
        low, above = _tighter(bounds.get("minimum"), bounds.get("exclusiveMinimum"), 1)
        high, below = _tighter(bounds.get("maximum"), bounds.get("exclusiveMaximum"), -1)
        node = number(low, high, above=above, below=below)
        if node is None:
            self.refuse(place, "minimum" if "minimum" in bounds else "exclusiveMinimum")
        return node


def _list(schema: Mapping[str, object], keyword: str) -> list[Any]:
    """Return a keyword's list; an empty one where it is something else, as in schemas nobody checked."""
    value = schema.get(keyword)
    return list(value) if isinstance(value, list | tuple) else []


def _mapping(schema: Mapping[str, object], keyword: str) -> Mapping[str, Any]:
    value = schema.get(keyword)
    return value if isinstance(value, Mapping) else {}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _tighter(inclusive: float | None, exclusive: float | None, sign: int) -> tuple[float | None, bool]:
    """Return the bound that holds of the two, and whether the bound itself is left out."""
    if inclusive is None:
        return exclusive, exclusive is not None
    if exclusive is None or sign * exclusive < sign * inclusive:
        return inclusive, False
    return exclusive, True


def _count(schema: Mapping[str, Any], name: str, default: int | None) -> int | None:
    return int(schema[name]) if _is_number(schema.get(name)) else default


def _kinds(schema: Mapping[str, object]) -> list[str]:
    """Return the kinds that are written: those stated, else those that the keywords speak of."""
    stated = schema.get("type")
    if isinstance(stated, str):
        return [stated] if stated in KINDS else []
    if stated is not None and not isinstance(stated, list):
        return []
    if isinstance(stated, list):
        kinds = [kind for kind in stated if kind in KINDS]
        return [kind for kind in kinds if kind != "integer" or "number" not in kinds]
    return [kind for kind, keywords in _OF_KIND.items() if not keywords.isdisjoint(schema)]


def _values(schema: Mapping[str, object]) -> list[object] | None:
    if "enum" in schema:
        return _list(schema, "enum")
    return [schema["const"]] if "const" in schema else None


def _stated_kinds(schema: Mapping[str, object], values: Iterable[object] | None) -> set[str]:
    """Return the kinds a value can have, whole numbers as numbers; none where that is not stated."""
    if values is not None:
        return {_kind_of(value) for value in values}
    stated = schema.get("type")
    kinds = {stated} if isinstance(stated, str) else set(_list(schema, "type"))
    return {"number" if kind == "integer" else kind for kind in kinds}


def _kind_of(value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    if value is None:
        return "null"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def _same(left: object, right: object) -> bool:
    return left == right and _kind_of(left) == _kind_of(right)


def _impossible(schema: Mapping[str, object]) -> bool:
    return schema.get("type") == []


_INTERSECTED: Mapping[str, Callable[[Any, Any], Any]] = {
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength", "minItems"), max),
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength", "maxItems"), min),
    "required": lambda ours, theirs: list(dict.fromkeys([*ours, *theirs])),
    "enum": lambda ours, theirs: [value for value in ours if any(_same(value, other) for other in theirs)],
}


def _merged(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, object] | None:
    """Return a schema for what is valid by both; None where that is not simply written."""
    if _closes(ours, theirs) or _closes(theirs, ours):
        return None
    if any("prefixItems" in left and "items" in right for left, right in ((ours, theirs), (theirs, ours))):
        return None
    merged = dict(ours)
    for keyword, value in theirs.items():
        if keyword in ANNOTATIONS:
            merged.setdefault(keyword, value)
        elif keyword not in merged or merged[keyword] == value:
            merged[keyword] = value
        elif keyword == "type":
            merged["type"] = _common_kinds(merged["type"], value)
        elif keyword in _INTERSECTED:
            merged[keyword] = _INTERSECTED[keyword](merged[keyword], value)
        elif keyword == "properties":
            properties = _merged_properties(merged["properties"], value)
            if properties is None:
                return None
            merged["properties"] = properties
        else:
            return None
    return merged


def _merged_properties(ours: Mapping[str, object], theirs: Mapping[str, object]) -> dict[str, object] | None:
    merged = dict(ours)
    for name, value in theirs.items():
        if name not in merged or merged[name] == value or merged[name] is True:
            merged[name] = value
        elif value is not True:
            merged[name] = {"allOf": [merged[name], value]}
    return merged


def _common_kinds(ours: Any, theirs: Any) -> list[str]:
    left = [ours] if isinstance(ours, str) else list(ours)
    right = [theirs] if isinstance(theirs, str) else list(theirs)
    common = [kind for kind in left if kind in right or (kind == "integer" and "number" in right)]
    return common + [kind for kind in right if kind == "integer" and "number" in left and kind not in common]


def _closes(closed: Mapping[str, object], other: Mapping[str, object]) -> bool:
    """Return whether one schema forbids, or speaks of, properties that only the other one names."""
    if closed.get("additionalProperties", True) is True:
        return False
    names = set(_mapping(other, "properties")) | set(_list(other, "required"))
    return not names <= set(_mapping(closed, "properties"))
