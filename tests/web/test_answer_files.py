"""Structured answers as downloads, over real services."""

import asyncio
import json
from collections.abc import Iterator

import httpx
import pytest
from starlette.applications import Starlette

from twokeys.config import load_config
from twokeys.core.structured.derive import TableColumn, table_schema
from twokeys.engines.scripted import Say, ScriptedEngine
from twokeys.services import Services, build_services
from twokeys.types import AnswerSchema
from twokeys.web.answer_files import answer_file_routes

SCHEMA = AnswerSchema.of(table_schema([TableColumn("品名"), TableColumn("count", "number")]))


@pytest.fixture
def services() -> Iterator[Services]:
    engine = ScriptedEngine([Say('[{"品名": "=1+1", "count": 2.50}]')])
    built = build_services(load_config(), engine=engine)
    yield built
    built.close()


@pytest.fixture
def answer_id(services: Services) -> str:
    asked = services.conversations.new()
    sent = services.answers.send(asked.id, "List the parts / 零件", answer_schema=SCHEMA)
    services.jobs.wait(sent.job.id, 10)
    return sent.answer_message.id


def get(services: Services, name: str) -> httpx.Response:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(Starlette(routes=answer_file_routes(services)))
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            return await client.get(f"/twokeys/answers/{name}")

    return asyncio.run(ask())


def test_an_answers_rows_are_downloaded_under_the_conversations_title(
    services: Services, answer_id: str
) -> None:
    answer = get(services, f"{answer_id}.csv")
    assert answer.content.decode("utf-8-sig").splitlines() == ["品名,count", "'=1+1,2.5"]
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    disposition = answer.headers["content-disposition"]
    assert disposition.startswith("attachment") and disposition.endswith("%E9%9B%B6%E4%BB%B6.csv")
    assert json.loads(get(services, f"{answer_id}.json").content) == [{"品名": "=1+1", "count": 2.5}]
    assert get(services, f"{answer_id}.xlsx").content.startswith(b"PK")


def test_what_is_no_file_of_rows_is_not_there(services: Services, answer_id: str) -> None:
    question = services.conversations.message(answer_id).parent_id
    for name in (f"{answer_id}.exe", f"{question}.csv", "nobody.csv"):
        assert get(services, name).status_code == 404
