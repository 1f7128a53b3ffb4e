import gzip
import json
import sqlite3
from pathlib import Path

import pytest

from twokeys.config import Config
from twokeys.store.migrations import STEPS, run
from twokeys.store.repository import Repository
from twokeys.types import ResetMark, Settings

NAMES = [step.__name__ for step in STEPS]
OLD_FILE = Path(__file__).parent / "old" / "written_with_sqlite_utils.db.gz"
"""Two writing projects, two chats, a comparison and a study; one of each but the study deleted."""


def old_file(path: Path, until: str) -> None:
    """A database as a version before the step `until` left it, with a conversation in it."""
    connection = sqlite3.connect(path, isolation_level=None)
    run(connection, STEPS, until=until)
    connection.execute(
        "INSERT INTO conversations (id, title, title_by, created_at, updated_at, head_id) "
        "VALUES ('c1', '旧对话', 'person', 1, 2, 'm1')"
    )
    connection.execute(
        "INSERT INTO messages (id, conversation_id, role, content, created_at, state) "
        "VALUES ('m1', 'c1', 'user', '琥珀', 1, 'done')"
    )
    connection.close()


def schema(path: Path) -> set[tuple[str, str]]:
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    connection.close()
    return {(name, " ".join(sql.split())) for name, sql in rows}


def steps_recorded(path: Path) -> list[tuple[int, str]]:
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT id, name FROM _sqlite_migrations ORDER BY id").fetchall()
    connection.close()
    return rows


def test_shipped_steps_stand_in_their_order() -> None:
    assert NAMES[:7] == [
        "m001_chats",
        "m002_answers_in_the_making",
        "m003_settings_presets_speeds",
        "m004_documents",
        "m005_search",
        "m006_conversation_kinds",
        "m007_guard_not_chosen",
    ]


@pytest.mark.parametrize("until", NAMES[1:])
def test_an_old_database_is_copied_first_and_then_opens_with_all_it_held(config: Config, until: str) -> None:
    old_file(config.database, until)
    old = schema(config.database)
    repository = Repository.open(config)
    assert [c.title for c in repository.list_conversations()] == ["旧对话"]
    assert [m.content for m in repository.branch("c1")] == ["琥珀"]
    assert [hit.message_id for hit in repository.search("琥珀")] == ["m1"]
    repository.close()
    (backup,) = config.backups_dir.iterdir()
    assert until in backup.name and schema(backup) == old
    assert backup.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("until", NAMES[1:])
def test_an_old_database_ends_with_the_tables_of_a_new_one(
    config: Config, tmp_path: Path, until: str
) -> None:
    old_file(config.database, until)
    Repository.open(config).close()
    new = Config(home=tmp_path / "new")
    Repository.open(new).close()
    assert schema(config.database) == schema(new.database)


def test_a_new_database_needs_no_copy_and_opening_again_changes_nothing(config: Config) -> None:
    Repository.open(config).close()
    before = config.database.read_bytes()
    Repository.open(config).close()
    assert config.database.read_bytes() == before
    assert list(config.backups_dir.iterdir()) == []


def test_a_file_whose_steps_the_former_library_ran_goes_on_with_all_it_held(
    config: Config, tmp_path: Path
) -> None:
    config.database.write_bytes(gzip.decompress(OLD_FILE.read_bytes()))
    recorded = steps_recorded(config.database)
    repository = Repository.open(config)
    assert [c.title for c in repository.list_conversations()] == ["a question about amber"]
    assert {hit.role for hit in repository.search("amber")} == {None, "user"}
    assert [hit.role for hit in repository.search("heliotrope")] == ["assistant"]
    assert [d.title for d in repository.documents.of_kind("writing")] == ["Kept quartz"]
    (study,) = repository.documents.of_kind("study")
    assert repository.documents.row_keys(study.id) == {"a/0/0/0"}
    assert repository.get_setting("ui.language") == "zh"
    repository.close()
    assert steps_recorded(config.database)[: len(recorded)] == recorded
    assert [name for _, name in steps_recorded(config.database)] == NAMES
    new = Config(home=tmp_path / "new")
    Repository.open(new).close()
    assert schema(config.database) == schema(new.database)


@pytest.mark.parametrize("keep", [True, False])
def test_the_reset_of_a_former_version_is_a_reset_mark(config: Config, keep: bool) -> None:
    old_file(config.database, "m008_reset_marks")
    connection = sqlite3.connect(config.database)
    connection.execute("UPDATE conversations SET state_reset_at = 'm1', history_after_reset = ?", (keep,))
    connection.commit()
    connection.close()
    repository = Repository.open(config)
    talk = repository.get_conversation("c1")
    assert talk.resets == (ResetMark("m1", keep_history=keep),)
    assert (talk.state_reset_at, talk.history_after_reset) == ("m1", keep)
    repository.close()


def test_what_former_versions_only_hid_is_purged_the_hidden_conversation_of_a_text_too(
    config: Config,
) -> None:
    data = gzip.decompress(OLD_FILE.read_bytes())
    config.database.write_bytes(data)
    words = [b"malachite", b"obsidian", b"cobalt", b"jasper"]
    assert all(word in data for word in words)
    repository = Repository.open(config)
    removed = repository.bin.purge()
    assert (removed.conversations, removed.documents, removed.complete) == (3, 2, True)
    assert [d.title for d in repository.documents.of_kind("writing")] == ["Kept quartz"]
    repository.close()
    for path in config.home.rglob("*"):
        if path.is_file():
            assert [word for word in words if word in path.read_bytes()] == []


def test_a_step_that_fails_leaves_the_old_tables(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    Repository.open(config).close()
    before = schema(config.database)

    def m900_half(db: sqlite3.Connection) -> None:
        db.execute("CREATE TABLE half (a)")
        raise RuntimeError("a fault in the step")

    monkeypatch.setattr("twokeys.store.db.STEPS", [*STEPS, m900_half])
    with pytest.raises(RuntimeError):
        Repository.open(config)
    assert schema(config.database) == before
    monkeypatch.setattr("twokeys.store.db.STEPS", STEPS)
    Repository.open(config).close()


LOOKED_AT = {"loop": "off", "decay": "off", "drift": "off", "stall": "off"}


@pytest.mark.parametrize(
    ("stored", "afterwards"),
    [
        (LOOKED_AT, {}),
        ({**LOOKED_AT, "uncertainty": "off"}, {**LOOKED_AT, "uncertainty": "off"}),
        ({"loop": "off"}, {"loop": "off"}),
        ({}, {}),
    ],
    ids=["all off by looking at them", "all five off", "one off", "untouched"],
)
def test_a_guard_that_was_switched_off_by_looking_at_it_is_on_again(
    config: Config, stored: dict[str, str], afterwards: dict[str, str]
) -> None:
    old_file(config.database, "m007_guard_not_chosen")
    connection = sqlite3.connect(config.database)
    settings = {**Settings(guard=stored).to_dict(), "system_prompt": "短"}
    connection.execute("UPDATE conversations SET settings = ?", (json.dumps(settings),))
    connection.commit()
    connection.close()
    repository = Repository.open(config)
    result = repository.get_conversation("c1").settings
    repository.close()
    assert result == Settings(guard=afterwards, system_prompt="短")
