"""Records of answers: as JSON and back, what is stored once, and what older versions have stored."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from twokeys.core.provenance import merge_parts
from twokeys.engines.scripted import End, Say, ScriptedEngine
from twokeys.provenance import complete
from twokeys.store.db import Database
from twokeys.types import GuardEvent, PartRecord, Provenance, Timings

from .making import MakeServices, conversation

SET = {"temperature": 0.7, "max_new_tokens": 100, "seed": None, "stop": []}
USED = {**SET, "seed": 7}

OLD_ROW: dict[str, Any] = {
    "sampling_set": SET,
    "sampling_used": USED,
    "unsupported": [],
    "seed": 7,
    "model": "m",
    "preset": None,
    "excluded": ["q"],
    "history_from": None,
    "completion_tokens": 9,
    "timings": {"total_s": 3.0},
    "guard": [{"kind": "loop", "level": "warn", "at_token": 3, "at_char": 9, "data": {"rep": 0.5}}],
    "finish_reason": "length",
    "from_char": 10,
    "to_char": 30,
    "parts": [
        {"sampling_set": SET, "completion_tokens": 4, "finish_reason": "length", "to_char": 10},
        {"sampling_set": SET, "sampling_used": USED, "completion_tokens": 5, "from_char": 10, "to_char": 30},
    ],
    "something": {"new": [1]},
}


def part(**facts: Any) -> PartRecord:
    values = {"sampling_set": SET, "sampling_used": USED, "finish_reason": "stop", "to_char": 5, **facts}
    return PartRecord.from_dict(values)


def test_a_row_of_an_older_version_is_read_with_all_it_held() -> None:
    known = Provenance.from_stored(OLD_ROW)
    assert (known.model, known.seed, known.excluded, known.preset) == ("m", 7, ("q",), None)
    assert known.timings == Timings(total_s=3.0)
    assert known.guard == (GuardEvent("loop", "warn", 3, 9, {"rep": 0.5}),)
    assert [(p.completion_tokens, p.from_char) for p in known.parts] == [(4, 0), (5, 10)]
    assert known.more == {"something": {"new": [1]}}
    assert known.to_dict()["something"] == {"new": [1]}


def test_what_is_stored_comes_back_as_it_was() -> None:
    merged = merge_parts(Provenance(column=2), [part(completion_tokens=3)])
    two = merge_parts(merged, [*merged.parts, part(completion_tokens=4, from_char=5, to_char=9)])
    for known in (Provenance(), merged, two, Provenance.from_stored(OLD_ROW)):
        stored = json.loads(json.dumps(known.stored()))
        assert Provenance.from_stored(stored) == known
        assert complete(stored) == json.loads(json.dumps(known.to_dict()))


@given(st.dictionaries(st.sampled_from(["temperature", "seed", "top_k"]), st.integers() | st.none()))
def test_any_echo_of_the_parameters_comes_back(used: dict[str, Any]) -> None:
    known = merge_parts(Provenance(), [part(sampling_used=used)])
    assert Provenance.from_stored(known.stored()) == known


def test_an_answer_in_one_part_stores_its_parameters_once(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine([Say("Fine."), End()]))
    topic = conversation(services, temperature=0.4321).id
    sent = services.answers.send(topic, "hello")
    services.jobs.wait(sent.job.id, 10)
    with Database(services.config.database).read() as db:
        (row,) = db.execute(
            "SELECT provenance FROM messages WHERE id = ?", (sent.answer_message.id,)
        ).fetchall()
    assert row["provenance"].count("0.4321") == 1
    known = services.conversations.message(sent.answer_message.id).provenance
    assert known.sampling_used["temperature"] == known.sampling_set["temperature"] == 0.4321
    assert known.parts[0].sampling_used == known.sampling_used


def test_a_later_part_does_not_take_away_where_an_answer_comes_from() -> None:
    before = Provenance(column=1, replay_of="a", changed=({"name": "seed"},))
    merged = merge_parts(before, [part(preset="precise"), part(preset=None)])
    assert (merged.column, merged.replay_of, merged.changed) == (1, "a", ({"name": "seed"},))
    assert merged.preset is None


def test_an_answer_without_a_record_is_empty() -> None:
    assert not Provenance() and not Provenance.from_stored({})
    assert Provenance(model="m")
