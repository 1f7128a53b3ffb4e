"""A real process dies in the middle of a long text: what is done stays, what was begun goes on."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from twokeys.config import load_config
from twokeys.core.writer.view import ProjectView
from twokeys.engines.scripted import ScriptedEngine
from twokeys.services import build_services

CHILD = Path(__file__).with_name("writer_child.py")
ROOT = Path(__file__).resolve().parents[2]


class Child:
    """The process that writes, read line by line."""

    def __init__(self, project: str, token_s: float) -> None:
        paths = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
        self.process = subprocess.Popen(
            [sys.executable, str(CHILD), project, str(token_s)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": paths},
        )
        self.project = str(self.line()["project"])

    def line(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        said: dict[str, Any] = json.loads(self.process.stdout.readline())
        return said

    def until(self, true: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        while not true(said := self.line()):
            pass
        return said

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)
        if self.process.stdout is not None:
            self.process.stdout.close()


@pytest.fixture
def children() -> Iterator[list[Child]]:
    started: list[Child] = []
    yield started
    for child in started:
        child.kill()


def look(project: str) -> ProjectView:
    """Open the home as the next start would, and read the project."""
    services = build_services(load_config(), engine=ScriptedEngine())
    view = services.writer.view(project)
    services.close()
    return view


def test_a_killed_app_goes_on_with_a_long_text_without_rewriting_what_is_done(
    home: Path, children: list[Child]
) -> None:
    first = Child("new", 0.02)
    children.append(first)
    said = first.until(lambda until: len(until.get("done", ())) >= 1 and len(until["writing"]) > 60)
    first.kill()

    view = look(first.project)
    assert view.state == "paused"
    done = {section.node.id: section.versions for section in view.sections if section.state == "done"}
    assert set(said["done"]) <= set(done)
    [half] = [section for section in view.sections if section.state == "partial"]
    assert len(half.text) > 40
    assert half.node.id not in done

    again = Child(first.project, 0.0)
    children.append(again)
    assert again.until(lambda entry: "end" in entry)["end"] == "done"
    again.process.wait(20)
    view = look(first.project)
    assert {section.node.id: section.versions for section in view.sections if section.node.id in done} == done
    finished = view.section(half.node.id)
    assert finished is not None and finished.text.startswith(half.text[:40])
