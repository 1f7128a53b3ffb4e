"""The lens in Chromium: the browser's numbers are Python's, and the heat map can be used by keyboard."""

import json
import random
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect
from tests.oracles import sampling as core
from tests.oracles.outlook import outlook

from twokeys.types import SamplerOrder, Sampling
from twokeys.web.component import component_texts
from twokeys.web.component.lens import not_drawn

pytestmark = pytest.mark.browser
BUNDLE = Path(str(files("twokeys").joinpath("web/component/frontend")))
FRONTEND = Path(__file__).parent.parent.parent / "frontend" / "src"
PLACE = "http://lens.test/"
KNOBS = {"temperature": 0.7, "top_k": 20, "top_p": 0.8, "min_p": 0.0, "order": "llama.cpp"}


@pytest.fixture
def lens(page: Page) -> Iterator[Page]:
    """A page that can import the built components."""

    def answer(route: Route) -> None:
        name = route.request.url.removeprefix(PLACE)
        if not name:
            route.fulfill(
                content_type="text/html", body="<!doctype html><title>lens</title><div id=place></div>"
            )
        else:
            route.fulfill(path=BUNDLE / name)

    page.route(f"{PLACE}**", answer)
    page.goto(PLACE)
    yield page


def show(page: Page, component: str, data: dict[str, Any]) -> None:
    """Draw a component as Streamlit does; what it sends back is kept in window.sent."""
    page.evaluate(
        """async ([component, data]) => {
            const { default: draw } = await import(`./${component}.js`)
            window.sent = window.sent ?? []
            draw({ data: [data], parentElement: document.getElementById("place"),
                   setTriggerValue: (name, value) => window.sent.push(value.waiting.at(-1).action) })
        }""",
        [component, data],
    )


def cases() -> list[dict[str, Any]]:
    """Candidates with and without a rest, under parameters of every kind."""
    source = random.Random(7)
    made = []
    for number in range(240):
        weights = sorted((source.random() ** source.choice([1, 4, 12]) for _ in range(12)), reverse=True)
        total = sum(weights) * source.choice([1.0, 1.05, 1.8])
        made.append(
            {
                "probs": [weight / total for weight in weights],
                "temperature": source.choice([0.0, 0.05, 0.3, 0.7, 1.0, 1.5, 2.0]),
                "top_k": source.choice([0, 1, 5, 12, 20, 100]),
                "top_p": source.choice([1.0, 0.95, 0.8, 0.3]),
                "min_p": source.choice([0.0, 0.05, 0.4]),
                "typical_p": source.choice([1.0, 0.9, 0.5]),
                "order": source.choice(["llama.cpp", "transformers"]) if number % 3 else "llama.cpp",
            }
        )
    return made


def test_the_browser_reshapes_and_cuts_as_python_does(lens: Page) -> None:
    asked = cases()
    measured = lens.evaluate(
        """async (cases) => {
            const { sampling, outlook } = await import("./thermometer.js")
            return cases.map((one) => ({
                chain: sampling.runChain(one.probs, one).map((step) => step.probs),
                reshaped: one.temperature > 0 ? sampling.reshape(one.probs, one.temperature, 5000) : null,
                outlook: outlook.outlook(one.probs, one, 5000),
            }))
        }""",
        asked,
    )
    for case, browser in zip(asked, measured, strict=True):
        order: SamplerOrder = case["order"]
        chosen = Sampling(**{name: case[name] for name in case if name != "probs"})
        for step, probs in zip(core.run_chain(case["probs"], chosen), browser["chain"], strict=True):
            assert probs == pytest.approx(step.probs, abs=1e-12), (case, step.name)
        if case["temperature"] > 0:
            bounds = core.reshape(case["probs"], case["temperature"], 5000)
            assert browser["reshaped"]["probs_low"] == pytest.approx(bounds.probs_low, rel=1e-9, abs=1e-12)
            assert browser["reshaped"]["remainder_high"] == pytest.approx(bounds.remainder_high, abs=1e-9)
        names = ("temperature", "top_k", "top_p", "min_p")
        result = outlook(case["probs"], **{name: case[name] for name in names}, order=order, vocabulary=5000)
        assert browser["outlook"]["cut"] == list(result.cut), case
        assert browser["outlook"]["low"] == pytest.approx(result.low, rel=1e-9, abs=1e-12), case
        assert browser["outlook"]["high"] == pytest.approx(result.high, rel=1e-9, abs=1e-12), case
        assert browser["outlook"]["rest_low"] == pytest.approx(result.rest_low, rel=1e-9, abs=1e-12), case
        assert browser["outlook"]["rest_high"] == pytest.approx(result.rest_high, rel=1e-9, abs=1e-12), case
        assert (browser["outlook"]["rest_cut"], browser["outlook"]["sure"]) == (result.rest_cut, result.sure)


def answer(count: int) -> list[list[Any]]:
    """A pretended answer: every token has four alternatives."""
    tokens = []
    for number in range(count):
        own = -0.1 if number % 3 else -2.5
        others = [
            ["other", 1000, -0.4],
            [f"w{number}", number, own],
            ["third", 1001, -3.0],
            ["<0xE4>", 9, -6.0],
        ]
        text = f"w{number} " if number % 20 else f"w{number}\n"
        tokens.append([text, number, own, sorted(others, key=lambda entry: -float(entry[2]))])
    return tokens


def heat(page: Page, count: int = 60, **more: Any) -> None:
    """Draw the heat map of a pretended answer."""
    options = {"lang": "en", "fork": True, "widen": True}
    texts = component_texts("en", "lens")
    show(
        page,
        "heatmap",
        {
            "tokens": answer(count),
            "wider": {},
            "knobs": KNOBS,
            "texts": texts,
            "options": options,
            **more,
        },
    )


def sent(page: Page) -> Any:
    return page.evaluate("window.sent")


def test_arrow_keys_choose_a_token_and_enter_leads_to_its_alternatives(lens: Page) -> None:
    heat(lens)
    lens.locator(".tk-heat").focus()
    expect(lens.locator(".tk-chosen")).to_have_text(re.compile("^w0"))
    lens.keyboard.press("ArrowRight")
    lens.keyboard.press("ArrowRight")
    expect(lens.locator(".tk-chosen")).to_have_text("w2 ")
    lens.keyboard.press("ArrowDown")
    expect(lens.locator(".tk-chosen")).not_to_have_text("w2 ")
    expect(lens.locator("[role=status]").first).to_contain_text("probability")
    lens.keyboard.press("Home")
    lens.keyboard.press("ArrowRight")
    lens.keyboard.press("Enter")
    lens.keyboard.press("Enter")
    assert sent(lens) == [{"type": "fork", "token": 1, "candidate": 1000}]
    lens.keyboard.press("Escape")
    expect(lens.locator(".tk-heat")).to_be_focused()


def test_pointing_at_a_token_shows_its_candidates(lens: Page) -> None:
    heat(lens)
    lens.locator('[data-token="3"]').hover()
    expect(lens.locator(".tk-tip")).to_contain_text("other")
    expect(lens.locator(".tk-tip")).to_contain_text("67 %")


def test_a_piece_of_a_character_is_never_offered(lens: Page) -> None:
    heat(lens)
    lens.locator('[data-token="3"]').click()
    expect(lens.locator(".tk-choice-list button")).to_have_count(2)


def test_the_thermometer_moves_with_its_slider_and_says_what_is_cut(lens: Page) -> None:
    heat(lens, knobs={**KNOBS, "top_p": 1.0})
    lens.locator('[data-token="3"]').click()
    first = lens.locator(".tk-thermo-row").first
    before = first.text_content() or ""
    slider = lens.locator('[data-knob="temperature"]')
    slider.fill("2")
    expect(first).not_to_have_text(before)
    lens.locator('[data-knob="top_k"]').fill("1")
    expect(lens.locator(".tk-cut").first).to_contain_text("cut by top_k")
    lens.locator('[data-order="transformers"]').click()
    expect(lens.locator(".tk-thermo")).to_contain_text("transformers applies temperature first")
    lens.get_by_role("button", name="Reset").click()
    expect(first).to_have_text(before)


def test_what_was_on_and_is_not_in_the_picture_is_said(lens: Page) -> None:
    reported = not_drawn(Sampling(typical_p=0.9, dry_multiplier=0.8, xtc_probability=0.5), "en")
    assert reported == ["typical_p 0.9", "Repetition penalty 1.05", "DRY strength 0.8", "XTC probability 0.5"]
    heat(lens, not_drawn=reported)
    for place in ("Whole answer", "This token"):
        lens.locator(".tk-lens-panel").get_by_role("button", name=place).click()
        expect(lens.locator(".tk-not-drawn")).to_contain_text("Repetition penalty 1.05, DRY strength 0.8")
    heat(lens, not_drawn=not_drawn(Sampling(repetition_penalty=1.0), "en"))
    expect(lens.locator(".tk-not-drawn")).to_be_hidden()


def test_what_the_server_did_not_take_is_not_told_as_on() -> None:
    assert not_drawn(Sampling(presence_penalty=1.0), "zh", {"repetition_penalty"}) == ["存在惩罚 1"]


def test_more_candidates_are_asked_for_and_shown_when_they_come(lens: Page) -> None:
    heat(lens)
    lens.locator('[data-token="3"]').click()
    lens.locator("[data-widen]").click()
    assert sent(lens) == [{"type": "widen", "token": 3}]
    heat(lens, wider={"3": [[f"c{n}", 5000 + n, -1.0 - n / 10] for n in range(30)]})
    expect(lens.locator(".tk-thermo-row")).to_have_count(13)
    lens.get_by_role("button", name="Show all 30 candidates").click()
    expect(lens.locator(".tk-thermo-row")).to_have_count(31)


def test_the_whole_answer_has_an_average(lens: Page) -> None:
    heat(lens)
    lens.locator(".tk-lens-panel").get_by_role("button", name="Whole answer").click()
    expect(lens.locator(".tk-thermo-summary")).to_contain_text("Average of 60 places")
    lens.locator('[data-knob="temperature"]').fill("0")
    expect(lens.locator(".tk-thermo-row").first).to_contain_text("100 %")


def test_four_thousand_tokens_are_drawn_and_the_last_can_be_reached(lens: Page) -> None:
    heat(lens, 4096)
    lens.locator(".tk-heat").focus()
    lens.keyboard.press("End")
    expect(lens.locator(".tk-chosen")).to_have_text("w4095 ")
    expect(lens.locator(".tk-chosen")).to_be_in_viewport()


def test_every_text_the_lens_asks_for_is_there_in_both_languages() -> None:
    source = "".join(
        (FRONTEND / name).read_text(encoding="utf-8") for name in ("heatmap.ts", "thermometer.ts")
    )
    asked = set(re.findall(r'words\(\s*"([\w.]+)"', source))
    assert len(asked) > 15
    for language in ("zh", "en"):
        texts = component_texts(language, "lens")
        assert asked <= texts.keys()
        assert json.dumps(texts)
