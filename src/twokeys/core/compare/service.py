"""Comparisons: planned, started, continued, written anew. `services.compare` is one of these.

All methods are synchronous and may be called from any thread. The columns are written by jobs of the
topic `comparison.conversation_id`, so the live WebSocket draws them as it draws a chat; each job's
`message_id` is its column's answer. A {"type": "changed"} on that topic says: read again.

How comparisons are stored and read is in `store`, the blind vote in `voting`, what happens to an answer
that a person keeps in `keeping`; each is an attribute here.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from twokeys.core.answer_plan import Target
from twokeys.core.answers import Answers, Sent, checked_text
from twokeys.core.attachments import Attachment, facts_of, with_documents
from twokeys.core.compare import export
from twokeys.core.compare.column import DEFAULT_TEMPERATURES, Column, check_columns, temperature_columns
from twokeys.core.compare.column_engines import ColumnEngines
from twokeys.core.compare.comparison import ComparePlan, Comparison, Origin
from twokeys.core.compare.difference import Difference, Unit, compare_texts
from twokeys.core.compare.figures import Figures, measure_answer
from twokeys.core.compare.keeping import Keeping
from twokeys.core.compare.record import Record, column_dict, source_dict
from twokeys.core.compare.shared_prefill import (
    ColumnEngine,
    SharedPrefill,
    SharingReport,
    SlotKeeper,
    column_context,
)
from twokeys.core.compare.store import CompareStore, ComparisonStore
from twokeys.core.compare.voting import Voting, new_blind
from twokeys.core.context import build_prompt, first_words, with_summary
from twokeys.core.context_check import ContextCheck, PromptCount, refuse_count
from twokeys.core.conversations import Conversations, Turn
from twokeys.core.jobs import JobManager
from twokeys.core.next_token import NextToken
from twokeys.core.ports import EngineSource
from twokeys.core.presets import Presets
from twokeys.core.structured.instruction import told_system_prompt
from twokeys.core.structured.schema import asked_settings, check_honoured
from twokeys.documents import Document
from twokeys.engine import Engine
from twokeys.errors import BadInput, NotFound, Reason, TwoKeysError
from twokeys.ids import new_id
from twokeys.types import (
    BOUNDS,
    Candidate,
    ChatMessage,
    Conversation,
    Message,
    Provenance,
    Settings,
    TokenProb,
)

log = logging.getLogger(__name__)

N_PROBS = 5
"""Candidates kept for every token of a column."""


@dataclass(frozen=True, slots=True)
class StartOptions:
    """How a comparison begins, beside its question and columns; see CompareService.start."""

    same_seed: bool = True
    seed: int | None = None
    task_type: str | None = None
    blind: bool = False
    n_probs: int = N_PROBS


class CompareService:
    """Asks one question in several columns.

    stored: the comparisons there are. voting, keeping: see their modules.
    """

    def __init__(
        self,
        store: CompareStore,
        jobs: JobManager,
        answers: Answers,
        conversations: Conversations,
        next_token: NextToken,
        engines: EngineSource,
        check: ContextCheck,
        column_engines: ColumnEngines,
        presets: Presets,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._jobs = jobs
        self._answers = answers
        self._conversations = conversations
        self._next_token = next_token
        self._engines = engines
        self._check = check
        self._column_engines = column_engines
        self._presets = presets
        self._clock = clock
        self.stored = ComparisonStore(store, jobs)
        self.voting = Voting(self.stored, store.documents, presets)
        self.keeping = Keeping(self.stored, store, conversations, jobs, clock=clock)

    # ---- starting -------------------------------------------------------------------------------

    def default_columns(
        self, settings: Settings | None = None, temperatures: Sequence[float] = DEFAULT_TEMPERATURES
    ) -> tuple[Column, ...]:
        """Return columns at these temperatures, all else as in the settings (0.3, 0.7, 1.0: S6)."""
        return temperature_columns((settings or Settings()).sampling, temperatures)

    def preset_column(self, preset: str, settings: Settings | None = None) -> Column:
        """Return a column with a preset applied to the settings, its system prompt too. Raises NotFound."""
        chosen = self._presets.get(preset)
        applied = self._presets.apply(chosen, settings or Settings())
        return Column(
            applied.sampling,
            preset=chosen.name,
            system_prompt=chosen.system_prompt,
            answer_schema=chosen.answer_schema,
        )

    def plan(
        self,
        text: str,
        columns: Sequence[Column],
        *,
        conversation_id: str | None = None,
        message_id: str | None = None,
        settings: Settings | None = None,
        documents: Sequence[Document] = (),
    ) -> ComparePlan:
        """Return what `start` (or, with message_id, `start_from`) would need. Nothing is started."""
        text = with_documents(documents, text)
        if message_id is not None:
            question, history = self._from_here(message_id)
            text, conversation_id = question.content, question.conversation_id
        else:
            history = self._so_far(conversation_id)
        settings = settings or self._settings_of(conversation_id)
        columns, settings = history.prompted(columns, settings)
        return self._plan(self._prompts(history.turns, text, columns, settings), columns)

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
        attachments: Sequence[Attachment] = (),
    ) -> Comparison:
        """Ask one question in two to eight columns at once; return at once, the columns stream.

        conversation_id: read that conversation's shown turns before the question. settings: system
        prompt and guard; the conversation's own by default. same_seed: all columns whose
        sampling has no seed get one and the same, `seed` or a drawn one; otherwise each its own.
        task_type: what kind of task it is, for the votes. blind: begin with a blind vote (see
        `hide`). attachments: documents that stand before the question. Raises EmptyMessage,
        MessageTooLarge, BadInput, ContextExceeded, NotFound, ModelMissing; nothing is stored when it raises.
        """
        documents = [attachment.document for attachment in attachments]
        text = checked_text(with_documents(documents, checked_text(text)))
        history = self._so_far(conversation_id)
        source = None
        if conversation_id is not None:
            head = self._store.get_conversation(conversation_id).head_id
            source = Origin(conversation_id, None, head)
        return self._begin(
            Message("", "", None, "user", text, self._clock(), provenance=facts_of(attachments)),
            history.turns,
            *history.prompted(columns, settings or self._settings_of(conversation_id)),
            source,
            StartOptions(same_seed, seed, task_type, blind, n_probs),
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
            question,
            history.turns,
            *history.prompted(columns, self._settings_of(question.conversation_id)),
            Origin(question.conversation_id, question.id, question.parent_id),
            StartOptions(same_seed, seed, task_type, blind, n_probs),
        )

    def again(self, comparison_id: str, columns: Sequence[Column] | None = None) -> Comparison:
        """Start a new comparison of the same question, by default with the same columns."""
        old = self.stored.get(comparison_id)
        if columns is None:
            columns = [
                Column(
                    column.sampling.with_(seed=None) if old.same_seed else column.sampling,
                    column.label,
                    column.preset,
                    column.system_prompt,
                    column.answer_schema,
                )
                for column in old.columns
            ]
        return self._begin(
            old.question,
            old.history,
            columns,
            old.settings,
            old.source,
            StartOptions(old.same_seed, task_type=old.task_type),
        )

    def _begin(
        self,
        question: Message,
        history: Sequence[Message],
        columns: Sequence[Column],
        settings: Settings,
        source: Origin | None,
        options: StartOptions,
    ) -> Comparison:
        columns = seeded(check_columns(columns), options.same_seed, options.seed)
        prompts = self._prompts(history, question.content, columns, settings)
        self._refuse(self._plan(prompts, columns), columns)
        for column in columns:
            schema = own_settings(asked_settings(settings, question), column).answer_schema
            if schema is not None:
                check_honoured(schema)
        self._check.refuse_without_engine()
        turn = self._copy(question, history, settings)
        record = Record(
            turn.conversation.id,
            turn.last.id,
            [],
            source=None if source is None else source_dict(source),
            same_seed=options.same_seed,
            task_type=options.task_type,
            blind=new_blind(len(columns)) if options.blind else None,
        )
        document = self.stored.create(turn.conversation.title, record)
        prefill = SharedPrefill(
            self._column_engines,
            self._engines,
            prompts,
            longest=max(column.sampling.max_new_tokens for column in columns),
            on_report=self._sharing_writer(document.id),
        )
        sent: list[Sent] = []
        try:
            for number, column in enumerate(columns):
                sent.append(self._write(turn, number, column, settings, prefill, options.n_probs))
        except BaseException:
            self._jobs.stop_all(turn.conversation.id)
            self._store.documents.delete(document.id)
            raise
        made = [
            column_dict(column, answer.answer_message.id)
            for column, answer in zip(columns, sent, strict=True)
        ]
        self.stored.change(document.id, lambda record: setattr(record, "columns", made))
        return self.stored.get(document.id)

    def _write(
        self,
        turn: Turn,
        number: int,
        column: Column,
        settings: Settings,
        prefill: SharedPrefill,
        n_probs: int,
    ) -> Sent:
        async def engine() -> Engine:
            return ColumnEngine(prefill, number)

        return self._answers.answer(
            turn.last,
            own_settings(asked_settings(settings, turn.last), column),
            kind="compare",
            n_probs=n_probs,
            facts={"column": number},
            target=Target(engine, engine_config_of(turn.conversation.id)),
            turn=turn,
        )

    def _copy(self, question: Message, history: Sequence[Message], settings: Settings) -> Turn:
        """Store the hidden conversation: copies of what is read before the question, and the question."""
        now = self._clock()
        title = first_words(question.own_words)
        known = question.provenance
        facts = Provenance(
            documents=known.documents, question_at=known.question_at, answer_schema=known.answer_schema
        )
        plain = replace(settings, clear_after_answer=False, auto_continue=0)
        conversation = Conversation(
            new_id(), title, now, now, title_by="person", settings=plain, kind="comparison"
        )
        copies: list[Message] = []
        parent: str | None = None
        for message in [*history, Message("", "", None, "user", question.content, now, provenance=facts)]:
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
            conversation = self._store.update_conversation(conversation.id, head_id=parent)
        return Turn(conversation, tuple(copies))

    def _so_far(self, conversation_id: str | None) -> "_SoFar":
        """Return what of a conversation its next message would be read with."""
        if conversation_id is None:
            return _SoFar()
        conversation = self._store.get_conversation(conversation_id)
        if conversation.deleted_at is not None:
            raise NotFound(kind="conversation", name=conversation_id)
        return self._read(conversation, self._conversations.messages(conversation_id))

    def _from_here(self, message_id: str) -> "tuple[Message, _SoFar]":
        message = self._store.get_message(message_id)
        if message.role == "assistant" and message.parent_id is not None:
            message = self._store.get_message(message.parent_id)
        if message.role != "user":
            raise BadInput(reason=Reason("comparison.error.no_question"))
        conversation = self._store.get_conversation(message.conversation_id)
        so_far = self._read(conversation, self._jobs.overlay(self._store.path(message.id)))
        return message, replace(so_far, turns=so_far.turns[:-1])

    def _read(self, conversation: Conversation, path: Sequence[Message]) -> "_SoFar":
        prompt = build_prompt(path, "", resets=conversation.resets)
        used = set(prompt.used)
        if path and path[-1].role == "user":
            used.add(path[-1].id)
        turns = [message for message in path if message.id in used]
        if any(message.state in ("queued", "streaming") for message in turns):
            raise BadInput(reason=Reason("comparison.error.being_written"))
        return _SoFar(turns, prompt.summary)

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
            build_prompt([*path, question], told_system_prompt(own_settings(settings, column))).messages
            for column in columns
        ]

    def _plan(self, prompts: Sequence[tuple[ChatMessage, ...]], columns: Sequence[Column]) -> ComparePlan:
        count = self._check.count(set(prompts))
        longest = max(column.sampling.max_new_tokens for column in columns)
        limit = self._check.context()
        prospect = self._column_engines.prospect(len(columns), column_context(count.tokens, longest))
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

    def _sharing_writer(self, comparison_id: str) -> Callable[[SharingReport], None]:
        """Return what writes down how the question is shared: called on the loop, so a thread writes."""
        latest: list[SharingReport] = []

        def change(record: Record) -> None:
            record.sharing, record.prefill_tokens = latest[-1].sharing, latest[-1].prefill_tokens

        def store() -> None:
            try:
                self.stored.change(comparison_id, change)
            except TwoKeysError as error:
                log.warning("how a question was shared was not stored: %s", error)

        def write(report: SharingReport) -> None:
            latest.append(report)
            asyncio.get_running_loop().run_in_executor(None, store)

        return write

    # ---- reading --------------------------------------------------------------------------------

    def distribution(
        self, comparison_id: str, column: int, token_index: int, candidates: int = 100
    ) -> TokenProb:
        """Ask for the likeliest candidates at one place of a column; see NextToken.distribution."""
        comparison = self.stored.get(comparison_id)
        view = comparison.column(column)
        target = self._later_target(comparison, column)
        return self._next_token.distribution(view.answer.id, token_index, candidates, target=target)

    def difference(self, comparison_id: str, first: int, second: int, unit: Unit = "word") -> Difference:
        """Return what differs between the shown answers of two columns."""
        comparison = self.stored.get(comparison_id)
        left, right = comparison.column(first), comparison.column(second)
        return compare_texts(left.answer.content, right.answer.content, unit)

    def figures(self, comparison_id: str) -> Sequence[Figures]:
        """Return the figures of every column, by column number."""
        return [
            measure_answer(view.answer, self._store.get_probs(view.answer.id))
            for view in self.stored.get(comparison_id).columns
        ]

    # ---- while it runs, and after ---------------------------------------------------------------

    def stop(self, comparison_id: str, column: int | None = None) -> None:
        """Stop one column, or all; the text so far is kept."""
        comparison = self.stored.get(comparison_id)
        if column is None:
            self._jobs.stop_all(comparison.conversation_id)
            return
        job = comparison.column(column).job
        if job is not None and job.active:
            self._jobs.stop(job.id)
            self._jobs.wait(job.id, 5.0)

    def continue_(self, comparison_id: str, column: int) -> Comparison:
        """Go on with a cut column, with its own parameters. Raises like Answers.continue_."""
        comparison = self.stored.get(comparison_id)
        view = comparison.column(column)
        sent = self._answers.continue_(
            view.answer.id,
            view.sampling.to_dict(),
            facts={"column": column, "preset": view.preset},
            target=self._later_target(comparison, column),
        )
        return self.stored.with_answer(comparison, column, sent)

    def continue_differently(self, comparison_id: str, column: int) -> Comparison:
        """Go on with a column after a loop. See Answers.continue_differently."""
        comparison = self.stored.get(comparison_id)
        view = comparison.column(column)
        sent = self._answers.continue_differently(
            view.answer.id,
            sampling=view.sampling,
            facts={"column": column, "preset": None},
            target=self._later_target(comparison, column),
        )
        return self.stored.with_answer(comparison, column, sent)

    def rerun(self, comparison_id: str, column: int, *, same_seed: bool = False) -> Comparison:
        """Write a column anew as another version of it; with the seed it used, or with a new one."""
        comparison = self.stored.get(comparison_id)
        view = comparison.column(column)
        target = self._later_target(comparison, column)
        if same_seed:
            turn = replace(comparison.turn, path=(*comparison.turn.path, view.answer))
            sent = self._answers.replay(view.answer.id, target=target, turn=turn)
        else:
            made = Column(
                view.sampling.with_(seed=None),
                view.label,
                view.preset,
                view.system_prompt,
                view.answer_schema,
            )
            sent = self._answers.answer(
                comparison.question,
                own_settings(comparison.settings, made),
                kind="compare",
                n_probs=view.answer.provenance.n_probs or N_PROBS,
                facts={"column": column},
                target=target,
                turn=comparison.turn,
            )
        return self._new_version(comparison, column, sent)

    def fork(self, comparison_id: str, column: int, token_index: int, token_id: int) -> Comparison:
        """Let a column grow on from another token, as a new version; see Answers.fork.

        token_id: of one of the alternatives at that place.
        """
        comparison = self.stored.get(comparison_id)
        view = comparison.column(column)
        candidate = alternative(self._store.get_probs(view.answer.id), token_index, token_id)
        sent = self._answers.fork(
            view.answer.id,
            token_index,
            candidate,
            facts={"column": column},
            target=self._later_target(comparison, column),
        )
        return self._new_version(comparison, column, sent)

    def show_version(self, comparison_id: str, column: int, answer_id: str) -> Comparison:
        """Show another version of a column."""
        if answer_id not in self.stored.get(comparison_id).column(column).answer_ids:
            raise NotFound(kind="message", name=answer_id)

        def change(record: Record) -> None:
            record.columns[column]["answer_id"] = answer_id

        self.stored.change(comparison_id, change)
        return self.stored.get(comparison_id)

    # ---- export ---------------------------------------------------------------------------------

    def export_json(self, comparison_id: str) -> str:
        """Return everything of a comparison as JSON: all versions of all columns, with probabilities."""
        comparison = self.stored.get(comparison_id)
        ids = [answer_id for column in comparison.columns for answer_id in column.answer_ids]
        versions = {}
        for answer in self._jobs.overlay(self._store.get_messages(ids)):
            probs = self._store.get_probs(answer.id)
            versions[answer.id] = export.ColumnVersion(answer, measure_answer(answer, probs), probs)
        return export.to_json(comparison, versions, self.voting.votes(comparison_id))

    def export_markdown(self, comparison_id: str, language: Literal["zh", "en"]) -> str:
        """Return a table of parameters and figures, then the answers, to be read by people."""
        return export.to_markdown(self.stored.get(comparison_id), self.figures(comparison_id), language)

    # ---- within ---------------------------------------------------------------------------------

    def _new_version(self, comparison: Comparison, column: int, sent: Sent) -> Comparison:
        answer_id = sent.answer_message.id

        def change(record: Record) -> None:
            record.columns[column]["answer_id"] = answer_id
            record.columns[column]["answer_ids"].append(answer_id)

        self.stored.change(comparison.id, change)
        return self.stored.with_answer(comparison, column, sent)

    def _later_target(self, comparison: Comparison, column: int) -> Target:
        """Where a column goes on: its own slot when the columns' engine still stands, else the chat's."""
        view = comparison.column(column)
        tokens = (view.answer.provenance.prompt_tokens or 0) + len(view.answer.token_ids)

        async def engine() -> Engine:
            needed = tokens + view.sampling.max_new_tokens
            standing = self._column_engines.standing(len(comparison.columns), needed)
            return await self._engines.drafting("off") if standing is None else SlotKeeper(standing, column)

        return Target(engine, engine_config_of(comparison.conversation_id))


def seeded(columns: Sequence[Column], same_seed: bool, seed: int | None) -> tuple[Column, ...]:
    """Return the columns with their seeds; one that has its own keeps it."""
    top = int(BOUNDS["seed"].high)
    first = secrets.randbelow(top + 1) if seed is None else seed
    drawn = [first if same_seed else (first + number) % (top + 1) for number in range(len(columns))]
    return tuple(
        column
        if column.sampling.seed is not None
        else replace(column, sampling=column.sampling.with_(seed=own_seed))
        for column, own_seed in zip(columns, drawn, strict=True)
    )


@dataclass(frozen=True, slots=True)
class _SoFar:
    """What of a conversation is read before the question: turns, and a summary of those above them."""

    turns: Sequence[Message] = ()
    summary: str = ""

    def prompted(self, columns: Sequence[Column], settings: Settings) -> tuple[Sequence[Column], Settings]:
        """Return columns and settings whose system prompts tell the summary."""
        if not self.summary:
            return columns, settings
        named = [
            column
            if column.system_prompt is None
            else replace(column, system_prompt=with_summary(column.system_prompt, self.summary))
            for column in columns
        ]
        return named, replace(settings, system_prompt=with_summary(settings.system_prompt, self.summary))


def own_settings(settings: Settings, column: Column) -> Settings:
    """Return the settings that a column's answer is written with."""
    system_prompt = settings.system_prompt if column.system_prompt is None else column.system_prompt
    return replace(
        settings,
        sampling=column.sampling,
        system_prompt=system_prompt,
        answer_schema=settings.answer_schema if column.answer_schema is None else column.answer_schema,
        preset=column.preset,
        clear_after_answer=False,
        auto_continue=0,
    )


def engine_config_of(conversation_id: str) -> str:
    """Return the engine_config (see JobSpec) of a comparison's jobs: no other jobs run beside them."""
    return f"comparison:{conversation_id}"


def alternative(probs: Sequence[TokenProb], token_index: int, token_id: int) -> Candidate:
    """Return the alternative with this id at a place. Raises BadInput when there is none."""
    if not 0 <= token_index < len(probs):
        raise BadInput(reason=Reason("comparison.error.no_probs"))
    for candidate in probs[token_index].alternatives:
        if candidate.token_id == token_id:
            return candidate
    raise BadInput(reason=Reason("comparison.error.no_probs"))
