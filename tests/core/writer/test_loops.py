"""Loops in a section that has ended, and texts that only look like one."""

import pytest
from tests.core.making import MakeServices

from twokeys.core.writer.loops import find_loop, goes_in_circles
from twokeys.core.writer.project import Project
from twokeys.core.writer.prose import clean_answer
from twokeys.engines.scripted import Say, ScriptedEngine
from twokeys.types import GenerationRequest

from .scripts import author, prose

GOOD = (
    "总体思路是先把问题分开，再逐个解决。每一步都要留下记录，方便以后查看。大家按同样的办法做，结果才好比较。"
)


@pytest.mark.parametrize(
    "loop",
    [
        "3." + "1." * 200,
        "3.1.1.1.1.1.1.1.1.1",
        "哈" * 40,
        "很好，" * 12,
        "非常非常" * 12,
        "第一步是收集数据，" * 6,
        "首先要明确目标并且把它写下来，让每个人都能看到它，然后再开始做。" * 3,
        "- 高效\n" * 8,
        "".join(f"{n}. 高效\n" for n in range(1, 20)),
        "".join(f"{n}. {name}\n" for n, name in enumerate(["风行者", "静音王", "小旋风"] * 4, 1)),
        "0, " * 40,
        "and so on and " * 8,
    ],
)
def test_a_loop_is_cut_and_the_good_text_stays(loop: str) -> None:
    begins = find_loop(f"{GOOD}\n\n{loop}")
    assert begins is not None
    assert len(GOOD) <= begins < len(GOOD) + 60


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        prose(400, 3),
        prose(600, 5, zh=True),
        "| a | b |\n|---|---|\n" + "| 0 | 0 |\n" * 12,
        "```\n" + "x = 0\n" * 12 + "```",
        "- [ ] milk\n- [ ] tea\n- [ ] rice\n- [ ] salt",
        "1. 准备\n2. 执行\n3. 检查\n4. 准备下一轮",
        "Row, row, row your boat, gently down the stream. Merrily, merrily, merrily, life is a dream.",
        "他笑了：哈哈哈哈！她也笑了：哈哈哈！",
        "见 3.1.1、3.1.2 和 3.1.3 节；版本 1.1.1.1 已经过时。",
        "The sum is $1+1+1+1+1+1+1+1+1+1+1+1+1$ and no more.",
        "一亿是 100000000，一万亿是 1000000000000。",
        "——————————————\n\n* * *\n\n……………………",
        "Tick, tock. Tick, tock. The clock went on.",
    ],
)
def test_what_only_looks_like_one_is_left_alone(text: str) -> None:
    assert find_loop(text) is None


def test_a_text_that_goes_in_circles_is_told_by_its_repetition() -> None:
    assert not goes_in_circles(prose(600, 5, zh=True), 8)
    phrases = ("数据质量决定了模型的上限", "模型的上限取决于数据质量")
    text = "".join(f"因此{phrases[n % 2]}，这是第{n}次说明。" for n in range(20))
    assert goes_in_circles(text, 8)


def test_the_section_s_own_heading_is_taken_off() -> None:
    title = "总体思路：要点"
    for heading in (
        "3.1.1 节《总体思路：要点》",
        "**3.1.1 节《总体思路》**",
        "## 第 3.1.1 节《总体思路：要点》",
        "3.1《总体思路：要点》",
    ):
        assert clean_answer(f"{heading}\n\n{GOOD}", title) == GOOD
    assert clean_answer('Section 3.1: "Goals"\n\nText of it.', "Goals") == "Text of it."


@pytest.mark.parametrize("automatic", [False, True])
def test_a_number_loop_is_no_finished_section(make_services: MakeServices, automatic: bool) -> None:
    usual = author(zh=True)
    first: list[str] = []

    def script(request: GenerationRequest) -> list[Say]:
        question = request.messages[-1].content
        if request.json_schema is None and not first:
            first.append(question)
            return [Say(f"3.1.1 节《总体思路：要点》\n\n{GOOD}\n\n3.1" + ".1" * 12)]
        return list(usual(request))  # type: ignore[arg-type]

    services = make_services(ScriptedEngine(script))
    writer = services.writer
    made = writer.new(Project("茶", language="zh", length=1200))
    writer.make_outline(made)
    writer.wait(made, 20)
    node = writer.outline(made).sections[0].id
    if automatic:
        writer.start(made)
    else:
        writer.work(made, node, "write")
    section = writer.wait(made, 60).section(node)
    assert section is not None
    assert ".1.1" not in section.text and "节《" not in section.text
    assert section.text.startswith(GOOD[:10])
    if automatic:
        assert section.problem is None
    else:
        assert (section.problem, section.text) == ("loop", GOOD)
        writer.fix(made, node)
        mended = writer.wait(made, 30).section(node)
        assert mended is not None and mended.problem is None
