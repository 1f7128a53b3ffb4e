"""The composition root: everything built once and passed in. The only place that knows all parts.

Building opens the database and starts the job thread; no engine is started and no model is read
before the first message. Knows nothing of screens, routes or commands.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import psutil

from twokeys.config import Config, prepare_home
from twokeys.core.chat import ChatService
from twokeys.core.context import ContextPlan
from twokeys.core.guard import Guard
from twokeys.core.jobs import ENGINE_TOPIC, JobManager, Outcome
from twokeys.core.presets import Presets
from twokeys.core.speed import Expectation, expect
from twokeys.engines.base import Engine
from twokeys.engines.host import EngineHost
from twokeys.engines.local import LocalEngine
from twokeys.engines.remote import RemoteEngine
from twokeys.errors import ModelMissing, StoreError, TwoKeysError
from twokeys.models.manager import ModelManager
from twokeys.models.shelf import ModelFile
from twokeys.store.repository import Repository
from twokeys.types import WorkerSpec

log = logging.getLogger(__name__)

MODEL_SETTING = "model"
TITLES_SETTING = "titles.by_model"
USUAL_CONTEXT = 8192
SMALLEST_CONTEXT = 2048
MEMORY_SHARE = 0.9
OVERHEAD_BYTES = 256 << 20
SPEED_MIN_TOKENS = 16
"""Answers shorter than this say nothing about speed."""


class ActiveEngine(EngineHost):
    """The engine that answers now, with what only the composition root can know about it.

    The empty name stands for "whatever is best here": chosen anew each time an engine is built, so
    a model that was just downloaded is found.
    """

    def __init__(self, make: Callable[[str], Engine], checksum: Callable[[str], str]) -> None:
        super().__init__(make, "")
        self._checksum = checksum

    @property
    def name(self) -> str | None:
        """The name of the model that answers or would answer; None without one."""
        expected = self.expected()
        if isinstance(expected, WorkerSpec):
            return expected.model_name
        return expected.model if expected is not None else super().name or None

    async def ready(self) -> Engine:
        """Return the active engine; before its first start the model file's checksum is known."""
        engine = await asyncio.to_thread(lambda: self.engine)
        if isinstance(engine, LocalEngine) and engine.spec.model_sha256 is None and not engine.running:
            sha256 = await asyncio.to_thread(self._checksum, engine.spec.model_path)
            await engine.restart(replace(engine.spec, model_sha256=sha256))
        return engine

    def meter(self) -> dict[str, Any]:
        """Return the worker's memory and process id for the live meter."""
        measure = getattr(self.current(), "memory_bytes", None)
        return {
            "memory_bytes": int(measure()) if callable(measure) else 0,
            "pid": getattr(self.current(), "pid", None),
            "running": self.running(),
        }


@dataclass(slots=True)
class Services:
    """What cli, ui, web and tests work with. `close` ends everything that was built.

    recovered: answers that an earlier, killed run left unfinished; now marked interrupted.
    """

    config: Config
    repository: Repository
    models: ModelManager
    engines: ActiveEngine
    jobs: JobManager
    chat: ChatService
    presets: Presets
    recovered: list[str]
    _closed: bool = False

    def switch_model(self, name: str) -> None:
        """Answer with another model (name, path or URL) from the next message on.

        What is being written is stopped and kept, and can be continued. The choice is remembered.
        Raises ModelMissing, ModelBroken or NotFound, and changes nothing then.
        """
        if not is_url(name):
            self.models.resolve(name)
        self.jobs.stop_all()
        self.jobs.run(self.engines.use(name), timeout_s=60.0)
        self.repository.set_setting(MODEL_SETTING, name)
        self.jobs.publish(ENGINE_TOPIC, {"type": "model", "name": name})

    def expectation(self, plan: ContextPlan) -> Expectation | None:
        """Return how long the planned message will take here, None while that is not known."""
        name = self.engines.name
        speed = self.repository.speed(name) if name else None
        # the history is in the engine's cache when it has just been read
        cached = plan.history_tokens if self.engines.running() else 0
        return expect(
            speed,
            prompt_tokens=plan.prompt_tokens,
            new_tokens=plan.max_new_tokens,
            cached_tokens=cached,
        )

    def close(self) -> None:
        """End jobs as interrupted with their text stored, the engine and the database. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self.jobs.interrupt_all()
        try:
            self.jobs.run(self.engines.close(), timeout_s=10.0)
        except (TwoKeysError, TimeoutError) as error:
            log.warning("the engine did not close cleanly: %s", error)
        self.jobs.close()
        self.repository.close()


def build_services(config: Config, *, engine: Engine | None = None) -> Services:
    """Build everything for one data folder. `engine`: used instead of a model, for tests and tools.

    Raises StoreError subclasses. A missing model is no error here: it shows when a message is sent.
    """
    prepare_home(config)
    repository = Repository.open(config)
    try:
        recovered = repository.recover_interrupted()
        models = ModelManager(config)

        def choose() -> str:
            return choose_model(config, models, repository.get_setting(MODEL_SETTING))

        engines = ActiveEngine(
            make=lambda name: engine or make_engine(name or choose(), models, config),
            checksum=models.checksum,
        )
        jobs = JobManager(repository, meter=engines.meter)
    except BaseException:
        repository.close()
        raise
    chat = ChatService(
        repository,
        jobs,
        engines,
        make_watcher=lambda settings, question, prefix: Guard(settings.guard, question, prefix=prefix),
        titles_by_model=lambda: _titles_by_model(repository, engines),
    )
    jobs.on_done(lambda outcome: _record_speed(repository, outcome))
    return Services(config, repository, models, engines, jobs, chat, Presets(repository), recovered)


def make_engine(name: str, models: ModelManager, config: Config) -> Engine:
    """Return an engine, not started, for a model's name, a GGUF file's path or a server's URL."""
    if is_url(name):
        return RemoteEngine(name)
    return LocalEngine(plan_worker(models.resolve(name), config), config.run_dir, config.logs_dir)


def plan_worker(model: ModelFile, config: Config) -> WorkerSpec:
    """Choose how the worker starts: 8192 tokens of context, less where memory is short.

    memory = weights + KV cache of the context + overhead, within 90 % of what is free now.
    """
    trained = model.metadata.context or USUAL_CONTEXT
    context = min(trained, USUAL_CONTEXT)
    room = psutil.virtual_memory().available * MEMORY_SHARE - model.bytes - OVERHEAD_BYTES
    while context > SMALLEST_CONTEXT and model.metadata.kv_bytes_per_token() * context > room:
        context //= 2
    return WorkerSpec(
        model_path=str(model.path),
        model_name=model.name,
        model_sha256=model.sha256,
        context=context,
        idle_timeout_s=config.idle_timeout_s,
        server_binary=config.server_binary,
    )


def choose_model(config: Config, models: ModelManager, remembered: str | None) -> str:
    """Return which model answers when nobody says: --model, the last used, the best that is here.

    The best: the largest installed one that the recommendation's rule lets fit this machine, else
    the smallest installed. Raises ModelMissing when none is installed.
    """
    if config.model:
        return config.model
    installed = {entry.name: entry for entry in models.list() if entry.installed}
    if remembered and (is_url(remembered) or remembered in installed or _resolves(models, remembered)):
        return remembered
    if not installed:
        raise ModelMissing(name="Qwen2.5")
    room = psutil.virtual_memory().total * 0.85
    fitting = [entry for entry in installed.values() if entry.bytes + OVERHEAD_BYTES < room]
    if not fitting:
        return min(installed.values(), key=lambda entry: entry.bytes).name
    return max(fitting, key=lambda entry: (not entry.is_fallback, entry.bytes)).name


def is_url(name: str) -> bool:
    """Return whether a model's name is the address of a running server."""
    return name.startswith(("http://", "https://"))


def _resolves(models: ModelManager, name: str) -> bool:
    try:
        models.resolve(name)
    except TwoKeysError:
        return False
    return True


def _titles_by_model(repository: Repository, engines: ActiveEngine) -> bool:
    """By default only a local engine is bothered for titles: elsewhere they may cost money."""
    wanted = repository.get_setting(TITLES_SETTING)
    return bool(wanted) if wanted is not None else isinstance(engines.expected(), WorkerSpec)


def _record_speed(repository: Repository, outcome: Outcome) -> None:
    if not outcome.parts or outcome.message is None:
        return
    part: Mapping[str, Any] = outcome.parts[-1]
    timings = part.get("timings", {})
    if part["completion_tokens"] < SPEED_MIN_TOKENS or not timings.get("tok_per_s"):
        return
    try:
        repository.record_speed(part["model"], timings["tok_per_s"], timings.get("prompt_tok_per_s"))
    except StoreError as error:
        log.info("a speed was not recorded: %s", error)
