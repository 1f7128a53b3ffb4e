"""Answers that hold to a schema: repeating keys are no loop, repeating texts are."""

import json
import random

import pytest

from twokeys.core.guard import Guard
from twokeys.types import GuardEvent

QUESTION = "List the parts with their prices."


def events_of(text: str, *, step: int = 3) -> list[GuardEvent]:
    guard = Guard({}, QUESTION, json_form=True)
    heard: list[GuardEvent] = []
    for at in range(0, len(text), step):
        piece = text[at : at + step]
        heard += guard.on_token(piece, at // step + 1, at + len(piece))
    return [*heard, *guard.finish()]


def table(rows: list[object], *, indent: int | None = None) -> str:
    return json.dumps({"rows": rows}, ensure_ascii=False, indent=indent)


ROW_KEYS = ("the_name_of_the_part_in_full", "price_without_tax", "is_in_stock_now")


@pytest.mark.parametrize("indent", [None, 2])
def test_a_table_of_two_hundred_rows_with_the_same_keys_is_no_loop(indent: int | None) -> None:
    draw = random.Random(7)
    names = ["bolt", "nut", "washer", "screw", "hinge", "spring", "gasket", "bearing"]
    rows: list[object] = [
        dict(
            zip(
                ROW_KEYS, (f"{draw.choice(names)} {n}", round(draw.random() * 90, 2), n % 2 == 0), strict=True
            )
        )
        for n in range(200)
    ]
    assert events_of(table(rows, indent=indent)) == []


def test_rows_of_equal_flags_and_numbers_are_no_loop() -> None:
    assert events_of(table([{"is_in_stock_now": True, "amount_in_the_warehouse": 0}] * 60)) == []


def test_rows_whose_texts_are_the_same_are_a_loop() -> None:
    row = {"name": "a bolt with a hexagonal head and a washer", "supplier": "Northern Fasteners Limited"}
    loops = [event for event in events_of(table([row] * 40)) if event.kind == "loop"]
    assert loops
    assert loops[-1].level == "stop"
    assert loops[-1].data["cut_suffix"] == ""


def test_a_text_that_goes_round_within_a_string_is_a_loop() -> None:
    text = '{"summary": "' + "The delivery is late because the ship was late. " * 30
    assert any(event.kind == "loop" and event.level == "stop" for event in events_of(text))


def test_keys_in_another_language_than_the_question_are_no_drift() -> None:
    guard = Guard({}, "请列出零件和价格，每个零件一行。", json_form=True)
    text = table([{"name": f"hexagonal bolt number {n}", "remark": "in stock again"} for n in range(30)])
    heard = guard.on_token(text, 300, len(text))
    assert [event for event in heard if event.kind in ("drift", "decay")] == []
