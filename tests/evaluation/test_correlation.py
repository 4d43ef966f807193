"""Correlation of predicted and true feature distance against scipy and closed forms."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import pearsonr, spearmanr

from cfm.evaluation.correlation import correlation_table, correlations
from cfm.reporting.tables import checked


def distances(predicted, measured, codec="x264"):
    identity = {"study": "image_coding", "task": "detection", "codec": codec, "scheme": "sse", "point": 37}
    values = {"image_id": range(len(predicted)), "feature_distance": measured, "idse": predicted}
    return pd.DataFrame(
        identity | values | {"objectness_distance": 1.0, "idse_seen": None, "sse": 1.0, "psnr_y_db": 30.0}
    )


def test_correlations_equal_scipy():
    rng = np.random.default_rng(0)
    measured = rng.lognormal(3, 1, 50)
    predicted = np.round(measured * rng.lognormal(0, 0.5, 50), 1)
    value = correlations(predicted, measured)
    assert value.pearson == pytest.approx(pearsonr(np.log(predicted), np.log(measured)).statistic)
    assert value.spearman == pytest.approx(spearmanr(predicted, measured).statistic)


def test_a_power_law_correlates_fully_and_its_bias_is_told():
    measured = np.geomspace(1, 1000, 20)
    table = correlation_table(distances(measured / 100, measured), np.random.default_rng(1), 20)
    row = checked(table, "idse_correlation", "test").iloc[0]
    for name in ("pearson", "spearman", "pearson_low", "spearman_high"):
        assert row[name] == pytest.approx(1.0)
    assert row["log_ratio_median"] == pytest.approx(-2)
    assert row["pictures"] == 20


def test_the_null_space_of_the_probes_that_guided_is_told():
    measured = np.geomspace(1, 1000, 20)
    frame = distances(measured, measured).assign(idse_seen=measured**0.5 / 10)
    frame.loc[0, "idse_seen"] = None
    row = checked(correlation_table(frame, np.random.default_rng(1), 5), "idse_correlation", "test").iloc[0]
    assert row["log_ratio_median"] == pytest.approx(0)
    assert row["log_ratio_median_seen"] == pytest.approx(-1 - np.median(np.log10(measured[1:])) / 2)
    assert row["pearson_seen"] == pytest.approx(1)
    row = correlation_table(distances(measured, measured), np.random.default_rng(1), 5).iloc[0]
    assert np.isnan(row["log_ratio_median_seen"])
    assert np.isnan(row["pearson_seen"])


def test_interval_holds_the_value_and_zero_distances_are_left_out():
    rng = np.random.default_rng(2)
    measured = rng.lognormal(3, 1, 40)
    measured[:3] = 0
    frame = distances(rng.lognormal(3, 1, 40) * np.sqrt(measured + 1), measured)
    row = correlation_table(frame, np.random.default_rng(1), 100).iloc[0]
    assert row["pictures"] == 37
    assert row["pearson_low"] < row["pearson"] < row["pearson_high"]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_pictures_have_no_correlation(count):
    frame = distances(np.zeros(4), np.ones(4))
    frame.loc[: count - 1, "idse"] = 1.0
    row = checked(correlation_table(frame, np.random.default_rng(1), 5), "idse_correlation", "test").iloc[0]
    assert np.isnan(row["pearson"])
    assert np.isnan(row["spearman_low"])
    assert row["pictures"] == count
