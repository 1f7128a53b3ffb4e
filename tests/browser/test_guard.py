"""Journeys with the guard in the real app: a loop and a stall played by a script, and stored answers.

Loops of a real model and a worker process that really stops: tests/core/test_guarded_engine.py.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from twokeys.config import load_config, prepare_home
from twokeys.core.guard import describe
from twokeys.store.repository import Repository
from twokeys.types import Conversation, GuardEvent, Message, Provenance, Settings

from .conftest import App, running_app
from .serve_scripted import FRESH, LOOP

pytestmark = [pytest.mark.browser, pytest.mark.slow]

STOPPED, WARNED, SLOW, DRAWN, WORN, DRIFTED, GUESSED, PATIENT = (
    f"{name}00000000000000"[:20]
    for name in ("stopped", "warned", "slow", "drawn", "worn", "drifted", "guessed", "patient")
)
UNSURE = "The tower was built in **1821** by a man called Aldous Brand."
TEXT = f"The village lies by the sea.\n\n{UNSURE} Boats leave at dawn.\n\n" + "They fish and come home. " * 30
UNSURE_EVENT = {
    "start": TEXT.index(UNSURE),
    "end": TEXT.index(UNSURE) + len(UNSURE),
    "mean_nats": 1.7,
    "tokens": 30,
}
EVENTS = (
    GuardEvent("uncertainty", "note", 30, UNSURE_EVENT["end"], UNSURE_EVENT),
    GuardEvent(
        "drift", "warn", 60, 300, {"start": 200, "script": "cyrillic", "expected": "latin", "sample": "Она"}
    ),
    GuardEvent("decay", "warn", 200, 700, {"downhill_at": 300, "rep": 0.62, "new": 0.08}),
    GuardEvent("loop", "warn", 90, 400, {"copies": 3.2, "sample": "They fish and come home.", "start": 100}),
)


def _store(home: Path) -> None:
    """Conversations with guard settings of their own, and a stored answer with every kind of event."""
    config = load_config({"TWOKEYS_HOME": str(home)})
    prepare_home(config)
    repository = Repository.open(config)
    kinds: Mapping[str, Mapping[str, str]] = {
        STOPPED: {},
        WARNED: {"loop": "warn", "decay": "note"},
        SLOW: {},
        DRAWN: {},
        WORN: {"loop": "off"},
        DRIFTED: {},
        GUESSED: {"uncertainty": "note"},
        PATIENT: {"stall": "off"},
    }
    for name, guard in kinds.items():
        repository.create_conversation(Conversation(name, name, 1.0, 1.0, settings=Settings(guard=guard)))
    series = [[150 * n, 0.02 if n < 3 else 0.1 * n, 0.5, 0] for n in range(1, 6)]
    provenance = Provenance(
        guard=tuple(EVENTS),
        guard_report={"decay": {"series": series, "downhill_at": 300}},
        completion_tokens=200,
    )
    asked = repository.add_message(Message("drawn-question", DRAWN, None, "user", "Tell me.", 1.0))
    repository.add_message(
        Message(
            "drawn-answer",
            DRAWN,
            asked.id,
            "assistant",
            TEXT,
            2.0,
            finish_reason="stop",
            provenance=provenance,
        )
    )
    repository.close()


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    home = tmp_path_factory.mktemp("home")
    _store(home)
    server = str(Path(__file__).with_name("serve_scripted.py"))
    with running_app(home, command=(server, str(home))) as running:
        yield running


def open_conversation(page: Page, app: App, name: str) -> None:
    page.goto(f"{app.url}/?c={name}")
    expect(page.locator(".st-key-chat_send textarea")).to_be_visible()


def ask(page: Page, text: str) -> None:
    box = page.locator(".st-key-chat_send textarea")
    box.fill(text)
    box.press("Enter")
    expect(page.locator(".tk-user").last).to_contain_text(text)


def shown(page: Page) -> Locator:
    return page.locator(".tk-assistant").last


def test_a_loop_is_stopped_its_tail_can_be_seen_and_the_answer_goes_on_differently(
    page: Page, app: App
) -> None:
    open_conversation(page, app, STOPPED)
    ask(page, "loop")
    banner = shown(page).locator(".tk-banner")
    expect(banner).to_contain_text("was looping, so it was stopped")
    text = shown(page).locator(".tk-md").inner_text()
    assert text.count(LOOP.strip()) == 1
    tail = banner.locator("details.tk-tail")
    expect(tail.locator("pre")).to_be_hidden()
    tail.locator("summary").click()
    expect(tail.locator("pre")).to_contain_text(LOOP * 2)
    page.reload()
    expect(shown(page).locator(".tk-banner details.tk-tail")).to_be_visible()
    shown(page).get_by_role("button", name="Continue differently").click()
    expect(shown(page).locator(".tk-figures")).to_contain_text("complete")
    expect(shown(page).locator(".tk-md")).to_contain_text("under the old oak.")
    changed = shown(page).locator(".tk-changed")
    expect(changed).to_contain_text(re.compile(r"Changed: seed random → \d+, temperature 0.7 → 0.8"))
    changed.locator("summary").click()
    expect(changed.locator("pre")).to_contain_text(LOOP * 2)


def test_a_loop_that_may_only_be_warned_of_is_written_to_its_end_with_a_quiet_chip(
    page: Page, app: App
) -> None:
    open_conversation(page, app, WARNED)
    ask(page, "loop")
    chip = shown(page).locator(".tk-guard-warn[data-kind=loop]")
    expect(chip).to_have_text("The answer seems to go in circles")
    expect(shown(page).locator(".tk-figures")).to_contain_text("complete")
    chip.click()
    expect(shown(page).locator(".tk-guard-panel")).to_contain_text("has come about")
    shown(page).locator("[data-do=details]").click()
    expect(page.locator(".st-key-details_guard")).to_contain_text("The answer seems to go in circles")


@pytest.mark.parametrize(
    ("question", "reported"),
    [("hang", "The engine does not answer"), ("pause", "The engine is alive but slow")],
)
def test_a_stall_is_shown_with_its_cause_and_a_stop_button_and_goes_away_by_itself(
    page: Page, app: App, question: str, reported: str
) -> None:
    open_conversation(page, app, SLOW)
    ask(page, question)
    status = shown(page).locator(".tk-status")
    expect(status).to_contain_text(re.compile(rf"{reported} \(\d s so far\)"))
    expect(status.get_by_role("button", name="Stop")).to_be_visible()
    expect(status).to_contain_text("Answering")
    expect(shown(page).locator(".tk-figures")).to_contain_text("complete")
    expect(shown(page).locator(".tk-guard")).to_have_count(0)


def test_a_stall_switched_off_is_not_shown(page: Page, app: App) -> None:
    open_conversation(page, app, PATIENT)
    ask(page, "pause")
    status, figures = shown(page).locator(".tk-status"), shown(page).locator(".tk-figures")
    expect(status).to_contain_text("Answering")
    seen = set()
    while not (figures.count() and "complete" in (figures.text_content() or "")):
        seen.add(re.sub(r"\d.*", "", status.text_content() or ""))
        page.wait_for_timeout(200)
    assert not [text for text in seen if re.search("talled|alive|does not answer", text)], seen


def test_an_answer_that_wears_out_is_cut_where_it_turned_and_its_whole_stays_a_version(
    page: Page, app: App
) -> None:
    open_conversation(page, app, WORN)
    ask(page, "wear out")
    expect(shown(page).locator(".tk-guard-warn[data-kind=decay]")).to_contain_text("wearing out")
    line = shown(page).locator(".tk-decay")
    for drawn in (".tk-turn", ".tk-decay-line", ".tk-decay-new"):
        expect(line.locator(drawn)).to_have_count(1)
    expect(line.locator(".tk-decay-pad").first).to_be_attached()
    line.get_by_role("button", name="Cut it here").click()
    expect(shown(page).locator(".tk-versions")).to_contain_text("2/2")
    banner = shown(page).locator(".tk-banner")
    expect(banner).to_contain_text("You cut the answer where it went downhill")
    banner.locator("summary").click()
    expect(banner.locator("pre")).to_contain_text("Overall, it is so.")
    expect(shown(page).locator(".tk-md")).not_to_contain_text("Overall, it is so.")
    expect(shown(page).get_by_role("button", name="Cut it here")).to_have_count(0)
    shown(page).locator(".tk-versions button").first.click()
    expect(shown(page).locator(".tk-md")).to_contain_text("Overall, it is so.")


def test_a_changed_language_and_a_guess_are_told_when_they_come(page: Page, app: App) -> None:
    open_conversation(page, app, DRIFTED)
    ask(page, "change the language")
    expect(shown(page).locator(".tk-guard-warn[data-kind=drift]")).to_contain_text(
        "left the question's language"
    )
    open_conversation(page, app, GUESSED)
    ask(page, "guess")
    expect(shown(page).locator(".tk-guard-note[data-kind=uncertainty]")).to_contain_text("check the facts")
    marked = page.evaluate(
        "[...(CSS.highlights.get('tk-unsure') ?? [])].map((range) => range.toString()).join('')"
    )
    assert FRESH[44] in marked


@pytest.mark.parametrize(("language", "label"), [("en", "EN"), ("zh", "中")])
def test_the_browser_says_of_every_event_what_the_catalogue_says(
    page: Page, app: App, language: str, label: str
) -> None:
    open_conversation(page, app, DRAWN)
    page.locator(".st-key-language_switch").get_by_text(label, exact=True).click()
    for event in EVENTS:
        sentence = describe(event, language)
        chip = shown(page).locator(f".tk-guard[data-kind={event.kind}]")
        expect(chip).to_have_text(sentence.title)
        chip.click()
        expect(shown(page).locator(".tk-guard-panel")).to_contain_text(sentence.detail)
        expect(shown(page).locator(".tk-guard-panel .tk-hint")).to_have_text(sentence.next_step)
    expect(shown(page).locator(".tk-decay .tk-turn")).to_have_count(1)
    marked = page.evaluate("[...(CSS.highlights.get('tk-unsure') ?? [])].map((range) => range.toString())")
    assert marked == ["The tower was built in 1821 by a man called Aldous Brand"]


def test_looking_at_the_guard_changes_nothing(page: Page, app: App) -> None:
    open_conversation(page, app, DRAWN)
    page.locator(".st-key-language_switch").get_by_text("EN", exact=True).click()
    expect(page.locator(".st-key-guard_popover button").first).to_contain_text("Guard")
    page.locator(".st-key-key_combination").get_by_role("radio").first.click()
    page.locator(".st-key-key_combination").get_by_role("radio").nth(1).click()
    expect(page.locator(".st-key-label_temperature output")).to_have_text("0.70")
    button = page.locator(".st-key-guard_popover button").first
    button.click()
    levels = page.locator("[class*=st-key-guard_] [role=combobox]")
    expect(levels).to_have_count(5)
    shown = [level.input_value() for level in levels.all()]
    assert shown == ["Stop when certain", "Warn", "Warn", "Automatic", "Warn"]
    page.keyboard.press("Escape")
    page.locator(".st-key-key_combination").get_by_role("radio").first.click()
    expect(page.locator(".st-key-label_temperature output")).to_have_text("0.30")
    expect(page.locator(".st-key-tool_guard")).to_be_visible()  # with the dot it is another one
    repository = Repository.open(load_config({"TWOKEYS_HOME": str(app.home)}))
    assert repository.get_conversation(DRAWN).settings.guard == {}
    repository.close()


def test_a_conversation_has_its_own_guard_settings(page: Page, app: App) -> None:
    open_conversation(page, app, DRAWN)
    for label, guard in (("中", "守护"), ("EN", "Guard")):
        page.locator(".st-key-language_switch").get_by_text(label, exact=True).click()
        expect(page.locator(".st-key-guard_popover button").first).to_contain_text(guard)
    button = page.locator(".st-key-guard_popover button").first
    expect(button).to_contain_text("Guard")
    button.click()
    expect(page.locator("[class*=st-key-guard_stall]")).to_be_visible()
    drift = page.locator("[class*=st-key-guard_drift] input")
    expect(drift).to_have_value("Warn")
    drift.click()
    page.get_by_role("option", name="Off").click()
    expect(page.locator(".st-key-tool_set_guard")).to_be_visible()
    page.reload()
    expect(page.locator(".st-key-chat_send textarea")).to_be_focused()  # the page is whole
    page.locator(".st-key-tool_set_guard button").first.hover()
    expect(page.get_by_role("tooltip")).to_have_text("Guard (changed)")
    open_conversation(page, app, STOPPED)
    expect(page.locator(".st-key-tool_guard")).to_be_visible()
