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
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
QUESTION = "用一段话解释什么是递归，给一个 Python 例子，再用一张小表格比较递归和循环。"
DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}


def main() -> int:
    model = Path(sys.argv[1]).resolve()
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        models = Path(folder) / "models"
        models.mkdir(mode=0o700)
        shutil.copyfile(model, models / model.name)
        process = subprocess.Popen(
            [sys.executable, "-m", "twokeys", "ui", "--no-browser", "--port", "0", "--json"],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "TWOKEYS_HOME": folder},
        )
        try:
            line = process.stdout.readline() if process.stdout else ""
            take_all(str(json.loads(line)["url"]))
        finally:
            process.terminate()
            process.wait(20)
    return 0


def take_all(url: str) -> None:
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = open_page(browser, url, "zh-CN")
        skip_tour(page)
        box = page.get_by_role("textbox").last
        box.fill(QUESTION)
        box.press("Enter")
        page.locator(".tk-assistant .tk-figures").first.wait_for(timeout=300_000)
        time.sleep(2)
        page.screenshot(path=IMAGES / "chat.png")
        here = page.url
        for name, path in (("compare", "compare"), ("memory", "memory"), ("handbook", "handbook")):
            page.goto(f"{url}/{path}")
            time.sleep(5)
            page.screenshot(path=IMAGES / f"{name}.png")
        shoot(browser, here, "dark", "en-US", scheme="dark")
        shoot(browser, here, "phone", "zh-CN", size=PHONE)
        browser.close()


def shoot(
    browser: Browser,
    url: str,
    name: str,
    locale: str,
    *,
    size: dict[str, int] | None = None,
    scheme: str = "light",
) -> None:
    page = open_page(browser, url, locale, size=size, scheme=scheme)
    page.locator(".tk-assistant .tk-figures").first.wait_for(timeout=60_000)
    time.sleep(2)
    page.screenshot(path=IMAGES / f"{name}.png")
    page.close()


def open_page(
    browser: Browser, url: str, locale: str, *, size: dict[str, int] | None = None, scheme: str = "light"
) -> Page:
    page = browser.new_page(viewport=size or DESKTOP, locale=locale, color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(url)
    page.get_by_role("textbox").last.wait_for(timeout=60_000)
    return page


def skip_tour(page: Page) -> None:
    """The tour of the first visit stands before everything else; skip it where it is there."""
    time.sleep(2)
    skip = page.locator(".st-key-tour_skip button")
    if skip.count():
        skip.first.click()
        time.sleep(1)


if __name__ == "__main__":
    sys.exit(main())
