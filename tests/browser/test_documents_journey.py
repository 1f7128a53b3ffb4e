"""Documents in the chat: dropped, pasted, too long, chosen from, asked twice, exported and deleted."""

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.browser.conftest import App, Chat
from tests.documents.corpus import docx, pdf

from twokeys.documents.limits import MAX_BYTES

pytestmark = [pytest.mark.browser, pytest.mark.slow]

DROP = """
([box, name, text]) => {
  const carried = new DataTransfer()
  carried.items.add(new File([text], name, { type: "text/plain" }))
  for (const kind of ["dragover", "drop"]) {
    document.querySelector(box).dispatchEvent(
      new DragEvent(kind, { dataTransfer: carried, bubbles: true, cancelable: true }),
    )
  }
}
"""
PASTE = """
([box, text]) => {
  const carried = new DataTransfer()
  carried.setData("text/plain", text)
  const area = document.querySelector(box)
  area.focus()
  area.dispatchEvent(new ClipboardEvent("paste", { clipboardData: carried, bubbles: true, cancelable: true }))
  document.execCommand("insertText", false, text)
}
"""
PASTE_FILE = """
([box, name, text]) => {
  const carried = new DataTransfer()
  carried.items.add(new File([text], name, { type: "text/plain" }))
  const area = document.querySelector(box)
  area.focus()
  area.dispatchEvent(new ClipboardEvent("paste", { clipboardData: carried, bubbles: true, cancelable: true }))
}
"""
BOX = ".st-key-chat_send textarea"
LONG_TEXT = "The harbour was quiet that night. " * 150


def picture(page: Page, name: str) -> None:
    """Keep a picture where a person asked for them."""
    if folder := os.environ.get("TWOKEYS_PICTURES"):
        page.wait_for_timeout(400)
        page.screenshot(path=f"{folder}/{name}.png")


def drop_from_disk(page: Page, paths: Sequence[Path]) -> None:
    """Drop files and folders on the message box as the desktop does: Chromium itself opens them."""
    box = page.locator(BOX).bounding_box()
    assert box is not None
    session = page.context.new_cdp_session(page)
    carried = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send(
            "Input.dispatchDragEvent", {"type": kind, "x": box["x"] + 9, "y": box["y"] + 9, "data": carried}
        )


def test_a_document_from_the_drop_to_the_bin(chat: Chat, app: App, tmp_path: Path) -> None:
    page = chat.page
    chips = page.locator(".st-key-attached .tk-file")
    sent = (docx("en"), pdf("en", pages=80))
    for name, data in zip(("contract.docx", "long.pdf"), sent, strict=True):
        (tmp_path / name).write_bytes(data)

    page.evaluate(DROP, [BOX, "note.txt", "The courier comes at noon."])
    expect(chips).to_have_count(1)
    expect(chips).to_contain_text("note.txt")
    page.evaluate(DROP, [BOX, "empty.txt", " "])
    expect(page.get_by_text("the file is empty")).to_be_visible()
    picture(page, "empty")
    page.locator('[class*="st-key-attached_remove"] button').click()
    expect(chips).to_have_count(0)

    page.evaluate(PASTE, [BOX, LONG_TEXT])
    page.locator(".st-key-pasted_file button").click()
    expect(chips).to_contain_text("Pasted text.txt")
    expect(chat.box).to_have_value("")
    picture(page, "pasted")
    page.locator('[class*="st-key-attached_remove"] button').click()
    expect(chips).to_have_count(0)

    page.locator('[class*="st-key-attach_files"] input').set_input_files(tmp_path / "contract.docx")
    expect(chips).to_contain_text("contract.docx")
    expect(chips).not_to_contain_text("≈")
    picture(page, "chip")
    chat.ask_and_wait("What is the delivery date in clause 7?")
    expect(chips).to_have_count(0)
    expect(page.locator(".tk-user .tk-file")).to_contain_text("contract.docx")
    expect(page.locator(".tk-user .tk-bubble")).to_have_text("What is the delivery date in clause 7?")
    chat.ask_and_wait("And who pays?")
    picture(page, "asked")

    page.locator('[class*="st-key-attach_files"] input').set_input_files(tmp_path / "long.pdf")
    expect(chips).to_contain_text("80 pages")
    chat.ask("What is on these pages?")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("nothing was sent")
    expect(page.locator(".st-key-pages_send button")).to_be_disabled()
    picture(page, "too_long")
    page.reload()
    expect(chat.box).to_have_value("What is on these pages?")
    expect(chips).to_contain_text("80 pages")
    chat.box.press("Enter")
    page.locator('[class*="st-key-pages_first_"] button').click()
    expect(page.locator(".st-key-pages_send button")).to_be_enabled()
    ranges = dialog.locator('[class*="st-key-pages_ranges_"] input')
    expect(ranges).not_to_have_value("1-80")
    ranges.fill("2-3")
    ranges.press("Enter")
    expect(dialog.locator(".tk-pages")).to_contain_text("2 of 80 pages")
    picture(page, "chosen")
    page.locator(".st-key-pages_send button").click()
    expect(page.locator(".tk-user .tk-file").last).to_contain_text("2-3")
    expect(page.locator(".tk-assistant .tk-foot .tk-figures")).to_have_count(3, timeout=90_000)

    page.locator('.tk-assistant [data-do="details"]').first.click()
    expect(dialog).to_contain_text("contract.docx")
    page.locator(".st-key-details_sent label").click()
    expect(dialog.locator("code", has_text='<document name="contract.docx">')).to_be_visible()
    picture(page, "details")
    page.keyboard.press("Escape")

    page.locator(".st-key-nav_conversations a").click()
    more = page.locator('[class*="st-key-list_more_"] button').first
    more.click()
    page.get_by_role("menuitem", name="Export").click()
    with page.expect_download() as download:
        page.locator('[class*="st-key-export_json_"] button').click()
    [exported] = json.loads(download.value.path().read_text(encoding="utf-8"))["conversations"]
    assert {file["sha256"] for file in exported["files"]} == {
        hashlib.sha256(data).hexdigest() for data in sent
    }
    more.click()
    page.get_by_role("menuitem", name="Delete").click()
    expect(page.get_by_text("Deleted “")).to_be_visible()
    page.get_by_role("link", name="Settings").click()
    expect(page.locator(".st-key-settings_bin_days")).to_be_visible()
    page.locator(".st-key-settings_bin_empty button").click()
    expect(page.locator(".st-key-settings_bin_empty")).to_have_count(0)
    assert list((app.home / "files").iterdir()) == []


def test_a_message_sent_while_its_file_is_still_being_read_goes_with_it(chat: Chat, tmp_path: Path) -> None:
    page = chat.page
    (tmp_path / "contract.docx").write_bytes(docx("en"))
    with page.expect_response(lambda response: "upload_file" in response.url):
        page.locator('[class*="st-key-attach_files"] input').set_input_files(tmp_path / "contract.docx")
    chat.ask("Who pays?")
    expect(page.locator(".tk-user .tk-bubble")).to_have_text("Who pays?")
    expect(page.locator(".tk-user .tk-file")).to_contain_text("contract.docx")
    expect(page.locator(".st-key-attached .tk-file")).to_have_count(0)


def test_what_cannot_be_taken_is_refused_by_name_and_the_rest_stays(chat: Chat, tmp_path: Path) -> None:
    page = chat.page
    chips = page.locator(".st-key-attached .tk-file")
    folder, huge, note = (tmp_path / name for name in ("papers", "huge.pdf", "note.txt"))
    folder.mkdir()
    (folder / "inside.txt").write_text("not looked at")
    with huge.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    note.write_text("The courier comes at noon.")

    chat.box.fill("When does he come?")
    drop_from_disk(page, [folder, note, huge])
    refused = page.locator(".tk-refused li")
    expect(chips).to_have_count(1)
    expect(chips).to_contain_text("note.txt")
    expect(chips).not_to_contain_text("≈")  # the engine has started, which drew the page anew
    expect(refused).to_contain_text(["this is a folder", "it is too large"])
    expect(chat.box).to_have_value("When does he come?")
    picture(page, "refused")

    page.evaluate(PASTE_FILE, [BOX, "pasted.txt", "He is late."])
    expect(chips).to_have_count(2)
    expect(chips.last).to_contain_text("pasted.txt")
    expect(chat.box).to_have_value("When does he come?")
    page.locator(".st-key-refused_dismiss button").first.click()
    expect(refused).to_have_count(0)
    page.locator('[class*="st-key-attach_files"] input').set_input_files(huge)
    expect(refused).to_contain_text(["huge.pdf"])
    expect(chips).to_have_count(2)
    page.reload()
    expect(chips).to_have_count(2)
    expect(chat.box).to_have_value("When does he come?")
