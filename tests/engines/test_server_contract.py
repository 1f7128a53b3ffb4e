"""What every server must give by URL, asked of real ones: each promise holds or is refused by name.

A llama-server runs here, by its own API and by its OpenAI interface alone. Others are started by
scripts/prove-servers.sh, which names them in TWOKEYS_CONTRACT_SERVERS ("vllm=http://…,transformers=http://…#m")
and keeps what held in the file TWOKEYS_CONTRACT_RECORD, from which the table in docs/servers.md is made.
"""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from pathlib import Path

import pytest
from asking import QUESTION, ask, hear
from tests.real_server import PlainEngine, running_server

from twokeys.core.study.runner import FINAL_ERRORS
from twokeys.engines.capabilities import PAIRS, Capabilities
from twokeys.engines.openai_dialect import OpenAiDialect
from twokeys.engines.remote import RemoteEngine
from twokeys.engines.server_access import ServerAccess
from twokeys.errors import CannotContinue, ContextExceeded, EngineRefused, SharedContextFull
from twokeys.types import ChatMessage, Delta

pytestmark = pytest.mark.anyio
OTHERS = dict(
    pair.split("=", 1) for pair in os.environ.get("TWOKEYS_CONTRACT_SERVERS", "").split(",") if pair
)
KEY = "a-key-for-tests"
CONTEXT = 1024
PLAIN = {"temperature": 0.0, "top_k": 0, "top_p": 1.0, "repetition_penalty": 1.0}
Tell = Callable[[str, str], None]
"""Keeps of the server under test what held: "ok", "named" under the answer, "refused", and so on."""


@pytest.fixture(scope="module")
def llama_url(llama_server: str, smollm2: Path) -> Iterator[str]:
    flags = ("-c", str(2 * CONTEXT), "-np", "2", "--no-kv-unified")
    with running_server(llama_server, smollm2, *flags, key=KEY) as url:
        yield url


@pytest.fixture(scope="module", params=["llama.cpp", "openai", *OTHERS])
async def served(request: pytest.FixtureRequest) -> AsyncIterator[RemoteEngine]:
    kind = request.param
    if kind in OTHERS:
        engine = RemoteEngine(OTHERS[kind])
    else:
        url = request.getfixturevalue("llama_url")
        make = RemoteEngine if kind == "llama.cpp" else PlainEngine
        engine = make(url, ServerAccess(KEY))
    yield engine
    await engine.close()


@pytest.fixture(scope="module")
def held() -> Iterator[dict[str, dict[str, str]]]:
    """What held, by server and cell; written at the end where a file is named."""
    cells: dict[str, dict[str, str]] = {}
    yield cells
    if path := os.environ.get("TWOKEYS_CONTRACT_RECORD"):
        Path(path).write_text(json.dumps(cells, indent=1), encoding="utf-8")


@pytest.fixture
def tell(request: pytest.FixtureRequest, held: dict[str, dict[str, str]]) -> Tell:
    cells = held.setdefault(request.node.callspec.params["served"], {})
    return cells.__setitem__


async def test_it_is_recognised_and_tells_what_it_is(
    served: RemoteEngine, request: pytest.FixtureRequest, tell: Tell
) -> None:
    info = await served.info()
    tell("build", info.build)
    tell("context", str(info.context) if info.context else "not told")
    tell("at once", str(info.slots))
    if info.kind != "llama.cpp":
        tell("drafts", "not told")
    assert info.kind == request.node.callspec.params["served"]
    assert not info.local
    assert info.model


async def test_text_streams_with_its_usage_and_end(served: RemoteEngine, tell: Tell) -> None:
    heard = await hear(served, ask("用中文和表情打个招呼 😀", max_new_tokens=24, **PLAIN))
    assert heard.text
    done = heard.finished
    assert done.reason in ("stop", "length")
    assert done.usage.prompt_tokens > 8 and 1 <= done.usage.completion_tokens <= 25
    assert "generating" in heard.phases
    tell("stream", "ok")


async def test_a_cut_by_the_length_is_told(served: RemoteEngine) -> None:
    heard = await hear(served, ask(QUESTION, max_new_tokens=5, **PLAIN))
    assert heard.finished.reason == "length"
    assert heard.finished.usage.completion_tokens == 5


async def test_a_stop_string_ends_the_answer_and_is_not_in_it(served: RemoteEngine, tell: Tell) -> None:
    whole = (await hear(served, ask(QUESTION, max_new_tokens=40, **PLAIN))).text
    word = whole.split()[3]
    heard = await hear(served, ask(QUESTION, max_new_tokens=40, stop=("QQ", "ZZ", word), **PLAIN))
    assert heard.text == whole[: whole.index(word)]
    reported = served.counts_exactly  # llama-server's OpenAI interface says "stop" for both ends
    assert heard.finished.reason == "stop_string" or not reported
    many = (*(f"Q{number}Q" for number in range(12)), word)
    assert (await hear(served, ask(QUESTION, max_new_tokens=40, stop=many, **PLAIN))).text == heard.text
    tell("stop strings", "ok")


async def test_leaving_an_answer_frees_the_server(served: RemoteEngine, tell: Tell) -> None:
    async with aclosing(served.generate(ask(QUESTION, max_new_tokens=400, **PLAIN))) as events:
        async for event in events:
            if isinstance(event, Delta):
                break
    async with asyncio.timeout(30):
        assert (await hear(served, ask("Hi", max_new_tokens=3, **PLAIN))).text
    tell("cancel", "ok")


async def test_a_begun_answer_is_continued_as_if_uncut_or_refused(served: RemoteEngine, tell: Tell) -> None:
    uncut = await hear(served, ask(QUESTION, max_new_tokens=24, **PLAIN))
    begun = uncut.text[: len(uncut.text) // 2].rsplit(" ", 1)[0]
    going_on = ask(QUESTION, max_new_tokens=24, prefix=begun, **PLAIN)
    if not (await served.info()).supports_prefill:
        with pytest.raises(CannotContinue):
            await hear(served, going_on)
        tell("continue", "refused")
        return
    rest = (await hear(served, going_on)).text
    assert rest.startswith(uncut.text[len(begun) :][:12])
    tell("continue", "ok")


async def test_the_same_seed_gives_the_same_text_or_is_named(served: RemoteEngine, tell: Tell) -> None:
    lively = ask("Invent a word.", temperature=1.0, seed=5, max_new_tokens=12)
    first, second = await hear(served, lively), await hear(served, lively)
    assert "seed" in first.finished.unsupported or first.text == second.text
    tell("seed", "named" if "seed" in first.finished.unsupported else "ok")


async def test_a_count_is_the_server_s_or_not_below_it(served: RemoteEngine, tell: Tell) -> None:
    for text in ("Hi", "What is the capital of France? " * 12, "def f(x):\n    return [x] * 3\n"):
        counted = await served.count_prompt((ChatMessage("user", text),))
        real = (await hear(served, ask(text, max_new_tokens=1, **PLAIN))).finished.usage.prompt_tokens
        assert counted == real if served.counts_exactly else counted >= real
    tell("count", "exact" if served.counts_exactly else "estimate")


async def test_what_is_too_long_is_refused_with_the_numbers(served: RemoteEngine, tell: Tell) -> None:
    info = await served.info()
    if not info.context:
        assert not served.counts_exactly, "nothing is known that could be exceeded"
        tell("overlong", "not known")
        return
    with pytest.raises(ContextExceeded) as caught:
        await hear(served, ask("word " * (info.context + 10), max_new_tokens=16))
    assert caught.value.params["context"] == info.context
    assert caught.value.params["prompt_tokens"] > info.context
    tell("overlong", "refused")


async def test_a_schema_is_kept_or_named(served: RemoteEngine, tell: Tell) -> None:
    schema = {"type": "object", "properties": {"n": {"enum": ["q7"]}}, "required": ["n"]}
    heard = await hear(served, ask("What is n?", json_schema=schema, max_new_tokens=30, **PLAIN))
    assert "json_schema" in heard.finished.unsupported or "q7" in heard.text
    tell("schema", "named" if "json_schema" in heard.finished.unsupported else "ok")


async def test_probabilities_spell_the_answer_or_are_named(served: RemoteEngine, tell: Tell) -> None:
    heard = await hear(served, ask("Say: 你好 😀", n_probs=5, max_new_tokens=20, **PLAIN))
    if "n_probs" in heard.finished.unsupported:
        assert not heard.probs
        tell("logprobs", "named")
        return
    assert "".join(prob.text for prob in heard.probs) == heard.text
    assert all(len(prob.alternatives) == 5 and prob.logprob <= 0 for prob in heard.probs)
    assert all(heard.text[prob.start :].startswith(prob.text) for prob in heard.probs)
    assert all(len({other.token_id for other in prob.alternatives}) == 5 for prob in heard.probs)
    tell("logprobs", "ok")


async def test_a_grammar_is_kept_or_named(served: RemoteEngine, tell: Tell) -> None:
    grammar = 'root ::= "q7" | "q8"'
    heard = await hear(served, ask("Is water wet?", grammar=grammar, max_new_tokens=30, **PLAIN))
    named = "grammar" in heard.finished.unsupported
    assert named or heard.text in ("q7", "q8")
    tell("grammar", "named" if named else "ok")


async def test_every_sampling_parameter_is_obeyed_or_named(served: RemoteEngine, tell: Tell) -> None:
    set_all = ask(top_k=5, min_p=0.2, typical_p=0.9, presence_penalty=0.5, frequency_penalty=0.5, seed=3)
    named = (await hear(served, set_all)).finished.unsupported
    dialect = await served._ready()
    known = [name for name in PAIRS if name not in named]
    if isinstance(dialect, OpenAiDialect):
        assert await Capabilities().dropped(dialect, known) == []
    for name in PAIRS:
        tell(name, "named" if name in named else "ok")


async def test_several_answers_to_one_request_come_or_one_does(served: RemoteEngine, tell: Tell) -> None:
    body = {
        "model": (await served.info()).model,
        "messages": [{"role": "user", "content": "Say a word."}],
        "max_tokens": 4,
        "n": 2,
    }
    answer = await served._server.post("/v1/chat/completions", body)
    count = len(answer.get("choices", ()))
    tell("n", "ok" if count == 2 else "one")
    assert count in (1, 2)


async def test_the_end_token_is_forbidden_or_that_is_named(served: RemoteEngine, tell: Tell) -> None:
    heard = await hear(served, ask("Say hi.", ignore_eos=True, max_new_tokens=40, **PLAIN))
    done = heard.finished
    assert "ignore_eos" in done.unsupported or done.usage.completion_tokens == 40
    tell("ignore_eos", "named" if "ignore_eos" in done.unsupported else "ok")


async def test_answers_side_by_side_are_those_written_alone(served: RemoteEngine, tell: Tell) -> None:
    questions = [ask(f"Write about {topic}.", max_new_tokens=12, **PLAIN) for topic in ("tea", "rain")]
    alone = [(await hear(served, question)).text for question in questions]
    together = await asyncio.gather(*(hear(served, question) for question in questions))
    same = [heard.text == text for heard, text in zip(together, alone, strict=True)]
    assert all(heard.text for heard in together)
    assert any(same), "batches change the last bits of a number, seldom both texts"
    tell("side by side", "ok")


# ---- llama-server alone -----------------------------------------------------------------------


async def test_without_its_key_a_server_refuses_and_the_key_is_nowhere(llama_url: str) -> None:
    stranger = RemoteEngine(llama_url)
    with pytest.raises(EngineRefused) as caught:
        await stranger.info()
    assert caught.value.params["status"] == 401
    with pytest.raises(EngineRefused) as wrong:
        await RemoteEngine(llama_url, ServerAccess("a-wrong-key")).info()
    assert "a-wrong-key" not in str(wrong.value) + repr(wrong.value.params)
    await stranger.close()


async def test_answers_that_share_one_context_are_tried_again_alone(llama_server: str, smollm2: Path) -> None:
    with running_server(llama_server, smollm2, "-c", "256", "-np", "4", "--kv-unified") as url:
        engine = RemoteEngine(url)
        info = await engine.info()
        assert (info.context, info.slots) == (256, 4), "each is promised the whole"
        long = ask("word " * 70, max_new_tokens=100, ignore_eos=True, **PLAIN)
        heard = await asyncio.gather(*(hear(engine, long) for _ in range(3)))
        assert [answer.finished.usage.completion_tokens for answer in heard] == [100] * 3
        assert {answer.finished.reason for answer in heard} == {"length"}
        again = [answer for answer in heard if "alone_from_token" in answer.finished.engine]
        assert again, "three answers of 200 tokens do not fit into 256 together"
        await engine.close()


async def test_a_context_filled_by_others_is_no_fault_of_the_message(
    llama_server: str, smollm2: Path
) -> None:
    with running_server(llama_server, smollm2, "-c", "256", "-np", "4", "--kv-unified") as url:
        ours, somebody = RemoteEngine(url), RemoteEngine(url)
        long = ask("word " * 70, max_new_tokens=120, ignore_eos=True, **PLAIN)
        others = [asyncio.create_task(hear(somebody, long)) for _ in range(2)]
        outcomes = await asyncio.gather(hear(ours, long), *others, return_exceptions=True)
        for outcome in outcomes:
            assert not isinstance(outcome, ContextExceeded)
            assert not isinstance(outcome, BaseException) or isinstance(outcome, SharedContextFull)
        assert SharedContextFull.code not in FINAL_ERRORS, "a study tries such an answer again"
        await ours.close()
        await somebody.close()


async def test_a_server_that_speculates_tells_its_drafts_and_which_answers_lack_probabilities(
    llama_server: str, smollm2: Path, held: dict[str, dict[str, str]]
) -> None:
    drafts = ("--spec-type", "ngram-simple", "--spec-ngram-simple-size-n", "4")
    with running_server(llama_server, smollm2, "-c", "1024", "-np", "1", *drafts) as url:
        engine = RemoteEngine(url)
        rhyme = "Repeat this ten times: " + "row, row, row your boat, " * 12
        done = (await hear(engine, ask(rhyme, n_probs=2, max_new_tokens=96, **PLAIN))).finished
        assert done.engine["draft_tokens"] >= done.engine["draft_accepted"] > 0
        assert done.unsupported == ("n_probs",)
        plain = (await hear(engine, ask(rhyme, max_new_tokens=96, **PLAIN))).finished
        assert plain.unsupported == (), "nothing is missing that was not asked for"
        held.setdefault("llama.cpp", {})["drafts"] = "ok"
        await engine.close()


async def test_a_server_started_anew_with_another_context_is_noticed(
    llama_server: str, smollm2: Path
) -> None:
    with running_server(llama_server, smollm2, "-c", "512", "-np", "1") as url:
        engine = RemoteEngine(url)
        assert (await engine.info()).context == 512
    port = int(url.rpartition(":")[2])
    with running_server(llama_server, smollm2, "-c", "1024", "-np", "1", port=port):
        heard = await hear(engine, ask(QUESTION, max_new_tokens=900, stop=("lighthouse",), **PLAIN))
        assert heard.text
        assert (await engine.info()).context == 1024
    started = time.monotonic()
    assert not await engine.healthy()
    assert time.monotonic() - started < 30
    await engine.close()
