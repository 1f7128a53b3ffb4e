"""Lists and tables that go in circles are noticed at their third copies; honest ones are left alone."""

import pytest

from .reading import of_kind, watch

ASKED = "静音小风扇，给我二十个优点。"


@pytest.mark.parametrize(
    "line",
    ["{n}. 高效\n", "{n}. **Fast**\n", "{n}、安静\n", "({n}) quiet\n", "{n}. 小巧。\n", "第{n}条：安静\n"],
)
def test_one_item_numbered_on_and_on_is_warned_of_at_its_third_copy(line: str) -> None:
    text = "".join(line.format(n=n) for n in range(1, 30))
    events = of_kind(watch(text, ASKED, step=1), "loop", "warn", "stop")
    assert events[0].at_char <= len("".join(line.format(n=n) for n in range(1, 4)))
    assert events[-1].level == "stop"


def test_a_list_that_goes_round_three_items_is_warned_of() -> None:
    items = ["Calm", "Light", "Strong"] * 8
    text = "".join(f"{n}. {item}\n" for n, item in enumerate(items, start=1))
    assert of_kind(watch(text, step=1), "loop", "warn", "stop")


def test_rows_of_a_table_that_differ_in_their_counter_alone_are_a_loop() -> None:
    rows = "".join(f"| {n} | 高效 | 支持 |\n" for n in range(1, 20))
    assert of_kind(
        watch("| 序号 | 优点 | 状态 |\n|---|---|---|\n" + rows, ASKED, step=1), "loop", "warn", "stop"
    )


@pytest.mark.parametrize(
    "text",
    [
        "1. Ada\n2. Bo\n3. Cy\n4. Di\n5. Ed\n6. Flo\n7. Gus\n8. Hal\n9. Ida\n",
        "".join(f"| Item {n} | yes | yes | no |\n" for n in range(1, 20)),
        "1. Open it.\n2. Press OK.\n3. Close it.\n4. Press OK.\n5. Wait.\n6. Press OK.\n",
        "10.2 Million\n10.3 Million\n10.4 Million\n10.5 Million\n",
    ],
)
def test_lists_and_tables_that_say_something_new_are_left_alone(text: str) -> None:
    assert of_kind(watch(text, step=1), "loop", "warn", "stop") == []


@pytest.mark.parametrize("text", ["总体思路 3" + ".1" * 60, "Heading 2" + ".1.1" * 40, "好！" + "！" * 200])
def test_a_number_that_grows_and_a_row_of_one_sign_are_ended(text: str) -> None:
    assert of_kind(watch(text, ASKED, step=1), "loop")[-1].level == "stop"


@pytest.mark.parametrize(
    "text", ["Version 1.1.1.1 of 10.0.0.1.\n", "-" * 300 + "\n", "Wait!!!!! What?!?!?!\n"]
)
def test_versions_rules_and_shouting_are_left_alone(text: str) -> None:
    assert of_kind(watch(text, step=1), "loop", "warn", "stop") == []
