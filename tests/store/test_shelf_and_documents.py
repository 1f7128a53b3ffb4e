from concurrent.futures import ThreadPoolExecutor

import pytest

from twokeys.errors import BadInput, NotFound
from twokeys.store.repository import Repository
from twokeys.types import Candidate, GuardEvent, Preset, TokenProb

from .making import Maker


def test_settings_keep_any_json_value(repository: Repository) -> None:
    for value in (None, 0, 1.5, "文", [1, {"a": None}], {"b": True}):
        repository.set_setting("key", value)
        assert repository.get_setting("key", "default") == value
    repository.delete_setting("key")
    repository.delete_setting("key")
    assert repository.get_setting("key", "default") == "default"


def test_own_presets_are_saved_renamed_and_deleted(repository: Repository) -> None:
    warm = Preset("温和", "own", {"temperature": 0.6, "stop": ["终"]}, True, "你是编辑")
    cold = Preset("cold", "own", {"temperature": 0.1})
    repository.save_preset(warm)
    repository.save_preset(cold)
    assert repository.list_presets() == [warm, cold]
    repository.save_preset(Preset("cold", "own", {"temperature": 0.2}))
    repository.rename_preset("温和", " 暖 ")
    assert [(p.name, p.changes["temperature"]) for p in repository.list_presets()] == [
        ("暖", 0.6),
        ("cold", 0.2),
    ]
    with pytest.raises(BadInput):
        repository.rename_preset("暖", "cold")
    repository.delete_preset("cold")
    assert [p.name for p in repository.list_presets()] == ["暖"]
    for call in (lambda: repository.delete_preset("cold"), lambda: repository.rename_preset("cold", "x")):
        with pytest.raises(NotFound):
            call()


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 81])
def test_a_preset_needs_a_usable_name(repository: Repository, name: str) -> None:
    with pytest.raises(BadInput):
        repository.save_preset(Preset(name, "own", {}))


def test_the_speed_of_a_model_is_the_median_of_its_latest_answers(repository: Repository) -> None:
    assert repository.speed("7b") is None
    for value in [1000.0] * 5 + [10.0] * 20:
        repository.record_speed("7b", value)
    repository.record_speed("0.5b", 40.0, 300.0)
    slow, quick = repository.speed("7b"), repository.speed("0.5b")
    assert slow is not None and (slow.tok_per_s, slow.prompt_tok_per_s, slow.samples) == (10.0, None, 20)
    assert quick is not None and (quick.tok_per_s, quick.prompt_tok_per_s) == (40.0, 300.0)


def test_probabilities_and_events_of_an_answer_come_back(repository: Repository, make: Maker) -> None:
    _, (_, answer) = make.talk("问", "答案")
    probs = [
        TokenProb("答", 5, -0.1234, 0, (Candidate("答", 5, -0.1234), Candidate("", 9, -2.5))),
        TokenProb("", 6, 0.0, 1),
    ]
    assert repository.get_probs(answer.id) == []
    repository.put_probs(answer.id, [TokenProb("x", 1, -1.0)])
    repository.put_probs(answer.id, probs)
    assert repository.get_probs(answer.id) == probs
    events = [GuardEvent("loop", "warn", 10, 20, {"period": 3}), GuardEvent("stall", "note", 11, 22)]
    repository.add_events(answer.id, events[:1])
    repository.add_events(answer.id, events[1:])
    assert repository.events(answer.id) == events


def test_documents_are_listed_by_kind_changed_deleted_and_brought_back(repository: Repository) -> None:
    study = repository.documents.create("study", "温度研究", {"cells": [0.3, 0.7]})
    repository.documents.create("comparison")
    assert [d.id for d in repository.documents.of_kind("study")] == [study.id]
    changed = repository.documents.update(study.id, data={"cells": []})
    assert (changed.title, changed.data) == ("温度研究", {"cells": []})
    token = repository.documents.delete(study.id)
    assert repository.documents.of_kind("study") == []
    repository.undo(token)
    assert repository.documents.get(study.id).data == {"cells": []}
    for call in (
        lambda: repository.documents.get("no"),
        lambda: repository.documents.update("no", title="x"),
        lambda: repository.documents.delete("no"),
        lambda: repository.documents.put_row("no", "k", {}),
        lambda: repository.documents.add_vote("no", "k", {}),
    ):
        with pytest.raises(NotFound):
            call()


def test_a_document_is_changed_by_several_at_once_without_losing_one(repository: Repository) -> None:
    document = repository.documents.create("comparison", data={"done": []})

    def add(number: int) -> None:
        repository.documents.change(document.id, lambda data: {"done": [*data["done"], number]})

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(add, range(40)))
    assert sorted(repository.documents.get(document.id).data["done"]) == list(range(40))
    with pytest.raises(NotFound):
        repository.documents.change("no", dict)


def test_a_row_is_stored_once_and_putting_it_again_is_harmless(repository: Repository) -> None:
    study = repository.documents.create("study")
    assert repository.documents.put_row(study.id, "0.3/1", {"text": "一"})
    assert not repository.documents.put_row(study.id, "0.3/1", {"text": "二"})
    assert repository.documents.put_row(study.id, "0.7/1", {"text": "三"})
    assert [(r.key, r.data["text"]) for r in repository.documents.rows(study.id)] == [
        ("0.3/1", "一"),
        ("0.7/1", "三"),
    ]
    repository.documents.put_row(study.id, "0.3/1", {"text": "新"}, replace=True)
    row = repository.documents.get_row(study.id, "0.3/1")
    assert row is not None and row.data == {"text": "新"}
    assert repository.documents.row_keys(study.id) == {"0.3/1", "0.7/1"}
    assert repository.documents.get_row(study.id, "no") is None


def test_votes_are_kept_with_and_without_a_document(repository: Repository) -> None:
    comparison = repository.documents.create("comparison")
    blind = repository.documents.add_vote(comparison.id, "blind", {"winner": 2})
    other = repository.documents.add_vote(None, "answer", {"good": True})
    assert repository.documents.votes(comparison.id) == [blind]
    assert repository.documents.votes() == [blind, other]


def test_several_rows_are_stored_together_and_read_by_the_beginning_of_their_keys(
    repository: Repository,
) -> None:
    study = repository.documents.create("study")
    rows = {"a/0/1": {"v": [1.5, None]}, "t/0/1": {"text": "一"}, "a/0/10": {"v": [2.0]}}
    assert repository.documents.put_rows(study.id, rows) == 3
    assert repository.documents.put_rows(study.id, {"a/0/1": {"v": []}, "a/1/0": {"v": [3.0]}}) == 1
    assert repository.documents.row_values(study.id, "a/") == [
        {"v": [1.5, None]}, {"v": [2.0]}, {"v": [3.0]},
    ]  # fmt: skip
    assert repository.documents.count_rows(study.id, "a/0/") == 2
    assert repository.documents.count_rows(study.id) == 4
    with pytest.raises(NotFound):
        repository.documents.put_rows("nothing", {"k": {}})
