"""Short ways to a request that was understood and to an answer that has ended, for what they look like."""

from typing import Any

from twokeys.api.asked import AnswerRequest, TextPrompt, ToolUse
from twokeys.api.choice import ModelChoice
from twokeys.api.writing import Ended
from twokeys.core.job import Job, JobSpec
from twokeys.engine import Engine
from twokeys.types import ChatMessage, FinishReason, PartRecord, Sampling, TokenProb, Usage

CALLING = ToolUse(({"type": "function"},), "root ::= call")


async def _never(*_: object) -> Any:
    raise AssertionError("these jobs are never run")


async def _no_engine() -> Engine:
    raise AssertionError("these jobs are never run")


def asked(**more: Any) -> AnswerRequest:
    """A request for "Whence?" with what else it says."""
    values: dict[str, Any] = {
        "messages": (ChatMessage("user", "Whence?"),),
        "sampling": Sampling(max_new_tokens=40),
        "choice": ModelChoice("model", None),
        "length_set": True,
        "set_by_request": (),
        **more,
    }
    return AnswerRequest(**values)


def asked_texts(*texts: str, **more: Any) -> AnswerRequest:
    return asked(texts=tuple(TextPrompt(text) for text in texts), **more)


def ended(
    text: str,
    reason: FinishReason = "stop",
    *,
    index: int = 0,
    usage: Usage = Usage(9, 4, 2),  # noqa: B008 - a value
    probs: tuple[TokenProb, ...] = (),
    **facts: Any,
) -> Ended:
    """An answer of one part, as its job tells it. facts: of its record."""
    job = Job("j", JobSpec("api", _no_engine, _never), 0.0, text=text, probs=list(probs))
    job.finish_reason, job.token_count = reason, usage.completion_tokens
    job.prompt_tokens, job.cached_tokens = usage.prompt_tokens, usage.cached_tokens
    job.guard = list(facts.pop("noticed", ()))
    job.parts = [PartRecord(finish_reason=reason, **facts)]
    return Ended(index, job.outcome(0.0))
