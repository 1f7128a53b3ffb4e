"""`twokeys compare`: one question at several temperatures, side by side.

The question is read once for all columns where memory allows it. What comes out is stored like the
browser's comparisons and can be opened there.
"""

import queue
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from twokeys.cli.chat import choose_settings, model_line, read_prompt
from twokeys.cli.failures import EXIT_INTERRUPTED, StoredFailure
from twokeys.cli.invocation import Invocation, Json, Model
from twokeys.cli.output import Output
from twokeys.cli.turn import noticed_lines
from twokeys.core.compare.column import DEFAULT_TEMPERATURES
from twokeys.core.compare.comparison import ColumnView, Comparison
from twokeys.errors import BadParameter, EmptyMessage
from twokeys.i18n import translate

if TYPE_CHECKING:
    from twokeys.services import Services

DRAW_S = 0.1
"""The drawing is made anew at most so often."""

SHARING_TIMEOUT_S = 2.0
"""So long after the last column it is waited for how the columns shared the question."""

COLUMN_WIDTH = 36
"""Columns narrower than this are shown below each other."""


@dataclass(frozen=True, slots=True)
class Followed:
    """A comparison after its end. cancelled: Ctrl-C ended it."""

    comparison: Comparison
    cancelled: bool = False


def compare(
    context: typer.Context,
    prompt: Annotated[
        str | None, typer.Argument(metavar="PROMPT", help="chat.prompt", show_default=False)
    ] = None,
    temperatures: Annotated[
        str, typer.Option("--temperatures", "-t", metavar="T,T,…", help="compare.temperatures")
    ] = ",".join(map(str, DEFAULT_TEMPERATURES)),
    preset: Annotated[str | None, typer.Option("--preset", "-p", metavar="NAME", help="chat.preset")] = None,
    max_new_tokens: Annotated[
        int | None, typer.Option("--max-new-tokens", "-n", metavar="N", help="chat.max_new_tokens")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", metavar="S", help="compare.seed")] = None,
    different_seeds: Annotated[
        bool, typer.Option("--different-seeds", help="compare.different_seeds")
    ] = False,
    system: Annotated[str | None, typer.Option("--system", "-s", metavar="TEXT", help="chat.system")] = None,
    model: Model = None,
    as_json: Json = False,
) -> int:
    call = Invocation.of(context, model, as_json)
    heat = read_temperatures(temperatures)
    text = read_prompt(prompt, call.out, go_on=False) or ""
    if not text.strip():
        raise EmptyMessage()
    changes = {} if max_new_tokens is None else {"max_new_tokens": max_new_tokens}
    with call.services() as services:
        settings = choose_settings(services, None, preset, changes, system)
        settings = replace(settings, clear_after_answer=False)
        columns = services.compare.default_columns(settings, heat)
        if call.out.errors.is_terminal and (name := services.engines.name) is not None:
            call.out.note(model_line(name, call.out))
        started = time.monotonic()
        comparison = services.compare.start(
            text, columns, settings=settings, same_seed=not different_seeds, seed=seed
        )
        followed = follow(services, comparison, call.out)
        wall_s = time.monotonic() - started
        return report(followed.comparison, wall_s, call.out, cancelled=followed.cancelled)


def read_temperatures(text: str) -> list[float]:
    """Read "0.3,0.7,1.0". Raises BadParameter."""
    try:
        return [float(part) for part in text.replace("，", ",").split(",") if part.strip()]
    except ValueError as exc:
        raise BadParameter(field="temperatures", value=text, allowed="0.3,0.7,1.0") from exc


def follow(services: "Services", comparison: Comparison, out: Output) -> Followed:
    """Wait until all columns have ended, drawing them meanwhile on a terminal; Ctrl-C stops them.

    What is new comes as events of the comparison's topic: it is read again when an answer has ended or
    something was stored, and the text in between is taken from the running jobs.
    """
    drawing = out.console.is_terminal and not out.console.is_dumb_terminal and not out.as_json
    stored = services.compare.stored
    events: queue.SimpleQueue[Mapping[str, Any]] = queue.SimpleQueue()
    unsubscribe = services.jobs.topics.subscribe(comparison.conversation_id, events.put)
    try:
        with _drawn(out) if drawing else nullcontext(_draw_nothing) as draw:
            comparison = stored.get(comparison.id)
            while not _all_known(comparison):
                draw(comparison)
                kinds = _wait(events, None if comparison.active else SHARING_TIMEOUT_S)
                if not kinds and not comparison.active:
                    break
                if drawing:
                    time.sleep(DRAW_S)
                kinds |= _heard(events)
                if kinds & {"done", "changed"}:
                    comparison = stored.get(comparison.id)
                elif drawing:
                    comparison = stored.live(comparison)
    except KeyboardInterrupt:
        services.compare.stop(comparison.id)
        return Followed(stored.get(comparison.id), cancelled=True)
    finally:
        unsubscribe()
    return Followed(comparison)


def _all_known(comparison: Comparison) -> bool:
    """Whether nothing is to come: all columns ended, and how they shared the question is stored."""
    if comparison.active:
        return False
    return comparison.sharing is not None or all(column.answer.error for column in comparison.columns)


def _wait(events: "queue.SimpleQueue[Mapping[str, Any]]", timeout_s: float | None) -> set[str]:
    """Wait for an event and return its kind; nothing when none came in time."""
    try:
        return {str(events.get(timeout=timeout_s).get("type"))}
    except queue.Empty:
        return set()


def _heard(events: "queue.SimpleQueue[Mapping[str, Any]]") -> set[str]:
    """Return the kinds of the events that have come by now."""
    kinds: set[str] = set()
    while not events.empty():
        kinds.add(str(events.get().get("type")))
    return kinds


@contextmanager
def _drawn(out: Output) -> Iterator[Callable[[Comparison], None]]:
    """Keep a drawing of the columns on the terminal; the last lines of each that fit."""
    from rich.live import Live

    with Live(console=out.console, transient=True, refresh_per_second=8) as live:
        yield lambda comparison: live.update(
            side_by_side(comparison, out, lines=max(4, out.console.height - 6))
        )


def _draw_nothing(comparison: Comparison) -> None:
    """For scripts and pipes."""


def report(comparison: Comparison, wall_s: float, out: Output, *, cancelled: bool = False) -> int:
    """Print the result. Raises StoredFailure when every column failed."""
    errors = [column.answer.error for column in comparison.columns]
    if all(errors) and errors[0] is not None:
        raise StoredFailure(errors[0])
    if out.as_json:
        out.json(compare_object(comparison, wall_s))
    else:
        out.console.print(side_by_side(comparison, out))
        for column in comparison.columns:
            title = out.text("compare.title", temperature=f"{column.sampling.temperature:g}")
            for line in noticed_lines(column.answer, out):
                out.note(f"{title}: {line}", "yellow")
        if comparison.sharing is not None:
            shared = translate(f"comparison.sharing.{comparison.sharing}", out.language)
            out.note(f"{shared} {out.text('footer.seconds', seconds=f'{wall_s:.1f}')}")
    return EXIT_INTERRUPTED if cancelled else 0


def compare_object(comparison: Comparison, wall_s: float) -> dict[str, object]:
    """Return the one JSON object, by the CLI contract; what is not known is null."""
    prefill = comparison.prefill
    return {
        "prompt_tokens": prefill.prompt_tokens,
        "runs": [_run(column) for column in comparison.columns],
        "wall_s": wall_s,
        "sharing": comparison.sharing,
        "processed_prompt_tokens": prefill.processed_tokens,
        "comparison": comparison.id,
    }


def _run(column: ColumnView) -> dict[str, object]:
    known = column.answer.provenance
    return {
        "temperature": column.sampling.temperature,
        "text": column.answer.content,
        "finish_reason": column.answer.finish_reason,
        "usage": {
            "prompt_tokens": known.prompt_tokens,
            "completion_tokens": len(column.answer.token_ids)
            if known.completion_tokens is None
            else known.completion_tokens,
            "cached_tokens": known.cached_tokens,
        },
        "timings": {**asdict(known.timings), **known.drafted},
        "guard": [event.to_dict() for event in known.guard],
        "seed": known.seed,
        "sampling": dict(known.sampling),
        "error": column.answer.error,
        "message": column.answer.id,
    }


def side_by_side(comparison: Comparison, out: Output, lines: int | None = None) -> Any:
    """Return the columns beside each other, or below each other where the terminal is narrow.

    lines: show only the last so many of each.
    """
    from rich.console import Group
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    panels = []
    wide = out.console.width >= COLUMN_WIDTH * len(comparison.columns)
    for column in comparison.columns:
        text = column.answer.content.strip()
        if lines is not None:
            text = _tail(text, lines if wide else max(2, lines // len(comparison.columns)))
        panels.append(
            Panel(
                Text(text or "…"),
                title=out.text("compare.title", temperature=f"{column.sampling.temperature:g}"),
                subtitle=_foot(column, out),
                title_align="left",
                subtitle_align="left",
            )
        )
    if not wide:
        return Group(*panels)
    table = Table.grid(expand=True, padding=0)
    for _ in panels:
        table.add_column(ratio=1)
    table.add_row(*panels)
    return table


def _tail(text: str, lines: int) -> str:
    window: Sequence[str] = text[-lines * COLUMN_WIDTH :].splitlines()[-lines:]
    return "\n".join(window)


def _foot(column: ColumnView, out: Output) -> str:
    known = column.answer.provenance
    if column.active or column.answer.finish_reason is None:
        phase = column.job.phase if column.job is not None and column.job.phase else "queued"
        if phase == "generating" and column.job is not None:
            if column.job.stalled_s:
                return out.text("phase.stalled", seconds=f"{column.job.stalled_s:.0f}")
            speed = f"{column.job.tok_per_s:.0f}" if column.job.tok_per_s else "–"
            return out.text("phase.generating", tokens=column.job.token_count, speed=speed)
        return out.text(f"phase.{phase}")
    measured = known.timings.tok_per_s
    parts = [translate(f"comparison.finish.{column.answer.finish_reason}", out.language)]
    if known.completion_tokens is not None:
        parts.append(out.text("footer.tokens", count=known.completion_tokens))
    if measured:
        parts.append(f"{measured:.1f} tok/s")
    return " · ".join(parts)
