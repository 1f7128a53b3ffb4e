"""The local engine: llama.cpp in a worker process of our own, started when it is needed.

It ends the process to give memory back, explains a crash, and starts again at the next request.
It chooses neither models nor memory plans: the WorkerSpec says how.
"""

import asyncio
import contextlib
import functools
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

from twokeys.engines import registry
from twokeys.engines.devices import Offload, read_offload
from twokeys.engines.llamacpp import LlamaCppDialect
from twokeys.engines.messages import clean_messages, clean_request, clean_text
from twokeys.engines.openai_api import ModelServer
from twokeys.engines.process import WorkerProcess
from twokeys.errors import (
    BadParameter,
    EngineDied,
    EngineError,
    EngineUnreachable,
    ModelBroken,
    ModelMissing,
    Reason,
)
from twokeys.types import (
    Answering,
    ChatMessage,
    Delta,
    EngineEvent,
    EngineInfo,
    Finished,
    GenerationRequest,
    NextTokens,
    Phase,
    PromptProgress,
    ReleaseReport,
    Timings,
    Usage,
    WorkerSpec,
)

DEATH_WAIT_S = 2.0
WATCH_EVERY_S = 0.5
AnswerFacts = Callable[[WorkerSpec, Offload, Finished], Mapping[str, object]]
"""What the composition knows of an answer that has ended, beside the engine: it goes into its record."""
_SLOT_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class _Released(Exception):
    """The worker was ended on purpose while something waited for it."""


class LocalEngine:
    """One model in one worker process.

    on_exit(error) is called when the worker ends without our doing: with the error after a crash,
    with None after a release from another process. more_facts: asked at the end of each answer; it must not
    block.
    """

    counts_exactly = True

    def __init__(
        self,
        spec: WorkerSpec,
        run_dir: Path,
        log_dir: Path,
        *,
        on_exit: Callable[[EngineError | None], None] | None = None,
        more_facts: AnswerFacts | None = None,
    ) -> None:
        self._spec = spec
        self._run_dir = run_dir
        self._log_dir = log_dir
        self._on_exit = on_exit
        self._more_facts = more_facts
        self._process: WorkerProcess | None = None
        self._server: ModelServer | None = None
        self._dialect: LlamaCppDialect | None = None
        self._starting: asyncio.Task[None] | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._idle_timer: asyncio.TimerHandle | None = None
        self._idle_release: asyncio.Task[ReleaseReport] | None = None
        self._phase = Phase("starting")
        self._active = 0
        self._offload = Offload()
        self._last_log = ""

    @property
    def spec(self) -> WorkerSpec:
        return self._spec

    @property
    def pid(self) -> int | None:
        """The worker's process id, None when none runs."""
        return self._process.pid if self._process is not None and self._process.running else None

    @property
    def running(self) -> bool:
        """Whether the worker is up and its model loaded."""
        return self._dialect is not None and self.pid is not None

    @property
    def busy(self) -> bool:
        """Whether an answer is being written."""
        return self._active > 0

    @property
    def offload(self) -> Offload | None:
        """Where the running model lies, by the engine's own log; None when none runs."""
        return self._offload if self.running else None

    @property
    def phase(self) -> Phase | None:
        """What a start under way is doing, None when none is: for those who wait in `info`."""
        return self._phase if self._starting is not None else None

    def expected(self) -> Answering:
        """Return what answers or would answer; nothing is started."""
        return Answering.by_worker(self._spec)

    def memory_bytes(self) -> int:
        """Return the worker's memory now: PSS on Linux, resident size elsewhere, 0 when not running."""
        return self._process.memory_bytes() if self._process is not None else 0

    def log_tail(self, lines: int = 40) -> str:
        """Return the last lines of the worker's log, of the last run when none runs now."""
        return self._process.log_tail(lines) if self._process is not None else self._last_log

    def start_log(self) -> str:
        """Return the first lines of the running worker's log: the sizes of its buffers are there."""
        return self._process.start_log() if self._process is not None else ""

    async def start(self) -> EngineInfo:
        """Start the worker unless it runs, wait until it is ready, and return what answers.

        Raises ModelMissing, ModelBroken, EngineStartFailed or EngineOutOfMemory.
        """
        try:
            async for _phase in self._ensure():
                pass
        except _Released as exc:
            raise EngineDied(reason=Reason("errors.reason.released_starting"), log=self.log_tail(10)) from exc
        self._arm_idle_timer()
        return await self._describe()

    async def restart(self, spec: WorkerSpec) -> None:
        """End the worker; the next request starts it as `spec` says."""
        await self.release()
        self._spec = spec

    def idle_after(self, idle_timeout_s: float) -> None:
        """End the worker after so long without a request from now on, 0 never. Belongs to the loop."""
        self._spec = replace(self._spec, idle_timeout_s=idle_timeout_s)
        self._arm_idle_timer()

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[EngineEvent, None]:
        """See Engine.generate. A release during the answer ends it with the reason "cancelled"."""
        request = clean_request(request)
        progress = _Progress()
        self._active += 1
        try:
            async for phase in self._ensure():
                yield phase
            process, dialect = self._current()
            try:
                async with aclosing(dialect.generate(request)) as events:
                    async for event in events:
                        progress.note(event)
                        yield self._signed(event)
            except EngineUnreachable as exc:
                await self._explain(process, exc)
        except _Released:
            yield progress.cancelled()
        finally:
            self._active -= 1
            self._arm_idle_timer()

    async def count_prompt(self, messages: Sequence[ChatMessage], prefix: str = "") -> int:
        dialect = await self._ready_dialect()
        return await dialect.count(clean_messages(messages), clean_text(prefix))

    async def tokenize(self, text: str) -> list[int]:
        return await (await self._ready_dialect()).tokenize(clean_text(text))

    async def tool_prompt(
        self, messages: Sequence[ChatMessage], tools: Sequence[Mapping[str, object]]
    ) -> list[int]:
        return await (await self._ready_dialect()).tool_prompt(clean_messages(messages), tools)

    async def text_prompt(self, text: str, suffix: str | None = None) -> list[int]:
        after = None if suffix is None else clean_text(suffix)
        return await (await self._ready_dialect()).text_prompt(clean_text(text), after)

    async def detokenize(self, ids: Sequence[int]) -> str:
        return await (await self._ready_dialect()).detokenize(ids)

    async def next_tokens(
        self,
        messages: Sequence[ChatMessage],
        prefix: str = "",
        after: Sequence[int] = (),
        slot: int | None = None,
    ) -> NextTokens:
        dialect = await self._ready_dialect()
        return await dialect.next_tokens(clean_messages(messages), clean_text(prefix), after, slot)

    async def info(self) -> EngineInfo:
        return await self.start()

    async def healthy(self) -> bool:
        return self.running and self._server is not None and await self._server.alive()

    async def release(self) -> ReleaseReport:
        """End the worker. What is being written ends as "cancelled". Fine when none runs."""
        process = self._process
        if process is None:
            return ReleaseReport(0, 0, 0)
        before = process.memory_bytes()
        await process.stop()
        after = registry.memory_bytes(process.pid) if process.running else 0
        await self._forget(process)
        return ReleaseReport(before, after, before - after)

    async def close(self) -> None:
        await self.release()

    async def save_slot(self, slot: int, name: str) -> int:
        """Save what slot `slot` has read under `name`; return its tokens. Files die with the worker."""
        answer = await self._slot_action(slot, "save", name)
        return int(answer["n_saved"])

    async def restore_slot(self, slot: int, name: str) -> int:
        """Load a saved state into slot `slot`; return its tokens."""
        answer = await self._slot_action(slot, "restore", name)
        return int(answer["n_restored"])

    def forget_saved(self, name: str) -> None:
        """Delete a saved state: the file holds the conversation's text."""
        if self._process is not None:
            (self._process.slot_dir / _slot_file(name)).unlink(missing_ok=True)

    async def _slot_action(self, slot: int, action: str, name: str | None) -> dict[str, int]:
        info = await self.start()
        if isinstance(slot, bool) or not 0 <= slot < info.slots:
            raise BadParameter(field="slot", value=slot, allowed=f"0 … {info.slots - 1}")
        process, _dialect = self._current()
        body = {} if name is None else {"filename": _slot_file(name)}
        if self._server is None:
            raise _gone()
        try:
            answer: dict[str, int] = await self._server.post(f"/slots/{slot}?action={action}", body)
        except EngineUnreachable as exc:
            try:
                await self._explain(process, exc)
            except _Released:
                raise _gone() from exc
            raise
        return answer

    async def _ready_dialect(self) -> LlamaCppDialect:
        await self.start()
        return self._current()[1]

    def _current(self) -> tuple[WorkerProcess, LlamaCppDialect]:
        if self._process is None or self._dialect is None:
            raise _Released
        return self._process, self._dialect

    async def _describe(self) -> EngineInfo:
        process, dialect = self._current_or_gone()
        return self._own(await dialect.describe(), process)

    def _current_or_gone(self) -> tuple[WorkerProcess, LlamaCppDialect]:
        try:
            return self._current()
        except _Released as exc:
            raise _gone() from exc

    def _own(self, info: EngineInfo, process: WorkerProcess) -> EngineInfo:
        spec = process.spec
        build = info.build if spec.server_binary else _build()
        return replace(
            info,
            model=spec.model_name,
            build=build,
            model_path=spec.model_path,
            model_sha256=spec.model_sha256,
            local=True,
            device=", ".join(self._offload.devices) if self._offload else "",
            draft=spec.draft.name if spec.draft is not None else None,
        )

    def _signed(self, event: EngineEvent) -> EngineEvent:
        """Add to the end of an answer which file and build wrote it."""
        if not isinstance(event, Finished) or self._process is None:
            return event
        spec = self._process.spec
        known: dict[str, Any] = {"model": spec.model_name, "model_sha256": spec.model_sha256, "local": True}
        known |= {
            "devices": list(self._offload.devices),
            "layers": self._offload.layers,
            "of_layers": self._offload.of_layers,
            "asked_layers": spec.gpu_layers,
        }
        if not spec.server_binary:
            known["build"] = _build()
        if self._more_facts is not None:
            known |= self._more_facts(spec, self._offload, event)
        return replace(event, engine={**event.engine, **known, "kv_type": spec.kv_type})

    async def _ensure(self) -> AsyncIterator[Phase]:
        """Yield the phases of a start that is needed or under way; nothing when all is ready.

        The start belongs to the engine, not to who asked: stopping an answer while the model
        loads leaves it loading.
        """
        self._stop_idle_timer()
        if self._process is not None and not self._process.running and self._starting is None:
            await self._forget(self._process)
        if self._dialect is not None:
            return
        if self._starting is None:
            self._phase = Phase("starting")
            self._starting = asyncio.create_task(self._bring_up())
            self._starting.add_done_callback(_retrieve)
        task, shown = self._starting, None
        while not task.done():
            if self._phase != shown:
                shown = self._phase
                yield shown
            await asyncio.wait({task}, timeout=0.1)
        if task.cancelled():
            raise _Released
        await task

    async def _bring_up(self) -> None:
        try:
            _check_model(self._spec)
            process = self._process = WorkerProcess(self._spec, self._run_dir, self._log_dir)
            try:
                async for phase in process.wait_ready():
                    self._phase = phase
            except EngineError:
                purposely = process.ended_on_purpose
                await self._forget(process)
                if purposely:
                    raise asyncio.CancelledError from None
                raise
            if process.ready is not None:
                self._offload = read_offload(process.start_log())
                self._server = ModelServer(process.ready.address, process.key)
                self._dialect = LlamaCppDialect(self._server)
                self._watcher = asyncio.create_task(self._watch(process))
        finally:
            self._starting = None

    async def _watch(self, process: WorkerProcess) -> None:
        while process.running:  # noqa: ASYNC110 (a process's end sets no event of ours)
            await asyncio.sleep(WATCH_EVERY_S)
        if self._process is process:
            await self._forget(process)

    async def _explain(self, process: WorkerProcess, exc: EngineUnreachable) -> None:
        """Raise what really happened to the worker when its connection broke."""
        for _ in range(int(DEATH_WAIT_S / 0.02)):
            if not process.running:
                break
            await asyncio.sleep(0.02)
        else:
            raise exc
        await self._forget(process)
        if process.ended_on_purpose:
            raise _Released from exc
        raise process.failure() from exc

    async def _forget(self, process: WorkerProcess) -> None:
        """Let go of an ended worker, once, and tell whoever asked to know."""
        if self._process is not process:
            return
        self._process, self._dialect = None, None
        server, self._server = self._server, None
        self._last_log = process.log_tail(40)
        ours = process.released
        process.clean_up()
        if self._watcher is not None and self._watcher is not asyncio.current_task():
            self._watcher.cancel()
        self._watcher = None
        if server is not None:
            await server.close()
        if self._on_exit is not None and not ours:
            self._on_exit(None if process.ended_on_purpose else process.failure())

    def _arm_idle_timer(self) -> None:
        self._stop_idle_timer()
        if self._spec.idle_timeout_s > 0 and self._active == 0 and self._process is not None:
            loop = asyncio.get_running_loop()
            self._idle_timer = loop.call_later(self._spec.idle_timeout_s, self._idle_out)

    def _stop_idle_timer(self) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None

    def _idle_out(self) -> None:
        if self._active == 0:
            self._idle_release = asyncio.get_running_loop().create_task(self.release())


class _Progress:
    """What an answer has come to, for the case that it ends by a release."""

    def __init__(self) -> None:
        self.prompt_tokens = 0
        self.cached_tokens = 0
        self.tokens = 0

    def note(self, event: EngineEvent) -> None:
        if isinstance(event, PromptProgress):
            self.prompt_tokens, self.cached_tokens = event.total, event.cached
        elif isinstance(event, Delta):
            self.tokens += len(event.token_ids)

    def cancelled(self) -> Finished:
        usage = Usage(self.prompt_tokens, self.tokens, self.cached_tokens)
        return Finished("cancelled", usage, Timings())


def _check_model(spec: WorkerSpec) -> None:
    """Refuse a file that is no GGUF before any native code reads it."""
    try:
        with Path(spec.model_path).open("rb") as file:
            magic = file.read(4)
    except FileNotFoundError as exc:
        raise ModelMissing(name=spec.model_name) from exc
    except OSError as exc:
        raise ModelBroken(name=spec.model_name, reason=str(exc)) from exc
    if magic != b"GGUF":
        raise ModelBroken(name=spec.model_name, reason=Reason("errors.reason.not_gguf"))


def _slot_file(name: str) -> str:
    if not _SLOT_NAME.fullmatch(name):
        raise BadParameter(field="name", value=name, allowed=_SLOT_NAME.pattern)
    return f"{name}.bin"


@functools.cache
def _build() -> str:
    """Return the build of our own worker. Looked up on disk once: every request tells it."""
    return f"xllamacpp {metadata.version('xllamacpp')}"


def _gone() -> EngineDied:
    return EngineDied(reason=Reason("errors.reason.released"), log="")


def _retrieve(task: "asyncio.Task[None]") -> None:
    with contextlib.suppress(asyncio.CancelledError):
        task.exception()
