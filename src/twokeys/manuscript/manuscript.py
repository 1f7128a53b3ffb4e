"""The document itself: title, abstract, numbered headings with their texts, glossary. A value."""

from dataclasses import dataclass

from twokeys.core.writer.view import ProjectView
from twokeys.i18n import translate


@dataclass(frozen=True, slots=True)
class ManuscriptPart:
    """A heading, and its text in Markdown; empty where only headings follow. level: 1–3."""

    level: int
    number: str
    title: str
    text: str

    @property
    def heading(self) -> str:
        return f"{self.number} {self.title}".strip()


@dataclass(frozen=True, slots=True)
class Manuscript:
    """A document in one language. subtitle: its kind. Empty texts are left out by the writers."""

    title: str
    subtitle: str
    language: str
    parts: tuple[ManuscriptPart, ...]
    abstract: str = ""
    glossary: str = ""

    def word(self, name: str) -> str:
        """Return a heading of ours: "contents", "abstract" or "glossary"."""
        return translate(f"writing.document.{name}", self.language)


def manuscript_of(view: ProjectView) -> Manuscript:
    """Return the document of a project; skipped sections and headings without any text are left out."""
    texts = {
        section.node.id: section.text
        for section in view.sections
        if section.state != "skipped" and section.text.strip()
    }
    numbers = view.outline.numbers()
    nodes = view.outline.nodes
    parts = []
    for at, node in enumerate(nodes):
        below = [first.id for first in nodes[at:][:1]]
        for later in nodes[at + 1 :]:
            if later.level <= node.level:
                break
            below.append(later.id)
        if any(node_id in texts for node_id in below):
            parts.append(
                ManuscriptPart(node.level, numbers[node.id], node.title, texts.get(node.id, "").strip())
            )
    extras = {name: extra.text.strip() for name, extra in view.extras.items()}
    return Manuscript(
        title=view.title,
        subtitle=translate(f"writing.kind.{view.project.kind}", view.project.language),
        language=view.project.language,
        parts=tuple(parts),
        abstract=extras.get("abstract", ""),
        glossary=extras.get("glossary", ""),
    )
