"""The composition root: everything built once and passed in. The only place that knows all parts.

Building opens the database and starts the job thread; no engine is started and no model is read
before the first message. Knows nothing of screens, routes or commands.
"""

import logging
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from twokeys.builds.adoption import Adoption
from twokeys.builds.folder import active_program
from twokeys.builds.manager import BuildManager
from twokeys.config import Config, prepare_home
from twokeys.core.answer_plan import KEPT_CANDIDATES, AnswerParts
from twokeys.core.answers import Answers
from twokeys.core.context import ContextPlan
from twokeys.core.context_check import ContextCheck
from twokeys.core.conversations import Conversations
from twokeys.core.draft_files import DraftFiles
from twokeys.core.draft_trial import DraftTrial, try_draft
from twokeys.core.early_start import EarlyStart
from twokeys.core.force_clear import ForceClear
from twokeys.core.guard import Guard
from twokeys.core.jobs import ENGINE_TOPIC, JobManager, Outcome
from twokeys.core.memory.ceiling import Ceiling, length_ceiling, server_ceiling
from twokeys.core.memory.overrides import Overrides
from twokeys.core.memory.plan import MemoryPlan
from twokeys.core.next_token import NextToken
from twokeys.core.presets import Presets
from twokeys.core.probabilities import ProbabilityReader
from twokeys.core.prompts import Prompts
from twokeys.core.recovery import Recovery
from twokeys.core.shortening import Shortening
from twokeys.core.speed import Expectation, expect
from twokeys.core.thread_trial import ThreadTrial, numbers_to_try, try_threads
from twokeys.core.titles import Titles
from twokeys.engine import OwnedEngine
from twokeys.engine_source import (
    MODEL_SETTING,
    SPEED_MIN_TOKENS,
    ActiveEngine,
    choose_model,
    engine_memory,
    facts_of_answers,
    home_planner,
    is_url,
    make_engine,
    server_book,
    split_urls,
)
from twokeys.engines.cores import usable_cores, usable_processors
from twokeys.engines.local import LocalEngine
from twokeys.engines.server_access import ServerAccess, place_of
from twokeys.errors import AnswersNotStored, BadInput, Reason, StoreError, TwoKeysError
from twokeys.models.download import Control
from twokeys.models.manager import ModelManager
from twokeys.planner import MemoryPlanner, Recommendation
from twokeys.rescue import rescue_answers
from twokeys.store.locks import FileLock, sweep
from twokeys.store.repository import Repository
from twokeys.types import WorkerSpec
from twokeys.upkeep import Upkeep

if TYPE_CHECKING:
    from twokeys.core.advice.advisor import Advisor
    from twokeys.core.compare.service import CompareService
    from twokeys.core.study.lab import Lab
    from twokeys.core.study.tuner import Tuner
    from twokeys.core.writer.writer import Writer
    from twokeys.store.exchange import Exchange

log = logging.getLogger(__name__)

T = TypeVar("T")

TITLES_SETTING = "titles.by_model"
RECOVER_SETTING = "memory.recover"
ORIGINS_SETTING = "api.origins"
EARLY_SETTING = "engine.early_start"
MODEL_POLL_S = 2.0
FAILED_ENGINE = ("engine_start", "engine_died")


@dataclass(frozen=True, slots=True)
class ServerState:
    """A server that answers: whether a key is kept for it, and its slots where a person set them."""

    url: str
    has_key: bool
    slots: int | None


class Late(Generic[T]):
    """A part that is made when it is first asked for, once for all threads."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._making = threading.Lock()
        self._part: T | None = None

    def get(self) -> T:
        """Return the part, made now if it was not asked for before."""
        with self._making:
            if self._part is None:
                self._part = self._make()
            return self._part

    def close(self, close: Callable[[T], object]) -> None:
        """Let `close` close the part if it was ever made."""
        if self._part is not None:
            close(self._part)


@dataclass(slots=True)
class Services:
    """What cli, ui, web and tests work with. `close` ends everything that was built.

    draft_files: what is attached to messages that are not sent yet.
    memory: what fits and how the worker starts. recovery: what to do when memory ran out.
    recovered: answers that an earlier, killed run left unfinished; now marked interrupted.
    builds: llama.cpp for this machine's card; adoption: one of them on its way into use.
    early_start: loads the model once a page is opened. probabilities: of answers written without.
    shortening: summaries that the model reads in place of a history.
    upkeep: removes for good what was deleted long enough ago.
    """

    config: Config
    repository: Repository
    models: ModelManager
    engines: ActiveEngine
    jobs: JobManager
    conversations: Conversations
    answers: Answers
    draft_files: DraftFiles
    force_clear: ForceClear
    next_token: NextToken
    presets: Presets
    prompts: Prompts
    memory: MemoryPlanner
    recovery: Recovery
    late: "LateParts"
    recovered: list[str]
    upkeep: Upkeep
    builds: BuildManager
    adoption: Adoption
    early_start: EarlyStart
    probabilities: ProbabilityReader
    shortening: Shortening
    _closed: bool = False

    @property
    def compare(self) -> "CompareService":
        """One question asked in several ways."""
        return self.late.compare.get()

    @property
    def lab(self) -> "Lab":
        """The studies."""
        return self.late.lab.get()

    @property
    def tuner(self) -> "Tuner":
        """The searches for better parameters."""
        return self.late.tuner.get()

    @property
    def writer(self) -> "Writer":
        """The long texts."""
        return self.late.writer.get()

    @property
    def exchange(self) -> "Exchange":
        """Conversations as files."""
        return self.late.exchange.get()

    @property
    def advice(self) -> "Advisor":
        """What is advised for a message."""
        return self.late.advice.get()

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

    def try_draft(self, name: str) -> DraftTrial:
        """Measure drafting with the local model, for half a minute at most, and keep it where it is faster.

        name: see MemoryPlanner.draft. Raises BadInput while an answer is written, without a local model and
        for what cannot draft for it, MemoryPlanRefused where it does not fit, EngineError.
        """
        present = self._idle_worker("drafts.refused.busy")
        draft = self.memory.draft(present.model_path, name, parallel=present.parallel)
        if draft is None:
            raise BadInput(reason=Reason("drafts.refused.busy"))
        self.memory.respec(replace(present, draft=draft), chosen=False)
        trial = self._tried(lambda make: try_draft(make, present, draft))
        if trial.faster:
            self.decide_memory(replace(self.memory.overrides(present.model_name), draft=name))
        return trial

    def try_threads(self) -> ThreadTrial:
        """Measure numbers of threads with the local model, for a minute at most, and keep the fastest.

        Raises BadInput while an answer is written, without a local model and with one core, EngineError.
        """
        present = self._idle_worker("memory.threads.busy")
        cores = usable_cores()
        numbers = numbers_to_try(present.threads or cores, cores, usable_processors())
        if len(numbers) < 2:
            raise BadInput(reason=Reason("memory.threads.one"))
        trial = self._tried(lambda make: try_threads(make, present, numbers))
        if trial.best != trial.used:
            self.decide_memory(replace(self.memory.overrides(present.model_name), threads=trial.best))
        return trial

    def _idle_worker(self, busy: str) -> WorkerSpec:
        """Return how the local worker starts. Raises BadInput (`busy`) without one and while one writes."""
        spec = self.engines.worker_spec()
        if spec is None or any(job.active for job in self.jobs.views()):
            raise BadInput(reason=Reason(busy))
        return spec

    def _tried(self, measure: Callable[[Callable[[WorkerSpec], OwnedEngine]], Awaitable[T]]) -> T:
        """End the engine that runs, let engines be measured, and return what came of it."""

        def make(spec: WorkerSpec) -> OwnedEngine:
            return LocalEngine(spec, self.config.run_dir, self.config.logs_dir)

        async def run() -> T:
            await self.engines.release()
            return await measure(make)

        return self.jobs.loop.run(run(), timeout_s=120.0)

    def servers(self) -> list[ServerState]:
        """Return the servers that answer now, by their addresses; none when a local model does."""
        name = self.config.model or self.repository.get_setting(MODEL_SETTING) or ""
        if not is_url(name):
            return []
        book = server_book(self.config)
        known = [(url, book.of(url)) for url in split_urls(name)]
        return [ServerState(url, access.key is not None, access.slots) for url, access in known]

    def known_servers(self) -> list[str]:
        """Return the addresses of servers that answer, that were set up here or that wrote for a study."""
        answering = [server.url for server in self.servers()]
        of_studies = [url for view in self.lab.list(100) for url in view.asked.servers]
        chosen = dict.fromkeys(url.rstrip("/") for url in (*answering, *of_studies))
        places = {place_of(url) for url in chosen}
        return [*chosen, *(url for url in server_book(self.config).places() if url not in places)]

    def has_ray(self) -> bool:
        """Whether studies can run on a Ray cluster: the extra `cluster` is installed."""
        from twokeys.lab_engines import ray_is_installed

        return ray_is_installed()

    def set_server_access(self, url: str, *, key: str | None, slots: int | None) -> None:
        """Keep a server's key and slots, from the next answer on.

        key: None leaves the one that is kept, "" forgets it. Raises BadParameter, StoreError.
        """
        book = server_book(self.config)
        held = book.of(url).key if key is None else key or None
        book.keep(url, ServerAccess(held, slots))

    def adopt_best_build(self) -> None:
        """Fetch, prove and use the build for this machine's own card, if it has one. Waits for nothing."""

        def adopt() -> None:
            best = self.builds.recommended()
            if best is not None:
                self.adoption.start(best.build.name)

        threading.Thread(target=adopt, name="engine for the card", daemon=True).start()

    def use_build(self, name: str) -> None:
        """Answer with another build of llama.cpp from the next message on; "bundled" is ours.

        Raises NotFound, BuildRefused for one that is not proven, and changes nothing then.
        """
        self.builds.use(name)
        renew(self.jobs, self.engines)

    def starts_early(self) -> bool:
        """Whether the model is loaded when a page is opened, where memory is ample."""
        return self.repository.get_setting(EARLY_SETTING) is not False

    def set_starts_early(self, wanted: bool) -> None:
        """Keep whether it is, from the next start of the app on."""
        self.repository.set_setting(EARLY_SETTING, wanted)

    def set_idle_timeout(self, idle_timeout_s: float) -> None:
        """End the local worker after so long without a request, 0 never: from now on, and kept.

        The next message starts it again by itself. Raises BadParameter.
        """
        self.memory.keep_idle_timeout(idle_timeout_s)
        self.jobs.loop.run(self.engines.idle_after(idle_timeout_s), timeout_s=10.0)

    def api_origins(self) -> tuple[str, ...]:
        """Return the origins of web pages that may ask the API."""
        origins = self.repository.get_setting(ORIGINS_SETTING)
        return tuple(str(origin) for origin in origins) if isinstance(origins, list) else ()

    def set_api_origins(self, origins: Sequence[str]) -> None:
        """Keep which web pages may ask the API, from the next request on."""
        self.repository.set_setting(ORIGINS_SETTING, list(origins))

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
            self.adoption.close,
            lambda: self.late.tuner.close(lambda tuner: tuner.close()),
            lambda: self.late.lab.close(lambda lab: lab.close()),
            lambda: self.late.writer.close(lambda writer: writer.close()),
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
        ground = _build_ground(config, repository, engine)
    except BaseException:
        repository.close()
        raise
    models, memory, engines, jobs = ground.models, ground.memory, ground.engines, ground.jobs
    chat = _build_chat(repository, ground)
    conversations, answers = chat.conversations, chat.answers
    presets = Presets(repository)
    late = _build_late(config, repository, ground, chat, presets, lambda: services.length_ceiling())
    services = Services(
        config,
        repository,
        models,
        engines,
        jobs,
        conversations,
        answers,
        DraftFiles(repository.files, chat.check),
        chat.force_clear,
        chat.next_token,
        presets,
        Prompts(repository),
        memory,
        _build_recovery(repository, ground, chat),
        late,
        recovered,
        Upkeep(repository.bin.purge_due),
        *_build_builds(ground),
        EarlyStart(jobs, engines, lambda: services.memory_plan(), lambda: services.starts_early()),
        chat.probabilities,
        Shortening(conversations, jobs, engines, chat.check),
    )
    services.upkeep.start()
    return services


@dataclass(frozen=True, slots=True)
class _Ground:
    """What all that writes answers stands on."""

    models: ModelManager
    memory: MemoryPlanner
    engines: ActiveEngine
    jobs: JobManager
    builds: BuildManager


@dataclass(frozen=True, slots=True)
class _Chat:
    """What a conversation is made of."""

    check: ContextCheck
    conversations: Conversations
    answers: Answers
    force_clear: ForceClear
    next_token: NextToken
    probabilities: ProbabilityReader


def _build_ground(config: Config, repository: Repository, engine: OwnedEngine | None) -> _Ground:
    models, builds = ModelManager(config), BuildManager(config)

    def make(name: str) -> OwnedEngine:
        if engine is not None:
            return engine
        name = name or choose_model(config, memory, repository.get_setting(MODEL_SETTING))
        if not is_url(name):
            builds.begin_survey()  # so that an answer can say why a card was not used
        return make_engine(name, models, config, memory, facts)

    memory = home_planner(config, repository, models=models, own=lambda: engine_memory(engines.current()))
    facts = facts_of_answers(builds, memory)
    engines = ActiveEngine(
        make=make,
        checksum=models.checksum,
        respec=memory.respec,
        binary=lambda: active_program(config),
        draft_of=lambda model, name, parallel: memory.draft(model, name, parallel=parallel),
    )
    jobs = JobManager(repository, meter=engines.meter, rescue=rescue_answers)
    jobs.on_done(lambda outcome: _record_speed(repository, outcome))
    return _Ground(models, memory, engines, jobs, builds)


def _build_builds(ground: _Ground) -> tuple[BuildManager, Adoption]:
    models, engines, jobs, builds = ground.models, ground.engines, ground.jobs, ground.builds
    jobs.on_done(lambda outcome: _distrust(builds, jobs, engines, outcome))
    adoption = Adoption(
        builds, lambda control: wait_for_model(models, control), used=lambda: renew(jobs, engines)
    )
    return builds, adoption


def _build_chat(repository: Repository, ground: _Ground) -> _Chat:
    engines, jobs = ground.engines, ground.jobs
    check = ContextCheck(jobs, engines)
    conversations = Conversations(repository, jobs)
    answer_parts = AnswerParts(conversations)
    force_clear = ForceClear(conversations, jobs, engines, check)
    answers = Answers(
        repository,
        conversations,
        jobs,
        engines,
        check,
        answer_parts,
        force_clear,
        Titles(conversations, jobs, engines, wanted=lambda: _titles_by_model(repository, engines)),
        make_watcher=lambda settings, question, prefix: Guard(
            settings.guard, question, prefix=prefix, json_form=settings.answer_schema is not None
        ),
        n_probs=lambda: _n_probs(engines),
    )
    next_token = NextToken(conversations, answer_parts, jobs, engines)
    probabilities = ProbabilityReader(repository, conversations, answer_parts, jobs, engines)
    return _Chat(check, conversations, answers, force_clear, next_token, probabilities)


def _build_recovery(repository: Repository, ground: _Ground, chat: _Chat) -> Recovery:
    return Recovery(
        chat.answers,
        chat.conversations,
        chat.force_clear,
        ground.jobs,
        repository,
        WorkerMemory(ground.engines, ground.jobs, ground.models, ground.memory),
        by_itself=lambda: repository.get_setting(RECOVER_SETTING) == "auto",
    )


@dataclass(frozen=True, slots=True)
class LateParts:
    """What the first page does without: its code loads and it is made when it is first asked for."""

    compare: "Late[CompareService]"
    lab: "Late[Lab]"
    tuner: "Late[Tuner]"
    writer: "Late[Writer]"
    advice: "Late[Advisor]"
    exchange: "Late[Exchange]"


def _build_late(
    config: Config,
    repository: Repository,
    ground: _Ground,
    chat: _Chat,
    presets: Presets,
    ceiling: Callable[[], Ceiling | None],
) -> LateParts:
    """Return what may come late. Work of hours is locked between processes by a file of its own each."""
    models, memory, engines, jobs = ground.models, ground.memory, ground.engines, ground.jobs

    def make_lock(name: str) -> FileLock:
        return FileLock(config.run_dir / f"{name}.lock")

    def make_compare() -> "CompareService":
        from twokeys.compare_engines import CompareEngines
        from twokeys.core.compare.service import CompareService

        return CompareService(
            repository,
            jobs,
            chat.answers,
            chat.conversations,
            chat.next_token,
            engines,
            chat.check,
            CompareEngines(engines, models, memory, config, facts_of_answers(ground.builds, memory)),
            presets,
        )

    def make_lab() -> "Lab":
        from twokeys.core.study.lab import Lab
        from twokeys.lab_engines import LabEngines, make_fleet, make_lab_engine

        return Lab(
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
            make_fleet=lambda spec: make_fleet(spec, engines, config, engines.worker_spec(), models),
        )

    def make_tuner() -> "Tuner":
        from twokeys.core.study.tuner import Tuner

        return Tuner(lab.get(), repository.documents, jobs, presets.add, make_lock)

    def make_writer() -> "Writer":
        from twokeys.core.writer.writer import Writer

        return Writer(
            repository.documents,
            repository,
            jobs,
            chat.answers,
            engines,
            make_lock=make_lock,
            speed=repository.speed,
            model=lambda: engines.name,
        )

    def make_advice() -> "Advisor":
        from twokeys.core.advice.advisor import Advisor

        return Advisor(
            repository,
            jobs,
            chat.conversations,
            engines,
            model=lambda: engines.name,
            ceiling=lambda: limit.tokens if (limit := ceiling()) else None,
        )

    def make_exchange() -> "Exchange":
        from twokeys.core.structured.markdown import message_markdown
        from twokeys.store.exchange import Exchange

        return Exchange(repository, message_markdown)

    lab, advice = Late(make_lab), Late(make_advice)
    chat.answers.on_answered(lambda turn, outcome: advice.get().remember_length(turn, outcome))
    sweep(config.run_dir, ("study", "tuning", "writing"))
    return LateParts(
        Late(make_compare),
        lab,
        Late(make_tuner),
        Late(make_writer),
        advice,
        Late(make_exchange),
    )


class WorkerMemory:
    """What recovery may change about the worker; see core.recovery.WorkerControl."""

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


def _n_probs(engines: ActiveEngine) -> int | None:
    """Every answer can be shown as a heat map where it costs nothing; some servers refuse or charge.

    None while a server was not asked what it is: that shows when the answer's turn has come.
    """
    expected = engines.expected()
    if expected is None:
        return None
    return KEPT_CANDIDATES if expected.tells_probs else 0


def wait_for_model(models: ModelManager, control: Control) -> Path | None:
    """Return the smallest model here to prove with, waiting for the first; None once cancelled."""
    while not control.cancelled:
        name = models.smallest_installed()
        if name is not None:
            return models.resolve(name).path
        control.sleep(MODEL_POLL_S)
    return None


def renew(jobs: JobManager, engines: ActiveEngine) -> None:
    """Let the build that is in use now answer, and tell the screens."""
    jobs.loop.run(engines.renew(), timeout_s=60.0)
    jobs.topics.publish(ENGINE_TOPIC, {"type": "engine"})


def _distrust(builds: BuildManager, jobs: JobManager, engines: ActiveEngine, outcome: Outcome) -> None:
    """Go back to the bundled build when a proven one does not start or dies: the next message is answered."""
    error, active = outcome.view.error, builds.active()
    if active is None or builds.config.server_binary or (error or {}).get("code") not in FAILED_ENGINE:
        return
    spec = engines.worker_spec()
    if spec is not None and spec.server_binary == str(active.program):
        log.warning("the engine %s failed at work and is not used any more: %s", active.name, error)
        builds.distrust(active.name)
        renew(jobs, engines)


def _record_speed(repository: Repository, outcome: Outcome) -> None:
    from twokeys.core.study.writing import TOPIC

    studied = outcome.view.topic.startswith(TOPIC)
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
