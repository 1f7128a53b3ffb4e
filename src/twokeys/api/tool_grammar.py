"""The grammar of calls: which functions may be called, and what their arguments may be.

Writes the calls of Qwen2.5's template. Arguments keep to their schema as far as `grammar.json_schema` can;
what it refuses is left to the model, as a call is an offer and no promise. Reads no answers: that is
`tool_calls.py`.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from twokeys.api.tool_calls import CLOSE, OPEN
from twokeys.grammar.json_schema import base_rules, schema_grammar
from twokeys.grammar.nodes import Grammar, Node, Repeated, RuleName, Series, Word, any_of

MAX_CALLS = 16


def call_grammar(functions: Sequence[Mapping[str, Any]], *, parallel: bool) -> str:
    """Return the grammar of calls of `functions` (name, parameters): one, or several where `parallel`."""
    rules, calls = base_rules(), []
    for number, function in enumerate(functions):
        parameters = {"type": "object", **(function.get("parameters") or {})}
        arguments = schema_grammar(parameters, prefix=f"f{number}r").grammar
        rules |= arguments.rules
        head = Word(f'{{"name": {json.dumps(function["name"])}, "arguments": ')
        calls.append(Series((head, arguments.root, Word("}"))))
    call: Node = Series((Word(f"{OPEN}\n"), any_of(calls), Word(f"\n{CLOSE}")))
    rules["call"] = call
    further = Repeated(Series((Word("\n"), RuleName("call"))), 0, MAX_CALLS - 1 if parallel else 0)
    return Grammar(rules, Series((RuleName("call"), further))).gbnf()
