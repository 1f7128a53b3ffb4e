"""The header reader: right about whole files, clear about broken ones, never fooled or overwhelmed."""

import random
import struct
import tracemalloc
from pathlib import Path

import pytest
from gguf import GGUFReader
from gguf_files import TENSORS, Builder, Raw, Tensor, metadata, string, tiny_gguf
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from twokeys.errors import ModelBroken, Reason
from twokeys.models import gguf


def reason_of(path: Path) -> str:
    """Return the text key of the reason a file is refused for."""
    with pytest.raises(ModelBroken) as caught:
        gguf.read_model(path)
    reason = caught.value.params["reason"]
    assert isinstance(reason, Reason)
    assert "{" not in reason, "every value of the sentence is filled in"
    assert reason.in_language("zh") != reason
    return reason.key.removeprefix("models.broken.")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "model.gguf"


def test_header_of_a_real_model_agrees_with_the_reference_reader(smollm2: Path) -> None:
    ours, theirs = gguf.read_model(smollm2), GGUFReader(smollm2)

    def field(name: str) -> object:
        return theirs.fields[f"{ours.architecture}.{name}"].contents()

    assert ours.architecture == theirs.fields["general.architecture"].contents()
    assert ours.name == theirs.fields["general.name"].contents()
    assert ours.layers == field("block_count")
    assert ours.heads == field("attention.head_count")
    assert ours.kv_heads == field("attention.head_count_kv")
    assert ours.hidden == field("embedding_length")
    assert ours.ffn == field("feed_forward_length")
    assert ours.context == field("context_length")
    assert ours.vocab == len(theirs.fields["tokenizer.ggml.tokens"].data)
    assert ours.chat_template == theirs.fields["tokenizer.chat_template"].contents()
    assert ours.data_offset == theirs.data_offset
    assert ours.tensor_count == len(theirs.tensors)
    assert ours.tensor_bytes == sum(int(tensor.n_bytes) for tensor in theirs.tensors)
    by_name = {tensor.name: int(tensor.n_bytes) for tensor in theirs.tensors}
    assert ours.embedding_bytes == by_name["token_embd.weight"]
    assert ours.output_bytes == by_name.get("output.weight", 0)
    layer_3 = sum(size for name, size in by_name.items() if name.startswith("blk.3."))
    assert ours.layer_bytes[3] == layer_3
    parts = ours.embedding_bytes + ours.output_bytes + ours.other_bytes + sum(ours.layer_bytes)
    assert parts == ours.tensor_bytes == sum(ours.bytes_by_type.values())


def test_the_small_qwen_has_the_figures_of_its_config(qwen: Path) -> None:
    info = gguf.read_model(qwen)
    assert (info.architecture, info.layers, info.heads, info.kv_heads) == ("qwen2", 24, 14, 2)
    assert (info.hidden, info.ffn, info.vocab, info.context) == (896, 4864, 151936, 32768)
    assert info.data_offset + info.tensor_bytes == info.file_bytes == qwen.stat().st_size
    assert "<|im_start|>" in info.chat_template


def test_the_kv_cache_of_the_small_qwen_takes_12288_bytes_a_token(qwen: Path) -> None:
    info = gguf.read_model(qwen)
    assert info.kv_bytes_per_token() == 12288
    assert info.kv_bytes_per_token(34 / 32) == 6528
    assert info.quantisation == "q4_k_m"


def test_a_vocabulary_of_150000_words_is_stepped_over_not_built(qwen: Path) -> None:
    info = gguf.read_model(qwen)
    assert info.vocab > 150_000
    assert "tokenizer.ggml.tokens" not in info.values
    assert "tokenizer.ggml.merges" not in info.values


def test_a_built_file_is_read_with_all_its_values(file: Path) -> None:
    file.write_bytes(Builder(metadata(qwen2__attention__key_length=16)).build())
    info = gguf.read_model(file)
    assert (info.architecture, info.name, info.quantisation) == ("qwen2", "Tiny", "f32")
    assert (info.layers, info.heads, info.kv_heads) == (2, 4, 2)
    assert (info.key_length, info.value_length) == (16, 8)
    assert (info.vocab, info.context) == (3, 4096)
    assert info.layer_bytes == (512, 256)
    assert (info.embedding_bytes, info.output_bytes, info.other_bytes) == (512, 512, 128)


def test_kv_heads_that_differ_by_layer_count_with_the_largest(file: Path) -> None:
    file.write_bytes(Builder(metadata(qwen2__attention__head_count_kv=[1, 4])).build())
    assert gguf.read_model(file).kv_heads == 4


def test_missing_padding_after_the_last_tensor_is_no_damage(file: Path) -> None:
    tensors = (Tensor("token_embd.weight", (3,)),)
    file.write_bytes(Builder(tensors=tensors, data_bytes=12).build())
    assert gguf.read_model(file).tensor_bytes == 12


WRONG_KINDS = {
    "empty": b"",
    "not_gguf": b"MZ\x90\x00 this is a program",
    "not_gguf_html": b"\n<!DOCTYPE html>\n<html><body>401 Unauthorized</body></html>",
    "not_gguf_json": b'{"error": "Repository not found"}',
    "not_gguf_lfs_pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 4\n",
    "not_gguf_zip": b"PK\x03\x04\x14\x00\x00\x00",
    "not_gguf_old_ggml": b"lmgg\x01\x00\x00\x00",
    "not_gguf_zeros": b"\0" * 4096,
    "truncated_header": b"GGUF\x03\x00\x00\x00",
    "version": struct.pack("<4sIQQ", b"GGUF", 9, 0, 0),
    "big_endian": struct.pack(">4sIQQ", b"GGUF", 3, 0, 0),
    "counts": struct.pack("<4sIQQ", b"GGUF", 3, 2**63, 2**63),
    "no_architecture": struct.pack("<4sIQQ", b"GGUF", 3, 0, 0),
}


@pytest.mark.parametrize("kind", WRONG_KINDS)
def test_what_is_no_model_is_called_by_its_name(kind: str, file: Path) -> None:
    file.write_bytes(WRONG_KINDS[kind])
    assert reason_of(file) == kind


HUGE = struct.pack("<Q", 2**64 - 1)
BROKEN_HEADERS = {
    "an endless vocabulary": (
        "array",
        Builder(metadata(tokenizer__ggml__tokens=Raw(9, struct.pack("<I", 8) + HUGE))),
    ),
    "an endless number array": ("array", Builder(metadata(a__b=Raw(9, struct.pack("<I", 0) + HUGE)))),
    "a string longer than the file": ("truncated_header", Builder(metadata(general__name=Raw(8, HUGE)))),
    "a vocabulary word longer than the file": (
        "truncated_header",
        Builder(metadata(tokenizer__ggml__tokens=Raw(9, struct.pack("<IQ", 8, 600) + HUGE))),
    ),
    "an array of arrays": ("value_type", Builder(metadata(a__b=Raw(9, struct.pack("<IQ", 9, 1))))),
    "an unknown value type": ("value_type", Builder(metadata(a__b=Raw(99, b"")))),
    "an empty key": ("key", Builder({**metadata(), "": 1})),
    "more keys than there are": ("truncated_header", Builder(key_count=100)),
    "an odd alignment": ("alignment", Builder(metadata(general__alignment=33))),
    "no alignment": ("alignment", Builder(metadata(general__alignment=0))),
    "a worded alignment": ("alignment", Builder(metadata(general__alignment="32"))),
    "no tensors": ("no_tensors", Builder(tensors=())),
    "a tensor twice": ("tensor", Builder(tensors=(*TENSORS, TENSORS[0]))),
    "a tensor without dimensions": ("tensor", Builder(tensors=(Tensor("a", ()),))),
    "a tensor of seven dimensions": ("tensor", Builder(tensors=(Tensor("a", (1,) * 7),))),
    "a tensor without a name": ("tensor", Builder(tensors=(Tensor(""),))),
    "an unknown quantisation": ("tensor_type", Builder(tensors=(Tensor("a", kind=77),))),
    "a retired quantisation": ("tensor_type", Builder(tensors=(Tensor("a", kind=4),))),
    "a row that is no whole block": ("tensor", Builder(tensors=(Tensor("a", (100, 2), kind=12),))),
    "an overflowing tensor": (
        "tensor",
        Builder(tensors=(Tensor("a", (2**40, 2**40, 2**40), bytes=32),)),
    ),
    "a tensor of 2^63 values": ("tensor", Builder(tensors=(Tensor("a", (2**63,), bytes=32),))),
    "a tensor behind the end": ("truncated", Builder(tensors=(Tensor("a", (2**30,), bytes=32),))),
    "a tensor out of place": ("tensor_offset", Builder(tensors=(Tensor("a", offset=64),))),
    "data cut short": ("truncated", Builder(data_bytes=100)),
    "no architecture": ("no_architecture", Builder(metadata(general__architecture=None))),
    "a number for an architecture": ("no_architecture", Builder(metadata(general__architecture=7))),
}


@pytest.mark.parametrize("case", BROKEN_HEADERS)
def test_a_header_with(case: str, file: Path) -> None:
    expected, builder = BROKEN_HEADERS[case]
    file.write_bytes(builder.build())
    assert reason_of(file) == expected


def test_wrong_types_in_known_fields_do_not_crash(file: Path) -> None:
    file.write_bytes(
        Builder(
            metadata(
                qwen2__block_count="many",
                qwen2__attention__head_count=0,
                qwen2__attention__head_count_kv=["x"],
                general__name=5,
                general__file_type="q",
                tokenizer__chat_template=True,
            )
        ).build()
    )
    info = gguf.read_model(file)
    assert (info.layers, info.heads, info.name, info.chat_template) == (0, 0, "", "")


def test_a_download_cut_anywhere_is_refused(file: Path) -> None:
    whole = tiny_gguf()
    cuts = random.Random(7).sample(range(len(whole)), 60)
    for cut in [*cuts, 0, 3, 4, 8, 23, 24, len(whole) - 1]:
        file.write_bytes(whole[:cut])
        assert reason_of(file) in {"truncated", "truncated_header", "empty", "not_gguf"}


def test_a_real_model_cut_by_one_block_is_refused_with_the_missing_bytes(
    smollm2: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "cut.gguf"
    with smollm2.open("rb") as source:
        copy.write_bytes(source.read(4 << 20))
    with copy.open("r+b") as out:
        out.truncate(smollm2.stat().st_size - 1000)  # sparse: only the length matters here
    with pytest.raises(ModelBroken) as caught:
        gguf.read_model(copy)
    assert "1000 are missing" in caught.value.params["reason"]


def test_a_folder_or_unreadable_file_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "folder.gguf"
    folder.mkdir()
    assert reason_of(folder) == "part_missing"


@pytest.mark.parametrize("name", ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"])
def test_any_part_of_a_split_model_leads_to_the_whole(name: str, tmp_path: Path) -> None:
    write_split(tmp_path)
    info = gguf.read_model(tmp_path / name)
    assert info.path == tmp_path / "m-00001-of-00002.gguf"
    assert (info.split_count, info.tensor_count) == (2, 5)
    assert info.tensor_bytes == 512 + 512 + 256 + 128 + 512


def test_a_split_model_with_a_part_missing_names_the_part(tmp_path: Path) -> None:
    write_split(tmp_path)
    (tmp_path / "m-00002-of-00002.gguf").unlink()
    with pytest.raises(ModelBroken, match="model") as caught:
        gguf.read_model(tmp_path / "m-00001-of-00002.gguf")
    assert "m-00002-of-00002.gguf" in caught.value.params["reason"]


def test_a_damaged_second_part_is_refused(tmp_path: Path) -> None:
    write_split(tmp_path)
    second = tmp_path / "m-00002-of-00002.gguf"
    second.write_bytes(second.read_bytes()[:-300])
    assert reason_of(tmp_path / "m-00001-of-00002.gguf") == "truncated"


def test_a_renamed_part_of_a_split_model_is_refused(tmp_path: Path) -> None:
    write_split(tmp_path)
    renamed = tmp_path / "mine.gguf"
    (tmp_path / "m-00001-of-00002.gguf").rename(renamed)
    assert reason_of(renamed) == "split_name"


def write_split(folder: Path) -> None:
    """Write a model as llama.cpp's splitter does: all metadata in the first part."""
    first = metadata(split__no=0, split__count=2)
    (folder / "m-00001-of-00002.gguf").write_bytes(Builder(first, TENSORS[:3]).build())
    second = {"split.no": 1, "split.count": 2}
    (folder / "m-00002-of-00002.gguf").write_bytes(Builder(second, TENSORS[3:]).build())


def test_hostile_counts_are_refused_before_memory_is_taken_for_them(file: Path) -> None:
    words = b"".join(string("") for _ in range(2000))
    hostile = [
        Builder(metadata(tokenizer__ggml__tokens=Raw(9, struct.pack("<IQ", 8, 2**22) + words))),
        Builder(metadata(a__b=Raw(9, struct.pack("<IQ", 12, 2**22)))),
        Builder(tensor_count=2**16),
        Builder(key_count=2**14),
    ]
    tracemalloc.start()
    for builder in hostile:
        file.write_bytes(builder.build())
        with pytest.raises(ModelBroken):
            gguf.read_model(file)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 32 << 20


SEED_FILE = Builder().build()
HEADER_END = len(SEED_FILE) - 1952
QUIET = settings(max_examples=250, deadline=1000, suppress_health_check=[HealthCheck.function_scoped_fixture])


def survives(file: Path, content: bytes) -> None:
    """Read a file that may be anything; the only error that may come is ModelBroken."""
    file.write_bytes(content)
    try:
        info = gguf.read_model(file)
    except ModelBroken as error:
        assert str(error.params["reason"])
    else:
        assert info.tensor_bytes <= len(content)


@QUIET
@given(st.binary(max_size=600))
def test_random_bytes_after_the_magic_never_crash_the_reader(file: Path, noise: bytes) -> None:
    survives(file, b"GGUF\x03\x00\x00\x00" + noise)


@QUIET
@given(st.lists(st.tuples(st.integers(0, HEADER_END), st.integers(0, 255)), min_size=1, max_size=8))
def test_flipped_header_bytes_never_crash_the_reader(file: Path, flips: list[tuple[int, int]]) -> None:
    content = bytearray(SEED_FILE)
    for position, byte in flips:
        content[position] = byte
    survives(file, bytes(content))


@QUIET
@given(st.integers(8, HEADER_END - 8), st.integers(0, 2**64 - 1))
@example(8, 2**64 - 1)
@example(16, 2**63)
def test_a_huge_number_anywhere_never_crashes_the_reader(file: Path, position: int, number: int) -> None:
    content = bytearray(SEED_FILE)
    content[position : position + 8] = struct.pack("<Q", number)
    survives(file, bytes(content))


@QUIET
@given(st.integers(0, len(SEED_FILE)), st.integers(0, len(SEED_FILE)), st.binary(max_size=64))
def test_lost_or_inserted_bytes_never_crash_the_reader(
    file: Path, start: int, end: int, inserted: bytes
) -> None:
    survives(file, SEED_FILE[: min(start, end)] + inserted + SEED_FILE[max(start, end) :])
