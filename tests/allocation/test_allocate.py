"""Budgets against a numerical optimiser and closed forms; snapping and its clamps."""

import numpy as np
import pytest
from scipy.optimize import minimize

from cfm.allocation.allocate import budgets, lambda_range, snap_to_own_rates, snap_to_phi
from cfm.allocation.loss_rate import LossRateModel
from cfm.allocation.rate_phi import fit_rate_phi

WEIGHTS = np.array([0.4, 0.3, 0.2, 0.1])
MODEL = LossRateModel(np.array([0.05, 0.1, 0.2, 0.3]), np.array([0.5, 0.7, 0.9, 1.2]), "per_scale")
SHARED = LossRateModel(np.full(4, 0.1), np.full(4, 0.8), "shared")


def test_budgets_minimise_the_lagrangian():
    lambda_ = 0.02

    def cost(log_rates):
        rates = np.exp(log_rates)
        return MODEL.loss(WEIGHTS, rates).sum() + lambda_ * (rates / 4.0 ** np.arange(4)).sum()

    best = minimize(cost, np.zeros(4), method="BFGS", options={"gtol": 1e-12}).x
    np.testing.assert_allclose(budgets(WEIGHTS, MODEL, lambda_), np.exp(best), rtol=1e-4)


def test_at_the_optimum_every_bit_buys_the_same_loss():
    rates = budgets(WEIGHTS, MODEL, 0.03)
    bits = rates / 4.0 ** np.arange(4)
    step = 1e-6
    slopes = []
    for scale in range(4):
        moved = bits.copy()
        moved[scale] += step
        change = MODEL.loss(WEIGHTS, moved * 4.0 ** np.arange(4)) - MODEL.loss(WEIGHTS, rates)
        slopes.append(change.sum() / step)
    np.testing.assert_allclose(slopes, -0.03, rtol=1e-3)


def test_equal_weights_and_scales_of_one_size_get_equal_rates():
    rates = budgets(np.full(4, 0.25), SHARED, 0.01, scale_ratio=1.0)
    np.testing.assert_allclose(rates, (0.25 * 0.1 * 0.8 / 0.01) ** (1 / 1.8))


def test_the_ratio_of_rates_is_that_of_the_weights_and_sizes():
    rates = budgets(WEIGHTS, SHARED, 0.01)
    ratio = (WEIGHTS[1] * 4 / WEIGHTS[0]) ** (1 / 1.8)
    assert rates[1] / rates[0] == pytest.approx(ratio)


def test_rates_fall_as_lambda_rises_and_rise_with_the_weight():
    sweep = np.array([budgets(WEIGHTS, MODEL, lambda_) for lambda_ in (0.001, 0.01, 0.1, 1)])
    assert (np.diff(sweep, axis=0) < 0).all()
    heavier = budgets(WEIGHTS + np.array([0.1, 0, 0, 0]), MODEL, 0.01)
    assert heavier[0] > sweep[1, 0]
    np.testing.assert_array_equal(heavier[1:], sweep[1, 1:])
    assert budgets(np.array([0.0, 0, 0, 1]), MODEL, 0.01)[0] == 0


def test_the_lambda_range_spans_the_trained_rates():
    rates = np.tile([0.1, 0.3, 1.0], (4, 1))
    low, high = lambda_range(WEIGHTS, MODEL, rates)
    assert (budgets(WEIGHTS, MODEL, low * 0.999) > 1.0 - 1e-9).all()
    assert (budgets(WEIGHTS, MODEL, high * 1.001) < 0.1 + 1e-9).all()
    assert budgets(WEIGHTS, MODEL, low).min() == pytest.approx(1.0)


def test_a_multiplier_of_zero_is_refused():
    with pytest.raises(ValueError, match="above 0"):
        budgets(WEIGHTS, MODEL, 0.0)


def test_own_rates_snap_in_log_rate_and_count_clamps():
    own = np.array([[[0.1, 0.4, 1.6], [1.6, 0.4, 0.1]]])
    snapped = snap_to_own_rates(np.array([[0.19, 0.21]]), own)
    assert snapped.index.tolist() == [[0, 1]]
    assert not snapped.clamped.any()
    outside = snap_to_own_rates(np.array([[0.0, 9.0]]), own)
    assert outside.index.tolist() == [[0, 0]]
    assert outside.clamped.all()


@pytest.mark.parametrize("kind", ["phi", "log_phi"])
def test_phi_snaps_in_log_phi_and_counts_clamps(kind):
    trained = np.array([0.001, 0.004, 0.016])
    line = 20 * trained + 0.05 if kind == "phi" else 0.1 * np.log(trained) + 1
    model = fit_rate_phi(trained, np.stack([line, line]), kind)
    middle = model.rate(np.array([0.0019, 0.0081]))
    snapped = snap_to_phi(middle, model, trained)
    assert snapped.index.tolist() == [0, 2]
    assert not snapped.clamped.any()
    outside = snap_to_phi(np.array([0.0, 5.0]), model, trained)
    assert outside.index.tolist() == [0, 2]
    assert outside.clamped.all()


def test_quantisation_parameters_snap_to_the_nearest_and_clamp_at_both_ends():
    qps = np.array([22.0, 32.0, 42.0])
    model = fit_rate_phi(qps, np.exp(-0.1 * qps + 2)[None], "log_rate_qp")
    target = np.exp(-0.1 * np.array([[26.0], [38.0], [12.0], [60.0]]) + 2)
    snapped = snap_to_phi(target, model, qps)
    assert snapped.index[:, 0].tolist() == [0, 2, 0, 2]
    assert snapped.clamped[:, 0].tolist() == [False, False, True, True]
    nothing = snap_to_phi(np.array([[0.0]]), model, qps)
    assert nothing.index.item() == 2
    assert nothing.clamped.item()
