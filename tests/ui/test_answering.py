"""Another model than Qwen2.5-7B-Instruct is named where the conversation is, not only in the sidebar."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.ui.conftest import SCRIPT, Browser, finish

from twokeys.config import load_config
from twokeys.engines.scripted import ScriptedEngine
from twokeys.i18n import translate
from twokeys.services import Services, build_services
from twokeys.types import Message, Provenance
from twokeys.ui.answering import stand_in
from twokeys.web.runtime import set_services


def _answer(model: str | None) -> Message:
    provenance = Provenance(model=model or None)
    return Message("m", "c", None, "assistant", "Hello.", 1.0, provenance=provenance)


@pytest.mark.parametrize(
    ("model", "named"),
    [
        ("qwen2.5-7b", ""),
        ("Qwen/Qwen2.5-7B-Instruct", ""),
        ("qwen2.5-7b:q8_0", ""),
        ("qwen2.5-7b-base", "qwen2.5-7b-base"),
        ("qwen2.5-0.5b", "qwen2.5-0.5b"),
        ("Qwen/Qwen2.5-Coder-7B-Instruct", "Qwen2.5-Coder-7B-Instruct"),
        (None, ""),
    ],
)
def test_an_answer_names_its_model_when_it_is_another(
    services: Services, model: str | None, named: str
) -> None:
    assert stand_in(services, _answer(model)) == named


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_conversation_says_which_other_model_answers(
    open_tab: Callable[..., Browser], services: Services, language: str
) -> None:
    tab = open_tab("", language)
    before = translate("chat.context.model", language, name="scripted", line="")
    assert before in tab.text(), "before the first message"
    tab.say("What is recursion?")
    finish(services, tab.conversation)
    tab.run()
    assert translate("chat.tag.model", language, name="scripted") in tab.text(), "under the answer"


def test_the_model_of_the_product_is_not_named_everywhere(home: Path) -> None:
    services = build_services(load_config(), engine=ScriptedEngine(SCRIPT, model="qwen2.5-7b", context=8192))
    set_services(services)
    assert "qwen2.5-7b answers" not in Browser(services, plain="1").run().text()
    set_services(None)
    services.close()
