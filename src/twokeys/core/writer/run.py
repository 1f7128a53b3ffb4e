"""Running: the thread that writes a project's sections one by one, and the making of an outline.

A run holds a queue of tasks. Between two sections it looks whether it is to pause; it stops at once
when asked, and what was written stays as a draft. Errors of the engine end the run and are kept with
the section. Knows no database: its host keeps everything.
"""

import json
import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from twokeys.core.answers import Answers, Sent
from twokeys.core.guard import continue_differently
from twokeys.core.jobs import JobManager, JobSpec, Outcome
from twokeys.core.ports import ChatStore, EngineSource
from twokeys.core.provenance import Part
from twokeys.core.undertaking import in_thread
from twokeys.core.writer.outline import Node, Outline
from twokeys.core.writer.planning import ATTEMPTS, Origin, outline_request, read_outline, rule_outline
from twokeys.core.writer.project import Project
from twokeys.core.writer.prompts import (
    Operation,
    SectionPrompt,
    Surroundings,
    whole_prompt,
    working_prompt,
    writing_prompt,
)
from twokeys.core.writer.prose import clean_answer, key, sentences
from twokeys.core.writer.section import NextStep, SectionDraft, SectionVersion, length_problem, next_step
from twokeys.core.writer.view import ProjectView, SectionView
from twokeys.engine import Engine
from twokeys.errors import BadInput, TwoKeysError
from twokeys.ids import new_id
from twokeys.token_estimate import estimate_tokens
from twokeys.types import FinishReason, Message, Sampling, Settings

log = logging.getLogger(__name__)

MAX_FIXES = 4
"""So many times a section that misses its length is corrected by itself."""

BEGUN = 0.2
"""Below this share of its length a section is written anew instead of gone on with."""

TRANSITION_TOKENS = 120
EXPAND = 1.5
CONDENSE = 0.6


class RunHost(Protocol):
    """What a run needs of the writer."""

    store: ChatStore
    jobs: JobManager
    answers: Answers
    engines: EngineSource
    clock: Callable[[], float]

    def view(self, project_id: str) -> ProjectView: ...

    def surroundings(self, view: ProjectView) -> Surroundings: ...

    def check_text(
        self,
        view: ProjectView,
        section: SectionView,
        operation: Operation,
        selection: tuple[int, int] | None,
    ) -> None: ...

    def draft_of(self, project_id: str, node_id: str) -> SectionDraft | None: ...

    def keep_draft(self, project_id: str, node_id: str, draft: SectionDraft | None) -> None: ...

    def keep_version(self, project_id: str, node_id: str, version: SectionVersion) -> None: ...

    def keep_error(self, project_id: str, node_id: str, error: Mapping[str, Any]) -> None: ...

    def keep_run_error(self, project_id: str, error: Mapping[str, Any] | None) -> None: ...

    def keep_outline(self, project_id: str, outline: Outline, origin: Origin | None) -> None: ...

    def store_quality(self, project_id: str) -> None: ...

    def context(self) -> int: ...

    def tell(self, conversation_id: str) -> None: ...


@dataclass(frozen=True, slots=True)
class WritingTask:
    """One thing to do with one section. automatic: correct its length by itself. anew: leave a draft
    that was begun."""

    node: str
    operation: Operation
    instruction: str = ""
    selection: tuple[int, int] | None = None
    length: int | None = None
    automatic: bool = False
    anew: bool = False


class _Stopped(Exception):
    """A person, or the app's end, stopped the run."""


class Run:
    """Writes the tasks of one project in a thread of its own."""

    def __init__(
        self, host: RunHost, project_id: str, conversation: str, tasks: Sequence[WritingTask]
    ) -> None:
        self.project_id = project_id
        self.conversation = conversation
        self.doing: str | None = None
        self.pausing = False
        self._host = host
        self._tasks = deque(tasks)
        self._job: str | None = None
        self._stop_reason: FinishReason | None = None
        self._skipped: set[str] = set()
        self._state = threading.Lock()
        self._over = False
        self._closing = False

    # ---- from other threads -----------------------------------------------------------------

    def begin(self, ended: Callable[[], None]) -> None:
        """See Undertaking.begin."""
        in_thread(f"twokeys-writing-{self.project_id}", self._work, ended)

    def add(self, tasks: Sequence[WritingTask]) -> bool:
        """Put more to do at the end of the queue; False when the run is over."""
        with self._state:
            if self._over or self._stop_reason is not None:
                return False
            known = {(task.node, task.operation) for task in self._tasks}
            self._tasks.extend(task for task in tasks if (task.node, task.operation) not in known)
            self.pausing = False
            return True

    def has(self, node_id: str) -> bool:
        """Whether a section waits for its turn."""
        return any(task.node == node_id for task in list(self._tasks))

    def pause(self) -> None:
        self.pausing = True

    def stop(self, *, closing: bool = False) -> None:
        """End at once; at the app's end what is being written counts as interrupted."""
        reason: FinishReason = "interrupted" if closing else "cancelled"
        with self._state:
            self._stop_reason, self._closing = reason, closing
            job = self._job
        if job is not None:
            self._host.jobs.stop(job, reason=reason)

    def skip(self, node_id: str) -> None:
        """Take a section out of the queue; when it is being written, stop that."""
        with self._state:
            self._tasks = deque(task for task in self._tasks if task.node != node_id)
            job = self._job if self.doing == node_id else None
            if self.doing == node_id:
                self._skipped.add(node_id)
        if job is not None:
            self._host.jobs.stop(job)

    # ---- the thread -------------------------------------------------------------------------

    def _work(self) -> None:
        try:
            while (task := self._next()) is not None:
                self._host.tell(self.conversation)
                try:
                    self._do(task)
                except _Stopped:
                    if task.node not in self._skipped:
                        break
                    self._skipped.discard(task.node)
                    self._host.keep_draft(self.project_id, task.node, None)
        except Exception as error:
            log.exception("writing of project %s failed", self.project_id)
            self._host.keep_run_error(
                self.project_id, {"code": "unexpected", "params": {"reason": f"{error}"}}
            )
        finally:
            self._over, self.doing = True, None
            if not self._closing:
                self._host.store_quality(self.project_id)

    def _next(self) -> WritingTask | None:
        with self._state:
            if self._stop_reason is not None or self.pausing or not self._tasks:
                self._over = True
                return None
            task = self._tasks.popleft()
            self.doing = task.node
            self._skipped.discard(task.node)
            return task

    def _do(self, task: WritingTask) -> None:
        view = self._host.view(self.project_id)
        section = view.section(task.node)
        extra = task.operation in ("abstract", "glossary")
        if section is None and not extra:
            return  # the heading was deleted meanwhile
        node = section.node if section is not None else Node(task.node, 1, task.node)
        try:
            draft = None if task.anew else self._host.draft_of(self.project_id, task.node)
            if draft is not None:
                draft = self._after_error(view, node, draft)
            if draft is None:
                if section is not None and task.operation not in ("write", "transition"):
                    self._host.check_text(view, section, task.operation, task.selection)
                draft = self._begin(view, node, section.text if section else "", task)
            while draft is not None:
                draft = self._finish(node, draft, task)
        except TwoKeysError as error:
            told = error.stored()
            if not isinstance(error, BadInput):
                self._fail(task.node, told)
            self._host.keep_error(self.project_id, task.node, told)

    def _after_error(self, view: ProjectView, node: Node, draft: SectionDraft) -> SectionDraft | None:
        """Go on with a draft that an error ended; None when nothing had been written."""
        message = self._settled(draft)
        if message.finish_reason != "error":
            return draft
        if not message.content.strip():
            return None
        missing = (draft.length or node.length) - view.project.length_of(message.content)
        tokens = self._host.surroundings(view).estimator.answer(max(missing, 20))
        return self._go_on(node, draft, message, min(tokens, view.budget.answer), False)

    def _fail(self, node_id: str, error: Mapping[str, Any]) -> None:
        """The engine's trouble will meet the next section too: stop here, and say why."""
        self._host.keep_error(self.project_id, node_id, error)
        self._host.keep_run_error(self.project_id, error)
        raise _Stopped

    def _begin(
        self, view: ProjectView, node: Node, text: str, task: WritingTask, *, fixes: int = 0
    ) -> SectionDraft:
        """Ask for an answer and note that it is on its way."""
        around = self._host.surroundings(view)
        prompt, draft = _plan(around, node, text, task)
        most = prompt.budget.answer
        tokens = min(around.estimator.answer(draft.length), most) if draft.length else most
        if task.operation == "transition":
            tokens = TRANSITION_TOKENS
        sent = self._ask(prompt, tokens, task)
        draft = draft.with_(
            message=sent.answer_message.id, fixes=fixes, parts=dict(prompt.parts), limit=prompt.budget.prompt
        )
        self._watch(sent)
        self._host.keep_draft(self.project_id, node.id, draft)
        return draft

    def _ask(self, prompt: SectionPrompt, tokens: int, task: WritingTask) -> Sent:
        host = self._host
        question = Message(new_id(), self.conversation, None, "user", prompt.user, host.clock())
        host.store.add_message(question)
        sampling = Sampling(max_new_tokens=tokens)
        if task.operation in ("translate", "condense", "glossary"):
            sampling = sampling.with_(temperature=0.3)
        facts = {"section": task.node, "operation": task.operation, "prompt_parts": dict(prompt.parts)}
        levels = host.store.get_conversation(self.conversation).settings.guard
        return host.answers.answer(
            question,
            Settings(sampling=sampling, system_prompt=prompt.system, guard=levels),
            kind="writing",
            n_probs=0,
            facts={"writing": facts},
        )

    def _watch(self, sent: Sent) -> None:
        with self._state:
            self._job = sent.job.id
            stopping = self._stop_reason
        if stopping is not None:
            self._host.jobs.stop(sent.job.id, reason=stopping)

    def _finish(self, node: Node, draft: SectionDraft, task: WritingTask) -> SectionDraft | None:
        """Wait for a draft's answer and do the next thing with it; return the draft that follows."""
        message = self._settled(draft)
        stopped = self._stop_reason is not None or node.id in self._skipped
        if stopped and message.finish_reason not in ("stop", "stop_string"):
            raise _Stopped
        if message.finish_reason == "error":
            self._fail(node.id, message.error or {"code": "unexpected", "params": {"reason": ""}})
        view = self._host.view(self.project_id)
        around = self._host.surroundings(view)
        budget = view.budget
        step = next_step(
            draft,
            message.content,
            message.finish_reason or "interrupted",
            view.project,
            around.estimator,
            node.title,
            budget.answer,
            [one.title for one in view.outline.nodes if one.id != node.id],
            _said(view, node, draft, self._task_text(message)),
        )
        if step.go_on and draft.operation != "transition":
            return self._go_on(node, draft, message, step.go_on, step.differently)
        version = self._version(view.project, draft, message, step, node)
        self._host.keep_version(self.project_id, node.id, version)
        return self._fix(node, draft, version, task)

    def _fix(
        self, node: Node, draft: SectionDraft, version: SectionVersion, task: WritingTask
    ) -> SectionDraft | None:
        """Correct a section that came out too short, when that is wanted by itself.

        What has hardly any text is written anew, everything else is gone on with.
        """
        missing = length_problem(node.length, version.length) == "short"
        if not missing or version.problem == "loop" or draft.operation not in ("write", "continue"):
            return None
        view = self._host.view(self.project_id)
        piece = self._host.surroundings(view).piece
        begun = version.length >= min(node.length, piece) * BEGUN
        # a section that is too long for one request is written in pieces by itself
        most = (MAX_FIXES if task.automatic else 0) + (node.length - 1) // piece
        if draft.fixes >= most:
            return None
        more = WritingTask(node.id, "continue" if begun else "write", automatic=True)
        return self._begin(view, node, version.text, more, fixes=draft.fixes + 1)

    def _go_on(
        self, node: Node, draft: SectionDraft, message: Message, tokens: int, differently: bool
    ) -> SectionDraft:
        changes: dict[str, Any] = {"max_new_tokens": tokens}
        facts: dict[str, Any] = {"writing": message.provenance.get("writing", {})}
        loops = draft.loops
        if differently:
            loops += 1
            kind = message.provenance.get("engine", {}).get("kind")
            retry = continue_differently(Sampling(), attempt=loops, dry=kind == "llama.cpp")
            changes |= {change.name: change.after for change in retry.changes}
            facts["changed"] = [{"name": c.name, "before": c.before, "after": c.after} for c in retry.changes]
        sent = self._host.answers.continue_(message.id, changes, facts=facts)
        self._watch(sent)
        continued = draft.continued + (0 if differently else 1)
        draft = draft.with_(loops=loops, continued=continued)
        self._host.keep_draft(self.project_id, node.id, draft)
        return draft

    def _task_text(self, answer: Message) -> str:
        """Return the last part of the prompt: what was to be written."""
        question = self._host.store.get_message(answer.parent_id) if answer.parent_id else None
        return question.content.rsplit("\n\n", 1)[-1] if question is not None else ""

    def _settled(self, draft: SectionDraft) -> Message:
        """Return the draft's answer once nothing writes it any more."""
        job = self._host.jobs.of_message(draft.message)
        if job is not None and job.active:
            self._host.jobs.wait(job.id)
        with self._state:
            self._job = None
        [message] = self._host.jobs.overlay([self._host.store.get_message(draft.message)])
        return message

    def _version(
        self, project: Project, draft: SectionDraft, message: Message, step: NextStep, node: Node
    ) -> SectionVersion:
        answer = step.text
        if draft.operation == "transition":
            first = next(sentences(clean_answer(message.content, node.title)), None)
            answer = first.text if first is not None else ""
        text = draft.join(answer).strip()
        facts = message.provenance
        timings = facts.get("timings") or {}
        return SectionVersion(
            key=message.id,
            operation=draft.operation,
            text=text,
            length=project.length_of(text),
            created_at=self._host.clock(),
            instruction=draft.instruction,
            problem=step.problem,
            message=message.id,
            tokens=int(facts.get("completion_tokens") or 0),
            prompt_tokens=int(facts.get("prompt_tokens") or 0),
            cached_tokens=int((facts.get("parts") or [facts])[0].get("cached_tokens") or 0),
            seconds=float(timings.get("total_s") or 0.0),
            answer_length=project.length_of(message.content),
            answer_estimate=estimate_tokens(message.content),
            loops=draft.loops,
            continued=draft.continued,
            dropped=step.dropped,
        )


def _plan(
    around: Surroundings, node: Node, text: str, task: WritingTask
) -> tuple[SectionPrompt, SectionDraft]:
    """Return the prompt of a task and the draft its answer goes into; the message's id comes later."""
    operation, project = task.operation, around.project
    if operation == "write":
        node = replace(node, length=min(task.length or node.length, around.piece))
        return writing_prompt(around, node), SectionDraft("", operation, length=node.length)
    if operation in ("abstract", "glossary"):
        length = node.length or (250 if project.unit == "chars" else 150)
        prompt = whole_prompt(around, operation, length=length)
        return prompt, SectionDraft("", operation, length=length if operation == "abstract" else 0)
    start, end = task.selection or (0, len(text))
    before, passage, after = text[:start], text[start:end], text[end:]
    here = project.length_of(passage)
    if operation == "continue":
        missing = node.length - project.length_of(text)
        length = min(task.length or max(missing, round(node.length * 0.25)), around.piece)
        before, after = text, ""
    elif operation == "transition":
        before, after, length = "", text, 0
    else:
        factor = {"expand": EXPAND, "condense": CONDENSE}.get(operation, 1.0)
        length = task.length or max(10, round(here * factor))
    prompt = working_prompt(
        around,
        node,
        operation,
        passage,
        length=length,
        instruction=task.instruction,
        part=task.selection is not None,
    )
    if operation == "translate":
        length = 0  # the other language is counted differently
    return prompt, SectionDraft("", operation, before, after, length, task.instruction)


def _said(view: ProjectView, node: Node, draft: SectionDraft, task: str) -> set[str]:
    """Return the sentences of the other sections, of the text that the draft goes into, and of the task.

    Small models echo what they were told to do.
    """
    texts = [one.text for one in view.sections if one.node.id != node.id and one.state != "skipped"]
    return {key(sentence.text) for text in (*texts, draft.before, task) for sentence in sentences(text)}


class OutlineRun:
    """Lets the model make an outline: two tries, then the usual outline by rules."""

    def __init__(self, host: RunHost, project_id: str, project: Project, conversation: str) -> None:
        self._host = host
        self.conversation = conversation
        self._project_id = project_id
        self._project = project
        self._job: str | None = None
        self._stopped = False

    @property
    def tokens(self) -> int:
        """How many tokens of the outline are there."""
        view = self._host.jobs.view(self._job) if self._job else None
        return view.token_count if view is not None else 0

    def begin(self, ended: Callable[[], None]) -> None:
        """See Undertaking.begin."""
        in_thread(f"twokeys-outline-{self._project_id}", self._work, ended)

    def stop(self, *, closing: bool = False) -> None:
        """End at once, without an outline."""
        self._stopped = True
        if self._job is not None:
            self._host.jobs.stop(self._job)

    def _work(self) -> None:
        try:
            self._make()
        except Exception as error:
            log.exception("the outline of project %s failed", self._project_id)
            self._host.keep_run_error(
                self._project_id, {"code": "unexpected", "params": {"reason": f"{error}"}}
            )

    def _make(self) -> None:
        for attempt in range(1, ATTEMPTS + 1):
            outcome = self._ask(attempt)
            if self._stopped:
                return
            if outcome.view.error is not None and attempt == ATTEMPTS:
                self._host.keep_run_error(self._project_id, outcome.view.error)
                return
            outline = read_outline(outcome.text, self._project)
            if outline is not None:
                self._keep(outline, "model")
                return
            log.info("outline refused: %s", json.dumps(outcome.text[:500], ensure_ascii=False))
        self._keep(rule_outline(self._project), "rules")

    def _keep(self, outline: Outline, origin: Origin) -> None:
        self._host.keep_run_error(self._project_id, None)
        self._host.keep_outline(self._project_id, outline, origin)

    def _ask(self, attempt: int) -> Outcome:
        ended = threading.Event()
        outcomes: list[Outcome] = []

        async def prepare(engine: Engine) -> Part:
            info = await engine.info()
            return Part(outline_request(self._project, attempt=attempt, context=info.context), info)

        def keep(outcome: Outcome) -> None:
            outcomes.append(outcome)
            ended.set()

        view = self._host.jobs.start(
            JobSpec(
                topic=self.conversation,
                engine=self._host.engines.ready,
                prepare=prepare,
                on_done=keep,
            )
        )
        self._job = view.id
        if self._stopped:
            self._host.jobs.stop(view.id)
        ended.wait()
        return outcomes[0]
