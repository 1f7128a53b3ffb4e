"""The writer: everything a screen or a command asks of long texts. `services.writer` is one of these.

All methods are synchronous and may be called from any thread. A project is a document; the answers
of its sections live in a hidden conversation, so they are journalled while they stream, watched by
the guard, continued from their last token and carry their provenance; finished versions are rows
of the document under keys of their own, so nothing that is done is ever written again. Writing runs
in a thread a project, one section after the other. A {"type": "changed"} on the topic
`view.conversation` says: read again.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from twokeys.core.answers import Answers
from twokeys.core.jobs import JobManager
from twokeys.core.metrics import length_score
from twokeys.core.ports import ChatStore, DocumentStore, EngineSource
from twokeys.core.undertaking import Lock, Undertakings
from twokeys.core.writer.budget import WRITING_BUDGET, LengthEstimator
from twokeys.core.writer.outline import Node, Outline
from twokeys.core.writer.planning import Origin, rule_outline
from twokeys.core.writer.project import Project
from twokeys.core.writer.prompts import Operation, Surroundings, text_limit
from twokeys.core.writer.quality import (
    Passage,
    Quality,
    RepeatedSentence,
    Variants,
    find_repeated,
    find_variants,
    measure,
)
from twokeys.core.writer.run import OutlineRun, Run, RunHost, WritingTask
from twokeys.core.writer.section import SectionDraft, SectionVersion, length_problem
from twokeys.core.writer.view import ProjectRow, ProjectState, ProjectView, SectionState, SectionView
from twokeys.errors import BadInput, NotFound, Reason
from twokeys.i18n import translate
from twokeys.ids import new_id
from twokeys.types import Conversation, Document, DocumentRow, EngineSpeed, Settings

log = logging.getLogger(__name__)

KIND = "writing"
EXTRAS = ("abstract", "glossary")
EXTRA_LENGTH = {"chars": 250, "words": 150}
ENDING_S = 10.0


class WritingStore(DocumentStore, Protocol):
    """Where projects are stored: the repository's documents."""

    def put_row(
        self, document_id: str, key: str, data: Mapping[str, Any], *, replace: bool = False
    ) -> bool: ...

    def get_row(self, document_id: str, key: str) -> DocumentRow | None: ...

    def rows(self, document_id: str) -> list[DocumentRow]: ...


class Writer(RunHost):
    """See the module. make_lock: returns the lock between processes of a name."""

    def __init__(
        self,
        documents: WritingStore,
        store: ChatStore,
        jobs: JobManager,
        answers: Answers,
        engines: EngineSource,
        *,
        make_lock: Callable[[str], Lock],
        speed: Callable[[str], EngineSpeed | None],
        model: Callable[[], str | None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.documents = documents
        self.store = store
        self.jobs = jobs
        self.answers = answers
        self.engines = engines
        self.clock = clock
        self._speed = speed
        self._model = model
        self._lock = threading.RLock()
        self._enqueueing = threading.Lock()
        self._works: Undertakings[Run | OutlineRun] = Undertakings(
            "writing",
            make_lock,
            elsewhere="writing.error.elsewhere",
            on_ended=lambda _, work: self.tell(work.conversation),
        )

    # ---- projects ---------------------------------------------------------------------------

    def new(self, project: Project) -> str:
        """Store a new project without an outline and return its id."""
        now = self.clock()
        hidden = self.store.create_conversation(
            Conversation(
                new_id(), project.topic, now, now, title_by="person", settings=Settings(), kind="writing"
            )
        )
        data: dict[str, Any] = {
            "project": project.to_dict(),
            "outline": [],
            "origin": None,
            "conversation": hidden.id,
        }
        return self.documents.create(KIND, project.topic, data).id

    def projects(self, limit: int = 50) -> list[ProjectRow]:
        """Return the projects, the latest first."""
        rows = []
        for document in self.documents.of_kind(KIND, limit):
            outline = Outline.from_list(document.data.get("outline", ()))
            states = self._section_rows(document.id)
            done = sum(
                bool(states.get(node.id, {}).get("current") or states.get(node.id, {}).get("skipped"))
                for node in outline.sections
            )
            rows.append(
                ProjectRow(
                    document.id,
                    document.title,
                    document.updated_at,
                    done,
                    len(outline.sections),
                    self._run(document.id) is not None,
                )
            )
        return rows

    def find(self, prefix: str) -> str:
        """Return the id of the one project whose id begins so. Raises NotFound."""
        found = [one.id for one in self.documents.of_kind(KIND, 10_000) if one.id.startswith(prefix)]
        if len(found) != 1 or not prefix:
            raise NotFound(kind="project", name=prefix)
        return found[0]

    def set_project(self, project_id: str, project: Project) -> None:
        """Change what the project asks for; written sections stay as they are."""
        with self._lock:
            document = self._document(project_id)
            self.documents.update(
                project_id, title=project.topic, data={**document.data, "project": project.to_dict()}
            )
        self._figures_changed(project_id)
        self.tell(document.data["conversation"])

    def delete(self, project_id: str) -> str:
        """Stop the project, move it to the bin, and return the token that `repository.undo` takes."""
        self.stop(project_id)
        return self.documents.delete(project_id)

    # ---- the outline ------------------------------------------------------------------------

    def make_outline(self, project_id: str) -> None:
        """Let the model make the outline; it replaces the present one when it is there.

        Returns at once. A person's sections keep their texts only as far as their headings stay.
        """
        document = self._document(project_id)
        project = Project.from_dict(document.data["project"])
        conversation = document.data["conversation"]
        if self._works.start(project_id, lambda: OutlineRun(self, project_id, project, conversation)):
            self.tell(conversation)

    def use_rules(self, project_id: str) -> Outline:
        """Take the usual outline for this kind of text, without the model."""
        document = self._document(project_id)
        outline = rule_outline(Project.from_dict(document.data["project"]))
        self.keep_outline(project_id, outline, "person")
        return outline

    def outline(self, project_id: str) -> Outline:
        """Return the outline as stored."""
        return Outline.from_list(self._document(project_id).data.get("outline", ()))

    def change_outline(self, project_id: str, change: Callable[[Outline], Outline]) -> Outline:
        """Change the outline: reorder, rename, add, delete, lengths. Texts go with their headings.

        A section with a text that gets headings below it goes on as the first of them.
        """
        with self._lock:
            document = self._document(project_id)
            outline = change(Outline.from_list(document.data.get("outline", ())))
            rows = self._section_rows(project_id)
            written = {node_id for node_id, row in rows.items() if row.get("current") or row.get("draft")}
            language = Project.from_dict(document.data["project"]).language
            outline = outline.keep_texts(written, translate("writing.outline.own_text", language))
            origin: Origin = document.data.get("origin") or "person"
            self.keep_outline(project_id, outline, origin)
        if written:
            self._figures_changed(project_id)
        return outline

    def keep_outline(self, project_id: str, outline: Outline, origin: Origin | None) -> None:
        """Store an outline and who made it."""
        with self._lock:
            document = self._document(project_id)
            data = {**document.data, "outline": outline.to_list(), "origin": origin}
            self.documents.update(project_id, data=data)
        self.tell(document.data["conversation"])

    # ---- writing ----------------------------------------------------------------------------

    def start(self, project_id: str, *, automatic: bool = True) -> None:
        """Write all sections that have no text yet, in order; go on with what was left in the middle.

        automatic: sections that miss their length are corrected by themselves, within limits.
        """
        view = self.view(project_id)
        if not view.sections:
            raise BadInput(reason=Reason("writing.error.no_outline"))
        todo = [one for one in view.sections if one.state in ("empty", "partial", "failed")]
        self._enqueue(project_id, [WritingTask(one.node.id, "write", automatic=automatic) for one in todo])

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
            if not any(one.text.strip() for one in view.sections if one.state != "skipped"):
                raise BadInput(reason=Reason("writing.error.nothing_there_yet"))
            self._enqueue(project_id, [WritingTask(node_id, operation)])
            return
        if section is None:
            raise NotFound(kind="section", name=node_id)
        if operation == "write":
            self._change_row(project_id, node_id, skipped=False)
        elif operation != "continue" or section.state != "partial":
            if operation == "rewrite" and not instruction.strip():
                raise BadInput(reason=Reason("writing.error.no_instruction"))
            if section.state not in ("writing", "queued"):
                self.check_text(view, section, operation, selection)
            elif selection is not None:
                raise BadInput(reason=Reason("writing.error.changed"))
        self._enqueue(
            project_id,
            [
                WritingTask(
                    node_id,
                    operation,
                    instruction=instruction.strip(),
                    selection=selection,
                    length=length,
                    anew=operation == "write",
                )
            ],
        )

    def fix(self, project_id: str, node_id: str) -> None:
        """Do what is offered for a section that misses its length or loops: go on, condense, write anew."""
        section = self.view(project_id).section(node_id)
        if section is not None and section.problem == "loop":
            self.work(project_id, node_id, "write")
        elif section is not None and section.problem == "long":
            self.work(project_id, node_id, "condense", length=section.node.length)
        elif section is not None:
            self.work(project_id, node_id, "continue")

    def fix_all(self, project_id: str) -> tuple[str, ...]:
        """Do what is offered for every section with a problem; return their headings' ids.

        A section that is too long to be condensed in one request is left as it is.
        """
        fixed = []
        for one in self.view(project_id).sections:
            if one.problem is not None:
                try:
                    self.fix(project_id, one.node.id)
                except BadInput as error:
                    log.info("section %s cannot be mended: %s", one.node.id, error)
                    continue
                fixed.append(one.node.id)
        return tuple(fixed)

    def closing_pass(self, project_id: str) -> None:
        """Give every section but the first a sentence that leads on from the one before."""
        done = [one for one in self.view(project_id).sections if one.text.strip()]
        plain = [one for one in done[1:] if not any(v.operation == "transition" for v in one.versions)]
        self._enqueue(project_id, [WritingTask(one.node.id, "transition") for one in plain])

    def pause(self, project_id: str) -> None:
        """Write the present section to its end and then wait."""
        run = self._run(project_id)
        if run is not None:
            run.pause()
            self.tell(run.conversation)

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
        kept = busy and section is not None and section.current is not None
        run = self._run(project_id)
        if run is not None:
            run.skip(node_id)
        self._change_row(project_id, node_id, skipped=not kept, draft=None, error=None)
        self._figures_changed(project_id)

    def unskip(self, project_id: str, node_id: str) -> None:
        """Let a section be written after all."""
        self._change_row(project_id, node_id, skipped=False)
        self._figures_changed(project_id)

    def wait(self, project_id: str, timeout_s: float | None = None) -> ProjectView:
        """Return the project once nothing is being written (or the time is over)."""
        self._works.wait(project_id, timeout_s)
        return self.view(project_id)

    # ---- texts and versions -----------------------------------------------------------------

    def edit(self, project_id: str, node_id: str, text: str) -> None:
        """Keep a text written by a person as the section's newest version."""
        view = self.view(project_id)
        self._edit(view, node_id, text)
        self._figures_changed(project_id)

    def choose(self, project_id: str, node_id: str, version_key: str) -> None:
        """Go back (or forward) to a version."""
        if self.documents.get_row(project_id, f"version:{node_id}:{version_key}") is None:
            raise NotFound(kind="version", name=version_key)
        self._change_row(project_id, node_id, current=version_key, draft=None, skipped=False)
        self._figures_changed(project_id)

    def keep_version(self, project_id: str, node_id: str, version: SectionVersion) -> None:
        """Store a version under its key, once, and make it the section's text."""
        self.documents.put_row(project_id, f"version:{node_id}:{version.key}", version.to_dict())
        self._change_row(project_id, node_id, current=version.key, draft=None, skipped=False, error=None)
        if self._run(project_id) is not None:
            self.store_quality(project_id)

    # ---- quality -------------------------------------------------------------------------------

    def repeated(self, project_id: str, view: ProjectView | None = None) -> list[RepeatedSentence]:
        """Return the sentences that say nearly the same as an earlier one, with where."""
        return find_repeated(self._texts(view or self.view(project_id)))

    def variants(self, project_id: str) -> list[Variants]:
        """Return terms that are written in more than one way."""
        view = self.view(project_id)
        return find_variants(self._texts(view), view.project.language)

    def quality(self, project_id: str, view: ProjectView | None = None) -> Quality:
        """Return the figures of the whole and of every section."""
        view = view or self.view(project_id)
        asked = {one.node.id: one.node.length for one in view.sections if one.state != "skipped"}
        return measure(view.project, asked, self._texts(view))

    def store_quality(self, project_id: str) -> None:
        """Keep the figures with the project."""
        self.documents.put_row(project_id, "quality", self.quality(project_id).to_dict(), replace=True)

    def drop_passage(self, project_id: str, place: Passage) -> None:
        """Take a repeated sentence out of its section, as a new version."""
        section = self.view(project_id).section(place.section)
        if section is None or section.text[place.start : place.end] != place.text:
            raise BadInput(reason=Reason("writing.error.changed"))
        text = section.text[: place.start] + section.text[place.end :].removeprefix(" ")
        self.edit(project_id, place.section, text)

    def unify(self, project_id: str, variants: Variants, spelling: str) -> int:
        """Write a term in one way everywhere, as new versions; return how many sections changed."""
        changed = 0
        view = self.view(project_id)
        for section in view.sections:
            text = section.text
            for other, _count, where in sorted(variants.spellings, key=lambda one: -len(one[0])):
                if other != spelling and section.node.id in where:
                    text = text.replace(other, spelling)
            if text != section.text and section.state == "done":
                self._edit(view, section.node.id, text)
                changed += 1
        self._figures_changed(project_id)
        return changed

    # ---- reading ----------------------------------------------------------------------------

    def view(self, project_id: str) -> ProjectView:
        """Return a project with its live text. Raises NotFound."""
        document = self._document(project_id)
        data = document.data
        project = Project.from_dict(data["project"])
        outline = Outline.from_list(data.get("outline", ()))
        versions, rows = self._read_rows(project_id)
        run = self._run(project_id)
        numbers = outline.numbers()
        sections = tuple(
            self._section(node, numbers[node.id], project, rows, versions, run) for node in outline.sections
        )
        extras = {
            name: self._section(
                Node(name, 1, name, EXTRA_LENGTH[project.unit] if name == "abstract" else 0),
                "",
                project,
                rows,
                versions,
                run,
            )
            for name in EXTRAS
            if name in rows or (run is not None and run.has(name))
        }
        costs = [one for listed in versions.values() for one in listed]
        work = self._works.get(project_id)
        outlining = work if isinstance(work, OutlineRun) else None
        elsewhere = self._works.runs_elsewhere(project_id)
        return ProjectView(
            id=document.id,
            title=document.title,
            project=project,
            outline=outline,
            origin=data.get("origin"),
            state=self._state(sections, run, outlining is not None or False, elsewhere, rows.get("_run", {})),
            created_at=document.created_at,
            updated_at=document.updated_at,
            conversation=data["conversation"],
            sections=sections,
            extras=extras,
            doing=run.doing if run is not None else None,
            length=sum(one.length for one in sections if one.state != "skipped"),
            asked=sum(one.node.length for one in sections if one.state != "skipped"),
            left_s=self._left_s(project, sections, costs),
            budget=WRITING_BUDGET.within(self.context()),
            largest_prompt=max((one.prompt_tokens for one in costs), default=0),
            elsewhere=elsewhere,
            outline_tokens=outlining.tokens if outlining is not None else 0,
            error=rows.get("_run", {}).get("error"),
        )

    def surroundings(self, view: ProjectView) -> Surroundings:
        """Return what the prompts are made of."""
        texts = {
            one.node.id: one.text
            for one in view.sections
            if one.current is not None and one.state != "skipped" and one.text
        }
        return Surroundings(view.project, view.outline, texts, self._estimator(view), self.context())

    def check_text(
        self,
        view: ProjectView,
        section: SectionView,
        operation: Operation,
        selection: tuple[int, int] | None,
    ) -> None:
        """Raise BadInput where there is no text, no such passage, or more than one request can hold."""
        if not section.text.strip():
            raise BadInput(reason=Reason("writing.error.nothing_there"))
        start, end = selection or (0, len(section.text))
        if not 0 <= start < end <= len(section.text):
            raise BadInput(reason=Reason("writing.error.changed"))
        if operation in ("continue", "transition"):
            return
        limit = text_limit(self._estimator(view), self.context(), section.text[start:end])
        if end - start > limit:
            raise BadInput(reason=Reason("writing.error.too_long", chars=end - start, limit=limit))

    def draft_of(self, project_id: str, node_id: str) -> SectionDraft | None:
        """Return the draft a section was left with."""
        row = self.documents.get_row(project_id, f"section:{node_id}")
        stored = row.data.get("draft") if row is not None else None
        return SectionDraft.from_dict(stored) if stored else None

    def keep_draft(self, project_id: str, node_id: str, draft: SectionDraft | None) -> None:
        """Note which answer is on its way into a section."""
        self._change_row(project_id, node_id, draft=draft.to_dict() if draft else None, error=None)

    def keep_error(self, project_id: str, node_id: str, error: Mapping[str, Any]) -> None:
        """Note why a section could not be written."""
        self._change_row(project_id, node_id, error=dict(error))

    def keep_run_error(self, project_id: str, error: Mapping[str, Any] | None) -> None:
        """Note why a project (or its outline) stopped."""
        self.documents.put_row(project_id, "run", {"error": error}, replace=True)

    def context(self) -> int:
        """Return the tokens of the engine's context, 0 while not known."""
        expected = self.engines.expected()
        return expected.context if expected is not None else 0

    def tell(self, conversation_id: str) -> None:
        """Say on the project's topic that there is something new to read."""
        self.jobs.publish(conversation_id, {"type": "changed"})

    def close(self) -> None:
        """Let running projects stop as interrupted; they go on with `start`."""
        self._works.close()

    # ---- within -----------------------------------------------------------------------------

    def _document(self, project_id: str) -> Document:
        document = self.documents.get(project_id)
        if document.kind != KIND:
            raise NotFound(kind="project", name=project_id)
        return document

    def _edit(self, view: ProjectView, node_id: str, text: str) -> None:
        length = view.project.length_of(text)
        self.keep_version(
            view.id, node_id, SectionVersion(new_id(), "edit", text.strip(), length, self.clock())
        )

    def _figures_changed(self, project_id: str) -> None:
        """Bring the stored figures up to date; a run does so after each section."""
        if self._run(project_id) is None:
            self.store_quality(project_id)

    def _enqueue(self, project_id: str, tasks: Sequence[WritingTask]) -> None:
        if not tasks:
            return
        document = self._document(project_id)
        conversation = document.data["conversation"]

        def prepare() -> Run:
            self.keep_run_error(project_id, None)
            return Run(self, project_id, conversation, tasks)

        with self._enqueueing:
            run = self._run(project_id)
            if run is not None and run.add(tasks):
                return
            if isinstance(self._works.get(project_id), OutlineRun):
                raise BadInput(reason=Reason("writing.error.outlining"))
            self._works.wait(project_id, ENDING_S)  # a run that has stopped, but is still there
            begun = self._works.start(project_id, prepare)
        if begun:
            self.tell(conversation)

    def _run(self, project_id: str) -> Run | None:
        work = self._works.get(project_id)
        return work if isinstance(work, Run) else None

    def _section_rows(self, project_id: str) -> dict[str, Mapping[str, Any]]:
        return self._read_rows(project_id)[1]

    def _read_rows(
        self, project_id: str
    ) -> tuple[dict[str, list[SectionVersion]], dict[str, Mapping[str, Any]]]:
        versions: dict[str, list[SectionVersion]] = {}
        rows: dict[str, Mapping[str, Any]] = {}
        for row in self.documents.rows(project_id):
            kind, _, rest = row.key.partition(":")
            if kind == "version":
                versions.setdefault(rest.partition(":")[0], []).append(SectionVersion.from_dict(row.data))
            elif kind == "section":
                rows[rest] = row.data
            elif kind == "run":
                rows["_run"] = row.data
        return versions, rows

    def _change_row(self, project_id: str, node_id: str, **changes: Any) -> None:
        with self._lock:
            key = f"section:{node_id}"
            row = self.documents.get_row(project_id, key)
            data = {**(row.data if row is not None else {}), **changes}
            self.documents.put_row(project_id, key, data, replace=True)
            conversation = self._document(project_id).data["conversation"]
        self.tell(conversation)

    def _section(
        self,
        node: Node,
        number: str,
        project: Project,
        rows: Mapping[str, Mapping[str, Any]],
        versions: Mapping[str, Sequence[SectionVersion]],
        run: Run | None,
    ) -> SectionView:
        row, listed = rows.get(node.id, {}), tuple(versions.get(node.id, ()))
        current = next((one for one in listed if one.key == row.get("current")), None)
        draft = SectionDraft.from_dict(row["draft"]) if row.get("draft") else None
        text = current.text if current is not None else ""
        job, drafted = None, ""
        if draft is not None:
            view = self.jobs.of_message(draft.message)
            job = view.id if view is not None and view.active else None
            drafted = draft.join(view.text if view is not None and view.active else self._answer(draft))
            text = text if current is not None else drafted
        state = self._section_state(node.id, row, current, draft, run)
        length = project.length_of(text)
        problem = None
        if state == "done" and current is not None and not draft:
            problem = length_problem(node.length, length)
            problem = problem or (current.problem if current.problem in ("loop", "cut") else None)
        return SectionView(
            node=node,
            number=number,
            state=state,
            text=text,
            draft=drafted,
            length=length,
            score=length_score(node.length, length) if node.length > 0 and length else None,
            problem=problem,
            current=current.key if current is not None else None,
            versions=listed,
            message=draft.message if draft is not None else None,
            job=job,
            error=row.get("error"),
            parts=dict(draft.parts or {}) if draft is not None else row.get("parts") or {},
            prompt_tokens=max((one.prompt_tokens for one in listed), default=0),
        )

    def _answer(self, draft: SectionDraft) -> str:
        try:
            return self.store.get_message(draft.message).content
        except NotFound:
            return ""

    def _section_state(
        self,
        node_id: str,
        row: Mapping[str, Any],
        current: SectionVersion | None,
        draft: SectionDraft | None,
        run: Run | None,
    ) -> SectionState:
        if run is not None and run.doing == node_id:
            return "writing"
        if row.get("skipped"):
            return "skipped"
        if run is not None and run.has(node_id):
            return "queued"
        if row.get("error"):
            return "failed"
        if draft is not None:
            return "partial"
        return "done" if current is not None else "empty"

    def _state(
        self,
        sections: Sequence[SectionView],
        run: Run | None,
        outlining: bool,
        elsewhere: bool,
        kept: Mapping[str, Any],
    ) -> ProjectState:
        if outlining:
            return "outlining"
        if run is not None:
            return "pausing" if run.pausing else "running"
        if elsewhere:
            return "running"
        if not sections:
            return "failed" if kept.get("error") else "new"
        if kept.get("error"):
            return "failed"
        if all(one.state in ("done", "skipped") for one in sections):
            return "done"
        return "paused" if any(one.state != "empty" for one in sections) else "ready"

    def _estimator(self, view: ProjectView) -> LengthEstimator:
        made = [v for one in view.sections for v in one.versions if v.answer_length > 40][-60:]
        return LengthEstimator.learned(
            view.project.unit,
            sum(one.tokens for one in made),
            sum(one.answer_length for one in made),
            sum(one.answer_estimate for one in made),
        )

    def _left_s(
        self, project: Project, sections: Sequence[SectionView], costs: Sequence[SectionVersion]
    ) -> float | None:
        todo = sum(
            max(0, one.node.length - project.length_of(one.draft))
            for one in sections
            if one.state in ("empty", "queued", "writing", "partial", "failed")
        )
        if todo == 0:
            return 0.0
        made = [one for one in costs if one.seconds > 0 and one.answer_length > 0][-20:]
        if made:
            return todo * sum(one.seconds for one in made) / sum(one.answer_length for one in made)
        tokens = todo * LengthEstimator.learned(project.unit, 0, 0, 0).per_unit
        jobs = (self.jobs.view(one.job) for one in sections if one.job)
        if now := next((job.tok_per_s for job in jobs if job is not None and job.tok_per_s), None):
            return tokens / now  # of the very first section
        name = self._model()
        speed = self._speed(name) if name else None
        return tokens / speed.tok_per_s if speed is not None and speed.tok_per_s > 0 else None

    def _texts(self, view: ProjectView) -> list[tuple[str, str]]:
        return [(one.node.id, one.text) for one in view.sections if one.state != "skipped" and one.text]


__all__ = ["EXTRAS", "Writer"]
