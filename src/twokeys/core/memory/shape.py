"""What the planner must know of a model: the sizes of its weights and of one token's cache.

Built by the composition root from a GGUF file's header or from a known shape; reads no files.
"""

from dataclasses import dataclass
from typing import Self

KV_BYTES: dict[str, float] = {"f16": 2.0, "q8_0": 34 / 32, "q4_0": 18 / 32}
"""Bytes per cached value: ggml packs 32 values and their scale into one block."""


@dataclass(frozen=True, slots=True)
class MemoryShape:
    """A model as memory sees it. Sizes in bytes; head sizes and vocabulary in values.

    layer_bytes: weights of each repeated layer, first to last. embedding_bytes: the input table, which
    stays on the host. output_bytes: the output head with its norm; tied: there is no head of its own,
    the input table serves as one (a card gets a copy). repackable_bytes: weights of types that
    llama.cpp rearranges for the processor (4-bit ones), the input table not among them; None when
    unknown. approximate: the sizes come from a catalogue and not from the file. guard_bytes: of the process
    that watches over a llama-server, 0 where the library runs in the worker itself.
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
        """Return the weights that decoding one token reads: every layer and the output head."""
        return sum(self.layer_bytes) + self.head_bytes

    def kv_bytes_per_token(self, kv_type: str = "f16") -> float:
        """Return layers · kv_heads · (key + value length) · bytes per value: F3's 56 KiB for the 7B."""
        values = self.layers * self.kv_heads * (self.key_length + self.value_length)
        return values * KV_BYTES[kv_type]

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
