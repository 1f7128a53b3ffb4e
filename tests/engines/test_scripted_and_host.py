"""The scripted engine keeps the protocol's rules; the host swaps engines without losing one."""

import asyncio
from contextlib import aclosing

import pytest
from asking import Heard, MakeEngine, ask, hear

from twokeys.engines.host import EngineHost
from twokeys.engines.remote import RemoteEngine
from twokeys.engines.scripted import End, Fail, Say, ScriptedEngine, Stall, split_tokens
from twokeys.errors import BadParameter, ContextExceeded, EmptyMessage, EngineDied, ModelMissing
from twokeys.types import ChatMessage, Delta

pytestmark = pytest.mark.anyio


async def test_a_script_is_played_token_by_token_with_its_figures() -> None:
    engine = ScriptedEngine([Say("Hello, 世界 42!\n")], start_s=0.01)
    heard = await hear(engine, ask(n_probs=1, max_new_tokens=50))
    assert heard.phases == ["starting", "loading", "prompt", "generating"]
    assert heard.text == "Hello, 世界 42!\n"
    assert [e.text for e in heard.events if isinstance(e, Delta)] == split_tokens(heard.text)
    assert list(heard.ids) == await engine.tokenize(heard.text)
    assert [p.start for p in heard.probs] == [0, 5, 6, 7, 8, 9, 10, 11, 12, 13]
    done = heard.finished
    assert done.reason == "stop"
    assert done.usage.completion_tokens == len(heard.ids)
    assert done.usage.prompt_tokens == await engine.count_prompt(ask().messages)
    assert done.sampling_used["seed"] == 7
    assert engine.requests[-1].sampling.max_new_tokens == 50


async def test_a_script_stalls_fails_and_ends_as_told() -> None:
    engine = ScriptedEngine([Say("a "), Stall(0.1), Say("b"), End("context"), Say("never")])
    order: list[str] = []
    async with aclosing(engine.generate(ask())) as events:
        async for event in events:
            if isinstance(event, Delta):
                order.append(event.text.strip() or " ")
                if event.text == "a":
                    asyncio.get_running_loop().call_later(0.05, order.append, "half of the stall")
    assert order == ["a", " ", "half of the stall", "b"]
    heard = await hear(engine, ask())
    assert (heard.text, heard.finished.reason) == ("a b", "context")
    broken = Heard()
    engine.script = [Say("half"), Fail(EngineDied(reason="ended by SIGKILL", log=""))]
    with pytest.raises(EngineDied):
        await hear(engine, ask(), broken)
    assert broken.text == "half"


async def test_a_script_is_cut_at_its_length_and_can_answer_the_request() -> None:
    engine = ScriptedEngine(lambda request: [Say(request.messages[-1].content * 100)])
    heard = await hear(engine, ask("ab ", max_new_tokens=5))
    assert (heard.text, heard.finished.reason) == ("ab ab ab", "length")


async def test_a_script_refuses_what_an_engine_refuses() -> None:
    engine = ScriptedEngine(context=64)
    with pytest.raises(EmptyMessage):
        await hear(engine, ask(""))
    with pytest.raises(ContextExceeded):
        await hear(engine, ask(max_new_tokens=60))
    with pytest.raises(BadParameter):
        await hear(engine, ask(n_probs=-1))


async def test_a_script_knows_what_it_has_read() -> None:
    engine = ScriptedEngine()
    turns = [ChatMessage("user", "one two three")]
    first = await hear(engine, ask(messages=tuple(turns)))
    turns += [ChatMessage("assistant", first.text), ChatMessage("user", "more")]
    second = await hear(engine, ask(messages=tuple(turns)))
    assert first.finished.usage.cached_tokens == 0
    assert second.finished.usage.cached_tokens == first.finished.usage.prompt_tokens
    await engine.release()
    assert (await hear(engine, ask(messages=tuple(turns)))).finished.usage.cached_tokens == 0


async def test_a_script_pretends_to_hold_and_give_back_memory() -> None:
    engine = ScriptedEngine(memory=1000)
    assert engine.memory_bytes() == 0
    await engine.start()
    assert engine.memory_bytes() == 1000
    assert (await engine.release()).freed_bytes == 1000


async def test_the_host_builds_once_and_swaps_on_a_switch(make_engine: MakeEngine) -> None:
    made: list[str] = []

    def make(name: str) -> ScriptedEngine:
        if name == "none":
            raise ModelMissing(name=name)
        made.append(name)
        return ScriptedEngine(model=name, memory=10)

    host = EngineHost(make)
    assert (host.current(), host.expected(), host.running()) == (None, None, False)
    with pytest.raises(ModelMissing):
        await host.ready()
    use = await host.use("one")
    assert await host.use("one") is use is await host.ready() is host.engine
    await use.info()
    assert host.running()
    two = await host.use("two")
    assert not use.running  # type: ignore[attr-defined]
    assert (host.name, made) == ("two", ["one", "two"])
    with pytest.raises(ModelMissing):
        await host.use("none")
    assert host.engine is two
    assert host.name == "two"
    await two.info()
    assert (await host.release()).freed_bytes == 10
    assert not host.running()
    await host.close()
    assert host.current() is None


async def test_the_host_tells_what_would_answer_without_starting_it(make_engine: MakeEngine) -> None:
    host = EngineHost(lambda _name: make_engine(), "smollm2-135m")
    expected = host.expected()
    assert expected is not None and expected.spec is not None
    assert expected.context == expected.spec.context == 1024
    assert not host.running()
    remote = EngineHost(lambda url: RemoteEngine(url), "http://127.0.0.1:9")
    assert remote.expected() is None
    await remote.close()


async def test_a_switch_in_mid_answer_ends_it_as_cancelled(make_engine: MakeEngine) -> None:
    host = EngineHost(lambda name: make_engine(model_name=name), "one")
    heard = Heard()
    task = asyncio.create_task(hear(await host.ready(), ask(max_new_tokens=900), heard))
    while not heard.text:
        await asyncio.sleep(0.02)
    await host.use("two")
    assert (await task).finished.reason == "cancelled"
    assert (await hear(host.engine, ask())).finished.engine["model"] == "two"
    await host.close()
