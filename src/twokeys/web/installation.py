"""What lets a browser install the page as an app: the manifest, its icons, and a notice that nobody answers.

A small worker in the browser keeps that notice and nothing else, and shows it when a page cannot be reached.
All addresses are relative, so they hold below a base path too. Knows nothing of what the pages show.
"""

import html
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from twokeys.i18n import LANGUAGES, negotiate, translate
from twokeys.web.card import card_page

MANIFEST_PATH = "/twokeys/app.webmanifest"
OFFLINE_PATH = "/twokeys/offline"
WORKER_PATH = "/offline-worker.js"
"""Beside the pages: a worker looks after what lies below its own address."""
ICONS: Mapping[str, str] = {"icon-192.png": "192x192", "icon-512.png": "512x512"}
_NO_CACHE = {"Cache-Control": "no-cache"}
HEAD = (
    '<link rel="manifest" href="./twokeys/app.webmanifest" crossorigin="use-credentials">'
    '<link rel="apple-touch-icon" href="./twokeys/icon-192.png">'
)
"""For the head of a page. The manifest lies behind the door, so it is asked for with the cookie."""


def installation_routes(theme: Mapping[str, Any]) -> list[BaseRoute]:
    """Return the routes. theme: Streamlit's options of the looks, see Site."""
    colour = str(theme.get("light.backgroundColor", "#ffffff"))

    async def manifest(request: Request) -> Response:
        language = _language(request)
        return JSONResponse(
            {
                "name": "TwoKeys 双钥",
                "short_name": "TwoKeys",
                "description": translate("access.install.description", language),
                "lang": "zh-CN" if language == "zh" else "en",
                "id": "../",
                "start_url": "../",
                "scope": "../",
                "display": "standalone",
                "background_color": colour,
                "theme_color": colour,
                "icons": [
                    {"src": "mark.svg", "sizes": "any", "type": "image/svg+xml"},
                    *({"src": name, "sizes": size, "type": "image/png"} for name, size in ICONS.items()),
                ],
            },
            media_type="application/manifest+json",
            headers=_NO_CACHE,
        )

    async def worker(request: Request) -> Response:
        return Response(_static("offline-worker.js"), media_type="text/javascript", headers=_NO_CACHE)

    async def icon(request: Request) -> Response:
        picture = _static(request.url.path.rpartition("/")[2])
        return Response(picture, media_type="image/png", headers={"Cache-Control": "max-age=86400"})

    return [
        Route(MANIFEST_PATH, manifest, methods=["GET"]),
        Route(WORKER_PATH, worker, methods=["GET"]),
        Route(OFFLINE_PATH, _offline, methods=["GET"]),
        *(Route(f"/twokeys/{name}", icon, methods=["GET"]) for name in ICONS),
    ]


async def _offline(request: Request) -> Response:
    """Return the notice in the reader's language, and what to do in the other one too."""
    language = _language(request)

    def say(key: str, of: str = language) -> str:
        return html.escape(translate(f"access.offline.{key}", of))

    (other,) = (code for code in LANGUAGES if code != language)
    body = (
        f"<p>{say('lead')}</p><p><code>twokeys ui</code></p>"
        f'<a class="again" href="">{say("again")}</a>'
        f'<p class="other" lang="{"zh-CN" if other == "zh" else "en"}">{say("lead", other)}</p>'
    )
    return card_page(language, say("title"), body, switch=None, headers=_NO_CACHE)


def _language(request: Request) -> str:
    return negotiate(request.headers.get("accept-language"))


def _static(name: str) -> bytes:
    return files("twokeys.web").joinpath("static", name).read_bytes()
