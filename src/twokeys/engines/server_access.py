"""What a person set for single servers: the key that is sent to each, and how many answers at once.

Kept in a file of the data folder that only its owner can read, apart from the database: keys are in no
backup, export or log, and never part of an address. Knows no servers.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from twokeys.config import MOST_SERVER_SLOTS
from twokeys.errors import BadParameter, store_error


@dataclass(frozen=True, slots=True)
class ServerAccess:
    """key: sent as a bearer token, None for none. slots: answers at once, None for what is usual there."""

    key: str | None = field(default=None, repr=False)
    slots: int | None = None

    def __post_init__(self) -> None:
        if self.slots is not None and (
            isinstance(self.slots, bool)
            or not isinstance(self.slots, int)
            or not 1 <= self.slots <= MOST_SERVER_SLOTS
        ):
            raise BadParameter(field="slots", value=self.slots, allowed=f"1 … {MOST_SERVER_SLOTS}")
        if self.key is not None and not (self.key.isascii() and self.key.isprintable() and self.key.strip()):
            raise BadParameter(field="key", value="…", allowed="ASCII")


NO_ACCESS = ServerAccess()


class ServerBook:
    """The servers' keys and slots, by scheme, host and port. Every call reads the file: it is small.

    path: where it lies; missing, nothing was set. own: what the environment says of one server, by its
    address; what a person set here comes first.
    """

    def __init__(self, path: Path, own: Mapping[str, ServerAccess] | None = None) -> None:
        self._path = path
        self._own = {place_of(url): access for url, access in (own or {}).items()}

    def of(self, url: str) -> ServerAccess:
        """Return what was set for the server at an address."""
        place = place_of(url)
        stored = self._stored().get(place)
        own = self._own.get(place, NO_ACCESS)
        if stored is None:
            return own
        return ServerAccess(stored.key or own.key, stored.slots or own.slots)

    def keep(self, url: str, access: ServerAccess) -> None:
        """Set a server's key and slots; nothing of both forgets the server. Raises StoreError."""
        stored = self._stored()
        stored.pop(place_of(url), None)
        if access != NO_ACCESS:
            stored[place_of(url)] = access
        draft = self._path.with_suffix(".tmp")
        try:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump({place: asdict(known) for place, known in stored.items()}, file)
            draft.replace(self._path)
        except OSError as exc:
            raise store_error(exc, self._path) from exc

    def places(self) -> list[str]:
        """Return the servers for which something was set: scheme, host and port of each."""
        return list(dict.fromkeys((*self._stored(), *self._own)))

    def _stored(self) -> dict[str, ServerAccess]:
        try:
            values: Any = json.loads(self._path.read_text(encoding="utf-8"))
            return {place: ServerAccess(**known) for place, known in values.items()}
        except (OSError, ValueError, TypeError, AttributeError, BadParameter):
            return {}


def place_of(url: str) -> str:
    """Return scheme, host and port of an address: what a key belongs to."""
    parts = urlsplit(url.strip())
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}".lower()
