"""A real worker killed in the middle of a study costs no answer and no finished work."""

import os
import signal
import time
from pathlib import Path

import pytest

from twokeys.config import load_config
from twokeys.core.study.prompt import StudyPrompt
from twokeys.core.study.study import Study, grid_cells
from twokeys.services import build_services
from twokeys.types import Sampling


@pytest.mark.slow
def test_a_killed_worker_is_started_again_and_every_answer_is_written_once(smollm2: Path) -> None:
    services = build_services(load_config(model=str(smollm2)))
    try:
        study = Study(
            name="killed",
            prompts=(StudyPrompt("a", "Count to ten."), StudyPrompt("b", "Name three animals.")),
            cells=grid_cells({"temperature": [0.3, 1.0]}),
            seeds=2,
            base=Sampling(max_new_tokens=10),
            n_probs=2,
        )
        study_id = services.lab.create(study).id
        services.lab.start(study_id)
        deadline = time.monotonic() + 100
        while services.lab.view(study_id).done < 2:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        before = {(a.prompt, a.number): a.text for a in services.lab.answers(study_id, "temperature=0.3")}
        pid = services.engines.meter()["pid"]
        os.kill(pid, signal.SIGKILL)
        view = services.lab.wait(study_id, 150)
        assert view.state == "done", view.error
        assert services.engines.meter()["pid"] != pid
        result = services.lab.result(study_id)
        assert [(cell.answers, cell.failed) for cell in result.cells] == [(4, 0), (4, 0)]
        after = {(a.prompt, a.number): a.text for a in services.lab.answers(study_id, "temperature=0.3")}
        assert before.items() <= after.items()
        assert result.cells[0].estimates["memory_bytes"].mean > 50e6
    finally:
        services.close()
