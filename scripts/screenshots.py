"""Renew the screenshots of the README: the running app, a real model, Chromium.

    python scripts/screenshots.py MODEL.gguf

Writes docs/images/*.png. The answers are the model's own, so pictures differ from run to run.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from twokeys.config import load_config, prepare_home
from twokeys.core.writer.project import Project
from twokeys.services import build_services

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
QUESTION = "用一段话解释什么是递归，给一个 Python 例子，再用一张小表格比较递归和循环。"
OPEN_QUESTION = "给社区图书馆的阅读活动起五个名字，每个配一句话说明。"
TEXTS = {
    "en": Project("How a small town can run a repair café", kind="report", language="en", length=1200),
    "zh": Project("城市社区怎样建好老年食堂", kind="report", language="zh", length=4000),
}
WRITTEN_SECTIONS = 2
ANSWER = ".tk-assistant .tk-figures"
SECTION = ".st-key-writing_sections [class*='st-key-wr_open_'] button"
COLUMN = ".tk-column .tk-figures"
DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}


def main() -> int:
    model = Path(sys.argv[1]).resolve()
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        models = Path(folder) / "models"
        models.mkdir(mode=0o700)
        shutil.copyfile(model, models / model.name)
        texts = {language: write_text(folder, project) for language, project in TEXTS.items()}
        process = subprocess.Popen(
            [sys.executable, "-m", "twokeys", "ui", "--no-browser", "--no-token", "--port", "0", "--json"],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "TWOKEYS_HOME": folder},
        )
        try:
            line = process.stdout.readline() if process.stdout else ""
            take_all(str(json.loads(line)["url"]), texts)
        finally:
            process.terminate()
            process.wait(20)
    return 0


def write_text(folder: str, project: Project) -> str:
    """Let the model write the first sections of a long text, and return the project's id."""
    config = load_config({"TWOKEYS_HOME": folder})
    prepare_home(config)
    services = build_services(config)
    try:
        made = services.writer.new(project)
        services.writer.use_rules(made)
        services.writer.start(made)
        while (view := services.writer.view(made)).active and not view.sections[WRITTEN_SECTIONS - 1].current:
            time.sleep(0.2)
        services.writer.stop(made)
    finally:
        services.close()
    return made


def take_all(url: str, texts: Mapping[str, str]) -> None:
    """Take every picture. texts: the projects of the writing page by their language."""
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = open_page(browser, url, "zh-CN")
        page.locator("[class*=st-key-example_] button").first.wait_for()
        time.sleep(2)
        page.screenshot(path=IMAGES / "first.png")
        box = page.locator(".st-key-chat_send textarea")
        box.fill(QUESTION)
        box.press("Enter")
        page.locator(ANSWER).first.wait_for(timeout=300_000)
        time.sleep(2)
        page.screenshot(path=IMAGES / "chat.png")
        here = page.url
        for name in ("memory", "handbook"):
            page.goto(f"{url}/{name}")
            time.sleep(5)
            page.screenshot(path=IMAGES / f"{name}.png")
        shoot(browser, here, "dark", "en-US", scheme="dark")
        shoot(browser, here, "phone", "zh-CN", size=PHONE)
        for name, language, locale, scheme in (
            ("writing", "en", "en-US", "light"),
            ("writing-dark", "zh", "zh-CN", "dark"),
        ):
            address = f"{url}/writing?w={texts[language]}"
            shoot(browser, address, name, locale, scheme=scheme, ready=SECTION, click=SECTION)
        compared = compare(page, url)
        page.screenshot(path=IMAGES / "compare.png")
        shoot(browser, compared, "compare-dark", "en-US", scheme="dark", ready=COLUMN)
        shoot(browser, compared, "compare-phone", "zh-CN", size=PHONE, ready=COLUMN)
        browser.close()


def compare(page: Page, url: str) -> str:
    """Let three temperatures answer, wait for all of them, and return the comparison's address."""
    page.goto(f"{url}/compare")
    question = page.locator(".st-key-compare_question textarea")
    question.fill(OPEN_QUESTION)
    question.press("Control+Enter")
    page.locator(".st-key-compare_start button").click()
    for number in range(3):
        page.locator(COLUMN).nth(number).wait_for(timeout=600_000)
    page.locator(".tk-diff").wait_for()  # what differs comes when all columns have ended
    time.sleep(2)
    return page.url


def shoot(
    browser: Browser,
    url: str,
    name: str,
    locale: str,
    *,
    size: dict[str, int] | None = None,
    scheme: str = "light",
    ready: str = ANSWER,
    click: str = "",
) -> None:
    """Take a picture of an address in a new tab once what `ready` names is there, and `click` is clicked."""
    page = open_page(browser, url, locale, size=size, scheme=scheme)
    page.locator(ready).first.wait_for(timeout=60_000)
    if click:
        page.locator(click).first.click()
    time.sleep(2)
    page.screenshot(path=IMAGES / f"{name}.png")
    page.close()


def open_page(
    browser: Browser, url: str, locale: str, *, size: dict[str, int] | None = None, scheme: str = "light"
) -> Page:
    page = browser.new_page(viewport=size or DESKTOP, locale=locale, color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(url)
    page.locator("[data-testid=stMain] h1, [data-testid=stMain] textarea").first.wait_for(timeout=60_000)
    return page


if __name__ == "__main__":
    sys.exit(main())
