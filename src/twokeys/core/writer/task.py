"""One thing to do with one section: what a person asked for, or what a run asks of itself."""

from dataclasses import dataclass

from twokeys.core.writer.prompts import Operation


@dataclass(frozen=True, slots=True)
class WritingTask:
    """node: id of the heading, or the name of an extra ("abstract", "glossary").

    selection: characters (start, end) of the text, for that passage only. length: what is asked for, the
    usual by default. automatic: correct the section's length by itself. anew: leave a draft that was begun.
    """

    node: str
    operation: Operation
    instruction: str = ""
    selection: tuple[int, int] | None = None
    length: int | None = None
    automatic: bool = False
    anew: bool = False
