"""The statistics on simulated data whose truth is known, and against scipy and published examples."""

import numpy as np
import pytest
import scipy.stats

from twokeys.core import stats

RUNS = 1500
"""Simulated studies of each test: all at once, as columns."""


def noise(units: int, columns: int = RUNS, seed: int = 7) -> stats.Array:
    """Skewed differences of mean 0: real ones are not normal."""
    rng = np.random.default_rng(seed)
    return np.asarray(rng.exponential(1.0, (units, columns)) - rng.exponential(1.0, (units, columns)))


def within(rate: float, nominal: float, runs: int = RUNS) -> bool:
    """Whether a simulated rate is no higher than nominal beyond three standard errors of chance."""
    return bool(rate <= nominal + 3 * np.sqrt(nominal * (1 - nominal) / runs))


@pytest.mark.parametrize("units", [6, 10, 24, 60])
def test_the_permutation_test_alarms_falsely_no_more_often_than_it_says(units: int) -> None:
    p = stats.permutation_p(noise(units))
    assert within(float(np.mean(p < 0.05)), 0.05)
    assert within(float(np.mean(p < 0.01)), 0.01)


def test_many_comparisons_together_alarm_falsely_no_more_often_than_one() -> None:
    columns = noise(20, RUNS * 8)
    p = stats.permutation_p(columns, resamples=2000).reshape(RUNS, 8)
    alarmed = [bool(np.any(stats.holm(row) < 0.05)) for row in p]
    assert within(float(np.mean(alarmed)), 0.05)
    assert float(np.mean(np.any(p < 0.05, axis=1))) > 0.2, "without Holm they would"


@pytest.mark.parametrize("units", [12, 30])
@pytest.mark.parametrize("kind", ["normal", "skewed", "one-sided", "two-sided"])
def test_equivalence_is_claimed_falsely_no_more_often_than_it_says(units: int, kind: str) -> None:
    """At the worst truth, a difference of exactly the margin."""
    rng = np.random.default_rng(11)
    margin = 0.3
    if kind == "normal":
        data = rng.normal(margin, 1.0, (units, RUNS))
    elif kind == "skewed":
        data = noise(units) + margin
    else:
        shares = {"one-sided": [0.0, 0.7, 0.3], "two-sided": [0.15, 0.4, 0.45]}[kind]
        data = np.asarray(rng.choice([-1.0, 0.0, 1.0], p=shares, size=(units, RUNS)))
    least = np.sqrt(margin * (1 - margin)) if kind.endswith("sided") else 0.0
    p = stats.equivalence_p(data, margin, least)
    assert within(float(np.mean(p < 0.05)), 0.05)


def test_a_few_units_that_agree_prove_no_equivalence_of_proportions() -> None:
    agree = np.zeros((8, 1))
    assert stats.equivalence_p(agree, 0.1, 0.3)[0] > 0.05
    assert stats.equivalence_p(np.zeros((200, 1)), 0.1, 0.3)[0] < 0.05


@pytest.mark.parametrize(("units", "effect"), [(10, 1.0), (25, 0.6), (60, 0.4)])
def test_the_power_claimed_is_the_power_found(units: int, effect: float) -> None:
    rng = np.random.default_rng(5)
    result = float(np.mean(stats.permutation_p(rng.normal(effect, 1.0, (units, RUNS))) < 0.05))
    assert result == pytest.approx(stats.power_of(units, effect, 1.0), abs=0.05)


@pytest.mark.parametrize("effect", [0.35, 0.6, 1.0])
def test_the_sample_size_told_beforehand_finds_the_difference_four_times_in_five(effect: float) -> None:
    units = stats.units_needed(effect, 1.0)
    rng = np.random.default_rng(6)
    result = float(np.mean(stats.permutation_p(rng.normal(effect, 1.0, (units, RUNS))) < 0.05))
    assert result == pytest.approx(0.8, abs=0.05)


@pytest.mark.parametrize("margin", [0.4, 0.8])
def test_the_sample_size_for_no_difference_proves_it_four_times_in_five(margin: float) -> None:
    units = stats.units_for_equivalence(margin, 1.0)
    rng = np.random.default_rng(8)
    p = stats.equivalence_p(rng.normal(0.0, 1.0, (units, RUNS)), margin)
    assert float(np.mean(p < 0.05)) == pytest.approx(0.8, abs=0.05)


@pytest.mark.parametrize("units", [10, 30])
@pytest.mark.parametrize("kind", ["normal", "skewed", "shares"])
def test_intervals_hold_the_truth_about_as_often_as_they_say(units: int, kind: str) -> None:
    rng = np.random.default_rng(9)
    data = {
        "normal": rng.normal(2.0, 1.0, (units, RUNS)),
        "skewed": noise(units) + 2.0,
        "shares": rng.beta(2, 3, (units, RUNS)) - 0.4 + 2.0,
    }[kind]
    intervals = stats.bootstrap_intervals(data)
    held = float(np.mean((intervals.low <= 2.0) & (intervals.high >= 2.0)))
    assert 0.90 <= held <= 0.98


def test_intervals_are_those_of_scipy_for_many_units() -> None:
    data = np.random.default_rng(3).exponential(1.0, 120)
    ours = stats.bootstrap_intervals(data[:, None], resamples=20000)
    theirs = scipy.stats.bootstrap(
        (data,), np.mean, n_resamples=20000, method="BCa", rng=np.random.default_rng(4)
    ).confidence_interval
    assert ours.low[0] == pytest.approx(theirs.low, abs=0.015)
    assert ours.high[0] == pytest.approx(theirs.high, abs=0.015)


@pytest.mark.parametrize("units", [8, 40])
def test_the_permutation_p_is_that_of_scipy(units: int) -> None:
    data = np.random.default_rng(2).normal(0.4, 1.0, units)
    theirs = scipy.stats.permutation_test(
        (data,),
        lambda x, axis=-1: np.mean(x, axis=axis),
        permutation_type="samples",
        n_resamples=20000,
        rng=np.random.default_rng(1),
    ).pvalue
    assert stats.permutation_p(data[:, None], resamples=20000)[0] == pytest.approx(theirs, abs=0.01)


def test_holm_is_worked_out_as_in_the_textbook() -> None:
    corrected = stats.holm(np.array([0.01, 0.04, np.nan, 0.03, 0.005]))
    assert corrected[[0, 1, 3, 4]] == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert np.isnan(corrected[2])


def test_power_is_that_of_published_tables() -> None:
    """Cohen 1988: a paired t-test of d = 0.5 needs 34 pairs for 80 % at 5 % two-sided."""
    assert stats.units_needed(0.5, 1.0) == 34
    assert stats.power_of(34, 0.5, 1.0) == pytest.approx(0.808, abs=0.002)
    assert stats.smallest_effect(34, 1.0) == pytest.approx(0.5, abs=0.01)


def test_missing_values_change_only_their_own_column() -> None:
    data = np.random.default_rng(1).normal(0.5, 1.0, (14, 2))
    data[3:6, 1] = np.nan
    alone = stats.bootstrap_intervals(data[:, :1])
    both = stats.bootstrap_intervals(data)
    assert both.low[0] == pytest.approx(alone.low[0])
    assert list(both.n) == [14, 11]
    assert stats.permutation_p(data)[0] == pytest.approx(stats.permutation_p(data[:, :1])[0])


def test_nothing_to_tell_is_nan_and_no_error() -> None:
    empty = np.full((5, 1), np.nan)
    assert np.isnan(stats.bootstrap_intervals(empty).low[0])
    assert np.isnan(stats.permutation_p(empty)[0])
    assert np.isnan(stats.equivalence_p(empty, 0.1)[0])


def test_wilsons_interval_is_that_of_the_textbooks() -> None:
    # Agresti & Coull 1998: 0 of 10 gives 0 … 0.278, 5 of 10 gives 0.237 … 0.763
    assert stats.wilson_interval(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert stats.wilson_interval(5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    assert stats.wilson_interval(0, 0) == (0.0, 1.0)
