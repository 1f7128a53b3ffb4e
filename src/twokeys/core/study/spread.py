"""Gives a study's blocks to its engines: each block to one, at random, and those of a lost engine to others.

A block is everything that is written for one prompt. Were its cells written by different engines, a
difference between engines would look like one between cells. Writes and stores nothing itself.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from twokeys.core.study.fleet import Member, MemberProgress
from twokeys.core.study.trial import Group
from twokeys.errors import TwoKeysError

log = logging.getLogger(__name__)

RETRY_S = (0.5, 1.0, 2.0, 5.0, 10.0)
"""Pauses before a lost engine is asked again; the last one from then on."""

GIVE_UP_S = 60.0
"""When no engine has been there for so long, the study ends as failed; its answers stay."""


@dataclass(frozen=True, slots=True)
class Seat:
    """A place where one answer at a time is written: an engine, and its slot where it has several."""

    member: Member
    slot: int | None = None
    label: str = ""


class EngineLost(Exception):
    """An engine died, cannot be reached or does not answer. error: {"code", "params"}."""

    def __init__(self, error: Mapping[str, object]) -> None:
        super().__init__(error.get("code"))
        self.error = error


class Refused(Exception):
    """An engine is not what the study asks for. error: {"code", "params"}."""

    def __init__(self, error: Mapping[str, object]) -> None:
        super().__init__(error.get("code"))
        self.error = error


class Work(Protocol):
    """What the blocks' writer does; fulfilled by `StudyRun`."""

    async def open_member(self, member: Member) -> MemberProgress:
        """Ask an engine what it is. Raises Refused, or TwoKeysError when it cannot be asked."""
        ...

    async def write_block(self, group: Group, seat: Seat) -> None:
        """Write what is missing of a block. Raises EngineLost."""
        ...

    def home_of(self, group: Group) -> str | None:
        """Return which engine has begun the block; None for no engine."""
        ...


class Spread:
    """Runs the blocks of one study to their end. give_up_s: see GIVE_UP_S; retry_s: see RETRY_S."""

    def __init__(
        self,
        work: Work,
        members: Sequence[Member],
        groups: Sequence[Group],
        *,
        seed: int,
        progress: Mapping[str, MemberProgress],
        give_up_s: float = GIVE_UP_S,
        retry_s: Sequence[float] = RETRY_S,
    ) -> None:
        self._work = work
        self._members = members
        self._progress = progress
        self._give_up_s = give_up_s
        self._retry_s = retry_s
        self._waiting = list(groups)
        random.Random(seed).shuffle(self._waiting)
        self._in_flight = 0
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Return when every block is written. Raises EngineLost when no engine is left."""
        watching = asyncio.create_task(self._watch())
        tasks = [watching, *(asyncio.create_task(self._serve(member)) for member in self._members)]
        try:
            running = set(tasks)
            while not watching.done():  # an engine that is still being waited for holds nothing up
                ended, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in ended:
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def _unfinished(self) -> bool:
        return bool(self._waiting or self._in_flight)

    async def _watch(self) -> None:
        """Raise EngineLost once every engine has been lost for too long, or none may write."""
        while self._unfinished:
            states = [self._progress[member.name] for member in self._members]
            now = time.monotonic()
            gone = (state.lost_s and now - state.lost_s > self._give_up_s for state in states)
            if all(lost or state.state == "refused" for lost, state in zip(gone, states, strict=True)):
                errors = [state.error for state in states if state.error]
                raise EngineLost(errors[0] if errors else {"code": "engine", "params": {}})
            await self._wait_for_change(0.5)

    async def _serve(self, member: Member) -> None:
        """Let one engine write until nothing is left, through all its losses."""
        progress = self._progress[member.name]
        losses = rows = 0
        while self._unfinished:
            try:
                opened = await self._work.open_member(member)
                progress.state = "working"
                rows = progress.rows
                await self._seats(member, opened)
                return
            except Refused as refused:
                progress.state, progress.error = "refused", refused.error
                log.warning("an engine is refused: %s %s", member.name, refused.error)
                return
            except (EngineLost, TwoKeysError) as error:
                if progress.state == "working" and progress.rows > rows:
                    losses = 0
                stored = error.error if isinstance(error, EngineLost) else error.stored()
                progress.lost_s = progress.lost_s or time.monotonic()
                progress.state, progress.error = "lost", stored
                log.warning("an engine is lost: %s %s", member.name, stored)
            pause_s = self._retry_s[min(losses, len(self._retry_s) - 1)]
            losses += 1
            await self._wait_for_change(pause_s)

    async def _seats(self, member: Member, opened: MemberProgress) -> None:
        slots = [None] if opened.slots == 1 else list(range(opened.slots))
        seats = [asyncio.create_task(self._sit(Seat(member, slot, opened.label))) for slot in slots]
        try:
            await asyncio.gather(*seats)
        finally:
            for seat in seats:
                seat.cancel()
            await asyncio.gather(*seats, return_exceptions=True)

    async def _sit(self, seat: Seat) -> None:
        while True:
            group = self._take(seat)
            if group is None:
                if not self._unfinished:
                    return
                await self._wait_for_change(1.0)
                continue
            written = False
            try:
                await self._work.write_block(group, seat)
                written = True
            finally:
                self._in_flight -= 1
                if not written:
                    self._waiting.append(group)
                self._changed.set()
                self._changed = asyncio.Event()

    def _take(self, seat: Seat) -> Group | None:
        """Take a block that this engine has begun, else a fresh one, else one whose engine is gone."""
        for begun_here in (True, False):
            for place, group in enumerate(self._waiting):
                home = self._work.home_of(group)
                if home == seat.label if begun_here else home is None:
                    return self._taken(place)
        for place, group in enumerate(self._waiting):
            if not self._is_there(self._work.home_of(group)):
                return self._taken(place)
        return None

    def _taken(self, place: int) -> Group:
        self._in_flight += 1
        return self._waiting.pop(place)

    def _is_there(self, label: str | None) -> bool:
        return any(
            state.label == label and state.state in ("starting", "working")
            for state in self._progress.values()
        )

    async def _wait_for_change(self, at_most_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(at_most_s):
                await self._changed.wait()
