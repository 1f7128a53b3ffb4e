"""Choosing how to start so that it fits: context, KV type and GPU layers, best first.

The order gives up what costs the answer least: first GPU layers are filled as far as they go, then
the context shrinks to what a long dialogue needs, then the KV cache is kept in q8_0, then the
context shrinks further. A smaller model is never chosen here: that is a person's decision (S19).
"""

from collections.abc import Iterator
from dataclasses import replace

from twokeys.core.memory.plan import (
    SMALLEST_CONTEXT,
    Choice,
    MemoryPlan,
    Room,
    fits,
    memory_needs,
    plan_memory,
)
from twokeys.core.memory.shape import MemoryShape
from twokeys.types import KvType

USUAL_CONTEXT = 8192
"""Room for a 3072-token answer after five to seven deep rounds (S4)."""
CONTEXTS = (USUAL_CONTEXT, 6144, 4096)
SHORT_CONTEXTS = (3072, 2048, 1024, SMALLEST_CONTEXT)


def choose_start(
    shape: MemoryShape,
    room: Room,
    *,
    wanted_context: int = USUAL_CONTEXT,
    parallel: int = 1,
    prompt_cache_mib: int = 0,
) -> MemoryPlan:
    """Return the best plan that fits; when none does, the smallest one, with `fits` False."""
    plan = None
    for context, kv_type in _candidates(min(wanted_context, shape.train_context)):
        choice = Choice(
            context=context, parallel=parallel, kv_type=kv_type, prompt_cache_mib=prompt_cache_mib
        )
        choice = replace(choice, gpu_layers=most_gpu_layers(shape, choice, room))
        plan = plan_memory(shape, choice, room)
        if plan.fits:
            return plan
    if plan is None:
        raise ValueError("there is always one candidate")
    return plan


def most_gpu_layers(shape: MemoryShape, choice: Choice, room: Room) -> int:
    """Return how many layers fit on the device: -1 for all of them, 0 without a device."""
    if room.device_bytes is None:
        return 0
    everything = shape.layers + 1
    for layers in range(everything, 0, -1):
        if fits(memory_needs(shape, replace(choice, gpu_layers=layers)), room):
            return -1 if layers == everything else layers
    return 0


def _candidates(wanted: int) -> Iterator[tuple[int, KvType]]:
    kv_types: tuple[KvType, ...] = ("f16", "q8_0")
    for contexts in ((wanted, *CONTEXTS), SHORT_CONTEXTS):
        for kv_type in kv_types:
            for context in dict.fromkeys(contexts):
                if context <= wanted:
                    yield context, kv_type
