"""The one door to model files: list, inspect, fetch, remove, resolve a name to a file, recommend.

Decides nothing for a person: it fetches exactly the model it is asked for. Does not start engines
and does not plan memory beyond the rule of thumb of `recommend`.
"""

import os
from dataclasses import dataclass, replace
from pathlib import Path

from twokeys.config import Config
from twokeys.errors import ModelBroken, ModelMissing, NotFound, Reason
from twokeys.models import catalogue
from twokeys.models.catalogue import CatalogueModel, ModelShape
from twokeys.models.gguf import GgufInfo
from twokeys.models.shelf import ModelFile, Shelf, hash_file, unreadable_reason

PLANNED_CONTEXT = 8192
"""Tokens of context a recommendation reckons with."""
OVERHEAD_BYTES = 256 << 20
"""Library, vocabulary and compute buffers of a worker; measured at about 100 MiB for the 7B's shape
with a batch of 128, doubled and more for larger batches."""
MEMORY_SHARE = 0.85
"""The part of a machine's memory a model may take; the rest belongs to the system and the browser."""


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """One line of the model list.

    bytes: size on the disk when installed, else of the download. sha256: when known. source: where
    it came from, None when not installed. about: the key of its one-line description.
    partial_bytes: kept from an unfinished download. broken: why an installed file was refused.
    metadata: its header, filled by `info` only.
    """

    name: str
    family: str
    parameters: str
    quantisation: str
    bytes: int
    installed: bool
    path: Path | None
    sha256: str | None
    source: str | None
    is_fallback: bool
    languages: tuple[str, ...]
    licence: str = ""
    about: str = "models.about.local"
    shape: ModelShape | None = None
    partial_bytes: int = 0
    broken: str | None = None
    metadata: GgufInfo | None = None


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The model that fits a machine best, and why.

    code: "best_fits", "memory_smaller" or "nothing_fits"; reason: the same as a sentence in both
    languages. better: the model that would be preferred and does not fit.
    """

    name: str
    code: str
    reason: Reason
    needed_bytes: int
    memory_bytes: int
    better: str | None = None
    better_needed_bytes: int | None = None


def needed_bytes(model: CatalogueModel, context: int = PLANNED_CONTEXT, kv_type: str = "f16") -> int:
    """Return about how much memory a model takes: weights + KV cache of the context + overhead."""
    return model.bytes + int(model.shape.kv_bytes_per_token(kv_type) * context) + OVERHEAD_BYTES


class ModelManager:
    """Model files of one TwoKeys home. Thread-safe; creates its folder only when it writes."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.shelf = Shelf(config.models_dir)

    def list(self) -> list[ModelEntry]:
        """Return the catalogue in its order, then other installed quantisations and own files."""
        entries = [self._entry(model) for model in catalogue.CATALOGUE]
        listed = {entry.name for entry in entries}
        for path in self.shelf.files():
            model = catalogue.by_file(path.name)
            if model is None:
                entries.append(self._own_entry(path))
            elif model.name not in listed:
                listed.add(model.name)
                entries.append(self._entry(model))
        return entries

    def info(self, name: str) -> ModelEntry:
        """Return one entry with its header read. Raises NotFound for a name nobody knows."""
        path = self._as_path(name)
        if path is None:
            try:
                model = catalogue.find(name)
            except NotFound:
                path = self.shelf.find(name)
                if path is None:
                    raise
            else:
                entry = self._entry(model)
                if not entry.installed or entry.path is None:
                    return entry
                return self._with_header(entry, entry.path)
        elif not path.is_file():
            raise ModelMissing(name=name)
        return self._with_header(self._own_entry(path), path)

    def resolve(self, name_or_path: str | Path) -> ModelFile:
        """Return the checked file of a catalogue name, of a file in the models folder, or of a path.

        Raises ModelMissing when it is not there, ModelBroken (with the reason) when it is not a
        whole GGUF file, NotFound for a name that means nothing.
        """
        path = self._as_path(name_or_path)
        if path is not None:
            return self.shelf.open(path)
        name = str(name_or_path)
        try:
            model = catalogue.find(name)
        except NotFound:
            own = self.shelf.find(name)
            if own is None:
                raise
            return self.shelf.open(own)
        path = self.shelf.path_of(model)
        if not path.is_file():
            raise ModelMissing(name=model.name)
        return self.shelf.open(path, model.name)

    def checksum(self, name_or_path: str | Path) -> str:
        """Return the SHA-256 of a model, computing and recording it the first time (≈ 1 s per GB)."""
        model = self.resolve(name_or_path)
        if model.sha256:
            return model.sha256
        digests = [hash_file(part) for part in model.parts]
        return self.shelf.write_note(model.path, model.source, digests).sha256

    def recommend(self, memory_bytes: int) -> Recommendation:
        """Return the largest Qwen2.5 that fits 85 % of `memory_bytes` with 8192 tokens of context."""
        room = int(memory_bytes * MEMORY_SHARE)
        better: CatalogueModel | None = None
        for name in catalogue.PREFERRED:
            model = catalogue.find(name)
            if needed_bytes(model) <= room:
                code = "memory_smaller" if better else "best_fits"
                return _recommendation(code, model, memory_bytes, better)
            better = better or model
        return _recommendation("nothing_fits", catalogue.find(catalogue.PREFERRED[-1]), memory_bytes, better)

    def _as_path(self, name_or_path: str | Path) -> Path | None:
        if isinstance(name_or_path, Path):
            return name_or_path
        text = name_or_path.strip()
        path = Path(text).expanduser()
        looks_like_path = os.sep in text or "/" in text or text.lower().endswith(".gguf")
        if path.is_file() or (looks_like_path and not _is_catalogue_name(text) and not self.shelf.find(text)):
            return path
        return None

    def _entry(self, model: CatalogueModel) -> ModelEntry:
        path = self.shelf.path_of(model)
        installed = self.shelf.is_installed(model)
        note = self.shelf.note(path) if installed else None
        header = None if installed or not path.is_file() else self.shelf.header(path)
        return ModelEntry(
            name=model.name,
            family=model.family,
            parameters=model.parameters,
            quantisation=model.quantisation,
            bytes=model.bytes,
            installed=installed,
            path=path if installed else None,
            sha256=note.sha256 if note else (None if installed else model.sha256),
            source=(note.source if note else "local") if installed else None,
            is_fallback=model.is_fallback,
            languages=model.languages,
            licence=model.licence,
            about=f"models.about.{model.base}",
            shape=model.shape,
            partial_bytes=self.shelf.partial_bytes(model),
            broken=unreadable_reason(header) if isinstance(header, ModelBroken) else None,
        )

    def _own_entry(self, path: Path) -> ModelEntry:
        header = self.shelf.header(path)
        note = self.shelf.note(path)
        entry = ModelEntry(
            name=self.shelf.name_of(path),
            family="",
            parameters="",
            quantisation="",
            bytes=path.stat().st_size,
            installed=False,
            path=path,
            sha256=note.sha256 if note else None,
            source=note.source if note else "local",
            is_fallback=False,
            languages=(),
        )
        if isinstance(header, ModelBroken):
            return replace(entry, broken=unreadable_reason(header))
        return replace(
            entry,
            family=header.name or header.architecture,
            parameters=str(header.values.get("general.size_label", "")),
            quantisation=header.quantisation,
            bytes=header.file_bytes,
            installed=True,
            path=header.path,
        )

    def _with_header(self, entry: ModelEntry, path: Path) -> ModelEntry:
        header = self.shelf.header(path)
        if isinstance(header, ModelBroken):
            return replace(entry, installed=False, broken=unreadable_reason(header))
        return replace(entry, metadata=header, bytes=header.file_bytes)


def _is_catalogue_name(text: str) -> bool:
    try:
        catalogue.find(text)
    except NotFound:
        return False
    return True


def _recommendation(
    code: str, model: CatalogueModel, memory_bytes: int, better: CatalogueModel | None
) -> Recommendation:
    needed = needed_bytes(model)
    better_needed = needed_bytes(better) if better else None
    reason = Reason(
        f"models.recommend.{code}",
        name=model.base,
        needed=_gib(needed),
        memory=_gib(memory_bytes),
        better=better.base if better else "",
        better_needed=_gib(better_needed or 0),
    )
    return Recommendation(
        model.name, code, reason, needed, memory_bytes, better.name if better else None, better_needed
    )


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"
