"""`twokeys engine`: builds of llama.cpp for this machine: list, survey, fetch, prove, use, remove."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from twokeys.cli.failures import EXIT_INTERRUPTED
from twokeys.cli.invocation import Invocation, Json, Model
from twokeys.cli.output import Output
from twokeys.cli.progress import fetch_with_progress
from twokeys.errors import ModelMissing
from twokeys.i18n import translate
from twokeys.units import bytes_text, memory_text

if TYPE_CHECKING:
    from twokeys.builds.manager import BuildEntry, BuildManager
    from twokeys.builds.survey import Card

app = typer.Typer(no_args_is_help=False)

Name = Annotated[str, typer.Argument(metavar="NAME", help="engine.name", show_default=False)]


@app.callback(invoke_without_command=True)
def engine(context: typer.Context, model: Model = None, as_json: Json = False) -> None:
    if context.invoked_subcommand is None:
        show_list(Invocation.of(context, model, as_json))


@app.command("list", help="engine.list")
def list_engines(context: typer.Context, model: Model = None, as_json: Json = False) -> None:
    show_list(Invocation.of(context, model, as_json))


@app.command("survey", help="engine.survey")
def survey(context: typer.Context, model: Model = None, as_json: Json = False) -> None:
    call = Invocation.of(context, model, as_json)
    out = call.out
    manager = open_manager(call)
    machine, why = manager.survey(), manager.hindrance()
    if out.as_json:
        out.json(
            {
                **asdict(machine),
                "problems": dict(machine.problems),
                "idle": why.in_language(out.language) if why else "",
            }
        )
        return
    out.line(
        f"{machine.system} {machine.machine}"
        + (f", glibc {_version(machine.glibc)}" if machine.glibc else "")
    )
    for card in machine.cards:
        out.line(f"  {_card_line(card, out)}")
    if not machine.cards:
        out.line(f"  {out.text('engine.no_card')}")
    for look, problem in machine.problems.items():
        if problem not in ("absent", "intel_mac"):
            out.line(f"  {look}: {translate(f'engines.problem.{problem}', out.language)}")
    if why is not None:
        out.note(why.in_language(out.language), "yellow")


@app.command("fetch", help="engine.fetch")
@app.command("install", help="engine.fetch", hidden=True)
def fetch(context: typer.Context, name: Name, model: Model = None, as_json: Json = False) -> int:
    call = Invocation.of(context, model, as_json)
    manager = open_manager(call)
    entry = manager.entry(name)
    paused = call.out.text("engine.paused", name=name)
    if not fetch_with_progress(
        lambda take, control: manager.fetch(name, take, control), name, entry.bytes, paused, call.out
    ):
        return EXIT_INTERRUPTED
    _done(call.out, manager.entry(name), "engine.fetched")
    return 0


@app.command("add", help="engine.add")
def add(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(metavar="PATH", help="engine.path", show_default=False)],
    model: Model = None,
    as_json: Json = False,
) -> None:
    call = Invocation.of(context, model, as_json)
    manager = open_manager(call)
    added = manager.add(path.expanduser())
    _done(call.out, manager.entry(added.name), "engine.added")


@app.command("prove", help="engine.prove")
@app.command("check", help="engine.prove", hidden=True)
def prove(
    context: typer.Context,
    name: Name,
    model: Model = None,
    tokens: Annotated[int, typer.Option("--tokens", min=8, max=512, metavar="N", help="engine.tokens")] = 64,
    as_json: Json = False,
) -> None:
    call = Invocation.of(context, model, as_json)
    manager = open_manager(call)
    call.out.note(call.out.text("engine.proving", name=name))
    proof = manager.prove(name, proof_model(call), tokens=tokens)
    if call.out.as_json:
        call.out.json({"name": name, "faster": proof.faster, **asdict(proof)})
        return
    key = "engine.proven" if proof.device else "engine.proven_processor"
    call.out.line(call.out.text(key, name=name, **proof_values(proof)))


@app.command("use", help="engine.use")
def use(context: typer.Context, name: Name, model: Model = None, as_json: Json = False) -> None:
    call = Invocation.of(context, model, as_json)
    manager = open_manager(call)
    manager.use(name)
    _done(call.out, manager.entry(name), "engine.used")


@app.command("rm", help="engine.rm")
@app.command("remove", help="engine.rm", hidden=True)
def remove(context: typer.Context, name: Name, model: Model = None, as_json: Json = False) -> None:
    call = Invocation.of(context, model, as_json)
    freed = open_manager(call).remove(name)
    if call.out.as_json:
        call.out.json({"name": name, "removed": True, "freed_bytes": freed})
    else:
        call.out.line(call.out.text("models.removed", name=name, size=bytes_text(freed)))


def open_manager(call: Invocation) -> "BuildManager":
    """Return the manager of builds alone: no database is needed."""
    from twokeys.builds.manager import BuildManager

    return BuildManager(call.config())


def proof_model(call: Invocation) -> Path:
    """Return the model to prove with: the one that was named, else the smallest that is here."""
    from twokeys.models.manager import ModelManager

    models = ModelManager(call.config())
    if call.model:
        return models.resolve(call.model).path
    smallest = models.smallest_installed()
    if smallest is None:
        raise ModelMissing(name="qwen2.5-0.5b")
    return models.resolve(smallest).path


def show_list(call: Invocation) -> None:
    """Print every build for this system, the best for this machine first."""
    from twokeys.engines.devices import list_devices

    out, manager = call.out, open_manager(call)
    entries = manager.entries()
    if out.as_json:
        rows = []
        for entry in entries:
            program = str(entry.installed.program) if entry.installed else None
            here = entry.installed is not None or entry.source == "bundled"
            devices = list_devices(program) if here else ()
            rows.append(row(entry, out.language) | {"devices": [_device(device) for device in devices]})
        out.json(rows)
        return
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for column in ("name", "backend", "state", "why"):
        table.add_column(out.text(f"engine.column.{column}"))
    for entry in entries:
        style = "cyan" if entry.active else "" if entry.usable else "dim"
        name = escape(entry.name)
        table.add_row(
            f"[{style}]{name}[/]" if style else name,
            translate(f"engines.backend.{entry.backend}", out.language) if entry.backend else "",
            state_text(entry, out),
            escape(entry.reason.in_language(out.language)),
        )
    out.console.print(table)
    why = manager.hindrance()
    if why is not None:
        out.note(why.in_language(out.language), "yellow")


def row(entry: "BuildEntry", language: str) -> dict[str, Any]:
    """Return one build for scripts."""
    installed, proof = entry.installed, entry.proof
    return {
        "name": entry.name,
        "backend": entry.backend,
        "version": entry.version,
        "source": entry.source,
        "installed": installed is not None or entry.source == "bundled",
        "active": entry.active,
        "usable": entry.usable,
        "reason": entry.reason.in_language(language),
        "card": entry.card,
        "bytes": entry.bytes,
        "partial_bytes": entry.partial_bytes,
        "path": str(installed.program) if installed else None,
        "sha256": installed.sha256 if installed else None,
        "proof": asdict(proof) | {"faster": proof.faster} if proof else None,
    }


def state_text(entry: "BuildEntry", out: Output) -> str:
    """Say whether a build is used, proven, here or can be fetched."""
    if entry.active:
        return f"[green]{out.text('engine.state.active')}[/]"
    if entry.source == "bundled" or (entry.installed and entry.proof):
        return out.text("engine.state.ready")
    if entry.installed:
        return out.text("engine.state.unproven")
    if not entry.usable:
        return f"[dim]{out.text('engine.state.unusable')}[/]"
    size = f" ({bytes_text(entry.bytes)})" if entry.bytes else ""
    return out.text("models.absent") + size


def proof_values(proof: Any) -> dict[str, object]:
    """Return what the sentence about a proof names."""
    return {
        "device": proof.device,
        "layers": proof.layers,
        "all": proof.of_layers,
        "agreed": proof.agreed,
        "tokens": proof.tokens,
        "speed": f"{proof.tok_per_s:.1f}",
        "processor": f"{proof.processor_tok_per_s:.1f}",
        "prompt": f"{proof.prompt_tok_per_s:.1f}",
        "processor_prompt": f"{proof.processor_prompt_tok_per_s:.1f}",
    }


def _done(out: Output, entry: "BuildEntry", key: str) -> None:
    if out.as_json:
        out.json(row(entry, out.language))
    else:
        out.line(out.text(key, name=entry.name))


def _device(device: Any) -> dict[str, object]:
    return {
        "name": device.name,
        "description": device.description,
        "total_bytes": device.total_bytes,
        "free_bytes": device.free_bytes,
    }


def _card_line(card: "Card", out: Output) -> str:
    facts = [card.name or card.vendor, out.text(f"engine.kind.{card.kind}")]
    if card.total_bytes:
        facts.append(memory_text(card.total_bytes))
    if card.driver:
        facts.append(out.text("engine.driver", version=card.driver))
    if card.compute:
        facts.append(out.text("engine.compute", version=_version(card.compute)))
    if card.vulkan:
        facts.append(f"Vulkan {_version(card.vulkan)}")
    if card.target:
        facts.append(card.target)
    return ", ".join(facts)


def _version(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
