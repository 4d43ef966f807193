"""Colour conversion against closed forms, torch's own interpolation and finite differences."""

import numpy as np
import pytest
import torch

from cfm.codecs.picture import Picture
from cfm.data.colour import rgb_to_yuv420, yuv420_to_rgb
from cfm.data.differentiable_colour import planes_to_rgb

SIZES = [(1, 1), (1, 2), (2, 1), (3, 5), (16, 16), (17, 30), (30, 17)]


def random_planes(height: int, width: int, seed: int = 0) -> Picture:
    rng = np.random.default_rng(seed)
    half = ((height + 1) // 2, (width + 1) // 2)
    shapes = [(height, width), half, half]
    return Picture(tuple(rng.integers(0, 256, shape, dtype=np.uint8) for shape in shapes), "yuv420", 8)


def as_tensors(picture: Picture, dtype: torch.dtype = torch.float32) -> list[torch.Tensor]:
    return [torch.from_numpy(plane.copy()).to(dtype) for plane in picture.planes]


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_grey_round_trip_is_exact(height, width):
    grey = np.random.default_rng(1).integers(0, 256, (height, width), dtype=np.uint8)
    rgb = np.repeat(grey[..., None], 3, axis=2)
    picture = rgb_to_yuv420(rgb)
    np.testing.assert_array_equal(picture.planes[0], grey)
    assert (picture.planes[1] == 128).all()
    assert (picture.planes[2] == 128).all()
    np.testing.assert_array_equal(yuv420_to_rgb(picture), rgb)


def test_every_grey_level_round_trips():
    rgb = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, axis=2)
    np.testing.assert_array_equal(yuv420_to_rgb(rgb_to_yuv420(rgb)), rgb)


@pytest.mark.parametrize(
    ("rgb", "yuv"),
    [
        ((255, 0, 0), (76, 85, 255)),
        ((0, 255, 0), (150, 44, 21)),
        ((0, 0, 255), (29, 255, 107)),
        ((255, 255, 255), (255, 128, 128)),
        ((0, 0, 0), (0, 128, 128)),
    ],
)
def test_primaries_of_full_range_bt601(rgb, yuv):
    picture = rgb_to_yuv420(np.full((4, 4, 3), rgb, np.uint8))
    assert tuple(int(plane[0, 0]) for plane in picture.planes) == yuv


def test_chroma_is_the_mean_of_the_block_with_the_edge_replicated():
    rgb = np.random.default_rng(2).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    picture = rgb_to_yuv420(rgb)
    for row in range(3):
        for column in range(4):
            rows, columns = [2 * row, min(2 * row + 1, 4)], [2 * column, min(2 * column + 1, 6)]
            red, green, blue = rgb[np.ix_(rows, columns)].reshape(4, 3).mean(axis=0)
            luma = 0.299 * red + 0.587 * green + 0.114 * blue
            assert abs(picture.planes[1][row, column] - np.clip(128 + (blue - luma) / 1.772, 0, 255)) <= 0.501
            assert abs(picture.planes[2][row, column] - np.clip(128 + (red - luma) / 1.402, 0, 255)) <= 0.501


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_upsampling_agrees_with_torch_interpolate(height, width):
    y, cb, cr = as_tensors(random_planes(height, width), torch.float64)
    stacked = torch.stack([cb, cr])[None]
    size = (2 * cb.shape[0], 2 * cb.shape[1])
    full = torch.nn.functional.interpolate(stacked, size=size, mode="bilinear", align_corners=False)
    cb_full, cr_full = full[0, :, :height, :width] - 128
    red = y + 1.402 * cr_full
    green = (y - 0.299 * red - 0.114 * (y + 1.772 * cb_full)) / 0.587
    expected = torch.stack([red, green, y + 1.772 * cb_full]).clamp(0, 255) / 255
    torch.testing.assert_close(planes_to_rgb(y, cb, cr), expected, atol=1e-9, rtol=0)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_numpy_and_torch_compute_the_same(height, width):
    picture = random_planes(height, width, seed=3)
    rgb = planes_to_rgb(*as_tensors(picture)).permute(1, 2, 0).numpy() * 255
    assert np.abs(rgb - yuv420_to_rgb(picture)).max() <= 0.5 + 1e-3


@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 4), (4, 5)])
def test_gradients_with_respect_to_every_plane(height, width):
    generator = torch.Generator().manual_seed(4)
    half = ((height + 1) // 2, (width + 1) // 2)
    planes = [
        (110 + 36 * torch.rand(shape, generator=generator, dtype=torch.float64)).requires_grad_()
        for shape in ((height, width), half, half)
    ]
    assert torch.autograd.gradcheck(planes_to_rgb, planes)


def test_gradient_passes_the_clipping():
    y = torch.full((2, 2), 250.0, requires_grad=True)
    cb, cr = torch.full((1, 1), 128.0), torch.full((1, 1), 255.0)
    rgb = planes_to_rgb(y, cb, cr)
    assert rgb[0].max().item() == 1.0
    rgb[0].sum().backward()
    torch.testing.assert_close(y.grad, torch.full((2, 2), 1 / 255))


def test_vector_jacobian_products_can_be_batched():
    planes = [plane.requires_grad_() for plane in as_tensors(random_planes(6, 9))]
    rgb = planes_to_rgb(*planes)
    probes = torch.randn((3, *rgb.shape), generator=torch.Generator().manual_seed(5))
    batched = torch.autograd.grad(rgb, planes, probes, is_grads_batched=True, retain_graph=True)
    for index, probe in enumerate(probes):
        single = torch.autograd.grad(rgb, planes, probe, retain_graph=True)
        for many, one in zip(batched, single, strict=True):
            torch.testing.assert_close(many[index], one)


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match="uint8 expected"):
        rgb_to_yuv420(np.zeros((4, 4), np.uint8))
    with pytest.raises(ValueError, match="uint8 expected"):
        rgb_to_yuv420(np.zeros((4, 4, 3), np.float32))
    with pytest.raises(ValueError, match="yuv420 picture expected"):
        yuv420_to_rgb(Picture((np.zeros((4, 4), np.uint8),), "grey", 8))
    with pytest.raises(ValueError, match="chroma of shapes"):
        planes_to_rgb(torch.zeros(4, 4), torch.zeros(4, 4), torch.zeros(2, 2))
