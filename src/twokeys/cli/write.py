"""`twokeys write`: long texts by segments. What is done is never written again; `resume` goes on.

With --json each finished section is one line {"type":"section"}, and the project is the last line.
"""

import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from twokeys.cli.conversations import Now
from twokeys.cli.exports import File, Force, deliver
from twokeys.cli.failures import StoredFailure
from twokeys.cli.invocation import Invocation, Json, Model
from twokeys.cli.output import Output, clean
from twokeys.cli.turn import noticed_lines
from twokeys.errors import BadInput, NotFound, Reason, unexpected
from twokeys.types import Message
from twokeys.units import duration_text

if TYPE_CHECKING:
    from twokeys.core.writer.view import ProjectView, SectionView
    from twokeys.services import Services

app = typer.Typer(no_args_is_help=True)

POLL_S = 0.4

Id = Annotated[str, typer.Argument(metavar="ID", help="write.id", show_default=False)]


@app.command("new", help="write.new")
def new(
    context: typer.Context,
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="write.topic", show_default=False)],
    kind: Annotated[str, typer.Option("--kind", "-k", metavar="KIND", help="write.kind")] = "report",
    chars: Annotated[
        int | None, typer.Option("--chars", metavar="N", help="write.chars", show_default=False)
    ] = None,
    words: Annotated[
        int | None, typer.Option("--words", metavar="N", help="write.words", show_default=False)
    ] = None,
    audience: Annotated[str, typer.Option("--audience", metavar="TXT", help="write.audience")] = "",
    style: Annotated[str, typer.Option("--style", metavar="TXT", help="write.style")] = "",
    lang: Annotated[str | None, typer.Option("--lang", metavar="zh|en", help="write.lang")] = None,
    notes: Annotated[
        list[Path] | None, typer.Option("--notes", metavar="FILE", help="write.notes", show_default=False)
    ] = None,
    outline_only: Annotated[bool, typer.Option("--outline-only", help="write.outline_only")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="write.yes")] = False,
    model: Model = None,
    as_json: Json = False,
) -> int:
    from twokeys.core.metrics import is_chinese
    from twokeys.core.writer.project import Project, length_from_chars

    call = Invocation.of(context, model, as_json)
    topic = clean(topic)
    language = lang or ("zh" if is_chinese(topic) else "en")
    if chars is not None and words is not None:
        raise BadInput(reason=Reason("cli.write.chars_or_words"))
    length = words if words is not None else length_from_chars(6000 if chars is None else chars, language)
    project = Project(
        topic=topic,
        kind=kind,
        language=language,
        length=length,
        audience=clean(audience),
        style=clean(style),
        notes="\n\n".join(_read_notes(path) for path in notes or ()),
    )
    with call.services() as services:
        made = services.writer.new(project)
        call.out.note(call.out.text("write.created", id=made))
        view = _outlined(services, call.out, made)
        if outline_only or not _agreed(call.out, yes):
            call.out.note(call.out.text("write.later", id=made))
            _show_end(services, call.out, view)
            return 0
        return _write(services, call.out, made)


@app.command("resume", help="write.resume")
def resume(
    context: typer.Context,
    project: Id,
    fix: Annotated[bool, typer.Option("--fix", help="write.fix")] = False,
    model: Model = None,
    as_json: Json = False,
) -> int:
    call = Invocation.of(context, model, as_json)
    with call.services() as services:
        match = services.writer.find(project)
        if not services.writer.view(match).outline.nodes:
            _outlined(services, call.out, match)
        return _write(services, call.out, match, fix=fix)


@app.command("list", help="write.list")
def list_projects(context: typer.Context, model: Model = None, as_json: Json = False) -> None:
    call = Invocation.of(context, model, as_json)
    with call.services() as services:
        rows = services.writer.projects()
    if call.out.as_json:
        call.out.json(
            [
                {
                    "id": row.id,
                    "title": row.title,
                    "updated_at": row.updated_at,
                    "done": row.done,
                    "total": row.total,
                }
                for row in rows
            ]
        )
    elif not rows:
        call.out.note(call.out.text("write.none"))
    for row in rows if not call.out.as_json else ():
        when = datetime.fromtimestamp(row.updated_at).strftime("%Y-%m-%d %H:%M")
        call.out.line(f"{row.id}  {when}  {row.done}/{row.total}  {row.title}")


@app.command("show", help="write.show")
def show(context: typer.Context, project: Id, model: Model = None, as_json: Json = False) -> None:
    call = Invocation.of(context, model, as_json)
    with call.services() as services:
        view = services.writer.view(services.writer.find(project))
        _show_end(services, call.out, view)


@app.command("export", help="write.export")
def export(
    context: typer.Context,
    project: Id,
    kind: Annotated[
        str | None,
        typer.Option("--format", "-f", metavar="md|docx|html|txt", help="write.format", show_default=False),
    ] = None,
    output: File = None,
    force: Force = False,
    model: Model = None,
    as_json: Json = False,
) -> None:
    from twokeys.manuscript import FORMATS, export_project

    call = Invocation.of(context, model, as_json)
    ending = output.suffix.lower().lstrip(".") if output is not None else ""
    chosen = kind or (ending if ending in FORMATS else "md")
    if chosen == "docx" and output is None:
        raise BadInput(reason=Reason("cli.write.docx_needs_file"))
    with call.services() as services:
        view = services.writer.view(services.writer.find(project))
    data = export_project(view, chosen)
    deliver(call.out, data, chosen, output, force=force)


@app.command("rm", help="write.rm")
def remove(
    context: typer.Context, project: Id, now: Now = False, model: Model = None, as_json: Json = False
) -> None:
    call = Invocation.of(context, model, as_json)
    with call.services() as services:
        match = services.writer.find(project)
        token = services.writer.delete(match)
        if now:
            services.repository.bin.remove(token)
    if call.out.as_json:
        call.out.json({"id": match, "deleted": True, **({"removed": True} if now else {"undo": token})})
    else:
        call.out.note(call.out.text("write.removed_now" if now else "write.removed", id=match, token=token))


def _read_notes(path: Path) -> str:
    from twokeys.documents.reader import file_bytes
    from twokeys.manuscript import read_notes

    return read_notes(file_bytes(path), path.name)


def _outlined(services: "Services", out: Output, project_id: str) -> "ProjectView":
    """Let the model make the outline and show it."""
    writer = services.writer
    out.note(out.text("write.outlining"))
    writer.make_outline(project_id)
    try:
        view = writer.wait(project_id)
    except KeyboardInterrupt:
        writer.stop(project_id)
        raise
    if not view.outline.nodes:
        raise StoredFailure(view.error or unexpected())
    if view.origin == "rules":
        out.note(out.text("write.by_rules"), "yellow")
    if not out.as_json:
        numbers = view.outline.numbers()
        for node in view.outline.nodes:
            length = view.outline.length_of(node.id)
            out.note(f"{'  ' * (node.level - 1)}{numbers[node.id]} {node.title}  ({length})", "")
    return view


def _agreed(out: Output, yes: bool) -> bool:
    """Whether the outline is to be written now; a script is taken at its word."""
    if yes or out.as_json or not sys.stdin.isatty():
        return True
    return typer.confirm(out.text("write.go"), default=True, err=True)


def _write(services: "Services", out: Output, project_id: str, *, fix: bool = False) -> int:
    """Write what is not written yet, telling each section, and return the exit code.

    fix: sections that are written but miss their length, were cut or loop are mended too.
    """
    writer = services.writer
    view = writer.view(project_id)
    reported = {section.node.id for section in view.sections if section.state in ("done", "skipped")}
    writer.start(project_id)
    if fix:
        reported -= set(writer.fix_all(project_id))
    try:
        while True:
            view = writer.wait(project_id, POLL_S)
            for section in view.sections:
                if section.state == "done" and section.node.id not in reported:
                    reported.add(section.node.id)
                    answer = answer_of(services, section)
                    tell_section(out, view, section_row(section, answer), answer)
            if not view.active:
                break
    except KeyboardInterrupt:
        writer.stop(project_id)
        out.note(out.text("write.stopped", id=project_id), "yellow")
        _show_end(services, out, writer.view(project_id))
        return 130
    if view.state == "failed" and view.error is not None:
        out.note(out.text("write.stopped", id=project_id), "yellow")
        raise StoredFailure(view.error)
    _show_end(services, out, view)
    return 0


def answer_of(services: "Services", section: "SectionView") -> Message | None:
    """Return the stored answer that a section's text came from; None where a person typed it."""
    try:
        return services.conversations.message(section.answer_id) if section.answer_id else None
    except NotFound:
        return None


def tell_section(out: Output, view: "ProjectView", row: Mapping[str, object], answer: Message | None) -> None:
    if out.as_json:
        out.json({"type": "section", **row})
        return
    left = "–" if view.left_s is None else duration_text(view.left_s, out.language)
    text = out.text(
        "write.section",
        number=row["number"],
        title=row["title"],
        length=row["length"],
        asked=row["asked"],
        left=left,
    )
    out.note(text, "yellow" if row["problem"] else "dim")
    for line in noticed_lines(answer, out) if answer is not None else ():
        out.note(f"  {line}", "yellow")


def section_row(section: "SectionView", answer: Message | None) -> dict[str, object]:
    """Return a section as JSON shows it; answer: what the engine wrote, with what the guard noticed."""
    last = section.versions[-1] if section.versions else None
    return {
        "id": section.node.id,
        "number": section.number,
        "title": section.node.title,
        "level": section.node.level,
        "state": section.state,
        "asked": section.node.length,
        "length": section.length,
        "score": None if section.score is None else round(section.score, 1),
        "problem": section.problem,
        "prompt_tokens": section.prompt_tokens or None,
        "cached_tokens": last.cached_tokens if last else None,
        "completion_tokens": sum(version.tokens for version in section.versions) or None,
        "seconds": round(sum(version.seconds for version in section.versions), 2) if last else None,
        "versions": len(section.versions),
        "loops": sum(version.loops for version in section.versions),
        "guard": [event.to_dict() for event in answer.provenance.guard] if answer is not None else [],
        "dropped": sum(version.dropped for version in section.versions),
    }


def project_object(services: "Services", view: "ProjectView") -> dict[str, Any]:
    """Return a project by the CLI contract: id, sections, chars, state, and the figures."""
    from twokeys.core.metrics import length_of

    quality = services.writer.quality(view.id, view)
    repeated = services.writer.repeated(view.id, view)
    numbers = view.outline.numbers()
    return {
        "id": view.id,
        "title": view.title,
        "state": view.state,
        "language": view.project.language,
        "outline_by": view.origin,
        "chars": sum(
            length_of(section.text, "chars") for section in view.sections if section.state != "skipped"
        ),
        "unit": view.project.unit,
        "length": view.length,
        "asked": view.asked,
        "score": round(quality.score, 1),
        "repetition": {"n": quality.n, "rep_n": round(quality.rep_n, 4)},
        "repeated_sentences": len(repeated),
        "repeated": [
            {
                "section": numbers[sentence.place.section],
                "before": numbers[sentence.before.section],
                "similarity": round(sentence.similarity, 3),
                "text": sentence.place.text,
            }
            for sentence in repeated
        ],
        "budget": {
            "prompt": view.budget.prompt,
            "answer": view.budget.answer,
            "largest_prompt": view.largest_prompt,
        },
        "sections": [section_row(section, answer_of(services, section)) for section in view.sections],
    }


def _show_end(services: "Services", out: Output, view: "ProjectView") -> None:
    shown = project_object(services, view)
    if out.as_json:
        out.json(shown)
        return
    done = sum(section.state in ("done", "skipped") for section in view.sections)
    for section in view.sections:
        length = f"{section.length:>5}/{section.node.length:<5}"
        out.line(f"{section.number:<6} {section.state:<8} {length} {section.node.title}")
    for said in shown["repeated"]:
        out.line(out.text("write.repeated", here=said["section"], before=said["before"], text=said["text"]))
    out.line(
        out.text(
            "write.summary",
            id=view.id,
            done=done,
            total=len(view.sections),
            length=view.length,
            asked=view.asked,
            unit=out.text(f"write.unit.{view.project.unit}"),
            score=f"{shown['score']:.0f}",
            repeated=shown["repeated_sentences"],
        )
    )
    problems = [section.number for section in view.sections if section.problem]
    if problems and not view.active:
        out.note(out.text("write.problems", numbers=", ".join(problems), id=view.id), "yellow")
