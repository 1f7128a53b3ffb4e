"""Answers with a form in the lab: held to it by a cell, and measured as they came."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from twokeys.core.study.cell import Cell
from twokeys.core.study.judge import Judge, PatternResult
from twokeys.core.study.prompt import Checker, StudyPrompt, shipped_sets
from twokeys.core.study.study import Study, first_look, grid_cells, shipped_studies
from twokeys.engines.scripted import End, Say, ScriptedEngine, Step
from twokeys.errors import BadParameter
from twokeys.types import GenerationRequest

from ..making import MakeServices
from .making import study

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
PROMPT = StudyPrompt(
    "n",
    "Which number?",
    "fields",
    checker=Checker("json", {"properties": {"n": {"const": 7}}, "required": ["n"]}),
    schema=SCHEMA,
)
FIELDS = [prompt for shelf in shipped_sets() if shelf.task == "fields" for prompt in shelf.prompts]


def script(request: GenerationRequest) -> list[Step]:
    """Answer plainly where held to a form, in a fence else; hot answers are cut."""
    if request.sampling.temperature > 1:
        return [Say('{"n": 7}'), End("length")]
    return [Say('{"n": 7}' if request.json_schema else '```json\n{"n": 7}\n```')]


def test_a_cell_with_grammar_holds_prompts_that_have_a_form_to_it(make_services: MakeServices) -> None:
    engine = ScriptedEngine(script)
    services = make_services(engine)
    prompts = (PROMPT, StudyPrompt("free", "Why?"))
    cells = (*grid_cells({"grammar": [False, True]}), Cell("hot", {"temperature": 1.2}, grammar=True))
    view = services.lab.create(study(prompts=prompts, cells=cells, seeds=1, outcomes=("valid", "correct")))
    services.lab.start(view.id)
    assert services.lab.wait(view.id, 30).state == "done"
    asked = [(request.messages[-1].content, request.json_schema) for request in engine.requests]
    assert sorted(text for text, schema in asked if schema is not None) == ["Which number?"] * 2
    measured = {cell.name: services.lab.answers(view.id, cell.name, "n")[0].values for cell in cells}
    rows = {name: (values["valid"], values["correct"]) for name, values in measured.items()}
    # a fence is no JSON though the value in it is right; a cut answer is not valid though its text is
    assert rows == {"grammar=False": (0.0, 1.0), "grammar=True": (1.0, 1.0), "hot": (0.0, 1.0)}
    assert "valid" not in services.lab.answers(view.id, "grammar=True", "free")[0].values


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ('{"n": 7}', True),
        (' {"n": 7} ', True),
        ('{"n": 7.5}', False),
        ('The number: {"n": 7}', False),
        ("", False),
    ],
)
def test_the_whole_answer_has_to_have_the_form(judge: Judge, text: str, valid: bool) -> None:
    assert judge.has_form(SCHEMA, text) == PatternResult(valid)


def test_a_form_that_no_engine_can_be_held_to_is_refused_with_its_keyword() -> None:
    for schema in ({"type": "array", "uniqueItems": True}, {"type": "text"}, "object"):
        with pytest.raises(BadParameter):
            StudyPrompt("p", "Which?", schema=schema)  # type: ignore[arg-type]
    with pytest.raises(BadParameter):
        Cell("odd", grammar="yes")  # type: ignore[arg-type]


def right_answer(values: Mapping[str, Any]) -> Any:
    if "const" in values:
        return values["const"]
    if "enum" in values:
        return values["enum"][0]
    if "prefixItems" in values:
        return [right_answer(item) for item in values["prefixItems"]]
    return {name: right_answer(inner) for name, inner in values["properties"].items()}


def test_the_known_answers_of_the_40_shipped_prompts_are_right_and_valid(judge: Judge) -> None:
    assert [prompt.language for prompt in FIELDS] == ["en"] * 20 + ["zh"] * 20
    for prompt in FIELDS:
        assert prompt.checker is not None and prompt.schema is not None
        right = right_answer(prompt.checker.value)
        text = json.dumps(right, ensure_ascii=False)
        assert judge.judge(prompt.checker, text).right, prompt.id
        assert judge.has_form(prompt.schema, text).right, prompt.id
        name = next(iter(right))
        wrong = json.dumps({**right, name: "another"}, ensure_ascii=False)
        assert judge.judge(prompt.checker, wrong).right is False, prompt.id
        # every value stands in the text or follows from it, and every field is asked for
        assert all(field in prompt.text for field in right), prompt.id


def test_the_shipped_study_asks_all_of_them_with_and_without_grammar_and_survives_its_file() -> None:
    made = shipped_studies()["structured"]
    assert len(first_look(made, "zh").prompts) == 40
    assert {cell.grammar for cell in made.cells} == {False, True}
    assert Study.from_toml(made.to_toml(), "structured").fingerprint == made.fingerprint
