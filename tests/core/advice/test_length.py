"""What length an answer needs: what is asked for, what is usual, the margin and the ceiling."""

import pytest

from twokeys.core.advice.length import SMALLEST, TokenRatio, length_need, settled
from twokeys.core.advice.tasks import BY_NAME

RATIO = TokenRatio(1.5, 0.75)


@pytest.mark.parametrize(
    ("text", "amount", "unit"),
    [
        ("写一篇 2000 字的文章", 2000, "chars"),
        ("写一篇两千字的文章", 2000, "chars"),
        ("写一篇一万字的报告", 10_000, "chars"),
        ("An essay of 1,500 words", 1500, "words"),
        ("a 2.5k word essay", 2500, "words"),
        ("8 chapters of 1200 characters each", 9600, "chars"),
        ("写八章，每章约 1200 字", 9600, "chars"),
        ("Write eight chapters of about 600 words", 4800, "words"),
        ("five sections, 400 words each", 2000, "words"),
        ("给我 10 个点子，每个不超过 300 字", 3000, "chars"),
        ("列出十二条口号", 12, "items"),
        ("Give me fifteen ideas", 15, "items"),
        ("写一本书，共 20 章", 20, "chapters"),
        ("写一篇一千五百字的文章", 1500, "chars"),
        ("两千五百字", 2500, "chars"),
        ("一万二千字的报告", 12_000, "chars"),
        ("一万二的字数不够，写 1 万 5 千字", 15_000, "chars"),
        ("三百五十字以内", 350, "chars"),
        ("一百零五条", 105, "items"),
        ("约3000多字", 3000, "chars"),
        ("1千5百字", 1500, "chars"),
        ("三五百字", 500, "chars"),
        ("800-1000 字", 1000, "chars"),
        ("字数不少于 1500", 1500, "chars"),
        ("每章一千五百字，共八章", 12_000, "chars"),
        ("把这 3000 字总结成 200 字", 200, "chars"),
        ("thirty-five slogans", 35, "items"),
        ("Give me twenty-five ideas", 25, "items"),
        ("half a dozen slogans", 6, "items"),
        ("two thousand words", 2000, "words"),
        ("200 行的 Python 脚本", 200, "lines"),
        ("a 300-line script", 300, "lines"),
        ("Write three functions", 3, "functions"),
        ("写 3 个排序函数", 3, "functions"),
        ("a 2-page essay", 2, "pages"),
        ("写两页纸", 2, "pages"),
        ("写 3 段", 3, "paragraphs"),
        ("五段，每段 200 字", 1000, "chars"),
    ],
)
def test_the_length_a_message_asks_for_is_found(text: str, amount: int, unit: str) -> None:
    need = length_need(text, ratio=RATIO)
    assert (need.asked, need.unit) == (amount, unit)


@pytest.mark.parametrize(
    "text",
    [
        "什么是字符串",
        "a story with 3 characters",
        "一个月内写完",
        "你好",
        "第 3 章写一下",
        "写第三到第五章",
        "下午三点的会议通知",
        "背一下千字文",
        "三百六十行，行行出状元",
        "一张 5 行 3 列的表",
        "解释三段论",
        "GPT-4 features",
        "Explain this 300-line script",
    ],
)
def test_what_is_no_length_is_not_taken_for_one(text: str) -> None:
    assert length_need(text).source == "usual"


def test_the_pages_of_what_is_to_be_read_are_not_those_of_the_answer() -> None:
    text = "Summarise the attached report, 20 pages in English"
    assert length_need(text, BY_NAME["summary"]).source == "task"
    assert length_need(text).asked == 20


def test_long_code_is_never_offered_in_sections() -> None:
    need = length_need("a 600-line script", ceiling=4096)
    assert (need.tokens, need.over_ceiling, need.segments) == (4096, True, False)


@pytest.mark.parametrize("text", ["1," * 2000, "一二三四" * 1000, "twenty " * 600, "a 1 " * 1000])
def test_a_message_full_of_numbers_is_read_at_once(text: str) -> None:
    assert length_need(text).tokens >= SMALLEST


def test_the_need_is_what_is_asked_plus_a_fifth_in_steps_of_128() -> None:
    assert length_need("3000 字", ratio=RATIO).tokens == 2432  # 2000 tokens + 20 % = 2400, rounded up
    assert length_need("3000 words", ratio=RATIO).tokens == 4864


def test_a_length_meant_for_each_is_not_said_to_be_asked_for_once() -> None:
    need = length_need("写三条朋友圈文案，每条 50 字")
    assert (need.asked, need.pieces) == (150, 3)
    assert length_need("写 150 字").pieces == 1


def test_a_short_answer_still_gets_the_shortest_scenario() -> None:
    assert length_need("50 字以内").tokens == SMALLEST


def test_the_models_own_tokenizer_changes_the_need() -> None:
    dense, loose = TokenRatio(2.0, 0.75), TokenRatio(1.0, 0.75)
    assert length_need("3000 字", ratio=loose).tokens > length_need("3000 字", ratio=dense).tokens


def test_beyond_the_ceiling_the_length_is_cut_and_segments_are_suggested() -> None:
    need = length_need("写一篇一万字的报告", ratio=RATIO, ceiling=4096)
    assert (need.tokens, need.over_ceiling, need.segments) == (4096, True, True)
    assert need.wanted == 8064
    assert settled(3584, 3000) == 2944


def test_five_earlier_answers_speak_before_the_tasks_usual_length() -> None:
    task = BY_NAME["code"]
    assert length_need("", task, earlier_tokens=[300] * 4).source == "task"
    need = length_need("", task, earlier_tokens=[400, 900, 500, 600, 700])
    assert (need.source, need.tokens) == ("earlier", 1152)


def test_a_task_without_a_length_needs_what_its_scenario_says() -> None:
    for task in BY_NAME.values():
        assert length_need("", task).tokens == task.max_new_tokens
