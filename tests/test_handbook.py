"""The handbook: the same chapters in both languages, every claim with its status, documents up to date."""

import math
from pathlib import Path

import pytest

from twokeys.core.study.claims import CLAIMS, ClaimResult
from twokeys.handbook import Claim, Example, Thermometer, load, load_sample, status_lines, to_markdown
from twokeys.i18n import LANGUAGES

DOCS = Path(__file__).resolve().parent.parent / "docs"
RUN = "run: python scripts/write_handbook.py"


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_documents_are_the_handbook_of_the_app(language: str) -> None:
    assert (DOCS / f"handbook.{language}.md").read_text(encoding="utf-8") == to_markdown(language), RUN


def test_both_languages_have_the_same_chapters_and_blocks() -> None:
    zh, en = load("zh"), load("en")
    assert [chapter.name for chapter in zh] == [chapter.name for chapter in en]
    for left, right in zip(zh, en, strict=True):
        assert [type(block) for block in left.blocks] == [type(block) for block in right.blocks], left.name


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_claim_stands_in_the_handbook_once(language: str) -> None:
    named = [block.name for chapter in load(language) for block in chapter.blocks if isinstance(block, Claim)]
    assert sorted(named) == sorted(CLAIMS)


@pytest.mark.parametrize("language", LANGUAGES)
def test_there_is_a_thermometer_and_something_to_try(language: str) -> None:
    blocks = [block for chapter in load(language) for block in chapter.blocks]
    assert sum(isinstance(block, Thermometer) for block in blocks) == 1
    examples = [block for block in blocks if isinstance(block, Example)]
    assert {example.place for example in examples} == {"chat", "compare"}
    assert all(example.prompt and all(0 <= t <= 2 for t in example.temperatures) for example in examples)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_thermometer_shows_a_real_distribution(language: str) -> None:
    sample = load_sample(language)
    probs = [math.exp(logprob) for _, logprob in sample.candidates]
    assert probs == sorted(probs, reverse=True)
    assert 0.5 < sum(probs) <= 1.0
    assert sample.model


def test_a_measured_claim_carries_its_figure_and_the_study_that_made_it() -> None:
    row = ClaimResult("C3", "qwen", "refuted", 24.0, 23.9, 24.1, "MiB", "claims-memory", 3, {"mib": "24"})
    [(status, sentence, source)] = status_lines("C3", "en", [row])
    assert "refuted" in status
    assert "24" in sentence
    assert source == "24 [23.9, 24.1] MiB · study claims-memory, qwen, 3 answers"


def test_a_claim_without_answers_is_claimed_and_not_confirmed() -> None:
    row = ClaimResult("C6", "qwen", "undecided")
    [(status, _, source)] = status_lines("C6", "en", [row])
    assert status == "Undecided · claimed, not confirmed"
    assert source == ""
