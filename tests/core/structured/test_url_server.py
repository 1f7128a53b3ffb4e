"""Structured answers of a real llama-server by URL: held to the form, cut, and continued within it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.real_server import running_server

from twokeys.config import load_config
from twokeys.core.structured.schema import AnswerSchema, answer_validity
from twokeys.services import Services, build_services
from twokeys.types import Sampling, Settings

ROWS = AnswerSchema.of(
    {
        "type": "array",
        "minItems": 2,
        "maxItems": 3,
        "items": {
            "type": "object",
            "properties": {
                "name": {"type": "string", "maxLength": 12},
                "day": {"type": "string", "format": "date"},
            },
            "required": ["name", "day"],
        },
    },
    "rows",
)
WAIT_S = 120


@pytest.fixture(scope="module")
def services(
    llama_server: str, smollm2: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Services]:
    home = str(tmp_path_factory.mktemp("home"))
    with running_server(llama_server, smollm2, "-c", "2048", "-np", "1") as url:
        built = build_services(load_config({"TWOKEYS_HOME": home}, model=url))
        yield built
        built.close()


def test_a_cut_answer_of_a_server_goes_on_within_its_schema_until_it_is_valid(services: Services) -> None:
    sampling = Sampling(temperature=1.5, top_k=0, max_new_tokens=9, seed=5)
    topic = services.conversations.new(Settings(sampling=sampling, answer_schema=ROWS)).id
    sent = services.answers.send(topic, "List deliveries.")
    parts = []
    for _ in range(40):
        services.jobs.wait(sent.job.id, WAIT_S)
        answer = services.repository.get_message(sent.answer_message.id)
        assert answer.content.startswith("".join(parts)), "what was there stays"
        parts = [answer.content]
        validity = answer_validity(answer)
        assert validity is not None
        if answer.finish_reason != "length":
            break
        assert validity.state == "cut", "never called valid while it is cut"
        sent = services.answers.continue_(answer.id)
    assert (answer.finish_reason, validity.state) == ("stop", "valid"), answer.content
    assert len(answer.provenance.parts) > 2
    assert 2 <= len(json.loads(answer.content)) <= 3
