"""Reading aloud and dictation: on the device or not at all.

The browser's own speech is a stand-in, as headless Chromium has no voices and no recognition.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from twokeys.config import load_config, prepare_home
from twokeys.store.repository import Repository
from twokeys.types import Conversation, Message

from .conftest import App, rest, running_app

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ENGLISH, CHINESE = "english0000000000000", "chinese0000000000000"
LONG = ", ".join(f"the fox greets crow number {number}" for number in range(20)) + "."
HOWLS = "print('howl')\n" * 20
ANSWERS = {
    ENGLISH: "## The fox\n\nIt hunts at night. It weighs 3.5 kg, and $x^2 + 1$ is its speed.\n\n"
    f"```python\nprint('howl')\n```\n\n- first\n- second\n\n{LONG}",
    CHINESE: f"狐狸住在森林里，夜晚出来觅食。它叫 Fox。\n\n```python\n{HOWLS}```\n\n白天在洞中休息！",
}
VOICES = """
window.spoken = []
window.cancelled = 0
class Utterance { constructor(text) { this.text = text; this.voice = null; this.lang = "" } }
const voice = (name, lang, localService, chosen = false) => ({ name, lang, localService, default: chosen })
const voices = [
  voice("Remote English", "en-US", false, true), voice("Remote Chinese", "zh-CN", false),
  voice("Cantonese", "zh-HK", true), voice("Mandarin", "zh_CN", true), voice("Alice", "en-GB", true),
].filter((known) => !window.lacking || !known.localService || !known.lang.startsWith(window.lacking))
const speech = Object.assign(new EventTarget(), {
  current: null,
  getVoices: () => voices,
  speak(utterance) {
    spoken.push([utterance.voice && utterance.voice.name, utterance.text])
    this.current = utterance
  },
  cancel() { cancelled++; this.current = null },
  finish() { const { current } = this; this.current = null; if (current && current.onend) current.onend({}) },
})
Object.defineProperty(window, "speechSynthesis", { value: speech, configurable: true })
Object.defineProperty(window, "SpeechSynthesisUtterance", { value: Utterance, configurable: true })
"""
RECOGNITION = """
window.asked = []
window.recognitions = []
window.installed = 0
class Recognition {
  constructor() { this.running = false; recognitions.push(this) }
  get processLocally() { return this.local ?? false }
  set processLocally(local) { this.local = local }
  static async available(languages) { asked.push(languages); return window.offered ?? "available" }
  static async install(languages) { installed++; asked.push(languages); return true }
  start() { this.running = true }
  stop() { this.running = false; this.onend && this.onend() }
  abort() { this.stop() }
  hear(text) {
    const result = Object.assign([{ transcript: text }], { isFinal: true })
    this.onresult({ resultIndex: 0, results: [result] })
  }
}
Object.defineProperty(window, "SpeechRecognition", { value: Recognition, configurable: true })
"""
NO_RECOGNITION = (
    'for (const name of ["SpeechRecognition", "webkitSpeechRecognition"])'
    " Object.defineProperty(window, name, { value: undefined, configurable: true })"
)


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    home = tmp_path
    config = load_config({**os.environ, "TWOKEYS_HOME": str(home)})
    prepare_home(config)
    repository = Repository.open(config)
    for name, text in ANSWERS.items():
        repository.create_conversation(Conversation(name, name, 1.0, 1.0))
        asked = repository.add_message(Message(f"{name}-q", name, None, "user", "Tell me", 1.0))
        repository.add_message(
            Message(f"{name}-a", name, asked.id, "assistant", text, 2.0, finish_reason="stop")
        )
    repository.close()
    server = str(Path(__file__).with_name("serve_scripted.py"))
    with running_app(home, command=(server, str(home))) as running:
        yield running


def switch_on(page: Page, app: App, name: str) -> None:
    page.goto(f"{app.url}/settings")
    switch = page.locator(f".st-key-settings_{name}")
    expect(switch.get_by_role("switch")).not_to_be_checked()
    switch.locator("label").click()
    expect(switch.get_by_role("switch")).to_be_checked()
    page.wait_for_timeout(500)  # until the page has heard of it
    rest(page)
    page.reload()
    expect(switch.get_by_role("switch")).to_be_checked()


def open_conversation(page: Page, app: App, name: str) -> None:
    page.goto(f"{app.url}/?c={name}")
    expect(page.locator(".tk-assistant .tk-figures").first).to_be_visible()
    page.locator(".st-key-chat_send textarea[data-takes-files]").wait_for()


def reading_button(page: Page) -> Locator:
    return page.locator(".tk-assistant").get_by_role("button", name="Read aloud")


def wait_for(page: Page, expression: str, value: int) -> None:
    """Wait until an expression has this value; Playwright's own way is forbidden by the page's policy."""
    for _ in range(100):
        if page.evaluate(expression) == value:
            return
        page.wait_for_timeout(50)
    pytest.fail(f"{expression} never became {value}")


def all_spoken(page: Page) -> list[tuple[str, str]]:
    """Let the stand-in say everything to its end; return (voice, text) of each utterance."""
    expect(reading_button(page)).to_have_attribute("aria-pressed", "true")
    wait_for(page, "spoken.length", 1)
    for _ in range(100):
        if page.evaluate("speechSynthesis.current === null"):
            break
        page.evaluate("speechSynthesis.finish()")
    return [(voice, text) for voice, text in page.evaluate("spoken")]


def microphone(page: Page) -> Locator:
    return page.locator(".st-key-below").get_by_role("button", name="Dictate")


def test_both_are_off_until_they_are_switched_on(page: Page, app: App) -> None:
    page.add_init_script(VOICES + RECOGNITION)
    open_conversation(page, app, ENGLISH)
    expect(page.locator(".tk-assistant [data-do=copy]")).to_have_count(1)
    expect(reading_button(page)).to_have_count(0)
    expect(microphone(page)).to_have_count(0)
    assert page.evaluate("asked.length + spoken.length") == 0


def test_an_answer_is_read_by_a_voice_of_this_computer_in_its_language(page: Page, app: App) -> None:
    page.add_init_script(VOICES)
    switch_on(page, app, "read_aloud")
    open_conversation(page, app, ENGLISH)
    button = reading_button(page)
    expect(button).to_have_attribute("aria-pressed", "false")
    button.focus()
    page.keyboard.press("Enter")
    english = all_spoken(page)
    assert {voice for voice, _ in english} == {"Alice"}
    texts = [text for _, text in english]
    assert texts[:6] == [
        "The fox.",
        "It hunts at night.",
        "It weighs 3.5 kg, and formula is its speed.",
        "code.",
        "first.",
        "second.",
    ]
    assert " ".join(texts[6:]) == LONG
    assert max(map(len, texts)) <= 160
    expect(button).to_have_attribute("aria-pressed", "false")
    expect(button).to_be_focused()

    open_conversation(page, app, CHINESE)
    reading_button(page).click()
    chinese = all_spoken(page)
    assert chinese == [
        ("Mandarin", text)
        for text in ("狐狸住在森林里，夜晚出来觅食。", "它叫 Fox。", "代码。", "白天在洞中休息！")
    ]


def test_reading_stops_on_press_on_escape_and_with_the_page(page: Page, app: App) -> None:
    page.add_init_script(VOICES)
    switch_on(page, app, "read_aloud")
    open_conversation(page, app, ENGLISH)
    button = reading_button(page)
    page.keyboard.press("Escape")
    assert page.evaluate("cancelled") == 0
    endings = (
        button.click,
        lambda: page.keyboard.press("Escape"),
        page.locator(".st-key-nav_settings a, .st-key-nav a[href*=settings]").first.click,
    )
    for number, end in enumerate(endings, 1):
        button.click()
        expect(button).to_have_attribute("title", "Stop reading (Esc)")
        wait_for(page, "spoken.length", number)
        end()
        wait_for(page, "cancelled", number)
        page.evaluate("speechSynthesis.finish()")
    assert page.evaluate("spoken.length") == len(endings), "nothing is said after the end"
    expect(page.locator(".st-key-settings_read_aloud")).to_be_visible()


@pytest.mark.parametrize(
    ("name", "lacking", "word"), [(CHINESE, "zh", "Chinese"), (ENGLISH, "en", "English")]
)
def test_without_a_voice_of_this_computer_nothing_is_read_and_it_says_so(
    page: Page, app: App, name: str, lacking: str, word: str
) -> None:
    page.add_init_script(f"window.lacking = '{lacking}'\n{VOICES}")
    switch_on(page, app, "read_aloud")
    open_conversation(page, app, name)
    reading_button(page).click()
    expect(page.locator(".tk-assistant [role=alert]")).to_have_text(
        f"Not read: this browser has no {word} voice on this computer."
    )
    expect(reading_button(page)).to_have_attribute("aria-pressed", "false")
    assert page.evaluate("spoken") == []


def test_what_is_said_stands_in_the_box_at_the_cursor_and_is_not_sent(page: Page, app: App) -> None:
    page.add_init_script(RECOGNITION)
    switch_on(page, app, "dictation")
    expect(page.locator(".st-key-card_speech")).not_to_contain_text("cannot recognise")
    open_conversation(page, app, ENGLISH)
    box = page.locator(".st-key-chat_send textarea")
    box.fill("Tell me the fox")
    box.evaluate("(box) => box.setSelectionRange(7, 7)")
    button = microphone(page)
    button.focus()
    page.keyboard.press("Enter")
    expect(button).to_have_attribute("aria-pressed", "true")
    assert page.evaluate("asked") == [{"langs": ["en-US"], "processLocally": True}]
    assert page.evaluate("[recognitions[0].processLocally, recognitions[0].lang]") == [True, "en-US"]
    page.evaluate("recognitions[0].hear(' all about ')")
    expect(box).to_have_value("Tell me all about the fox")
    page.evaluate("recognitions[0].hear('red hair of')")
    expect(box).to_have_value("Tell me all about red hair of the fox")
    page.keyboard.press("Escape")
    expect(button).to_have_attribute("aria-pressed", "false")
    assert not page.evaluate("recognitions[0].running")
    page.wait_for_timeout(1000)
    expect(page.locator(".tk-user")).to_have_count(1)
    page.reload()
    expect(box).to_have_value("Tell me all about red hair of the fox")  # a draft like what is typed
    box.press("Enter")
    expect(page.locator(".tk-user").last).to_have_text("Tell me all about red hair of the fox")


def test_a_language_pack_is_fetched_by_the_browser_after_a_second_press_only(page: Page, app: App) -> None:
    page.add_init_script(f"window.offered = 'downloadable'\n{RECOGNITION}")
    switch_on(page, app, "dictation")
    open_conversation(page, app, ENGLISH)
    row = page.locator(".st-key-below .tk-dictation")
    microphone(page).click()
    expect(row).to_contain_text("download a language pack by itself")
    assert page.evaluate("[installed, recognitions.length]") == [0, 0]
    microphone(page).click()
    expect(row).to_contain_text("The language pack is there")
    microphone(page).click()
    expect(microphone(page)).to_have_attribute("aria-pressed", "true")
    assert page.evaluate("[installed, recognitions[0].processLocally]") == [1, True]


@pytest.mark.parametrize("browser_speech", [NO_RECOGNITION, f"window.offered = 'unavailable'\n{RECOGNITION}"])
def test_a_browser_that_recognises_elsewhere_only_has_no_button(
    page: Page, app: App, browser_speech: str
) -> None:
    page.add_init_script(browser_speech)
    switch_on(page, app, "dictation")
    expect(page.locator(".st-key-card_speech")).to_contain_text("cannot recognise speech on this computer")
    open_conversation(page, app, ENGLISH)
    page.wait_for_timeout(500)
    expect(microphone(page)).to_have_count(0)
