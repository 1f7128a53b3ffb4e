"""The memory plan: every part of what a worker will hold, in bytes, before it is started.

The parts follow llama.cpp's own allocations (its log names each buffer) plus what the process
itself needs; docs/memory.md compares plan and measurement cell by cell. Knows no files, no
devices and no engine: sizes come in as a MemoryShape, free memory as a Room.
"""

from dataclasses import dataclass, replace

from twokeys.core.memory.shape import MemoryShape
from twokeys.types import CHECKPOINTS, Draft, KvType, LoadMode

MIB = 1 << 20

PROCESS_BYTES = 51 * MIB
"""Interpreter, llama.cpp's code and its HTTP server (24 MiB of it are pages of files), nothing shared."""
VOCABULARY_BYTES_PER_TOKEN = 420
"""Hash tables of the tokenizer per vocabulary entry: fitted on vocabularies of 49k and 152k."""
SEQUENCE_BYTES = MIB // 2
"""Book-keeping of one parallel sequence, and per vocabulary entry the candidates it sorts."""
SEQUENCE_BYTES_PER_TOKEN = 6
DRAFT_ROWS = 1.75
"""Rows of one f32 value for each vocabulary entry that a drafted token takes: logits and what is sorted."""
DRAFT_TABLE_BYTES = 16 * MIB
"""The table of n-grams that "mod" keeps over all requests."""
GPU_CONTEXT_BYTES = 350 * MIB
"""What a CUDA context takes on the device before any model. Not measured here: no GPU was at hand."""
MARGIN_SHARE = 0.05
MARGIN_MIN_BYTES = 256 * MIB
CONTEXT_STEP = 256
SMALLEST_CONTEXT = 512
USUAL_PROMPT_TOKENS = 512
LONGEST_ANSWER = 8192
"""Qwen2.5 writes answers of up to 8192 tokens (its model card)."""


@dataclass(frozen=True, slots=True)
class StartChoice:
    """How a worker would be started; the names are those of WorkerSpec.

    context: tokens per sequence. gpu_layers: 0 none … layers + 1 all with the output head; -1 all.
    prompt_cache_mib: the ceiling of host memory for parked prompts. checkpoints: see WorkerSpec.
    """

    context: int = 8192
    parallel: int = 1
    kv_type: KvType = "f16"
    batch: int = 128
    ubatch: int = 128
    gpu_layers: int = 0
    load_mode: LoadMode = "copy"
    prompt_cache_mib: int = 0
    checkpoints: int = CHECKPOINTS
    draft: Draft | None = None


@dataclass(frozen=True, slots=True)
class Room:
    """Memory that a worker may take now, in bytes. device_bytes: of all cards, None without a GPU to use.

    cards: how many those are: each takes a compute buffer and a context of its own.
    unified: the GPU shares the host's memory (Macs): both plans are added up against the host.
    """

    host_bytes: int
    device_bytes: int | None = None
    unified: bool = False
    cards: int = 1


@dataclass(frozen=True, slots=True)
class Parts:
    """One memory's share of the plan, in bytes. repack_bytes: weights held twice by mmap.

    checkpoint_bytes: copies of sliding windows and recurrent states, made as a conversation grows.
    """

    weights_bytes: int = 0
    repack_bytes: int = 0
    kv_bytes: int = 0
    compute_bytes: int = 0
    prompt_cache_bytes: int = 0
    overhead_bytes: int = 0
    checkpoint_bytes: int = 0
    draft_bytes: int = 0

    @property
    def total_bytes(self) -> int:
        return (
            self.weights_bytes
            + self.repack_bytes
            + self.kv_bytes
            + self.compute_bytes
            + self.prompt_cache_bytes
            + self.overhead_bytes
            + self.checkpoint_bytes
            + self.draft_bytes
        )


@dataclass(frozen=True, slots=True)
class Needs:
    """What a choice needs on the host and on the device."""

    host: Parts
    device: Parts

    @property
    def total_bytes(self) -> int:
        return self.host.total_bytes + self.device.total_bytes


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """A choice, what it needs, what there is, and what would be safe here.

    margin_bytes is kept free beside the plan. fits: with the margin. possible: without it, when
    nothing else takes memory meanwhile. safe_context: the largest context that fits with the
    other choices unchanged, 0 when none does. safe_max_new_tokens: the longest answer that fits
    into safe_context beside a usual prompt, at most 8192.
    """

    shape: MemoryShape
    choice: StartChoice
    needs: Needs
    room: Room
    margin_bytes: int
    fits: bool
    possible: bool
    safe_context: int
    safe_max_new_tokens: int

    @property
    def available_bytes(self) -> int:
        if self.room.unified or self.room.device_bytes is None:
            return self.room.host_bytes
        return self.room.host_bytes + self.room.device_bytes


def memory_needs(shape: MemoryShape, choice: StartChoice, cards: int = 1) -> Needs:
    """Return what a worker holds with this choice.

    Weights: the tensors' own bytes; the input table always stays on the host. Of the layers on a device the
    output head is the first that llama.cpp puts there, then the last layers.
    KV cache: for each layer, where the layer is, (keys + values) · bytes · cells · parallel; the cells are
    the context, or a sliding window with a ubatch beside it; recurrent state comes once a sequence.
    Checkpoints: windows and states again, on the host, as often as the worker may copy them.
    Compute: ubatch · (4 · (3 · ffn + 5 · hidden) + 2 · context): the widest point of the graph (the
    gated feed-forward) in f32 and the attention mask in f16. It is exact to 0.1 MiB for llama.cpp
    build 11549 on the CPU; on a GPU it is the same formula, not run on one. Several cards share
    the layers, and each has a compute buffer and a context; fewer layers than cards do not reach all of them.
    """
    offloaded = _offloaded(shape, choice.gpu_layers)
    first_on_device = shape.layers - max(0, offloaded - 1)
    device_layers = shape.layer_bytes[first_on_device:]
    host_layers = shape.layer_bytes[:first_on_device]
    output_on_device = offloaded > 0

    kv_layers = [
        cache.bytes(choice.context, choice.parallel, choice.kv_type, choice.ubatch)
        for cache in shape.layer_caches
    ]
    compute = compute_bytes(shape, choice.context, choice.ubatch)
    checkpoint = sum(cache.checkpoint_bytes(choice.context, choice.kv_type) for cache in shape.layer_caches)
    output_rows = 4 * shape.vocab * choice.parallel
    host_weights = sum(host_layers) + shape.embedding_bytes + (0 if output_on_device else shape.output_bytes)
    host = Parts(
        weights_bytes=host_weights,
        repack_bytes=(
            shape.repack_bytes * len(host_layers) // shape.layers if choice.load_mode == "mmap" else 0
        ),
        kv_bytes=round(sum(kv_layers[:first_on_device])),
        compute_bytes=(compute if host_layers else compute // 8) + output_rows,
        prompt_cache_bytes=choice.prompt_cache_mib * MIB,
        overhead_bytes=PROCESS_BYTES
        + shape.guard_bytes
        + VOCABULARY_BYTES_PER_TOKEN * shape.vocab
        + (SEQUENCE_BYTES + SEQUENCE_BYTES_PER_TOKEN * shape.vocab) * choice.parallel,
        checkpoint_bytes=round(checkpoint * choice.checkpoints * choice.parallel),
        draft_bytes=draft_bytes(shape, choice),
    )
    if not offloaded:
        return Needs(host, Parts())
    device = Parts(
        weights_bytes=sum(device_layers) + shape.head_bytes * output_on_device,
        kv_bytes=round(sum(kv_layers[first_on_device:])),
        compute_bytes=compute * min(cards, offloaded),
        overhead_bytes=GPU_CONTEXT_BYTES * min(cards, offloaded),
    )
    return Needs(host, device)


def draft_bytes(shape: MemoryShape, choice: StartChoice) -> int:
    """Return what drafting takes on the host: rows for the tokens checked at once, n-grams, a draft model.

    A draft model stays on the host, with a cache as long as the model's own.
    """
    if choice.draft is None:
        return 0
    rows = round(DRAFT_ROWS * 4 * shape.vocab * (choice.draft.tokens + 1)) * choice.parallel
    if choice.draft.kind == "mod":
        return rows + DRAFT_TABLE_BYTES
    if choice.draft.kind == "simple" or shape.draft is None:
        return rows
    alone = replace(choice, draft=None, gpu_layers=0, prompt_cache_mib=0, kv_type="f16")
    return rows + memory_needs(shape.draft, alone).host.total_bytes - PROCESS_BYTES


def compute_bytes(shape: MemoryShape, context: int, ubatch: int) -> int:
    """Return the size of the compute buffer for one ubatch at a full context."""
    if shape.compute is not None:
        return round(ubatch * (shape.compute.fixed_bytes + shape.compute.bytes_per_context_token * context))
    return ubatch * (4 * (3 * shape.ffn + 5 * shape.hidden) + 2 * context)


def plan_memory(shape: MemoryShape, choice: StartChoice, room: Room) -> MemoryPlan:
    """Plan a start and say whether it fits with a margin, and what would be safe."""
    choice = replace(choice, context=max(SMALLEST_CONTEXT, min(choice.context, shape.train_context)))
    needs = memory_needs(shape, choice, room.cards)
    safe = safe_context(shape, choice, room)
    return MemoryPlan(
        shape=shape,
        choice=choice,
        needs=needs,
        room=room,
        margin_bytes=margin(room.host_bytes),
        fits=fits(needs, room),
        possible=fits(needs, room, keep_free=False),
        safe_context=safe,
        safe_max_new_tokens=safe_answer(safe),
    )


def margin(memory_bytes: int) -> int:
    """Return what is kept free of a memory: 5 %, at least 256 MiB but never more than a quarter."""
    return min(max(int(memory_bytes * MARGIN_SHARE), MARGIN_MIN_BYTES), memory_bytes // 4)


def fits(needs: Needs, room: Room, *, keep_free: bool = True) -> bool:
    """Return whether the needs fit on the host and on the device, with the margin left free."""

    def usable(memory_bytes: int) -> int:
        return memory_bytes - margin(memory_bytes) if keep_free else memory_bytes

    if room.unified or room.device_bytes is None:
        return needs.total_bytes <= usable(room.host_bytes)
    on_host = needs.host.total_bytes <= usable(room.host_bytes)
    return on_host and needs.device.total_bytes <= usable(room.device_bytes)


def safe_context(shape: MemoryShape, choice: StartChoice, room: Room) -> int:
    """Return the largest context (a multiple of 256, at most the trained one) that fits, or 0."""
    low, high = 0, shape.train_context // CONTEXT_STEP
    while low < high:
        middle = (low + high + 1) // 2
        needs = memory_needs(shape, replace(choice, context=middle * CONTEXT_STEP), room.cards)
        if fits(needs, room):
            low = middle
        else:
            high = middle - 1
    context = low * CONTEXT_STEP
    return context if context >= SMALLEST_CONTEXT else 0


def safe_answer(context: int, prompt_tokens: int = USUAL_PROMPT_TOKENS) -> int:
    """Return the longest answer a context can hold beside a prompt, at most 8192 tokens."""
    return max(0, min(LONGEST_ANSWER, context - prompt_tokens))


def _offloaded(shape: MemoryShape, gpu_layers: int) -> int:
    everything = shape.layers + 1
    return everything if gpu_layers < 0 else min(gpu_layers, everything)
