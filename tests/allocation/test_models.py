"""Loss-rate and rate-phi fits: exact data give their coefficients back, noisy ones the least squares."""

import numpy as np
import pytest
from scipy.optimize import minimize

from cfm.allocation.fit_quality import fit_quality
from cfm.allocation.loss_rate import compare_models, fit_loss_rate, model_of_fits
from cfm.allocation.rate_phi import fit_rate_phi
from cfm.errors import InputError

RATES = np.array([[0.1, 0.2, 0.5, 1.0], [0.12, 0.3, 0.6, 1.4], [0.2, 0.35, 0.8, 1.9]])
WEIGHTS = np.array([0.5, 0.3, 0.2])


def test_shared_coefficients_of_exact_data_are_found():
    losses = WEIGHTS[:, None] * 0.07 * RATES**-0.65
    model = fit_loss_rate(RATES, losses, WEIGHTS, "shared")
    np.testing.assert_allclose(model.alpha, 0.07, rtol=1e-6)
    np.testing.assert_allclose(model.beta, 0.65, rtol=1e-6)
    np.testing.assert_allclose(model.loss(WEIGHTS, RATES), losses, rtol=1e-6)


def test_coefficients_of_each_scale_do_not_count_the_weight_twice():
    alpha, beta = np.array([0.05, 0.2, 0.4]), np.array([0.5, 0.9, 1.3])
    losses = (WEIGHTS * alpha)[:, None] * RATES ** -beta[:, None]
    model = fit_loss_rate(RATES, losses, WEIGHTS, "per_scale")
    np.testing.assert_allclose(model.alpha, alpha, rtol=1e-6)
    np.testing.assert_allclose(model.beta, beta, rtol=1e-6)


def test_the_fit_is_the_least_squares_of_the_losses_themselves():
    rng = np.random.default_rng(0)
    losses = WEIGHTS[:, None] * 0.1 * RATES**-0.8 * np.exp(rng.normal(0, 0.2, RATES.shape))

    def squares(x):
        return np.square(WEIGHTS[:, None] * np.exp(x[0]) * RATES ** -x[1] - losses).sum()

    independent = minimize(squares, [0.0, 1.0], method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-18}).x
    model = fit_loss_rate(RATES, losses, WEIGHTS, "shared")
    np.testing.assert_allclose([model.alpha[0], model.beta[0]], [np.exp(independent[0]), independent[1]], rtol=1e-5)


def test_each_compared_model_is_exact_on_its_own_data():
    shapes = {
        "cauchy": 0.1 * RATES**-0.7,
        "quadratic": 0.03 * RATES**2 - 0.2 * RATES + 0.9,
        "inverse": 0.02 / RATES + 0.001 / RATES**2,
    }
    for name, values in shapes.items():
        fits = {fit.model: fit for fit in compare_models(RATES, WEIGHTS[:, None] * values, WEIGHTS, "shared")}
        assert fits[name].quality.rmse < 1e-9
        assert fits[name].quality.cc == pytest.approx(1)
        assert all(fit.quality.rmse > 1e-4 for other, fit in fits.items() if other != name)
    assert (fits["inverse"].a, fits["inverse"].b) == pytest.approx((0.02, 0.001))


@pytest.mark.parametrize("sharing", ["shared", "per_scale"])
def test_the_model_is_found_among_the_compared_fits(sharing):
    losses = WEIGHTS[:, None] * 0.1 * RATES**-0.7
    fits = [fit for kind in ("shared", "per_scale") for fit in compare_models(RATES, losses, WEIGHTS, kind)]
    assert len(fits) == 3 + 9
    model = model_of_fits(fits, 3, sharing)
    np.testing.assert_allclose([model.alpha, model.beta], [[0.1] * 3, [0.7] * 3], rtol=1e-6)
    with pytest.raises(InputError, match="no shared Cauchy"):
        model_of_fits([fit for fit in fits if fit.scale is not None], 3, "shared")


def test_a_scale_without_importance_or_a_rising_loss_is_one_clear_line():
    with pytest.raises(InputError, match="scale 0: fewer than two usable"):
        fit_loss_rate(RATES, np.zeros_like(RATES), WEIGHTS, "per_scale")
    with pytest.raises(InputError, match="must fall"):
        fit_loss_rate(RATES, RATES**2, WEIGHTS, "shared")
    with pytest.raises(ValueError, match="sharing"):
        fit_loss_rate(RATES, RATES, WEIGHTS, "some")


def test_correlation_and_error_against_their_definitions():
    measured, fitted = np.array([1.0, 2, 4, 8]), np.array([1.5, 1.5, 4, 9])
    quality = fit_quality(measured, fitted)
    assert quality.rmse == pytest.approx(np.sqrt((0.25 + 0.25 + 0 + 1) / 4))
    assert quality.cc == pytest.approx(np.corrcoef(measured, fitted)[0, 1])
    assert np.isnan(fit_quality(measured, np.ones(4)).cc)


@pytest.mark.parametrize("kind", ["phi", "log_phi", "log_rate_qp"])
def test_rate_phi_lines_are_found_and_inverted(kind):
    phi = np.array([22.0, 30, 37, 45]) if kind == "log_rate_qp" else np.array([0.0004, 0.0016, 0.0075, 0.045])
    slope, intercept = np.array([[-0.1, -0.12], [2.0, 1.5]]) if kind == "log_rate_qp" else np.array([[3, 2], [30, 25]])
    line = slope[:, None] * (np.log(phi) if kind == "log_phi" else phi) + intercept[:, None]
    rates = np.exp(line) if kind == "log_rate_qp" else line
    model = fit_rate_phi(phi, rates, kind)
    np.testing.assert_allclose(model.slope, slope)
    np.testing.assert_allclose(model.intercept, intercept)
    both = np.stack([phi, phi], 1)
    np.testing.assert_allclose(model.rate(both), rates.T)
    np.testing.assert_allclose(model.phi(rates.T), both)
    assert all(quality.cc == pytest.approx(1) and quality.rmse < 1e-9 for quality in model.quality)


def test_a_rate_that_does_not_follow_phi_is_one_clear_line():
    phi = np.array([0.01, 0.02])
    with pytest.raises(InputError, match="scale 1"):
        fit_rate_phi(phi, np.array([[0.1, 0.2], [0.2, 0.1]]), "phi")
    with pytest.raises(InputError, match="two points"):
        fit_rate_phi(phi[:1], np.array([[0.1]]), "phi")
    with pytest.raises(ValueError, match="unknown"):
        fit_rate_phi(phi, np.array([[0.1, 0.2]]), "cubic")
