"""Naming the task of a message by the model: one word, read from the model's own probabilities.

The model sees a fixed run of examples, which the engine keeps in its cache, and then the message. The
answer is one token of a constrained word. Pure: requests are made and replies are read here; who runs
them is elsewhere. Taking off what the words have for themselves (contextual calibration, arXiv
2102.09690) was tried: it helped the smallest model and halved the right answers of Qwen2.5.
"""

import math
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from twokeys.core.advice.rules import Guess
from twokeys.core.advice.tasks import BY_NAME
from twokeys.types import ChatMessage, GenerationRequest, Sampling, TokenProb

CANDIDATES = 100
READ_CHARS = 800
SURE_SHARE = 0.7
"""The least share of the words' probability for a task to be believed; see docs/advice.md."""
FLOOR = -14.0
"""Natural-log probability of a word that is not among the candidates."""
ASK = (
    "Name the kind of help each message asks for with one word: "
    "{labels}. A message may be in Chinese or English."
)


def classify_request(text: str) -> GenerationRequest:
    """Ask for the word of the message's task."""
    labels = label_words()
    choices = " | ".join(f'"{label}"' for label in labels.values())
    return GenerationRequest(
        messages=(*_examples(), ChatMessage("user", _shortened(text))),
        sampling=Sampling(temperature=0.0, max_new_tokens=1, repetition_penalty=1.0),
        n_probs=CANDIDATES,
        grammar=f"root ::= {choices}",
    )


@cache
def label_words() -> Mapping[str, str]:
    """Return the word of each task."""
    return {name: row["label"] for name, row in _shots().items()}


def read_words(prob: TokenProb) -> dict[str, float]:
    """Return each task's natural-log probability from the candidates of the one token.

    A candidate counts for the only word that begins with it; what begins several counts for none.
    """
    shares_by_word = dict.fromkeys(label_words(), 0.0)
    for candidate in prob.alternatives:
        piece = candidate.text.strip().lower()
        begun = [name for name, label in label_words().items() if piece and label.startswith(piece)]
        if len(begun) == 1:
            shares_by_word[begun[0]] += math.exp(candidate.logprob)
    return {name: max(FLOOR, math.log(p)) if p > 0 else FLOOR for name, p in shares_by_word.items()}


def shares(by_word: Mapping[str, float]) -> dict[str, float]:
    """Return each task's share of the words' probability."""
    top = max(by_word.values())
    weights = {name: math.exp(value - top) for name, value in by_word.items()}
    total = math.fsum(weights.values())
    return {name: weight / total for name, weight in weights.items()}


def guess_from(by_word: Mapping[str, float], *, sure: float = SURE_SHARE) -> Guess:
    """Return the likeliest task, or a Guess without one when its share is less than `sure`."""
    ranked = sorted(shares(by_word).items(), key=lambda item: item[1], reverse=True)
    name, share = ranked[0]
    return Guess(BY_NAME[name] if share >= sure else None, share)


@cache
def _shots() -> dict[str, dict[str, str]]:
    text = files(__package__).joinpath("shots.toml").read_text(encoding="utf-8")
    return dict(tomllib.loads(text))


@cache
def _examples() -> tuple[ChatMessage, ...]:
    labels = ", ".join(row["label"] for row in _shots().values())
    turns = [ChatMessage("system", ASK.format(labels=labels))]
    for language in ("en", "zh"):
        for row in _shots().values():
            turns += [ChatMessage("user", row[language]), ChatMessage("assistant", row["label"])]
    return tuple(turns)


def _shortened(text: str) -> str:
    text = text.strip()
    if len(text) <= READ_CHARS:
        return text
    half = READ_CHARS // 2
    return f"{text[:half]}\n…\n{text[-half:]}"
