"""One line of the model list: a catalogue model or a file of a person's own, as it is on the disk now.

Reads headers and notes through the shelf; fetches and changes nothing.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from twokeys.errors import ModelBroken
from twokeys.models.catalogue import CatalogueModel, ModelShape
from twokeys.models.gguf import GgufInfo
from twokeys.models.shelf import ModelShelf, unreadable_reason


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


def catalogue_entry(shelf: ModelShelf, model: CatalogueModel) -> ModelEntry:
    """Return what is here of a catalogue model, its header not read unless it is unfinished."""
    path = shelf.path_of(model)
    installed = shelf.is_installed(model)
    note = shelf.note(path) if installed else None
    # With a part still missing it is an unfinished download, not a broken model.
    complete = not installed and all((shelf.folder / part.file).is_file() for part in model.parts)
    header = shelf.header(path) if complete else None
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
        partial_bytes=shelf.partial_bytes(model),
        broken=unreadable_reason(header) if isinstance(header, ModelBroken) else None,
    )


def own_entry(shelf: ModelShelf, path: Path) -> ModelEntry:
    """Return a file of a person's own."""
    header = shelf.header(path)
    note = shelf.note(path)
    entry = ModelEntry(
        name=shelf.name_of(path),
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


def with_header(shelf: ModelShelf, entry: ModelEntry, path: Path) -> ModelEntry:
    """Return the entry with the file's header, or with the reason why it cannot be used."""
    header = shelf.header(path)
    if isinstance(header, ModelBroken):
        return replace(entry, installed=False, broken=unreadable_reason(header))
    return replace(entry, metadata=header, bytes=header.file_bytes)
