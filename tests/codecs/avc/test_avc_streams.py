"""Our AVC streams, decoded by libavcodec: to the bit what the encoder reconstructed, for all sorts of pictures."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cfm.codecs.avc.codec import Avc
from cfm.codecs.avc.encoder import encode_picture, lambda_of
from cfm.codecs.distortion import Distortion
from cfm.codecs.external.decoding import decode_annex_b
from cfm.codecs.picture import Picture, plane_shapes
from cfm.codecs.registry import make_codec
from cfm.data.colour import rgb_to_yuv420
from cfm.data.images import read_rgb
from cfm.data.scenes.compose import generate_scene
from cfm.errors import BitstreamError, ConfigurationError, InputError

SIZES = ((1, 1), (1, 67), (16, 16), (17, 3), (43, 67), (48, 32), (67, 43))
QPS = (0, 1, 10, 17, 24, 31, 38, 45, 51)


def textured(shape, rng):
    """Smoothed noise with an edge: what intra prediction is made for."""
    height, width = shape
    waves = np.cumsum(np.cumsum(rng.normal(size=shape), 0), 1)
    span = max(np.ptp(waves), 1e-9)
    picture = 200 * (waves - waves.min()) / span + 10 * rng.random(shape)
    picture[:, width // 2 :] += 40 * (np.arange(height)[:, None] > height // 3)
    return np.clip(picture, 0, 255).astype(np.uint8)


REAL = Path("../shared/coco-mini/val2017")
CONTENTS = {
    "textured": textured,
    "noise": lambda shape, rng: rng.integers(0, 256, shape, dtype=np.uint8),
    "board": lambda shape, rng: (255 * (np.indices(shape).sum(0) % 2)).astype(np.uint8),
    "flat": lambda shape, rng: np.full(shape, 77, np.uint8),
}


def picture_of(content, height, width, seed=0):
    rng = np.random.default_rng(seed)
    planes = (CONTENTS[content](shape, rng) for shape in plane_shapes("yuv420", height, width))
    return Picture(tuple(planes), "yuv420", 8)


def weighted(height, width, seed=0):
    """A distortion that has everything."""
    rng = np.random.default_rng(seed)
    shapes = plane_shapes("yuv420", height, width)
    return Distortion(
        height,
        width,
        sse=np.array([0.3, 0.6, 0.5]),
        weights=rng.uniform(0.2, 3, (3, -(-height // 16), -(-width // 16))),
        frequency=rng.uniform(0.1, 1, (3, 16)),
        samples=rng.uniform(0.1, 0.5, (3, 16)),
        factors=rng.normal(0, 0.2, (3, 2, 16)),
        sketches=tuple(rng.normal(0, 0.3, (3, *shape)).astype(np.float32) for shape in shapes),
    )


def matches(encoded):
    """Whether a decoder makes of the stream what the encoder did."""
    decoded = decode_annex_b(encoded.stream, "h264", "yuv420p")
    return all(
        np.array_equal(plane, coded[: plane.shape[0], : plane.shape[1]])
        for plane, coded in zip(decoded, encoded.planes, strict=True)
    )


@pytest.mark.parametrize("cabac", [True, False])
@pytest.mark.parametrize("content", CONTENTS)
def test_a_decoder_reconstructs_what_the_encoder_did(content, cabac):
    for (height, width), qp, with_data in itertools.product(SIZES, QPS, (False, True)):
        distortion = weighted(height, width) if with_data else None
        picture = picture_of(content, height, width)
        encoded = encode_picture(picture, qp, distortion, cabac=cabac, deblocking=False)
        assert matches(encoded), f"{content} {width}x{height}, QP {qp}, cabac {cabac}, data {with_data}"


def natural_pictures():
    """An embedded scene, and real pictures where the validation data lies beside the checkout."""
    scene = generate_scene(1, "val2017", 0, 160, 112).image
    real = [read_rgb(path)[:150, :175] for path in sorted(REAL.glob("*.jpg"))[:3]]
    return [rgb_to_yuv420(np.ascontiguousarray(rgb)) for rgb in (scene, *real)]


@pytest.mark.parametrize("cabac", [True, False])
def test_natural_pictures_are_reconstructed_as_the_encoder_did(cabac):
    for index, picture in enumerate(natural_pictures()):
        data = weighted(picture.height, picture.width)
        for qp, distortion, options in itertools.product(QPS, (None, data), ({}, {"deltas": (-2, 0, 2), "effort": 3})):
            encoded = encode_picture(picture, qp, distortion, cabac=cabac, deblocking=False, **options)
            assert matches(encoded), f"picture {index}, QP {qp}, cabac {cabac}, {options}"


@pytest.mark.parametrize("cabac", [True, False])
def test_qps_by_macroblock_and_chroma_offsets_decode(cabac):
    for qp, offset, deltas in itertools.product((2, 30, 49), (-12, 0, 12), ((0, 2), (-4, -2, 0, 2, 4), (-12, 12))):
        encoded = encode_picture(picture_of("textured", 80, 64), qp, None, deltas, offset, cabac, deblocking=False)
        assert matches(encoded), f"QP {qp}, offset {offset}, deltas {deltas}"


@pytest.mark.parametrize("cabac", [True, False])
@pytest.mark.parametrize("content", sorted(CONTENTS))
def test_the_luma_that_decisions_are_made_by_is_what_a_decoder_shows(content, cabac):
    for qp, deltas, effort in itertools.product((5, 24, 33, 45, 51), ((0,), (-4, 0, 2)), (1, 5)):
        picture = picture_of(content, 83, 67)
        encoded = encode_picture(picture, qp, deltas=deltas, cabac=cabac, effort=effort)
        shown = decode_annex_b(encoded.stream, "h264", "yuv420p")[0]
        assert np.array_equal(shown[:83, :67], encoded.shown_luma[:83, :67]), f"QP {qp}, {deltas}, effort {effort}"


def test_more_effort_lowers_the_cost():
    picture = picture_of("textured", 240, 320)

    def cost(**options):
        encoded = encode_picture(picture, 37, **options)
        error = np.square(encoded.shown_luma.astype(float) - picture.planes[0]).sum()
        return error + lambda_of(37) * 8 * len(encoded.stream)

    assert cost(effort=5) < 0.995 * cost()
    assert cost(deltas=(-2, -1, 0, 1, 2), effort=5) < 0.995 * cost()


def test_effort_counts_where_the_nearest_qp_does_not_exist():
    picture = picture_of("textured", 64, 64)
    streams = {encode_picture(picture, 51, deltas=(-3, 2), effort=effort).stream for effort in (1, 5)}
    assert len(streams) == 2


@pytest.mark.parametrize("qp", [10, 30, 40])
@pytest.mark.parametrize("cabac", [True, False])
def test_the_bits_that_decisions_count_are_the_bits_written(cabac, qp):
    encoded = encode_picture(picture_of("textured", 240, 320), qp, cabac=cabac)
    nothing = encode_picture(picture_of("flat", 240, 320), qp, cabac=cabac)
    written, headers = 8 * len(encoded.stream), 8 * len(nothing.stream) - nothing.counted_bits
    assert encoded.counted_bits == pytest.approx(written - headers, rel=0.005, abs=16)


def test_the_qp_decides_quality_and_rate():
    picture = picture_of("textured", 96, 128)
    sizes, errors = [], []
    for qp in (20, 30, 40):
        encoded = encode_picture(picture, qp)
        sizes.append(len(encoded.stream))
        errors.append(np.square(encoded.planes[0].astype(float) - picture.planes[0]).mean())
    assert sizes == sorted(sizes, reverse=True)
    assert errors == sorted(errors)


def test_weights_move_the_error_to_where_it_weighs_less():
    picture = picture_of("textured", 96, 128)
    weights = np.full((3, 6, 8), 0.1)
    weights[:, :, 4:] = 4
    distortion = Distortion(96, 128, sse=np.full(3, 0.05), weights=weights, samples=np.ones((3, 16)))
    errors = [
        np.square(encode_picture(picture, 36, data).planes[0].astype(float) - picture.planes[0])
        for data in (None, distortion)
    ]
    assert errors[1][:, 64:].mean() < 0.8 * errors[0][:, 64:].mean()
    assert errors[1][:, :64].mean() > 1.2 * errors[0][:, :64].mean()


def test_a_distortion_of_squared_errors_is_none():
    picture = picture_of("textured", 64, 64)
    data = Distortion(64, 64, sse=np.full(3, 0.25), samples=np.full((3, 16), 0.75))
    plain, same = encode_picture(picture, 33), encode_picture(picture, 33, data)
    assert len(same.stream) == pytest.approx(len(plain.stream), rel=0.01)
    assert np.array_equal(plain.planes[0], same.planes[0])


def test_kernels_run_without_the_compiler():
    program = (
        "import numpy as np, sys\n"
        "from cfm.codecs.avc.encoder import encode_picture\n"
        "from cfm.codecs.picture import Picture\n"
        "planes = tuple(np.arange(n * n, dtype=np.uint8).reshape(n, n) for n in (16, 8, 8))\n"
        "sys.stdout.buffer.write(encode_picture(Picture(planes, 'yuv420', 8), 30).stream)\n"
    )
    streams = [
        subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"NUMBA_DISABLE_JIT": disabled},
            check=True,
            capture_output=True,
        ).stdout
        for disabled in ("0", "1")
    ]
    assert len(streams[0]) > 30
    assert streams[0] == streams[1]


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_the_codec_gives_back_a_picture_of_the_same_size(height, width):
    codec = make_codec("avc")
    picture = picture_of("textured", height, width)
    decoded = codec.decode(codec.encode(picture, 20))
    assert (decoded.height, decoded.width) == (height, width)
    assert [plane.shape for plane in decoded.planes] == [plane.shape for plane in picture.planes]


def test_damage_is_found():
    codec = Avc()
    stream = codec.encode(picture_of("textured", 48, 64), 30)
    rng = np.random.default_rng(1)
    for position in rng.choice(len(stream), 60, replace=False):
        damaged = bytearray(stream)
        damaged[position] ^= 1 << rng.integers(8)
        with pytest.raises(BitstreamError):
            codec.decode(bytes(damaged))
    for length in (0, 1, 20, len(stream) // 2, len(stream) - 1):
        with pytest.raises(BitstreamError):
            codec.decode(stream[:length])


def test_what_cannot_be_coded_is_refused():
    codec, picture = Avc(), picture_of("flat", 32, 32)
    with pytest.raises(ConfigurationError, match="QP 52"):
        codec.encode(picture, 52)
    with pytest.raises(InputError, match="48x32"):
        codec.encode(picture, 30, weighted(32, 48))
    with pytest.raises(InputError, match="larger than any level"):
        codec.encode(picture_of("flat", 16, 20000), 30)
    with pytest.raises(InputError, match="grey"):
        codec.encode(Picture((np.zeros((8, 8), np.uint8),), "grey", 8), 30)
    with pytest.raises(ConfigurationError, match="delta"):
        Avc(deltas=(0, 13))
    with pytest.raises(ConfigurationError, match="delta"):
        Avc(deltas=(-4, -2)).encode(picture, 1)
