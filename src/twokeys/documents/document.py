"""What a reader makes of a file: text in numbered passages, and which of them a person chose.

Pure values; reads nothing.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Self

Unit = Literal["page", "slide", "sheet", "chapter", "section"]
"""What a passage is: a page of a PDF, a slide, a sheet, a chapter of an EPUB, else what a heading heads."""

_RANGE = re.compile(r"\s*(\d{1,6})\s*(?:[-–—]\s*(\d{1,6})\s*)?")


@dataclass(frozen=True, slots=True)
class Passage:
    """A numbered part of a document, in Markdown. number counts from 1; title may be empty.

    text: empty where a page has no text, as a scanned one.
    """

    number: int
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Document:
    """A document as it was read. sha256: of the file's bytes, whichever passages are in it.

    encoding: as found in a file of text, None in others. total: passages in the whole file.
    """

    name: str
    kind: str
    sha256: str
    unit: Unit
    passages: tuple[Passage, ...]
    total: int
    encoding: str | None = None

    @property
    def text(self) -> str:
        """The passages one after another, each page, slide, sheet and chapter with a mark."""
        return "\n\n".join(text for passage in self.passages if (text := self.marked(passage)))

    @property
    def numbers(self) -> str:
        """The numbers of the passages, such as "1-3,7"."""
        return as_ranges([passage.number for passage in self.passages])

    @property
    def without_text(self) -> tuple[int, ...]:
        """The numbers of the pages that hold no text: pictures or scans."""
        return tuple(passage.number for passage in self.passages if not passage.text)

    def marked(self, passage: Passage) -> str:
        """Return the text of a passage as the model reads it."""
        if self.unit == "section":
            return passage.text
        title = f": {passage.title}" if self.unit == "sheet" and passage.title else ""
        return f"[{self.unit} {passage.number}{title}]\n{passage.text}".rstrip()

    def only(self, numbers: Sequence[int]) -> Self:
        """Return the document with these passages alone."""
        wanted = set(numbers)
        return replace(self, passages=tuple(p for p in self.passages if p.number in wanted))

    def to_dict(self) -> dict[str, Any]:
        """Return the document as JSON can hold it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the document that `to_dict` gave."""
        passages = tuple(Passage(**passage) for passage in values["passages"])
        return cls(**{**values, "passages": passages})


def parse_ranges(text: str) -> tuple[int, ...] | None:
    """Return the numbers that "3-7,9" means, in order; None when it is no such list."""
    numbers: set[int] = set()
    for part in re.split("[,，、]", text):
        match = _RANGE.fullmatch(part)
        if match is None:
            return None
        first, last = int(match[1]), int(match[2] or match[1])
        if not 1 <= first <= last:
            return None
        numbers.update(range(first, last + 1))
    return tuple(sorted(numbers))


def as_ranges(numbers: Sequence[int]) -> str:
    """Return numbers as the shortest list of ranges: "1-3,7"."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
