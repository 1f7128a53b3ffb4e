"""`twokeys study`: run parameter studies, report them, list them.

A run can be stopped with Ctrl-C, killed, or lose its engine: the same command goes on where it was.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from twokeys.cli.failures import EXIT_INTERRUPTED, StoredFailure
from twokeys.cli.invocation import Invocation, Json, Model
from twokeys.cli.output import Output
from twokeys.errors import BadFile, BadInput, NotFound, Reason, read_stored
from twokeys.files import write_whole
from twokeys.units import bytes_text, duration_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.table import Table

    from twokeys.core.study.estimate import StudyPlan
    from twokeys.core.study.fleet import FleetSpec
    from twokeys.core.study.lab import Lab, StudyView
    from twokeys.core.study.result import StudyResult
    from twokeys.core.study.study import Study
    from twokeys.services import Services

app = typer.Typer(no_args_is_help=True)

POLL_S = 0.5
RESULT_GROUPS = ("claims", "paper", "structured")
"""Groups of shipped studies whose raw data and reports can be written to a folder."""
SHORTEST_PREFIX = 4

Html = Annotated[Path | None, typer.Option("--html", metavar="OUT", help="study.html")]
Id = Annotated[str, typer.Argument(metavar="ID", help="study.id", show_default=False)]


@app.command("run", help="study.run")
def run(
    context: typer.Context,
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE.toml", help="study.file", show_default=False)
    ] = None,
    shipped: Annotated[str | None, typer.Option("--shipped", metavar="NAME", help="study.shipped")] = None,
    again: Annotated[bool, typer.Option("--again", help="study.again")] = False,
    plan: Annotated[bool, typer.Option("--plan", help="study.plan")] = False,
    html: Html = None,
    results: Annotated[Path | None, typer.Option("--results", metavar="DIR", help="study.results")] = None,
    engine: Annotated[list[str] | None, typer.Option("--engine", metavar="URL", help="study.engine")] = None,
    ray: Annotated[str | None, typer.Option("--ray", metavar="local|ADDRESS", help="study.ray")] = None,
    workers: Annotated[int, typer.Option("--workers", metavar="N", help="study.workers")] = 0,
    cpus: Annotated[float, typer.Option("--cpus", metavar="N", help="study.cpus")] = 1.0,
    gpus: Annotated[float, typer.Option("--gpus", metavar="N", help="study.gpus")] = 0.0,
    model: Model = None,
    as_json: Json = False,
) -> int:
    from twokeys.core.study.fleet import FleetSpec

    call = Invocation.of(context, model, as_json)
    studies = read_studies(file, shipped, call.out.language)
    on = FleetSpec(tuple(engine or ()), ray, workers, cpus, gpus)
    if results is not None and (shipped or "").partition("-")[0] not in RESULT_GROUPS:
        raise BadInput(reason=Reason("cli.study.results_need_claims"))
    with call.services() as services:
        if plan:
            show_plans(services, call.out, studies)
            show_nodes(services, call.out, on)
            return 0
        reports = []
        for study in studies:
            view = run_one(services, call.out, study, on, again=again)
            if view.state != "done":
                return stopped(call.out, view)
            result = services.lab.result(view.id)
            reports.append(result)
            if html is not None:
                write_html(html, result, call.out, several=len(studies) > 1)
        if results is not None:
            write_results(services, call.out, results, shipped or "")
        show(call.out, reports)
        return 0


@app.command("report", help="study.report")
def report(
    context: typer.Context, study_id: Id, html: Html = None, model: Model = None, as_json: Json = False
) -> None:
    call = Invocation.of(context, model, as_json)
    with call.services() as services:
        result = services.lab.result(find_study(services.lab, study_id))
        if html is not None:
            write_html(html, result, call.out)
        show(call.out, [result])


@app.command("list", help="study.list")
def list_studies(context: typer.Context, model: Model = None, as_json: Json = False) -> None:
    call = Invocation.of(context, model, as_json)
    with call.services() as services:
        views = services.lab.list(200)
        if call.out.as_json:
            call.out.json([study_row(view) for view in views])
        elif not views:
            call.out.note(call.out.text("study.none"))
        else:
            call.out.console.print(studies_table(views, call.out))


@app.command("claims", help="study.claims")
def claims(context: typer.Context, model: Model = None, as_json: Json = False) -> None:
    call = Invocation.of(context, model, as_json)
    from twokeys.core.study.claims import claim_text, known_claims

    with call.services() as services:
        own = services.lab.claims()
    rows = known_claims(own)
    language = call.out.language
    if call.out.as_json:
        call.out.json(
            [
                {**row.to_dict(), "text": row.sentence(language), "decided_by": row.decided_by(language)}
                for row in rows
            ]
        )
        return
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for column in ("claim", "model", "verdict", "found"):
        table.add_column(call.out.text(f"study.{column}"))
    for row in rows:
        said = " ".join(part for part in (row.sentence(language), row.decided_by(language)) if part)
        text = f"{claim_text(row.claim, language)}\n[dim]{escape(said)}[/]"
        table.add_row(row.claim, escape(row.model), row.verdict_text(language), text)
    call.out.console.print(table)


@app.command("papers", help="study.papers")
def papers(context: typer.Context, model: Model = None, as_json: Json = False) -> None:
    call = Invocation.of(context, model, as_json)
    from twokeys.core.study.papers import PAPERS, known_papers

    with call.services() as services:
        rows = known_papers(services.lab.papers())
    language = call.out.language
    if call.out.as_json:
        call.out.json([{**row.to_dict(), "text": row.sentence(language)} for row in rows])
        return
    for paper in PAPERS:
        call.out.console.print(f"\n[bold]{paper.title(language)}[/] [dim]{paper.url} · {paper.study}[/]")
        says = (paper.hypothesis(language), paper.margin_text(language))
        call.out.console.print(f" {' · '.join(part for part in says if part)}", markup=False)
        for row in rows:
            if row.paper == paper.name:
                call.out.console.print(f" {row.model}: {row.sentence(language)}", markup=False)


def read_studies(file: Path | None, shipped: str | None, language: str) -> "Sequence[Study]":
    """Return the studies named on the command line. Raises BadInput, BadFile or NotFound."""
    from twokeys.core.study.study import Study, shipped_group

    if (file is None) == (shipped is None):
        raise BadInput(reason=Reason("cli.study.one_source"))
    if shipped is not None:
        return shipped_group(shipped, language)
    if file is None:
        return ()
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise BadFile(name=file.name, reason=str(exc)) from exc
    return (Study.from_toml(text, file.stem),)


def run_one(
    services: "Services", out: Output, study: "Study", on: "FleetSpec", *, again: bool
) -> "StudyView":
    """Run a study, or go on with the run of the same one that is there; return it as it ended."""
    lab = services.lab
    model = None if on else services.engines.name
    view = None if again else lab.find(study, model, on_fleet=bool(on))
    if view is not None and view.state == "done":
        out.note(out.text("study.there", name=study.title_in(out.language)))
        return view
    if view is None:
        view = lab.create(study)
        say_plan(out, study, lab.plan(study))
    else:
        out.note(out.text("study.goes_on", id=view.id, done=view.done, total=view.total))
    lab.start(view.id, on)
    with follow(out, study.title_in(out.language)) as draw:
        try:
            while True:
                view = lab.wait(view.id, POLL_S)
                draw(view)
                if view.state not in ("running", "waiting"):
                    return view
        except KeyboardInterrupt:
            return lab.pause(view.id)


def stopped(out: Output, view: "StudyView") -> int:
    """Say how a run ended before its end; return the exit code."""
    if view.state == "failed" and view.error is not None:
        out.note(out.text("study.kept", id=view.id, done=view.done, total=view.total), "yellow")
        raise StoredFailure(view.error)
    out.note(out.text("study.paused", id=view.id, done=view.done, total=view.total), "yellow")
    if out.as_json:
        out.json(study_row(view))
    return EXIT_INTERRUPTED


@contextmanager
def follow(out: Output, title: str) -> "Iterator[Callable[[StudyView], None]]":
    """Draw a study's progress on a terminal; say nothing elsewhere."""
    if out.as_json or not out.errors.is_terminal:
        with nullcontext():
            yield lambda view: None
        return
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
    with Progress(*columns, TextColumn("{task.fields[left]}"), console=out.errors, transient=True) as bar:
        task = bar.add_task(title, total=None, left="")

        def draw(view: "StudyView") -> None:
            left = (
                ""
                if view.left_s is None
                else out.text("study.left", time=duration_text(view.left_s, out.language))
            )
            if view.state == "waiting":
                left = (
                    out.text("study.waiting")
                    if view.error is None
                    else stored_message(view.error, out.language)
                )
            bar.update(task, total=view.total, completed=view.done, left=left)

        yield draw


def stored_message(error: Mapping[str, object], language: str) -> str:
    return read_stored(error).message(language)


def say_plan(out: Output, study: "Study", plan: "StudyPlan") -> None:
    """Tell what a run will mean, before it starts."""
    time = (
        duration_text(plan.seconds, out.language)
        if plan.seconds is not None
        else out.text("study.time_unknown")
    )
    name = study.title_in(out.language)
    out.note(out.text("study.plan_line", name=name, answers=plan.generations, shared=plan.shared, time=time))


def show_plans(services: "Services", out: Output, studies: "Sequence[Study]") -> None:
    """Print what running would mean, and what it could see."""
    from twokeys.core.study.result import shown_difference
    from twokeys.i18n import translate

    for study in studies:
        plan = services.lab.plan(study)
        if out.as_json:
            power = [{name: getattr(row, name) for name in row.__slots__} for row in plan.power]
            facts = {name: getattr(plan, name) for name in ("generations", "shared", "tokens", "seconds")}
            out.json({"name": study.name, **facts, "power": power})
            continue
        say_plan(out, study, plan)
        for row in plan.power:
            measure = translate(f"lab.measure.{row.measure}.title", out.language)
            needs = "" if row.needed is None else " " + out.text("study.needs", answers=row.needed)
            if row.smallest is None:
                out.line(f"  {measure}: " + out.text("study.sees_nothing") + needs)
                continue
            smallest = f"{row.smallest:.0%}"
            if not row.relative:
                smallest = shown_difference(row.measure, row.smallest, out.language)
            out.line(
                f"  {measure}: " + out.text("study.sees", smallest=smallest, answers=row.answers) + needs
            )


def show_nodes(services: "Services", out: Output, on: "FleetSpec") -> None:
    """Print what a start would mean on each worker's node of a cluster; nothing without one."""
    for node in services.lab.node_plans(on):
        if out.as_json:
            out.json(node.to_dict())
            continue
        missing, free = node.missing_bytes, node.free_disk_bytes
        text = out.text("study.node", node=node.node, needed=bytes_text(node.needed_bytes),
                        free=bytes_text(node.free_bytes))  # fmt: skip
        if missing:
            text = out.text(
                "study.node_fetches", node=node.node, size=bytes_text(missing), free=bytes_text(free)
            )
        out.line("  " + text)
        if node.error is not None:
            out.line(f"    {stored_message(node.error, out.language)}")


def write_html(path: Path, result: "StudyResult", out: Output, *, several: bool = False) -> None:
    """Write the report as one HTML file; of several studies each gets its name in the file's."""
    from twokeys.reports.page import html_report

    target = path.with_name(f"{path.stem}-{result.study.name}{path.suffix or '.html'}") if several else path
    try:
        write_whole(target, html_report(result, out.language).encode())
    except OSError as exc:
        raise BadFile(name=str(target), reason=str(exc)) from exc
    out.note(out.text("study.html_written", path=target))


def write_results(services: "Services", out: Output, folder: Path, shipped: str) -> None:
    """Write raw data of this machine's own runs of some studies, and the reports of all in the folder."""
    from twokeys.core.study.claim_rules import examine
    from twokeys.reports.archive import read_group, write_group

    studies = services.lab.claim_studies(services.engines.name, lambda name: name.startswith(shipped))
    model = next((study.model for study in studies.values()), "")
    command = f"twokeys study run --shipped {shipped} --model {model}"
    everything = {**read_group(folder), **studies}
    for path in write_group(folder, everything, examine(everything), command):
        out.note(str(path))


def show(out: Output, results: "Sequence[StudyResult]") -> None:
    """Print the results: one JSON object (a list of several studies' under "studies"), or tables."""
    if out.as_json:
        reports: list[Mapping[str, Any]] = [result.to_dict(out.language) for result in results]
        if len(reports) == 1:
            out.json(reports[0])
        else:
            cells = [{**cell, "study": report["name"]} for report in reports for cell in report["cells"]]
            verdicts = [{**v, "study": report["name"]} for report in reports for v in report["verdicts"]]
            out.json({"studies": reports, "cells": cells, "verdicts": verdicts})
        return
    for result in results:
        out.console.print(f"\n[bold]{result.study.title_in(out.language)}[/] [dim]{result.study_id}[/]")
        out.console.print(cells_table(result, out))
        for curve in result.exact:
            out.console.print(f" {curve.sentence(out.language)}", markup=False)
        for note in result.notes(out.language):
            out.console.print(f" {note}", style="yellow", markup=False)
        for comparison in result.comparisons:
            out.console.print(f" {SIGNS[comparison.kind]} {comparison.sentence(out.language)}", markup=False)


SIGNS = {"different": "≠", "same": "=", "undecided": "?"}


def cells_table(result: "StudyResult", out: Output) -> "Table":
    """Return the cells with the measures that get verdicts."""
    from rich.markup import escape
    from rich.table import Table

    from twokeys.core.study.axes import cell_title
    from twokeys.core.study.result import shown
    from twokeys.i18n import translate

    names = [name for name in result.measures if name in result.study.outcomes] or list(result.measures)[:4]
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column(out.text("study.cell"))
    table.add_column(out.text("study.answers"), justify="right")
    for name in names:
        table.add_column(translate(f"lab.measure.{name}.title", out.language), justify="right")
    for cell in result.cells:
        values = [
            shown(n, cell.estimates[n].mean, out.language) if n in cell.estimates else "–" for n in names
        ]
        table.add_row(f"[cyan]{escape(cell_title(cell.name, out.language))}[/]", str(cell.answers), *values)
    return table


def studies_table(views: "Sequence[StudyView]", out: Output) -> "Table":
    """Return the studies as a table for people."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for column in ("identifier", "name", "state", "answers", "model"):
        table.add_column(out.text(f"study.{column}"))
    for view in views:
        name = escape(view.study.title_in(out.language))
        state = out.text(f"study.states.{view.state}")
        table.add_row(f"[cyan]{view.id}[/]", name, state, f"{view.done}/{view.total}", escape(view.model))
    return table


def study_row(view: "StudyView") -> dict[str, object]:
    """Return a study for scripts."""
    return {
        "id": view.id,
        "name": view.study.name,
        "title": view.study.title,
        "state": view.state,
        "done": view.done,
        "total": view.total,
        "model": view.model,
        "created_at": view.created_at,
    }


def find_study(lab: "Lab", study_id: str) -> str:
    """Return the whole id of a study named by it or by its beginning. Raises NotFound."""
    known = [view.id for view in lab.list(500)]
    matches = [known_id for known_id in known if known_id == study_id]
    if not matches and len(study_id) >= SHORTEST_PREFIX:
        matches = [
            known_id for known_id in known if known_id.startswith(study_id) or known_id.endswith(study_id)
        ]
    if len(matches) != 1:
        raise NotFound(kind="study", name=study_id)
    return matches[0]
