"""What the model reads for one section: a fixed budget of parts, the unchanging ones first.

The system message (the task, the project, the chapters) is the same for all sections near each
other, and the running summary that follows only grows, so the engine's prompt cache keeps both; what
belongs to one section stands behind them, its task last.
Every part is clipped to its share. Wording lives in `i18n/texts/writingprompt.toml`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from twokeys.core.writer.budget import WORKING_BUDGET, WRITING_BUDGET, Budget, LengthEstimator
from twokeys.core.writer.outline import Node, Outline
from twokeys.core.writer.project import Project
from twokeys.core.writer.prose import head, tail
from twokeys.core.writer.summary import MAX_TERMS, TermIndex, WrittenSection, relevant_notes, running_summary
from twokeys.i18n import translate
from twokeys.types import ChatMessage

Operation = Literal[
    "write",
    "continue",
    "expand",
    "condense",
    "rewrite",
    "translate",
    "transition",
    "abstract",
    "glossary",
    "edit",
]
OPERATIONS: tuple[Operation, ...] = ("expand", "condense", "rewrite", "translate", "continue")
"""What a person can ask of a section that is written."""

PARAGRAPH = {"chars": 160, "words": 90}


@dataclass(frozen=True, slots=True)
class SectionPrompt:
    """system and user: what is sent. parts: estimated tokens of each part. limit: the budget."""

    system: str
    user: str
    parts: Mapping[str, int] = field(default_factory=dict)
    budget: Budget = WRITING_BUDGET

    @property
    def tokens(self) -> int:
        """Estimated tokens of the prompt."""
        return sum(self.parts.values())

    @property
    def messages(self) -> tuple[ChatMessage, ...]:
        return (ChatMessage("system", self.system), ChatMessage("user", self.user))


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is known when a section's turn comes.

    texts: the written sections by heading id. terms: finds the terms in use.
    """

    project: Project
    outline: Outline
    texts: Mapping[str, str]
    estimator: LengthEstimator
    context: int = 0
    terms: TermIndex | None = None

    @property
    def piece(self) -> int:
        """The most that is asked for at once; of a longer section the rest is written from its end on."""
        return self.estimator.length(WRITING_BUDGET.within(self.context).grown(self.context))

    @property
    def language(self) -> str:
        return self.project.language

    def say(self, key: str, **values: object) -> str:
        return translate(f"writingprompt.{key}", self.language, **values)

    def written(self, before: str | None = None) -> list[WrittenSection]:
        """Return the written sections in order, those before a heading when one is given."""
        numbers = self.outline.numbers()
        written: list[WrittenSection] = []
        for node in self.outline.sections:
            if node.id == before:
                break
            if self.texts.get(node.id):
                written.append(WrittenSection(numbers[node.id], node.title, self.texts[node.id]))
        return written

    def terms_of(self, sections: Sequence[WrittenSection], limit: int = MAX_TERMS) -> tuple[str, ...]:
        """Return the terms that some sections use again and again, the most used first."""
        index = self.terms if self.terms is not None else TermIndex(self.language)
        return index.of([section.text for section in sections], limit)


def writing_prompt(around: Surroundings, node: Node) -> SectionPrompt:
    """Return the prompt that writes a section from nothing."""
    budget = WRITING_BUDGET.within(around.context)
    written = around.written(before=node.id)
    say, estimator, parts = around.say, around.estimator, budget.parts
    summary = running_summary(written, around.language, estimator, parts["summary"])
    terms = ""
    for term in around.terms_of(written):
        longer = f"{terms}{'、' if around.language == 'zh' else ', '}{term}" if terms else term
        if estimator.tokens(longer) > parts["terms"]:
            break
        terms = longer
    notes = relevant_notes(around.project.notes, f"{node.title} {node.goal}", estimator, parts["notes"])
    pieces = {
        "summary": say("summary", summary=summary) if summary else "",
        "notes": say("notes", notes=notes) if notes else "",
        "terms": say("terms", terms=terms) if terms else "",
        **_edges(around, node, parts),
        "place": _place(around, node, parts["place"]),
    }
    return _prompt(around, node, pieces, budget, chapters=True)


def working_prompt(
    around: Surroundings,
    node: Node,
    operation: Operation,
    text: str,
    *,
    length: int,
    instruction: str = "",
    part: bool = False,
) -> SectionPrompt:
    """Return the prompt that works on a section's text, or on a passage of it (`part`).

    instruction: what a rewrite is to do, or the language ("zh", "en") of a translation. The caller
    has checked that the text is within `text_limit`; going on reads only the text's end.
    """
    budget = WORKING_BUDGET.within(around.context)
    say, estimator, parts = around.say, around.estimator, budget.parts
    if operation in ("continue", "transition"):
        room = estimator.chars(text, parts["text"] if operation == "continue" else parts["text"] // 4)
        text = tail(text, room) if operation == "continue" else head(text, room)
    target = say(f"language.{instruction}") if operation == "translate" else ""
    task = say(
        f"task.{operation}", length=length, instruction=estimator.clip(instruction, 200), target=target
    )
    edges = _edges(around, node, parts) if operation in ("continue", "transition") else {}
    pieces = {
        **edges,
        "text": say("part" if part else "text", text=text),
        "place": f"{_heading(around, node)}\n{task}",
    }
    return _prompt(around, node, pieces, budget)


def whole_prompt(around: Surroundings, operation: Operation, *, length: int) -> SectionPrompt:
    """Return the prompt for the abstract or the glossary of the whole."""
    budget = WORKING_BUDGET.within(around.context)
    say, estimator, parts = around.say, around.estimator, budget.parts
    written = around.written()
    if operation == "abstract":
        summary = whole_summary(written, around.language, estimator, parts["text"])
        pieces = {"text": say("summary", summary=summary), "place": say("task.abstract", length=length)}
    else:
        terms = around.terms_of(written, limit=10)
        listed = estimator.clip("\n".join(f"- {term}" for term in terms), parts["text"] // 4)
        pieces = {"place": say("task.glossary", terms=listed or around.project.topic)}
    return _prompt(around, None, pieces, budget)


def whole_summary(
    sections: Sequence[WrittenSection], language: str, estimator: LengthEstimator, tokens: int
) -> str:
    """Return lines for sections from all over the text, evenly chosen where not all fit."""
    step = 1
    while step <= max(1, len(sections)):
        chosen = sections[::step]
        lines = running_summary(chosen, language, estimator, tokens)
        if lines.count("\n") + 1 >= len([section for section in chosen if section.text.strip()]):
            return lines
        step += 1
    return running_summary(sections[-1:], language, estimator, tokens)


def text_limit(estimator: LengthEstimator, context: int, sample: str) -> int:
    """Return how many characters of a text like `sample` an operation can work on at once."""
    tokens = WORKING_BUDGET.within(context).parts["text"]
    whole = estimator.tokens(sample)
    return len(sample) if whole <= tokens else int(len(sample) * tokens / whole)


def _prompt(
    around: Surroundings,
    node: Node | None,
    pieces: Mapping[str, str],
    budget: Budget,
    *,
    chapters: bool = False,
) -> SectionPrompt:
    estimator = around.estimator
    project = estimator.clip(_project(around), budget.parts["project"])
    window = _chapters(around, node, budget.parts["chapters"]) if chapters and node is not None else ""
    parts = {"project": project, "chapters": window, **pieces}
    user = "\n\n".join(text for text in pieces.values() if text)
    return SectionPrompt(
        system="\n\n".join(text for text in (project, window) if text),
        user=user,
        parts={name: estimator.tokens(text) for name, text in parts.items() if text},
        budget=budget,
    )


def _project(around: Surroundings) -> str:
    project, say = around.project, around.say
    lines = [
        say("system", kind=say(f"kind.{project.kind}")),
        say("project", topic=project.topic),
        say("audience", audience=project.audience) if project.audience.strip() else "",
        say("style", style=project.style) if project.style.strip() else "",
    ]
    return "\n".join(line for line in lines if line)


def _chapters(around: Surroundings, node: Node, tokens: int) -> str:
    """Return the chapters' titles; of a very long list a window that moves in large steps."""
    numbers = around.outline.numbers()
    chapters = [chapter for chapter in around.outline.nodes if chapter.level == 1]
    lines = [f"{numbers[chapter.id]} {chapter.title}" for chapter in chapters]
    frame = around.estimator.tokens(around.say("chapters", chapters=""))
    costs = [around.estimator.tokens(line) + 1 for line in lines]
    if frame + sum(costs) <= tokens:
        return around.say("chapters", chapters="\n".join(lines))
    here = next(
        (i for i, chapter in enumerate(chapters) if chapter.id == around.outline.chapter(node.id)[0].id), 0
    )
    size = max(1, int((tokens - frame - 8) / max(costs)))
    start = here // size * size  # moves only every `size` chapters, for the prompt cache
    shown = lines[start : start + size]
    window = [*(["…"] if start else []), *shown, *(["…"] if start + size < len(lines) else [])]
    return around.estimator.clip(around.say("chapters", chapters="\n".join(window)), tokens)


def _heading(around: Surroundings, node: Node) -> str:
    titles = [parent.title for parent in around.outline.parents(node.id)]
    joined = ("》《" if around.language == "zh" else " – ").join(titles)
    above = around.say("above", titles=joined) if titles else ""
    return around.say("place", number=around.outline.numbers()[node.id], title=node.title, above=above)


def _place(around: Surroundings, node: Node, tokens: int) -> str:
    say, estimator = around.say, around.estimator
    mates = [mate.title for mate in around.outline.chapter(node.id)[1:] if mate.id != node.id]
    paragraphs = max(1, round(node.length / PARAGRAPH[around.project.unit]))
    heading = _heading(around, node)
    length = say("length", length=node.length, paragraphs=paragraphs)
    start = say("start", title=node.title)
    goal = say("goal", goal=node.goal) if node.goal else ""
    left = tokens - sum(estimator.tokens(text) + 1 for text in (heading, length, start, goal))
    names = ("、" if around.language == "zh" else "; ").join(mates)
    siblings = estimator.clip(say("siblings", titles=names), left) if mates and left > 24 else ""
    return "\n".join(text for text in (heading, siblings, goal, length, start) if text)


def _edges(around: Surroundings, node: Node, parts: Mapping[str, int]) -> dict[str, str]:
    """The end of the section before and the beginning of the one after, as far as they are there."""
    before, after = around.outline.neighbours(node.id)
    say, estimator, edges = around.say, around.estimator, {}
    if before is not None and (text := around.texts.get(before.id)):
        limit = estimator.chars(text, parts["before"] - 16)
        edges["before"] = say("before", before=tail(text, limit))
        while limit > 1 and estimator.tokens(edges["before"]) > parts["before"]:
            # from its beginning: the last words are what the next section leads on from
            limit = int(limit * 0.92)
            edges["before"] = say("before", before=tail(text, limit))
    if after is not None:
        text = around.texts.get(after.id, "")
        room = estimator.chars(text, parts["after"] - 24) if text else 0
        edges["after"] = (
            say("after_text", title=after.title, text=head(text, max(room, 12)))
            if text
            else say("after", title=after.title)
        )
    return {name: estimator.clip(text, parts[name]) for name, text in edges.items()}
