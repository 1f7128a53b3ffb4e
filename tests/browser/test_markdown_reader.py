"""What models write (tests/cases/markdown.toml), as the browser's own reader shows it: finished and growing.

The packaged transcript draws all cases at once in an empty page, without a server.
"""

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lxml import html
from playwright.sync_api import Browser, Page, Route, WebSocketRoute
from tests.manuscript.seen import Seen, plain, seen_in_tree

import twokeys.web.component
from twokeys.web.component import component_texts

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CASES = tomllib.loads((Path(__file__).parents[1] / "cases" / "markdown.toml").read_text(encoding="utf-8"))[
    "case"
]
BUNDLE = Path(twokeys.web.component.__file__).parent / "frontend"
HOME = "http://localhost:1/"
WAITING = """((root) => {
    const heads = root.querySelectorAll(".tk-code:not(.tk-drawn) .tk-code-head > span:first-child")
    return root.querySelector(".tk-math-wait") || [...heads].some((name) => name.textContent === "mermaid")
})"""
"""Whether a formula or a diagram is still to be drawn."""
DRAW = """async ({ cases, texts }) => {
    const { default: draw } = await import("/transcript.js")
    const parentElement = document.querySelector("main").attachShadow({ mode: "open" })
    const messages = cases.map((content, at) => ({ id: `m${at}`, role: "assistant", content }))
    const data = { topic: "", texts, options: {}, messages }
    draw({ data: [data], parentElement, setTriggerValue: () => undefined })
    const drawn = () => [...parentElement.querySelectorAll(".tk-md")]
    for (let tries = 0; tries < 800 && WAITING(parentElement); tries += 1) {
        await new Promise((resolve) => setTimeout(resolve, 25))
    }
    return drawn().map((body) => body.innerHTML)
}""".replace("WAITING", WAITING)

COMPARE = """async ({ cases, texts }) => {
    const { default: draw } = await import("/columns.js")
    const host = document.createElement("section")
    document.body.append(host)
    const parentElement = host.attachShadow({ mode: "open" })
    const columns = cases.map((content, at) => {
        return { name: `${at}`, facts: [], message: { id: `c${at}`, role: "assistant", content } }
    })
    const data = { topic: "", texts, options: {}, columns }
    draw({ data: [data], parentElement, setTriggerValue: () => undefined })
    for (let tries = 0; tries < 800 && WAITING(parentElement); tries += 1) {
        await new Promise((resolve) => setTimeout(resolve, 25))
    }
    return [...parentElement.querySelectorAll(".tk-column .tk-md")].map((body) => body.innerHTML)
}""".replace("WAITING", WAITING)


GROW = """async ({ cases, texts }) => {
    const { default: draw } = await import("/transcript.js")
    const host = document.createElement("section")
    document.body.append(host)
    const parentElement = host.attachShadow({ mode: "open" })
    const begun = { role: "assistant", content: "", state: "streaming" }
    const messages = cases.map((_, at) => ({ id: `m${at}`, ...begun }))
    const data = { topic: "growing", texts, options: {}, messages }
    draw({ data: [data], parentElement, setTriggerValue: () => undefined })
    const frame = () => new Promise((resolve) => requestAnimationFrame(resolve))
    for (let tries = 0; tries < 1200 && !window.sent; tries += 1) await frame()
    for (let tries = 0; tries < 1200 && WAITING(parentElement); tries += 1) await frame()
    await frame()
    await frame()
    return [...parentElement.querySelectorAll(".tk-growing .tk-md")].map((body) => body.innerHTML)
}""".replace("WAITING", WAITING)
PIECE = 5
"""Characters that a growing answer gets at once."""


def answer(route: Route) -> None:
    name = route.request.url.removeprefix(HOME)
    if name == "":
        route.fulfill(content_type="text/html", body="<!doctype html><main></main>")
    elif (BUNDLE / name).is_file():
        route.fulfill(path=BUNDLE / name)
    else:
        route.fulfill(status=404)


@pytest.fixture(scope="module")
def empty_page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    page.route("**/*", answer)
    yield page
    page.close()


@pytest.fixture(scope="module")
def drawn(empty_page: Page) -> dict[str, Seen]:
    """Every case as it is seen, by its name."""
    texts = [case["text"] for case in CASES]
    empty_page.goto(HOME)
    bodies = empty_page.evaluate(DRAW, {"cases": texts, "texts": component_texts("en")})
    return {case["name"]: seen_in_browser(body) for case, body in zip(CASES, bodies, strict=True)}


def seen_in_browser(body: str) -> Seen:
    root = html.fragment_fromstring(body, create_parent="div")
    for formula in root.xpath('//*[contains(concat(" ", @class, " "), " tk-math ")]'):
        drawn = html.Element("math", {"display": "block"} if "tk-math-block" in formula.get("class") else {})
        drawn.tail = formula.tail
        formula.getparent().replace(formula, drawn)
    for head in root.xpath('//*[@class="tk-code-head"]'):
        head.getparent().remove(head)
    return seen_in_tree(root)


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["name"]))
def test_the_chat_shows_what_was_meant(case: dict[str, Any], drawn: dict[str, Seen]) -> None:
    shown = drawn[case["name"]]
    words = plain(shown.text)
    for piece in case.get("seen", ()):
        assert piece in words
    for piece in case.get("unseen", ()):
        assert piece not in shown.text
    for line in case.get("lines", ()):
        assert line in shown.lines
    for name in ("bold", "sub", "sup", "rtl"):
        if name in case:
            assert getattr(shown, name) == case[name], name
    if "formulas" in case:
        assert shown.formulas == len(case["formulas"])
    for code in case.get("code", ()):
        assert code in shown.code
    if "items" in case:
        assert shown.items == [(text, depth) for text, depth in case["items"]]
    if "cells" in case:
        assert shown.cells == case["cells"]


def test_what_grows_is_shown_as_what_is_finished_to_the_letter(empty_page: Page) -> None:
    texts = [case["text"] for case in CASES]
    asked = {"cases": texts, "texts": component_texts("en")}
    empty_page.goto(HOME)
    finished = empty_page.evaluate(DRAW, asked)
    empty_page.goto(HOME)

    def grow(socket: WebSocketRoute) -> None:
        jobs = [job(number) for number in range(len(texts))]
        socket.send(json.dumps([{"type": "snapshot", "jobs": jobs}]))
        for at in range(0, max(map(len, texts)), PIECE):
            pieces = [
                {
                    "type": "delta",
                    "job": f"j{number}",
                    "message": f"m{number}",
                    "at": at,
                    "text": piece,
                    "n": at,
                }
                for number, text in enumerate(texts)
                if (piece := text[at : at + PIECE])
            ]
            socket.send(json.dumps(pieces))
            empty_page.wait_for_timeout(60)  # each piece is drawn by itself
        empty_page.evaluate("window.sent = true")

    empty_page.route_web_socket("**/twokeys/live**", grow)
    grown = empty_page.evaluate(GROW, asked)
    differing = {
        case["name"]: (live, whole)
        for case, live, whole in zip(CASES, grown, finished, strict=True)
        if live != whole
    }
    assert differing == {}


def test_compared_columns_show_what_the_chat_shows_to_the_letter(empty_page: Page) -> None:
    asked = {"cases": [case["text"] for case in CASES], "texts": component_texts("en")}
    empty_page.goto(HOME)
    finished = empty_page.evaluate(DRAW, asked)
    empty_page.goto(HOME)
    assert empty_page.evaluate(COMPARE, asked) == finished


def job(number: int) -> dict[str, object]:
    return {
        "id": f"j{number}",
        "message_id": f"m{number}",
        "state": "running",
        "phase": "generating",
        "progress": None,
        "token_count": 0,
        "guard": [],
        "stalled_s": 0,
        "error": None,
    }


def test_code_is_wrapped_and_saved_as_a_file_of_its_language(empty_page: Page) -> None:
    source = "print(1)\n" + "x" * 400 + "\n"
    empty_page.goto(HOME)
    asked = {"cases": [f"```python\n{source}```"], "texts": component_texts("en")}
    empty_page.evaluate(DRAW, asked)
    pre = empty_page.locator(".tk-code pre")
    too_wide = "(pre) => pre.scrollWidth > pre.clientWidth + 1"
    assert pre.evaluate(too_wide)
    empty_page.get_by_role("button", name="Wrap").click()
    assert not pre.evaluate(too_wide)
    with empty_page.expect_download() as saved:
        empty_page.get_by_role("button", name="Download").click()
    assert saved.value.suggested_filename == "code.py"
    assert saved.value.path().read_text(encoding="utf-8") == source
