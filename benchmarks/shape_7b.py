"""Write a GGUF file of exactly Qwen2.5-7B's shape with random weights, to measure memory at the real size.

The file (Q4_0, about 4.3 GB) talks nonsense; memory and speed do not depend on what weights say.
The tokenizer is taken from a small Qwen2.5 file and padded to the 7B's vocabulary of 152064.

    python benchmarks/shape_7b.py SMALL_QWEN.gguf OUT.gguf
"""

import argparse
import sys
from pathlib import Path

import gguf
import numpy as np
import numpy.typing as npt

LAYERS, HIDDEN, FFN, HEADS, KV_HEADS, HEAD_DIM, VOCAB, CONTEXT = 28, 3584, 18944, 28, 4, 128, 152064, 32768
BLOCK_VALUES, BLOCK_BYTES = 32, 18
WEIGHT_STD = 0.02


def random_q4_0(rows: int, columns: int, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Return `rows` × `columns` random weights as Q4_0 blocks: one f16 scale and 32 nibbles each."""
    blocks = columns // BLOCK_VALUES
    data = rng.integers(0, 256, size=(rows, blocks, BLOCK_BYTES), dtype=np.uint8)
    # nibbles are uniform in -8…7 with a standard deviation of about 4.6
    scale = np.full((rows, blocks), WEIGHT_STD / 4.6, dtype=np.float16)
    data[:, :, :2] = scale.view(np.uint8).reshape(rows, blocks, 2)
    return data.reshape(rows, blocks * BLOCK_BYTES)


def copy_tokenizer(source: Path, writer: gguf.GGUFWriter) -> None:
    """Copy the tokenizer of a small Qwen2.5 and pad its tables to the 7B's vocabulary."""
    fields = gguf.GGUFReader(source).fields
    tokens = fields["tokenizer.ggml.tokens"].contents()
    kinds = fields["tokenizer.ggml.token_type"].contents()
    padding = VOCAB - len(tokens)
    writer.add_tokenizer_model(fields["tokenizer.ggml.model"].contents())
    writer.add_tokenizer_pre(fields["tokenizer.ggml.pre"].contents())
    writer.add_token_list([*tokens, *(f"[PAD{VOCAB + i}]" for i in range(padding))])
    writer.add_token_types([*kinds, *([int(gguf.TokenType.UNUSED)] * padding)])
    writer.add_token_merges(fields["tokenizer.ggml.merges"].contents())
    writer.add_eos_token_id(fields["tokenizer.ggml.eos_token_id"].contents())
    writer.add_pad_token_id(fields["tokenizer.ggml.padding_token_id"].contents())
    writer.add_bos_token_id(fields["tokenizer.ggml.bos_token_id"].contents())
    writer.add_add_bos_token(False)
    writer.add_chat_template(fields["tokenizer.chat_template"].contents())


def write_shape(source: Path, target: Path, seed: int = 7) -> None:
    """Write the file at `target`; a temporary name is used until it is complete."""
    part = target.with_suffix(".part")
    writer = gguf.GGUFWriter(part, "qwen2", use_temp_file=False)
    writer.add_name("Qwen2.5-7B shape, random weights")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FFN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_rope_freq_base(1_000_000.0)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_file_type(int(gguf.LlamaFileType.MOSTLY_Q4_0))
    writer.add_quantization_version(2)
    copy_tokenizer(source, writer)

    kv = KV_HEADS * HEAD_DIM
    rng = np.random.default_rng(seed)
    weights: list[tuple[str, int, int]] = [("token_embd", VOCAB, HIDDEN), ("output", VOCAB, HIDDEN)]
    norms: list[tuple[str, int]] = [("output_norm.weight", HIDDEN)]
    for layer in range(LAYERS):
        blk = f"blk.{layer}"
        weights += [
            (f"{blk}.attn_q", HIDDEN, HIDDEN),
            (f"{blk}.attn_k", kv, HIDDEN),
            (f"{blk}.attn_v", kv, HIDDEN),
            (f"{blk}.attn_output", HIDDEN, HIDDEN),
            (f"{blk}.ffn_gate", FFN, HIDDEN),
            (f"{blk}.ffn_up", FFN, HIDDEN),
            (f"{blk}.ffn_down", HIDDEN, FFN),
        ]
        norms += [
            (f"{blk}.attn_norm.weight", HIDDEN),
            (f"{blk}.ffn_norm.weight", HIDDEN),
            (f"{blk}.attn_q.bias", HIDDEN),
            (f"{blk}.attn_k.bias", kv),
            (f"{blk}.attn_v.bias", kv),
        ]
    q4_0 = gguf.GGMLQuantizationType.Q4_0
    for name, rows, columns in weights:
        nbytes = rows * columns // BLOCK_VALUES * BLOCK_BYTES
        shape = (rows, columns // BLOCK_VALUES * BLOCK_BYTES)
        writer.add_tensor_info(f"{name}.weight", shape, np.dtype(np.uint8), nbytes, raw_dtype=q4_0)
    for name, size in norms:
        writer.add_tensor_info(name, (size,), np.dtype(np.float32), size * 4)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for _, rows, columns in weights:
        writer.write_tensor_data(random_q4_0(rows, columns, rng))
    for name, size in norms:
        bias = name.endswith("bias")
        writer.write_tensor_data(np.zeros(size, np.float32) if bias else np.ones(size, np.float32))
    writer.close()
    part.replace(target)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("source", type=Path, help="a small Qwen2.5 GGUF whose tokenizer is used")
    parser.add_argument("target", type=Path, help="where to write the file of about 4.3 GB")
    arguments = parser.parse_args()
    write_shape(arguments.source, arguments.target)
    print(f"{arguments.target}: {arguments.target.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
