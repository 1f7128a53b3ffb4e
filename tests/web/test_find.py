"""What the palette finds that is stored, over real services."""

import asyncio
from collections.abc import Iterator, Mapping

import httpx
import pytest
from starlette.applications import Starlette

from twokeys.config import load_config
from twokeys.engines.scripted import Say, ScriptedEngine
from twokeys.services import Services, build_services
from twokeys.types import Settings
from twokeys.web.find import find_routes


@pytest.fixture
def services() -> Iterator[Services]:
    built = build_services(load_config(), engine=ScriptedEngine([Say("The platypus sleeps in a burrow.")]))
    yield built
    built.close()


def found_items(services: Services, query: str) -> list[Mapping[str, object]]:
    async def ask() -> list[Mapping[str, object]]:
        transport = httpx.ASGITransport(Starlette(routes=find_routes(services)))
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            answer = await client.get("/twokeys/palette", params={"q": query})
        return list(answer.json()["items"])

    return asyncio.run(ask())


def test_the_message_that_has_the_words_comes_first_and_an_empty_conversation_not_at_all(
    services: Services,
) -> None:
    asked = services.conversations.new()
    services.conversations.new()
    services.presets.save("My tone", Settings())
    sent = services.answers.send(asked.id, "Where does it sleep?")
    services.jobs.wait(sent.job.id, 10)
    items = found_items(services, "burrow")
    assert (items[0]["id"], items[0]["marked"], items[0]["matched"]) == (asked.id, ["burrow"], True)
    assert services.conversations.message(str(items[0]["message"])).role == "assistant"
    at_rest = [(item["kind"], item["id"]) for item in found_items(services, "") if item["kind"] != "prompt"]
    assert at_rest == [("conversation", asked.id), ("preset", "My tone")]


def test_a_query_of_signs_or_of_great_length_is_answered(services: Services) -> None:
    for query in ('"*(', "x " * 5000):
        assert {item["kind"] for item in found_items(services, query)} == {"prompt"}
