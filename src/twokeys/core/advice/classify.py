"""Naming the task of a message by the model: one letter, read from the model's own probabilities.

The question stands behind the message, so the engine has read the message already when the real answer
is asked for. A small model prefers some letters whatever is asked; that preference, measured once on a
message without content, is taken off (contextual calibration, arXiv 2102.09690). Pure: requests are
made and replies are read here; who runs them is elsewhere.
"""

import math
from collections.abc import Mapping, Sequence

from twokeys.core.advice.rewrite import language_of
from twokeys.core.advice.rules import Guess
from twokeys.core.advice.tasks import BY_NAME, TASKS
from twokeys.i18n import translate
from twokeys.types import ChatMessage, GenerationRequest, Sampling, TokenProb

LETTERS: Mapping[str, str] = {task.name: chr(ord("A") + number) for number, task in enumerate(TASKS)}
CANDIDATES = 100
READ_CHARS = 1200
SURE_SHARE = 0.4
"""The least share of the letters' probability for a task to be believed; see docs/advice.md."""
EMPTY = {"zh": "……", "en": "..."}
FLOOR = -14.0
"""Natural-log probability of a letter that is not among the candidates."""


def classify_request(text: str, history: Sequence[ChatMessage] = ()) -> GenerationRequest:
    """Ask for the letter of the task. history: what the conversation's prompt begins with."""
    language = language_of(text)
    options = ", ".join(
        f"{letter} {translate(f'advice.classify.option.{name}', language)}"
        for name, letter in LETTERS.items()
    )
    ask = translate("advice.classify.ask", language, options=options)
    message = ChatMessage("user", f"{_shortened(text)}\n\n---\n{ask}")
    last = list(LETTERS.values())[-1]
    return GenerationRequest(
        messages=(*history, message),
        sampling=Sampling(temperature=0.0, max_new_tokens=1, repetition_penalty=1.0),
        n_probs=CANDIDATES,
        grammar=f"root ::= [A-{last}]",
    )


def prior_request(language: str) -> GenerationRequest:
    """Ask about a message without content: what the letters have for themselves."""
    return classify_request(EMPTY[language])


def read_letters(prob: TokenProb) -> dict[str, float]:
    """Return each task's natural-log probability from the candidates of the one token."""
    found: dict[str, float] = {}
    for candidate in prob.alternatives:
        found[candidate.text.strip()] = math.log(
            math.exp(found.get(candidate.text.strip(), -math.inf)) + math.exp(candidate.logprob)
        )
    return {name: max(FLOOR, found.get(letter, FLOOR)) for name, letter in LETTERS.items()}


def shares(found: Mapping[str, float], prior: Mapping[str, float] | None = None) -> dict[str, float]:
    """Return each task's share of the probability, with the letters' own preference taken off."""
    scores = {name: value - (prior or {}).get(name, 0.0) for name, value in found.items()}
    top = max(scores.values())
    weights = {name: math.exp(score - top) for name, score in scores.items()}
    total = math.fsum(weights.values())
    return {name: weight / total for name, weight in weights.items()}


def guess_from(
    found: Mapping[str, float], prior: Mapping[str, float] | None = None, *, sure: float = SURE_SHARE
) -> Guess:
    """Return the likeliest task, or a Guess without one when its share is less than `sure`."""
    ranked = sorted(shares(found, prior).items(), key=lambda item: item[1], reverse=True)
    name, share = ranked[0]
    return Guess(BY_NAME[name] if share >= sure else None, share)


def _shortened(text: str) -> str:
    text = text.strip()
    if len(text) <= READ_CHARS:
        return text
    half = READ_CHARS // 2
    return f"{text[:half]}\n…\n{text[-half:]}"
