"""`twokeys presets`: the golden combinations, the scenarios and a person's own."""

from typing import TYPE_CHECKING, Any

import typer

from twokeys.cli.invocation import Invocation, Json, Model
from twokeys.cli.output import Output
from twokeys.types import Preset, Sampling

if TYPE_CHECKING:
    from rich.table import Table

    from twokeys.services import Services


def presets(context: typer.Context, model: Model = None, as_json: Json = False) -> None:
    call = Invocation.of(context, model, as_json)
    with call.services() as services:
        if call.out.as_json:
            call.out.json([preset_row(services, p, call.out.language) for p in services.presets.list()])
        else:
            call.out.console.print(presets_table(services, call.out))


def preset_row(services: "Services", preset: Preset, language: str) -> dict[str, object]:
    """Return one preset for scripts: its effective two keys, `changes` as it sets them, and its form."""
    effective = Sampling().with_(**preset.changes)
    schema = preset.answer_schema
    return {
        "name": preset.name,
        "kind": preset.kind,
        "label": preset_label(services, preset, language),
        "temperature": effective.temperature,
        "max_new_tokens": effective.max_new_tokens,
        "changes": dict(preset.changes),
        "clear_after_answer": preset.clear_after_answer,
        "system_prompt": preset.system_prompt,
        "answer_schema": None if schema is None else {"name": schema.name, "schema": schema.value},
    }


def presets_table(services: "Services", out: Output) -> "Table":
    """Return the presets as a table for people; "–" where a preset leaves a key as it is."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for column in ("name", "label", "temperature", "length"):
        justify: Any = "right" if column in ("temperature", "length") else "left"
        table.add_column(out.text(f"presets.{column}"), justify=justify)
    kind = None
    for preset in services.presets.list():
        if preset.kind != kind:
            kind = preset.kind
            table.add_row(f"[dim]{out.text(f'presets.kind.{kind}')}[/]")
        table.add_row(
            f"[cyan]{escape(preset.name)}[/]",
            escape(preset_label(services, preset, out.language)),
            str(preset.changes.get("temperature", "–")),
            str(preset.changes.get("max_new_tokens", "–")),
        )
    return table


def preset_label(services: "Services", preset: Preset, language: str) -> str:
    """Return what people call the preset."""
    return services.presets.label(preset, language)
