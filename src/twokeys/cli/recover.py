"""`twokeys chat --recover`: when memory runs out, take recovery steps and go on with the same answer."""

import sys
from typing import TYPE_CHECKING, Literal

import typer

from twokeys.cli.failures import stored_error
from twokeys.errors import MEMORY_CODES, BadInput, Reason

if TYPE_CHECKING:
    from twokeys.cli.follow import Follower
    from twokeys.cli.output import Output
    from twokeys.cli.turn import ShownAnswer, TurnRunner
    from twokeys.core.recovery import RecoveryStep
    from twokeys.services import Services

Mode = Literal["auto", "ask", "off"]
MODES: tuple[Mode, ...] = ("auto", "ask", "off")


def recover_mode(wanted: str) -> Mode:
    """Return the mode by its name. Raises BadInput for another word."""
    for mode in MODES:
        if wanted == mode:
            return mode
    raise BadInput(reason=Reason("cli.recover.modes"))


def recover_turn(
    services: "Services",
    out: "Output",
    runner: "TurnRunner",
    follower: "Follower",
    turn: "ShownAnswer",
    mode: Mode,
) -> "ShownAnswer":
    """Return the turn as it is after recovery: the same answer, written on from its text.

    ask: a person is asked before each step; where nobody can be asked it is off.
    """
    while mode != "off":
        if turn.message.error is None or turn.message.error.get("code") not in MEMORY_CODES:
            return turn
        out.note(stored_error(turn.message.error, out.language)["message"], "bold red")
        if mode == "ask" and not _agreed(out):
            return turn
        taken = services.recovery.next_step(turn.message.id)
        if taken is None:
            out.note(out.text("recover.nothing"), "yellow")
            return turn
        step, sent = taken
        if out.as_json:
            out.json({"type": "recovery", **step.to_dict()})
        out.note(describe_step(step, out), "yellow")
        turn = runner.show(sent, follower, before=turn.message.content)
    return turn


def describe_step(step: "RecoveryStep", out: "Output") -> str:
    """Say what a step has changed."""
    text = out.text(f"recover.{step.name}", before=step.before, after=step.after)
    if step.context is not None:
        text += out.text("recover.context", before=step.context[0], after=step.context[1])
    return text


def _agreed(out: "Output") -> bool:
    if out.as_json or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    return typer.confirm(out.text("recover.ask"), default=True, err=True)
