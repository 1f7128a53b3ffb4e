"""How the DOCX looks: page, fonts for Latin and Chinese, styles of every kind of paragraph, page number.

Sets up an empty document; writes no text into it.
"""

from typing import Any

from docx.enum.style import WD_STYLE_TYPE
from docx.enum.text import WD_ALIGN_PARAGRAPH, WD_TAB_ALIGNMENT, WD_TAB_LEADER
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Cm, Pt, RGBColor

from twokeys.manuscript.manuscript import Manuscript

LATIN_SERIF, LATIN_SANS, MONO = "Georgia", "Calibri", "Consolas"
HAN_SERIF, HAN_SANS = "SimSun", "Microsoft YaHei"
INK = RGBColor(0x21, 0x26, 0x2A)
MUTED = RGBColor(0x64, 0x6B, 0x6C)
ACCENT = RGBColor(0x0B, 0x6B, 0x62)
RULE, SHADE = "C9CFCD", "F2F5F4"
HEADING_POINTS = {1: 17, 2: 13.5, 3: 11.5}
PAGE_WIDTH_CM, SIDE_CM = 21.0, 2.8
LONGEST_PROPERTY = 255
"""Characters that a property of a document may have; the title on the page is whole."""

AFTER_UPDATE_FIELDS = ("hdrShapeDefaults", "footnotePr", "endnotePr", "compat")


def set_up(word: Any, document: Manuscript) -> None:
    """Set page, properties, styles and the page number."""
    zh = document.language == "zh"
    section = word.sections[0]
    section.page_width, section.page_height = Cm(PAGE_WIDTH_CM), Cm(29.7)
    section.left_margin = section.right_margin = Cm(SIDE_CM)
    section.top_margin = section.bottom_margin = Cm(2.5)
    word.core_properties.title = _within(document.title, LONGEST_PROPERTY)
    word.core_properties.author = ""
    word.core_properties.comments = ""
    word.core_properties.language = "zh-CN" if zh else "en-US"
    _set_languages(word)
    _set_text(word.styles, zh=zh)
    _set_headings(word.styles)
    _set_blocks(word.styles, zh=zh)
    footer = section.footer.paragraphs[0]
    footer.alignment = WD_ALIGN_PARAGRAPH.CENTER
    add_field(footer, "PAGE", "1")
    update = OxmlElement("w:updateFields")
    update.set(qn("w:val"), "true")
    settings = word.settings.element
    later = next(
        (element for name in AFTER_UPDATE_FIELDS for element in settings.findall(qn(f"w:{name}"))), None
    )
    if later is None:
        settings.append(update)
    else:
        later.addprevious(update)


def _within(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def add_field(paragraph: Any, code: str, shown: str) -> None:
    """Put a field of Word into a paragraph, with what it shows until it is brought up to date."""
    add_mark(paragraph, "begin")
    add_instruction(paragraph, code)
    add_mark(paragraph, "separate")
    paragraph.add_run(shown)
    add_mark(paragraph, "end")


def add_mark(paragraph: Any, kind: str) -> None:
    """Put a field's beginning, middle or end into a paragraph."""
    mark = OxmlElement("w:fldChar")
    mark.set(qn("w:fldCharType"), kind)
    paragraph.add_run()._r.append(mark)


def add_instruction(paragraph: Any, code: str) -> None:
    """Put what a field is to show into a paragraph."""
    text = OxmlElement("w:instrText")
    text.set(qn("xml:space"), "preserve")
    text.text = f" {code} "
    paragraph.add_run()._r.append(text)


def border(side: str, colour: str, *, eighths: int = 4, space: int = 0) -> Any:
    """Return a border of a paragraph or a table. eighths: its width in eighths of a point."""
    line = OxmlElement(f"w:{side}")
    line.set(qn("w:val"), "single")
    line.set(qn("w:sz"), str(eighths))
    line.set(qn("w:space"), str(space))
    line.set(qn("w:color"), colour)
    return line


def shading(colour: str) -> Any:
    """Return a background for a paragraph, a run or a cell."""
    shade = OxmlElement("w:shd")
    shade.set(qn("w:val"), "clear")
    shade.set(qn("w:color"), "auto")
    shade.set(qn("w:fill"), colour)
    return shade


def _set_languages(word: Any) -> None:
    """Chinese is Chinese as written on the mainland: it decides the shapes and the line breaks."""
    for language in word.styles.element.iter(qn("w:lang")):
        language.set(qn("w:eastAsia"), "zh-CN")
    for language in word.settings.element.iter(qn("w:themeFontLang")):
        language.set(qn("w:eastAsia"), "zh-CN")


def _set_text(styles: Any, *, zh: bool) -> None:
    body = styles["Normal"]
    _font(body, LATIN_SERIF, HAN_SERIF, 11, INK)
    body.paragraph_format.space_after = Pt(7)
    body.paragraph_format.line_spacing = 1.45 if zh else 1.25
    text = _add(styles, "Section Text", body)
    if zh:
        text.paragraph_format.first_line_indent = Pt(22)
        text.paragraph_format.alignment = WD_ALIGN_PARAGRAPH.JUSTIFY
    inline = styles.add_style("Inline Code", WD_STYLE_TYPE.CHARACTER)
    _font(inline, MONO, HAN_SANS, 10, INK)
    inline.element.get_or_add_rPr().append(shading(SHADE))


def _set_headings(styles: Any) -> None:
    for level, points in HEADING_POINTS.items():
        style = styles[f"Heading {level}"]
        _font(style, LATIN_SANS, HAN_SANS, points, ACCENT if level == 1 else INK, bold=True)
        style.paragraph_format.space_before = Pt(20 if level == 1 else 13)
        style.paragraph_format.space_after = Pt(6)
        style.paragraph_format.keep_with_next = True
    title = styles["Title"]
    _font(title, LATIN_SANS, HAN_SANS, 24, INK, bold=True)
    for line in title.element.pPr.findall(qn("w:pBdr")):
        title.element.pPr.remove(line)
    title.paragraph_format.space_after = Pt(6)
    _font(styles["Subtitle"], LATIN_SANS, HAN_SANS, 11.5, MUTED)
    styles["Subtitle"].font.italic = False
    _bordered(styles["Subtitle"], border("bottom", "0B6B62", eighths=8, space=8))
    styles["Subtitle"].paragraph_format.space_after = Pt(14)
    plain = _add(styles, "Contents Heading", styles["Normal"])
    _font(plain, LATIN_SANS, HAN_SANS, 13.5, INK, bold=True)
    plain.paragraph_format.space_before = Pt(14)
    plain.paragraph_format.keep_with_next = True
    for level in HEADING_POINTS:
        # Word knows its own styles of the contents by these names
        entry = styles.add_style(f"toc {level}", WD_STYLE_TYPE.PARAGRAPH, builtin=True)
        entry.base_style = styles["Normal"]
        entry.font.bold = level == 1
        entry.paragraph_format.left_indent = Cm(0.75 * (level - 1))
        entry.paragraph_format.space_before = Pt(5 if level == 1 else 0)
        entry.paragraph_format.space_after = Pt(1)
        entry.paragraph_format.line_spacing = 1.2
        entry.paragraph_format.tab_stops.add_tab_stop(
            Cm(PAGE_WIDTH_CM - 2 * SIDE_CM), WD_TAB_ALIGNMENT.RIGHT, WD_TAB_LEADER.DOTS
        )


def _set_blocks(styles: Any, *, zh: bool) -> None:
    """Quotations, code, formulas, what stands in a table."""
    quote = styles["Quote"]
    quote.font.italic = not zh
    quote.font.color.rgb = MUTED
    quote.paragraph_format.left_indent = quote.paragraph_format.right_indent = Cm(0.75)
    _bordered(quote, border("left", "0B6B62", eighths=18, space=10))
    code = _add(styles, "Code", styles["Normal"])
    _font(code, MONO, HAN_SANS, 9.5, INK)
    code.paragraph_format.line_spacing = 1.2
    code.paragraph_format.left_indent = code.paragraph_format.right_indent = Pt(6)
    code.paragraph_format.space_before, code.paragraph_format.space_after = Pt(9), Pt(12)
    _bordered(code, *(border(side, SHADE, space=6) for side in ("top", "left", "bottom", "right")))
    code.element.pPr.find(qn("w:pBdr")).addnext(shading(SHADE))
    code.element.get_or_add_rPr().insert_element_before(
        OxmlElement("w:noProof"), "w:color", "w:sz", "w:szCs", "w:lang"
    )
    formula = _add(styles, "Formula", styles["Normal"])
    formula.paragraph_format.alignment = WD_ALIGN_PARAGRAPH.CENTER
    cell = _add(styles, "Table Text", styles["Normal"])
    cell.font.size = Pt(10)
    cell.paragraph_format.space_after = Pt(0)
    cell.paragraph_format.line_spacing = 1.2
    for name in ("List Bullet", "List Number"):
        for depth in ("", " 2", " 3"):
            styles[name + depth].paragraph_format.space_after = Pt(4)


def _add(styles: Any, name: str, base: Any) -> Any:
    style = styles.add_style(name, WD_STYLE_TYPE.PARAGRAPH)
    style.base_style = base
    return style


def _bordered(style: Any, *lines: Any) -> None:
    borders = OxmlElement("w:pBdr")
    for line in lines:
        borders.append(line)
    style.element.get_or_add_pPr().insert_element_before(
        borders, "w:shd", "w:tabs", "w:spacing", "w:ind", "w:contextualSpacing", "w:jc", "w:outlineLvl"
    )


def _font(style: Any, latin: str, han: str, points: float, colour: RGBColor, *, bold: bool = False) -> None:
    style.font.name, style.font.size, style.font.color.rgb = latin, Pt(points), colour
    style.font.bold = bold
    fonts = style.element.get_or_add_rPr().get_or_add_rFonts()
    for name in ("w:asciiTheme", "w:hAnsiTheme", "w:eastAsiaTheme", "w:cstheme"):
        if fonts.get(qn(name)) is not None:
            del fonts.attrib[qn(name)]
    fonts.set(qn("w:eastAsia"), han)
    fonts.set(qn("w:hAnsi"), latin)
