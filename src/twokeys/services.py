"""The composition root: everything built once and passed in. The only place that knows all parts.

Building opens the database and starts the job thread; no engine is started and no model is read
before the first message. Knows nothing of screens, routes or commands.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from twokeys.compare_engines import CompareEngines
from twokeys.config import Config, prepare_home
from twokeys.core.advice.advisor import Advisor
from twokeys.core.answer_plan import AnswerParts
from twokeys.core.answers import Answers
from twokeys.core.compare.service import N_PROBS, CompareService
from twokeys.core.context import ContextPlan
from twokeys.core.context_check import ContextCheck
from twokeys.core.conversations import Conversations
from twokeys.core.force_clear import ForceClear
from twokeys.core.guard import Guard
from twokeys.core.jobs import ENGINE_TOPIC, JobManager, Outcome
from twokeys.core.memory.ceiling import Ceiling, length_ceiling, server_ceiling
from twokeys.core.memory.overrides import Overrides
from twokeys.core.memory.plan import MemoryPlan
from twokeys.core.next_token import NextToken
from twokeys.core.presets import Presets
from twokeys.core.recovery import Recovery
from twokeys.core.speed import Expectation, expect
from twokeys.core.study.lab import Lab
from twokeys.core.study.runner import TOPIC as STUDY_TOPIC
from twokeys.core.study.tuner import Tuner
from twokeys.core.titles import Titles
from twokeys.core.writer.writer import Writer
from twokeys.engine import OwnedEngine
from twokeys.engine_source import (
    MODEL_SETTING,
    ActiveEngine,
    choose_model,
    engine_memory,
    home_planner,
    is_url,
    make_engine,
    server_book,
    split_urls,
)
from twokeys.engines.server_access import ServerAccess
from twokeys.errors import AnswersNotStored, StoreError, TwoKeysError
from twokeys.lab_engines import LabEngines, make_lab_engine
from twokeys.models.manager import ModelManager
from twokeys.planner import MemoryPlanner, Recommendation
from twokeys.rescue import rescue_answers
from twokeys.store.exchange import Exchange
from twokeys.store.locks import FileLock, sweep
from twokeys.store.repository import Repository
from twokeys.upkeep import Upkeep

log = logging.getLogger(__name__)

TITLES_SETTING = "titles.by_model"
RECOVER_SETTING = "memory.recover"
SPEED_MIN_TOKENS = 16
"""Answers shorter than this say nothing about speed."""


@dataclass(frozen=True, slots=True)
class ServerState:
    """A server that answers: whether a key is kept for it, and its slots where a person set them."""

    url: str
    has_key: bool
    slots: int | None


@dataclass(slots=True)
class Services:
    """What cli, ui, web and tests work with. `close` ends everything that was built.

    memory: what fits and how the worker starts. recovery: what to do when memory ran out.
    recovered: answers that an earlier, killed run left unfinished; now marked interrupted.
    exchange: conversations as files. upkeep: removes for good what was deleted long enough ago.
    """

    config: Config
    repository: Repository
    models: ModelManager
    engines: ActiveEngine
    jobs: JobManager
    conversations: Conversations
    answers: Answers
    force_clear: ForceClear
    next_token: NextToken
    presets: Presets
    compare: CompareService
    memory: MemoryPlanner
    recovery: Recovery
    lab: Lab
    writer: Writer
    tuner: Tuner
    advice: Advisor
    recovered: list[str]
    exchange: Exchange
    upkeep: Upkeep
    _closed: bool = False

    def switch_model(self, name: str) -> None:
        """Answer with another model (name, path or URL) from the next message on.

        What is being written is stopped and kept, and can be continued. The choice is remembered.
        Raises ModelMissing, ModelBroken, NotFound, or MemoryPlanRefused when it cannot fit here, and
        changes nothing then.
        """
        if not is_url(name):
            self.models.resolve(name)
            self.memory.check(name)
        self.jobs.stop_all()
        self.jobs.loop.run(self.engines.use(name), timeout_s=60.0)
        self.repository.set_setting(MODEL_SETTING, name)
        self.jobs.topics.publish(ENGINE_TOPIC, {"type": "model", "name": name})

    def memory_plan(self) -> MemoryPlan | None:
        """Return what the worker holds, or would hold; None when no local model answers."""
        spec = self.engines.worker_spec()
        if spec is None:
            return None
        try:
            return self.memory.of_spec(spec)
        except TwoKeysError:
            return None

    def recommendation(self) -> Recommendation:
        """Return the Qwen2.5 to fetch or to switch to, within what a person lets the worker take."""
        spec = self.engines.worker_spec()
        limit = self.memory.overrides(spec.model_name).limit_bytes if spec is not None else None
        return self.memory.recommend(limit_bytes=limit)

    def length_ceiling(self) -> Ceiling | None:
        """Return the longest answer that is safe with what would answer now, None when nothing would."""
        expected = self.engines.expected()
        if expected is None:
            return None
        if expected.spec is None:
            return server_ceiling(expected.context) if expected.context > 0 else None
        plan = self.memory_plan()
        return length_ceiling(plan) if plan is not None else None

    def decide_memory(self, overrides: Overrides) -> MemoryPlan | None:
        """Start the local model as a person decided, from the next message on.

        What is being written is stopped and kept. Raises MemoryPlanRefused, BadParameter, and changes
        nothing then. None when no local model answers.
        """
        present = self.engines.worker_spec()
        if present is None:
            return None
        plan = self.memory.decide(present.model_path, overrides)
        spec = self.memory.spec(self.models.resolve(present.model_path), like=present)
        if spec != present:
            self.jobs.stop_all()
            self.jobs.loop.run(self.engines.start_as(spec), timeout_s=60.0)
            self.jobs.topics.publish(ENGINE_TOPIC, {"type": "model", "name": spec.model_name})
        return plan

    def servers(self) -> list[ServerState]:
        """Return the servers that answer now, by their addresses; none when a local model does."""
        name = self.config.model or self.repository.get_setting(MODEL_SETTING) or ""
        if not is_url(name):
            return []
        book = server_book(self.config)
        known = [(url, book.of(url)) for url in split_urls(name)]
        return [ServerState(url, access.key is not None, access.slots) for url, access in known]

    def set_server_access(self, url: str, *, key: str | None, slots: int | None) -> None:
        """Keep a server's key and slots, from the next answer on.

        key: None leaves the one that is kept, "" forgets it. Raises BadParameter, StoreError.
        """
        book = server_book(self.config)
        held = book.of(url).key if key is None else key or None
        book.keep(url, ServerAccess(held, slots))

    def set_idle_timeout(self, idle_timeout_s: float) -> None:
        """End the local worker after so long without a request, 0 never: from now on, and kept.

        The next message starts it again by itself. Raises BadParameter.
        """
        self.memory.keep_idle_timeout(idle_timeout_s)
        self.jobs.loop.run(self.engines.idle_after(idle_timeout_s), timeout_s=10.0)

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
        """End jobs as interrupted with their text stored, the engine and the database. Idempotent.

        Raises AnswersNotStored, with all closed, when an answer could not be stored to the last.
        """
        if self._closed:
            return
        self._closed = True
        closing: tuple[Callable[[], object], ...] = (
            self.upkeep.close,
            self.tuner.close,
            self.lab.close,
            self.writer.close,
            self.jobs.interrupt_all,
            lambda: self.jobs.loop.run(self.engines.close(), timeout_s=10.0),
            self.jobs.close,
            self.repository.close,
        )
        not_stored: AnswersNotStored | None = None
        for close in closing:
            try:
                close()
            except AnswersNotStored as error:
                not_stored = error
            except Exception:
                # one part must not keep the others from being closed
                log.exception("a part did not close cleanly")
        if not_stored is not None:
            raise not_stored


def build_services(config: Config, *, engine: OwnedEngine | None = None) -> Services:
    """Build everything for one data folder. `engine`: used instead of a model, for tests and tools.

    Raises StoreError subclasses. A missing model is no error here: it shows when a message is sent.
    """
    prepare_home(config)
    repository = Repository.open(config)
    try:
        recovered = repository.recover_interrupted()
        models = ModelManager(config)

        def choose() -> str:
            return choose_model(config, memory, repository.get_setting(MODEL_SETTING))

        memory = home_planner(config, repository, models=models, own=lambda: engine_memory(engines.current()))
        engines = ActiveEngine(
            make=lambda name: engine or make_engine(name or choose(), models, config, memory),
            checksum=models.checksum,
            respec=memory.respec,
        )
        jobs = JobManager(repository, meter=engines.meter, rescue=rescue_answers)
    except BaseException:
        repository.close()
        raise
    check = ContextCheck(jobs, engines)
    conversations = Conversations(repository, jobs)
    answer_parts = AnswerParts(conversations)
    force_clear = ForceClear(conversations, jobs, engines, check)
    next_token = NextToken(conversations, answer_parts, jobs, engines)
    answers = Answers(
        repository,
        conversations,
        jobs,
        engines,
        check,
        answer_parts,
        force_clear,
        Titles(conversations, jobs, engines, wanted=lambda: _titles_by_model(repository, engines)),
        make_watcher=lambda settings, question, prefix: Guard(settings.guard, question, prefix=prefix),
        n_probs=lambda: _n_probs(engines),
    )
    jobs.on_done(lambda outcome: _record_speed(repository, outcome))
    recovery = Recovery(
        answers,
        conversations,
        force_clear,
        jobs,
        repository,
        WorkerMemory(engines, jobs, models, memory),
        by_itself=lambda: repository.get_setting(RECOVER_SETTING) == "auto",
    )
    presets = Presets(repository)
    stage = CompareEngines(engines, models, memory, config)
    compare = CompareService(
        repository, jobs, answers, conversations, next_token, engines, check, stage, presets
    )

    def make_lock(name: str) -> FileLock:
        return FileLock(config.run_dir / f"{name}.lock")

    sweep(config.run_dir, ("study", "tuning", "writing"))
    lab = Lab(
        repository.documents,
        jobs,
        LabEngines(
            engines,
            lambda setup, slots: make_lab_engine(
                setup, slots, usual=engines.worker_spec(), models=models, memory=memory, config=config
            ),
        ),
        make_lock=make_lock,
        speed=repository.speed,
        model=lambda: engines.name,
    )
    tuner = Tuner(lab, repository.documents, jobs, presets.add, make_lock)
    writer = Writer(
        repository.documents,
        repository,
        jobs,
        answers,
        engines,
        make_lock=make_lock,
        speed=repository.speed,
        model=lambda: engines.name,
    )
    chat = (conversations, answers, force_clear, next_token)
    parts = (models, engines, jobs, *chat, presets, compare, memory, recovery, lab, writer, tuner)
    services = Services(
        config,
        repository,
        *parts,
        Advisor(
            repository,
            jobs,
            conversations,
            answers,
            engines,
            model=lambda: engines.name,
            ceiling=lambda: ceiling.tokens if (ceiling := services.length_ceiling()) else None,
        ),
        recovered,
        Exchange(repository),
        Upkeep(repository.bin.purge_due),
    )
    services.upkeep.start()
    return services


class WorkerMemory:
    """What recovery may change about the worker; see core.recovery.Worker."""

    def __init__(
        self, engines: ActiveEngine, jobs: JobManager, models: ModelManager, memory: MemoryPlanner
    ) -> None:
        self._engines = engines
        self._jobs = jobs
        self._models = models
        self._memory = memory

    def plan(self, **changes: Any) -> MemoryPlan | None:
        """Return the present plan, with some of it changed; None when no local model answers."""
        spec = self._engines.worker_spec()
        if spec is None:
            return None
        try:
            return self._memory.of_spec(replace(spec, **changes))
        except TwoKeysError:
            return None  # the model's file is gone or broken: starting it will tell

    def change(self, **changes: Any) -> None:
        """Start the worker with some of its spec changed, and keep that for this model."""
        present = self._engines.worker_spec()
        if present is None:
            return
        decided = self._memory.overrides(present.model_name)
        self._memory.keep(present.model_name, replace(decided, **changes))
        spec = self._memory.spec(self._models.resolve(present.model_path), like=present)
        self._jobs.loop.run(self._engines.start_as(spec), timeout_s=60.0)

    def decisions(self) -> tuple[str, Overrides] | None:
        """Return the present model's name and what a person decided for it; None without a local model."""
        present = self._engines.worker_spec()
        return None if present is None else (present.model_name, self._memory.overrides(present.model_name))

    def put_back(self, decisions: object) -> None:
        """Keep what had been decided before, and start the worker so from now on."""
        present = self._engines.worker_spec()
        match decisions:
            case (str() as name, Overrides() as decided) if (
                present is not None and present.model_name == name
            ):
                self._memory.keep(name, decided)
                spec = self._memory.spec(self._models.resolve(present.model_path), like=present)
                self._jobs.loop.run(self._engines.start_as(spec), timeout_s=60.0)

    def smaller_models(self) -> list[str]:
        """Return the models that are smaller and fit here, the largest first."""
        return self._memory.smaller(self.plan())


def _titles_by_model(repository: Repository, engines: ActiveEngine) -> bool:
    """By default only a local engine is bothered for titles: elsewhere they may cost money."""
    wanted = repository.get_setting(TITLES_SETTING)
    return bool(wanted) if wanted is not None else engines.worker_spec() is not None


def _n_probs(engines: ActiveEngine) -> int:
    """Every answer of a local model can be shown as a heat map; other servers may refuse or charge."""
    return N_PROBS if engines.worker_spec() is not None else 0


def _record_speed(repository: Repository, outcome: Outcome) -> None:
    studied = outcome.view.topic.startswith(STUDY_TOPIC)
    if not outcome.parts or (outcome.message is None and not studied):
        return
    part = outcome.parts[-1]
    tok_per_s = part.timings.tok_per_s
    if part.model is None or not tok_per_s or (part.completion_tokens or 0) < SPEED_MIN_TOKENS:
        return
    try:
        repository.record_speed(part.model, tok_per_s, part.timings.prompt_tok_per_s)
    except StoreError as error:
        log.info("a speed was not recorded: %s", error)
