"""Prompts typed by a person: each line with its checker, and every slip told with its line."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twokeys.core.study.judge import Judge
from twokeys.core.study.own_prompt import own_prompts
from twokeys.core.study.prompt import Checker
from twokeys.errors import BadFile, BadInput, TwoKeysError

TYPED = """
How many legs has a spider? => number: 8
圆周率是多少？ =》数字：3.14 ± 0.01

Which one is a mammal? => choice: shark, *dolphin, trout
What is the capital of France? => regex: ^Paris\\b
Write x => y as JSON. => json: {"required": ["a"], "properties": {"a": {"const": "=> b"}}}
Why is the sky blue?
"""


def test_each_line_is_a_prompt_with_its_checker(judge: Judge) -> None:
    prompts = own_prompts(TYPED)
    assert [prompt.id for prompt in prompts] == [f"own-{n}" for n in range(1, 7)]
    assert [prompt.language for prompt in prompts] == ["en", "zh", "en", "en", "en", "en"]
    assert prompts[1].text == "圆周率是多少？" and prompts[4].text == "Write x => y as JSON."
    assert [prompt.checker for prompt in prompts[:4]] == [
        Checker("number", 8.0),
        Checker("number", 3.14, tolerance=0.01),
        Checker("choice", "dolphin", ("shark", "dolphin", "trout")),
        Checker("regex", r"^Paris\b"),
    ]
    assert prompts[5].checker is None
    json_checker = prompts[4].checker
    assert json_checker is not None and judge.judge(json_checker, '{"a": "=> b"}').right
    assert not judge.judge(json_checker, '{"b": 1}').right


@pytest.mark.parametrize(
    ("line", "zh", "en"),
    [
        ("Why?", "怎么判对错", "how its answer is judged"),
        ("Why? => nubmer: 8", "不是“nubmer”", "not “nubmer”"),
        ("=> number: 8", "在箭头前面写上题目", "a question before the arrow"),
        ("How many? => number: eight", "一个数", "a number"),
        ("How many? => number: 1.2.3", "一个数", "a number"),
        ("How many? => number: 1e999", "一个数", "a number"),
        ("Which? => choice: a, b", "正确的一个前面加 *", "a * before the right one"),
        ("Which? => choice: *a, *b", "正确的一个前面加 *", "a * before the right one"),
        ("Which? => choice: *a", "至少两个选项", "two options or more"),
        ("What? => regex: (", "正则表达式（", "a regular expression ("),
        ("What? => regex:", "一个正则表达式", "a regular expression"),
        ("What? => json: {name", "JSON Schema 对象", "a JSON Schema object"),
        ("What? => json: [1]", "JSON Schema 对象", "a JSON Schema object"),
        ('What? => json: {"type": "objekt"}', "合法的 JSON Schema", "a valid JSON Schema"),
        ('What? => json: {"$ref": "http://a.b/c"}', "只引用自身", "refers to itself only"),
    ],
)
def test_a_slip_is_told_with_its_line_in_both_languages(line: str, zh: str, en: str) -> None:
    with pytest.raises(BadInput) as refused:
        own_prompts(f"One? => number: 1\n\n{line}", checked=True)
    assert zh in refused.value.message("zh") and "第 3 行" in refused.value.message("zh")
    assert en in refused.value.message("en") and "line 3" in refused.value.message("en")


def test_blocks_of_a_study_file_are_taken_too() -> None:
    block = '[[prompt]]\ntext = """\nA\nB"""\nchecker = { kind = "number", value = 2 }\n'
    prompts, two = own_prompts(block + block, checked=True)
    assert (prompts.id, prompts.text, two.id) == ("own-1", "A\nB", "own-2")
    with pytest.raises(BadInput, match="own-1"):
        own_prompts('[[prompt]]\ntext = "A"', checked=True)
    for bad in ("text = ", 'text = "A"\nchecker = "number"', 'text = "A"\n[grid]\ntop_k = [1]'):
        with pytest.raises((BadFile, BadInput)):
            own_prompts(f"[[prompt]]\n{bad}")


@given(st.text(alphabet='a=>＝：: *,.±0-9{}[]"number\n选择', max_size=80))
def test_no_text_breaks_the_reader(text: str) -> None:
    with contextlib.suppress(TwoKeysError):
        own_prompts(text)
