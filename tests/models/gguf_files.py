"""Builds small GGUF files, right ones and wrong ones, byte by byte."""

import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

ALIGNMENT = 32


def string(text: str | bytes) -> bytes:
    raw = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(raw)) + raw


@dataclass
class Raw:
    """A metadata value as type number and bytes, for what no writer would write."""

    kind: int
    content: bytes


def value(item: Any) -> bytes:
    """Encode one metadata value with its type."""
    if isinstance(item, Raw):
        return struct.pack("<I", item.kind) + item.content
    if isinstance(item, bool):
        return struct.pack("<IB", 7, item)
    if isinstance(item, int):
        return struct.pack("<II", 4, item)
    if isinstance(item, float):
        return struct.pack("<If", 6, item)
    if isinstance(item, str):
        return struct.pack("<I", 8) + string(item)
    if item and isinstance(item[0], str):
        return struct.pack("<IIQ", 9, 8, len(item)) + b"".join(string(text) for text in item)
    return struct.pack("<IIQ", 9, 5, len(item)) + struct.pack(f"<{len(item)}i", *item)


@dataclass
class Tensor:
    """One tensor description; offset None puts it where it belongs."""

    name: str
    shape: Sequence[int] = (32, 4)
    kind: int = 0  # f32
    bytes: int | None = None
    offset: int | None = None


def metadata(**changes: Any) -> dict[str, Any]:
    """Return the metadata of a two-layer Qwen2; underscores in `changes` stand for dots."""
    values: dict[str, Any] = {
        "general.architecture": "qwen2",
        "general.name": "Tiny",
        "general.file_type": 0,
        "qwen2.block_count": 2,
        "qwen2.context_length": 4096,
        "qwen2.embedding_length": 32,
        "qwen2.feed_forward_length": 64,
        "qwen2.attention.head_count": 4,
        "qwen2.attention.head_count_kv": 2,
        "tokenizer.ggml.tokens": ["a", "b", "你好"],
        "tokenizer.ggml.token_type": [1, 1, 1],
        "tokenizer.chat_template": "{{ messages }}",
    }
    values.update({key.replace("__", "."): item for key, item in changes.items()})
    return {key: item for key, item in values.items() if item is not None}


TENSORS = (
    Tensor("token_embd.weight"),
    Tensor("blk.0.attn_q.weight"),
    Tensor("blk.1.attn_q.weight", (32, 2)),
    Tensor("output_norm.weight", (32,)),
    Tensor("output.weight"),
)


@dataclass
class Builder:
    """A GGUF file in the making; change a field to break it."""

    values: dict[str, Any] = field(default_factory=metadata)
    tensors: Sequence[Tensor] = TENSORS
    version: int = 3
    magic: bytes = b"GGUF"
    key_count: int | None = None
    tensor_count: int | None = None
    data_bytes: int | None = None

    def build(self) -> bytes:
        head = bytearray(self.magic + struct.pack("<I", self.version))
        head += struct.pack("<Q", len(self.tensors) if self.tensor_count is None else self.tensor_count)
        head += struct.pack("<Q", len(self.values) if self.key_count is None else self.key_count)
        for key, item in self.values.items():
            head += string(key) + value(item)
        offset = 0
        for tensor in self.tensors:
            size = 4
            for length in tensor.shape:
                size *= length
            size = size if tensor.bytes is None else tensor.bytes
            head += string(tensor.name) + struct.pack("<I", len(tensor.shape))
            head += b"".join(struct.pack("<Q", length) for length in tensor.shape)
            head += struct.pack("<IQ", tensor.kind, offset if tensor.offset is None else tensor.offset)
            offset += -(-size // ALIGNMENT) * ALIGNMENT
        head += b"\0" * (-len(head) % ALIGNMENT)
        return bytes(head) + os.urandom(offset if self.data_bytes is None else self.data_bytes)


def tiny_gguf(weights: int = 4096, **changes: Any) -> bytes:
    """Return a whole file with about `weights` random f32 values in one tensor, and the given metadata."""
    tensors = (*TENSORS, Tensor("blk.0.ffn_up.weight", (32, max(1, weights // 32))))
    return Builder(metadata(**changes), tensors).build()
