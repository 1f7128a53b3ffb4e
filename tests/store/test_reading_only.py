"""On a full disk and in a read-only folder the history can still be read and taken elsewhere."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from twokeys.config import Config
from twokeys.errors import StoreError, StoreReadOnly
from twokeys.store.repository import Repository

from .making import Maker, shown

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="limits and modes belong to POSIX")

# The commands run once in a home of their own: what they import on the way is loaded before the change of
# user, which may hide Python's own files.
RUN = """
import os, resource, sys
from twokeys.cli import main

def run_all(home, conversation_id):
    os.environ["TWOKEYS_HOME"] = home
    codes = []
    for arguments in (["list"], ["search", "amber"], ["export", conversation_id]):
        sys.argv = ["twokeys", "--lang", "en", "conversations", *arguments]
        try:
            codes.append(main())
        except SystemExit as end:
            codes.append(end.code)
    return codes

how, home, warm, conversation_id = sys.argv[1:]
run_all(warm, conversation_id)
print("----", flush=True)
print("----", file=sys.stderr, flush=True)
if how == "full":
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
elif os.getuid() == 0:
    os.setuid(65534)
sys.exit(0 if set(run_all(home, conversation_id)) <= {0, None} else 1)
"""


CONTENT = ("twokeys.db", "twokeys.db-wal")


@pytest.fixture
def open_home() -> Iterator[Path]:
    """A home that another user can enter, for tests that run as root."""
    folder = Path(tempfile.mkdtemp(prefix="twokeys-test-"))
    folder.chmod(0o755)
    yield folder / "home"
    for path in folder.rglob("*"):
        if path.is_dir():
            path.chmod(0o755)
    shutil.rmtree(folder)


def fill(home: Path, *, killed: bool) -> str:
    """Make a home with a conversation; killed: as a dead app leaves it, its last texts in the log."""
    home.mkdir(mode=0o755)
    config = Config(home=home)
    repository = Repository.open(config)
    conversation, _ = Maker(repository, time.time()).talk("amber question", "amber answer", title="Amber")
    if killed:
        held = {p: p.read_bytes() for p in home.glob("twokeys.db*")}
        repository.close()
        for path, data in held.items():
            path.write_bytes(data)
        assert Path(f"{config.database}-wal").stat().st_size > 0
    else:
        repository.close()
    return conversation.id


@pytest.mark.parametrize("with_shm", [False, True])
@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("how", ["full", "read-only"])
def test_history_is_listed_found_and_exported(
    open_home: Path, tmp_path: Path, how: str, killed: bool, with_shm: bool
) -> None:
    conversation_id = fill(open_home, killed=killed)
    if killed and not with_shm:
        Path(f"{open_home}/twokeys.db-shm").unlink()
    if how == "read-only":
        for path in open_home.rglob("*"):
            path.chmod(0o555 if path.is_dir() else 0o444)
        open_home.chmod(0o555)
    before = {name: open_home.joinpath(name).read_bytes() for name in CONTENT if (open_home / name).exists()}
    fill(tmp_path / "warm", killed=False)
    command = [sys.executable, "-c", RUN, how, str(open_home), str(tmp_path / "warm"), conversation_id]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd="/")
    reported, said = ran.stdout.split("----")[-1], ran.stderr.split("----")[-1]
    assert ran.returncode == 0, said
    assert "Amber" in reported and "amber question" in reported and "amber answer" in reported
    assert said.count("Opened for reading only") == 3
    assert {name: (open_home / name).read_bytes() for name in before} == before


def test_a_store_opened_for_reading_refuses_every_change_and_says_why(config: Config) -> None:
    repository = Repository.open(config)
    conversation, _ = Maker(repository, time.time()).talk("question")
    repository.close()
    reading = Repository.open_for_reading(config)
    assert shown(reading, conversation.id) == ["question"]
    for change in (
        lambda: reading.create_conversation(),
        lambda: reading.set_setting("a", 1),
        lambda: reading.delete_conversation(conversation.id),
        lambda: reading.bin.keep_days(7),
    ):
        with pytest.raises(StoreReadOnly):
            change()
    reading.close()
    assert not list(config.run_dir.glob("app-*.lock"))


def test_without_a_database_there_is_nothing_to_read(config: Config) -> None:
    with pytest.raises(StoreError):
        Repository.open_for_reading(config)
    assert not config.database.exists()


def test_a_running_apps_database_can_be_read_beside_it(config: Config) -> None:
    app = Repository.open(config)
    conversation, _ = Maker(app, time.time()).talk("question")
    reading = Repository.open_for_reading(config)
    assert shown(reading, conversation.id) == ["question"]
    Maker(app, time.time()).talk("later")
    assert reading.count_conversations() == 2
    reading.close()
    app.close()
    assert os.listdir(config.run_dir) == []
