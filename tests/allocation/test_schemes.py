"""The schemes on a precoded set that follows the models exactly, and the tables on the way."""

import numpy as np
import pandas as pd
import pytest

from cfm.allocation.fit_tables import (
    loss_rate_model,
    loss_rate_tables,
    phi_of_points,
    rate_phi_model,
    rate_phi_tables,
)
from cfm.allocation.loss_rate import LossRateModel
from cfm.allocation.schemes import (
    Snapping,
    allocate_mfiba,
    allocate_saba,
    allocate_uniform,
    precoded_rates,
    report_clamps,
)
from cfm.errors import InputError
from cfm.reporting.tables import checked
from cfm.sensitivity.losses import LossCube

SAMPLES = np.array([4096, 1024, 256])
POINTS = [0, 1, 2, 3]
PHI = {0: 0.001, 1: 0.004, 2: 0.016, 3: 0.064}
LABELS = {"task": "detection", "codec": "elic"}


@pytest.fixture
def streams():
    """Three pictures whose rates double from point to point; picture p takes (1 + p) times the bytes of picture 0."""
    rows = [
        (image_id, scale, point, int(32 * (1 + p) * 2**point * SAMPLES[scale] / 256), int(SAMPLES[scale]))
        for p, image_id in enumerate((11, 12, 13))
        for scale in range(3)
        for point in POINTS
    ]
    columns = ["image_id", "scale", "point", "size_bytes", "samples"]
    return pd.DataFrame(rows, columns=columns).sample(frac=1, random_state=1)


@pytest.fixture
def precoded(streams):
    return precoded_rates(streams)


@pytest.fixture
def cube(precoded):
    """One part whose loss is w_i R^-1 with w = (0.5, 0.3, 0.2), the same in all pictures."""
    values = np.array([0.5, 0.3, 0.2])[:, None] / precoded.pooled_rates
    return LossCube([11, 12, 13], ["box"], [0, 1, 2], POINTS, np.tile(values, (3, 1, 1, 1)))


@pytest.fixture
def snapping(precoded):
    table = rate_phi_tables(precoded, PHI, ["phi", "log_phi"]).fits
    return Snapping("own_rates", rate_phi_model(table, "log_phi"), phi_of_points(precoded, PHI))


def test_rates_are_bits_per_mosaic_sample(precoded):
    np.testing.assert_allclose(precoded.rates[1, 2], [2 * 2.0**point for point in POINTS])
    np.testing.assert_allclose(precoded.pooled_rates[0], [2 * 2.0**point for point in POINTS])


def test_uniform_takes_each_point_for_everything(precoded):
    rows = allocate_uniform(precoded)
    assert len(rows) == 4 * 3 * 3
    assert (rows["codec_point"] == rows["point"]).all()
    assert not rows["clamped"].any()
    checked(rows.assign(**LABELS), "allocation", "here")


def test_mfiba_takes_the_points_nearest_to_eq_6(precoded, snapping):
    model = LossRateModel(np.full(3, 0.1), np.full(3, 1.0), "shared")
    weights = np.tile([0.5, 0.3, 0.2], (3, 1))
    sweep = [1e-4, 1e-2, 1]
    rows = allocate_mfiba(precoded, weights, model, sweep, 4.0, snapping)
    for row in rows.itertuples():
        budget = np.sqrt(weights[0, row.scale] * 0.1 * 4**row.scale / row.lambda_)
        own = precoded.rates[[11, 12, 13].index(row.image_id), row.scale]
        assert row.target_rate == pytest.approx(budget)
        assert row.codec_point == np.abs(np.log(own / budget)).argmin()
        assert row.clamped == (not own.min() <= budget <= own.max())
    assert rows["lambda_"].unique().tolist() == sweep
    checked(rows.assign(**LABELS), "allocation", "here")


def test_snapping_by_phi_gives_every_picture_the_same_points(precoded, snapping):
    model = LossRateModel(np.full(3, 0.1), np.full(3, 1.0), "shared")
    by_phi = Snapping("log_phi", snapping.model, snapping.phi)
    rows = allocate_mfiba(precoded, np.full((3, 3), 1 / 3), model, [0.01], 4.0, by_phi)
    assert (rows.groupby("scale")["codec_point"].nunique() == 1).all()
    with pytest.raises(ValueError, match="unknown snap"):
        Snapping("random", snapping.model, snapping.phi)(np.ones((3, 3)), precoded)


def test_saba_with_the_shares_of_uniform_is_uniform(precoded, snapping):
    shares = np.tile(SAMPLES / SAMPLES.sum(), (3, 1))
    saba, uniform = allocate_saba(precoded, shares, snapping), allocate_uniform(precoded)
    np.testing.assert_array_equal(saba["codec_point"], uniform["codec_point"])


def test_saba_moves_bits_to_the_sensitive_scale_and_the_log_counts_clamps(precoded, snapping, capsys):
    rows = allocate_saba(precoded, np.tile([0.1, 0.1, 0.8], (3, 1)), snapping)
    middle = rows[(rows["point"] == 1) & (rows["image_id"] == 11)].sort_values("scale")
    assert middle["codec_point"].tolist() == [0, 0, 3]
    report_clamps(rows)
    assert "saba, scale 2: 12 of 12 budgets clamped" in capsys.readouterr().err


def test_fits_survive_their_tables(cube, precoded):
    fitted = loss_rate_tables(cube, precoded)
    checked(fitted.fits.assign(**LABELS), "loss_rate_fit", "here")
    checked(fitted.points.assign(**LABELS), "loss_rate_points", "here")
    for sharing in ("shared", "per_scale"):
        model = loss_rate_model(fitted.fits, 3, sharing)
        np.testing.assert_allclose(model.beta, 1, rtol=1e-6)
        np.testing.assert_allclose(model.alpha, model.alpha[0], rtol=1e-6)
    assert fitted.fits[fitted.fits["model"] == "cauchy"]["cc"].min() == pytest.approx(1)


def test_rate_phi_fits_survive_their_tables(precoded):
    fitted = rate_phi_tables(precoded, PHI, ["phi", "log_phi"])
    checked(fitted.fits.assign(**LABELS), "rate_phi_fit", "here")
    checked(fitted.points.assign(**LABELS), "rate_phi_points", "here")
    model = rate_phi_model(fitted.fits, "log_phi")
    line = np.polyfit(np.log(list(PHI.values())), precoded.pooled_rates[1], 1)
    np.testing.assert_allclose([model.slope[1], model.intercept[1]], line)
    with pytest.raises(InputError, match="no model 'log_rate_qp'"):
        rate_phi_model(fitted.fits, "log_rate_qp")
    with pytest.raises(InputError, match="no phi for point 3"):
        phi_of_points(precoded, {0: 1.0, 1: 2.0, 2: 3.0})


def test_tables_of_other_pictures_or_with_gaps_are_one_clear_line(streams, cube, precoded):
    with pytest.raises(InputError, match="rows where"):
        precoded_rates(streams[1:])
    other = LossCube([11, 12, 14], cube.parts, cube.scales, cube.points, cube.values)
    with pytest.raises(InputError, match="not the same pictures"):
        loss_rate_tables(other, precoded)
