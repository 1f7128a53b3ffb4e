"""Speculation in the real engine: the same text, what is told of it, and what a batch has room for."""

import asyncio
from collections import Counter
from dataclasses import replace

import pytest
from asking import MakeEngine
from scipy import stats

from twokeys.core.memory.drafts import LONGEST, make_draft
from twokeys.engines.local import LocalEngine
from twokeys.types import ChatMessage, Delta, Finished, GenerationRequest, Sampling

pytestmark = pytest.mark.anyio

TEXT = "The lighthouse keeper walks down the stairs and counts the boats that come home before the storm. "
COPY = GenerationRequest(
    (ChatMessage("user", f"Repeat this text word for word, three times:\n\n{TEXT * 3}"),),
    Sampling(temperature=0.0, max_new_tokens=60, repetition_penalty=1.0),
)

REPEATED = replace(
    COPY, prefix=TEXT * 2 + "The lighthouse keeper walks down the stairs and counts", ignore_eos=True
)


async def written(engine: LocalEngine, request: GenerationRequest) -> tuple[str, Finished]:
    text, last = "", None
    async for event in engine.generate(request):
        if isinstance(event, Delta):
            text += event.text
        elif isinstance(event, Finished):
            last = event
    assert last is not None
    return text, last


async def test_drafts_from_the_text_itself_leave_the_answer_as_it_is_and_are_counted(
    make_engine: MakeEngine,
) -> None:
    plain, drafting = make_engine(), make_engine(draft=make_draft("simple", batch=128, parallel=1))
    text, without = await written(plain, COPY)
    await plain.close()
    same, with_drafts = await written(drafting, COPY)
    assert same == text
    assert "draft_tokens" not in without.engine
    assert 0 < with_drafts.engine["draft_accepted"] <= with_drafts.engine["draft_tokens"]
    assert (await drafting.info()).draft == "simple"
    _, asked = await written(drafting, replace(COPY, n_probs=3))
    assert "n_probs" in asked.unsupported, "accepted drafts come without probabilities: that is told"


@pytest.mark.parametrize("kind", LONGEST)
@pytest.mark.parametrize("parallel", [1, 2, 5, 64, 128])
def test_what_all_slots_draft_fits_into_one_batch(kind: str, parallel: int) -> None:
    draft = make_draft(kind, batch=128, parallel=parallel, path="m" if kind == "model" else None)
    if parallel == 128:
        assert draft is None
    else:
        assert draft is not None and 0 < parallel * (draft.tokens + 1) <= 128


async def test_two_answers_at_once_do_not_end_an_engine_that_drafts_eagerly(make_engine: MakeEngine) -> None:
    engine = make_engine(parallel=2, draft=make_draft("mod", batch=128, parallel=2))
    long = replace(COPY, sampling=COPY.sampling.with_(max_new_tokens=120), ignore_eos=True)
    answers = await asyncio.gather(*(written(engine, long) for _ in range(2)))
    assert [finished.reason for _, finished in answers] == ["length", "length"]
    assert all(finished.engine.get("draft_tokens", 0) >= 48 for _, finished in answers)
    assert engine.running


async def test_drafts_leave_the_distribution_of_what_is_written_as_it_is(make_engine: MakeEngine) -> None:
    """The first three tokens of two samples, each with seeds of its own, where the text is drafted for."""
    counts = []
    for seeds, draft in ((range(60), None), (range(1000, 1060), make_draft("simple", batch=128, parallel=1))):
        engine = make_engine(draft=draft, context=512)
        beginnings: Counter[str] = Counter()
        drafted = 0
        for seed in seeds:
            sampling = Sampling(temperature=2.0, top_k=20, top_p=1.0, max_new_tokens=3, seed=seed)
            text, last = await written(engine, replace(REPEATED, sampling=sampling))
            beginnings[text] += 1
            drafted += last.engine.get("draft_tokens", 0)
        await engine.close()
        assert bool(drafted) is (draft is not None)
        counts.append(beginnings)
    texts = sorted(set(counts[0]) | set(counts[1]), key=lambda text: -sum(count[text] for count in counts))
    table = [[count[text] for text in texts[:5]] for count in counts]
    rows = [[*row, 60 - sum(row)] for row in table]
    columns = [column for column in zip(*rows, strict=True) if sum(column)]
    assert len(columns) > 1, "one text only would say nothing"
    assert stats.chi2_contingency(list(zip(*columns, strict=True))).pvalue > 0.001
