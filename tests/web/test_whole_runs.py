"""Clicks that meet a page still being drawn: each is done once, none is lost."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from tests.web.conftest import Demo

from twokeys.web import whole_runs

pytestmark = pytest.mark.browser

SCRIPT = """
import time
import streamlit as st

log = st.session_state.setdefault("log", [])

def noted(name):
    for _ in range(20):
        time.sleep(0.02)
        st.session_state["step"] = name
    log.append(name)

st.button("callback", on_click=noted, args=("callback",))
st.button("other", on_click=log.append, args=("other",))
for _ in range(20):
    time.sleep(0.02)
    st.empty()
if st.button("asked"):
    for _ in range(20):
        time.sleep(0.02)
        st.empty()
    log.append("asked")
st.code(" ".join(log) or "-", language=None)
"""


PRESS_TWO = """async ([first, second]) => {
    const named = (name) => [...document.querySelectorAll("button")].find((b) => b.innerText === name)
    named(first).click()
    await new Promise((resolve) => setTimeout(resolve, 150))
    named(second).click()
}"""

RERUN_SCRIPT = """
import streamlit as st

log = st.session_state.setdefault("log", [])

@st.fragment(run_every=1)
def part():
    if st.button("again"):
        log.append("pressed")
        st.rerun()
        log.append("never")

part()
if st.button("whole page"):
    log.append("page")
    st.rerun()
    log.append("never")
st.code(" ".join(log) or "-", language=None)
"""


def open_script(text: str, start_demo: Callable[..., Demo], page: Page, folder: Path) -> Locator:
    """Serve a script and open it; return where it writes what was done."""
    script = folder / "page.py"
    script.write_text(text, encoding="utf-8")
    page.goto(start_demo(DEMO_PAGE=str(script)).url)
    done = page.get_by_test_id("stCode")
    expect(done).to_have_text("-", timeout=20_000)
    return done


def test_a_rerun_asked_for_by_the_script_ends_the_run_there(
    start_demo: Callable[..., Demo], page: Page, tmp_path: Path
) -> None:
    done = open_script(RERUN_SCRIPT, start_demo, page, tmp_path)
    page.get_by_role("button", name="again").click()
    expect(done).to_have_text("pressed")
    page.get_by_role("button", name="whole page").click()
    expect(done).to_have_text("pressed page")


SIDEBAR_SCRIPT = """
import time
import streamlit as st

log = st.session_state.setdefault("log", [])

@st.fragment
def part():
    if st.button("in the sidebar"):
        time.sleep(0.6)
        log.append("sidebar")

with st.sidebar:
    part()
if st.button("on the page"):
    log.append("page")
with st.bottom:
    st.code(" ".join(log) or "-", language=None)
"""


def test_a_page_drawn_after_a_part_of_the_sidebar_is_not_drawn_into_it(
    start_demo: Callable[..., Demo], page: Page, tmp_path: Path
) -> None:
    done = open_script(SIDEBAR_SCRIPT, start_demo, page, tmp_path)
    page.get_by_role("button", name="in the sidebar").click()
    page.get_by_role("button", name="on the page").click()
    expect(done).to_have_text("sidebar page")
    expect(page.get_by_test_id("stBottom").get_by_test_id("stCode")).to_be_visible()
    expect(page.get_by_test_id("stSidebar").get_by_role("button", name="on the page")).to_have_count(0)
    expect(page.get_by_test_id("stException")).to_have_count(0)


LONG_SCRIPT = """
import streamlit as st

pressed = st.button("again")
st.text("a long text " * 400)
st.code("pressed" if pressed else "-", language=None)
"""


def test_nothing_is_left_out_because_the_browser_should_still_have_it(
    start_demo: Callable[..., Demo], page: Page, tmp_path: Path
) -> None:
    """A browser that has let go of one meanwhile shows “Cached ForwardMsg MISS”, and the page is dead."""
    kinds = list[str | None]()

    def heard(frame: str | bytes) -> None:
        message = ForwardMsg()
        message.ParseFromString(frame.encode() if isinstance(frame, str) else frame)
        kinds.append(message.WhichOneof("type"))

    page.on("websocket", lambda socket: socket.on("framereceived", heard))
    done = open_script(LONG_SCRIPT, start_demo, page, tmp_path)
    page.get_by_role("button", name="again").click()
    expect(done).to_have_text("pressed")
    assert "delta" in kinds and "ref_hash" not in kinds


PAGES_SCRIPT = """
import time
import streamlit as st

log = st.session_state.setdefault("log", [])

def one():
    st.button("press", on_click=log.append, args=("pressed",))
    st.page_link(pages[1], label="two", query_params={"of": "link"})

def two():
    time.sleep(0.5)
    st.text(f"the second page of {st.query_params['of']}")

pages = [st.Page(one, title="one", default=True), st.Page(two, title="two")]
st.navigation(pages, position="hidden").run()
st.code(" ".join(log) or "-", language=None)
"""


def test_an_action_that_the_next_page_overtakes_is_done_and_leads_not_back(
    start_demo: Callable[..., Demo], page: Page, tmp_path: Path
) -> None:
    done = open_script(PAGES_SCRIPT, start_demo, page, tmp_path)
    page.evaluate(
        """() => {
            document.querySelector("[data-testid=stPageLink] a").click()
            document.querySelector("[data-testid=stButton] button").click()
        }"""
    )
    expect(done).to_have_text("pressed")
    expect(page.get_by_text("the second page of link")).to_be_visible()


def test_a_run_waits_only_when_it_follows_on_the_heels_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole_runs, "BETWEEN_RUNS_S", 3600.0)
    ends = whole_runs.RunEnds()
    assert ends.left_s("one") == 0.0
    ends.note("one")
    assert 0.0 < ends.left_s("one") <= 3600.0
    assert ends.left_s("two") == 0.0
    monkeypatch.setattr(whole_runs, "BETWEEN_RUNS_S", 0.0)
    assert ends.left_s("one") == 0.0


@pytest.mark.parametrize("first", ["callback", "asked"])
def test_an_action_is_done_though_another_click_meets_it(
    first: str, start_demo: Callable[..., Demo], page: Page, tmp_path: Path
) -> None:
    done = open_script(SCRIPT, start_demo, page, tmp_path)
    page.evaluate(PRESS_TWO, [first, "other"])
    expect(done).to_have_text(f"{first} other", timeout=20_000)
