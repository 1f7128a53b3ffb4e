"""The shipped study: enough answers on both models, and a table of claims that follows from them."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from twokeys.core.study.claim_rules import examine
from twokeys.core.study.claims import CLAIMS, known_claims, load_claims
from twokeys.core.study.study import shipped_studies
from twokeys.reports.archive import read_group

RESULTS = Path(__file__).resolve().parents[2] / "studies" / "results"
MODELS = ("qwen2.5-coder-0.5b", "smollm2-135m")


@pytest.mark.parametrize("model", MODELS)
def test_the_table_of_claims_follows_from_the_raw_data(model: str) -> None:
    studies = read_group(RESULTS / model)
    written = sum(
        1 for one in studies.values() for row in one.texts if "of" not in row and not row.get("error")
    )
    assert written >= 200
    for name, one in studies.items():
        assert one.study.fingerprint == shipped_studies()[name].fingerprint, (
            "run with the study as it is shipped"
        )
    shipped = [row for row in load_claims() if row.model == model]
    assert tuple(row.claim for row in shipped) == CLAIMS
    for row, again in zip(shipped, examine(studies), strict=True):
        assert (row.verdict, row.answers, row.study) == (again.verdict, again.answers, again.study)
        assert row.figure == pytest.approx(again.figure, abs=1e-6, nan_ok=True)


def test_a_model_with_rows_of_ones_own_is_not_listed_twice() -> None:
    own = [replace(row, verdict="confirmed", answers=9) for row in load_claims() if row.model == MODELS[0]]
    rows = known_claims(own)
    assert rows[: len(own)] == own
    assert [row.model for row in rows[len(own) :]] == [MODELS[1]] * len(CLAIMS)


def test_a_claim_not_examined_here_keeps_what_the_shipped_study_found_on_this_model() -> None:
    shipped = [row for row in load_claims() if row.model == MODELS[0]]
    assert shipped[0].answers, "this one was examined"
    own = [replace(row, answers=0, verdict="undecided", figure={}) for row in shipped[:1]]
    own += [replace(row, verdict="confirmed", answers=7) for row in shipped[1:]]
    assert known_claims(own)[: len(own)] == [shipped[0], *own[1:]]


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_row_can_be_read_in_both_languages(language: str) -> None:
    for row in load_claims():
        said = row.sentence(language) + row.scope(language)
        assert said and "{" not in said and "nan" not in said


DIGESTS = {
    "qwen2.5-coder-0.5b/claims-correct": "d3b923d043a9142e",
    "qwen2.5-coder-0.5b/claims-diversity": "6f072be397dc2fed",
    "qwen2.5-coder-0.5b/claims-length": "d9db7e9f9f76cf63",
    "qwen2.5-coder-0.5b/claims-long": "83692a555f69037b",
    "qwen2.5-coder-0.5b/claims-memory": "a743bff8726f695e",
    "qwen2.5-coder-0.5b/claims-prompt": "75c40e1532a92a42",
    "qwen2.5-coder-0.5b/claims-segments": "219228a85ee2d636",
    "qwen2.5-coder-0.5b/claims-state": "0486bba24e79e2ff",
    "smollm2-135m/claims-correct": "939dcbda70f05204",
    "smollm2-135m/claims-diversity": "3dda609ff0059ae5",
    "smollm2-135m/claims-length": "638f7baa57e94ed6",
    "smollm2-135m/claims-long": "7be489d3a6b36a21",
    "smollm2-135m/claims-memory": "8f89d5fc11d8d833",
    "smollm2-135m/claims-prompt": "1e00699370d38074",
    "smollm2-135m/claims-segments": "97b6dac2c97d46f9",
    "smollm2-135m/claims-state": "8e8ae09f4485b716",
}
"""Of each shipped study's report. A change of these is a change of what was published: say why."""


@pytest.mark.parametrize("model", MODELS)
def test_the_shipped_archives_give_the_reports_that_were_published(model: str) -> None:
    for name, one in read_group(RESULTS / model).items():
        report = json.dumps(steady(one.result().to_dict()), sort_keys=True)
        assert hashlib.sha256(report.encode()).hexdigest()[:16] == DIGESTS[f"{model}/{name}"], name


def steady(value: Any) -> Any:
    """Return a report's values to six digits, which every processor agrees on, and without its sentences."""
    if isinstance(value, dict):
        return {key: steady(of) for key, of in value.items() if key != "text"}
    if isinstance(value, list | tuple):
        return [steady(of) for of in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value
