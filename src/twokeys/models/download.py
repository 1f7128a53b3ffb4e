"""Fetches one file over HTTP so that nothing is ever lost and nothing false is ever kept.

Bytes go to `<name>.part` beside the target; after a break, a kill or a restart the next attempt
hashes what is there and asks the server for the rest. Only when length and SHA-256 are right is
the file renamed to its own name. Several sources of the same file (same checksum) stand in for
each other in the middle of it. Knows nothing of models, hubs or formats.

Why not huggingface_hub's own download: it offers no pause, its progress and retries are not ours
to steer, and its partial files cannot be continued from another hub or from a package index.
"""

import contextlib
import errno
import hashlib
import os
import re
import shutil
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import BinaryIO, Literal

from twokeys import __version__
from twokeys.errors import DiskFull, DownloadFailed, Reason
from twokeys.http import httpx

Stage = Literal["connecting", "downloading", "retrying", "checking", "paused"]

PART_SUFFIX = ".part"
LOCKS_FOLDER = ".locks"
DISK_MARGIN_BYTES = 64 << 20
"""Room left for everybody else: a disk filled to the last byte breaks the conversation store too."""

_SPEED_WINDOW_S = 5.0
_REPORT_EVERY_S = 0.1
_BLOCK = 1 << 20
_CONTENT_RANGE = re.compile(r"^bytes (\d+)-(\d+)/(\d+|\*)$")
_CA_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")


class Cancelled(DownloadFailed):
    """A person cancelled the download; what came so far is kept."""


@dataclass(frozen=True, slots=True)
class DownloadSource:
    """One place that offers a file. name: "huggingface", "modelscope" or "package-index"."""

    name: str
    url: str


@dataclass(frozen=True, slots=True)
class DownloadProgress:
    """How far a download is. speed: bytes per second over the last 5 s; eta_s None while unknown."""

    done_bytes: int
    total_bytes: int
    speed: float = 0.0
    eta_s: float | None = None
    stage: Stage = "connecting"
    source: str | None = None


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Attempts without any new byte before giving up, and the waits between them (doubling)."""

    attempts: int = 6
    first_wait_s: float = 0.5
    longest_wait_s: float = 30.0

    def wait_s(self, attempt: int) -> float:
        """Return how long to wait after the failed attempt number `attempt`, counted from 1."""
        return float(min(self.first_wait_s * 2 ** (attempt - 1), self.longest_wait_s))


class Control:
    """Pauses, resumes or cancels a download from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._paused = False
        self._cancelled = False

    @property
    def paused(self) -> bool:
        return self._paused

    @property
    def cancelled(self) -> bool:
        return self._cancelled

    def pause(self) -> None:
        self._set(paused=True)

    def resume(self) -> None:
        self._set(paused=False)

    def cancel(self) -> None:
        """End the download; the part that came is kept for another time."""
        self._set(cancelled=True)

    def interrupted(self) -> bool:
        """Tell whether the transfer should stop now, for a while or for good."""
        return self._paused or self._cancelled

    def wait_while_paused(self) -> bool:
        """Return whether it may go on: True after a resume, False once cancelled."""
        with self._changed:
            self._changed.wait_for(lambda: self._cancelled or not self._paused)
            return not self._cancelled

    def sleep(self, seconds: float) -> None:
        """Wait, but no longer than until someone pauses or cancels."""
        with self._changed:
            self._changed.wait_for(self.interrupted, timeout=seconds)

    def _set(self, *, paused: bool | None = None, cancelled: bool | None = None) -> None:
        with self._changed:
            self._paused = self._paused if paused is None else paused
            self._cancelled = self._cancelled if cancelled is None else cancelled
            self._changed.notify_all()


class Meter:
    """Adds up the progress of one or several files and tells a listener at most ten times a second."""

    def __init__(
        self,
        total_bytes: int,
        listener: Callable[[DownloadProgress], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.total_bytes = total_bytes
        self.base_bytes = 0  # of the files already finished
        self.source: str | None = None
        self._listener = listener
        self._clock = clock
        self._stage: Stage = "connecting"
        self._done = 0
        self._samples: deque[tuple[float, int]] = deque()
        self._told_at = float("-inf")

    def stage(self, stage: Stage) -> None:
        """Say what happens now; speed is measured anew when bytes begin to flow."""
        if stage != self._stage:
            self._stage = stage
            self._samples.clear()
            self._tell()

    def set(self, done_bytes: int) -> None:
        """Say how much of the current file is here."""
        now = self._clock()
        self._done = done_bytes
        if self._stage == "downloading":
            self._samples.append((now, done_bytes))
            while len(self._samples) > 2 and now - self._samples[0][0] > _SPEED_WINDOW_S:
                self._samples.popleft()
        if now - self._told_at >= _REPORT_EVERY_S:
            self._tell()

    def file_done(self, file_bytes: int) -> None:
        """Count a finished file; the next one starts at zero."""
        self.base_bytes += file_bytes
        self._done = 0
        self._samples.clear()
        self._tell()

    def _tell(self) -> None:
        self._told_at = self._clock()
        if self._listener is None:
            return
        done = min(self.base_bytes + self._done, self.total_bytes)
        speed = self._speed()
        eta = (self.total_bytes - done) / speed if speed > 0 and self._stage == "downloading" else None
        self._listener(DownloadProgress(done, self.total_bytes, speed, eta, self._stage, self.source))

    def _speed(self) -> float:
        if len(self._samples) < 2:
            return 0.0
        (start, first), (end, last) = self._samples[0], self._samples[-1]
        return max(0.0, (last - first) / (end - start)) if end > start else 0.0


def open_client(env: Mapping[str, str] | None = None, cafile: str | None = None) -> "httpx.Client":
    """Return an HTTP client that follows redirects, the proxies of the environment and its certificates.

    cafile: a certificate bundle to use when the environment names none (pip's own setting).
    Raises DownloadFailed when the environment names a proxy or certificates that cannot be used.
    """
    env = os.environ if env is None else env
    bundle = next((env[name] for name in _CA_VARIABLES if env.get(name)), cafile)
    try:
        context = ssl.create_default_context(cafile=bundle) if bundle and Path(bundle).is_file() else True
        return httpx.Client(
            follow_redirects=True,
            timeout=httpx.Timeout(30.0, connect=10.0),
            headers={"User-Agent": f"twokeys/{__version__}"},
            verify=context,
        )
    except (ImportError, ValueError, OSError) as error:  # a SOCKS proxy without its package, a bad bundle
        reason = Reason("models.failed.surroundings", detail=str(error))
        raise DownloadFailed(name="HTTP", reason=reason) from error


@contextlib.contextmanager
def exclusive(target: Path) -> Iterator[None]:
    """Hold the right to write `target`, against other processes too; a dead holder loses it at once.

    Raises DownloadFailed when another program has it.
    """
    from filelock import FileLock, Timeout  # loads what the first page does without

    folder = target.parent / LOCKS_FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = FileLock(folder / f"{target.name}.lock", timeout=0)
    try:
        with lock:
            yield
    except Timeout as error:
        raise failed(target, "busy") from error


def failed(target: Path, key: str, /, **values: object) -> DownloadFailed:
    """Return the DownloadFailed of `target` with the reason `models.failed.<key>`."""
    return DownloadFailed(name=target.name, reason=Reason(f"models.failed.{key}", **values))


def cancelled(target: Path) -> Cancelled:
    """Return the error that ends a cancelled download."""
    return Cancelled(name=target.name, reason=Reason("models.failed.cancelled"))


def check_disk(folder: Path, needed_bytes: int) -> None:
    """Raise DiskFull when `folder` has no room for `needed_bytes` and the margin."""
    free = shutil.disk_usage(folder).free
    if needed_bytes + DISK_MARGIN_BYTES > free:
        raise DiskFull(needed_bytes=needed_bytes + DISK_MARGIN_BYTES, free_bytes=free, path=str(folder))


def disk_error(error: OSError, folder: Path, target: Path, needed_bytes: int) -> DiskFull | DownloadFailed:
    """Translate an error of writing."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        free = shutil.disk_usage(folder).free
        return DiskFull(needed_bytes=needed_bytes, free_bytes=free, path=str(folder))
    return failed(target, "disk", detail=error.strerror or str(error))


def settle(part: Path, target: Path) -> None:
    """Give a finished file its own name, so that a power cut leaves either it or the part."""
    with part.open("rb+") as file:
        os.fsync(file.fileno())
    part.replace(target)
    if os.name == "posix":
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def fetch(
    client: "httpx.Client",
    sources: Sequence[DownloadSource],
    target: Path,
    *,
    size: int,
    sha256: str | None,
    meter: Meter | None = None,
    control: Control | None = None,
    policy: RetryPolicy | None = None,
) -> str:
    """Download `target` from the first of `sources` that works; return its SHA-256.

    size: bytes the file must have. sha256 None: nothing is resumed, since a kept part could not be
    trusted. Raises DownloadFailed (what came is kept unless its checksum is wrong), Cancelled,
    DiskFull.
    """
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with exclusive(target):
        job = _Download(client, list(sources), target, size, sha256)
        job.meter = meter or job.meter
        job.control = control or job.control
        job.policy = policy or job.policy
        return job.run()


class _Broken(Exception):
    """The transfer broke off and may be tried again, after `wait_s` if the server said so."""

    def __init__(self, detail: str, wait_s: float | None = None) -> None:
        super().__init__(detail)
        self.wait_s = wait_s


class _SourceRefused(Exception):
    """This source does not have the file we want."""


class _Interrupted(Exception):
    """Paused or cancelled."""


class _Download:
    def __init__(
        self,
        client: "httpx.Client",
        sources: list[DownloadSource],
        target: Path,
        size: int,
        sha256: str | None,
    ) -> None:
        self.client = client
        self.sources = sources
        self.target = target
        self.part = target.with_name(target.name + PART_SUFFIX)
        self.size = size
        self.sha256 = sha256
        self.meter = Meter(size)
        self.control = Control()
        self.policy = RetryPolicy()
        self.done = 0
        self.digest = hashlib.sha256()

    def run(self) -> str:
        if not self.sources:
            raise failed(self.target, "no_source", detail="-")
        try:
            with self._open() as file:
                self._take_up(file)
                check_disk(self.target.parent, self.size - self.done)
                while not self._complete(file):
                    pass
            self.meter.stage("checking")
            settle(self.part, self.target)
        except OSError as error:
            raise disk_error(error, self.target.parent, self.target, self.size - self.done) from error
        self.meter.file_done(self.size)
        return self.digest.hexdigest()

    def _open(self) -> BinaryIO:
        return self.part.open("r+b" if self.part.exists() else "w+b")

    def _take_up(self, file: BinaryIO) -> None:
        """Hash what an earlier attempt left, so that the checksum at the end covers every byte."""
        present = self.part.stat().st_size
        if self.sha256 is None or present > self.size:
            self._restart(file)
            return
        if present:
            self.meter.stage("checking")
        while block := file.read(_BLOCK):
            if self.control.cancelled:
                raise cancelled(self.target)
            self.digest.update(block)
            self.done += len(block)
            self.meter.set(self.done)

    def _restart(self, file: BinaryIO) -> None:
        file.seek(0)
        file.truncate()
        self.done = 0
        self.digest = hashlib.sha256()

    def _complete(self, file: BinaryIO) -> bool:
        """Transfer to the end and check; False when the wrong bytes came and another try is due."""
        resumed = self.done > 0
        self._transfer(file)
        if self.sha256 is None or self.digest.hexdigest() == self.sha256:
            return True
        self._restart(file)
        if not resumed:  # what this source sent in one piece is wrong; the kept part was not to blame
            self.sources.pop(0)
        if not self.sources:
            raise failed(self.target, "checksum")
        return False

    def _transfer(self, file: BinaryIO) -> None:
        attempts = 0
        while self.done < self.size:
            self._wait_if_asked()
            before = self.done
            source = self.sources[0]
            self.meter.source = source.name
            self.meter.stage("connecting" if attempts == 0 else "retrying")
            try:
                self._stream(source, file)
            except _Interrupted:
                pass
            except _SourceRefused as refusal:
                self.sources.pop(0)
                if not self.sources:
                    raise failed(self.target, "not_offered", detail=str(refusal)) from refusal
            except _Broken as broken:
                attempts = 1 if self.done > before else attempts + 1
                if attempts >= self.policy.attempts:
                    raise failed(
                        self.target, "broken_off", attempts=attempts, detail=broken, done_bytes=self.done
                    ) from broken
                if attempts > 1:  # the next one in turn; the bytes that are here fit all of them
                    self.sources.append(self.sources.pop(0))
                self.meter.stage("retrying")
                wait_s = self.policy.wait_s(attempts) if broken.wait_s is None else broken.wait_s
                self.control.sleep(min(wait_s, self.policy.longest_wait_s))
            file.flush()

    def _wait_if_asked(self) -> None:
        if self.control.paused:
            self.meter.stage("paused")
        if not self.control.wait_while_paused():
            raise cancelled(self.target)

    def _stream(self, source: DownloadSource, file: BinaryIO) -> None:
        headers = {"Accept-Encoding": "identity"}
        if self.done:
            headers["Range"] = f"bytes={self.done}-"
        try:
            with self.client.stream("GET", source.url, headers=headers) as response:
                self._check(response, file)
                self.meter.stage("downloading")
                self.meter.set(self.done)
                file.seek(self.done)
                for block in response.iter_raw():
                    self._take(block, file)
                    if self.control.interrupted():
                        raise _Interrupted
        except (httpx.TransportError, httpx.StreamError) as error:
            raise _Broken(f"{type(error).__name__}: {error}".rstrip(": ")) from error
        except (httpx.InvalidURL, httpx.TooManyRedirects) as error:
            raise _SourceRefused(str(error)) from error
        if self.done < self.size:
            raise _Broken(f"{self.done}/{self.size}")

    def _take(self, block: bytes, file: BinaryIO) -> None:
        if self.done + len(block) > self.size:
            self._restart(file)
            raise _SourceRefused(f"> {self.size} bytes")
        file.write(block)
        self.digest.update(block)
        self.done += len(block)
        self.meter.set(self.done)

    def _check(self, response: "httpx.Response", file: BinaryIO) -> None:
        """Accept a response that continues where we are, or start over with one that cannot."""
        status = response.status_code
        if status in (408, 425, 429) or status >= 500:
            raise _Broken(f"HTTP {status}", _retry_after(response))
        if status == 416:
            self._restart(file)
            raise _Broken("HTTP 416")
        if status not in (200, 206):
            raise _SourceRefused(f"HTTP {status}")
        if response.headers.get("content-type", "").startswith("text/html"):
            raise _SourceRefused("text/html")
        if status == 206:
            self._check_range(response, file)
            return
        length = response.headers.get("content-length", "")
        if length.isdigit() and int(length) != self.size:
            raise _SourceRefused(f"{length} != {self.size} bytes")
        self._restart(file)

    def _check_range(self, response: "httpx.Response", file: BinaryIO) -> None:
        match = _CONTENT_RANGE.match(response.headers.get("content-range", ""))
        if match and match[3] != "*" and int(match[3]) != self.size:
            raise _SourceRefused(f"{match[3]} != {self.size} bytes")
        if not match or int(match[1]) != self.done:
            self._restart(file)
            raise _Broken(f"Content-Range {response.headers.get('content-range', '-')}")


def _retry_after(response: "httpx.Response") -> float | None:
    """Return the seconds of a Retry-After header, or None."""
    value = response.headers.get("retry-after", "").strip()
    if value.isdigit():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError):
        return None
