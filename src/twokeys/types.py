"""The values that cross layers: sampling parameters, messages, engine events, settings.

Everything here is a frozen value without behaviour beyond validation. Nothing here knows about
HTTP, SQLite or Streamlit.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, Self, get_args

from twokeys.answer_schema import AnswerSchema as AnswerSchema
from twokeys.errors import BadParameter, Reason
from twokeys.provenance import GuardEvent as GuardEvent
from twokeys.provenance import PartRecord as PartRecord
from twokeys.provenance import Provenance as Provenance
from twokeys.provenance import Timings as Timings

Role = Literal["system", "user", "assistant"]
TurnRole = Literal["system", "user", "assistant", "tool"]
SamplerOrder = Literal["llama.cpp", "transformers"]
KvType = Literal["f16", "q8_0", "q4_0"]
LoadMode = Literal["copy", "mmap"]
PhaseName = Literal["queued", "starting", "loading", "prompt", "generating"]
FinishReason = Literal[
    "stop",  # the model ended its answer
    "stop_string",  # one of the user's stop strings was met
    "length",  # max_new_tokens was reached
    "context",  # prompt + answer filled the context
    "guard",  # the guard ended a loop
    "cancelled",  # a person pressed stop
    "interrupted",  # the app ended while the answer was being written
    "error",  # the engine failed
]
MessageState = Literal["queued", "streaming", "done", "interrupted", "failed"]
ConversationKind = Literal["chat", "comparison", "writing"]

SAMPLER_ORDERS: tuple[SamplerOrder, ...] = ("llama.cpp", "transformers")
CUT_REASONS: frozenset[str] = frozenset({"length", "context", "cancelled", "interrupted", "error", "guard"})
"""Finish reasons after which an answer is not complete and can be continued."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The allowed range of one sampling parameter, and how a slider shows it.

    `low`/`high` are what the product accepts; `ui_low`/`ui_high` what the everyday slider shows, as
    long as the value lies within.
    """

    low: float
    high: float
    step: float
    integer: bool = False
    ui_low: float | None = None
    ui_high: float | None = None

    def slider_high(self, value: float) -> float:
        """Return the end of a slider that shows `value`: the everyday one where that reaches it."""
        return self.ui_high if self.ui_high is not None and value <= self.ui_high else self.high


ParameterGroup = Literal["choice", "penalties", "dry", "xtc"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """Everything the program knows of one sampling parameter, apart from its default and its texts.

    bounds: its range, None for what is not a number. off: the value that switches it off, None where
    nothing does. needs: the parameter without which it has no effect. group: the heading under which
    the forms list it; None for what has a place of its own there. native: its name in a llama.cpp
    `/completion` request and in the echo. sampler: the step of llama.cpp's sampler chain that reads it.

    The texts are `sidebar.parameter.NAME.label` and, with a group, `sidebar.parameter.NAME.note`.
    """

    bounds: Bounds | None = None
    off: float | tuple[str, ...] | None = None
    needs: str | None = None
    group: ParameterGroup | None = None
    native: str | None = None
    sampler: str | None = None


PARAMETERS: Mapping[str, Parameter] = {
    "temperature": Parameter(
        Bounds(0.0, 2.0, 0.05, ui_low=0.1, ui_high=1.0), native="temperature", sampler="temperature"
    ),
    "max_new_tokens": Parameter(
        Bounds(1, 32768, 128, integer=True, ui_low=512, ui_high=4096), native="n_predict"
    ),
    "top_p": Parameter(Bounds(0.01, 1.0, 0.01), off=1.0, group="choice", native="top_p", sampler="top_p"),
    "top_k": Parameter(
        Bounds(0, 1000, 1, integer=True, ui_high=100), off=0, group="choice", native="top_k", sampler="top_k"
    ),
    "min_p": Parameter(Bounds(0.0, 1.0, 0.01), off=0.0, group="choice", native="min_p", sampler="min_p"),
    "typical_p": Parameter(
        Bounds(0.01, 1.0, 0.01), off=1.0, group="choice", native="typical_p", sampler="typ_p"
    ),
    "top_n_sigma": Parameter(
        Bounds(0.0, 10.0, 0.05, ui_high=3.0),
        off=0.0,
        group="choice",
        native="top_n_sigma",
        sampler="top_n_sigma",
    ),
    "repetition_penalty": Parameter(
        Bounds(0.5, 2.0, 0.01), off=1.0, group="penalties", native="repeat_penalty", sampler="penalties"
    ),
    "presence_penalty": Parameter(
        Bounds(-2.0, 2.0, 0.05), off=0.0, group="penalties", native="presence_penalty", sampler="penalties"
    ),
    "frequency_penalty": Parameter(
        Bounds(-2.0, 2.0, 0.05), off=0.0, group="penalties", native="frequency_penalty", sampler="penalties"
    ),
    "dry_multiplier": Parameter(
        Bounds(0.0, 5.0, 0.05), off=0.0, group="dry", native="dry_multiplier", sampler="dry"
    ),
    "dry_base": Parameter(
        Bounds(1.0, 4.0, 0.05), needs="dry_multiplier", group="dry", native="dry_base", sampler="dry"
    ),
    "dry_allowed_length": Parameter(
        Bounds(1, 20, 1, integer=True),
        needs="dry_multiplier",
        group="dry",
        native="dry_allowed_length",
        sampler="dry",
    ),
    "xtc_probability": Parameter(
        Bounds(0.0, 1.0, 0.05), off=0.0, group="xtc", native="xtc_probability", sampler="xtc"
    ),
    "xtc_threshold": Parameter(
        Bounds(0.0, 0.5, 0.01), needs="xtc_probability", group="xtc", native="xtc_threshold", sampler="xtc"
    ),
    "seed": Parameter(Bounds(0, 2**32 - 2, 1, integer=True), native="seed"),
    "stop": Parameter(off=(), native="stop"),
    "order": Parameter(),
}
"""Every field of Sampling by its name, in the order of the fields."""

BOUNDS: Mapping[str, Bounds] = {
    name: parameter.bounds for name, parameter in PARAMETERS.items() if parameter.bounds is not None
}
"""The ranges of the parameters that are numbers."""

PARAMETER_GROUPS: Mapping[ParameterGroup, tuple[str, ...]] = {
    group: tuple(name for name, parameter in PARAMETERS.items() if parameter.group == group)
    for group in get_args(ParameterGroup)
}
"""The parameters of each group of the forms."""

MAX_STOP_STRINGS = 16


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen, and how many at most.

    The defaults are those of Qwen2.5-7B-Instruct's generation_config.json (temperature 0.7,
    top_p 0.8, top_k 20, repetition_penalty 1.05), with 2048 new tokens.

    temperature: 0 (always the likeliest token) to 2.
    max_new_tokens: the most tokens the *answer* may have; the context is prompt + answer.
    top_k: 0 switches it off. min_p: 0 off. top_p, typical_p: 1 off. repetition_penalty: 1 off.
    top_n_sigma: keeps the tokens whose logit is at most so many standard deviations below the best
    one's (arXiv 2411.07641), whatever the temperature; 0 off.
    seed: None draws a new one for every answer.
    order: "llama.cpp" applies the temperature last, "transformers" before top_k/top_p/min_p.

    Raises BadParameter when a value is not a finite number of its kind or out of BOUNDS.
    """

    temperature: float = 0.7
    max_new_tokens: int = 2048
    top_p: float = 0.8
    top_k: int = 20
    min_p: float = 0.0
    typical_p: float = 1.0
    top_n_sigma: float = 0.0
    repetition_penalty: float = 1.05
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    dry_multiplier: float = 0.0
    dry_base: float = 1.75
    dry_allowed_length: int = 2
    xtc_probability: float = 0.0
    xtc_threshold: float = 0.1
    seed: int | None = None
    stop: tuple[str, ...] = ()
    order: SamplerOrder = "llama.cpp"

    def __post_init__(self) -> None:
        for name, bounds in BOUNDS.items():
            value = getattr(self, name)
            if name == "seed" and value is None:
                continue
            object.__setattr__(self, name, _checked_number(name, value, bounds))
        object.__setattr__(self, "stop", _checked_stop(self.stop))
        if self.order not in SAMPLER_ORDERS:
            raise BadParameter(field="order", value=self.order, allowed=" | ".join(SAMPLER_ORDERS))

    def with_(self, **changes: Any) -> Self:
        """Return a copy with some parameters changed, validated again."""
        return replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Return the parameters as JSON-ready values."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        values["stop"] = list(self.stop)
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Build from a mapping; unknown names raise BadParameter, missing ones take the default."""
        known = {f.name for f in fields(cls)}
        for name in values:
            if name not in known:
                raise BadParameter(field=name, value=values[name], allowed=", ".join(sorted(known)))
        return cls(**values)


def _checked_number(name: str, value: object, bounds: Bounds) -> float | int:
    allowed = f"{bounds.low:g} … {bounds.high:g}"
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise BadParameter(field=name, value=value, allowed=allowed)
    if bounds.integer and value != int(value):
        raise BadParameter(field=name, value=value, allowed=allowed)
    if not bounds.low <= value <= bounds.high:
        raise BadParameter(field=name, value=value, allowed=allowed)
    return int(value) if bounds.integer else float(value)


def _checked_stop(stop: object) -> tuple[str, ...]:
    if isinstance(stop, str) or not isinstance(stop, tuple | list):
        raise BadParameter(field="stop", value=stop, allowed=f"a list of 0 … {MAX_STOP_STRINGS} texts")
    if len(stop) > MAX_STOP_STRINGS or any(not isinstance(s, str) or not s for s in stop):
        raise BadParameter(field="stop", value=stop, allowed=f"0 … {MAX_STOP_STRINGS} non-empty texts")
    return tuple(stop)


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One turn as the model reads it. Control tokens in `content` are plain text, never control.

    role: that of a message, or `tool` for what a called function returned.
    """

    role: TurnRole
    content: str


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """Everything an engine needs to write one answer.

    prefix: text of an answer already begun; the engine goes on from its last character.
    prefix_ids: the token ids of `prefix` when known, so that going on is exact to the token.
    prompt_ids: the whole prompt as a PromptEngine told it; the messages count for nothing then.
    n_probs: how many candidates to report for each token, 0 for none.
    post_sampling_probs: report the probabilities after the sampler chain instead of before it.
    slot: which slot of a local engine to use; None lets the engine choose.
    json_schema / grammar: constrain the answer; a server that cannot is told by `Finished.unsupported`.
    A schema holds for the whole answer, `prefix` included.
    grammar_from: the grammar holds only from this word of the answer on, which is part of it.
    ignore_eos: forbid the end token, so that the answer reaches its length: for measuring (llama.cpp,
    vLLM and SGLang; others end as they like).
    """

    messages: tuple[ChatMessage, ...]
    sampling: Sampling
    prefix: str = ""
    prefix_ids: tuple[int, ...] = ()
    prompt_ids: tuple[int, ...] = ()
    n_probs: int = 0
    post_sampling_probs: bool = False
    slot: int | None = None
    json_schema: Mapping[str, Any] | None = None
    grammar: str | None = None
    grammar_from: str = ""
    ignore_eos: bool = False


@dataclass(frozen=True, slots=True)
class Candidate:
    """A token the model considered: its text, id and natural-log probability."""

    text: str
    token_id: int
    logprob: float


@dataclass(frozen=True, slots=True)
class TokenProb:
    """The probability of one written token and of the alternatives beside it.

    `start` is the character offset of the token's text in the answer. A token whose text is empty
    was completed by a later one (several tokens can make one character).
    """

    text: str
    token_id: int
    logprob: float
    start: int = 0
    alternatives: tuple[Candidate, ...] = ()


@dataclass(frozen=True, slots=True)
class NextTokens:
    """Every token of the vocabulary as the next one, before any sampling, the likeliest first.

    logprobs: natural logarithms. pieces: what each token spells, by its id; empty for control tokens.
    """

    token_ids: Sequence[int]
    logprobs: Sequence[float]
    pieces: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Phase:
    """What the engine is doing before text comes. progress is 0…1, or None when unknown."""

    name: PhaseName
    progress: float | None = None


@dataclass(frozen=True, slots=True)
class PromptProgress:
    """How much of the prompt has been read: tokens in all, from the cache, and processed so far."""

    total: int
    cached: int
    processed: int
    time_s: float


@dataclass(frozen=True, slots=True)
class Delta:
    """New text of the answer, with its token ids and probabilities where the engine tells them."""

    text: str
    token_ids: tuple[int, ...] = ()
    probs: tuple[TokenProb, ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts of one generation. cached_tokens are part of prompt_tokens."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Finished:
    """The end of a generation, always the last event of a stream that did not fail.

    sampling_used: the engine's own echo of its parameters, by the names of Sampling; empty when
    the server does not tell. unsupported: parameters that the server ignored.
    """

    reason: FinishReason
    usage: Usage
    timings: Timings
    sampling_used: Mapping[str, Any] = field(default_factory=dict)
    unsupported: tuple[str, ...] = ()
    engine: Mapping[str, Any] = field(default_factory=dict)


EngineEvent = Phase | PromptProgress | Delta | Finished


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What is known of the engine that answers.

    kind: "llama.cpp", "openai", "vllm", "ollama", "sglang" or "scripted".
    context: tokens per slot (prompt + answer). slots: parallel sequences. supports_prefill: it goes on
    from a begun answer; one that does not would write a new answer after it. vocabulary: how many tokens
    it knows, 0 where that is not told. supports_schema: an answer can be held to a JSON schema;
    continues_schema: one that is gone on with too. template_sha256: of the chat template as its text.
    device: what it runs on, as it tells; both empty where they are not told. draft: what our worker drafts
    with (Draft.name), None for nothing.
    """

    kind: str
    model: str
    context: int
    slots: int = 1
    build: str = ""
    model_path: str | None = None
    model_sha256: str | None = None
    local: bool = False
    supports_prefill: bool = True
    vocabulary: int = 0
    supports_schema: bool = True
    continues_schema: bool = False
    template_sha256: str = ""
    device: str = ""
    draft: str | None = None


OWN_SERVERS = ("llama.cpp", "vllm")
"""Kinds of servers that people run themselves; others may charge for the probabilities of tokens."""

CHECKPOINTS = 2
"""llama.cpp makes two at the end of each prompt: with them the next turn and a second answer are read from
where they differ. Its own default of 32 took gigabytes that no plan knew of."""


DraftKind = Literal["simple", "mod", "model"]
"""Where drafts come from: what stands in the prompt and the answer already, found by n-grams in llama.cpp's
careful or in its eager way, or a small model of the same vocabulary."""


@dataclass(frozen=True, slots=True)
class Draft:
    """Speculation: so many tokens at most are drafted at once and checked by the model in one pass.

    name: as a person chose it, "simple", "mod" or a model's name. path: the draft model's file.
    acceptance: the share of drafted tokens that is to be kept whatever the model says, 0 to 1, to try the
    counting and what is decided by it; the text is then worth nothing. None: the model decides.
    """

    kind: DraftKind
    tokens: int
    name: str
    path: str | None = None
    acceptance: float | None = None


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """How the local engine process is started.

    context: tokens per slot; the process gets context × parallel. threads None: see engines/cores.py.
    gpu_layers: layers on the GPU, -1 for all, 0 for none. load_mode "copy" reads the file into
    memory (mmap plus repacking would hold some models twice). prompt_cache_mib: host memory for
    parked prompts of other conversations. idle_timeout_s: stop the process after so long without
    a request, 0 never. memory_limit_bytes: RLIMIT_DATA of the process, None for no limit. batch: tokens of a
    prompt handed over at a time; ubatch: how many of them are computed at once.
    server_binary: a llama-server to run instead of the bundled library. checkpoints: copies of what
    cannot be cut back to an earlier token (sliding windows, recurrent state), for each slot. draft: None
    drafts nothing.
    """

    model_path: str
    model_name: str
    model_sha256: str | None = None
    context: int = 8192
    parallel: int = 1
    kv_type: KvType = "f16"
    gpu_layers: int = 0
    threads: int | None = None
    batch: int = 128
    ubatch: int = 128
    load_mode: LoadMode = "copy"
    prompt_cache_mib: int = 0
    idle_timeout_s: float = 0.0
    memory_limit_bytes: int | None = None
    server_binary: str | None = None
    checkpoints: int = CHECKPOINTS
    draft: Draft | None = None


@dataclass(frozen=True, slots=True)
class Answering:
    """What answers the next message, as far as it is known without starting anything.

    model: its name as shown. context: tokens per slot (prompt + answer), 0 while unknown. local: it
    runs on this machine and nobody charges for it. slots: parallel sequences. spec: how our worker is
    started, None when no worker of ours answers. tells_probs: it tells the probabilities of tokens at no
    cost, so that they are kept unless a person says otherwise.
    """

    model: str
    context: int
    sha256: str | None = None
    local: bool = False
    spec: WorkerSpec | None = None
    slots: int = 1
    model_path: str | None = None
    tells_probs: bool = False

    @classmethod
    def by_worker(cls, spec: WorkerSpec) -> Self:
        """Return what a worker started by `spec` is."""
        return cls(
            spec.model_name,
            spec.context,
            spec.model_sha256,
            local=True,
            spec=spec,
            slots=spec.parallel,
            model_path=spec.model_path,
            tells_probs=True,
        )

    @classmethod
    def by_engine(cls, info: EngineInfo) -> Self:
        """Return what an engine says of itself."""
        return cls(
            info.model,
            info.context,
            info.model_sha256,
            info.local,
            slots=info.slots,
            model_path=info.model_path,
            tells_probs=info.kind in OWN_SERVERS,
        )


@dataclass(frozen=True, slots=True)
class ReleaseReport:
    """What a force clear gave back, in bytes of the worker's memory as the OS counts it (PSS)."""

    before_bytes: int
    after_bytes: int
    freed_bytes: int


@dataclass(frozen=True, slots=True)
class Settings:
    """What belongs to one conversation: its parameters, system prompt and habits.

    clear_after_answer: force-clear the engine after every finished answer (combination C).
    auto_continue: how many times an answer cut by its length is continued by itself, 0…8.
    guard: settings of the guard by its own names; empty means the defaults.
    advanced: the wide temperature range is shown. keep_probs: whether the probabilities of an answer's
    tokens are kept, for its heat map; None: as usual, that is for answers of a local model.
    task: what a person chose to have done here (core.advice). pinned: parameters set by hand here, which
    advice never changes. answer_schema: the form that every answer is asked to have, until it is taken off.
    draft: speculation, "auto" as what is done asks for it, "off", "simple", "mod" or
    the name of a draft model (core.drafting).
    """

    sampling: Sampling = field(default_factory=Sampling)
    system_prompt: str = ""
    preset: str | None = None
    clear_after_answer: bool = False
    auto_continue: int = 0
    guard: Mapping[str, Any] = field(default_factory=dict)
    advanced: bool = False
    keep_probs: bool | None = None
    task: str | None = None
    pinned: tuple[str, ...] = ()
    answer_schema: AnswerSchema | None = None
    draft: str = "auto"

    def to_dict(self) -> dict[str, Any]:
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        values["sampling"] = self.sampling.to_dict()
        values["guard"] = dict(self.guard)
        values["pinned"] = list(self.pinned)
        values["answer_schema"] = self.answer_schema and self.answer_schema.to_dict()
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        known = {f.name for f in fields(cls)}
        own = {name: value for name, value in values.items() if name in known}
        if "sampling" in own:
            own["sampling"] = Sampling.from_dict(own["sampling"])
        if "pinned" in own:
            own["pinned"] = tuple(own["pinned"])
        if own.get("answer_schema") is not None:
            own["answer_schema"] = AnswerSchema.from_dict(own["answer_schema"])
        return cls(**own)


@dataclass(frozen=True, slots=True)
class ResetMark:
    """A place where the model's state was force-cleared.

    after: the message below which it stands. keep_history: whether the model still reads what stands
    above it. at: Unix seconds, 0 where that was not written down. by_itself: after a finished answer,
    as the conversation's settings say. summary: what the model reads in place of what stands above it
    where it does not read that; "" for nothing.
    """

    after: str
    keep_history: bool = False
    at: float = 0.0
    by_itself: bool = False
    summary: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values by the names of the fields."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        return cls(
            str(values["after"]),
            bool(values.get("keep_history")),
            float(values.get("at") or 0.0),
            bool(values.get("by_itself")),
            str(values.get("summary") or ""),
        )


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation without its messages. Times are Unix seconds.

    head_id: the last message of the branch that is shown. resets: every place where the model's state
    was force-cleared, in the order of the clearing. history_after_reset: whether the next one that a
    person makes keeps the history. kind: "comparison" and "writing" belong to a comparison or a writing
    project and stand in no list of chats. archived: put away; still found, not among the latest.
    """

    id: str
    title: str
    created_at: float
    updated_at: float
    pinned: bool = False
    title_by: Literal["first_words", "model", "person"] = "first_words"
    settings: Settings = field(default_factory=Settings)
    head_id: str | None = None
    resets: tuple[ResetMark, ...] = ()
    history_after_reset: bool = False
    deleted_at: float | None = None
    kind: ConversationKind = "chat"
    tags: tuple[str, ...] = ()
    archived: bool = False

    @property
    def state_reset_at(self) -> str | None:
        """The message after which the model's state was cleared last; None when it never was."""
        return next((mark.after for mark in reversed(self.resets) if not mark.summary), None)

    def resets_with(self, mark: ResetMark) -> tuple[ResetMark, ...]:
        """Return the resets and one more; an earlier one at the same place gives way."""
        return (*(earlier for earlier in self.resets if earlier.after != mark.after), mark)


@dataclass(frozen=True, slots=True)
class Message:
    """One stored message of a conversation's tree.

    parent_id None: the first message. Siblings (same parent, same role) are versions of each
    other; `version`/`versions` count from 1 and are filled by the store when it lists a branch.
    provenance: the parameters as used, engine, model hash, usage, timings, guard events (D4).
    token_ids: ids of the answer's tokens when the engine told them.
    excluded: a person chose to leave this turn out of the prompt.
    """

    id: str
    conversation_id: str
    parent_id: str | None
    role: Role
    content: str
    created_at: float
    state: MessageState = "done"
    finish_reason: FinishReason | None = None
    provenance: Provenance = field(default_factory=Provenance)
    token_ids: tuple[int, ...] = ()
    excluded: bool = False
    version: int = 1
    versions: int = 1
    error: Mapping[str, Any] | None = None

    @property
    def own_words(self) -> str:
        """The text without the documents that stand before a question."""
        return self.content[self.provenance.question_at :]

    @property
    def before_own_words(self) -> str:
        """The documents before a question, word for word as the model reads them."""
        return self.content[: self.provenance.question_at]


@dataclass(frozen=True, slots=True)
class Preset:
    """A named choice of parameters: golden combination, scenario or a person's own.

    kind: "combination", "scenario" or "own". `changes` holds only the parameters it sets. evidence:
    what was found of an own one, in words; "" where it was not tuned. answer_schema: the form of answers,
    None where it says nothing of that.
    """

    name: str
    kind: Literal["combination", "scenario", "own"]
    changes: Mapping[str, Any]
    clear_after_answer: bool = False
    system_prompt: str | None = None
    evidence: str = ""
    answer_schema: AnswerSchema | None = None


@dataclass(frozen=True, slots=True)
class SavedPrompt:
    """A text by its name, with {{variables}} to fill in.

    changes: parameters of Sampling that it brings along. system_prompt, answer_schema: None leaves the
    conversation's.
    """

    name: str
    text: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    system_prompt: str | None = None
    answer_schema: AnswerSchema | None = None
    shipped: bool = False


@dataclass(frozen=True, slots=True)
class SearchHit:
    """One place where a search was found.

    message_id None: the conversation's title matched. `snippet` is a piece of the text around the
    first match; `highlights` are (start, end) character offsets in it. score: higher is better,
    comparable only within one search. head_id: the end of the branch that holds the message, the shown
    one where it does; for a title the shown branch.
    """

    conversation_id: str
    title: str
    message_id: str | None
    role: Role | None
    snippet: str
    highlights: tuple[tuple[int, int], ...]
    score: float
    created_at: float
    head_id: str | None = None


@dataclass(frozen=True, slots=True)
class SearchFilter:
    """Where to search. since, until: Unix seconds, the second not included. model: who answered.

    tag: of the conversation. archived: whether it is put away; None for both.
    """

    since: float | None = None
    until: float | None = None
    model: str | None = None
    tag: str | None = None
    archived: bool | None = None


ANYWHERE = SearchFilter()
AT_HAND = SearchFilter(archived=False)


@dataclass(frozen=True, slots=True)
class EngineSpeed:
    """How fast a model has been here: medians of its latest answers. samples: how many answers."""

    model: str
    tok_per_s: float
    prompt_tok_per_s: float | None
    samples: int


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A stored piece of work that is not a chat: a comparison, a study, a writing project.

    kind says which; `data` is its own JSON. Times are Unix seconds.
    """

    id: str
    kind: str
    title: str
    created_at: float
    updated_at: float
    data: Mapping[str, Any] = field(default_factory=dict)
    deleted_at: float | None = None


@dataclass(frozen=True, slots=True)
class DraftFile:
    """A file that goes along with the next message of a conversation; None: with the next comparison.

    pages: what of it goes along, such as "1-3"; "" for all.
    """

    id: str
    conversation_id: str | None
    sha256: str
    name: str
    pages: str = ""


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """One result that belongs to a document, kept under a key that is unique in it."""

    document_id: str
    key: str
    data: Mapping[str, Any]
    created_at: float


@dataclass(frozen=True, slots=True)
class Vote:
    """A person's judgement about something in a document (or about none)."""

    id: str
    document_id: str | None
    key: str
    data: Mapping[str, Any]
    created_at: float


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A conversation of a file that cannot be imported, and why."""

    title: str
    reason: Reason


@dataclass(frozen=True, slots=True)
class AlreadyHere:
    """A conversation of a file that is here already. origin: what an import names it by, see Parcel."""

    origin: str
    title: str
    conversation_id: str


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import stored, and what of the file it did not.

    source: the program the file comes from, a key of store.source.
    """

    source: str
    conversation_ids: tuple[str, ...]
    message_count: int
    left_out: tuple[LeftOut, ...] = ()
    already_here: tuple[AlreadyHere, ...] = ()
