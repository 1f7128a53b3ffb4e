"""A build is used only after it has shown that it works: with a card, with a model, with the right tokens.

It lists its devices, loads the model with all layers on the card, and writes; its log has to say that the
layers are there. Then its choice of the next token is compared with the bundled engine's on the processor:
greedily, and after each difference it is put back on the processor's text, so that every token is judged
after the same beginning. A card that talks garbage is refused, and so is one that silently computes on the
processor. A build for the processor gains by reading prompts, so both read one as well. Changes nothing and
keeps nothing.
"""

import asyncio
import subprocess
import time
from dataclasses import dataclass, replace
from pathlib import Path

from twokeys.engines.devices import parse_device_list, read_offload, used_devices
from twokeys.engines.local import LocalEngine
from twokeys.engines.worker import binary_environment
from twokeys.errors import BuildRefused, EngineError, Reason
from twokeys.types import ChatMessage, Delta, Finished, GenerationRequest, Sampling, TokenProb, WorkerSpec

FIRST_TOKENS = 8
TOKENS = 64
ENOUGH = 0.99
TIE = 0.1
"""Two candidates whose log probabilities differ by less are a tie: rounding decides between them."""
CONTEXT = 512
START_TIMEOUT_S = 300.0
LIST_TIMEOUT_S = 60.0
SYSTEM = "Be brief."
"""In place of a template's own, which may be long to read on a slow machine."""
QUESTION = "Why is the sky blue?"
NUMBERS = " ".join(map(str, range(100)))
"""A prompt of about 300 tokens, to be read and not answered."""
GAIN, STEADY = 1.1, 0.9
"""A build for the processor has to read prompts so much faster, and write at least so fast."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What a build showed. device: "" for the processor. agreed: of `tokens` next tokens.

    tok_per_s and processor_tok_per_s: writing, of this build and of the bundled one, on the same tokens;
    prompt_tok_per_s and processor_prompt_tok_per_s: reading, 0 where the build is for a card.
    """

    model: str
    device: str
    layers: int
    of_layers: int
    tokens: int
    agreed: int
    tok_per_s: float
    processor_tok_per_s: float
    at: float
    prompt_tok_per_s: float = 0.0
    processor_prompt_tok_per_s: float = 0.0

    @property
    def faster(self) -> bool:
        """Whether it wrote faster than the bundled engine on the processor; on the processor itself, read."""
        if not self.prompt_tok_per_s:
            return self.tok_per_s > self.processor_tok_per_s
        reads_faster = self.prompt_tok_per_s > GAIN * self.processor_prompt_tok_per_s
        return reads_faster and self.tok_per_s > STEADY * self.processor_tok_per_s


@dataclass(frozen=True, slots=True)
class _EngineText:
    """What an engine wrote: token ids, the text up to each, candidates, tokens per second.

    prompt_tok_per_s: of reading another prompt, 0 where none was read.
    """

    ids: tuple[int, ...]
    ends: tuple[str, ...]
    probs: tuple[TokenProb, ...]
    tok_per_s: float
    prompt_tok_per_s: float = 0.0


def prove_build(
    program: str, name: str, model: Path, folder: Path, *, on_card: bool = True, tokens: int = TOKENS
) -> Proof:
    """Return the proof that a build works with a model. Blocks, up to some minutes on a slow machine.

    folder: for logs and marks of the two engines. on_card False: a build for the processor. Raises
    BuildRefused with the reason, ModelError for the model.
    """
    if on_card:
        check_devices(program, name)
    return asyncio.run(_prove(program, name, model, folder, on_card, tokens))


def check_devices(program: str, name: str) -> None:
    """Raise BuildRefused when a build does not start or lists no card."""
    environment = binary_environment({"server_binary": program, "key": "-", "gpu_layers": -1})
    try:
        done = subprocess.run(
            [program, "--list-devices"],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=LIST_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise _refused(name, "hangs") from error
    except OSError as error:
        raise _refused(name, "no_start", detail=error.strerror or str(error)) from error
    if done.returncode != 0:
        lines = [line for line in (done.stderr or done.stdout).strip().splitlines() if line.strip()]
        raise _refused(name, "no_start", detail=(lines or [f"exit code {done.returncode}"])[-1][:200])
    if not used_devices(parse_device_list(done.stdout)):
        raise _refused(name, "no_device")


async def _prove(program: str, name: str, model: Path, folder: Path, on_card: bool, tokens: int) -> Proof:
    bundled = WorkerSpec(str(model), model.stem, context=CONTEXT)
    expected = await _written(bundled, folder, tokens, reads=not on_card)
    layers = -1 if on_card else 0
    spec = WorkerSpec(str(model), model.stem, context=CONTEXT, gpu_layers=layers, server_binary=program)
    engine = LocalEngine(spec, folder / "run", folder / "logs")
    try:
        try:
            await asyncio.wait_for(engine.start(), START_TIMEOUT_S)
            offload = read_offload(engine.start_log())
            if on_card and not offload.layers:
                raise _refused(name, "on_processor")
            first = await _write(engine, FIRST_TOKENS)
            if len(first.ids) < FIRST_TOKENS:
                raise _refused(name, "silent")
            agreed, compared, speed = await _agreement(engine, expected)
            reading = 0.0 if on_card else await _reading_speed(engine)
        except TimeoutError as error:
            raise _refused(name, "hangs") from error
        except EngineError as error:
            if isinstance(error, BuildRefused):
                raise
            raise _refused(name, "failed", error=error.params.get("reason", str(error))) from error
    finally:
        await engine.close()
    if agreed < ENOUGH * compared:
        raise _refused(name, "garbage", agreed=agreed, tokens=compared)
    device = ", ".join(offload.devices) if on_card else ""
    where = (model.stem, device, offload.layers, offload.of_layers)
    speeds = (speed, expected.tok_per_s, time.time(), reading, expected.prompt_tok_per_s)
    return Proof(*where, compared, agreed, *speeds)


async def _written(spec: WorkerSpec, folder: Path, tokens: int, *, reads: bool) -> _EngineText:
    """Return what the bundled engine writes on the processor, and how fast it reads where that is asked."""
    engine = LocalEngine(spec, folder / "run", folder / "logs")
    try:
        written = await _write(engine, tokens)
        return replace(written, prompt_tok_per_s=await _reading_speed(engine)) if reads else written
    finally:
        await engine.close()


async def _reading_speed(engine: LocalEngine) -> float:
    """Return how many tokens of a prompt an engine reads in a second."""
    sampling = Sampling(temperature=0.0, max_new_tokens=1)
    speed = 0.0
    async for event in engine.generate(GenerationRequest((ChatMessage("user", NUMBERS),), sampling)):
        if isinstance(event, Finished):
            speed = event.timings.prompt_tok_per_s or 0.0
    return speed


async def _agreement(engine: LocalEngine, expected: _EngineText) -> tuple[int, int, float]:
    """Return how many next tokens agree, of how many compared, and the speed of the longest stretch."""
    agreed = compared = place = longest = 0
    speed = 0.0
    while place < len(expected.ids):
        got = await _write(engine, len(expected.ids) - place, expected, place)
        if len(got.ids) > longest:
            longest, speed = len(got.ids), got.tok_per_s
        differs = next(
            (i for i, token in enumerate(got.ids) if token != expected.ids[place + i]), len(got.ids)
        )
        agreed, compared, place = agreed + differs, compared + differs, place + differs
        if place < len(expected.ids):
            token = got.ids[differs] if differs < len(got.ids) else -1
            agreed += _tie(expected.probs[place], token)
            compared, place = compared + 1, place + 1
            # within a character no text begins: go on behind it
            while place < len(expected.ids) and expected.ends[place - 1] == expected.ends[place]:
                place += 1
        if compared - agreed > (1 - ENOUGH) * len(expected.ids):
            break
    return agreed, compared, speed


def _tie(prob: TokenProb, token: int) -> bool:
    """Whether the processor thought another token as likely as the one it took."""
    known = {candidate.token_id: candidate.logprob for candidate in prob.alternatives}
    return token in known and prob.logprob - known[token] < TIE


async def _write(
    engine: LocalEngine, tokens: int, begun: _EngineText | None = None, place: int = 0
) -> _EngineText:
    """Let an engine write greedily, after the first `place` tokens of a text that was begun."""
    request = GenerationRequest(
        (ChatMessage("system", SYSTEM), ChatMessage("user", QUESTION)),
        Sampling(temperature=0.0, max_new_tokens=tokens, repetition_penalty=1.0),
        prefix=begun.ends[place - 1] if begun and place else "",
        prefix_ids=begun.ids[:place] if begun and place else (),
        n_probs=5,
        ignore_eos=True,
    )
    ids: list[int] = []
    ends: list[str] = []
    probs: list[TokenProb] = []
    text, speed = request.prefix, 0.0
    async for event in engine.generate(request):
        if isinstance(event, Delta):
            text += event.text
            ids += event.token_ids
            ends += [text] * len(event.token_ids)
            probs += event.probs
        elif isinstance(event, Finished):
            speed = event.timings.tok_per_s or 0.0
    return _EngineText(tuple(ids), tuple(ends), tuple(probs), speed)


def _refused(name: str, key: str, /, **values: object) -> BuildRefused:
    return BuildRefused(name=name, reason=Reason(f"engines.refused.{key}", **values))
