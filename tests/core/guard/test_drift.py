"""An answer that leaves the question's language is noticed; names, code and quotes are not."""

import pytest

from twokeys.core.guard import Guard

from .reading import of_kind, watch

ZH = "大海覆盖了地球的大部分表面，对气候有很大的影响。"
EN = "The sea covers most of the earth and has a great influence on its climate. "
ENGLISH_RUN = (
    "However, it is also important that we protect the sea and all of the animals which live in it. "
)
CHINESE_RUN = "不过同样重要的是我们要保护大海以及生活在其中的所有动物。"


def test_chinese_answer_that_turns_english_warns() -> None:
    events = of_kind(watch(ZH * 2 + ENGLISH_RUN, "请介绍大海"), "drift")
    assert [event.level for event in events] == ["warn"]
    assert events[0].data["script"] == "latin"
    assert events[0].data["start"] == len(ZH) * 2


def test_english_answer_that_turns_chinese_warns() -> None:
    events = of_kind(watch(EN * 2 + CHINESE_RUN + "\n", "Tell me about the sea"), "drift")
    assert events[0].level == "warn"
    assert events[0].data["script"] == "han"


@pytest.mark.parametrize(
    ("stray", "script"),
    [("важный вопрос", "cyrillic"), ("สำคัญมาก", "thai"), ("مهم جدا", "arabic"), ("중요합니다", "hangul")],
)
def test_stray_letters_of_another_script_warn(stray: str, script: str) -> None:
    events = of_kind(watch(ZH + f"这是一个{stray}的问题。" + ZH, "请介绍大海"), "drift", "warn")
    assert [event.data["script"] for event in events] == [script]


@pytest.mark.parametrize(
    "text",
    [
        "常用的语言有 Python、Java、JavaScript、TypeScript、Rust、Go、Swift、Kotlin、Ruby、Perl 和 Haskell。",
        "他说：“To be or not to be, that is the question of the day for all of us here.”然后走了。",
        "\n```\nThis is the output of the program and it is in English as it should be for all.\n```\n",
        "普鲁斯特（Marcel Proust, the author of In Search of Lost Time and of many other works）是作家。",
        "莫斯科（Москва）是俄罗斯的首都。",
        "公式为 $\\alpha + \\beta = \\gamma$，其中 α、β 与 γ 都是常数，Σ 表示求和。",
        '使用 `git commit -a -m "the message of this commit and of that one"` 提交。',
    ],
)
def test_names_quotes_code_and_formulas_are_welcome(text: str) -> None:
    assert of_kind(watch(ZH + text + ZH, "请介绍一下"), "drift", "warn", "stop") == []


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("请把下面的话翻译成英文：大海很美。", ENGLISH_RUN),
        ("How do I say this in Chinese: the sea is large?", CHINESE_RUN),
        ("用俄语怎么说“谢谢”？", "俄语里的“谢谢”是 спасибо，也可以说 благодарю вас。"),
        ("Write a short text in Japanese.", "海は広くて、とても美しいです。みんなで海を守りましょう。"),
    ],
)
def test_language_that_the_question_names_is_welcome(question: str, answer: str) -> None:
    assert of_kind(watch(answer, question), "drift") == []


def test_without_a_question_the_beginning_says_the_language() -> None:
    assert of_kind(watch(ZH * 3), "drift") == []
    assert of_kind(watch(ZH * 3 + ENGLISH_RUN), "drift", "warn")


def test_long_run_in_the_wrong_language_is_certain_when_stopping_is_allowed() -> None:
    guard = Guard({"drift": "stop"}, "请介绍大海")
    events = of_kind(watch(ZH + ENGLISH_RUN * 6, guard=guard), "drift")
    assert events[-1].level == "stop"
    assert guard.cut is not None
    assert guard.cut.at_char == len(ZH)
