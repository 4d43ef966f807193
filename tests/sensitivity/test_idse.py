"""IDSE as a distortion: the formula of METHODS §1, step 5, and squared error on average."""

import numpy as np
import pytest

from cfm.errors import ConfigurationError
from cfm.sensitivity.idse import idse_distortion
from cfm.sensitivity.sketch import Sketch


def sketch(seed=0):
    rng = np.random.default_rng(seed)
    planes = [(rng.normal(size=(4, *shape)) * scale).astype(np.float32) for shape, scale in PLANES]
    return Sketch(*planes, image_id=0, network="none", network_sha256="", picture_sha256="0" * 64, objectness=False)


PLANES = (((32, 48), 3.0), ((16, 24), 0.1), ((16, 24), 0.0))


@pytest.mark.parametrize("tau", [0.25, 1.0, 8.0])
def test_it_is_the_squared_error_on_average(tau):
    found = idse_distortion(sketch(), tau)
    for plane in (0, 1):
        assert found.sse[plane] == pytest.approx(tau / (1 + tau))
        # For an error of independent samples of variance 1, IDSE's mean is the mean of sum_k g_k^2.
        weight = np.square(found.sketches[plane]).sum(0).mean()
        assert weight + found.sse[plane] == pytest.approx(1, rel=1e-5)


def test_a_plane_that_the_network_ignores_keeps_its_squared_error():
    found = idse_distortion(sketch(), 0.5)
    assert found.sse[2] == 1
    assert not found.sketches[2].any()


@pytest.mark.parametrize("tau", [0, -1, np.inf, np.nan])
def test_tau_is_a_positive_number(tau):
    with pytest.raises(ConfigurationError, match="tau"):
        idse_distortion(sketch(), tau)
