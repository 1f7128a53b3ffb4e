"""The llama.cpp dialect: native `/completion` with token ids, and everything it tells us.

The chat template is rendered once per sequence of roles with stand-ins for the contents; template
pieces are tokenized with control tokens, contents without. So text such as `<|im_end|>` typed by a
person stays text, the prompt's length is exact before anything is sent, and an answer is continued
from its very tokens. Used for our own worker and for any llama-server reached by URL.
"""

import asyncio
import hashlib
import json
import logging
import math
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from twokeys.engines.openai_api import ModelServer
from twokeys.engines.special_tokens import escape_special_tokens
from twokeys.engines.turns import Turns
from twokeys.errors import ContextExceeded, EngineRefused, NotSupported, Reason, SharedContextFull
from twokeys.grammar.json_schema import schema_grammar
from twokeys.types import (
    PARAMETERS,
    Candidate,
    ChatMessage,
    Delta,
    EngineEvent,
    EngineInfo,
    Finished,
    FinishReason,
    GenerationRequest,
    NextTokens,
    Phase,
    PromptProgress,
    Sampling,
    Timings,
    TokenProb,
    Usage,
)

log = logging.getLogger(__name__)

SAMPLERS: Mapping[str, tuple[str, ...]] = {
    "llama.cpp": (
        "penalties",
        "dry",
        "top_n_sigma",
        "top_k",
        "typ_p",
        "top_p",
        "min_p",
        "xtc",
        "temperature",
    ),
    # transformers, generation/utils.py: temperature, then top_k, top_p, min_p, typical_p
    "transformers": (
        "penalties",
        "dry",
        "top_n_sigma",
        "temperature",
        "top_k",
        "top_p",
        "min_p",
        "typ_p",
        "xtc",
    ),
}
PENALTY_WINDOW: Mapping[str, int | None] = {"llama.cpp": 64, "transformers": None}
"""Tokens the repetition penalties look back on, None for all: each project's own habit."""

NATIVE_NAMES: Mapping[str, str] = {
    name: parameter.native for name, parameter in PARAMETERS.items() if parameter.native is not None
}
"""Our names and those of `/completion`."""

INFILL_WORDS = (
    ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),  # Qwen2.5 and Qwen2.5-Coder
    ("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),  # StarCoder
    ("<fim-prefix>", "<fim-suffix>", "<fim-middle>"),  # SantaCoder
    ("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"),  # DeepSeek-Coder
)
"""The control tokens in front of the text before a gap, of the text after it, and of what fills it."""

TOOL_CALL = "<tool_call>"
"""How Qwen2.5's template begins a call: the one way of calling tools that is known here."""

MAX_SEED = 2**32 - 2
MIN_PROBABILITY = 1e-30
ALWAYS = 1e4
"""A bias with which a token is drawn whatever the model says."""
WORD_TRIGGER = 1
"""llama.cpp's name for a grammar that begins with a word."""


def draw_seed() -> int:
    """Return a random seed in the range that llama.cpp takes literally."""
    return secrets.randbelow(MAX_SEED + 1)


def completion_body(
    prompt: Sequence[int], request: GenerationRequest, seed: int, context: int
) -> dict[str, object]:
    """Return the body of a native `/completion` request. context: tokens of the slot."""
    sampling = request.sampling
    window = PENALTY_WINDOW[sampling.order]
    body: dict[str, Any] = {native: getattr(sampling, ours) for ours, native in NATIVE_NAMES.items()}
    body |= {
        "prompt": list(prompt),
        "seed": seed,
        "stop": list(sampling.stop),
        "samplers": list(SAMPLERS[sampling.order]),
        "repeat_last_n": context if window is None else window,
        "stream": True,
        "return_progress": True,
        "return_tokens": True,
        "cache_prompt": True,
        "n_probs": request.n_probs,
        "post_sampling_probs": request.post_sampling_probs,
    }
    if request.ignore_eos:
        body["ignore_eos"] = True
    if request.slot is not None:
        body["id_slot"] = request.slot
    if request.grammar is not None:
        body["grammar"] = request.grammar
    if request.grammar_from:
        trigger = {"type": WORD_TRIGGER, "value": request.grammar_from}
        words = [request.grammar_from]
        body |= {"grammar_lazy": True, "grammar_triggers": [trigger], "preserved_tokens": words}
    return body


def schema_gbnf(schema: Mapping[str, object], text: str) -> str:
    """Return the grammar of what may follow `text` in an answer by a schema.

    The server's own grammar would begin anew behind a begun answer, and depends on how it was built. Raises
    EngineRefused where no answer by the schema begins so.
    """
    rest = schema_grammar(dict(schema)).grammar.after(text)
    if rest is None:
        raise EngineRefused(status=400, reason=Reason("errors.reason.not_by_schema"))
    return rest.gbnf()


def used_sampling(settings: Mapping[str, Any], sampling: Sampling) -> dict[str, object]:
    """Return the engine's echo by our names; single-precision noise is rounded away."""
    used: dict[str, Any] = {}
    for ours, native in NATIVE_NAMES.items():
        if native in settings:
            value = settings[native]
            used[ours] = float(f"{value:.6g}") if isinstance(getattr(sampling, ours), float) else value
    order = list(settings.get("samplers", ()))
    used["order"] = next((name for name, chain in SAMPLERS.items() if list(chain) == order), ",".join(order))
    return used


def ignored(used: Mapping[str, object], sampling: Sampling, seed: int) -> tuple[str, ...]:
    """Return the names of the parameters that the engine did not take as they were set."""
    wanted = sampling.with_(seed=seed).to_dict()
    return tuple(name for name, value in wanted.items() if not _same(value, used.get(name)))


def _same(wanted: object, used: object) -> bool:
    if isinstance(wanted, float) and isinstance(used, int | float):
        return math.isclose(wanted, used, rel_tol=1e-5, abs_tol=1e-6)
    return bool(wanted == used)


class TokenCache:
    """Token ids of texts already tokenized, the oldest forgotten first. Keeps hashes, not texts."""

    def __init__(self, limit: int = 4_000_000) -> None:
        self._limit = limit
        self._size = 0
        self._token_ids: OrderedDict[bytes, tuple[int, ...]] = OrderedDict()

    @staticmethod
    def key(text: str, kind: str) -> bytes:
        return hashlib.blake2b(text.encode("utf-8"), digest_size=16, person=kind.encode()).digest()

    def get(self, key: bytes) -> tuple[int, ...] | None:
        ids = self._token_ids.get(key)
        if ids is not None:
            self._token_ids.move_to_end(key)
        return ids

    def put(self, key: bytes, ids: tuple[int, ...]) -> None:
        self._size += len(ids) + 8 - len(self._token_ids.pop(key, ()))
        self._token_ids[key] = ids
        while self._size > self._limit and len(self._token_ids) > 1:
            self._size -= len(self._token_ids.popitem(last=False)[1]) + 8


class PromptBuilder:
    """Turns messages into the token ids that the model reads, on one llama.cpp server."""

    def __init__(self, server: ModelServer) -> None:
        self._server = server
        self._cache = TokenCache()
        self._templates: dict[tuple[tuple[str, ...], str], list[str | int]] = {}

    async def prompt(
        self,
        messages: Sequence[ChatMessage],
        prefix: str,
        prefix_ids: Sequence[int],
        tools: Sequence[Mapping[str, object]] = (),
    ) -> list[int]:
        """Return the ids of the whole prompt, the begun answer included.

        `prefix_ids` are used when they spell `prefix`; otherwise the text counts.
        """
        ids: list[int] = []
        for piece in await self._template(tuple(message.role for message in messages), tools):
            if isinstance(piece, int):
                ids += await self.text_ids(messages[piece].content)
            else:
                ids += await (self._control_ids(piece) if ids else self._first_ids(piece))
        ids += await self._prefix_ids(prefix, prefix_ids)
        return ids

    async def plain(self, text: str) -> list[int]:
        """Return the ids of text without a template, begun as the model expects a text to begin."""
        begun = await self._tokenize(text, "plain", {"parse_special": False, "add_special": True})
        return list(begun)

    async def infill(self, before: str, after: str) -> list[int] | None:
        """Return the ids that ask for what stands between; None where the model has no tokens for it."""
        for words in INFILL_WORDS:
            marks = [await self._control_ids(word) for word in words]
            if all(len(mark) == 1 for mark in marks):
                first = await self._first_ids(words[0])
                start, end = await self.text_ids(before), await self.text_ids(after)
                return [*first, *start, *marks[1], *end, *marks[2]]
        return None

    async def text_ids(self, text: str) -> tuple[int, ...]:
        """Return the ids of plain text; control tokens in it are read letter by letter."""
        return await self._tokenize(text, "text", {"parse_special": False, "add_special": False})

    async def _control_ids(self, piece: str) -> tuple[int, ...]:
        return await self._tokenize(piece, "control", {"parse_special": True, "add_special": False})

    async def _first_ids(self, piece: str) -> tuple[int, ...]:
        """Put the model's begin-of-text token in front where its tokenizer asks for one."""
        plain = await self._control_ids(piece)
        full = await self._tokenize(piece, "first", {"parse_special": True, "add_special": True})
        added = len(full) > len(plain) and full[1 : len(plain) + 1] == plain and full[:1] != plain[:1]
        return full[:1] + plain if added else plain

    async def _prefix_ids(self, prefix: str, prefix_ids: Sequence[int]) -> tuple[int, ...]:
        if prefix_ids and prefix:
            spelled = await self._server.post("/detokenize", {"tokens": list(prefix_ids)})
            if spelled.get("content") == prefix:
                return tuple(prefix_ids)
        return await self.text_ids(prefix) if prefix else tuple(prefix_ids)

    async def _tokenize(self, text: str, kind: str, flags: Mapping[str, bool]) -> tuple[int, ...]:
        if not text:
            return ()
        key = TokenCache.key(text, kind)
        ids = self._cache.get(key)
        if ids is None:
            answer = await self._server.post("/tokenize", {"content": text, **flags})
            ids = tuple(answer["tokens"])
            self._cache.put(key, ids)
        return ids

    async def _template(
        self, roles: tuple[str, ...], tools: Sequence[Mapping[str, object]]
    ) -> list[str | int]:
        """Return the rendered template as text pieces and indices of the messages between them."""
        offered = escape_special_tokens(json.dumps(list(tools), ensure_ascii=False)) if tools else ""
        pieces = self._templates.get((roles, offered))
        if pieces is None:
            nonce = secrets.token_hex(8)
            turns = [{"role": role, "content": f"{nonce}x{i}x"} for i, role in enumerate(roles)]
            body: dict[str, Any] = {"messages": turns}
            if offered:
                body |= {"tools": json.loads(offered), "tool_choice": "none"}  # rendered all the same
            answer = await self._server.post("/apply-template", body)
            parts = re.split(rf"{nonce}x(\d+)x", answer["prompt"])
            pieces = [int(part) if i % 2 else part for i, part in enumerate(parts) if part]
            if {piece for piece in pieces if isinstance(piece, int)} != set(range(len(roles))):
                reason = "the model's chat template leaves out messages of this order"
                raise EngineRefused(status=400, reason=reason)
            if len(self._templates) > 512:
                self._templates.clear()
            self._templates[roles, offered] = pieces
        return pieces


@dataclass(slots=True)
class _Answer:
    """The state of one stream: what has come so far."""

    request: GenerationRequest
    prompt_tokens: int
    seed: int
    started_at: float
    ttft_s: float | None = None
    tokens: int = 0
    chars: int = 0
    waiting_ids: list[int] = field(default_factory=list)
    written_ids: list[int] = field(default_factory=list)
    tokens_before: int = 0
    tried_again: bool = False
    text: str = ""

    def rest_of(self, body: Mapping[str, Any]) -> dict[str, object]:
        """Return the request for what is not written yet, from the very tokens that are."""
        self.tokens_before = len(self.written_ids)
        self.tokens, self.waiting_ids, self.tried_again = 0, [], True
        left = int(body["n_predict"]) - self.tokens_before
        rest = {**body, "prompt": [*body["prompt"], *self.written_ids], "n_predict": max(left, 1)}
        if self.request.json_schema is not None:
            rest["grammar"] = schema_gbnf(self.request.json_schema, self.request.prefix + self.text)
        return rest


class LlamaCppDialect:
    """Speaks with one llama.cpp server. See the module's docstring for the approach."""

    kind = "llama.cpp"
    counts_exactly = True

    def __init__(self, server: ModelServer) -> None:
        self._server = server
        self._prompts = PromptBuilder(server)
        self._info: EngineInfo | None = None
        self._has_tools = False
        self._pieces: list[bytes] = []
        self._turns = Turns()

    async def describe(self) -> EngineInfo:
        """Return what the server says of itself; asked once."""
        if self._info is None:
            props = await self._server.get("/props")
            template = str(props.get("chat_template", ""))
            self._info = EngineInfo(
                kind=self.kind,
                model=props.get("model_alias") or _file_name(props.get("model_path", "")),
                context=int(props["default_generation_settings"]["n_ctx"]),
                slots=int(props.get("total_slots", 1)),
                build=str(props.get("build_info", "")),
                model_path=props.get("model_path") or None,
                vocabulary=await self._vocabulary(),
                continues_schema=True,
                template_sha256=hashlib.sha256(template.encode()).hexdigest() if template else "",
            )
            self._has_tools = TOOL_CALL in template and "tools" in template
        return self._info

    async def _vocabulary(self) -> int:
        listed = await self._server.try_get("/v1/models")
        rows = listed.get("data") if isinstance(listed, dict) else None
        meta = rows[0].get("meta") if rows else None
        return int((meta or {}).get("n_vocab", 0))

    async def count(self, messages: Sequence[ChatMessage], prefix: str) -> int:
        return len(await self._prompts.prompt(messages, prefix, ()))

    async def tokenize(self, text: str) -> list[int]:
        return list(await self._prompts.text_ids(text))

    async def tool_prompt(
        self, messages: Sequence[ChatMessage], tools: Sequence[Mapping[str, object]]
    ) -> list[int]:
        """See PromptEngine.tool_prompt."""
        info = await self.describe()
        if not self._has_tools:
            raise NotSupported(field="tools", reason=Reason("errors.reason.no_tools", model=info.model))
        return await self._prompts.prompt(messages, "", (), tools)

    async def text_prompt(self, text: str, suffix: str | None) -> list[int]:
        """See PromptEngine.text_prompt."""
        info = await self.describe()
        if suffix is None:
            return await self._prompts.plain(text)
        ids = await self._prompts.infill(text, suffix)
        if ids is None:
            raise NotSupported(field="suffix", reason=Reason("errors.reason.no_infill", model=info.model))
        return ids

    async def detokenize(self, ids: Sequence[int]) -> str:
        """See PromptEngine.detokenize."""
        return str((await self._server.post("/detokenize", {"tokens": list(ids)}))["content"])

    async def next_tokens(
        self, messages: Sequence[ChatMessage], prefix: str, after: Sequence[int], slot: int | None
    ) -> NextTokens:
        """See ScoringEngine.next_tokens. What the prompt shares with the one before is not read again."""
        info = await self.describe()
        if not info.vocabulary:
            raise NotSupported(
                field="logprobs", reason=Reason("errors.reason.no_vocabulary", model=info.model)
            )
        prompt = [*await self._prompts.prompt(messages, prefix, ()), *after]
        if len(prompt) + 1 > info.context:
            raise ContextExceeded(prompt_tokens=len(prompt), max_new_tokens=1, context=info.context)
        body: dict[str, Any] = {
            "prompt": prompt,
            "n_predict": 1,
            "n_probs": info.vocabulary,
            "temperature": 0.0,
            "samplers": ["temperature"],
            "cache_prompt": True,
            "stream": False,
            # the token that is drawn counts for nothing; a piece of a character would come without the rest
            "logit_bias": [[token_id, ALWAYS] for token_id in (await self._prompts.text_ids("a"))[:1]],
        }
        if slot is not None:
            body["id_slot"] = slot
        async with self._turns.together():
            answer = await self._server.post("/completion", body)
        reported = answer.get("completion_probabilities") or [{}]
        rows = reported[0].get("top_logprobs") or ()
        if len(rows) < info.vocabulary:
            raise NotSupported(
                field="logprobs", reason=Reason("errors.reason.no_vocabulary", model=info.model)
            )
        if not self._pieces:
            spelled = {row["id"]: bytes(row["bytes"]) for row in rows}
            self._pieces = [spelled.get(token_id, b"") for token_id in range(info.vocabulary)]
        return NextTokens([row["id"] for row in rows], [row["logprob"] for row in rows], self._pieces)

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[EngineEvent, None]:
        """Stream one answer. `request` has been cleaned. Raises EngineError subclasses."""
        started_at = time.monotonic()
        info = await self.describe()
        prompt = list(request.prompt_ids) or await self._prompts.prompt(
            request.messages, request.prefix, request.prefix_ids
        )
        wanted = request.sampling.max_new_tokens
        if len(prompt) + wanted > info.context:
            raise ContextExceeded(prompt_tokens=len(prompt), max_new_tokens=wanted, context=info.context)
        if request.slot is not None and request.slot >= info.slots:
            raise EngineRefused(
                status=400, reason=Reason("errors.reason.no_slot", slot=request.slot, slots=info.slots)
            )
        seed = draw_seed() if request.sampling.seed is None else request.sampling.seed
        answer = _Answer(request, len(prompt), seed, started_at, chars=len(request.prefix))
        yield Phase("queued") if self._turns.busy >= info.slots else Phase("prompt", 0.0)
        body = completion_body(prompt, request, seed, info.context)
        if request.json_schema is not None:
            body["grammar"] = await asyncio.to_thread(schema_gbnf, request.json_schema, request.prefix)
        try:
            async with self._turns.together(), aclosing(self._stream(body, answer, info)) as events:
                async for event in events:
                    yield event
            return
        except ContextExceeded as overflow:
            log.info("the server's context was full, though the answer fits by itself: %s", overflow)
        # the slots of a server with one context for all: what others hold was missing here
        yield Phase("queued")
        try:
            async with (
                self._turns.alone(),
                aclosing(self._stream(answer.rest_of(body), answer, info)) as rest,
            ):
                async for event in rest:
                    yield event
        except ContextExceeded as overflow:
            raise SharedContextFull(context=info.context, slots=info.slots) from overflow

    async def _stream(
        self, body: Mapping[str, object], answer: _Answer, info: EngineInfo
    ) -> AsyncGenerator[EngineEvent, None]:
        async with aclosing(self._server.stream("/completion", body)) as events:
            async for event in events:
                for out in await self._read(event, answer, info):
                    yield out
                    if isinstance(out, Finished):
                        return
        raise self._server.ended_early()

    async def _read(self, event: Mapping[str, Any], answer: _Answer, info: EngineInfo) -> list[EngineEvent]:
        if "prompt_progress" in event and not event.get("stop"):
            return _progress(event["prompt_progress"])
        out: list[EngineEvent] = []
        if answer.ttft_s is None:
            answer.ttft_s = time.monotonic() - answer.started_at
            out.append(Phase("generating"))
        delta = await self._delta(event, answer)
        if delta is not None:
            out.append(delta)
        if event.get("stop"):
            out.append(_finished(event, answer, info))
        return out

    async def _delta(self, event: Mapping[str, Any], answer: _Answer) -> Delta | None:
        """Return the event's text with the ids of *all* tokens in it.

        The server names only the last token of a chunk. Where several tokens make one character,
        or text was held back before a possible stop string, the ids come from the tokenizer.
        """
        text = event.get("content", "")
        ids = [int(token) for token in event.get("tokens", ())]
        fresh = int(event.get("tokens_predicted", answer.tokens)) - answer.tokens
        answer.tokens += max(fresh, 0)
        if not text:
            answer.waiting_ids += ids if not event.get("stop") else []
            return None
        cut_by_stop = "timings" in event and bool(answer.request.sampling.stop)
        if len(ids) < fresh or cut_by_stop:
            ids = list(await self._prompts.text_ids(text))
        else:
            ids = answer.waiting_ids + ids
        answer.waiting_ids = []
        answer.written_ids += ids
        probs = _token_probs(event.get("completion_probabilities", ()), text, answer.chars)
        answer.chars += len(text)
        answer.text += text
        return Delta(text, tuple(ids), probs)


def _file_name(path: str) -> str:
    return re.split(r"[\\/]", path)[-1]


def _progress(progress: Mapping[str, Any]) -> list[EngineEvent]:
    total, cached, processed = int(progress["total"]), int(progress["cache"]), int(progress["processed"])
    share = min(1.0, max(processed, cached) / total) if total else None
    return [
        Phase("prompt", share),
        PromptProgress(total, cached, processed, float(progress["time_ms"]) / 1000),
    ]


def _finished(event: Mapping[str, Any], answer: _Answer, info: EngineInfo) -> Finished:
    timings = event.get("timings", {})
    settings = event.get("generation_settings", {})
    sampling = answer.request.sampling
    used = used_sampling(settings, sampling)
    tokens = answer.tokens_before + int(event.get("tokens_predicted", answer.tokens))
    return Finished(
        reason=_reason(event, tokens, sampling.max_new_tokens),
        usage=Usage(answer.prompt_tokens, tokens, int(timings.get("cache_n", 0))),
        timings=Timings(
            ttft_s=answer.ttft_s,
            total_s=time.monotonic() - answer.started_at,
            prompt_s=_seconds(timings.get("prompt_ms")),
            decode_s=_seconds(timings.get("predicted_ms")),
            tok_per_s=timings.get("predicted_per_second"),
            prompt_tok_per_s=timings.get("prompt_per_second"),
        ),
        sampling_used=used,
        unsupported=(*ignored(used, sampling, answer.seed), *_probs_lost(timings, answer)),
        engine={
            "kind": info.kind,
            "model": info.model,
            "build": info.build,
            "context": info.context,
            "slot": event.get("id_slot"),
            "samplers": list(settings.get("samplers", ())),
            "penalty_window": settings.get("repeat_last_n"),
            "stop_string": event.get("stopping_word") or None,
            **({"drafts_accepted": timings.get("draft_n_accepted", 0)} if "draft_n" in timings else {}),
            **({"alone_from_token": answer.tokens_before} if answer.tried_again else {}),
            **_drafts(timings),
        },
    )


def _drafts(timings: Mapping[str, Any]) -> dict[str, int]:
    """Return what a server that speculates tells of it: tokens drafted, and those that were accepted."""
    drafted, accepted = int(timings.get("draft_n", 0)), int(timings.get("draft_n_accepted", 0))
    return {"draft_tokens": drafted, "draft_accepted": accepted} if drafted else {}


def _probs_lost(timings: Mapping[str, object], answer: "_Answer") -> tuple[str, ...]:
    """Accepted drafts come without probabilities: an answer has all of them or none."""
    return ("n_probs",) if answer.request.n_probs and timings.get("draft_n_accepted") else ()


def _reason(event: Mapping[str, object], tokens: int, max_new_tokens: int) -> FinishReason:
    stop_type = event.get("stop_type")
    if stop_type == "eos":
        return "stop"
    if stop_type == "word":
        return "stop_string"
    return "length" if tokens >= max_new_tokens else "context"


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


def _token_probs(reported: Sequence[Mapping[str, object]], text: str, at_char: int) -> tuple[TokenProb, ...]:
    """Read `completion_probabilities`. `at_char` is where `text` begins in the answer."""
    probs: list[TokenProb] = []
    end = at_char + len(text)
    for entry in reversed(reported):
        spelled = str(entry.get("token", ""))
        start = end - len(spelled) if text.endswith(spelled) else at_char
        probs.append(_token_prob(entry, spelled, max(start, at_char)))
        end, text = max(start, at_char), text.removesuffix(spelled)
    return tuple(reversed(probs))


def _token_prob(entry: Mapping[str, Any], spelled: str, start: int) -> TokenProb:
    others = entry.get("top_logprobs") or entry.get("top_probs") or ()
    lead = _lead_bytes(entry, others)
    alternatives = [
        Candidate(spell_candidate(other, lead), int(other["id"]), floored_logprob(other)) for other in others
    ]
    return TokenProb(spelled, int(entry["id"]), floored_logprob(entry), start, tuple(alternatives))


def _lead_bytes(entry: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> bytes:
    """Return the bytes that earlier tokens gave to the character this token completed."""
    whole = bytes(entry.get("bytes", ()))
    for other in others:
        own = bytes(other.get("bytes") or ())
        if other.get("id") == entry.get("id") and own and own != whole and whole.endswith(own):
            return whole[: -len(own)]
    return b""


def spell_candidate(other: Mapping[str, Any], lead: bytes) -> str:
    """Return a candidate's text; pieces of a character are completed or shown as <0xA5>."""
    own = bytes(other.get("bytes") or ())
    for attempt in (own, lead + own):
        try:
            return attempt.decode("utf-8") if own else str(other.get("token", ""))
        except UnicodeDecodeError:
            continue
    return "".join(f"<0x{byte:02X}>" for byte in own)


def floored_logprob(entry: Mapping[str, Any]) -> float:
    """Return a token's natural-log probability; what cannot happen has the smallest one."""
    if "logprob" in entry:
        return max(float(entry["logprob"] or 0.0), math.log(MIN_PROBABILITY))
    return math.log(max(float(entry.get("prob", 0.0)), MIN_PROBABILITY))
