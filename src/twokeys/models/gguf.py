"""Reads the header of a GGUF file: what model it is, how large, and whether the file is whole.

Pure Python, and it trusts nothing: every count, length and offset in the file is checked against
the file's own length and against fixed limits before it is used, so a corrupt, truncated or
hostile file ends in ModelBroken with its reason, in bounded time and memory, before any native
code sees it. Weights are never read: flipped bits inside a tensor are found by the SHA-256 of the
download, not here. Big arrays (the vocabulary) are stepped over, not built.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3, little endian.
"""

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from twokeys.errors import ModelBroken, Reason

MAGIC = b"GGUF"
VERSIONS = (2, 3)

MAX_HEADER_BYTES = 256 << 20
"""No known model's metadata comes near this; the vocabulary of a 262 144-token model takes 20 MB."""
MAX_KEYS = 1 << 14
MAX_TENSORS = 1 << 16
MAX_ELEMENTS = 1 << 22
"""Array elements in the whole header (a large vocabulary with its merges has about 1.5 million)."""
MAX_NAME_BYTES = 1 << 12
MAX_TENSOR_NAME_BYTES = 63
MAX_KEPT_STRING_BYTES = 1 << 20
MAX_KEPT_ARRAY = 512
MAX_DIMS = 4
MAX_ALIGNMENT = 1 << 16

_CHUNK = 4 << 20

_SCALARS: Mapping[int, struct.Struct] = {
    0: struct.Struct("<B"),
    1: struct.Struct("<b"),
    2: struct.Struct("<H"),
    3: struct.Struct("<h"),
    4: struct.Struct("<I"),
    5: struct.Struct("<i"),
    6: struct.Struct("<f"),
    7: struct.Struct("<B"),  # bool
    10: struct.Struct("<Q"),
    11: struct.Struct("<q"),
    12: struct.Struct("<d"),
}
_BOOL, _STRING, _ARRAY = 7, 8, 9

TENSOR_TYPES: Mapping[int, tuple[str, int, int]] = {
    0: ("f32", 1, 4),
    1: ("f16", 1, 2),
    2: ("q4_0", 32, 18),
    3: ("q4_1", 32, 20),
    6: ("q5_0", 32, 22),
    7: ("q5_1", 32, 24),
    8: ("q8_0", 32, 34),
    9: ("q8_1", 32, 40),
    10: ("q2_k", 256, 84),
    11: ("q3_k", 256, 110),
    12: ("q4_k", 256, 144),
    13: ("q5_k", 256, 176),
    14: ("q6_k", 256, 210),
    15: ("q8_k", 256, 292),
    16: ("iq2_xxs", 256, 66),
    17: ("iq2_xs", 256, 74),
    18: ("iq3_xxs", 256, 98),
    19: ("iq1_s", 256, 50),
    20: ("iq4_nl", 32, 18),
    21: ("iq3_s", 256, 110),
    22: ("iq2_s", 256, 82),
    23: ("iq4_xs", 256, 136),
    24: ("i8", 1, 1),
    25: ("i16", 1, 2),
    26: ("i32", 1, 4),
    27: ("i64", 1, 8),
    28: ("f64", 1, 8),
    29: ("iq1_m", 256, 56),
    30: ("bf16", 1, 2),
    34: ("tq1_0", 256, 54),
    35: ("tq2_0", 256, 66),
    39: ("mxfp4", 32, 17),
    40: ("nvfp4", 64, 36),
    41: ("q1_0", 128, 18),
}
"""Tensor type → name, values per block, bytes per block (ggml's own table)."""

FILE_TYPES: Mapping[int, str] = {
    0: "f32",
    1: "fp16",
    2: "q4_0",
    3: "q4_1",
    7: "q8_0",
    8: "q5_0",
    9: "q5_1",
    10: "q2_k",
    11: "q3_k_s",
    12: "q3_k_m",
    13: "q3_k_l",
    14: "q4_k_s",
    15: "q4_k_m",
    16: "q5_k_s",
    17: "q5_k_m",
    18: "q6_k",
    19: "iq2_xxs",
    20: "iq2_xs",
    21: "q2_k_s",
    22: "iq3_xs",
    23: "iq3_xxs",
    24: "iq1_s",
    25: "iq4_nl",
    26: "iq3_s",
    27: "iq3_m",
    28: "iq2_s",
    29: "iq2_m",
    30: "iq4_xs",
    31: "iq1_m",
    32: "bf16",
    36: "tq1_0",
    37: "tq2_0",
    38: "mxfp4",
    39: "nvfp4",
    40: "q1_0",
}

_SPLIT_NAME = re.compile(r"^(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf$", re.IGNORECASE)
_LAYER_NAME = re.compile(r"^blk\.(\d{1,5})\.([^.]*)")
_ATTENTION = re.compile(r"attn_(k|kv_a_mqa)")
_RECURRENT = re.compile(r"(ssm|shortconv|time_mix)(_.*)?")
_EXPERTS = re.compile(r"ffn_\w+_exps")
_LOOKALIKES: tuple[tuple[bytes, str], ...] = (
    (b"version https://git-lfs", "lfs_pointer"),
    (b"<!doctype html", "html"),
    (b"<html", "html"),
    (b"<?xml", "html"),
    (b"{", "json"),
    (b"PK\x03\x04", "zip"),
    (b"\x1f\x8b", "zip"),
    (b"lmgg", "old_ggml"),
    (b"fmgg", "old_ggml"),
    (b"tjgg", "old_ggml"),
)


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One tensor: name, shape (fastest dimension first), type name and size in bytes."""

    name: str
    shape: tuple[int, ...]
    type: str
    bytes: int


@dataclass(frozen=True, slots=True)
class LayerTensors:
    """What kind of layer it is, by its tensors.

    attention: it has keys of its own (a fused projection may belong to either kind). expert_bytes:
    weights of its experts, 0 without any.
    """

    attention: bool = False
    recurrent: bool = False
    expert_bytes: int = 0


@dataclass(frozen=True, slots=True)
class GgufInfo:
    """What the header of a GGUF file (or of all parts of a split one) says.

    heads, kv_heads: per layer where the file says so, else the same for all; `kv_heads` is the
    largest. key_length, value_length: values per head. context: tokens trained for.
    tensor_bytes = embedding_bytes + output_bytes + sum(layer_bytes) + other_bytes.
    Sizes that the file does not tell are 0.
    """

    path: Path
    version: int
    architecture: str
    name: str
    quantisation: str
    layers: int
    heads: int
    kv_heads: int
    key_length: int
    value_length: int
    hidden: int
    ffn: int
    vocab: int
    context: int
    chat_template: str
    file_bytes: int
    data_offset: int
    tensor_count: int
    tensor_bytes: int
    embedding_bytes: int
    output_bytes: int
    other_bytes: int
    layer_bytes: tuple[int, ...]
    bytes_by_type: Mapping[str, int]
    split_count: int = 1
    split_number: int = 1
    values: Mapping[str, Any] = field(default_factory=dict)
    layer_tensors: tuple[LayerTensors, ...] = ()

    def number(self, key: str) -> int:
        """Return a count that the architecture's metadata tells, the largest when it differs by layer."""
        return _whole_number(self.values.get(f"{self.architecture}.{key}"))

    def by_layer(self, key: str) -> tuple[int, ...]:
        """Return a count for each layer; () when the file does not tell it."""
        value = self.values.get(f"{self.architecture}.{key}")
        if isinstance(value, tuple):
            return tuple(int(item) if isinstance(item, int) else 0 for item in value[: self.layers])
        return (_whole_number(value),) * self.layers if value is not None else ()

    def kv_bytes_per_token(self, bytes_per_value: float = 2.0) -> float:
        """Return the KV cache's bytes for one token of context: layers · kv_heads · (key + value) · bytes."""
        return self.layers * self.kv_heads * (self.key_length + self.value_length) * bytes_per_value


@dataclass(frozen=True, slots=True)
class _Header:
    version: int
    values: Mapping[str, Any]
    array_lengths: Mapping[str, int]
    tensors: tuple[TensorInfo, ...]
    data_offset: int
    file_bytes: int


class _Bad(Exception):
    """Internal: what is wrong, as a key of texts/models.toml under `broken`."""

    def __init__(self, key: str, /, **values: object) -> None:
        super().__init__(key)
        self.key = key
        self.values = values


def broken(path: Path, key: str, /, **values: object) -> ModelBroken:
    """Return the ModelBroken of `path` with the reason `models.broken.<key>`."""
    return ModelBroken(name=path.name, reason=Reason(f"models.broken.{key}", **values))


def split_parts(path: Path) -> tuple[Path, ...]:
    """Return all parts of the split model that `path` belongs to, first part first; else (path,)."""
    match = _SPLIT_NAME.match(path.name)
    if not match or not 1 <= int(match["number"]) <= int(match["count"]) <= 999:
        return (path,)
    count = int(match["count"])
    return tuple(path.with_name(f"{match['stem']}-{n:05d}-of-{count:05d}.gguf") for n in range(1, count + 1))


def read_model(path: Path) -> GgufInfo:
    """Read and check a model file, all parts of it when it is split.

    Any part's path will do; the returned `path` is the first part, which is what an engine opens.
    Raises ModelBroken when a file is not a whole GGUF file or a part is missing.
    """
    parts = split_parts(path)
    for number, part in enumerate(parts, start=1):
        if not part.is_file():
            raise broken(path, "part_missing", part=part.name, number=number, count=len(parts))
    headers = [_read_checked(part) for part in parts]
    declared = _whole_number(headers[0].values.get("split.count"))
    if declared > 1 and declared != len(parts):
        raise broken(path, "split_name", count=declared)
    return _summarise(parts[0], headers)


def _read_checked(path: Path) -> _Header:
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            return _read_header(file, size)
    except _Bad as bad:
        raise broken(path, bad.key, **bad.values) from bad
    except OSError as error:
        raise broken(path, "unreadable", detail=error.strerror or str(error)) from error


class _Cursor:
    """Walks forward through a file, holding only the unread part of the current chunk."""

    __slots__ = ("_file", "_size", "base", "buffer", "offset")

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._size = size
        self.buffer = b""
        self.offset = 0  # within the buffer
        self.base = 0  # of the buffer within the file

    @property
    def position(self) -> int:
        return self.base + self.offset

    @property
    def left(self) -> int:
        return min(self._size, MAX_HEADER_BYTES) - self.position

    def need(self, count: int) -> None:
        """Make `count` bytes available at `offset`, or say that the header ends too early."""
        if self.offset + count <= len(self.buffer):
            return
        if count > self.left:
            raise self.too_short(count)
        rest = self.buffer[self.offset :]
        self.base += self.offset
        self.offset = 0
        self.buffer = rest + self._file.read(max(count - len(rest), _CHUNK))
        if count > len(self.buffer):
            raise _Bad("truncated_header", at=self.position)

    def too_short(self, count: int) -> _Bad:
        if self.position + count > self._size:
            return _Bad("truncated_header", at=self.position)
        return _Bad("header_limit", limit_mib=MAX_HEADER_BYTES >> 20)

    def unpack(self, layout: struct.Struct) -> Any:
        self.need(layout.size)
        (value,) = layout.unpack_from(self.buffer, self.offset)
        self.offset += layout.size
        return value

    def skip(self, count: int) -> None:
        if count > self.left:
            raise self.too_short(count)
        ahead = self.offset + count
        if ahead <= len(self.buffer):
            self.offset = ahead
            return
        self.base += ahead
        self.offset = 0
        self.buffer = b""
        self._file.seek(self.base)

    def bytes(self, limit: int) -> bytes | None:
        """Read a length-prefixed string; None (and stepped over) when longer than `limit`."""
        length = self.unpack(_U64)
        if length > limit:
            self.skip(length)
            return None
        self.need(length)
        value = self.buffer[self.offset : self.offset + length]
        self.offset += length
        return value

    def skip_strings(self, count: int) -> None:
        """Step over `count` strings; the hot loop for a vocabulary of 150 000 words."""
        unpack_from = _U64.unpack_from
        while count:
            self.need(8)
            buffer, offset, end = self.buffer, self.offset, len(self.buffer) - 8
            while count and offset <= end:
                offset += 8 + unpack_from(buffer, offset)[0]
                count -= 1
            self.offset, overshoot = min(offset, len(buffer)), offset - len(buffer)
            if overshoot > 0:
                self.skip(overshoot)


_U32 = _SCALARS[4]
_U64 = _SCALARS[10]


def _read_header(file: BinaryIO, size: int) -> _Header:
    _check_magic(file, size)
    cursor = _Cursor(file, size)
    cursor.skip(4)
    version = cursor.unpack(_U32)
    if version not in VERSIONS:
        # The low half is empty when a big-endian version is read as little endian.
        raise _Bad("big_endian" if version and version & 0xFFFF == 0 else "version", version=version)
    tensor_count, key_count = cursor.unpack(_U64), cursor.unpack(_U64)
    if key_count > MAX_KEYS or tensor_count > MAX_TENSORS:
        raise _Bad("counts", keys=key_count, tensors=tensor_count)
    values, array_lengths = _read_values(cursor, key_count)
    tensors, data_offset = _read_tensors(cursor, tensor_count, _alignment(values), size)
    return _Header(version, values, array_lengths, tensors, data_offset, size)


def _check_magic(file: BinaryIO, size: int) -> None:
    if size == 0:
        raise _Bad("empty")
    start = file.read(64)
    file.seek(0)
    if start[:4] == MAGIC:
        if size < 24:
            raise _Bad("truncated_header", at=size)
        return
    lowered = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for prefix, kind in _LOOKALIKES:
        if lowered.startswith(prefix.lower()):
            raise _Bad(f"not_gguf_{kind}")
    if start.strip(b"\0") == b"":
        raise _Bad("not_gguf_zeros")
    raise _Bad("not_gguf")


def _read_values(cursor: _Cursor, count: int) -> tuple[dict[str, Any], dict[str, int]]:
    values: dict[str, Any] = {}
    lengths: dict[str, int] = {}
    budget = MAX_ELEMENTS
    for _ in range(count):
        key = _text(cursor.bytes(MAX_NAME_BYTES))
        kind = cursor.unpack(_U32)
        if not key or key in values or key in lengths:
            raise _Bad("key", key=key[:80])
        if kind in _SCALARS:
            values[key] = _scalar(cursor, kind)
        elif kind == _STRING:
            value = cursor.bytes(MAX_KEPT_STRING_BYTES)
            if value is not None:
                values[key] = value.decode("utf-8", "replace")
        elif kind == _ARRAY:
            length, array = _read_array(cursor, key, budget)
            budget -= length
            lengths[key] = length
            if array is not None:
                values[key] = array
        else:
            raise _Bad("value_type", key=key[:80], type=kind)
    return values, lengths


def _scalar(cursor: _Cursor, kind: int) -> Any:
    value = cursor.unpack(_SCALARS[kind])
    return bool(value) if kind == _BOOL else value


def _read_array(cursor: _Cursor, key: str, budget: int) -> tuple[int, tuple[Any, ...] | None]:
    kind, length = cursor.unpack(_U32), cursor.unpack(_U64)
    if length > budget:
        raise _Bad("array", key=key[:80], length=length)
    keep = length <= MAX_KEPT_ARRAY and not key.startswith("tokenizer.")
    if kind == _STRING:
        if not keep:
            cursor.skip_strings(length)
            return length, None
        strings = (cursor.bytes(MAX_NAME_BYTES) for _ in range(length))
        return length, tuple(_text(value) for value in strings)
    if kind not in _SCALARS:
        raise _Bad("value_type", key=key[:80], type=kind)
    if not keep:
        cursor.skip(length * _SCALARS[kind].size)
        return length, None
    layout = struct.Struct(f"<{length}{_SCALARS[kind].format[1:]}")
    cursor.need(layout.size)
    values = layout.unpack_from(cursor.buffer, cursor.offset)
    cursor.offset += layout.size
    return length, values


def _alignment(values: Mapping[str, object]) -> int:
    alignment = values.get("general.alignment", 32)
    if not isinstance(alignment, int) or not 0 < alignment <= MAX_ALIGNMENT or alignment & (alignment - 1):
        raise _Bad("alignment", value=alignment)
    return alignment


def _read_tensors(
    cursor: _Cursor, count: int, alignment: int, file_bytes: int
) -> tuple[tuple[TensorInfo, ...], int]:
    tensors: list[TensorInfo] = []
    names: set[str] = set()
    expected = 0
    for _ in range(count):
        tensor, offset = _read_tensor(cursor)
        if tensor.name in names:
            raise _Bad("tensor", tensor=tensor.name)
        if offset != expected:  # ggml lays tensors one after the other and refuses anything else
            raise _Bad("tensor_offset", tensor=tensor.name)
        names.add(tensor.name)
        tensors.append(tensor)
        expected = _padded(offset + tensor.bytes, alignment)
    data_offset = _padded(cursor.position, alignment) if count else cursor.position
    # The padding after the last tensor may be missing; everything before it may not.
    last = tensors[-1].bytes if tensors else 0
    needed = data_offset + (expected - _padded(last, alignment) + last if tensors else 0)
    if needed > file_bytes:
        raise _Bad("truncated", needed_bytes=needed, file_bytes=file_bytes, missing_bytes=needed - file_bytes)
    return tuple(tensors), data_offset


def _read_tensor(cursor: _Cursor) -> tuple[TensorInfo, int]:
    name = _text(cursor.bytes(MAX_TENSOR_NAME_BYTES))
    dims = cursor.unpack(_U32)
    if not name or not 1 <= dims <= MAX_DIMS:
        raise _Bad("tensor", tensor=name)
    shape = tuple(cursor.unpack(_U64) for _ in range(dims))
    kind, offset = cursor.unpack(_U32), cursor.unpack(_U64)
    if kind not in TENSOR_TYPES:
        raise _Bad("tensor_type", tensor=name, type=kind)
    type_name, block_values, block_bytes = TENSOR_TYPES[kind]
    count = 1
    for length in shape:
        if length >= 1 << 48:
            raise _Bad("tensor", tensor=name)
        count *= length
    if shape[0] % block_values or count >= 1 << 56:
        raise _Bad("tensor", tensor=name)
    return TensorInfo(name, shape, type_name, count // block_values * block_bytes), offset


def _padded(value: int, alignment: int) -> int:
    return (value + alignment - 1) // alignment * alignment


def _text(raw: bytes | None) -> str:
    return "" if raw is None else raw.decode("utf-8", "replace")


def _whole_number(value: object) -> int:
    """Return a count from the metadata: the largest when it differs by layer, 0 when it is not one."""
    if isinstance(value, tuple):
        return max((_whole_number(item) for item in value), default=0)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        return 0
    return value


def _summarise(path: Path, headers: list[_Header]) -> GgufInfo:
    first = headers[0]
    values = first.values
    architecture = values.get("general.architecture")
    if not isinstance(architecture, str) or not architecture:
        raise broken(path, "no_architecture")

    def number(key: str) -> int:
        return _whole_number(values.get(f"{architecture}.{key}"))

    def text(key: str) -> str:
        value = values.get(key)
        return value if isinstance(value, str) else ""

    tensors = [tensor for header in headers for tensor in header.tensors]
    if not tensors:
        raise broken(path, "no_tensors")
    layers = number("block_count")
    heads, hidden = number("attention.head_count"), number("embedding_length")
    head_dim = hidden // heads if heads else 0
    sizes = _Sizes.of(tensors, min(layers, MAX_TENSORS))
    vocab = first.array_lengths.get("tokenizer.ggml.tokens", 0) or number("vocab_size")
    return GgufInfo(
        path=path,
        version=first.version,
        architecture=architecture,
        name=text("general.name"),
        quantisation=_quantisation(values, sizes.by_type),
        layers=layers,
        heads=heads,
        kv_heads=number("attention.head_count_kv") or heads,
        key_length=number("attention.key_length") or head_dim,
        value_length=number("attention.value_length") or head_dim,
        hidden=hidden,
        ffn=number("feed_forward_length"),
        vocab=vocab,
        context=number("context_length"),
        chat_template=text("tokenizer.chat_template"),
        file_bytes=sum(header.file_bytes for header in headers),
        data_offset=first.data_offset,
        tensor_count=len(tensors),
        tensor_bytes=sum(tensor.bytes for tensor in tensors),
        embedding_bytes=sizes.embedding,
        output_bytes=sizes.output,
        other_bytes=sizes.other,
        layer_bytes=tuple(sizes.layers),
        layer_tensors=tuple(sizes.kinds),
        bytes_by_type=sizes.by_type,
        split_count=len(headers),
        values=values,
    )


@dataclass(slots=True)
class _Sizes:
    layers: list[int]
    kinds: list[LayerTensors]
    by_type: dict[str, int] = field(default_factory=dict)
    embedding: int = 0
    output: int = 0
    other: int = 0

    @classmethod
    def of(cls, tensors: list[TensorInfo], layers: int) -> "_Sizes":
        sizes = cls([0] * layers, [LayerTensors()] * layers)
        for tensor in tensors:
            sizes.by_type[tensor.type] = sizes.by_type.get(tensor.type, 0) + tensor.bytes
            match = _LAYER_NAME.match(tensor.name)
            if match and int(match[1]) < layers:
                number = int(match[1])
                sizes.layers[number] += tensor.bytes
                sizes.kinds[number] = _with_tensor(sizes.kinds[number], tensor, match[2])
            elif tensor.name.startswith("token_embd."):
                sizes.embedding += tensor.bytes
            elif tensor.name.startswith("output."):
                sizes.output += tensor.bytes
            else:
                sizes.other += tensor.bytes
        return sizes


def _with_tensor(kind: LayerTensors, tensor: TensorInfo, name: str) -> LayerTensors:
    """Return the kind of a layer that has this tensor too; the name is without layer and ending."""
    if not tensor.name.endswith(".weight"):
        return kind
    return LayerTensors(
        attention=kind.attention or _ATTENTION.fullmatch(name) is not None,
        recurrent=kind.recurrent or _RECURRENT.fullmatch(name) is not None,
        expert_bytes=kind.expert_bytes + (tensor.bytes if _EXPERTS.fullmatch(name) else 0),
    )


def _quantisation(values: Mapping[str, object], by_type: Mapping[str, int]) -> str:
    file_type = values.get("general.file_type")
    if isinstance(file_type, int) and file_type in FILE_TYPES:
        return FILE_TYPES[file_type]
    return max(by_type, key=lambda name: by_type[name])
