"""The model that is loaded when a page is opened."""

import time
from dataclasses import replace

import pytest

from twokeys.core.early_start import EarlyStart, is_ample
from twokeys.services import Services


def wait_until_running(services: Services, timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not services.engines.running():
        assert time.monotonic() < deadline, "the worker did not start"
        time.sleep(0.02)


def test_opening_a_page_loads_the_model_once_and_a_cleared_one_stays_unloaded(services: Services) -> None:
    early = EarlyStart(services.jobs, services.engines, services.memory_plan, lambda: True, after_s=0.0)
    assert not services.engines.running()
    assert early.page_opened()
    wait_until_running(services)
    services.force_clear.release(None)
    assert not early.page_opened()
    assert not services.engines.running()


def test_a_person_can_have_the_model_loaded_with_the_first_message_only(services: Services) -> None:
    assert services.starts_early(), "that is how it begins"
    services.set_starts_early(False)
    assert not services.starts_early()


def test_memory_is_ample_where_half_of_it_is_left_to_others(services: Services) -> None:
    plan = services.memory_plan()
    assert plan is not None
    needed = plan.needs.total_bytes
    roomy, tight = (replace(plan.room, host_bytes=round(needed * share)) for share in (2.1, 1.9))
    assert is_ample(replace(plan, room=roomy, fits=True))
    assert not is_ample(replace(plan, room=tight, fits=True))
    assert not is_ample(replace(plan, room=roomy, fits=False))


@pytest.mark.parametrize("wanted", [True, False])
def test_only_where_it_is_wanted(services: Services, wanted: bool) -> None:
    early = EarlyStart(services.jobs, services.engines, services.memory_plan, lambda: wanted)
    assert early._may_start() is wanted
