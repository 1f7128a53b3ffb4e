"""Clean text, ends of sentences, what is said twice, terms in two spellings, figures."""

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twokeys.core.metrics import repetition, text_tokens
from twokeys.core.writer.budget import LengthEstimator
from twokeys.core.writer.project import Project
from twokeys.core.writer.prose import (
    clean_answer,
    drop_bare_marks,
    drop_said,
    is_whole,
    key,
    runs_on,
    sentences,
    trim_to_sentence,
)
from twokeys.core.writer.quality import QualityMeter, find_repeated, find_variants, measure
from twokeys.core.writer.summary import TermIndex, relevant_notes
from twokeys.i18n import translate

from .scripts import prose


@pytest.mark.parametrize(
    ("answer", "clean"),
    [
        ("好的，以下是正文：\n\n第一段。", "第一段。"),
        ("# 2.1 茶的历史\n\n茶很古老。", "茶很古老。"),
        ("**茶的历史**\n茶很古老。\n\n## 唐代\n茶兴于唐。", "茶很古老。\n\n**唐代**\n茶兴于唐。"),
        ("```py\n# comment\n```", "```py\n# comment\n```"),
        ("茶的历史悠久。", "茶的历史悠久。"),
    ],
)
def test_an_answer_becomes_text_of_the_document(answer: str, clean: str) -> None:
    assert clean_answer(answer, "茶的历史") == clean


@pytest.mark.parametrize(
    ("answer", "title", "clean"),
    [
        ("标题：建筑条件的评估\n\n正文：\n先看场地。", "建筑条件的评估", "先看场地。"),
        ("标题：先看什么\n\n**正文：** 先看场地。", "建筑条件的评估", "先看场地。"),
        ("**正文：先看场地。**", "建筑条件的评估", "先看场地。"),
        ("《结论》：总结经验。\n\n经验有三条。", "结论", "总结经验。\n\n经验有三条。"),
        ("第 2.1 节：选址\n\n先看场地。", "选址", "先看场地。"),
        ("【正文】\n---\n先看场地。", "选址", "先看场地。"),
        (
            "现在写第 2.3 节《选址》，它属于《运营》。\n篇幅：约 300 字，2 段。\n\n先看场地。",
            "选址",
            "先看场地。",
        ),
        ("Title: Water first\n\nText: Heat the water.", "Water first", "Heat the water."),
        ('**Title:** "All About Water"\n\nHeat the water.', "Water first", "Heat the water."),
        ("Section 2: Water first\nHeat the water.", "Water first", "Heat the water."),
        ("## Section 2.1: Why it boils\n\nHeat the water.", "Water first", "Heat the water."),
        ("Introduction: Heat the water.\n\nThen wait.", "Introduction", "Heat the water.\n\nThen wait."),
        ("**Introduction**\n===\n\nHeat the water.", "Introduction", "Heat the water."),
        ("Here is your section.\n\nHeat the water.", "Water first", "Heat the water."),
        ("Heat it.\n\n3. Now write section 1, “The water first”.", "Water first", "Heat it."),
        ("Title: Heat the water. Then wait.", "Water first", "Heat the water. Then wait."),
    ],
)
def test_a_label_before_the_text_is_dropped(answer: str, title: str, clean: str) -> None:
    assert clean_answer(answer, title) == clean


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("标题要短，正文要清楚。", "怎样写邮件"),
        ("标题：一句话。\n作者：写信的人。", "怎样写邮件"),
        ("内容：写什么。\n语气：怎么写。", "怎样写邮件"),
        ("第一节课上，老师说：今天讲水。", "开学"),
        ("第一条：不迟到。\n第二条：不早退。", "规则"),
        ("题目是什么？先读一遍。", "审题"),
        ("结论：水很重要。\n依据：三次试验。", "结论"),
        ("先看场地。\n\n正文：这是引文。", "选址"),
        ("Text is what readers see first.", "Pages"),
        ("Text: what readers see.\nImages: what they remember.", "Pages"),
        ("Title: The Hobbit\nAuthor: J. R. R. Tolkien", "A book"),
        ("Section 1: Heat the water.\nSection 2: Wait.", "Water first"),
        ("Introduction to tea is easy.", "Introduction"),
        ("Here is a text. It is short.", "Pages"),
        ("Here is a pot of clay.\n\nIt keeps the heat.", "Pots"),
        ("Note: tea is hot.\n\nDrink slowly.", "Water first"),
        ("```\nTitle: x\n```", "Water first"),
    ],
)
def test_what_only_looks_like_a_label_stays(text: str, title: str) -> None:
    assert clean_answer(text, title) == text


@pytest.mark.parametrize("language", ["zh", "en"])
def test_lines_of_the_task_do_not_stand_in_the_text(language: Literal["zh", "en"]) -> None:
    def say(key: str, **values: object) -> str:
        return translate(f"writingprompt.{key}", language, **values)

    above = say("above", titles="Tea")
    for line in (
        say("place", number="2.1", title="Water", above=above),
        say("place", number="2", title="Water", above=""),
        say("length", length=300, paragraphs=2),
        say("start", title="Water"),
    ):
        assert clean_answer(f"Heat it.\n\n{line}\n\nThen wait.", "Water") == "Heat it.\n\nThen wait."
    other = say("place", number="2.2", title="Leaves", above=above)
    assert clean_answer(f"Heat it.\n\n{other}\n\nPick them.", "Water", ["Leaves"]) == "Heat it."


def test_an_answer_that_runs_on_into_another_section_ends_there() -> None:
    answer = "**1.1.1 预算**\n先算清钱。\n\n**1.2 选址**\n找一处房子。"
    assert clean_answer(answer, "需求分析", ["选址", "运营"]) == "**1.1.1 预算**\n先算清钱。"
    assert runs_on(answer, "需求分析", ["选址"]) and not runs_on(answer, "需求分析", ["运营"])


def test_sentences_said_word_for_word_are_left_out() -> None:
    said = {key("The town is a place where people live together.")}
    text = "The town is a place where people live together. New matter begins here and stays.\n\nOne more."
    assert drop_said(text, said) == ("New matter begins here and stays.\n\nOne more.", 1)
    looping = "Tea is made of leaves and water. " * 3
    assert drop_said(looping.strip(), set()) == ("Tea is made of leaves and water.", 2)


def test_sentences_end_where_readers_end_them() -> None:
    text = "It costs 3.5 dollars. Really? Yes!\n- an item\n她说：“走。”他走了。"
    assert [sentence.text for sentence in sentences(text)] == [
        "It costs 3.5 dollars.",
        "Really?",
        "Yes!",
        "- an item",
        "她说：“走。”",
        "他走了。",
    ]
    assert all(text[sentence.start : sentence.end] == sentence.text for sentence in sentences(text))


def test_a_cut_text_is_trimmed_to_its_last_sentence() -> None:
    assert trim_to_sentence("第一句说完了。第二句说完了。第三句没有") == "第一句说完了。第二句说完了。"
    assert trim_to_sentence("One long sentence without any end") == "One long sentence without any end"
    assert is_whole("Done.") and not is_whole("not don")


def test_near_duplicates_across_sections_are_found_with_where() -> None:
    texts = [
        ("a", "水是生命之源，我们每天都离不开它的滋养。天很蓝。"),
        ("b", "另一个话题在这里展开，内容完全不同。水是生命之源，我们每天都离不开它的滋润。"),
    ]
    [repeated] = find_repeated(texts)
    assert (repeated.place.section, repeated.before.section) == ("b", "a")
    assert texts[1][1][repeated.place.start : repeated.place.end] == repeated.place.text
    assert find_repeated([("a", prose(400, 1)), ("b", prose(400, 2))]) == []


def test_terms_in_two_spellings_are_found() -> None:
    texts = [("a", "We use fine-tuning here. The Finetuning helps."), ("b", "More fine-tuning of it.")]
    [variants] = find_variants(texts, "en")
    assert variants.spellings[0] == ("fine-tuning", 2, ("a", "b"))
    [pair] = find_variants([("a", "请登录系统。"), ("b", "再次登陆。")], "zh")
    assert {spelling[0] for spelling in pair.spellings} == {"登录", "登陆"}


def test_terms_in_use_are_the_ones_that_come_often() -> None:
    text = "注意力机制很重要。注意力机制能聚焦。研究者改进注意力机制。注意力机制与GPU、GPU有关。"
    terms = TermIndex("zh").of([text])
    assert terms[0] == "注意力机制" and "GPU" in terms


def test_notes_are_chosen_by_what_the_section_is_about() -> None:
    notes = "茶树生长在南方的山上。\n\n咖啡来自埃塞俄比亚。\n\n瓷器出口欧洲。"
    assert relevant_notes(notes, "咖啡的来历", LengthEstimator(0.7), 30).startswith("咖啡")


def test_figures_of_the_whole_follow_the_length_score() -> None:
    project = Project("x", language="en", length=200)
    quality = measure(project, {"a": 100, "b": 100}, [("a", "one " * 100), ("b", "one " * 50)])
    assert (quality.asked, quality.length) == (200, 150)
    assert quality.score == pytest.approx(100 * (1 - (200 / 150 - 1) / 2))
    assert quality.sections[1].score == pytest.approx(50.0)
    assert quality.sections[1].repeated == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("1. One.\n\n2. Two.\n\n3.", "1. One.\n\n2. Two."),
        ("Before:\n\n1. \n\n2. \n\n3. Three", "Before:\n\n3. Three"),
        ("- \n- kept\n*", "- kept"),
        ("He lived in 1821.\nAnd 3.5 is a number", "He lived in 1821.\nAnd 3.5 is a number"),
        ("```\n1.\n```", "```\n1.\n```"),
    ],
)
def test_a_list_item_without_text_goes(text: str, left: str) -> None:
    assert drop_bare_marks(text) == left


PHRASES = ("海上的灯塔亮了。", "工程师看见《白鲸》。", "the harbor light", "Qwen GPU", "海上的灯塔", "一", "")
TEXTS = st.lists(
    st.tuples(st.sampled_from("abcd"), st.lists(st.sampled_from(PHRASES), max_size=12).map("".join)),
    max_size=5,
    unique_by=lambda pair: pair[0],
)


@given(st.lists(TEXTS, max_size=6), st.sampled_from(["zh", "en"]))
def test_what_was_measured_before_changes_no_figure(
    states: list[list[tuple[str, str]]], language: str
) -> None:
    project = Project("Tea", language=language)
    meter, index = QualityMeter(language), TermIndex(language)
    for texts in states:
        assert meter.read(project, {"a": 40}, texts) == measure(project, {"a": 40}, texts)
        plain = [text for _, text in texts]
        assert index.of(plain) == TermIndex(language).of(plain)


def test_rep_n_counts_what_stands_across_two_sections_as_the_whole_text_does() -> None:
    texts = [("a", "one two three"), ("b", "four"), ("c", "five six one two three four five")]
    quality = measure(Project("Tea", language="en"), {}, texts)
    whole = text_tokens(" ".join(text for _, text in texts))
    assert quality.rep_n == pytest.approx(repetition(whole, 4))
    assert quality.rep_n > 0
