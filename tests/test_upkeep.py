import threading

from tests.core.making import until

from twokeys.config import load_config
from twokeys.engines.scripted import Say, ScriptedEngine
from twokeys.errors import NotFound, StoreLocked
from twokeys.services import build_services
from twokeys.upkeep import Upkeep


def test_it_looks_again_and_again_also_after_a_failure_and_ends_when_asked() -> None:
    looked = threading.Semaphore(0)
    failures = [StoreLocked(path="x"), RuntimeError("a fault")]

    def act() -> None:
        looked.release()
        if failures:
            raise failures.pop(0)

    upkeep = Upkeep(act, first_s=0.0, every_s=0.001)
    upkeep.start()
    assert all(looked.acquire(timeout=10) for _ in range(4))
    upkeep.close()
    upkeep.close()
    assert not any(thread.name == "twokeys-upkeep" for thread in threading.enumerate())


def test_closing_before_the_first_look_needs_no_wait() -> None:
    upkeep = Upkeep(lambda: None, first_s=3600.0)
    upkeep.start()
    upkeep.close()
    assert not any(thread.name == "twokeys-upkeep" for thread in threading.enumerate())


def test_a_running_app_removes_what_was_deleted_long_ago_by_itself() -> None:
    services = build_services(load_config(), engine=ScriptedEngine([Say("x")]))
    try:
        made = services.conversations.new()
        services.repository.delete_conversation(made.id)
        with services.repository._db.write() as db:
            db.execute("UPDATE conversations SET deleted_at = 1")

        def gone() -> bool:
            try:
                services.repository.get_conversation(made.id)
            except NotFound:
                return True
            return False

        until(gone, 30)
    finally:
        services.close()
