"""Plain text to go on from, gaps to fill, token ids given and taken, on the models that have them or not."""

import httpx
import openai
import pytest

from .conftest import Api

TALE = "Once upon a time there was"


@pytest.fixture(scope="module")
def client(real_api: Api) -> openai.OpenAI:
    return openai.OpenAI(base_url=real_api.base_url, api_key=real_api.key, max_retries=0)


def go_on(client: openai.OpenAI, **more: object):  # type: ignore[no-untyped-def]
    values = {"model": "twokeys", "prompt": TALE, "max_tokens": 8, "seed": 7, **more}
    return client.completions.create(**values)  # type: ignore[call-overload]


def tokens_of(api: Api, text: str) -> list[int]:
    asked = httpx.post(f"{api.url}/tokenize", json={"content": text}, headers=api.headers, trust_env=False)
    tokens: list[int] = asked.json()["tokens"]
    return tokens


def test_text_is_gone_on_from_without_a_template(client: openai.OpenAI, real_api: Api) -> None:
    answer = go_on(client)
    assert answer.object == "text_completion"
    assert answer.usage.prompt_tokens == len(tokens_of(real_api, TALE))
    assert answer.usage.completion_tokens == 8
    assert answer.choices[0].finish_reason == "length"
    assert answer.model_extra["twokeys"]["seed"] == 7


def test_token_ids_are_a_prompt_as_good_as_their_text(client: openai.OpenAI, real_api: Api) -> None:
    assert go_on(client, prompt=tokens_of(real_api, TALE)).choices[0].text == go_on(client).choices[0].text


def test_a_stream_has_the_same_text(client: openai.OpenAI) -> None:
    chunks = list(go_on(client, stream=True, stream_options={"include_usage": True}))
    text = "".join(choice.text for chunk in chunks for choice in chunk.choices)
    assert text == go_on(client).choices[0].text
    assert chunks[-1].usage.completion_tokens == 8


def test_several_prompts_are_answered_in_their_order(client: openai.OpenAI) -> None:
    answer = go_on(client, prompt=[TALE, "The sea is"], n=2, echo=True)
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
    assert [choice.text[:10] for choice in answer.choices] == [TALE[:10]] * 2 + ["The sea is"] * 2
    assert answer.choices[0].text == TALE + go_on(client).choices[0].text


def test_probabilities_come_in_the_old_form(client: openai.OpenAI) -> None:
    probs = go_on(client, logprobs=2).choices[0].logprobs
    assert len(probs.tokens) == len(probs.token_logprobs) == len(probs.top_logprobs)
    assert all(len(candidates) == 2 for candidates in probs.top_logprobs)
    assert probs.text_offset[0] == 0


@pytest.mark.parametrize(
    ("more", "code", "param"),
    [
        ({"suffix": "The end."}, "unsupported_parameter", "suffix"),
        ({"prompt": [10**7]}, "invalid_value", "prompt"),
        ({"prompt": ""}, "empty_message", "prompt"),
        ({"prompt": []}, "invalid_value", "prompt"),
        ({"prompt": [[1], []]}, "invalid_value", "prompt"),
        ({"prompt": [1], "suffix": "x"}, "invalid_value", "suffix"),
        ({"best_of": 3}, "unsupported_parameter", "best_of"),
        ({"max_tokens": 32000}, "context_length_exceeded", "max_tokens"),
    ],
)
def test_what_cannot_be_gone_on_from_is_an_error_that_names_it(
    client: openai.OpenAI, more: dict[str, object], code: str, param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        go_on(client, **more)
    assert (caught.value.code, str(caught.value.param).partition(".")[0]) == (code, param)


def test_tools_are_refused_where_the_template_has_none(client: openai.OpenAI) -> None:
    tool = {"type": "function", "function": {"name": "f"}}
    turns = [{"role": "user", "content": "Hello"}]
    for more in (
        {"messages": turns, "tools": [tool]},
        {"messages": [*turns, {"role": "tool", "tool_call_id": "1", "content": "x"}]},
    ):
        with pytest.raises(openai.BadRequestError) as caught:
            client.chat.completions.create(model="twokeys", **more)  # type: ignore[call-overload]
        assert (caught.value.code, caught.value.param) == ("unsupported_parameter", "tools")


def test_a_gap_is_filled_where_the_model_can(qwen_api: Api) -> None:
    client = openai.OpenAI(base_url=qwen_api.base_url, api_key=qwen_api.key, max_retries=0)
    answer = client.completions.create(
        model="twokeys/code",
        prompt="def add(a, b):\n    return ",
        suffix="\n\nprint(add(1, 2))\n",
        max_tokens=16,
        temperature=0,
    )
    assert answer.choices[0].text.strip() == "a + b"
    assert answer.choices[0].finish_reason == "stop"


def test_tokens_are_spelled_again(real_api: Api) -> None:
    def detokenize(body: object) -> httpx.Response:
        return httpx.post(f"{real_api.url}/detokenize", json=body, headers=real_api.headers, trust_env=False)

    text = "Grüße, 世界!"
    assert detokenize({"tokens": tokens_of(real_api, text)}).json()["content"] == text
    assert detokenize({"tokens": []}).json()["content"] == ""
    refused = detokenize({"tokens": [10**7]})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "tokens")
