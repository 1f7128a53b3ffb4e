"""`twokeys plan`: what a model will hold here, before anything is loaded.

It reads headers and free memory only. `--memory-gib` and `--gpu-gib` plan for another machine.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from twokeys.cli.invocation import Invocation, Json, Model
from twokeys.cli.output import Output
from twokeys.errors import BadInput, BadParameter, ModelMissing, Reason
from twokeys.units import memory_text

if TYPE_CHECKING:
    from rich.table import Table

    from twokeys.config import Config
    from twokeys.core.memory.plan import MemoryPlan, Room
    from twokeys.planner import MemoryPlanner
    from twokeys.store.repository import Repository

GIB = 1 << 30
UNKNOWN_MODEL = "qwen2.5-7b"
"""What is planned for when no model is here yet."""


def plan(
    context: typer.Context,
    max_new_tokens: Annotated[
        int | None, typer.Option("--max-new-tokens", "-n", metavar="N", help="plan.max_new_tokens")
    ] = None,
    context_tokens: Annotated[int | None, typer.Option("--context", metavar="N", help="plan.context")] = None,
    kv_type: Annotated[
        str | None, typer.Option("--kv-type", metavar="f16|q8_0|q4_0", help="plan.kv_type")
    ] = None,
    memory_gib: Annotated[
        float | None, typer.Option("--memory-gib", metavar="G", help="plan.memory_gib")
    ] = None,
    gpu_gib: Annotated[float | None, typer.Option("--gpu-gib", metavar="G", help="plan.gpu_gib")] = None,
    gpu_layers: Annotated[
        int | None, typer.Option("--gpu-layers", metavar="N", help="plan.gpu_layers")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="plan.check")] = False,
    model: Model = None,
    as_json: Json = False,
) -> None:
    from twokeys.core.memory.overrides import Overrides
    from twokeys.engine_source import home_planner

    call = Invocation.of(context, model, as_json)
    if max_new_tokens is not None and not 1 <= max_new_tokens <= 32768:
        raise BadParameter(field="max_new_tokens", value=max_new_tokens, allowed="1 … 32768")
    for name, value in (("memory_gib", memory_gib), ("gpu_gib", gpu_gib)):
        if value is not None and not 0 < value < 1 << 20:
            raise BadParameter(field=name, value=value, allowed="> 0")
    asked = {"context": context_tokens, "kv_type": kv_type, "gpu_layers": gpu_layers}
    with call.repository() as repository:
        planner = home_planner(call.config(), repository)
        elsewhere = other_room(planner, memory_gib, gpu_gib)
        name = planned_model(call.config(), repository, planner, elsewhere)
        shape = planner.shape(name)
        held = planner.overrides(shape.name)
        decided = replace(held, **Overrides(**asked).to_dict())  # type: ignore[arg-type]
        room = elsewhere or planner.room(decided)
    from twokeys.core.memory.choose import USUAL_CONTEXT, choose_start
    from twokeys.core.memory.plan import USUAL_PROMPT_TOKENS

    wanted = max(USUAL_CONTEXT, (max_new_tokens or 0) + USUAL_PROMPT_TOKENS)
    found = choose_start(shape, room, wanted_context=wanted, overrides=decided)
    fields = plan_fields(found, max_new_tokens)
    if check:
        fields["llama_cpp"] = own_figures(call.config(), name, found)
    if call.out.as_json:
        call.out.json(fields)
    else:
        call.out.console.print(plan_table(found, call.out))
        for sentence in sentences(found, fields, call.out):
            call.out.console.print(sentence, markup=False, soft_wrap=True)


def planned_model(
    config: "Config", repository: "Repository", planner: "MemoryPlanner", room: "Room | None"
) -> str:
    """Return the model to plan for: the one named, the one that would answer in `room`, else the 7B."""
    from twokeys.engine_source import MODEL_SETTING, choose_model, is_url

    try:
        name = choose_model(config, planner, repository.get_setting(MODEL_SETTING), room)
    except ModelMissing:
        return UNKNOWN_MODEL
    if is_url(name):
        raise BadInput(reason=Reason("cli.plan.server"))
    return name


def other_room(planner: "MemoryPlanner", memory_gib: float | None, gpu_gib: float | None) -> "Room | None":
    """Return the memory that was asked about; None to plan with this machine's."""
    from twokeys.core.memory.plan import Room

    if memory_gib is None and gpu_gib is None:
        return None
    host = planner.room().host_bytes if memory_gib is None else int(memory_gib * GIB)
    return Room(host, None if gpu_gib is None else int(gpu_gib * GIB))


def plan_fields(found: "MemoryPlan", max_new_tokens: int | None) -> dict[str, Any]:
    """Return the plan for scripts. fits: with a margin, and the answer beside a usual prompt too."""
    from twokeys.core.memory.plan import USUAL_PROMPT_TOKENS

    host, device = found.needs.host, found.needs.device
    length_fits = (max_new_tokens or 0) + USUAL_PROMPT_TOKENS <= found.choice.context
    return {
        "model": found.shape.name,
        "weights_bytes": host.weights_bytes + device.weights_bytes + host.repack_bytes,
        "kv_bytes": host.kv_bytes + device.kv_bytes,
        "compute_bytes": host.compute_bytes + device.compute_bytes,
        "overhead_bytes": host.overhead_bytes + device.overhead_bytes,
        "prompt_cache_bytes": host.prompt_cache_bytes,
        "checkpoint_bytes": host.checkpoint_bytes,
        "cache_rule": found.shape.cache_rule,
        "total_bytes": found.needs.total_bytes,
        "available_bytes": found.available_bytes,
        "margin_bytes": found.margin_bytes,
        "fits": found.fits and (max_new_tokens is None or length_fits),
        "possible": found.possible,
        "safe_context": found.safe_context,
        "safe_max_new_tokens": found.safe_max_new_tokens,
        "context": found.choice.context,
        "kv_type": found.choice.kv_type,
        "gpu_layers": found.choice.gpu_layers,
        "device_bytes": device.total_bytes,
        "max_new_tokens": max_new_tokens,
        "approximate": found.shape.approximate,
    }


def own_figures(config: "Config", name: str, found: "MemoryPlan") -> dict[str, int]:
    """Return llama.cpp's own figures for the same start, all places together, without loading.

    Raises ModelMissing when the file is not here, EngineStartFailed when llama.cpp tells none.
    """
    from twokeys.engines.preflight import preflight
    from twokeys.models.manager import ModelManager
    from twokeys.types import WorkerSpec

    model = ModelManager(config).resolve(name)
    choice = found.choice
    rows = preflight(
        WorkerSpec(
            str(model.path),
            model.name,
            context=choice.context,
            parallel=choice.parallel,
            kv_type=choice.kv_type,
            gpu_layers=choice.gpu_layers,
            batch=choice.batch,
        )
    )
    return {
        "weights_bytes": sum(row.model_bytes for row in rows),
        "kv_bytes": sum(row.kv_bytes for row in rows),
        "compute_bytes": sum(row.compute_bytes for row in rows),
    }


def plan_table(found: "MemoryPlan", out: Output) -> "Table":
    """Return the parts as a table for people, with a bar for each part's share."""
    from rich.table import Table

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), title=None)
    table.add_column()
    table.add_column(justify="right")
    table.add_column(style="cyan")
    total = max(found.needs.total_bytes, 1)
    for name, count in _parts(found):
        if count:
            share = max(1, round(30 * count / total))
            table.add_row(out.text(f"plan.part.{name}"), memory_text(count), "█" * share)
    table.add_row(f"[bold]{out.text('plan.part.total')}[/]", f"[bold]{memory_text(total)}[/]", "")
    table.add_row(out.text("plan.part.available"), memory_text(found.available_bytes), "")
    return table


def _parts(found: "MemoryPlan") -> Iterator[tuple[str, int]]:
    host, device = found.needs.host, found.needs.device
    yield "weights", host.weights_bytes + device.weights_bytes
    yield "repack", host.repack_bytes
    yield "kv", host.kv_bytes + device.kv_bytes
    yield "compute", host.compute_bytes + device.compute_bytes
    yield "cache", host.prompt_cache_bytes + host.checkpoint_bytes
    yield "process", host.overhead_bytes + device.overhead_bytes


def sentences(found: "MemoryPlan", fields: dict[str, Any], out: Output) -> Iterator[str]:
    """Yield the verdict and what would be safe."""
    verdict = "fits" if fields["fits"] else "tight" if found.possible else "too_large"
    if found.fits and not fields["fits"]:
        verdict = "too_long"
    yield ""
    yield out.text(
        f"plan.verdict.{verdict}",
        model=found.shape.name,
        context=found.choice.context,
        kv_type=found.choice.kv_type,
        length=fields["max_new_tokens"],
    )
    if found.safe_context:
        yield out.text("plan.safe", context=found.safe_context, length=found.safe_max_new_tokens)
    if found.shape.approximate:
        yield out.text("plan.approximate")
    if found.shape.cache_rule != "known":
        yield out.text(f"plan.{found.shape.cache_rule}")
    if own := fields.get("llama_cpp"):
        yield out.text("plan.checked", **{name: memory_text(count) for name, count in own.items()})
