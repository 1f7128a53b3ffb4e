import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from twokeys.config import Config
from twokeys.store.migrations import STEPS, run
from twokeys.store.repository import Repository

NAMES = [step.__name__ for step in STEPS]


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


def test_shipped_steps_stand_in_their_order() -> None:
    assert NAMES[:6] == [
        "m001_chats",
        "m002_answers_in_the_making",
        "m003_settings_presets_speeds",
        "m004_documents",
        "m005_search",
        "m006_conversation_kinds",
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


def test_a_start_with_no_step_to_run_imports_no_pandas(config: Config) -> None:
    Repository.open(config).close()
    code = (
        "import sys; from pathlib import Path; from twokeys.config import Config; "
        "from twokeys.store.repository import Repository; "
        "Repository.open(Config(home=Path(sys.argv[1]))).close(); "
        "print({'pandas', 'sqlite_utils'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(config.home)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


def test_a_step_that_fails_leaves_the_old_tables(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    Repository.open(config).close()
    before = schema(config.database)

    def m900_half(db: Any) -> None:
        db.conn.execute("CREATE TABLE half (a)")
        raise RuntimeError("a fault in the step")

    monkeypatch.setattr("twokeys.store.db.STEPS", [*STEPS, m900_half])
    with pytest.raises(RuntimeError):
        Repository.open(config)
    assert schema(config.database) == before
    monkeypatch.setattr("twokeys.store.db.STEPS", STEPS)
    Repository.open(config).close()
