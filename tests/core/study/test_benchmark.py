"""The lab's benchmark beside the plain OpenAI client."""

import sys
from types import SimpleNamespace
from typing import Any

import pytest
from benchmarks.lab import grid, openai_client, run_plain


def test_without_the_openai_client_the_grid_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(SystemExit, match=r"pip install -e '\.\[bench\]'"):
        openai_client()


def test_the_plain_client_asks_for_every_answer_of_the_grid_one_cell_after_the_other() -> None:
    asked: list[dict[str, Any]] = []
    completions = SimpleNamespace(create=lambda **request: asked.append(request))
    study = grid(["fact-en:2"], 2, [8, 16], None)
    run_plain(SimpleNamespace(chat=SimpleNamespace(completions=completions)), study)
    assert len(asked) == study.generations == 24
    cells = [(entry["temperature"], entry["max_tokens"]) for entry in asked]
    assert list(dict.fromkeys(cells)) == [(t, n) for t in (0.3, 0.7, 1.0) for n in (8, 16)]
    assert cells == sorted(cells), "cell after cell"
    assert asked[0]["extra_body"] == {
        "top_k": study.base.top_k,
        "repeat_penalty": study.base.repetition_penalty,
    }
