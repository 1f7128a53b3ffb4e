"""The writer: everything a screen or a command asks of long texts. `services.writer` is one of these.

All methods are synchronous and may be called from any thread. A project is a document (store.py); the
answers of its sections live in a hidden conversation, so they are journalled while they stream, watched
by the guard, continued from their last token and carry their provenance. Writing runs in a thread a
project, one section after the other (run.py). A {"type": "changed"} on the topic `view.conversation`
says: read again.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from twokeys.core.answers import Answers
from twokeys.core.jobs import JobManager
from twokeys.core.ports import ChatStore, EngineSource
from twokeys.core.undertaking import Lock, Undertakings
from twokeys.core.writer import mending
from twokeys.core.writer.outline import Outline
from twokeys.core.writer.outlining import OutlineRun
from twokeys.core.writer.planning import rule_outline
from twokeys.core.writer.project import Project
from twokeys.core.writer.prompts import Operation
from twokeys.core.writer.quality import (
    Quality,
    QualityMeter,
    RepeatedSentence,
    TextSpan,
    Variants,
    find_repeated,
    find_variants,
)
from twokeys.core.writer.reading import (
    EXTRAS,
    Activity,
    DraftAnswer,
    read_project,
    shown_texts,
    surroundings,
)
from twokeys.core.writer.run import WritingParts, WritingRun
from twokeys.core.writer.section import SectionDraft, SectionVersion
from twokeys.core.writer.store import ProjectRecord, ProjectStore, WritingDocuments
from twokeys.core.writer.task import WritingTask
from twokeys.core.writer.view import ProjectRow, ProjectView
from twokeys.errors import BadInput, NotFound, Reason
from twokeys.i18n import translate
from twokeys.ids import new_id
from twokeys.types import Conversation, EngineSpeed, Settings

__all__ = ["EXTRAS", "Writer"]

log = logging.getLogger(__name__)

ENDING_S = 10.0
METERS = 4
"""Of so many projects the figures are kept to be measured on."""


TO_WRITE = frozenset({"empty", "partial", "failed"})
"""The states of a section that a start writes."""


class Writer:
    """The writing projects of one home. make_lock: returns the lock between processes of a name."""

    def __init__(
        self,
        documents: WritingDocuments,
        messages: ChatStore,
        jobs: JobManager,
        answers: Answers,
        engines: EngineSource,
        *,
        make_lock: Callable[[str], Lock],
        speed: Callable[[str], EngineSpeed | None],
        model: Callable[[], str | None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.store = ProjectStore(documents, messages.transaction, self._tell)
        self._parts = WritingParts(self.store, messages, jobs, answers, engines, clock)
        self._jobs = jobs
        self._messages = messages
        self._clock = clock
        self._speed = speed
        self._model = model
        self._enqueueing = threading.Lock()
        self._meters: dict[str, QualityMeter] = {}
        self._works: Undertakings[WritingRun | OutlineRun] = Undertakings(
            "writing",
            make_lock,
            elsewhere="writing.error.elsewhere",
            on_ended=lambda _, work: self._tell(work.conversation),
        )

    # ---- projects ---------------------------------------------------------------------------

    def new(self, project: Project) -> str:
        """Store a new project without an outline and return its id."""
        now = self._clock()
        hidden = self._messages.create_conversation(
            Conversation(
                new_id(), project.topic, now, now, title_by="person", settings=Settings(), kind="writing"
            )
        )
        return self.store.create(project, hidden.id)

    def projects(self, limit: int = 50) -> list[ProjectRow]:
        """Return the projects, the latest first."""
        return [replace(row, running=self._run(row.id) is not None) for row in self.store.overview(limit)]

    def find(self, prefix: str) -> str:
        """Return the id of the one project whose id begins so. Raises NotFound."""
        return self.store.find(prefix)

    def set_project(self, project_id: str, project: Project) -> None:
        """Change what the project asks for; written sections stay as they are."""
        self.store.save_project(project_id, project)
        self._figures_changed(project_id)

    def delete(self, project_id: str) -> str:
        """Stop the project, move it to the bin, and return the token that `repository.undo` takes."""
        self.stop(project_id)
        self._meters.pop(project_id, None)
        return self.store.delete(project_id)

    # ---- the outline ------------------------------------------------------------------------

    def make_outline(self, project_id: str) -> None:
        """Let the model make the outline; it replaces the present one when it is there.

        Returns at once. A person's sections keep their texts only as far as their headings stay.
        """
        record = self.store.read(project_id)

        def prepare() -> OutlineRun:
            return OutlineRun(self._parts, project_id, record.project, record.conversation)

        if self._works.start(project_id, prepare):
            self._tell(record.conversation)

    def use_rules(self, project_id: str) -> Outline:
        """Take the usual outline for this kind of text, without the model."""
        return self.store.change_outline(project_id, lambda record: rule_outline(record.project), "person")

    def outline(self, project_id: str) -> Outline:
        """Return the outline as stored."""
        return self.store.read(project_id).outline

    def change_outline(self, project_id: str, change: Callable[[Outline], Outline]) -> Outline:
        """Change the outline: reorder, rename, add, delete, lengths. Texts go with their headings.

        A section with a text that gets headings below it goes on as the first of them.
        """

        def changed(record: ProjectRecord) -> Outline:
            sections = record.sections.items()
            written = {node_id for node_id, section in sections if section.current or section.draft}
            own_text = translate("writing.outline.own_text", record.project.language)
            return change(record.outline).keep_texts(written, own_text)

        origin = self.store.read(project_id).origin or "person"
        outline = self.store.change_outline(project_id, changed, origin)
        self._figures_changed(project_id)
        return outline

    # ---- writing ----------------------------------------------------------------------------

    def start(
        self, project_id: str, *, automatic: bool = True, sections: Collection[str] | None = None
    ) -> None:
        """Write all sections that have no text yet, in order; go on with what was left in the middle.

        automatic: sections that miss their length are corrected by themselves, within limits. sections: the
        ids of those that are to be written, all by default.
        """
        view = self.view(project_id)
        if not view.sections:
            raise BadInput(reason=Reason("writing.error.no_outline"))
        todo = [section for section in view.sections if section.state in TO_WRITE]
        if sections is not None:
            todo = [section for section in todo if section.node.id in sections]
        tasks = [WritingTask(section.node.id, "write", automatic=automatic) for section in todo]
        self._enqueue(project_id, tasks)

    def work(
        self,
        project_id: str,
        node_id: str,
        operation: Operation,
        *,
        instruction: str = "",
        selection: tuple[int, int] | None = None,
        length: int | None = None,
    ) -> None:
        """Do something with one section: write it anew, expand, condense, rewrite, translate, go on.

        selection: characters (start, end) of the present text, for that passage only. instruction:
        what a rewrite does; the language of a translation. length: what is asked for, the usual by
        default. What is asked of a section that is being written waits for its text. Raises BadInput
        for an empty section, a passage that is too long for one request, a selection in a text that
        is just changing, or a rewrite without an instruction.
        """
        view = self.view(project_id)
        section = view.section(node_id)
        if node_id in EXTRAS:
            if not any(other.text.strip() for other in view.sections if other.state != "skipped"):
                raise BadInput(reason=Reason("writing.error.nothing_there_yet"))
            self._enqueue(project_id, [WritingTask(node_id, operation)])
            return
        if section is None:
            raise NotFound(kind="section", name=node_id)
        if operation == "write":
            self.store.change_section(project_id, node_id, skipped=False)
        elif operation != "continue" or section.state != "partial":
            if operation == "rewrite" and not instruction.strip():
                raise BadInput(reason=Reason("writing.error.no_instruction"))
            if section.state not in ("writing", "queued"):
                around = surroundings(self.store.read(project_id), self._parts.context)
                mending.check_passage(around, section.text, operation, selection)
            elif selection is not None:
                raise BadInput(reason=Reason("writing.error.changed"))
        task = WritingTask(
            node_id,
            operation,
            instruction=instruction.strip(),
            selection=selection,
            length=length,
            anew=operation == "write",
        )
        self._enqueue(project_id, [task])

    def fix(self, project_id: str, node_id: str) -> None:
        """Do what is offered for a section that misses its length or loops: go on, condense, write anew."""
        section = self.view(project_id).section(node_id)
        if section is not None:
            mend = mending.mend_of(section)
            self.work(project_id, node_id, mend.operation, length=mend.length)

    def fix_all(self, project_id: str) -> tuple[str, ...]:
        """Do what is offered for every section with a problem; return their headings' ids.

        A section that is too long to be condensed in one request is left as it is.
        """
        fixed = []
        for section in self.view(project_id).sections:
            if section.problem is not None:
                try:
                    self.fix(project_id, section.node.id)
                except BadInput as error:
                    log.info("section %s cannot be mended: %s", section.node.id, error)
                    continue
                fixed.append(section.node.id)
        return tuple(fixed)

    def closing_pass(self, project_id: str) -> None:
        """Give every section but the first a sentence that leads on from the one before."""
        self._enqueue(project_id, mending.transitions(self.view(project_id)))

    def pause(self, project_id: str) -> None:
        """Write the present section to its end and then wait."""
        run = self._run(project_id)
        if run is not None:
            run.pause()
            self._tell(run.conversation)

    def stop(self, project_id: str) -> None:
        """Stop at once; what was written of the present section stays and can be gone on with."""
        self._works.stop(project_id)

    def skip(self, project_id: str, node_id: str) -> None:
        """Leave a section out; when it is being written, go on with the next one.

        A section that has its text keeps it when something is being done with it, or was left in the
        middle: only that is left out.
        """
        section = self.view(project_id).section(node_id)
        busy = section is not None and section.state in ("writing", "queued", "partial", "failed")
        keeps_text = busy and section is not None and section.current is not None
        run = self._run(project_id)
        if run is not None:
            run.skip(node_id)
        self.store.change_section(project_id, node_id, skipped=not keeps_text, draft=None, error=None)
        self._figures_changed(project_id)

    def unskip(self, project_id: str, node_id: str) -> None:
        """Let a section be written after all."""
        self.store.change_section(project_id, node_id, skipped=False)
        self._figures_changed(project_id)

    def wait(self, project_id: str, timeout_s: float | None = None) -> ProjectView:
        """Return the project once nothing is being written (or the time is over)."""
        self._works.wait(project_id, timeout_s)
        return self.view(project_id)

    # ---- texts and versions -----------------------------------------------------------------

    def edit(self, project_id: str, node_id: str, text: str) -> None:
        """Keep a text written by a person as the section's newest version."""
        self._edit(self.store.read(project_id), node_id, text)
        self._figures_changed(project_id)

    def choose(self, project_id: str, node_id: str, version_key: str) -> None:
        """Go back (or forward) to a version. Raises NotFound."""
        versions = self.store.read(project_id).section(node_id).versions
        if version_key not in [version.key for version in versions]:
            raise NotFound(kind="version", name=version_key)
        self.store.change_section(project_id, node_id, current=version_key, draft=None, skipped=False)
        self._figures_changed(project_id)

    # ---- quality ----------------------------------------------------------------------------

    def repeated(self, project_id: str, view: ProjectView | None = None) -> list[RepeatedSentence]:
        """Return the sentences that say nearly the same as an earlier one, with where."""
        return find_repeated(shown_texts(view or self.view(project_id)))

    def variants(self, project_id: str) -> list[Variants]:
        """Return terms that are written in more than one way."""
        view = self.view(project_id)
        return find_variants(shown_texts(view), view.project.language)

    def quality(self, project_id: str, view: ProjectView | None = None) -> Quality:
        """Return the figures of the whole and of every section."""
        view = view or self.view(project_id)
        asked = {
            section.node.id: section.node.length for section in view.sections if section.state != "skipped"
        }
        return self._meter(view.id, view.project.language).read(view.project, asked, shown_texts(view))

    def drop_passage(self, project_id: str, passage: TextSpan) -> None:
        """Take a repeated sentence out of its section, as a new version."""
        section = self.view(project_id).section(passage.section)
        text = mending.without(section.text if section is not None else "", passage)
        self.edit(project_id, passage.section, text)

    def unify(self, project_id: str, variants: Variants, spelling: str) -> int:
        """Write a term in one way everywhere, as new versions; return how many sections changed."""
        changed = 0
        record = self.store.read(project_id)
        for section in self.view(project_id).sections:
            text = mending.with_one_spelling(section, variants, spelling)
            if text != section.text and section.state == "done":
                self._edit(record, section.node.id, text)
                changed += 1
        self._figures_changed(project_id)
        return changed

    # ---- reading ----------------------------------------------------------------------------

    def view(self, project_id: str) -> ProjectView:
        """Return a project with its live text. Raises NotFound."""
        record = self.store.read(project_id)
        name = self._model()
        speed = self._speed(name) if name else None
        drafts = [section.draft for section in record.sections.values() if section.draft is not None]
        return read_project(
            record,
            self._activity(project_id),
            {draft.message: self._answer(draft) for draft in drafts},
            context=self._parts.context,
            tok_per_s=speed.tok_per_s if speed is not None else None,
        )

    def close(self) -> None:
        """Let running projects stop as interrupted; they go on with `start`."""
        self._works.close()

    # ---- within -----------------------------------------------------------------------------

    def _edit(self, record: ProjectRecord, node_id: str, text: str) -> None:
        length = record.project.length_of(text)
        version = SectionVersion(new_id(), "edit", text.strip(), length, self._clock())
        self.store.add_version(record.id, node_id, version)

    def _figures_changed(self, project_id: str) -> None:
        """Bring the stored figures up to date; a run does so after each section."""
        if self._run(project_id) is None:
            record = self.store.read(project_id)
            meter = self._meter(project_id, record.project.language)
            quality = meter.read(record.project, record.asked(), record.texts())
            self.store.save_quality(project_id, quality)

    def _meter(self, project_id: str, language: str) -> QualityMeter:
        meter = self._meters.get(project_id)
        if meter is None or meter.language != language:
            meter = self._meters[project_id] = QualityMeter(language)
            for other in list(self._meters)[:-METERS]:
                self._meters.pop(other, None)
        return meter

    def _enqueue(self, project_id: str, tasks: Sequence[WritingTask]) -> None:
        if not tasks:
            return
        record = self.store.read(project_id)
        conversation = record.conversation
        meter = self._meter(project_id, record.project.language)

        def prepare() -> WritingRun:
            self.store.save_error(project_id, None)
            return WritingRun(self._parts, project_id, conversation, tasks, meter)

        with self._enqueueing:
            run = self._run(project_id)
            if run is not None and run.add(tasks):
                return
            if isinstance(self._works.get(project_id), OutlineRun):
                raise BadInput(reason=Reason("writing.error.outlining"))
            self._works.wait(project_id, ENDING_S)  # a run that has stopped, but is still there
            begun = self._works.start(project_id, prepare)
        if begun:
            self._tell(conversation)

    def _run(self, project_id: str) -> WritingRun | None:
        work = self._works.get(project_id)
        return work if isinstance(work, WritingRun) else None

    def _activity(self, project_id: str) -> Activity:
        work = self._works.get(project_id)
        if isinstance(work, OutlineRun):
            return Activity("outlining", outline_tokens=work.tokens, headings=work.headings)
        if work is not None:
            return Activity("pausing" if work.pausing else "running", work.doing, work.queued)
        return Activity("elsewhere" if self._works.runs_elsewhere(project_id) else "none")

    def _answer(self, draft: SectionDraft) -> DraftAnswer:
        job = self._jobs.of_message(draft.message)
        if job is not None and job.active:
            return DraftAnswer(job.text, job.id, job.tok_per_s)
        try:
            return DraftAnswer(self._messages.get_message(draft.message).content)
        except NotFound:
            return DraftAnswer("")

    def _tell(self, conversation: str) -> None:
        """Say on a project's topic that there is something new to read."""
        self._jobs.topics.publish(conversation, {"type": "changed"})
