"""The shipped study: enough answers on both models, and a table of claims that follows from them."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from studies.collect import BEGIN, END, claims_table, worth_telling

from twokeys.core.study.claim_rules import examine
from twokeys.core.study.claims import CLAIMS, known_claims, load_claims
from twokeys.core.study.forms import STUDY, examine_forms, load_forms
from twokeys.core.study.measured import Measured, load_measured
from twokeys.core.study.papers import load_papers
from twokeys.core.study.study import shipped_studies
from twokeys.reports.archive import group_rows, read_group

RESULTS = Path(__file__).resolve().parents[2] / "studies" / "results"
COMPLETE = ("qwen2.5-coder-0.5b", "smollm2-135m")
"""Models with which all studies of claims were run."""
MODELS = (*COMPLETE, "qwen2.5-coder-1.5b")


@pytest.mark.parametrize("model", MODELS)
def test_the_table_of_claims_follows_from_the_raw_data(model: str) -> None:
    studies = read_group(RESULTS / model)
    written = sum(
        1 for study in studies.values() for row in study.texts if "of" not in row and not row.get("error")
    )
    assert written >= (200 if model in COMPLETE else 90)
    for name, study in studies.items():
        assert study.study.fingerprint == shipped_studies()[name].fingerprint, (
            "run with the study as it is shipped"
        )
    shipped = [row for row in load_claims() if row.model == model]
    if model in COMPLETE:
        assert tuple(row.claim for row in shipped) == CLAIMS
    for row, again in zip(shipped, worth_telling(examine(studies), studies), strict=True):
        assert (row.verdict, row.answers, row.study) == (again.verdict, again.answers, again.study)
        assert row.figure == pytest.approx(again.figure, abs=1e-6, nan_ok=True)


def test_a_model_with_rows_of_ones_own_is_not_listed_twice() -> None:
    own = [replace(row, verdict="confirmed", answers=9) for row in load_claims() if row.model == MODELS[0]]
    rows = known_claims(own)
    assert rows[: len(own)] == own
    rest = [row.model for row in rows[len(own) :]]
    assert rest.count(MODELS[1]) == len(CLAIMS) and MODELS[0] not in rest


def test_a_claim_not_examined_here_keeps_what_the_shipped_study_found_on_this_model() -> None:
    shipped = [row for row in load_claims() if row.model == MODELS[0]]
    assert shipped[0].answers, "this one was examined"
    own = [replace(row, answers=0, verdict="undecided", figure={}) for row in shipped[:1]]
    own += [replace(row, verdict="confirmed", answers=7) for row in shipped[1:]]
    assert known_claims(own)[: len(own)] == [shipped[0], *own[1:]]


def test_the_document_has_the_table_of_claims() -> None:
    document = (RESULTS.parents[1] / "docs" / "lab.md").read_text(encoding="utf-8")
    assert f"{BEGIN}{claims_table(load_claims())}{END}" in document, "run: python studies/collect.py"


@pytest.mark.parametrize("model", MODELS)
def test_what_was_measured_by_temperature_and_said_of_papers_follows_from_the_raw_data(model: str) -> None:
    studies = read_group(RESULTS / model)
    made = group_rows(studies, ())
    assert [Measured.from_dict(row) for row in made["measured"]] == [
        row for row in load_measured() if row.model == model
    ]
    shipped = {row.paper: row for row in load_papers() if row.model == model}
    assert {str(row["paper"]): row["verdict"] for row in made["papers"]} == {
        name: row.verdict for name, row in shipped.items()
    }
    assert "turning" not in shipped, "not published: see docs/lab.md"
    for row in shipped.values():
        for language in ("zh", "en"):
            assert "{" not in row.sentence(language) and "nan" not in row.sentence(language)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_row_can_be_read_in_both_languages(language: str) -> None:
    for row in load_claims():
        said = row.sentence(language) + row.scope(language)
        assert said and "{" not in said and "nan" not in said


DIGESTS = {
    "qwen2.5-coder-0.5b/claims-correct": "0f14d1b282bd7fa9",
    "qwen2.5-coder-0.5b/claims-diversity": "677e3eb9445f24ad",
    "qwen2.5-coder-0.5b/claims-exact": "01ec234b92315cfd",
    "qwen2.5-coder-0.5b/claims-length": "887a157790c6dd9b",
    "qwen2.5-coder-0.5b/claims-long": "ff801b66ae42fdb9",
    "qwen2.5-coder-0.5b/claims-memory": "39a34885ac431972",
    "qwen2.5-coder-0.5b/claims-prompt": "ba9d469bdb63246f",
    "qwen2.5-coder-0.5b/claims-segments": "f42b404da2b86f5f",
    "qwen2.5-coder-0.5b/claims-state": "ed9535af7042f85c",
    "qwen2.5-coder-0.5b/paper-length": "452ec5dbd503c0b4",
    "qwen2.5-coder-0.5b/paper-loops": "1f878f4ad05b7088",
    "qwen2.5-coder-0.5b/structured": "07212112525aee29",
    "qwen2.5-coder-1.5b/claims-correct": "091724a0e9e31126",
    "qwen2.5-coder-1.5b/claims-diversity": "b57adda47325ff69",
    "qwen2.5-coder-1.5b/claims-exact": "a6d77dea6e7a892e",
    "qwen2.5-coder-1.5b/claims-length": "d0329076c18baee8",
    "qwen2.5-coder-1.5b/claims-memory": "f3f6a6b52f9334d2",
    "qwen2.5-coder-1.5b/claims-prompt": "3093e95f4452d3e5",
    "qwen2.5-coder-1.5b/claims-state": "136c025dba6ec5c1",
    "smollm2-135m/claims-correct": "bb0b23c620a50d64",
    "smollm2-135m/claims-diversity": "ae11fef358a73b54",
    "smollm2-135m/claims-exact": "e2cf86bbcd67cde1",
    "smollm2-135m/claims-length": "daef4bc6a3bddb2a",
    "smollm2-135m/claims-long": "e0192b9dd8ffa920",
    "smollm2-135m/claims-memory": "efc5f3bcb692ad60",
    "smollm2-135m/claims-prompt": "5670e79038b5dbad",
    "smollm2-135m/claims-segments": "8d4bafcae2ebea43",
    "smollm2-135m/claims-state": "31a30a4a70ed36a5",
    "smollm2-135m/structured": "dfe9df2b1209b423",
}
"""Of each shipped study's report. A change of these is a change of what was published: say why."""


@pytest.mark.parametrize("model", MODELS)
def test_the_shipped_archives_give_the_reports_that_were_published(model: str) -> None:
    for name, entry in read_group(RESULTS / model).items():
        report = json.dumps(steady(entry.result().to_dict()), sort_keys=True)
        assert hashlib.sha256(report.encode()).hexdigest()[:16] == DIGESTS[f"{model}/{name}"], name


def steady(value: Any) -> Any:
    """Return a report's values to six digits, which every processor agrees on, and without its sentences."""
    if isinstance(value, dict):
        return {key: steady(of) for key, of in value.items() if key != "text"}
    if isinstance(value, list | tuple):
        return [steady(of) for of in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def test_what_a_grammar_changes_follows_from_the_raw_data() -> None:
    groups = [read_group(RESULTS / model) for model in MODELS]
    made = [row for group in groups if STUDY in group for row in examine_forms(group[STUDY])]
    assert [(row.model, row.temperature, row.texts) for row in load_forms()] == [
        (row.model, row.temperature, row.texts) for row in made
    ]
    for row, again in zip(load_forms(), made, strict=True):
        for change, once_more in ((row.valid, again.valid), (row.correct, again.correct)):
            assert change.kind == once_more.kind
            assert (change.without, change.held) == pytest.approx((once_more.without, once_more.held))
            assert (change.low, change.high) == pytest.approx((once_more.low, once_more.high), abs=1e-6)
