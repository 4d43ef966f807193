"""Sketch files: precise enough, the same bytes each time, and clear words about what is wrong with one."""

import dataclasses

import numpy as np
import pytest

from cfm.errors import InputError
from cfm.sensitivity.sketch import Sketch
from cfm.sensitivity.sketch_file import load_sketch, save_sketches, sketched_ids


@pytest.fixture
def sketches():
    rng = np.random.default_rng(0)

    def one(image_id):
        planes = [(rng.normal(size=s) * 1e-9).astype(np.float32) for s in ((2, 9, 7), (2, 5, 4), (2, 5, 4))]
        return Sketch(*planes, image_id, "small", "cd" * 32, "ab" * 32, False)

    return [one(139), one(7)]


def test_a_file_gives_back_what_it_took(tmp_path, sketches):
    path = tmp_path / "shard.npz"
    save_sketches(path, sketches)
    assert sketched_ids(path) == [7, 139]
    for sketch in sketches:
        back = load_sketch(path, sketch.image_id)
        for before, after in zip(sketch.planes, back.planes, strict=True):
            np.testing.assert_allclose(after, before, rtol=2**-11, atol=0)
        assert dataclasses.replace(back, y=0, cb=0, cr=0) == dataclasses.replace(sketch, y=0, cb=0, cr=0)


def test_the_same_sketches_give_the_same_bytes_and_any_npz_reader_opens_them(tmp_path, sketches):
    for name in ("a.npz", "b.npz"):
        save_sketches(tmp_path / name, sketches)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert np.load(tmp_path / "a.npz")["000000000139/y"].shape == (2, 9, 7)


def test_a_sketch_of_zeros_stays_zero(tmp_path, sketches):
    zero = dataclasses.replace(sketches[0], y=np.zeros((1, 4, 4), np.float32))
    save_sketches(tmp_path / "z.npz", [zero])
    assert not load_sketch(tmp_path / "z.npz", 139).y.any()


def test_nothing_half_written_stays(tmp_path, sketches):
    def broken():
        yield sketches[0]
        raise InputError("stop")

    with pytest.raises(InputError):
        save_sketches(tmp_path / "s.npz", broken())
    assert list(tmp_path.iterdir()) == []


def test_damaged_and_absent_files_are_one_clear_line(tmp_path, sketches):
    path = tmp_path / "s.npz"
    with pytest.raises(InputError, match=r"s\.npz"):
        load_sketch(path, 7)
    save_sketches(path, sketches)
    with pytest.raises(InputError, match="picture 8"):
        load_sketch(path, 8)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError):
        sketched_ids(path)
    path.write_bytes(whole[:150] + bytes([whole[150] ^ 255]) + whole[151:])
    with pytest.raises(InputError, match="make it again"):
        load_sketch(path, 139)
