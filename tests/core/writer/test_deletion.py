"""A deleted text is gone for good with all that belongs to it: notes, prompts, answers, versions."""

from pathlib import Path

from tests.core.making import MakeServices

from twokeys.core.writer.project import Project
from twokeys.engines.scripted import ScriptedEngine

from .scripts import author


def files_with(home: Path, words: bytes) -> list[str]:
    return [path.name for path in home.rglob("*") if path.is_file() and words in path.read_bytes()]


def test_a_removed_project_leaves_nothing_in_any_file(make_services: MakeServices, home: Path) -> None:
    services = make_services(ScriptedEngine(author()))
    writer = services.writer
    notes = "Zanzibarian lapsang grows beside the xylophone factory."
    made = writer.new(Project("Quetzal tea", language="en", length=300, notes=notes))
    writer.use_rules(made)
    writer.start(made)
    view = writer.wait(made, 60)
    assert view.state == "done"
    first = view.sections[0]
    writer.edit(made, first.node.id, "A sentence about vermilion teapots.")
    services.repository.bin.remove(writer.delete(made))
    for words in (b"Zanzibarian", b"Quetzal", b"vermilion", first.text[:40].encode()):
        assert files_with(home, words) == []
    # what is held decoded in memory goes too
    assert made not in writer.store.held
