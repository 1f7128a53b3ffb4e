import pytest

from twokeys.core.structured.derive import TableColumn, table_schema
from twokeys.core.structured.schema import AnswerSchema, validity
from twokeys.core.structured.wording import cut_text, form_name, verdict_text
from twokeys.types import FinishReason

PARTS = table_schema([TableColumn("part"), TableColumn("count", "number")])
TABLE = AnswerSchema.of(PARTS)
WRAPPED = AnswerSchema.of({"type": "object", "properties": {"parts": PARTS}, "required": ["parts"]})
PERSON = AnswerSchema.of({"type": "object", "required": ["name"]}, name="person")
WHOLE = '[{"part": "bolt", "count": 1}]'
HALF = '[{"part": "bolt", "count": 1}, {"part": "nu'


def verdict(
    text: str, schema: AnswerSchema = TABLE, finish: FinishReason = "stop", language: str = "en"
) -> str:
    return verdict_text(text, schema, validity(text, schema, finish), language)


def test_a_whole_answer_is_called_valid_only_when_it_ended_by_itself() -> None:
    assert verdict(WHOLE) == "Valid"
    assert verdict(WHOLE, finish="length") == "Cut off after 1 row"
    assert verdict(HALF, finish="length", language="zh") == "写完 1 行后截断"
    assert verdict('{"name": "A', PERSON, "cancelled") == "Cut off before its end"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (HALF, "Not valid: it is not JSON"),
        ("[" + WHOLE[1:-1] + ', {"part": 2, "count": 1}]', "Not valid: row 2, “part”: it is of another type"),
        ('[{"part": "bolt"}]', "Not valid: row 1: “count” is missing"),
        ('[{"part": "a", "count": 1, "x": 1}]', "Not valid: row 1: it has more than was asked for"),
        ("{}", "Not valid: it is of another type"),
        (
            '[{"part": 1}, {"count": "x"}]',
            "Not valid: row 1, “part”: it is of another type; row 1: “count” is missing …",
        ),
    ],
)
def test_a_person_reads_in_which_row_what_is_wrong(text: str, sentence: str) -> None:
    assert verdict(text).startswith(sentence)


def test_rows_within_an_object_and_other_json_have_their_places_too() -> None:
    said = verdict('{"parts": [{"part": 1, "count": 1}]}', WRAPPED, language="zh")
    assert said == "格式不对：类型不对（第 1 行、“part”）"
    assert verdict("{}", PERSON) == "Not valid: “name” is missing"


def test_a_cut_answers_banner_says_how_far_it_came_and_why() -> None:
    assert cut_text(HALF, TABLE, "length", "en", limit=64) == (
        "Cut off after 1 row: the maximum length of 64 is reached."
    )
    assert cut_text(HALF, TABLE, "length", "en") == "Cut off after 1 row."
    assert cut_text(HALF, TABLE, "cancelled", "zh") == "写完 1 行后截断：你停止了它。"


def test_a_form_is_called_by_its_columns_or_its_name() -> None:
    assert form_name(TABLE, "en") == "part, count"
    wide = AnswerSchema.of(table_schema([TableColumn(name) for name in "abcdef"]))
    assert form_name(wide, "zh") == "a、b、c、d …"
    assert form_name(PERSON, "en") == "person"
