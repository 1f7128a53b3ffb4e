"""Speculation in the real engine: the same text, what is told of it, and what a batch has room for."""

import asyncio
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from asking import MakeEngine
from scipy import stats

from twokeys.core.draft_trial import try_draft
from twokeys.core.memory.drafts import LONGEST, make_draft
from twokeys.engines.local import LocalEngine
from twokeys.types import ChatMessage, Delta, Finished, GenerationRequest, Sampling, WorkerSpec

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


async def test_a_model_that_drafts_for_itself_is_believed_at_every_temperature(
    make_engine: MakeEngine, smollm2: Path
) -> None:
    """It draws as it would write; of the likeliest tokens three in ten are accepted at 1.0 (F19)."""
    engine = make_engine(draft=make_draft("itself", batch=128, parallel=1, path=str(smollm2)))
    for temperature in (0.0, 1.0):
        hot = COPY.sampling.with_(temperature=temperature, seed=3, top_k=0, top_p=1.0, max_new_tokens=120)
        _, last = await written(engine, replace(COPY, sampling=hot, ignore_eos=True))
        assert last.engine["draft_accepted"] >= 0.6 * last.engine["draft_tokens"] > 0


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
async def test_a_trial_tells_the_share_that_was_accepted(
    make_engine: MakeEngine, smollm2: Path, share: float
) -> None:
    itself = make_draft("itself", batch=128, parallel=1, path=str(smollm2))
    assert itself is not None

    def make(spec: WorkerSpec) -> LocalEngine:
        return make_engine(draft=spec.draft)

    trial = await try_draft(make, WorkerSpec(str(smollm2), "smollm2"), replace(itself, acceptance=share))
    assert trial.accepted == pytest.approx(share, abs=0.15)
    assert trial.with_tok_per_s > 0 and trial.without_tok_per_s > 0


@pytest.mark.parametrize("kind", ["simple", "itself"])
async def test_drafts_leave_the_distribution_of_what_is_written_as_it_is(
    make_engine: MakeEngine, smollm2: Path, kind: str
) -> None:
    """The first three tokens of two samples, each with seeds of its own, where the text is drafted for."""
    counts = []
    drafting = make_draft(kind, batch=128, parallel=1, path=str(smollm2) if kind == "itself" else None)
    for seeds, draft in ((range(60), None), (range(1000, 1060), drafting)):
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
