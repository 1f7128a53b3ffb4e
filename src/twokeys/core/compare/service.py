"""Comparisons: everything a screen or a command asks of them. `services.compare` is one of these.

All methods are synchronous and may be called from any thread. The columns are written by jobs of the
topic `comparison.conversation_id`, so the live WebSocket draws them as it draws a chat; each job's
`message_id` is its column's answer. A {"type": "changed"} on that topic says: read again.
"""

import asyncio
import logging
import random
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, Protocol

from twokeys.core.chat import ChatService, Place, Sent, checked_text
from twokeys.core.compare import export, votes
from twokeys.core.compare.column import DEFAULT_TEMPERATURES, Column, check_columns, temperature_columns
from twokeys.core.compare.comparison import (
    KIND,
    TITLE_LENGTH,
    Blind,
    ColumnView,
    ComparePlan,
    Comparison,
    ComparisonRow,
    Kept,
    Source,
)
from twokeys.core.compare.difference import Difference, Unit, compare_texts
from twokeys.core.compare.figures import Figures, measure_answer
from twokeys.core.compare.reading import ColumnEngine, SharedReading, SlotKeeper, Told, column_context
from twokeys.core.compare.record import Record, column_dict, read_column, reading_of, source_dict
from twokeys.core.compare.stage import Stage
from twokeys.core.compare.votes import Standing
from twokeys.core.context import build_prompt, first_words
from twokeys.core.context_check import ContextCheck, PromptCount, refuse_count
from twokeys.core.jobs import JobManager
from twokeys.core.ports import ChatStore, DocumentStore, EngineSource
from twokeys.core.presets import Presets
from twokeys.engine import Engine
from twokeys.errors import BadInput, NotFound, Reason, TwoKeysError
from twokeys.ids import new_id
from twokeys.types import (
    BOUNDS,
    Candidate,
    ChatMessage,
    Conversation,
    Document,
    Message,
    Preset,
    Settings,
    TokenProb,
    Vote,
)

log = logging.getLogger(__name__)

N_PROBS = 5
"""Candidates kept for every token of a column."""

EVERY = 100_000
"""As a limit: all comparisons."""


class ComparisonDocuments(DocumentStore, Protocol):
    """Where comparisons and votes are stored: the repository's documents."""

    def add_vote(self, document_id: str | None, key: str, data: Mapping[str, Any]) -> Vote: ...

    def votes(self, document_id: str | None = None) -> list[Vote]: ...


class CompareStore(ChatStore, Protocol):
    """Where the answers are stored: the repository."""

    @property
    def documents(self) -> ComparisonDocuments: ...

    def add_messages(self, messages: Sequence[Message]) -> None: ...

    def delete_conversation(self, conversation_id: str) -> str: ...


class CompareService:
    """See the module."""

    def __init__(
        self,
        store: CompareStore,
        jobs: JobManager,
        chat: ChatService,
        engines: EngineSource,
        check: ContextCheck,
        stage: Stage,
        presets: Presets,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._jobs = jobs
        self._chat = chat
        self._engines = engines
        self._check = check
        self._stage = stage
        self._presets = presets
        self._clock = clock
        self._lock = threading.RLock()
        self._latest: dict[str, Told] = {}

    # ---- starting -------------------------------------------------------------------------------

    def default_columns(
        self, settings: Settings | None = None, temperatures: Sequence[float] = DEFAULT_TEMPERATURES
    ) -> tuple[Column, ...]:
        """Return columns at these temperatures, all else as in the settings (0.3, 0.7, 1.0: S6)."""
        return temperature_columns((settings or Settings()).sampling, temperatures)

    def preset_column(self, preset: str, settings: Settings | None = None) -> Column:
        """Return a column with a preset applied to the settings, its role too. Raises NotFound."""
        found = self._presets.get(preset)
        applied = self._presets.apply(found, settings or Settings())
        return Column(applied.sampling, preset=found.name, system_prompt=found.system_prompt)

    def plan(
        self,
        text: str,
        columns: Sequence[Column],
        *,
        conversation_id: str | None = None,
        message_id: str | None = None,
        settings: Settings | None = None,
    ) -> ComparePlan:
        """Return what `start` (or, with message_id, `start_from`) would need. Nothing is started."""
        if message_id is not None:
            found, history = self._from_here(message_id)
            text, settings = found.content, settings or self._settings_of(found.conversation_id)
        else:
            history = self._so_far(conversation_id)
            settings = settings or self._settings_of(conversation_id)
        return self._plan(self._prompts(history, text, columns, settings), columns)

    def start(
        self,
        text: str,
        columns: Sequence[Column],
        *,
        conversation_id: str | None = None,
        settings: Settings | None = None,
        same_seed: bool = True,
        seed: int | None = None,
        task_type: str | None = None,
        blind: bool = False,
        n_probs: int = N_PROBS,
    ) -> Comparison:
        """Ask one question in two to eight columns at once; return at once, the columns stream.

        conversation_id: read that conversation's shown turns before the question. settings: role
        (system_prompt) and guard; the conversation's own by default. same_seed: all columns whose
        sampling has no seed get one and the same, `seed` or a drawn one; otherwise each its own.
        task_type: what kind of task it is, for the votes. blind: begin with a blind vote (see
        `hide`). Raises EmptyMessage, MessageTooLarge, BadInput, ContextExceeded, NotFound,
        ModelMissing; nothing is stored when it raises.
        """
        text = checked_text(text)
        history = self._so_far(conversation_id)
        source = None
        if conversation_id is not None:
            head = self._store.get_conversation(conversation_id).head_id
            source = Source(conversation_id, None, head)
        return self._begin(
            text,
            history,
            columns,
            settings or self._settings_of(conversation_id),
            source,
            same_seed=same_seed,
            seed=seed,
            task_type=task_type,
            blind=blind,
            n_probs=n_probs,
        )

    def start_from(
        self,
        message_id: str,
        columns: Sequence[Column],
        *,
        same_seed: bool = True,
        seed: int | None = None,
        task_type: str | None = None,
        blind: bool = False,
        n_probs: int = N_PROBS,
    ) -> Comparison:
        """Compare from here: ask a question of a conversation again, its turns so far included.

        message_id: a question, or an answer, whose question is taken then. Raises like `start`.
        """
        question, history = self._from_here(message_id)
        return self._begin(
            question.content,
            history,
            columns,
            self._settings_of(question.conversation_id),
            Source(question.conversation_id, question.id, question.parent_id),
            same_seed=same_seed,
            seed=seed,
            task_type=task_type,
            blind=blind,
            n_probs=n_probs,
        )

    def again(self, comparison_id: str, columns: Sequence[Column] | None = None) -> Comparison:
        """Start a new comparison of the same question, by default with the same columns."""
        old = self.get(comparison_id)
        conversation = self._store.get_conversation(old.conversation_id)
        if columns is None:
            columns = [
                Column(
                    column.sampling.with_(seed=None) if old.same_seed else column.sampling,
                    column.label,
                    column.preset,
                    column.system_prompt,
                )
                for column in old.columns
            ]
        return self._begin(
            old.question.content,
            old.history,
            columns,
            conversation.settings,
            old.source,
            same_seed=old.same_seed,
            seed=None,
            task_type=old.task_type,
            blind=False,
            n_probs=N_PROBS,
        )

    def _begin(
        self,
        text: str,
        history: Sequence[Message],
        columns: Sequence[Column],
        settings: Settings,
        source: Source | None,
        *,
        same_seed: bool,
        seed: int | None,
        task_type: str | None,
        blind: bool,
        n_probs: int,
    ) -> Comparison:
        columns = seeded(check_columns(columns), same_seed, seed)
        prompts = self._prompts(history, text, columns, settings)
        self._refuse(self._plan(prompts, columns), columns)
        self._check.refuse_without_engine()
        conversation, question = self._copy(text, history, settings)
        record = Record(
            conversation.id,
            question.id,
            [],
            source=None if source is None else source_dict(source),
            same_seed=same_seed,
            task_type=task_type,
            blind={"order": shuffled(len(columns)), "revealed": False} if blind else None,
        )
        document = self._store.documents.create(KIND, conversation.title, record.to_dict())
        reading = SharedReading(
            self._stage,
            self._engines,
            prompts,
            longest=max(column.sampling.max_new_tokens for column in columns),
            on_told=lambda told: self._keep_told(document.id, conversation.id, told),
        )
        sent: list[Sent] = []
        try:
            for number, column in enumerate(columns):
                sent.append(self._write(question, number, column, settings, reading, n_probs))
        except BaseException:
            self._jobs.stop_all(conversation.id)
            self._store.documents.delete(document.id)
            self._store.delete_conversation(conversation.id)
            raise
        made = [column_dict(column, one) for column, one in zip(columns, sent, strict=True)]
        self._change(document.id, lambda kept: setattr(kept, "columns", made))
        return self.get(document.id)

    def _write(
        self,
        question: Message,
        number: int,
        column: Column,
        settings: Settings,
        reading: SharedReading,
        n_probs: int,
    ) -> Sent:
        async def engine() -> Engine:
            return ColumnEngine(reading, number)

        return self._chat.answer(
            question,
            own_settings(settings, column),
            kind="compare",
            n_probs=n_probs,
            facts={"column": number},
            place=Place(engine, shape_of(question.conversation_id)),
        )

    def _copy(
        self, text: str, history: Sequence[Message], settings: Settings
    ) -> tuple[Conversation, Message]:
        """Store the hidden conversation: copies of what is read before the question, and the question."""
        now = self._clock()
        title = first_words(text)
        plain = replace(settings, clear_after_answer=False, auto_continue=0)
        conversation = Conversation(
            new_id(), title, now, now, title_by="person", settings=plain, kind="comparison"
        )
        copies: list[Message] = []
        parent: str | None = None
        for message in [*history, Message("", "", None, "user", text, now)]:
            copies.append(
                replace(
                    message,
                    id=new_id(),
                    conversation_id=conversation.id,
                    parent_id=parent,
                    excluded=False,
                    state="done",
                )
            )
            parent = copies[-1].id
        with self._store.transaction():
            self._store.create_conversation(conversation)
            self._store.add_messages(copies)
            self._store.update_conversation(conversation.id, head_id=parent)
        return conversation, copies[-1]

    def _so_far(self, conversation_id: str | None) -> Sequence[Message]:
        """Return the turns of a conversation that its next message would be read with."""
        if conversation_id is None:
            return ()
        conversation = self._store.get_conversation(conversation_id)
        if conversation.deleted_at is not None:
            raise NotFound(kind="conversation", name=conversation_id)
        return self._read_turns(conversation, self._chat.messages(conversation_id))

    def _from_here(self, message_id: str) -> tuple[Message, Sequence[Message]]:
        message = self._store.get_message(message_id)
        if message.role == "assistant" and message.parent_id is not None:
            message = self._store.get_message(message.parent_id)
        if message.role != "user":
            raise BadInput(reason=Reason("comparison.error.no_question"))
        conversation = self._store.get_conversation(message.conversation_id)
        path = self._jobs.overlay(self._store.path(message.id))
        return message, self._read_turns(conversation, path)[:-1]

    def _read_turns(self, conversation: Conversation, path: Sequence[Message]) -> Sequence[Message]:
        reset = None if conversation.history_after_reset else conversation.state_reset_at
        used = set(build_prompt(path, "", reset_after=reset).used)
        if path and path[-1].role == "user":
            used.add(path[-1].id)
        kept = [message for message in path if message.id in used]
        if any(message.state in ("queued", "streaming") for message in kept):
            raise BadInput(reason=Reason("comparison.error.being_written"))
        return kept

    def _settings_of(self, conversation_id: str | None) -> Settings:
        return (
            Settings() if conversation_id is None else self._store.get_conversation(conversation_id).settings
        )

    def _prompts(
        self, history: Sequence[Message], text: str, columns: Sequence[Column], settings: Settings
    ) -> list[tuple[ChatMessage, ...]]:
        question = Message(new_id(), "", None, "user", text, self._clock())
        path = [replace(message, excluded=False) for message in history]
        return [
            build_prompt([*path, question], own_settings(settings, column).system_prompt).messages
            for column in columns
        ]

    def _plan(self, prompts: Sequence[tuple[ChatMessage, ...]], columns: Sequence[Column]) -> ComparePlan:
        count = self._check.count(set(prompts))
        longest = max(column.sampling.max_new_tokens for column in columns)
        limit = self._check.context()
        prospect = self._stage.prospect(len(columns), column_context(count.tokens, longest))
        return ComparePlan(
            prompt_tokens=count.tokens,
            exact=count.exact,
            context=count.tokens + longest,
            fits=limit <= 0 or count.tokens + longest <= limit,
            sharing=prospect.sharing,
            needed_bytes=prospect.needed_bytes,
            available_bytes=prospect.available_bytes,
        )

    def _refuse(self, plan: ComparePlan, columns: Sequence[Column]) -> None:
        """Refuse what cannot fit; an estimate is in doubt, and the jobs count exactly later."""
        longest = max(column.sampling.max_new_tokens for column in columns)
        refuse_count(PromptCount(plan.prompt_tokens, plan.exact), longest, self._check.context())

    def _keep_told(self, comparison_id: str, topic: str, told: Told) -> None:
        """Write down how the question is shared; called on the loop, so a worker thread writes it."""
        self._latest[comparison_id] = told

        def change(record: Record) -> None:
            latest = self._latest[comparison_id]
            record.sharing, record.reading = latest.sharing, {"read_tokens": latest.read_tokens}

        def store() -> None:
            try:
                self._change(comparison_id, change)
            except TwoKeysError as error:
                log.warning("how a question was shared was not stored: %s", error)
            self._jobs.publish(topic, {"type": "changed"})

        asyncio.get_running_loop().run_in_executor(None, store)

    # ---- reading --------------------------------------------------------------------------------

    def get(self, comparison_id: str) -> Comparison:
        """Return a comparison with its live text. Raises NotFound."""
        document = self._document(comparison_id)
        record = Record.from_dict(document.data)
        conversation = self._store.get_conversation(record.conversation_id)
        path = self._store.path(record.question_id)
        answers = self._answers(record)
        views = tuple(
            self._column_view(number, column, answers[column["answer_id"]])
            for number, column in enumerate(record.columns)
        )
        return Comparison(
            id=document.id,
            title=document.title,
            created_at=document.created_at,
            updated_at=document.updated_at,
            conversation_id=record.conversation_id,
            question=path[-1],
            history=tuple(path[:-1]),
            system_prompt=conversation.settings.system_prompt,
            columns=views,
            source=None if record.source is None else Source(**record.source),
            same_seed=record.same_seed,
            sharing=record.sharing,
            reading=reading_of(record, [view.answer for view in views]),
            task_type=record.task_type,
            blind=None
            if record.blind is None
            else Blind(tuple(record.blind["order"]), bool(record.blind["revealed"])),
            deleted_at=document.deleted_at,
        )

    def _answers(self, record: Record) -> dict[str, Message]:
        messages = [self._store.get_message(column["answer_id"]) for column in record.columns]
        return {message.id: message for message in self._jobs.overlay(messages)}

    def _column_view(self, number: int, column: Mapping[str, Any], answer: Message) -> ColumnView:
        made = read_column(column)
        return ColumnView(
            index=number,
            name=made.name,
            label=made.label,
            sampling=made.sampling,
            preset=made.preset,
            system_prompt=made.system_prompt,
            answer=answer,
            job=self._jobs.of_message(answer.id),
            answer_ids=tuple(column["answer_ids"]),
            kept_as=column["kept_as"].get(answer.id),
        )

    def list(self, limit: int = 50, offset: int = 0, query: str = "") -> Sequence[ComparisonRow]:
        """Return the comparisons, the latest first; with a query those that have all its words.

        They are looked for in title, question and shown answers, whatever their case.
        """
        rows = []
        words = query.casefold().split()
        if words:
            every = self._store.documents.of_kind(KIND, EVERY)
            documents = [one for one in every if self._has(one, words)][offset : offset + limit]
        else:
            documents = self._store.documents.of_kind(KIND, limit, offset)
        for document in documents:
            record = Record.from_dict(document.data)
            names = tuple(read_column(column).name for column in record.columns)
            rows.append(
                ComparisonRow(document.id, document.title, document.updated_at, names, record.task_type)
            )
        return rows

    def _has(self, document: Document, words: Sequence[str]) -> bool:
        record = Record.from_dict(document.data)
        ids = [record.question_id, *(column["answer_id"] for column in record.columns)]
        texts = [document.title, *(self._store.get_message(one).content for one in ids)]
        text = "\n".join(texts).casefold()
        return all(word in text for word in words)

    def rename(self, comparison_id: str, title: str) -> None:
        """Give a comparison another title; an empty one changes nothing. Raises NotFound."""
        self._document(comparison_id)
        if title.strip():
            self._store.documents.update(comparison_id, title=" ".join(title.split())[:TITLE_LENGTH])

    def probs(self, comparison_id: str, column: int) -> Sequence[TokenProb]:
        """Return the probabilities of a column's shown answer; empty while it is being written."""
        return self._store.get_probs(self._column(comparison_id, column).answer.id)

    def distribution(
        self, comparison_id: str, column: int, token_index: int, candidates: int = 100
    ) -> TokenProb:
        """Ask for the likeliest candidates at one place of a column; see ChatService.distribution."""
        view = self._column(comparison_id, column)
        place = self._later_place(comparison_id, column, view.answer)
        return self._chat.distribution(view.answer.id, token_index, candidates, place=place)

    def difference(self, comparison_id: str, first: int, second: int, unit: Unit = "word") -> Difference:
        """Return what differs between the shown answers of two columns."""
        comparison = self.get(comparison_id)
        one, other = _at(comparison, first), _at(comparison, second)
        return compare_texts(one.answer.content, other.answer.content, unit)

    def figures(self, comparison_id: str) -> Sequence[Figures]:
        """Return the figures of every column, by column number."""
        return [
            measure_answer(view.answer, self._store.get_probs(view.answer.id))
            for view in self.get(comparison_id).columns
        ]

    # ---- while it runs, and after ---------------------------------------------------------------

    def stop(self, comparison_id: str, column: int | None = None) -> None:
        """Stop one column, or all; the text so far is kept."""
        comparison = self.get(comparison_id)
        if column is None:
            self._jobs.stop_all(comparison.conversation_id)
            return
        job = _at(comparison, column).job
        if job is not None and job.active:
            self._jobs.stop(job.id)
            self._jobs.wait(job.id, 5.0)

    def continue_(self, comparison_id: str, column: int) -> Comparison:
        """Go on with a cut column, with its own parameters. Raises like ChatService.continue_."""
        view = self._column(comparison_id, column)
        changes: dict[str, Any] = {**view.sampling.to_dict()}
        self._chat.continue_(
            view.answer.id,
            changes,
            facts={"column": column, "preset": view.preset},
            place=self._later_place(comparison_id, column, view.answer),
        )
        return self.get(comparison_id)

    def continue_differently(self, comparison_id: str, column: int) -> Comparison:
        """Go on with a column after a loop. See ChatService.continue_differently."""
        view = self._column(comparison_id, column)
        self._chat.continue_differently(
            view.answer.id,
            sampling=view.sampling,
            facts={"column": column, "preset": view.preset},
            place=self._later_place(comparison_id, column, view.answer),
        )
        return self.get(comparison_id)

    def rerun(self, comparison_id: str, column: int, *, same_seed: bool = False) -> Comparison:
        """Write a column anew as another version of it; with the seed it used, or with a new one."""
        view = self._column(comparison_id, column)
        place = self._later_place(comparison_id, column, view.answer)
        if same_seed:
            sent = self._chat.replay(view.answer.id, place=place)
        else:
            comparison = self.get(comparison_id)
            settings = self._store.get_conversation(comparison.conversation_id).settings
            made = Column(view.sampling.with_(seed=None), view.label, view.preset, view.system_prompt)
            sent = self._chat.answer(
                comparison.question,
                own_settings(settings, made),
                kind="compare",
                n_probs=int(view.answer.provenance.get("n_probs") or N_PROBS),
                facts={"column": column},
                place=place,
            )
        return self._new_version(comparison_id, column, sent)

    def fork(self, comparison_id: str, column: int, token_index: int, token_id: int) -> Comparison:
        """Let a column grow on from another token, as a new version; see ChatService.fork.

        token_id: of one of the alternatives at that place.
        """
        view = self._column(comparison_id, column)
        candidate = alternative(self._store.get_probs(view.answer.id), token_index, token_id)
        sent = self._chat.fork(
            view.answer.id,
            token_index,
            candidate,
            facts={"column": column},
            place=self._later_place(comparison_id, column, view.answer),
        )
        return self._new_version(comparison_id, column, sent)

    def show_version(self, comparison_id: str, column: int, answer_id: str) -> Comparison:
        """Show another version of a column."""
        if answer_id not in self._column(comparison_id, column).answer_ids:
            raise NotFound(kind="message", name=answer_id)

        def change(record: Record) -> None:
            record.columns[column]["answer_id"] = answer_id

        self._change(comparison_id, change)
        return self._told(comparison_id)

    def keep(self, comparison_id: str, column: int) -> Kept:
        """Make a column's answer the answer in the conversation that the comparison came from.

        It becomes a version beside the answer there, or follows the question when that was new.
        Without such a conversation a new one is made of question and answer. Keeping the same
        answer twice returns what was made the first time. Raises BadInput while it is written.
        """
        comparison = self.get(comparison_id)
        view = _at(comparison, column)
        if view.active:
            raise BadInput(reason=Reason("comparison.error.being_written"))
        if view.kept_as is not None and (kept := self._message(view.kept_as)) is not None:
            return Kept(kept.conversation_id, kept.id, False)
        facts = {"kept_from": {"comparison": comparison.id, "column": column, "answer": view.answer.id}}
        probs = self._store.get_probs(view.answer.id)
        with self._store.transaction():
            conversation_id, question_id, created = self._keeping_place(comparison, view)
            answer = replace(
                view.answer,
                id=new_id(),
                conversation_id=conversation_id,
                parent_id=question_id,
                created_at=self._clock(),
                excluded=False,
                provenance={**view.answer.provenance, **facts},
            )
            self._store.add_message(answer)
            if probs:
                self._store.put_probs(answer.id, probs)
        self._change(
            comparison_id,
            lambda record: record.columns[column]["kept_as"].update({view.answer.id: answer.id}),
        )
        self._jobs.publish(conversation_id, {"type": "changed"})
        self._told(comparison_id)
        return Kept(conversation_id, answer.id, created)

    def _keeping_place(self, comparison: Comparison, view: ColumnView) -> tuple[str, str, bool]:
        """Return conversation and question that the kept answer goes to, and whether they are new."""
        source = comparison.source
        conversation = None
        if source is not None:
            conversation = self._conversation(source.conversation_id)
        if conversation is not None and source is not None:
            if source.question_id is not None and self._message(source.question_id) is not None:
                return conversation.id, source.question_id, False
            parent = source.parent_id
            if source.question_id is None and (parent is None or self._message(parent) is not None):
                return conversation.id, self._add_question(conversation.id, parent, comparison), False
        made = self._chat.new_conversation(
            Settings(
                view.sampling.with_(seed=None),
                view.system_prompt if view.system_prompt is not None else comparison.system_prompt,
                view.preset,
            )
        )
        self._store.update_conversation(made.id, title=first_words(comparison.question.content))
        above: str | None = None
        for message in comparison.history:
            above = self._store.add_message(
                replace(message, id=new_id(), conversation_id=made.id, parent_id=above)
            ).id
        return made.id, self._add_question(made.id, above, comparison), True

    def _add_question(self, conversation_id: str, parent: str | None, comparison: Comparison) -> str:
        """Add the question; one that the person added there already by keeping is used again."""
        siblings = [m for view in comparison.columns if view.kept_as and (m := self._message(view.kept_as))]
        for kept in siblings:
            if kept.conversation_id == conversation_id and kept.parent_id is not None:
                return kept.parent_id
        question = replace(
            comparison.question,
            id=new_id(),
            conversation_id=conversation_id,
            parent_id=parent,
            created_at=self._clock(),
        )
        return self._store.add_message(question).id

    # ---- the blind vote -------------------------------------------------------------------------

    def hide(self, comparison_id: str, task_type: str | None = None) -> Comparison:
        """Begin a blind vote: shuffle the columns and hide their parameters (`comparison.blind`)."""

        def change(record: Record) -> None:
            record.blind = {"order": shuffled(len(record.columns)), "revealed": False}
            record.task_type = task_type or record.task_type

        self._change(comparison_id, change)
        return self._told(comparison_id)

    def vote(
        self,
        comparison_id: str,
        best: Sequence[int],
        among: Sequence[int] | None = None,
        *,
        task_type: str | None = None,
    ) -> Comparison:
        """Store a judgement: `best` of the columns `among` (all by default).

        best: one column number, or several for a tie. among: the columns compared, two for a pair.
        A vote after the reveal is stored as not blind and counts in no estimate. A second vote
        on the same columns replaces the first. Raises BadInput while a column is being written.
        """
        comparison = self.get(comparison_id)
        numbers = sorted({*(range(len(comparison.columns)) if among is None else among)})
        views = [_at(comparison, number) for number in numbers]
        if len(views) < 2 or not best or not set(best) <= set(numbers):
            raise BadInput(reason=Reason("comparison.error.vote"))
        if any(view.active for view in views):
            raise BadInput(reason=Reason("comparison.error.being_written"))
        blind = comparison.blind is not None and not comparison.blind.revealed
        order = comparison.blind.order if comparison.blind is not None else tuple(numbers)
        data = votes.vote_data(
            order=[number for number in order if number in numbers],
            best=sorted(set(best)),
            blind=blind,
            task_type=task_type or comparison.task_type,
            model=views[0].answer.provenance.get("model"),
            columns={
                view.index: {
                    "sampling": view.sampling.to_dict(),
                    "preset": view.preset,
                    "system_prompt": view.system_prompt
                    if view.system_prompt is not None
                    else comparison.system_prompt,
                    "answer_id": view.answer.id,
                }
                for view in views
            },
        )
        self._store.documents.add_vote(comparison_id, ",".join(map(str, numbers)), data)
        if task_type is not None:
            self._change(comparison_id, lambda record: setattr(record, "task_type", task_type))
        return self._told(comparison_id)

    def votes(self, comparison_id: str) -> Sequence[Vote]:
        """Return the votes on a comparison that count as the last word, oldest first."""
        last = {vote.key: vote for vote in self._store.documents.votes(comparison_id)}
        return list(last.values())

    def reveal(self, comparison_id: str) -> Comparison:
        """Show the parameters: ends the blind vote."""

        def change(record: Record) -> None:
            if record.blind is not None:
                record.blind = {**record.blind, "revealed": True}

        self._change(comparison_id, change)
        return self._told(comparison_id)

    def task_types(self) -> Sequence[str]:
        """Return the task types that have blind votes, the most voted first."""
        return votes.task_types(self._store.documents.votes())

    def standing(self, task_type: str | None = None, model: str | None = None) -> Standing:
        """Return what the blind votes say; of one task type or of all, of one model or of all."""
        return votes.standing(self._store.documents.votes(), task_type, model)

    def save_winner(self, contestant: str, name: str) -> Preset:
        """Save a contestant of a standing (its key) as a preset. Raises NotFound, BadInput."""
        for one in self.standing().contestants:
            if one.key == contestant:
                sampling = one.sampling.with_(seed=None)
                return self._presets.save(name, Settings(sampling, one.system_prompt))
        raise NotFound(kind="contestant", name=contestant)

    # ---- export, delete -------------------------------------------------------------------------

    def export_json(self, comparison_id: str) -> str:
        """Return everything of a comparison as JSON: all versions of all columns, with probabilities."""
        comparison = self.get(comparison_id)
        ids = [answer_id for column in comparison.columns for answer_id in column.answer_ids]
        versions = {}
        for answer in self._jobs.overlay([self._store.get_message(answer_id) for answer_id in ids]):
            probs = self._store.get_probs(answer.id)
            versions[answer.id] = export.Version(answer, measure_answer(answer, probs), probs)
        return export.to_json(comparison, versions, self.votes(comparison_id))

    def export_markdown(self, comparison_id: str, language: Literal["zh", "en"]) -> str:
        """Return a table of parameters and figures, then the answers, to be read by people."""
        return export.to_markdown(self.get(comparison_id), self.figures(comparison_id), language)

    def delete(self, comparison_id: str) -> str:
        """Stop it, move it to the bin, and return the token that `undo` takes."""
        record = Record.from_dict(self._document(comparison_id).data)
        self._jobs.stop_all(record.conversation_id)
        with self._store.transaction():
            tokens = [
                self._store.documents.delete(comparison_id),
                self._store.delete_conversation(record.conversation_id),
            ]
        return ".".join(tokens)

    def undo(self, token: str) -> None:
        """Take a deletion back. Raises NotFound when it was taken back already or purged."""
        with self._store.transaction():
            for one in token.split("."):
                self._store.undo(one)

    # ---- within ---------------------------------------------------------------------------------

    def _document(self, comparison_id: str) -> Document:
        document = self._store.documents.get(comparison_id)
        if document.kind != KIND:
            raise NotFound(kind="comparison", name=comparison_id)
        return document

    def _change(self, comparison_id: str, change: Callable[[Record], object]) -> None:
        with self._lock, self._store.transaction():
            record = Record.from_dict(self._document(comparison_id).data)
            change(record)
            self._store.documents.update(comparison_id, data=record.to_dict())

    def _told(self, comparison_id: str) -> Comparison:
        comparison = self.get(comparison_id)
        self._jobs.publish(comparison.conversation_id, {"type": "changed"})
        return comparison

    def _column(self, comparison_id: str, column: int) -> ColumnView:
        return _at(self.get(comparison_id), column)

    def _new_version(self, comparison_id: str, column: int, sent: Sent) -> Comparison:
        def change(record: Record) -> None:
            record.columns[column]["answer_id"] = sent.answer_message.id
            record.columns[column]["answer_ids"].append(sent.answer_message.id)

        self._change(comparison_id, change)
        return self._told(comparison_id)

    def _later_place(self, comparison_id: str, column: int, answer: Message) -> Place:
        """Where a column goes on: its own slot when the columns' engine still stands, else the chat's."""
        record = Record.from_dict(self._document(comparison_id).data)
        known = answer.provenance
        tokens = int(known.get("prompt_tokens") or 0) + len(answer.token_ids)
        longest = int(record.columns[column]["sampling"]["max_new_tokens"])

        async def engine() -> Engine:
            standing = self._stage.standing(len(record.columns), tokens + longest)
            return await self._engines.ready() if standing is None else SlotKeeper(standing, column)

        return Place(engine, shape_of(record.conversation_id))

    def _message(self, message_id: str) -> Message | None:
        """Return a message that can still be seen: neither it nor what it follows is deleted."""
        try:
            found = self._store.get_message(message_id)
            seen = any(one.id == message_id for one in self._store.siblings(message_id))
        except NotFound:
            return None
        return found if seen and self._conversation(found.conversation_id) is not None else None

    def _conversation(self, conversation_id: str) -> Conversation | None:
        try:
            found = self._store.get_conversation(conversation_id)
        except NotFound:
            return None
        return found if found.deleted_at is None else None


def seeded(columns: Sequence[Column], same_seed: bool, seed: int | None) -> tuple[Column, ...]:
    """Return the columns with their seeds; one that has its own keeps it."""
    top = int(BOUNDS["seed"].high)
    first = secrets.randbelow(top + 1) if seed is None else seed
    drawn = [first if same_seed else (first + number) % (top + 1) for number in range(len(columns))]
    return tuple(
        column
        if column.sampling.seed is not None
        else replace(column, sampling=column.sampling.with_(seed=one))
        for column, one in zip(columns, drawn, strict=True)
    )


def own_settings(settings: Settings, column: Column) -> Settings:
    """Return the settings that a column's answer is written with."""
    role = settings.system_prompt if column.system_prompt is None else column.system_prompt
    return replace(
        settings,
        sampling=column.sampling,
        system_prompt=role,
        preset=column.preset,
        clear_after_answer=False,
        auto_continue=0,
    )


def shuffled(count: int) -> list[int]:
    """Return the column numbers in an order nobody can foresee."""
    return random.SystemRandom().sample(range(count), count)


def shape_of(conversation_id: str) -> str:
    """Return the shape (see JobSpec) of a comparison's jobs: they run with no other jobs beside them."""
    return f"comparison:{conversation_id}"


def alternative(probs: Sequence[TokenProb], token_index: int, token_id: int) -> Candidate:
    """Return the alternative with this id at a place. Raises BadInput when there is none."""
    if not 0 <= token_index < len(probs):
        raise BadInput(reason=Reason("comparison.error.no_probs"))
    for candidate in probs[token_index].alternatives:
        if candidate.token_id == token_id:
            return candidate
    raise BadInput(reason=Reason("comparison.error.no_probs"))


def _at(comparison: Comparison, column: int) -> ColumnView:
    if not 0 <= column < len(comparison.columns):
        raise NotFound(kind="column", name=str(column))
    return comparison.columns[column]
