"""How the pictures look: colours, dashes and shapes that can be told apart without colour.

The palette is Okabe and Ito's (2008), lightened for a dark page. "page" takes text colours from the
surrounding page, for pictures inside HTML.
"""

from dataclasses import dataclass
from typing import Any, Literal

Theme = Literal["light", "dark", "page"]
FONT = "'Noto Sans CJK SC','Noto Sans SC','PingFang SC','Microsoft YaHei','Source Han Sans SC',sans-serif"
SHAPES = (
    "circle",
    "square",
    "triangle-up",
    "diamond",
    "cross",
    "triangle-down",
    "triangle-right",
    "triangle-left",
)
DASHES = ((1, 0), (6, 3), (2, 2), (8, 3, 2, 3), (4, 2), (10, 4), (1, 3), (6, 2, 1, 2))


@dataclass(frozen=True, slots=True)
class Colours:
    """series: one for each line; text, faint, paper: of the page; low, high: the ends of a heat map.

    inside: of text on a bar of the first of the series.
    """

    series: tuple[str, ...]
    text: str
    faint: str
    paper: str
    low: str
    high: str
    inside: str


_SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b8860b", "#56b4e9", "#8c564b", "#6b7280")
_LIGHTER = ("#56b4e9", "#ff8c42", "#2fc79a", "#e79bc4", "#f0c94a", "#9fd3f5", "#c49a8e", "#a3aab5")
COLOURS: dict[Theme, Colours] = {
    "light": Colours(_SERIES, "#1f2430", "#d9dce3", "#ffffff", "#eef4fb", "#08519c", "#ffffff"),
    "dark": Colours(_LIGHTER, "#e8eaf0", "#3b4150", "#14171f", "#1c2735", "#9fd3f5", "#10141c"),
    "page": Colours(_SERIES, "currentColor", "#8a90a055", "transparent", "#9ec5ea", "#08519c", "#ffffff"),
}


def theme_of(dark: bool | Theme) -> Theme:
    """Return the theme for a switch "dark?", or the theme itself."""
    if isinstance(dark, bool):
        return "dark" if dark else "light"
    return dark


def config(theme: Theme) -> dict[str, Any]:
    """Return the Vega-Lite configuration of a picture."""
    colours = COLOURS[theme]
    axis = {
        "labelColor": colours.text,
        "titleColor": colours.text,
        "gridColor": colours.faint,
        "domainColor": colours.faint,
        "tickColor": colours.faint,
        "labelFont": FONT,
        "titleFont": FONT,
        "labelFontSize": 12,
        "titleFontSize": 13,
        "titleFontWeight": "normal",
        "labelLimit": 260,
        "titleLimit": 600,
    }
    label = {key: value for key, value in axis.items() if key.startswith(("label", "title"))}
    return {
        "background": colours.paper,
        "font": FONT,
        "view": {"stroke": "transparent"},
        "axis": axis,
        "legend": {**label, "orient": "bottom", "columns": 1, "symbolSize": 90, "symbolStrokeWidth": 2},
        "title": {
            "color": colours.text,
            "font": FONT,
            "fontSize": 14,
            "anchor": "start",
            "subtitleColor": colours.text,
        },
        "text": {"color": colours.text, "font": FONT},
        "range": {"category": list(colours.series)},
    }
