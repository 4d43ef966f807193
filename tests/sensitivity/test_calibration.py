"""Calibration: means over pictures, its file, and what does not belong together."""

import dataclasses

import numpy as np
import pytest

from cfm.errors import InputError
from cfm.sensitivity.calibration import calibrate, load_calibration, save_calibration
from cfm.sensitivity.gauss_newton import mean_matrix
from cfm.sensitivity.sketch import Sketch


def sketch(seed, image_id=0, scales=(1.0, 2.0, 2.0), objectness=False, digest="d"):
    rng = np.random.default_rng(seed)
    shapes = ((2, 32, 48), (2, 16, 24), (2, 16, 24))
    planes = [(scale * rng.normal(size=shape)).astype(np.float32) for scale, shape in zip(scales, shapes, strict=True)]
    return Sketch(*planes, image_id, "net", digest, "", objectness)


def test_every_picture_counts_the_same():
    sketches = [sketch(0), sketch(1, 1)]
    found = calibrate(sketches)
    assert found.pictures == 2
    assert found.weights == pytest.approx(np.mean([s.mean_weights for s in sketches], 0))
    for side, matrices in ((4, found.matrices4), (8, found.matrices8)):
        for plane in range(3):
            expected = np.mean([mean_matrix(s.planes[plane], side) for s in sketches], 0)
            np.testing.assert_allclose(matrices[plane], expected)


def test_chroma_is_weighed_beside_luma_and_its_quantiser_follows():
    found = calibrate([sketch(seed) for seed in range(6)])
    assert found.chroma[0] == 1
    assert found.chroma[1:] == pytest.approx(4, rel=0.1)
    assert found.chroma_qp_offset == -6  # a step of half the size
    assert calibrate([sketch(0, scales=(1, 100, 100))]).chroma_qp_offset == -12
    assert calibrate([sketch(0, scales=(1, 0, 0))]).chroma_qp_offset == 12


def test_a_file_gives_back_what_was_saved_with_the_same_bytes(tmp_path):
    made = calibrate([sketch(3)])
    for name in ("a.npz", "b.npz"):
        save_calibration(tmp_path / name, made)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    found = load_calibration(tmp_path / "a.npz")
    for field in dataclasses.fields(made):
        np.testing.assert_array_equal(getattr(found, field.name), getattr(made, field.name))


def test_sketches_of_different_networks_or_none_are_refused():
    with pytest.raises(InputError, match="different networks"):
        calibrate([sketch(0), sketch(1, digest="e")])
    with pytest.raises(InputError, match="different networks"):
        calibrate([sketch(0), sketch(1, objectness=True)])
    with pytest.raises(InputError, match="no sketches"):
        calibrate([])
    with pytest.raises(InputError, match="net: no training picture moves its features"):
        calibrate([sketch(0, scales=(0, 0, 0))])


def test_a_damaged_file_is_refused(tmp_path):
    save_calibration(tmp_path / "a.npz", calibrate([sketch(3)]))
    whole = (tmp_path / "a.npz").read_bytes()
    for content in (b"", whole[:300], whole[: len(whole) // 2], b"no archive"):
        (tmp_path / "b.npz").write_bytes(content)
        with pytest.raises(InputError, match=r"b\.npz"):
            load_calibration(tmp_path / "b.npz")
    np.savez(tmp_path / "c.npz", calibration_format=1, network="n")
    with pytest.raises(InputError, match=r"c\.npz"):
        load_calibration(tmp_path / "c.npz")
    with pytest.raises(InputError, match=r"absent\.npz"):
        load_calibration(tmp_path / "absent.npz")
