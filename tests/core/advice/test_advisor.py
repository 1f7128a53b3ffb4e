"""The advisor over real services: Automatic, pins, lengths, and the model where it is asked."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from twokeys.config import load_config
from twokeys.core.advice import advisor
from twokeys.engines.scripted import Fail, Say, Script, ScriptedEngine
from twokeys.errors import EngineError, NotFound
from twokeys.services import Services, build_services
from twokeys.types import Sampling, Settings

Make = Callable[[Script], Services]
HAIKU = "Write a haiku about rain"


@pytest.fixture
def make(home: Path) -> Iterator[Make]:
    """Build services over an engine that plays a script."""
    built: list[Services] = []

    def build(script: Script) -> Services:
        built.append(build_services(load_config(), engine=ScriptedEngine(script)))
        return built[-1]

    yield build
    for services in built:
        services.close()


@pytest.fixture
def services(make: Make) -> Services:
    return make((Say("Fine."),))


def answer_once(services: Services) -> None:
    """Send a message and wait for its answer: the engine runs afterwards."""
    sent = services.answers.send(services.conversations.new().id, "Hello")
    services.jobs.wait(sent.job.id, 10)


def settings_of(services: Services, conversation_id: str) -> Settings:
    return services.repository.get_conversation(conversation_id).settings


def test_automatic_is_off_until_it_is_wanted(services: Services) -> None:
    conversation = services.conversations.new()
    assert services.advice.before_sending(conversation.id, HAIKU) is None
    assert settings_of(services, conversation.id).sampling == Sampling()


def test_automatic_sets_both_keys_for_the_task_of_the_message(services: Services) -> None:
    services.advice.automatic = True
    conversation = services.conversations.new()
    chosen = services.advice.before_sending(conversation.id, HAIKU)
    assert chosen is not None
    assert chosen.guess.task is not None
    assert chosen.guess.task.name == "story"
    sampling = settings_of(services, conversation.id).sampling
    assert (sampling.temperature, sampling.max_new_tokens) == (0.9, 3072)


def test_automatic_never_changes_what_was_pinned(services: Services) -> None:
    services.advice.automatic = True
    pinned = Settings(sampling=Sampling(temperature=0.45), pinned=("temperature",))
    conversation = services.conversations.new(pinned)
    chosen = services.advice.before_sending(conversation.id, HAIKU)
    assert chosen is not None
    assert "temperature" not in chosen.changes
    sampling = settings_of(services, conversation.id).sampling
    assert (sampling.temperature, sampling.max_new_tokens) == (0.45, 3072)


def test_automatic_changes_nothing_when_unsure(services: Services) -> None:
    services.advice.automatic = True
    conversation = services.conversations.new()
    chosen = services.advice.before_sending(conversation.id, "hmm, go on")
    assert chosen is not None
    assert chosen.guess.task is None
    assert settings_of(services, conversation.id) == conversation.settings


def test_a_task_a_person_chose_is_not_overruled_by_automatic(services: Services) -> None:
    services.advice.automatic = True
    conversation = services.conversations.new()
    services.advice.choose(conversation.id, "code")
    assert services.advice.before_sending(conversation.id, HAIKU) is None
    assert settings_of(services, conversation.id).sampling.temperature == 0.3


def test_a_chosen_task_leaves_pins_alone_until_they_are_lifted(services: Services) -> None:
    settings = Settings(sampling=Sampling(temperature=0.45), pinned=("temperature",))
    conversation = services.conversations.new(settings)
    assert services.advice.choose(conversation.id, "code") == {"max_new_tokens": 1024}
    assert settings_of(services, conversation.id).sampling.temperature == 0.45
    services.advice.unpin(conversation.id, ("temperature",))
    assert settings_of(services, conversation.id).sampling.temperature == 0.3
    assert settings_of(services, conversation.id).task == "code"


def test_the_length_follows_what_the_message_asks_for(services: Services) -> None:
    conversation = services.conversations.new()
    changes = services.advice.choose(conversation.id, "document", "Write an email of 150 words")
    assert changes["max_new_tokens"] == 512


def test_an_unknown_task_is_refused(services: Services) -> None:
    with pytest.raises(NotFound):
        services.advice.choose(services.conversations.new().id, "dancing")


def test_the_choice_survives_in_the_store(services: Services) -> None:
    conversation = services.conversations.new(replace(Settings(), pinned=("top_p",)))
    services.advice.choose(conversation.id, "story")
    again = services.repository.get_conversation(conversation.id).settings
    assert (again.task, again.pinned) == ("story", ("top_p",))


def test_the_model_names_the_task_when_a_person_wants_it_to(make: Make) -> None:
    services = make((Say("code", logprob=-0.01),))
    answer_once(services)
    services.advice.by = "model"
    guess = services.advice.classify("qwertz")
    assert guess.task is not None
    assert guess.task.name == "code"
    assert guess.confidence > 0.5


def test_a_model_that_is_not_loaded_yet_is_not_waited_for(make: Make) -> None:
    services = make((Say("code", logprob=-0.01),))
    services.advice.by = "model"
    guess = services.advice.classify(HAIKU)
    assert guess.task is not None
    assert guess.task.name == "story"
    assert not services.engines.running()


def test_the_rules_speak_when_the_model_fails(make: Make) -> None:
    services = make((Fail(EngineError(reason="gone")),))
    answer_once(services)
    services.advice.by = "model"
    guess = services.advice.classify(HAIKU)
    assert guess.task is not None
    assert guess.task.name == "story"


def test_the_model_rewrites_a_prompt_on_demand(make: Make) -> None:
    services = make((Say("Rewritten prompt: Write a story of 300 words for children."),))
    assert services.advice.rewrite("write a story") == "Write a story of 300 words for children."


def test_complete_answers_teach_the_usual_length_of_their_kind(make: Make) -> None:
    services = make((Say("one two three four five six"),))
    for _ in range(5):
        conversation = services.conversations.new()
        sent = services.answers.send(conversation.id, HAIKU)
        services.jobs.wait(sent.job.id, 10)
    deadline = time.monotonic() + 5
    while services.advice.need(HAIKU).source != "earlier" and time.monotonic() < deadline:
        time.sleep(0.02)
    assert services.advice.need(HAIKU).source == "earlier"


def test_the_tokenizer_of_the_model_is_measured_once_it_runs(services: Services) -> None:
    before = services.advice.ratio()
    sent = services.answers.send(services.conversations.new().id, "Hello")
    services.jobs.wait(sent.job.id, 10)
    measured = services.advice.ratio()
    assert measured != before
    assert 0.8 < measured.chars_per_token_zh < 1.3  # the scripted engine: a token a character
    assert services.advice.ratio() == measured


def test_a_real_model_answers_with_one_of_the_words(
    smollm2: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(advisor, "CLASSIFY_TIMEOUT_S", 120.0)  # a busy machine says nothing about the claim
    services = build_services(replace(load_config(), model=str(smollm2)))
    try:
        services.advice.by = "model"
        guess = services.advice._by_model(HAIKU)
        assert 0.0 < guess.confidence <= 1.0
        assert services.advice.ratio().words_per_token_en > 0.4
    finally:
        services.close()
