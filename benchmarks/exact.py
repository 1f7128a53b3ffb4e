"""Counted chances of exact studies against sampled answers of the real engine.

    python benchmarks/exact.py --model FILE.gguf [--seeds 2000] [--questions 2]

For questions made by rule, under several settings: the chance of being right as an exact study counts it,
and how many of so many sampled answers begin with the right one. Prints a table and the largest difference.
"""

import argparse
import asyncio
import math
import tempfile
from pathlib import Path

from twokeys.core.study.exact_answer import ANSWER_PREFIX, AnswerReading
from twokeys.core.study.exact_run import score_batch, scorer_of
from twokeys.core.study.questions import made_prompts
from twokeys.core.study.study import Study
from twokeys.core.study.trial import plan_groups
from twokeys.engines.local import LocalEngine
from twokeys.types import ChatMessage, Delta, GenerationRequest, Sampling, WorkerSpec

SETTINGS = """
[[cell]]
name = "0.7"
temperature = 0.7
[[cell]]
name = "1.0"
temperature = 1.0
[[cell]]
name = "1.3, top_p 0.9"
temperature = 1.3
top_p = 0.9
[[cell]]
name = "1.5, top_k 20"
temperature = 1.5
top_k = 20
[[cell]]
name = "2.0, min_p 0.1"
temperature = 2.0
min_p = 0.1
[[cell]]
name = "1.0, top-nσ 1"
temperature = 1.0
top_n_sigma = 1.0
"""


async def compare(model: str, seeds: int, questions: int) -> None:
    """Print the table."""
    prompts = [*made_prompts("comparison", "en", questions, 3), *made_prompts("strings", "en", 1, 3)]
    study = Study.from_dict(
        {
            "name": "exact",
            "kind": "exact",
            "prompt": [prompt.to_dict() for prompt in prompts],
            "base": {"top_k": 0, "top_p": 1.0, "repetition_penalty": 1.0, "max_new_tokens": 4},
            "cell": _cells(),
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        spec = WorkerSpec(model, Path(model).stem, context=1024, parallel=1, threads=1)
        engine = LocalEngine(spec, Path(folder) / "run", Path(folder) / "logs")
        try:
            worst = 0.0
            scorer = scorer_of(study)
            for place, prompt in enumerate(prompts):
                batch = plan_groups(study)[place].batches[0]
                rows = await score_batch(study, batch, engine, scorer, None, lambda: asyncio.sleep(0))
                for cell, settings in enumerate(study.cells):
                    counted = rows[f"a/{cell}/{place}/0"]["v"]["chance"]
                    drawn = await share_right(engine, study, place, cell, seeds)
                    error = math.sqrt(max(counted * (1 - counted), 1e-9) / seeds)
                    worst = max(worst, abs(counted - drawn))
                    print(
                        f"{prompt.id:24} {settings.name:16} counted {counted:6.1%} drawn {drawn:6.1%} "
                        f"difference {counted - drawn:+.1%} standard error {error:.1%}",
                        flush=True,
                    )
        finally:
            await engine.close()
    print(f"largest difference {worst:.1%} with {seeds} seeds")


def _cells() -> list[dict[str, object]]:
    import tomllib

    cells: list[dict[str, object]] = tomllib.loads(SETTINGS)["cell"]
    return cells


async def share_right(engine: LocalEngine, study: Study, place: int, cell: int, seeds: int) -> float:
    """Return the share of sampled answers that begin with the right one."""
    prompt = study.prompts[place]
    assert prompt.checker is not None
    reading = AnswerReading.of(prompt.checker)
    sampling: Sampling = study.cells[cell].sampling_on(study.base)
    messages = (ChatMessage("user", prompt.text),)
    right = 0
    for seed in range(seeds):
        request = GenerationRequest(
            messages, sampling.with_(seed=seed), prefix=ANSWER_PREFIX[prompt.language]
        )
        text = "".join([event.text async for event in engine.generate(request) if isinstance(event, Delta)])
        right += reading.read(text.encode(), ended=True) == "right"
    return right / seeds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model", required=True, help="a GGUF file")
    parser.add_argument("--seeds", type=int, default=2000)
    parser.add_argument("--questions", type=int, default=1)
    asked = parser.parse_args()
    asyncio.run(compare(asked.model, asked.seeds, asked.questions))


if __name__ == "__main__":
    main()
