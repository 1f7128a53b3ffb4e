"""What is stored of writing projects: a document each, with rows for its sections and their versions.

A project is decoded once and held; a change made here goes into the value that is held, so a reader asks
the database only whether another process has changed the project meanwhile. Rows of a project:

    section:ID       what is done with a section: the chosen version, a draft, an error, left out
    version:ID:KEY   one text of a section, stored once and never changed
    run              why the last run stopped
    quality          the figures of the whole

Knows no engine, and decides nothing.
"""

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from twokeys.core.ports import DocumentStore
from twokeys.core.writer.outline import Outline
from twokeys.core.writer.planning import Origin
from twokeys.core.writer.project import Project
from twokeys.core.writer.quality import Quality
from twokeys.core.writer.section import SectionDraft, SectionVersion
from twokeys.core.writer.view import ProjectRow
from twokeys.errors import NotFound
from twokeys.types import DocumentRow, StoredDocument

KIND = "writing"
HELD = 8
"""So many projects are held decoded."""


class WritingDocuments(DocumentStore, Protocol):
    """Where projects are stored: the repository's documents."""

    def put_row(
        self, document_id: str, key: str, data: Mapping[str, object], *, replace: bool = False
    ) -> bool: ...

    def get_row(self, document_id: str, key: str) -> DocumentRow | None: ...

    def rows(self, document_id: str, prefix: str = "") -> list[DocumentRow]: ...

    def changed_at(self, document_id: str) -> float | None: ...


@dataclass(frozen=True, slots=True)
class SectionRecord:
    """What is stored of a section. current: key of the chosen version. versions: oldest first.

    error: {"code", "params"} of the last try.
    """

    current: str | None = None
    draft: SectionDraft | None = None
    skipped: bool = False
    error: Mapping[str, Any] | None = None
    versions: tuple[SectionVersion, ...] = ()

    @property
    def chosen(self) -> SectionVersion | None:
        """The version that is the section's text."""
        return next((version for version in self.versions if version.key == self.current), None)

    @property
    def text(self) -> str:
        """The finished text; empty when there is none, or when the section is left out."""
        chosen = self.chosen
        return chosen.text if chosen is not None and not self.skipped else ""

    def to_row(self) -> dict[str, object]:
        return {
            "current": self.current,
            "draft": self.draft.to_dict() if self.draft is not None else None,
            "skipped": self.skipped,
            "error": dict(self.error) if self.error is not None else None,
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any], versions: tuple[SectionVersion, ...]) -> "SectionRecord":
        draft = row.get("draft")
        return cls(
            current=row.get("current"),
            draft=SectionDraft.from_dict(draft) if draft else None,
            skipped=bool(row.get("skipped")),
            error=row.get("error"),
            versions=versions,
        )


@dataclass(frozen=True, slots=True)
class ProjectRecord:
    """A project as it is stored. sections: by heading id, those of extras and deleted headings too.

    conversation: the hidden one that holds the answers; it lives and goes with the document.
    error: why the last run, or the making of the outline, stopped.
    """

    id: str
    title: str
    created_at: float
    updated_at: float
    project: Project
    outline: Outline
    origin: Origin | None
    conversation: str
    sections: Mapping[str, SectionRecord] = field(default_factory=dict)
    error: Mapping[str, Any] | None = None

    def section(self, node_id: str) -> SectionRecord:
        """Return what is stored of a section, an empty record when nothing is."""
        return self.sections.get(node_id, SectionRecord())

    def with_section(self, node_id: str, section: SectionRecord) -> "ProjectRecord":
        """Return the project with one section changed."""
        return replace(self, sections={**self.sections, node_id: section})

    def texts(self) -> list[tuple[str, str]]:
        """Return (heading id, text) of the finished sections that are not left out, in order."""
        texts = ((node.id, self.section(node.id).text) for node in self.outline.sections)
        return [(node_id, text) for node_id, text in texts if text]

    def asked(self) -> dict[str, int]:
        """Return the length asked for of every section that is not left out."""
        return {node.id: node.length for node in self.outline.sections if not self.section(node.id).skipped}


class ProjectStore:
    """The stored writing projects of one home.

    transaction: makes several calls of this thread one. on_change: is told of every change that a reader
    can see, by the project's conversation.
    """

    def __init__(
        self,
        documents: WritingDocuments,
        transaction: Callable[[], AbstractContextManager[None]],
        on_change: Callable[[str], object],
    ) -> None:
        self._documents = documents
        self._transaction = transaction
        self._on_change = on_change
        self._held: dict[str, ProjectRecord] = {}
        self._lock = threading.Lock()

    # ---- reading ----------------------------------------------------------------------------

    def read(self, project_id: str) -> ProjectRecord:
        """Return a project as it is stored now. Raises NotFound."""
        held = self._held.get(project_id)
        if held is not None and self._documents.changed_at(project_id) == held.updated_at:
            return held
        # the time comes first: what is read after it is at least as new
        record = _decode(self._document(project_id), self._documents.rows(project_id))
        with self._lock:
            if self._held.get(project_id) is held:  # nothing was written here meanwhile
                self._hold(record)
        return record

    @property
    def held(self) -> list[str]:
        """The ids of the projects that are held decoded."""
        return list(self._held)

    def overview(self, limit: int = 50) -> list[ProjectRow]:
        """Return the projects without their texts, the latest first; none counts as running."""
        return [self._row(document) for document in self._documents.of_kind(KIND, limit)]

    def find(self, prefix: str) -> str:
        """Return the id of the one project whose id begins so. Raises NotFound."""
        matching = [
            document.id
            for document in self._documents.of_kind(KIND, 10_000)
            if document.id.startswith(prefix)
        ]
        if len(matching) != 1 or not prefix:
            raise NotFound(kind="project", name=prefix)
        return matching[0]

    # ---- writing ----------------------------------------------------------------------------

    def create(self, project: Project, conversation: str) -> str:
        """Store a new project without an outline and return its id."""
        data: dict[str, Any] = {
            "project": project.to_dict(),
            "outline": [],
            "origin": None,
            "conversation": conversation,
        }
        return self._documents.create(KIND, project.topic, data).id

    def delete(self, project_id: str) -> str:
        """Move a project to the bin, its conversation with it; return the token for `repository.undo`."""
        self._document(project_id)
        token = self._documents.delete(project_id)
        with self._lock:
            self._held.pop(project_id, None)
        return token

    def save_project(self, project_id: str, project: Project) -> None:
        """Change what the project asks for."""

        def write(record: ProjectRecord) -> ProjectRecord:
            self._put_document(replace(record, title=project.topic, project=project))
            return replace(record, title=project.topic, project=project)

        self._write(project_id, write)

    def change_outline(
        self, project_id: str, change: Callable[[ProjectRecord], Outline], origin: Origin | None = None
    ) -> Outline:
        """Store what `change` makes of the outline, and who made it: as before by default."""

        def write(record: ProjectRecord) -> ProjectRecord:
            changed = replace(record, outline=change(record), origin=origin or record.origin)
            self._put_document(changed)
            return changed

        return self._write(project_id, write).outline

    def change_section(self, project_id: str, node_id: str, **changes: object) -> None:
        """Change what is done with a section: fields of SectionRecord but its versions."""
        self._write(project_id, lambda record: self._put_section(record, node_id, **changes))

    def add_version(self, project_id: str, node_id: str, version: SectionVersion) -> None:
        """Store a version under its key, once, and make it the section's text."""

        def write(record: ProjectRecord) -> ProjectRecord:
            section = record.section(node_id)
            if self._documents.put_row(project_id, f"version:{node_id}:{version.key}", version.to_dict()):
                section = replace(section, versions=(*section.versions, version))
            return self._put_section(
                record.with_section(node_id, section),
                node_id,
                current=version.key,
                draft=None,
                skipped=False,
                error=None,
            )

        self._write(project_id, write)

    def save_error(self, project_id: str, error: Mapping[str, object] | None) -> None:
        """Note why a run, or the making of the outline, stopped; None: it did not."""

        def write(record: ProjectRecord) -> ProjectRecord:
            self._documents.put_row(project_id, "run", {"error": error}, replace=True)
            return replace(record, error=error)

        self._write(project_id, write)

    def save_quality(self, project_id: str, quality: Quality) -> None:
        """Store the figures of the whole."""

        def write(record: ProjectRecord) -> ProjectRecord:
            self._documents.put_row(project_id, "quality", quality.to_dict(), replace=True)
            return record

        self._write(project_id, write, tell=False)

    def quality(self, project_id: str) -> Mapping[str, object] | None:
        """Return the stored figures of the whole, None when there are none."""
        row = self._documents.get_row(project_id, "quality")
        return row.data if row is not None else None

    # ---- inside -----------------------------------------------------------------------------

    def _write(
        self, project_id: str, write: Callable[[ProjectRecord], ProjectRecord], *, tell: bool = True
    ) -> ProjectRecord:
        """Do the calls of `write` in one transaction, hold what it returns and tell of it."""
        with self._transaction():
            record = write(self.read(project_id))
            changed_at = self._documents.changed_at(project_id)
        record = replace(record, updated_at=changed_at if changed_at is not None else record.updated_at)
        with self._lock:
            self._hold(record)
        if tell:
            self._on_change(record.conversation)
        return record

    def _hold(self, record: ProjectRecord) -> None:
        self._held.pop(record.id, None)
        self._held[record.id] = record
        while len(self._held) > HELD:
            del self._held[next(iter(self._held))]

    def _put_section(self, record: ProjectRecord, node_id: str, **changes: Any) -> ProjectRecord:
        section = replace(record.section(node_id), **changes)
        self._documents.put_row(record.id, f"section:{node_id}", section.to_row(), replace=True)
        return record.with_section(node_id, section)

    def _put_document(self, record: ProjectRecord) -> None:
        data = {
            "project": record.project.to_dict(),
            "outline": record.outline.to_list(),
            "origin": record.origin,
            "conversation": record.conversation,
        }
        self._documents.update(record.id, title=record.title, data=data)

    def _document(self, project_id: str) -> StoredDocument:
        document = self._documents.get(project_id)
        if document.kind != KIND:
            raise NotFound(kind="project", name=project_id)
        return document

    def _row(self, document: StoredDocument) -> ProjectRow:
        nodes = Outline.from_list(document.data.get("outline", ())).sections
        rows = {row.key: row.data for row in self._documents.rows(document.id, "section:")}
        states = [rows.get(f"section:{node.id}", {}) for node in nodes]
        done = sum(bool(state.get("current") or state.get("skipped")) for state in states)
        return ProjectRow(document.id, document.title, document.updated_at, done, len(nodes), running=False)


def _decode(document: StoredDocument, rows: list[DocumentRow]) -> ProjectRecord:
    versions: dict[str, list[SectionVersion]] = {}
    states: dict[str, Mapping[str, Any]] = {}
    error: Mapping[str, Any] | None = None
    for row in rows:
        kind, _, rest = row.key.partition(":")
        if kind == "version":
            versions.setdefault(rest.partition(":")[0], []).append(SectionVersion.from_dict(row.data))
        elif kind == "section":
            states[rest] = row.data
        elif kind == "run":
            error = row.data.get("error")
    data = document.data
    return ProjectRecord(
        id=document.id,
        title=document.title,
        created_at=document.created_at,
        updated_at=document.updated_at,
        project=Project.from_dict(data["project"]),
        outline=Outline.from_list(data.get("outline", ())),
        origin=data.get("origin"),
        conversation=data["conversation"],
        sections={
            node_id: SectionRecord.from_row(states.get(node_id, {}), tuple(versions.get(node_id, ())))
            for node_id in {**states, **versions}
        },
        error=error,
    )
