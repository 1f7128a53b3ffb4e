"""A container of TwoKeys as deploy/ describes it: its command, environment and health check."""

import json
import re
from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
PASSWORD = "a password of the team"


def compose() -> dict[str, Any]:
    """Return compose.yaml as it stands."""
    read: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    return read


def command() -> list[str]:
    """Return the command of the Dockerfile."""
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    match = re.search(r"^CMD (\[.*\])$", text, re.MULTILINE)
    assert match is not None
    result: list[str] = json.loads(match[1])
    return result


def filled(value: str, values: dict[str, str]) -> str:
    """Return a value of compose.yaml with ${NAME:-usual} and ${NAME:?why} filled in."""

    def fill(place: "re.Match[str]") -> str:
        name, kind, usual = place[1], place[2], place[3]
        return values[name] if name in values or kind == ":?" else usual

    return re.sub(r"\$\{(\w+)(:[-?])([^}]*)\}", fill, value)
