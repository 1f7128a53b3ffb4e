"""At most the planned memory during any message, held by the kernel; what cannot fit never starts."""

import resource
from collections.abc import Callable
from pathlib import Path

import pytest

from twokeys.core.memory.overrides import Overrides
from twokeys.engines.preflight import preflight
from twokeys.errors import MemoryPlanRefused
from twokeys.services import Services
from twokeys.types import ChatMessage, Conversation, GenerationRequest, Sampling, WorkerSpec

from .conftest import STORY, data_bytes, peak_bytes, worker

MIB = 1 << 20
Talk = Callable[..., Conversation]


def test_llama_cpp_itself_names_the_planned_buffers_before_it_loads(
    services: Services, smollm2: Path
) -> None:
    for context, kv_type in ((2048, "f16"), (8192, "q8_0")):
        spec = WorkerSpec(str(smollm2), "smollm2", context=context, kv_type=kv_type, threads=1)  # type: ignore[arg-type]
        [told] = preflight(spec)
        planned = services.memory.of_spec(spec).needs.host
        assert abs(told.model_bytes - planned.weights_bytes) <= MIB
        assert abs(told.kv_bytes - planned.kv_bytes) <= MIB
        assert abs(told.compute_bytes - planned.compute_bytes) <= MIB


def test_the_longest_answers_in_parallel_run_under_a_limit_just_above_the_plan(services: Services) -> None:
    """Four slots are filled to the last token while RLIMIT_DATA holds the worker to its plan."""
    free = services.memory.choose(_model(services), overrides=Overrides(context=512, parallel=4))
    limit_mib = free.needs.host.total_bytes // MIB + 1
    plan = services.decide_memory(Overrides(context=512, parallel=4, limit_mib=limit_mib, threads=1))
    assert plan is not None and plan.possible
    engine = services.jobs.run(services.engines.ready())
    sampling = Sampling(max_new_tokens=480, temperature=1.5, seed=3)

    async def fill(slot: int) -> int:
        request = GenerationRequest((ChatMessage("user", "Count."),), sampling, slot=slot)
        total = 0
        async for event in engine.generate(request):
            total += len(getattr(event, "token_ids", ()))
        return total

    async def fill_all() -> list[int]:
        import asyncio

        await engine.info()
        return list(await asyncio.gather(*(fill(slot) for slot in range(4))))

    written = services.jobs.run(fill_all())
    pid = worker(services).pid
    assert pid is not None, "the worker was killed"
    assert sum(written) > 0
    soft, _hard = resource.prlimit(pid, resource.RLIMIT_DATA)
    assert soft == worker(services).spec.memory_limit_bytes
    assert data_bytes(pid) <= soft
    assert peak_bytes(pid) <= plan.needs.host.total_bytes


def test_one_long_answer_stays_within_the_plan_and_keeps_its_memory(services: Services, talk: Talk) -> None:
    services.decide_memory(Overrides(context=1024, threads=1))
    sent = services.chat.send(talk(max_new_tokens=400).id, STORY)
    view = services.jobs.wait(sent.job.id, 120)
    assert view.state == "done"
    pid, plan = worker(services).pid, services.memory_plan()
    assert pid is not None and plan is not None
    assert peak_bytes(pid) <= plan.needs.host.total_bytes


def test_a_limit_below_the_plan_is_refused_beforehand_not_killed(services: Services, talk: Talk) -> None:
    """The decision itself is refused; and when memory is short later, so is the start."""
    with pytest.raises(MemoryPlanRefused) as refused:
        services.decide_memory(Overrides(context=8192, kv_type="f16", limit_mib=300))
    assert refused.value.params["planned_bytes"] > 300 * MIB
    assert refused.value.params["fit_context"] in (4096, 6144)
    name = _model(services)
    assert not services.memory.overrides(name), "nothing was kept of it"

    services.memory.keep(name, Overrides(context=8192, kv_type="f16", limit_mib=300))
    sent = services.chat.send(talk(max_new_tokens=64).id, STORY)
    view = services.jobs.wait(sent.job.id, 60)
    assert view.state == "failed" and view.error is not None
    assert view.error["code"] == "memory_refused"
    assert worker(services).pid is None, "nothing was started"


def test_a_model_that_fits_nowhere_cannot_be_switched_to(services: Services, smollm2: Path) -> None:
    name = _model(services)
    services.memory.keep(name, Overrides(limit_mib=256))
    assert services.memory.check(name).possible
    room = services.memory.room(Overrides(limit_mib=256))
    assert room.host_bytes <= 256 * MIB


def _model(services: Services) -> str:
    plan = services.memory_plan()
    assert plan is not None
    return plan.shape.name
