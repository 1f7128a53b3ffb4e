"""Measures of text: repetition, diversity, length, uncertainty. Pure functions.

Chinese is counted by characters, other scripts by words (F11); a punctuation mark is a token of its
own. Sources are named at each function and in docs/lab.md. Judges no facts: `distinct` text can be
wrong and repetitive text right.
"""

import math
import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from twokeys.core.guard.uncertainty import entropy
from twokeys.types import TokenProb

_TOKEN = re.compile(
    r"[\u3005\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u3040-\u30ff\U00020000-\U000323af]"
    r"|[^\W_\u3005\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u3040-\u30ff\U00020000-\U000323af]+"
    r"(?:['’][^\W_\u3005\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u3040-\u30ff\U00020000-\U000323af]+)*"
    r"|[^\s\w]|_"
)
_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af]")
NAN = float("nan")


def text_tokens(text: str) -> list[str]:
    """Return the tokens that n-grams are made of: CJK characters, lower-case words, numbers, marks."""
    return _TOKEN.findall(text.lower())


def ngrams(tokens: Sequence[str], n: int) -> list[tuple[str, ...]]:
    """Return all runs of n tokens, as many as they occur."""
    return list(zip(*(tokens[i:] for i in range(n)), strict=False))


def distinct(tokens: Sequence[str], n: int) -> float:
    """Return unique n-grams / all n-grams (Li et al. 2016, arXiv 1510.03055); nan without any."""
    grams = ngrams(tokens, n)
    return len(set(grams)) / len(grams) if grams else NAN


def repetition(tokens: Sequence[str], n: int) -> float:
    """Return 1 − unique n-grams / all n-grams: seq-rep-n (Welleck et al. 2019, arXiv 1908.04319)."""
    return 1.0 - distinct(tokens, n)


def repetition_along(tokens: Sequence[str], n: int, window: int) -> list[float]:
    """Return for each window of tokens the share of its n-grams that stood anywhere before.

    The first occurrence counts as new. A last window shorter than half is left out.
    """
    grams = ngrams(tokens, n)
    seen: set[tuple[str, ...]] = set()
    curve: list[float] = []
    for start in range(0, len(grams), window):
        part = grams[start : start + window]
        if curve and len(part) < window / 2:
            break
        old = 0
        for gram in part:
            old += gram in seen
            seen.add(gram)
        curve.append(old / len(part))
    return curve


def tail_repetition(tokens: Sequence[str], n: int = 4, share: float = 0.25) -> float:
    """Return how much of the last quarter's n-grams stood before it; nan under 64 tokens.

    What a reader calls going in circles: it rises late in an answer, which rep-n averages away.
    """
    grams = ngrams(tokens, n)
    cut = len(grams) - int(len(grams) * share)
    if len(grams) < 64:
        return NAN
    seen = set(grams[:cut])
    old = 0
    for gram in grams[cut:]:
        old += gram in seen
        seen.add(gram)
    return old / (len(grams) - cut)


def new_at_end(tokens: Sequence[str], n: int, window: int) -> float:
    """Return how many of the last `window` n-grams stand there for the first time, 0 … window.

    0: the answer only repeats itself in the end. nan where fewer than `window` n-grams come before them.
    """
    grams = ngrams(tokens, n)
    if len(grams) < 2 * window:
        return NAN
    seen = set(grams[:-window])
    new = 0
    for gram in grams[-window:]:
        new += gram not in seen
        seen.add(gram)
    return float(new)


def is_chinese(text: str) -> bool:
    """Return whether Chinese characters outweigh words (one character ≈ half a word)."""
    han = len(_HAN.findall(text))
    return han / 2 > len(re.findall(r"[A-Za-z]+", text))


def self_bleu(answers: Sequence[str]) -> float:
    """Return the mean BLEU of each answer against the others, 0…100; lower is more diverse.

    Texygen's self-BLEU (Zhu et al. 2018, arXiv 1802.01886) on sacrebleu's sentence BLEU-4 with
    exponential smoothing and effective order; Chinese is split by sacrebleu's "zh" tokenizer.
    nan with fewer than two answers.
    """
    answers = [answer for answer in answers if answer.strip()]
    if len(answers) < 2:
        return NAN
    bleu = _bleu("zh" if is_chinese("".join(answers)) else "13a")
    scores = [
        bleu.sentence_score(answer, [*answers[:i], *answers[i + 1 :]]).score
        for i, answer in enumerate(answers)
    ]
    return float(math.fsum(scores) / len(scores))


@cache
def _bleu(tokenizer: str) -> Any:
    from sacrebleu.metrics.bleu import BLEU

    return BLEU(tokenize=tokenizer, effective_order=True)


def similarity(answers: Sequence[str], n: int = 2) -> float:
    """Return the mean Jaccard similarity of the answers' n-gram sets over all pairs, 0…1.

    nan with fewer than two answers. Two answers without any n-gram are alike when their texts are.
    """
    if len(answers) < 2:
        return NAN
    sets = [set(ngrams(text_tokens(answer), n)) for answer in answers]
    scores = []
    for i, first in enumerate(sets):
        for j in range(i + 1, len(sets)):
            union = first | sets[j]
            same_text = answers[i].strip() == answers[j].strip()
            scores.append(len(first & sets[j]) / len(union) if union else float(same_text))
    return math.fsum(scores) / len(scores)


def mean_entropy(probs: Sequence[TokenProb]) -> float:
    """Return the mean entropy of the token distributions in nats: a lower bound from the candidates."""
    return math.fsum(entropy(prob) for prob in probs) / len(probs) if probs else NAN


def mean_nll(probs: Sequence[TokenProb]) -> float:
    """Return the mean −ln p of the tokens written, in nats: ln of the answer's own perplexity."""
    losses = [-prob.logprob for prob in probs if math.isfinite(prob.logprob)]
    return math.fsum(losses) / len(losses) if losses else NAN


def windowed(values: Sequence[float], window: int) -> list[float]:
    """Return the means of consecutive windows; a last one shorter than half is left out."""
    curve: list[float] = []
    for start in range(0, len(values), window):
        part = values[start : start + window]
        if curve and len(part) < window / 2:
            break
        curve.append(math.fsum(part) / len(part))
    return curve


def length_of(text: str, unit: str) -> int:
    """Return the length in "words" (of any script but CJK) or "chars" (not counting white space)."""
    if unit == "chars":
        return sum(1 for char in text if not char.isspace())
    return sum(1 for token in text_tokens(text) if token[0].isalnum())


def length_score(asked: float, got: float) -> float:
    """Return how well a length was kept, 0…100 (LongWriter, arXiv 2408.07055, S_l).

    100 · max(0, 1 − (got/asked − 1)/3) when longer, 100 · max(0, 1 − (asked/got − 1)/2) when shorter.
    Raises ValueError unless asked > 0.
    """
    if asked <= 0:
        raise ValueError("the length asked for is positive")
    if got <= 0:
        return 0.0
    if got > asked:
        return 100.0 * max(0.0, 1.0 - (got / asked - 1.0) / 3.0)
    return 100.0 * max(0.0, 1.0 - (asked / got - 1.0) / 2.0)
