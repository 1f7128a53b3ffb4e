"""`twokeys bench`: the figures of this machine, with the model that would answer.

It starts an engine of its own and ends it; nothing is stored, and one that runs already is left alone.
"""

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from twokeys.cli.invocation import Invocation, Json, Model
from twokeys.cli.output import Output
from twokeys.units import bytes_text, duration_text, memory_text

if TYPE_CHECKING:
    from rich.table import Table

    from twokeys.bench import BenchFigure, LocalWorker, Step
    from twokeys.engine import OwnedEngine


def bench(
    context: typer.Context,
    rounds: Annotated[int, typer.Option("--rounds", metavar="N", min=1, max=50, help="bench.rounds")] = 3,
    model: Model = None,
    as_json: Json = False,
) -> None:
    from twokeys.bench import json_rows

    call = Invocation.of(context, model, as_json)
    engine, worker = make_bench_engine(call)
    rows = asyncio.run(measure(engine, worker, rounds, call.out))
    if call.out.as_json:
        call.out.json(json_rows(rows))
        return
    call.out.console.print(bench_table(rows, call.out))
    for sentence in remarks(rows, worker, call.out):
        call.out.console.print(sentence, markup=False, soft_wrap=True)


def make_bench_engine(call: Invocation) -> "tuple[OwnedEngine, LocalWorker | None]":
    """Return the engine that would answer, not started, and what is known of it when it is a worker of ours.

    Raises ModelMissing, ModelBroken or NotFound, and MemoryPlanRefused when it does not fit beside what
    runs now.
    """
    from twokeys.bench import LocalWorker
    from twokeys.engine_source import MODEL_SETTING, choose_model, home_planner, make_engine
    from twokeys.engines.cores import usable_cores
    from twokeys.engines.local import LocalEngine
    from twokeys.planner import OwnMemory

    config = call.config()
    with call.repository() as repository:
        planner = home_planner(config, repository, own=OwnMemory)  # a worker that runs is not ended
        name = choose_model(config, planner, repository.get_setting(MODEL_SETTING))
        engine = make_engine(name, planner.models, config, planner)
        if not isinstance(engine, LocalEngine):
            return engine, None
        planner.check(name)
        spec = engine.spec
        plan = planner.of_spec(spec)
    return engine, LocalWorker(plan, spec.threads or usable_cores(), engine.memory_bytes)


async def measure(
    engine: "OwnedEngine", worker: "LocalWorker | None", rounds: int, out: Output
) -> "list[BenchFigure]":
    """Run the bench and end its engine, also after Ctrl-C; what is measured now is said on stderr."""
    from twokeys.bench import run_bench

    def say(step: "Step", number: int) -> None:
        out.note(out.text(f"bench.step.{step}", number=number, rounds=rounds))

    context = worker.plan.choice.context if worker is not None else 0
    try:
        return await run_bench(engine, worker, rounds=rounds, context=context, on_step=say)
    finally:
        await engine.close()


def bench_table(rows: "list[BenchFigure]", out: Output) -> "Table":
    """Return the figures as a table for people."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column()
    table.add_column(justify="right", style="cyan")
    for row in rows:
        table.add_row(out.text(f"bench.row.{row.name}"), escape(figure_text(row, out.language)))
    return table


def figure_text(row: "BenchFigure", language: str) -> str:
    """Return a figure with its unit as a person reads it."""
    if isinstance(row.value, str):
        return row.value
    if row.name.endswith("memory_bytes"):
        return memory_text(row.value)
    if row.unit == "s":
        return f"{row.value * 1000:.0f} ms" if row.value < 1 else duration_text(row.value, language)
    texts = {
        "B": bytes_text(row.value),
        "B/s": f"{bytes_text(row.value)}/s",
        "FLOP/s": f"{row.value / 1e9:.0f} GFLOP/s",
        "share": f"{row.value:.0%}",
        "tok/s": f"{row.value:.1f} tok/s",
    }
    return texts.get(row.unit, f"{row.value:.0f}")


def remarks(rows: "list[BenchFigure]", worker: "LocalWorker | None", out: Output) -> Iterator[str]:
    """Yield what the share of bandwidth means, or why there is none."""
    shares = [row.value for row in rows if row.name == "bandwidth_share"]
    if worker is None:
        yield out.text("bench.remark.server")
    elif not shares:
        yield out.text("bench.remark.card")
    elif float(shares[0]) > 1:
        yield out.text("bench.remark.cache")
    else:
        yield out.text("bench.remark.share")
