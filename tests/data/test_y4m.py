"""YUV4MPEG2 files: planes come back as they were, and what is wrong with a file is said."""

import numpy as np
import pytest

from cfm.codecs.picture import Picture, plane_shapes
from cfm.data.y4m import read_y4m, write_y4m
from cfm.errors import InputError


@pytest.mark.parametrize(("height", "width"), [(1, 1), (5, 8), (16, 32)])
def test_planes_come_back(height, width, tmp_path):
    rng = np.random.default_rng(0)
    planes = tuple(rng.integers(0, 256, s, dtype=np.uint8) for s in plane_shapes("yuv420", height, width))
    write_y4m(tmp_path / "a.y4m", Picture(planes, "yuv420", 8))
    for ours, theirs in zip(read_y4m(tmp_path / "a.y4m").planes, planes, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not a YUV4MPEG2"),
        (b"RIFF....\n", "not a YUV4MPEG2"),
        (b"YUV4MPEG2 W4 H4 C444\nFRAME\n" + bytes(48), "444"),
        (b"YUV4MPEG2 W4 C420\nFRAME\n" + bytes(24), "width and height"),
        (b"YUV4MPEG2 W4 H4\nFRAME\n" + bytes(23), "ends within"),
        (b"YUV4MPEG2 W4 H4\nFRAMB\n" + bytes(24), "no frame"),
        (b"YUV4MPEG2 W0 H4\nFRAME\n" + bytes(24), "no frame"),
    ],
)
def test_what_is_wrong_is_said(content, words, tmp_path):
    (tmp_path / "a.y4m").write_bytes(content)
    with pytest.raises(InputError, match=words):
        read_y4m(tmp_path / "a.y4m")


def test_an_absent_file(tmp_path):
    with pytest.raises(InputError, match=r"a\.y4m"):
        read_y4m(tmp_path / "a.y4m")
