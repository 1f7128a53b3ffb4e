"""Lets the model make an outline, in a thread of its own."""

import json
import logging
from collections.abc import Callable

from twokeys.core.jobs import JobSpec, JobView, Outcome
from twokeys.core.provenance import PlannedPart
from twokeys.core.undertaking import in_thread
from twokeys.core.writer.outline import Outline
from twokeys.core.writer.planning import (
    ATTEMPTS,
    Origin,
    growing_headings,
    outline_request,
    read_outline,
    rule_outline,
)
from twokeys.core.writer.project import Project
from twokeys.core.writer.run import WritingParts
from twokeys.engine import Engine
from twokeys.errors import unexpected

log = logging.getLogger(__name__)


class OutlineRun:
    """Lets the model make an outline: two tries, then the usual outline by rules."""

    def __init__(self, parts: WritingParts, project_id: str, project: Project, conversation: str) -> None:
        self._parts = parts
        self.conversation = conversation
        self._project_id = project_id
        self._project = project
        self._job: str | None = None
        self._stopped = False

    @property
    def tokens(self) -> int:
        """How many tokens of the outline are there."""
        view = self._parts.jobs.view(self._job) if self._job else None
        return view.token_count if view is not None else 0

    @property
    def headings(self) -> tuple[tuple[int, str], ...]:
        """Level and title of the headings that are there, the last one perhaps half written."""
        view = self._parts.jobs.view(self._job) if self._job else None
        return growing_headings(view.text) if view is not None else ()

    def begin(self, ended: Callable[[], None]) -> None:
        """See Undertaking.begin."""
        in_thread(f"twokeys-outline-{self._project_id}", self._work, ended)

    def stop(self, *, closing: bool = False) -> None:
        """End at once, without an outline."""
        self._stopped = True
        if self._job is not None:
            self._parts.jobs.stop(self._job)

    def _work(self) -> None:
        try:
            self._make()
        except Exception as error:
            log.exception("the outline of project %s failed", self._project_id)
            self._parts.projects.save_error(self._project_id, unexpected(error))

    def _make(self) -> None:
        for attempt in range(1, ATTEMPTS + 1):
            outcome = self._ask(attempt)
            if self._stopped:
                return
            if outcome.view.error is not None and attempt == ATTEMPTS:
                self._parts.projects.save_error(self._project_id, outcome.view.error)
                return
            outline = read_outline(outcome.text, self._project)
            if outline is not None:
                self._keep(outline, "model")
                return
            log.info("outline refused: %s", json.dumps(outcome.text[:500], ensure_ascii=False))
        self._keep(rule_outline(self._project), "rules")

    def _keep(self, outline: Outline, origin: Origin) -> None:
        self._parts.projects.save_error(self._project_id, None)
        self._parts.projects.change_outline(self._project_id, lambda _: outline, origin)

    def _ask(self, attempt: int) -> Outcome:
        async def prepare(engine: Engine) -> PlannedPart:
            info = await engine.info()
            return PlannedPart(outline_request(self._project, attempt=attempt, context=info.context), info)

        def started(view: JobView) -> None:
            self._job = view.id
            if self._stopped:
                self._parts.jobs.stop(view.id)

        spec = JobSpec(topic=self.conversation, engine=self._parts.engines.ready, prepare=prepare)
        return self._parts.jobs.outcome(spec, started=started)
