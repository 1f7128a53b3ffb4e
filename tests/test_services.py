"""The whole composition on a real model: SmolLM2 in a real worker, a real database."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.real_server import running_server

from twokeys.builds.survey import Card, Survey
from twokeys.config import load_config
from twokeys.core.advice.advisor import LENGTHS_SETTING
from twokeys.core.answers import Sent
from twokeys.engine_source import choose_model, is_url
from twokeys.engines.cores import usable_processors
from twokeys.engines.scripted import Say, ScriptedEngine
from twokeys.errors import BadInput, ModelMissing, TwoKeysError
from twokeys.services import Services, build_services
from twokeys.types import Message, Sampling, Settings

WAIT_S = 120


def talk(services: Services, **sampling: Any) -> str:
    values = {"temperature": 0.0, "max_new_tokens": 24, **sampling}
    return services.conversations.new(Settings(sampling=Sampling(**values))).id


def finished(services: Services, sent: Sent) -> Message:
    view = services.jobs.wait(sent.job.id, WAIT_S)
    assert not view.active, f"still {view.state} after {WAIT_S} s"
    return services.repository.get_message(sent.answer_message.id)


def test_without_a_model_the_app_is_there_and_sending_says_what_is_missing(home: Path) -> None:
    services = build_services(load_config())
    try:
        assert services.engines.expected() is None
        conversation = services.conversations.new()
        assert services.answers.plan(conversation.id, "hello").fits
        with pytest.raises(ModelMissing):
            services.answers.send(conversation.id, "hello")
        assert services.conversations.messages(conversation.id) == []
    finally:
        services.close()


def test_how_long_answers_are_is_remembered_before_any_advice_was_asked_for(home: Path) -> None:
    services = build_services(load_config(), engine=ScriptedEngine((Say("A year has twelve months."),)))
    try:
        conversation = services.conversations.new(Settings(task="qa"))
        finished(services, services.answers.send(conversation.id, "How many months has a year?"))
        deadline = time.monotonic() + WAIT_S
        while not (stored := services.repository.get_setting(LENGTHS_SETTING)):
            assert time.monotonic() < deadline, "nothing is remembered"
            time.sleep(0.05)
        assert isinstance(stored, dict) and stored["qa"][0] > 3
    finally:
        services.close()


def test_an_idle_time_out_chosen_while_the_worker_runs_ends_it_without_a_restart(services: Services) -> None:
    topic = talk(services)
    finished(services, services.answers.send(topic, "Hello."))
    pid = services.engines.meter()["pid"]
    services.set_idle_timeout(3600)
    expected = services.engines.worker_spec()
    assert expected is not None and expected.idle_timeout_s == 3600
    finished(services, services.answers.send(topic, "And now?"))
    assert services.engines.meter()["pid"] == pid, "choosing it starts nothing anew"
    with pytest.raises(BadInput):
        services.set_idle_timeout(-1)
    services.set_idle_timeout(0.2)
    deadline = time.monotonic() + 10
    while services.engines.running():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_an_answer_has_drafts_or_probabilities_and_the_next_conversation_starts_without(
    services: Services,
) -> None:
    text = "The keeper walks down the stairs and counts the boats that come home before the storm. " * 3
    drafted = services.conversations.new(
        Settings(
            sampling=Sampling(temperature=0.0, max_new_tokens=40, repetition_penalty=1.0), draft="simple"
        )
    )
    answer = finished(services, services.answers.send(drafted.id, f"Repeat this text:\n\n{text}"))
    assert answer.provenance.draft == {"name": "simple", "reason": "chosen"}
    plan = services.memory_plan()
    assert plan is not None and plan.needs.host.draft_bytes > 0
    assert answer.provenance.drafted["draft_accepted"] > 0
    assert answer.provenance.n_probs == 0 and not services.conversations.probs(answer.id)
    assert services.probabilities.can_read(answer.id)
    read = services.probabilities.read(answer.id)
    assert [prob.token_id for prob in read] == list(answer.token_ids), "all of them, of its very tokens"
    assert services.conversations.probs(answer.id) == read
    usual = finished(services, services.answers.send(talk(services, max_new_tokens=4), "Hello."))
    assert usual.provenance.draft is None and not usual.provenance.drafted
    assert services.conversations.probs(usual.id), "the usual answer has its heat map again"


def test_a_trial_of_drafts_keeps_them_only_where_they_are_faster(services: Services) -> None:
    trial = services.try_draft("simple")
    spec = services.engines.worker_spec()
    assert spec is not None and not services.engines.running(), "it ended what it started"
    assert trial.without_tok_per_s > 0 and trial.with_tok_per_s > 0
    assert (spec.draft is not None) is trial.faster
    assert services.memory.overrides(spec.model_name).draft == ("simple" if trial.faster else None)


def test_a_trial_of_threads_keeps_the_number_that_is_fastest(services: Services) -> None:
    if usable_processors() < 2:
        with pytest.raises(BadInput, match="Only one core"):
            services.try_threads()
        return
    trial = services.try_threads()
    spec = services.engines.worker_spec()
    assert spec is not None and not services.engines.running(), "it ended what it started"
    assert trial.used in trial.tok_per_s and all(speed > 0 for speed in trial.tok_per_s.values())
    changed = trial.best != trial.used
    assert services.memory.overrides(spec.model_name).threads == (trial.best if changed else None)
    assert (spec.threads or trial.used) == trial.best


def test_probabilities_read_afterwards_are_those_that_were_told_while_writing(services: Services) -> None:
    topic = talk(services, temperature=0.8, seed=5, max_new_tokens=30)
    answer = finished(services, services.answers.send(topic, "Write about tea."))
    before = services.conversations.probs(answer.id)
    assert len(before) == len(answer.token_ids)
    after = services.probabilities.read(answer.id)
    assert [prob.token_id for prob in after] == [prob.token_id for prob in before]
    assert max(abs(a.logprob - b.logprob) for a, b in zip(after, before, strict=True)) < 0.05
    assert [prob.text for prob in after] == [prob.text for prob in before]


def test_a_server_by_url_is_asked_again_and_keeps_the_probabilities_of_its_tokens(
    llama_server: str, smollm2: Path
) -> None:
    with running_server(llama_server, smollm2, "-c", "1024", "-np", "1") as url:
        services = build_services(load_config(model=url))
        try:
            assert services.engines.expected() is None, "nothing is asked before there is a question"
            topic = talk(services)
            first = finished(services, services.answers.send(topic, "Hello."))
            expected = services.engines.expected()
            assert expected is not None
            assert (expected.model, expected.context, expected.local) == ("smollm2", 1024, False)
            assert services.engines.worker_spec() is None
            ceiling = services.length_ceiling()
            assert ceiling is not None
            answer = finished(services, services.answers.send(topic, "And now?"))
            for written in (first, answer):
                assert written.provenance.n_probs == 5
                probs = services.repository.get_probs(written.id)
                assert "".join(prob.text for prob in probs) == written.content != ""
                assert all(len(prob.alternatives) == 5 for prob in probs)
        finally:
            services.close()


def test_building_starts_no_engine_and_knows_what_would_answer(services: Services) -> None:
    expected = services.engines.worker_spec()
    assert expected is not None
    assert not services.engines.running()
    assert services.engines.name == expected.model_name


def test_an_answer_streams_is_stored_and_carries_its_provenance(services: Services) -> None:
    radeon = Card("Radeon", "amd", "discrete")
    services.builds._look = lambda: Survey("linux", "x86_64", (2, 39), cards=(radeon,))
    topic = talk(services)
    reported: list[dict[str, Any]] = []
    services.jobs.topics.subscribe(topic, reported.append)
    answer = finished(services, services.answers.send(topic, "Name three animals of the forest."))
    assert answer.content and answer.finish_reason in ("stop", "length")
    assert "".join(e["text"] for e in reported if e["type"] == "delta") == answer.content
    known = answer.provenance
    assert known.model_sha256.startswith("b179c9523d0e6a0f")
    assert known.sampling_used["temperature"] == known.sampling_set["temperature"] == 0.0
    assert known.unsupported == ()
    assert known.engine["kind"] == "llama.cpp" and known.engine["build"].startswith("xllamacpp")
    assert known.engine["layers"] == 0 and "mesa-vulkan-drivers" in known.engine["why"]["zh"]
    assert known.timings.tok_per_s > 0
    planned = services.answers.plan(topic, "And of the sea?")
    assert planned.exact
    second = finished(services, services.answers.send(topic, "And of the sea?"))
    assert second.provenance.prompt_tokens == planned.prompt_tokens
    assert second.provenance.cached_tokens > known.prompt_tokens // 2


def whole_answer(services: Services, question: str, tokens: int) -> Message:
    """The answer written in one go, from the same empty cache as the one in parts."""
    services.force_clear.release(None)
    return finished(services, services.answers.send(talk(services, max_new_tokens=tokens), question))


def test_a_cut_answer_continued_is_the_answer_that_was_not_cut(services: Services) -> None:
    question = "Write a short story about a fox 🦊 and a river."
    cut = finished(services, services.answers.send(talk(services, max_new_tokens=17), question))
    assert cut.finish_reason == "length"
    continued = finished(services, services.answers.continue_(cut.id, {"max_new_tokens": 23}))
    whole = whole_answer(services, question, 40)
    assert whole.content == continued.content != cut.content
    assert whole.token_ids == continued.token_ids
    assert len(continued.provenance.parts) == 2


def test_a_stopped_answer_continued_is_the_answer_that_was_not_stopped(services: Services) -> None:
    question = "Write a story about a lighthouse."
    sent = services.answers.send(talk(services, max_new_tokens=1000), question)
    while len(services.jobs.view(sent.job.id).text) < 20:  # type: ignore[union-attr]
        assert services.jobs.view(sent.job.id).active  # type: ignore[union-attr]
        time.sleep(0.002)
    services.jobs.stop(sent.job.id)
    stopped = finished(services, sent)
    assert stopped.finish_reason == "cancelled" and stopped.token_ids
    continued = finished(services, services.answers.continue_(stopped.id, {"max_new_tokens": 16}))
    whole = whole_answer(services, question, len(continued.token_ids))
    assert whole.content == continued.content
    assert continued.content.startswith(stopped.content) and continued.content != stopped.content


def test_replaying_with_the_used_seed_gives_the_same_text(services: Services) -> None:
    topic = talk(services, temperature=1.0, max_new_tokens=16)
    answer = finished(services, services.answers.send(topic, "Invent a name for a boat and say why."))
    assert answer.provenance.sampling_set["seed"] is None
    again = finished(services, services.answers.replay(answer.id))
    other = finished(services, services.answers.regenerate(answer.id))
    assert again.content == answer.content
    assert other.content != answer.content
    assert len(services.conversations.versions(answer.id)) == 3


def test_force_clear_gives_the_memory_back_and_the_next_message_starts_again(services: Services) -> None:
    topic = talk(services, max_new_tokens=8)
    finished(services, services.answers.send(topic, "Hello."))
    pid = services.engines.meter()["pid"]
    report = services.force_clear.release(topic, keep_history=False)
    assert report.freed_bytes > 100 * 2**20 and report.after_bytes == 0
    assert not services.engines.running()
    answer = finished(services, services.answers.send(topic, "Hello again."))
    assert answer.state == "done" and answer.content
    assert services.engines.meter()["pid"] != pid


def test_switching_the_model_keeps_the_conversation(services: Services, qwen: Path) -> None:
    topic = talk(services, max_new_tokens=8)
    first = finished(services, services.answers.send(topic, "Hello."))
    services.switch_model(str(qwen))
    second = finished(services, services.answers.send(topic, "你好"))
    assert second.provenance.model != first.provenance.model
    assert len(services.conversations.messages(topic)) == 4
    continued = finished(services, services.answers.continue_(first.id, {"max_new_tokens": 4}))
    assert continued.content.startswith(first.content)
    # ids of two models do not join: the text is what counts from here on
    assert continued.token_ids == ()


def test_a_switch_to_a_missing_model_changes_nothing(services: Services, tmp_path: Path) -> None:
    before = services.engines.name
    with pytest.raises(TwoKeysError):
        services.switch_model(str(tmp_path / "nothing.gguf"))
    assert services.engines.name == before


def test_speeds_are_remembered_and_tell_how_long_a_message_takes(services: Services) -> None:
    topic = talk(services)
    assert services.expectation(services.answers.plan(topic, "Hello.")) is None
    finished(services, services.answers.send(topic, "Count from one to thirty in words."))
    expectation = services.expectation(services.answers.plan(topic, "Hello."))
    assert expectation is not None and expectation.total_s > 0


def test_settings_survive_a_restart(smollm2: Path) -> None:
    config = load_config(model=str(smollm2))
    services = build_services(config)
    settings = Settings(sampling=Sampling(temperature=0.35, seed=9), system_prompt="简短", auto_continue=2)
    topic = services.conversations.new(settings).id
    services.close()
    services.close()
    services = build_services(config)
    assert services.repository.get_conversation(topic).settings == settings
    services.close()


def test_the_worker_is_planned_within_the_training_context(services: Services, smollm2: Path) -> None:
    model = services.models.resolve(str(smollm2))
    spec = services.memory.spec(model)
    assert 2048 <= spec.context <= min(8192, model.metadata.context)
    assert spec.model_path == str(smollm2)
    trained = replace(model, metadata=replace(model.metadata, context=1024))
    assert services.memory.spec(trained).context == 1024


def test_the_model_named_on_the_command_line_comes_first(services: Services, smollm2: Path) -> None:
    assert choose_model(services.config, services.memory, "http://127.0.0.1:9/") == str(smollm2)
    unnamed = replace(services.config, model=None)
    assert choose_model(unnamed, services.memory, "http://127.0.0.1:9/") == "http://127.0.0.1:9/"
    assert choose_model(unnamed, services.memory, str(smollm2)) == str(smollm2)
    with pytest.raises(ModelMissing):
        choose_model(unnamed, services.memory, "gone")
    assert is_url("https://host/v1") and not is_url("qwen2.5-7b")


def test_a_finished_answer_to_a_question_of_another_conversation_cannot_be_excluded(
    services: Services,
) -> None:
    entry, other = talk(services, max_new_tokens=4), talk(services)
    answer = finished(services, services.answers.send(entry, "Hi."))
    with pytest.raises(BadInput):
        services.conversations.exclude(other, [answer.id])
