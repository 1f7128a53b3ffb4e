"""`twokeys prompts`: what `twokeys chat --prompt` can ask, a person's own prompts and the shipped ones."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twokeys.cli.invocation import Invocation, Json
from twokeys.cli.output import Output
from twokeys.core.prompts import Prompts, variables
from twokeys.errors import BadFile
from twokeys.files import write_whole
from twokeys.types import SavedPrompt

if TYPE_CHECKING:
    from rich.table import Table


def prompts(
    context: typer.Context,
    export: Annotated[
        Path | None, typer.Option("--export", metavar="FILE", help="prompts.export", show_default=False)
    ] = None,
    source: Annotated[
        Path | None, typer.Option("--import", metavar="FILE", help="prompts.import", show_default=False)
    ] = None,
    as_json: Json = False,
) -> None:
    call = Invocation.of(context, None, as_json)
    with call.repository() as repository:
        library = Prompts(repository)
        if source is not None:
            try:
                text = source.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as exc:
                raise BadFile(name=str(source), reason=str(exc)) from exc
            library.import_toml(text)
        if export is not None:
            write_whole(export, library.export_toml().encode())
            return
        listed = library.list(call.out.language)
    if call.out.as_json:
        call.out.json([prompt_row(prompt) for prompt in listed])
    else:
        call.out.console.print(prompts_table(listed, call.out))


def prompt_row(prompt: SavedPrompt) -> dict[str, object]:
    """Return one prompt for scripts."""
    return {
        "name": prompt.name,
        "shipped": prompt.shipped,
        "variables": [{"name": v.name, "default": v.default} for v in variables(prompt.text)],
        "text": prompt.text,
        "changes": dict(prompt.changes),
        "system_prompt": prompt.system_prompt,
        "answer_schema": prompt.answer_schema.value if prompt.answer_schema is not None else None,
    }


def prompts_table(listed: Sequence[SavedPrompt], out: Output) -> "Table":
    """Return the prompts as a table for people."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for column in ("name", "variables", "temperature", "length"):
        table.add_column(out.text(f"prompts.{column}"))
    for prompt in listed:
        names = ", ".join(variable.name for variable in variables(prompt.text))
        table.add_row(
            f"[cyan]{escape(prompt.name)}[/]",
            escape(names) or "–",
            str(prompt.changes.get("temperature", "–")),
            str(prompt.changes.get("max_new_tokens", "–")),
        )
    return table
