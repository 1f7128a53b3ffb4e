"""llama.cpp's newest release: its listing, and the files of it that a build means.

Names of files have changed before, so none is built from a version: the listing is read and matched. A file
that is listed without a SHA-256 is not used. A mirror stands in for the files, never for their checksums.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from twokeys.builds.catalogue import Build
from twokeys.errors import DownloadFailed, Reason
from twokeys.http import httpx

ASK_WITHIN_S = 15.0
FILES_HOST = "https://github.com/"
_SHA256 = re.compile(r"sha256:([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Asset:
    """A file that can be fetched: its name, address, size and SHA-256."""

    file: str
    url: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Release:
    """A release: its version, and what is listed of each of its files."""

    version: str
    files: tuple[Mapping[str, Any], ...]

    def assets(self, build: Build, mirror: str = "") -> tuple[Asset, ...]:
        """Return the files that a build consists of. Raises DownloadFailed when one is amiss."""
        patterns = [pattern for pattern in (build.asset, build.extra) if pattern]
        return tuple(self._asset(pattern, build.name, mirror) for pattern in patterns)

    def _asset(self, pattern: str, build: str, mirror: str) -> Asset:
        rows = [row for row in self.files if re.fullmatch(pattern, str(row.get("name", "")))]
        if not rows:
            raise refused(build, "renamed", version=self.version)
        row = max(rows, key=lambda row: str(row["name"]))
        digest = _SHA256.fullmatch(str(row.get("digest", "")))
        url, size = str(row.get("browser_download_url", "")), row.get("size")
        if digest is None:
            raise refused(build, "no_digest", file=row["name"])
        if not url.startswith(("https://", "http://127.0.0.1:")) or not isinstance(size, int) or size <= 0:
            raise refused(build, "listing_nonsense", detail=str(row["name"]))
        if mirror and url.startswith(FILES_HOST):
            url = f"{mirror.rstrip('/')}/{url.removeprefix(FILES_HOST)}"
        return Asset(str(row["name"]), url, size, digest[1])


def read_release(client: "httpx.Client", listing: str) -> Release:
    """Return the newest release as its listing tells it. Raises DownloadFailed."""
    try:
        response = client.get(listing, timeout=ASK_WITHIN_S, headers={"Accept": "application/json"})
        response.raise_for_status()
        release = response.json()
        return Release(
            str(release["tag_name"]), tuple(row for row in release["assets"] if isinstance(row, dict))
        )
    except httpx.HTTPError as error:
        raise refused("llama.cpp", "listing", detail=type(error).__name__) from error
    except (ValueError, KeyError, TypeError) as error:
        raise refused("llama.cpp", "listing_nonsense", detail=type(error).__name__) from error


def refused(name: str, key: str, /, **values: object) -> DownloadFailed:
    """Return the DownloadFailed of a build with the reason `engines.failed.<key>`."""
    return DownloadFailed(name=name, reason=Reason(f"engines.failed.{key}", **values))
