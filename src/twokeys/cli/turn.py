"""One answer on the terminal: drawn, plain or as JSON lines, and what is said below it.

Ctrl-C stops the answer: its slot is free at once, the text so far is kept and shown.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from twokeys.cli.follow import AnswerProgress, Follower
from twokeys.cli.forms import validity_dict, validity_line
from twokeys.cli.output import Output
from twokeys.core.guard import Change, describe, describe_changes
from twokeys.i18n import translate
from twokeys.types import CUT_REASONS, GuardEvent, Message

if TYPE_CHECKING:
    from twokeys.cli.render import AnswerView
    from twokeys.core.answers import Sent
    from twokeys.services import Services


@dataclass(frozen=True, slots=True)
class ShownAnswer:
    """An answer that has ended.

    cancelled: a person pressed Ctrl-C. shown_chars: how much of the answer was shown, which is more
    than it has when the guard took its end off.
    """

    message: Message
    cancelled: bool = False
    shown_chars: int = 0

    @property
    def cut(self) -> bool:
        """Whether the answer is not complete and can be continued."""
        return self.message.finish_reason in CUT_REASONS and self.message.finish_reason != "error"


class TurnRunner:
    """Shows answers of one conversation after another in the same way.

    drawn: draw Markdown with a status line (a terminal); otherwise plain text as it comes.
    """

    def __init__(self, services: "Services", out: Output, *, drawn: bool) -> None:
        self._services = services
        self._out = out
        self._drawn = drawn

    @contextmanager
    def follow(self, conversation_id: str) -> Iterator[Follower]:
        """Listen to a conversation; enter this before asking, so that no word is missed."""
        with Follower(self._services.jobs).listen(conversation_id) as follower:
            yield follower

    def show(self, sent: "Sent", follower: Follower, *, before: str = "") -> ShownAnswer:
        """Show an answer until it ends and return it as stored. `before`: its text known already."""
        # JSON is no Markdown
        drawn = self._drawn and sent.answer_message.provenance.answer_schema is None
        shown = _Shown(self._out, drawn, before)
        already = len(before)
        cancelled = False
        events = follower.events(sent.job.id, already=already)
        with shown:
            while True:
                try:
                    progress = next(events)
                    if progress is not None:
                        shown.take(progress)
                        if progress.ended:
                            break
                    shown.refresh(self._services.jobs.view(sent.job.id))
                except KeyboardInterrupt:
                    cancelled = True
                    self._services.jobs.stop(sent.job.id)
                    events = follower.events(sent.job.id, already=shown.chars + already)
        message = self._services.conversations.message(sent.answer_message.id)
        return ShownAnswer(message, cancelled, already + shown.chars)

    def _guard_lines(self, message: Message) -> Iterator[str]:
        """What the guard noticed in the last part; warnings were told already unless the text is drawn."""
        parts = message.provenance.parts
        events = parts[-1].guard if parts else ()
        loudest = {event.kind: event for event in events if event.kind != "stall"}
        for event in loudest.values():
            if event.level != "note" and self._out.console.is_terminal:
                yield guard_line(event, self._out)
        notes = [
            describe(event, self._out.language).title for event in loudest.values() if event.level == "note"
        ]
        if notes:
            yield translate("guard.events.cli_notes", self._out.language, titles=" · ".join(notes))
        changed = [Change(**change) for change in (parts[-1].changed if parts else ())]
        if changed:
            yield describe_changes(changed, self._out.language)

    def say_validity(self, message: Message) -> None:
        """Say whether an answer that was asked for in a form holds to it."""
        line = validity_line(message, self._out)
        if line is not None:
            self._out.note(*line)

    def say_footer(self, turn: ShownAnswer, *, how_to_continue: str) -> None:
        """Say below the answer what it cost and whether it is whole."""
        removed = turn.shown_chars - len(turn.message.content)
        if removed > 0:
            self._out.note(self._out.text("chat.guard_cut", count=removed), "yellow")
        for text in self._guard_lines(turn.message):
            self._out.note(text, "yellow")
        self.say_validity(turn.message)
        for text, style in footer(turn.message, self._out, how_to_continue):
            self._out.note(text, style)


class _Shown:
    """Where the text of one answer goes."""

    def __init__(self, out: Output, drawn: bool, before: str) -> None:
        self._out = out
        self._stack = ExitStack()
        self._view: AnswerView | None = None
        self._drawn = drawn and not out.as_json
        self._last = "\n"
        self._before = before
        self._phase: str | None = None
        self._progress: float | None = None
        self._warning = ""
        self.chars = 0

    def __enter__(self) -> "_Shown":
        if self._drawn:
            from twokeys.cli.render import AnswerView

            view = AnswerView(self._out.console, hint=self._out.text("session.stop_hint"))
            self._view = self._stack.enter_context(view)
            self._view.go_on_from(self._before)
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()
        if not self._drawn and not self._out.as_json and self._last != "\n":
            self._out.line()

    def take(self, progress: AnswerProgress) -> None:
        """Write the new text."""
        self._phase = progress.phase or self._phase
        self._progress = progress.progress
        if progress.guard is not None:
            self._tell(progress.guard)
        if not progress.text:
            return
        self.chars += len(progress.text)
        self._last = progress.text[-1]
        if self._out.as_json:
            self._out.json({"type": "delta", "text": progress.text})
        elif self._view is not None:
            self._view.add(progress.text)
        else:
            self._out.write(progress.text)

    def _tell(self, event: GuardEvent) -> None:
        """Tell a warning or stop while it is written; a drawn answer has it on its status line."""
        if self._out.as_json:
            sentence = describe(event, self._out.language)
            self._out.json(
                {"type": "guard", **event.to_dict(), "title": sentence.title, "detail": sentence.detail}
            )
        elif event.kind == "stall":
            pass  # the status line tells it while it lasts
        elif self._view is not None:
            self._warning = (
                describe(event, self._out.language).title if event.level != "note" else self._warning
            )
        elif event.level != "note" and not self._out.console.is_terminal:
            self._out.note(guard_line(event, self._out), "yellow")

    def refresh(self, view: Any) -> None:
        """Bring the status line up to date."""
        if self._view is None or view is None:
            return
        phase = view.phase or self._phase or "queued"
        if view.stalled_s:
            status = self._out.text("phase.stalled", seconds=f"{view.stalled_s:.0f}")
        elif phase == "generating":
            speed = f"{view.tok_per_s:.0f}" if view.tok_per_s else "–"
            status = self._out.text("phase.generating", tokens=view.token_count, speed=speed)
        elif view.progress is not None and phase in ("prompt", "loading"):
            status = self._out.text(f"phase.{phase}_percent", percent=round(100 * view.progress))
        else:
            status = self._out.text(f"phase.{phase}")
        self._view.status(f"{status} · {self._warning}" if self._warning else status)


def noticed_lines(message: Message, out: Output) -> Iterator[str]:
    """Say what the guard noticed in a finished answer, the loudest of each kind; a stall is over by then."""
    rank = ("note", "warn", "stop")
    loudest: dict[str, GuardEvent] = {}
    for event in message.provenance.guard:
        known = loudest.get(event.kind)
        if event.kind != "stall" and (known is None or rank.index(event.level) >= rank.index(known.level)):
            loudest[event.kind] = event
    for event in loudest.values():
        yield guard_line(event, out)


def guard_line(event: GuardEvent, out: Output) -> str:
    """Return one line about something the guard noticed."""
    sentence = describe(event, out.language)
    return translate("guard.events.cli_line", out.language, title=sentence.title, detail=sentence.detail)


def footer(message: Message, out: Output, how_to_continue: str) -> Iterator[tuple[str, str]]:
    """Yield the quiet line of figures and, for a cut answer, a plain sentence with the next step."""
    facts = message.provenance
    timings, count = facts.timings, facts.completion_tokens
    parts = [out.text("footer.tokens", count=count)] if count is not None else []
    if timings.total_s is not None:
        parts.append(out.text("footer.seconds", seconds=f"{timings.total_s:.1f}"))
    if timings.tok_per_s:
        parts.append(f"{timings.tok_per_s:.1f} tok/s")
    if timings.ttft_s is not None:
        parts.append(out.text("footer.ttft", seconds=f"{timings.ttft_s:.2f}"))
    if drafted := facts.drafted:
        numbers = {"accepted": drafted["draft_accepted"], "drafted": drafted["draft_tokens"]}
        parts.append(out.text("footer.drafts", **numbers))
    reason = message.finish_reason or "stop"
    if reason not in CUT_REASONS:
        parts.append(out.text(f"finish.{reason}"))
    yield " · ".join(parts), "dim"
    if reason in CUT_REASONS and reason != "error":
        limit = facts.sampling_set.get("max_new_tokens", "?")
        text = out.text(f"finish.{reason}", limit=limit, context=facts.context or "?")
        yield f"{text}{out.text('finish.next', how=how_to_continue)}", "yellow"


def done_object(message: Message) -> dict[str, object]:
    """Return the last JSON line of a turn, by the CLI contract; what is not known is null."""
    facts = message.provenance
    return {
        "type": "done",
        "text": message.content,
        "finish_reason": message.finish_reason,
        "usage": {
            "prompt_tokens": facts.prompt_tokens,
            "completion_tokens": len(message.token_ids)
            if facts.completion_tokens is None
            else facts.completion_tokens,
            "cached_tokens": facts.cached_tokens,
        },
        "timings": {**asdict(facts.timings), **facts.drafted},
        "sampling": dict(facts.sampling),
        "seed": facts.seed,
        "model": facts.model,
        "documents": [dict(document) for document in facts.documents],
        "validity": validity_dict(message),
        "conversation": message.conversation_id,
        "message": message.id,
    }
