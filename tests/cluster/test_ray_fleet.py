"""A study on a Ray cluster of two nodes: the same report; a node, a worker, the command gone."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import ray
from ray.cluster_utils import Cluster
from tests.core.study.making import until
from tests.core.study.test_fleet import House, many

from twokeys.cluster.fleet import RayFleet
from twokeys.cluster.worker import WorkerOrder, plan_node
from twokeys.config import load_config
from twokeys.core.study.fleet import FleetSpec
from twokeys.core.study.lab import Lab
from twokeys.engine import OwnedEngine
from twokeys.engines.scripted import Say, ScriptedEngine, Stall, Step
from twokeys.lab_engines import ServerPool
from twokeys.services import build_services
from twokeys.store.locks import FileLock
from twokeys.types import GenerationRequest

pytestmark = pytest.mark.slow
TWO = FleetSpec(ray="joined already", workers=2)


@dataclass
class TwoNodes:
    """A head without cores, so that no worker runs there, and nodes of one core each."""

    cluster: Cluster
    nodes: list[Any]

    def add(self) -> None:
        self.nodes.append(self.cluster.add_node(num_cpus=1))

    def remove(self) -> None:
        self.cluster.remove_node(self.nodes.pop(0), allow_graceful=False)


@pytest.fixture(scope="module")
def two_nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoNodes]:
    before = os.environ.get("TWOKEYS_HOME")
    os.environ["TWOKEYS_HOME"] = str(tmp_path_factory.mktemp("nodes"))  # the workers' home
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    ray.init(address=cluster.address, log_to_driver=False, configure_logging=False)
    made = TwoNodes(cluster, [])
    made.add()
    made.add()
    yield made
    ray.shutdown()
    cluster.shutdown()
    if before is None:
        del os.environ["TWOKEYS_HOME"]
    else:
        os.environ["TWOKEYS_HOME"] = before


def still() -> float:
    return 0.0


def play(delay_s: float, request: GenerationRequest) -> Sequence[Step]:
    """As tests.core.study.making.speaker, by value: the nodes know no tests."""
    if request.sampling.temperature < 0.5:
        return [Stall(delay_s), Say("The answer is 7, as everybody knows.")]
    seed = request.sampling.seed or 0
    text = f"Perhaps {seed % 97} or {seed % 89}, who can say {seed % 83}."
    return [Stall(delay_s), Say(text, logprob=-1.5)]


def scripted(delay_s: float = 0.0) -> OwnedEngine:
    return ScriptedEngine(partial(play, delay_s), clock=still)


@pytest.fixture
def house(make_services: Callable[[ScriptedEngine], Any]) -> Iterator[House]:
    made = House(make_services(ScriptedEngine()))
    yield made
    made.lab.close()
    made.jobs.close()


def lab_on(house: House, fleet: RayFleet) -> Lab:
    return Lab(
        house.rows,
        house.jobs,
        ServerPool(scripted()),
        make_lock=lambda name: FileLock(house.services.config.run_dir / f"{name}.lock"),
        speed=lambda _model: None,
        model=lambda: "scripted",
        make_fleet=lambda _spec: fleet,
    )


def test_a_report_from_two_nodes_is_byte_for_byte_that_of_one_engine(
    house: House, two_nodes: TwoNodes
) -> None:
    alone = house.run(many())
    # they sleep much longer than a busy machine takes to hand them a block
    lab = lab_on(house, RayFleet(TWO, partial(scripted, 0.2)))
    study_id = lab.create(many()).id
    lab.start(study_id, TWO)
    assert lab.wait(study_id, 90).state == "done"
    assert house.figures(study_id) == house.figures(alone)
    homes = house.by_prompt(study_id)
    assert all(len(names) == 1 for names in homes.values())
    assert set.union(*homes.values()) == {"worker 1", "worker 2"}
    busiest = max(sum(names == {name} for names in homes.values()) for name in ("worker 1", "worker 2"))
    assert 9 / busiest >= 1.8, "engines that sleep: two are 1.8 times as fast as one"
    check = lab.result(study_id).engines
    assert check is not None and check.seeds == "same"


def test_a_removed_node_and_a_killed_worker_cost_no_answer(house: House, two_nodes: TwoNodes) -> None:
    alone = house.run(many(12))
    fleet = RayFleet(TWO, partial(scripted, 0.05))
    lab = lab_on(house, fleet)
    study_id = lab.create(many(12)).id
    lab.start(study_id, TWO)
    until(lambda: lab.view(study_id).done >= 6, 60)
    two_nodes.remove()
    until(lambda: lab.view(study_id).done >= 20, 60)
    two_nodes.add()
    fleet.lose_workers()
    assert lab.wait(study_id, 120).state == "done"
    assert all(len(names) == 1 for names in house.by_prompt(study_id).values())
    assert house.figures(study_id) == house.figures(alone)


STUDY = """
name = "cluster"
seeds = 2
n_probs = 0
outcomes = ["tokens"]
[base]
max_new_tokens = 8
[grid]
temperature = [0.3, 1.0]
"""


def test_a_killed_command_is_resumed_on_the_cluster_with_a_real_model(
    two_nodes: TwoNodes, smollm2: Path, home: Path, tmp_path: Path
) -> None:
    file = tmp_path / "cluster.toml"
    prompts = (f'[[prompt]]\nid = "{name}"\ntext = "Say {name}."\n' for name in ("a", "b", "c", "d"))
    file.write_text(STUDY + "".join(prompts), encoding="utf-8")
    command = [
        *(sys.executable, "-m", "twokeys", "study", "run", str(file), "--model", str(smollm2), "--json"),
        *("--ray", two_nodes.cluster.address, "--workers", "2"),
    ]
    driver = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    services = build_services(load_config())
    try:
        deadline = time.monotonic() + 150
        while not (listed := services.lab.list()) or listed[0].done < 3:
            assert time.monotonic() < deadline and driver.poll() is None
            time.sleep(0.1)
    finally:
        services.close()
    driver.send_signal(signal.SIGKILL)
    driver.wait(10)
    ended = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert ended.returncode == 0, ended.stderr
    report = json.loads(ended.stdout)
    assert report["complete"] and report["answers"] == 16 and report["id"] == listed[0].id
    assert all(cell["failed"] == 0 for cell in report["cells"])
    for share in report["engines"]["engines"]:
        assert len(share["facts"]["sha256"]) == 64 and share["facts"]["device"]
    assert sum(share["answers"] for share in report["engines"]["engines"]) == 16


def test_a_node_says_before_the_start_what_it_lacks(home: Path, smollm2: Path) -> None:
    there = plan_node(WorkerOrder(str(smollm2), None))
    assert there.error is None and there.needed_bytes > 0 and there.missing_bytes == 0
    away = plan_node(WorkerOrder("qwen2.5-0.5b-instruct", None))
    assert away.missing_bytes > 300_000_000 and away.node
    unknown = plan_node(WorkerOrder("no such model", None))
    assert unknown.error is not None and unknown.error["code"] == "not_found"
