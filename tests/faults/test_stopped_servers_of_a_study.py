"""A study on two real servers: one is stopped (SIGSTOP), the wire to the other is cut and mended."""

import os
import signal
from pathlib import Path

import pytest
from tests.core.study.making import until
from tests.real_server import listener, running_server

from twokeys.config import load_config
from twokeys.core.study import runner, writing
from twokeys.core.study.fleet import FleetSpec
from twokeys.core.study.lab import StudyView
from twokeys.core.study.prompt import StudyPrompt
from twokeys.core.study.study import Study, grid_cells
from twokeys.services import Services, build_services
from twokeys.types import Sampling

from .cuttable_wire import CuttableWire

TOPICS = ("tea", "rain", "bread", "snow", "trains", "clocks")


def spread() -> Study:
    return Study(
        name="stopped",
        prompts=tuple(StudyPrompt(topic, f"Write one sentence about {topic}.") for topic in TOPICS),
        cells=grid_cells({"temperature": [0.3, 1.0]}),
        seeds=2,
        n_probs=0,
        base=Sampling(max_new_tokens=16),
        outcomes=("tokens",),
    )


def states(services: Services, study_id: str) -> dict[str, str]:
    return {member.name: member.state for member in services.lab.view(study_id).fleet}


def ended(services: Services, study_id: str) -> StudyView:
    return services.lab.wait(study_id, 150)


@pytest.mark.slow
def test_a_stopped_server_and_a_cut_wire_cost_no_answer(
    llama_server: str, smollm2: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = runner.StudyRun.__init__
    assert run.__kwdefaults__ is not None
    monkeypatch.setitem(run.__kwdefaults__, "health_s", 1.0)  # else three times ten seconds
    monkeypatch.setattr(writing, "HEALTH_LIMIT_S", 3.0)
    flags = ("-c", "512", "-np", "1")
    with (
        running_server(llama_server, smollm2, *flags) as first,
        running_server(llama_server, smollm2, *flags) as second,
    ):
        wire = CuttableWire(second)
        services = build_services(load_config())
        stopped = listener(first)
        try:
            study_id = services.lab.create(spread()).id
            services.lab.start(study_id, FleetSpec((first, wire.url)))
            until(lambda: services.lab.view(study_id).done >= 3, 120)
            os.kill(stopped, signal.SIGSTOP)
            until(lambda: states(services, study_id)[first] == "lost", 60)
            wire.cut()
            until(lambda: states(services, study_id)[wire.url] == "lost", 60)
            wire.mend()
            view = ended(services, study_id)
            assert view.state == "done", view.error
            rows = services.repository.documents.row_values(study_id, "t/")
        finally:
            os.kill(stopped, signal.SIGCONT)
            services.close()
            wire.cut()
    keys = [(row["c"], row["p"], row["s"]) for row in rows]
    assert len(keys) == len(set(keys)) == 24 and all(row.get("error") is None for row in rows)
    homes = {row["p"]: {other["m"] for other in rows if other["p"] == row["p"]} for row in rows}
    assert all(len(names) == 1 for names in homes.values()), "a block that was begun anew is of one engine"
    assert {name for names in homes.values() for name in names} >= {wire.url}
