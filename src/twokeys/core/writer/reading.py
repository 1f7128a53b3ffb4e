"""A project as a person sees it, made of what is stored and of what is being written. Pure functions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from twokeys.core.metrics import length_score
from twokeys.core.writer.budget import WRITING_BUDGET, LengthEstimator
from twokeys.core.writer.outline import Node
from twokeys.core.writer.project import Project
from twokeys.core.writer.prompts import Surroundings
from twokeys.core.writer.section import Problem, SectionDraft, SectionVersion, length_problem
from twokeys.core.writer.store import ProjectRecord, SectionRecord
from twokeys.core.writer.summary import TermIndex
from twokeys.core.writer.view import ProjectState, ProjectView, SectionState, SectionView

EXTRAS = ("abstract", "glossary")
EXTRA_LENGTH = {"chars": 250, "words": 150}
LEARNED_FROM = 60
"""The newest answers, so many at most, that tell how many tokens a length needs."""


@dataclass(frozen=True, slots=True)
class Activity:
    """What is being done with a project now. doing, queued: ids of headings. headings: being made now."""

    kind: Literal["none", "outlining", "running", "pausing", "elsewhere"] = "none"
    doing: str | None = None
    queued: frozenset[str] = frozenset()
    outline_tokens: int = 0
    headings: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class DraftAnswer:
    """The answer of a draft as it is now. job: that writes it, None when nothing does."""

    text: str
    job: str | None = None
    tok_per_s: float | None = None


def read_project(
    record: ProjectRecord,
    activity: Activity,
    answers: Mapping[str, DraftAnswer],
    *,
    context: int,
    tok_per_s: float | None,
) -> ProjectView:
    """Return a project as it is now.

    answers: of the drafts, by their messages. context: tokens, 0 while not known. tok_per_s: how fast
    the model has been here.
    """
    numbers = record.outline.numbers()
    sections = tuple(
        _section(node, numbers[node.id], record, activity, answers) for node in record.outline.sections
    )
    extras = {
        name: _section(_extra(name, record.project), "", record, activity, answers)
        for name in EXTRAS
        if name in record.sections or name in activity.queued or activity.doing == name
    }
    versions = [version for section in record.sections.values() for version in section.versions]
    return ProjectView(
        id=record.id,
        title=record.title,
        project=record.project,
        outline=record.outline,
        origin=record.origin,
        state=_state(record, sections, activity),
        created_at=record.created_at,
        updated_at=record.updated_at,
        conversation=record.conversation,
        sections=sections,
        extras=extras,
        doing=activity.doing,
        length=sum(section.length for section in sections if section.state != "skipped"),
        asked=sum(section.node.length for section in sections if section.state != "skipped"),
        left_s=_left_s(record.project, sections, versions, answers, tok_per_s),
        budget=WRITING_BUDGET.within(context),
        largest_prompt=max((version.prompt_tokens for version in versions), default=0),
        elsewhere=activity.kind == "elsewhere",
        outline_tokens=activity.outline_tokens,
        growing=activity.headings,
        error=record.error,
    )


def surroundings(record: ProjectRecord, context: int, terms: TermIndex | None = None) -> Surroundings:
    """Return what the prompts are made of. terms: an index that is kept from one prompt to the next."""
    return Surroundings(
        record.project,
        record.outline,
        dict(record.texts()),
        estimator(record),
        context,
        terms,
    )


def estimator(record: ProjectRecord) -> LengthEstimator:
    """Return how many tokens a length needs, learned from the project's newest answers."""
    versions = [
        version
        for node in record.outline.sections
        for version in record.section(node.id).versions
        if version.answer_length > 40
    ][-LEARNED_FROM:]
    return LengthEstimator.learned(
        record.project.unit,
        sum(version.tokens for version in versions),
        sum(version.answer_length for version in versions),
        sum(version.answer_estimate for version in versions),
    )


def shown_texts(view: ProjectView) -> list[tuple[str, str]]:
    """Return (heading id, text) of all that is written and not left out, what is unfinished too."""
    return [
        (section.node.id, section.text)
        for section in view.sections
        if section.state != "skipped" and section.text
    ]


def _extra(name: str, project: Project) -> Node:
    return Node(name, 1, name, EXTRA_LENGTH[project.unit] if name == "abstract" else 0)


def _section(
    node: Node,
    number: str,
    record: ProjectRecord,
    activity: Activity,
    answers: Mapping[str, DraftAnswer],
) -> SectionView:
    stored = record.section(node.id)
    chosen, draft = stored.chosen, stored.draft
    answer = answers.get(draft.message, DraftAnswer("")) if draft is not None else None
    drafted = draft.join(answer.text) if draft is not None and answer is not None else ""
    text = chosen.text if chosen is not None else drafted
    state = _section_state(node.id, stored, activity)
    length = record.project.length_of(text)
    return SectionView(
        node=node,
        number=number,
        state=state,
        text=text,
        draft=drafted,
        length=length,
        score=length_score(node.length, length) if node.length > 0 and length else None,
        problem=_problem(node, chosen, length) if state == "done" and chosen and draft is None else None,
        current=chosen.key if chosen is not None else None,
        versions=stored.versions,
        message=draft.message if draft is not None else None,
        job=answer.job if answer is not None else None,
        error=stored.error,
        parts=_parts(draft),
        prompt_tokens=max((version.prompt_tokens for version in stored.versions), default=0),
    )


def _parts(draft: SectionDraft | None) -> Mapping[str, int]:
    return dict(draft.parts or {}) if draft is not None else {}


def _problem(node: Node, chosen: SectionVersion, length: int) -> Problem | None:
    if chosen.problem == "loop":
        return "loop"
    return length_problem(node.length, length) or ("cut" if chosen.problem == "cut" else None)


def _section_state(node_id: str, stored: SectionRecord, activity: Activity) -> SectionState:
    if activity.doing == node_id:
        return "writing"
    if stored.skipped:
        return "skipped"
    if node_id in activity.queued:
        return "queued"
    if stored.error:
        return "failed"
    if stored.draft is not None:
        return "partial"
    return "done" if stored.chosen is not None else "empty"


def _state(record: ProjectRecord, sections: Sequence[SectionView], activity: Activity) -> ProjectState:
    match activity.kind:
        case "outlining" | "running" | "pausing":
            return activity.kind
        case "elsewhere":
            return "running"
    if record.error:
        return "failed"
    if not sections:
        return "new"
    if all(section.state in ("done", "skipped") for section in sections):
        return "done"
    return "paused" if any(section.state != "empty" for section in sections) else "ready"


def _left_s(
    project: Project,
    sections: Sequence[SectionView],
    versions: Sequence[SectionVersion],
    answers: Mapping[str, DraftAnswer],
    tok_per_s: float | None,
) -> float | None:
    """Return the seconds left of what is to be written, None while not known."""
    todo = sum(
        max(0, section.node.length - project.length_of(section.draft))
        for section in sections
        if section.state in ("empty", "queued", "writing", "partial", "failed")
    )
    if todo == 0:
        return 0.0
    made = [version for version in versions if version.seconds > 0 and version.answer_length > 0][-20:]
    if made:
        seconds, length = (
            sum(version.seconds for version in made),
            sum(version.answer_length for version in made),
        )
        return todo * seconds / length
    tokens = todo * LengthEstimator.learned(project.unit, 0, 0, 0).per_unit
    speeds = (answer.tok_per_s for answer in answers.values() if answer.job is not None)
    # of the very first section, else of what the model has done here before
    speed = next((now for now in speeds if now), None) or tok_per_s
    return tokens / speed if speed else None
