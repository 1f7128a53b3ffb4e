"""The data folder disappears under a running app: told once, nothing lost while it can come back."""

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.core.making import conversation, until

from twokeys.config import load_config
from twokeys.engines.scripted import Say, ScriptedEngine
from twokeys.errors import StoreGone
from twokeys.services import build_services
from twokeys.store.repository import Repository

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="an open file cannot be moved there")

TEXT = "A word and another one. " * 20


def test_an_answer_in_a_home_that_was_moved_is_unsaved_and_stored_when_it_is_back(home: Path) -> None:
    services = build_services(load_config(), engine=ScriptedEngine([Say(TEXT, delay_s=0.02)]))
    events: list[dict[str, Any]] = []
    try:
        topic = conversation(services).id
        services.jobs.topics.subscribe(topic, events.append)
        sent = services.answers.send(topic, "hello")
        until(lambda: len(services.jobs.view(sent.job.id).text) > 30)  # type: ignore[union-attr]
        away = home.with_name("moved")
        home.rename(away)
        ended = services.jobs.wait(sent.job.id, 30)
        assert (ended.state, ended.unsaved) == ("done", True)
        with pytest.raises(StoreGone):
            services.conversations.new()
        assert len(services.repository.list_conversations()) == 1, "what is there can still be read"
        away.rename(home)
        until(lambda: services.jobs.views(topic) == [], 20)
        notices = [event["error"] for event in events if event["type"] == "notice"]
        assert [notice and notice["code"] for notice in notices] == ["store_gone", None]
        assert services.repository.get_message(sent.answer_message.id).content == ended.text
    finally:
        services.close()


def test_another_folder_in_its_place_is_not_taken_for_it(home: Path) -> None:
    config = load_config()
    repository = Repository.open(config)
    made = repository.create_conversation()
    shutil.rmtree(home)
    home.mkdir()
    Repository.open(config).close()
    with pytest.raises(StoreGone):
        repository.update_conversation(made.id, pinned=True)
    repository.close()


def test_a_removed_run_folder_does_not_make_a_living_apps_answer_interrupted(home: Path) -> None:
    services = build_services(load_config(), engine=ScriptedEngine([Say(TEXT, delay_s=0.02)]))
    try:
        topic = conversation(services).id
        sent = services.answers.send(topic, "hello")
        until(lambda: len(services.jobs.view(sent.job.id).text) > 30)  # type: ignore[union-attr]
        shutil.rmtree(home / "run")
        until(lambda: bool(list(home.glob("run/app-*.lock"))))
        other = Repository.open(load_config())
        assert other.recover_interrupted() == []
        other.close()
        ended = services.jobs.wait(sent.job.id, 30)
        assert (ended.state, ended.unsaved) == ("done", False)
    finally:
        services.close()
