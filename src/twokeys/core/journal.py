"""Keeping answers while they are written: soon, again and again, and past a full disk.

Text goes to the journal a few times a second, from a thread of its own, so that a slow disk holds
up nothing. When the store cannot take it, the answer goes on in memory, the person is told once,
and storing is tried again until it works. Knows no queue and no engine.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from twokeys.core.job import Job
from twokeys.core.ports import Journal
from twokeys.errors import StoreError, TwoKeysError

log = logging.getLogger(__name__)

JOURNAL_INTERVAL_S = 0.2
JOURNAL_RETRY_S = 2.0


class JournalKeeper:
    """Stores the jobs of one manager. tell(job, event): how subscribers of the job hear of trouble.

    unsaved: ended jobs whose answers are not stored yet, by job id.
    """

    def __init__(
        self, journal: Journal, loop: asyncio.AbstractEventLoop, tell: Callable[[Job, dict[str, Any]], None]
    ) -> None:
        self._journal = journal
        self._loop = loop
        self._tell = tell
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

    async def _mark_streaming(self, job: Job) -> None:
        if job.message is None:
            return
        streaming = replace(job.message, state="streaming")
        try:
            await self._loop.run_in_executor(self._writer, self._journal.begin, streaming)
        except StoreError as error:
            self._tell_unsaved(job, error)

    async def _append(self, job: Job) -> None:
        if job.message is None:
            return
        text, ids = job.text[job.journalled_chars :], job.token_ids[job.journalled_ids :]
        chars, count = len(job.text), len(job.token_ids)
        await self._loop.run_in_executor(self._writer, self._journal.append, job.message.id, text, ids)
        job.journalled_chars, job.journalled_ids = chars, count

    async def store_end(self, job: Job) -> None:
        """Store the whole answer; on failure keep the job and go on trying."""
        try:
            await self._loop.run_in_executor(self._writer, self._finish, job)
        except StoreError as error:
            self.unsaved[job.id] = job
            self._tell_unsaved(job, error)
            if self._retrying is None or self._retrying.done():
                self._retrying = self._loop.create_task(self._retry_unsaved())
        except RuntimeError:
            log.warning("journal closed before job %s was stored", job.id)
        else:
            self._tell_saved(job)

    def _finish(self, job: Job) -> None:
        if job.message is None:
            return
        self._journal.finish(job.message)
        if job.probs:
            self._journal.put_probs(job.message.id, job.probs)
        if job.guard:
            self._journal.add_events(job.message.id, job.guard)

    async def _retry_unsaved(self) -> None:
        while self.unsaved:
            await asyncio.sleep(JOURNAL_RETRY_S)
            for job in list(self.unsaved.values()):
                try:
                    await self._loop.run_in_executor(self._writer, self._finish, job)
                except StoreError:
                    continue
                del self.unsaved[job.id]
                self._tell_saved(job)
                self._tell(job, {"type": "changed"})

    def _tell_unsaved(self, job: Job, error: TwoKeysError) -> None:
        first = job.journal_error is None
        job.journal_error = error
        if first:
            log.warning("answer of job %s cannot be stored now: %s", job.id, error)
            told = error.stored()
            self._tell(job, {"type": "notice", "error": told})

    def _tell_saved(self, job: Job) -> None:
        if job.journal_error is not None:
            job.journal_error = None
            self._tell(job, {"type": "notice", "error": None})

    def close(self) -> None:
        """Wait for what is being stored; later calls store nothing."""
        self._writer.shutdown(wait=True, cancel_futures=True)
