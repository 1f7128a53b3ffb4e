"""The temperature where entropy turns, against curves whose turning point is known."""

import numpy as np
import pytest

from twokeys.core.study.turning import turning_point

TEMPERATURES = np.array([0.2, 0.5, 0.8, 1.1, 1.4, 1.7, 2.0])


def curves(at: float, *, noise: float = 0.0, prompts: int = 20) -> np.ndarray:
    """ln H of every prompt is a cubic with its point of inflexion there."""
    rng = np.random.default_rng(3)
    shape = np.exp((TEMPERATURES - at) ** 3)
    return shape * np.exp(rng.normal(0, noise, (prompts, len(TEMPERATURES))))


@pytest.mark.parametrize("at", [0.7, 1.0, 1.3])
def test_a_known_point_is_found_and_lies_in_its_interval(at: float) -> None:
    exact = turning_point(TEMPERATURES, curves(at))
    assert exact.temperature == pytest.approx(at, abs=1e-6) and exact.share == 1.0
    noisy = turning_point(TEMPERATURES, curves(at, noise=0.05))
    assert noisy.low is not None and noisy.high is not None
    assert noisy.low <= at <= noisy.high and noisy.low < noisy.high


@pytest.mark.parametrize("at", [-1.0, 3.0])
def test_a_point_outside_the_temperatures_tried_is_none(at: float) -> None:
    assert turning_point(TEMPERATURES, curves(at)).temperature is None


def test_a_curve_that_turns_the_other_way_has_no_such_point() -> None:
    falling = np.tile(np.exp(-((TEMPERATURES - 1.0) ** 3)), (5, 1))
    assert turning_point(TEMPERATURES, falling).temperature is None


def test_too_little_says_nothing() -> None:
    assert turning_point(TEMPERATURES[:4], curves(1.0)[:, :4]).share == 0.0
    assert turning_point(TEMPERATURES, curves(1.0)[:1]).temperature is None


def test_the_interval_is_the_same_each_time_for_the_same_seed() -> None:
    noisy = curves(1.0, noise=0.2)
    assert turning_point(TEMPERATURES, noisy, 5) == turning_point(TEMPERATURES, noisy, 5)
