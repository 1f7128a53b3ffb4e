"""Dictation by a recognition of the browser's that runs on the device; no other is used, and nothing is sent.

The browser alone knows whether it has one: the component draws nothing until it was asked.
"""

from collections.abc import Mapping

from twokeys.web.component import draw_component


def dictation(box: str | None, *, texts: Mapping[str, str], language: str, key: str) -> None:
    """Draw a button that dictates into the text area of the CSS selector `box`, where the browser can.

    box: None draws a sentence instead, where the browser cannot. language: what is spoken, "zh" or "en".
    """
    data = {"box": box, "texts": dict(texts), "lang": language}
    draw_component("dictation", data, key=key, on_action=None)
