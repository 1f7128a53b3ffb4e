"""The HTML report: one file with everything in it. No script, no address of another host.

Light or dark follows the reader's system; pictures are SVG and take their text colour from the page.
"""

from collections.abc import Sequence
from functools import cache
from html import escape
from importlib.resources import files

from twokeys.core.study.axes import cell_title
from twokeys.core.study.result import CellResult, StudyResult, shown
from twokeys.i18n import translate
from twokeys.reports.charts import ChartChoice, measure_title, usual_charts
from twokeys.reports.export import to_svg

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
SIGNS = {"different": "≠", "same": "=", "undecided": "?"}


def html_report(result: StudyResult, language: str, chosen: ChartChoice | None = None) -> str:
    """Return the report as one HTML document in "zh" or "en". chosen: what its pictures show first."""

    def t(key: str, **values: object) -> str:
        return escape(translate(f"lab.report.{key}", language, **values))

    study = result.study
    name = study.title_in(language)
    lead = t(
        "lead",
        answers=result.answers,
        prompts=len(study.prompts),
        cells=len(study.cells),
        seeds=study.seeds,
        model=result.model,
    )
    partial = (
        "" if result.complete else f"<p>{t('partial', answers=result.answers, total=study.generations)}</p>"
    )
    partial += "".join(f"<p>{escape(note)}</p>" for note in result.notes(language))
    charts = usual_charts(result, language, "page", chosen)
    figures = "".join(
        f"<figure><figcaption>{escape(title)}</figcaption>{_inline(to_svg(chart), i)}</figure>"
        for i, (title, chart) in enumerate(charts)
    )
    engine = result.engine
    facts = t("engine", kind=engine.get("kind", "–"), build=engine.get("build", ""),
              context=engine.get("context", "–"), sha256=engine.get("sha256") or "–")  # fmt: skip
    return (
        f'<!doctype html>\n<html lang="{"zh-CN" if language == "zh" else "en"}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f"<title>{t('title', name=name)}</title><style>{_style()}</style></head><body>"
        f'<h1>{t("title", name=name)}</h1><p class="lead">{lead}</p>{partial}'
        f"<h2>{t('verdicts')}</h2>{exact_list(result, language)}{_verdicts(result, language)}"
        f'<h2>{t("table")}</h2><p class="lead">{t("table_note")}</p>{_table(result, language)}'
        f"{cut_off_table(result, language)}{engine_table(result, language)}"
        f'<h2>{t("pictures")}</h2><div class="charts">{figures}</div>'
        f"<h2>{t('measures')}</h2>{_definitions(result, language)}"
        f'<h2>{t("method")}</h2><p>{t("method_text")}</p><p class="lead">{facts}</p>'
        f"<h2>{t('repeat')}</h2><p>{t('repeat_text', model=result.model)}</p>"
        f"<details><summary>study.toml</summary><pre>{escape(study.to_toml())}</pre></details></body></html>\n"
    )


@cache
def _style() -> str:
    return files(__package__).joinpath("report.css").read_text(encoding="utf-8")


def exact_list(result: StudyResult, language: str) -> str:
    """Return what the curves of an exact study say, as a list; "" for other studies."""
    rows = "".join(f"<li>{escape(curve.sentence(language))}</li>" for curve in result.exact)
    note = escape(translate("lab.exact.note", language))
    return f'<ul class="exact">{rows}</ul><p class="lead">{note}</p>' if rows else ""


def _verdicts(result: StudyResult, language: str) -> str:
    if not result.comparisons:
        return f"<p>{escape(translate('lab.report.none', language))}</p>"
    by_kind = sorted(result.comparisons, key=lambda comparison: tuple(SIGNS).index(comparison.kind))
    rows = [
        f'<li class="{comparison.kind}{" better" if comparison.better else ""}">'
        f"<b>{SIGNS[comparison.kind]}</b> {escape(comparison.sentence(language))}</li>"
        for comparison in by_kind
    ]
    return f'<ul class="verdicts">{"".join(rows)}</ul>'


def _table(result: StudyResult, language: str) -> str:
    names = result.measures
    head = "".join(f"<th>{escape(measure_title(name, language))}</th>" for name in names)
    first = escape(translate("lab.report.cell", language))
    count = escape(translate("lab.report.answers", language))
    body = "".join(
        f"<tr><td>{escape(cell_title(cell.name, language))}</td><td>{cell.answers}</td>"
        f"{cell_fields(cell, names, language)}</tr>"
        for cell in result.cells
    )
    return (
        f'<div class="scroll"><table><thead><tr><th>{first}</th><th>{count}</th>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def cut_off_table(result: StudyResult, language: str) -> str:
    """Return what each length cut off, tasks down and lengths across; "" where one length was tried."""
    if not result.cut_offs:
        return ""
    lengths = sorted({cut_off.length for cut_off in result.cut_offs})
    head = "".join(f'<th scope="col">{length}</th>' for length in lengths)
    rows = []
    for task in dict.fromkeys(cut_off.task for cut_off in result.cut_offs):
        of = {cut_off.length: cut_off for cut_off in result.cut_offs if cut_off.task == task}
        fields = "".join(
            f"<td>{of[length].share:.0%}<small>{of[length].cut} / {of[length].answers}</small></td>"
            if length in of
            else "<td>–</td>"
            for length in lengths
        )
        rows.append(
            f'<tr><th scope="row">{escape(translate(f"lab.task.{task}", language))}</th>{fields}</tr>'
        )
    title = escape(translate("lab.report.cut_offs", language))
    first = escape(translate("lab.report.cut_offs_axes", language))
    return (
        f'<h2 class="lab-h2">{title}</h2><div class="scroll tk-fit lab-cuts" tabindex="0"><table><thead><tr>'
        f'<th scope="col">{first}</th>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
    )


def engine_table(result: StudyResult, language: str) -> str:
    """Return the engines that wrote, with what each is and how much it wrote; "" where one wrote."""
    if result.engines is None:
        return ""

    columns = ("engine", "model", "build", "device", "answers")
    titles = (escape(translate(f"lab.fleet.column.{name}", language)) for name in columns)
    head = "".join(f'<th scope="col">{title}</th>' for title in titles)
    title = escape(translate("lab.fleet.title", language))
    method = escape(translate("lab.fleet.method", language))
    rows = []
    for share in result.engines.engines:
        model = str(share.facts.get("model") or "–")
        sha256 = str(share.facts.get("sha256") or "")[:12]
        build_and_device = (str(share.facts.get(name) or "–") for name in ("build", "device"))
        fields = "".join(f"<td>{escape(value)}</td>" for value in build_and_device)
        rows.append(
            f'<tr><th scope="row">{escape(share.name)}</th><td>{escape(model)}<small>{sha256}</small></td>'
            f"{fields}<td>{share.answers}</td></tr>"
        )
    return (
        f'<h2 class="lab-h2">{title}</h2><p class="lead">{method}</p>'
        f'<div class="scroll tk-fit" tabindex="0"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def cell_fields(cell: CellResult, names: Sequence[str], language: str) -> str:
    """Return a cell's mean of each measure as fields of a table row, with its bounds where known."""
    fields = []
    for name in names:
        estimate = cell.estimates.get(name)
        if estimate is None:
            fields.append("<td>–</td>")
            continue
        bounds = ""
        if estimate.low is not None and estimate.high is not None:
            low, high = (escape(shown(name, value, language)) for value in (estimate.low, estimate.high))
            bounds = f"<small>{low} … {high}</small>"
        fields.append(f"<td>{escape(shown(name, estimate.mean, language))}{bounds}</td>")
    return "".join(fields)


def _definitions(result: StudyResult, language: str) -> str:
    rows = [
        f"<dt>{escape(measure_title(name, language))}</dt>"
        f"<dd>{escape(translate(f'lab.measure.{name}.about', language))}</dd>"
        for name in result.measures
    ]
    return f"<dl>{''.join(rows)}</dl>"


def _inline(svg: str, number: int) -> str:
    """Return an SVG that can stand beside others in one page: its ids are made its own."""
    body = svg[svg.index("<svg") :]
    return body.replace('id="', f'id="c{number}-').replace("url(#", f"url(#c{number}-")
