"""`twokeys models`: the catalogue, fetching, looking, deleting."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from twokeys.cli.failures import EXIT_INTERRUPTED
from twokeys.cli.invocation import Invocation, Json, Model
from twokeys.cli.output import Output
from twokeys.cli.progress import fetch_with_progress
from twokeys.i18n import translate
from twokeys.units import bytes_text

if TYPE_CHECKING:
    from twokeys.models.entries import ModelEntry
    from twokeys.models.manager import ModelManager

app = typer.Typer(no_args_is_help=True)

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
    """Download a model while showing how far it is. False: a person paused it with Ctrl-C."""
    paused = out.text("models.paused", name=entry.name)
    return fetch_with_progress(
        lambda take, control: manager.pull(entry.name, take, control), entry.name, entry.bytes, paused, out
    )


def report_pulled(out: Output, entry: "ModelEntry", key: str) -> None:
    """Say that the model is here and where."""
    if out.as_json:
        out.json({"type": "done", **model_row(entry, out.language)})
    else:
        out.line(out.text(key, name=entry.name, path=entry.path))


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
