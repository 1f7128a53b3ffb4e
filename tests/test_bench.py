"""The rows of a bench: medians over rounds, and a share only where both sides were measured."""

import pytest

from twokeys.bench import (
    LocalWorker,
    Round,
    compute_rows,
    json_rows,
    matmul_rate,
    memory_rows,
    read_bandwidth,
    run_bench,
    speed_rows,
)
from twokeys.core.memory.plan import Room, StartChoice, plan_memory
from twokeys.core.memory.shape import MemoryShape
from twokeys.engines.scripted import Say, ScriptedEngine

GIB = 1 << 30
SEVEN = MemoryShape.from_totals(
    "qwen2.5-7b",
    weights_bytes=4_683_073_632,
    layers=28,
    kv_heads=4,
    head_dim=128,
    hidden=3584,
    ffn=18944,
    vocab=152064,
    train_context=32768,
)
ROUNDS = [Round(400, 128, 2.0, 200.0, 8.0), Round(402, 128, 3.0, 220.0, 9.0), Round(404, 128, 9.0, 90.0, 2.0)]


def worker(gpu_layers: int = 0) -> LocalWorker:
    room = Room(24 * GIB, 24 * GIB if gpu_layers else None)
    return LocalWorker(plan_memory(SEVEN, StartChoice(gpu_layers=gpu_layers), room), 2, lambda: 5 * GIB)


def test_one_disturbed_round_does_not_move_the_figures() -> None:
    rows = {row.name: row.value for row in speed_rows(ROUNDS)}
    assert (rows["prompt_tok_per_s"], rows["answer_tok_per_s"], rows["ttft_s"]) == (200.0, 8.0, 3.0)


def test_a_token_reads_the_layers_the_head_and_the_cache_but_not_the_input_table() -> None:
    rows = {row.name: row.value for row in memory_rows(worker(), ROUNDS, 50e9)}
    weights = SEVEN.weights_bytes - SEVEN.embedding_bytes
    assert rows["bytes_per_token"] == weights + (402 + 64) * 56 * 1024
    assert rows["bandwidth_share"] == 8.0 * rows["bytes_per_token"] / 50e9  # type: ignore[operator]
    assert rows["memory_bytes"] == 5 * GIB


def test_layers_on_a_card_have_no_share_of_the_hosts_bandwidth() -> None:
    rows = {row.name for row in memory_rows(worker(-1), ROUNDS, 0.0)}
    assert rows == {"memory_bytes", "planned_memory_bytes"}


def test_a_prompt_costs_two_operations_for_each_weight_of_the_layers() -> None:
    rows = {row.name: row.value for row in compute_rows(worker(), ROUNDS, 1e12)}
    assert SEVEN.layer_weights == pytest.approx(6.5e9, rel=0.02), (
        "the 7.6e9 of the model without its two tables"
    )
    assert rows["matmul_share"] == 2 * SEVEN.layer_weights * 200.0 / 1e12
    assert compute_rows(worker(-1), ROUNDS, 0.0) == []
    assert matmul_rate(64) > 0


def test_bandwidth_is_measured_with_one_thread_and_with_several() -> None:
    assert read_bandwidth(1, 8 << 20) > 0 and read_bandwidth(2, 8 << 20) > 0


@pytest.mark.anyio
async def test_a_server_is_measured_without_its_memory() -> None:
    heard: list[tuple[str, int]] = []
    engine = ScriptedEngine((Say("word " * 200),), context=4096)
    rows = await run_bench(engine, None, rounds=2, on_step=lambda step, number: heard.append((step, number)))
    names = [row.name for row in rows]
    assert "answer_tok_per_s" in names and "ttft_s" in names
    assert not {"memory_bytes", "read_bandwidth", "bandwidth_share"} & set(names)
    assert heard == [("start", 0), ("round", 1), ("round", 2)]
    assert len({request.messages for request in engine.requests}) == 3, "no prompt is in a cache already"
    assert all(set(row) == {"name", "value", "unit"} for row in json_rows(rows))
