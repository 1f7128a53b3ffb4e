"""Charts, exports and the HTML report: complete, readable without colour, and nothing from outside."""

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from invented import GRID, claims, evidence, grid

from twokeys.core.study.claim_rules import examine
from twokeys.core.study.claims import CLAIMS, ClaimResult
from twokeys.core.study.result import StudyResult
from twokeys.core.study.study import Study, shipped_studies
from twokeys.errors import BadFile
from twokeys.i18n import translate
from twokeys.reports import archive, charts, export
from twokeys.reports.page import html_report


@pytest.fixture(scope="module")
def result() -> StudyResult:
    return grid().result("id")


@pytest.fixture(scope="module")
def pages(result: StudyResult) -> dict[str, str]:
    """The report of the grid in each language; making one takes a second."""
    return {language: html_report(result, language) for language in ("zh", "en")}


@pytest.mark.parametrize(("language", "dark"), [("zh", True), ("en", False)])
def test_every_usual_chart_becomes_a_picture(result: StudyResult, language: str, dark: bool) -> None:
    made = charts.usual_charts(result, language, dark)
    assert len(made) == 9
    for title, chart in made:
        assert title
        assert ET.fromstring(export.to_svg(chart)).tag.endswith("svg")
    assert export.to_png(made[0][1]).startswith(b"\x89PNG")


@pytest.mark.parametrize("name", shipped_studies())
def test_every_shipped_study_has_its_pictures(name: str) -> None:
    made = charts.usual_charts(evidence(shipped_studies()[name]).result("id"), "zh")
    assert made and all(chart.to_dict() for _, chart in made)


def test_a_study_whose_cells_take_an_axis_from_the_base_has_a_report() -> None:
    result = evidence(shipped_studies()["claims-segments"]).result("id")
    assert html_report(result, "zh").count("<svg") == len(charts.usual_charts(result, "zh"))


def test_a_cell_that_takes_an_axis_from_the_base_stands_at_the_bases_value() -> None:
    result = evidence(shipped_studies()["claims-segments"]).result("id")
    spec = charts.dose_response(result, "rep_4", "en", axis="temperature").to_dict()
    rows = spec["layer"][0].get("data", spec.get("data"))["values"]
    assert sorted(row["x"] for row in rows) == [0.5, 0.7, 0.7]
    assert {row["line"] for row in rows} == {"segments 1", "segments 4"}


def test_lines_differ_in_shape_and_dash_and_not_only_in_colour(result: StudyResult) -> None:
    spec = charts.dose_response(result, "correct", "en").to_dict()
    lines = next(entry for entry in spec["layer"] if entry["mark"]["type"] == "line")
    points = next(entry for entry in spec["layer"] if entry["mark"]["type"] == "point")
    dashes = lines["encoding"]["strokeDash"]["scale"]["range"]
    shapes = points["encoding"]["shape"]["scale"]["range"]
    assert len({tuple(dash) for dash in dashes}) == len(dashes) == 2
    assert len(set(shapes)) == len(shapes) == 2


def test_the_heat_map_writes_its_numbers(result: StudyResult) -> None:
    spec = charts.heat_map(result, "correct", "temperature", "top_k", "en").to_dict()
    values = spec["layer"][1].get("data", spec.get("data"))["values"]
    assert len(values) == 6 and all(row["text"].endswith("%") for row in values)


def test_with_three_axes_every_cell_has_its_own_field_of_the_heat_map() -> None:
    study = Study.from_toml(GRID.replace("baseline", "# baseline") + "max_new_tokens = [64, 128]\n")
    spec = charts.heat_map(evidence(study).result("id"), "correct", "temperature", "top_k", "en").to_dict()
    rows = spec["layer"][1].get("data", spec.get("data"))["values"]
    assert len({(row["x"], row["y"]) for row in rows}) == len(rows) == 12


def values_of(spec: dict[str, Any], mark: str) -> list[dict[str, Any]]:
    layer = next(entry for entry in spec["layer"] if entry["mark"]["type"] == mark)
    result: list[dict[str, Any]] = layer.get("data", spec.get("data"))["values"]
    return result


def test_a_curve_along_the_answers_has_the_interval_of_its_units_as_a_band(result: StudyResult) -> None:
    steps = result.cells[0].along["rep_4"]
    assert len(steps) == 32
    for step in steps:
        assert step.low is not None and step.high is not None
        assert 0 <= step.low <= step.mean <= step.high and step.high - step.low < 0.01
    spec = charts.along(result, "rep_4", "en").to_dict()
    assert len(values_of(spec, "area")) == len(values_of(spec, "line")) == 6 * 32
    assert "bands are 95 % intervals" in str(spec["title"])
    cell = result.to_dict()["cells"][0]
    assert cell["along_bounds"]["rep_4"][3] == [steps[3].low, steps[3].high]
    assert cell["along"]["rep_4"][3] == steps[3].mean


def test_pictures_fit_their_place_and_say_what_their_marks_mean(result: StudyResult) -> None:
    for title, chart in charts.usual_charts(result, "en"):
        spec = chart.to_dict()
        assert "layer" in spec and spec["width"] > 0, f"{title}: one picture, whose width can follow the page"
    drawn = ET.tostring(
        ET.fromstring(export.to_svg(charts.dose_response(result, "correct", "en"))), "unicode"
    )
    assert "bars are 95 % intervals" in drawn
    y = charts.dose_response(result, "correct", "en").to_dict()["layer"][0]["encoding"]["y"]
    assert y["axis"]["format"] == "~%"
    never = evidence(Study.from_toml(GRID)).result("id")
    flat = charts.dose_response(never, "truncated", "en").to_dict()["layer"][0]["encoding"]["y"]["scale"]
    assert flat["domain"][0] == 0 < flat["domain"][1], "what never happens stands at the foot"


def test_a_curve_of_few_answers_has_no_band() -> None:
    shown = evidence(Study.from_toml(GRID.replace("fact-zh", "fact-zh:1").replace("math-en", "math-en:1")))
    few = replace(shown, texts=[row for row in shown.texts if row["s"] == 0]).result("id")
    assert all(step.low is None for cell in few.cells for step in cell.along["rep_4"])
    spec = charts.along(few, "rep_4", "en").to_dict()
    assert [entry["mark"]["type"] for entry in spec["layer"]] == ["line", "point"]
    assert ET.fromstring(export.to_svg(charts.along(few, "rep_4", "en"))) is not None


def test_a_curves_interval_is_wider_where_prompts_differ_than_where_only_their_answers_do() -> None:
    shown = evidence(Study.from_toml(GRID))
    prompts = len(shown.study.prompts)
    apart = [row | {"along": {"rep_4": [0.5 * row["p"] / prompts] * 2}} for row in shown.texts]
    alike = [row | {"along": {"rep_4": [0.1 * row["s"]] * 2}} for row in shown.texts]
    wide, narrow = (
        replace(shown, texts=texts).result("id").cells[0].along["rep_4"][0] for texts in (apart, alike)
    )
    assert wide.low is not None and wide.high is not None and wide.high - wide.low > 0.1
    assert (narrow.low, narrow.mean, narrow.high) == (0.1, 0.1, 0.1), "the prompt is the unit"


def test_the_measure_and_the_axes_of_the_pictures_can_be_chosen(result: StudyResult) -> None:
    chosen = charts.ChartChoice("mean_nll", "top_k", "temperature")
    made = charts.usual_charts(result, "en", chosen=chosen)
    assert [title for title, _ in made[:3]] == [
        charts.measure_title("mean_nll", "en"), "top_k × temperature", charts.measure_title("correct", "en"),
    ]  # fmt: skip
    curve, heat = made[0][1].to_dict(), made[1][1].to_dict()
    assert {row["x"] for row in values_of(curve, "point")} == {0, 20}
    assert {row["line"] for row in values_of(curve, "point")} == {
        f"temperature {heat}" for heat in (0.3, 0.7, 1.0)
    }
    assert {(row["x"], row["y"]) for row in values_of(heat, "rect")} == {
        (k, t) for k in ("0", "20") for t in ("0.3", "0.7", "1.0")
    }
    page = html_report(result, "en", chosen)
    assert page.index("top_k × temperature") < page.index(
        f"<figcaption>{charts.measure_title('correct', 'en')}"
    )


def test_the_front_holds_what_nothing_beats_in_both() -> None:
    rows = [{"x": x, "y": y} for x, y in ((1, 3), (2, 2), (3, 1), (1, 1), (2, 1.5))]
    assert [(row["x"], row["y"]) for row in charts.pareto_front(rows, 1, 1)] == [(1, 3), (2, 2), (3, 1)]
    assert [(row["x"], row["y"]) for row in charts.pareto_front(rows, -1, -1)] == [(1, 1)]


def test_a_chart_with_nothing_to_show_says_so(result: StudyResult) -> None:
    with pytest.raises(ValueError, match="nothing"):
        charts.dose_response(result, "length_score", "en")


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_report_is_one_file_without_any_outside_address_or_script(
    result: StudyResult, pages: dict[str, str], language: str
) -> None:
    page = pages[language]
    outside = {url for url in re.findall(r"(?:https?:)?//[\w.-]+", page) if "www.w3.org" not in url}
    assert outside == set()
    assert "<script" not in page and "<link" not in page and "@import" not in page
    assert "<b>grid</b>" not in page and "&lt;b&gt;grid" in page, "what a study says is text"
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    for comparison in result.comparisons:
        assert comparison.sentence(language).split("“")[0] in page
    assert page.count("<svg") == 9


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_chart_tells_what_is_under_the_pointer_in_the_readers_language(
    result: StudyResult, language: str
) -> None:
    for title, chart in charts.usual_charts(result, language):
        tips = re.findall(r"'tooltip': (\[.*?\])", str(chart.to_dict()))
        assert tips, title
        assert all(translate("lab.chart.cell", language) in tip for tip in tips), title


def test_a_study_of_lengths_has_a_table_of_what_is_cut_off_by_task(pages: dict[str, str]) -> None:
    study = shipped_studies()["claims-length"]
    result = evidence(study, **{"512": {"truncated": 1.0}}).result("id")
    tasks = {prompt.task for prompt in study.prompts}
    assert {(cut_off.task, cut_off.length, cut_off.share) for cut_off in result.cut_offs} == {
        (task, length, float(length == 512)) for task in tasks for length in (512, 1024, 2048)
    }
    for language in ("zh", "en"):
        title = translate("lab.report.cut_offs", language)
        assert title in html_report(result, language)
        assert "| 100% (" in archive.markdown_report([result], (), language, "")
        assert title not in pages[language], "one length only"


def test_the_archive_reads_back_as_the_same_results(tmp_path: Path, result: StudyResult) -> None:
    path = tmp_path / "grid.jsonl.gz"
    archive.write_archive(path, grid())
    first = path.read_bytes()
    archive.write_archive(path, grid())
    assert path.read_bytes() == first, "the same data makes the same file"
    assert archive.read_archive(path).result("id").to_dict() == result.to_dict()
    path.write_bytes(first[:-20])
    with pytest.raises(BadFile):
        archive.read_archive(path)


@pytest.fixture(scope="module")
def examined() -> dict[str, ClaimResult]:
    return {entry.claim: entry for entry in examine(claims())}


def test_each_claim_gets_a_row_and_a_sentence_in_both_languages(examined: dict[str, ClaimResult]) -> None:
    assert tuple(examined) == CLAIMS
    for entry in examined.values():
        assert entry.model == "invented"
        for language in ("zh", "en"):
            said = entry.sentence(language) + entry.scope(language) + entry.verdict_text(language)
            assert "{" not in said and "nan" not in said


def test_claims_are_confirmed_and_refuted_as_the_invented_truth_has_it(
    examined: dict[str, ClaimResult],
) -> None:
    verdicts = {claim: entry.verdict for claim, entry in examined.items()}
    assert verdicts["C1"] == "confirmed", "diverse and less often right when hot"
    assert verdicts["C3"] == "refuted" and examined["C3"].figure == pytest.approx(24, abs=1)
    assert verdicts["C7"] == "confirmed"
    assert verdicts["C9"] == "refuted", "the same words after hot answers"
    assert verdicts["C15"] == "refuted"
    for claim in ("C6", "C8", "C10", "C11"):
        assert verdicts[claim] == "undecided"
    assert verdicts["C4"] == "confirmed", "old phrases grow along the answer"
    assert verdicts["C5"] == "confirmed", "each token takes longer than the one before"
    assert (verdicts["C13"], verdicts["C14"]) == ("refuted", "refuted"), "no repetition differs"


def test_claims_of_long_texts_are_left_open_on_six_answers() -> None:
    studies = claims()
    for name in ("claims-long", "claims-segments"):
        fewer = replace(studies[name].study, seeds=3)
        answers = [row for row in studies[name].answers if row["s"] < 3]
        texts = [row for row in studies[name].texts if row["s"] < 3]
        studies[name] = replace(studies[name], study=fewer, answers=answers, texts=texts)
    for entry in examine(studies):
        if entry.claim in ("C4", "C5", "C13", "C14"):
            assert (entry.verdict, entry.values["why"]) == ("undecided", "few")


def test_a_step_of_the_recovery_that_saves_no_memory_says_so_with_its_interval(
    examined: dict[str, ClaimResult],
) -> None:
    row = examined["C10"]
    assert row.answers > 0 and row.study == "claims-segments" and row.unit == "MiB"
    assert row.low is not None and row.high is not None and row.low <= row.high
    assert "no difference that matters" in row.sentence("en")


def test_a_model_on_a_graphics_card_leaves_the_claims_of_memory_undecided() -> None:
    result = claims()
    memory = evidence(result["claims-memory"].study, **{cell.name: {"memory_bytes": 6e8}
                      for cell in result["claims-memory"].study.cells})  # fmt: skip
    for engine in ({"gpu_layers": -1}, {}):
        rows = {
            entry.claim: entry
            for entry in examine({**result, "claims-memory": replace(memory, engine=engine)})
        }
        assert rows["C3"].verdict == rows["C15"].verdict == "undecided"
        assert ("graphics card" in rows["C3"].sentence("en")) == bool(engine)
    grown = replace(result["claims-memory"], engine={"gpu_layers": 12})
    rows = {entry.claim: entry for entry in examine({**result, "claims-memory": grown})}
    assert rows["C3"].verdict == rows["C15"].verdict == "undecided", "the card's part is not in the growth"


def test_stalls_are_compared_with_smooth_answers_to_the_same_prompt_where_there_are_both() -> None:
    def stalled(added: float, prompts: int) -> ClaimResult:
        result = claims()
        rows = []
        for row in result["claims-diversity"].answers:
            values = dict(row["v"])
            if row["s"] == 0 and row["p"] < prompts:
                values["stalls"] = 1.0
                values["mean_nll"] += added
            rows.append({**row, "v": values})
        return {
            entry.claim: entry
            for entry in examine(
                {**result, "claims-diversity": replace(result["claims-diversity"], answers=rows)}
            )
        }["C8"]

    assert stalled(1.0, 8).verdict == "confirmed"
    row = stalled(0.0, 8)
    assert row.verdict == "refuted" and row.low is not None and row.high is not None
    assert stalled(1.0, 0).verdict == "undecided"
    for language in ("zh", "en"):
        assert "busy" not in stalled(1.0, 0).sentence(language)


def test_every_examined_claim_says_its_interval(examined: dict[str, ClaimResult]) -> None:
    for claim in ("C3", "C5", "C7", "C10", "C15"):
        values = examined[claim].values
        assert f"({values['low']} to {values['high']})" in examined[claim].sentence("en")


def test_the_groups_report_and_files_are_written_and_read_back(tmp_path: Path) -> None:
    result = claims()
    archive.write_group(tmp_path, result, examine(result), "twokeys study run --shipped claims")
    assert set(archive.read_group(tmp_path)) == set(result)
    assert examine(archive.read_group(tmp_path)) == examine(result)
    for language in ("zh", "en"):
        text = (tmp_path / f"report.{language}.md").read_text(encoding="utf-8")
        assert text.count("| C") >= 15 and "nan" not in text


def test_the_axis_of_a_share_ends_at_a_hundred_percent() -> None:
    always = evidence(Study.from_toml(GRID), **{c.name: {"correct": 1.0} for c in grid().study.cells})
    chart = charts.dose_response(always.result(), "correct", "en").to_dict()
    domains = [
        layer["encoding"]["y"]["scale"]["domain"] for layer in chart["layer"] if "y" in layer["encoding"]
    ]
    assert domains and all(domain[1] <= 1.0 for domain in domains)
