"""What the planner must know of a model: the sizes of its weights and of one token's cache.

Built by the composition root from a GGUF file's header or from a known shape; reads no files.
"""

from dataclasses import dataclass
from typing import Literal, Self

KV_BYTES: dict[str, float] = {"f16": 2.0, "q8_0": 34 / 32, "q4_0": 18 / 32}
"""Bytes per cached value: ggml packs 32 values and their scale into one block."""


WINDOW_STEP = 256
"""llama.cpp rounds the cells of a sliding window up to a multiple of this."""

CacheRule = Literal["known", "asked", "guessed"]
"""How the caches are known: by the architecture's rule, from the engine's own dry run, or by taking every
layer for one that attends to the whole context, which is the most it can be."""


@dataclass(frozen=True, slots=True)
class LayerCache:
    """What one layer keeps of a conversation.

    values: numbers per token, keys and values together. window: tokens it looks back, 0 for the whole
    context. state_bytes: recurrent state of one sequence, whatever the context is.
    """

    values: float
    window: int = 0
    state_bytes: int = 0

    def bytes(self, context: int, parallel: int, kv_type: str, ubatch: int) -> float:
        """Return the size for so many sequences of so many tokens each.

        A window needs room for the ubatch that is being computed beside it (llama_kv_cache_iswa).
        """
        cells = context
        if self.window:
            cells = -(-min(context, self.window + ubatch) // WINDOW_STEP) * WINDOW_STEP
        return parallel * (cells * self.values * KV_BYTES[kv_type] + self.state_bytes)

    def checkpoint_bytes(self, context: int, kv_type: str) -> float:
        """Return what a checkpoint copies: a window and a state cannot be cut back to an earlier token."""
        return min(context, self.window) * self.values * KV_BYTES[kv_type] + self.state_bytes


@dataclass(frozen=True, slots=True)
class ComputeBuffer:
    """The engine's own word for its compute buffer, for one token of ubatch."""

    fixed_bytes: float
    bytes_per_context_token: float


@dataclass(frozen=True, slots=True)
class MemoryShape:
    """A model as memory sees it. Sizes in bytes; head sizes and vocabulary in values.

    layer_bytes: weights of each repeated layer, first to last. embedding_bytes: the input table, which
    stays on the host. output_bytes: the output head with its norm; tied: there is no head of its own,
    the input table serves as one (a card gets a copy). repackable_bytes: weights of types that
    llama.cpp rearranges for the processor (4-bit ones), the input table not among them; None when
    unknown. caches: what each layer keeps of a conversation; () when all attend to the whole context.
    compute: what the engine told of its buffer, None to use the formula.
    idle_expert_bytes: weights of experts that a token does not use. approximate: the sizes come from a
    catalogue and not from the file. guard_bytes: of the process that watches over a llama-server, 0 where
    the library runs in the worker itself. draft: the model that drafts for this one.
    """

    name: str
    layers: int
    kv_heads: int
    key_length: int
    value_length: int
    hidden: int
    ffn: int
    vocab: int
    train_context: int
    layer_bytes: tuple[int, ...]
    embedding_bytes: int
    output_bytes: int
    repackable_bytes: int | None = None
    approximate: bool = False
    tied: bool = False
    guard_bytes: int = 0
    caches: tuple[LayerCache, ...] = ()
    cache_rule: CacheRule = "known"
    compute: ComputeBuffer | None = None
    idle_expert_bytes: int = 0
    draft: "MemoryShape | None" = None

    @property
    def repack_bytes(self) -> int:
        """Return what a mapped file holds a second time; at most everything but the input table."""
        if self.repackable_bytes is not None:
            return self.repackable_bytes
        return sum(self.layer_bytes) + self.output_bytes

    @property
    def weights_bytes(self) -> int:
        return sum(self.layer_bytes) + self.embedding_bytes + self.output_bytes

    @property
    def head_bytes(self) -> int:
        """Return the output head as it is computed with: the input table where the two are tied."""
        return self.output_bytes + (self.embedding_bytes if self.tied else 0)

    @property
    def read_bytes_per_token(self) -> int:
        """Return the weights that decoding one token reads: every layer, its idle experts left out, and the
        output head."""
        return sum(self.layer_bytes) - self.idle_expert_bytes + self.head_bytes

    @property
    def layer_weights(self) -> int:
        """Return the numbers that all layers multiply a token with, 0 for a mixture of experts."""
        if self.idle_expert_bytes:
            return 0
        keys_and_values = self.kv_heads * (self.key_length + self.value_length)
        return self.layers * self.hidden * (2 * self.hidden + keys_and_values + 3 * self.ffn)

    @property
    def layer_caches(self) -> tuple[LayerCache, ...]:
        """Return what each layer keeps of a conversation."""
        values = self.kv_heads * (self.key_length + self.value_length)
        return self.caches or (LayerCache(values),) * self.layers

    def kv_bytes_per_token(self, kv_type: str = "f16") -> float:
        """Return what one token more of context costs, windows being full: F3's 56 KiB for the 7B."""
        values = sum(cache.values for cache in self.layer_caches if not cache.window)
        return values * KV_BYTES[kv_type]

    def bytes_read(self, tokens: float, kv_type: str) -> float:
        """Return what writing one token reads from memory with so many tokens in the context."""
        return self.read_bytes_per_token + tokens * self.kv_bytes_per_token(kv_type)

    @classmethod
    def from_totals(
        cls,
        name: str,
        *,
        weights_bytes: int,
        layers: int,
        kv_heads: int,
        head_dim: int,
        hidden: int,
        ffn: int,
        vocab: int,
        train_context: int,
    ) -> Self:
        """Build from a known shape and a total size: the tables take their share of the values."""
        table = hidden * vocab
        per_layer = 2 * hidden * hidden + 2 * hidden * kv_heads * head_dim + 3 * hidden * ffn
        values = 2 * table + layers * per_layer
        table_bytes = weights_bytes * table // values
        layer_bytes = (weights_bytes - 2 * table_bytes) // layers
        rest = weights_bytes - layers * layer_bytes - table_bytes
        return cls(
            name=name,
            layers=layers,
            kv_heads=kv_heads,
            key_length=head_dim,
            value_length=head_dim,
            hidden=hidden,
            ffn=ffn,
            vocab=vocab,
            train_context=train_context,
            layer_bytes=(layer_bytes,) * layers,
            embedding_bytes=table_bytes,
            output_bytes=rest,
            approximate=True,
        )
