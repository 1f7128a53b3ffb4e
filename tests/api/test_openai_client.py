"""OpenAI's own client on the real engine: what it asks for it gets, what it must not get it is told."""

import json
import os
import subprocess
import sys
from pathlib import Path

import openai
import pytest

from .conftest import Api

QUESTION = [{"role": "user", "content": "Name a colour."}]


@pytest.fixture(scope="module")
def client(real_api: Api) -> openai.OpenAI:
    return openai.OpenAI(base_url=real_api.base_url, api_key=real_api.key, max_retries=0)


def ask(client: openai.OpenAI, **more: object):  # type: ignore[no-untyped-def]
    values = {"model": "twokeys", "messages": QUESTION, "max_tokens": 12, "seed": 7, **more}
    return client.chat.completions.create(**values)  # type: ignore[call-overload]


def test_models_are_listed_and_every_preset_is_one(client: openai.OpenAI) -> None:
    names = [model.id for model in client.models.list()]
    assert names[0] == "smollm2-135m"
    assert {"twokeys/precise", "twokeys/report", "smollm2-135m:creative"} <= set(names)


def test_an_answer_says_how_it_came_about(client: openai.OpenAI) -> None:
    answer = ask(client, temperature=0.2)
    facts = answer.model_extra["twokeys"]
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens == 12
    assert facts["finish"] == "length"
    assert facts["seed"] == 7
    assert facts["parameters"]["temperature"] == pytest.approx(0.2)
    assert facts["context"]["left"] == facts["context"]["size"] - answer.usage.total_tokens
    assert len(facts["model_sha256"]) == 64


def test_a_stream_has_the_same_text_and_ends_with_its_usage(client: openai.OpenAI) -> None:
    whole = ask(client).choices[0].message.content
    chunks = list(ask(client, stream=True, stream_options={"include_usage": True}))
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == whole
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "length"
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens == 12


def test_the_text_equals_the_chats_and_the_command_lines_at_the_same_seed_and_settings(
    client: openai.OpenAI, real_api: Api, tmp_path: Path, smollm2: Path
) -> None:
    from twokeys.types import Sampling, Settings

    services = real_api.services
    settings = Settings(sampling=Sampling(seed=7, max_new_tokens=12), system_prompt="")
    sent = services.answers.send(services.conversations.new(settings).id, "Name a colour.")
    services.jobs.wait(sent.job.id, 60)
    stored = services.repository.get_message(sent.answer_message.id).content
    assert ask(client).choices[0].message.content == stored
    command = [sys.executable, "-m", "twokeys", "chat", "Name a colour.", "--json"]
    options = ["--seed", "7", "--max-new-tokens", "12", "--model", str(smollm2)]
    env = {**os.environ, "TWOKEYS_HOME": str(tmp_path)}
    ran = subprocess.run([*command, *options], env=env, capture_output=True, timeout=120, check=True)
    events = [json.loads(line) for line in ran.stdout.splitlines()]
    assert "".join(event["text"] for event in events if event["type"] == "delta") == stored


def test_a_preset_sets_what_it_sets_and_the_request_wins(client: openai.OpenAI, real_api: Api) -> None:
    facts = ask(client, model="twokeys/precise").model_extra["twokeys"]
    assert facts["preset"] == "precise"
    assert real_api.routes.requests.list()[0].model == "smollm2-135m:precise"
    assert facts["parameters"]["temperature"] == pytest.approx(0.3)
    assert facts["parameters"]["max_new_tokens"] == 12
    hotter = ask(client, model="smollm2-135m:precise", temperature=1.1).model_extra["twokeys"]
    assert hotter["parameters"]["temperature"] == pytest.approx(1.1)
    assert "temperature" in hotter["set_by_request"]


def test_three_choices_read_the_prompt_once(client: openai.OpenAI) -> None:
    answer = ask(client, n=3, temperature=1.5, top_p=1.0, extra_body={"top_k": 0})
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert len({choice.message.content for choice in answer.choices}) > 1
    assert answer.usage.completion_tokens <= 36
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    read_again = [
        answer.usage.prompt_tokens - facts["cached_tokens"]
        for facts in answer.model_extra["twokeys"]["choices"][1:]
    ]
    assert read_again == [1, 1]  # llama.cpp reads the last token again to write from it


def test_a_schema_is_kept_to(client: openai.OpenAI) -> None:
    schema = {
        "type": "object",
        "properties": {"colour": {"type": "string", "enum": ["red", "blue"]}},
        "required": ["colour"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "colour", "schema": schema, "strict": True}}
    answer = ask(client, response_format=form, max_tokens=40)
    assert json.loads(answer.choices[0].message.content)["colour"] in ("red", "blue")


def test_probabilities_come_with_as_many_candidates_as_asked_for(client: openai.OpenAI) -> None:
    answer = ask(client, logprobs=True, top_logprobs=3)
    content = answer.choices[0].logprobs.content
    assert "".join(row.token for row in content) == answer.choices[0].message.content
    assert all(len(row.top_logprobs) == 3 and row.logprob <= 0 for row in content)


def test_a_stop_string_ends_the_answer_and_is_not_in_it(client: openai.OpenAI) -> None:
    text = ask(client, max_tokens=40).choices[0].message.content
    stop = text.split()[2]
    answer = ask(client, max_tokens=40, stop=[stop])
    assert answer.choices[0].finish_reason == "stop"
    assert stop not in answer.choices[0].message.content


def test_what_does_not_fit_is_told_with_its_numbers(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, max_tokens=32000)
    error = caught.value
    assert error.code == "context_length_exceeded"
    assert error.param == "max_tokens"
    details = error.body["twokeys"]  # type: ignore[index]
    assert details["possible_new_tokens"] == details["context"] - details["prompt_tokens"]


@pytest.mark.parametrize(
    ("asked", "code", "param"),
    [
        ({"temperature": 3}, "invalid_value", "temperature"),
        ({"temperature": "hot"}, "invalid_value", "temperature"),
        ({"max_tokens": 0}, "invalid_value", "max_tokens"),
        ({"n": 99}, "invalid_value", "n"),
        ({"top_logprobs": 2}, "invalid_value", "top_logprobs"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "unsupported_parameter", "tools"),
        ({"logit_bias": {"1": 5}}, "unsupported_parameter", "logit_bias"),
        ({"messages": [{"role": "user", "content": " "}]}, "empty_message", "messages"),
    ],
)
def test_what_cannot_be_honoured_is_an_error_that_names_it(
    client: openai.OpenAI, asked: dict[str, object], code: str, param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, **asked)
    assert (caught.value.code, caught.value.param) == (code, param)


def test_unknown_fields_are_told_or_refused_when_asked_strictly(client: openai.OpenAI) -> None:
    answer = ask(client, extra_body={"colour_of_the_sea": 1})
    assert answer.model_extra["twokeys"]["ignored"] == ["colour_of_the_sea"]
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, extra_body={"colour_of_the_sea": 1}, extra_headers={"x-twokeys-strict": "1"})
    assert caught.value.param == "colour_of_the_sea"


def test_a_wrong_key_and_an_unknown_model_raise_the_clients_own_exceptions(real_api: Api) -> None:
    stranger = openai.OpenAI(base_url=real_api.base_url, api_key="tk-wrong", max_retries=0)
    with pytest.raises(openai.AuthenticationError):
        stranger.models.list()
    friend = openai.OpenAI(base_url=real_api.base_url, api_key=real_api.key, max_retries=0)
    with pytest.raises(openai.NotFoundError) as caught:
        ask(friend, model="gpt-5")
    assert caught.value.code == "model_not_found"


def test_the_responses_form_answers_whole_and_as_a_stream(client: openai.OpenAI) -> None:
    whole = client.responses.create(
        model="twokeys", input="Name a colour.", max_output_tokens=12, extra_body={"seed": 7}
    )
    assert whole.status == "incomplete"
    assert whole.output_text == ask(client).choices[0].message.content
    events = list(
        client.responses.create(
            model="twokeys", input="Name a colour.", max_output_tokens=12, stream=True, extra_body={"seed": 7}
        )
    )
    assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == whole.output_text
    assert events[-1].type == "response.incomplete"


def test_an_exchange_is_kept_only_when_asked_and_names_its_program(
    client: openai.OpenAI, real_api: Api
) -> None:
    store = real_api.services.repository
    before = store.count_conversations()
    ask(client)
    assert store.count_conversations() == before
    answer = ask(client, store=True, user="alice", metadata={"trace": "7"})
    text = answer.choices[0].message.content
    assert answer.model_extra["twokeys"]["metadata"] == {"trace": "7"}
    assert real_api.routes.requests.list()[0].program == "tests (alice)"
    assert store.count_conversations() == before + 1
    newest = max(store.list_conversations(), key=lambda conversation: conversation.created_at)
    assert newest.title.startswith("tests (alice): Name a colour")
    assert [m.content for m in store.branch(newest.id)] == ["Name a colour.", text]
