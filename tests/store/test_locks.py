import threading
from pathlib import Path

import pytest

from twokeys.store.locks import AppLock, FileLock


def test_an_app_that_starts_while_others_sweep_always_has_its_sign_of_life(tmp_path: Path) -> None:
    stop = threading.Event()
    sweeper = AppLock(tmp_path)

    def sweep() -> None:
        while not stop.is_set():
            sweeper.sweep()

    threads = [threading.Thread(target=sweep) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(1500):
            app = AppLock(tmp_path)
            assert sweeper.is_alive(app.id)
            app.release()
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_a_file_that_a_sweep_holds_is_left_for_another_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = iter(("taken", "free"))
    monkeypatch.setattr("twokeys.store.locks.new_id", lambda: next(ids))
    held = FileLock(tmp_path / "app-taken.lock")
    assert held.try_acquire()
    app = AppLock(tmp_path)
    held.release(remove=True)
    assert app.id == "free"
    monkeypatch.undo()
    assert AppLock(tmp_path).is_alive(app.id)


def test_a_removed_sign_of_life_is_given_again_and_others_see_it(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    app, other = AppLock(run_dir), AppLock(run_dir)
    for path in run_dir.iterdir():
        path.unlink()
    run_dir.rmdir()
    assert not other.is_alive(app.id)
    app.hold()
    assert other.is_alive(app.id)
    app.release()
    assert not other.is_alive(app.id)
