"""docs/architecture.md tells the truth about the rooms: which there are, and who may import whom."""

import ast
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parent.parent
PACKAGE = CHECKOUT / "src" / "twokeys"
PAGE = (CHECKOUT / "docs" / "architecture.md").read_text(encoding="utf-8")
CONTRACTS: list[dict[str, Any]] = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))[
    "tool"
]["importlinter"]["contracts"]
NAME = re.compile(r"`(\w+)`")


def rooms() -> set[str]:
    """Return the packages and modules that lie directly in twokeys."""
    return {
        path.stem
        for path in PACKAGE.iterdir()
        if (path.suffix == ".py" or (path / "__init__.py").exists()) and path.stem != "__init__"
    }


def table() -> dict[str, set[str]]:
    """Return for each room of the table the rooms that its line names; the first line is the ground."""
    rows = re.findall(r"^\| (`.*?) \| (.*) \|$", PAGE, re.MULTILINE)
    named = [(NAME.findall(left), set(NAME.findall(right)) & rooms()) for left, right in rows]
    ground = set(named[0][0])
    lines = {room: may | ground for line, may in named for room in line}
    return {room: may - {room} for room, may in lines.items()}


def layers() -> list[tuple[set[str], bool]]:
    """Return the rooms of each layer from the top, and whether they must not know each other."""
    contract = next(contract for contract in CONTRACTS if contract["type"] == "layers")
    return [(set(re.split(r" [|:] ", layer)), "|" in layer) for layer in contract["layers"]]


def below(room: str) -> set[str]:
    """Return the rooms that the contract of layers lets a room import."""
    rooms: set[str] = set()
    passed = False
    for here, apart in layers():
        if passed or (room in here and not apart):
            rooms |= here
        passed = passed or room in here
    return rooms - {room}


def forbidden(room: str) -> set[str]:
    return {
        name.removeprefix("twokeys.")
        for contract in CONTRACTS
        if contract["type"] == "forbidden" and f"twokeys.{room}" in contract["source_modules"]
        for name in contract["forbidden_modules"]
    }


def imports() -> Iterator[tuple[str, str, str]]:
    """Yield (room, what it imports, where) for every import of another room."""
    known = rooms()
    for path in PACKAGE.rglob("*.py"):
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "twokeys":
                steps = (node.module or "").split(".")
                names = steps[1:2] or [alias.name for alias in node.names]
            elif isinstance(node, ast.Import):
                names = [a.name.split(".")[1] for a in node.names if a.name.startswith("twokeys.")]
            else:
                continue
            for name in names:
                if name in known and name != room:
                    yield room, name, f"{path.relative_to(PACKAGE)}:{node.lineno}"


def test_every_room_stands_once_in_the_tree_the_table_and_the_layers() -> None:
    tree = PAGE.partition("```\nsrc/twokeys/\n")[2].partition("\nfrontend/")[0]
    drawn = [
        name.removesuffix("/").removesuffix(".py")
        for line in tree.splitlines()
        if line.startswith("  ") and not line.startswith("   ")
        for name in line.split("   ")[0].split()
        if name.endswith(("/", ".py"))
    ]
    listed = NAME.findall(" ".join(re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE)))
    placed = [room for here, _ in layers() for room in here]
    for names in (listed, placed, [*drawn, "__main__"]):
        assert sorted(names) == sorted(rooms())


def test_no_room_imports_what_the_table_does_not_say() -> None:
    may: Mapping[str, set[str]] = table()
    assert not [where for room, name, where in imports() if name not in may[room]]


def test_what_the_table_does_not_say_is_forbidden_by_a_contract() -> None:
    for room, may in table().items():
        if room == "__main__":
            continue  # it is one line
        assert below(room) - may <= forbidden(room), (
            f"{room} could import {below(room) - may - forbidden(room)}"
        )
        assert not may & forbidden(room) - {"http"}, room
        assert may <= below(room), f"the layers keep {room} from {may - below(room)}"
