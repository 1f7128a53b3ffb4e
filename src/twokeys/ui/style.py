"""How the pages look: the theme handed to Streamlit, the design tokens, and the style sheet.

The style sheet uses only system fonts and the fonts that Streamlit serves itself: no request
leaves the machine. Colours that must follow the theme are mixed from the text colour, so that one
sheet serves light and dark. Knows nothing of conversations or settings.
"""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import quote

FONT = (
    "'Source Sans', 'PingFang SC', 'Hiragino Sans GB', 'Microsoft YaHei UI', 'Noto Sans CJK SC', "
    "'Noto Sans SC', 'Source Han Sans SC', 'WenQuanYi Micro Hei', sans-serif"
)
"""Latin first, then the Chinese faces of macOS, Windows, Linux. Noto Sans CJK is drawn to sit beside
Source Sans, so mixed lines keep one grey."""


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours of one mode. Text on its background is at least 4.5 : 1 (WCAG AA)."""

    background: str
    surface: str
    sidebar: str
    border: str
    text: str
    muted: str
    accent: str
    on_accent: str
    accent_soft: str
    warm: str
    warm_soft: str
    danger: str


LIGHT = Palette(
    background="#FDFCFA",
    surface="#F3F1EC",
    sidebar="#F6F4F0",
    border="#E3DFD6",
    text="#21262A",
    muted="#646B6C",
    accent="#0B6B62",
    on_accent="#FFFFFF",
    accent_soft="#E2EFEC",
    warm="#8F5210",
    warm_soft="#FAF0DF",
    danger="#B3382C",
)
DARK = Palette(
    background="#16191A",
    surface="#232829",
    sidebar="#1B1F20",
    border="#343B3C",
    text="#E6E8E5",
    muted="#A2AAA9",
    accent="#69C6B5",
    on_accent="#0E1B19",
    accent_soft="#1E3331",
    warm="#E5B36A",
    warm_soft="#33291A",
    danger="#F08A7E",
)


def _section(palette: Palette, *, sidebar: bool = False) -> dict[str, object]:
    return {
        "primaryColor": palette.accent,
        "backgroundColor": palette.sidebar if sidebar else palette.background,
        "secondaryBackgroundColor": palette.surface if not sidebar else palette.background,
        "textColor": palette.text,
        "borderColor": palette.border,
        "linkColor": palette.accent,
    }


def _theme() -> dict[str, object]:
    theme: dict[str, Any] = {
        "font": FONT,
        "headingFont": FONT,
        "codeFont": "'Source Code', ui-monospace, 'SF Mono', Consolas, 'Noto Sans Mono CJK SC', monospace",
        "codeFontSize": "0.84rem",
        "baseFontSize": 16,
        "baseRadius": "10px",
        "buttonRadius": "10px",
        "headingFontSizes": ["1.55rem", "1.25rem", "1.08rem", "1rem", "0.95rem", "0.9rem"],
        "headingFontWeights": [650, 650, 600, 600, 600, 600],
        "metricValueFontSize": "1.4rem",
        "linkUnderline": False,
        "showWidgetBorder": True,
        "showSidebarBorder": True,
        "chartCategoricalColors": ["#0B6B62", "#C77A1E", "#4A6FA5", "#A3475A", "#7C8A3B"],
    }
    for mode, palette in (("light", LIGHT), ("dark", DARK)):
        for name, value in _section(palette).items():
            theme[f"{mode}.{name}"] = value
        for name, value in _section(palette, sidebar=True).items():
            theme[f"{mode}.sidebar.{name}"] = value
        theme[f"{mode}.redColor"] = palette.danger
        theme[f"{mode}.orangeColor"] = palette.warm
        theme[f"{mode}.greenColor"] = palette.accent
    return theme


THEME: dict[str, Any] = _theme()
"""Streamlit's theme options without the leading `theme.`: pass them to `st.App.run(config=…)`."""

MARK = '<span class="tk-mark" role="img" aria-label="TwoKeys"></span>'
"""The mark in our own markup: two sliders, each with its knob, which are the two keys."""

_GLYPH = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32" fill="#fff" stroke="#fff">
<path d="M11 7v18M21 7v18" stroke-width="2.2" stroke-linecap="round" opacity=".45"/>
<circle cx="11" cy="19.5" r="3.9" stroke="none"/><circle cx="21" cy="12" r="3.9" stroke="none"/></svg>"""


def style_sheet(choose_file: str, attach_files: str) -> str:
    """Return the whole sheet as a <style> element; it follows the page's mode by itself.

    choose_file: what the button of a file chooser says; Streamlit has only English for it. attach_files:
    what it says beside a message box.
    """
    names = list(Palette.__dataclass_fields__)
    plain = [f"--tk-{_css(name)}:{getattr(LIGHT, name)}" for name in names]
    both = [f"--tk-{_css(name)}:light-dark({getattr(LIGHT, name)},{getattr(DARK, name)})" for name in names]
    fixed = [
        f"--tk-glyph:url('data:image/svg+xml,{quote(_GLYPH)}')",
        f"--tk-choose-file:{json.dumps(choose_file, ensure_ascii=False)}",
        f"--tk-attach-file:{json.dumps(attach_files, ensure_ascii=False)}",
    ]
    tokens = ";".join([*plain, *fixed])
    modern = f"@supports (color:light-dark(red,red)){{:root{{{';'.join(both)}}}}}"
    return f"<style>:root{{{tokens}}}{modern}{_sheet()}</style>"


def _css(name: str) -> str:
    return name.replace("_", "-")


@cache
def _sheet() -> str:
    return files(__package__).joinpath("style.css").read_text(encoding="utf-8")
