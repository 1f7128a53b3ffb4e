"""Comparisons, forks and the thermometer's maths on SmolLM2 in a real worker."""

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.oracles.sampling import chosen_from
from tests.real_server import running_server

from twokeys.config import load_config
from twokeys.core.compare.column import Column
from twokeys.core.compare.comparison import Comparison
from twokeys.core.memory.overrides import Overrides
from twokeys.services import Services, build_services
from twokeys.types import (
    SAMPLER_ORDERS,
    ChatMessage,
    Delta,
    GenerationRequest,
    SamplerOrder,
    Sampling,
    Settings,
    TokenProb,
)

from ..making import until

QUESTION = "Name three animals of the forest and say in a few words how each of them lives."
WAIT_S = 200.0


@pytest.fixture(scope="module")
def services(smollm2: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    home = str(tmp_path_factory.mktemp("compare"))
    built = build_services(load_config({"TWOKEYS_HOME": home}, model=str(smollm2)))
    yield built
    built.close()


def ended(services: Services, comparison: Comparison) -> Comparison:
    until(lambda: not services.compare.stored.get(comparison.id).active, WAIT_S)
    return services.compare.stored.get(comparison.id)


def columns(tokens: int = 10) -> list[Column]:
    return [Column(Sampling(temperature=t, max_new_tokens=tokens)) for t in (0.0, 0.0, 1.0)]


def test_columns_share_one_prefill_and_cold_ones_agree_with_the_chat(services: Services) -> None:
    settings = Settings(sampling=Sampling(temperature=0.0, max_new_tokens=10))
    chat = services.conversations.new(settings)
    sent = services.answers.send(chat.id, QUESTION)
    services.jobs.wait(sent.job.id, WAIT_S)
    alone = services.repository.get_message(sent.answer_message.id)
    comparison = ended(services, services.compare.start_from(alone.id, columns()))
    assert comparison.sharing == "cloned"
    prompt = comparison.prefill.prompt_tokens or 0
    assert prompt == alone.provenance.prompt_tokens
    # each column reads the last token again: that is where its first one is drawn from
    assert comparison.prefill.processed_tokens == prompt + 3
    assert comparison.columns[0].answer.content == comparison.columns[1].answer.content == alone.content
    assert {column.answer.provenance.engine["slot"] for column in comparison.columns} == {0, 1, 2}
    assert all(len(services.compare.stored.probs(comparison.id, n)) == 10 for n in range(3))
    worker = services.engines.stand_in
    assert worker is not None
    slot_files = list(services.config.run_dir.glob("slots-*/*"))
    assert slot_files == []
    # going on with a column happens in its own slot, where all but the last token is still known
    services.compare.continue_(comparison.id, 2)
    grown = ended(services, comparison).columns[2].answer
    last = grown.provenance.parts[-1]
    assert last.cached_tokens >= last.prompt_tokens - 1 and services.engines.stand_in is worker
    # and a chat message gets the chat's own worker back
    after = services.answers.send(chat.id, "And of the sea?")
    assert services.jobs.wait(after.job.id, WAIT_S).state == "done"
    assert services.engines.stand_in is None


def test_a_server_with_slots_writes_its_columns_side_by_side(llama_server: str, smollm2: Path) -> None:
    with running_server(llama_server, smollm2, "-c", "1024", "-np", "2", "--no-kv-unified") as url:
        services = build_services(load_config(model=url))
        try:
            settings = Settings(sampling=Sampling(max_new_tokens=300))
            asked = services.compare.start(QUESTION, columns(300)[1:], settings=settings)

            def writing() -> bool:
                shown = services.compare.stored.get(asked.id).columns
                return all(column.active and column.answer.content for column in shown)

            until(writing, WAIT_S)
            services.compare.stop(asked.id)
        finally:
            services.close()


def test_a_fork_goes_on_from_the_very_tokens(services: Services) -> None:
    chat = services.conversations.new(Settings(sampling=Sampling(temperature=0.0, max_new_tokens=10)))
    sent = services.answers.send(chat.id, QUESTION)
    services.jobs.wait(sent.job.id, WAIT_S)
    answer = services.repository.get_message(sent.answer_message.id)
    probs = services.repository.get_probs(answer.id)
    assert len(probs) == len(answer.token_ids) == 10
    candidate = next(c for c in probs[4].alternatives if c.token_id != probs[4].token_id and c.text.strip())
    forked = services.answers.fork(answer.id, 4, candidate)
    services.jobs.wait(forked.job.id, WAIT_S)
    grown = services.repository.get_message(forked.answer_message.id)
    assert grown.versions == 2 and grown.token_ids[:5] == (*answer.token_ids[:4], candidate.token_id)
    assert grown.content.startswith(answer.content[: probs[4].start] + candidate.text)
    assert len(grown.token_ids) == 15 == len(services.repository.get_probs(grown.id))
    assert grown.provenance.forked_from["after"]["token_id"] == candidate.token_id
    again = services.answers.replay(grown.id)
    services.jobs.wait(again.job.id, WAIT_S)
    assert services.repository.get_message(again.answer_message.id).content == grown.content
    # asked for one place, the engine tells what it told while it wrote
    place = services.next_token.distribution(answer.id, 4, candidates=50)
    assert len(place.alternatives) == 50
    reported = {c.token_id: c.logprob for c in place.alternatives}
    for known in probs[4].alternatives:
        assert reported[known.token_id] == pytest.approx(known.logprob, abs=0.05)


def test_where_memory_has_no_room_for_eight_contexts_they_run_over_the_cache(services: Services) -> None:
    # the answers end at their first space, yet each could be 400 tokens long
    made = [Column(Sampling(temperature=0.1 * n, max_new_tokens=400, stop=(" ",))) for n in range(1, 9)]
    assert services.compare.plan(QUESTION, made).sharing == "cloned"
    services.decide_memory(Overrides(context=512))
    usual = services.memory_plan()
    assert usual is not None
    # just enough for one context: a quarter of the limit is kept free
    limit_mib = int(usual.needs.total_bytes / 2**20 / 0.75) + 2
    services.decide_memory(Overrides(context=512, limit_mib=limit_mib))
    try:
        plan = services.compare.plan(QUESTION, made)
        assert plan.sharing == "cached" and (plan.needed_bytes or 0) > limit_mib * 0.75 * 2**20
        comparison = ended(services, services.compare.start(QUESTION, made))
        assert comparison.sharing == "cached"
        prompt = comparison.prefill.prompt_tokens or 0
        assert comparison.prefill.processed_tokens == prompt + 7
        assert services.engines.stand_in is None
    finally:
        services.decide_memory(Overrides())


async def distribution(services: Services, sampling: Sampling, *, post: bool) -> dict[int, float]:
    """The probabilities of the first token's candidates, before or after the sampler chain."""
    engine = await services.engines.ready()
    question = (ChatMessage("user", QUESTION),)
    probs: list[TokenProb] = []
    for seed in range(20):
        request = GenerationRequest(
            question, sampling.with_(seed=seed), n_probs=1000, post_sampling_probs=post
        )
        async for event in engine.generate(request):
            if isinstance(event, Delta):
                probs.extend(event.probs)
        if probs:  # nothing is told of a token without text, such as the end
            break
    return {c.token_id: math.exp(c.logprob) for c in probs[0].alternatives}


@pytest.mark.parametrize("order", SAMPLER_ORDERS)
@pytest.mark.parametrize("temperature", [0.3, 0.7, 1.0, 1.5])
def test_the_computed_distribution_is_the_engines_own(
    services: Services, order: SamplerOrder, temperature: float
) -> None:
    for cut in (
        {"top_k": 20, "top_p": 0.8, "min_p": 0.0},
        {"top_k": 0, "top_p": 1.0, "min_p": 0.05},
        {"top_k": 200, "top_p": 0.95, "min_p": 0.0},
    ):
        sampling = Sampling(
            temperature=temperature, max_new_tokens=1, repetition_penalty=1.0, order=order, **cut
        )
        before = services.jobs.loop.run(distribution(services, sampling, post=False), WAIT_S)
        after = services.jobs.loop.run(distribution(services, sampling, post=True), WAIT_S)
        ids = list(before)
        computed = dict(zip(ids, chosen_from(list(before.values()), sampling), strict=True))
        retained = {token: p for token, p in after.items() if p > 1e-9}
        assert retained and set(retained) <= set(ids)
        for token in ids:
            assert computed[token] == pytest.approx(retained.get(token, 0.0), abs=1e-3), (cut, token)
