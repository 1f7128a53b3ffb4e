"""Mutated files of every format: read or refused with our own error, and what is stored can be shown.

Seeded, so that a failure comes again; the number of rounds is small here and can be raised by hand.
"""

import io
import json
import os
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from twokeys.config import Config, prepare_home
from twokeys.core.guard.wording import describe
from twokeys.core.provenance import cut_back, cut_loop, turning_point
from twokeys.errors import BadFile
from twokeys.store.exchange import Exchange
from twokeys.store.repository import Repository
from twokeys.web.component import message_view

FORMATS = Path(__file__).parents[1] / "store" / "formats"
ROUNDS = int(os.environ.get("TWOKEYS_MUTATIONS", "300"))
ODD: tuple[Any, ...] = (
    None, True, -1, 0, 5, 2**64, 1e308, "", "x", "\ud800", [], ["x"], [[]], [[[1]]], {}, {"x": 1},
    {"role": []},
    float("nan"), float("inf"), -float("inf"), "9" * 50, 10**400,
)  # fmt: skip


@pytest.fixture
def config(home: Path) -> Config:
    made = Config(home=home)
    prepare_home(made)
    return made


def own_export() -> dict[str, Any]:
    event = ["decay", "warn", 5, 3, {"cut_at_char": 3, "cut_suffix": "", "rep": 0.5, "new": 0.4}]
    guard = {"kind": "decay", "level": "warn", "at_token": 5, "at_char": 3, "data": event[4]}
    part = {
        "sampling_set": {"temperature": 0.7, "max_new_tokens": 100, "stop": ["x"]},
        "timings": {"total_s": 1.5, "ttft_s": None},
        "guard": [guard],
        "completion_tokens": 4,
        "from_char": 0,
        "removed_tail": "tail",
    }
    report = {"decay": {"series": [[10, 0.1, 0.2, 0.3]], "downhill_at": 4}}
    changed = [{"name": "temperature", "before": 0.7, "after": 0.9}]
    provenance = {**part, "parts": [part], "guard_report": report, "changed": changed, "excluded": ["q"]}
    messages: list[dict[str, Any]] = [
        {
            "id": "q",
            "parent_id": None,
            "role": "user",
            "content": "a question",
            "created_at": 1,
            "state": "done",
        },
        {
            "id": "a",
            "parent_id": "q",
            "role": "assistant",
            "content": "an answer",
            "created_at": 2,
            "state": "failed",
            "finish_reason": "error",
            "provenance": provenance,
            "token_ids": [1, 2],
            "error": {"code": "engine_died", "params": {"reason": "x"}},
            "events": [event],
            "probs": [["an", 1, -0.1, 0, [["an", 1, -0.1]]]],
        },
    ]
    conversation = {
        "id": "c", "title": "t", "title_by": "person", "created_at": 1, "updated_at": 2, "head_id": "a",
        "settings": {"sampling": {"temperature": 0.5}}, "messages": messages,
    }  # fmt: skip
    return {"format": "twokeys.conversations", "version": 1, "conversations": [conversation]}


def chatgpt_export() -> list[Any]:
    def node(key: str, parent: str | None, role: str) -> dict[str, Any]:
        message = {
            "author": {"role": role},
            "content": {"content_type": "text", "parts": [key]},
            "create_time": 1,
        }
        return {"id": key, "parent": parent, "message": message}

    mapping = {"q": node("q", None, "user"), "a": node("a", "q", "assistant")}
    return [{"title": "t", "create_time": 1, "mapping": mapping, "current_node": "a", "conversation_id": "x"}]


def documents() -> list[Any]:
    read = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(FORMATS.glob("*.json"))]
    lines = (FORMATS / "sillytavern.jsonl").read_text(encoding="utf-8").splitlines()
    return [own_export(), own_export(), own_export(), chatgpt_export(), *read, [json.loads(x) for x in lines]]


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) in a document."""
    result: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        at = waiting.pop()
        inner = at.items() if isinstance(at, dict) else enumerate(at) if isinstance(at, list) else ()
        for key, below in inner:
            result.append((at, key))
            waiting.append(below)
    return result


def mutate(document: Any, draw: random.Random) -> Any:
    changed = json.loads(json.dumps(document))
    for _ in range(draw.randint(1, 3)):
        container, key = draw.choice(places(changed))
        act = draw.randrange(4)
        if act == 0:
            del container[key]
        elif act == 1 and isinstance(container, list):
            container.append(container[key])
        elif act == 2:
            for _ in range(draw.choice((1, 5, 60, 400))):
                container[key] = [container[key]] if draw.random() < 0.5 else {"x": container[key]}
        else:
            container[key] = draw.choice(ODD)
        if not places(changed):
            break
    return changed


def as_bytes(document: Any, draw: random.Random) -> bytes:
    data = json.dumps(document).encode()
    if draw.random() < 0.2:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("conversations.json", data)
        data = packed.getvalue()
    if draw.random() < 0.25:
        broken = bytearray(data)
        for _ in range(draw.randint(1, 6)):
            broken[draw.randrange(len(broken))] = draw.randrange(256)
        data = bytes(broken[: draw.randint(1, len(broken))] if draw.random() < 0.3 else broken)
    return data


def show_everything(repository: Repository) -> None:
    """Do what the screens, the exports and a continuation do with a stored conversation."""
    exchange = Exchange(repository)
    for conversation in repository.list_conversations(500):
        exchange.export_markdown(conversation.id, "en")
        json.loads(exchange.export_json([conversation.id], with_probs=True), parse_constant=refuse)
        for message in repository.all_messages(conversation.id):
            view = json.dumps(message_view(message), allow_nan=False)
            assert "NaN" not in view
            for acting in (cut_loop, cut_back, turning_point):
                acting(message)  # type: ignore[operator]
            for language in ("zh", "en"):
                for event in repository.events(message.id):
                    describe(event, language)
                for event in message.provenance.guard:
                    describe(event, language)


def refuse(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


@pytest.mark.parametrize("seed", range(4))
def test_a_mutated_file_is_read_or_refused_and_what_came_in_can_be_shown(config: Config, seed: int) -> None:
    draw = random.Random(seed)
    repository = Repository.open(config)
    taken = refused = 0
    for _ in range(ROUNDS):
        data = as_bytes(mutate(draw.choice(documents()), draw), draw)
        try:
            taken += len(Exchange(repository).import_file(data, "x.json", again=True).conversation_ids)
        except BadFile:
            refused += 1
    assert taken > ROUNDS / 10 and refused > 0
    show_everything(repository)
    assert repository.check() == []
    repository.close()


def edit(**values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda provenance: provenance.update(values)


@pytest.mark.parametrize(
    "odd",
    [
        edit(guard=5),
        edit(parts=["x"]),
        edit(sampling_set="x"),
        edit(timings=[1]),
        edit(guard=[{"kind": "loop"}]),
        edit(guard=[{"kind": "no such", "level": "warn", "at_token": 1, "at_char": 1, "data": {}}]),
        edit(guard_report={"decay": "x"}),
        edit(guard_report={"decay": {"series": "x"}}),
        edit(changed=[{"name": 5}]),
        edit(completion_tokens=float("nan")),
        edit(timings={"total_s": float("inf")}),
    ],
)
def test_an_odd_value_in_a_stored_record_never_hides_a_conversation(
    config: Config, odd: Callable[[dict[str, Any]], None]
) -> None:
    repository = Repository.open(config)
    Exchange(repository).import_file(json.dumps(own_export()).encode(), "x.json")
    provenance = own_export()["conversations"][0]["messages"][1]["provenance"]
    odd(provenance)
    with repository._db.write() as db:
        values = (json.dumps(provenance), json.dumps({"code": [], "params": "x"}))
        db.execute("UPDATE messages SET provenance = ?, error = ? WHERE id = 'a'", values)
        db.execute("UPDATE message_events SET data = '[1]', kind = 'no such'")
    assert [message.content for message in repository.branch("c")] == ["a question", "an answer"]
    assert repository.branch("c")[1].provenance.excluded == ("q",)
    show_everything(repository)
    repository.close()
