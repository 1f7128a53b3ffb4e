"""Exports open as what they are, in both languages; notes come in from Markdown and DOCX."""

import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from docx import Document
from docx.oxml.ns import qn
from tests.core.writer.scripts import author

from twokeys.config import load_config
from twokeys.core.writer.project import Project
from twokeys.core.writer.view import ProjectView
from twokeys.engines.scripted import ScriptedEngine
from twokeys.errors import BadFile, BadParameter
from twokeys.manuscript import FORMATS, export_project, read_notes
from twokeys.manuscript.docx import to_docx
from twokeys.manuscript.manuscript import Manuscript, Part
from twokeys.manuscript.plain import strip_marks
from twokeys.services import build_services

RICH = """第一段有**粗体**和`code`。

- 苹果
- 梨

| 名称 | 数量 |
|---|---|
| 茶 | 3 |

```py
print("<b>")
```

<script>alert(1)</script> ![x](http://example.org/a.png)"""


@pytest.fixture
def view_of(home: Path) -> Iterator[Callable[[str], ProjectView]]:
    """Write a small project; its first section holds every kind of Markdown."""
    services = build_services(load_config(), engine=ScriptedEngine(author(zh=True)))

    def make(language: str) -> ProjectView:
        made = services.writer.new(
            Project("Tea & <leaves>", language=language, length=900 if language == "zh" else 300)
        )
        services.writer.use_rules(made)
        services.writer.start(made)
        view = services.writer.wait(made, 30)
        services.writer.edit(made, view.sections[0].node.id, RICH)
        services.writer.skip(made, view.sections[1].node.id)
        services.writer.work(made, "abstract", "abstract")
        return services.writer.wait(made, 30)

    yield make
    services.close()


@pytest.mark.parametrize("language", ["zh", "en"])
def test_docx_has_styles_a_contents_field_page_numbers_and_chinese_fonts(
    view_of: Callable[[str], ProjectView], language: str
) -> None:
    view = view_of(language)
    data = export_project(view, "docx")
    assert zipfile.ZipFile(io.BytesIO(data)).testzip() is None
    document = Document(io.BytesIO(data))
    headings = [p.text for p in document.paragraphs if p.style is not None and p.style.name == "Heading 1"]
    assert headings[0].startswith("1 ")
    body = document.element.xml
    assert 'TOC \\o "1-3"' in body
    assert "PAGE" in document.sections[0].footer._element.xml
    assert "updateFields" in document.settings.element.xml
    fonts = document.styles["Normal"].element.rPr.rFonts
    assert fonts.get(qn("w:eastAsia")) == "宋体"
    assert len(document.tables) == 1
    assert {"List Bullet", "Code"} <= {p.style.name for p in document.paragraphs if p.style is not None}


def test_docx_lists_begin_at_their_own_number_and_links_and_quotes_stay() -> None:
    text = (
        "1. one\n\n   more\n2. two\n\nBetween.\n\n5. five\n6. six\n\n"
        "> Said [here](https://example.org/a?b=1&c).\n\n[x](file:///etc/passwd)"
    )
    data = to_docx(Manuscript("T", "S", "en", (Part(1, "1", "A", text),)))
    document = Document(io.BytesIO(data))
    items = [p for p in document.paragraphs if p.style is not None and p.style.name == "List Number"]
    assert [p.text for p in items] == ["one", "two", "five", "six"]
    numbers = [p._p.pPr.numPr.numId.val for p in items]
    assert numbers[0] == numbers[1] != numbers[2] == numbers[3]
    lists = [document.part.numbering_part.element.num_having_numId(one) for one in (numbers[0], numbers[2])]
    assert [one.lvlOverride_lst[0].startOverride.val for one in lists] == [1, 5]
    styles = {p.text: p.style.name for p in document.paragraphs if p.style is not None}
    assert styles["more"] == "List Continue"
    assert styles["Said here."] == "Quote"
    [link] = [link for p in document.paragraphs for link in p.hyperlinks]
    assert (link.text, link.address) == ("here", "https://example.org/a?b=1&c")


def test_the_html_page_loads_nothing_and_shows_html_as_text(view_of: Callable[[str], ProjectView]) -> None:
    page = export_project(view_of("zh"), "html").decode()
    assert "<script>" not in page and "&lt;script&gt;" in page
    assert "<img" not in page and 'src="' not in page
    assert "Tea &amp; &lt;leaves&gt;" in page
    assert '<html lang="zh-CN">' in page
    assert "<table>" in page


def test_markdown_and_plain_text_hold_contents_and_every_section_but_the_skipped(
    view_of: Callable[[str], ProjectView],
) -> None:
    view = view_of("zh")
    for kind in ("md", "txt"):
        text = export_project(view, kind).decode()
        assert "目录" in text and "摘要" in text
        for one in view.sections:
            assert (one.node.title in text) == (one.state != "skipped")


def test_plain_text_keeps_lists_and_drops_marks() -> None:
    assert strip_marks("**a** `b`\n\n1. one\n2. two") == "a b\n\n1. one\n2. two"


def test_an_unknown_format_is_refused(view_of: Callable[[str], ProjectView]) -> None:
    with pytest.raises(BadParameter):
        export_project(view_of("en"), "pdf")
    assert FORMATS == ("md", "docx", "html", "txt")


def test_notes_are_read_from_markdown_gbk_and_docx() -> None:
    assert read_notes("# 茶\r\n\n绿茶".encode(), "a.md") == "# 茶\n\n绿茶"
    assert read_notes("绿茶".encode("gbk"), "a.txt") == "绿茶"
    document = Document()
    document.add_heading("茶", level=1)
    document.add_paragraph("绿茶的产地")
    document.add_paragraph("龙井", style="List Bullet")
    table = document.add_table(1, 2)
    table.rows[0].cells[0].text, table.rows[0].cells[1].text = "产量", "3"
    file = io.BytesIO()
    document.save(file)
    assert read_notes(file.getvalue(), "b.DOCX") == "# 茶\n\n绿茶的产地\n\n- 龙井\n\n产量 | 3"


@pytest.mark.parametrize(
    ("data", "name"), [(b"PK nonsense", "a.docx"), (b"\xff\xfe\x00\xff\xff\x81", "a.md"), (b"x", "a.pdf")]
)
def test_what_is_no_notes_is_refused(data: bytes, name: str) -> None:
    with pytest.raises(BadFile):
        read_notes(data, name)
