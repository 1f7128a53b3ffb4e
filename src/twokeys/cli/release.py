"""`twokeys release`: force clear from outside the browser. Ends every engine process of this home.

The conversation that was talked in last while it ran begins anew, as by the button in its page: the
transcript stays, and the next message is read without it unless a person chooses otherwise.
"""

import time
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from twokeys.cli.invocation import Invocation, Json, Model
from twokeys.cli.output import Output
from twokeys.errors import TwoKeysError
from twokeys.types import ResetMark
from twokeys.units import memory_text

if TYPE_CHECKING:
    from twokeys.types import ReleaseReport


def release(context: typer.Context, model: Model = None, as_json: Json = False) -> None:
    from twokeys.engines.registry import list_workers, release_workers

    call = Invocation.of(context, model, as_json)
    run_dir = call.config().run_dir
    since = min((worker.created_at for worker in list_workers(run_dir)), default=None)
    report = release_workers(run_dir)
    if since is not None:
        mark_cleared(call, since)
    if call.out.as_json:
        call.out.json(asdict(report))
    else:
        call.out.line(release_sentence(report, call.out))


def mark_cleared(call: Invocation, since: float) -> None:
    """Reset the conversation that was talked in last since then (Unix seconds), if there is one.

    A store that cannot be opened is named on standard error; the memory has come back all the same.
    """
    try:
        with call.repository() as repository:
            talks = repository.list_conversations(limit=repository.count_conversations())
            last = max(talks, key=lambda talk: talk.updated_at, default=None)
            if last is not None and last.head_id is not None and last.updated_at >= since:
                mark = ResetMark(last.head_id, at=time.time())
                repository.update_conversation(last.id, resets=last.resets_with(mark))
    except TwoKeysError as error:
        call.out.note(error.message(call.out.language), "yellow")


def release_sentence(report: "ReleaseReport", out: Output) -> str:
    """Say what came back, or that nothing was running."""
    if report.before_bytes == 0:
        return out.text("release.nothing")
    return out.text(
        "release.done",
        before=memory_text(report.before_bytes),
        after=memory_text(report.after_bytes),
        freed=memory_text(report.freed_bytes),
    )
