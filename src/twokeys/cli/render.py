"""An answer drawn in a terminal while it grows.

Finished Markdown blocks are printed for good; only the block still being written is redrawn, below
them, with a status line. So nothing that scrolled away is ever drawn again or lost. What a terminal
must not be told (escape codes in a model's answer) is made visible instead.
"""

import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self

from markdown_it import MarkdownIt
from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.live import Live
from rich.markdown import Heading, Markdown
from rich.segment import Segment
from rich.spinner import Spinner
from rich.text import Text

if TYPE_CHECKING:
    from rich.console import RenderableType

CODE_THEME = "ansi_dark"
REFRESH_PER_S = 10
ROOM_BELOW_LINES = 5
"""Lines of the terminal kept free of the growing block: status line and a little air."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def visible(text: str) -> str:
    """Return the text with control characters shown as symbols, so that they cannot act."""
    return _CONTROL.sub(lambda m: chr(0x2400 + ord(m[0])) if ord(m[0]) < 0x20 else "\ufffd", text)


class _PlainHeading(Heading):
    """A heading at the left edge, bold, without a box."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        self.text.justify = "left"
        yield self.text


class AnswerMarkdown(Markdown):
    """Markdown that keeps what a model wrote: line breaks, HTML as text, backslashes of formulas."""

    elements: ClassVar[Any] = {**Markdown.elements, "heading_open": _PlainHeading}

    def __init__(self, markup: str) -> None:
        super().__init__(markup, code_theme=CODE_THEME, hyperlinks=False)
        self.parsed = _parser().parse(markup)
        for token in self.parsed:
            for child in token.children or ():
                if child.type == "softbreak":
                    child.type = "hardbreak"


def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False}).enable(["strikethrough", "table"]).disable("escape")


def split_finished(text: str) -> tuple[str, str]:
    """Return (finished blocks, the block still growing). Joined they are the text again."""
    complete = text[: text.rfind("\n") + 1]
    starts = [token.map[0] for token in _parser().parse(complete) if token.level == 0 and token.map]
    if len(set(starts)) < 2:
        return "", text
    lines = complete.splitlines(keepends=True)
    cut = sum(map(len, lines[: starts[-1]]))
    return text[:cut], text[cut:]


class _MarkdownBlock:
    """A Markdown block with one empty line below it and none above.

    tail_only: only its last lines, so that a block taller than the window still shows its end.
    """

    def __init__(self, markup: str, *, tail_only: bool = False) -> None:
        self._markdown = AnswerMarkdown(markup)
        self._tail_only = tail_only

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = console.render_lines(self._markdown, options.update(height=None), pad=False)
        while lines and _is_blank(lines[0]):
            lines.pop(0)
        while lines and _is_blank(lines[-1]):
            lines.pop()
        if self._tail_only:
            lines = lines[-max(3, console.height - ROOM_BELOW_LINES) :]
        for line in lines:
            yield from _without_padding(line)
            yield Segment.line()
        yield Segment.line()


def _without_padding(line: list[Segment]) -> list[Segment]:
    """Drop the spaces up to the window's edge: who copies an answer does not want them."""
    segments = list(line)
    while segments and not segments[-1].text.strip():
        segments.pop()
    if segments:
        last = segments.pop()
        segments.append(Segment(last.text.rstrip(), last.style, last.control))
    return segments


def _is_blank(line: list[Segment]) -> bool:
    return not "".join(segment.text for segment in line).strip()


@contextmanager
def quiet_keyboard() -> Iterator[None]:
    """Keep what is typed meanwhile from showing up in the drawing; it waits for the next prompt.

    Ctrl-C still arrives. Without a terminal on standard input, or on Windows, nothing changes.
    """
    try:
        import termios

        descriptor = sys.stdin.fileno()
        before = termios.tcgetattr(descriptor)
    except (ImportError, OSError, ValueError):
        yield
        return
    quiet = list(before)
    quiet[3] &= ~termios.ECHO
    termios.tcsetattr(descriptor, termios.TCSADRAIN, quiet)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


class AnswerView:
    """Draws one answer. Use as a context manager; `add` text, `status` between, `finish` at the end."""

    def __init__(self, console: Console, *, hint: str, now: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._pending = ""
        self._status = ""
        self._hint = hint
        self._now = now
        self._spinner = Spinner("dots", style="cyan")
        self._keyboard = quiet_keyboard()
        self._live = Live(
            console=console,
            transient=True,
            refresh_per_second=REFRESH_PER_S,
            get_renderable=self._draw,
            vertical_overflow="crop",
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> Self:
        self._keyboard.__enter__()
        self._console.print()
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.finish()

    def status(self, text: str) -> None:
        """Show what is being done, on the line below the answer."""
        self._status = text

    def go_on_from(self, text: str) -> None:
        """Take up an answer that was shown before: its last block is drawn again and grows."""
        self._pending = split_finished(visible(text))[1]

    def add(self, text: str) -> None:
        """Take new text; blocks that are complete with it are printed for good."""
        self._pending += visible(text)
        if "\n" not in text:
            return
        finished, rest = split_finished(self._pending)
        if finished:
            self._pending = rest
            self._print(finished)

    def finish(self) -> None:
        """Print what is left and take the status line away. Calling it again does nothing."""
        if not self._live.is_started:
            return
        rest, self._pending = self._pending, ""
        self._live.stop()
        self._keyboard.__exit__(None, None, None)
        if rest.strip():
            self._print(rest)

    def _print(self, markup: str) -> None:
        self._console.print(_MarkdownBlock(markup), end="")

    def _draw(self) -> "RenderableType":
        self._spinner.update(text=Text.assemble((self._status, "cyan"), (f"   {self._hint}", "dim")))
        parts: list[Any] = [self._spinner]
        if self._pending.strip():
            parts.insert(0, _MarkdownBlock(self._pending, tail_only=True))
        return Group(*parts)
