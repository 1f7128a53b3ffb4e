"""Answers: questions are sent, answers written, continued, written anew, forked and replayed.

Synchronous and thread-safe; answers are written by the job manager while these methods have long
returned. Every answer is checked against the context before it is written (decision D5) and carries
its provenance (decision D4). Knows no database, server or screen.
"""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from twokeys.core.answer_plan import (
    KEPT_CANDIDATES,
    AnswerParts,
    AnswerPlan,
    History,
    Target,
    beginning,
    kept_facts,
    replayed,
    with_all_parts,
)
from twokeys.core.attachments import Attachment, facts_of, with_documents
from twokeys.core.by_hand import with_values
from twokeys.core.context import ContextPlan, first_words
from twokeys.core.context_check import Begun, ContextCheck
from twokeys.core.conversations import Conversations, Turn, not_deleted
from twokeys.core.drafting import choose_draft
from twokeys.core.force_clear import ForceClear
from twokeys.core.fork import fork_answer
from twokeys.core.guard import continue_differently
from twokeys.core.jobs import JobManager, JobSpec, JobView, Outcome
from twokeys.core.ports import ChatStore, EngineSource, WatcherFactory
from twokeys.core.provenance import PlannedPart, cut_back, cut_loop, probs_in
from twokeys.core.structured.schema import asked_settings, check_begun, check_honoured, schema_of
from twokeys.core.titles import Titles
from twokeys.documents import Document
from twokeys.engine import Engine
from twokeys.errors import BadInput, EmptyMessage, MessageTooLarge, Reason
from twokeys.ids import new_id
from twokeys.types import (
    AnswerSchema,
    Candidate,
    ChatMessage,
    Message,
    Provenance,
    Sampling,
    Settings,
    TokenProb,
)

MAX_MESSAGE_CHARS = 1_000_000
STOPPING_S = 5.0
NO_FACTS = Provenance()
FINISHED = ("stop", "stop_string")
"""How an answer ends that has said all it had to say."""


@dataclass(frozen=True, slots=True)
class Sent:
    """The answer that is being written to a question, and the job that writes it."""

    answer_message: Message
    job: JobView


class Answers:
    """Writes answers into conversations.

    n_probs: candidates to keep for every token of an answer, where the caller does not say; see AnswerPlan.
    """

    def __init__(
        self,
        store: ChatStore,
        conversations: Conversations,
        jobs: JobManager,
        engines: EngineSource,
        check: ContextCheck,
        parts: AnswerParts,
        force_clear: ForceClear,
        titles: Titles,
        *,
        make_watcher: WatcherFactory | None = None,
        n_probs: Callable[[], int | None] = lambda: 0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._conversations = conversations
        self._jobs = jobs
        self._engines = engines
        self._check = check
        self._parts = parts
        self._force_clear = force_clear
        self._titles = titles
        self._make_watcher = make_watcher
        self._n_probs = n_probs
        self._clock = clock
        self._hooks: list[Callable[[Turn, Outcome], None]] = []

    # ---- asking -----------------------------------------------------------------------------

    def send(
        self,
        conversation_id: str,
        text: str,
        *,
        n_probs: int | None = None,
        attachments: Sequence[Attachment] = (),
        answer_schema: AnswerSchema | None = None,
    ) -> Sent:
        """Store a question and start its answer; waits in the queue while another is written.

        n_probs: candidates kept for every token, 0 for none, None for the usual number.
        attachments: documents that stand before the question. answer_schema: the form of this message's
        answers; None for the conversation's.

        Raises EmptyMessage, MessageTooLarge (over MAX_MESSAGE_CHARS), ContextExceeded when the
        prompt and the answer cannot fit, SchemaRefused, NotFound, StoreError. Nothing is stored when it
        raises.
        """
        documents = [attachment.document for attachment in attachments]
        text = checked_text(with_documents(documents, checked_text(text)))
        with self._conversations.lock(conversation_id):
            turn = not_deleted(self._conversations.shown(conversation_id))
            facts = facts_of(attachments)
            if answer_schema is not None:
                facts = replace(facts, answer_schema=answer_schema.to_dict())
            return self._ask(turn, text, "send", n_probs, facts)

    def edit(self, user_message_id: str, text: str) -> Sent:
        """Ask a question in another way: a new branch beside the old question, with its answer.

        The documents before the old question stand before the new one. Raises what `send` raises; nothing
        is stored then.
        """
        turn = self._conversations.turn(user_message_id)
        if turn.last.role != "user":
            raise BadInput(reason=Reason("chat.refused.not_a_question"))
        known = turn.last.provenance
        facts = Provenance(
            documents=known.documents, question_at=known.question_at, answer_schema=known.answer_schema
        )
        text = checked_text(turn.last.before_own_words + checked_text(text))
        with self._conversations.lock(turn.conversation.id):
            return self._ask(turn.above, text, "edit", facts=facts)

    def plan(
        self,
        conversation_id: str,
        text: str = "",
        *,
        instead_of: str | None = None,
        documents: Sequence[Document] = (),
        answer_schema: AnswerSchema | None = None,
    ) -> ContextPlan:
        """Return what the next message would need, beside what the context holds.

        instead_of: a question whose own words the text is to replace, as `edit` and `regenerate` do.
        documents: those that stand before the text. answer_schema: as `send` takes it. Exact when the
        engine runs; an estimate, marked as such, when it would have to be started.
        """
        text = with_documents(documents, text)
        if instead_of is None:
            turn = self._conversations.shown(conversation_id)
        else:
            turn = self._conversations.turn(instead_of)
            turn, text = turn.above, turn.last.before_own_words + text
        question = self._question(turn, text)
        if answer_schema is not None:
            question = replace(question, provenance=Provenance(answer_schema=answer_schema.to_dict()))
        plan = self._new_plan(turn, question, "send", turn.conversation.settings)
        return self._needs(turn.followed_by(question), plan, asked=bool(text))

    def sent_prompt(self, answer_id: str) -> tuple[ChatMessage, ...]:
        """Return what the model read when it began an answer, word for word, as its provenance tells."""
        turn = self._conversations.answer(answer_id)
        plan = self._new_plan(turn.above, turn.above.last, "send", turn.conversation.settings)
        return plan.read_as(turn.last.provenance).prompt(turn.above).messages

    def _ask(
        self,
        turn: Turn,
        text: str,
        kind: str,
        n_probs: int | None = None,
        facts: Provenance = NO_FACTS,
    ) -> Sent:
        question = replace(self._question(turn, text), provenance=facts)
        plan = self._new_plan(turn, question, kind, turn.conversation.settings, n_probs)
        turn = turn.followed_by(question)
        self._check.refuse_overlong(self._needs(turn, plan))
        return self._start(turn, self._new_answer(plan), plan, new_question=True)

    def _question(self, turn: Turn, text: str) -> Message:
        parent_id = turn.last.id if turn.path else None
        return Message(new_id(), turn.conversation.id, parent_id, "user", text, self._clock())

    # ---- versions ---------------------------------------------------------------------------

    def regenerate(self, answer_id: str, changes: Mapping[str, object] | None = None) -> Sent:
        """Write a new version of an answer; the earlier one is kept beside it.

        changes: parameters of Sampling for this version only, or "system_prompt".
        A version that is still being written is stopped and kept as it is. Raises ContextExceeded, and
        stops and stores nothing, when prompt and answer cannot fit.
        """
        with self._conversations.locked_answer(answer_id) as answered:
            turn = answered.above
            settings = _changed(turn.conversation.settings, changes)
            plan = self._new_plan(turn, turn.last, "regenerate", settings)
            self._check.refuse_overlong(self._needs(turn, plan))
            self._stop_writing(answer_id)
            return self._start(turn, self._new_answer(plan), plan)

    def answer_question(self, question_id: str) -> Sent:
        """Write an answer to a stored question whose answer was deleted.

        Raises what `send` raises; nothing is stored then.
        """
        turn = not_deleted(self._conversations.turn(question_id))
        if turn.last.role != "user":
            raise BadInput(reason=Reason("chat.refused.not_a_question"))
        with self._conversations.lock(turn.conversation.id):
            plan = self._new_plan(turn, turn.last, "regenerate", turn.conversation.settings)
            self._check.refuse_overlong(self._needs(turn, plan))
            return self._start(turn, self._new_answer(plan), plan)

    def answer(
        self,
        question: Message,
        settings: Settings,
        *,
        kind: str,
        n_probs: int | None = None,
        facts: Mapping[str, object] | None = None,
        target: Target | None = None,
        turn: Turn | None = None,
    ) -> Sent:
        """Write an answer beside others to a stored question, with settings of its own.

        turn: the one that ends with the question, where it was read already.
        """
        with self._conversations.lock(question.conversation_id):
            plan = AnswerPlan(
                question.conversation_id,
                question.id,
                settings.sampling,
                settings,
                kind,
                n_probs=self._n_probs() if n_probs is None else n_probs,
                facts=facts,
                target=target,
                draft=choose_draft(settings, settings.sampling, _operation(facts)),
            )
            turn = turn or self._conversations.turn(question.id)
            return self._start(turn, self._new_answer(plan), plan)

    def replay(self, answer_id: str, *, target: Target | None = None, turn: Turn | None = None) -> Sent:
        """Run an answer again exactly so: same prompt, same parameters, the seed that was used.

        The result is a new version. Run alone on the same model and build it gives the same text.
        An answer written in several parts is written in the same parts again; a fork begins with the
        text it was given. turn: the one that ends with the answer, where it was read already.
        """
        with self._conversations.locked_answer(answer_id, turn) as turn:
            answer, known = turn.last, turn.last.provenance
            if not known.parts:
                raise BadInput(reason=Reason("chat.refused.no_record"))
            first, *later = replayed(answer)
            begun = beginning(answer)
            settings = replace(
                turn.conversation.settings, system_prompt=known.system_prompt or "", auto_continue=0
            )
            schema = schema_of(known)
            plan = replace(
                self._new_plan(turn.above, turn.above.last, "replay", settings),
                settings=replace(settings, answer_schema=schema),
                sampling=first,
                history=History.of(known),
                begun=begun,
                begun_by=(known.model, known.model_sha256),
                n_probs=known.n_probs,
                facts={**kept_facts(known), "replay_of": answer.id},
                target=target,
            )
            probs = self._store.get_probs(answer.id)[: len(begun.token_ids)] if begun.token_ids else []
            return self._start(turn.above, self._new_answer(plan), plan, later, probs=probs)

    def fork(
        self,
        answer_id: str,
        token_index: int,
        candidate: Candidate,
        *,
        facts: Mapping[str, object] | None = None,
        target: Target | None = None,
    ) -> Sent:
        """Let an answer grow on from another token, as a new version; the earlier one is kept.

        token_index: the place in the answer's stored probabilities (`Conversations.probs`).
        candidate: what stands there instead, usually one of that place's alternatives. The new version
        begins with the text before the token and the candidate, and goes on with the answer's own
        parameters; from its very tokens when their ids are known. Its provenance says `forked_from`:
        answer, token, at_char, before and after {text, token_id, logprob}. Raises BadInput while the
        answer is being written, for a place it has no probabilities of, or for a candidate that is
        only a piece of a character.
        """
        with self._conversations.locked_answer(answer_id) as turn:
            answer, known = turn.last, turn.last.provenance
            _refuse_being_written(answer, "comparison.error.being_written")
            fork = fork_answer(answer, self._store.get_probs(answer_id), token_index, candidate)
            settings = turn.conversation.settings
            sampling = Sampling.from_dict(known.sampling_set) if known.sampling_set else settings.sampling
            settings = replace(settings, sampling=sampling, preset=known.preset)
            plan = replace(
                self._new_plan(turn.above, turn.above.last, "fork", settings),
                begun=Begun(fork.text, fork.token_ids),
                n_probs=known.n_probs or self._n_probs(),
                facts={**kept_facts(known), **(facts or {}), "forked_from": fork.origin},
                target=target,
            ).read_as(known)
            self._check.refuse_full(self._needs(turn.above, plan))
            return self._start(turn.above, self._new_answer(plan), plan, probs=fork.probs)

    # ---- going on ---------------------------------------------------------------------------

    def continue_(
        self,
        answer_id: str,
        changes: Mapping[str, object] | None = None,
        *,
        facts: Mapping[str, object] | None = None,
        target: Target | None = None,
    ) -> Sent:
        """Go on with a cut or interrupted answer from its last token; the same message grows.

        It reads exactly what the answer read when it began. max_new_tokens counts anew, as far as the
        context has room. Raises BadInput while it is being written, ContextExceeded when less than
        SHORTEST_ANSWER is left.
        """
        with self._conversations.locked_answer(answer_id) as turn:
            return self._go_on(turn, turn.last, changes, facts, target)

    def plan_continue(self, answer_id: str) -> ContextPlan:
        """Return what going on with an answer would need: its prompt with the text that is there."""
        turn = self._conversations.answer(answer_id)
        return self._needs(turn.above, self._continuation(turn, turn.last, None, None))

    def continue_differently(
        self,
        answer_id: str,
        *,
        sampling: Sampling | None = None,
        facts: Mapping[str, object] | None = None,
        target: Target | None = None,
    ) -> Sent:
        """Go on after a loop, with parameters that leave it and a new seed.

        A loop that was only warned of is cut off first, as the guard would have done; its text stays
        in the provenance, where `changed` (name, before, after) says what was changed. Each attempt on
        the same answer goes further. sampling: what to change, by default the conversation's.
        """
        with self._conversations.locked_answer(answer_id) as turn:
            known = turn.last.provenance
            attempts = 1 + sum(bool(part.changed) for part in known.parts)
            dry = known.engine_kind == "llama.cpp"
            sampling = sampling or turn.conversation.settings.sampling
            retry = continue_differently(sampling, attempt=attempts, dry=dry)
            changed = [{"name": c.name, "before": c.before, "after": c.after} for c in retry.changes]
            facts = {**(facts or {}), "changed": changed}
            answer = cut_loop(with_all_parts(turn.last))
            return self._go_on(turn, answer, retry.sampling.to_dict(), facts, target)

    def _go_on(
        self,
        turn: Turn,
        answer: Message,
        changes: Mapping[str, object] | None,
        facts: Mapping[str, object] | None,
        target: Target | None,
    ) -> Sent:
        """Let an answer grow. answer: the turn's last message, or what is to be kept of it."""
        _refuse_being_written(answer, "chat.refused.being_written")
        answer = with_all_parts(answer)
        plan = replace(self._continuation(turn, answer, changes, facts), target=target)
        self._check.refuse_full(self._needs(turn.above, plan))
        return self._start(turn.above, answer, plan)

    def _continuation(
        self,
        turn: Turn,
        answer: Message,
        changes: Mapping[str, object] | None,
        facts: Mapping[str, object] | None,
    ) -> AnswerPlan:
        settings = _changed(turn.conversation.settings, changes)
        known = answer.provenance
        plan = replace(
            self._new_plan(turn.above, turn.above.last, "continue", settings),
            begun=Begun(answer.content, answer.token_ids),
            n_probs=known.n_probs,
            facts=facts,
        )
        return plan.read_as(known)

    def cut_back(self, answer_id: str) -> Message:
        """Make a new version of an answer that ends where the whole of it went downhill, and show it.

        The whole answer stays as the version before. Raises BadInput while it is being written, and
        when nothing was noticed that says where to cut.
        """
        with self._conversations.locked_answer(answer_id) as turn:
            answer = turn.last
            _refuse_being_written(answer, "chat.refused.being_written")
            cut = cut_back(answer)
            if cut is answer:
                raise BadInput(reason=Reason("guard.decay.no_turn"))
            new = replace(
                cut,
                id=new_id(),
                created_at=self._clock(),
                finish_reason="cancelled",
                provenance=replace(cut.provenance, cut_from=answer.id),
            )
            probs = probs_in(self._store.get_probs(answer.id), new.content)
            with self._store.transaction():
                self._store.add_message(new)
                if probs:
                    self._store.put_probs(new.id, probs)
                self._store.add_events(new.id, new.provenance.guard)
        self._conversations.select_version(new.id)
        return self._store.get_message(new.id)

    def stop(self, conversation_id: str) -> list[str]:
        """Stop what is written and queued in a conversation; return the ids of the jobs."""
        return self._jobs.stop_all(conversation_id)

    def on_answered(self, hook: Callable[[Turn, Outcome], None]) -> None:
        """Call `hook` in a worker thread after every answer, with the turn that its question ends."""
        self._hooks.append(hook)

    # ---- within -----------------------------------------------------------------------------

    def _new_plan(
        self, turn: Turn, question: Message, kind: str, settings: Settings, n_probs: int | None = None
    ) -> AnswerPlan:
        if n_probs is None:
            n_probs = self._kept_probs(settings)
        settings = asked_settings(settings, question)
        draft = choose_draft(settings, settings.sampling)
        return AnswerPlan(
            turn.conversation.id, question.id, settings.sampling, settings, kind, n_probs=n_probs, draft=draft
        )

    def _kept_probs(self, settings: Settings) -> int | None:
        """Return how many candidates to keep for every token of a conversation's answer; see AnswerPlan."""
        if settings.keep_probs is None:
            return self._n_probs()
        return KEPT_CANDIDATES if settings.keep_probs else 0

    def _new_answer(self, plan: AnswerPlan) -> Message:
        return Message(
            id=new_id(),
            conversation_id=plan.conversation_id,
            parent_id=plan.question_id,
            role="assistant",
            content=plan.begun.text,
            created_at=self._clock(),
            state="queued",
            token_ids=plan.begun.token_ids,
        )

    def _needs(self, turn: Turn, plan: AnswerPlan, *, asked: bool = True) -> ContextPlan:
        """Return what an answer needs. turn: ends with its question. asked: whether there is one yet."""
        prompt = plan.prompt(turn if asked else turn.above)
        used = set(prompt.used)
        history = [message for message in turn.above.path if message.id in used]
        return self._check.plan(prompt, history, plan.sampling.max_new_tokens, plan.begun)

    def _start(
        self,
        turn: Turn,
        answer: Message,
        plan: AnswerPlan,
        later: Sequence[Sampling] = (),
        *,
        new_question: bool = False,
        probs: Sequence[TokenProb] = (),
    ) -> Sent:
        """Store and queue the answer. turn: ends with its question.

        later: parameters of further parts when it is a replay. probs: of the text that it begins with.
        """
        # what waits for others is read again when its turn has come: they may be what it follows
        waits = any(job.active for job in self._jobs.views())
        # what was still being written when the turn was read may have ended since, and is longer by now
        grows = waits or any(message.state in ("queued", "streaming") for message in turn.path)
        answer = replace(
            answer,
            state="queued" if waits else "streaming",
            finish_reason=None,
            error=None,
            provenance=self._known_before(answer.provenance, plan),
        )
        self._check.refuse_without_engine()
        if plan.begun.text or later:
            self._check.refuse_without_prefill()
        self._refuse_schema(plan)
        question = turn.last
        # stored before the job starts: its thread reads what is committed
        if new_question:
            self._store.begin_turn(question, answer, _title_from(turn))
        else:
            with self._store.transaction():
                self._store.begin(answer)
                if probs:
                    self._store.put_probs(answer.id, probs)
        view = self._jobs.start(
            JobSpec(
                topic=plan.conversation_id,
                engine=self._engine(plan),
                engine_config=plan.target.engine_config if plan.target else "",
                prepare=lambda engine: self._parts.first(engine, plan, None if grows else turn),
                message=answer,
                begun=True,
                more=self._further_parts(plan, later),
                after=self._job_before(question),
                watcher=self._watcher(plan, question),
                keep_probs=plan.n_probs != 0,
                on_done=lambda outcome: self._after_answer(turn, plan, outcome),
            )
        )
        self._conversations.tell_changed(plan.conversation_id)
        return Sent(answer, view)

    def _refuse_schema(self, plan: AnswerPlan) -> None:
        """Raise what stands in the way of the form that is asked for, before anything is stored."""
        schema = plan.settings.answer_schema
        if schema is None:
            return
        check_honoured(schema)
        if plan.begun.text:
            check_begun(schema, plan.begun.text)
        if plan.target is None:
            self._check.refuse_without_schema(plan.begun)

    def _engine(self, plan: AnswerPlan) -> Callable[[], Awaitable[Engine]]:
        """Return what gives the engine of an answer when its turn has come."""
        if plan.target is not None:
            return plan.target.engine
        if plan.draft is None:
            return self._engines.ready
        return partial(self._engines.drafting, plan.draft.name)

    def _further_parts(self, plan: AnswerPlan, later: Sequence[Sampling]) -> Callable[[Outcome, Engine], Any]:
        """Return what is asked after each part cut by its length: a replay's parts, then auto-continue."""
        waiting = list(later)
        left = [plan.settings.auto_continue]

        async def more(outcome: Outcome, engine: Engine) -> PlannedPart | None:
            if waiting:
                following = replace(plan, sampling=waiting.pop(0), kind="replay")
            elif left[0] > 0:
                left[0] -= 1
                following = replace(plan, kind="auto_continue")
            else:
                return None
            return await self._parts.next(engine, following, outcome)

        return more

    def _known_before(self, so_far: Provenance, plan: AnswerPlan) -> Provenance:
        """What is written down before the first token, so that a killed app leaves it behind."""
        facts = {
            "sampling_set": plan.sampling.to_dict(),
            "system_prompt": plan.settings.system_prompt,
            "preset": plan.settings.preset,
            "answer_schema": plan.settings.answer_schema and plan.settings.answer_schema.to_dict(),
            **(plan.facts or {}),
        }
        known = Provenance.from_dict({**so_far.to_dict(), **facts})
        if plan.begun.text:
            return known
        expected = self._engines.expected()
        return replace(
            known,
            model=expected.model if expected is not None else None,
            model_sha256=expected.sha256 if expected is not None else None,
        )

    def _watcher(self, plan: AnswerPlan, question: Message) -> Any:
        if self._make_watcher is None:
            return None
        return self._make_watcher(plan.settings, question.own_words, plan.begun.text)

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
            self._jobs.wait(view.id, STOPPING_S)

    def _after_answer(self, turn: Turn, plan: AnswerPlan, outcome: Outcome) -> None:
        """What follows an answer by itself: the promised force clear, a better title; who else listens."""
        for hook in self._hooks:
            hook(turn, outcome)
        if outcome.view.finish_reason not in FINISHED or outcome.message is None:
            return
        if plan.settings.clear_after_answer:
            self._conversations.mark_reset(
                plan.conversation_id, True, after=outcome.message.id, by_itself=True
            )
            self._force_clear.release_when_idle()
        elif not turn.above.path and turn.conversation.title_by == "first_words":
            self._titles.after_first_answer(plan.conversation_id)


def checked_text(text: str) -> str:
    """Return a question that can be stored and read; broken surrogates become U+FFFD."""
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if not text.strip():
        raise EmptyMessage()
    if len(text) > MAX_MESSAGE_CHARS:
        raise MessageTooLarge(size=len(text), limit=MAX_MESSAGE_CHARS)
    return text


def _title_from(turn: Turn) -> str | None:
    """A conversation is called by its first words until something better is found."""
    first = not turn.above.path and turn.conversation.title_by == "first_words"
    return first_words(turn.last.own_words) if first else None


def _changed(settings: Settings, changes: Mapping[str, Any] | None) -> Settings:
    """Return settings with parameters, or the system prompt, changed for one answer."""
    values = dict(changes or {})
    system_prompt = values.pop("system_prompt", None)
    return with_values(settings, values, system_prompt=system_prompt)


def _operation(facts: Mapping[str, object] | None) -> str | None:
    """Return what the writer does, from the facts it gives along."""
    writing = (facts or {}).get("writing")
    return str(writing.get("operation")) if isinstance(writing, Mapping) else None


def _refuse_being_written(answer: Message, reason: str) -> None:
    if answer.state in ("queued", "streaming"):
        raise BadInput(reason=Reason(reason))
