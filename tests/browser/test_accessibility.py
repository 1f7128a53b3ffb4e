"""Every screen examined by axe-core: no serious finding in either theme or language, from a phone to a desk.

What a screen shows is reached as a person reaches it, once in each language. It is examined on a desk in one
theme and on a phone in the other, in the other language the other way round, contrast included (4.5 : 1 for
text); and by the rules that need no colours at the widths between, and at 200 % zoom, which gives a page half
as many pixels.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, Locator, Page, expect

from .conftest import App, rest, running_app

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900)]

Scheme = Literal["light", "dark"]
SIDEBAR = "[data-testid=stSidebar]"
DESK, PHONE = (1440, 900), (390, 844)
BETWEEN = {"zh": ((768, 1024), (720, 450)), "en": ((1280, 720),)}
"""Sizes in CSS pixels, by the language they are looked at in; 720 × 450 is a desk at 200 %."""
GRAVE = frozenset({"serious", "critical"})
EXAMINE = """async ({ options, without }) => {
    const where = without && document.querySelector(without) ? { exclude: [without] } : document
    const { violations } = await axe.run(where, { resultTypes: ["violations"], preload: false, ...options })
    return violations.flatMap(({ id, impact, nodes }) => nodes.map((node) => ({
        rule: id, impact, at: node.target.flat().join(" >>> "), markup: node.html.slice(0, 200),
        why: [...node.any, ...node.all, ...node.none].map((check) => check.message).join("; ") })))
}"""


@dataclass(slots=True)
class Examination:
    """Collects what is found on one page. with_sidebar: it is the same on all pages, so once is enough."""

    page: Page
    language: str
    findings: dict[str, list[str]] = field(default_factory=dict)
    with_sidebar: bool = True

    def look(self, place: str) -> None:
        """Examine what is on the page now, in all sizes."""
        rest(self.page)
        themes: tuple[Scheme, Scheme] = ("dark", "light") if self.language == "zh" else ("light", "dark")
        for scheme, size in zip(themes, (DESK, PHONE), strict=True):
            self._run(place, size, scheme)
        for size in BETWEEN[self.language]:
            self._run(place, size, themes[0], contrast=False)
        self._show(DESK, themes[0])
        self.with_sidebar = False

    def _show(self, size: tuple[int, int], scheme: Scheme) -> None:
        self.page.set_viewport_size({"width": size[0], "height": size[1]})
        self.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")

    def _run(self, place: str, size: tuple[int, int], scheme: Scheme, *, contrast: bool = True) -> None:
        self._show(size, scheme)
        self.page.wait_for_timeout(50)
        options = {"rules": {"color-contrast": {"enabled": contrast}, "region": {"enabled": False}}}
        without = None if self.with_sidebar else SIDEBAR
        for finding in self.page.evaluate(EXAMINE, {"options": options, "without": without}):
            if finding["impact"] in GRAVE:
                what = f"{finding['rule']} {finding['at']}\n  {finding['markup']}\n  {finding['why']}"
                self.findings.setdefault(what, []).append(f"{place} {size[0]} {scheme}")


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    home = tmp_path_factory.mktemp("home")
    with running_app(home, command=("-m", "tests.browser.serve_furnished", str(home))) as running:
        yield running


@dataclass(frozen=True, slots=True)
class Tour:
    """The way through all screens. Each method goes to places, and names each where one is to look."""

    page: Page
    url: str
    places: Mapping[str, str]

    def at(self, selector: str) -> Locator:
        return self.page.locator(selector).filter(visible=True).first

    def press(self, selector: str, shows: str) -> None:
        """Press something, and wait until this is on the page."""
        self.at(selector).click()
        expect(self.at(shows)).to_be_visible()

    def open(self, path: str, shows: str) -> None:
        self.page.goto(f"{self.url}/{path}")
        expect(self.at(shows)).to_be_visible()
        expect(self.page.locator(".tk-palette-field")).to_have_count(1)

    def close(self, gone: str) -> None:
        self.page.keyboard.press("Escape")
        expect(self.page.locator(gone).filter(visible=True)).to_have_count(0)

    def command(self, name: str) -> None:
        """Open the dialog of a command of the palette."""
        self.page.keyboard.press("Control+k")
        self.page.keyboard.type(name)
        self.page.keyboard.press("Enter")
        expect(self.at("[role=dialog] [data-testid=stVerticalBlock]")).to_be_visible()

    def chat(self) -> Iterator[str]:
        self.open("", ".st-key-examples")
        yield "first screen"
        self.open(self.places["chat"], ".tk-assistant .tk-figures")
        yield "answers"
        for box in ("system_prompt_box", "task_row"):
            self.press(f".st-key-{box} button", "[data-testid=stPopoverBody]")
            yield box
            self.close("[data-testid=stPopoverBody]")
        self.page.keyboard.press("Control+k")
        expect(self.at(".tk-palette")).to_be_visible()
        yield "palette"
        self.close(".tk-palette")
        self.page.keyboard.press("Control+/")
        expect(self.at(".tk-sheet")).to_be_visible()
        yield "shortcuts"
        self.close(".tk-sheet")
        self.press(".st-key-own_menu_open button", ".st-key-menu_rows")
        yield "menu"
        self.close(".st-key-menu_rows")

    def dialogs(self) -> Iterator[str]:
        for command in ("rename", "tags", "export or share"):
            self.command(command)
            yield command
            self.close("[role=dialog] [data-testid=stVerticalBlock]")
        answer = self.page.locator(".tk-assistant").nth(1)
        answer.hover()
        answer.locator("[data-do=details]").click()
        expect(self.at(".st-key-details_lens")).to_be_visible()
        yield "details"
        self.press(".st-key-details_lens label", ".tk-heat")
        yield "token probabilities"
        self.close("[role=dialog] [data-testid=stVerticalBlock]")
        self.press(".st-key-nav_conversations a", ".st-key-history")
        yield "history"
        self.press(".st-key-history_several label", ".st-key-several_all")
        yield "several at once"

    def compare(self) -> Iterator[str]:
        self.press(".st-key-nav_compare a", ".st-key-compare_start")
        yield "a new comparison"
        for number, shows in ((1, ".st-key-history"), (2, ".tk-standing, .tk-note")):
            self.press(f".st-key-compare_view button >> nth={number}", shows)
            yield f"comparisons {number}"
        self.open(self.places["vote"], ".st-key-card_vote")
        yield "blind vote"
        self.open(self.places["compare"], ".tk-diff")
        yield "what differs"
        self.page.get_by_role("tab").nth(1).click()
        expect(self.at(".tk-table")).to_be_visible()
        yield "figures"
        self.page.get_by_role("tab").nth(2).click()
        self.press(".st-key-lens_column button", ".tk-heat")
        yield "token probabilities"

    def writing(self) -> Iterator[str]:
        self.press(".st-key-nav_writing a", ".st-key-writing_projects")
        self.press(".st-key-writing_new summary", ".st-key-writing_create")
        yield "writing"
        self.open(self.places["writing"], ".wr-progress")
        for number, shows in enumerate(
            (".wr-facts", ".st-key-writing_add", ".st-key-writing_by_section", ".st-key-writing_read")
        ):
            self.press(f"[class*='st-key-writing_tab_'] button >> nth={number}", shows)
            yield f"project's tab {number}"

    def lab(self) -> Iterator[str]:
        self.press(".st-key-nav_lab a", ".lab-claim")
        self.press(".lab-claim summary", ".lab-claim ul")
        yield "conclusions"
        for number, shows in (
            (1, "[class*=st-key-row_lab_]"),
            (2, ".st-key-lab_new_start"),
            (3, ".st-key-tune_start"),
        ):
            self.press(f".st-key-lab_view button >> nth={number}", shows)
            yield f"lab {number}"
        self.open(self.places["lab"], ".lab-verdicts")
        self.press(".st-key-lab_answers summary", ".lab-answer")
        yield "a study"
        self.press(".st-key-tab_handbook a", ".st-key-handbook")
        yield "handbook"

    def settings(self) -> Iterator[str]:
        self.press(".st-key-nav_settings a", ".st-key-card_keyboard")
        yield "settings"
        for name in ("models", "memory", "prompts", "api"):
            self.press(f".st-key-tab_{name} a", f".st-key-tab_here_{name}")
            yield name
        self.press(".st-key-tab_prompts a", ".st-key-card_prompt_form summary")
        self.press(".st-key-card_prompt_form summary", ".st-key-card_prompt_form textarea")
        yield "a new prompt"


@pytest.mark.parametrize("part", ["chat", "dialogs", "compare", "writing", "lab", "settings"])
@pytest.mark.parametrize("language", ["zh", "en"])
def test_axe_finds_nothing_serious(browser: Browser, app: App, language: str, part: str) -> None:
    context = browser.new_context(locale={"zh": "zh-CN", "en": "en-US"}[language], reduced_motion="reduce",
                                  viewport={"width": DESK[0], "height": DESK[1]})  # fmt: skip
    context.add_init_script(AXE_SCRIPT)
    page = context.new_page()
    tour = Tour(page, app.url, json.loads((app.home / "places.json").read_text(encoding="utf-8")))
    if part != "chat":
        tour.open(tour.places["chat"], ".tk-assistant .tk-figures")
    examination = Examination(page, language, with_sidebar=part == "chat")
    parts: Mapping[str, Callable[[], Iterator[str]]] = {
        "chat": tour.chat, "dialogs": tour.dialogs, "compare": tour.compare, "writing": tour.writing,
        "lab": tour.lab, "settings": tour.settings,
    }  # fmt: skip
    for place in parts[part]():
        examination.look(place)
    context.close()
    assert examination.findings == {}
