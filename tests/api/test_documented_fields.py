"""docs/api.md says of every field of every request whether it is honoured, refused or ignored."""

import re
from pathlib import Path

import pytest

from twokeys.api.asked import UNSUPPORTED
from twokeys.api.wire import (
    ChatRequest,
    CompletionRequest,
    DetokenizeRequest,
    ResponsesRequest,
    TokenizeRequest,
)

DOCUMENT = Path(__file__).parents[2] / "docs" / "api.md"
KINDS = {
    "/v1/chat/completions": ChatRequest,
    "/v1/completions": CompletionRequest,
    "/v1/responses": ResponsesRequest,
    "/tokenize": TokenizeRequest,
    "/detokenize": DetokenizeRequest,
}
REFUSED_ELSEWHERE = {"/v1/responses": {"tools"}, "/v1/completions": {"store"}}


def rows(path: str) -> dict[str, str]:
    """Return what the table under a path's heading says of each field."""
    section = re.split(r"^## ", DOCUMENT.read_text(encoding="utf-8"), flags=re.MULTILINE)
    [own] = [part for part in section if part.startswith(f"`POST {path}`")]
    said = {}
    for line in own.splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) >= 4 and cells[1].startswith("`"):
            for name in re.findall(r"`([a-z_]+)`", cells[1]):
                said[name] = cells[2]
    return said


@pytest.mark.parametrize("path", KINDS)
def test_every_field_has_its_row_and_no_row_is_of_another(path: str) -> None:
    fields = {field.alias or name for name, field in KINDS[path].model_fields.items()}
    assert set(rows(path)) == fields


@pytest.mark.parametrize("path", KINDS)
def test_what_is_refused_is_said_to_be(path: str) -> None:
    refused = {name for name, said in rows(path).items() if said == "refused"}
    always = {name for name in UNSUPPORTED if name in KINDS[path].model_fields}
    assert refused == always | REFUSED_ELSEWHERE.get(path, set())
