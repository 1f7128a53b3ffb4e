"""A comparison as JSON and as a table."""

import json

from twokeys.core.compare.column import Column
from twokeys.services import Services

from .making import BASE, QUESTION, ended, start


def test_it_is_exported_as_json_and_as_a_table(services: Services) -> None:
    comparison = ended(services, start(services))
    loaded = json.loads(services.compare.export_json(comparison.id))
    assert loaded["format"] == "twokeys.comparison" and loaded["question"] == QUESTION
    assert [column["text"] for column in loaded["columns"]] == [c.answer.content for c in comparison.columns]
    assert loaded["columns"][0]["provenance"]["sampling_set"]["temperature"] == 0.3
    assert loaded["columns"][0]["probs"] and loaded["columns"][0]["figures"]["tokens"] == 9
    for language in ("zh", "en"):
        table = services.compare.export_markdown(comparison.id, language)  # type: ignore[arg-type]
        assert "| temperature | 0.3 | 0.7 | 1 |" in table
        assert all(column.answer.content in table for column in comparison.columns)
    services.compare.voting.hide(comparison.id)
    blind = services.compare.export_markdown(comparison.id, "en")
    assert "temperature" not in blind and "| A | B | C |" in blind


def test_the_table_has_a_row_for_every_parameter_that_a_column_sets(services: Services) -> None:
    columns = [Column(BASE.sampling), Column(BASE.sampling.with_(typical_p=0.9, stop=("END",)))]
    comparison = ended(services, services.compare.start(QUESTION, columns, settings=BASE))
    table = services.compare.export_markdown(comparison.id, "en")
    assert "| typical_p | 1 | 0.9 |" in table and "| stop | – | 'END' |" in table
    assert "xtc_probability" not in table


def test_the_json_export_has_every_version_of_a_column_with_its_probabilities(services: Services) -> None:
    comparison = ended(services, start(services))
    first = services.compare.stored.probs(comparison.id, 0)
    services.compare.fork(comparison.id, 0, 2, first[2].alternatives[0].token_id)
    forked = ended(services, comparison).columns[0]
    shown, *others = json.loads(services.compare.export_json(comparison.id))["columns"]
    assert (shown["id"], shown["text"]) == (forked.answer.id, forked.answer.content)
    assert shown["provenance"]["forked_from"]["token"] == 2
    assert [len(prob) for prob in shown["probs"]] == [5] * len(
        services.compare.stored.probs(comparison.id, 0)
    )
    [before] = shown["other_versions"]
    assert (before["id"], before["text"]) == (forked.answer_ids[0], "answer at 0.3 degrees")
    assert [prob[:4] for prob in before["probs"]] == [[p.text, p.token_id, p.logprob, p.start] for p in first]
    assert before["probs"][2][4][0][1] == first[2].alternatives[0].token_id
    assert [column["other_versions"] for column in others] == [[], []]
