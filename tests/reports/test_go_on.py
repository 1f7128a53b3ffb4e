"""Further seeds of a shipped study: what was written stays, and only what is missing is left to write."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from studies.go_on import RESULTS, go_on

from twokeys.config import load_config
from twokeys.core.study.evidence import Evidence
from twokeys.core.study.study import Study
from twokeys.core.study.trial import plan_groups
from twokeys.reports.archive import SUFFIX, read_archive
from twokeys.services import Services, build_services


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    services = build_services(load_config({"TWOKEYS_HOME": str(tmp_path)}))
    yield services
    services.close()


@pytest.fixture
def written() -> Evidence:
    return read_archive(RESULTS / "smollm2-135m" / f"claims-segments{SUFFIX}")


def test_only_the_answers_of_further_seeds_are_left_to_write(services: Services, written: Evidence) -> None:
    before = written.study
    study = replace(before, seeds=before.seeds + 1)
    view = services.lab.view(go_on(services.repository, study, written))
    assert (view.state, view.done, view.model) == ("paused", len(written.answers), "smollm2-135m")
    left = plan_groups(study, services.repository.documents.row_keys(view.id))
    trials = [trial for group in left for batch in group.batches for trial in batch.trials]
    assert {trial.number for trial in trials} == {before.seeds}
    assert len(trials) == len(before.cells) * len(before.prompts)
    run = services.lab.find(study, "smollm2-135m")
    assert run is not None and run.id == view.id, "the same command goes on with it"
    for cell, shipped in zip(services.lab.result(view.id).cells, written.result().cells, strict=True):
        assert cell.estimates["rep_4"].mean == shipped.estimates["rep_4"].mean


def test_another_study_is_not_taken_for_the_same_with_more_seeds(
    services: Services, written: Evidence
) -> None:
    study: Study = written.study
    for other in (replace(study, seeds=study.seeds - 1), replace(study, n_probs=3)):
        with pytest.raises(ValueError, match="claims-segments"):
            go_on(services.repository, other, written)
    assert list(services.lab.list()) == []
