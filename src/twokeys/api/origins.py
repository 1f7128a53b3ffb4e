"""Web pages that may ask the API from a browser: only those whose origin a person has named.

They need a key like every program. Nothing else of the app is open to them.
"""

from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from twokeys.errors import BadInput, Reason
from twokeys.web.sessions import OPEN_PREFIXES

HEADERS = ("authorization", "content-type", "x-api-key", "x-twokeys-strict")
SHOWN_HEADERS = ("retry-after", "x-twokeys-finish", "x-twokeys-seed", "x-twokeys-preset")


def origin_of(text: str) -> str:
    """Return an origin as browsers write it. Raises BadInput for what is none, and for `*`."""
    try:
        parts = urlsplit(text.strip())
        plain = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        extra = parts.path.strip("/") or parts.query or parts.fragment or parts.username is not None
    except ValueError:
        plain, extra = False, True
    if not plain or extra:
        raise BadInput(reason=Reason("api.origin.bad", origin=text.strip()))
    return f"{parts.scheme}://{parts.netloc.lower()}"


class NamedOrigins:
    """The origins named in the settings, asked for at each request that has one, and those of the start."""

    def __init__(self, named: Callable[[], Iterable[str]], further: Iterable[str] = ()) -> None:
        """Raises BadInput for a further origin that is none."""
        self._named = named
        self._further = frozenset(origin_of(origin) for origin in further)

    def allow(self, origin: str) -> bool:
        """Whether pages of this origin may ask."""
        return origin in self._further or origin in self._named()

    def may_ask(self, path: str, origin: str) -> bool:
        """Whether pages of this origin may ask at this path: see `SecurityMiddleware`."""
        return path.startswith(OPEN_PREFIXES) and self.allow(origin)

    def middleware(self) -> Middleware:
        """Return what answers a browser's question whether it may ask, for one route."""
        return Middleware(_Cors, origins=self)


class _Cors(CORSMiddleware):
    def __init__(self, app: ASGIApp, origins: NamedOrigins) -> None:
        super().__init__(
            app,
            allow_methods=("GET", "POST"),
            allow_headers=HEADERS,
            allow_private_network=True,
            expose_headers=SHOWN_HEADERS,
            max_age=600,
        )
        self._origins = origins

    def is_allowed_origin(self, origin: str) -> bool:
        return self._origins.allow(origin)
