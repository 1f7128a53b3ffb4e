"""Streamlit's own page at the addresses of our pages, with a script that tells it where its server is, and
what lets a browser install it (installation.py).

Other addresses are left to Streamlit, which still finds its server by trying.
"""

from collections.abc import Iterable
from functools import cache
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from twokeys.web import streamlit_seams
from twokeys.web.installation import HEAD

SCRIPT = '<script src="./twokeys/base.js"></script>'


def page_routes(names: Iterable[str]) -> list[BaseRoute]:
    """Return the routes of the pages (the first has no part of an address) and of their script."""
    return [
        Route("/twokeys/base.js", _script, methods=["GET"]),
        *(Route(f"/{name}", _page, methods=["GET"]) for name in ("", *names)),
    ]


async def _script(request: Request) -> Response:
    script = files("twokeys.web").joinpath("static", "base.js").read_bytes()
    return Response(script, media_type="text/javascript", headers={"Cache-Control": "no-cache"})


async def _page(request: Request) -> Response:
    return HTMLResponse(_markup(), headers={"Cache-Control": "no-cache"})


@cache
def _markup() -> str:
    return streamlit_seams.page().decode().replace("<head>", f"<head>\n    {SCRIPT}{HEAD}", 1)
