"""From a model file's header to what memory planning needs: sizes of weights, and what each layer keeps.

Which layers attend to a window, share another's cache or keep a recurrent state is in the metadata
only in part: the rest is a habit of the architecture, as llama.cpp loads it. Architectures whose
habits were not held against the engine say so (`cache_rule`); nothing is opened or asked here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from twokeys.core.memory.shape import KV_BYTES, ComputeBuffer, LayerCache, MemoryShape
from twokeys.models import catalogue
from twokeys.models.gguf import GgufInfo

REPACKED_TYPES = ("q4_0", "q4_k", "iq4_nl")
"""Measured on x86: the log's CPU_REPACK buffer is the sum of these tensors."""
FOUR_BIT = 4.5
"""Bits a value takes in those types, its share of the block's scale included."""

FLOAT_BYTES = 4
"""Recurrent state is kept in f32."""


WINDOW_PERIODS: Mapping[str, int] = {"gemma2": 2, "gemma3": 6, "gpt-oss": 2, "cohere2": 4}
"""The last layer of so many attends to everything, the others to a window, where the file tells no pattern
(llama.cpp's set_swa_pattern). In the other architectures of KNOWN a window in the metadata is not used."""

ATTENTION = (
    "llama qwen2 qwen2moe qwen3 qwen3moe qwen2vl qwen3vl qwen3vlmoe gemma phi2 phi3 starcoder2 stablelm "
    "internlm2 falcon gptneox command-r granite granitemoe olmo olmoe minicpm glm4 chatglm baichuan exaone "
    "nemotron smollm3 ernie4_5 ernie4_5-moe hunyuan-dense hunyuan-moe seed_oss apertus dots1 arcee "
    "deepseek deepseek2"
)
"""Every layer attends to the whole context, or to nothing."""

RECURRENT = "mamba lfm2 lfm2moe falcon-h1"
"""Some or all layers keep a state instead of a cache, or beside it."""

KNOWN = frozenset((*ATTENTION.split(), *RECURRENT.split(), *WINDOW_PERIODS))


def file_shape(name: str, info: GgufInfo) -> MemoryShape:
    """Return the shape of a model file, from the sizes of its tensors and its metadata."""
    layers = max(1, info.layers)
    return MemoryShape(
        name=name,
        layers=layers,
        kv_heads=info.kv_heads,
        key_length=info.key_length,
        value_length=info.value_length,
        hidden=info.hidden,
        ffn=info.ffn,
        vocab=info.vocab,
        train_context=info.context or 8192,
        layer_bytes=info.layer_bytes or (0,) * layers,
        embedding_bytes=info.embedding_bytes,
        output_bytes=info.output_bytes + info.other_bytes,
        tied=info.output_bytes == 0,
        repackable_bytes=repackable_bytes(info),
        caches=layer_caches(info),
        cache_rule="known" if info.architecture in KNOWN else "guessed",
        idle_expert_bytes=idle_expert_bytes(info),
    )


@dataclass(frozen=True, slots=True)
class EngineFigures:
    """What the engine's dry run says of one start with one sequence and an f16 cache, in bytes."""

    context: int
    ubatch: int
    weights_bytes: int
    kv_bytes: int
    compute_bytes: int


def asked_shape(shape: MemoryShape, short: EngineFigures, long: EngineFigures) -> MemoryShape:
    """Return the shape with what the engine said of a short and of a long context, as straight lines.

    A window between the two makes the line too steep beyond the long one: the plan is then too high.
    Weights that the engine holds and the file does not (a table held twice) stay on the host.
    """
    tokens = long.context - short.context
    per_token = max(0.0, (long.kv_bytes - short.kv_bytes) / tokens)
    state = max(0.0, short.kv_bytes - per_token * short.context)
    cache = LayerCache(per_token / KV_BYTES["f16"] / shape.layers, state_bytes=round(state / shape.layers))
    slope = max(0.0, (long.compute_bytes - short.compute_bytes) / tokens)
    fixed = max(0.0, short.compute_bytes - slope * short.context)
    return replace(
        shape,
        embedding_bytes=shape.embedding_bytes + max(0, long.weights_bytes - shape.weights_bytes),
        caches=(cache,) * shape.layers,
        cache_rule="asked",
        compute=ComputeBuffer(fixed / short.ubatch, slope / short.ubatch),
    )


def layer_caches(info: GgufInfo) -> tuple[LayerCache, ...]:
    """Return what each layer keeps; () for an architecture that is not known here."""
    if info.architecture not in KNOWN:
        return ()
    windows = sliding_windows(info)
    heads = info.by_layer("attention.head_count_kv") or (info.kv_heads,) * info.layers
    state = recurrent_state_bytes(info)
    caches = []
    for number in range(info.layers):
        kind = info.layer_tensors[number]
        recurrent = kind.recurrent and state > 0
        attends = (kind.attention or not recurrent) and heads[number] > 0
        values = heads[number] * values_per_head(info) if attends else 0
        caches.append(LayerCache(values, windows[number] if attends else 0, state if recurrent else 0))
    return tuple(caches)


def sliding_windows(info: GgufInfo) -> tuple[int, ...]:
    """Return the window of each layer in tokens, 0 for one that attends to the whole context."""
    usual = WINDOW_PERIODS.get(info.architecture)
    window = info.number("attention.sliding_window")
    if usual is None or not window:
        return (0,) * info.layers
    pattern = info.values.get(f"{info.architecture}.attention.sliding_window_pattern")
    if isinstance(pattern, tuple):
        return tuple(
            window if number < len(pattern) and pattern[number] else 0 for number in range(info.layers)
        )
    period = pattern if isinstance(pattern, int) and not isinstance(pattern, bool) and pattern > 0 else usual
    return tuple(0 if number % period == period - 1 else window for number in range(info.layers))


def values_per_head(info: GgufInfo) -> int:
    """Return the numbers that one head of keys and values keeps of a token.

    Multi-head latent attention keeps the compressed keys, which the values are made of again.
    """
    if info.number("attention.key_length_mla"):
        return info.key_length
    return info.key_length + info.value_length


def recurrent_state_bytes(info: GgufInfo) -> int:
    """Return the state of one recurrent layer for one sequence: the last inputs of its convolution, and
    what it carries on (llama_hparams: n_embd_r, n_embd_s)."""
    kernel = info.number("shortconv.l_cache")
    if kernel:
        return FLOAT_BYTES * info.hidden * (kernel - 1)
    inner, size, groups = (info.number(f"ssm.{key}") for key in ("inner_size", "state_size", "group_count"))
    before = max(0, info.number("ssm.conv_kernel") - 1)
    return FLOAT_BYTES * (before * (inner + 2 * groups * size) + inner * size)


def idle_expert_bytes(info: GgufInfo) -> int:
    """Return the weights of experts that one token does not use."""
    count, used = info.number("expert_count"), info.number("expert_used_count")
    if not 0 < used < count:
        return 0
    return sum(kind.expert_bytes for kind in info.layer_tensors) * (count - used) // count


def repackable_bytes(info: GgufInfo) -> int:
    """Return the weights that llama.cpp rearranges when it loads; the input table stays as it is."""
    count = sum(info.bytes_by_type.get(name, 0) for name in REPACKED_TYPES)
    values = info.hidden * info.vocab
    bits = 8 * info.embedding_bytes / values if values else 0.0
    if abs(bits - FOUR_BIT) < 0.1:
        count -= info.embedding_bytes
    return max(0, count)


def catalogue_shape(model: catalogue.CatalogueModel) -> MemoryShape:
    """Return the shape of a model that is not here yet, from its published sizes."""
    shape = model.shape
    return MemoryShape.from_totals(
        model.name,
        weights_bytes=model.bytes,
        layers=shape.layers,
        kv_heads=shape.kv_heads,
        head_dim=shape.head_dim,
        hidden=shape.hidden,
        ffn=shape.ffn,
        vocab=shape.vocab,
        train_context=shape.context,
    )
