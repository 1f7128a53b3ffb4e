"""Write src/twokeys/handbook/sample.toml: the candidates of one place, from a real model.

python scripts/write_handbook_sample.py MODEL.gguf NAME
"""

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Any

import tomli_w

from twokeys.engines.local import LocalEngine
from twokeys.types import ChatMessage, Delta, GenerationRequest, Sampling, WorkerSpec

TARGET = Path(__file__).resolve().parent.parent / "src" / "twokeys" / "handbook" / "sample.toml"
PLACES = {"zh": ("天空为什么是蓝色的？", "因为"), "en": ("Why is the sky blue?", "Because")}
CANDIDATES = 20


async def ask(engine: LocalEngine, question: str, begun: str) -> list[list[Any]]:
    """Return the likeliest candidates after the beginning of an answer, as [text, log probability]."""
    request = GenerationRequest(
        (ChatMessage("user", question),),
        Sampling(temperature=0.0, max_new_tokens=1, repetition_penalty=1.0),
        prefix=begun,
        n_probs=CANDIDATES,
    )
    async for event in engine.generate(request):
        if isinstance(event, Delta) and event.probs:
            return [
                [alternative.text, round(alternative.logprob, 4)]
                for alternative in event.probs[0].alternatives
            ]
    raise SystemExit("the model told no probabilities")


async def main(path: str, name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        spec = WorkerSpec(path, name, context=1024, threads=1)
        engine = LocalEngine(spec, Path(folder), Path(folder))
        try:
            places = {}
            for language, (question, begun) in PLACES.items():
                answer = await ask(engine, question, begun)
                places[language] = {"question": question, "begun": begun, "candidates": answer}
        finally:
            await engine.close()
    TARGET.write_text(tomli_w.dumps({"model": name, **places}), encoding="utf-8")


asyncio.run(main(sys.argv[1], sys.argv[2]))
