"""A model's text on a page of Streamlit's: read by our reader alone, with nothing left for Streamlit's."""

import ast
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from twokeys.ui.model_text import Mark, markup

UI = Path(__file__).resolve().parents[2] / "src" / "twokeys" / "ui"
OURS = {"model_text.py", "views/handbook.py", "downloads.py"}
"""Files that may call st.markdown: the way to it, a chapter of the handbook, a text of the catalogue."""

HOSTILE = """![words](https://elsewhere.example/x.png?leak=secret) <img src="https://elsewhere.example/y.png">

<script>alert(1)</script> <div onclick="alert(2)">**bold**</div>

It costs $price$ or $5, not :red[more] :material/home: :smile: and ![also][ref].

[a](javascript:alert(3)) [b](/settings) [c](https://elsewhere.example/)

```html

<img src="https://elsewhere.example/z.png">

# no heading
```

[ref]: https://elsewhere.example/w.png
"""


class _Tags(HTMLParser):
    """Collects the tags with their attributes, and the text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def seen(text: str, marks: tuple[Mark, ...] = ()) -> _Tags:
    html = markup(text, marks)
    assert "\n" not in html and html.startswith("<div"), "one line is one block of HTML"
    result = _Tags()
    result.feed(html)
    return result


def test_nothing_of_a_hostile_text_is_fetched_run_or_read_a_second_time() -> None:
    result = seen(HOSTILE)
    names = [name for name, _ in result.tags]
    assert set(names) == {"div", "p", "a", "pre", "code", "strong"} and names.count("div") == 1
    assert {name for _, given in result.tags for name in given} <= {"class", "href"}
    links = [given["href"] for name, given in result.tags if name == "a"]
    assert all(link and link.startswith("https://elsewhere.example/") for link in links) and len(links) == 3
    for piece in (
        "<img src=",
        "<script>alert(1)</script>",
        "$price$ or $5",
        ":red[more]",
        ":smile:",
        "[b](/",
    ):
        assert piece in result.text, piece
    assert "![" not in result.text.partition("<img src")[0] and "# no heading" in result.text
    assert ":material/" not in markup(HOSTILE) and ":material/home:" in result.text


def test_formulas_tables_and_emphasis_are_shown() -> None:
    names = [name for name, _ in seen("**a** $x^2$\n\n| a |\n|---|\n| b |\n\n1. one").tags]
    assert {"strong", "math", "msup", "table", "td", "ol"} <= set(names)


def test_sentences_are_marked_where_they_stand_and_a_text_cannot_mark_itself() -> None:
    text = "One. Two & two. \ue000Three.\ue001"
    result = seen(text, (Mark(5, 15), Mark(0, 4)))
    assert markup(text, (Mark(5, 15),)).count("<mark>") == 1
    assert re.findall("<mark>(.*?)</mark>", markup(text, (Mark(5, 15), Mark(0, 4)))) == [
        "One.",
        "Two &amp; two.",
    ]
    assert [name for name, _ in result.tags].count("mark") == 2


@pytest.mark.parametrize("path", sorted(UI.rglob("*.py")), ids=lambda path: path.name)
def test_only_texts_of_ours_go_through_streamlits_markdown(path: Path) -> None:
    calls = [
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr == "markdown" and ast.unparse(node.value) == "st"
    ]
    assert not calls or path.relative_to(UI).as_posix() in OURS
