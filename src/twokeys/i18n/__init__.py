"""Texts in Chinese and English.

Each area has one TOML file in `texts/`; every key holds both languages side by side, so a text is
always added in both. Knows nothing of Streamlit: who asks says which language.

    # texts/chat.toml
    [send.placeholder]
    zh = "想问点什么？"
    en = "Ask something"

    translate("chat.send.placeholder", "zh")

A counted word names the value and both its forms, the one for 1 first:

    en = "Show {count} earlier {count|message|messages}"
"""

import re
import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

LANGUAGES = ("zh", "en")
DEFAULT_LANGUAGE = "en"
PLURAL = re.compile(r"\{(\w+)\|([^{}|]*)\|([^{}|]*)\}")
"""{value|form for 1|form for any other number}; the browser reads the same (frontend/src/dom.ts)."""


def translate(key: str, language: str, /, **values: object) -> str:
    """Return the text named `area.path.to.key`, its {braces} filled from `values`.

    Raises KeyError for an unknown key, so that a missing text fails in the tests and not silently.
    """
    entry = _area(key.partition(".")[0])[key]
    text = entry.get(language) or entry[DEFAULT_LANGUAGE]
    if "|" in text:
        text = PLURAL.sub(lambda match: match[2] if str(values.get(match[1])) == "1" else match[3], text)
    return text.format_map(_Forgiving(values)) if "{" in text else text


def negotiate(preferred: str | None) -> str:
    """Return the supported language for a browser or system locale such as "zh-CN" or "de"."""
    tag = (preferred or "").lower().replace("_", "-")
    return "zh" if tag.startswith("zh") else DEFAULT_LANGUAGE


@cache
def catalogue() -> dict[str, dict[str, str]]:
    """Return every text as {key: {"zh": …, "en": …}}, read once at first use."""
    return {key: entry for area in _areas() for key, entry in _area(area).items()}


@cache
def _areas() -> tuple[str, ...]:
    names = (entry.name for entry in files(__package__).joinpath("texts").iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml")))


@cache
def _area(name: str) -> dict[str, dict[str, str]]:
    """Return the texts of one area, read at its first use: all of them take longer than a command may."""
    texts: dict[str, dict[str, str]] = {}
    if name in _areas():
        source = files(__package__).joinpath("texts", f"{name}.toml").read_text(encoding="utf-8")
        _flatten(tomllib.loads(source), name, texts)
    return texts


def _flatten(node: dict[str, object], prefix: str, into: dict[str, dict[str, str]]) -> None:
    if any(isinstance(value, str) for value in node.values()):
        into[prefix] = {name: value for name, value in node.items() if isinstance(value, str)}
    for name, value in node.items():
        if isinstance(value, dict):
            _flatten(value, f"{prefix}.{name}", into)


class _Forgiving(dict[str, Any]):
    """An error text must never raise for want of a value: the brace stays visible instead."""

    def __missing__(self, key: str) -> str:
        return "{" + key + "}"
