"""The builds of llama.cpp that TwoKeys knows, read from catalogue.toml.

Says what each needs and where it comes from. Knows no machine, asks nothing and fetches nothing.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from twokeys.errors import NotFound

Backend = Literal["cuda", "rocm", "vulkan", "metal", "cpu"]
BuildSource = Literal["package-index", "release", "bundled", "own"]
Version = tuple[int, ...]

BUNDLED = "bundled"
"""The name of the build that came with the Python package; it is always here."""


@dataclass(frozen=True, slots=True)
class BuildNeeds:
    """What a build needs; what is None or empty is not needed.

    driver: major version. compute: NVIDIA's compute capability. targets: AMD's names of architectures.
    flags: of the processor, one of them is enough.
    """

    glibc: Version | None = None
    driver: int | None = None
    compute: Version | None = None
    vulkan: Version | None = None
    targets: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Build:
    """One build. asset, extra: patterns for files of a release's listing.

    package, file, bytes, sha256, program: of a file in the package index, all pinned. version: "" when
    only the listing tells it.
    """

    name: str
    backend: Backend
    source: BuildSource
    system: str
    machine: str
    version: str = ""
    needs: BuildNeeds = field(default_factory=BuildNeeds)
    asset: str = ""
    extra: str = ""
    package: str = ""
    file: str = ""
    bytes: int = 0
    sha256: str = ""
    program: str = ""


@cache
def all_builds() -> tuple[Build, ...]:
    """Return every build of the catalogue, for all systems, in order of preference."""
    text = files(__package__).joinpath("catalogue.toml").read_text(encoding="utf-8")
    return tuple(_build(row) for row in tomllib.loads(text)["build"])


def builds_for(system: str, machine: str) -> tuple[Build, ...]:
    """Return the builds for a system ("linux", "windows", "darwin") and machine ("x86_64", "aarch64")."""
    return tuple(build for build in all_builds() if (build.system, build.machine) == (system, machine))


def find(name: str, builds: tuple[Build, ...]) -> Build:
    """Return the build of that name. Raises NotFound."""
    for build in builds:
        if build.name == name:
            return build
    raise NotFound(kind="build", name=name)


def version_of(text: str) -> Version:
    """Return "2.35" as (2, 35); what follows a character that is no digit is left out."""
    numbers: list[int] = []
    for part in text.split("."):
        digits = part[: next((i for i, c in enumerate(part) if not c.isdigit()), len(part))]
        if not digits:
            break
        numbers.append(int(digits))
        if digits != part:
            break
    return tuple(numbers)


def _build(row: Mapping[str, Any]) -> Build:
    needs = dict(row.get("needs", {}))
    versions = {name: version_of(needs[name]) for name in ("glibc", "compute", "vulkan") if name in needs}
    lists = {name: tuple(needs[name]) for name in ("targets", "flags") if name in needs}
    return Build(**{**row, "needs": BuildNeeds(**{**needs, **versions, **lists})})
