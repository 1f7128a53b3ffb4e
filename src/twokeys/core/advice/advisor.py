"""The advisor: tasks, lengths and stronger prompts for conversations, with the model where it is asked.

Joins the pure parts of this package with settings, conversations and the engine. Changes only what a
person did not pin, and only when a task was chosen or Automatic is on. Knows no screen.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

from twokeys.core import by_hand
from twokeys.core.advice.classify import classify_request, guess_from, read_words
from twokeys.core.advice.length import LengthNeed, TokenRatio, length_need, settled
from twokeys.core.advice.rewrite import clean_rewrite, rewrite_request
from twokeys.core.advice.rules import Guess, guess_by_rules, guess_with_material
from twokeys.core.advice.tasks import BY_NAME, Task, advise
from twokeys.core.conversations import Conversations, Turn
from twokeys.core.jobs import JobManager, JobSpec, Outcome
from twokeys.core.ports import ChatStore, EngineSource, SettingsStore
from twokeys.core.provenance import PlannedPart
from twokeys.engine import Engine
from twokeys.errors import EngineError, NotFound, Reason, TwoKeysError
from twokeys.types import Conversation, GenerationRequest, Settings

log = logging.getLogger(__name__)

AUTOMATIC_SETTING = "advice.automatic"
BY_SETTING = "advice.by"
LENGTHS_SETTING = "advice.lengths"
RATIO_SETTING = "advice.ratio."
DEFAULT_BY: Literal["rules", "model"] = "rules"
"""What wins on the labelled messages; see docs/advice.md."""
CLASSIFY_TIMEOUT_S = 20.0
REWRITE_TIMEOUT_S = 120.0
KEPT_LENGTHS = 30
ADVICE_TOPIC = "advice"
SAMPLE_ZH = (
    "温度决定模型在每一步有多愿意选不那么可能的词，长度决定它最多能写多少。先想清楚要做什么，"
    "再选合适的参数：核对事实要低一些，写故事可以高一些，写代码则需要稳定和足够的长度。"
)
SAMPLE_EN = (
    "Temperature decides how willing the model is to take a less likely word at every step, and length "
    "how much it may write at most. First decide what the answer is for, then choose: lower for facts, "
    "higher for stories, and for code something steady with enough room."
)


class AdviceStore(ChatStore, SettingsStore, Protocol):
    """What the advisor reads and writes."""


@dataclass(frozen=True, slots=True)
class AutomaticChoice:
    """What Automatic made of a message: the guess, and the parameters it set (maybe none)."""

    guess: Guess
    changes: Mapping[str, Any]


class Advisor:
    """Gives advice to one message or conversation at a time; thread-safe."""

    def __init__(
        self,
        store: AdviceStore,
        jobs: JobManager,
        conversations: Conversations,
        engines: EngineSource,
        *,
        model: Callable[[], str | None],
        ceiling: Callable[[], int | None],
    ) -> None:
        """model: name of what answers now. ceiling: the safe length in tokens on this machine."""
        self._store = store
        self._jobs = jobs
        self._conversations = conversations
        self._engines = engines
        self._model = model
        self._ceiling = ceiling
        self._lengths = self._stored_lengths()

    # ---- Automatic --------------------------------------------------------------------------

    @property
    def automatic(self) -> bool:
        """Whether tasks are read from messages before they are sent."""
        return self._store.get_setting(AUTOMATIC_SETTING) is True

    @automatic.setter
    def automatic(self, on: bool) -> None:
        self._store.set_setting(AUTOMATIC_SETTING, on)

    @property
    def by(self) -> Literal["rules", "model"]:
        """Who reads the task: the rules or the model that answers."""
        return "model" if self._store.get_setting(BY_SETTING) == "model" else DEFAULT_BY

    @by.setter
    def by(self, who: Literal["rules", "model"]) -> None:
        self._store.set_setting(BY_SETTING, who)

    def asks_model(self) -> bool:
        """Whether reading a task would now ask the model, which takes a moment."""
        return self.by == "model" and self._engines.running() and not self._jobs.views()

    def classify(self, text: str, *, attached: bool = False) -> Guess:
        """Name the task of a message. The rules speak when the model is busy or does not answer.

        They speak as well while it would have to be loaded first: that is left to the answer, whose
        phases are shown. attached: documents stand before the message; the rules know what that means.
        """
        if attached:
            return guess_with_material(text)
        if not self.asks_model():
            return guess_by_rules(text)
        try:
            return self._by_model(text)
        except (TwoKeysError, TimeoutError, ValueError) as error:
            log.info("the model named no task: %s", error)
            return guess_by_rules(text)

    def before_sending(
        self, conversation_id: str, text: str, *, material_tokens: int = 0
    ) -> AutomaticChoice | None:
        """Set what suits a message that is about to be sent, when Automatic is on and nothing was chosen.

        material_tokens: of the documents that stand before it.
        None when there was nothing to decide. A Chosen without a task: unsure, nothing was changed.
        """
        conversation = self._store.get_conversation(conversation_id)
        if not self.automatic or conversation.settings.task is not None:
            return None
        guess = self.classify(text, attached=material_tokens > 0)
        if guess.task is None:
            return AutomaticChoice(guess, {})
        changes = self.changes_for(guess.task, conversation.settings, text, material_tokens)
        self._apply(conversation, changes)
        return AutomaticChoice(guess, changes)

    # ---- tasks ------------------------------------------------------------------------------

    def choose(self, conversation_id: str, name: str | None, text: str = "") -> dict[str, object]:
        """Take the task a person chose (None: none any more) and return the parameters it set.

        Pinned parameters stay. Raises NotFound for an unknown task or conversation.
        """
        conversation = self._store.get_conversation(conversation_id)
        if name is None:
            self._conversations.set_settings(conversation_id, replace(conversation.settings, task=None))
            return {}
        task = task_named(name)
        changes = self.changes_for(task, conversation.settings, text)
        self._apply(conversation, changes, task=task.name)
        return changes

    def unpin(self, conversation_id: str, names: Sequence[str]) -> None:
        """Let advice change these parameters again, and apply the chosen task to them."""
        conversation = self._store.get_conversation(conversation_id)
        settings = conversation.settings
        free = replace(settings, pinned=tuple(name for name in settings.pinned if name not in names))
        task = BY_NAME.get(settings.task or "")
        changes = advise(task, free.pinned) if task is not None else {}
        self._apply(replace(conversation, settings=free), changes, task=settings.task)

    def changes_for(
        self, task: Task, settings: Settings, text: str = "", material_tokens: int = 0
    ) -> dict[str, object]:
        """Return what a task sets in these settings: its temperature, and the length the text needs."""
        changes = advise(task, settings.pinned)
        if "max_new_tokens" in changes:
            need = self.need(text, task, material_tokens)
            if need.said:
                changes["max_new_tokens"] = need.tokens
            elif need.ceiling is not None:
                changes["max_new_tokens"] = settled(task.max_new_tokens, need.ceiling)
        return changes

    def _apply(
        self, conversation: Conversation, changes: Mapping[str, object], *, task: str | None = None
    ) -> None:
        new = by_hand.with_values(replace(conversation.settings, task=task), changes)
        self._conversations.set_settings(conversation.id, new)

    # ---- length -----------------------------------------------------------------------------

    def need(self, text: str, task: Task | None = None, material_tokens: int = 0) -> LengthNeed:
        """Return what the answer to a message needs, against this machine's safe ceiling.

        material_tokens: of the documents that stand before it.
        """
        if task is None:
            task = (guess_with_material(text) if material_tokens else guess_by_rules(text)).task
        return length_need(
            text,
            task,
            ratio=self.ratio(),
            ceiling=self._ceiling(),
            earlier_tokens=self._lengths.get(task.name, ()) if task is not None else (),
            material_tokens=material_tokens,
        )

    def ratio(self) -> TokenRatio:
        """Return characters and words per token, by the tokenizer of the model that answers.

        Measured once a model, when it runs; until then the first guesses for Qwen2.5.
        """
        name = self._model()
        if (stored := self._stored_ratio()) is not None:
            return stored
        engine = self._engines.current()
        if name is None or engine is None or not self._engines.running():
            return TokenRatio()
        try:
            zh = len(SAMPLE_ZH) / len(self._jobs.loop.run(engine.tokenize(SAMPLE_ZH), 5.0))
            en = len(SAMPLE_EN.split()) / len(self._jobs.loop.run(engine.tokenize(SAMPLE_EN), 5.0))
        except (EngineError, TimeoutError, ZeroDivisionError) as error:
            log.info("the tokenizer was not measured: %s", error)
            return TokenRatio()
        self._store.set_setting(RATIO_SETTING + name, {"zh": zh, "en": en})
        return TokenRatio(zh, en)

    def known_ratio(self) -> TokenRatio:
        """Return what `ratio` found earlier, without asking the engine."""
        return self._stored_ratio() or TokenRatio()

    def _stored_ratio(self) -> TokenRatio | None:
        name = self._model()
        stored = self._store.get_setting(RATIO_SETTING + name) if name else None
        if not isinstance(stored, Mapping):
            return None
        return TokenRatio(float(stored["zh"]), float(stored["en"]))

    def _stored_lengths(self) -> dict[str, list[int]]:
        stored = self._store.get_setting(LENGTHS_SETTING)
        return dict(stored) if isinstance(stored, Mapping) else {}

    def remember_length(self, turn: Turn, outcome: Outcome) -> None:
        """Keep how long a complete answer was, by the task of its question."""
        tokens = outcome.view.token_count
        if outcome.view.finish_reason != "stop" or not tokens:
            return
        name = turn.conversation.settings.task
        if name is None:
            task = guess_by_rules(turn.last.own_words).task
            name = task.name if task is not None else None
        if name is not None:
            lengths = [*self._lengths.get(name, ()), tokens][-KEPT_LENGTHS:]
            self._lengths = {**self._lengths, name: lengths}
            self._store.set_setting(LENGTHS_SETTING, self._lengths)

    # ---- the model --------------------------------------------------------------------------

    def rewrite(self, text: str, missing: Sequence[Any] = ()) -> str:
        """Let the model write a stronger prompt; "" when it wrote none. Waits for its turn.

        Raises what the engine raises, TimeoutError after REWRITE_TIMEOUT_S.
        """
        outcome = self._ask(rewrite_request(text, missing), REWRITE_TIMEOUT_S)
        return clean_rewrite(outcome.text, text)

    def _by_model(self, text: str) -> Guess:
        return guess_from(read_words(_only(self._ask(classify_request(text), CLASSIFY_TIMEOUT_S))))

    def _ask(self, request: GenerationRequest, timeout_s: float) -> Outcome:
        """Run one request as a job that nobody's conversation shows."""

        async def prepare(engine: Engine) -> PlannedPart:
            return PlannedPart(request, await engine.info())

        spec = JobSpec(
            topic=ADVICE_TOPIC,
            engine=self._engines.ready,
            prepare=prepare,
            keep_probs=request.n_probs > 0,
        )
        outcome = self._jobs.outcome(spec, timeout_s)
        if outcome.view.error is not None:
            raise EngineError(reason=str(outcome.view.error.get("code")))
        return outcome


def task_named(name: str) -> Task:
    """Return a task by its name; hyphens count as underscores. Raises NotFound."""
    task = BY_NAME.get(name.strip().lower().replace("-", "_"))
    if task is None:
        raise NotFound(kind="task", name=name)
    return task


def _only(outcome: Outcome) -> Any:
    if not outcome.probs:
        raise EngineError(reason=Reason("errors.reason.no_probabilities"))
    return outcome.probs[0]
