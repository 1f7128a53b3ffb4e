"""Provenance: what is written down with every answer (decision D4), and how its parts add up.

An answer is written in one or more parts (a first generation, then continuations). Each part keeps
its own facts; the top level holds the sums and the last part's values. Keys at the top level and in
each entry of `parts`:

    sampling_set   the parameters asked for, by the names of Sampling
    sampling_used  the engine's own echo; empty when the server does not tell
    unsupported    parameters the server ignored
    order, seed    the sampler order and the seed that were in force; None: the server does not tell the
                   order, or does not obey the seed
    model, model_sha256, engine {kind, build, context, slots, …}, context
    prompt_tokens, completion_tokens, cached_tokens, prompt_exact, token_ids_complete
    finish_reason, timings {ttft_s, total_s, prompt_s, decode_s, tok_per_s, prompt_tok_per_s}
    system_prompt, excluded (message ids), history_from (message id or None)
    guard          list of {kind, level, at_token, at_char, data}
    started_at, finished_at, from_char, to_char, from_token
    removed_tail   text that the guard cut off, or a person

An answer that a person cut where it went downhill says `cut_from`: the id of the whole answer.

Knows neither the store nor the engine.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from twokeys.types import (
    EngineInfo,
    Finished,
    FinishReason,
    GenerationRequest,
    GuardEvent,
    Message,
    Timings,
    TokenProb,
    Usage,
)


@dataclass(frozen=True, slots=True)
class Part:
    """One generation about to run: the request and the facts known before it starts.

    prompt_tokens: as counted before sending, None when not known. facts: what goes into the
    provenance as given (system_prompt, excluded, history_from …).
    """

    request: GenerationRequest
    info: EngineInfo
    prompt_tokens: int | None = None
    prompt_exact: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)


def part_record(
    part: Part,
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
) -> dict[str, Any]:
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
    return {
        "sampling_set": sampling.to_dict(),
        "sampling_used": used,
        "unsupported": list(finished.unsupported) if finished else [],
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
        "timings": asdict(timings),
        "guard": [event.to_dict() for event in guard],
        "started_at": started_at,
        "finished_at": finished_at,
        "from_char": chars[0],
        "to_char": chars[1],
        "from_token": from_token,
        **part.facts,
    }


def merge_parts(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the provenance of an answer from the records of its parts, in the order written."""
    if not parts:
        return {}
    merged = dict(parts[-1])
    merged["completion_tokens"] = sum(part["completion_tokens"] for part in parts)
    merged["prompt_tokens"] = parts[0].get("prompt_tokens")
    merged["guard"] = [event for part in parts for event in part.get("guard", ())]
    merged["started_at"] = parts[0].get("started_at")
    merged["seed"] = parts[0].get("seed")
    merged["timings"] = _merge_timings([part.get("timings", {}) for part in parts])
    merged["parts"] = [dict(part) for part in parts]
    return merged


def parts_of(provenance: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the records of the parts of a stored answer, oldest first."""
    return [dict(part) for part in provenance.get("parts", ())]


def part_stub(answer: Message, from_char: int, completion_tokens: int) -> dict[str, Any]:
    """Return what is known of a part whose end nobody could record: the app was killed."""
    known = answer.provenance
    kept = ("sampling_set", "model", "model_sha256", "system_prompt", "excluded", "history_from", "preset")
    return {
        **{name: known[name] for name in kept if name in known},
        "sampling_used": {},
        "unsupported": [],
        "prompt_tokens": None,
        "completion_tokens": completion_tokens,
        "finish_reason": answer.finish_reason or "interrupted",
        "timings": {},
        "guard": [],
        "from_char": from_char,
        "to_char": len(answer.content),
        "token_ids_complete": bool(answer.token_ids),
    }


def cut_loop(answer: Message) -> Message:
    """Return the answer without a loop that was warned of but not stopped, the tail in its provenance.

    An answer without such a warning, or one that the guard has cut itself, is returned as it is.
    """
    parts = parts_of(answer.provenance)
    if not parts or answer.finish_reason == "guard":
        return answer
    cuts = [
        event["data"]
        for event in parts[-1].get("guard", ())
        if event["kind"] == "loop" and event["level"] != "note" and "cut_at_char" in event["data"]
    ]
    if not cuts or not parts[-1]["from_char"] < cuts[-1]["cut_at_char"] < len(answer.content):
        return answer
    return _cut(answer, cuts[-1])


def turning_point(answer: Message) -> Mapping[str, Any] | None:
    """Return where a worn-out answer can be cut: cut_at_char, cut_suffix; None without such a place."""
    for event in reversed(answer.provenance.get("guard") or ()):
        if event["kind"] == "decay" and event["level"] != "note":
            at = event["data"].get("cut_at_char")
            return event["data"] if isinstance(at, int) and 0 < at < len(answer.content) else None
    return None


def cut_back(answer: Message) -> Message:
    """Return the answer up to where it went downhill; what was noticed after that goes with the tail.

    An answer without a turning point is returned as it is.
    """
    cut = turning_point(answer)
    if cut is None or not parts_of(answer.provenance):
        return answer
    kept = _cut(answer, cut)
    at = cut["cut_at_char"]
    known = kept.provenance
    report = dict(known.get("guard_report") or {})
    series = (report.get("decay") or {}).get("series") or []
    report["decay"] = {"series": [row for row in series if row[0] <= at], "downhill_at": None}
    noticed = [event for event in known.get("guard") or () if event["at_char"] <= at]
    return replace(kept, provenance={**known, "guard": noticed, "guard_report": report})


def was_cut_back(answer: Message) -> bool:
    """Whether the answer ends where a person cut it: nothing was written to it since."""
    parts = parts_of(answer.provenance)
    return "cut_from" in answer.provenance and bool(parts) and "removed_tail" in parts[-1]


def _cut(answer: Message, cut: Mapping[str, Any]) -> Message:
    at = cut["cut_at_char"]
    kept = answer.content[:at] + str(cut.get("cut_suffix", ""))
    parts = parts_of(answer.provenance)
    parts[-1] |= {
        "removed_tail": answer.content[at:],
        "token_ids_complete": False,
        "from_char": min(parts[-1].get("from_char", 0), len(kept)),
        "to_char": len(kept),
    }
    return replace(answer, content=kept, token_ids=(), provenance={**answer.provenance, "parts": parts})


def probs_in(probs: Sequence[TokenProb], text: str) -> list[TokenProb]:
    """Return the probabilities whose tokens stand in the text: those of a tail cut off do not."""
    return [
        prob
        for prob in probs
        if prob.start + len(prob.text) <= len(text) and text.startswith(prob.text, prob.start)
    ]


def _merge_timings(timings: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The first part's wait, the sums of the times, and the speed over all decoding."""
    merged = dict(timings[-1])
    merged["ttft_s"] = next((one["ttft_s"] for one in timings if one.get("ttft_s") is not None), None)
    for name in ("total_s", "prompt_s", "decode_s"):
        known = [one[name] for one in timings if one.get(name) is not None]
        merged[name] = sum(known) if known else None
    speeds = [
        (one["tok_per_s"], one["decode_s"]) for one in timings if one.get("tok_per_s") and one.get("decode_s")
    ]
    if len(speeds) == len(timings) and speeds:
        merged["tok_per_s"] = sum(s * d for s, d in speeds) / sum(d for _, d in speeds)
    return merged
