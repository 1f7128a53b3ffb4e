"""What `make` installs: every package pinned, with its hashes, and nothing missing."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
FILES = ("run.txt", "lock.txt", "build.txt")


def pins(name: str) -> dict[str, set[str]]:
    """Return the hashes of each "package==version" of a file of requirements/."""
    hashes: dict[str, set[str]] = {}
    pinned = ""
    for line in (ROOT / "requirements" / name).read_text(encoding="utf-8").splitlines():
        if start := re.match(r"([\w.-]+==\S+)", line):
            pinned = start[1]
            hashes[pinned] = set()
        elif hashed := re.match(r"\s+--hash=(sha256:[0-9a-f]{64})", line):
            hashes[pinned].add(hashed[1])
    return hashes


def names(name: str) -> set[str]:
    return {canonicalize_name(pin.partition("==")[0]) for pin in pins(name)}


@pytest.mark.parametrize("name", FILES)
def test_every_pin_has_its_hashes(name: str) -> None:
    assert [pin for pin, hashes in pins(name).items() if not hashes] == []


def test_the_files_agree_and_hold_everything_the_project_asks_for() -> None:
    assert not set(pins("run.txt")) - set(pins("lock.txt"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    for file, asked in (
        ("run.txt", project["dependencies"]),
        ("lock.txt", [*project["dependencies"], *extras["test"]]),
    ):
        wanted = {canonicalize_name(Requirement(line).name) for line in asked} - {"twokeys"}
        assert wanted - names(file) == set()


def test_what_builds_the_project_is_the_pinned_one() -> None:
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["build-system"]["requires"]
    assert set(asked) <= set(pins("build.txt"))
