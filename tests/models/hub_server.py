"""A local Hugging Face, ModelScope and package index in one, with faults on demand.

It speaks as much of each protocol as the client uses: listings with sizes and SHA-256, a redirect
to a "CDN", range requests, the JSON and the HTML form of the simple index. Every request is kept
in `requests`, so a test can tell what was really transferred.
"""

import hashlib
import json
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

from twokeys.models.download import RetryPolicy

QUICK = RetryPolicy(attempts=4, first_wait_s=0.01, longest_wait_s=0.2)
"""Four attempts in a fifth of a second each at most: enough to see what a client does."""


@dataclass
class Fault:
    """What goes wrong with one request for a file (or listing)."""

    status: int | None = None
    retry_after: str | None = None
    cut_after: int | None = None
    ignore_range: bool = False
    wrong_range: bool = False
    corrupt: bool = False
    bytes_per_s: float | None = None
    html: bool = False
    delay_s: float = 0.0


@dataclass
class Seen:
    """One request: its path, the Range it asked for, and the bytes of body sent."""

    path: str
    range: str | None
    sent: int = 0


@dataclass
class HubServer:
    """The content and the misbehaviour of the server; `url` once it runs."""

    repositories: dict[str, dict[str, bytes]] = field(default_factory=dict)
    packages: dict[str, dict[str, bytes]] = field(default_factory=dict)
    faults: dict[str, list[Fault]] = field(default_factory=lambda: defaultdict(list))
    listed_sha256: dict[str, str] = field(default_factory=dict)
    html_index: bool = False
    release: dict[str, bytes] = field(default_factory=dict)
    release_tag: str = "b1"
    undigested: set[str] = field(default_factory=set)
    requests: list[Seen] = field(default_factory=list)
    url: str = ""

    def fault(self, name: str, *faults: Fault, always: bool = False) -> None:
        """Let the next requests whose path ends in `name` go wrong, one fault each."""
        self.faults[name] = list(faults) * (1000 if always else 1)

    def downloads(self, name: str) -> list[Seen]:
        """Return the requests that transferred the content of a file."""
        return [seen for seen in self.requests if seen.path.endswith(f"/{name}") and "/cdn/" in seen.path]

    def sent(self, name: str) -> int:
        """Return how many bytes of a file's content were sent altogether."""
        return sum(seen.sent for seen in self.downloads(name))


@contextmanager
def running_hub() -> Iterator[HubServer]:
    """Run a hub on a free port of the loopback interface."""
    hub = HubServer()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub))
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _handler(hub: HubServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path)
            seen = Seen(path, self.headers.get("Range"))
            hub.requests.append(seen)
            fault = self._fault(path)
            time.sleep(fault.delay_s)
            if fault.status:
                self._answer(fault.status, b"sorry", retry_after=fault.retry_after)
            elif fault.html:
                self._answer(200, b"<html>please log in</html>", "text/html; charset=utf-8")
            else:
                self._route(path, seen, fault)

        def _fault(self, path: str) -> Fault:
            for name, waiting in hub.faults.items():
                if (
                    waiting
                    and path.endswith(name)
                    and ("/cdn/" in path or not name.endswith((".gguf", ".whl")))
                ):
                    return waiting.pop(0)
            return Fault()

        def _route(self, path: str, seen: Seen, fault: Fault) -> None:
            pieces = path.strip("/").split("/")
            repository = "/".join(pieces[2:4] if pieces[0] == "api" else pieces[:2])
            if path.startswith("/api/v1/models/"):
                self._modelscope("/".join(pieces[3:5]))
            elif path.startswith("/api/models/"):
                self._hugging_face(repository)
            elif "/resolve/main/" in path:
                self._redirect(f"/cdn/{repository}/{pieces[-1]}")
            elif "/resolve/master/" in path:
                self._redirect(f"/cdn/{'/'.join(pieces[1:3])}/{pieces[-1]}")
            elif path == "/release":
                self._release()
            elif path.startswith("/cdn/release/"):
                self._content(hub.release.get(pieces[-1]), seen, fault)
            elif path.startswith("/cdn/packages/"):
                self._content(self._wheel(pieces[-1]), seen, fault)
            elif path.startswith("/cdn/"):
                self._content(hub.repositories.get("/".join(pieces[1:3]), {}).get(pieces[3]), seen, fault)
            elif path.startswith("/simple/"):
                self._index(pieces[1])
            else:
                self._answer(404, b"no such page")

        def _wheel(self, name: str) -> bytes | None:
            return next((files[name] for files in hub.packages.values() if name in files), None)

        def _digest(self, name: str, content: bytes) -> str:
            return hub.listed_sha256.get(name) or _sha256(content)

        def _release(self) -> None:
            assets: list[dict[str, object]] = []
            for name, content in hub.release.items():
                row: dict[str, object] = {"name": name, "size": len(content)}
                row["browser_download_url"] = f"{hub.url}/cdn/release/{name}"
                if name not in hub.undigested:
                    row["digest"] = f"sha256:{self._digest(name, content)}"
                assets.append(row)
            listing = {"tag_name": hub.release_tag, "assets": assets}
            self._answer(200, json.dumps(listing).encode(), "application/json")

        def _hugging_face(self, repository: str) -> None:
            files = hub.repositories.get(repository)
            if files is None:
                self._answer(404, b'{"error":"Repository not found"}', "application/json")
                return
            listing: list[dict[str, object]] = [{"type": "directory", "oid": "0", "size": 0, "path": "docs"}]
            for name, content in files.items():
                lfs = {"oid": self._digest(name, content), "size": len(content), "pointerSize": 134}
                listing.append(
                    {"type": "file", "oid": "1" * 40, "size": len(content), "lfs": lfs, "path": name}
                )
            self._answer(200, json.dumps(listing).encode(), "application/json")

        def _modelscope(self, repository: str) -> None:
            files = hub.repositories.get(repository)
            if files is None:
                self._answer(404, b'{"Code":10010205001,"Success":false}', "application/json")
                return
            listing: list[dict[str, object]] = [{"Type": "tree", "Path": "docs", "Size": 0}]
            for name, content in files.items():
                listing.append(
                    {
                        "Type": "blob",
                        "Name": name,
                        "Path": name,
                        "Size": len(content),
                        "Sha256": self._digest(name, content),
                    }
                )
            body = {"Code": 200, "Success": True, "Data": {"Files": listing}}
            self._answer(200, json.dumps(body).encode(), "application/json")

        def _index(self, package: str) -> None:
            files = hub.packages.get(package)
            if files is None:
                self._answer(404, b"not found")
            elif hub.html_index:
                links = "".join(
                    f'<a href="../../cdn/packages/{name}#sha256={_sha256(content)}">{name}</a>'
                    for name, content in files.items()
                )
                self._answer(200, f"<!DOCTYPE html><body>{links}</body>".encode(), "text/html")
            else:
                listing = [
                    {
                        "filename": name,
                        "url": f"../../cdn/packages/{name}",
                        "hashes": {"sha256": self._digest(name, content)},
                        "size": len(content),
                    }
                    for name, content in files.items()
                ]
                body = json.dumps({"meta": {"api-version": "1.1"}, "name": package, "files": listing})
                self._answer(200, body.encode(), "application/vnd.pypi.simple.v1+json")

        def _redirect(self, location: str) -> None:
            self.send_response(302)
            self.send_header("Location", location)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _answer(
            self, status: int, body: bytes, kind: str = "text/plain", retry_after: str | None = None
        ) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            if retry_after:
                self.send_header("Retry-After", retry_after)
            self.end_headers()
            self.wfile.write(body)

        def _content(self, content: bytes | None, seen: Seen, fault: Fault) -> None:
            if content is None:
                self._answer(404, b"no such file")
                return
            start = 0
            if seen.range and not fault.ignore_range:
                start = int(seen.range.removeprefix("bytes=").rstrip("-"))
            if start >= len(content) > 0:
                self._answer(416, b"")
                return
            body = content[start:]
            if fault.corrupt:
                body = bytes(byte ^ 0xFF for byte in body)
            self.send_response(206 if start or (seen.range and not fault.ignore_range) else 200)
            self.send_header("Content-Type", "application/octet-stream")
            self.send_header("Content-Length", str(len(body)))
            if seen.range and not fault.ignore_range:
                reported = start + 1 if fault.wrong_range else start
                self.send_header("Content-Range", f"bytes {reported}-{len(content) - 1}/{len(content)}")
            self.end_headers()
            self._send(body, seen, fault)

        def _send(self, body: bytes, seen: Seen, fault: Fault) -> None:
            end = len(body) if fault.cut_after is None else fault.cut_after
            step = len(body) if fault.bytes_per_s is None else max(1, int(fault.bytes_per_s / 50))
            try:
                for offset in range(0, min(end, len(body)), max(1, step)):
                    piece = body[offset : min(offset + step, end)]
                    self.wfile.write(piece)
                    seen.sent += len(piece)
                    if fault.bytes_per_s:
                        time.sleep(1 / 50)
            except OSError:
                self.close_connection = True
            if fault.cut_after is not None:
                self.close_connection = True

    return Handler
