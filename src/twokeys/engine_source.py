"""Where engines come from: which model answers, how its engine is made, and the one that is active.

Part of the composition, used by services and by the commands that plan without them. Knows no
conversations, no screens and no commands.
"""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from twokeys.builds.folder import active_program
from twokeys.builds.manager import BuildManager
from twokeys.config import Config
from twokeys.core.memory.available import Device
from twokeys.core.memory.drafts import AUTO, OFF
from twokeys.core.memory.plan import Room
from twokeys.core.ports import SettingsStore
from twokeys.core.speed import bandwidth_share
from twokeys.engine import OwnedEngine
from twokeys.engines import registry
from twokeys.engines.devices import EngineDevice, Offload, list_devices, read_buffers
from twokeys.engines.host import EngineHost
from twokeys.engines.local import AnswerFacts, LocalEngine
from twokeys.engines.pool import PoolEngine
from twokeys.engines.preflight import preflight
from twokeys.engines.remote import RemoteEngine
from twokeys.engines.server_access import ServerAccess, ServerBook
from twokeys.errors import ModelMissing, TwoKeysError
from twokeys.i18n import LANGUAGES
from twokeys.model_shape import EngineFigures
from twokeys.models.catalogue import SMALLEST_REACHABLE
from twokeys.models.manager import ModelManager
from twokeys.planner import MemoryPlanner, OwnMemory
from twokeys.types import Draft, Finished, WorkerSpec

log = logging.getLogger(__name__)

CARDS_FOR_S = 30.0
"""So long what an engine told of its cards is believed."""

SPEED_MIN_TOKENS = 16
"""Answers shorter than this say nothing about speed."""

MODEL_SETTING = "model"
"""Under this name the model that a person chose last is remembered."""


class ActiveEngine(EngineHost):
    """The engine that answers now, with what only the composition root can know about it.

    The empty name stands for "whatever is best here": chosen anew each time an engine is built, so
    a model that was just downloaded is found.
    """

    def __init__(
        self,
        make: Callable[[str], OwnedEngine],
        checksum: Callable[[str], str],
        respec: Callable[..., WorkerSpec],
        binary: Callable[[], str | None] = lambda: None,
        draft_of: Callable[[str, str, int], Draft | None] = lambda model, name, parallel: None,
    ) -> None:
        """respec(spec, chosen): how a stopped worker starts again; refuses what cannot fit.

        draft_of(model, name, parallel): what drafts for a model under this name, see MemoryPlanner.draft.

        binary: the llama-server that answers from the next start on; a worker of another one is ended for it
        once it is idle.
        """
        super().__init__(make, "")
        self._binary = binary
        self._checksum = checksum
        self._respec = respec
        self._chosen: WorkerSpec | None = None
        self._draft_of = draft_of
        self._usual_draft: Draft | None = None

    @property
    def name(self) -> str | None:
        """The name of the model that answers or would answer; None without one."""
        expected = self.expected()
        return expected.model if expected is not None else super().name or None

    def worker_spec(self) -> WorkerSpec | None:
        """Return how our worker is or would be started, None when no worker of ours answers."""
        expected = self.expected()
        return expected.spec if expected is not None else None

    async def ready(self) -> OwnedEngine:
        """Return the active engine; before a start it is known to fit, and the file's checksum too.

        Raises MemoryPlanRefused, with nothing loaded, when memory is too short now.
        """
        await self.end_stand_in()
        engine = self.current()
        if engine is None:
            engine = await asyncio.to_thread(lambda: self.engine)
        if not isinstance(engine, LocalEngine) or engine.phase is not None:
            return engine
        if engine.running and (engine.busy or not self._outdated(engine.spec)):
            return engine
        if engine.running:
            await engine.release()
        held = engine.spec
        if self._chosen is None:
            self._chosen, self._usual_draft = held, held.draft
        chosen = self._is_chosen(held)
        spec = await asyncio.to_thread(self._respec, held, chosen=chosen)
        if spec.model_sha256 is None:
            sha256 = await asyncio.to_thread(self._checksum, spec.model_path)
            spec = replace(spec, model_sha256=sha256)
        if chosen:
            self._chosen = spec
        unchanged = engine is self.current() and engine.spec == held
        if unchanged and spec != held and not engine.running and engine.phase is None:
            await engine.restart(spec)
        return engine

    async def drafting(self, name: str) -> OwnedEngine:
        """Return the active engine, started anew where it drafts in another way than `name` says.

        name: see Settings.draft; "auto" stands for what a person decided for the model. What cannot draft
        here, or does not fit, is left out: an answer without drafts is as good, only slower. The engine
        has no switch for a single request, so this is a start of the worker.
        """
        engine = await self.ready()
        if not isinstance(engine, LocalEngine) or engine.busy or engine.phase is not None:
            return engine
        if name in (AUTO, OFF):
            spec = replace(engine.spec, draft=self._usual_draft if name == AUTO else None)
        else:
            spec = await asyncio.to_thread(self._drafting_spec, engine.spec, name)
        if spec.draft != engine.spec.draft and not engine.busy and engine.phase is None:
            if self._is_chosen(engine.spec):
                self._chosen = spec
            await engine.restart(spec)
        return engine

    def _drafting_spec(self, spec: WorkerSpec, name: str) -> WorkerSpec:
        try:
            draft = self._draft_of(spec.model_path, name, spec.parallel)
            if draft == spec.draft:
                return spec
            return self._respec(replace(spec, draft=draft), chosen=False)
        except TwoKeysError as error:
            log.warning("%s is written without drafts: %s", spec.model_name, error)
            return replace(spec, draft=None)

    async def renew(self) -> None:
        """Take the llama-server in use now: at once, or after the answer that is being written."""
        engine = self.current()
        if not isinstance(engine, LocalEngine) or engine is not self._engine or engine.busy:
            return
        if engine.phase is None and engine.spec.server_binary != self._binary():
            with contextlib.suppress(TwoKeysError):  # the next message tells what is wrong
                await self.ready()

    def _is_chosen(self, spec: WorkerSpec) -> bool:
        chosen = self._chosen
        return chosen is not None and replace(spec, model_sha256=chosen.model_sha256) == chosen

    def _outdated(self, spec: WorkerSpec) -> bool:
        """Whether another llama-server is in use since this worker was started."""
        return self._is_chosen(spec) and spec.server_binary != self._binary()

    async def start_as(self, spec: WorkerSpec) -> None:
        """End the worker of the active engine; the next request starts it as `spec` says."""
        engine = await asyncio.to_thread(lambda: self.engine)
        if isinstance(engine, LocalEngine):
            self._chosen, self._usual_draft = spec, spec.draft
            await engine.restart(spec)

    async def idle_after(self, idle_timeout_s: float) -> None:
        """End the local worker after so long without a request, 0 never; nothing restarts for it."""
        if self._chosen is not None:
            self._chosen = replace(self._chosen, idle_timeout_s=idle_timeout_s)
        for engine in (self._engine, self._stand_in):
            if isinstance(engine, LocalEngine):
                engine.idle_after(idle_timeout_s)

    async def use(self, name: str) -> OwnedEngine:
        """See EngineHost.use."""
        self._chosen = None
        return await super().use(name)

    def offload(self) -> Offload | None:
        """Return where the running model lies, None while none runs or a server answers."""
        engine = self.current()
        return engine.offload if isinstance(engine, LocalEngine) else None

    def meter(self) -> dict[str, object]:
        """Return the worker's memory and process id for the live meter."""
        measure = getattr(self.current(), "memory_bytes", None)
        return {
            "memory_bytes": int(measure()) if callable(measure) else 0,
            "pid": getattr(self.current(), "pid", None),
            "running": self.running(),
        }


def split_urls(name: str) -> list[str]:
    """Return the addresses in a model's name: one, or several of servers that work together."""
    return [url.strip() for url in name.split(",") if url.strip()]


def make_engine(
    name: str,
    models: ModelManager,
    config: Config,
    memory: MemoryPlanner,
    more_facts: AnswerFacts | None = None,
) -> OwnedEngine:
    """Return an engine, not started, for a model's name, a GGUF file's path or a server's URL."""
    if is_url(name):
        return remote_engine(name, config)
    spec = memory.spec(models.resolve(name))
    return LocalEngine(spec, config.run_dir, config.logs_dir, more_facts=more_facts)


def facts_of_answers(builds: BuildManager, memory: MemoryPlanner) -> AnswerFacts:
    """Return what tells, at its end, why an answer was written on the processor or how well on a card.

    On a card: the share of what its memory allows; nothing where several answers may be written at once.
    """

    def facts(spec: WorkerSpec, offload: Offload, finished: Finished) -> Mapping[str, object]:
        if offload.layers:
            share = _share_of_card(spec, offload, finished)
            return {"bandwidth_share": round(share, 3)} if share is not None else {}
        if spec.gpu_layers or not builds.surveyed:
            return {}  # the engine did not do as it was told: the layers say it
        why = builds.processor_reason()
        return {"why": {name: why.in_language(name) for name in LANGUAGES}} if why is not None else {}

    def _share_of_card(spec: WorkerSpec, offload: Offload, finished: Finished) -> float | None:
        usage, speed = finished.usage, finished.timings.tok_per_s
        whole = offload.layers == offload.of_layers and len(offload.devices) == 1 and spec.parallel == 1
        if not whole or not speed or usage.completion_tokens < SPEED_MIN_TOKENS or not builds.surveyed:
            return None
        bandwidth = builds.survey().bandwidth_of(offload.devices[0])
        tokens = usage.prompt_tokens + usage.completion_tokens / 2
        with contextlib.suppress(TwoKeysError):  # the model's file may be gone by now
            return bandwidth_share(
                speed, memory.shape(spec.model_path).bytes_read(tokens, spec.kv_type), bandwidth
            )
        return None

    return facts


def remote_engine(name: str, config: Config) -> OwnedEngine:
    """Return the engine of a server, with the key and slots that were set for it.

    Several addresses with commas between them are servers of one model that work together.
    """
    book = server_book(config)
    servers = [RemoteEngine(url, partial(book.of, url), tries=True) for url in split_urls(name)]
    return servers[0] if len(servers) == 1 else PoolEngine(servers)


def server_book(config: Config) -> ServerBook:
    """Return the keys and slots of servers: what a person set, and what the environment says of one."""
    named = config.model if config.model and is_url(config.model) else None
    access = ServerAccess(config.server_key, config.server_slots)
    own = dict.fromkeys(split_urls(named), access) if named else {}
    return ServerBook(config.servers_file, own)


def choose_model(
    config: Config, memory: MemoryPlanner, remembered: str | None, room: Room | None = None
) -> str:
    """Return which model answers when nobody says: --model, the last used, the best that is here.

    The best: see MemoryPlanner.best_installed, in what is free now or in `room`. Raises ModelMissing
    when none is installed.
    """
    if config.model:
        return config.model
    if remembered and (is_url(remembered) or _resolves(memory.models, remembered)):
        return remembered
    best = memory.best_installed(room)
    if best is None:
        raise ModelMissing(name=SMALLEST_REACHABLE[0])
    return best


def home_planner(
    config: Config,
    settings: SettingsStore | None = None,
    *,
    models: ModelManager | None = None,
    own: Callable[[], OwnMemory] | None = None,
) -> MemoryPlanner:
    """Return a planner for one home.

    settings: where a person's choices are kept; None plans without them. own: the memory of the worker
    that would make room for the next one; by default every worker of this home counts.
    """
    return MemoryPlanner(
        config,
        models or ModelManager(config),
        get=settings.get_setting if settings else lambda _key: None,
        put=settings.set_setting if settings else lambda _key, _value: None,
        own=own or (lambda: workers_memory(config)),
        gpus=CardSurvey(config).cards,
        dry_run=dry_run,
        binary=partial(active_program, config),
    )


def dry_run(spec: WorkerSpec) -> EngineFigures:
    """Return what the bundled engine says of a start. Raises EngineStartFailed when it says nothing."""
    rows = preflight(spec)
    return EngineFigures(
        context=spec.context,
        ubatch=spec.ubatch,
        weights_bytes=sum(row.model_bytes for row in rows),
        kv_bytes=sum(row.kv_bytes for row in rows),
        compute_bytes=sum(row.compute_bytes for row in rows),
    )


def engine_memory(engine: object) -> OwnMemory:
    """Return what the worker of an engine holds now; nothing when it has none."""
    pid = getattr(engine, "pid", None)
    return (
        OwnMemory(registry.anonymous_bytes(pid), registry.family(pid))
        if isinstance(pid, int)
        else OwnMemory()
    )


def workers_memory(config: Config) -> OwnMemory:
    """Return what all workers of this home hold now."""
    workers = registry.list_workers(config.run_dir) if config.run_dir.is_dir() else []
    pids = [worker.pid for worker in workers]
    families = tuple(member for pid in pids for member in registry.family(pid))
    return OwnMemory(sum(registry.anonymous_bytes(pid) for pid in pids), families)


class CardSurvey:
    """The cards that the engine can use, as it tells them; asked anew when what they hold may be another.

    That there is none is asked once: no card is plugged in while a program runs.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._listed: tuple[EngineDevice, ...] | None = None
        self._program: str | None = None
        self._listed_at = 0.0
        self._held: Mapping[str, int] = {}
        self._lock = threading.Lock()

    def cards(self) -> tuple[Device, ...]:
        """Return each card with what is free, and what workers of this home hold on it."""
        with self._lock:
            program = active_program(self._config)
            if program != self._program:
                self._program, self._listed = program, None
            held = self._held_now() if self._listed != () else {}
            aged = time.monotonic() - self._listed_at > CARDS_FOR_S
            if self._listed is None or (self._listed and (aged or held != self._held)):
                self._listed = list_devices(program)
                self._listed_at, self._held = time.monotonic(), held
            return tuple(
                Device(card.description, card.total_bytes, card.free_bytes, held.get(card.name, 0))
                for card in self._listed
            )

    def _held_now(self) -> Mapping[str, int]:
        held: dict[str, int] = {}
        if self._config.run_dir.is_dir():
            for worker in registry.list_workers(self._config.run_dir):
                log = self._config.logs_dir / f"worker-{worker.pid}.log"
                with contextlib.suppress(OSError):
                    buffers = read_buffers(log.read_text(encoding="utf-8", errors="replace"))
                    held |= {name: held.get(name, 0) + size for name, size in buffers.items()}
        return held


def is_url(name: str) -> bool:
    """Return whether a model's name is the address of a running server."""
    return name.startswith(("http://", "https://"))


def _resolves(models: ModelManager, name: str) -> bool:
    try:
        models.resolve(name)
    except TwoKeysError:
        return False
    return True
