"""The handbook: the same chapters in both languages, every claim with its status, documents up to date."""

import json
import math
from pathlib import Path

import pytest

from twokeys.core.study.claims import CLAIMS, ClaimResult
from twokeys.core.study.forms import load_forms
from twokeys.core.study.papers import BY_NAME, PAPERS, load_papers
from twokeys.handbook import (
    Claim,
    Example,
    Finding,
    Forms,
    Prose,
    Thermometer,
    form_lines,
    load,
    load_evidence,
    load_sample,
    paper_lines,
    status_lines,
    to_markdown,
)
from twokeys.i18n import LANGUAGES, translate

MODELS = ("smollm2-135m", "qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b")
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
def test_what_papers_found_stands_in_the_handbook_with_what_was_measured(language: str) -> None:
    blocks = [block for chapter in load(language) for block in chapter.blocks]
    named = [block.paper for block in blocks if isinstance(block, Finding)]
    assert sorted(named) == sorted({paper.name for paper in PAPERS} - {"turning"}), "turning: see docs/lab.md"
    written = to_markdown(language)
    for name in named:
        (status, sentence, source), *measured = paper_lines(name, language, load_papers())
        assert status == translate("handbook.status.reported", language)
        assert sentence == BY_NAME[name].hypothesis(language) and source.startswith("arXiv")
        assert {row.model for row in load_papers() if row.paper == name} == {
            model for model in MODELS for _, _, where in measured if model in where
        }
        assert all(sentence in written and where in written for _, sentence, where in measured)


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_a_grammar_changes_stands_in_the_handbook_once_for_each_model(language: str) -> None:
    blocks = [block for chapter in load(language) for block in chapter.blocks]
    assert sum(isinstance(block, Forms) for block in blocks) == 1
    written = to_markdown(language)
    for status, sentences, source in form_lines(language, load_forms()):
        assert status in written and source in written and sentences
        assert all(sentence in written for sentence in sentences)
    [(status, sentences, _)] = form_lines(language, [])
    assert status == translate("handbook.status.unmeasured", language) and len(sentences) == 1


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
    (status, sentence, source), *_ = status_lines("C3", "en", [row])
    assert "refuted" in status
    assert "24" in sentence
    assert source == "24 [23.9, 24.1] MiB · study claims-memory, qwen, 3 answers"


def test_a_claim_without_answers_is_claimed_and_not_confirmed() -> None:
    row = ClaimResult("C6", "qwen", "undecided")
    [(status, _, source)] = status_lines("C6", "en", [row])
    assert status == "Undecided · claimed, not confirmed"
    assert source == ""


def test_what_a_paper_a_benchmark_or_a_definition_says_stands_with_its_claim() -> None:
    [(status, _, source)] = status_lines("C14", "en", [])
    assert (status, source) == ("Reported", "arXiv 2408.07055")
    [(status, sentence, source)] = status_lines("C3", "en", [])
    assert (status, source) == ("Measured here", "benchmarks/memory_truth.py")
    assert "112 MiB" in sentence
    for claim in ("C9", "C15"):
        assert [status for status, _, _ in status_lines(claim, "en", [])] == [
            "Settled by definition or arithmetic"
        ]


@pytest.mark.parametrize("language", LANGUAGES)
def test_evidence_is_of_claims_and_its_sources_exist(language: str) -> None:
    for claim, rows in load_evidence(language).items():
        assert claim in CLAIMS
        for row in rows:
            assert row.kind in ("reported", "benchmark", "settled")
            assert row.kind != "benchmark" or (DOCS.parent / row.source).is_file()


def test_the_figure_of_the_benchmark_is_the_one_it_wrote() -> None:
    cells = json.loads((DOCS.parent / "benchmarks/results/memory_truth.json").read_text())["cells"]
    pss = {
        cell["context"]: cell["pss_bytes"] / 2**20
        for cell in cells
        if (cell["model"], cell["kv_type"], cell["load_mode"]) == ("shape7b", "f16", "copy")
    }
    [row] = load_evidence("en")["C3"]
    assert {f"{pss[2048]:.0f}", f"{pss[4096]:.0f}", f"{pss[4096] - pss[2048]:.0f}"} <= set(
        row.sentence.split()
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_chapters_report_nothing_outside_a_claim(language: str) -> None:
    prose = [block.text for chapter in load(language) for block in chapter.blocks if isinstance(block, Prose)]
    assert not [text for text in prose if "arXiv" in text or "**Reported**" in text or "**论文报告**" in text]
