"""The distortion as data: its formula by brute force, its file, and what does not fit."""

import numpy as np
import pytest

from cfm.codecs.avc.measure import localise, new_local
from cfm.codecs.block_distortion import block_distortion
from cfm.codecs.distortion import Distortion, load_distortion, save_distortion
from cfm.codecs.metric import ROWS4, ROWS8, TRANSFORM4, TRANSFORM8, metric_of
from cfm.codecs.picture import plane_shapes
from cfm.errors import InputError

HEIGHT, WIDTH = 40, 56
SHAPES = plane_shapes("yuv420", HEIGHT, WIDTH)


def everything(seed=0, **changes):
    rng = np.random.default_rng(seed)
    values = {
        "sse": np.array([0.3, 0.6, 0.5]),
        "plain": np.array([1.0, 4.8, 7.6]),
        "weights": rng.uniform(0.2, 3, (3, 3, 4)),
        "frequency": rng.uniform(0.1, 1, (3, 16)),
        "samples": rng.uniform(0.1, 0.5, (3, 16)),
        "factors": rng.normal(0, 0.2, (3, 2, 16)),
        "sketches": tuple(rng.normal(size=(3, *shape)).astype(np.float32) for shape in SHAPES),
    }
    return Distortion(HEIGHT, WIDTH, **values | changes)


def frequency_by_macroblock(seed=5):
    return np.random.default_rng(seed).uniform(0.1, 1, (3, 3, 4, 16))


def weights_of_samples(seed=6):
    rng = np.random.default_rng(seed)
    return tuple(rng.uniform(0, 3, shape).astype(np.float32) for shape in SHAPES)


def by_formula(data, plane, my, mx, row, column, error):
    """D of the error of the 4x4 block at a row and column of blocks of a macroblock, as the docstring has it."""
    side = 4 if plane == 0 else 2
    y, x = 4 * (side * my + row), 4 * (side * mx + column)
    frequency = data.frequency[plane] if data.frequency.ndim == 2 else data.frequency[plane, my, mx]
    samples = 0 if data.samples is None else data.samples[plane]
    form = (frequency * (TRANSFORM4 @ error) ** 2).sum() + (samples * error**2).sum()
    form += ((data.factors[plane] @ error) ** 2).sum()
    padded = np.pad(data.sketches[plane], ((0, 0), (0, 16), (0, 16)))[:, y : y + 4, x : x + 4].reshape(-1, 16)
    total = data.sse[plane] * error @ error + data.weights[plane, my, mx] * form + ((padded @ error) ** 2).sum()
    if data.pixels is not None:
        total += np.pad(data.pixels[plane], 16)[16 + y : 20 + y, 16 + x : 20 + x].ravel() @ error**2
    return total


@pytest.mark.parametrize("plane", range(3))
@pytest.mark.parametrize(
    "changes", [{}, {"frequency": frequency_by_macroblock()}, {"samples": None, "pixels": weights_of_samples()}]
)
def test_the_kernel_computes_the_formula(plane, changes):
    data = everything(**changes)
    metric = metric_of(data, HEIGHT, WIDTH)
    local = new_local(metric)
    localise(metric, 1, 2, local)
    side = 4 if plane == 0 else 2
    rng = np.random.default_rng(3)
    for block in range(side * side):
        error = rng.integers(-40, 40, 16).astype(np.int32)
        found = block_distortion(
            local.flags[0],
            local.sse[0, plane],
            local.frequency[plane],
            local.samples[plane, block],
            local.rows[plane, block],
            error,
            np.empty(16, np.int32),
        )
        assert found == pytest.approx(by_formula(data, plane, 1, 2, *divmod(block, side), error), rel=1e-9)


@pytest.mark.parametrize(
    "changes",
    [
        {"frequency": np.zeros((3, 16))},
        {"frequency": frequency_by_macroblock()},
        {"frequency": np.zeros((3, 16)), "pixels": weights_of_samples()},
    ],
)
def test_the_diagonals_are_those_of_the_matrices(changes):
    data = everything(**changes)
    metric = metric_of(data, HEIGHT, WIDTH)
    local = new_local(metric)
    localise(metric, 0, 0, local)
    for k in (0, 5, 15):
        error = TRANSFORM4[k]  # orthonormal: the samples of a coefficient of 1
        assert local.diagonal4[0, 6, k] == pytest.approx(by_formula(data, 0, 0, 0, 1, 2, error), rel=1e-6)
        assert local.diagonal4[2, 3, k] == pytest.approx(by_formula(data, 2, 0, 0, 1, 1, error), rel=1e-6)
    for k in (0, 9, 63):
        error = TRANSFORM8[k].reshape(8, 8)
        parts = [
            by_formula(
                data, 0, 0, 0, row, 2 + column, error[4 * row : 4 * row + 4, 4 * column : 4 * column + 4].ravel()
            )
            for row in range(2)
            for column in range(2)
        ]
        assert local.diagonal8[1, k] == pytest.approx(sum(parts), rel=1e-6)


def test_the_transforms_are_orthonormal():
    np.testing.assert_allclose(ROWS4 @ ROWS4.T, np.eye(4), atol=1e-12)
    np.testing.assert_allclose(ROWS8 @ ROWS8.T, np.eye(8), atol=1e-12)


def test_without_data_it_is_the_squared_error():
    metric = metric_of(None, HEIGHT, WIDTH)
    assert metric.plain
    assert not metric_of(everything(), HEIGHT, WIDTH).plain


@pytest.mark.parametrize("changes", [{}, {"frequency": frequency_by_macroblock(), "pixels": weights_of_samples()}])
def test_a_file_gives_back_what_was_saved(tmp_path, changes):
    data = everything(**changes)
    save_distortion(tmp_path / "a.npz", data)
    found = load_distortion(tmp_path / "a.npz")
    for name in ("sse", "weights", "frequency", "samples", "factors", "plain"):
        np.testing.assert_array_equal(getattr(found, name), getattr(data, name))
    for ours, theirs in zip(found.sketches, data.sketches, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    for ours, theirs in zip(found.pixels or (), data.pixels or (), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    save_distortion(tmp_path / "b.npz", Distortion(HEIGHT, WIDTH, weighs_chroma=True))
    assert load_distortion(tmp_path / "b.npz").sketches is None
    assert load_distortion(tmp_path / "b.npz").weighs_chroma
    assert not found.weighs_chroma


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"weights": np.ones((3, 2, 4))}, "weights is 3x2x4, not 3x3x4"),
        ({"frequency": np.full((3, 16), np.nan)}, "frequency has values that are not finite"),
        ({"frequency": np.ones((3, 4, 3, 16))}, "frequency is 3x4x3x16, not 3x3x4x16"),
        ({"frequency": -frequency_by_macroblock()}, "frequency has values below 0"),
        ({"plain": np.ones(2)}, "plain is 2, not 3"),
        ({"plain": np.array([1, -1, 1.0])}, "plain has values below 0"),
        ({"samples": np.full((3, 16), -1.0)}, "samples has values below 0"),
        ({"sketches": tuple(np.full((1, h, w), np.inf) for h, w in SHAPES)}, "finite"),
        ({"pixels": tuple(np.ones((1, *shape)) for shape in SHAPES)}, "pixels of y is 1x40x56, not 40x56"),
        ({"pixels": tuple(np.ones(SHAPES[0]) for _ in SHAPES)}, "pixels of cb is 40x56, not 20x28"),
        ({"pixels": tuple(np.full(shape, -1.0) for shape in SHAPES)}, "pixels of y has values below 0"),
        ({"pixels": tuple(np.full(shape, np.nan) for shape in SHAPES)}, "pixels of y has values that are not finite"),
        ({"sketches": tuple(np.zeros((2, 8, 8)) for _ in range(3))}, "sketches of y"),
    ],
)
def test_what_does_not_fit_is_refused(changes, words):
    with pytest.raises(InputError, match=words):
        everything(**changes)


def test_a_file_that_is_none_is_refused(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(InputError, match=r"a\.npz"):
        load_distortion(tmp_path / "a.npz")
    with pytest.raises(InputError, match=r"absent\.npz"):
        load_distortion(tmp_path / "absent.npz")
