"""What commands share that write something out: to a file of a person's, or to the screen."""

from pathlib import Path
from typing import Annotated

import typer

from twokeys.cli.output import Output
from twokeys.errors import BadFile, BadInput, Reason
from twokeys.files import write_whole

File = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="conversations.output", show_default=False),
]
Force = Annotated[bool, typer.Option("--force", help="conversations.force")]


def deliver(out: Output, data: bytes, kind: str, file: Path | None, *, force: bool) -> None:
    """Write what was exported to a file, or print it as it is; in JSON mode a text is printed within JSON.

    Raises what `write_new_file` does.
    """
    if file is None:
        text = data.decode()
        if out.as_json and kind != "json":
            out.json({"format": kind, "text": text})
        else:
            out.line(text.rstrip("\n"))
        return
    write_new_file(file, data, force=force)
    if out.as_json:
        out.json({"path": str(file), "format": kind, "bytes": len(data)})
    else:
        out.note(out.text("conversations.exported", path=file))


def write_new_file(path: Path, data: bytes, *, force: bool = False) -> None:
    """Write a file its owner alone can read; one that exists is replaced, as a whole, only with `force`.

    Raises BadInput when it exists, BadFile when it cannot be written.
    """
    path = path.expanduser()
    try:
        write_whole(path, data, replace=force)
    except FileExistsError as exc:
        raise BadInput(reason=Reason("cli.conversations.exists", path=path)) from exc
    except OSError as exc:
        reason = Reason("cli.conversations.cannot_write", reason=exc.strerror or str(exc))
        raise BadFile(name=str(path), reason=reason) from exc
