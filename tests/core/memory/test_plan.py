"""The plan is arithmetic: F3, F4, what fits, what is safe, what is given up first, what is refused."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twokeys.core.memory.available import Available, Device
from twokeys.core.memory.ceiling import length_ceiling, server_ceiling
from twokeys.core.memory.choose import check_plan, choose_start
from twokeys.core.memory.eager import GIB, eager_peak_bytes
from twokeys.core.memory.overrides import NO_OVERRIDES, Overrides
from twokeys.core.memory.plan import (
    MIB,
    Room,
    StartChoice,
    compute_bytes,
    memory_needs,
    plan_memory,
    safe_answer,
)
from twokeys.core.memory.shape import MemoryShape
from twokeys.errors import BadParameter, MemoryPlanRefused, ModelTooLarge

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
ROOMY = Room(24 * GIB)


def test_the_7b_holds_56_kib_for_each_token() -> None:
    assert SEVEN.kv_bytes_per_token("f16") == 56 * 1024
    assert SEVEN.kv_bytes_per_token("q8_0") == 56 * 1024 * 34 / 64


def test_2048_more_tokens_cost_112_mib_of_cache_and_half_a_mib_of_buffers() -> None:
    short, long = (memory_needs(SEVEN, StartChoice(context=context)) for context in (2048, 4096))
    assert long.host.kv_bytes - short.host.kv_bytes == 112 * MIB
    assert long.total_bytes - short.total_bytes == 112 * MIB + 128 * 2 * 2048


def test_the_shape_from_totals_keeps_the_total() -> None:
    assert SEVEN.weights_bytes == 4_683_073_632
    assert len(SEVEN.layer_bytes) == 28 and min(SEVEN.layer_bytes) > 0


def test_the_compute_buffer_is_the_gated_feed_forward_and_the_mask() -> None:
    assert compute_bytes(SEVEN, 4096, 128) == 128 * (4 * (3 * 18944 + 5 * 3584) + 2 * 4096)


def test_each_of_several_cards_has_a_compute_buffer_and_a_context_of_its_own() -> None:
    single, double = (memory_needs(SEVEN, StartChoice(gpu_layers=-1), cards).device for cards in (1, 2))
    assert (
        double.compute_bytes == 2 * single.compute_bytes
        and double.overhead_bytes == 2 * single.overhead_bytes
    )
    assert (double.weights_bytes, double.kv_bytes) == (single.weights_bytes, single.kv_bytes), (
        "the layers are shared"
    )
    assert memory_needs(SEVEN, StartChoice(gpu_layers=1), 2).device.overhead_bytes == single.overhead_bytes
    cards = (Device("a", 3 * GIB, 3 * GIB), Device("b", 3 * GIB, 2 * GIB, GIB // 2))
    room = Available(32 * GIB, 16 * GIB, devices=cards).room()
    assert room == Room(16 * GIB, 5 * GIB + GIB // 2, cards=2)
    planned = plan_memory(SEVEN, StartChoice(gpu_layers=-1), room)
    assert planned.needs.device == memory_needs(SEVEN, planned.choice, 2).device


def test_layers_on_the_card_leave_the_host() -> None:
    none = memory_needs(SEVEN, StartChoice(gpu_layers=0))
    head = memory_needs(SEVEN, StartChoice(gpu_layers=1))
    half = memory_needs(SEVEN, StartChoice(gpu_layers=15))
    everything = memory_needs(SEVEN, StartChoice(gpu_layers=-1))
    assert none.device.total_bytes == 0
    assert head.device.weights_bytes == SEVEN.output_bytes and head.device.kv_bytes == 0, "it is first"
    assert half.device.weights_bytes == sum(SEVEN.layer_bytes[14:]) + SEVEN.output_bytes
    assert half.host.kv_bytes == half.device.kv_bytes == none.host.kv_bytes // 2
    assert everything.host.kv_bytes == 0 and everything.host.weights_bytes == SEVEN.embedding_bytes
    assert everything.device.weights_bytes == sum(SEVEN.layer_bytes) + SEVEN.output_bytes


def test_mapping_the_file_and_repacking_it_holds_the_weights_twice() -> None:
    copied = memory_needs(SEVEN, StartChoice(load_mode="copy")).total_bytes
    mapped = memory_needs(SEVEN, StartChoice(load_mode="mmap")).total_bytes
    assert mapped - copied == sum(SEVEN.layer_bytes) + SEVEN.output_bytes
    some = memory_needs(replace(SEVEN, repackable_bytes=28 * MIB), StartChoice(load_mode="mmap")).total_bytes
    assert some - copied == 28 * MIB, "only some types are rearranged"


def test_the_ceiling_says_what_sets_it() -> None:
    def reason(context: int, room_bytes: int) -> tuple[int, str]:
        ceiling = length_ceiling(plan_memory(SEVEN, StartChoice(context=context), Room(room_bytes)))
        return ceiling.tokens, ceiling.reason

    just_enough = memory_needs(SEVEN, StartChoice(context=4096)).total_bytes + 257 * MIB
    assert reason(4096, 3 * GIB)[1] == reason(32768, 5 * GIB)[1] == "refused", "never: memory suffices"
    assert reason(4096, 24 * GIB) == (3584, "context")
    assert reason(4096, just_enough) == (3584, "memory")
    assert reason(32768, 24 * GIB) == (8192, "model")
    small = plan_memory(replace(SEVEN, train_context=2048), StartChoice(context=2048), ROOMY)
    assert length_ceiling(small).reason == "trained" and length_ceiling(small).tokens == 1536
    assert server_ceiling(8192).reason == "server" and server_ceiling(300).tokens == 0


@pytest.mark.parametrize(
    ("weights", "prompt", "measured_gib"),
    [
        ("bf16", 1, 14.38), ("bf16", 6144, 15.38), ("bf16", 14336, 16.91), ("bf16", 30720, 19.97),
        ("gptq-int8", 1, 8.42), ("gptq-int8", 6144, 9.43), ("gptq-int8", 14336, 10.96),
        ("gptq-int8", 30720, 14.01), ("gptq-int4", 1, 5.52), ("gptq-int4", 6144, 6.52),
        ("gptq-int4", 14336, 8.05), ("gptq-int4", 30720, 11.11), ("awq", 1, 5.39), ("awq", 6144, 6.39),
        ("awq", 14336, 7.92), ("awq", 30720, 10.98),
    ],
)  # fmt: skip
def test_the_eager_law_meets_qwens_own_table(weights: str, prompt: int, measured_gib: float) -> None:
    planned = eager_peak_bytes(weights, prompt, 2048) / GIB
    assert math.isclose(planned, measured_gib, abs_tol=0.041)


def test_with_room_the_usual_context_is_chosen_and_all_of_it_is_safe() -> None:
    plan = choose_start(SEVEN, ROOMY)
    assert plan.fits and plan.choice.context == 8192 and plan.choice.kv_type == "f16"
    assert plan.safe_context == 32768 and plan.safe_max_new_tokens == 8192


def test_short_memory_gives_up_context_first_then_the_caches_type() -> None:
    order = []
    for mib in range(6000, 4800, -1):
        plan = choose_start(SEVEN, Room(mib * MIB))
        step = (plan.choice.context, plan.choice.kv_type) if plan.fits else None
        if not order or order[-1] != step:
            order.append(step)
    long = [(8192, "f16"), (6144, "f16"), (4096, "f16"), (6144, "q8_0"), (4096, "q8_0")]
    short = [(3072, "q8_0"), (2048, "q8_0")]
    shortest = [(1024, "f16"), (1024, "q8_0"), (512, "f16"), (512, "q8_0")]
    assert order[:-1] == long + short + shortest
    assert order[-1] is None


def test_a_card_is_filled_as_far_as_it_goes() -> None:
    assert choose_start(SEVEN, Room(24 * GIB, 24 * GIB)).choice.gpu_layers == -1
    some = choose_start(SEVEN, Room(24 * GIB, 4 * GIB)).choice.gpu_layers
    assert 0 < some < 28
    assert choose_start(SEVEN, Room(24 * GIB, 200 * MIB)).choice.gpu_layers == 0


def batches(choice: StartChoice) -> tuple[int, int]:
    return choice.batch, choice.ubatch


def test_a_card_reads_prompts_in_large_pieces_and_the_processor_in_small_ones() -> None:
    assert batches(choose_start(SEVEN, Room(24 * GIB, 24 * GIB)).choice) == (2048, 512)
    assert batches(choose_start(SEVEN, Room(24 * GIB, 4 * GIB)).choice) == (2048, 512)
    assert batches(choose_start(SEVEN, ROOMY).choice) == (128, 128)
    decided = Room(24 * GIB, 24 * GIB)
    assert batches(choose_start(SEVEN, decided, overrides=Overrides(gpu_layers=9)).choice) == (2048, 512)
    assert batches(choose_start(SEVEN, decided, overrides=Overrides(gpu_layers=0)).choice) == (128, 128)


def test_large_pieces_are_given_up_where_only_without_them_everything_lies_on_the_card() -> None:
    small = memory_needs(SEVEN, StartChoice(gpu_layers=-1)).device.total_bytes
    large = memory_needs(SEVEN, StartChoice(batch=2048, ubatch=512, gpu_layers=-1)).device.total_bytes
    assert large - small == 3 * compute_bytes(SEVEN, 8192, 128), "four times the buffer"
    between = Room(24 * GIB, round((small + large) / 2 / 0.95))
    for overrides in (NO_OVERRIDES, Overrides(gpu_layers=-1)):
        choice = choose_start(SEVEN, between, overrides=overrides).choice
        assert (choice.gpu_layers, choice.context, *batches(choice)) == (-1, 8192, 128, 128)


def test_the_largest_context_is_that_of_fewer_layers_where_the_card_is_small() -> None:
    small = Room(24 * GIB, 2 * GIB)
    assert 0 < choose_start(SEVEN, small).choice.gpu_layers < 28
    assert choose_start(SEVEN, small).safe_context == choose_start(SEVEN, ROOMY).safe_context == 32768
    chosen = choose_start(SEVEN, small, overrides=Overrides(context=32768))
    assert chosen.fits, "what is called safe can be chosen"
    retained = choose_start(SEVEN, small, overrides=Overrides(gpu_layers=9))
    assert retained.safe_context < 32768, "a person's layers stay where they are"


def test_on_a_mac_both_halves_come_out_of_one_memory() -> None:
    assert not choose_start(SEVEN, Room(4 * GIB, 3 * GIB, unified=True)).fits
    assert choose_start(SEVEN, Room(12 * GIB, 9 * GIB, unified=True)).choice.gpu_layers == -1


def test_what_a_person_decided_is_kept() -> None:
    decided = Overrides(context=16384, kv_type="q4_0", parallel=2, prompt_cache_mib=64)
    choice = choose_start(SEVEN, ROOMY, overrides=decided).choice
    assert (choice.context, choice.kv_type, choice.parallel, choice.prompt_cache_mib) == (
        16384,
        "q4_0",
        2,
        64,
    )


def test_a_decision_that_cannot_fit_is_refused_with_what_would_fit() -> None:
    plan = choose_start(SEVEN, Room(6 * GIB), overrides=Overrides(context=32768, kv_type="f16"))
    with pytest.raises(MemoryPlanRefused) as refused:
        check_plan(plan)
    reported = refused.value
    assert reported.params["planned_bytes"] > reported.params["available_bytes"] == 6 * GIB
    assert reported.params["fit_context"] == 8192
    for language in ("zh", "en"):
        assert "6.00 GiB" in reported.message(language) and "8192" in reported.hint(language)


def test_a_model_that_fits_in_no_way_is_refused_as_too_large() -> None:
    with pytest.raises(ModelTooLarge) as refused:
        check_plan(choose_start(SEVEN, Room(3 * GIB)))
    assert "3.00 GiB" in refused.value.message("zh") and "qwen2.5-7b" in refused.value.message("en")


def test_a_plan_that_only_eats_the_margin_is_possible_and_not_refused() -> None:
    need = memory_needs(SEVEN, StartChoice(context=512, kv_type="q8_0")).total_bytes
    plan = choose_start(SEVEN, Room(need + MIB))
    assert plan.possible and not plan.fits
    check_plan(plan)


@given(
    room=st.integers(0, 48 * GIB),
    context=st.integers(1, 100_000),
    parallel=st.integers(1, 8),
    kv_type=st.sampled_from(["f16", "q8_0", "q4_0"]),
)
def test_the_safe_context_is_the_largest_that_fits(
    room: int, context: int, parallel: int, kv_type: str
) -> None:
    choice = StartChoice(context=context, parallel=parallel, kv_type=kv_type)  # type: ignore[arg-type]
    plan = plan_memory(SEVEN, choice, Room(room))
    safe = plan.safe_context
    assert safe % 256 == 0 and safe <= 32768
    if safe:
        assert plan_memory(SEVEN, replace(choice, context=safe), Room(room)).fits
    if safe < 32768:
        assert not plan_memory(SEVEN, replace(choice, context=max(512, safe + 256)), Room(room)).fits
    assert plan.safe_max_new_tokens == safe_answer(safe)
    assert plan.possible or not plan.fits


def test_overrides_are_checked_and_survive_storing() -> None:
    decided = Overrides(context=4096, kv_type="q8_0", limit_mib=6000)
    assert Overrides.from_dict(decided.to_dict() | {"unknown": 1}) == decided
    assert not NO_OVERRIDES and decided and decided.limit_bytes == 6000 * MIB
    for wrong in ({"context": 12}, {"context": True}, {"kv_type": "f32"}, {"parallel": 0}):
        with pytest.raises(BadParameter):
            Overrides.from_dict(wrong)
