"""`twokeys plan`: what a model will hold here, before anything is loaded.

It reads headers and free memory only. `--memory-gib` and `--gpu-gib` plan for another machine.
"""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from twokeys.cli.invocation import Invocation, Json, Model
from twokeys.cli.output import Output
from twokeys.documents.document import Document
from twokeys.errors import BadInput, BadParameter, ModelMissing, Reason
from twokeys.token_estimate import estimate_tokens
from twokeys.units import memory_text

if TYPE_CHECKING:
    from rich.table import Table

    from twokeys.config import Config
    from twokeys.core.memory.plan import MemoryPlan, Room
    from twokeys.planner import MemoryPlanner
    from twokeys.store.repository import Repository
    from twokeys.types import WorkerSpec

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
    files: Annotated[list[Path] | None, typer.Option("--file", metavar="PATH", help="plan.file")] = None,
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
    documents = plan_documents(files or (), call.out)
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

    file_tokens = sum(document.tokens for document in documents)
    wanted = max(USUAL_CONTEXT, (max_new_tokens or 0) + USUAL_PROMPT_TOKENS + file_tokens)
    plan = choose_start(shape, room, wanted_context=wanted, overrides=decided)
    fields = plan_fields(plan, max_new_tokens, file_tokens)
    if documents:
        fields["files"] = [document.to_dict() for document in documents]
    if check:
        fields["llama_cpp"] = own_figures(call.config(), name, plan)
        fields["check"] = real_figures(call.config(), name, plan)
    if call.out.as_json:
        call.out.json(fields)
    else:
        call.out.console.print(plan_table(plan, call.out))
        about = [line for document in documents for line in document.lines(call.out)]
        for line in (*sentences(plan, fields, call.out), *about):
            call.out.console.print(line, markup=False, soft_wrap=True)


@dataclass(frozen=True, slots=True)
class PlannedDocument:
    """A document with the estimated tokens of the whole and of each passage: nothing is loaded to count."""

    document: Document
    tokens: int
    passage_tokens: tuple[int, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the document for scripts."""
        pairs = zip(self.document.passages, self.passage_tokens, strict=True)
        return {
            "name": self.document.name,
            "sha256": self.document.sha256,
            "unit": self.document.unit,
            "tokens": self.tokens,
            "passages": [
                {"number": passage.number, "title": passage.title, "tokens": tokens}
                for passage, tokens in pairs
            ],
        }

    def lines(self, out: Output) -> Iterator[str]:
        """Yield the document's line, then one for each passage."""
        yield ""
        yield out.text("plan.document", name=self.document.name, tokens=self.tokens)
        for passage, tokens in zip(self.document.passages, self.passage_tokens, strict=True):
            yield f"  {passage.number}  ≈{tokens}  {passage.title}".rstrip()


def plan_documents(paths: Sequence[Path], out: Output) -> list[PlannedDocument]:
    """Return the documents of these files. Raises BadDocument."""
    from twokeys.cli.attached import read_files
    from twokeys.core.attachments import sent_text

    read = [file.document for file in read_files(paths, None, out)]
    return [
        PlannedDocument(
            document,
            estimate_tokens(sent_text(document)),
            tuple(estimate_tokens(document.marked(passage)) for passage in document.passages),
        )
        for document in read
    ]


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


def plan_fields(plan: "MemoryPlan", max_new_tokens: int | None, file_tokens: int = 0) -> dict[str, object]:
    """Return the plan for scripts. fits: with a margin, and the answer beside a usual prompt too."""
    from twokeys.core.memory.plan import USUAL_PROMPT_TOKENS

    host, device = plan.needs.host, plan.needs.device
    length_fits = (max_new_tokens or 0) + USUAL_PROMPT_TOKENS + file_tokens <= plan.choice.context
    said = max_new_tokens is not None or file_tokens > 0
    return {
        "model": plan.shape.name,
        "weights_bytes": host.weights_bytes + device.weights_bytes + host.repack_bytes,
        "kv_bytes": host.kv_bytes + device.kv_bytes,
        "compute_bytes": host.compute_bytes + device.compute_bytes,
        "overhead_bytes": host.overhead_bytes + device.overhead_bytes,
        "prompt_cache_bytes": host.prompt_cache_bytes,
        "checkpoint_bytes": host.checkpoint_bytes,
        "draft_bytes": host.draft_bytes,
        "cache_rule": plan.shape.cache_rule,
        "total_bytes": plan.needs.total_bytes,
        "available_bytes": plan.available_bytes,
        "margin_bytes": plan.margin_bytes,
        "fits": plan.fits and (length_fits or not said),
        "possible": plan.possible,
        "safe_context": plan.safe_context,
        "safe_max_new_tokens": plan.safe_max_new_tokens,
        "context": plan.choice.context,
        "kv_type": plan.choice.kv_type,
        "gpu_layers": plan.choice.gpu_layers,
        "device_bytes": device.total_bytes,
        "max_new_tokens": max_new_tokens,
        "file_tokens": file_tokens,
        "approximate": plan.shape.approximate,
    }


def planned_start(config: "Config", name: str, plan: "MemoryPlan", program: str | None) -> "WorkerSpec":
    """Return the start that was planned, of a program or the bundled engine. Raises ModelMissing."""
    from twokeys.models.manager import ModelManager
    from twokeys.types import WorkerSpec

    model, choice = ModelManager(config).resolve(name), plan.choice
    return WorkerSpec(
        str(model.path),
        model.name,
        context=choice.context,
        parallel=choice.parallel,
        kv_type=choice.kv_type,
        gpu_layers=choice.gpu_layers,
        batch=choice.batch,
        ubatch=choice.ubatch,
        server_binary=program,
    )


def real_figures(config: "Config", name: str, plan: "MemoryPlan") -> dict[str, object] | None:
    """Start the engine that answers here as planned, end it, and return planned and real for each place.

    None with the bundled engine, whose own figures stand beside the plan already. Raises ModelMissing,
    EngineStartFailed or EngineOutOfMemory.
    """
    from twokeys.builds.folder import active_program
    from twokeys.engines.devices import list_devices
    from twokeys.engines.trial_start import measure_start

    program = active_program(config)
    if program is None:
        return None
    spec = replace(planned_start(config, name, plan, program), load_mode=plan.choice.load_mode)
    with tempfile.TemporaryDirectory(prefix="twokeys-plan-") as folder:
        real = measure_start(spec, Path(folder))
    parts = {"host": plan.needs.host, "device": plan.needs.device}
    names = ("weights_bytes", "kv_bytes", "compute_bytes")
    return {
        "program": program,
        "cards": [asdict(card) for card in list_devices(program)],
        "planned": {place: {name: getattr(part, name) for name in names} for place, part in parts.items()},
        "real": {place: asdict(buffers) for place, buffers in real.items()},
    }


def own_figures(config: "Config", name: str, plan: "MemoryPlan") -> dict[str, int]:
    """Return llama.cpp's own figures for the same start, all places together, without loading.

    Raises ModelMissing when the file is not here, EngineStartFailed when llama.cpp tells none.
    """
    from twokeys.engines.preflight import preflight

    rows = preflight(planned_start(config, name, plan, config.server_binary))
    return {
        "weights_bytes": sum(row.model_bytes for row in rows),
        "kv_bytes": sum(row.kv_bytes for row in rows),
        "compute_bytes": sum(row.compute_bytes for row in rows),
    }


def plan_table(plan: "MemoryPlan", out: Output) -> "Table":
    """Return the parts as a table for people, with a bar for each part's share."""
    from rich.table import Table

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), title=None)
    table.add_column()
    table.add_column(justify="right")
    table.add_column(style="cyan")
    total = max(plan.needs.total_bytes, 1)
    for name, count in _parts(plan):
        if count:
            share = max(1, round(30 * count / total))
            table.add_row(out.text(f"plan.part.{name}"), memory_text(count), "█" * share)
    table.add_row(f"[bold]{out.text('plan.part.total')}[/]", f"[bold]{memory_text(total)}[/]", "")
    table.add_row(out.text("plan.part.available"), memory_text(plan.available_bytes), "")
    return table


def _parts(plan: "MemoryPlan") -> Iterator[tuple[str, int]]:
    host, device = plan.needs.host, plan.needs.device
    yield "weights", host.weights_bytes + device.weights_bytes
    yield "repack", host.repack_bytes
    yield "kv", host.kv_bytes + device.kv_bytes
    yield "compute", host.compute_bytes + device.compute_bytes
    yield "cache", host.prompt_cache_bytes + host.checkpoint_bytes
    yield "draft", host.draft_bytes
    yield "process", host.overhead_bytes + device.overhead_bytes


def sentences(plan: "MemoryPlan", fields: dict[str, Any], out: Output) -> Iterator[str]:
    """Yield the verdict and what would be safe."""
    verdict = "fits" if fields["fits"] else "tight" if plan.possible else "too_large"
    if plan.fits and not fields["fits"]:
        verdict = "too_long"
    yield ""
    yield out.text(
        f"plan.verdict.{verdict}",
        model=plan.shape.name,
        context=plan.choice.context,
        kv_type=plan.choice.kv_type,
        length=(fields["max_new_tokens"] or 0) + fields["file_tokens"],
    )
    if plan.needs.device.total_bytes and not plan.room.unified:
        yield out.text(
            "plan.on_card",
            device=memory_text(plan.needs.device.total_bytes),
            room=memory_text(plan.room.device_bytes or 0),
            host=memory_text(plan.needs.host.total_bytes),
        )
    if plan.safe_context:
        yield out.text("plan.safe", context=plan.safe_context, length=plan.safe_max_new_tokens)
    if plan.shape.approximate:
        yield out.text("plan.approximate")
    if plan.shape.cache_rule != "known":
        yield out.text(f"plan.{plan.shape.cache_rule}")
    if own := fields.get("llama_cpp"):
        yield out.text("plan.checked", **{name: memory_text(count) for name, count in own.items()})
