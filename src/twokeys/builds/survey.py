"""What a machine has to run a model on: its system and its cards, as a child process found them.

The child (survey_child.py) asks the drivers; it may crash, hang, find nothing or print nonsense, and each
of these is a result with a reason. Chooses nothing, and asks no engine: what an engine itself can use is
known from its own list (engines/devices.py).
"""

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from twokeys.builds.catalogue import Version, version_of

SURVEY_TIMEOUT_S = 15.0
CHILD = Path(__file__).with_name("survey_child.py")

Kind = Literal["discrete", "integrated", "unified", "virtual", "software", "unknown"]
Problem = Literal[
    "absent", "no_driver", "no_loader", "intel_mac", "failed", "crashed", "hung", "nonsense", "not_asked"
]
LOOKS = ("facts", "pci", "nvml", "rocm", "metal", "vulkan")


@dataclass(frozen=True, slots=True)
class Card:
    """A card, as all looks together know it.

    driver: as its maker writes it, "" unknown. compute: NVIDIA's compute capability; vulkan: the version its
    Vulkan driver speaks; target: AMD's name of the architecture; None or "" when no look told it.
    bandwidth: bytes a second of its memory, by clock and bus width, 0 unknown.
    """

    name: str
    vendor: str
    kind: Kind = "unknown"
    total_bytes: int = 0
    driver: str = ""
    compute: Version | None = None
    vulkan: Version | None = None
    target: str = ""
    bandwidth: int = 0

    @property
    def driver_major(self) -> int:
        """The first number of the driver's version, 0 unknown."""
        return (version_of(self.driver) or (0,))[0]


@dataclass(frozen=True, slots=True)
class Survey:
    """A machine. problems: why a look found no cards, by its name.

    system, machine: as in the catalogue, "" when not even that was told. glibc: None elsewhere.
    """

    system: str = ""
    machine: str = ""
    glibc: Version | None = None
    flags: tuple[str, ...] = ()
    wsl: bool = False
    container: bool = False
    cards: tuple[Card, ...] = ()
    problems: Mapping[str, Problem] = field(default_factory=dict)

    def bandwidth_of(self, name: str) -> int:
        """Return the bytes a second of the memory of the card that an engine calls so, 0 unknown."""
        return next((card.bandwidth for card in self.cards if card.name and card.name in name), 0)


def survey_machine(command: Sequence[str] | None = None, timeout_s: float = SURVEY_TIMEOUT_S) -> Survey:
    """Survey this machine in a child process; blocks for up to `timeout_s`. What it finds raises nothing."""
    ended: Problem | None = None
    try:
        done = subprocess.run(
            command or [sys.executable, "-P", str(CHILD)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )
        output = done.stdout
        ended = "crashed" if done.returncode else None
    except subprocess.TimeoutExpired as expired:
        output, ended = expired.stdout or b"", "hung"
    except OSError:
        output, ended = b"", "crashed"
    return read_survey(output.decode("utf-8", "replace").splitlines(), ended)


def read_survey(lines: Iterable[str], ended: Problem | None = None) -> Survey:
    """Return the survey of a child's lines. ended: how it ended before its last look, None for well."""
    begun, results = None, {}
    for line in lines:
        row = _row(line)
        if row is None:
            continue
        if "cards" in row:
            results[row["look"]] = row
            begun = None
        else:
            begun = row["look"]
    for name in LOOKS:
        if name not in results:
            why: Problem = ended or "nonsense" if name == begun or begun is None else "not_asked"
            results[name] = {"cards": [], "problem": why}
    return survey_of(results)


def survey_of(results: Mapping[str, Mapping[str, Any]]) -> Survey:
    """Return the survey of each look's result: {"cards": [{...}], "problem": ...}."""
    problems: dict[str, Problem] = {}
    by_look: dict[str, list[Card]] = {}
    for name in LOOKS[1:]:
        result = results.get(name, {"problem": "absent"})
        by_look[name] = [card for row in result.get("cards", ()) if (card := _card(row)) is not None]
        if result.get("problem"):
            problems[name] = result["problem"]
        elif len(by_look[name]) < len(result.get("cards", ())):
            problems[name] = "nonsense"
    cards = by_look["nvml"] + by_look["metal"]
    for name in ("vulkan", "rocm", "pci"):
        cards = _merged(cards, by_look[name])
    fact: Mapping[str, Any] = next(iter(results.get("facts", {}).get("cards", ())), {})
    return Survey(
        system=str(fact.get("system", "")),
        machine=str(fact.get("machine", "")),
        glibc=version_of(str(fact.get("glibc", ""))) or None,
        flags=tuple(map(str, fact.get("flags", ()))),
        wsl=bool(fact.get("wsl")),
        container=bool(fact.get("container")),
        cards=tuple(cards),
        problems=problems,
    )


def _row(line: str) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) and row.get("look") in LOOKS else None


def _card(row: Mapping[str, Any]) -> Card | None:
    """Return a card of a look, None for what can be none."""
    try:
        return Card(
            name=str(row.get("name", "")),
            vendor=str(row["vendor"]),
            kind=row.get("kind", "unknown"),
            total_bytes=int(row.get("total_bytes", 0)),
            driver=str(row.get("driver", "")),
            compute=version_of(str(row.get("compute", ""))) or None,
            vulkan=version_of(str(row.get("vulkan", ""))) or None,
            target=str(row.get("target", "")),
            bandwidth=int(row.get("bandwidth", 0)),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _merged(cards: list[Card], others: Iterable[Card]) -> list[Card]:
    """Add what another look knows: to the card that it means, else as a card of its own."""
    merged, free = list(cards), list(range(len(cards)))
    for other in others:
        place = next((i for i in free if _same(merged[i], other)), None)
        if place is None:
            if other.name or all(card.vendor != other.vendor for card in merged):
                merged.append(other)
            continue
        free.remove(place)
        known = merged[place]
        merged[place] = replace(
            known,
            kind=known.kind if known.kind != "unknown" else other.kind,
            total_bytes=known.total_bytes or other.total_bytes,
            driver=known.driver or other.driver,
            compute=known.compute or other.compute,
            vulkan=known.vulkan or other.vulkan,
            target=known.target or other.target,
            bandwidth=known.bandwidth or other.bandwidth,
        )
    return merged


def _same(card: Card, other: Card) -> bool:
    """Whether two looks mean one card. The bus knows no names, and the compute driver code names."""
    if card.vendor != other.vendor:
        return False
    if not other.name or other.target:
        return True
    return other.name in card.name or card.name in other.name
