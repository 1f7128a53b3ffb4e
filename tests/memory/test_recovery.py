"""A worker killed by a real memory limit: nothing is lost, and the recovery steps complete the answer."""

import sys
import time
from collections.abc import Callable

import pytest

from twokeys.core.memory.overrides import Overrides
from twokeys.engines.memory_words import tells_of_memory
from twokeys.services import Services
from twokeys.types import Conversation

from .conftest import STORY, worker

MIB = 1 << 20
Talk = Callable[..., Conversation]


def until(true: Callable[[], bool], timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not true():
        if time.monotonic() > deadline:
            pytest.fail("it did not become true in time")
        time.sleep(0.02)


def take_memory_away(services: Services) -> None:
    """Let the kernel refuse the worker any more memory, as a full machine does, and ask it something."""
    import resource

    pid = worker(services).pid
    assert pid is not None
    for kind in (resource.RLIMIT_DATA, resource.RLIMIT_AS):
        resource.prlimit(pid, kind, (64 * MIB, 64 * MIB))
    deadline = time.monotonic() + 30
    while worker(services).pid == pid and time.monotonic() < deadline:
        try:
            services.jobs.loop.run(worker(services).tokenize("word " * 20_000), timeout_s=5)
        except Exception:  # what it says does not matter: it is about to end
            time.sleep(0.05)


@pytest.mark.skipif(
    sys.platform != "linux",
    reason="LINUX ONLY, NOT TESTED HERE: a real memory limit put on a running worker (prlimit)",
)
def test_a_worker_killed_by_its_memory_limit_goes_on_by_recovery_steps(
    services: Services, talk: Talk
) -> None:
    services.decide_memory(Overrides(context=8192, kv_type="f16", threads=1))
    conversation = talk(max_new_tokens=2048, temperature=0.9)
    sent = services.answers.send(conversation.id, STORY)
    answer = sent.answer_message.id
    until(lambda: len(_text(services, sent.job.id)) > 40)

    # from now on there is room for 310 MiB: 8192 tokens need more, 6144 fit
    name = worker(services).spec.model_name
    services.memory.keep(name, Overrides(context=8192, kv_type="f16", threads=1, limit_mib=310))
    take_memory_away(services)
    assert services.jobs.wait(sent.job.id, 30).state == "failed"
    failed = services.repository.get_message(answer)
    assert failed.error is not None and failed.error["code"] == "engine_memory"
    assert len(failed.content) > 40, "nothing of the text is lost"

    services.recovery.start(answer)
    until(
        lambda: len(services.conversations.messages(conversation.id)[-1].content) > len(failed.content) + 20
    )
    view = services.recovery.view(answer)
    assert view is not None and view.state == "running"
    assert [step.name for step in view.done] == ["clear", "length"]
    assert (view.done[1].before, view.done[1].after, view.done[1].context) == (2048, 1536, (8192, 6144))
    services.answers.stop(conversation.id)
    until(lambda: not services.jobs.views(conversation.id))

    grown = services.repository.get_message(answer)
    assert grown.content.startswith(failed.content), "the same message goes on from its text"
    assert [step["step"] for step in grown.provenance.recovery] == ["clear", "length"]
    settings = services.repository.get_conversation(conversation.id).settings
    assert settings.sampling.max_new_tokens == 1536 and settings.sampling.temperature == 0.9
    spec = worker(services).spec
    assert spec.context == 6144 and spec.memory_limit_bytes is not None
    until(lambda: services.recovery.view(answer).state == "recovered")  # type: ignore[union-attr]


def test_a_refused_start_is_recovered_from_without_starting_anything(services: Services, talk: Talk) -> None:
    """Length, temperature, cache type: each is refused in milliseconds until one fits."""
    plan = services.memory_plan()
    assert plan is not None
    tight = Overrides(context=8192, kv_type="f16", threads=1, limit_mib=260)
    services.memory.keep(plan.shape.name, tight)
    conversation = talk(max_new_tokens=1024, temperature=0.9)
    sent = services.answers.send(conversation.id, STORY)
    assert services.jobs.wait(sent.job.id, 60).state == "failed"
    services.recovery.start(sent.answer_message.id)
    until(lambda: bool(services.conversations.messages(conversation.id)[-1].content))
    view = services.recovery.view(sent.answer_message.id)
    assert view is not None
    assert [step.name for step in view.done] == ["clear", "length"]
    settings = services.repository.get_conversation(conversation.id).settings
    assert settings.sampling.max_new_tokens == 512
    services.answers.stop(conversation.id)


def test_step_by_step_by_hand_takes_only_the_step_that_was_pressed(services: Services, talk: Talk) -> None:
    conversation = talk(max_new_tokens=2048, temperature=0.7)
    steps = services.recovery.steps(conversation.id)
    assert [step.name for step in steps[:4]] == ["clear", "length", "temperature", "kv"]
    by_name = {step.name: step for step in steps}
    assert by_name["temperature"].frees_bytes == 0, "F7: temperature frees nothing"
    assert (by_name["kv"].frees_bytes or 0) > 80 * MIB
    assert services.recovery.apply(conversation.id, "temperature") is not None
    settings = services.repository.get_conversation(conversation.id).settings
    assert settings.sampling.temperature == 0.5 and settings.sampling.max_new_tokens == 2048
    assert services.recovery.apply(conversation.id, "temperature") is None, "it is taken already"
    assert services.recovery.apply(conversation.id, "kv") is not None
    assert worker(services).spec.kv_type == "q8_0"


@pytest.mark.parametrize("wanted", ["ask", "auto"])
def test_it_starts_by_itself_only_when_a_person_wants_it(services: Services, talk: Talk, wanted: str) -> None:
    plan = services.memory_plan()
    assert plan is not None
    services.repository.set_setting("memory.recover", wanted)
    tight = Overrides(context=8192, kv_type="f16", threads=1, limit_mib=310)
    services.memory.keep(plan.shape.name, tight)
    answer = _answer_that_failed(services, talk(max_new_tokens=64))
    if wanted == "ask":
        assert services.recovery.view(answer) is None
    else:
        until(lambda: (view := services.recovery.view(answer)) is not None and view.state == "recovered")


def _answer_that_failed(services: Services, conversation: Conversation) -> str:
    sent = services.answers.send(conversation.id, "Hello.")
    assert services.jobs.wait(sent.job.id, 60).state == "failed"
    return sent.answer_message.id


@pytest.mark.parametrize(
    "line",
    [
        "CUDA error: out of memory",
        "ggml_backend_cuda_buffer_type_alloc_buffer: allocating 512.00 MiB on device 0: cudaMalloc failed",
        "ggml_gallocr_reserve_n: failed to allocate CPU buffer of size 4096",
        "terminate called after throwing an instance of 'std::bad_alloc'",
        "cannot allocate memory for thread-local data: ABORT",
        "ggml_metal: error: Insufficient Memory (00000008:kIOGPUCommandBufferCallbackError)",
        "vk::Device::allocateMemory: ErrorOutOfDeviceMemory",
        "model requires more system memory (5.6 GiB) than is available (3.1 GiB)",
        "llama runner process has terminated: signal: killed",
    ],
)
def test_what_engines_write_when_memory_is_short_is_recognised(line: str) -> None:
    assert tells_of_memory(line)


def _text(services: Services, job_id: str) -> str:
    view = services.jobs.view(job_id)
    return view.text if view is not None else ""
