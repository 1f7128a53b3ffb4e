"""Grammars as values: what is left of one after a text is what may follow it."""

import pytest

from twokeys.grammar.json_schema import schema_grammar
from twokeys.grammar.nodes import CharSet, Grammar, RuleName, Series, Word, any_of, optional

from .samples import Sampler

ROWS = {
    "type": "array",
    "maxItems": 4,
    "items": {
        "type": "object",
        "properties": {"name": {"type": "string", "maxLength": 6}, "n": {"type": "integer", "maximum": 40}},
        "required": ["name", "n"],
    },
}


def test_a_text_cut_anywhere_is_gone_on_with_within_its_grammar() -> None:
    grammar = schema_grammar(ROWS).grammar
    sampler = Sampler(grammar, seed=3)
    text = max((sampler.text() for _ in range(20)), key=len)
    for at in range(len(text) + 1):
        rest = grammar.after(text[:at])
        assert rest is not None
        assert rest.accepts(text[at:])
        drawn = Sampler(rest, seed=at).text()
        assert grammar.accepts(text[:at] + drawn), (text[:at], drawn)


def test_a_text_that_no_answer_begins_with_has_no_rest() -> None:
    grammar = schema_grammar(ROWS).grammar
    assert grammar.after('[{"nam": ') is None
    assert grammar.after("Here is the table:") is None


def test_repetitions_that_were_made_are_counted() -> None:
    rest = schema_grammar({"type": "string", "minLength": 3, "maxLength": 5}).grammar.after('"ab')
    assert rest is not None
    accepted = [count for count in range(6) if rest.accepts("x" * count + '"')]
    assert accepted == [1, 2, 3]


@pytest.mark.parametrize("text", ['"', "\\", "]", "^", "-", "\n", "\x7f", "中"])
def test_any_character_can_be_spelled(text: str) -> None:
    written = Grammar({}, Series((Word(text), CharSet(((text, text),))))).gbnf()
    assert written.count("\n") == 1
    assert Grammar({}, Word(text)).accepts(text)


def test_a_rule_that_can_begin_with_itself_is_seen() -> None:
    a = Series((optional(Word("x")), RuleName("b")))
    assert Grammar({"a": a, "b": any_of((RuleName("a"), Word("y")))}, RuleName("a")).left_recursive()
    assert not Grammar({"a": a, "b": Series((Word("("), RuleName("a")))}, RuleName("a")).left_recursive()
