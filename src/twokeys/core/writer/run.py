"""A run: the thread that writes a project's sections one by one.

It holds a queue of tasks. Between two sections it looks whether it is to pause; it stops at once when
asked, and what was written stays as a draft. Errors of the engine end the run and are kept with the
section. The work for one section does not grow with the number of sections.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from twokeys.core.answers import Answers, Sent
from twokeys.core.guard import continue_differently
from twokeys.core.jobs import JobManager
from twokeys.core.ports import ChatStore, EngineSource
from twokeys.core.undertaking import in_thread
from twokeys.core.writer.budget import WRITING_BUDGET
from twokeys.core.writer.mending import check_passage
from twokeys.core.writer.outline import Node
from twokeys.core.writer.project import Project
from twokeys.core.writer.prompts import (
    SectionPrompt,
    Surroundings,
    whole_prompt,
    working_prompt,
    writing_prompt,
)
from twokeys.core.writer.prose import Said, clean_answer, sentences
from twokeys.core.writer.quality import QualityMeter
from twokeys.core.writer.reading import EXTRA_LENGTH, EXTRAS, estimator, surroundings
from twokeys.core.writer.section import (
    MAX_LOOPS,
    NextStep,
    SectionDraft,
    SectionVersion,
    length_problem,
    next_step,
)
from twokeys.core.writer.store import ProjectRecord, ProjectStore
from twokeys.core.writer.summary import TermIndex
from twokeys.core.writer.task import WritingTask
from twokeys.errors import BadInput, TwoKeysError, unexpected
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


@dataclass(frozen=True, slots=True)
class WritingParts:
    """What writing works with: the projects, the answers' messages, and who writes answers."""

    projects: ProjectStore
    messages: ChatStore
    jobs: JobManager
    answers: Answers
    engines: EngineSource
    clock: Callable[[], float]

    @property
    def context(self) -> int:
        """The tokens of the engine's context, 0 while not known."""
        expected = self.engines.expected()
        return expected.context if expected is not None else 0


class _Stopped(Exception):
    """A person, or the app's end, stopped the run."""


class WritingRun:
    """Writes the tasks of one project in a thread of its own."""

    def __init__(
        self,
        parts: WritingParts,
        project_id: str,
        conversation: str,
        tasks: Sequence[WritingTask],
        meter: QualityMeter,
    ) -> None:
        self.project_id = project_id
        self.conversation = conversation
        self.doing: str | None = None
        self.pausing = False
        self._parts = parts
        self._projects = parts.projects
        self._meter = meter
        self._terms: TermIndex | None = None
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

    @property
    def queued(self) -> frozenset[str]:
        """The headings whose sections wait for their turn."""
        with self._state:
            return frozenset(task.node for task in self._tasks)

    def pause(self) -> None:
        self.pausing = True

    def stop(self, *, closing: bool = False) -> None:
        """End at once; at the app's end what is being written counts as interrupted."""
        reason: FinishReason = "interrupted" if closing else "cancelled"
        with self._state:
            self._stop_reason, self._closing = reason, closing
            job = self._job
        if job is not None:
            self._parts.jobs.stop(job, reason=reason)

    def skip(self, node_id: str) -> None:
        """Take a section out of the queue; when it is being written, stop that."""
        with self._state:
            self._tasks = deque(task for task in self._tasks if task.node != node_id)
            job = self._job if self.doing == node_id else None
            if self.doing == node_id:
                self._skipped.add(node_id)
        if job is not None:
            self._parts.jobs.stop(job)

    # ---- the thread -------------------------------------------------------------------------

    def _work(self) -> None:
        try:
            while (task := self._next()) is not None:
                self._parts.jobs.topics.publish(self.conversation, {"type": "changed"})
                try:
                    self._do(task)
                except _Stopped:
                    if task.node not in self._skipped:
                        break
                    self._skipped.discard(task.node)
                    self._projects.change_section(self.project_id, task.node, draft=None, error=None)
        except Exception as error:
            log.exception("writing of project %s failed", self.project_id)
            self._projects.save_error(self.project_id, unexpected(error))
        finally:
            self._over, self.doing = True, None
            if not self._closing:
                self._store_quality(self._projects.read(self.project_id))

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
        record = self._projects.read(self.project_id)
        node = next((node for node in record.outline.sections if node.id == task.node), None)
        if node is None:
            if task.node not in EXTRAS:
                return  # the heading was deleted meanwhile
            node = Node(task.node, 1, task.node)
        section = record.section(task.node)
        try:
            draft = None if task.anew else section.draft
            if draft is not None:
                draft = self._after_error(record, node, draft)
            if draft is None:
                text = section.chosen.text if section.chosen is not None else ""
                around = self._surroundings(record)
                if task.operation not in ("write", "transition", *EXTRAS):
                    check_passage(around, text, task.operation, task.selection)
                draft = self._begin(around, node, text, task)
            while draft is not None:
                draft = self._finish(node, draft, task)
        except TwoKeysError as error:
            if not isinstance(error, BadInput):
                self._fail(task.node, error.stored())
            self._projects.change_section(self.project_id, task.node, error=error.stored())

    def _surroundings(self, record: ProjectRecord) -> Surroundings:
        if self._terms is None:
            self._terms = TermIndex(record.project.language)
        return surroundings(record, self._parts.context, self._terms)

    def _after_error(self, record: ProjectRecord, node: Node, draft: SectionDraft) -> SectionDraft | None:
        """Go on with a draft that an error ended; None when nothing had been written."""
        message = self._settled(draft)
        if message.finish_reason != "error":
            return draft
        if not message.content.strip():
            return None
        missing = (draft.length or node.length) - record.project.length_of(message.content)
        tokens = estimator(record).answer(max(missing, 20))
        most = WRITING_BUDGET.within(self._parts.context).answer
        return self._go_on(node, draft, message, min(tokens, most), False)

    def _fail(self, node_id: str, error: Mapping[str, object]) -> None:
        """The engine's trouble will meet the next section too: stop here, and say why."""
        self._projects.change_section(self.project_id, node_id, error=error)
        self._projects.save_error(self.project_id, error)
        raise _Stopped

    def _begin(
        self, around: Surroundings, node: Node, text: str, task: WritingTask, *, fixes: int = 0
    ) -> SectionDraft:
        """Ask for an answer and note that it is on its way."""
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
        self._projects.change_section(self.project_id, node.id, draft=draft, error=None)
        return draft

    def _ask(self, prompt: SectionPrompt, tokens: int, task: WritingTask) -> Sent:
        parts = self._parts
        question = Message(new_id(), self.conversation, None, "user", prompt.user, parts.clock())
        parts.messages.add_message(question)
        sampling = Sampling(max_new_tokens=tokens)
        if task.operation in ("translate", "condense", "glossary"):
            sampling = sampling.with_(temperature=0.3)
        facts = {"section": task.node, "operation": task.operation, "prompt_parts": dict(prompt.parts)}
        levels = parts.messages.get_conversation(self.conversation).settings.guard
        return parts.answers.answer(
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
            self._parts.jobs.stop(sent.job.id, reason=stopping)

    def _finish(self, node: Node, draft: SectionDraft, task: WritingTask) -> SectionDraft | None:
        """Wait for a draft's answer and do the next thing with it; return the draft that follows."""
        message = self._settled(draft)
        stopped = self._stop_reason is not None or node.id in self._skipped
        if stopped and message.finish_reason not in ("stop", "stop_string"):
            raise _Stopped
        if message.finish_reason == "error":
            self._fail(node.id, message.error or unexpected())
        record = self._projects.read(self.project_id)
        around = self._surroundings(record)
        step = next_step(
            draft,
            message.content,
            message.finish_reason or "interrupted",
            record.project,
            around.estimator,
            node.title,
            WRITING_BUDGET.within(around.context).answer,
            [other.title for other in record.outline.nodes if other.id != node.id],
            _said(around, node, draft, self._task_text(message)),
            loops=_cuts_loops(message),
        )
        if step.go_on and draft.operation != "transition":
            return self._go_on(node, draft, message, step.go_on, step.differently)
        version = self._version(record.project, draft, message, step, node)
        self._projects.add_version(self.project_id, node.id, version)
        return self._fix(node, draft, version, task)

    def _fix(
        self, node: Node, draft: SectionDraft, version: SectionVersion, task: WritingTask
    ) -> SectionDraft | None:
        """Store the figures, and correct a section that came out too short when that is wanted by itself.

        What has hardly any text is written anew, everything else is gone on with.
        """
        record = self._projects.read(self.project_id)
        self._store_quality(record)
        missing = length_problem(node.length, version.length) == "short"
        looped = version.problem == "loop" and draft.loops >= MAX_LOOPS
        if not missing or looped or draft.operation not in ("write", "continue"):
            return None
        around = self._surroundings(record)
        begun = version.length >= min(node.length, around.piece) * BEGUN
        # a section that is too long for one request is written in pieces by itself
        most = (MAX_FIXES if task.automatic else 0) + (node.length - 1) // around.piece
        if draft.fixes >= most:
            return None
        more = WritingTask(node.id, "continue" if begun else "write", automatic=True)
        return self._begin(around, node, version.text, more, fixes=draft.fixes + 1)

    def _store_quality(self, record: ProjectRecord) -> None:
        quality = self._meter.read(record.project, record.asked(), record.texts())
        self._projects.save_quality(self.project_id, quality)

    def _go_on(
        self, node: Node, draft: SectionDraft, message: Message, tokens: int, differently: bool
    ) -> SectionDraft:
        changes: dict[str, Any] = {"max_new_tokens": tokens}
        facts: dict[str, Any] = {"writing": message.provenance.writing or {}}
        loops = draft.loops
        if differently:
            loops += 1
            dry = message.provenance.engine_kind == "llama.cpp"
            retry = continue_differently(Sampling(), attempt=loops, dry=dry)
            changes |= {change.name: change.after for change in retry.changes}
            facts["changed"] = [{"name": c.name, "before": c.before, "after": c.after} for c in retry.changes]
        sent = self._parts.answers.continue_(message.id, changes, facts=facts)
        self._watch(sent)
        continued = draft.continued + (0 if differently else 1)
        draft = draft.with_(loops=loops, continued=continued)
        self._projects.change_section(self.project_id, node.id, draft=draft, error=None)
        return draft

    def _task_text(self, answer: Message) -> str:
        """Return the last part of the prompt: what was to be written."""
        question = self._parts.messages.get_message(answer.parent_id) if answer.parent_id else None
        return question.content.rsplit("\n\n", 1)[-1] if question is not None else ""

    def _settled(self, draft: SectionDraft) -> Message:
        """Return the draft's answer once nothing writes it any more."""
        job = self._parts.jobs.of_message(draft.message)
        if job is not None and job.active:
            self._parts.jobs.wait(job.id)
        with self._state:
            self._job = None
        [message] = self._parts.jobs.overlay([self._parts.messages.get_message(draft.message)])
        return message

    def _version(
        self, project: Project, draft: SectionDraft, message: Message, step: NextStep, node: Node
    ) -> SectionVersion:
        answer = step.text
        if draft.operation == "transition":
            first = next(sentences(clean_answer(message.content, node.title)), None)
            answer = first.text if first is not None else ""
        text = draft.join(answer).strip()
        known = message.provenance
        return SectionVersion(
            key=message.id,
            operation=draft.operation,
            text=text,
            length=project.length_of(text),
            created_at=self._parts.clock(),
            instruction=draft.instruction,
            problem=step.problem,
            message=message.id,
            tokens=known.completion_tokens or 0,
            prompt_tokens=known.prompt_tokens or 0,
            cached_tokens=(known.parts or (known,))[0].cached_tokens or 0,
            seconds=known.timings.total_s or 0.0,
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
        length = node.length or EXTRA_LENGTH[project.unit]
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


def _said(around: Surroundings, node: Node, draft: SectionDraft, task: str) -> Said:
    """Return the sentences of the other sections, of the text that the draft goes into, and of the task.

    Small models echo what they were asked to do.
    """
    others = (text for node_id, text in around.texts.items() if node_id != node.id)
    return Said((*others, draft.before, task))


def _cuts_loops(message: Message) -> bool:
    """Whether loops are looked for at all: a person can turn that off for a project."""
    settings = (message.provenance.guard_report or {}).get("settings", {})
    return bool(settings.get("loop") != "off")
