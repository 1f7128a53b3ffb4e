"""Stored rows: by name, whatever measures there were when they were written."""

import json
import math
import subprocess
import sys
from pathlib import Path

from twokeys.core.study.measure import ANSWER_MEASURES
from twokeys.core.study.rows import ANSWER_ORDER, named_rows, stored_values, text_rows
from twokeys.core.study.table import Table

from ..making import MakeServices
from .making import engine, study

ARCHIVE = Path(__file__).resolve().parents[3] / "studies/results/smollm2-135m/claims-state.jsonl.gz"
REPORT = """
import json, sys
from importlib.util import module_from_spec, find_spec
from pathlib import Path

name = "twokeys.core.study.measure"
spec = find_spec(name)
source = Path(spec.origin).read_text(encoding="utf-8")
changed = source.replace("MEASURES: Mapping", sys.argv[1] + "\\nMEASURES: Mapping", 1)
assert changed != source
module = module_from_spec(spec)
sys.modules[name] = module
exec(compile(changed, spec.origin, "exec"), module.__dict__)

from twokeys.reports.archive import read_archive

report = read_archive(Path(sys.argv[2])).result().to_dict("en")

def steady(value):
    if isinstance(value, dict):
        return {key: steady(of) for key, of in value.items()}
    if isinstance(value, list | tuple):
        return [steady(of) for of in value]
    return float(f"{value:.9g}") if isinstance(value, float) else value

print(json.dumps(steady(report), sort_keys=True))
"""


def report_with(change: str) -> str:
    """Return the report of a shipped study by a TwoKeys whose table of measures was changed."""
    ran = subprocess.run(
        [sys.executable, "-c", REPORT, change, str(ARCHIVE)], capture_output=True, text=True, timeout=120
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_a_measure_more_or_two_in_another_order_change_nothing_in_a_stored_studys_report() -> None:
    as_it_is = report_with("")
    assert json.loads(as_it_is)["verdicts"]
    new = 'Measure("brand_new", "higher", "share", 0.1, 0.1)'
    assert report_with(f"_LIST = ({new}, *_LIST)") == as_it_is
    assert report_with("_LIST = (*reversed(_LIST),)") == as_it_is


def test_what_does_not_apply_is_not_stored() -> None:
    assert stored_values({"tokens": 1234567.8, "correct": math.nan}) == {"tokens": 1234570.0}


def test_a_list_is_read_in_the_order_it_was_written_in() -> None:
    old = {"c": 0, "p": 1, "s": 2, "v": [0.5, None, 7.0]}
    new = {"c": 0, "p": 1, "s": 3, "v": {"rep_4": 0.25}}
    read = named_rows([old, new], ("correct", "tokens", "gone"))
    assert [row["v"] for row in read] == [{"correct": 0.5, "gone": 7.0}, {"rep_4": 0.25}]
    assert read[0] | {"v": None} == old | {"v": None}


def test_a_table_finds_its_columns_by_name() -> None:
    rows = [{"c": 0, "p": 0, "s": 0, "v": {"correct": 1.0}}, {"c": 1, "p": 1, "s": 1, "v": {}, "e": "x"}]
    table = Table.of(study(), rows, ("tokens", "correct"))
    assert table.values[0].tolist()[1] == 1.0 and math.isnan(table.values[0, 0])
    assert table.failed.tolist() == [False, True]
    assert Table.of_answers(study(), []).values.shape == (0, len(ANSWER_MEASURES))


def test_a_study_stored_by_an_earlier_version_is_read_by_its_own_list_and_goes_on(
    make_services: MakeServices,
) -> None:
    services = make_services(engine())
    made = study(seeds=1)
    study_id = services.lab.create(made).id
    document = services.repository.documents.get(study_id)
    order = ["correct", *(name for name in ANSWER_ORDER if name != "correct")]
    services.repository.documents.update(study_id, data={**document.data, "measures": order})
    text = {"c": 0, "p": 0, "s": 0, "text": "7", "finish": "stop", "seed": 1, "guard": [], "along": {}}
    row = {"c": 0, "p": 0, "s": 0, "v": [1.0, 3.0, *[None] * (len(order) - 2)]}
    services.repository.documents.put_rows(study_id, {"a/0/0/0": row, "t/0/0/0": text})
    services.lab.start(study_id)
    assert services.lab.wait(study_id, 30).state == "done"
    answer = services.lab.answers(study_id, made.cells[0].name, "sum")[0]
    assert dict(answer.values) == {"correct": 1.0, "tokens": 3.0}
    assert services.lab.result(study_id).cells[0].estimates["correct"].mean == 1.0
    assert services.lab.evidence(study_id).values("correct", made.cells[0].name) == [1.0]


def test_what_was_stored_under_a_measures_former_name_is_read_under_its_present_one(
    make_services: MakeServices,
) -> None:
    rows = named_rows([{"v": {"surprise": 0.5, "tokens": 3.0}}, {"v": [0.25]}], ("surprise",))
    assert [row["v"] for row in rows] == [{"mean_nll": 0.5, "tokens": 3.0}, {"mean_nll": 0.25}]
    (text,) = text_rows([{"text": "", "along": {"surprise": [1.0], "rep_4": [0.0]}}])
    assert text["along"] == {"mean_nll": [1.0], "rep_4": [0.0]}
    made = study(outcomes=("mean_nll",), margins={"mean_nll": 0.2})
    services = make_services(engine())
    stored = {**made.to_dict(), "outcomes": ["surprise"], "margins": {"surprise": 0.2}}
    study_id = services.lab.create(made).id
    document = services.repository.documents.get(study_id)
    services.repository.documents.update(
        study_id, data={**document.data, "study": stored, "fingerprint": "of another name"}
    )
    match = services.lab.find(made)
    assert match is not None and (match.id, match.study) == (study_id, made)
