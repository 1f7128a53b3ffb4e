"""Files in the screens: a comparison's question with one, and a context raised because one does not fit."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.ui.conftest import Browser, finish

from twokeys.config import load_config
from twokeys.core.memory.overrides import Overrides
from twokeys.i18n import translate
from twokeys.services import Services, build_services
from twokeys.web.runtime import set_services

CONTRACT = b"# 7 Delivery\n\nAll goods shall reach the warehouse before 15 March 2027.\n"
LONG = "\n\n".join(f"# Part {number}\n\n" + "tea from the hills " * 25 for number in range(1, 6)).encode()
SMALL_CONTEXT = 512


@pytest.fixture
def small(smollm2: Path) -> Iterator[Services]:
    """The real engine, begun with a small context by hand."""
    services = build_services(load_config(model=str(smollm2)))
    set_services(services)
    services.decide_memory(Overrides(context=SMALL_CONTEXT))
    yield services
    set_services(None)
    services.close()


def finish_warming(services: Services, timeout_s: float = 60.0) -> None:
    """Wait until the engine that was asked to count does."""
    deadline = time.monotonic() + timeout_s
    while services.draft_files.warming_up:
        assert time.monotonic() < deadline, "the engine did not start"
        time.sleep(0.02)


def test_a_context_raised_in_the_panel_lets_the_whole_file_be_sent(small: Services) -> None:
    tab = Browser(small, plain="1").run()
    tab.at.slider(key="key_max_new_tokens").set_value(64).run()
    tab.at.file_uploader(key="attach_files").set_value(("long.md", LONG, "text/markdown")).run()
    tab.say("Where does the tea come from?")
    assert tab.at.button(key="pages_send").disabled
    assert small.conversations.messages(tab.conversation) == []
    tab.click("pages_larger")
    spec = small.engines.worker_spec()
    assert spec is not None and spec.context > SMALL_CONTEXT
    assert small.memory.overrides(spec.model_name) == Overrides(context=spec.context)
    assert not tab.at.button(key="pages_send").disabled
    small.draft_files.warm_up()
    finish_warming(small)
    tab.click("pages_send")  # in the run in which the page hears that the engine counts now
    question = small.conversations.messages(tab.conversation)[0]
    small.jobs.stop_all()
    assert question.own_words == "Where does the tea come from?"
    assert [document["pages"] for document in question.provenance.documents] == ["1-5"]
    assert small.draft_files.waiting(tab.conversation) == []


def test_every_column_of_a_comparison_reads_the_file_of_its_question(
    open_tab: Callable[..., Browser], services: Services
) -> None:
    tab = open_tab("compare")
    tab.at.file_uploader(key="compare_files").set_value(("contract.md", CONTRACT, "text/markdown")).run()
    assert "contract.md" in tab.text()
    tab.at.text_area(key="compare_question").set_value("When is it due?").run()
    tab.click("compare_start")
    started = tab.at.query_params["cmp"]
    comparison = services.compare.stored.get(started if isinstance(started, str) else started[0])
    finish(services, comparison.conversation_id)
    columns = services.compare.stored.get(comparison.id).columns
    for column in columns:
        prompt = services.answers.sent_prompt(column.answer.id)
        assert "before 15 March 2027" in prompt[-1].content
        assert prompt[-1].content.endswith("When is it due?")
        assert [document["name"] for document in column.answer.provenance.documents] == ["contract.md"]
    assert services.draft_files.waiting(None) == []
    again = open_tab("compare", cmp=comparison.id)
    assert "contract.md" in again.text()


def test_a_comparison_that_cannot_start_keeps_its_file(
    open_tab: Callable[..., Browser], services: Services
) -> None:
    tab = open_tab("compare")
    tab.at.file_uploader(key="compare_files").set_value(("contract.md", CONTRACT, "text/markdown")).run()
    tab.click("compare_start")
    assert translate("errors.empty_message.text", "en") in tab.text()
    assert [draft.whole.name for draft in services.draft_files.waiting(None)] == ["contract.md"]
