"""Sentences, paragraphs and clean text: what a model's answer must become to stand in a document.

Pure functions for Chinese and English. Judges nothing.
"""

import re
from collections.abc import Collection, Container, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from twokeys.core.writer.labels import drop_labels, plain_title, task_line

SHORTEST_SAID = 12
_END = re.compile(r"[。！？!?…]+[”’」』）)\"']*|(?<=[^\d\s.])\.(?=\s|$)[\"”’)]*|(?<=\d)\.(?=\s|$)|\n+")
_FENCE = re.compile(r"^\s*(```|~~~)")
_HEADING = re.compile(r"^\s{0,3}#{1,6}\s+(.*?)\s*#*\s*$")
_BARE_MARK = re.compile(r"^[ \t]*(?:[-*+]|\d+(?:\.\d+)*[.)、．]|\d+(?:\.\d+)+)[ \t]*(?:\n|\Z)", re.MULTILINE)
_SPEECH = re.compile(
    r"^(好的|当然|没问题|以下是|下面是|根据您的要求|根据要求"
    r"|Sure|Certainly|Of course|Here is|Here's|Below is)"
    r"[^\n]{0,80}[:：。！!]\s*\n"
    r"|^Here(?: is|['’]s) (?:the|your|a) [^\n.]{0,40}\b"
    r"(?:section|text|version|passage|paragraph|continuation|draft)\b[^\n.]{0,60}\.\s*\n",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence and where it stands: text[start:end]."""

    start: int
    end: int
    text: str


def sentences(text: str) -> Iterator[Sentence]:
    """Yield the sentences of a text in order; a line's end ends one too."""
    start = 0
    for end in _END.finditer(text):
        piece = text[start : end.end()]
        if piece.strip():
            lead = len(piece) - len(piece.lstrip())
            yield Sentence(start + lead, start + len(piece.rstrip()), piece.strip())
        start = end.end()
    if text[start:].strip():
        piece = text[start:]
        lead = len(piece) - len(piece.lstrip())
        yield Sentence(start + lead, start + len(piece.rstrip()), piece.strip())


def clean_answer(text: str, title: str, others: Collection[str] = ()) -> str:
    """Return a section's text as it stands in the document.

    Opening words to the user, labels ("正文：", "Title: …"), headings that repeat the section's title
    and lines of the task are taken off; headings within become bold lines, as the outline alone makes
    headings. Where the answer runs on into another section (a line that is one of the other titles)
    it ends. Code blocks stay as they are.
    """
    return _clean(text, title, others)[0]


def runs_on(text: str, title: str, others: Collection[str]) -> bool:
    """Return whether an answer runs on into another section of the outline."""
    return _clean(text, title, others)[1]


def _clean(text: str, title: str, others: Collection[str]) -> tuple[str, bool]:
    text = _SPEECH.sub("", text.strip(), count=1)
    names = {plain_title(title)} - {""}
    elsewhere = {plain_title(name) for name in others} - names - {""}
    ran_on = False
    lines: list[str] = []
    fenced = False
    for line in drop_labels(text.splitlines(), names):
        if _FENCE.match(line):
            fenced = not fenced
        if fenced:
            lines.append(line.rstrip())
            continue
        heading = _HEADING.match(line)
        named = task_line(line)
        words = named or (heading.group(1) if heading else line)
        if lines and plain_title(words) in elsewhere:
            ran_on = True
            break
        if named is not None:
            continue
        if heading:
            bare = heading.group(1).strip("* ")
            line = "" if plain_title(bare) in names or not bare else f"**{bare}**"
        lines.append(line.rstrip())
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip(), ran_on


def drop_said(text: str, said: Container[str]) -> tuple[str, int]:
    """Take out the sentences that were said word for word: before (`said`, by `key`) or in this text.

    Small models copy the edge of the section before, and themselves. Returns the text and how many
    sentences went. Short sentences, lists and code are left alone.
    """
    if "```" in text:
        return text, 0
    seen: set[str] = set()
    fresh: list[str] = []
    at = dropped = 0
    for sentence in sentences(text):
        name = key(sentence.text)
        if len(name) >= SHORTEST_SAID and (name in seen or name in said):
            fresh.append(text[at : sentence.start])
            at = sentence.end
            dropped += 1
        seen.add(name)
    if not dropped:
        return text, 0
    joined = "".join([*fresh, text[at:]])
    joined = re.sub(r"[ \t]{2,}", " ", joined)
    return re.sub(r"\n[ \t]*(?:\n[ \t]*)+", "\n\n", joined).strip(), dropped


class Said(Container[str]):
    """The sentences of some texts, by `key`. Each text is read once, however often it is asked about."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._keys = [_sentence_keys(text) for text in texts]

    def __contains__(self, sentence: object) -> bool:
        return any(sentence in keys for keys in self._keys)


def key(sentence: str) -> str:
    """Return what makes two sentences the same: their letters and digits."""
    return re.sub(r"[\s\W_]+", "", sentence).lower()


@lru_cache(maxsize=512)
def _sentence_keys(text: str) -> frozenset[str]:
    return frozenset(key(sentence.text) for sentence in sentences(text))


def trim_to_sentence(text: str) -> str:
    """Return the text up to its last complete sentence; all of it when that would lose over half."""
    text = text.rstrip()
    last = None
    for end in _END.finditer(text):
        if end.group().strip():
            last = end.end()
    line = text.rfind("\n")
    if last is None or last < len(text) / 2:
        return text[:line].rstrip() if line > len(text) / 2 else text
    return text[:last].rstrip()


def drop_bare_marks(text: str) -> str:
    """Take out list items and numbers without a text: what is left of one that was cut or said before."""
    if "```" in text:
        return text
    return re.sub(r"\n{3,}", "\n\n", _BARE_MARK.sub("", text)).strip()


def is_whole(text: str) -> bool:
    """Return whether a text ends where a sentence, list or code block ends."""
    text = text.rstrip()
    return bool(text) and (text[-1] in "。！？!?…”’」』）)\"'.`|*" or text.endswith("```"))


def first_sentence(text: str, limit: int) -> str:
    """Return the first sentence that says something, at most `limit` characters of it."""
    for sentence in sentences(text):
        bare = sentence.text.strip("*#->| ")
        if len(bare) >= 8 and not bare.endswith((":", "：")):
            return bare if len(bare) <= limit else bare[: limit - 1].rstrip() + "…"
    return ""


def tail(text: str, limit: int) -> str:
    """Return the last whole sentences of a text, at most `limit` characters."""
    text = text.rstrip()
    if len(text) <= limit:
        return text
    tail = text[-limit:]
    for sentence in sentences(text):
        if sentence.start >= len(text) - limit:
            return text[sentence.start :]
    return tail


def head(text: str, limit: int) -> str:
    """Return the first whole sentences of a text, at most `limit` characters."""
    if len(text) <= limit:
        return text
    end = 0
    for sentence in sentences(text):
        if sentence.end > limit:
            break
        end = sentence.end
    return text[:end] if end else text[: limit - 1] + "…"
