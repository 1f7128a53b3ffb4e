"""Several engines as one: slots, the same texts, another member when one is gone."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from asking import ask, hear
from fault_server import FaultServer, Reply, fault_server

from twokeys.engines.local import LocalEngine
from twokeys.engines.pool import PoolEngine
from twokeys.engines.remote import RemoteEngine
from twokeys.engines.scripted import Fail, Say, ScriptedEngine, Stall
from twokeys.errors import BadInput, EngineDied, EngineUnreachable
from twokeys.types import Answering, ChatMessage, WorkerSpec

pytestmark = pytest.mark.anyio


@pytest.fixture
async def pool(smollm2: Path, home: Path) -> AsyncIterator[PoolEngine]:
    spec = WorkerSpec(str(smollm2), "smollm2-135m", context=512, threads=1)
    together = PoolEngine([LocalEngine(spec, home / "run", home / "logs") for _ in range(2)])
    yield together
    await together.close()


async def test_two_workers_write_the_texts_that_one_writes(pool: PoolEngine) -> None:
    info = await pool.info()
    assert (info.slots, info.context, info.model) == (2, 512, "smollm2-135m")
    assert pool.running
    questions = [ask(f"Write about {topic}.", slot=slot) for slot, topic in enumerate(("tea", "rain"))]
    together = await asyncio.gather(*(hear(pool, question) for question in questions))
    alone = [await hear(pool.members[0], replace(question, slot=None)) for question in questions]
    assert [heard.text for heard in together] == [heard.text for heard in alone]
    assert pool.memory_bytes() > 2 * 90_000_000
    report = await pool.release()
    assert report.freed_bytes > 2 * 90_000_000 and not pool.running


async def test_each_slot_is_a_member_of_its_own() -> None:
    members = [ScriptedEngine([Say(name)]) for name in ("first", "second", "third")]
    pool = PoolEngine(members)
    assert (await pool.info()).slots == 3
    texts = [(await hear(pool, ask(slot=slot))).text for slot in (2, 0, 1)]
    assert texts == ["third", "first", "second"]
    assert all(member.requests[0].slot is None for member in members), "a single slot is not named"


async def test_members_with_several_slots_give_them_all() -> None:
    members = [ScriptedEngine([Say("a")], slots=2), ScriptedEngine([Say("b")], slots=1)]
    pool = PoolEngine(members)
    assert (await pool.info()).slots == 3
    assert [(await hear(pool, ask(slot=slot))).text for slot in range(3)] == ["a", "b", "a"]
    assert [request.slot for request in members[0].requests] == [0, 1]


async def test_answers_without_a_slot_go_to_the_least_busy_member() -> None:
    members = [ScriptedEngine([Stall(0.2), Say("x")]) for _ in range(2)]
    pool = PoolEngine(members)
    await pool.info()
    await asyncio.gather(*(hear(pool, ask("the same question")) for _ in range(4)))
    assert [len(member.requests) for member in members] == [2, 2]


async def test_a_conversation_stays_with_the_member_whose_cache_knows_it() -> None:
    members = [ScriptedEngine([Say("x")]) for _ in range(3)]
    pool = PoolEngine(members)
    await pool.info()
    first = ChatMessage("user", "How are you?")
    for later in ((), (ChatMessage("assistant", "Well."), ChatMessage("user", "And now?"))):
        await hear(pool, replace(ask(), messages=(first, *later)))
    assert sorted(len(member.requests) for member in members) == [0, 0, 2]


async def test_an_answer_whose_member_is_gone_before_its_first_text_goes_to_another() -> None:
    gone = ScriptedEngine([Fail(EngineDied(reason="killed", log=""))])
    pool = PoolEngine([gone, ScriptedEngine([Say("from the other")])])
    await pool.info()
    assert (await hear(pool, ask(slot=0))).text == "from the other"
    broken = PoolEngine([ScriptedEngine([Say("half"), Fail(EngineDied(reason="killed", log=""))]), gone])
    await broken.info()
    with pytest.raises(EngineDied):
        await hear(broken, ask(slot=0))
    with pytest.raises(EngineDied):
        await hear(PoolEngine([gone, gone]), ask(slot=0))


async def test_members_of_different_models_are_no_pool() -> None:
    with pytest.raises(BadInput) as caught:
        await PoolEngine([ScriptedEngine(model="a"), ScriptedEngine(model="b")]).info()
    assert "a" in str(caught.value) and "b" in str(caught.value)
    with pytest.raises(BadInput):
        PoolEngine([])


def as_vllm(server: FaultServer) -> None:
    server.json("/v1/models", {"data": [{"id": "q", "owned_by": "vllm", "max_model_len": 4096}]})
    server.json("/tokenize", {"count": 9})
    text = {"choices": [{"index": 0, "delta": {"content": "hi"}}]}
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    server.events("/v1/chat/completions", text, end)


async def test_two_servers_are_one_and_a_dead_one_is_gone_round() -> None:
    async with fault_server() as first, fault_server() as second:
        as_vllm(first)
        as_vllm(second)
        pool = PoolEngine([RemoteEngine(first.url), RemoteEngine(second.url)])
        assert pool.expected() is None
        info = await pool.info()
        assert (info.kind, info.slots) == ("vllm", 16)
        assert pool.expected() == Answering.by_engine(info)
        first.on("/v1/chat/completions", Reply(cut=True))  # it hangs up without a word from now on
        texts = [(await hear(pool, ask(slot=slot))).text for slot in (0, 1)]
        assert texts == ["hi", "hi"]
        assert any(asked.path == "/v1/chat/completions" for asked in second.asked)
        first.on("/tokenize", Reply(cut=True))
        assert await pool.count_prompt((ChatMessage("user", "Hi"),)) == 9
        await pool.close()


async def test_a_pool_of_nothing_but_dead_servers_says_so() -> None:
    pool = PoolEngine([RemoteEngine("http://127.0.0.1:9"), RemoteEngine("http://127.0.0.1:9")])
    with pytest.raises(EngineUnreachable):
        await pool.info()
    assert not await pool.healthy()
    await pool.close()
