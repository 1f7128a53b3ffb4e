"""The chat service: questions, answers, versions, branches, and what the model reads of them.

Synchronous and thread-safe; answers are written by the job manager while these methods have long
returned. Every answer is checked against the context before it is written (decision D5) and carries
its provenance (decision D4). Knows no database, server or screen.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from twokeys.core.context import SHORTEST_ANSWER, ContextPlan, Prompt, build_prompt, first_words
from twokeys.core.context_check import Begun, ContextCheck
from twokeys.core.fork import fork_answer, text_before
from twokeys.core.guard import continue_differently, wanted_candidates
from twokeys.core.jobs import JobManager, JobSpec, JobView, Outcome
from twokeys.core.ports import ChatStore, EngineSource, Watcher, WatcherFactory
from twokeys.core.provenance import Part, cut_back, cut_loop, part_stub, parts_of, probs_in
from twokeys.core.titles import clean_title, title_request
from twokeys.engine import Engine
from twokeys.errors import (
    BadInput,
    ContextExceeded,
    EmptyMessage,
    EngineError,
    MessageTooLarge,
    NotFound,
    Reason,
)
from twokeys.ids import new_id
from twokeys.types import (
    Candidate,
    Conversation,
    EngineInfo,
    GenerationRequest,
    GuardEvent,
    Message,
    ReleaseReport,
    Sampling,
    Settings,
    TokenProb,
)

log = logging.getLogger(__name__)

MAX_MESSAGE_CHARS = 1_000_000
KEPT_CANDIDATES = 5
"""For every token, where a conversation says that they are to be kept."""
IDLE_BEFORE_TITLE_S = 4.0
DISTRIBUTION_TIMEOUT_S = 120.0
ASKING = Sampling(temperature=0.0, max_new_tokens=4, repetition_penalty=1.0)
"""Four tokens: the first may be only a piece of a character, which is told with the piece that ends it."""

NO_END = "root ::= [^\\x00] root"
"""A grammar that forbids the end token and nothing else: after an end no probabilities would be told."""


FINISHED = ("stop", "stop_string")
"""How an answer ends that has said all it had to say."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A question, the answer that is being written to it, and the job that writes it."""

    user_message: Message
    answer_message: Message
    job: JobView


@dataclass(frozen=True, slots=True)
class _Plan:
    """How one answer is to be made: everything that `prepare` cannot look up later."""

    conversation_id: str
    question_id: str
    sampling: Sampling
    settings: Settings
    kind: str
    excluded: tuple[str, ...] | None = None
    history_from: str | None = None
    fixed_history: bool = False
    prefix: str = ""
    prefix_ids: tuple[int, ...] = ()
    prefix_model: tuple[str | None, str | None] = (None, None)
    n_probs: int = 0
    facts: Mapping[str, Any] | None = None
    place: "Place | None" = None

    @property
    def goes_on(self) -> bool:
        """Whether text that is there grows: it may then grow as far as the context reaches."""
        return self.kind in ("continue", "fork")

    def within(self, room: int) -> Self:
        """Return the plan with an answer of at most `room` tokens, itself when that is too few."""
        longest = self.sampling.max_new_tokens
        if not self.goes_on or not min(SHORTEST_ANSWER, longest) <= room < longest:
            return self
        return replace(self, sampling=self.sampling.with_(max_new_tokens=room))

    def read_as(self, known: Mapping[str, Any]) -> Self:
        """Read what an answer read when it began, as far as its provenance tells.

        Its system prompt, its history, and whose tokens the prefix is made of.
        """
        system_prompt = known.get("system_prompt", self.settings.system_prompt)
        return replace(
            self,
            settings=replace(self.settings, system_prompt=system_prompt),
            excluded=tuple(known["excluded"]) if "excluded" in known else None,
            history_from=known.get("history_from"),
            fixed_history="excluded" in known,
            prefix_model=(known.get("model"), known.get("model_sha256")),
        )


@dataclass(frozen=True, slots=True)
class Place:
    """Where an answer is written, when not by the chat's engine as it runs.

    engine: gives the engine when the job's turn has come. shape: see JobSpec.
    """

    engine: Callable[[], Awaitable[Engine]]
    shape: str


class ChatService:
    """Talks with the engine on behalf of conversations."""

    def __init__(
        self,
        store: ChatStore,
        jobs: JobManager,
        engines: EngineSource,
        check: ContextCheck,
        *,
        default_settings: Callable[[], Settings] = Settings,
        make_watcher: WatcherFactory | None = None,
        titles_by_model: Callable[[], bool] = lambda: False,
        n_probs: Callable[[], int] = lambda: 0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """titles_by_model: asked after a first answer whether the model may title it when idle.
        n_probs: candidates to keep for every token of an answer, where the caller does not say.
        """
        self._store = store
        self._jobs = jobs
        self._engines = engines
        self._check = check
        self._default_settings = default_settings
        self._make_watcher = make_watcher
        self._titles_by_model = titles_by_model
        self._n_probs = n_probs
        self._clock = clock
        self._locks: dict[str, threading.RLock] = {}
        self._locks_lock = threading.Lock()
        self._to_clear: set[str] = set()
        self._clear_lock = threading.Lock()

    # ---- conversations ----------------------------------------------------------------------

    def new_conversation(self, settings: Settings | None = None, title: str | None = None) -> Conversation:
        """Store and return an empty conversation; without settings it gets the defaults."""
        now = self._clock()
        return self._store.create_conversation(
            Conversation(
                id=new_id(),
                title=title or "",
                created_at=now,
                updated_at=now,
                title_by="person" if title else "first_words",
                settings=settings or self._default_settings(),
            )
        )

    def messages(
        self, conversation_id: str, limit: int | None = None, before: str | None = None
    ) -> list[Message]:
        """Return the shown branch, newest `limit` messages, with live text that is not stored yet."""
        return self._jobs.overlay(self._store.branch(conversation_id, limit=limit, before=before))

    def set_settings(self, conversation_id: str, settings: Settings) -> Conversation:
        """Store the settings; they take effect on the next message, never on a running one."""
        changed = self._store.update_conversation(conversation_id, settings=settings)
        self._jobs.publish(conversation_id, {"type": "settings"})
        return changed

    def set_title(self, conversation_id: str, title: str) -> Conversation:
        """Rename by a person; the model will not rename it again."""
        title = " ".join(title.split())
        if not title:
            raise BadInput(reason=Reason("chat.refused.empty_title"))
        return self._store.update_conversation(conversation_id, title=title[:200], title_by="person")

    # ---- asking -----------------------------------------------------------------------------

    def send(self, conversation_id: str, text: str, *, n_probs: int | None = None) -> Sent:
        """Store a question and start its answer; waits in the queue while another is written.

        n_probs: candidates kept for every token, 0 for none, None for the usual number.

        Raises EmptyMessage, MessageTooLarge (over MAX_MESSAGE_CHARS), ContextExceeded when the
        prompt and the answer cannot fit, NotFound, StoreError. Nothing is stored when it raises.
        """
        text = checked_text(text)
        with self._lock(conversation_id):
            conversation = self._store.get_conversation(conversation_id)
            if conversation.deleted_at is not None:
                raise NotFound(kind="conversation", name=conversation_id)
            self._check.refuse_overlong(self.plan(conversation_id, text))
            return self._ask(conversation, conversation.head_id, text, "send", n_probs=n_probs)

    def edit(self, user_message_id: str, text: str) -> Sent:
        """Ask a question in another way: a new branch beside the old question, with its answer.

        Raises what `send` raises; nothing is stored then.
        """
        text = checked_text(text)
        question = self._store.get_message(user_message_id)
        if question.role != "user":
            raise BadInput(reason=Reason("chat.refused.not_a_question"))
        with self._lock(question.conversation_id):
            conversation = self._store.get_conversation(question.conversation_id)
            self._check.refuse_overlong(self.plan(conversation.id, text, instead_of=question.id))
            return self._ask(conversation, question.parent_id, text, "edit")

    def regenerate(self, answer_id: str, changes: Mapping[str, Any] | None = None) -> Sent:
        """Write a new version of an answer; the earlier one is kept beside it.

        changes: parameters of Sampling for this version only, or "system_prompt".
        A version that is still being written is stopped and kept as it is. Raises ContextExceeded, and
        stops and stores nothing, when prompt and answer cannot fit.
        """
        answer, question = self._answer_and_question(answer_id)
        with self._lock(answer.conversation_id):
            conversation = self._store.get_conversation(answer.conversation_id)
            settings = _changed(conversation.settings, changes)
            plan = _Plan(
                conversation.id,
                question.id,
                settings.sampling,
                settings,
                "regenerate",
                n_probs=self._kept_probs(settings),
            )
            self._check.refuse_overlong(self._plan_answer(plan))
            self._stop_writing(answer.id)
            return self._start(question, self._new_answer(plan), plan)

    def continue_(
        self,
        answer_id: str,
        changes: Mapping[str, Any] | None = None,
        *,
        facts: Mapping[str, Any] | None = None,
        place: Place | None = None,
    ) -> Sent:
        """Go on with a cut or interrupted answer from its last token; the same message grows.

        It reads exactly what the answer read when it began. max_new_tokens counts anew, as far as the
        context has room. Raises BadInput while it is being written, ContextExceeded when less than
        SHORTEST_ANSWER is left.
        """
        return self._go_on(answer_id, changes, facts, place)

    def _go_on(
        self,
        answer_id: str,
        changes: Mapping[str, Any] | None,
        facts: Mapping[str, Any] | None,
        place: Place | None = None,
        *,
        without_loop: bool = False,
    ) -> Sent:
        answer, question = self._answer_and_question(answer_id)
        with self._lock(answer.conversation_id):
            [answer] = self._jobs.overlay([answer])
            if answer.state in ("queued", "streaming"):
                raise BadInput(reason=Reason("chat.refused.being_written"))
            if without_loop:
                answer = cut_loop(_with_all_parts(answer))
            answer, plan = self._continuation(answer, question, changes, facts)
            self._refuse_full(plan)
            return self._start(question, answer, replace(plan, place=place))

    def plan_continue(self, answer_id: str) -> ContextPlan:
        """Return what going on with an answer would need: its prompt with the text that is there."""
        answer, question = self._answer_and_question(answer_id)
        [answer] = self._jobs.overlay([answer])
        return self._plan_answer(self._continuation(answer, question, None, None)[1])

    def _continuation(
        self,
        answer: Message,
        question: Message,
        changes: Mapping[str, Any] | None,
        facts: Mapping[str, Any] | None,
    ) -> tuple[Message, _Plan]:
        conversation = self._store.get_conversation(answer.conversation_id)
        settings = _changed(conversation.settings, changes)
        answer = _with_all_parts(answer)
        known = answer.provenance
        plan = _Plan(
            conversation.id,
            question.id,
            settings.sampling,
            settings,
            "continue",
            prefix=answer.content,
            prefix_ids=answer.token_ids,
            n_probs=int(known.get("n_probs") or 0),
            facts=facts,
        )
        return answer, plan.read_as(known)

    def continue_differently(
        self,
        answer_id: str,
        *,
        sampling: Sampling | None = None,
        facts: Mapping[str, Any] | None = None,
        place: Place | None = None,
    ) -> Sent:
        """Go on after a loop, with parameters that leave it and a new seed.

        A loop that was only warned of is cut off first, as the guard would have done; its text stays
        in the provenance, where `changed` (name, before, after) says what was changed. Each attempt on
        the same answer goes further. sampling: what to change, by default the conversation's.
        """
        answer, _question = self._answer_and_question(answer_id)
        conversation = self._store.get_conversation(answer.conversation_id)
        attempts = 1 + sum("changed" in part for part in parts_of(answer.provenance))
        kind = answer.provenance.get("engine", {}).get("kind")
        retry = continue_differently(
            sampling or conversation.settings.sampling, attempt=attempts, dry=kind == "llama.cpp"
        )
        changed = [{"name": c.name, "before": c.before, "after": c.after} for c in retry.changes]
        facts = {**(facts or {}), "changed": changed}
        return self._go_on(answer_id, retry.sampling.to_dict(), facts, place, without_loop=True)

    def cut_back(self, answer_id: str) -> Message:
        """Make a new version of an answer that ends where the whole of it went downhill, and show it.

        The whole answer stays as the version before. Raises BadInput while it is being written, and
        when nothing was noticed that says where to cut.
        """
        answer, _question = self._answer_and_question(answer_id)
        with self._lock(answer.conversation_id):
            [answer] = self._jobs.overlay([answer])
            if answer.state in ("queued", "streaming"):
                raise BadInput(reason=Reason("chat.refused.being_written"))
            cut = cut_back(answer)
            if cut is answer:
                raise BadInput(reason=Reason("guard.decay.no_turn"))
            new = replace(
                cut,
                id=new_id(),
                created_at=self._clock(),
                finish_reason="cancelled",
                provenance={**cut.provenance, "cut_from": answer.id},
            )
            probs = probs_in(self._store.get_probs(answer.id), new.content)
            with self._store.transaction():
                self._store.add_message(new)
                if probs:
                    self._store.put_probs(new.id, probs)
                self._store.add_events(new.id, [GuardEvent(**event) for event in new.provenance["guard"]])
        self.select_version(new.id)
        return self._store.get_message(new.id)

    def replay(self, answer_id: str, *, place: Place | None = None) -> Sent:
        """Run an answer again exactly so: same prompt, same parameters, the seed that was used.

        The result is a new version. Run alone on the same model and build it gives the same text.
        An answer written in several parts is written in the same parts again; a fork begins with the
        text it was given.
        """
        answer, question = self._answer_and_question(answer_id)
        known = answer.provenance
        parts = parts_of(known)
        if not parts:
            raise BadInput(reason=Reason("chat.refused.no_record"))
        with self._lock(answer.conversation_id):
            conversation = self._store.get_conversation(answer.conversation_id)
            samplings = [_replayed(part, last=part is parts[-1]) for part in parts]
            begun = _beginning(answer, parts[0])
            plan = _Plan(
                conversation.id,
                question.id,
                samplings[0],
                replace(conversation.settings, system_prompt=known.get("system_prompt", ""), auto_continue=0),
                "replay",
                excluded=tuple(known.get("excluded", ())),
                history_from=known.get("history_from"),
                fixed_history=True,
                prefix=begun.content,
                prefix_ids=begun.token_ids,
                prefix_model=(known.get("model"), known.get("model_sha256")),
                n_probs=int(known.get("n_probs") or 0),
                facts={**_kept_facts(known), "replay_of": answer.id},
                place=place,
            )
            probs = self._store.get_probs(answer.id)[: len(begun.token_ids)] if begun.token_ids else []
            new = replace(self._new_answer(plan), content=begun.content, token_ids=begun.token_ids)
            return self._start(question, new, plan, samplings[1:], probs=probs)

    def fork(
        self,
        answer_id: str,
        token_index: int,
        candidate: Candidate,
        *,
        facts: Mapping[str, Any] | None = None,
        place: Place | None = None,
    ) -> Sent:
        """Let an answer grow on from another token, as a new version; the earlier one is kept.

        token_index: the place in the answer's stored probabilities (`repository.get_probs`).
        candidate: what stands there instead, usually one of that place's alternatives. The new version
        begins with the text before the token and the candidate, and goes on with the answer's own
        parameters; from its very tokens when their ids are known. Its provenance says `forked_from`:
        answer, token, at_char, before and after {text, token_id, logprob}. Raises BadInput while the
        answer is being written, for a place it has no probabilities of, or for a candidate that is
        only a piece of a character.
        """
        answer, question = self._answer_and_question(answer_id)
        with self._lock(answer.conversation_id):
            [answer] = self._jobs.overlay([answer])
            if answer.state in ("queued", "streaming"):
                raise BadInput(reason=Reason("comparison.error.being_written"))
            fork = fork_answer(answer, self._store.get_probs(answer_id), token_index, candidate)
            known = answer.provenance
            conversation = self._store.get_conversation(answer.conversation_id)
            sampling = Sampling.from_dict(
                known.get("sampling_set") or conversation.settings.sampling.to_dict()
            )
            plan = _Plan(
                conversation.id,
                question.id,
                sampling,
                replace(conversation.settings, sampling=sampling, preset=known.get("preset")),
                "fork",
                prefix=fork.text,
                prefix_ids=fork.token_ids,
                n_probs=int(known.get("n_probs") or 0) or self._n_probs(),
                facts={**_kept_facts(known), **(facts or {}), "forked_from": fork.origin},
                place=place,
            ).read_as(known)
            self._refuse_full(plan)
            new = replace(self._new_answer(plan), content=fork.text, token_ids=fork.token_ids)
            return self._start(question, new, plan, probs=fork.probs)

    def answer(
        self,
        question: Message,
        settings: Settings,
        *,
        kind: str,
        n_probs: int | None = None,
        facts: Mapping[str, Any] | None = None,
        place: Place | None = None,
    ) -> Sent:
        """Write an answer beside others to a stored question, with settings of its own."""
        with self._lock(question.conversation_id):
            plan = _Plan(
                question.conversation_id,
                question.id,
                settings.sampling,
                settings,
                kind,
                n_probs=self._n_probs() if n_probs is None else n_probs,
                facts=facts,
                place=place,
            )
            return self._start(question, self._new_answer(plan), plan)

    def distribution(
        self, answer_id: str, token_index: int, candidates: int = 100, *, place: Place | None = None
    ) -> TokenProb:
        """Ask the engine for the likeliest candidates at one place of an answer, before sampling.

        Waits for its turn, then reads the answer up to that token (from the cache where it is still
        there). Exact for the model that answers now. token_index: as in `fork`; also for answers
        that have no stored probabilities when their token ids are known. Raises BadInput, or what
        the engine raises; TimeoutError after DISTRIBUTION_TIMEOUT_S.
        """
        answer, question = self._answer_and_question(answer_id)
        [answer] = self._jobs.overlay([answer])
        probs = self._store.get_probs(answer_id)
        before = text_before(answer, probs, token_index)
        conversation = self._store.get_conversation(answer.conversation_id)
        plan = _Plan(
            conversation.id,
            question.id,
            ASKING,
            conversation.settings,
            "distribution",
            prefix=before.text,
            prefix_ids=before.token_ids,
            n_probs=candidates,
        ).read_as(answer.provenance)

        async def prepare(engine: Engine) -> Part:
            part = await self._prepare(engine, plan)
            if part.info.kind != "llama.cpp":
                return part
            return replace(part, request=replace(part.request, grammar=NO_END))

        found: list[Outcome] = []
        ended = threading.Event()

        def keep(outcome: Outcome) -> None:
            found.append(outcome)
            ended.set()

        view = self._jobs.start(
            JobSpec(
                topic=f"distribution:{answer_id}",
                engine=place.engine if place else self._engines.ready,
                shape=place.shape if place else "",
                prepare=prepare,
                keep_probs=True,
                on_done=keep,
            )
        )
        if not ended.wait(DISTRIBUTION_TIMEOUT_S):
            self._jobs.stop(view.id)
            raise TimeoutError(f"no distribution after {DISTRIBUTION_TIMEOUT_S:g} s")
        return _only_prob(found[0])

    def stop(self, conversation_id: str) -> list[str]:
        """Stop what is written and queued in a conversation; return the ids of the jobs."""
        return self._jobs.stop_all(conversation_id)

    # ---- the context ------------------------------------------------------------------------

    def plan(self, conversation_id: str, text: str = "", *, instead_of: str | None = None) -> ContextPlan:
        """Return what the next message would need, beside what the context holds.

        instead_of: a question that the text is to replace, as `edit` and `regenerate` do.
        Exact when the engine runs; an estimate, marked as such, when it would have to be started.
        """
        conversation = self._store.get_conversation(conversation_id)
        if instead_of is None:
            path = self.messages(conversation_id)
        else:
            path = self._jobs.overlay(self._store.path(instead_of))[:-1]
        now = Message(new_id(), conversation_id, conversation.head_id, "user", text, self._clock())
        prompt = build_prompt(
            [*path, now] if text else path,
            conversation.settings.system_prompt,
            reset_after=_reset_after(conversation),
        )
        used = set(prompt.used)
        history = [message for message in path if message.id in used]
        return self._check.plan(prompt, history, conversation.settings.sampling.max_new_tokens)

    def exclude_turns(self, conversation_id: str, message_ids: Sequence[str]) -> None:
        """Leave messages out of what the model reads; they stay visible, marked."""
        self._mark_excluded(conversation_id, message_ids, True)

    def include_turns(self, conversation_id: str, message_ids: Sequence[str]) -> None:
        """Let the model read messages again that were left out."""
        self._mark_excluded(conversation_id, message_ids, False)

    # ---- versions, deleting -----------------------------------------------------------------

    def versions(self, message_id: str) -> list[Message]:
        """Return all versions of a message, oldest first."""
        return self._jobs.overlay(self._store.siblings(message_id))

    def select_version(self, message_id: str) -> Conversation:
        """Show the branch that goes through this version."""
        message = self._store.get_message(message_id)
        head_id = self._store.latest_leaf(message_id)
        changed = self._store.update_conversation(message.conversation_id, head_id=head_id)
        self._tell_changed(message.conversation_id)
        return changed

    def delete_message(self, message_id: str) -> str:
        """Delete a message and what follows from it; return the token that `undo` takes."""
        message = self._store.get_message(message_id)
        with self._lock(message.conversation_id):
            for view in self._jobs.views(message.conversation_id):
                if view.active and view.message_id and self._is_below(view.message_id, message_id):
                    self._jobs.stop(view.id)
                    self._jobs.wait(view.id, 5.0)
            token = self._store.delete_message(message_id)
        self._tell_changed(message.conversation_id)
        return token

    def undo(self, token: str, conversation_id: str | None = None) -> None:
        """Take a deletion back."""
        self._store.undo(token)
        if conversation_id is not None:
            self._tell_changed(conversation_id)

    # ---- force clear ------------------------------------------------------------------------

    def release(self, conversation_id: str | None, keep_history: bool = False) -> ReleaseReport:
        """Force clear: stop all writing, end the engine's process, reset the model's state.

        keep_history: whether the conversation's next message is read with the turns so far.
        """
        self._jobs.stop_all()
        report = self._jobs.run(self._engines.release(), timeout_s=60.0)
        self._check.forget()
        if conversation_id is not None:
            self._mark_reset(conversation_id, keep_history)
        return report

    def set_history_after_reset(self, conversation_id: str, keep_history: bool) -> Conversation:
        """Choose after a force clear whether the model reads the earlier turns again."""
        changed = self._store.update_conversation(conversation_id, history_after_reset=keep_history)
        self._tell_changed(conversation_id)
        return changed

    # ---- titles -----------------------------------------------------------------------------

    def retitle_when_idle(self, conversation_id: str) -> None:
        """Let the model title the conversation once nothing else is to be written."""
        self._jobs.submit(self._title_later(conversation_id))

    async def _title_later(self, conversation_id: str) -> None:
        await self._jobs.idle()
        await asyncio.sleep(IDLE_BEFORE_TITLE_S)
        if self._jobs.views() or not self._engines.running():
            return
        conversation = await asyncio.to_thread(self._store.get_conversation, conversation_id)
        if conversation.title_by != "first_words":
            return
        path = (await asyncio.to_thread(self.messages, conversation_id))[:2]
        if len(path) < 2 or not path[1].content:
            return
        prompt = build_prompt(path, conversation.settings.system_prompt)

        async def prepare(engine: Engine) -> Part:
            return Part(title_request(prompt.messages), await engine.info())

        def keep(outcome: Outcome) -> None:
            title = clean_title(outcome.text)
            if outcome.view.state == "done" and title:
                now = self._store.get_conversation(conversation_id)
                if now.title_by == "first_words":
                    self._store.update_conversation(conversation_id, title=title, title_by="model")
                    self._tell_changed(conversation_id)

        self._jobs.start(
            JobSpec(
                topic=f"title:{conversation_id}",
                engine=self._engines.ready,
                prepare=prepare,
                background=True,
                on_done=keep,
            )
        )

    # ---- within -----------------------------------------------------------------------------

    def _lock(self, conversation_id: str) -> threading.RLock:
        with self._locks_lock:
            return self._locks.setdefault(conversation_id, threading.RLock())

    def _answer_and_question(self, answer_id: str) -> tuple[Message, Message]:
        answer = self._store.get_message(answer_id)
        if answer.role != "assistant" or answer.parent_id is None:
            raise BadInput(reason=Reason("chat.refused.not_an_answer"))
        return answer, self._store.get_message(answer.parent_id)

    def _ask(
        self,
        conversation: Conversation,
        parent_id: str | None,
        text: str,
        kind: str,
        n_probs: int | None = None,
    ) -> Sent:
        settings = conversation.settings
        question = Message(
            id=new_id(),
            conversation_id=conversation.id,
            parent_id=parent_id,
            role="user",
            content=text,
            created_at=self._clock(),
        )
        plan = _Plan(
            conversation.id,
            question.id,
            settings.sampling,
            settings,
            kind,
            n_probs=self._kept_probs(settings) if n_probs is None else n_probs,
        )
        return self._start(question, self._new_answer(plan), plan, new_question=True)

    def _kept_probs(self, settings: Settings) -> int:
        """Return how many candidates to keep for every token of a conversation's answer."""
        if settings.keep_probs is None:
            return self._n_probs()
        return KEPT_CANDIDATES if settings.keep_probs else 0

    def _new_answer(self, plan: _Plan) -> Message:
        return Message(
            id=new_id(),
            conversation_id=plan.conversation_id,
            parent_id=plan.question_id,
            role="assistant",
            content="",
            created_at=self._clock(),
            state="queued",
        )

    def _start(
        self,
        question: Message,
        answer: Message,
        plan: _Plan,
        later: Sequence[Sampling] = (),
        *,
        new_question: bool = False,
        probs: Sequence[TokenProb] = (),
    ) -> Sent:
        """Store and queue the answer. `later`: parameters of further parts when it is a replay.
        probs: of the text that a new answer begins with.
        """
        answer = replace(
            answer,
            state="queued",
            finish_reason=None,
            error=None,
            provenance={**answer.provenance, **self._known_before(plan)},
        )
        self._check.refuse_without_engine()
        # stored as one before the job starts: its thread reads what is committed
        with self._store.transaction():
            if new_question:
                question = self._store.add_message(question)
                self._title_from(question)
            self._store.begin(answer)
            if probs:
                self._store.put_probs(answer.id, probs)
        if plan.settings.clear_after_answer:
            self._to_clear.add(answer.id)
        waiting = list(later)
        left = [plan.settings.auto_continue]

        async def prepare(engine: Engine) -> Part:
            return await self._prepare(engine, plan)

        async def more(outcome: Outcome, engine: Engine) -> Part | None:
            if waiting:
                going_on = replace(plan, sampling=waiting.pop(0), kind="replay")
            elif left[0] > 0:
                left[0] -= 1
                going_on = replace(plan, kind="auto_continue")
            else:
                return None
            return await self._prepare_more(engine, going_on, outcome)

        view = self._jobs.start(
            JobSpec(
                topic=plan.conversation_id,
                engine=plan.place.engine if plan.place else self._engines.ready,
                shape=plan.place.shape if plan.place else "",
                prepare=prepare,
                message=answer,
                begun=True,
                more=more,
                after=self._job_before(question),
                watcher=self._watcher(plan, question),
                keep_probs=plan.n_probs > 0,
                on_done=lambda outcome: self._after_answer(plan, answer.id, outcome),
            )
        )
        self._tell_changed(plan.conversation_id)
        return Sent(question, answer, view)

    def _title_from(self, question: Message) -> None:
        """A conversation is called by its first words until something better is found."""
        conversation = self._store.get_conversation(question.conversation_id)
        if question.parent_id is None and conversation.title_by == "first_words":
            self._store.update_conversation(conversation.id, title=first_words(question.content))

    def _known_before(self, plan: _Plan) -> dict[str, Any]:
        """What is written down before the first token, so that a killed app leaves it behind."""
        expected = self._engines.expected()
        known: dict[str, Any] = {
            "sampling_set": plan.sampling.to_dict(),
            "system_prompt": plan.settings.system_prompt,
            "preset": plan.settings.preset,
            **(plan.facts or {}),
        }
        if not plan.prefix:
            known.update(
                model=expected.model if expected is not None else None,
                model_sha256=expected.sha256 if expected is not None else None,
            )
        return known

    def _watcher(self, plan: _Plan, question: Message) -> Watcher | None:
        if self._make_watcher is None:
            return None
        return self._make_watcher(plan.settings, question.content, plan.prefix)

    def _job_before(self, question: Message) -> str | None:
        """The job whose answer the question follows, when that is still being written."""
        if question.parent_id is None:
            return None
        view = self._jobs.of_message(question.parent_id)
        return view.id if view is not None and view.active else None

    def _stop_writing(self, answer_id: str) -> None:
        view = self._jobs.of_message(answer_id)
        if view is not None and view.active:
            self._jobs.stop(view.id)
            self._jobs.wait(view.id, 5.0)

    async def _prepare(self, engine: Engine, plan: _Plan) -> Part:
        info = await engine.info()
        await asyncio.to_thread(self._forget_before, plan)
        prompt = await asyncio.to_thread(self._prompt, plan)
        prefix_ids = plan.prefix_ids if _same_model(plan.prefix_model, info) else ()
        tokens = await engine.count_prompt(prompt.messages, "" if prefix_ids else plan.prefix)
        tokens += len(prefix_ids)
        if info.context > 0:
            plan = plan.within(info.context - tokens)
        if 0 < info.context < tokens + plan.sampling.max_new_tokens:
            raise ContextExceeded(
                prompt_tokens=tokens, max_new_tokens=plan.sampling.max_new_tokens, context=info.context
            )
        return _part(plan, prompt, info, tokens, plan.prefix, prefix_ids, plan.sampling)

    async def _prepare_more(self, engine: Engine, plan: _Plan, outcome: Outcome) -> Part | None:
        """The next part of an answer that was cut by its length; as long as the context allows."""
        info = await engine.info()
        prompt = await asyncio.to_thread(self._prompt, plan)
        ids = outcome.token_ids
        tokens = len(ids) + await engine.count_prompt(prompt.messages, "" if ids else outcome.text)
        room = info.context - tokens if info.context > 0 else plan.sampling.max_new_tokens
        if room < SHORTEST_ANSWER:
            return None
        sampling = plan.sampling.with_(max_new_tokens=min(plan.sampling.max_new_tokens, room))
        return _part(plan, prompt, info, tokens, outcome.text, ids, sampling)

    def _prompt(self, plan: _Plan) -> Prompt:
        path = self._jobs.overlay(self._store.path(plan.question_id))
        if plan.fixed_history:
            return build_prompt(
                path, plan.settings.system_prompt, excluded=plan.excluded, history_from=plan.history_from
            )
        conversation = self._store.get_conversation(plan.conversation_id)
        return build_prompt(path, plan.settings.system_prompt, reset_after=_reset_after(conversation))

    def _plan_answer(self, plan: _Plan) -> ContextPlan:
        prompt = self._prompt(plan)
        used = set(prompt.used)
        path = [message for message in self._store.path(plan.question_id) if message.id in used]
        begun = Begun(plan.prefix, plan.prefix_ids)
        return self._check.plan(prompt, path[:-1], plan.sampling.max_new_tokens, begun)

    def _refuse_full(self, plan: _Plan) -> None:
        self._check.refuse_full(self._plan_answer(plan))

    def _mark_excluded(self, conversation_id: str, message_ids: Sequence[str], excluded: bool) -> None:
        self._store.get_conversation(conversation_id)
        for message_id in message_ids:
            if self._store.get_message(message_id).conversation_id != conversation_id:
                raise BadInput(reason=Reason("chat.refused.elsewhere"))
            self._store.update_message(message_id, excluded=excluded)
        self._tell_changed(conversation_id)

    def _mark_reset(self, conversation_id: str, keep_history: bool, after: str | None = None) -> None:
        """Let the model's state end with the message `after`, by default the newest one shown."""
        after = after or self._store.get_conversation(conversation_id).head_id
        self._store.update_conversation(
            conversation_id, state_reset_at=after, history_after_reset=keep_history
        )
        self._tell_changed(conversation_id)

    def _is_below(self, message_id: str, ancestor_id: str) -> bool:
        return any(message.id == ancestor_id for message in self._store.path(message_id))

    def _tell_changed(self, conversation_id: str) -> None:
        self._jobs.publish(conversation_id, {"type": "changed"})

    def _after_answer(self, plan: _Plan, answer_id: str, outcome: Outcome) -> None:
        """What follows an answer by itself: the promised force clear, a better title."""
        finished = outcome.view.finish_reason in FINISHED
        if finished and plan.settings.clear_after_answer:
            self._forget_up_to(plan.conversation_id, answer_id)
            self._jobs.submit(self._release_when_idle())
        elif finished and self._titles_by_model():
            conversation = self._store.get_conversation(plan.conversation_id)
            question = self._store.get_message(plan.question_id)
            if conversation.title_by == "first_words" and question.parent_id is None:
                self.retitle_when_idle(plan.conversation_id)
        self._to_clear.discard(answer_id)

    def _forget_before(self, plan: _Plan) -> None:
        """Keep the promise of the answer before a question that waited for it, should it not be kept yet."""
        before = self._store.get_message(plan.question_id).parent_id
        view = self._jobs.of_message(before) if before is not None else None
        if before is not None and view is not None and view.finish_reason in FINISHED:
            self._forget_up_to(plan.conversation_id, before)

    def _forget_up_to(self, conversation_id: str, answer_id: str) -> None:
        """Reset the conversation's state after an answer that was to be cleared, once."""
        with self._clear_lock:
            if answer_id in self._to_clear:
                self._mark_reset(conversation_id, False, after=answer_id)
                self._to_clear.discard(answer_id)

    async def _release_when_idle(self) -> None:
        """End the engine's process as soon as nothing is written or queued; nothing starts meanwhile."""
        await self._jobs.idle()
        await self._jobs.hold()
        try:
            if any(view.active for view in self._jobs.views()):
                self._jobs.submit(self._release_when_idle())
                return
            await self._engines.release()
            self._check.forget()
        except EngineError as error:
            log.warning("the engine was not cleared after an answer: %s", error)
        finally:
            await self._jobs.unhold()


def checked_text(text: str) -> str:
    """Return a question that can be stored and read; broken surrogates become U+FFFD."""
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if not text.strip():
        raise EmptyMessage()
    if len(text) > MAX_MESSAGE_CHARS:
        raise MessageTooLarge(size=len(text), limit=MAX_MESSAGE_CHARS)
    return text


def _changed(settings: Settings, changes: Mapping[str, Any] | None) -> Settings:
    """Return settings with parameters changed for one answer."""
    if not changes:
        return settings
    rest = dict(changes)
    system_prompt = rest.pop("system_prompt", settings.system_prompt)
    return replace(settings, sampling=settings.sampling.with_(**_known(rest)), system_prompt=system_prompt)


def _known(changes: Mapping[str, Any]) -> dict[str, Any]:
    Sampling.from_dict(changes)
    return dict(changes)


def _reset_after(conversation: Conversation) -> str | None:
    return None if conversation.history_after_reset else conversation.state_reset_at


def _same_model(model: tuple[str | None, str | None], info: EngineInfo) -> bool:
    """Token ids mean the same only to the same model."""
    name, sha256 = model
    if sha256 and info.model_sha256:
        return sha256 == info.model_sha256
    return name is not None and name == info.model


def _with_all_parts(answer: Message) -> Message:
    """Add the record of a part that a killed app could not write."""
    parts = parts_of(answer.provenance)
    written = parts[-1].get("to_char", 0) if parts else 0
    if len(answer.content) <= written:
        return answer
    tokens = len(answer.token_ids) - sum(part["completion_tokens"] for part in parts)
    parts.append(part_stub(answer, written, max(0, tokens)))
    return replace(answer, provenance={**answer.provenance, "parts": parts})


def _beginning(answer: Message, first: Mapping[str, Any]) -> Message:
    """Return the answer with only the text it was given before its first part: a fork's beginning."""
    chars, tokens = int(first.get("from_char") or 0), int(first.get("from_token") or 0)
    return replace(answer, content=answer.content[:chars], token_ids=answer.token_ids[:tokens])


def _kept_facts(known: Mapping[str, Any]) -> dict[str, Any]:
    """What stays true of a version that is made from another one."""
    return {name: known[name] for name in ("column", "forked_from") if name in known}


def _only_prob(outcome: Outcome) -> TokenProb:
    if outcome.view.error is not None:
        raise EngineError(reason=str(outcome.view.error.get("code")))
    if not outcome.probs:
        raise BadInput(reason=Reason("comparison.error.no_probs"))
    return outcome.probs[0]


def _replayed(part: Mapping[str, Any], *, last: bool) -> Sampling:
    """The parameters of a recorded part, its seed as it was used."""
    sampling = Sampling.from_dict(part["sampling_set"])
    if part.get("seed") is not None:
        sampling = sampling.with_(seed=int(part["seed"]))
    if not last and part["completion_tokens"]:
        sampling = sampling.with_(max_new_tokens=part["completion_tokens"])
    return sampling


def _candidates_for_guard(plan: _Plan, info: EngineInfo) -> int:
    """Servers of others may refuse or bill probabilities: they are asked only by a person's choice."""
    if "uncertainty" not in plan.settings.guard and not info.local:
        return 0
    return wanted_candidates(plan.settings.guard, plan.sampling.temperature)


def _part(
    plan: _Plan,
    prompt: Prompt,
    info: EngineInfo,
    tokens: int,
    prefix: str,
    prefix_ids: tuple[int, ...],
    sampling: Sampling,
) -> Part:
    return Part(
        request=GenerationRequest(
            messages=prompt.messages,
            sampling=sampling,
            prefix=prefix,
            prefix_ids=prefix_ids,
            n_probs=max(plan.n_probs, _candidates_for_guard(plan, info)),
        ),
        info=info,
        prompt_tokens=tokens,
        prompt_exact=True,
        facts={
            "kind": plan.kind,
            "system_prompt": plan.settings.system_prompt,
            "preset": plan.settings.preset,
            "excluded": list(prompt.excluded),
            "history_from": prompt.history_from,
            "n_probs": plan.n_probs,
            **(plan.facts or {}),
        },
    )
