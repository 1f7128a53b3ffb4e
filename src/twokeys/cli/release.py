"""`twokeys release`: force clear from outside the browser. Ends every engine process of this home."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from twokeys.cli.invocation import Invocation, Json, Model
from twokeys.cli.output import Output, human_memory

if TYPE_CHECKING:
    from twokeys.types import ReleaseReport


def release(context: typer.Context, model: Model = None, as_json: Json = False) -> None:
    from twokeys.engines.registry import release_workers

    call = Invocation.of(context, model, as_json)
    report = release_workers(call.config().run_dir)
    if call.out.as_json:
        call.out.json(asdict(report))
    else:
        call.out.line(release_sentence(report, call.out))


def release_sentence(report: "ReleaseReport", out: Output) -> str:
    """Say what came back, or that nothing was running."""
    if report.before_bytes == 0:
        return out.text("release.nothing")
    return out.text(
        "release.done",
        before=human_memory(report.before_bytes),
        after=human_memory(report.after_bytes),
        freed=human_memory(report.freed_bytes),
    )
