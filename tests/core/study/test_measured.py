"""What the temperature's line says: shares by temperature from cells that differ in nothing else."""

import pytest

from twokeys.core.study.evidence import Evidence
from twokeys.core.study.measured import (
    Measured,
    best,
    by_temperature,
    load_measured,
    measured_in,
    sentence,
)
from twokeys.core.study.study import Study, grid_cells, shipped_studies

from ..making import MakeServices
from .making import engine, study
from .test_lab import run


def rows_of(name: str, values: dict[str, float], measure: str, count: int = 20) -> Evidence:
    """Answers of a shipped study with the share of each cell's name."""
    shipped = shipped_studies()[name]
    answers = [
        {"c": c, "p": p, "s": 0, "v": {measure: float(p < round(count * values.get(cell.name, 1.0)))}}
        for c, cell in enumerate(shipped.cells)
        for p in range(count)
    ]
    return Evidence(shipped, "small", answers, (), ())


def test_loops_are_told_at_the_ends_of_the_usual_range() -> None:
    shares = {"0.0": 0.5, "0.1": 0.35, "0.4": 0.2, "0.7": 0.05, "1.0": 0.05}
    [row] = measured_in(rows_of("paper-loops", shares, "looped"), "study")
    assert [at for at, _ in row.points] == [0.0, 0.1, 0.4, 0.7, 1.0], "the cell with top_k 1 is another thing"
    assert (row.answers, row.study, row.study_id) == (20, "paper-loops", "study")
    assert sentence((row,), "en") == "Measured on this model: loops 35% at 0.1, 5% at 1.0"
    assert "0.1" in sentence((row,), "zh") and "35%" in sentence((row,), "zh")


def test_what_a_study_is_not_about_is_not_read_off_it() -> None:
    shares = {"0.3": 0.0, "0.7": 0.0, "1.0": 0.0}
    assert measured_in(rows_of("claims-correct", shares, "looped")) == (), "32 tokens are no place for loops"
    assert len(measured_in(rows_of("claims-correct", shares, "correct"))) == 1
    assert measured_in(rows_of("claims-correct", shares, "correct", count=7)) == (), "too few answers"


def test_cells_that_differ_in_more_than_temperature_are_kept_apart() -> None:
    cells = grid_cells({"temperature": [0.3, 0.9], "top_k": [0, 20]})
    made = Study("s", study().prompts, (*cells, *grid_cells({"temperature": [0.1, 0.5, 1.2]})))
    assert by_temperature(made) == {4: 0.1, 5: 0.5, 6: 1.2}


def test_the_row_with_the_most_answers_is_kept_and_counted_chances_stand_for_right_answers() -> None:
    def row(measure: str, answers: int) -> Measured:
        return Measured("small", measure, ((0.1, 0.5), (1.0, 0.4)), answers, "s")

    chosen = best([row("correct", 99), row("chance", 20), row("looped", 8), row("looped", 30)])
    assert [(of.measure, of.answers) for of in chosen] == [("looped", 30), ("chance", 20)]
    assert Measured.from_dict(chosen[0].to_dict()) == chosen[0]


def test_ones_own_study_comes_before_the_shipped_ones(make_services: MakeServices) -> None:
    services = make_services(engine())
    assert services.lab.measured("scripted") == ()
    shipped = {row.model: row for row in load_measured() if row.measure in ("correct", "chance")}
    assert set(shipped) >= {"qwen2.5-coder-0.5b", "smollm2-135m"}
    assert shipped["smollm2-135m"] in services.lab.measured("smollm2-135m")
    study_id = run(services, study(seeds=8, outcomes=("correct",)))
    [row] = services.lab.measured("scripted")
    assert (row.measure, row.study_id) == ("correct", study_id)
    assert dict(row.points)[0.3] == pytest.approx(1.0)
    assert services.lab.measured("scripted") == (row,), "read once"
