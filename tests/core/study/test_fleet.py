"""A study on several engines: each prompt on one of them, the same report, losses, refusals, other seeds."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from twokeys.core.jobs import JobManager
from twokeys.core.study.engine_analysis import check_engines
from twokeys.core.study.fleet import FleetSpec
from twokeys.core.study.lab import Lab
from twokeys.core.study.prompt import StudyPrompt
from twokeys.core.study.result import StudyResult
from twokeys.core.study.runner import StudyFailed, StudyRun
from twokeys.core.study.study import Study
from twokeys.engines.scripted import Fail, Say, ScriptedEngine, Stall, Step
from twokeys.errors import BadInput, BadParameter, EngineDied, read_stored
from twokeys.lab_engines import ServerFleet, ServerPool
from twokeys.reports.page import html_report
from twokeys.services import Services
from twokeys.store.locks import FileLock
from twokeys.types import GenerationRequest, Settings

from ..making import MakeServices
from .making import PROMPTS, speaker, study, until

Script = Callable[[GenerationRequest], Sequence[Step]]
DEAD = EngineDied(reason="killed", log="")


def still() -> float:
    return 0.0


def scripted(script: Script | None = None, **options: Any) -> ScriptedEngine:
    return ScriptedEngine(script or speaker(), clock=still, **options)


def many(prompts: int = 9, **changes: Any) -> Study:
    made = tuple(
        StudyPrompt(f"p{n}", f"Question {n}: 3 + 4?", checker=PROMPTS[0].checker) for n in range(prompts)
    )
    return study(prompts=made, outcomes=("correct", "similarity", "mean_nll"), **changes)


class House:
    """A lab whose servers are scripted engines by name, on a clock that stands still: nothing it measures
    depends on the machine."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.rows = services.repository.documents
        self.jobs = JobManager(services.repository, monotonic=still)
        self.engines: dict[str, ScriptedEngine] = {}
        self.own = scripted()
        self.lab = Lab(
            self.rows,
            self.jobs,
            ServerPool(self.own),
            make_lock=lambda name: FileLock(services.config.run_dir / f"{name}.lock"),
            speed=lambda _model: None,
            model=lambda: "scripted",
            make_fleet=lambda spec: ServerFleet(spec.servers, self.engines.__getitem__),
        )

    def run(self, made: Study, **engines: ScriptedEngine) -> str:
        """Run a study on the engines, on its own without any; return its id."""
        self.engines = engines
        study_id = self.lab.create(made).id
        self.lab.start(study_id, FleetSpec(tuple(engines)))
        view = self.lab.wait(study_id, 30)
        assert view.state == "done", view
        return study_id

    def again(self, study_id: str, **engines: ScriptedEngine) -> str:
        self.engines = engines
        self.lab.start(study_id, FleetSpec(tuple(engines)))
        return self.lab.wait(study_id, 30).state

    def result(self, study_id: str) -> StudyResult:
        """The whole result but for the study's id and what its engines are."""
        return replace(self.lab.result(study_id), study_id="", engines=None, engine={})

    def figures(self, study_id: str) -> bytes:
        return json.dumps(self.result(study_id).to_dict(), sort_keys=True).encode()

    def by_prompt(self, study_id: str) -> dict[int, set[str]]:
        """Which engines wrote each prompt's answers."""
        homes: dict[int, set[str]] = {}
        for row in self.rows.row_values(study_id, "a/"):
            homes.setdefault(row["p"], set()).add(row["m"])
        return homes

    def direct(self, study_id: str, made: Study, *engines: ScriptedEngine, **limits: float) -> StudyRun:
        fleet = ServerFleet([f"e{n}" for n in range(len(engines))], lambda name: engines[int(name[1:])])
        pool = ServerPool(self.own)
        return StudyRun(
            study_id, made, rows=self.rows, jobs=self.jobs, pool=pool, members=fleet.members, **limits
        )


@pytest.fixture
def house(make_services: MakeServices) -> Iterator[House]:
    made = House(make_services(scripted()))
    yield made
    made.lab.close()
    made.jobs.close()


def test_a_report_of_three_engines_is_byte_for_byte_that_of_one(house: House) -> None:
    alone = house.run(many())
    three = {name: scripted(speaker(0.001)) for name in ("a", "b", "c")}
    spread = house.run(many(), **three)
    single, several = house.result(alone), house.result(spread)
    assert html_report(several, "en").encode() == html_report(single, "en").encode()
    assert house.figures(spread) == house.figures(alone)
    homes = house.by_prompt(spread)
    assert all(len(names) == 1 for names in homes.values()), "a prompt's whole block stays on one engine"
    assert set.union(*homes.values()) == {"a", "b", "c"}
    assert {a.engine for a in house.lab.answers(spread, "temperature=0.3")} == {"a", "b", "c"}
    check = house.lab.result(spread).engines
    assert check is not None and check.seeds == "same"
    assert [(share.name, share.facts["build"]) for share in check.engines] == [
        ("a", "script"), ("b", "script"), ("c", "script"),
    ]  # fmt: skip
    assert sum(share.answers for share in check.engines) == 36


def test_blocks_go_to_engines_at_random_and_not_in_the_order_of_the_prompts(house: House) -> None:
    only = scripted()
    house.run(many(), one=only)
    asked = [request.messages[-1].content for request in only.requests]
    order = list(dict.fromkeys(asked))
    assert order != sorted(order) and len(order) == 9


@pytest.mark.parametrize(
    ("other", "asked", "words"),
    [
        ({"model": "qwen"}, {}, ("model of b is qwen", "asks for scripted")),
        ({"template_sha256": "bb"}, {}, ("template of b is bb", "asks for aa")),
        ({"build": "b2"}, {"build": "b1"}, ("build of b is b2", "asks for b1")),
    ],
)
def test_an_engine_that_is_another_than_asked_is_refused_with_both_names(
    house: House, other: dict[str, Any], asked: dict[str, str], words: tuple[str, ...]
) -> None:
    usual: dict[str, Any] = {"model": "scripted", "template_sha256": "aa", "build": "b1"}
    house.engines = {"a": scripted(**usual), "b": scripted(**{**usual, **other})}
    made = many(engine=asked)
    study_id = house.lab.create(made).id
    house.lab.start(study_id, FleetSpec(("a", "b")))
    view = house.lab.wait(study_id, 30)
    assert view.state == "failed" and view.done == 0 and view.error is not None
    sentence = read_stored(view.error).message("en")
    assert all(word in sentence for word in words), sentence


def test_other_builds_may_write_side_by_side_and_the_report_says_that_seeds_do_not_carry_over(
    house: House,
) -> None:
    def other(request: GenerationRequest) -> Sequence[Step]:
        return [Say("Something else altogether.", 0.001)]

    study_id = house.run(many(12), a=scripted(speaker(0.001)), b=scripted(other, build="b2"))
    result = house.lab.result(study_id)
    assert result.engines is not None and result.engines.seeds == "differ"
    notes = " ".join(result.notes("en"))
    assert "The 2 engines differ in: " in notes
    assert "only on the engine that wrote it" in notes
    assert "只能用写它的那个引擎" in " ".join(result.notes("zh"))
    page = html_report(result, "en")
    assert "b2" in page and "prompts were given to the engines at random" in page
    assert result.to_dict()["engines"]["seeds"] == "differ"


def test_a_block_whose_engine_dies_is_written_whole_by_another(house: House) -> None:
    plain = speaker(0.001)
    count = iter(range(1000))

    def dies_late(request: GenerationRequest) -> Sequence[Step]:
        return [Say("The answer"), Fail(DEAD)] if next(count) > 5 else plain(request)

    alone = house.run(many())
    study_id = house.run(many(), a=scripted(plain), b=scripted(dies_late))
    assert all(len(names) == 1 for names in house.by_prompt(study_id).values())
    assert house.figures(study_id) == house.figures(alone)


def test_a_study_whose_engines_are_all_gone_ends_and_goes_on_when_one_is_back(house: House) -> None:
    made = many(4)
    study_id = house.lab.create(made).id
    count = iter(range(1000))
    plain = speaker()

    def once(request: GenerationRequest) -> Sequence[Step]:
        return plain(request) if next(count) < 6 else [Fail(DEAD)]

    run = house.direct(study_id, made, scripted(once), give_up_s=0.05)
    with pytest.raises(StudyFailed) as failed:
        house.jobs.loop.run(run.run(), timeout_s=30)
    assert failed.value.error["code"] == "engine_died"
    assert run.progress.members["e0"].lost_s > 0
    stored = {row["p"] for row in house.rows.row_values(study_id, "a/")}
    assert 0 < len(stored) < 4
    assert house.again(study_id, e0=scripted()) == "done"
    assert house.figures(study_id) == house.figures(house.run(many(4)))


def test_a_block_that_an_absent_engine_has_begun_is_written_again_as_a_whole(house: House) -> None:
    made = many(3, seeds=4)
    study_id = house.lab.create(made).id
    slow = scripted(speaker(0.01))
    house.engines = {"gone": slow}
    house.lab.start(study_id, FleetSpec(("gone",)))
    until(lambda: house.lab.view(study_id).done >= 9)
    paused = house.lab.pause(study_id)
    assert 9 <= paused.done < 24
    whole = sum(1 for row in house.rows.row_values(study_id, "s/")) // 2
    fresh = scripted()
    assert house.again(study_id, fresh=fresh) == "done"
    homes = house.by_prompt(study_id)
    assert sorted(map(sorted, homes.values())) == [["fresh"]] * (3 - whole) + [["gone"]] * whole
    assert len(fresh.requests) == 8 * (3 - whole), "no more is lost than the block in flight"
    assert house.figures(study_id) == house.figures(house.run(many(3, seeds=4)))


class Stopped(ScriptedEngine):
    """Stops in the middle of an answer like a process that was sent SIGSTOP."""

    async def healthy(self) -> bool:
        return len(self.requests) < 4


def test_an_engine_that_is_stopped_loses_its_block_to_another(house: House) -> None:
    made = many(4)
    plain = speaker(0.001)
    stopped = Stopped(
        lambda request: plain(request) if len(stopped.requests) < 4 else [Stall(600)], clock=still
    )
    study_id = house.lab.create(made).id
    run = house.direct(study_id, made, stopped, scripted(plain), health_s=0.01, give_up_s=60)
    house.jobs.loop.run(run.run(), timeout_s=30)
    assert run.progress.members["e0"].lost_s > 0 and run.progress.members["e0"].error is not None
    assert house.lab.view(study_id).done == 16
    assert all(len(names) == 1 for names in house.by_prompt(study_id).values())


def test_two_engines_that_sleep_share_the_work_evenly(house: House) -> None:
    def sleeps(_request: GenerationRequest) -> Sequence[Step]:
        return [Stall(0.01), Say("x")]

    engines = {name: scripted(sleeps) for name in ("a", "b")}
    house.run(many(20), **engines)
    busiest = max(len(engine.requests) - 1 for engine in engines.values())  # without the probe
    assert 80 / busiest >= 1.8, "two engines are done in the time of the busiest: 1.8 times as fast as one"


def test_every_slot_of_an_engine_has_a_block_of_its_own(house: House) -> None:
    engine = scripted(speaker(0.001), slots=3)
    study_id = house.run(many(), only=engine)
    of_prompt: dict[str, set[int | None]] = {}
    for request in engine.requests:
        of_prompt.setdefault(request.messages[-1].content, set()).add(request.slot)
    assert {slot for slots in of_prompt.values() for slot in slots} == {0, 1, 2}
    assert all(len(slots) == 1 for slots in of_prompt.values())
    assert house.lab.view(study_id).done == 36


def test_a_person_who_chats_on_one_of_the_engines_comes_first(make_services: MakeServices) -> None:
    mine = ScriptedEngine(speaker(0.002))
    services = make_services(mine)
    lab = Lab(
        services.repository.documents,
        services.jobs,
        ServerPool(mine),
        make_lock=lambda name: FileLock(services.config.run_dir / f"{name}.lock"),
        speed=lambda _model: None,
        model=lambda: "scripted",
        make_fleet=lambda spec: ServerFleet(spec.servers, lambda _url: mine, chats=spec.servers),
    )
    study_id = lab.create(many(6)).id
    lab.start(study_id, FleetSpec(("mine",)))
    until(lambda: lab.view(study_id).done >= 2)
    conversation = services.conversations.new(Settings())
    sent = services.answers.send(conversation.id, "Hello?")
    until(lambda: lab.view(study_id).state == "waiting")
    done_before = lab.view(study_id).done
    assert services.jobs.wait(sent.job.id, 20).state == "done"
    assert done_before < 24
    assert lab.wait(study_id, 30).state == "done"
    lab.close()


def test_what_an_engine_tells_of_itself_is_seen_while_it_works(house: House) -> None:
    house.engines = {"a": scripted(speaker(0.003)), "b": scripted(lambda _request: [Fail(DEAD)])}
    study_id = house.lab.create(many()).id
    house.lab.start(study_id, FleetSpec(("a", "b")))
    until(lambda: house.lab.view(study_id).done >= 4)
    members = {member.name: member for member in house.lab.view(study_id).fleet}
    assert members["a"].state == "working" and members["a"].rows >= 2
    assert (members["a"].rows_per_minute or 0) > 0
    assert house.lab.wait(study_id, 30).state == "done"
    assert house.lab.view(study_id).fleet == ()


def rows(values: Mapping[int, tuple[str, float]], cells: int = 2) -> list[dict[str, Any]]:
    return [
        {"c": cell, "p": prompt, "s": 0, "v": {"correct": value}, "m": engine}
        for prompt, (engine, value) in values.items()
        for cell in range(cells)
    ]


def test_the_check_sees_an_engine_that_is_worse_and_none_where_chance_explains_it() -> None:
    made = many(20, seeds=1)
    worse = rows({n: ("a", 1.0 - n % 5 / 20) if n < 10 else ("b", 0.4 + n % 5 / 20) for n in range(20)})
    alike = rows({n: ("ab"[n % 2], n % 5 / 5) for n in range(20)})
    first, second = check_engines(made, worse, {}), check_engines(made, alike, {})
    assert first is not None and [d.measure for d in first.differences if d.shown] == ["correct"]
    assert second is not None and not [d for d in second.differences if d.shown]
    assert check_engines(made, [{"c": 0, "p": 0, "s": 0, "v": {}}], {}) is None
    few = check_engines(made, rows({0: ("a", 1.0), 1: ("b", 0.0)}), {})
    assert few is not None and "Too few prompts" in few.sentences("en")[0]


def test_cells_that_change_the_engine_are_refused_on_several(house: House) -> None:
    from twokeys.core.study.study import grid_cells

    house.engines = {"a": scripted()}
    study_id = house.lab.create(study(cells=grid_cells({"context": [512, 1024]}))).id
    house.lab.start(study_id, FleetSpec(("a",)))
    view = house.lab.wait(study_id, 10)
    assert view.state == "failed" and view.error is not None and view.error["code"] == "bad_input"


@pytest.mark.parametrize(
    "values",
    [
        {"ray": "local", "workers": 0},
        {"workers": 2},
        {"servers": ("http://a", "http://a")},
        {"servers": ("http://a",), "ray": "local", "workers": 1},
    ],
)
def test_what_cannot_be_a_fleet_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises((BadInput, BadParameter)):
        FleetSpec(**values)


def test_the_key_of_an_answer_is_unique(house: House) -> None:
    study_id = house.run(many(2), a=scripted(), b=scripted())
    keys = [row.key for row in house.rows.rows(study_id, "a/")]
    assert len(keys) == len(set(keys)) == 8
    assert house.rows.put_rows(study_id, {keys[0]: {"c": 9}}) == 0, "what is there keeps its value"
