"""Exports open as what they are, in both languages; notes come in from Markdown and DOCX."""

import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from docx import Document
from docx.oxml.ns import qn
from tests.core.writer.scripts import author

from twokeys.config import load_config
from twokeys.core.writer.project import Project
from twokeys.core.writer.view import ProjectView
from twokeys.engines.scripted import ScriptedEngine
from twokeys.errors import BadDocument, BadParameter
from twokeys.manuscript import FORMATS, export_project, read_notes
from twokeys.manuscript.docx import to_docx
from twokeys.manuscript.formula import parse_formula
from twokeys.manuscript.manuscript import Manuscript, ManuscriptPart
from twokeys.manuscript.page import render
from twokeys.manuscript.plain import strip_marks
from twokeys.manuscript.reader import read
from twokeys.services import build_services

RICH = """第一段有**粗体**和`code`。

- 苹果
- 梨

| 名称 | 数量 |
|---|---|
| 茶 | 3 |

```py
print("<b>")
print()
```

<script>alert(1)</script> ![x](http://example.org/a.png)"""

FORMULAS = r"""Within $e^{-k_1 t}$, $5 or $6, and $\begin{x}a_1*b*c\end{x}$.

$$\frac{dc}{dt} = k (c_\infty - c) * \sqrt{2}$$"""


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
    assert "PAGE" in document.sections[0].footer._element.xml
    assert "updateFields" in document.settings.element.xml
    fonts = document.styles["Normal"].element.rPr.rFonts
    assert fonts.get(qn("w:eastAsia")) == "SimSun"
    assert len(document.tables) == 1
    assert {"List Bullet", "Code"} <= {p.style.name for p in document.paragraphs if p.style is not None}


def test_docx_lists_begin_at_their_own_number_and_links_and_quotes_stay() -> None:
    text = (
        "1. one\n\n   more\n2. two\n\nBetween.\n\n5. five\n6. six\n\n"
        "> Said [here](https://example.org/a?b=1&c).\n\n[x](file:///etc/passwd)"
    )
    data = to_docx(Manuscript("T", "S", "en", (ManuscriptPart(1, "1", "A", text),)))
    document = Document(io.BytesIO(data))
    items = [p for p in document.paragraphs if p.style is not None and p.style.name == "List Number"]
    assert [p.text for p in items] == ["one", "two", "five", "six"]
    numbers = [p._p.pPr.numPr.numId.val for p in items]
    assert numbers[0] == numbers[1] != numbers[2] == numbers[3]
    lists = [
        document.part.numbering_part.element.num_having_numId(entry) for entry in (numbers[0], numbers[2])
    ]
    assert [kind.lvlOverride_lst[0].startOverride.val for kind in lists] == [1, 5]
    styles = {p.text: p.style.name for p in document.paragraphs if p.style is not None}
    assert styles["more"] == "List Continue"
    assert styles["Said here."] == "Quote"
    [link] = [link for p in document.paragraphs for link in p.hyperlinks if link.address]
    assert (link.text, link.address) == ("here", "https://example.org/a?b=1&c")


@pytest.fixture
def whole() -> Any:
    """A document with everything a text can hold, as Word reads it."""
    parts = (
        ManuscriptPart(1, "1", "茶的来历", ""),
        ManuscriptPart(2, "1.1", "起源", "他说“好茶”。"),
        ManuscriptPart(3, "1.1.1", "陆路", FORMULAS),
        ManuscriptPart(1, "2", "Brewing", RICH),
    )
    data = to_docx(Manuscript("茶", "教程", "zh", parts, abstract="一段话。", glossary="- 茶：叶子。"))
    return Document(io.BytesIO(data))


def styled(document: Any, name: str) -> list[Any]:
    return [paragraph for paragraph in document.paragraphs if paragraph.style.name == name]


def test_docx_contents_show_every_heading_before_they_are_brought_up_to_date(whole: Any) -> None:
    headings = ["1 茶的来历", "1.1 起源", "1.1.1 陆路", "2 Brewing", "术语表"]
    entries = [p for p in whole.paragraphs if p.style.name.startswith("toc ")]
    assert [p.text for p in entries] == headings
    assert [p.style.name for p in entries] == ["toc 1", "toc 2", "toc 3", "toc 1", "toc 1"]
    marks = [mark.get(qn("w:fldCharType")) for p in entries for mark in p._p.iter(qn("w:fldChar"))]
    assert marks == ["begin", "separate", "end"]
    assert 'TOC \\o "1-3"' in entries[0]._p.xml
    places = {
        mark.get(qn("w:name")): p.text for p in whole.paragraphs for mark in p._p.iter(qn("w:bookmarkStart"))
    }
    assert [places[link.fragment] for p in entries for link in p.hyperlinks] == headings
    first, *later = [p for p in whole.paragraphs if p.style.name.startswith("Heading")]
    assert first.paragraph_format.page_break_before
    assert not any(p.paragraph_format.page_break_before for p in later)


def test_docx_has_a_chinese_font_for_every_kind_of_text(whole: Any) -> None:
    sans = ["Title", "Subtitle", "Contents Heading", "Heading 1", "Heading 2", "Heading 3", "Code"]
    for name, font in (("Normal", "SimSun"), *((san, "Microsoft YaHei") for san in sans)):
        fonts = whole.styles[name].element.rPr.rFonts
        assert fonts.get(qn("w:eastAsia")) == font, name
        assert fonts.get(qn("w:eastAsiaTheme")) is None, name
    languages = {entry.get(qn("w:eastAsia")) for entry in whole.styles.element.iter(qn("w:lang"))}
    assert languages == {"zh-CN"}
    [said] = [p for p in styled(whole, "Section Text") if "好茶" in p.text]
    assert said.runs[0]._r.rPr.rFonts.get(qn("w:hint")) == "eastAsia"


def test_docx_tables_have_a_head_that_comes_again_and_code_a_ground_of_its_own(whole: Any) -> None:
    [table] = whole.tables
    head, row = table.rows
    assert head._tr.trPr.find(qn("w:tblHeader")) is not None
    assert row._tr.trPr.find(qn("w:tblHeader")) is None
    assert [cell.paragraphs[0].runs[0].bold for cell in head.cells] == [True, True]
    assert {p.style.name for cell in row.cells for p in cell.paragraphs} == {"Table Text"}
    [code] = styled(whole, "Code")
    assert code.text == 'print("<b>")\nprint()'
    assert whole.styles["Code"].element.pPr.find(qn("w:shd")) is not None
    assert whole.styles["Code"].font.name == "Consolas"


def test_docx_formulas_are_word_s_own_and_unknown_ones_keep_their_source(whole: Any) -> None:
    [shown] = styled(whole, "Formula")
    assert shown._p.find(qn("m:oMathPara")) is not None
    assert [len(list(shown._p.iter(qn(f"m:{name}")))) for name in ("f", "rad", "sSub")] == [1, 1, 1]
    [within] = [p for p in styled(whole, "Section Text") if p.text.startswith("Within")]
    assert len(list(within._p.iter(qn("m:oMath")))) == 1
    assert within.text == r"Within , $5 or $6, and \begin{x}a_1*b*c\end{x}."


@pytest.mark.parametrize(
    ("text", "formulas"),
    [
        (r"$a_1 * b * c$ and \(x^2\)", ["a_1 * b * c", "x^2"]),
        ("$x$ is $f(t)$", ["x", "f(t)"]),
        ("$$\na\n= b\n+ c\n$$", ["a\n= b\n+ c"]),
        ("\\[ E = mc^2 \\]", ["E = mc^2"]),
        ("It costs $5, then $6.", []),
        ("$HOME and $PATH stay, `$a_1$` too", []),
        (r"as said \[1\] and \(see there\)", []),
        ("$$\nno end = here\n\nmore", []),
    ],
)
def test_formulas_are_told_from_money_and_brackets(text: str, formulas: list[str]) -> None:
    tokens = [inner for entry in read(text) for inner in (entry, *(entry.children or ()))]
    assert [token.content for token in tokens if token.type.startswith("math_")] == formulas


@pytest.mark.parametrize(
    "source", ["a_1_2", r"\frac{a}", r"\left( a", "a & b", r"\unknown x", "}", "a^", r"\\"]
)
def test_a_formula_that_is_not_understood_is_none(source: str) -> None:
    assert parse_formula(source) is None


def test_html_formulas_are_mathml() -> None:
    made = render(r"So $\left[\frac{1}{n}\sum_{i=1}^n \hat{x}_i'\right] \le \text{a <b}$.")
    assert "<mfrac><mrow><mn>1</mn></mrow><mrow><mi>n</mi></mrow></mfrac>" in made
    assert "<munderover><mo>∑</mo>" in made
    assert "<mtext>a &lt;b</mtext>" in made and "<mo>[</mo>" in made
    assert render("$$\\begin{x} a_1 \\end{x}$$") == '<p><code class="tex">\\begin{x} a_1 \\end{x}</code></p>'


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
        for section in view.sections:
            assert (section.node.title in text) == (section.state != "skipped")


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
    assert read_notes(file.getvalue(), "b.DOCX") == (
        "# 茶\n\n绿茶的产地\n\n- 龙井\n\n| 产量 | 3 |\n| --- | --- |"
    )


@pytest.mark.parametrize(
    ("data", "name"), [(b"PK nonsense", "a.docx"), (bytes(range(32)) * 9, "a.md"), (b"x", "a.png")]
)
def test_what_is_no_notes_is_refused(data: bytes, name: str) -> None:
    with pytest.raises(BadDocument):
        read_notes(data, name)
