"""A download on the command line: a bar or JSON lines, and Ctrl-C, which keeps what came.

Knows nothing of what is fetched.
"""

import contextlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as Unfinished
from dataclasses import asdict
from typing import TYPE_CHECKING

from twokeys.cli.output import Output
from twokeys.i18n import translate
from twokeys.units import bytes_text, duration_text

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from twokeys.models.download import Control, DownloadProgress

POLL_S = 0.2

Take = Callable[["DownloadProgress"], None]


def fetch_with_progress(
    pull: Callable[[Take, "Control"], object], name: str, total_bytes: int, paused: str, out: Output
) -> bool:
    """Run a download while showing how far it is. False: a person paused it with Ctrl-C.

    paused: the sentence said then. Raises DownloadFailed or DiskFull; what came so far is kept.
    """
    from twokeys.models.download import Cancelled, Control

    control = Control()
    show = PullJson(out, name) if out.as_json else PullBar(out, name, total_bytes)
    with show, ThreadPoolExecutor(1, thread_name_prefix="pull") as pool:
        pulling: Future[object] | None = None
        try:
            pulling = pool.submit(pull, show.take, control)
            while True:
                try:
                    pulling.result(POLL_S)
                    return True
                except Unfinished:
                    continue
        except KeyboardInterrupt:
            control.cancel()
            with contextlib.suppress(Cancelled):
                if pulling is not None:
                    pulling.result()
                    return True
    if out.as_json:
        out.json({"error": {"code": "paused", "message": paused, "hint": ""}})
    out.note(paused, "yellow")
    return False


class PullJson:
    """Progress as JSON lines, for scripts."""

    def __init__(self, out: Output, name: str) -> None:
        self._out = out
        self._name = name

    def __enter__(self) -> "PullJson":
        return self

    def __exit__(self, *error: object) -> None: ...

    def take(self, progress: "DownloadProgress") -> None:
        """Print one line."""
        self._out.json({"type": "progress", "name": self._name, **asdict(progress)})


class PullBar:
    """Progress as a bar with speed and time left, on stderr."""

    def __init__(self, out: Output, name: str, total_bytes: int) -> None:
        from rich.progress import BarColumn, Progress, TextColumn

        self._out = out
        self._bar: Bar = Progress(
            TextColumn("[cyan]{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("[dim]{task.fields[figures]}"),
            console=out.errors,
            transient=True,
            expand=True,
        )
        self._task: TaskID = self._bar.add_task(name, total=total_bytes or None, figures="")

    def __enter__(self) -> "PullBar":
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def take(self, progress: "DownloadProgress") -> None:
        """Move the bar."""
        figures = [bytes_text(progress.done_bytes), "/", bytes_text(progress.total_bytes)]
        if progress.stage == "downloading" and progress.speed:
            figures += ["·", f"{bytes_text(progress.speed)}/s"]
            if progress.eta_s is not None:
                figures += ["·", duration_text(progress.eta_s, self._out.language)]
        else:
            figures += ["·", translate(f"models.state.{progress.stage}", self._out.language)]
        if progress.source:
            figures += ["·", translate(f"models.source.{progress.source}", self._out.language)]
        self._bar.update(
            self._task, completed=progress.done_bytes, total=progress.total_bytes, figures=" ".join(figures)
        )
