"""GGUF files of many architectures: right in every size that memory depends on, without a thought in them.

Weights are holes in the file, which llama.cpp's dry run never reads; `fill` puts random ones there.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np

ALIGNMENT = 32
VOCABULARY = 32000
HEAD = 128
Q8_0 = gguf.GGMLQuantizationType.Q8_0


@dataclass(frozen=True)
class Tensor:
    """One tensor, fastest dimension first, in Q8_0 or (plain) in f32."""

    name: str
    shape: tuple[int, ...]
    plain: bool = False

    @property
    def bytes(self) -> int:
        values = int(np.prod(self.shape))
        return values * 4 if self.plain else values // 32 * 34


@dataclass(frozen=True)
class Architecture:
    """What a file says of itself and the tensors it has."""

    name: str
    values: dict[str, Any]
    tensors: Sequence[Tensor]


def write(path: Path, what: Architecture, tokenizer_of: Path | None = None) -> Path:
    """Write the file with holes for weights; the tokenizer is a dummy or that of another file."""
    writer = gguf.GGUFWriter(path, what.name, use_temp_file=False)
    writer.add_name(f"{what.name} shape")
    writer.add_file_type(int(gguf.LlamaFileType.MOSTLY_Q8_0))
    for key, value in what.values.items():
        _add(writer, f"{what.name}.{key}", value)
    if tokenizer_of is None:
        _add_dummy_tokenizer(writer)
    else:
        _copy_tokenizer(writer, gguf.GGUFReader(tokenizer_of).fields)
    for tensor in what.tensors:
        rows = tuple(reversed(tensor.shape))
        if tensor.plain:
            writer.add_tensor_info(tensor.name, rows, np.dtype(np.float32), tensor.bytes)
        else:
            rows = (*rows[:-1], rows[-1] // 32 * 34)
            writer.add_tensor_info(tensor.name, rows, np.dtype(np.uint8), tensor.bytes, raw_dtype=Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    head = -(-path.stat().st_size // ALIGNMENT) * ALIGNMENT
    size = sum(-(-tensor.bytes // ALIGNMENT) * ALIGNMENT for tensor in what.tensors)
    with path.open("r+b") as file:
        file.truncate(head + size)
    return path


def fill(path: Path, seed: int = 1) -> None:
    """Put random weights into the holes."""
    generator = np.random.default_rng(seed)
    reader = gguf.GGUFReader(path, "r+")
    for tensor in reader.tensors:
        if tensor.tensor_type == Q8_0:
            blocks = tensor.data.reshape(-1, 34)
            blocks[:] = generator.integers(0, 256, blocks.shape, dtype=np.uint8)
            blocks[:, :2] = np.frombuffer(np.float16(0.0003).tobytes(), np.uint8)
        else:
            tensor.data[:] = 1.0
    reader.data.flush()


def _add(writer: gguf.GGUFWriter, key: str, value: Any) -> None:
    if isinstance(value, int):
        writer.add_uint32(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    else:
        writer.add_array(key, value)


def _add_dummy_tokenizer(writer: gguf.GGUFWriter) -> None:
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([f"t{number}" for number in range(VOCABULARY)])
    writer.add_token_types([1] * VOCABULARY)
    writer.add_token_merges(["t 1"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(0)


def _copy_tokenizer(writer: gguf.GGUFWriter, fields: Any) -> None:
    writer.add_tokenizer_model(fields["tokenizer.ggml.model"].contents())
    writer.add_tokenizer_pre(fields["tokenizer.ggml.pre"].contents())
    writer.add_token_list(fields["tokenizer.ggml.tokens"].contents())
    writer.add_token_types(fields["tokenizer.ggml.token_type"].contents())
    writer.add_token_merges(fields["tokenizer.ggml.merges"].contents())
    writer.add_bos_token_id(fields["tokenizer.ggml.bos_token_id"].contents())
    writer.add_eos_token_id(fields["tokenizer.ggml.eos_token_id"].contents())
    writer.add_chat_template("{% for message in messages %}{{ message.content }}{% endfor %}")


# --- the parts that layers are made of ------------------------------------------------------------------


def facts(layers: int, hidden: int, ffn: int, heads: int, kv_heads: int, **more: Any) -> dict[str, Any]:
    """Return the metadata every transformer has; "__" in a name stands for a dot."""
    values = {
        "block_count": layers,
        "context_length": 131072,
        "embedding_length": hidden,
        "feed_forward_length": ffn,
        "attention.head_count": heads,
        "attention.head_count_kv": kv_heads,
        "attention.layer_norm_rms_epsilon": 1e-6,
        "rope.freq_base": 1e6,
    }
    return values | {name.replace("__", "."): value for name, value in more.items()}


def tables(hidden: int, *, vocabulary: int = VOCABULARY, tied: bool = False) -> list[Tensor]:
    both = [
        Tensor("token_embd.weight", (hidden, vocabulary)),
        Tensor("output_norm.weight", (hidden,), True),
    ]
    return both if tied else [*both, Tensor("output.weight", (hidden, vocabulary))]


def attention(b: str, hidden: int, heads: int, kv_heads: int, head: int = HEAD) -> list[Tensor]:
    return [
        Tensor(f"{b}attn_norm.weight", (hidden,), True),
        Tensor(f"{b}attn_q.weight", (hidden, heads * head)),
        Tensor(f"{b}attn_k.weight", (hidden, kv_heads * head)),
        Tensor(f"{b}attn_v.weight", (hidden, kv_heads * head)),
        Tensor(f"{b}attn_output.weight", (heads * head, hidden)),
    ]


def gated(b: str, hidden: int, ffn: int, *, norm: str | None = "ffn_norm.weight") -> list[Tensor]:
    result = [] if norm is None else [Tensor(f"{b}{norm}", (hidden,), True)]
    return [
        *result,
        Tensor(f"{b}ffn_gate.weight", (hidden, ffn)),
        Tensor(f"{b}ffn_up.weight", (hidden, ffn)),
        Tensor(f"{b}ffn_down.weight", (ffn, hidden)),
    ]


def experts(b: str, hidden: int, ffn: int, count: int) -> list[Tensor]:
    return [
        Tensor(f"{b}ffn_gate_inp.weight", (hidden, count), True),
        Tensor(f"{b}ffn_gate_exps.weight", (hidden, ffn, count)),
        Tensor(f"{b}ffn_up_exps.weight", (hidden, ffn, count)),
        Tensor(f"{b}ffn_down_exps.weight", (ffn, hidden, count)),
    ]


def plain(b: str, **sizes: int) -> list[Tensor]:
    return [Tensor(f"{b}{name}.weight", (size,), True) for name, size in sizes.items()]


def stacked(layers: int, layer: Callable[[str], list[Tensor]]) -> list[Tensor]:
    return [tensor for number in range(layers) for tensor in layer(f"blk.{number}.")]


# --- the architectures ----------------------------------------------------------------------------------


def gemma3(
    layers: int = 34,
    hidden: int = 2560,
    ffn: int = 10240,
    window: int = 1024,
    vocabulary: int = VOCABULARY,
) -> Architecture:
    """Gemma 3 4B: of six layers five look back over a window; one table for input and output."""

    def layer(b: str) -> list[Tensor]:
        norms = plain(b, attn_q_norm=256, attn_k_norm=256, post_attention_norm=hidden, post_ffw_norm=hidden)
        return [*attention(b, hidden, 8, 4, 256), *gated(b, hidden, ffn), *norms]

    sizes = {"attention__key_length": 256, "attention__value_length": 256}
    values = facts(layers, hidden, ffn, 8, 4, attention__sliding_window=window, **sizes)
    return Architecture(
        "gemma3", values, [*tables(hidden, vocabulary=vocabulary, tied=True), *stacked(layers, layer)]
    )


def gemma3n() -> Architecture:
    """Gemma 3n, not in the plan's table: ten of thirty layers look into the caches of earlier ones."""
    layers, hidden, ffn, extra, streams, low = 30, 2048, 8192, 256, 4, 64

    def layer(b: str) -> list[Tensor]:
        norms = plain(b, attn_q_norm=256, attn_k_norm=256, post_attention_norm=hidden, post_ffw_norm=hidden)
        return [
            *attention(b, hidden, 8, 2, 256),
            *gated(b, hidden, ffn),
            *norms,
            *plain(b, post_norm=hidden, altup_correct_scale=hidden, altup_router_norm=hidden),
            *plain(b, laurel_post_norm=hidden),
            Tensor(f"{b}inp_gate.weight", (hidden, extra)),
            Tensor(f"{b}proj.weight", (extra, hidden)),
            Tensor(f"{b}altup_correct_coef.weight", (streams, streams), True),
            Tensor(f"{b}altup_predict_coef.weight", (streams, streams * streams), True),
            Tensor(f"{b}altup_router.weight", (hidden, streams), True),
            Tensor(f"{b}laurel_l.weight", (hidden, low)),
            Tensor(f"{b}laurel_r.weight", (low, hidden)),
        ]

    shared = [
        Tensor("per_layer_token_embd.weight", (extra * layers, VOCABULARY)),
        Tensor("per_layer_model_proj.weight", (hidden, extra * layers)),
        Tensor("per_layer_proj_norm.weight", (extra,), True),
        Tensor("altup_proj.weight", (hidden, hidden, streams - 1)),
        Tensor("altup_unembd_proj.weight", (hidden, hidden, streams - 1)),
    ]
    more = {"attention__key_length": 256, "attention__value_length": 256, "attention__shared_kv_layers": 10}
    values = facts(layers, hidden, ffn, 8, 2, attention__sliding_window=512, **more)
    return Architecture("gemma3n", values, [*tables(hidden, tied=True), *shared, *stacked(layers, layer)])


def gemma2() -> Architecture:
    """Gemma 2 2B: every second layer has a window, of 4096 tokens."""

    def layer(b: str) -> list[Tensor]:
        norms = plain(b, post_attention_norm=2304, post_ffw_norm=2304)
        return [*attention(b, 2304, 8, 4, 256), *gated(b, 2304, 9216), *norms]

    sizes = {"attention__key_length": 256, "attention__value_length": 256}
    values = facts(26, 2304, 9216, 8, 4, attention__sliding_window=4096, **sizes)
    return Architecture("gemma2", values, [*tables(2304, tied=True), *stacked(26, layer)])


def cohere2() -> Architecture:
    """Command R7B: of four layers three have a window; attention and feed-forward side by side."""

    def layer(b: str) -> list[Tensor]:
        return [*attention(b, 4096, 32, 8), *gated(b, 4096, 14336, norm=None)]

    more = {"attention__layer_norm_epsilon": 1e-5, "logit_scale": 0.25, "attention__sliding_window": 4096}
    sizes = {"attention__key_length": HEAD, "attention__value_length": HEAD}
    values = facts(32, 4096, 14336, 32, 8, **more, **sizes)
    return Architecture("cohere2", values, [*tables(4096, tied=True), *stacked(32, layer)])


def gpt_oss() -> Architecture:
    """gpt-oss: every second layer has a window of 128 tokens; experts."""
    hidden, heads, kv_heads, head, count = 2880, 64, 8, 64, 8

    def layer(b: str) -> list[Tensor]:
        biases = {"attn_q": heads * head, "attn_k": kv_heads * head, "attn_v": kv_heads * head}
        biases |= {"attn_output": hidden, "ffn_gate_inp": count}
        return [
            *attention(b, hidden, heads, kv_heads, head),
            *plain(b, post_attention_norm=hidden, attn_sinks=heads),
            *experts(b, hidden, hidden, count),
            *(Tensor(f"{b}{name}.bias", (size,), True) for name, size in biases.items()),
            *(Tensor(f"{b}ffn_{kind}_exps.bias", (hidden, count), True) for kind in ("gate", "up", "down")),
        ]

    more = {"expert_count": count, "expert_used_count": 4, "expert_feed_forward_length": hidden}
    more |= {"attention__sliding_window": 128, "attention__key_length": head, "attention__value_length": head}
    return Architecture(
        "gpt-oss", facts(24, hidden, hidden, heads, kv_heads, **more), [*tables(hidden), *stacked(24, layer)]
    )


def qwen3moe() -> Architecture:
    """Qwen3-MoE: attention over everything, 64 experts of which 8 are used."""

    def layer(b: str) -> list[Tensor]:
        norms = plain(b, attn_q_norm=HEAD, attn_k_norm=HEAD, ffn_norm=2048)
        return [*attention(b, 2048, 32, 4), *norms, *experts(b, 2048, 768, 64)]

    more = {"expert_count": 64, "expert_used_count": 8, "expert_feed_forward_length": 768}
    sizes = {"attention__key_length": HEAD, "attention__value_length": HEAD}
    return Architecture(
        "qwen3moe", facts(16, 2048, 6144, 32, 4, **more, **sizes), [*tables(2048), *stacked(16, layer)]
    )


def deepseek2() -> Architecture:
    """DeepSeek-V2-Lite: latent attention keeps 576 numbers of a token in place of 4096."""
    hidden, heads, rank, rope, plain_head, value = 2048, 16, 512, 64, 128, 128

    def layer(b: str) -> list[Tensor]:
        own = gated(b, hidden, 10944) if b == "blk.0." else [
            *plain(b, ffn_norm=hidden),
            *experts(b, hidden, 1408, 16),
            Tensor(f"{b}ffn_gate_shexp.weight", (hidden, 2816)),
            Tensor(f"{b}ffn_up_shexp.weight", (hidden, 2816)),
            Tensor(f"{b}ffn_down_shexp.weight", (2816, hidden)),
        ]  # fmt: skip
        return [
            *plain(b, attn_norm=hidden, attn_kv_a_norm=rank),
            Tensor(f"{b}attn_q.weight", (hidden, heads * (plain_head + rope))),
            Tensor(f"{b}attn_kv_a_mqa.weight", (hidden, rank + rope)),
            Tensor(f"{b}attn_k_b.weight", (plain_head, rank, heads)),
            Tensor(f"{b}attn_v_b.weight", (rank, value, heads)),
            Tensor(f"{b}attn_output.weight", (heads * value, hidden)),
            *own,
        ]

    more = {
        "attention__key_length": rank + rope,
        "attention__value_length": rank,
        "attention__key_length_mla": plain_head + rope,
        "attention__value_length_mla": value,
        "attention__kv_lora_rank": rank,
        "rope__dimension_count": rope,
        "leading_dense_block_count": 1,
        "expert_count": 16,
        "expert_used_count": 6,
        "expert_shared_count": 2,
        "expert_feed_forward_length": 1408,
        "expert_weights_scale": 1.0,
    }
    values = facts(27, hidden, 10944, heads, 1, **more)
    return Architecture("deepseek2", values, [*tables(hidden), *stacked(27, layer)])


def mamba() -> Architecture:
    """Mamba: a state in each layer and no cache at all."""
    hidden, inner, state, kernel, step = 1536, 3072, 16, 4, 96

    def layer(b: str) -> list[Tensor]:
        return [
            *plain(b, attn_norm=hidden),
            Tensor(f"{b}ssm_in.weight", (hidden, 2 * inner)),
            Tensor(f"{b}ssm_conv1d.weight", (kernel, inner), True),
            Tensor(f"{b}ssm_conv1d.bias", (inner,), True),
            Tensor(f"{b}ssm_x.weight", (inner, step + 2 * state)),
            Tensor(f"{b}ssm_dt.weight", (step, inner)),
            Tensor(f"{b}ssm_dt.bias", (inner,), True),
            Tensor(f"{b}ssm_a", (state, inner), True),
            Tensor(f"{b}ssm_d", (inner,), True),
            Tensor(f"{b}ssm_out.weight", (inner, hidden)),
        ]

    more = {"ssm__conv_kernel": kernel, "ssm__inner_size": inner, "ssm__state_size": state}
    values = facts(48, hidden, 0, 0, 0, ssm__time_step_rank=step, **more)
    del values["attention.head_count_kv"]
    return Architecture("mamba", values, [*tables(hidden, tied=True), *stacked(48, layer)])


def lfm2() -> Architecture:
    """LFM2: six layers attend, ten keep the last two inputs of a short convolution."""
    attending = (2, 5, 8, 10, 12, 14)

    def layer(b: str) -> list[Tensor]:
        if int(b.split(".")[1]) in attending:
            own = [*attention(b, 2048, 32, 8, 64), *plain(b, attn_q_norm=64, attn_k_norm=64)]
        else:
            own = [
                *plain(b, attn_norm=2048),
                Tensor(f"{b}shortconv.conv.weight", (3, 2048), True),
                Tensor(f"{b}shortconv.in_proj.weight", (2048, 3 * 2048)),
                Tensor(f"{b}shortconv.out_proj.weight", (2048, 2048)),
            ]
        return [*own, *gated(b, 2048, 8192)]

    values = facts(16, 2048, 8192, 32, 8, shortconv__l_cache=3)
    values["attention.head_count_kv"] = [8 if number in attending else 0 for number in range(16)]
    norm = Tensor("token_embd_norm.weight", (2048,), True)
    return Architecture("lfm2", values, [tables(2048, tied=True)[0], norm, *stacked(16, layer)])


def falcon_h1() -> Architecture:
    """Falcon-H1: every layer attends and keeps a state."""
    hidden, inner, state, kernel, heads = 1024, 1536, 128, 4, 24
    mixed = inner + 2 * state

    def layer(b: str) -> list[Tensor]:
        return [
            *attention(b, hidden, 8, 2, 64),
            Tensor(f"{b}ssm_in.weight", (hidden, inner + mixed + heads)),
            Tensor(f"{b}ssm_conv1d.weight", (kernel, mixed), True),
            Tensor(f"{b}ssm_conv1d.bias", (mixed,), True),
            Tensor(f"{b}ssm_dt.bias", (heads,), True),
            Tensor(f"{b}ssm_a", (1, heads), True),
            Tensor(f"{b}ssm_d", (1, heads), True),
            Tensor(f"{b}ssm_norm.weight", (inner, 1), True),
            Tensor(f"{b}ssm_out.weight", (inner, hidden)),
            *gated(b, hidden, 2048, norm="ffn_norm"),
        ]

    more = {"attention__key_length": 64, "attention__value_length": 64, "ssm__group_count": 1}
    more |= {"ssm__conv_kernel": kernel, "ssm__inner_size": inner, "ssm__state_size": state}
    values = facts(24, hidden, 2048, 8, 2, ssm__time_step_rank=heads, **more)
    return Architecture("falcon-h1", values, [*tables(hidden), *stacked(24, layer)])


def xverse() -> Architecture:
    """An architecture that the engine knows and the plan does not."""

    def layer(b: str) -> list[Tensor]:
        return [*attention(b, 2048, 16, 4), *gated(b, 2048, 5504)]

    values = facts(16, 2048, 5504, 16, 4, rope__dimension_count=HEAD)
    return Architecture("xverse", values, [*tables(2048), *stacked(16, layer)])


ALL = (gemma3, gemma3n, gemma2, cohere2, gpt_oss, qwen3moe, deepseek2, mamba, lfm2, falcon_h1, xverse)
