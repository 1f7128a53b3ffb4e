"""Drawing an answer: nothing is lost, nothing acts on the terminal."""

import io

import pytest
from rich.console import Console

from twokeys.cli.render import AnswerMarkdown, AnswerView, split_finished, visible

ANSWER = """## 温度

第一行
第二行，公式 \\(x_1\\) 和 <b>标签</b>。

- 低：稳
- 高：活

| 键 | 值 |
|---|---|
| 温度 | 0.7 |

```python
def f(x):
    # one

    return x
```

The end."""


def drawn(markup: str) -> str:
    console = Console(file=io.StringIO(), width=60, force_terminal=False)
    console.print(AnswerMarkdown(markup))
    text = str(console.file.getvalue())  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in text.splitlines())


def test_finished_blocks_and_the_growing_one_are_the_whole_text() -> None:
    for end in range(len(ANSWER) + 1):
        finished, growing = split_finished(ANSWER[:end])
        assert finished + growing == ANSWER[:end]
        assert finished.count("```") % 2 == 0, "a code block was torn apart"


def test_line_breaks_html_and_formulas_are_kept() -> None:
    text = drawn(ANSWER)
    assert "第一行\n" in text
    assert "\\(x_1\\)" in text
    assert "<b>标签</b>" in text
    assert "• 低：稳" in text


@pytest.mark.parametrize("step", [1, 3, 17])
def test_an_answer_drawn_piece_by_piece_holds_every_word_once(step: int) -> None:
    console = Console(file=io.StringIO(), width=60, height=20, force_terminal=False)
    with AnswerView(console, hint="") as view:
        for start in range(0, len(ANSWER), step):
            view.add(ANSWER[start : start + step])
    text = str(console.file.getvalue())  # type: ignore[attr-defined]
    for word in (
        "温度\n",
        "第一行",
        "第二行",
        "低：稳",
        "高：活",
        "0.7",
        "def f(x):",
        "return x",
        "The end.",
    ):
        assert text.count(word) == 1, word


def test_a_continued_answer_takes_up_its_open_code_block() -> None:
    console = Console(file=io.StringIO(), width=60, force_terminal=False)
    with AnswerView(console, hint="") as view:
        view.go_on_from("Here it is:\n\n```python\ndef f(x):\n")
        view.add("    return x\n```\n")
    text = str(console.file.getvalue())  # type: ignore[attr-defined]
    assert "Here it is" not in text
    assert "def f(x):" in text
    assert "```" not in text


def test_escape_codes_in_an_answer_become_visible_signs() -> None:
    assert visible("a\x1b[31mred\x07\r\n\tb\x9b") == "a\u241b[31mred\u2407\u240d\n\tb\ufffd"
