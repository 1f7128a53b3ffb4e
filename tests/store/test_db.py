import contextlib
import os
import sqlite3
import stat
import sys
import threading
import time
from pathlib import Path

import pytest

from twokeys.config import Config
from twokeys.errors import StoreCorrupt, StoreError, StoreFull, StoreLocked, StoreNewer
from twokeys.store.db import Database
from twokeys.store.repository import Repository

from .making import Maker, message, shown, start_python

FILL_UNTIL_LIMIT = """
import resource, sys, time
from pathlib import Path
from twokeys.config import Config
from twokeys.errors import StoreFull
from twokeys.store.repository import Repository
from twokeys.types import Message

repository = Repository.open(Config(home=Path(sys.argv[1])))
conversation = repository.create_conversation()
answer = Message("a1", conversation.id, None, "assistant", "", time.time(), state="streaming")
repository.begin(answer)
limit = Path(sys.argv[1], "twokeys.db-wal").stat().st_size + 300_000
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
number = 0
try:
    while True:
        repository.append(answer.id, f"{number} " + "x" * 2000)
        number += 1
except StoreFull:
    print(conversation.id, number, flush=True)
"""


def fill(config: Config, count: int = 300) -> None:
    repository = Repository.open(config)
    make = Maker(repository, time.time())
    conversation = make.conversation("标题")
    repository.add_messages(
        [message(conversation.id, None, "user", f"{n} " + "内容" * 200) for n in range(count)]
    )
    repository.close()


def overwrite(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


@pytest.mark.skipif(sys.platform == "win32", reason="modes belong to POSIX")
def test_the_database_and_its_helpers_are_readable_by_the_owner_only(home: Path) -> None:
    before = os.umask(0)
    try:
        config = Config(home=home)
        repository = Repository.open(config)
        repository.create_conversation()
        modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in home.iterdir() if p.is_file()}
        run_mode = stat.S_IMODE(config.run_dir.stat().st_mode)
        locks = [stat.S_IMODE(p.stat().st_mode) for p in config.run_dir.iterdir()]
        repository.close()
    finally:
        os.umask(before)
    assert {"twokeys.db", "twokeys.db-wal", "twokeys.db-shm"} <= set(modes)
    assert set(modes.values()) == {0o600}
    assert run_mode == 0o700 and set(locks) == {0o600}


@pytest.mark.skipif(sys.platform == "win32", reason="modes belong to POSIX")
def test_a_database_left_open_to_others_is_closed_to_them(config: Config) -> None:
    fill(config, 1)
    config.database.chmod(0o644)
    Repository.open(config).close()
    assert stat.S_IMODE(config.database.stat().st_mode) == 0o600


@pytest.mark.parametrize("where", ["header", "middle", "cut", "not a database"])
def test_a_corrupt_database_is_refused_a_copy_is_kept_and_nothing_overwritten(
    config: Config, where: str
) -> None:
    fill(config)
    size = config.database.stat().st_size
    if where == "header":
        overwrite(config.database, 0, b"garbage!" * 4)
    elif where == "middle":
        overwrite(config.database, 4096 * 12, os.urandom(size - 4096 * 24))
    elif where == "cut":
        os.truncate(config.database, size // 2)
    else:
        config.database.write_bytes(b"<html>not a database</html>" * 1000)
    damaged = config.database.read_bytes()
    for _ in range(2):
        with pytest.raises(StoreCorrupt) as caught:
            Repository.open(config)
        copy = Path(caught.value.params["backup"])
        assert copy.parent == config.backups_dir
        assert copy.read_bytes() == damaged == config.database.read_bytes()
        assert stat.S_IMODE(copy.stat().st_mode) == 0o600
        for language in ("zh", "en"):
            assert str(copy) in caught.value.message(language)
    assert len(list(config.backups_dir.glob("*unreadable*.db"))) == 1


def test_damage_met_while_working_is_said_and_a_copy_is_kept(config: Config) -> None:
    fill(config, 3000)
    database = Database(config.database, backups=config.backups_dir)
    size = config.database.stat().st_size
    overwrite(config.database, 4096 * 20, b"\xff" * (size - 4096 * 40))
    for connection in database._idle:
        connection.execute("PRAGMA shrink_memory")
    with pytest.raises(StoreCorrupt) as caught, database.read() as db:
        db.execute("SELECT sum(length(content)) FROM messages").fetchall()
    assert Path(caught.value.params["backup"]).is_file()
    database.close()


def test_changes_beside_an_emptied_database_are_not_thrown_away(config: Config) -> None:
    fill(config, 1)
    config.database.write_bytes(b"")
    wal = Path(f"{config.database}-wal")
    wal.write_bytes(b"changes that were not folded yet")
    with pytest.raises(StoreCorrupt):
        Repository.open(config)
    assert wal.read_bytes() == b"changes that were not folded yet"


def test_a_leftover_of_a_removed_database_is_set_aside(config: Config) -> None:
    wal = Path(f"{config.database}-wal")
    wal.write_bytes(b"leftover")
    Repository.open(config).close()
    assert [p.read_bytes() for p in config.backups_dir.iterdir()] == [b"leftover"]


def test_a_database_of_a_newer_version_is_refused_and_untouched(config: Config) -> None:
    fill(config, 1)
    with contextlib.closing(sqlite3.connect(config.database)) as db:
        db.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) "
            "VALUES ('twokeys', 'm999_later', '')"
        )
        db.commit()
    before = config.database.read_bytes()
    with pytest.raises(StoreNewer) as caught:
        Repository.open(config)
    assert caught.value.params["found"] == "m999_later"
    assert config.database.read_bytes() == before


@pytest.mark.parametrize("statement", ["BEGIN IMMEDIATE", "PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE"])
def test_a_database_held_by_another_program_is_reported_as_locked(config: Config, statement: str) -> None:
    fill(config, 1)
    script = (
        "import sqlite3, sys\n"
        "connection = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "for part in sys.argv[2].split(';'): connection.execute(part).fetchall()\n"
        "connection.execute(\"INSERT INTO app_settings VALUES ('held', '1')\")\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()\n"
    )
    holder = start_python(script, config.database, statement)
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    try:
        with pytest.raises(StoreLocked):
            database = Database(config.database, backups=config.backups_dir, busy_timeout_s=0.3)
            try:
                with database.write() as db:
                    db.execute("INSERT INTO app_settings VALUES ('k', '1')")
            finally:
                database.close()
    finally:
        holder.communicate()
    repository = Repository.open(config)
    repository.set_setting("k", 2)
    assert repository.get_setting("k") == 2 and repository.get_setting("held") is None
    repository.close()


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits belong to POSIX")
def test_disk_full_while_journalling_is_said_and_what_was_written_stays(config: Config) -> None:
    app = start_python(FILL_UNTIL_LIMIT, config.home)
    output, _ = app.communicate(timeout=60)
    conversation_id, pieces = output.split()
    assert app.returncode == 0 and int(pieces) > 5
    repository = Repository.open(config)
    assert repository.recover_interrupted() == ["a1"]
    text = repository.branch(conversation_id)[-1].content
    assert [part.split()[0] for part in text.split("x" * 2000)[:-1]] == [str(n) for n in range(int(pieces))]
    assert repository.check() == []
    repository.close()


def test_a_full_database_refuses_the_piece_and_takes_it_when_there_is_room_again(config: Config) -> None:
    fill(config, 10)
    pages = config.database.stat().st_size // 4096
    tight = Repository(Database(config.database, max_pages=pages + 10), config.run_dir)
    make = Maker(tight, time.time())
    conversation = make.conversation()
    answer = make.begin(conversation.id)
    stored = 0
    with pytest.raises(StoreFull):
        for number in range(1000):
            tight.append(answer.id, f"{number} " * 500)
            stored = number
    for _ in range(3):
        with pytest.raises(StoreFull):
            tight.append(answer.id, f"{stored + 1} " * 500)
    assert shown(tight, conversation.id)[-1].split()[-1] == str(stored)
    for connection in tight._db._idle:
        connection.execute("PRAGMA max_page_count=100000")
    tight.append(answer.id, f"{stored + 1} " * 500)
    numbers = shown(tight, conversation.id)[-1].split()[::500]
    assert numbers == [str(n) for n in range(stored + 2)]
    tight.close()


def test_a_folder_that_cannot_hold_a_database_is_explained(home: Path) -> None:
    blocked = home / "file"
    blocked.write_text("not a folder")
    with pytest.raises(StoreError) as caught:
        Repository.open(Config(home=blocked))
    assert str(blocked) in caught.value.message("zh")


def test_a_closed_database_says_so_and_closing_twice_is_harmless(config: Config) -> None:
    repository = Repository.open(config)
    repository.close()
    repository.close()
    with pytest.raises(StoreError):
        repository.list_conversations()
    assert not list(config.run_dir.glob("app-*.lock"))
    assert not Path(f"{config.database}-wal").exists()


def test_threads_that_come_and_go_do_not_pile_up_connections(repository: Repository) -> None:
    for _ in range(50):
        thread = threading.Thread(target=repository.list_conversations)
        thread.start()
        thread.join()
    assert len(repository._db._idle) == 1


def test_a_long_read_sees_one_state_while_others_write(config: Config) -> None:
    repository = Repository.open(config)
    with repository._db.read() as db:
        before = db.execute("SELECT count(*) FROM conversations").fetchone()[0]
        thread = threading.Thread(target=repository.create_conversation)
        thread.start()
        thread.join()
        assert db.execute("SELECT count(*) FROM conversations").fetchone()[0] == before
    assert repository.count_conversations() == before + 1
    repository.close()


def test_many_apps_starting_at_once_on_an_empty_home_all_come_up(config: Config) -> None:
    script = (
        "import sys\nfrom pathlib import Path\nfrom twokeys.config import Config\n"
        "from twokeys.store.repository import Repository\n"
        "repository = Repository.open(Config(home=Path(sys.argv[1])))\n"
        "repository.create_conversation()\nprint('ok', flush=True)\nrepository.close()\n"
    )
    apps = [start_python(script, config.home) for _ in range(4)]
    assert [app.communicate(timeout=60)[0] for app in apps] == ["ok\n"] * 4
    repository = Repository.open(config)
    assert repository.count_conversations() == 4
    repository.close()
