"""How an answer's parts are recorded and add up, and what is cut off an answer afterwards.

The records themselves are in `twokeys/provenance.py`. Knows neither the store nor the engine.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from twokeys.types import (
    EngineInfo,
    Finished,
    FinishReason,
    GenerationRequest,
    GuardEvent,
    Message,
    PartRecord,
    Provenance,
    Timings,
    TokenProb,
    Usage,
)


@dataclass(frozen=True, slots=True)
class PlannedPart:
    """One generation about to run: the request and the facts known before it starts.

    prompt_tokens: as counted before sending, None when not known. facts: fields of PartRecord that
    are known before (system_prompt, excluded, history_from …). keep_probs: False stores no probabilities,
    whatever the job does.
    """

    request: GenerationRequest
    info: EngineInfo
    prompt_tokens: int | None = None
    prompt_exact: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)
    keep_probs: bool = True


def part_record(
    part: PlannedPart,
    reason: FinishReason,
    finished: Finished | None,
    *,
    usage: Usage,
    timings: Timings,
    guard: Sequence[GuardEvent],
    started_at: float,
    finished_at: float,
    chars: tuple[int, int],
    from_token: int,
    token_ids_complete: bool,
) -> PartRecord:
    """Return the facts of one part. `finished` is None when the engine did not get to its end."""
    sampling = part.request.sampling
    used = dict(finished.sampling_used) if finished else {}
    engine = {
        "kind": part.info.kind,
        "build": part.info.build,
        "context": part.info.context,
        "slots": part.info.slots,
        "local": part.info.local,
    }
    if finished:
        engine.update(finished.engine)
    record = PartRecord.from_dict(
        {
            "sampling_set": sampling.to_dict(),
            "sampling_used": used,
            "unsupported": finished.unsupported if finished else (),
            "order": used.get("order", engine.get("order", sampling.order)),
            "seed": used.get("seed", engine.get("seed_sent", sampling.seed)),
            "model": part.info.model,
            "model_sha256": part.info.model_sha256,
            "engine": engine,
            "context": part.info.context,
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "cached_tokens": usage.cached_tokens,
            "prompt_exact": part.prompt_exact or finished is not None,
            "token_ids_complete": token_ids_complete,
            "finish_reason": reason,
            "started_at": started_at,
            "finished_at": finished_at,
            "from_char": chars[0],
            "to_char": chars[1],
            "from_token": from_token,
            **part.facts,
        }
    )
    return replace(record, timings=timings, guard=tuple(guard))


_OF_ONE_PART = frozenset({"column", "forked_from", "replay_of", "changed", "recovery", "writing", "more"})
"""What a later part takes over from the answer so far, unless it has its own."""


def merge_parts(before: Provenance, parts: Sequence[PartRecord]) -> Provenance:
    """Return the provenance of an answer from the records of its parts, in the order written.

    before: what was written down of the answer so far.
    """
    if not parts:
        return before
    first, last = parts[0], parts[-1]
    taken = {
        f.name: value
        for f in fields(PartRecord)
        if (value := getattr(last, f.name)) or f.name not in _OF_ONE_PART
    }
    taken |= {
        "completion_tokens": sum(part.completion_tokens or 0 for part in parts),
        "prompt_tokens": first.prompt_tokens,
        "guard": tuple(event for part in parts for event in part.guard),
        "started_at": first.started_at,
        "seed": first.seed,
        "timings": _merge_timings([part.timings for part in parts]),
        "parts": tuple(parts),
    }
    return replace(before, **taken)


def part_stub(answer: Message, from_char: int, completion_tokens: int) -> PartRecord:
    """Return what is known of a part whose end nobody could record: the app was killed."""
    known = answer.provenance
    return PartRecord(
        sampling_set=known.sampling_set,
        model=known.model,
        model_sha256=known.model_sha256,
        system_prompt=known.system_prompt,
        excluded=known.excluded,
        history_from=known.history_from,
        summary=known.summary,
        preset=known.preset,
        completion_tokens=completion_tokens,
        finish_reason=answer.finish_reason or "interrupted",
        from_char=from_char,
        to_char=len(answer.content),
        token_ids_complete=bool(answer.token_ids),
    )


def cut_loop(answer: Message) -> Message:
    """Return the answer without a loop that was warned of but not stopped, the tail in its provenance.

    An answer without such a warning, or one that the guard has cut itself, is returned as it is.
    """
    parts = answer.provenance.parts
    if not parts or answer.finish_reason == "guard":
        return answer
    cuts = [
        event.data
        for event in parts[-1].guard
        if event.kind == "loop" and event.level != "note" and "cut_at_char" in event.data
    ]
    if not cuts or not parts[-1].from_char < cuts[-1]["cut_at_char"] < len(answer.content):
        return answer
    return _cut(answer, cuts[-1])


def turning_point(answer: Message) -> Mapping[str, Any] | None:
    """Return where a worn-out answer can be cut: cut_at_char, cut_suffix; None without such a place."""
    for event in reversed(answer.provenance.guard):
        if event.kind == "decay" and event.level != "note":
            at = event.data.get("cut_at_char")
            return event.data if isinstance(at, int) and 0 < at < len(answer.content) else None
    return None


def cut_back(answer: Message) -> Message:
    """Return the answer up to where it went downhill; what was noticed after that goes with the tail.

    An answer without a turning point is returned as it is.
    """
    cut = turning_point(answer)
    if cut is None or not answer.provenance.parts:
        return answer
    shortened = _cut(answer, cut)
    at = cut["cut_at_char"]
    known = shortened.provenance
    series = (known.decay or {}).get("series") or []
    decay = {"series": [row for row in series if row[0] <= at], "downhill_at": None}
    noticed = tuple(event for event in known.guard if event.at_char <= at)
    report = {**(known.guard_report or {}), "decay": decay}
    return replace(shortened, provenance=replace(known, guard=noticed, guard_report=report))


def was_cut_back(answer: Message) -> bool:
    """Whether the answer ends where a person cut it: nothing was written to it since."""
    known = answer.provenance
    return known.cut_from is not None and bool(known.parts) and known.parts[-1].removed_tail is not None


def _cut(answer: Message, cut: Mapping[str, Any]) -> Message:
    at = cut["cut_at_char"]
    content = answer.content[:at] + str(cut.get("cut_suffix", ""))
    *earlier, last = answer.provenance.parts
    last = replace(
        last,
        removed_tail=answer.content[at:],
        token_ids_complete=False,
        from_char=min(last.from_char, len(content)),
        to_char=len(content),
    )
    known = replace(answer.provenance, parts=(*earlier, last))
    return replace(answer, content=content, token_ids=(), provenance=known)


def probs_in(probs: Sequence[TokenProb], text: str) -> list[TokenProb]:
    """Return the probabilities whose tokens stand in the text: those of a tail cut off do not."""
    return [
        prob
        for prob in probs
        if prob.start + len(prob.text) <= len(text) and text.startswith(prob.text, prob.start)
    ]


def _merge_timings(timings: Sequence[Timings]) -> Timings:
    """The first part's wait, the sums of the times, and the speed over all decoding."""

    def total(name: str) -> float | None:
        known = [value for part in timings if (value := getattr(part, name)) is not None]
        return sum(known) if known else None

    merged = replace(
        timings[-1],
        ttft_s=next((part.ttft_s for part in timings if part.ttft_s is not None), None),
        total_s=total("total_s"),
        prompt_s=total("prompt_s"),
        decode_s=total("decode_s"),
    )
    speeds = [(part.tok_per_s, part.decode_s) for part in timings if part.tok_per_s and part.decode_s]
    if len(speeds) == len(timings):
        tokens = sum((speed or 0.0) * (seconds or 0.0) for speed, seconds in speeds)
        merged = replace(merged, tok_per_s=tokens / sum(seconds or 0.0 for _, seconds in speeds))
    return merged
