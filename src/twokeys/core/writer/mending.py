"""What can be mended in a text that is there: what is offered for a section, and changes of many. Pure."""

from dataclasses import dataclass

from twokeys.core.writer.prompts import Operation, Surroundings, text_limit
from twokeys.core.writer.quality import TextSpan, Variants
from twokeys.core.writer.task import WritingTask
from twokeys.core.writer.view import ProjectView, SectionView
from twokeys.errors import BadInput, Reason


@dataclass(frozen=True, slots=True)
class Mend:
    """What is offered for a section. length: what is asked for, the usual when None."""

    operation: Operation
    length: int | None = None


def mend_of(section: SectionView) -> Mend:
    """Return what is offered: a loop is written anew, a long text condensed, a short one gone on with."""
    if section.problem == "loop":
        return Mend("write")
    if section.problem == "long":
        return Mend("condense", section.node.length)
    return Mend("continue")


def transitions(view: ProjectView) -> list[WritingTask]:
    """Return the tasks of the closing pass: a sentence that leads on, for every section but the first."""
    written = [section for section in view.sections if section.text.strip()]
    return [
        WritingTask(section.node.id, "transition")
        for section in written[1:]
        if not any(version.operation == "transition" for version in section.versions)
    ]


def check_passage(
    around: Surroundings, text: str, operation: Operation, selection: tuple[int, int] | None
) -> None:
    """Raise BadInput where there is no text, no such passage, or more than one request can hold."""
    if not text.strip():
        raise BadInput(reason=Reason("writing.error.nothing_there"))
    start, end = selection or (0, len(text))
    if not 0 <= start < end <= len(text):
        raise BadInput(reason=Reason("writing.error.changed"))
    if operation in ("continue", "transition"):
        return
    limit = text_limit(around.estimator, around.context, text[start:end])
    if end - start > limit:
        raise BadInput(reason=Reason("writing.error.too_long", chars=end - start, limit=limit))


def without(text: str, passage: TextSpan) -> str:
    """Return a section's text without a passage. Raises BadInput when it no longer stands there."""
    if text[passage.start : passage.end] != passage.text:
        raise BadInput(reason=Reason("writing.error.changed"))
    return text[: passage.start] + text[passage.end :].removeprefix(" ")


def with_one_spelling(section: SectionView, variants: Variants, spelling: str) -> str:
    """Return a section's text with one spelling of a term, the longest of the others replaced first."""
    text = section.text
    for other, _count, sections in sorted(variants.spellings, key=lambda variant: -len(variant[0])):
        if other != spelling and section.node.id in sections:
            text = text.replace(other, spelling)
    return text
