"""`twokeys models`: the catalogue, fetching, looking, deleting."""

from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as Unfinished
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from twokeys.cli.failures import EXIT_INTERRUPTED
from twokeys.cli.invocation import Invocation, Json, Model
from twokeys.cli.output import Output
from twokeys.i18n import translate
from twokeys.units import bytes_text, duration_text

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from twokeys.models.download import Progress
    from twokeys.models.entries import ModelEntry
    from twokeys.models.manager import ModelManager

app = typer.Typer(no_args_is_help=True)

POLL_S = 0.2

Name = Annotated[str, typer.Argument(metavar="NAME", help="models.name", show_default=False)]


@app.command("list", help="models.list")
def list_models(context: typer.Context, model: Model = None, as_json: Json = False) -> None:
    call = Invocation.of(context, model, as_json)
    out = call.out
    entries = open_manager(call).list()
    if out.as_json:
        out.json([model_row(entry, out.language) for entry in entries])
        return
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for column in ("name", "parameters", "quantisation", "size", "state"):
        justify: Any = "right" if column == "size" else "left"
        table.add_column(out.text(f"models.{column}"), justify=justify)
    for entry in entries:
        style = "cyan" if entry.installed else "dim"
        table.add_row(
            f"[{style}]{escape(entry.name)}[/]",
            entry.parameters,
            entry.quantisation,
            bytes_text(entry.bytes),
            _state(entry, out),
        )
    out.console.print(table)


@app.command("pull", help="models.pull")
def pull(context: typer.Context, name: Name, model: Model = None, as_json: Json = False) -> int:
    call = Invocation.of(context, model, as_json)
    manager = open_manager(call)
    entry = manager.info(name)
    if entry.installed and not entry.broken:
        report_pulled(call.out, entry, "models.already")
        return 0
    if not fetch(manager, entry, call.out):
        return EXIT_INTERRUPTED
    report_pulled(call.out, manager.info(entry.name), "models.pulled")
    return 0


@app.command("info", help="models.info")
def info(context: typer.Context, name: Name, model: Model = None, as_json: Json = False) -> None:
    call = Invocation.of(context, model, as_json)
    out = call.out
    entry = open_manager(call).info(name)
    row = model_row(entry, out.language)
    if out.as_json:
        header = entry.metadata
        row["shape"] = asdict(entry.shape) if entry.shape else None
        row["context"] = header.context if header else (entry.shape.context if entry.shape else None)
        row["architecture"] = header.architecture if header else None
        out.json(row)
        return
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    shown = {
        "name": entry.name,
        "about": row["about"],
        "parameters": entry.parameters,
        "quantisation": entry.quantisation,
        "size": bytes_text(entry.bytes),
        "languages": ", ".join(entry.languages),
        "licence": entry.licence,
        "source": row["source_label"],
        "path": str(entry.path or ""),
        "sha256": entry.sha256 or "",
    }
    for key, value in shown.items():
        if value:
            table.add_row(f"[dim]{out.text(f'models.{key}')}[/]", escape(value))
    table.add_row(f"[dim]{out.text('models.state')}[/]", _state(entry, out))
    out.console.print(table)


@app.command("rm", help="models.rm")
def rm(context: typer.Context, name: Name, model: Model = None, as_json: Json = False) -> None:
    call = Invocation.of(context, model, as_json)
    manager = open_manager(call)
    canonical = manager.info(name).name
    freed = manager.remove(canonical)
    if call.out.as_json:
        call.out.json({"name": canonical, "removed": True, "freed_bytes": freed})
    else:
        call.out.line(call.out.text("models.removed", name=canonical, size=bytes_text(freed)))


def open_manager(call: Invocation) -> "ModelManager":
    """Return the model manager alone: no database and no engine is needed for files."""
    from twokeys.models.manager import ModelManager

    return ModelManager(call.config())


def model_row(entry: "ModelEntry", language: str) -> dict[str, Any]:
    """Return one model for scripts."""
    return {
        "name": entry.name,
        "installed": entry.installed,
        "bytes": entry.bytes,
        "path": str(entry.path) if entry.path else None,
        "sha256": entry.sha256,
        "family": entry.family,
        "parameters": entry.parameters,
        "quantisation": entry.quantisation,
        "languages": list(entry.languages),
        "licence": entry.licence,
        "is_fallback": entry.is_fallback,
        "source": entry.source,
        "source_label": translate(f"models.source.{entry.source}", language) if entry.source else "",
        "partial_bytes": entry.partial_bytes,
        "broken": entry.broken,
        "about": translate(entry.about, language),
    }


def fetch(manager: "ModelManager", entry: "ModelEntry", out: Output) -> bool:
    """Download a model while showing how far it is. False: a person paused it with Ctrl-C.

    Raises DownloadFailed or DiskFull; what came so far is kept.
    """
    from twokeys.models.download import Cancelled, Control

    control = Control()
    show = PullJson(out, entry) if out.as_json else PullBar(out, entry)
    with show, ThreadPoolExecutor(1, thread_name_prefix="pull") as pool:
        pulling = pool.submit(manager.pull, entry.name, show.take, control)
        try:
            while True:
                try:
                    pulling.result(POLL_S)
                    return True
                except Unfinished:
                    continue
        except KeyboardInterrupt:
            control.cancel()
            try:
                pulling.result()
                return True
            except Cancelled:
                pass
    message = out.text("models.paused", name=entry.name)
    if out.as_json:
        out.json({"error": {"code": "paused", "message": message, "hint": ""}})
    out.note(message, "yellow")
    return False


def report_pulled(out: Output, entry: "ModelEntry", key: str) -> None:
    """Say that the model is here and where."""
    if out.as_json:
        out.json({"type": "done", **model_row(entry, out.language)})
    else:
        out.line(out.text(key, name=entry.name, path=entry.path))


class PullJson:
    """Progress as JSON lines, for scripts."""

    def __init__(self, out: Output, entry: "ModelEntry") -> None:
        self._out = out
        self._name = entry.name

    def __enter__(self) -> "PullJson":
        return self

    def __exit__(self, *error: object) -> None: ...

    def take(self, progress: "Progress") -> None:
        """Print one line."""
        self._out.json({"type": "progress", "name": self._name, **asdict(progress)})


class PullBar:
    """Progress as a bar with speed and time left, on stderr."""

    def __init__(self, out: Output, entry: "ModelEntry") -> None:
        from rich.progress import BarColumn, Progress, TextColumn

        self._out = out
        self._bar: Bar = Progress(
            TextColumn("[cyan]{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("[dim]{task.fields[figures]}"),
            console=out.errors,
            transient=True,
            expand=True,
        )
        self._task: TaskID = self._bar.add_task(entry.name, total=entry.bytes, figures="")
        self._name = entry.name

    def __enter__(self) -> "PullBar":
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def take(self, progress: "Progress") -> None:
        """Move the bar."""
        figures = [bytes_text(progress.done_bytes), "/", bytes_text(progress.total_bytes)]
        if progress.stage == "downloading" and progress.speed:
            figures += ["·", f"{bytes_text(progress.speed)}/s"]
            if progress.eta_s is not None:
                figures += ["·", duration_text(progress.eta_s, self._out.language)]
        else:
            figures += ["·", translate(f"models.state.{progress.stage}", self._out.language)]
        if progress.source:
            figures += ["·", translate(f"models.source.{progress.source}", self._out.language)]
        self._bar.update(
            self._task, completed=progress.done_bytes, total=progress.total_bytes, figures=" ".join(figures)
        )


def _state(entry: "ModelEntry", out: Output) -> str:
    if entry.broken:
        reason = (
            entry.broken.in_language(out.language) if hasattr(entry.broken, "in_language") else entry.broken
        )
        return f"[red]{reason}[/]"
    if entry.installed:
        return f"[green]{out.text('models.installed')}[/]"
    if entry.partial_bytes:
        return out.text("models.partial", percent=int(100 * entry.partial_bytes / entry.bytes))
    return f"[dim]{out.text('models.fallback' if entry.is_fallback else 'models.absent')}[/]"
