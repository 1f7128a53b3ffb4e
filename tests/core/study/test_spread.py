"""Blocks given to engines: each written once, by whoever is there, and an end when nobody is."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any, cast

import pytest

from twokeys.core.study.cell import Setup
from twokeys.core.study.fleet import Member, MemberProgress
from twokeys.core.study.spread import EngineLost, Refused, Seat, Spread
from twokeys.core.study.trial import Group

LOST = {"code": "engine_died", "params": {}}


class Blocks:
    """Writes blocks that cost nothing. dies: how often an engine is lost while it writes, by its name."""

    def __init__(
        self,
        names: Sequence[str],
        *,
        dies: dict[str, int] | None = None,
        refused: Sequence[str] = (),
        slots: int = 1,
    ) -> None:
        self.members = [Member(name, cast(Any, None), "lab") for name in names]
        self.progress = {name: MemberProgress(name) for name in names}
        self.dies = dies or {}
        self.refused = refused
        self.slots = slots
        self.written: Counter[int] = Counter()
        self.by: dict[int, str] = {}
        self.begun: dict[int, str] = {}
        self.at_once = self.most_at_once = 0

    async def open_member(self, member: Member) -> MemberProgress:
        if member.name in self.refused:
            raise Refused({"code": "study_engine", "params": {}})
        state = self.progress[member.name]
        state.label, state.slots = member.name, self.slots
        return state

    async def write_block(self, group: Group, seat: Seat) -> None:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            self.begun[group.prompt] = seat.label
            await asyncio.sleep(0)
            if self.dies.get(seat.member.name, 0) > 0:
                self.dies[seat.member.name] -= 1
                raise EngineLost(LOST)
            self.written[group.prompt] += 1
            self.by[group.prompt] = seat.label
            progress = self.progress[seat.member.name]
            progress.rows, progress.lost_s = progress.rows + 1, 0.0
        finally:
            self.at_once -= 1

    def home_of(self, group: Group) -> str | None:
        return self.begun.get(group.prompt)

    def run(self, blocks: int = 12, *, seed: int = 1, give_up_s: float = 60.0) -> None:
        groups = [Group(Setup(), prompt, ()) for prompt in range(blocks)]
        spread = Spread(
            self,
            self.members,
            groups,
            seed=seed,
            progress=self.progress,
            give_up_s=give_up_s,
            retry_s=(0.01,),
        )
        asyncio.run(spread.run())


def test_every_block_is_written_once_and_all_engines_take_part() -> None:
    work = Blocks(["a", "b"])
    work.run()
    assert work.written == Counter(range(12)) and set(work.by.values()) == {"a", "b"}


def test_which_engine_writes_which_block_follows_from_the_seed() -> None:
    orders = []
    for seed in (1, 1, 2):
        work = Blocks(["a"])
        work.run(seed=seed)
        orders.append(list(work.by))
    assert orders[0] == orders[1] != orders[2]


def test_each_slot_of_an_engine_writes_a_block_at_the_same_time() -> None:
    work = Blocks(["a"], slots=3)
    work.run()
    assert work.most_at_once == 3


def test_the_block_of_an_engine_that_was_lost_is_written_after_all() -> None:
    work = Blocks(["a"], dies={"a": 3})
    work.run(4)
    assert work.written == Counter(range(4)) and work.progress["a"].state == "working"


def test_a_refused_engine_writes_nothing_and_the_others_write_all() -> None:
    work = Blocks(["a", "b"], refused=["a"])
    work.run()
    assert set(work.by.values()) == {"b"} and work.progress["a"].state == "refused"


def test_without_any_engine_the_study_ends_with_the_reason() -> None:
    with pytest.raises(EngineLost) as caught:
        Blocks(["a", "b"], refused=["a", "b"]).run()
    assert caught.value.error["code"] == "study_engine"
    with pytest.raises(EngineLost) as caught:
        Blocks(["a"], dies={"a": 10**6}).run(give_up_s=0.0)
    assert caught.value.error == LOST
