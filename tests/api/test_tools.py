"""Tools on a model whose template has them: calls are valid JSON by grammar, in OpenAI's shape."""

import json

import openai
import pytest

from twokeys.engines.scripted import Say, ScriptedEngine

from .conftest import Api, ServeScript

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather of a city",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "the city's name"},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
            },
            "required": ["city"],
        },
    },
}
TIME = {
    "type": "function",
    "function": {
        "name": "get_time",
        "description": "Get the time in a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
QUESTION = [{"role": "user", "content": "What is the weather in Paris?"}]


@pytest.fixture(scope="module")
def client(qwen_api: Api) -> openai.OpenAI:
    return openai.OpenAI(base_url=qwen_api.base_url, api_key=qwen_api.key, max_retries=0)


def ask(client: openai.OpenAI, **more: object):  # type: ignore[no-untyped-def]
    values = {
        "model": "twokeys",
        "messages": QUESTION,
        "max_tokens": 40,
        "seed": 7,
        "tools": [WEATHER, TIME],
        "temperature": 0,
        **more,
    }
    return client.chat.completions.create(**values)  # type: ignore[call-overload]


def test_a_required_call_has_valid_arguments_and_its_own_finish_reason(client: openai.OpenAI) -> None:
    choice = ask(client, tool_choice="required", parallel_tool_calls=False, temperature=1.5).choices[0]
    [call] = choice.message.tool_calls
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    arguments = json.loads(call.function.arguments)
    assert call.function.name in ("get_weather", "get_time")
    assert isinstance(arguments["city"], str)
    assert set(arguments) <= {"city", "unit"}


def test_a_named_tool_is_the_one_that_is_called(client: openai.OpenAI) -> None:
    named = {"type": "function", "function": {"name": "get_time"}}
    [call] = ask(client, tool_choice=named).choices[0].message.tool_calls
    assert call.function.name == "get_time"


def test_a_stream_of_a_call_adds_up_to_the_whole_one(client: openai.OpenAI) -> None:
    [call] = ask(client, tool_choice="required", parallel_tool_calls=False).choices[0].message.tool_calls
    chunks = [
        chunk.choices[0]
        for chunk in ask(client, tool_choice="required", parallel_tool_calls=False, stream=True)
    ]
    deltas = [delta for chunk in chunks for delta in chunk.delta.tool_calls or ()]
    assert deltas[0].function.name == call.function.name
    assert deltas[0].id
    assert "".join(delta.function.arguments or "" for delta in deltas) == call.function.arguments
    assert len(deltas) > 2
    assert not any(chunk.delta.content for chunk in chunks)
    assert chunks[-1].finish_reason == "tool_calls"


def test_what_a_function_returned_is_read_by_the_model(client: openai.OpenAI) -> None:
    def turns(city: str, result: str) -> list[dict[str, object]]:
        function = {"name": "get_weather", "arguments": json.dumps({"city": city})}
        call = {"id": city, "type": "function", "function": function}
        return [
            {"role": "user", "content": f"What is the weather in {city}?"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": city, "content": result},
        ]

    before = [*turns("Rome", "25 degrees"), {"role": "assistant", "content": "It has 25 degrees in Rome."}]
    choice = ask(client, messages=[*before, *turns("Paris", "19 degrees")], tools=[WEATHER]).choices[0]
    assert choice.finish_reason == "stop"
    assert "19 degrees" in choice.message.content


ANSWER = 'Let me see.\n<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>'


@pytest.mark.parametrize(
    "answer", [ANSWER, ANSWER.removeprefix("Let me see.\n"), "2 < 3 <tool", ANSWER[:-20]]
)
def test_a_call_of_the_models_own_will_is_told_whole_and_in_pieces(
    serve_script: ServeScript, answer: str
) -> None:
    api = serve_script(ScriptedEngine([Say(answer)]))
    client = openai.OpenAI(base_url=api.base_url, api_key=api.key, max_retries=0)
    whole = ask(client, max_tokens=200).choices[0]
    chunks = [chunk.choices[0] for chunk in ask(client, max_tokens=200, stream=True)]
    assert "".join(chunk.delta.content or "" for chunk in chunks) == (whole.message.content or "")
    deltas = [delta for chunk in chunks for delta in chunk.delta.tool_calls or ()]
    assert "tool_call>" not in (whole.message.content or "")
    assert chunks[-1].finish_reason == whole.finish_reason
    if "</tool_call>" in answer:
        [call] = whole.message.tool_calls
        assert json.loads(call.function.arguments) == {"city": "Paris"}
        assert "".join(delta.function.arguments for delta in deltas) == call.function.arguments
        assert whole.finish_reason == "tool_calls"
    else:
        assert whole.finish_reason == "stop"
    if answer == "2 < 3 <tool":
        assert whole.message.content == answer


def test_without_the_choice_to_call_nothing_is_called(client: openai.OpenAI) -> None:
    with_none = ask(client, tool_choice="none", max_tokens=12)
    without = ask(client, tools=openai.omit, max_tokens=12)
    assert with_none.choices[0].message.tool_calls is None
    assert with_none.choices[0].message.content == without.choices[0].message.content


def test_several_calls_come_in_one_answer_where_they_may(client: openai.OpenAI) -> None:
    both = [{"role": "user", "content": "Call get_weather and get_time for Paris, both of them, now."}]
    calls = ask(client, messages=both, tool_choice="required", max_tokens=90).choices[0].message.tool_calls
    assert len(calls) > 1
    assert len({call.id for call in calls}) == len(calls)
    assert all(json.loads(call.function.arguments) for call in calls)


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"tools": [WEATHER, WEATHER]}, "tools"),
        ({"tool_choice": {"type": "function", "function": {"name": "other"}}}, "tool_choice"),
        ({"tools": openai.omit, "tool_choice": "required"}, "tool_choice"),
        ({"logprobs": True}, "logprobs"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"tools": [{"type": "function", "function": {"name": "no spaces"}}]}, "tools.0.function.name"),
        (
            {
                "messages": [
                    *QUESTION,
                    {
                        "role": "assistant",
                        "tool_calls": [
                            {
                                "id": "1",
                                "type": "function",
                                "function": {"name": "get_time", "arguments": "{"},
                            }
                        ],
                    },
                ]
            },
            "messages.tool_calls.function.arguments",
        ),
    ],
)
def test_what_cannot_be_called_is_an_error_that_names_it(
    client: openai.OpenAI, more: dict[str, object], param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, **more)
    assert caught.value.param == param
