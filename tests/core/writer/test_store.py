"""What a project costs the database, and that what is held decoded is what is stored."""

import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from tests.core.making import MakeServices

from twokeys.core.writer import reading
from twokeys.core.writer.outline import build_outline
from twokeys.core.writer.project import Project
from twokeys.core.writer.section import SectionVersion
from twokeys.core.writer.store import ProjectStore
from twokeys.engines.scripted import ScriptedEngine
from twokeys.services import Services
from twokeys.store.db import Database

from .scripts import author

RUN = "twokeys-writing-"


class Costs:
    """Counts, in the thread that writes, what is done up to each finished section."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now: Counter[str] = Counter()
        self.sections: list[Counter[str]] = []
        self._count(monkeypatch, Database, "read", "store calls")
        self._count(monkeypatch, Database, "write", "store calls")
        self._count(monkeypatch, SectionVersion, "from_dict", "decoded versions")
        self._count(monkeypatch, reading, "read_project", "views")
        self._count(monkeypatch, ProjectStore, "add_version", "")

    def _count(self, monkeypatch: pytest.MonkeyPatch, owner: object, name: str, counted: str) -> None:
        real: Callable[..., object] = getattr(owner, name)
        bound = hasattr(real, "__self__")  # a class method knows its class already

        def counting(*args: object, **named: object) -> object:
            if threading.current_thread().name.startswith(RUN):
                if counted:
                    self.now[counted] += 1
                else:
                    self.sections.append(self.now)
                    self.now = Counter()
            return real(*args, **named)

        monkeypatch.setattr(owner, name, staticmethod(counting) if bound else counting)


def project_of(services: Services, sections: int) -> str:
    """A project with an outline of so many sections of 40 words."""
    made = services.writer.new(Project("Tea", language="en", length=sections * 40))
    headings = [
        heading
        for chapter in range(sections // 6)
        for heading in [
            (1, f"Chapter {chapter}", 0, ""),
            *((2, f"Topic {chapter} {section}", 40, "") for section in range(6)),
        ]
    ]
    outline = build_outline(headings, sections * 40)
    services.writer.store.change_outline(made, lambda _: outline, "person")
    return made


def test_a_finished_section_costs_the_same_however_many_sections_there_are(
    make_services: MakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = make_services(ScriptedEngine(author()))
    costs = Costs(monkeypatch)
    for sections in (6, 24, 96):
        made = project_of(services, sections)
        services.writer.start(made)
        view = services.writer.wait(made, 240)
        assert (view.state, len(view.sections)) == ("done", sections)
    assert len(costs.sections) == 6 + 24 + 96
    assert all((cost["decoded versions"], cost["views"]) == (0, 0) for cost in costs.sections)
    first, later = {0, 6, 30}, []  # a project's first section prepares the run
    for number, cost in enumerate(costs.sections):
        if number not in first:
            later.append(cost["store calls"])
    assert len(set(later)) == 1 and later[0] <= 30, later


def test_what_another_process_changes_is_seen_here(make_services: MakeServices) -> None:
    here, there = make_services(ScriptedEngine(author())), make_services(ScriptedEngine(author()))
    made = project_of(here, 6)
    first = here.writer.view(made).sections[0].node.id
    there.writer.edit(made, first, "Written elsewhere.")
    assert here.writer.view(made).sections[0].text == "Written elsewhere."
    here.writer.edit(made, first, "Written here.")
    assert [version.text for version in there.writer.view(made).sections[0].versions] == [
        "Written elsewhere.",
        "Written here.",
    ]


def test_a_change_that_is_rolled_back_is_not_held(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine(author()))
    made = project_of(services, 6)
    store, first = services.writer.store, services.writer.view(made).sections[0].node.id

    @contextlib.contextmanager
    def failing() -> Iterator[None]:
        with services.repository.transaction():
            yield
            raise RuntimeError("no room")

    broken = ProjectStore(services.repository.documents, failing, lambda _: None)
    with pytest.raises(RuntimeError):
        broken.change_section(made, first, skipped=True)
    assert not broken.read(made).section(first).skipped
    assert not store.read(made).section(first).skipped


def test_changes_of_many_threads_are_all_kept(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine(author()))
    made = project_of(services, 24)
    nodes = [section.node.id for section in services.writer.view(made).sections]
    threads = [
        threading.Thread(target=services.writer.edit, args=(made, node, f"Of {node}.")) for node in nodes
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [section.text for section in services.writer.view(made).sections] == [f"Of {n}." for n in nodes]
    fresh = ProjectStore(services.repository.documents, services.repository.transaction, lambda _: None)
    assert fresh.read(made).texts() == services.writer.store.read(made).texts()
