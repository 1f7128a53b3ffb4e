"""Keeping answers while they are written: soon, again and again, and past a full disk.

Text goes to the journal a few times a second, from a thread of its own, so that a slow disk holds
up nothing. When the store cannot take it, the answer goes on in memory, the person is told once,
and storing is tried again until it works; at the close once more, and then the answer goes to a
file elsewhere. Knows no queue and no engine.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from twokeys.core.job import Job
from twokeys.core.loop import EngineLoop
from twokeys.core.ports import Journal
from twokeys.errors import AnswersNotStored, StoreError, TwoKeysError
from twokeys.types import Message

log = logging.getLogger(__name__)

JOURNAL_INTERVAL_S = 0.2
JOURNAL_RETRY_S = 2.0

Rescue = Callable[[Sequence[Message]], Path | None]
"""Writes answers to a file elsewhere and returns its path; None when there is no place for it."""


class JournalKeeper:
    """Stores the jobs of one manager. tell(job, event): how subscribers of the job hear of trouble.

    unsaved: ended jobs whose answers are not stored yet, by job id.
    """

    def __init__(
        self,
        journal: Journal,
        loop: EngineLoop,
        tell: Callable[[Job, dict[str, Any]], None],
        *,
        rescue: Rescue | None = None,
    ) -> None:
        self._journal = journal
        self._loop = loop
        self._tell = tell
        self._rescue = rescue
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="twokeys-journal")
        self._retrying: asyncio.Task[None] | None = None
        self.unsaved: dict[str, Job] = {}

    async def keep(self, job: Job) -> None:
        """Store new text soon after it came, again and again, also past a full disk."""
        await self._mark_streaming(job)
        while True:
            await job.dirty.wait()
            job.dirty.clear()
            try:
                await self._append(job)
            except StoreError as error:
                self._tell_unsaved(job, error)
                job.dirty.set()
                await asyncio.sleep(JOURNAL_RETRY_S)
                continue
            self._tell_saved(job)
            await asyncio.sleep(JOURNAL_INTERVAL_S)

    async def store_end(self, job: Job) -> None:
        """Store the whole answer; on failure keep the job and go on trying."""
        try:
            await self._write(self._finish, job)
        except StoreError as error:
            self.unsaved[job.id] = job
            self._tell_unsaved(job, error)
            if self._retrying is None or self._retrying.done():
                self._retrying = self._loop.create_task(self._retry_unsaved())
        except RuntimeError:
            log.warning("journal closed before job %s was stored", job.id)
            self.unsaved[job.id] = job
        else:
            self._tell_saved(job)

    def close(self) -> None:
        """Wait for what is being stored, and try a last time to store what could not be.

        Raises AnswersNotStored when that does not work either; the answers are in a file then, where
        there was a place for one. Later calls store nothing. The loop has ended by then.
        """
        self._writer.shutdown(wait=True, cancel_futures=True)
        failed: StoreError | None = None
        for job in list(self.unsaved.values()):
            try:
                self._finish(job)
            except StoreError as error:
                failed = error
            else:
                del self.unsaved[job.id]
        answers = [job.message for job in self.unsaved.values() if job.message is not None]
        if answers and failed is not None:
            path = self._rescue(answers) if self._rescue is not None else None
            raise AnswersNotStored(count=len(answers), path=str(path or "–"), reason=str(failed)) from failed

    async def _write(self, function: Callable[..., None], *args: object) -> None:
        await self._loop.asyncio.run_in_executor(self._writer, function, *args)

    async def _mark_streaming(self, job: Job) -> None:
        if job.message is None or (job.spec.begun and job.begun_as == "streaming"):
            return
        try:
            await self._write(self._journal.begin, replace(job.message, state="streaming"))
        except StoreError as error:
            self._tell_unsaved(job, error)

    async def _append(self, job: Job) -> None:
        if job.message is None:
            return
        text, ids = job.text[job.journalled_chars :], job.token_ids[job.journalled_ids :]
        chars, count = len(job.text), len(job.token_ids)
        await self._write(self._journal.append, job.message.id, text, ids)
        job.journalled_chars, job.journalled_ids = chars, count

    def _finish(self, job: Job) -> None:
        if job.message is not None:
            self._journal.finish(job.message, probs=job.probs, events=job.guard)

    async def _retry_unsaved(self) -> None:
        while self.unsaved:
            await asyncio.sleep(JOURNAL_RETRY_S)
            for job in list(self.unsaved.values()):
                try:
                    await self._write(self._finish, job)
                except StoreError:
                    continue
                del self.unsaved[job.id]
                self._tell_saved(job)
                self._tell(job, {"type": "changed"})
                job.forget_bulk()

    def _tell_unsaved(self, job: Job, error: TwoKeysError) -> None:
        first = job.journal_error is None
        job.journal_error = error
        if first:
            log.warning("answer of job %s cannot be stored now: %s", job.id, error)
            self._tell(job, {"type": "notice", "error": error.stored()})

    def _tell_saved(self, job: Job) -> None:
        if job.journal_error is not None:
            job.journal_error = None
            self._tell(job, {"type": "notice", "error": None})
