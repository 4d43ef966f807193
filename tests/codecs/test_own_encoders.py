"""What holds of every encoder of ours: quality and rate by QP, a distortion that moves the error, damage, bad input."""

import os
import shutil
import subprocess
import sys
import zlib
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from tests.codecs.stress import SIZES, picture_of, weighted

from cfm.codecs import kernels
from cfm.codecs.annex_b import annex_b_unit, last_unit
from cfm.codecs.distortion import Distortion
from cfm.codecs.picture import Picture
from cfm.codecs.registry import OWN, make_codec
from cfm.codecs.sealed import MARK, SEAL_CONTENT, SEALS, codec_of
from cfm.errors import BitstreamError, ConfigurationError, InputError


@pytest.fixture(params=OWN)
def name(request):
    return request.param


@pytest.fixture
def encode_picture(name):
    return import_module(f"cfm.codecs.{name}.encoder").encode_picture


def luma_error(encoded, picture):
    height, width = picture.planes[0].shape
    return np.square(encoded.planes[0][:height, :width].astype(float) - picture.planes[0])


def resealed(body, name):
    """A stream with a seal whose checksum fits."""
    checksum = zlib.crc32(body, 3)
    return body + annex_b_unit(SEALS[name], SEAL_CONTENT.pack(MARK | 3, checksum))


def test_the_qp_decides_quality_and_rate(encode_picture):
    picture = picture_of("textured", 96, 128)
    coded = [encode_picture(picture, qp) for qp in (20, 30, 40)]
    sizes = [len(encoded.stream) for encoded in coded]
    errors = [luma_error(encoded, picture).mean() for encoded in coded]
    assert sizes == sorted(sizes, reverse=True)
    assert errors == sorted(errors)


@pytest.mark.parametrize("deltas", [(0,), (-2, 0, 2)])
def test_bits_are_where_there_is_something_to_code(encode_picture, deltas):
    picture = picture_of("textured", 96, 200)
    for plane in picture.planes:
        plane[:, plane.shape[1] * 64 // 100 :] = 128  # from 128 on: a border of coding tree blocks, too
    encoded = encode_picture(picture, 30, deltas=deltas)
    assert encoded.bits.shape == encoded.qps.shape == (6, 13)
    assert encoded.bits.sum() == pytest.approx(encoded.counted_bits, rel=1e-6)
    assert encoded.bits[:, :8].min() > 10 * encoded.bits[:, 9:].mean()


def test_a_codec_tells_what_its_encoder_knows(name):
    picture = picture_of("textured", 51, 67)
    codec = make_codec(name)
    encoded = codec.encode_picture(picture, 34)
    assert encoded.stream == codec.encode(picture, 34)
    assert encoded.sides.shape == (13, 17)
    with pytest.raises(ConfigurationError, match="QP 52"):
        codec.encode_picture(picture, 52)


def test_weights_move_the_error_to_where_it_weighs_less(encode_picture):
    picture = picture_of("textured", 96, 128)
    weights = np.full((3, 6, 8), 0.1)
    weights[:, :, 4:] = 4
    distortion = Distortion(96, 128, sse=np.full(3, 0.05), weights=weights, samples=np.ones((3, 16)))
    errors = [luma_error(encode_picture(picture, 36, data), picture) for data in (None, distortion)]
    assert errors[1][:, 64:].mean() < 0.9 * errors[0][:, 64:].mean()
    assert errors[1][:, :64].mean() > 1.2 * errors[0][:, :64].mean()


def test_frequency_weights_of_each_macroblock_are_those_of_all_where_they_are_alike(encode_picture):
    picture, rng = picture_of("textured", 67, 83), np.random.default_rng(4)
    frequency, weights = rng.uniform(0.1, 2, (3, 16)), rng.uniform(0.5, 2, (3, 5, 6))
    each = np.broadcast_to(frequency[:, None, None], (3, 5, 6, 16))
    streams = {
        encode_picture(picture, 34, Distortion(67, 83, np.full(3, 0.2), weights, given)).stream
        for given in (frequency, each)
    }
    assert len(streams) == 1


def test_frequency_weights_of_a_macroblock_move_the_error_there(encode_picture):
    picture = picture_of("textured", 96, 128)
    frequency = np.ones((3, 6, 8, 16))
    frequency[:, :, :4] = 0.2
    frequency[:, :, 4:] = 5
    data = Distortion(96, 128, np.zeros(3), frequency=frequency)
    errors = [luma_error(encode_picture(picture, 36, data), picture) for data in (None, data)]
    assert errors[1][:, 64:].mean() < 0.9 * errors[0][:, 64:].mean()
    assert errors[1][:, :64].mean() > 1.1 * errors[0][:, :64].mean()


def test_weights_of_samples_move_the_error(encode_picture):
    picture = picture_of("textured", 97, 127)
    pixels = tuple(np.full(plane.shape, 0.2, np.float32) for plane in picture.planes)
    for plane, column in zip(pixels, (60, 30, 30), strict=True):
        plane[:, column:] = 5
    data = Distortion(97, 127, np.full(3, 0.02), pixels=pixels)
    errors = [luma_error(encode_picture(picture, 36, data), picture) for data in (None, data)]
    assert errors[1][:, 64:].mean() < 0.9 * errors[0][:, 64:].mean()
    assert errors[1][:, :60].mean() > 1.1 * errors[0][:, :60].mean()


def test_weights_of_samples_that_are_alike_are_a_squared_error(encode_picture):
    picture = picture_of("textured", 64, 96)
    pixels = tuple(np.full(plane.shape, 0.75, np.float32) for plane in picture.planes)
    plain, same = (
        encode_picture(picture, 33),
        encode_picture(picture, 33, Distortion(64, 96, np.full(3, 0.25), pixels=pixels)),
    )
    assert len(same.stream) == pytest.approx(len(plain.stream), rel=0.01)
    assert np.square(plain.planes[0].astype(float) - same.planes[0]).mean() < 1


def test_maps_say_what_was_decided(encode_picture, name):
    rng = np.random.default_rng(0)
    planes = [np.full(plane.shape, 90, np.uint8) for plane in picture_of("flat", 131, 200).planes]
    # What no large block suits: in AVC noise; in HEVC, which has transforms as large, another grey in every 4x4 block.
    step = 4 if name == "hevc" else 1
    planes[0][64:128, 128:192] = np.kron(255 * rng.random((64 // step, 64 // step)).round(2), np.ones((step, step)))
    encoded = encode_picture(Picture(tuple(planes), "yuv420", 8), 30)
    assert encoded.qps.shape == (9, 13)
    assert encoded.qps.dtype == np.int8
    assert (encoded.qps == 30).all()
    assert encoded.sides.shape == (33, 50)
    assert (encoded.sides[4:12, 4:28] == (64 if name == "hevc" else 16)).all()
    assert encoded.sides[16:32, 32:48].mean() < 9
    assert set(np.unique(encoded.sides)) <= {4, 8, 16, 32, 64}


def test_maps_say_which_qps_were_chosen(encode_picture):
    picture = picture_of("textured", 96, 112)
    weights = np.full((3, 6, 7), 0.05)
    weights[:, :, 4:] = 8
    data = Distortion(96, 112, np.full(3, 0.02), weights, np.ones((3, 16)))
    qps = encode_picture(picture, 32, data, deltas=(-4, 0, 4)).qps
    assert qps.shape == (6, 7)
    assert set(np.unique(qps)) <= {28, 32, 36}
    assert qps[:, 4:].mean() < qps[:, :4].mean() - 3


def test_data_that_weigh_chroma_replace_the_encoders_own_weight(encode_picture):
    picture = picture_of("textured", 96, 128)

    def chroma_error(weight):
        data = Distortion(96, 128, sse=np.array([1.0, weight, weight]), weighs_chroma=True)
        planes = encode_picture(picture, 36, data).planes
        return sum(np.square(planes[p].astype(float) - picture.planes[p]).sum() for p in (1, 2))

    assert chroma_error(6.0) < 0.9 * chroma_error(1.0)


def test_a_distortion_of_squared_errors_is_none(encode_picture):
    picture = picture_of("textured", 64, 64)
    data = Distortion(64, 64, sse=np.full(3, 0.25), samples=np.full((3, 16), 0.75))
    plain, same = encode_picture(picture, 33), encode_picture(picture, 33, data)
    assert len(same.stream) == pytest.approx(len(plain.stream), rel=0.01)
    assert np.array_equal(plain.planes[0], same.planes[0])


def test_kernels_run_without_the_compiler(name):
    program = (
        "import numpy as np, sys\n"
        f"from cfm.codecs.{name}.encoder import encode_picture\n"
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


def test_an_encoder_needs_no_module_of_another(name):
    """The digests of the workflow's jobs leave the other encoders' code out."""
    program = f"import sys, cfm.codecs.{name}.codec; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    others = tuple(f"cfm.codecs.{other}" for other in OWN if other != name)
    assert f"cfm.codecs.{name}.encoder" in done.stdout.split()
    assert not [module for module in done.stdout.split() if module.startswith(others)]


def test_checkouts_of_the_same_source_share_compiled_kernels(name, encode_picture, tmp_path):
    encode_picture(picture_of("textured", 16, 16), 30)
    compiled = sorted(kernels.cache_folder().rglob("*"))
    package = Path(kernels.__file__).parents[1]
    shutil.copytree(package, tmp_path / "cfm", ignore=shutil.ignore_patterns("__pycache__"))
    program = (
        "import numpy as np\n"
        f"from cfm.codecs.{name} import encoder\n"
        "from cfm.codecs.picture import Picture\n"
        "planes = tuple(np.zeros((n, n), np.uint8) for n in (16, 8, 8))\n"
        "encoder.encode_picture(Picture(planes, 'yuv420', 8), 30)\n"
        "print(encoder.__file__)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith(str(tmp_path))
    assert compiled
    assert sorted(kernels.cache_folder().rglob("*")) == compiled


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_the_codec_gives_back_a_picture_of_the_same_size(name, height, width):
    codec = make_codec(name)
    picture = picture_of("textured", height, width)
    stream = codec.encode(picture, 20)
    decoded = codec.decode(stream)
    assert codec_of(stream) == name
    assert (decoded.height, decoded.width) == (height, width)
    assert [plane.shape for plane in decoded.planes] == [plane.shape for plane in picture.planes]
    error = np.square(decoded.planes[0].astype(float) - picture.planes[0]).mean()
    assert error < 20


def test_damage_is_found(name):
    codec = make_codec(name)
    stream = codec.encode(picture_of("textured", 48, 64), 30)
    body = last_unit(stream)[0]
    flips = [*np.random.default_rng(1).integers(0, 8 * len(body), 60), *range(8 * len(body), 8 * len(stream))]
    for position, bit in (divmod(int(flip), 8) for flip in flips):
        damaged = bytearray(stream)
        damaged[position] ^= 1 << bit
        with pytest.raises(BitstreamError):
            codec.decode(bytes(damaged))
    for length in (0, 1, 20, len(stream) // 2, len(stream) - 1):
        with pytest.raises(BitstreamError):
            codec.decode(stream[:length])


def test_what_a_seal_vouches_for_is_decoded_or_refused(name):
    """Damage before the checksum was made: the decoder's own checks remain."""
    codec = make_codec(name)
    body, seal = last_unit(codec.encode(picture_of("textured", 48, 64), 30))
    rng = np.random.default_rng(2)
    refused = 0
    for position in rng.integers(0, len(body), 200):
        damaged = bytearray(body)
        damaged[position] ^= 1 << rng.integers(8)
        try:
            assert codec.decode(resealed(bytes(damaged), name)).layout == "yuv420"
        except BitstreamError:
            refused += 1
    assert refused > 0
    with pytest.raises(BitstreamError):
        codec.decode(resealed(body[:40], name))
    with pytest.raises(BitstreamError):
        codec.decode(resealed(b"", name))
    assert seal.startswith(SEALS[name])


def test_a_stream_of_another_encoder_is_refused():
    streams = {name: make_codec(name).encode(picture_of("flat", 16, 16), 30) for name in OWN}
    for name, stream in streams.items():
        for other in OWN.keys() - {name}:
            with pytest.raises(BitstreamError, match=f"our {other.upper()} streams"):
                make_codec(other).decode(stream)
    with pytest.raises(BitstreamError, match="does not end as one of ours"):
        codec_of(b"\0\0\0\1\x65 of another")


def test_what_cannot_be_coded_is_refused(name):
    codec, picture = make_codec(name), picture_of("flat", 32, 32)
    for qp in (-1, 52):
        with pytest.raises(ConfigurationError, match=f"{name}: QP {qp} "):
            codec.encode(picture, qp)
    with pytest.raises(InputError, match="48x32"):
        codec.encode(picture, 30, weighted(32, 48))
    for size in ((16, 20000), (10000, 8000)):
        with pytest.raises(InputError, match=r"larger than any level.*scale it down"):
            codec.encode(picture_of("flat", *size), 30)
    with pytest.raises(InputError, match="grey"):
        codec.encode(Picture((np.zeros((8, 8), np.uint8),), "grey", 8), 30)
    with pytest.raises(ConfigurationError, match="no QP within 0 to 51"):
        make_codec(name, deltas=(-4, -2)).encode(picture, 1)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"deltas": (0, 13)}, "delta"),
        ({"deltas": ()}, "delta"),
        ({"chroma_offset": 13}, "offset 13"),
        ({"effort": 0}, "effort 0"),
        ({"effort": 9}, "effort 9"),
        ({"preset": "slow"}, "preset"),
        ({"decisions": ()}, "no decisions; name some of partition, mode, levels, delta_qp"),
        ({"decisions": ("mode", "")}, "no decision is called ''; name some of partition"),
        ({"decisions": "mode"}, "no decision is called 'm'"),
    ],
)
def test_options_out_of_range_are_refused(name, options, words):
    with pytest.raises(ConfigurationError, match=words) as caught:
        make_codec(name, **options)
    assert str(caught.value).startswith(f"codec {name}")
