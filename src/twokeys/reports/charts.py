"""Charts of a study's results, as altair charts: for the app, PNG, SVG and the HTML report.

Each takes a StudyResult, a language and whether the page is dark. Cells are told apart by shape,
dash and label as well as by colour. Raises ValueError when the result has nothing to show there.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import altair as alt
from altair.utils.schemapi import UndefinedType

from twokeys.core.study.axes import axis_title, cell_title
from twokeys.core.study.cell import CELL_NAMES, Cell
from twokeys.core.study.measure import MEASURES
from twokeys.core.study.result import CellResult, StudyResult, shown
from twokeys.i18n import translate
from twokeys.reports.style import COLOURS, DASHES, SHAPES, Theme, config, theme_of

WIDTH, HEIGHT = 520, 300
LABEL_CHARS = 12

Drawing = alt.Chart | alt.LayerChart | alt.FacetChart


@dataclass(frozen=True, slots=True)
class ChartChoice:
    """What a reader wants to see first. None: the study's first outcome, its first axes."""

    measure: str | None = None
    x: str | None = None
    y: str | None = None


def dose_response(
    result: StudyResult, measure: str, language: str, dark: bool | Theme = False, axis: str | None = None
) -> Drawing:
    """Return a measure's mean with its 95 % interval against an axis of the grid.

    axis: default the first in which cells differ. Other axes become lines of their own.
    """
    axis = axis or axis_of(result)
    theme = theme_of(dark)
    numeric = _numeric(result, axis)
    rows = _points(result, measure, axis, language)
    _need(rows)
    lines = list(dict.fromkeys(row["line"] for row in rows))
    x = alt.X(
        "x:Q" if numeric else "x:N",
        title=axis_title(axis, language),
        scale=alt.Scale(zero=False, padding=24) if numeric else alt.Undefined,
        axis=alt.Axis(labelAngle=0, values=sorted({row["x"] for row in rows}))
        if numeric
        else alt.Axis(labelAngle=0 if len(rows) < 5 else -25),
        sort=None,
    )
    title, scale, ticks = measure_title(measure, language), _range(rows, measure), _ticks(measure)
    y = alt.Y("mean:Q", title=title, scale=scale, axis=ticks)
    base = alt.Chart(_data(rows)).encode(x=x)
    tooltip = _tips(
        {"cell": "cell:N", "value": "mean:Q", "low": "low:Q", "high": "high:Q", "answers": "n:Q"}, language
    )
    several = len(lines) > 1
    colour = _series("line", lines, theme, several)
    parts = [
        base.mark_rule(strokeWidth=2, opacity=0.8).encode(
            y=alt.Y("low:Q", title=title, scale=scale, axis=ticks), y2="high:Q", color=colour
        ),
    ]
    if numeric and len(rows) > 1:
        dash = alt.StrokeDash("line:N", scale=alt.Scale(domain=lines, range=_dashes(lines)), legend=None)
        parts.append(base.mark_line(strokeWidth=2).encode(y=y, color=colour, strokeDash=dash))
    shape = alt.Shape("line:N", scale=alt.Scale(domain=lines, range=_shapes(lines)), legend=_legend(several))
    parts.append(
        base.mark_point(filled=True, size=110, opacity=1).encode(
            y=y, color=colour, shape=shape, tooltip=tooltip
        )
    )
    if not several:
        parts += [figures.encode(x=x, y=y, text="text:N") for figures in _figures_beside(rows, numeric)]
    return _finish(alt.layer(*parts), theme, translate("lab.chart.interval", language))


def _points(result: StudyResult, measure: str, axis: str, language: str) -> list[dict[str, Any]]:
    """Return a row for each cell with the measure: where it stands, its mean and its interval."""
    numeric = _numeric(result, axis)
    return [
        {
            "x": _axis_value(result, cell, axis, numeric),
            "line": _line_name(result, cell, axis, language),
            "mean": cell.estimates[measure].mean,
            "low": cell.estimates[measure].low,
            "high": cell.estimates[measure].high,
            "text": shown(measure, cell.estimates[measure].mean, language),
            "n": cell.estimates[measure].answers,
            "cell": cell.name,
        }
        for cell in result.cells
        if measure in cell.estimates
    ]


def _figures_beside(rows: Sequence[Mapping[str, Any]], numeric: bool) -> list[alt.Chart]:
    """Return each mean as a figure beside its point, the last one on the inner side."""
    last = rows[-1] if not numeric else max(rows, key=lambda row: row["x"])
    others = [row for row in rows if row is not last]
    inner = alt.Chart(_data([last])).mark_text(dx=-8, dy=-10, align="right", fontSize=12)
    outer = alt.Chart(_data(others)).mark_text(dx=8, dy=-10, align="left", fontSize=12)
    return [outer, inner] if others else [inner]


def heat_map(
    result: StudyResult, measure: str, x: str, y: str, language: str, dark: bool | Theme = False
) -> Drawing:
    """Return a measure over two axes of the grid, each field with its number.

    Further axes of the grid divide y, so that every cell has a field of its own.
    """
    theme = theme_of(dark)
    colours = COLOURS[theme]
    others = [name for name in result.study.axes if name not in (x, y, "name")]
    rows: list[dict[str, Any]] = [
        {
            "x": _label(result, cell, x),
            "y": ", ".join(_label(result, cell, axis) for axis in (y, *others)),
            "mean": cell.estimates[measure].mean,
            "text": shown(measure, cell.estimates[measure].mean, language),
            "low": _bound(measure, cell.estimates[measure].low, language),
            "high": _bound(measure, cell.estimates[measure].high, language),
            "cell": cell.name,
        }
        for cell in result.cells
        if measure in cell.estimates
    ]
    _need(rows)
    values = [row["mean"] for row in rows]
    middle = (min(values) + max(values)) / 2
    base = alt.Chart(_data(rows)).encode(
        x=alt.X("x:N", title=axis_title(x, language), sort=None, axis=alt.Axis(labelAngle=0)),
        y=alt.Y("y:N", title=[axis_title(axis, language) for axis in (y, *others)], sort=None),
        tooltip=_tips({"cell": "cell:N", "value": "text:N", "low": "low:N", "high": "high:N"}, language),
    )
    scale = alt.Scale(range=[colours.low, colours.high], nice=False)
    share = MEASURES[measure].unit == "share"
    legend = alt.Legend(
        title=measure_title(measure, language), orient="right", format="~%" if share else alt.Undefined
    )
    on_low, on_high = ("#e8eaf0", "#10141c") if theme == "dark" else ("#10141c", "#ffffff")
    ink = alt.condition(f"datum.mean > {middle}", alt.value(on_high), alt.value(on_low))
    squares = base.mark_rect(stroke=colours.faint).encode(
        color=alt.Color("mean:Q", scale=scale, legend=legend)
    )
    numbers = base.mark_text(fontSize=13).encode(text="text:N", color=ink)
    return _finish(alt.layer(squares, numbers), theme, None)


def along(result: StudyResult, curve: str, language: str, dark: bool | Theme = False) -> Drawing:
    """Return how a curve (a key of a step's figures, as `rep_4`) goes along the length of the answers.

    A line for each cell with its 95 % interval as a band.
    """
    theme = theme_of(dark)
    rows = _steps(result, curve)
    _need(rows)
    ticks = _ticks(curve) if curve in MEASURES else alt.Undefined
    lines = _lines(rows, "lab.chart.tokens", f"lab.chart.{curve}", language, theme, ticks)
    return _finish(lines, theme, translate("lab.chart.band", language) if _banded(rows) else None)


def exact_curves(result: StudyResult, language: str, dark: bool | Theme = False) -> Drawing:
    """Return the chance of being right over all temperatures, a line for each setting with its interval."""
    theme = theme_of(dark)
    rows: list[dict[str, Any]] = [
        {"x": point.temperature, "y": point.mean, "low": point.low, "high": point.high,
         "line": cell_title(curve.name, language)}
        for curve in result.exact
        for point in curve.points
    ]  # fmt: skip
    _need(rows)
    lines = _lines(
        rows, "lab.axis.temperature", "lab.measure.chance.title", language, theme, _ticks("chance")
    )
    return _finish(lines, theme, translate("lab.chart.exact", language))


def memory(result: StudyResult, language: str, dark: bool | Theme = False) -> Drawing:
    """Return the engine's memory by cell."""
    theme = theme_of(dark)
    rows = [
        {"cell": cell.name, "mib": cell.estimates["memory_bytes"].mean / 2**20,
         "text": shown("memory_bytes", cell.estimates["memory_bytes"].mean, language)}
        for cell in result.cells
        if "memory_bytes" in cell.estimates
    ]  # fmt: skip
    _need(rows)
    base = alt.Chart(_data(rows)).encode(
        y=alt.Y("cell:N", title=None, sort=None),
        x=alt.X("mib:Q", title=translate("lab.chart.memory", language)),
        tooltip=_tips({"cell": "cell:N", "value": "text:N"}, language),
    )
    bars = base.mark_bar(color=COLOURS[theme].series[0], height=14)
    numbers = base.mark_text(align="right", dx=-6, color=COLOURS[theme].inside).encode(text="text:N")
    return _finish(alt.layer(bars, numbers), theme, None).properties(height=max(60, 28 * len(rows)))


def pareto(
    result: StudyResult,
    language: str,
    dark: bool | Theme = False,
    x: str = "distinct_2",
    y: str = "correct",
) -> Drawing:
    """Return cells by two measures, and the front that no cell beats in both.

    Short names stand beside their points, long ones in a legend.
    """
    theme = theme_of(dark)
    rows: list[dict[str, Any]] = [
        {"x": c.estimates[x].mean, "y": c.estimates[y].mean, "cell": c.name,
         "xlow": c.estimates[x].low, "xhigh": c.estimates[x].high,
         "ylow": c.estimates[y].low, "yhigh": c.estimates[y].high}
        for c in result.cells
        if x in c.estimates and y in c.estimates
    ]  # fmt: skip
    _need(rows)
    names = [row["cell"] for row in rows]
    front = pareto_front(rows, _sign(x), _sign(y))
    long = max(map(len, names)) > LABEL_CHARS
    room = 0.0 if long else 0.15
    along_x: dict[str, Any] = {
        "title": measure_title(x, language),
        "axis": _ticks(x),
        "scale": _range(rows, x, "x", room=room),
    }
    along_y: dict[str, Any] = {
        "title": measure_title(y, language),
        "axis": _ticks(y),
        "scale": _range(rows, y, "y"),
    }
    ex, ey = alt.X("x:Q", **along_x), alt.Y("y:Q", **along_y)
    base = alt.Chart(_data(rows))
    colour = _series("cell", names, theme, long)
    shape = alt.Shape("cell:N", scale=alt.Scale(domain=names, range=_shapes(names)), legend=_legend(long))
    tips = [
        *_tips({"cell": "cell:N"}, language),
        alt.Tooltip("x:Q", title=measure_title(x, language), format=".4~g"),
        alt.Tooltip("y:Q", title=measure_title(y, language), format=".4~g"),
    ]
    layers = [
        alt.Chart(_data(front))
        .mark_line(strokeDash=[5, 4], color=COLOURS[theme].text, opacity=0.6)
        .encode(x=ex, y=ey),
        base.mark_rule(opacity=0.6).encode(x=alt.X("xlow:Q", **along_x), x2="xhigh:Q", y=ey, color=colour),
        base.mark_rule(opacity=0.6).encode(x=ex, y=alt.Y("ylow:Q", **along_y), y2="yhigh:Q", color=colour),
        base.mark_point(filled=True, size=130, opacity=1).encode(
            x=ex, y=ey, color=colour, shape=shape, tooltip=tips
        ),
    ]
    if not long:
        layers.append(
            base.mark_text(dx=9, dy=-9, align="left", fontSize=12).encode(x=ex, y=ey, text="cell:N")
        )
    return _finish(alt.layer(*layers), theme, translate("lab.chart.front", language))


def pareto_front(rows: Sequence[Mapping[str, Any]], x_sign: int, y_sign: int) -> list[dict[str, object]]:
    """Return the rows that no other is at least as good as in both and better in one, by x."""
    front = []
    for row in rows:
        beaten = any(
            other is not row
            and x_sign * other["x"] >= x_sign * row["x"]
            and y_sign * other["y"] >= y_sign * row["y"]
            and (other["x"], other["y"]) != (row["x"], row["y"])
            for other in rows
        )
        if not beaten:
            front.append(dict(row))
    return sorted(front, key=lambda row: row["x"])


def usual_charts(
    result: StudyResult, language: str, dark: bool | Theme = False, chosen: ChartChoice | None = None
) -> list[tuple[str, object]]:
    """Return the charts a report shows, each with its title: what the result has to show.

    The chosen measure comes first, then the study's other outcomes.
    """
    return [(title, draw()) for title, draw in _usual(result, language, dark, chosen or ChartChoice())]


def has_pictures(result: StudyResult) -> bool:
    """Return whether there are usual charts at all, without drawing them."""
    return bool(_usual(result, "en", False, ChartChoice()))


def _usual(
    result: StudyResult, language: str, dark: bool | Theme, chosen: ChartChoice
) -> list[tuple[str, Callable[[], Drawing]]]:
    """Return the usual charts' titles, each with what draws the chart."""
    drawings: list[tuple[str, Callable[[], Drawing]]] = []
    if result.exact:
        title = translate("lab.exact.title", language)
        drawings.append((title, partial(exact_curves, result, language, dark)))
    axes = grid_axes(result)
    outcomes = [name for name in picture_measures(result) if name in result.study.outcomes]
    if chosen.measure is not None:
        outcomes = [chosen.measure, *(name for name in outcomes if name != chosen.measure)]
    for name in outcomes if len(result.cells) > 1 else ():
        draw = partial(dose_response, result, name, language, dark, chosen.x)
        drawings.append((measure_title(name, language), draw))
    if len(axes) >= 2 and outcomes:
        x = chosen.x or axes[0]
        y = chosen.y if chosen.y not in (None, x) else next(axis for axis in axes if axis != x)
        title = f"{axis_title(x, language)} × {axis_title(y, language)}"
        # beside the first curve, which is of the same measure
        drawings.insert(
            1 + bool(result.exact), (title, partial(heat_map, result, outcomes[0], x, y, language, dark))
        )
    for curve in ("rep_4", "mean_nll"):
        if max((len(cell.along.get(curve, ())) for cell in result.cells), default=0) > 2:
            title = translate(f"lab.chart.{curve}", language)
            drawings.append((title, partial(along, result, curve, language, dark)))
    if any(len(cell.along.get("elapsed_s", ())) > 2 for cell in result.cells):
        title = translate("lab.chart.elapsed_s", language)
        drawings.append((title, partial(along, result, "elapsed_s", language, dark)))
        if "memory_bytes" in result.measures:
            drawings.append(
                (translate("lab.chart.memory", language), partial(memory, result, language, dark))
            )
    if len(result.cells) > 2 and "correct" in result.measures:
        drawings.append((measure_title("correct", language), partial(pareto, result, language, dark)))
    return drawings


def picture_measures(result: StudyResult) -> list[str]:
    """Return the measures that can be drawn, the study's outcomes first."""
    first = [name for name in result.study.outcomes if name in result.measures]
    return first + [name for name in result.measures if name not in first]


def grid_axes(result: StudyResult) -> list[str]:
    """Return the axes in which the cells differ."""
    return [axis for axis in result.study.axes if axis != "name"]


def axis_of(result: StudyResult) -> str:
    """Return the axis that pictures use when nobody says: the first numeric one, else the cells' names."""
    for axis in result.study.axes:
        if _numeric(result, axis):
            return axis
    return "name"


def measure_title(measure: str, language: str) -> str:
    """Return what people call a measure."""
    return translate(f"lab.measure.{measure}.title", language)


def _value(result: StudyResult, cell: CellResult, axis: str) -> object:
    """Return what a cell sets, or has by the study's base or by default; None: the chat's own."""
    if axis == "name":
        return cell.name
    if axis in cell.values:
        return cell.values[axis]
    usual = getattr(Cell(cell.name), axis) if axis in CELL_NAMES else None
    return result.study.base.to_dict().get(axis, usual)


def _numeric(result: StudyResult, axis: str) -> bool:
    values = [_value(result, cell, axis) for cell in result.cells]
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def _axis_value(result: StudyResult, cell: CellResult, axis: str, numeric: bool) -> Any:
    return _value(result, cell, axis) if numeric else _label(result, cell, axis)


def _label(result: StudyResult, cell: CellResult, axis: str) -> str:
    value = _value(result, cell, axis)
    if value is None or value == "":
        return "–"
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 28 else text[:27] + "…"


def _line_name(result: StudyResult, cell: CellResult, axis: str, language: str) -> str:
    others = [name for name in result.study.axes if name not in (axis, "name")]
    if axis == "name" or not others:
        return ""
    return ", ".join(f"{axis_title(name, language)} {_label(result, cell, name)}" for name in others)


def _steps(result: StudyResult, curve: str) -> list[dict[str, object]]:
    return [
        {"x": (number + 1) * result.window, "y": step.mean, "low": step.low, "high": step.high,
         "line": cell.name}
        for cell in result.cells
        for number, step in enumerate(cell.along.get(curve, ()))
    ]  # fmt: skip


def _banded(rows: Sequence[Mapping[str, object]]) -> list[Mapping[str, object]]:
    """Return the steps that have an interval."""
    return [row for row in rows if row["low"] is not None]


def _lines(
    rows: list[dict[str, Any]],
    x: str,
    y: str,
    language: str,
    theme: Theme,
    ticks: alt.Axis | UndefinedType = alt.Undefined,
) -> Drawing:
    """Return lines over the bands of their intervals."""
    names = list(dict.fromkeys(row["line"] for row in rows))
    several = len(names) > 1
    base = alt.Chart(_data(rows)).encode(
        x=alt.X("x:Q", title=translate(x, language)),
        y=alt.Y("y:Q", title=translate(y, language), axis=ticks),
        color=_series("line", names, theme, several),
        tooltip=[
            *_tips({"cell": "line:N"}, language),
            alt.Tooltip("x:Q", title=translate(x, language)),
            alt.Tooltip("y:Q", title=translate(y, language), format=".4~g"),
            *_tips({"low": "low:Q", "high": "high:Q"}, language),
        ],
    )
    bands = (
        alt.Chart(_data(_banded(rows)))
        .mark_area(opacity=0.16)
        .encode(
            x="x:Q",
            y=alt.Y("low:Q", title=translate(y, language), axis=ticks),
            y2="high:Q",
            color=_series("line", names, theme, several),
        )
    )
    dash = alt.StrokeDash("line:N", scale=alt.Scale(domain=names, range=_dashes(names)), legend=None)
    shape = alt.Shape("line:N", scale=alt.Scale(domain=names, range=_shapes(names)), legend=_legend(several))
    return alt.layer(
        *([bands] if _banded(rows) else []),
        base.mark_line(strokeWidth=2).encode(strokeDash=dash),
        base.mark_point(filled=True, size=60, opacity=1).encode(shape=shape),
    )


def _tips(fields: Mapping[str, str], language: str) -> list[alt.Tooltip]:
    """Return what is told of a mark under the pointer: fields by the text that names each."""
    return [
        alt.Tooltip(
            field,
            title=translate(f"lab.chart.{name}", language),
            format=".4~g" if field.endswith(":Q") else alt.Undefined,
        )
        for name, field in fields.items()
    ]


def _range(rows: Sequence[Mapping[str, Any]], measure: str, field: str = "", room: float = 0.0) -> alt.Scale:
    """Return a scale that spans all means and intervals with a little air; room: more of it at the end.

    It does not go beyond the largest value the measure can have.
    """
    names = (field or "mean", f"{field}low", f"{field}high")
    values = [row[name] for row in rows for name in names if row[name] is not None]
    low, high = min(values), max(values)
    # equal values have no span of their own
    span = high - low or abs(high) or 1.0
    floor = 0.0 if low >= 0 else low - 0.06 * span
    ceiling = MEASURES[measure].ceiling
    top = high + (0.06 + room) * span
    top = top if ceiling is None or high > ceiling else min(top, ceiling)
    return alt.Scale(domain=[max(floor, low - 0.06 * span), top], nice=False)


def _ticks(measure: str) -> alt.Axis | UndefinedType:
    """Return an axis on which shares are percentages."""
    return alt.Axis(format="~%", tickCount=6) if MEASURES[measure].unit == "share" else alt.Undefined


def _bound(measure: str, value: float | None, language: str) -> str:
    return "–" if value is None else shown(measure, value, language)


def _series(field: str, names: Sequence[str], theme: Theme, legend: bool) -> alt.Color:
    colours = COLOURS[theme].series
    scale = alt.Scale(domain=list(names), range=[colours[i % len(colours)] for i in range(len(names))])
    return alt.Color(f"{field}:N", scale=scale, legend=_legend(legend))


def _legend(shown_: bool) -> alt.Legend | None:
    # neither a band's faintness nor a line's dashes are the symbol's
    return alt.Legend(title=None, symbolOpacity=1, symbolStrokeWidth=0) if shown_ else None


def _dashes(names: Sequence[str]) -> list[list[int]]:
    return [list(DASHES[i % len(DASHES)]) for i in range(len(names))]


def _shapes(names: Sequence[str]) -> list[str]:
    return [SHAPES[i % len(SHAPES)] for i in range(len(names))]


def _sign(measure: str) -> int:
    return -1 if MEASURES[measure].better == "lower" else 1


def _data(rows: Sequence[Mapping[str, object]]) -> alt.Data:
    make: Any = alt.Data
    data: alt.Data = make(values=list(rows))
    return data


def _need(rows: Sequence[object]) -> None:
    if not rows:
        raise ValueError("there is nothing to show yet")


def _finish(chart: Drawing, theme: Theme, note: str | None) -> Drawing:
    if note:
        chart = chart.properties(title=alt.TitleParams(note, fontSize=11, fontWeight="normal", offset=6))
    finished: Drawing = chart.properties(width=WIDTH, height=HEIGHT).configure(**config(theme))
    return finished
