"""The outline: headings in order on up to three levels, each with a title, goals and a length.

A heading without headings below it is a section: its text is written. A heading with some is only
their title, and its length is their sum. Every method returns a new outline; ids stay.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from twokeys.errors import BadInput, NotFound, Reason
from twokeys.ids import new_id

LEVELS = 3
MAX_NODES = 200
SHORTEST_SECTION = 30
MAX_TITLE_CHARS = 120
MAX_GOAL_CHARS = 300


@dataclass(frozen=True, slots=True)
class Node:
    """One heading. level: 1 (chapter) to 3. length: asked for, in the project's unit; goal: what it
    has to say."""

    id: str
    level: int
    title: str
    length: int = 0
    goal: str = ""

    def to_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "level": self.level,
            "title": self.title,
            "length": self.length,
            "goal": self.goal,
        }


@dataclass(frozen=True, slots=True)
class Outline:
    """The headings in the order of the text, each followed by those below it."""

    nodes: tuple[Node, ...] = ()

    # ---- reading ----------------------------------------------------------------------------

    @property
    def sections(self) -> tuple[Node, ...]:
        """The headings that have text of their own, in order."""
        return tuple(node for i, node in enumerate(self.nodes) if not self._is_parent(i))

    @property
    def length(self) -> int:
        """The length of the whole: the sum over the sections."""
        return sum(node.length for node in self.sections)

    def get(self, node_id: str) -> Node:
        """Return a heading. Raises NotFound."""
        return self.nodes[self._index(node_id)]

    def length_of(self, node_id: str) -> int:
        """Return the length of a heading with all below it."""
        at = self._index(node_id)
        inner = [n for i, n in enumerate(self.nodes[at : self._end(at)], at) if not self._is_parent(i)]
        return sum(node.length for node in inner)

    def under(self, node_id: str) -> tuple[Node, ...]:
        """Return a heading and all headings under it, in their order."""
        at = self._index(node_id)
        end = at + 1
        while end < len(self.nodes) and self.nodes[end].level > self.nodes[at].level:
            end += 1
        return self.nodes[at:end]

    def parents(self, node_id: str) -> tuple[Node, ...]:
        """Return the headings above a heading, the chapter first."""
        at = self._index(node_id)
        above: list[Node] = []
        level = self.nodes[at].level
        for node in reversed(self.nodes[:at]):
            if node.level < level:
                above.append(node)
                level = node.level
        return tuple(reversed(above))

    def numbers(self) -> dict[str, str]:
        """Return the number of every heading: "2", "2.1", "2.1.3"."""
        counts = [0] * LEVELS
        numbers: dict[str, str] = {}
        for node in self.nodes:
            counts[node.level - 1] += 1
            counts[node.level :] = [0] * (LEVELS - node.level)
            numbers[node.id] = ".".join(str(count) for count in counts[: node.level])
        return numbers

    def neighbours(self, node_id: str) -> tuple[Node | None, Node | None]:
        """Return the sections before and after a section."""
        sections = self.sections
        at = next(i for i, node in enumerate(sections) if node.id == node_id)
        return (
            sections[at - 1] if at else None,
            sections[at + 1] if at + 1 < len(sections) else None,
        )

    def chapter(self, node_id: str) -> tuple[Node, ...]:
        """Return the chapter that a heading is in, with all its headings."""
        at = self._index(node_id)
        while self.nodes[at].level > 1:
            at -= 1
        return self.nodes[at : self._end(at)]

    # ---- changing ---------------------------------------------------------------------------

    def rename(self, node_id: str, title: str) -> Self:
        """Give a heading another title. Raises BadInput for an empty one."""
        title = " ".join(title.split())
        if not title:
            raise BadInput(reason=Reason("writing.error.empty_title"))
        return self._with(node_id, title=title[:MAX_TITLE_CHARS])

    def set_goal(self, node_id: str, goal: str) -> Self:
        """Say what a section has to say."""
        return self._with(node_id, goal=" ".join(goal.split())[:MAX_GOAL_CHARS])

    def set_length(self, node_id: str, length: int) -> Self:
        """Set the length of a heading; one with headings below shares it among them as they stand."""
        if isinstance(length, bool) or length < SHORTEST_SECTION:
            raise BadInput(reason=Reason("writing.error.bad_length", low=SHORTEST_SECTION))
        at = self._index(node_id)
        inner = [i for i in range(at, self._end(at)) if not self._is_parent(i)]
        return type(self)(_scaled(self.nodes, inner, length))

    def rescale(self, length: int) -> Self:
        """Bring the whole to a length, the sections' shares kept as far as their bounds allow."""
        inner = [i for i in range(len(self.nodes)) if not self._is_parent(i)]
        return type(self)(_scaled(self.nodes, inner, length))

    def add(
        self, title: str, *, after: str | None = None, level: int | None = None, length: int = 300
    ) -> Self:
        """Add a heading behind another one with all below it (at the end without one)."""
        if len(self.nodes) >= MAX_NODES:
            raise BadInput(reason=Reason("writing.error.too_many", limit=MAX_NODES))
        at = len(self.nodes) if after is None else self._index(after)
        base = 1 if after is None else self.nodes[at].level
        wanted = min(max(base if level is None else level, 1), LEVELS)
        if after is not None:
            at = at + 1 if wanted > base else self._end(at)
        nodes = list(self.nodes)
        nodes.insert(at, Node(new_id(), wanted, title, length))
        return type(self)(_leveled(nodes)).rename(nodes[at].id, title)

    def delete(self, node_id: str) -> Self:
        """Take a heading out, with all below it."""
        at = self._index(node_id)
        return type(self)(_leveled([*self.nodes[:at], *self.nodes[self._end(at) :]]))

    def move(self, node_id: str, step: int) -> Self:
        """Move a heading with all below it before (−1) or behind (+1) its neighbour of the same rank.

        At the edge of its chapter it goes over into the next one; at the edge of the text it stays.
        """
        at = self._index(node_id)
        end = self._end(at)
        block = self.nodes[at:end]
        if step < 0:
            target = self._before(at)
        else:
            target = end
            if end < len(self.nodes):
                same_rank = self.nodes[end].level == block[0].level
                target = self._end(end) if same_rank else end + 1
        rest = [*self.nodes[:at], *self.nodes[end:]]
        place = target if target <= at else target - len(block)
        return type(self)(_leveled([*rest[:place], *block, *rest[place:]]))

    def shift(self, node_id: str, step: int) -> Self:
        """Move a heading with all below it one level up (−1) or down (+1), within three levels."""
        at = self._index(node_id)
        end = self._end(at)
        block = [replace(node, level=min(max(node.level + step, 1), LEVELS)) for node in self.nodes[at:end]]
        return type(self)(_leveled([*self.nodes[:at], *block, *self.nodes[end:]]))

    def keep_texts(self, written: Collection[str], title: str) -> Self:
        """Let no written text stand on a heading that has headings below it, where nobody sees it.

        Such a heading goes on, with its text, as the first one below a new heading of its name.
        written: ids of the headings with a text. title: what the heading of the text is called then.
        """
        nodes: list[Node] = []
        for at, node in enumerate(self.nodes):
            if node.id in written and self._is_parent(at):
                nodes.append(Node(new_id(), node.level, node.title))
                node = replace(node, level=node.level + 1, title=title)
            nodes.append(node)
        return type(self)(tuple(nodes))

    # ---- stored -----------------------------------------------------------------------------

    def to_list(self) -> list[dict[str, object]]:
        return [node.to_dict() for node in self.nodes]

    @classmethod
    def from_list(cls, values: Iterable[Mapping[str, Any]]) -> Self:
        return cls(tuple(Node(**dict(value)) for value in values))

    # ---- within -----------------------------------------------------------------------------

    def _index(self, node_id: str) -> int:
        for index, node in enumerate(self.nodes):
            if node.id == node_id:
                return index
        raise NotFound(kind="section", name=node_id)

    def _is_parent(self, index: int) -> bool:
        return index + 1 < len(self.nodes) and self.nodes[index + 1].level > self.nodes[index].level

    def _end(self, at: int) -> int:
        """The index behind a heading and all below it."""
        end = at + 1
        while end < len(self.nodes) and self.nodes[end].level > self.nodes[at].level:
            end += 1
        return end

    def _before(self, at: int) -> int:
        """The index where the neighbour of the same rank before a heading begins."""
        level = self.nodes[at].level
        for index in range(at - 1, -1, -1):
            if self.nodes[index].level == level:
                return index
            if self.nodes[index].level < level:
                return index or at  # first of its chapter: over into the one before
        return at

    def _with(self, node_id: str, **changes: Any) -> Self:
        at = self._index(node_id)
        changed = replace(self.nodes[at], **changes)
        return type(self)((*self.nodes[:at], changed, *self.nodes[at + 1 :]))


def build_outline(headings: Sequence[tuple[int, str, int, str]], length: int) -> Outline:
    """Return an outline of (level, title, length, goal), the lengths brought to a sum of `length`.

    Levels are bounded and never skip one; titles are cleaned; a length far from its fellows' mean
    (a small model's guess) is brought within a half and twice of it.
    """
    nodes = [
        Node(
            new_id(), min(max(level, 1), LEVELS), _clean(title, MAX_TITLE_CHARS), max(0, asked), _clean(goal)
        )
        for level, title, asked, goal in headings[:MAX_NODES]
        if _clean(title, MAX_TITLE_CHARS)
    ]
    outline = Outline(_leveled(nodes))
    inner = {node.id for node in outline.sections}
    asked_for = [node.length for node in outline.sections if node.length > 0]
    mean = sum(asked_for) / len(asked_for) if asked_for else 1.0
    nodes = [
        replace(n, length=round(min(max(n.length or mean, mean / 2), mean * 2) * 10) if n.id in inner else 0)
        for n in outline.nodes
    ]
    return Outline(tuple(nodes)).rescale(length) if nodes else Outline()


def _clean(text: str, limit: int = MAX_GOAL_CHARS) -> str:
    return " ".join(text.replace("#", " ").replace("*", " ").split())[:limit].strip()


def _leveled(nodes: Sequence[Node]) -> tuple[Node, ...]:
    """Return the headings with no level skipped: the first is a chapter, others at most one deeper."""
    level = 0
    leveled = []
    for node in nodes:
        level = min(node.level, level + 1, LEVELS)
        leveled.append(node if node.level == level else replace(node, level=level))
    return tuple(leveled)


def _scaled(nodes: Sequence[Node], inner: Sequence[int], length: int) -> tuple[Node, ...]:
    """Return the headings, those at `inner` brought to a sum of `length` (or their least)."""
    if not inner:
        return tuple(nodes)
    # every section gets the least, and its share of the rest
    rest = max(0, length - SHORTEST_SECTION * len(inner))
    total = sum(max(1, nodes[i].length) for i in inner)
    scaled = list(nodes)
    sofar = given = 0
    for i in inner:
        sofar += max(1, nodes[i].length)
        upto = rest * sofar // total
        scaled[i] = replace(nodes[i], length=SHORTEST_SECTION + upto - given)
        given = upto
    return tuple(scaled)
