"""Codecs on downsampled pictures: geometry of every size, place of the chroma samples, every byte counted, damage."""

import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image
from tests.codecs.stress import SIZES

from cfm.codecs.container import ExternalStream, write_external
from cfm.codecs.downsampled import (
    HEADER_BYTES,
    MAGIC,
    DownsampledCodec,
    DownsampledStream,
    read_downsampled,
    resized,
    smaller_side,
    write_downsampled,
)
from cfm.codecs.learned.architecture import Architecture
from cfm.codecs.learned.training import initial_model
from cfm.codecs.learned.weights import save_weights
from cfm.codecs.pack import read_pack
from cfm.codecs.picture import Picture, plane_shapes
from cfm.codecs.registry import codec_digest, make_codec
from cfm.data.images import read_rgb
from cfm.data.shards import SourcePicture
from cfm.errors import BitstreamError, ConfigurationError, InputError
from cfm.evaluation.coding import encode_pictures, to_layout
from cfm.inspection import stream_line


class Raw:
    """A codec whose streams are the size and the samples themselves."""

    name, layout, points = "raw", "yuv420", (0,)

    def warm_up(self):
        pass

    def encode(self, picture, point):
        return struct.pack("<HH", picture.height, picture.width) + b"".join(p.tobytes() for p in picture.planes)

    def decode(self, stream):
        height, width = struct.unpack_from("<HH", stream)
        planes, position = [], 4
        for shape in plane_shapes(self.layout, height, width):
            count = shape[0] * shape[1]
            planes.append(np.frombuffer(stream, np.uint8, count, position).reshape(shape))
            position += count
        return Picture(tuple(planes), self.layout, 8)


def waves(height, width, layout="yuv420"):
    """A picture so smooth that half of its samples hold it."""
    planes = []
    for shape in plane_shapes(layout, height, width):
        rows, columns = np.mgrid[: shape[0], : shape[1]]
        planes.append((128 + 80 * np.sin(columns / 15) * np.cos(rows / 19)).astype(np.uint8))
    return Picture(tuple(planes), layout, 8)


def ramp(height, width):
    """Luma counts columns and chroma does too, at the centres of its blocks; the last block may reach beyond."""
    planes = []
    for number, (rows, columns) in enumerate(plane_shapes("yuv420", height, width)):
        x = 2 * np.arange(columns) + 1 if number else np.arange(columns) + 0.5
        planes.append(np.broadcast_to(np.rint(2 * x), (rows, columns)).astype(np.uint8))
    return Picture(tuple(planes), "yuv420", 8)


@pytest.mark.parametrize(
    ("side", "factor", "smaller"),
    [
        *[(1, 2, 1), (15, 4, 15), (16, 2, 16), (31, 2, 16), (33, 2, 16), (17, 16, 16), (20, 1.01, 20)],
        *[(100, 2, 50), (101, 2, 50), (103, 2, 52), (300, 1.5, 200), (427, 1.5, 284), (640, 16, 40)],
    ],
)
def test_sides_are_divided_evenly_and_never_below_sixteen(side, factor, smaller):
    assert smaller_side(side, factor) == smaller


@pytest.mark.parametrize("factor", [1.5, 2, 3.7])
def test_every_size_comes_back(factor):
    codec = DownsampledCodec(Raw(), factor)
    for height, width in [*SIZES, *((side, 97 - side) for side in range(1, 97, 7)), (200, 31), (250, 333)]:
        picture = waves(height, width)
        stream = codec.encode(picture, 0)
        decoded = codec.decode(stream)
        assert [plane.shape for plane in decoded.planes] == [plane.shape for plane in picture.planes]
        coded = Raw().decode(read_downsampled(stream).payload)
        assert (coded.height, coded.width) == (smaller_side(height, factor), smaller_side(width, factor))


@pytest.mark.parametrize(("before", "after"), [(100, 50), (101, 50), (103, 52), (50, 101), (52, 103), (64, 43)])
def test_chroma_stays_where_it_was(before, after):
    scaled = resized(ramp(before, before), after, after)
    scale = before / after
    for number, plane in enumerate(scaled.planes):
        x = (2 * np.arange(plane.shape[1]) + 1 if number else np.arange(plane.shape[1]) + 0.5) * scale
        inner = slice(4, -4)
        assert np.abs(plane[:, inner] - 2.0 * x[inner]).max() <= 1


def test_fine_detail_is_averaged_and_not_aliased():
    stripes = np.broadcast_to(np.where(np.arange(128) % 2, 255, 0).astype(np.uint8), (128, 128))
    picture = Picture((stripes,) * 3, "rgb", 8)
    smaller = resized(picture, 40, 40).planes[0][4:-4, 4:-4].astype(float)
    assert np.abs(smaller - 127.5).max() < 12


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "0.safetensors"
    architecture = Architecture("cheng2020-attn", 8)
    save_weights(path, initial_model(architecture, 0, None), architecture)
    return {"weights": {0: path}}


@pytest.mark.parametrize("name", ["x264", "x265", "kvazaar", "vvenc", "cheng2020-attn", "avc", "hevc"])
def test_every_codec_codes_the_smaller_picture(name, request):
    options = request.getfixturevalue("learned") if name == "cheng2020-attn" else {}
    codec, plain = make_codec(name, downsample=2, **options), make_codec(name, **options)
    assert (codec.layout, codec.points) == (plain.layout, plain.points)
    point = 0 if options else 30
    for height, width in [(67, 143), (9, 30)]:
        picture = waves(height, width, codec.layout)
        stream = codec.encode(picture, point)
        small = resized(picture, smaller_side(height, 2), smaller_side(width, 2))
        assert stream[HEADER_BYTES:] == plain.encode(small, point)
        decoded = codec.decode(stream)
        assert (decoded.layout, decoded.bit_depth) == (picture.layout, 8)
        assert [plane.shape for plane in decoded.planes] == [plane.shape for plane in picture.planes]
        error = np.square(decoded.planes[0].astype(float) - picture.planes[0]).mean()
        assert options or error < 20


def test_the_header_counts_in_the_rate(tmp_path):
    rgb = np.stack(waves(60, 90, "rgb").planes, axis=-1)
    Image.fromarray(rgb).save(tmp_path / "a.png")
    codec = make_codec("x264", downsample=1.5, preset="veryfast")
    rows = encode_pictures(codec, 33, [SourcePicture(7, tmp_path / "a.png")], tmp_path / "a.zip")
    stream = read_pack(tmp_path / "a.zip")["000000000007"]
    assert rows["size_bytes"].tolist() == [len(stream)]
    assert rows["source_pixels"].tolist() == [60 * 90]
    small = resized(to_layout(read_rgb(tmp_path / "a.png"), "yuv420"), 40, 60)
    assert len(stream) == HEADER_BYTES + len(make_codec("x264", preset="veryfast").encode(small, 33))
    assert stream_line("a", stream).startswith(f"a: downsampled from 90x60, {len(stream)} bytes, of which ")
    assert "x264, yuv420, 8 bit, 60x40" in stream_line("a", stream)


def test_damage_is_found():
    codec = make_codec("x264", downsample=2)
    stream = codec.encode(waves(64, 96), 33)
    for bit in range(8 * (HEADER_BYTES + 12)):
        broken = bytearray(stream)
        broken[bit // 8] ^= 1 << bit % 8
        with pytest.raises(BitstreamError):
            codec.decode(bytes(broken))
    for length in (0, 1, HEADER_BYTES, HEADER_BYTES + 1, len(stream) // 2, len(stream) - 1):
        with pytest.raises(BitstreamError):
            codec.decode(stream[:length])
    with pytest.raises(BitstreamError):
        codec.decode(stream + b"\0")


def test_streams_of_others_are_refused():
    codec = make_codec("x264", downsample=2)
    picture = waves(64, 96)
    with pytest.raises(BitstreamError, match="not a downsampled picture's"):
        codec.decode(make_codec("x264").encode(picture, 33))
    with pytest.raises(BitstreamError, match="stream of x265"):
        codec.decode(make_codec("x265", downsample=2).encode(picture, 33))
    with pytest.raises(BitstreamError, match=r"48x32 .*downsampled by 3 has 32x22"):
        make_codec("x264", downsample=3).decode(codec.encode(picture, 33))
    header = struct.pack("<BBHH", MAGIC, 2, 64, 96)
    with pytest.raises(BitstreamError, match="version"):
        codec.decode(header + struct.pack("<H", zlib.crc32(header) & 0xFFFF) + b"payload")


def test_a_size_that_only_the_header_claims_takes_no_memory():
    codec = make_codec("x264", downsample=2)
    payload = make_codec("x264").encode(waves(32, 48), 33)
    parsed = write_external(ExternalStream("x264", "yuv420", 8, 65535, 65535, b"\0\0\0\1\x67"))
    tracemalloc.start()
    for claim in (payload, parsed):
        with pytest.raises(BitstreamError):
            codec.decode(write_downsampled(DownsampledStream(65535, 65535, claim)))
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 4_000_000


def test_wrong_use():
    codec = make_codec("x264", downsample=2)
    with pytest.raises(ConfigurationError, match="distortion"):
        codec.encode(waves(64, 96), 33, distortion=None)
    with pytest.raises(ConfigurationError, match="QPs 0 to 51"):
        codec.encode(waves(64, 96), 52)
    deep = Picture(tuple(np.zeros((32, 32), np.uint16) for _ in range(3)), "rgb", 16)
    with pytest.raises(InputError, match="16 bits"):
        codec.encode(deep, 33)
    for factor in (0.5, 17, -2, float("nan")):
        with pytest.raises(ConfigurationError, match="downsample"):
            make_codec("x264", downsample=factor)
    with pytest.raises(ConfigurationError, match="preset"):
        make_codec("x264", downsample=2, preset="slowest")


def test_the_digest_tells_factors_apart():
    assert len({codec_digest("x264"), codec_digest("x264", downsample=2), codec_digest("x264", downsample=1.5)}) == 3
