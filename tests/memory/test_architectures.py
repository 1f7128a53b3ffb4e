"""The plan against llama.cpp's own figures, for layers with windows, states, experts and latent attention."""

from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest
from tests.memory import architectures
from tests.memory.architectures import Architecture

from twokeys.config import load_config
from twokeys.core.memory.plan import StartChoice, memory_needs
from twokeys.engine_source import home_planner
from twokeys.engines.local import LocalEngine
from twokeys.engines.preflight import preflight
from twokeys.model_shape import KNOWN, file_shape
from twokeys.models.gguf import read_model
from twokeys.types import (
    ChatMessage,
    Finished,
    GenerationRequest,
    KvType,
    Sampling,
    WorkerSpec,
)

MIB = 1 << 20
CELLS: tuple[tuple[int, int, KvType], ...] = ((2048, 1, "f16"), (32768, 1, "f16"), (8192, 3, "q8_0"))


def within_goal(planned: int, real: int) -> bool:
    return abs(planned - real) <= max(0.03 * real, 50 * MIB)


@pytest.mark.parametrize("make", architectures.ALL, ids=lambda make: make.__name__)
def test_the_plan_is_what_the_engine_says(make: Callable[[], Architecture], home: Path) -> None:
    what = make()
    path = architectures.write(home / f"{what.name}.gguf", what)
    planner = home_planner(load_config())
    shape = planner.shape(str(path))
    assert shape.cache_rule == ("known" if what.name in KNOWN else "asked")
    for context, parallel, kv_type in CELLS:
        spec = WorkerSpec(str(path), what.name, context=context, parallel=parallel, kv_type=kv_type)
        rows = preflight(spec)
        planned = memory_needs(shape, StartChoice(context=context, parallel=parallel, kv_type=kv_type)).host
        cell = (context, parallel, kv_type)
        real_kv = sum(row.kv_bytes for row in rows)
        if shape.cache_rule == "known":
            assert abs(planned.kv_bytes - real_kv) <= max(0.01 * real_kv, 2 * MIB), cell
        # the engine does not say which part of a cache q8_0 makes smaller: never too little is planned
        assert planned.kv_bytes >= real_kv - 2 * MIB, cell
        buffers = planned.weights_bytes + planned.kv_bytes + planned.compute_bytes
        assert within_goal(buffers, sum(row.total_bytes for row in rows)), cell


def test_a_window_saves_what_the_formula_for_full_attention_would_add(home: Path) -> None:
    path = architectures.write(home / "gemma3.gguf", architectures.gemma3())
    shape = file_shape("gemma3", read_model(path))
    windowed = memory_needs(shape, StartChoice(context=32768)).host.kv_bytes
    everything = memory_needs(replace(shape, caches=()), StartChoice(context=32768)).host.kv_bytes
    assert everything > 5 * windowed
    assert shape.kv_bytes_per_token() == 5 * 4 * 512 * 2, "one token more costs five layers"


def test_experts_that_are_not_used_are_not_read(home: Path) -> None:
    path = architectures.write(home / "moe.gguf", architectures.qwen3moe())
    shape = file_shape("moe", read_model(path))
    assert shape.read_bytes_per_token < 0.25 * shape.weights_bytes


def test_an_architecture_nobody_knows_is_planned_at_its_most_and_says_so(home: Path) -> None:
    unknown = replace(architectures.xverse(), name="unheard-of")
    path = architectures.write(home / "unheard-of.gguf", unknown)
    shape = home_planner(load_config()).shape(str(path))
    assert shape.cache_rule == "guessed"
    assert memory_needs(shape, StartChoice(context=4096)).host.kv_bytes == 4096 * 16 * 4 * 256 * 2


@pytest.mark.anyio
async def test_a_growing_conversation_stays_within_the_plan_of_a_windowed_model(
    home: Path, smollm2: Path
) -> None:
    """llama.cpp copies windows at the end of each prompt, 32 times unless it is told otherwise."""
    small = architectures.gemma3(layers=12, hidden=256, ffn=512, window=512, vocabulary=49152)
    path = architectures.write(home / "windows.gguf", small, tokenizer_of=smollm2)
    architectures.fill(path)
    planned = memory_needs(file_shape("windows", read_model(path)), StartChoice(context=16384))
    engine = LocalEngine(WorkerSpec(str(path), "windows", context=16384), home / "run", home / "logs")
    talk: list[ChatMessage] = []
    cached = []
    try:
        for turn in range(5):
            talk.append(ChatMessage("user", f"{turn}: " + "the river and the stone " * 120))
            request = GenerationRequest(tuple(talk), Sampling(max_new_tokens=4, seed=1), ignore_eos=True)
            async with aclosing(engine.generate(request)) as events:
                async for event in events:
                    if isinstance(event, Finished):
                        cached.append(event.usage.cached_tokens or 0)
            talk.append(ChatMessage("assistant", "yes"))
        held = engine.memory_bytes()
    finally:
        await engine.close()
    assert planned.host.checkpoint_bytes == 2 * 10 * 512 * 2048 * 2
    assert within_goal(planned.total_bytes, held)
    assert all(tokens > 400 for tokens in cached[1:]), "what was read before is not read again"
