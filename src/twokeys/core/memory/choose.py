"""Choosing how to start so that it fits: context, KV type and GPU layers, best first.

The order gives up what costs the answer least: first GPU layers are filled as far as they go, then
the context shrinks to what a long dialogue needs, then the KV cache is kept in q8_0, then the
context shrinks further. A smaller model is never chosen here: that is a person's decision (S19).
What a person has decided is kept as it is; when it cannot fit it is refused, with what would fit.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from twokeys.core.memory.overrides import NO_OVERRIDES, Overrides
from twokeys.core.memory.plan import (
    SMALLEST_CONTEXT,
    Choice,
    MemoryPlan,
    Room,
    fits,
    margin,
    memory_needs,
    plan_memory,
)
from twokeys.core.memory.shape import MemoryShape
from twokeys.errors import MemoryPlanRefused, ModelTooLarge
from twokeys.types import KvType
from twokeys.units import memory_text

USUAL_CONTEXT = 8192
"""Room for a 3072-token answer after five to seven deep rounds (S4)."""
CONTEXTS = (USUAL_CONTEXT, 6144, 4096)
ENOUGH_CONTEXT = CONTEXTS[-1]
"""Below this a model is started when a person wants it, but neither recommended nor chosen by itself."""
SHORT_CONTEXTS = (3072, 2048, 1024, SMALLEST_CONTEXT)


def choose_start(
    shape: MemoryShape,
    room: Room,
    *,
    wanted_context: int = USUAL_CONTEXT,
    parallel: int = 1,
    overrides: Overrides = NO_OVERRIDES,
) -> MemoryPlan:
    """Return the best plan that fits; when none does, the smallest one, with `fits` False.

    A plan that does not fit with the margin may still be `possible`; `check_plan` refuses it only
    when it is not.
    """
    plan = None
    for context, kv_type in _candidates(min(wanted_context, shape.train_context), overrides):
        choice = Choice(
            context=context,
            parallel=overrides.parallel or parallel,
            kv_type=kv_type,
            prompt_cache_mib=overrides.prompt_cache_mib or 0,
            load_mode=overrides.load_mode or "copy",
        )
        layers = overrides.gpu_layers
        choice = replace(
            choice, gpu_layers=most_gpu_layers(shape, choice, room) if layers is None else layers
        )
        plan = plan_memory(shape, choice, room)
        if plan.fits:
            return plan
    if plan is None:
        raise ValueError("there is always one candidate")
    return plan


def is_recommendable(plan: MemoryPlan) -> bool:
    """Return whether a model fits with its margin and with a context that a dialogue can be held in."""
    return plan.fits and plan.choice.context >= min(ENOUGH_CONTEXT, plan.shape.train_context)


def recommendable_bytes(shape: MemoryShape, room: Room) -> int:
    """Return the memory that would have to be free, margin included, for a model to be recommendable."""
    choice = Choice(context=min(ENOUGH_CONTEXT, shape.train_context), kv_type="q8_0")
    choice = replace(choice, gpu_layers=most_gpu_layers(shape, choice, room))
    return memory_needs(shape, choice).total_bytes + margin(room.host_bytes)


def check_plan(plan: MemoryPlan) -> None:
    """Refuse a plan that needs more than there is, before anything is loaded.

    Raises MemoryPlanRefused with what would fit instead, or ModelTooLarge when the model fits in no
    way.
    """
    if plan.possible:
        return
    other = choose_start(plan.shape, plan.room)
    told = {"model": plan.shape.name, "available": memory_text(plan.available_bytes)}
    if not other.possible:
        raise ModelTooLarge(**told, **_numbers(other))
    raise MemoryPlanRefused(
        **told,
        **_numbers(plan),
        fit_context=other.choice.context,
        fit_kv_type=other.choice.kv_type,
        fit_planned=memory_text(other.needs.total_bytes),
    )


def _numbers(plan: MemoryPlan) -> dict[str, Any]:
    return {
        "planned": memory_text(plan.needs.total_bytes),
        "planned_bytes": plan.needs.total_bytes,
        "available_bytes": plan.available_bytes,
        "context": plan.choice.context,
        "kv_type": plan.choice.kv_type,
    }


def most_gpu_layers(shape: MemoryShape, choice: Choice, room: Room) -> int:
    """Return how many layers fit on the device: -1 for all of them, 0 without a device."""
    if room.device_bytes is None:
        return 0
    everything = shape.layers + 1
    for layers in range(everything, 0, -1):
        if fits(memory_needs(shape, replace(choice, gpu_layers=layers)), room):
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
