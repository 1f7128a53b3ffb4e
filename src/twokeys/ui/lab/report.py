"""What a study found: verdicts in words first, then pictures, figures, single answers and files."""

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from twokeys.core.study.axes import axis_title, cell_title
from twokeys.core.study.result import MeasureComparison, StudyResult, shown
from twokeys.reports.charts import (
    ChartChoice,
    axis_of,
    grid_axes,
    has_pictures,
    measure_title,
    picture_measures,
    usual_charts,
)
from twokeys.reports.export import to_png, to_svg
from twokeys.reports.page import cell_fields, cut_off_table, engine_table, exact_list, html_report
from twokeys.ui import state, widgets, words
from twokeys.ui.format import escape
from twokeys.ui.noticed import events_markup
from twokeys.ui.words import t

SIGNS = {"different": "≠", "same": "=", "undecided": "?"}
MOST_ANSWERS = 12


def draw(study_id: str) -> None:
    """Draw the report of what is there so far."""
    result = state.services().lab.result(study_id)
    widgets.html(f'<h2 class="lab-h2">{escape(t("labpage.report.verdicts"))}</h2>')
    widgets.html(exact_list(result, words.language()) + verdicts(result.comparisons))
    if not result.complete:
        partial = t("lab.report.partial", answers=result.answers, total=result.study.generations)
        widgets.note(partial)
    for note in result.notes(words.language()):
        widgets.note(note)
    chosen = _charts(result)
    widgets.html(f'<h2 class="lab-h2">{escape(t("labpage.report.cells"))}</h2>{_table(result)}')
    if result.cut_offs:
        widgets.html(cut_off_table(result, words.language()))
    if result.engines is not None:
        widgets.html(engine_table(result, words.language()))
    _answers(study_id, result)
    _files(result, chosen)


def verdicts(comparisons: Sequence[MeasureComparison]) -> str:
    """Return the verdicts as markup: what differs first, each with a sign that needs no colour."""
    if not comparisons:
        return f'<p class="tk-note">{escape(t("lab.report.none"))}</p>'
    rows = [
        f'<li class="{comparison.kind}{" better" if comparison.better else ""}">'
        f"<b>{SIGNS[comparison.kind]}</b><span>{escape(comparison.sentence(words.language()))}</span></li>"
        for comparison in sorted(comparisons, key=lambda comparison: tuple(SIGNS).index(comparison.kind))
    ]
    counts = {kind: sum(1 for comparison in comparisons if comparison.kind == kind) for kind in SIGNS}
    summary = t("labpage.report.summary", **counts)
    return f'<p class="tk-lead">{escape(summary)}</p><ul class="lab-verdicts">{"".join(rows)}</ul>'


def pictures(result: StudyResult, language: str, chosen: ChartChoice | None = None) -> bytes:
    """Return a ZIP file of all charts as they are chosen, each as SVG and as PNG."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, (_, chart) in enumerate(usual_charts(result, language, False, chosen), start=1):
            name = f"{result.study.name}-{number}"
            archive.writestr(f"{name}.svg", to_svg(chart))
            archive.writestr(f"{name}.png", to_png(chart))
    return packed.getvalue()


def _charts(result: StudyResult) -> ChartChoice:
    """Draw the pictures; return what was chosen for them."""
    dark = st.context.theme.type == "dark"
    if not has_pictures(result):
        return ChartChoice()
    widgets.html(f'<h2 class="lab-h2">{escape(t("labpage.report.pictures"))}</h2>')
    chosen = _choice(result)
    charts = usual_charts(result, words.language(), dark, chosen)
    with st.container(key="lab_charts"):
        for number, (title, chart) in enumerate(charts):
            with st.container(key=f"lab_chart_{number}"):
                widgets.html(f'<p class="lab-caption">{escape(title)}</p>')
                _chart(chart, title)
    return chosen


def _choice(result: StudyResult) -> ChartChoice:
    """Draw the boxes that choose the measure and, with two axes and more, those of curve and heat map."""
    language = words.language()
    axes = sorted(grid_axes(result), key=lambda axis: axis != axis_of(result))
    names = {name: measure_title(name, language) for name in picture_measures(result)}
    if len(result.cells) < 2 or not names:
        return ChartChoice()
    places = st.columns(3 if len(axes) > 1 else 1, gap="medium")
    with places[0]:
        measure = _choose(t("labpage.report.measure"), names, "lab_picture_measure")
    if len(axes) < 2:
        return ChartChoice(measure)
    titles = {axis: axis_title(axis, language) for axis in axes}
    with places[1]:
        x = _choose(t("labpage.report.x_axis"), titles, "lab_picture_x")
    with places[2]:
        others = {axis: title for axis, title in titles.items() if axis != x}
        y = _choose(t("labpage.report.y_axis"), others, "lab_picture_y")
    return ChartChoice(measure, x, y)


def _choose(label: str, options: Mapping[str, str], key: str) -> str:
    """Draw a select box that keeps what it holds as long as that is still one of its options."""
    names = list(options)
    selected = state.value_of(key)
    state.show_value(key, selected if selected in options else names[0])
    return st.selectbox(label, names, key=key, format_func=options.__getitem__) or names[0]


def _chart(chart: Any, title: str) -> None:
    # only the width follows the page: the legend's lines are not taken from the picture
    fitted = chart.properties(
        width="container", background="transparent", autosize={"type": "fit-x", "contains": "padding"}
    )
    st.altair_chart(fitted, theme=None, width="stretch", alt=title)


def _table(result: StudyResult) -> str:
    names = [name for name in result.measures if name in result.study.outcomes]
    names += [name for name in result.measures if name not in names]
    heads = "".join(
        f'<th scope="col" title="{escape(t(f"lab.measure.{name}.about"))}">'
        f"{escape(measure_title(name, words.language()))}</th>"
        for name in names
    )
    body = "".join(
        f'<tr><th scope="row">{escape(cell_title(cell.name, words.language()))}</th><td>{cell.answers}</td>'
        f"{cell_fields(cell, names, words.language())}</tr>"
        for cell in result.cells
    )
    return (
        f'<div class="tk-fit lab-cells" tabindex="0"><table><thead><tr><th scope="col">'
        f'{escape(t("lab.report.cell"))}</th><th scope="col">{escape(t("lab.report.answers"))}</th>{heads}'
        f'</tr></thead><tbody>{body}</tbody></table></div><p class="tk-note">'
        f"{escape(t('lab.report.table_note'))}</p>"
    )


def _answers(study_id: str, result: StudyResult) -> None:
    with st.expander(t("labpage.report.answers"), icon=":material/notes:", key="lab_answers",
                     on_change="rerun") as fold:  # fmt: skip
        if not fold.open:
            return
        left, right = st.columns(2, gap="medium")
        cells = [cell.name for cell in result.study.cells]
        prompts = {prompt.id: prompt for prompt in result.study.prompts}
        with left:
            cell = (
                st.selectbox(
                    t("lab.report.cell"),
                    cells,
                    key="lab_answers_cell",
                    format_func=lambda name: cell_title(name, words.language()),
                )
                or cells[0]
            )
        with right:
            prompt = st.selectbox(t("labpage.report.prompt"), list(prompts), key="lab_answers_prompt")
        prompt = prompt or next(iter(prompts))
        widgets.note(prompts[prompt].text)
        for answer in state.services().lab.answers(study_id, cell, prompt)[:MOST_ANSWERS]:
            facts = [t("labpage.report.seed", seed=answer.seed)]
            if answer.values.get("correct") is not None:
                facts.append(
                    t("labpage.report.right" if answer.values["correct"] else "labpage.report.wrong")
                )
            if answer.problem is not None:
                facts.append(t(f"lab.problem.{answer.problem}"))
            for name in ("tokens", "tok_per_s"):
                value = answer.values.get(name)
                if value is not None:
                    facts.append(shown(name, round(value), words.language()))
            text = answer.text if answer.error is None else " ".join(words.error_text(answer.error))
            widgets.html(
                f'<div class="lab-answer"><small>{escape(" · ".join(facts))}</small>{escape(text)}</div>'
                f"{events_markup(answer.guard)}"
            )


def _files(result: StudyResult, chosen: ChartChoice) -> None:
    language, name = words.language(), result.study.name
    with st.container(horizontal=True, gap="small", key="lab_files"):
        st.download_button(
            t("labpage.report.html"), lambda: html_report(result, language, chosen),
            f"{name}.html", "text/html",
            key="lab_file_html", icon=":material/description:", on_click="ignore",
        )  # fmt: skip
        st.download_button(
            t("labpage.report.zip"), lambda: pictures(result, language, chosen),
            f"{name}.zip", "application/zip",
            key="lab_file_zip", icon=":material/image:", on_click="ignore",
        )  # fmt: skip
        st.download_button(
            t("labpage.report.json"),
            lambda: json.dumps(result.to_dict(language), ensure_ascii=False, indent=1),
            f"{name}.json", "application/json",
            key="lab_file_json", icon=":material/data_object:", on_click="ignore",
        )  # fmt: skip
        st.download_button(
            t("labpage.report.toml"), result.study.to_toml(), f"{name}.toml", "application/toml",
            key="lab_file_toml", icon=":material/tune:", on_click="ignore",
        )  # fmt: skip
