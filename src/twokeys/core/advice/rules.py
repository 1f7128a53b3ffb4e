"""Naming the task of a message by rules: words and forms in Chinese and English.

Fast, explainable, and unsure when nothing speaks clearly: then it says None and nothing changes.
Each cue of cues.toml adds its weight to one task; the winner must reach SURE and lead by LEAD.
"""

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from twokeys.core.advice.tasks import BY_NAME, Task

SURE = 2.0
LEAD = 0.8
LOOKED_AT_CHARS = 4000
"""The request stands at the beginning or the end of a message; what is pasted between is not read."""


@dataclass(frozen=True, slots=True)
class Guess:
    """A task, how sure the naming is (0…1), and the words that spoke for it."""

    task: Task | None
    confidence: float
    because: tuple[str, ...] = ()


_CODE_BLOCK = re.compile(
    r"```|^\s{0,8}(def |class |function |import |#include|SELECT |public |const |let |fn )", re.MULTILINE
)
_ASKS_ABOUT_CODE = re.compile(r"(问题|错|改进|优化|review|bug|wrong|improve|issue|检查|看看)", re.IGNORECASE)


def guess_by_rules(text: str) -> Guess:
    """Return the task that the words of a message name, or a Guess without a task when unsure."""
    looked_at = _request_of(text)
    scores: dict[str, float] = {}
    because: dict[str, list[str]] = {}
    for name, weight, pattern in _cues():
        match = pattern.search(looked_at)
        if match:
            scores[name] = scores.get(name, 0.0) + weight
            because.setdefault(name, []).append(" ".join(match.group(0).split())[:40])
    if _CODE_BLOCK.search(text) and _ASKS_ABOUT_CODE.search(looked_at):
        scores["code_review"] = scores.get("code_review", 0.0) + 1.8
        because.setdefault("code_review", []).append("```")
    if not scores:
        return Guess(None, 0.0)
    ranked = sorted(scores.items(), key=lambda item: item[1], reverse=True)
    name, best = ranked[0]
    second = ranked[1][1] if len(ranked) > 1 else 0.0
    confidence = best / (best + second + 1.0)
    if best < SURE or (best - second < LEAD and not _more_special(name, [n for n, _ in ranked[1:]])):
        return Guess(None, confidence)
    return Guess(BY_NAME[name], confidence, tuple(because[name]))


_OF_MATERIAL: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "summary",
        re.compile(r"总结|概括|摘要|归纳|提炼|要点|大意|\bsummar|\boverview\b|\bkey points\b", re.IGNORECASE),
    ),
    (
        "fact_check",
        re.compile(
            r"是什么|是多少|是谁|哪[天年里儿个些条]|何时|什么时候|多少|几[天条个号点]"
            r"|\b(what|when|where|who|which|how (much|many|long))\b",
            re.IGNORECASE,
        ),
    ),
)
"""What a short request means where the material is attached."""


def guess_with_material(text: str) -> Guess:
    """Return the task of a message that has documents before it: what asks for a fact asks the document."""
    guess = guess_by_rules(text)
    if guess.task is not None and guess.task.name != "explain":
        return guess
    for name, pattern in _OF_MATERIAL:
        if match := pattern.search(_request_of(text)):
            return Guess(BY_NAME[name], max(guess.confidence, 0.5), (match[0],))
    return guess


@cache
def _cues() -> tuple[tuple[str, float, re.Pattern[str]], ...]:
    text = files(__package__).joinpath("cues.toml").read_text(encoding="utf-8")
    return tuple(
        (cue["task"], float(cue["weight"]), re.compile(cue["pattern"], re.IGNORECASE))
        for cue in tomllib.loads(text)["cue"]
    )


def _request_of(text: str) -> str:
    """Return the parts of a long message in which a request stands: its beginning and its end."""
    if len(text) <= LOOKED_AT_CHARS:
        return text
    half = LOOKED_AT_CHARS // 2
    return f"{text[:half]}\n{text[-half:]}"


_SPECIAL_OVER_GENERAL: dict[str, frozenset[str]] = {
    "code_review": frozenset({"code", "explain", "fact_check"}),
    "exam": frozenset({"fact_check", "explain"}),
    "long_text": frozenset({"document", "explain", "summary", "brainstorm"}),
    "naming": frozenset({"brainstorm", "document", "long_text", "story"}),
    "translate": frozenset({"document", "explain", "summary"}),
    "story": frozenset({"explain", "document"}),
    "code": frozenset({"explain", "document"}),
    "summary": frozenset({"explain", "document", "fact_check"}),
    "brainstorm": frozenset({"explain", "document", "fact_check"}),
    "document": frozenset({"explain"}),
    "dialogue": frozenset({"explain", "document", "fact_check"}),
    "fact_check": frozenset({"explain"}),
}


def _more_special(name: str, rivals: Sequence[str]) -> bool:
    """Whether the best task is a special case of its close rivals ("explain" fits almost anything)."""
    return bool(rivals) and rivals[0] in _SPECIAL_OVER_GENERAL.get(name, frozenset())
