"""One question of an exact study: scored by the engine, and made into rows as answers have.

Every cell's row has its "chance"; the first cell's row of the text keeps the tree (answer_tree.py), from
which curves over all temperatures are made afterwards (exact_curve.py).
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import numpy as np

from twokeys.core.study.answer_tree import AnswerTree
from twokeys.core.study.exact_answer import ANSWER_PREFIX, AnswerReading
from twokeys.core.study.exact_score import Scorer
from twokeys.core.study.rows import stored_values
from twokeys.core.study.spectrum import Cuts
from twokeys.core.study.study import Study
from twokeys.core.study.trial import Batch, question_of, sampling_of
from twokeys.engine import Engine, ScoringEngine
from twokeys.errors import NotSupported, Reason
from twokeys.types import ChatMessage, NextTokens


def scorer_of(study: Study) -> Scorer:
    """Return what scores a study's questions: beginnings matter that matter to one of its cells."""
    cuts = dict.fromkeys(Cuts.of(cell.sampling_on(study.base)) for cell in study.cells)
    return Scorer(tuple(cuts))


async def score_batch(
    study: Study,
    batch: Batch,
    engine: Engine,
    scorer: Scorer,
    slot: int | None,
    before_each: Callable[[], Awaitable[None]],
) -> dict[str, dict[str, object]]:
    """Return the rows of all cells' answers to one question. before_each: awaited before every request.

    Raises NotSupported for an engine that does not tell whole distributions, and what it raises.
    """
    if not isinstance(engine, ScoringEngine):
        reason = Reason("errors.reason.no_vocabulary", model=(await engine.info()).model)
        raise NotSupported(field="logprobs", reason=reason)
    scoring: ScoringEngine = engine
    cell, prompt = study.cells[batch.written.cell], study.prompts[batch.written.prompt]
    messages: tuple[ChatMessage, ...] = (ChatMessage("user", question_of(prompt, cell)),)
    if cell.system_prompt:
        messages = (ChatMessage("system", cell.system_prompt), *messages)

    async def ask(after: Sequence[int]) -> NextTokens:
        await before_each()
        return await scoring.next_tokens(messages, ANSWER_PREFIX[prompt.language], after, slot)

    if prompt.checker is None:
        raise ValueError(f"the study lets no prompt without a checker through: {prompt.id}")
    reading = AnswerReading.of(prompt.checker)
    return exact_rows(study, batch, await scorer.score(reading, ask), reading.text)


def exact_rows(study: Study, batch: Batch, tree: AnswerTree, right: str) -> dict[str, dict[str, object]]:
    """Return the rows of a scored question. right: its answer, which stands where a text would."""
    rows: dict[str, dict[str, Any]] = {}
    for trial in batch.trials:
        sampling = sampling_of(study, trial)
        result = tree.chance(Cuts.of(sampling), np.array([sampling.temperature]))
        chance = float(result.likely[0])
        place = {"c": trial.cell, "p": trial.prompt, "s": trial.number}
        rows[trial.key] = {**place, "v": stored_values({"chance": chance})}
        text: dict[str, Any] = {
            "text": right, "finish": "stop", "seed": sampling.seed, "guard": [], "along": {},
        }  # fmt: skip
        own = trial == batch.written
        rows[trial.text_key] = place | text | ({"tree": tree.to_dict()} if own else {"of": batch.written.key})
    return rows
