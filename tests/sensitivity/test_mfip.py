"""MFIP's and SABA's weights by hand, and the measurement with a network whose losses are known."""

import numpy as np
import pandas as pd
import pytest
import torch

from cfm.errors import ConfigurationError, InputError
from cfm.sensitivity.losses import importance_weights, loss_cube, relative_losses
from cfm.sensitivity.mfip import scale_losses
from cfm.sensitivity.saba import middle_point, proportional_rates, sensitivities
from cfm.sensitivity.weights import scheme_weights, weights_table


def table(values):
    """Losses from an array (pictures, parts, scales, points), rows in a random order."""
    index = pd.MultiIndex.from_product([range(n) for n in values.shape], names=["image_id", "part", "scale", "point"])
    frame = pd.DataFrame({"loss": values.ravel()}, index=index).reset_index()
    frame["part"] = "part" + frame["part"].astype(str)
    return frame.sample(frac=1, random_state=0)


VALUES = np.array([[[[4.0, 2.0], [2.0, 1.0]], [[0.1, 0.0], [0.4, 0.3]]]])


def test_parts_count_by_their_own_range():
    relative = relative_losses(loss_cube(table(VALUES)))
    np.testing.assert_allclose(relative, [[[(1 + 0.25) / 2, 0.25], [(0.5 + 1) / 2, (0.25 + 0.75) / 2]]])


def test_weights_are_the_mean_over_the_points():
    relative = np.array([[[0.6, 0.2], [0.3, 0.1]]])
    np.testing.assert_allclose(importance_weights(relative), [[2 / 3, 1 / 3]])


def test_the_unit_of_a_part_does_not_matter():
    scaled = VALUES * np.array([1000, 0.001])[None, :, None, None]
    first, second = (relative_losses(loss_cube(table(values))) for values in (VALUES, scaled))
    np.testing.assert_allclose(first, second)


def test_a_picture_that_loses_nothing_has_equal_weights():
    cube = loss_cube(table(np.zeros((1, 2, 4, 3))))
    assert not relative_losses(cube).any()
    for scheme in ("mfiba", "saba"):
        np.testing.assert_array_equal(scheme_weights(cube, scheme), np.full((1, 4), 0.25))


def test_a_part_that_loses_nothing_is_left_out():
    silent = VALUES.copy()
    silent[:, 1] = -1e-12
    np.testing.assert_allclose(relative_losses(loss_cube(table(silent))), VALUES[:, 0] / 4)


def test_sensitivities_are_those_of_one_point():
    cube = loss_cube(table(VALUES))
    np.testing.assert_allclose(sensitivities(cube, 0), [[1.25 / 2.75, 1.5 / 2.75]])
    assert middle_point([9, 1, 5, 7]) == 5
    assert middle_point([3, 1, 2]) == 2
    with pytest.raises(ConfigurationError, match="point 8"):
        sensitivities(cube, 8)


def test_proportional_rates_spend_the_budget():
    weights, samples = np.array([[0.7, 0.3], [0.5, 0.5]]), np.array([[400, 100], [800, 200]])
    rates = proportional_rates(weights, np.array([1000, 600]), samples)
    np.testing.assert_allclose((rates * samples).sum(1), [1000, 600])
    np.testing.assert_allclose(rates[0], [700 / 400, 300 / 100])


def test_tables_that_are_not_whole_are_one_clear_line():
    whole = table(VALUES)
    for broken in (whole[1:], pd.concat([whole, whole[:1]]), whole[:0]):
        with pytest.raises(InputError, match="rows where"):
            loss_cube(broken)


def test_the_weights_table_has_every_scheme_picture_and_scale():
    rows = weights_table(loss_cube(table(np.random.default_rng(0).random((3, 2, 4, 3)))))
    assert len(rows) == 2 * 3 * 4
    np.testing.assert_allclose(rows.groupby(["scheme", "image_id"])["weight"].sum(), 1)
    with pytest.raises(ValueError, match="uniform"):
        scheme_weights(loss_cube(table(VALUES)), "uniform")


class FakePrecoded:
    """Decodes scale i at point q to the lossless scale plus q."""

    points = (1, 2)

    def decode(self, image_id, scale, point, like):
        return like + point


class SquaredNetwork:
    name, task = "squared", "detection"
    bad = 0.0

    def task_losses(self, features, reference, prepared):
        moved = [float((f - r).square().mean()) for f, r in zip(features, reference, strict=True)]
        return {"fine": torch.tensor(moved[0] + self.bad), "all": torch.tensor(sum(moved))}


def test_losses_are_measured_one_scale_at_a_time():
    features = [torch.zeros(1, 2, 4, 4), torch.ones(1, 2, 2, 2)]
    losses = scale_losses(SquaredNetwork(), features, None, 42, FakePrecoded())
    cube = loss_cube(losses)
    assert (cube.image_ids, cube.parts, cube.scales, cube.points) == ([42], ["all", "fine"], [0, 1], [1, 2])
    np.testing.assert_array_equal(cube.values, [[[[1, 4], [1, 4]], [[1, 4], [0, 0]]]])


def test_a_loss_that_is_not_finite_is_one_clear_line():
    network = SquaredNetwork()
    network.bad = float("nan")
    with pytest.raises(InputError, match="picture 42: a task loss of squared is not finite"):
        scale_losses(network, [torch.zeros(1, 1, 2, 2)], None, 42, FakePrecoded())
