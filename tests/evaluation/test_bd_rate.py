"""BD-rate against closed forms and an independent integration, on awkward curves, and its bootstrap."""

import warnings

import numpy as np
import pytest
from scipy.integrate import trapezoid
from scipy.interpolate import PchipInterpolator

from cfm.errors import InputError
from cfm.evaluation.bd_rate import bd_rate_from_csv, compare, pareto_points
from cfm.evaluation.bd_rate_interval import bootstrap_bd_rate, interval_of
from cfm.evaluation.bootstrap import OperatingPoint, draw_weights, quality_interval, resample

RATE = np.array([0.077, 0.105, 0.144, 0.194, 0.264, 0.352])
QUALITY = np.array([0.129, 0.175, 0.229, 0.272, 0.320, 0.351])


@pytest.fixture(autouse=True)
def _warnings_are_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize("factor", [0.5, 0.886, 1.0, 1.7])
def test_a_scaled_rate_gives_exactly_its_change(factor):
    result = compare(RATE, QUALITY, factor * RATE, QUALITY)
    assert result.bd_rate_percent == pytest.approx(100 * (factor - 1), abs=1e-9)
    assert (result.overlap, result.comparable, result.reason) == (1.0, True, "")
    assert (result.points_anchor, result.dropped_test) == (6, 0)
    assert np.sign(result.bd_quality) == np.sign(1 - factor) or factor == 1.0


def test_a_shifted_quality_gives_exactly_its_change():
    assert compare(RATE, QUALITY, RATE, QUALITY + 0.02).bd_quality == pytest.approx(0.02, abs=1e-12)


def test_trapezoid_integration_agrees():
    test_rate, test_quality = RATE[1:] * np.linspace(0.8, 1.1, 5), QUALITY[1:] + 0.01
    grid = np.linspace(test_quality.min(), QUALITY.max(), 200_001)
    curves = [PchipInterpolator(q, np.log(r))(grid) for q, r in ((QUALITY, RATE), (test_quality, test_rate))]
    mean = trapezoid(curves[1] - curves[0], grid) / np.ptp(grid)
    result = compare(RATE, QUALITY, test_rate, test_quality)
    assert result.bd_rate_percent == pytest.approx(100 * np.expm1(mean), abs=1e-6)
    joint = test_quality.max() - QUALITY.min()
    assert result.overlap == pytest.approx((QUALITY.max() - test_quality.min()) / joint)


def test_swapped_curves_give_the_inverse_ratio_and_crossing_ones_lie_between():
    other = RATE * np.linspace(0.7, 1.5, 6)
    forth = compare(RATE, QUALITY, other, QUALITY).bd_rate_percent
    back = compare(other, QUALITY, RATE, QUALITY).bd_rate_percent
    assert (1 + forth / 100) * (1 + back / 100) == pytest.approx(1.0)
    assert -30 < forth < 50


def test_dominated_points_are_dropped_and_counted():
    rate = np.array([0.3, 0.1, 0.2, 0.2, 0.2, 0.4, 0.5])
    quality = np.array([0.30, 0.10, 0.20, 0.20, 0.15, 0.30, 0.25])
    points = pareto_points(rate, quality)
    np.testing.assert_array_equal(points.rate_bpp, [0.1, 0.2, 0.3])
    np.testing.assert_array_equal(points.quality, [0.10, 0.20, 0.30])
    assert points.dropped == 4
    brute = [
        not any(
            (r, q) != (rate[i], quality[i]) and r <= rate[i] and q >= quality[i]
            for r, q in zip(rate, quality, strict=True)
        )
        for i in range(7)
    ]
    assert set(points.rate_bpp) == set(rate[brute])
    assert pareto_points([0.1, 0.2], [np.nan, 0.5]).dropped == 1
    assert pareto_points([], []).dropped == 0


@pytest.mark.parametrize(
    ("rate", "quality", "reason"),
    [
        (RATE[:2], QUALITY[:2], "2 of the test's 2 points remain, 3 are needed"),
        (RATE, QUALITY[::-1], "1 of the test's 6 points remain"),
        (RATE, np.full(6, 0.2), "1 of the test's 6"),
        (RATE, np.full(6, np.nan), "0 of the test's 6"),
        (RATE, QUALITY + 0.5, "overlap by 0 %"),
        (RATE, QUALITY + 0.19, "overlap by 8 %, 20 % are needed"),
        ([], [], "0 of the test's 0"),
    ],
)
def test_what_cannot_be_compared_gets_a_reason_and_no_number(rate, quality, reason):
    result = compare(RATE, QUALITY, rate, quality)
    assert not result.comparable
    assert np.isnan(result.bd_rate_percent)
    assert np.isnan(result.bd_quality)
    assert reason in result.reason


def test_curves_without_a_common_rate_have_no_quality_difference():
    result = compare(RATE, QUALITY, RATE / 100, QUALITY)
    assert result.bd_rate_percent == pytest.approx(-99.0)
    assert np.isnan(result.bd_quality)


@pytest.mark.parametrize("rate", [0.0, -1.0, np.inf, np.nan])
def test_impossible_rates_are_refused(rate):
    with pytest.raises(ValueError, match="positive and finite"):
        compare(RATE, QUALITY, np.where(RATE[0] == RATE, rate, RATE), QUALITY)


def make_curve(rng, pictures=40, scale=1.0):
    """Points whose quality is a weighted mean over pictures, which rises with the rate."""
    texture = rng.uniform(0.5, 2, pictures)
    pixels = rng.integers(60_000, 90_000, pictures)
    points = []
    for rate, quality in zip(RATE, QUALITY, strict=True):
        score = quality * rng.uniform(0.8, 1.2, pictures)
        points.append(
            OperatingPoint(scale * rate * texture * pixels / 8, pixels, lambda w, s=score: float(w @ s / w.sum()))
        )
    return points


def test_bootstrap_of_equal_and_of_scaled_curves_has_no_width():
    curve = make_curve(np.random.default_rng(1))
    same = bootstrap_bd_rate(curve, curve, np.random.default_rng(2), 50)
    assert (same.low, same.high, same.significant) == (0.0, 0.0, False)
    scaled = make_curve(np.random.default_rng(1), scale=0.9)
    interval = bootstrap_bd_rate(curve, scaled, np.random.default_rng(2), 50)
    assert interval.low == pytest.approx(-10)
    assert interval.high == pytest.approx(-10)
    assert interval.significant
    assert interval.comparable_share == 1.0


def test_bootstrap_spreads_like_repeated_measurements():
    anchor, test = make_curve(np.random.default_rng(3)), make_curve(np.random.default_rng(4))
    interval = bootstrap_bd_rate(anchor, test, np.random.default_rng(5), 200)
    again = bootstrap_bd_rate(anchor, test, np.random.default_rng(5), 200)
    assert interval == again
    assert interval.low < interval.high
    assert interval.sd == pytest.approx((interval.high - interval.low) / 3.92, rel=0.25)
    with pytest.raises(ValueError, match="different numbers of pictures"):
        bootstrap_bd_rate(anchor, make_curve(np.random.default_rng(4), pictures=9), np.random.default_rng(5), 2)


def test_resamples_that_cannot_be_compared_give_no_interval():
    flat = [OperatingPoint(np.full(9, 10.0 * n), np.full(9, 100), lambda w: 0.3) for n in (1, 2, 3)]
    weights = draw_weights(9, np.random.default_rng(0), 20)
    assert weights.shape == (20, 9)
    assert (weights.sum(axis=1) == 9).all()
    curve = resample(flat, weights)
    np.testing.assert_allclose(curve.rate_bpp, [0.8, 1.6, 2.4])
    np.testing.assert_allclose(curve.rates_bpp, np.tile([0.8, 1.6, 2.4], (20, 1)))
    np.testing.assert_allclose(quality_interval(curve), 0.3)
    interval = interval_of(curve, curve)
    assert np.isnan(interval.low)
    assert (interval.comparable_share, interval.significant) == (0.0, False)


def test_pooled_rate_is_bits_over_pixels_not_a_mean_of_rates():
    point = OperatingPoint(np.array([100, 10]), np.array([1000, 10]), lambda w: 0.0)
    assert point.rate_bpp(np.array([1, 1])) == pytest.approx(8 * 110 / 1010)
    assert point.rate_bpp(np.array([0, 2])) == pytest.approx(8.0)


def test_csv_files_are_compared_and_faults_are_named(tmp_path):
    anchor, test = tmp_path / "anchor.csv", tmp_path / "test.csv"
    rows = [f"{rate}, {quality}" for rate, quality in zip(RATE, QUALITY, strict=True)]
    anchor.write_text("\n".join(["rate_bpp, quality", *rows]))
    cheaper = [f"{quality},{0.8 * rate},x" for rate, quality in zip(RATE, QUALITY, strict=True)]
    test.write_text("\n".join(["quality,rate_bpp,note", *cheaper]))
    assert bd_rate_from_csv(anchor, test).bd_rate_percent == pytest.approx(-20.0)
    for text, problem in [
        ("rate,quality\n1,2", "no column rate_bpp"),
        ("", "not a CSV file"),
        ("rate_bpp,quality\n", "no points"),
        ("rate_bpp,quality\n0.1,0.2\n0,0.3", r"line 3: rate_bpp .*positive"),
        ("rate_bpp,quality\n0.1,high", "line 2: quality 'high' is no number"),
        ("rate_bpp,quality\n0.1,", "line 2: quality nan is no number"),
    ]:
        test.write_text(text)
        with pytest.raises(InputError, match=problem) as caught:
            bd_rate_from_csv(anchor, test)
        assert str(test) in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="no such file"):
        bd_rate_from_csv(tmp_path / "absent.csv", anchor)
