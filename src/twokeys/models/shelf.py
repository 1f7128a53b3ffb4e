"""The folder of model files: what is there, is it whole, what is its checksum, how to remove it.

A file dropped in by hand counts as much as a downloaded one. Beside a file lies a small JSON note
(`<file>.json`) with its source and SHA-256; a note is believed only while the file's size and time
of change are still those it was written for. Knows nothing of the network.
"""

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twokeys.errors import ModelBroken, ModelError, ModelMissing, NotFound, Reason
from twokeys.files import size_of, write_whole
from twokeys.models import catalogue, gguf
from twokeys.models.catalogue import CatalogueModel
from twokeys.models.gguf import GgufInfo

PART_SUFFIX = ".part"
WHEELS_FOLDER = ".wheels"
OUTSIDE_FOLDER = ".outside"
"""Notes about model files that lie elsewhere; nothing is ever written beside those."""

_BLOCK = 4 << 20


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model file that was checked and can be given to an engine.

    path: the file to open (the first part of a split model). sha256: of the file, or None while
    nobody has computed it (`ModelManager.checksum` does); for a split model the SHA-256 of its
    parts' checksums, one a line. source: "huggingface", "modelscope", "package-index" or "local".
    """

    path: Path
    name: str
    sha256: str | None
    metadata: GgufInfo
    bytes: int
    source: str = "local"

    @property
    def parts(self) -> tuple[Path, ...]:
        return gguf.split_parts(self.path)


@dataclass(frozen=True, slots=True)
class Note:
    """What is recorded about a model: its source and the checksum of each file."""

    source: str
    files: tuple[tuple[str, int, int, str], ...]  # name, bytes, mtime_ns, sha256

    @property
    def sha256(self) -> str:
        return combined_sha256([entry[3] for entry in self.files])


def combined_sha256(digests: Sequence[str]) -> str:
    """Return the checksum of a model: that of its file, or of its parts' checksums, one a line."""
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def hash_file(path: Path, on_bytes: Callable[[int], None] = lambda count: None) -> str:
    """Return the SHA-256 of a file, read in blocks; `on_bytes` hears how much was read so far."""
    digest = hashlib.sha256()
    done = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            done += len(block)
            on_bytes(done)
    return digest.hexdigest()


class ModelShelf:
    """The model files under one folder, and those a person names by path."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._headers: dict[tuple[Path, int, int], GgufInfo | ModelBroken] = {}

    def path_of(self, model: CatalogueModel) -> Path:
        """Return where the model's (first) file lies or will lie."""
        return self.folder / model.parts[0].file

    def is_installed(self, model: CatalogueModel) -> bool:
        """Tell whether all of its files are there and, where a size is unexpected, still whole."""
        paths = [self.folder / part.file for part in model.parts]
        if not all(path.is_file() for path in paths):
            return False
        sizes = [path.stat().st_size for path in paths]
        if sizes == [part.bytes for part in model.parts]:
            return True
        return isinstance(self.header(paths[0]), GgufInfo)

    def partial_bytes(self, model: CatalogueModel) -> int:
        """Return how much of an unfinished download is kept."""
        if self.is_installed(model):
            return 0
        present = 0
        for part in model.parts:
            whole = self.folder / part.file
            present += size_of(whole) or size_of(whole.with_name(part.file + PART_SUFFIX))
        for piece in model.wheels:
            wheel = self.folder / WHEELS_FOLDER / piece.wheel
            present += size_of(wheel) or size_of(wheel.with_name(piece.wheel + PART_SUFFIX))
        return min(present, model.bytes)

    def files(self) -> Iterator[Path]:
        """Yield every model in the folder by the file an engine would open, in name order."""
        if not self.folder.is_dir():
            return
        seen: set[Path] = set()
        for path in sorted(self.folder.iterdir()):
            if path.suffix.lower() != ".gguf" or not path.is_file():
                continue
            first = gguf.split_parts(path)[0]
            if first not in seen:
                seen.add(first)
                yield first if first.is_file() else path

    def header(self, path: Path) -> GgufInfo | ModelBroken:
        """Return the header of a model file, or what is wrong with it; remembered until it changes."""
        try:
            parts = [part.stat() for part in gguf.split_parts(path) if part.exists()]
        except OSError as error:
            return gguf.broken(path, "unreadable", detail=error.strerror or str(error))
        size, changed = sum(s.st_size for s in parts), max((s.st_mtime_ns for s in parts), default=0)
        key = (path, size, changed)
        if key not in self._headers:
            try:
                self._headers[key] = gguf.read_model(path)
            except ModelBroken as error:
                self._headers[key] = error
        return self._headers[key]

    def open(self, path: Path, name: str | None = None) -> ModelFile:
        """Check a model file and return it. Raises ModelMissing or ModelBroken."""
        # Absolute, but symbolic links are kept: in a hub's cache the link has the name, not the file.
        path = path.expanduser().absolute()
        if not path.is_file():
            raise ModelMissing(name=str(path))
        header = self.header(path)
        if isinstance(header, ModelBroken):
            raise header
        note = self.note(header.path)
        return ModelFile(
            path=header.path,
            name=name or self.name_of(header.path),
            sha256=note.sha256 if note else None,
            metadata=header,
            bytes=header.file_bytes,
            source=note.source if note else "local",
        )

    def find(self, name: str) -> Path | None:
        """Return the file of a model dropped into the folder under a name of its own, or None."""
        wanted = name.strip().lower().removesuffix(".gguf")
        for path in self.files():
            if wanted in (self.name_of(path).lower(), path.name.lower().removesuffix(".gguf")):
                return path
        return None

    def name_of(self, path: Path) -> str:
        """Return the name a file goes by: the catalogue's, else the file name without its ending."""
        model = catalogue.by_file(path.name)
        if model:
            return model.name
        stem = path.name[: -len(path.suffix)] if path.suffix else path.name
        return stem.rsplit("-00001-of-", 1)[0]

    def note(self, path: Path) -> Note | None:
        """Return the record of a model file while it still fits the files on the disk."""
        try:
            raw = json.loads(self._note_path(path).read_text(encoding="utf-8"))
            stored = Note(
                raw["source"],
                tuple((f["file"], f["bytes"], f["mtime_ns"], f["sha256"]) for f in raw["files"]),
            )
            now = [(p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in gguf.split_parts(path)]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return stored if [entry[:3] for entry in stored.files] == now else None

    def write_note(self, path: Path, source: str, digests: Sequence[str]) -> Note:
        """Record where a model came from and the checksum of each of its files, in order."""
        files: list[dict[str, Any]] = []
        for part, digest in zip(gguf.split_parts(path), digests, strict=True):
            stat = part.stat()
            files.append(
                {"file": part.name, "bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns, "sha256": digest}
            )
        record = {
            "name": self.name_of(path),
            "source": source,
            "sha256": combined_sha256(digests),
            "recorded_at": int(time.time()),
            "files": files,
        }
        target = self._note_path(path)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(target, (json.dumps(record, indent=1, ensure_ascii=False) + "\n").encode())
        return Note(source, tuple((f["file"], f["bytes"], f["mtime_ns"], f["sha256"]) for f in files))

    def remove(self, path: Path) -> int:
        """Delete a model of this folder with its note and leftovers; return the bytes freed."""
        if path.parent != self.folder:
            raise NotFound(kind="model", name=str(path))
        doomed = list(gguf.split_parts(path))
        doomed += [part.with_name(part.name + PART_SUFFIX) for part in gguf.split_parts(path)]
        doomed.append(self._note_path(path))
        freed = sum(size_of(file) for file in doomed)
        return freed if self._unlink(doomed) else 0

    def discard(self, model: CatalogueModel) -> int:
        """Delete what an unfinished download has left; return the bytes freed."""
        leftovers = [self.folder / (part.file + PART_SUFFIX) for part in model.parts]
        for piece in model.wheels:
            wheel = self.folder / WHEELS_FOLDER / piece.wheel
            leftovers += [wheel, wheel.with_name(piece.wheel + PART_SUFFIX)]
        freed = sum(size_of(file) for file in leftovers)
        self._unlink(leftovers)
        with contextlib.suppress(OSError):
            (self.folder / WHEELS_FOLDER).rmdir()
        return freed

    def _unlink(self, files: list[Path]) -> bool:
        present = [file for file in files if file.exists() or file.is_symlink()]
        for file in present:
            try:
                file.unlink()
            except OSError as error:
                raise ModelError(reason=f"{file.name}: {error.strerror or error}") from error
        return bool(present)

    def _note_path(self, path: Path) -> Path:
        if path.parent == self.folder:
            return path.with_name(path.name + ".json")
        key = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:32]
        return self.folder / OUTSIDE_FOLDER / f"{key}.json"


def unreadable_reason(error: ModelBroken) -> Reason | str:
    """Return the reason a broken file was refused with."""
    reason = error.params["reason"]
    return reason if isinstance(reason, Reason) else str(reason)
