"""Pictures of every kind that users have, whole and broken."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from cfm.data.images import read_rgb
from cfm.errors import InputError


@pytest.fixture
def rgb() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (20, 34, 3), dtype=np.uint8)


def refused(path) -> str:
    with pytest.raises(InputError) as caught:
        read_rgb(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


@pytest.mark.parametrize("suffix", ["png", "ppm", "bmp"])
def test_lossless_formats_come_back_exactly(tmp_path, rgb, suffix):
    path = tmp_path / f"picture.{suffix}"
    Image.fromarray(rgb).save(path)
    read = read_rgb(path)
    np.testing.assert_array_equal(read, rgb)
    assert read.dtype == np.uint8
    assert read.flags.writeable


def test_grey_and_bilevel_become_rgb(tmp_path, rgb):
    Image.fromarray(rgb[..., 0]).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(read_rgb(tmp_path / "grey.png"), np.repeat(rgb[..., :1], 3, axis=2))
    Image.fromarray(rgb[..., 0] > 127).save(tmp_path / "bilevel.png")
    np.testing.assert_array_equal(read_rgb(tmp_path / "bilevel.png")[..., 2], np.where(rgb[..., 0] > 127, 255, 0))


@pytest.mark.parametrize("suffix", ["png", "pgm"])
def test_sixteen_bit_grey_is_scaled(tmp_path, suffix):
    grey = np.linspace(0, 65535, 400).astype(np.uint16).reshape(20, 20)
    path = tmp_path / f"deep.{suffix}"
    Image.fromarray(grey).save(path)
    np.testing.assert_array_equal(read_rgb(path)[..., 1], np.rint(grey / 257).astype(np.uint8))


def test_palette_and_alpha(tmp_path, rgb):
    alpha = np.random.default_rng(1).integers(0, 256, (20, 34, 1), dtype=np.uint8)
    Image.fromarray(np.concatenate([rgb, alpha], axis=2)).save(tmp_path / "alpha.png")
    np.testing.assert_array_equal(read_rgb(tmp_path / "alpha.png"), rgb)
    Image.fromarray(np.concatenate([rgb[..., :1], alpha], axis=2), "LA").save(tmp_path / "grey_alpha.png")
    np.testing.assert_array_equal(read_rgb(tmp_path / "grey_alpha.png"), np.repeat(rgb[..., :1], 3, axis=2))
    palette = Image.fromarray(rgb).quantize(16)
    palette.save(tmp_path / "palette.png", transparency=0)
    np.testing.assert_array_equal(read_rgb(tmp_path / "palette.png"), np.asarray(palette.convert("RGB")))


def test_exif_orientation_is_ignored(tmp_path, rgb):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(rgb).save(tmp_path / "turned.jpg", exif=exif)
    assert read_rgb(tmp_path / "turned.jpg").shape == (20, 34, 3)


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "LAB"])
def test_other_colour_spaces_are_refused(tmp_path, rgb, mode):
    path = tmp_path / "picture.tif"
    picture = Image.fromarray(np.zeros((20, 20, 3 + (mode == "CMYK")), np.uint8), mode)
    picture.save(path)
    assert f"the picture is {mode}, not RGB or grey; convert it" in refused(path)


def test_cmyk_jpeg_is_refused(tmp_path, rgb):
    Image.fromarray(rgb).convert("CMYK").save(tmp_path / "print.jpg")
    assert "CMYK" in refused(tmp_path / "print.jpg")


@pytest.mark.parametrize("suffix", ["jpg", "png", "ppm"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.6, 0.95])
def test_truncated_at_any_place(tmp_path, suffix, share):
    whole = io.BytesIO()
    noise = np.random.default_rng(2).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    Image.fromarray(noise).save(whole, format={"jpg": "JPEG", "png": "PNG", "ppm": "PPM"}[suffix])
    path = tmp_path / f"cut.{suffix}"
    path.write_bytes(whole.getvalue()[: int(share * len(whole.getvalue()))])
    assert "replace it with a whole copy" in refused(path)


def test_damaged_png(tmp_path, rgb):
    path = tmp_path / "damaged.png"
    Image.fromarray(rgb).save(path)
    data = bytearray(path.read_bytes())
    data[data.index(b"IDAT") + 30] ^= 0xFF
    path.write_bytes(data)
    assert "replace it with a whole copy" in refused(path)


def test_not_a_picture_missing_and_a_folder(tmp_path):
    (tmp_path / "text.jpg").write_text("hello")
    assert "not a picture" in refused(tmp_path / "text.jpg")
    assert "no such picture" in refused(tmp_path / "absent.jpg")
    assert "Is a directory" in refused(tmp_path)


def test_smaller_than_a_block(tmp_path):
    path = tmp_path / "small.png"
    Image.new("RGB", (15, 64)).save(path)
    assert "15x64 pixels, smaller than a block of 16x16" in refused(path)
    assert read_rgb(path, minimum_side=8).shape == (64, 15, 3)


@pytest.mark.parametrize("side", [10_000, 40_000])
def test_decompression_bomb(tmp_path, side):
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    path = tmp_path / "bomb.png"
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b""))
    assert "too large to decode safely" in refused(path)
