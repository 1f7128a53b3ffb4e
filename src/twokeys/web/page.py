"""Streamlit's own page at the addresses of our pages, with a script that tells it where its server is, with
what lets a browser install it (installation.py), and with the scripts of the widgets that it shows first.

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


def page_routes(names: Iterable[str], first_widgets: tuple[str, ...] = ()) -> list[BaseRoute]:
    """Return the routes of the pages (the first has no part of an address) and of their script.

    first_widgets: whose scripts are loaded with the page and not only when they are drawn, see Site.
    """

    async def page(request: Request) -> Response:
        return HTMLResponse(_markup(first_widgets), headers={"Cache-Control": "no-cache"})

    return [
        Route("/twokeys/base.js", _script, methods=["GET"]),
        *(Route(f"/{name}", page, methods=["GET"]) for name in ("", *names)),
    ]


async def _script(request: Request) -> Response:
    script = files("twokeys.web").joinpath("static", "base.js").read_bytes()
    return Response(script, media_type="text/javascript", headers={"Cache-Control": "no-cache"})


@cache
def _markup(first_widgets: tuple[str, ...]) -> str:
    markup = streamlit_seams.page().decode().replace("<head>", f"<head>\n    {SCRIPT}{HEAD}", 1)
    early = (
        f'<link rel="modulepreload" crossorigin href="./static/js/{name}">'
        for name in streamlit_seams.scripts_of(first_widgets)
    )
    return markup.replace("</head>", "".join(early) + "</head>", 1)
