"""Columns as they are typed behind /table, in both languages."""

import pytest

from twokeys.core.structured.columns import columns_from_text, table_from_text
from twokeys.core.structured.derive import TableColumn
from twokeys.core.structured.schema import refused_keywords, validity
from twokeys.errors import BadInput

COLUMNS = (
    TableColumn("name"),
    TableColumn("unit price", "number"),
    TableColumn("due", "date", may_be_empty=True),
    TableColumn("state", "choice", ("open", "paid")),
)


@pytest.mark.parametrize(
    "text",
    [
        "name, unit price:number, due?:date, state:choice(open|paid)",
        "name:text,unit price : number,due:date?,state:choice(open/paid)",
        "name：文本，unit price：数字、due？：日期，state：选项（open|paid）",
    ],
)
def test_names_types_and_empty_cells_are_read(text: str) -> None:
    assert columns_from_text(text) == COLUMNS


def test_a_table_is_named_by_its_columns_and_has_nothing_an_engine_cannot_honour() -> None:
    schema = table_from_text("name, unit price:number, due?:date, state:choice(open|paid)")
    assert (schema.name, schema.origin) == ("name, unit price, due, state", "table")
    assert refused_keywords(schema) == ()
    row = '[{"name": "bolt", "unit price": 2.5, "due": null, "state": "paid"}]'
    assert validity(row, schema, "stop").valid


@pytest.mark.parametrize("text", ["", " , ", "name:colour", ":number", "state:choice", "a, a"])
def test_what_is_no_table_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        table_from_text(text)
