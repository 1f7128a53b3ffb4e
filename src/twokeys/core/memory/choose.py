"""Choosing how to start so that it fits: context, KV type and GPU layers, best first.

The order gives up what costs the answer least: first GPU layers are filled as far as they go, then
the context shrinks to what a long dialogue needs, then the KV cache is kept in q8_0, then the
context shrinks further. A smaller model is never chosen here: that is a person's decision (S19).
What a person has decided is kept as it is; when it cannot fit it is refused, with what would fit.
"""

from collections.abc import Iterator
from dataclasses import replace

from twokeys.core.memory.overrides import NO_OVERRIDES, Overrides
from twokeys.core.memory.plan import (
    SMALLEST_CONTEXT,
    MemoryPlan,
    Room,
    StartChoice,
    fits,
    margin,
    memory_needs,
    plan_memory,
    safe_answer,
    safe_context,
)
from twokeys.core.memory.shape import MemoryShape
from twokeys.errors import MemoryPlanRefused, ModelTooLarge
from twokeys.types import Draft, KvType
from twokeys.units import memory_text

USUAL_CONTEXT = 8192
"""Room for a 3072-token answer after five to seven deep rounds (S4)."""
CONTEXTS = (USUAL_CONTEXT, 6144, 4096)
ENOUGH_CONTEXT = CONTEXTS[-1]
"""Below this a model is started when a person wants it, but neither recommended nor chosen by itself."""
CARD_BATCH, CARD_UBATCH = 2048, 512
"""With layers on a card: it reads a prompt many times faster in large pieces (llama.cpp's own defaults)."""
SHORT_CONTEXTS = (3072, 2048, 1024, SMALLEST_CONTEXT)


def choose_start(
    shape: MemoryShape,
    room: Room,
    *,
    wanted_context: int = USUAL_CONTEXT,
    parallel: int = 1,
    overrides: Overrides = NO_OVERRIDES,
    draft: Draft | None = None,
) -> MemoryPlan:
    """Return the best plan that fits; when none does, the smallest one, with `fits` False.

    draft: what drafts, as `overrides` or an answer wants it; a draft model is in the shape.

    A plan that does not fit with the margin may still be `possible`; `check_plan` refuses it only
    when it is not.
    """
    plan = None
    for context, kv_type in _candidates(min(wanted_context, shape.train_context), overrides):
        choice = StartChoice(
            context=context,
            parallel=overrides.parallel or parallel,
            kv_type=kv_type,
            prompt_cache_mib=overrides.prompt_cache_mib or 0,
            load_mode=overrides.load_mode or "copy",
            draft=draft,
        )
        plan = plan_memory(shape, _placed(shape, choice, room, overrides.gpu_layers), room)
        if overrides.gpu_layers is None:
            plan = _safe_with_fewer_layers(plan)
        if plan.fits:
            return plan
    if plan is None:
        raise ValueError("there is always one candidate")
    return plan


def _safe_with_fewer_layers(plan: MemoryPlan) -> MemoryPlan:
    """Layers are chosen anew for each context: with none of them on the card a longer one may be safe."""
    usual = StartChoice()
    without = replace(plan.choice, gpu_layers=0, batch=usual.batch, ubatch=usual.ubatch)
    safe = max(plan.safe_context, safe_context(plan.shape, without, plan.room))
    return replace(plan, safe_context=safe, safe_max_new_tokens=safe_answer(safe))


def is_recommendable(plan: MemoryPlan) -> bool:
    """Return whether a model fits with its margin and with a context that a dialogue can be held in."""
    return plan.fits and plan.choice.context >= min(ENOUGH_CONTEXT, plan.shape.train_context)


def recommendable_bytes(shape: MemoryShape, room: Room) -> int:
    """Return the memory that would have to be free, margin included, for a model to be recommendable."""
    choice = StartChoice(context=min(ENOUGH_CONTEXT, shape.train_context), kv_type="q8_0")
    choice = _placed(shape, choice, room, None)
    return memory_needs(shape, choice, room.cards).total_bytes + margin(room.host_bytes)


def check_plan(plan: MemoryPlan) -> None:
    """Refuse a plan that needs more than there is, before anything is loaded.

    Raises MemoryPlanRefused with what would fit instead, or ModelTooLarge when the model fits in no
    way.
    """
    if plan.possible:
        return
    other = choose_start(plan.shape, plan.room)
    facts = {"model": plan.shape.name, "available": memory_text(plan.available_bytes)}
    if not other.possible:
        raise ModelTooLarge(**facts, **_numbers(other))
    raise MemoryPlanRefused(
        **facts,
        **_numbers(plan),
        fit_context=other.choice.context,
        fit_kv_type=other.choice.kv_type,
        fit_planned=memory_text(other.needs.total_bytes),
    )


def _numbers(plan: MemoryPlan) -> dict[str, object]:
    return {
        "planned": memory_text(plan.needs.total_bytes),
        "planned_bytes": plan.needs.total_bytes,
        "available_bytes": plan.available_bytes,
        "context": plan.choice.context,
        "kv_type": plan.choice.kv_type,
    }


def _placed(shape: MemoryShape, choice: StartChoice, room: Room, layers: int | None) -> StartChoice:
    """Return the choice with its layers on the card and the batch for it; layers: None as many as fit.

    The card's batch takes more memory. It is given up where only without it everything lies on the card, or
    the layers that a person decided.
    """
    large = replace(choice, batch=CARD_BATCH, ubatch=CARD_UBATCH)
    if layers is not None:
        large, small = replace(large, gpu_layers=layers), replace(choice, gpu_layers=layers)
        return large if layers and fits(memory_needs(shape, large, room.cards), room) else small
    most = most_gpu_layers(shape, large, room)
    if most != -1 and (not most or most_gpu_layers(shape, choice, room) == -1):
        return replace(choice, gpu_layers=most_gpu_layers(shape, choice, room))
    return replace(large, gpu_layers=most)


def most_gpu_layers(shape: MemoryShape, choice: StartChoice, room: Room) -> int:
    """Return how many layers fit on the device: -1 for all of them, 0 without a device."""
    if room.device_bytes is None:
        return 0
    everything = shape.layers + 1
    for layers in range(everything, 0, -1):
        if fits(memory_needs(shape, replace(choice, gpu_layers=layers), room.cards), room):
            return -1 if layers == everything else layers
    return 0


def _candidates(wanted: int, overrides: Overrides) -> Iterator[tuple[int, KvType]]:
    kv_types: tuple[KvType, ...] = ("f16", "q8_0") if overrides.kv_type is None else (overrides.kv_type,)
    if overrides.context is not None:
        for kv_type in kv_types:
            yield overrides.context, kv_type
        return
    for kv_type in kv_types:
        for context in dict.fromkeys((wanted, *CONTEXTS)):
            if context <= wanted:
                yield context, kv_type
    for context in SHORT_CONTEXTS:
        for kv_type in kv_types:
            if context <= wanted:
                yield context, kv_type
