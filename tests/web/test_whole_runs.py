"""Clicks that meet a page still being drawn: each is done once, none is lost."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect
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
    page.evaluate(
        """async (first) => {
            const named = (name) => [...document.querySelectorAll("button")].find((b) => b.innerText === name)
            named(first).click()
            await new Promise((resolve) => setTimeout(resolve, 150))
            named("other").click()
        }""",
        first,
    )
    expect(done).to_have_text(f"{first} other", timeout=20_000)
