"""The law of eager transformers (F4): why the prompt, not the answer, is the expensive part there.

Fitted to Qwen's own table for Qwen2.5-7B-Instruct (A100, transformers 4.46; documentation of
Qwen2.5, speed benchmark); error at most 0.041 GiB over its 16 cells. Says nothing about llama.cpp.
"""

GIB = 1 << 30
KIB = 1 << 10
PROMPT_KIB_PER_TOKEN = 195.8
CACHE_KIB_PER_TOKEN = 56.0
WEIGHTS_GIB = {"bf16": 14.23, "gptq-int8": 8.28, "gptq-int4": 5.37, "awq": 5.24}


def eager_peak_bytes(weights: str, prompt_tokens: int, new_tokens: int) -> int:
    """Return the peak in bytes: W + max(195.8 · P, 56 · (P + G)) KiB.

    weights: a key of WEIGHTS_GIB; P prompt_tokens; G new_tokens. Raises KeyError for other weights.
    """
    in_prefill = PROMPT_KIB_PER_TOKEN * prompt_tokens
    in_decoding = CACHE_KIB_PER_TOKEN * (prompt_tokens + new_tokens)
    return round(WEIGHTS_GIB[weights] * GIB + max(in_prefill, in_decoding) * KIB)
