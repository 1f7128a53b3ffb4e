"""Where the official files can be had: Hugging Face (or its mirror) and ModelScope.

A hub is asked for its listing of a repository (names, sizes, SHA-256); both are asked at once, and
whichever answers first within a short time serves the download, the other one stands by. Only
public repositories: no token is read or sent.

One small GET per hub is done with httpx directly: huggingface_hub would bring its own retries and
time-outs to a race that must end within seconds, and knows only one of the two hubs.
"""

import queue
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

from twokeys.errors import DownloadFailed, Reason
from twokeys.http import httpx
from twokeys.models.catalogue import CatalogueModel
from twokeys.models.download import DownloadSource

ANSWER_WITHIN_S = 8.0
"""How long a hub may take to answer before it counts as not reachable."""
STAND_BY_WITHIN_S = 1.0
"""How much longer the other hub is waited for, as a stand-in, once the first has answered."""


@dataclass(frozen=True, slots=True)
class HubFile:
    """One file of a repository as its hub lists it."""

    url: str
    bytes: int
    sha256: str | None


@dataclass(frozen=True, slots=True)
class Offer:
    """One part of a model with every hub that has exactly this file, first to answer first."""

    file: str
    bytes: int
    sha256: str | None
    sources: tuple[DownloadSource, ...]


class WebPage(ValueError):
    """Internal: a page for people where a listing should be: a login page, a wrong address."""


class Hub(Protocol):
    """A model hub: states only where its listing is and how to read it."""

    source: str

    @property
    def endpoint(self) -> str: ...

    def files(self, client: "httpx.Client", repository: str, timeout_s: float) -> Mapping[str, HubFile]:
        """Return the repository's files by name. Raises httpx.HTTPError, ValueError (WebPage) or KeyError."""


class HuggingFace:
    """https://huggingface.co or the mirror named by HF_ENDPOINT."""

    source = "huggingface"

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint.rstrip("/")

    def files(self, client: "httpx.Client", repository: str, timeout_s: float) -> Mapping[str, HubFile]:
        entries = _json(client, f"{self.endpoint}/api/models/{repository}/tree/main", timeout_s)
        remote_files = {}
        for entry in entries:
            if entry.get("type") != "file":
                continue
            name, lfs = str(entry["path"]), entry.get("lfs") or {}
            url = f"{self.endpoint}/{repository}/resolve/main/{quote(name)}"
            remote_files[name] = HubFile(url, int(lfs.get("size") or entry["size"]), _digest(lfs.get("oid")))
        return remote_files


class ModelScope:
    """https://modelscope.cn."""

    source = "modelscope"

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint.rstrip("/")

    def files(self, client: "httpx.Client", repository: str, timeout_s: float) -> Mapping[str, HubFile]:
        url = f"{self.endpoint}/api/v1/models/{repository}/repo/files?Revision=master&Recursive=true"
        remote_files = {}
        for entry in _json(client, url, timeout_s)["Data"]["Files"]:
            if entry.get("Type") == "tree":
                continue
            name = str(entry["Path"])
            link = f"{self.endpoint}/models/{repository}/resolve/master/{quote(name)}"
            remote_files[name] = HubFile(link, int(entry["Size"]), _digest(entry.get("Sha256")))
        return remote_files


def locate(
    client: "httpx.Client",
    hubs: Sequence[Hub],
    model: CatalogueModel,
    *,
    answer_within_s: float = ANSWER_WITHIN_S,
    stand_by_within_s: float = STAND_BY_WITHIN_S,
) -> tuple[Offer, ...]:
    """Return an offer for every part of a hub model.

    A hub whose checksum differs from the pinned one, or from the hub that answered first, is left
    out: it has another file. Raises DownloadFailed when no hub offers all parts.
    """
    answers: queue.Queue[tuple[Hub, Mapping[str, HubFile] | str | WebPage]] = queue.Queue()
    for hub in hubs:
        threading.Thread(
            target=_ask, args=(client, hub, model, answer_within_s, answers), daemon=True
        ).start()
    problems: list[str] = []
    page_from: Hub | None = None
    offers: tuple[Offer, ...] = ()
    deadline = time.monotonic() + answer_within_s
    for _ in hubs:
        try:
            hub, answer = answers.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            break
        if isinstance(answer, WebPage):
            page_from = hub
            continue
        if isinstance(answer, str):
            problems.append(f"{hub.source}: {answer}")
            continue
        merged = _merge(offers, hub, answer, model)
        if merged is None:
            problems.append(f"{hub.source}: SHA-256")
            continue
        if not offers:
            deadline = min(deadline, time.monotonic() + stand_by_within_s)
        offers = merged
    if not offers and page_from is not None:
        source = urlsplit(page_from.endpoint).netloc or page_from.endpoint
        reason = Reason("models.failed.web_page", source=source, detail=in_brackets(problems))
        raise DownloadFailed(name=model.name, reason=reason)
    if not offers:
        detail = "; ".join(problems) or f"> {answer_within_s:g} s"
        raise DownloadFailed(name=model.name, reason=Reason("models.failed.no_source", detail=detail))
    return offers


def _ask(
    client: "httpx.Client",
    hub: Hub,
    model: CatalogueModel,
    timeout_s: float,
    answers: "queue.Queue[tuple[Hub, Mapping[str, HubFile] | str | WebPage]]",
) -> None:
    try:
        files = hub.files(client, model.repository or "", timeout_s)
        missing = [part.file for part in model.parts if part.file not in files]
        answers.put((hub, f"– {missing[0]}" if missing else files))
    except httpx.HTTPStatusError as error:
        answers.put((hub, f"HTTP {error.response.status_code}"))
    except (httpx.HTTPError, httpx.InvalidURL, RuntimeError) as error:
        answers.put((hub, type(error).__name__))
    except WebPage as page:
        answers.put((hub, page))
    except (ValueError, KeyError, TypeError, AttributeError):
        answers.put((hub, "?"))  # an answer, but not a listing: a wrong mirror


def _merge(
    offers: tuple[Offer, ...], hub: Hub, files: Mapping[str, HubFile], model: CatalogueModel
) -> tuple[Offer, ...] | None:
    """Add a hub's files to the offers; None when they are not the same files."""
    merged = []
    for number, part in enumerate(model.parts):
        offered = files[part.file]
        known = offers[number] if offers else None
        wanted = part.sha256 or (known.sha256 if known else None)
        if wanted and offered.sha256 and offered.sha256 != wanted:
            return None
        if known and known.bytes != offered.bytes:
            return None
        merged.append(
            Offer(
                file=part.file,
                bytes=offered.bytes,
                sha256=wanted or offered.sha256,
                sources=(*(known.sources if known else ()), DownloadSource(hub.source, offered.url)),
            )
        )
    return tuple(merged)


def _json(client: "httpx.Client", url: str, timeout_s: float) -> Any:
    response = client.get(url, timeout=timeout_s)
    response.raise_for_status()
    if "html" in response.headers.get("content-type", "") or response.text.lstrip().startswith("<"):
        raise WebPage
    return response.json()


def in_brackets(problems: Sequence[str]) -> str:
    """Return what was wrong with the other sources, as the end of a sentence; "" without others."""
    return f" ({'; '.join(problems)})" if problems else ""


def _digest(value: object) -> str | None:
    """Return a SHA-256 in lower-case hexadecimal, or None for anything else."""
    text = str(value or "").lower().removeprefix("sha256:")
    return text if len(text) == 64 and all(c in "0123456789abcdef" for c in text) else None
