"""Pages to share: the words as they are, how each answer was made, and nothing that is loaded."""

import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from twokeys.config import load_config
from twokeys.core.compare.column import Column
from twokeys.engines.scripted import Say, ScriptedEngine
from twokeys.manuscript.share import answer_page, comparison_page, conversation_page
from twokeys.services import Services, build_services
from twokeys.types import Conversation, Message, Provenance, Sampling, Settings

HOSTILE = (
    "<script>alert(1)</script> <img src=https://example.org/a.png> ![x](https://example.org/b.png) "
    "[link](https://example.org/c) $E = mc^2$ and `code`"
)
RECORD = Provenance(
    sampling_set={"temperature": 0.3, "max_new_tokens": 64},
    seed=7,
    model="Qwen2.5-7B-Instruct",
    model_sha256="ab12",
    completion_tokens=5,
    prompt_tokens=9,
)
QUESTION = Message("q", "c", None, "user", "Why <b>?\n  if x < 1:", 1.0)
ANSWER = Message("a", "c", "q", "assistant", HOSTILE, 2.0, finish_reason="length", provenance=RECORD)


class Loads(HTMLParser):
    """Collects what a browser would fetch or run."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "img", "link", "iframe", "object", "video", "audio", "source", "base", "form"):
            self.loads.append(tag)
        self.loads += [
            name for name, _ in attrs if name in ("src", "srcset", "style") or name.startswith("on")
        ]


@pytest.fixture
def conversation() -> Conversation:
    return Conversation("c", "A <title>", 1.0, 2.0, settings=Settings(system_prompt="Be <i>brief</i>."))


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_page_loads_nothing_and_says_how_the_answer_was_made(
    conversation: Conversation, language: str
) -> None:
    pages = (
        conversation_page(conversation, [QUESTION, ANSWER], language),
        answer_page(QUESTION, ANSWER, conversation.title, language),
    )
    for page in pages:
        assert Loads(page).loads == []
        assert "default-src 'none'" in page and "url(" not in page and "@import" not in page
        for words in ("A &lt;title&gt;", "Why &lt;b&gt;?\n  if x &lt; 1:", "&lt;script&gt;", "<math"):
            assert words in page
        for fact in ("Qwen2.5-7B-Instruct", "ab12", "temperature 0.3", "<dd>7</dd>"):
            assert fact in page
        assert re.search(r'<p class="cut">[^<]+</p>', page)
    assert "Be &lt;i&gt;brief&lt;/i&gt;." in pages[0]


def test_an_answer_without_a_record_has_no_empty_record(conversation: Conversation) -> None:
    bare = replace(ANSWER, provenance=Provenance(), finish_reason=None)
    page = conversation_page(conversation, [QUESTION, bare], "en")
    assert "<details>" not in page and 'class="cut"' not in page


@pytest.fixture
def services() -> Iterator[Services]:
    built = build_services(load_config(), engine=ScriptedEngine([Say("A fox.")]))
    yield built
    built.close()


def test_a_comparison_stands_with_its_columns_beside_each_other(services: Services) -> None:
    started = services.compare.start("What is red?", columns(0.2, 0.9))
    for column in started.columns:
        if column.job is not None:
            services.jobs.wait(column.job.id, 10)
    page = comparison_page(services.compare.stored.get(started.id), "en")
    assert Loads(page).loads == []
    assert page.count("A fox.") == 2 and page.count("<details>") == 2
    assert "What is red?" in page


def columns(*temperatures: float) -> tuple[Column, ...]:
    return tuple(Column(Sampling(temperature=value)) for value in temperatures)
