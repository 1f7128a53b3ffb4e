"""The estimate of tokens against the real tokenizer that it was made for."""

import asyncio
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twokeys.engines.local import LocalEngine
from twokeys.token_estimate import estimate_prompt, estimate_tokens
from twokeys.types import ChatMessage, WorkerSpec

CHECKOUT = Path(__file__).resolve().parent.parent


def samples() -> Mapping[str, str]:
    """The project's own prose in both languages, its code, and what tables and numbers look like."""
    named = {path.name: path.read_text() for path in sorted((CHECKOUT / "src/twokeys/core").glob("*.py"))}
    named |= {path.name: path.read_text() for path in sorted((CHECKOUT / "frontend/src").glob("*.ts"))}
    for path in sorted((CHECKOUT / "src/twokeys/i18n/texts").glob("*.toml")):
        for language in ("zh", "en"):
            sentences = re.findall(rf'^{language} = "(.*)"$', path.read_text(), re.MULTILINE)
            named[f"{path.stem}.{language}"] = "\n".join(sentences)
    named["numbers"] = " ".join(str(number * 37) for number in range(300))
    named["table"] = "\n".join(f"| {n} | {n * 3.14159:.2f} | 张三{n} |" for n in range(200))
    named["json"] = '{"a": [1, 2, 3], "name": "x_y", "b": {"c": null, "d": true}}\n' * 40
    return {name: text for name, text in named.items() if len(text) > 500}


@pytest.fixture(scope="module")
def counts(qwen: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, int]]:
    """What Qwen2.5's own tokenizer makes of the samples."""
    folder = tmp_path_factory.mktemp("tokenizer")

    async def count() -> Mapping[str, int]:
        engine = LocalEngine(WorkerSpec(str(qwen), "qwen", context=512), folder, folder)
        try:
            return {name: len(await engine.tokenize(text)) for name, text in samples().items()}
        finally:
            await engine.close()

    yield asyncio.run(count())


def test_prose_code_and_tables_have_at_most_the_estimated_tokens(counts: Mapping[str, int]) -> None:
    shares = {name: estimate_tokens(text) / counts[name] for name, text in samples().items()}
    assert len(shares) > 60
    assert {name: share for name, share in shares.items() if share < 1} == {}


def test_an_estimate_does_not_cry_wolf(counts: Mapping[str, int]) -> None:
    every = sum(estimate_tokens(text) for text in samples().values())
    assert every < 1.25 * sum(counts.values())


@given(st.text(max_size=300), st.text(max_size=300))
def test_more_text_is_never_estimated_at_less(text: str, more: str) -> None:
    assert 0 <= estimate_tokens(text) <= estimate_tokens(text + "\n" + more)


def test_a_prompt_has_the_template_beside_its_text() -> None:
    assert estimate_tokens("") == 0
    asked = [ChatMessage("user", "hello")]
    assert estimate_prompt(asked) > estimate_tokens("hello") + 22
    assert estimate_prompt(asked, "It is") == estimate_prompt(asked) + estimate_tokens("It is")
