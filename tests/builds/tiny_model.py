"""A model of two layers with random weights and SmolLM2's tokenizer: it runs anywhere and says nothing."""

from pathlib import Path

import gguf
import numpy as np
from tests.memory.architectures import Architecture, attention, facts, gated, stacked, tables, write

LAYERS, HIDDEN, FFN, HEADS, HEAD = 2, 64, 128, 2, 32
SCALE = 0.004
"""Of the weights: large enough for one next token to stand out."""


def write_tiny_model(path: Path, tokenizer_of: Path, seed: int = 1) -> Path:
    """Write the model; another seed makes another one of the same shape."""
    vocabulary = len(gguf.GGUFReader(tokenizer_of).fields["tokenizer.ggml.tokens"].data)

    def layer(b: str) -> list:  # type: ignore[type-arg]
        return [*attention(b, HIDDEN, HEADS, HEADS, HEAD), *gated(b, HIDDEN, FFN)]

    sizes = {"attention__key_length": HEAD, "attention__value_length": HEAD, "rope__dimension_count": HEAD}
    values = facts(LAYERS, HIDDEN, FFN, HEADS, HEADS, **sizes) | {"vocab_size": vocabulary}
    write(
        path,
        Architecture("llama", values, [*tables(HIDDEN, vocabulary=vocabulary), *stacked(LAYERS, layer)]),
        tokenizer_of,
    )
    generator = np.random.default_rng(seed)
    reader = gguf.GGUFReader(path, "r+")
    for tensor in reader.tensors:
        if tensor.tensor_type == gguf.GGMLQuantizationType.Q8_0:
            blocks = tensor.data.reshape(-1, 34)
            blocks[:] = generator.integers(0, 256, blocks.shape, dtype=np.uint8)
            blocks[:, :2] = np.frombuffer(np.float16(SCALE).tobytes(), np.uint8)
        else:
            tensor.data[:] = 1.0
    reader.data.flush()
    return path
