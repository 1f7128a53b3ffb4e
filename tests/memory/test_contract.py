"""At most the planned memory during any message, held by the kernel; what cannot fit never starts."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from twokeys.core.memory.overrides import Overrides
from twokeys.engine_source import MODEL_SETTING
from twokeys.engines.preflight import preflight
from twokeys.errors import MemoryPlanRefused, ModelTooLarge
from twokeys.services import Services
from twokeys.types import ChatMessage, Conversation, Delta, GenerationRequest, Sampling, WorkerSpec

from .conftest import STORY, check_the_kernel_holds_it, peak_bytes, worker

MIB = 1 << 20
Talk = Callable[..., Conversation]


def test_llama_cpp_itself_names_the_planned_buffers_before_it_loads(
    services: Services, smollm2: Path
) -> None:
    for context, kv_type in ((2048, "f16"), (8192, "q8_0")):
        spec = WorkerSpec(str(smollm2), "smollm2", context=context, kv_type=kv_type, threads=1)  # type: ignore[arg-type]
        [reported] = preflight(spec)
        planned = services.memory.of_spec(spec).needs.host
        assert abs(reported.model_bytes - planned.weights_bytes) <= MIB
        assert abs(reported.kv_bytes - planned.kv_bytes) <= MIB
        assert abs(reported.compute_bytes - planned.compute_bytes) <= MIB


@pytest.mark.slow
@pytest.mark.parametrize(("parallel", "tokens"), [(4, 512), (1, 1024)])
def test_the_longest_answers_run_under_a_limit_just_above_the_plan(
    services: Services, parallel: int, tokens: int
) -> None:
    """Every slot is filled to its last token while (on Linux) RLIMIT_DATA holds the worker to its plan."""
    wanted = Overrides(context=tokens, parallel=parallel, threads=1)
    free = services.memory.choose(_model(services), overrides=wanted)
    limit_mib = free.needs.host.total_bytes // MIB + 1
    plan = services.decide_memory(replace(wanted, limit_mib=limit_mib))
    assert plan is not None and plan.possible
    engine = services.jobs.loop.run(services.engines.ready())
    question = (ChatMessage("user", "Count."),)

    async def fill(slot: int, max_new_tokens: int) -> int:
        sampling = Sampling(max_new_tokens=max_new_tokens, temperature=1.5, seed=3)
        request = GenerationRequest(question, sampling, slot=slot, ignore_eos=True)
        return sum([len(e.token_ids) async for e in engine.generate(request) if isinstance(e, Delta)])

    async def fill_all() -> tuple[int, list[int]]:
        room = tokens - await engine.count_prompt(question)
        return room, list(await asyncio.gather(*(fill(slot, room) for slot in range(parallel))))

    room, written = services.jobs.loop.run(fill_all())
    pid = worker(services).pid
    assert pid is not None, "the worker was killed"
    assert written == [room] * parallel, "each slot is full"
    check_the_kernel_holds_it(pid, worker(services).spec.memory_limit_bytes)
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
    sent = services.answers.send(talk(max_new_tokens=64).id, STORY)
    view = services.jobs.wait(sent.job.id, 60)
    assert view.state == "failed" and view.error is not None
    assert view.error["code"] == "memory_refused"
    assert worker(services).pid is None, "nothing was started"


def test_a_model_that_fits_nowhere_cannot_be_switched_to(
    services: Services, talk: Talk, smollm2: Path, qwen: Path
) -> None:
    """64 MiB hold no model at all: the switch is refused with numbers, and nothing changes."""
    services.memory.keep(services.memory.shape(str(qwen)).name, Overrides(limit_mib=64))
    before = services.engines.expected()
    with pytest.raises(ModelTooLarge) as refused:
        services.switch_model(str(qwen))
    assert refused.value.params["planned_bytes"] > refused.value.params["available_bytes"]
    assert services.engines.expected() == before
    assert services.repository.get_setting(MODEL_SETTING) is None
    sent = services.answers.send(talk(max_new_tokens=8).id, "Hello.")
    assert services.jobs.wait(sent.job.id, 120).state == "done", "the former model answers on"
    assert worker(services).spec.model_path == str(smollm2)


def _model(services: Services) -> str:
    plan = services.memory_plan()
    assert plan is not None
    return plan.shape.name
