"""The first round: an outline by the model, as structured output the engine is constrained to.

What a small model gets wrong is repaired (cut JSON, doubled titles, lengths that do not add up) or
refused; after two refusals simple rules make an outline. Wording lives in `writingprompt.toml`.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from twokeys.core.structured.reading import read_json
from twokeys.core.writer.budget import LengthEstimator
from twokeys.core.writer.outline import Outline, build_outline
from twokeys.core.writer.project import Project
from twokeys.core.writer.summary import relevant_notes
from twokeys.i18n import translate
from twokeys.types import ChatMessage, GenerationRequest, Sampling

Origin = Literal["model", "rules", "person"]

OUTLINE_SAMPLING = Sampling(temperature=0.7, max_new_tokens=1536)
"""S12: the first round."""

ATTEMPTS = 2
NOTES_TOKENS = 400
_SECTION = {"chars": (350, 1000), "words": (160, 500)}
CHAPTERS = {"white_paper": 8, "review": 7, "report": 6, "tutorial": 6, "essay": 5, "story": 5, "other": 5}
"""How many chapters a text of this kind usually has, once it is long enough for them (S12: 8)."""

FINE = ("white_paper",)
"""Kinds that are divided into many short sections, on three levels as soon as there are enough (S12)."""

THREE_LEVELS = 24
_NUMBER = re.compile(
    r"^(?:第[一二三四五六七八九十百\d]+[章节部分篇]+[:：、.\s]*|[一二三四五六七八九十]+[、.．:：]\s*"
    r"|[(（][一二三四五六七八九十\d]+[)）]\s*|\d+(?:\.\d+)+[.、:：]?\s*|\d+[.、．:：)]\s*"
    r"|(?:Chapter|Section|Part)\s+\d+(?:\.\d+)*\s*[:.–-]\s*)",
    re.IGNORECASE,
)
_PLACEHOLDERS = {"title", "标题", "小节标题", "章节标题", "goal", "section", "chapter", "..."}


@dataclass(frozen=True, slots=True)
class Shape:
    """How many chapters, sections in each, and parts in each of those (0 for none)."""

    chapters: int
    sections: int
    parts: int = 0

    @property
    def leaves(self) -> int:
        return self.chapters * self.sections * max(1, self.parts)


def shape_of(project: Project) -> Shape:
    """Return the shape of an outline for a kind and a length: sections of about 350–1000 characters."""
    low, high = _SECTION[project.unit]
    size = min(max(project.length / (28 if project.kind in FINE else 14), low), high)
    leaves = min(max(2, round(project.length / size)), 96)
    if leaves < 6:
        return Shape(leaves, 1)
    chapters, usual = min(max(3, round(math.sqrt(leaves * 1.6))), 12), CHAPTERS[project.kind]
    if leaves >= usual * 2:
        chapters = max(chapters, usual)
    if leaves >= THREE_LEVELS:
        return Shape(chapters, max(2, round(leaves / chapters / 2)), 2)
    return Shape(chapters, max(1, round(leaves / chapters)))


def outline_request(project: Project, *, attempt: int = 1, context: int = 0) -> GenerationRequest:
    """Return the request for an outline. Later attempts draw a new seed and are a little freer."""
    shape = shape_of(project)
    say = _Say(project.language)
    sampling = OUTLINE_SAMPLING
    if attempt > 1:
        sampling = sampling.with_(temperature=0.85, repetition_penalty=1.1, frequency_penalty=0.2)
    if context:
        sampling = sampling.with_(max_new_tokens=max(256, min(sampling.max_new_tokens, context // 2)))
    lines = [say("project", topic=project.topic)]
    if project.audience.strip():
        lines.append(say("audience", audience=project.audience))
    if project.style.strip():
        lines.append(say("style", style=project.style))
    estimator = LengthEstimator(1.0)
    notes = relevant_notes(project.notes, project.topic, estimator, min(NOTES_TOKENS, (context or 8192) // 8))
    if notes:
        lines.append(say("outline.notes", notes=notes))
    ask = say(
        "outline.ask",
        kind=say(f"kind.{project.kind}"),
        project="\n".join(estimator.clip(line, 500) for line in lines),
        length=project.length,
        chapters=shape.chapters,
        sections=shape.sections,
    )
    if shape.parts:
        ask += say("outline.parts", parts=shape.parts)
    return GenerationRequest(
        messages=(ChatMessage("system", say("outline.system")), ChatMessage("user", ask)),
        sampling=sampling,
        json_schema=outline_schema(project, shape),
    )


def outline_schema(project: Project, shape: Shape) -> dict[str, object]:
    """Return the JSON schema of an outline of this shape."""
    short, long = (24, 40) if project.language == "zh" else (60, 100)
    length = {"type": "integer", "minimum": 50, "maximum": max(100, project.length)}
    title = {"type": "string", "minLength": 2, "maxLength": short}
    goal = {"type": "string", "minLength": 4, "maxLength": long}

    def group(of: Mapping[str, object], name: str, count: int, **more: object) -> dict[str, object]:
        listed = {"type": "array", "items": of, "minItems": max(1, count - 1), "maxItems": count + 1}
        named = {"title": title, **more, name: listed}
        return _object(named)

    leaf = _object({"title": title, "goal": goal, "length": length})
    section: Mapping[str, Any] = leaf
    if shape.parts:
        section = group(_object({"title": title, "goal": goal}), "parts", shape.parts, length=length)
    chapter = group(section, "sections", shape.sections)
    chapters = {
        "type": "array",
        "items": chapter,
        "minItems": max(1, shape.chapters - 1),
        "maxItems": shape.chapters + 1,
    }
    return _object({"chapters": chapters})


def _object(properties: Mapping[str, object]) -> dict[str, object]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


def read_outline(answer: str, project: Project) -> Outline | None:
    """Return the outline of an answer, repaired and brought to the length; None when it cannot be used.

    It needs at least two chapters and 60 % of the sections asked for, no two of the same name.
    """
    value = _load(answer)
    if not isinstance(value, Mapping):
        return None
    headings = list(_without_doubles(_headings(value.get("chapters"))))
    outline = build_outline(headings, project.length)
    chapters = sum(node.level == 1 for node in outline.nodes)
    wanted = shape_of(project)
    if chapters < min(2, wanted.chapters) or len(outline.sections) < wanted.leaves * 0.6:
        return None
    return outline


def growing_headings(answer: str) -> tuple[tuple[int, str], ...]:
    """Return level and title of the headings of an outline that is still being written, as far as it is."""
    value = read_json(answer).value
    chapters = value.get("chapters") if isinstance(value, dict) else None
    return tuple((level, title.strip()) for level, title, *_ in _headings(chapters) if title.strip())


def rule_outline(project: Project) -> Outline:
    """Return the usual outline of this kind of text, as a start when no model made one."""
    shape = shape_of(project)
    say = _Say(project.language)
    chapters = [
        line.split("｜" if "｜" in line else "|") for line in say(f"rules.{project.kind}").split("\n")
    ]
    if len(chapters) > shape.chapters:
        # the last one closes the text; it stays
        chapters = [*chapters[: shape.chapters - 1], chapters[-1]]
    headings: list[tuple[int, str, int, str]] = []
    parts = say("rules.parts_story" if project.kind == "story" else "rules.parts").split("\n")
    count = min(len(parts), max(2, math.ceil(shape.leaves / (2 * len(chapters)))))
    for title, inner in chapters:
        headings.append((1, title, 0, ""))
        if shape.sections == 1 and not shape.parts:
            continue
        for heading in inner.replace("；", ";").split(";"):
            name = heading.strip()
            headings.append((2, name, 0, ""))
            if shape.parts:
                headings += [(3, part.replace("…", name), 0, "") for part in parts[:count]]
    return build_outline(headings, project.length)


class _Say:
    def __init__(self, language: str) -> None:
        self._language = language

    def __call__(self, key: str, /, **values: object) -> str:
        return translate(f"writingprompt.{key}", self._language, **values)


def _headings(chapters: object, level: int = 1, share: int = 0) -> Iterator[tuple[int, str, int, str]]:
    """Yield level, title, length, goal; share: what a heading without a length has of the one above."""
    for chapter in chapters if isinstance(chapters, list) else ():
        if not isinstance(chapter, Mapping) or not isinstance(chapter.get("title"), str):
            continue
        length = chapter.get("length")
        inner = chapter.get("sections") or chapter.get("parts")
        number = length if isinstance(length, int) and not isinstance(length, bool) else share
        yield level, chapter["title"], number, chapter["goal"] if isinstance(chapter.get("goal"), str) else ""
        within = max(1, len(inner)) if isinstance(inner, list) else 1
        yield from _headings(inner, level + 1, max(0, number) // within)


def _without_doubles(headings: Iterator[tuple[int, str, int, str]]) -> Iterator[tuple[int, str, int, str]]:
    """Leave out titles that came before, and words of the request taken for titles."""
    seen: set[str] = set()
    for level, title, length, goal in headings:
        title = _NUMBER.sub("", title.strip().strip("#*《》 ")).strip()
        bare = "".join(char for char in title.lower() if char.isalnum())
        if not bare or bare in seen or title.lower() in _PLACEHOLDERS:
            continue
        seen.add(bare)
        yield level, title, length, goal


def _load(answer: str) -> object:
    """Read JSON; an answer cut in the middle loses its last, unfinished entry."""
    start = answer.find("{")
    text = answer[start:] if start >= 0 else ""
    try:
        return json.loads(text)
    except ValueError:
        pass
    for end in range(len(text), 0, -1):
        if text[end - 1] != "}":
            continue
        try:
            return json.loads(text[:end] + _closing(text[:end]))
        except ValueError:
            continue
    return None


def _closing(text: str) -> str:
    """Return the brackets that close what is open in a piece of JSON."""
    open_: list[str] = []
    quoted = escaped = False
    for char in text:
        if quoted:
            escaped, quoted = char == "\\" and not escaped, char != '"' or escaped
        elif char == '"':
            quoted = True
        elif char in "{[":
            open_.append("}" if char == "{" else "]")
        elif char in "}]" and open_:
            open_.pop()
    return "".join(reversed(open_))
