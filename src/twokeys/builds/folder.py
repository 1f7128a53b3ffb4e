"""The folder of builds that are here: engines/<backend>/<name>-<version>/, and which of them is used.

Beside the unpacked files lies a note: what it is, where it came from, its SHA-256 and the proof that it
works. Knows no network and starts nothing.
"""

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from twokeys.builds.proof import Proof
from twokeys.builds.unpack import unpacked_bytes
from twokeys.config import Config
from twokeys.errors import ModelError, NotFound
from twokeys.files import write_whole

NOTE = "build.json"
ACTIVE = "active.json"
OWN = "own"


@dataclass(frozen=True, slots=True)
class InstalledBuild:
    """A build that is here. program: its llama-server. folder: where it lies, for one's own the note alone.

    sha256: of the file it came in, or of one's own program. source: "package-index", "release", "own".
    """

    name: str
    backend: str
    version: str
    source: str
    sha256: str
    program: Path
    folder: Path
    bytes: int = 0
    proof: Proof | None = None

    @property
    def works(self) -> bool:
        """Whether it was proven, and its program is still there."""
        return self.proof is not None and self.program.is_file()


class BuildFolder:
    """Builds of one TwoKeys home."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def place(self, backend: str, name: str, version: str) -> Path:
        """Return where a build of that name and version is unpacked."""
        return self.root / backend / f"{name}-{version}"

    def all(self) -> list[InstalledBuild]:
        """Return what is here, the newest of each name last. A folder without a readable note is nothing."""
        notes = sorted(self.root.glob(f"*/*/{NOTE}"), key=lambda path: path.stat().st_mtime)
        return [build for path in notes if (build := _read(path)) is not None]

    def get(self, name: str) -> InstalledBuild | None:
        """Return the newest build of that name, None when none is here."""
        return next((build for build in reversed(self.all()) if build.name == name), None)

    def keep(self, build: InstalledBuild) -> None:
        """Write the note of a build."""
        note = asdict(build) | {"program": str(build.program), "folder": ""}
        build.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(build.folder / NOTE, json.dumps(note, indent=1).encode())

    def keep_proof(self, build: InstalledBuild, proof: Proof | None) -> InstalledBuild:
        """Note that a build works, or (None) that it does not any more."""
        proven = replace(build, proof=proof)
        self.keep(proven)
        return proven

    def add_own(self, program: Path, name: str) -> InstalledBuild:
        """Note a llama-server that a person has; it stays where it is."""
        with program.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        folder = self.place(OWN, name, digest[:12])
        build = InstalledBuild(name, "", "", "own", digest, program, folder, program.stat().st_size)
        self.keep(build)
        return build

    def remove(self, name: str) -> int:
        """Delete every version of a build; return the bytes freed. One's own program stays where it is.

        Raises NotFound, or ModelError when the files cannot be deleted.
        """
        builds = [build for build in self.all() if build.name == name]
        if not builds:
            raise NotFound(kind="build", name=name)
        active = self.active()
        if active is not None and active.name == name:
            self.set_active(None)
        freed = 0
        for build in builds:
            freed += unpacked_bytes(build.folder)
            try:
                shutil.rmtree(build.folder)
            except OSError as error:
                raise ModelError(reason=f"{build.folder.name}: {error.strerror or error}") from error
            with contextlib.suppress(OSError):
                build.folder.parent.rmdir()
        return freed

    def active(self) -> InstalledBuild | None:
        """Return the build that is used, None for the bundled one, also when its program is gone."""
        try:
            place = json.loads((self.root / ACTIVE).read_text(encoding="utf-8"))["folder"]
            build = _read(self.root / str(place) / NOTE)
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return build if build is not None and build.works else None

    def set_active(self, build: InstalledBuild | None) -> None:
        """Use a build from now on; None: the bundled one."""
        if build is None:
            (self.root / ACTIVE).unlink(missing_ok=True)
            return
        place = build.folder.relative_to(self.root).as_posix()
        write_whole(self.root / ACTIVE, json.dumps({"folder": place}).encode())


def active_program(config: Config) -> str | None:
    """Return the llama-server that answers here: TWOKEYS_LLAMA_SERVER, else the build in use, else None."""
    if config.server_binary:
        return config.server_binary
    active = BuildFolder(config.engines_dir).active()
    return str(active.program) if active is not None else None


def _read(path: Path) -> InstalledBuild | None:
    try:
        note: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        proof = Proof(**note["proof"]) if note.get("proof") else None
        places = {"program": Path(note["program"]), "folder": path.parent, "proof": proof}
        return InstalledBuild(**{**note, **places})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def is_program(path: Path) -> bool:
    """Return whether a path is a file that can be run."""
    return path.is_file() and os.access(path, os.X_OK)
