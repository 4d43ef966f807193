"""Standard codecs: the QP that was asked for, sane quality, odd sizes, damage; decoded by decoders we did not write."""

import re
import subprocess

import numpy as np
import pytest

from cfm.codecs.container import read_external
from cfm.codecs.external.ffmpeg import ffmpeg_executable
from cfm.codecs.external.pyav import without_sei
from cfm.codecs.picture import Picture, plane_shapes
from cfm.codecs.registry import codec_digest, make_codec
from cfm.errors import BitstreamError, ConfigurationError, InputError

FAST = {"x264": "fast", "x265": "fast", "kvazaar": "fast", "vvenc": "faster"}
FORMS = [
    ("x264", "yuv420", 8),
    ("x265", "yuv420", 8),
    ("x265", "grey", 10),
    ("kvazaar", "yuv420", 8),
    ("vvenc", "yuv420", 8),
    ("vvenc", "grey", 10),
]


def codec_of(name):
    return make_codec(name, preset=FAST[name])


def picture_of(height, width, layout="yuv420", bit_depth=8):
    rng = np.random.default_rng([height, width])
    planes = []
    for shape in plane_shapes(layout, height, width):
        rows, columns = np.mgrid[: shape[0], : shape[1]]
        values = 0.5 + 0.3 * np.sin(columns / 9) * np.cos(rows / 13) + rng.normal(0, 0.02, shape)
        dtype = np.uint8 if bit_depth == 8 else np.uint16
        planes.append(np.clip(values * (2**bit_depth - 1), 0, 2**bit_depth - 1).astype(dtype))
    return Picture(tuple(planes), layout, bit_depth)


def psnr_db(picture, decoded):
    error = np.mean((picture.planes[0].astype(float) - decoded.planes[0]) ** 2)
    return 10 * np.log10((2**picture.bit_depth - 1) ** 2 / max(error, 1e-9))


def slice_qps(stream):
    """QPs by FFmpeg's own parser of the headers: 26 + the parameter set's QP + the slice's difference."""
    parsed = read_external(stream)
    raw_format = {"x264": "h264", "x265": "hevc", "kvazaar": "hevc", "vvenc": "vvc"}[parsed.codec]
    command = [ffmpeg_executable(), "-hide_banner", "-f", raw_format, "-i", "pipe:0", "-c", "copy"]
    command += ["-bsf:v", "trace_headers", "-f", "null", "-"]
    text = subprocess.run(command, input=parsed.payload, capture_output=True, check=True).stderr.decode()
    initial = re.findall(r"init_qp_minus26\s+[01]+ = (-?\d+)", text)[-1]
    # H.266 carries the difference in the picture header where it is shared by the slices.
    return {26 + int(initial) + int(qp) for qp in re.findall(r"(?:slice|sh|ph)_qp_delta\s+[01]+ = (-?\d+)", text)}


@pytest.mark.parametrize(("name", "layout", "bit_depth"), FORMS)
def test_rate_and_quality_fall_with_qp_and_the_slice_qp_is_the_asked_one(name, layout, bit_depth):
    codec = codec_of(name)
    picture = picture_of(64, 96, layout, bit_depth)
    sizes, qualities = [], []
    for qp in (4 if name == "vvenc" else 0, 12, 22, 27, 37, 51):
        stream = codec.encode(picture, qp)
        decoded = codec.decode(stream)
        assert (decoded.layout, decoded.bit_depth) == (layout, bit_depth)
        sizes.append(len(stream))
        qualities.append(psnr_db(picture, decoded))
        if qp:
            assert slice_qps(stream) == {qp}
    assert sizes == sorted(sizes, reverse=True)
    assert qualities == sorted(qualities, reverse=True)
    assert qualities[0] > 52
    assert 38 < qualities[2] < 45
    assert qualities[-1] > 20


@pytest.mark.parametrize("name", FAST)
@pytest.mark.parametrize("size", [(1, 1), (16, 16), (17, 23), (67, 43)])
def test_odd_sizes(name, size):
    codec = codec_of(name)
    picture = picture_of(*size)
    decoded = codec.decode(codec.encode(picture, 22))
    assert [plane.shape for plane in decoded.planes] == [plane.shape for plane in picture.planes]
    for plane, original in zip(decoded.planes, picture.planes, strict=True):
        assert np.abs(plane.astype(int) - original).mean() < 4


@pytest.mark.parametrize("name", FAST)
def test_a_whole_picture_twice_gives_the_same_bytes(name):
    codec = codec_of(name)
    picture = picture_of(256, 320)
    stream = codec.encode(picture, 32)
    assert stream == codec.encode(picture, 32)
    assert psnr_db(picture, codec.decode(stream)) > 30


@pytest.mark.parametrize("name", FAST)
def test_broken_streams(name):
    codec = codec_of(name)
    stream = codec.encode(picture_of(32, 48), 30)
    rng = np.random.default_rng(1)
    for position in rng.choice(len(stream), 40, replace=False):
        broken = bytearray(stream)
        broken[position] ^= 1 << int(rng.integers(8))
        with pytest.raises(BitstreamError):
            codec.decode(bytes(broken))
    for length in (0, 5, len(stream) // 2, len(stream) - 1):
        with pytest.raises(BitstreamError):
            codec.decode(stream[:length])


def test_a_stream_of_another_codec():
    stream = codec_of("x265").encode(picture_of(32, 32), 30)
    with pytest.raises(BitstreamError, match="x265"):
        codec_of("kvazaar").decode(stream)


def test_sei_is_removed_and_nothing_else():
    sequence, sei, slice_ = b"\0\0\0\1\x67abc", b"\0\0\1\x06hello", b"\0\0\1\x65data\0\0\3\0"
    assert without_sei(sequence + sei + slice_) == sequence + slice_
    assert b"x264" not in codec_of("x264").encode(picture_of(32, 32), 30)


def test_vvenc_says_so_when_its_wrapper_has_no_room_for_the_stream():
    with pytest.raises(InputError, match="raise the QP"):
        codec_of("vvenc").encode(picture_of(64, 96), 0)


def test_wrong_use():
    picture = picture_of(16, 16)
    with pytest.raises(ConfigurationError, match="QPs 0 to 51"):
        codec_of("x264").encode(picture, 52)
    with pytest.raises(ConfigurationError, match="guidance"):
        codec_of("x264").encode(picture, 30, sketch=1)
    with pytest.raises(InputError, match="grey"):
        codec_of("kvazaar").encode(picture_of(16, 16, "grey", 8), 30)
    with pytest.raises(ConfigurationError, match="veryslow"):
        make_codec("x264", preset="slowest")
    with pytest.raises(ConfigurationError, match="preset"):
        make_codec("x264", preste="slow")
    with pytest.raises(ConfigurationError, match="kvazaar"):
        make_codec("x266")


def test_digest_changes_with_the_options():
    assert codec_digest("x264", preset="slow") == codec_digest("x264", preset="slow")
    assert codec_digest("x264", preset="slow") != codec_digest("x264", preset="fast") != codec_digest("x265")
