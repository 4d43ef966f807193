"""The schemes' distortions: formulas of METHODS §1, the squared error on average, and what does not belong together."""

import dataclasses

import numpy as np
import pytest

from cfm.codecs.picture import Picture
from cfm.errors import ConfigurationError, InputError
from cfm.sensitivity.calibration import calibrate, save_calibration
from cfm.sensitivity.gauss_newton import frequency_diagonal, pooled_matrices
from cfm.sensitivity.guidance import Guide
from cfm.sensitivity.schemes import (
    CALIBRATED,
    SCHEMES,
    SKETCHED,
    Mixing,
    macroblock_frequencies,
    macroblock_scalars,
    scheme_distortion,
    static_frequency,
)
from cfm.sensitivity.sketch import Sketch, picture_digest
from cfm.sensitivity.sketch_file import save_sketches

HEIGHT, WIDTH = 64, 96


def sketch(seed=0, scales=(3.0, 0.5, 0.7), probes=2, **fields):
    """White luma and chroma; strong to the right of the middle."""
    rng = np.random.default_rng(seed)
    planes = []
    for scale, (height, width) in zip(scales, ((64, 96), (32, 48), (32, 48)), strict=True):
        plane = scale * rng.normal(size=(probes, height, width))
        plane[:, :, width // 2 :] *= 2
        planes.append(plane.astype(np.float32))
    known = {"image_id": 0, "network": "net", "network_sha256": "d" * 64, "picture_sha256": "", "objectness": False}
    return Sketch(*planes, **known | fields)


def calibration(**fields):
    return calibrate([sketch(seed, **fields) for seed in range(20, 26)])


def made(scheme, tau=0.5, normalise="picture", **fields):
    return scheme_distortion(scheme, HEIGHT, WIDTH, calibration(), sketch(**fields), Mixing(tau, normalise))


def mean_luma_weight(distortion):
    """What white error of variance 1 costs a luma sample on average."""
    weight = np.full((HEIGHT, WIDTH), distortion.sse[0])
    if distortion.frequency is not None:
        shared = distortion.frequency.ndim == 2
        frequency = distortion.frequency[:, None, None] if shared else distortion.frequency
        scale = np.ones((4, 6)) if distortion.weights is None else distortion.weights[0]
        weight = weight + np.kron(scale * frequency[0].mean(-1), np.ones((16, 16)))
    if distortion.pixels is not None:
        weight = weight + distortion.pixels[0]
    if distortion.sketches is not None:
        weight = weight + np.square(distortion.sketches[0]).sum(0)
    return weight.mean()


@pytest.mark.parametrize("scheme", [name for name in SCHEMES if name != "sse"])
@pytest.mark.parametrize("tau", [0.25, 4.0])
def test_in_luma_it_is_the_squared_error_on_average(scheme, tau):
    assert mean_luma_weight(made(scheme, tau)) == pytest.approx(1, rel=0.12)


def test_the_squared_error_needs_no_data():
    assert scheme_distortion("sse", HEIGHT, WIDTH) is None


def test_chroma_weighs_what_the_calibration_says():
    found = made("sse_chroma")
    assert found.weighs_chroma
    assert found.sse == pytest.approx(calibration().chroma)
    assert made("static").frequency.mean(1) == pytest.approx(calibration().chroma, rel=1e-5)


def test_the_static_form_is_the_calibrations_matrix():
    expected = frequency_diagonal(calibration().matrices4) / calibration().weights[0]
    assert made("static").frequency == pytest.approx(expected)
    assert not made("static").sse.any()


def test_a_frequency_that_the_network_does_not_see_has_no_weight_below_0():
    averaging = [plane.reshape(2, -1, 4, plane.shape[2] // 4, 4).mean((2, 4)) for plane in sketch().planes]
    smooth = [np.kron(plane, np.ones((4, 4))).astype(np.float32) for plane in averaging]
    given = dataclasses.replace(sketch(), **dict(zip(("y", "cb", "cr"), smooth, strict=True)))
    static = static_frequency(calibrate([given]))
    assert (static >= 0).all()
    assert static[:, 1:].max() < 1e-6 * static[:, 0].min()
    assert scheme_distortion("idse", HEIGHT, WIDTH, calibrate([given]), given).frequency.min() >= 0


def test_the_pictures_form_is_its_pooled_matrices_shrunk_towards_the_static_one():
    tau, known, given = 0.5, calibration(), sketch(7)
    found = made("idse", tau, "dataset", seed=7).frequency
    pooled = np.stack(
        [frequency_diagonal(pooled_matrices(p, 4, a)) for p, a in zip(given.planes, (16, 8, 8), strict=True)]
    )
    own = pooled / known.weights[0]
    scalars = macroblock_scalars(own, static_frequency(known))
    own *= np.minimum(1, np.percentile(scalars, 99.5) / scalars)[None, :, :, None]
    expected = (own + tau * static_frequency(known)[:, None, None]) / (1 + tau)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_objectness_gives_scalars_times_the_static_matrix():
    found = made("idse_objectness", 0.5, "dataset")
    static = static_frequency(calibration())
    scalars = macroblock_scalars(macroblock_frequencies(sketch()) / calibration().weights[0], static)
    clipped = np.minimum(scalars, np.percentile(scalars, 99.5))
    assert found.frequency == pytest.approx(static)
    np.testing.assert_allclose(found.weights, np.broadcast_to((clipped + 0.5) / 1.5, (3, 4, 6)))


def test_scalars_are_found_again():
    static = np.random.default_rng(0).uniform(0.01, 3, (3, 16))
    scales = np.random.default_rng(1).uniform(0.2, 5, (4, 6))
    drawn = np.random.default_rng(2).chisquare(4000, (3, 4, 6, 16)) / 4000
    found = macroblock_scalars(scales[None, :, :, None] * static[:, None, None] * drawn, static)
    np.testing.assert_allclose(found, scales, rtol=0.02)


def test_dataset_normalisation_keeps_how_much_a_picture_is_felt():
    one, double = made("idse", 1e-6, "dataset"), made("idse", 1e-6, "dataset", scales=(6.0, 1.0, 1.4))
    np.testing.assert_allclose(double.frequency, 4 * one.frequency, rtol=1e-3)
    one, double = made("idse", 1e-6), made("idse", 1e-6, scales=(6.0, 1.0, 1.4))
    np.testing.assert_allclose(double.frequency, one.frequency, rtol=1e-3)


@pytest.mark.parametrize("tau", [0.25, 1.0])
def test_raw_sketches_and_samples_are_the_papers_formula(tau):
    given = sketch()
    raw, pixels = made("idse_sketch", tau), made("idse_pixel", tau)
    for plane, weight in enumerate(given.mean_weights):
        expected = given.planes[plane] / np.sqrt(weight * (1 + tau))
        np.testing.assert_allclose(raw.sketches[plane], expected, rtol=1e-5)
        energy = np.square(given.planes[plane].astype(float)).sum(0)
        energy = np.minimum(energy, np.percentile(energy, 99.5))
        np.testing.assert_allclose(pixels.pixels[plane], energy / energy.mean() / (1 + tau), rtol=1e-5)
    assert raw.sse == pytest.approx(np.full(3, tau / (1 + tau)))
    assert not raw.weighs_chroma


@pytest.mark.parametrize("scheme", ["idse_sketch", "idse_pixel"])
def test_a_plane_that_the_network_ignores_keeps_its_squared_error(scheme):
    found = made(scheme, scales=(3.0, 0.5, 0.0))
    assert found.sse == pytest.approx([1 / 3, 1 / 3, 1])


def test_a_picture_that_moves_nothing_has_the_static_form_alone():
    for scheme in ("idse", "idse_objectness"):
        found = made(scheme, scales=(0.0, 0.0, 0.0))
        assert mean_luma_weight(found) == pytest.approx(1 / 3, rel=1e-3)


@pytest.mark.parametrize("tau", [0, -1, np.inf, np.nan])
def test_tau_is_a_positive_number(tau):
    with pytest.raises(ConfigurationError, match="tau"):
        made("idse", tau)


def test_names_and_missing_parts_are_refused():
    with pytest.raises(ConfigurationError, match=r"'ssim'.*sse_chroma"):
        made("ssim")
    with pytest.raises(ConfigurationError, match=r"'mean'.*dataset"):
        made("idse", normalise="mean")
    for scheme in CALIBRATED:
        with pytest.raises(InputError, match=f"{scheme} needs a calibration"):
            scheme_distortion(scheme, HEIGHT, WIDTH, None, sketch())
    for scheme in SKETCHED:
        with pytest.raises(InputError, match=f"{scheme} needs a sketch"):
            scheme_distortion(scheme, HEIGHT, WIDTH, calibration())


def picture(seed=0):
    rng = np.random.default_rng(seed)
    return Picture(tuple(rng.integers(0, 256, s).astype(np.uint8) for s in ((64, 96), (32, 48), (32, 48))), "yuv420", 8)


@pytest.fixture
def files(tmp_path):
    save_calibration(tmp_path / "cal.npz", calibration())
    save_sketches(tmp_path / "a.npz", [sketch(picture_sha256=picture_digest(picture()))])
    return tmp_path


def test_a_guide_reads_what_the_workflow_wrote(files):
    guide = Guide("idse", Mixing(), files / "cal.npz", files / "a.npz")
    found = guide.guidance(0, picture())["distortion"]
    expected = made("idse", *Mixing())
    np.testing.assert_allclose(found.frequency, expected.frequency, rtol=2e-3)  # sketches are stored as 16-bit floats
    assert guide.chroma_qp_offset == calibration().chroma_qp_offset
    assert Guide("sse", Mixing()).guidance(0, picture()) == {"distortion": None}


def test_a_sketch_of_another_picture_or_network_is_refused(files):
    with pytest.raises(InputError, match=r"a\.npz.*another picture"):
        Guide("idse", Mixing(), files / "cal.npz", files / "a.npz").guidance(0, picture(1))
    other = dataclasses.replace(calibration(), network_sha256="e" * 64)
    save_calibration(files / "other.npz", other)
    with pytest.raises(InputError, match=r"other\.npz.*digests differ"):
        Guide("idse", Mixing(), files / "other.npz", files / "a.npz").guidance(0, picture())
    save_calibration(files / "objectness.npz", dataclasses.replace(calibration(), objectness=True))
    with pytest.raises(InputError, match=r"objectness\.npz.*objectness"):
        Guide("idse", Mixing(), files / "objectness.npz", files / "a.npz").guidance(0, picture())
