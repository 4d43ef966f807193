"""Mosaics: an inverse exact to the quantisation, every byte accounted for, and no broken stream let through."""

import struct

import numpy as np
import pytest
import torch

from cfm.codecs.picture import Picture
from cfm.errors import BitstreamError, InputError
from cfm.features.mosaic import (
    HEADER_BYTES,
    MosaicGeometry,
    decode_scale,
    encode_scale,
    pack_scale,
    read_header,
    unpack_scale,
)


class PlainCodec:
    """Writes the samples as they are, dropping `point` bits of each."""

    name = "plain"

    def __init__(self, layout: str = "rgb"):
        self.layout = layout

    def encode(self, picture: Picture, point: int) -> bytes:
        planes = np.stack(picture.planes) >> point << point
        return struct.pack("<BBHH", len(planes), picture.bit_depth, picture.height, picture.width) + planes.tobytes()

    def decode(self, stream: bytes) -> Picture:
        count, bit_depth, height, width = struct.unpack_from("<BBHH", stream)
        planes = np.frombuffer(stream, np.uint16, offset=6).reshape(count, height, width)
        return Picture(tuple(planes), {1: "grey", 3: "rgb"}[count], bit_depth)


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(3)


def test_the_paper_geometry_of_256_channels():
    geometry = MosaicGeometry("rgb", 256, 5, 7)
    assert (geometry.tiles, geometry.columns, geometry.rows, geometry.samples) == (86, 10, 9, 90 * 35)
    grey = MosaicGeometry("grey", 256, 5, 7)
    assert (grey.tiles, grey.columns, grey.rows) == (256, 16, 16)


@pytest.mark.parametrize("layout", ["rgb", "grey"])
@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 3, 5), (3, 4, 4), (64, 9, 13), (96, 10, 10), (256, 3, 2)])
def test_unpacking_is_exact_to_half_a_step(generator, layout, shape):
    scale = torch.randn(shape, generator=generator) * 7 - 2
    mosaic = pack_scale(scale, layout)
    step = (mosaic.maximum - mosaic.minimum) / ((1 << mosaic.picture.bit_depth) - 1)
    back = unpack_scale(mosaic)
    assert back.shape == (1, *shape)
    assert back.dtype == torch.float32
    assert float((back[0] - scale).abs().max()) <= step / 2 + 1e-5


def test_tiles_lie_row_by_row_with_three_channels_each():
    scale = torch.arange(8 * 2 * 3, dtype=torch.float32).reshape(8, 2, 3)
    mosaic = pack_scale(scale, "rgb")
    assert mosaic.geometry.columns == 2
    planes = np.stack(mosaic.picture.planes) / 65535 * 47
    np.testing.assert_allclose(planes[1, :2, 3:], scale[4], atol=1e-3)
    np.testing.assert_allclose(planes[0, 2:, :3], scale[6], atol=1e-3)
    np.testing.assert_allclose(planes[2, 2:, :3], 23.5, atol=1e-3)
    np.testing.assert_allclose(planes[:, 2:, 3:], 23.5, atol=1e-3)


@pytest.mark.parametrize("layout", ["rgb", "grey"])
def test_a_stream_decodes_to_what_was_packed(generator, layout):
    scale = torch.randn((1, 10, 6, 5), generator=generator)
    stream = encode_scale(PlainCodec("rgb" if layout == "rgb" else "yuv420"), scale, 0)
    mosaic = pack_scale(scale, layout)
    assert len(stream) == HEADER_BYTES + 6 + 2 * len(mosaic.picture.planes) * mosaic.geometry.samples
    assert torch.equal(decode_scale(PlainCodec(), stream), unpack_scale(mosaic))
    assert read_header(stream)[0] == mosaic.geometry


def test_a_constant_scale_is_its_header_alone():
    stream = encode_scale(PlainCodec(), torch.full((1, 5, 4, 3), -0.3), 0)
    assert len(stream) == HEADER_BYTES == 17
    assert torch.equal(decode_scale(PlainCodec(), stream), torch.full((1, 5, 4, 3), -0.3))
    with pytest.raises(BitstreamError, match="constant scale"):
        decode_scale(PlainCodec(), stream + b"x")


def test_extreme_ranges_survive():
    scale = torch.tensor([[[-3e38, 3e38]]])
    back = decode_scale(PlainCodec(), encode_scale(PlainCodec("yuv420"), scale, 0))
    assert torch.equal(back[0], scale)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_refused(value):
    with pytest.raises(InputError, match="not finite"):
        pack_scale(torch.tensor([[[0.0, value]]]), "rgb")


def test_every_damaged_header_is_found(generator):
    stream = encode_scale(PlainCodec(), torch.randn((1, 4, 3, 3), generator=generator), 0)
    for at in range(HEADER_BYTES):
        damaged = stream[:at] + bytes([stream[at] ^ 0x40]) + stream[at + 1 :]
        with pytest.raises(BitstreamError):
            decode_scale(PlainCodec(), damaged)
    for length in range(HEADER_BYTES):
        with pytest.raises(BitstreamError):
            decode_scale(PlainCodec(), stream[:length])


def test_a_mosaic_of_another_shape_is_refused(generator):
    stream = encode_scale(PlainCodec(), torch.randn((1, 4, 3, 3), generator=generator), 0)
    other = encode_scale(PlainCodec(), torch.randn((1, 4, 3, 4), generator=generator), 0)
    with pytest.raises(BitstreamError, match="where the header says"):
        decode_scale(PlainCodec(), stream[:HEADER_BYTES] + other[HEADER_BYTES:])


def test_shapes_and_layouts_that_do_not_exist_are_refused():
    with pytest.raises(ValueError, match="shape"):
        pack_scale(torch.zeros(2, 3), "rgb")
    with pytest.raises(ValueError, match="layout"):
        pack_scale(torch.zeros(2, 3, 3), "cmyk")
    with pytest.raises(ValueError, match="no samples"):
        MosaicGeometry("rgb", 1, 0, 3)
