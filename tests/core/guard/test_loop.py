"""Loops are found in time, in both languages; data, code and poems are left alone."""

import json

import pytest

from twokeys.core.guard import Guard
from twokeys.types import GuardEvent

from .reading import of_kind, watch

EN = "The lighthouse stood at the edge of the bay. Every evening the keeper climbed its stairs. "
ZH = "灯塔立在海湾的尽头。每天傍晚，看守人都会爬上那道楼梯。"
UNIT_EN = "She wrote a letter to her brother, and the wind carried it across the water. "
UNIT_ZH = "她给弟弟写了一封信，风把信吹过了水面。"
WORDS = [
    "river",
    "stone",
    "early",
    "garden",
    "window",
    "over",
    "answer",
    "little",
    "bread",
    "silver",
    "under",
    "north",
    "carry",
    "second",
    "open",
    "quiet",
    "summer",
    "hand",
    "letter",
    "road",
    "again",
    "blue",
    "forest",
    "market",
    "always",
    "seven",
    "horse",
    "told",
    "begin",
    "bright",
]


def many_words(count: int) -> str:
    """A text of `count` words in which no order of words comes twice."""
    return " ".join(
        WORDS[(n * n + 3 * n + n // 7) % len(WORDS)] + WORDS[(5 * n) % 29][:2] for n in range(count)
    )


def alarms(events: list[GuardEvent]) -> list[str]:
    """The levels that were told, without quiet notes."""
    return [event.level for event in events if event.level != "note"]


@pytest.mark.parametrize("text", [" very", "正确", "Puttin' on the Ritz.\n"])
def test_a_word_or_line_four_times_in_a_row_gets_a_quiet_note_at_once(text: str) -> None:
    events = of_kind(watch(EN + text * 4, step=1), "loop")
    assert [event.level for event in events][:1] == ["note"]
    assert events[0].at_char <= len(EN) + 4 * len(text)


@pytest.mark.parametrize("text", [" " * 40, "\n" * 20, "- " * 30, "0, " * 30], ids=repr)
def test_rules_and_blanks_get_no_note(text: str) -> None:
    assert of_kind(watch(EN + text, step=1), "loop") == []


def test_copies_with_a_changed_word_get_a_quiet_note_before_the_fourth_is_over() -> None:
    unit = ["the", "old", "mill", "by", "the", "river", "turns", "slowly", "in", "the", "autumn", "wind"]
    copies = []
    for number in range(12):
        copy = list(unit)
        copy[(7 * number) % len(unit)] = WORDS[number]
        copies.append(" ".join(copy) + " ")
    events = of_kind(watch(many_words(60) + " " + "".join(copies), step=1), "loop")
    assert events[0].level == "note"
    assert events[0].at_char <= len(many_words(60)) + 1 + sum(map(len, copies[:4]))


@pytest.mark.parametrize(("before", "unit"), [(EN, UNIT_EN), (ZH, UNIT_ZH)], ids=["en", "zh"])
def test_repeated_sentence_warns_before_the_fourth_copy_is_over(before: str, unit: str) -> None:
    events = of_kind(watch(before + unit * 8), "loop")
    [warned, *_] = [event for event in events if event.level == "warn"]
    assert warned.at_char <= len(before) + 4 * len(unit)
    assert alarms(events) == ["warn", "stop"]


@pytest.mark.parametrize("words", [3, 8, 20, 60, 150, 400])
def test_cycles_of_any_period_are_found(words: int) -> None:
    unit = many_words(words) + " and so "
    events = of_kind(watch(EN + unit * 5), "loop")
    assert events and events[0].at_char <= len(EN) + 4 * len(unit)


@pytest.mark.parametrize("replaced", ["brother", "water"])
def test_sentences_with_one_word_changed_each_time_are_a_loop(replaced: str) -> None:
    others = ("sister", "mother", "teacher", "friend", "uncle", "doctor", "cousin", "neighbour")
    text = EN + "".join(UNIT_EN.replace(replaced, other) for other in others)
    assert of_kind(watch(text), "loop", "warn", "stop")


def test_numbered_list_that_says_the_same_is_a_loop() -> None:
    items = "".join(f"{n}. 保持规律的作息，每天按时睡觉和起床。\n" for n in range(1, 12))
    events = of_kind(watch("以下是一些建议：\n" + items), "loop")
    assert alarms(events) == ["warn", "stop"]


def test_numbered_list_with_bold_words_is_a_loop() -> None:
    items = "".join(f"{n}. **Fantasy**: Books can offer a fantasy genre.\n" for n in range(7, 20))
    events = of_kind(watch("Here are reasons to read books:\n" + items), "loop")
    assert alarms(events) == ["warn", "stop"]
    assert events[0].at_char <= 32 + len(items) * 5 // 13


def test_sentences_that_return_in_changing_order_are_a_loop() -> None:
    sentences = [
        "The sea gives food to many people. ",
        "Its water keeps the climate mild. ",
        "Ships carry goods from shore to shore. ",
        "Scientists still find new species there. ",
    ]
    order = (0, 1, 2, 3, 2, 0, 3, 1, 3, 2, 1, 0, 1, 3, 0, 2, 0, 2, 1, 3)
    assert of_kind(watch("".join(sentences[n] for n in order)), "loop", "warn", "stop")


def test_cut_keeps_everything_before_the_second_copy() -> None:
    guard = Guard({}, "写一篇故事")
    text = ZH + UNIT_ZH * 8
    watch(text, guard=guard)
    assert guard.cut is not None
    assert text[: guard.cut.at_char] == ZH + UNIT_ZH


def test_loop_inside_a_code_fence_closes_the_fence() -> None:
    body = "def area(width, height):\n    result = width * height\n    print(result)\n    return result\n\n"
    guard = Guard({}, "Write code")
    text = "Here is the code.\n\n```python\nimport math\n" + body * 12
    watch(text, guard=guard)
    assert guard.cut is not None
    retained = text[: guard.cut.at_char] + guard.cut.suffix
    assert retained.count("```") == 2
    assert retained.endswith("return result\n```")


def test_second_loop_after_a_harmless_one_is_told_again() -> None:
    guard = Guard({"loop": "warn"}, "Write")
    text = (
        EN + UNIT_EN * 4 + many_words(300) + ". " + "And the boat went out into the fog without a sound. " * 4
    )
    assert len(of_kind(watch(text, guard=guard), "loop")) >= 2


CALM = {
    "markdown table": "| Name | Cold | Warm |\n|---|---|---|\n"
    + "".join(f"| Item {n} | yes | {'no' if n % 3 else 'yes'} |\n" for n in range(60)),
    "zeros": "int table[] = {" + "0x00, " * 60 + "};",
    "json": "["
    + ",\n".join(json.dumps({"id": n, "name": f"n{n}", "active": True, "tags": []}) for n in range(40))
    + "]",
    "log": "".join(
        f"2024-05-{n % 28 + 1:02} 10:{n % 60:02}:07 INFO worker[{n * 37}] GET /items/{n} took {n % 90} ms\n"
        for n in range(80)
    ),
    "counting": ", ".join(str(n) for n in range(400)),
    "times table": "\n".join(f"{a} × {b} = {a * b}" for a in range(2, 6) for b in range(1, 13)),
    "rule": "Title\n" + "=" * 78 + "\n\nText of the section follows here.\n" + "-" * 78 + "\n",
    "refrain en": "".join(
        f"{verse}\nOh, the wind and the rain,\nfor the rain it raineth every day.\n\n"
        for verse in (
            "When that I was and a little tiny boy,",
            "But when I came to man's estate,",
            "But when I came, alas, to wive,",
            "But when I came unto my beds,",
            "A great while ago the world begun,",
        )
    ),
    "refrain zh": (
        "采采芣苢，薄言采之。采采芣苢，薄言有之。\n采采芣苢，薄言掇之。采采芣苢，薄言捋之。\n采采芣苢，薄言袺之。采采芣苢，薄言襭之。\n"
    ),
    "emphasis": "It is very, very, very good. 真的非常非常非常好。哈哈哈哈！",
}


@pytest.mark.parametrize("name", CALM)
def test_normal_text_does_not_alarm(name: str) -> None:
    events = watch(CALM[name], "Show an example in English and 中文 please")
    assert of_kind(events, "loop", "warn", "stop") == []
    assert name.startswith("refrain") or of_kind(events, "loop") == []


def test_a_unit_with_two_like_parts_is_a_loop_although_the_parts_are_nearer_to_each_other() -> None:
    part = '    return ExtraFieldError("SubField {name} is a reference")\n        if ref $pair->[{n}] ;\n\n'
    unit = part.format(n=0, name="ID") + part.format(n=1, name="Data")
    loops = of_kind(watch("use strict;\n\n" + unit * 6, "Write the checks."), "loop", "warn", "stop")
    assert loops
    assert loops[0].data["period_chars"] == len(unit)


LINES_OF_NUMBERS = (
    "    set l [expr {{([lindex $V {0}] << 16) | ([lindex $V {1}] << 8) | [lindex $V {2}]}}]\n"
    "    append result [to64 $l 4]\n"
)


def test_lines_of_code_with_several_numbers_of_their_own_are_no_loop() -> None:
    lines = [LINES_OF_NUMBERS.format(n, n + 6, n + 12) for n in range(5)]
    text = "proc md5crypt {pw salt} {\n" + "".join(lines)
    assert not of_kind(watch(text, "Write the procedure."), "loop", "warn", "stop")


def test_code_that_comes_again_with_a_word_changed_here_and_there_is_a_loop() -> None:
    lines = [
        "def handle(request: Request) -> Response:\n",
        '    if request.method == "POST" and request.body:\n',
        "        record = parse_record(request.body)\n",
        "        storage.insert(record, replace=True)\n",
        '    return Response(status=201, headers={"Location": request.path})\n\n',
    ]
    unit = "".join(lines)
    copies = []
    for n, word in enumerate(("record", "insert", "status", "method", "replace", "headers")):
        at = unit.index(word)
        copies.append(unit[:at] + ("other", "water")[n % 2] + unit[at + len(word) :])
    text = "import http\n\n" + "".join(copies)
    loops = of_kind(watch(text, "Write the handler."), "loop", "warn", "stop")
    assert loops
    assert loops[0].at_char <= len("import http\n\n") + sum(map(len, copies[:4]))
