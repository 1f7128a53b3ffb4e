"""`twokeys keys`: the keys that other programs need to use the API. A key is shown once."""

import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from twokeys.cli.invocation import Invocation, Json
from twokeys.config import prepare_home

if TYPE_CHECKING:
    from twokeys.api.keys import ApiKeys

app = typer.Typer(no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="NAME", help="keys.name")]


def _keys(call: Invocation) -> "ApiKeys":
    from twokeys.api.keys import KEYS_FILE, ApiKeys

    config = call.config()
    prepare_home(config)
    return ApiKeys(config.home / KEYS_FILE)


@app.command("add", help="keys.add")
def add(context: typer.Context, name: Name, as_json: Json = False) -> None:
    call = Invocation.of(context, None, as_json)
    made = _keys(call).add(name)
    if call.out.as_json:
        call.out.json({"name": made.name, "key": made.key})
        return
    call.out.line(made.key)
    call.out.note(call.out.text("keys.once"), "yellow")


@app.command("list", help="keys.list")
def list_(context: typer.Context, as_json: Json = False) -> None:
    from rich.markup import escape
    from rich.table import Table

    call = Invocation.of(context, None, as_json)
    out, keys = call.out, _keys(call).list()
    if out.as_json:
        out.json([key.shown() for key in keys])
        return
    if not keys:
        out.line(out.text("keys.none"))
        return
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for column in ("name", "created", "used", "requests"):
        table.add_column(out.text(f"keys.column.{column}"))
    for key in keys:
        table.add_row(escape(key.name), _day(key.created_at), _day(key.last_used_at), str(key.requests))
    out.console.print(table)


@app.command("rm", help="keys.rm")
def rm(context: typer.Context, name: Name, as_json: Json = False) -> None:
    call = Invocation.of(context, None, as_json)
    _keys(call).remove(name)
    if call.out.as_json:
        call.out.json({"name": name, "removed": True})
    else:
        call.out.line(call.out.text("keys.removed", name=name))


def _day(seconds: float | None) -> str:
    return "–" if seconds is None else datetime.datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")
