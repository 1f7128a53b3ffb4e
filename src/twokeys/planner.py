"""Memory plans by a model's name: joins model files, this machine's memory and a person's choices.

Part of the composition: the arithmetic is in `core.memory`, files and shapes come from `models`.
Plans are made without loading anything and take milliseconds; nothing here starts an engine.
"""

import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from twokeys.config import LONGEST_IDLE_S, Config
from twokeys.core.memory.available import Available, Device, read_available
from twokeys.core.memory.choose import check_plan, choose_start, is_recommendable, recommendable_bytes
from twokeys.core.memory.drafts import AUTO, OFF, Vocabulary, check_vocabularies, make_draft
from twokeys.core.memory.overrides import NO_OVERRIDES, Overrides
from twokeys.core.memory.plan import MIB, MemoryPlan, Room, StartChoice, plan_memory
from twokeys.core.memory.shape import MemoryShape
from twokeys.errors import BadParameter, NotFound, Reason, TwoKeysError
from twokeys.model_shape import EngineFigures, asked_shape, catalogue_shape, file_shape
from twokeys.models import catalogue
from twokeys.models.manager import ModelManager
from twokeys.models.shelf import ModelFile
from twokeys.types import Draft, WorkerSpec
from twokeys.units import memory_text

log = logging.getLogger(__name__)

OVERRIDES_SETTING = "memory.overrides"
BATCH = StartChoice().batch
IDLE_SETTING = "engine.idle_timeout_s"
ASKED_CONTEXTS = (4096, 16384)
"""With these the engine's dry run is asked about an architecture that is not known here."""
STACK_BYTES = 8 * MIB
"""RLIMIT_DATA counts a thread's whole reserved stack, of which a worker touches a few KiB."""
GUARD_BYTES = 32 * MIB
"""The worker's own interpreter beside a llama-server: 28 MiB above the plan for one process (measured)."""
OTHER_THREADS = 13
"""Threads of a worker beside one for each slot and each computing core (measured)."""
SPARE_DATA_BYTES = 48 * MIB
"""Address space that is reserved and not used, measured at 37 MiB."""


@dataclass(frozen=True, slots=True)
class OwnMemory:
    """What our worker holds now: its process ids and its anonymous memory in bytes."""

    bytes: int = 0
    pids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelFit:
    """One line of the model table. plan: how it would start here; start is automatic, no overrides."""

    name: str
    family: str
    quantisation: str
    bytes: int
    installed: bool
    plan: MemoryPlan


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The Qwen2.5 that fits a machine best, and why.

    code: "best_fits", "memory_smaller" or "nothing_fits"; reason: the same as a sentence in both
    languages. needed_bytes: of the plan it would start with. better: the model that would be preferred
    and does not fit, better_needed_bytes: what would have to be free for it.
    """

    name: str
    code: str
    reason: Reason
    needed_bytes: int
    memory_bytes: int
    better: str | None = None
    better_needed_bytes: int | None = None


class MemoryPlanner:
    """Answers what fits, and how a worker is started. Thread-safe.

    get, put: the settings store. own: the memory of the worker that runs now. gpus: the
    cards that the engine can use. dry_run: what the engine says of a start, asked (a second or two, once a
    file) only for an architecture that is not known here.
    """

    def __init__(
        self,
        config: Config,
        models: ModelManager,
        *,
        get: Callable[[str], Any],
        put: Callable[[str, Any], None],
        own: Callable[[], OwnMemory] = OwnMemory,
        gpus: Callable[[], tuple[Device, ...]] = tuple,
        dry_run: Callable[[WorkerSpec], EngineFigures] | None = None,
        binary: Callable[[], str | None] | None = None,
    ) -> None:
        self._config = config
        self._binary = binary or (lambda: config.server_binary)
        self._models = models
        self._get = get
        self._put = put
        self._own = own
        self._gpus = gpus
        self._dry_run = dry_run
        self._asked: dict[tuple[Path, int], MemoryShape] = {}

    @property
    def models(self) -> ModelManager:
        return self._models

    def available(self) -> Available:
        """Return the memory of this machine now; our worker's counts as coming back.

        Its devices are the cards that the engine itself can use; the driver is asked for what is free.
        """
        own = self._own()
        measured = read_available(own.bytes, own.pids)
        usable = self._gpus()
        return replace(
            measured, devices=with_free(usable, measured.devices), unified=measured.unified and bool(usable)
        )

    def room(self, overrides: Overrides = NO_OVERRIDES) -> Room:
        """Return what a worker started now may take."""
        return self.available().room(limit_bytes=overrides.limit_bytes)

    # ---- models -----------------------------------------------------------------------------

    def shape(self, name: str) -> MemoryShape:
        """Return a model's shape: from its file when it is here, else from the catalogue.

        Raises NotFound for a name nobody knows, ModelBroken for a file that cannot be used.
        """
        try:
            file = self._models.resolve(name)
        except TwoKeysError as error:
            try:
                return self._as_run(catalogue_shape(catalogue.find(name)))
            except NotFound:
                raise error from None
        return self._file_shape(file)

    def _as_run(self, shape: MemoryShape) -> MemoryShape:
        """Add what the way of running a model takes: a llama-server has a second process beside it."""
        return replace(shape, guard_bytes=GUARD_BYTES) if self._binary() else shape

    def _file_shape(self, file: ModelFile) -> MemoryShape:
        shape = self._as_run(file_shape(file.name, file.metadata))
        if shape.cache_rule != "guessed" or self._dry_run is None:
            return shape
        key = (file.path, file.bytes)
        if key not in self._asked:
            self._asked[key] = self._ask(file, shape)
        return replace(self._asked[key], name=file.name)

    def _ask(self, file: ModelFile, shape: MemoryShape) -> MemoryShape:
        """Return the shape as the engine sees it; the guess when the engine does not say."""
        if self._dry_run is None:
            return shape
        long = min(ASKED_CONTEXTS[1], shape.train_context)
        short = min(ASKED_CONTEXTS[0], long // 2)
        try:
            figures = [
                self._dry_run(WorkerSpec(str(file.path), file.name, context=context))
                for context in (short, long)
            ]
        except TwoKeysError as error:
            log.info("the engine says nothing of %s: %s", file.name, error)
            return shape
        return asked_shape(shape, *figures)

    def plan(self, name: str, choice: StartChoice, room: Room | None = None) -> MemoryPlan:
        """Plan a start exactly as chosen. Raises like `shape`."""
        return plan_memory(self.shape(name), choice, room or self.room())

    def choose(
        self, name: str, *, room: Room | None = None, parallel: int = 1, overrides: Overrides | None = None
    ) -> MemoryPlan:
        """Return how the model would be started now. Raises like `shape`; refuses nothing."""
        shape = self.shape(name)
        decided = self.overrides(shape.name) if overrides is None else overrides
        room = room or self.room(decided)
        draft = self._decided_draft(name, decided, parallel)
        shape = self._with_drafter(shape, draft)
        return choose_start(shape, room, parallel=parallel, overrides=decided, draft=draft)

    def check(self, name: str) -> MemoryPlan:
        """Return how the model would be started; raise MemoryPlanRefused when that cannot fit."""
        plan = self.choose(name)
        check_plan(plan)
        return plan

    def table(self) -> list[ModelFit]:
        """Return every model of the catalogue and the folder, with how it would start here."""
        room = self.room()
        rows = []
        for entry in self._models.list():
            if entry.broken:
                continue
            try:
                plan = self.choose(entry.name, room=room, overrides=NO_OVERRIDES)
            except TwoKeysError as error:
                log.info("no plan for %s: %s", entry.name, error)
                continue
            rows.append(
                ModelFit(entry.name, entry.family, entry.quantisation, entry.bytes, entry.installed, plan)
            )
        return rows

    def recommend(self, *, limit_bytes: int | None = None) -> Recommendation:
        """Return the largest Qwen2.5 that fits what a worker may take here now, and why.

        Other programs, a container's limit and the graphics cards count; the model's file need not be
        here. limit_bytes: the most host memory a person lets a worker take.
        """
        room = self.available().room(limit_bytes=limit_bytes)
        better: MemoryPlan | None = None
        for name in catalogue.PREFERRED:
            plan = self.choose(name, room=room)
            if is_recommendable(plan):
                return _recommendation("memory_smaller" if better else "best_fits", plan, better)
            better = better or plan
        return _recommendation("nothing_fits", plan, better)

    def best_installed(self, room: Room | None = None) -> str | None:
        """Return the installed model that answers when nobody says which; None when none is here.

        The main model when it can be recommended here now (or in `room`), else the largest that can (a
        fallback from the package index only when nothing else can), else the smallest.
        """
        installed = [entry for entry in self._models.list() if entry.installed]
        installed.sort(
            key=lambda entry: (self._models.is_main(entry.name), not entry.is_fallback, entry.bytes),
            reverse=True,
        )
        for entry in installed:
            if self.is_recommendable(entry.name, room):
                return entry.name
        return min(installed, key=lambda entry: entry.bytes).name if installed else None

    def is_recommendable(self, name: str, room: Room | None = None) -> bool:
        """Return whether a model fits here now with a context to work in; False when that is unknown."""
        try:
            return is_recommendable(self.choose(name, room=room))
        except TwoKeysError as error:
            log.info("no plan for %s: %s", name, error)
            return False

    def smaller(self, than: MemoryPlan | None) -> list[str]:
        """Return the models that fit here and have less weights than a plan's, the largest first."""
        rows = [row for row in self.table() if row.plan.fits]
        if than is not None:
            rows = [row for row in rows if row.plan.shape.weights_bytes < than.shape.weights_bytes]
        rows.sort(key=lambda row: (row.installed, row.bytes), reverse=True)
        return [row.name for row in rows]

    # ---- starting ---------------------------------------------------------------------------

    def spec(self, model: ModelFile, *, like: WorkerSpec | None = None) -> WorkerSpec:
        """Return how the worker starts: the best plan that fits here. Refuses nothing yet.

        like: what is neither planned nor decided by a person is taken from there.
        """
        shape = self._file_shape(model)
        decided = self.overrides(model.name)
        parallel = like.parallel if like is not None else 1
        draft = self._decided_draft(str(model.path), decided, parallel)
        shape = self._with_drafter(shape, draft)
        plan = choose_start(shape, self.room(decided), parallel=parallel, overrides=decided, draft=draft)
        choice = plan.choice
        spec = WorkerSpec(
            model_path=str(model.path),
            model_name=model.name,
            model_sha256=model.sha256,
            context=choice.context,
            parallel=choice.parallel,
            kv_type=choice.kv_type,
            gpu_layers=choice.gpu_layers,
            threads=decided.threads,
            batch=choice.batch,
            ubatch=choice.ubatch,
            load_mode=choice.load_mode,
            prompt_cache_mib=choice.prompt_cache_mib,
            idle_timeout_s=self.idle_timeout_s(),
            server_binary=self._binary(),
            draft=choice.draft,
        )
        if decided.limit_mib:
            return replace(spec, memory_limit_bytes=rlimit_bytes(plan, decided.threads))
        return spec

    def of_spec(self, spec: WorkerSpec) -> MemoryPlan:
        """Return the plan of a worker's start. Raises like `shape`."""
        shape = replace(self.shape(spec.model_path), name=spec.model_name)
        shape = self._with_drafter(shape, spec.draft)
        return plan_memory(shape, choice_of(spec), self.room(self.overrides(spec.model_name)))

    # ---- drafts -----------------------------------------------------------------------------

    def draft(self, model: str, name: str, *, parallel: int = 1, batch: int = BATCH) -> Draft | None:
        """Return how the worker of a model would draft; None for "off", "auto" and with a llama-server.

        name: "simple", "mod" or a draft model's name. Raises NotFound or ModelBroken for a model that is not
        here, BadInput when its vocabulary is another than the model's.
        """
        if name in (OFF, AUTO) or self._binary():
            return None
        if name in ("simple", "mod"):
            return make_draft(name, batch=batch, parallel=parallel)
        own, drafter = self._models.resolve(model), self._models.resolve(name)
        check_vocabularies(own.name, _vocabulary(own), drafter.name, _vocabulary(drafter))
        return make_draft(drafter.name, batch=batch, parallel=parallel, path=str(drafter.path))

    def drafters(self, model: str) -> list[str]:
        """Return the models that are here, are smaller and could draft for a model, the smallest first."""
        try:
            own = self._models.resolve(model)
        except TwoKeysError:
            return []
        fitting = []
        for entry in self._models.list():
            if not entry.installed or entry.broken or entry.bytes >= own.bytes:
                continue
            with contextlib.suppress(TwoKeysError):
                drafter = self._models.resolve(entry.name)
                check_vocabularies(own.name, _vocabulary(own), drafter.name, _vocabulary(drafter))
                fitting.append(drafter)
        return [drafter.name for drafter in sorted(fitting, key=lambda drafter: drafter.bytes)]

    def _decided_draft(self, model: str, decided: Overrides, parallel: int) -> Draft | None:
        """Return what a person chose for a model; a draft model that is gone by now drafts nothing."""
        if decided.draft is None:
            return None
        try:
            return self.draft(model, decided.draft, parallel=decided.parallel or parallel)
        except TwoKeysError as error:
            log.warning("nothing drafts for %s: %s", model, error)
            return None

    def _with_drafter(self, shape: MemoryShape, draft: Draft | None) -> MemoryShape:
        return shape if draft is None or draft.path is None else replace(shape, draft=self.shape(draft.path))

    def respec(self, spec: WorkerSpec, *, chosen: bool) -> WorkerSpec:
        """Return how a stopped worker is started again, now that memory may be another.

        chosen: the spec came from `spec`, so it may be chosen anew: more context or more layers on the card
        when there is room again, less only when the present is not possible. Raises MemoryPlanRefused when
        it cannot fit, before anything is loaded.
        """
        try:
            model = self._models.resolve(spec.model_path)
        except TwoKeysError:
            return spec  # the engine itself tells what is wrong with the file
        held = self.of_spec(spec)
        if chosen:
            model = replace(model, name=spec.model_name, sha256=spec.model_sha256)
            fresh = replace(self.spec(model, like=spec), draft=spec.draft)
            plan = self.of_spec(fresh)
            roomier = fresh.context > spec.context or (
                fresh.context >= spec.context and on_card(plan) > on_card(held)
            )
            other_engine = fresh.server_binary != spec.server_binary
            if other_engine or not held.possible or (plan.fits and roomier):
                check_plan(plan)
                return fresh
        check_plan(held)
        return spec

    # ---- a person's choices -----------------------------------------------------------------

    def overrides(self, name: str) -> Overrides:
        """Return what a person decided for a model; unreadable settings count as nothing."""
        stored = self._stored().get(name)
        try:
            return Overrides.from_dict(stored) if isinstance(stored, Mapping) else NO_OVERRIDES
        except (BadParameter, TypeError) as error:
            log.warning("memory settings of %s are left out: %s", name, error)
            return NO_OVERRIDES

    def idle_timeout_s(self) -> float:
        """Return after how long without a request a worker ends: a person's choice, else the config's."""
        chosen = self._get(IDLE_SETTING)
        if isinstance(chosen, int | float) and 0 <= chosen <= LONGEST_IDLE_S:
            return float(chosen)
        return self._config.idle_timeout_s

    def keep_idle_timeout(self, idle_timeout_s: float) -> None:
        """Keep a person's choice of it. Raises BadParameter beyond 0 … LONGEST_IDLE_S seconds."""
        if not 0 <= idle_timeout_s <= LONGEST_IDLE_S:
            allowed = Reason("errors.allowed.seconds", most=int(LONGEST_IDLE_S))
            raise BadParameter(field="idle_timeout_s", value=idle_timeout_s, allowed=allowed)
        self._put(IDLE_SETTING, idle_timeout_s)

    def decide(self, name: str, overrides: Overrides) -> MemoryPlan:
        """Keep a person's choices for a model. Raises MemoryPlanRefused, and keeps nothing then."""
        plan = self.choose(name, overrides=overrides)
        check_plan(plan)
        self.keep(plan.shape.name, overrides)
        return plan

    def keep(self, name: str, overrides: Overrides) -> None:
        """Keep choices for a model without asking whether they fit."""
        stored = self._stored()
        stored.pop(name, None)
        if overrides:
            stored[name] = overrides.to_dict()
        self._put(OVERRIDES_SETTING, stored)

    def _stored(self) -> dict[str, object]:
        stored = self._get(OVERRIDES_SETTING)
        return dict(stored) if isinstance(stored, Mapping) else {}


def _recommendation(code: str, plan: MemoryPlan, better: MemoryPlan | None) -> Recommendation:
    needed, available = plan.needs.total_bytes, plan.available_bytes
    better_needed = recommendable_bytes(better.shape, better.room) if better else None
    if code == "nothing_fits":
        needed = recommendable_bytes(plan.shape, plan.room)
    reason = Reason(
        f"models.recommend.{code}",
        name=plan.shape.name,
        needed=memory_text(needed),
        memory=memory_text(available),
        better=better.shape.name if better else "",
        better_needed=memory_text(better_needed or 0),
    )
    better_name = better.shape.name if better else None
    return Recommendation(plan.shape.name, code, reason, needed, available, better_name, better_needed)


def on_card(plan: MemoryPlan) -> int:
    """Return the layers on a card, the output head counted as one."""
    layers = plan.choice.gpu_layers
    return plan.shape.layers + 1 if layers < 0 else layers


def with_free(cards: Sequence[Device], driver: Sequence[Device]) -> tuple[Device, ...]:
    """Return the engine's cards; where a driver knows one by name, its figures of free and own memory."""
    left = list(driver)
    merged = []
    for card in cards:
        known = next((other for other in left if _names_one(card.name, other.name)), None)
        if known is not None:
            left.remove(known)
        merged.append(known or card)
    return tuple(merged)


def _names_one(name: str, other: str) -> bool:
    first, second = name.lower(), other.lower()
    return first in second or second in first


def _vocabulary(model: ModelFile) -> Vocabulary:
    return Vocabulary.of(model.metadata.values, model.metadata.vocab)


def choice_of(spec: WorkerSpec) -> StartChoice:
    """Return the part of a worker's start that memory depends on."""
    return StartChoice(
        context=spec.context,
        parallel=spec.parallel,
        kv_type=spec.kv_type,
        batch=spec.batch,
        ubatch=spec.ubatch,
        gpu_layers=spec.gpu_layers,
        load_mode=spec.load_mode,
        prompt_cache_mib=spec.prompt_cache_mib,
        checkpoints=spec.checkpoints,
        draft=spec.draft,
    )


def rlimit_bytes(plan: MemoryPlan, threads: int | None = None) -> int:
    """Return the RLIMIT_DATA under which exactly the plan runs.

    The limit counts address space: to the plan comes what threads reserve and do not use.
    """
    cores = threads or psutil.cpu_count(logical=False) or 1
    stacks = OTHER_THREADS + plan.choice.parallel + cores
    return plan.needs.host.total_bytes + stacks * STACK_BYTES + SPARE_DATA_BYTES
