"""What to do when memory ran out: recovery steps, all by one button or each by hand (S15).

    clear         force clear: the worker ends, the system takes its memory back
    length        2048 → 1536, else the next lower step; the reserved context shrinks with it
    temperature   0.7 → 0.5: steadies the text. It frees no memory, and says so (F7)
    kv            the KV cache is kept in q8_0: about half of it
    gpu           fewer layers on the graphics card
    model         a smaller model: only ever a person's choice (S19), once the others are taken

After each step the same answer goes on from the text that is there. The steps are applied to the
conversation's settings and to how the worker starts, so the next message is safe as well. How a
worker is started and what fits is the business of `WorkerControl`; knows no screens and no processes.
"""

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from twokeys.core.answers import Answers, Sent
from twokeys.core.by_hand import with_values
from twokeys.core.context import ContextPlan
from twokeys.core.conversations import Conversations
from twokeys.core.force_clear import ForceClear
from twokeys.core.jobs import JobManager, Outcome
from twokeys.core.memory.plan import CONTEXT_STEP, SMALLEST_CONTEXT, MemoryPlan
from twokeys.core.ports import ChatStore
from twokeys.errors import MEMORY_CODES, BadInput, Reason, TwoKeysError
from twokeys.types import Conversation, Message, Settings

log = logging.getLogger(__name__)

StepName = Literal["clear", "length", "temperature", "kv", "gpu", "model"]
RecoveryState = Literal["running", "recovered", "failed"]

STEPS: tuple[StepName, ...] = ("clear", "length", "temperature", "kv", "gpu")
STEP_ORDER: tuple[StepName, ...] = (*STEPS, "length", "length", "length")
"""The order of the button: when all five did not help, the length goes on down."""
STEP_ORDER_OFF_CARD: tuple[StepName, ...] = (
    *("clear", *("gpu",) * 8),
    *(name for name in STEP_ORDER if name != "gpu"),
)
"""Where a card's memory was short: layers leave it until none is there, before anything else is given up."""
LENGTHS = (4096, 3072, 2048, 1536, 1024, 512, 256)
SHORT_ANSWER = 1536
"""The length step is taken when an answer may have no more tokens than this."""

STEADY_TEMPERATURE = 0.5
LAYERS_SHARE = 0.75
"""While most layers are on the card; then half of them, and a last few go at once."""
LAST_LAYERS = 3
MAX_RUNS = 100


class WorkerControl(Protocol):
    """How the local worker is started, and what of it may be changed."""

    def plan(self, **changes: object) -> MemoryPlan | None:
        """Return the present plan, with parts of its WorkerSpec changed; None for a remote engine."""
        ...

    def change(self, **changes: object) -> None:
        """Start the worker with parts of its WorkerSpec changed from now on."""
        ...

    def decisions(self) -> object:
        """Return what a person decided for the present model, to be given to `put_back`."""
        ...

    def put_back(self, decisions: object) -> None:
        """Undo what `change` kept since `decisions` were read."""
        ...

    def smaller_models(self) -> list[str]:
        """Return models that are smaller than the present one and fit, the best first."""
        ...


@dataclass(frozen=True, slots=True)
class RecoveryStep:
    """One step that can be taken now.

    before, after: the value it changes. context: (before, after) when the context shrinks with it.
    frees_bytes: what it saves at the next start, 0 for nothing, None when only the doing tells.
    names: for "model", what could be chosen.
    """

    name: StepName
    before: float | str | None = None
    after: float | str | None = None
    context: tuple[int, int] | None = None
    frees_bytes: int | None = None
    names: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return what is written into the answer's provenance."""
        values = {"step": self.name, "before": self.before, "after": self.after}
        return values | ({"context": list(self.context)} if self.context else {})


@dataclass(frozen=True, slots=True)
class RecoveryView:
    """How far a recovery has come."""

    answer_id: str
    state: RecoveryState
    done: tuple[RecoveryStep, ...]


@dataclass(slots=True)
class _RecoveryRun:
    """A recovery under way. automatic: further steps follow by themselves when memory is short again.

    before: the conversation's settings and the worker's decisions as they were before the first step.
    """

    conversation_id: str
    automatic: bool
    state: RecoveryState = "running"
    next: int = 0
    job_id: str | None = None
    done: list[RecoveryStep] = field(default_factory=list)
    order: tuple[StepName, ...] = STEP_ORDER
    before: tuple[Settings, object] | None = None
    lock: threading.RLock = field(default_factory=threading.RLock)


class Recovery:
    """Takes the steps. Thread-safe. by_itself: asked after a failure whether to start unasked.

    `leave_to_caller`: a command that follows its answers and has its own word on recovery.
    """

    def __init__(
        self,
        answers: Answers,
        conversations: Conversations,
        force_clear: ForceClear,
        jobs: JobManager,
        store: ChatStore,
        worker: WorkerControl,
        *,
        by_itself: Callable[[], bool] = lambda: False,
    ) -> None:
        self._answers = answers
        self._conversations = conversations
        self._force_clear = force_clear
        self._store = store
        self._worker = worker
        self._by_itself = by_itself
        self._runs: OrderedDict[str, _RecoveryRun] = OrderedDict()
        jobs.on_done(self._after_job)

    # ---- looking ----------------------------------------------------------------------------

    def view(self, answer_id: str) -> RecoveryView | None:
        """Return the recovery of an answer, None when there was none in this run of the app."""
        run = self._runs.get(answer_id)
        return RecoveryView(answer_id, run.state, tuple(run.done)) if run else None

    def steps(self, conversation_id: str, answer_id: str | None = None) -> list[RecoveryStep]:
        """Return every step that can be taken now, in the order of STEPS.

        The personal one comes when the others are spent: only a force clear is left, or an answer
        that is shorter still.
        """
        conversation = self._store.get_conversation(conversation_id)
        needed = self._tokens_needed(answer_id)
        steps = [step for name in STEPS if (step := self._step(name, conversation, needed)) is not None]
        length = conversation.settings.sampling.max_new_tokens
        spent = {step.name for step in steps} <= {"clear", "length"} and length <= SHORT_ANSWER
        smaller = tuple(self._worker.smaller_models()) if spent else ()
        return [*steps, RecoveryStep("model", names=smaller)] if smaller else steps

    # ---- doing ------------------------------------------------------------------------------

    def leave_to_caller(self) -> None:
        """From now on take no step of this process's own accord, whatever the settings say."""
        self._by_itself = lambda: False

    def apply(
        self, conversation_id: str, name: StepName, answer_id: str | None = None
    ) -> RecoveryStep | None:
        """Take one step by hand; nothing is started. None when there is nothing to take.

        answer_id: the answer that is to go on afterwards; its provenance will tell of the step.
        "model" is not taken here: switching is the model page's business.
        """
        step = self._apply(conversation_id, name, answer_id)
        if step is not None and answer_id is not None:
            run = self._runs.get(answer_id) or self._new_run(answer_id, automatic=False)
            run.done.append(step)
        return step

    def start(self, answer_id: str) -> Sent:
        """Take the first step and go on with the answer; further steps follow while memory is short.

        Raises BadInput when no step is left, and what Answers.continue_ raises.
        """
        by_hand = self._runs.get(answer_id)
        run = self._new_run(answer_id, automatic=True)
        if by_hand is not None and by_hand.job_id is None:
            run.done.extend(by_hand.done)
        sent = self._advance(answer_id, run)
        if sent is None:
            raise BadInput(reason=Reason("chat.refused.no_step_left"))
        return sent

    def next_step(self, answer_id: str) -> tuple[RecoveryStep, Sent] | None:
        """Take the next step and go on with the answer; None when none is left.

        For a caller that follows the answer itself and asks again.
        """
        run = self._runs.get(answer_id) or self._new_run(answer_id, automatic=False)
        sent = self._advance(answer_id, run)
        return (run.done[-1], sent) if sent is not None else None

    def go_on(self, answer_id: str) -> Sent:
        """Go on with an answer after the steps that were taken by hand."""
        run = self._runs.get(answer_id) or self._new_run(answer_id, automatic=False)
        run.automatic = False
        return self._continue(answer_id, run)

    # ---- within -----------------------------------------------------------------------------

    def _apply(self, conversation_id: str, name: StepName, answer_id: str | None) -> RecoveryStep | None:
        conversation = self._store.get_conversation(conversation_id)
        step = self._step(name, conversation, self._tokens_needed(answer_id))
        if step is not None:
            self._take(step, conversation)
        return step

    def _new_run(self, answer_id: str, *, automatic: bool) -> _RecoveryRun:
        run = _RecoveryRun(self._store.get_message(answer_id).conversation_id, automatic)
        self._runs[answer_id] = run
        while len(self._runs) > MAX_RUNS:
            self._runs.popitem(last=False)
        return run

    def _after_job(self, outcome: Outcome) -> None:
        message = outcome.message
        if message is None:
            return
        run = self._runs.get(message.id)
        try:
            if run is not None:
                with run.lock:  # held while a step is taken: by then it is known which job follows it
                    self._look_on(run, message, outcome.view.id)
            elif ran_out(message) and self._by_itself():
                self.start(message.id)
        except TwoKeysError as error:
            log.warning("the recovery of an answer stopped: %s", error)
            if run is not None:
                run.state = "failed"

    def _look_on(self, run: _RecoveryRun, message: Message, job_id: str) -> None:
        """See how the job that followed a step ended; other jobs of the answer are not our business."""
        if run.job_id != job_id or run.state != "running":
            return
        if not ran_out(message):
            run.state = "failed" if message.error else "recovered"
        elif not run.automatic or self._advance(message.id, run) is None:
            run.state = "failed"

    def _advance(self, answer_id: str, run: _RecoveryRun) -> Sent | None:
        with run.lock:
            if run.before is None:
                settings = self._store.get_conversation(run.conversation_id).settings
                run.before = settings, self._worker.decisions()
                if _on_card(self._store.get_message(answer_id)):
                    run.order = STEP_ORDER_OFF_CARD
            while run.next < len(run.order):
                name = run.order[run.next]
                run.next += 1
                step = self._apply(run.conversation_id, name, answer_id)
                if step is not None:
                    run.done.append(step)
                    return self._continue(answer_id, run)
            self._undo(run)
            run.state = "failed"  # told when all is as it was: who sees it reads the settings
            return None

    def _undo(self, run: _RecoveryRun) -> None:
        """Put everything back as it was: none of the steps has helped."""
        if run.before is not None:
            settings, decisions = run.before
            self._conversations.set_settings(run.conversation_id, settings)
            self._worker.put_back(decisions)

    def _continue(self, answer_id: str, run: _RecoveryRun) -> Sent:
        facts = {"recovery": [step.to_dict() for step in run.done]}
        with run.lock:
            sent = self._answers.continue_(answer_id, facts=facts)
            run.job_id, run.state = sent.job.id, "running"
        return sent

    def _continuation(self, answer_id: str | None) -> ContextPlan | None:
        return self._answers.plan_continue(answer_id) if answer_id is not None else None

    def _tokens_needed(self, answer_id: str | None) -> int:
        """Return the tokens that must stay: the prompt and what is written already."""
        plan = self._continuation(answer_id)
        return plan.prompt_tokens if plan is not None else 0

    def _step(self, name: StepName, conversation: Conversation, needed: int) -> RecoveryStep | None:
        sampling = conversation.settings.sampling
        plan = self._worker.plan()
        match name:
            case "clear":
                return RecoveryStep("clear") if plan is not None else None
            case "length":
                return self._length_step(sampling.max_new_tokens, plan, needed)
            case "temperature":
                if sampling.temperature <= STEADY_TEMPERATURE:
                    return None
                return RecoveryStep("temperature", sampling.temperature, STEADY_TEMPERATURE, frees_bytes=0)
            case "kv":
                if plan is None or plan.choice.kv_type != "f16":
                    return None
                return RecoveryStep("kv", "f16", "q8_0", frees_bytes=self._saves(plan, kv_type="q8_0"))
            case "gpu":
                return self._gpu_step(plan)
            case "model":
                return None

    def _length_step(self, length: int, plan: MemoryPlan | None, needed: int) -> RecoveryStep | None:
        after = next((step for step in LENGTHS if step < length), None)
        if after is None:
            return None
        if plan is None:
            return RecoveryStep("length", length, after, frees_bytes=None)
        context = plan.choice.context
        wanted = max(_round_up(needed + after), _round_up(context * after // length), SMALLEST_CONTEXT)
        if wanted >= context:
            return RecoveryStep("length", length, after, frees_bytes=0)
        saved = self._saves(plan, context=wanted)
        return RecoveryStep("length", length, after, (context, wanted), frees_bytes=saved)

    def _gpu_step(self, plan: MemoryPlan | None) -> RecoveryStep | None:
        if plan is None or plan.choice.gpu_layers == 0:
            return None
        layers = plan.choice.gpu_layers if plan.choice.gpu_layers > 0 else plan.shape.layers + 1
        share = LAYERS_SHARE if 2 * layers > plan.shape.layers else 0.5
        after = int(layers * share) if layers > LAST_LAYERS else 0
        changed = self._worker.plan(gpu_layers=after)
        saved = plan.needs.device.total_bytes - changed.needs.device.total_bytes if changed else None
        return RecoveryStep("gpu", layers, after, frees_bytes=saved)

    def _saves(self, plan: MemoryPlan, **changes: object) -> int:
        changed = self._worker.plan(**changes)
        return plan.needs.total_bytes - changed.needs.total_bytes if changed is not None else 0

    def _take(self, step: RecoveryStep, conversation: Conversation) -> None:
        match step.name:
            case "clear":
                self._force_clear.release(None)
            case "length":
                self._set(conversation, max_new_tokens=step.after)
                if step.context is not None:
                    self._worker.change(context=step.context[1])
            case "temperature":
                self._set(conversation, temperature=step.after)
            case "kv":
                self._worker.change(kv_type=step.after)
            case "gpu":
                self._worker.change(gpu_layers=step.after)

    def _set(self, conversation: Conversation, **changes: object) -> None:
        self._conversations.set_settings(conversation.id, with_values(conversation.settings, changes))


def ran_out(message: Message) -> bool:
    """Return whether an answer failed for want of memory: recovery can help."""
    error: Mapping[str, Any] | None = message.error
    return error is not None and error.get("code") in MEMORY_CODES


def _on_card(message: Message) -> bool:
    """Return whether an answer failed for want of a graphics card's memory."""
    params = (message.error or {}).get("params")
    return isinstance(params, Mapping) and bool(params.get("device"))


def _round_up(tokens: int) -> int:
    return -(-tokens // CONTEXT_STEP) * CONTEXT_STEP
