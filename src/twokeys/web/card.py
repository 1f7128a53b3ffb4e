"""One small page of ours outside the app: sign in, sign out, closed, out of reach; loads our mark at most."""

import base64
import html
from collections.abc import Mapping
from importlib.resources import files

from starlette.responses import HTMLResponse, Response

from twokeys.i18n import translate
from twokeys.web.base_path import base


def card_page(
    language: str,
    title: str,
    body: str,
    *,
    switch: str | None,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return the page. title and body are HTML.

    switch: the address of the page in the other language; None for a page that stands alone: it holds our
    mark instead of loading it.
    """
    label = html.escape(translate("access.switch", language))
    other = "" if switch is None else f'<a class="switch" href="{html.escape(switch)}">{label}</a>'
    page = _PAGE.format(
        lang="zh-CN" if language == "zh" else "en",
        title=title,
        body=body,
        mark=_MARK_PATH if switch is not None else _inline_mark(),
        switch=other,
        style=_STYLE,
    )
    page = page.replace('="/', f'="{base()}/')  # our own links
    return HTMLResponse(page, status_code=status, headers=dict(headers or {}))


def _inline_mark() -> str:
    picture = files("twokeys.web").joinpath("static", "mark.svg").read_bytes()
    return f"data:image/svg+xml;base64,{base64.b64encode(picture).decode('ascii')}"


_MARK_PATH = "/twokeys/mark.svg"
_STYLE = """
:root { color-scheme: light dark; --page: #fdfcfa; --card: #fff; --ink: #21262a; --soft: #646b6c;
  --line: #e3dfd6; --key: #0b6b62; --key-ink: #fff; --bad: #b3382c; }
@media (prefers-color-scheme: dark) { :root { --page: #16191a; --card: #1b1f20; --ink: #e6e8e5;
  --soft: #a2aaa9; --line: #343b3c; --key: #69c6b5; --key-ink: #0e1b19; --bad: #f08a7e; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.5rem;
  background: var(--page); color: var(--ink); line-height: 1.6; font-family: system-ui, -apple-system,
  "Segoe UI", "PingFang SC", "Hiragino Sans GB", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif; }
main { width: 100%; max-width: 22rem; background: var(--card); border: 1px solid var(--line);
  border-radius: 1rem; padding: 2rem; }
img { width: 2.75rem; height: 2.75rem; display: block; margin-bottom: 1rem; }
h1 { font-size: 1.15rem; line-height: 1.4; margin: 0 0 .25rem; font-weight: 650; }
p { margin: 0 0 1.25rem; color: var(--soft); font-size: .9rem; }
label { display: block; font-size: .85rem; margin-bottom: .35rem; }
input { width: 100%; font: inherit; padding: .6rem .75rem; border-radius: .6rem; color: inherit;
  border: 1px solid var(--line); background: var(--page); }
button, .again { width: 100%; margin-top: 1rem; font: inherit; font-weight: 600; padding: .6rem; border: 0;
  border-radius: .6rem; background: var(--key); color: var(--key-ink); cursor: pointer; }
.again { display: block; text-align: center; text-decoration: none; }
.other { margin: 1.25rem 0 0; }
input:focus-visible, button:focus-visible, a:focus-visible {
  outline: 2px solid var(--key); outline-offset: 2px; }
code { display: block; padding: .6rem .75rem; border-radius: .6rem; border: 1px solid var(--line);
  background: var(--page); color: var(--ink); font-size: .85rem; overflow-wrap: anywhere; }
.problem { color: var(--bad); margin: .75rem 0 0; }
a { color: var(--soft); }
.stay { margin: .9rem 0 0; text-align: center; }
.switch { display: inline-block; margin-top: 1.25rem; font-size: .85rem; color: var(--soft); }
"""

_PAGE = """<!doctype html>
<html lang="{lang}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="{mark}">
<style>{style}</style>
</head>
<body>
<main>
<img src="{mark}" alt="">
<h1>{title}</h1>
{body}
{switch}
</main>
</body>
</html>
"""
