"""Textures and shapes: spectra, closed-form areas, lighting."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from cfm.data.scenes.background import background
from cfm.data.scenes.objects import draw_clock
from cfm.data.scenes.palette import brightness, cos_sin, hsv
from cfm.data.scenes.person import draw_person
from cfm.data.scenes.render import Frame, Light, render
from cfm.data.scenes.shapes import Ellipse, Lathe, Limb, Paint, Polygon, joint_bounds, rectangle
from cfm.data.scenes.texture import GRAIN_SIZE, fractal_noise, grain, grain_window, value_noise

WHITE = Paint((1.0, 1.0, 1.0))
FRONTAL = Light(0.0, 0.0, 1.0, 0.2)


def drawn(parts, scale=50.0, degrees=0.0, light=FRONTAL, mirror=False):
    frame = Frame.at(100.3, 80.7, scale, degrees, mirror)
    return render(parts, frame, joint_bounds(parts), light, 0.0, (0, 0))


def amplitude_slope(plane):
    """Slope of log amplitude against log frequency from 4 to 64 cycles a picture."""
    side = min(plane.shape)
    square = plane[:side, :side].astype(np.float64)
    window = np.hanning(side)
    amplitude = np.abs(np.fft.fft2((square - square.mean()) * window[:, None] * window))
    frequency = np.fft.fftfreq(side) * side
    radius = np.hypot(frequency[:, None], frequency)
    edges = np.geomspace(4, 64, 9)
    rings = [(radius >= low) & (radius < high) for low, high in pairwise(edges)]
    mean = [np.sqrt((amplitude[ring] ** 2).mean()) for ring in rings]
    return np.polyfit(np.log(np.sqrt(edges[:-1] * edges[1:])), np.log(mean), 1)[0]


def test_backgrounds_have_the_spectrum_of_natural_pictures():
    slopes = [amplitude_slope(background(np.random.default_rng(seed), 256, 320)[1]) for seed in range(20)]
    assert min(slopes) > -1.6
    assert max(slopes) < -0.6


def test_value_noise_meets_its_lattice():
    cell = 8
    noise = value_noise(np.random.default_rng(4), 65, 50, cell)
    rng = np.random.default_rng(4)
    phase_y, phase_x = rng.integers(0, cell, 2)
    lattice = rng.random(((64 + phase_y) // cell + 2, (49 + phase_x) // cell + 2), dtype=np.float32) * 2 - 1
    on_rows, on_columns = (-phase_y) % cell, (-phase_x) % cell
    at_nodes = noise[on_rows::cell, on_columns::cell]
    first = [(phase + start) // cell for phase, start in ((phase_y, on_rows), (phase_x, on_columns))]
    expected = lattice[first[0] : first[0] + at_nodes.shape[0], first[1] : first[1] + at_nodes.shape[1]]
    np.testing.assert_array_equal(at_nodes, expected)


def test_fractal_noise_has_its_variance_whatever_the_octaves():
    for gain in (0.7, 1.0):
        fields = [fractal_noise(np.random.default_rng(seed), 64, 64, 16, 1, gain) for seed in range(20)]
        assert np.mean([field.var() for field in fields]) == pytest.approx(0.1, abs=0.04)
        assert fields[0].dtype == np.float32


def test_the_grain_repeats_periodically():
    np.testing.assert_array_equal(grain_window(GRAIN_SIZE - 3, 5, 6, 4), np.roll(grain(), (3, -5), (0, 1))[:6, :4])


@pytest.mark.parametrize("degrees", [0.0, 17.0, 90.0])
@pytest.mark.parametrize(
    ("part", "area"),
    [
        (Ellipse((0.1, 0.2), (0.8, 0.4), WHITE), math.pi * 0.32),
        (Ellipse((0.1, 0.2), (0.8, 0.4), WHITE, degrees=30.0), math.pi * 0.32),
        (Limb((0.0, 0.0), (0.6, 0.8), 0.2, 0.2, WHITE), math.pi * 0.04 + 0.4),
        (Limb((0.0, 0.0), (0.6, 0.8), 0.3, 0.1, WHITE), math.pi * 0.05 + 0.4),
        (Polygon(((0.0, 0.0), (1.0, 0.0), (0.0, 1.0)), WHITE), 0.5),
        (Polygon(rectangle(-0.5, -0.25, 0.5, 0.25), WHITE), 0.5),
        (Lathe(((-0.5, 0.1), (0.0, 0.3), (0.5, 0.3)), WHITE), 0.5),
    ],
)
def test_covered_areas_are_those_of_the_shapes(part, area, degrees):
    layer = drawn([part], degrees=degrees)
    assert layer.coverage.sum() == pytest.approx(area * 50**2, rel=0.02)
    # Pixels covered by exactly two samples count as inside, at most one for each pixel of a slanted edge.
    assert layer.mask.sum() == pytest.approx(area * 50**2, rel=0.07)


def test_a_concave_polygon_keeps_its_notch():
    arrow = ((-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (0.0, 0.0), (-0.5, 0.5))
    assert drawn([Polygon(arrow, WHITE)]).coverage.sum() == pytest.approx(0.75 * 50**2, rel=0.02)


def test_later_parts_hide_earlier_ones():
    below = Ellipse((0.0, 0.0), (0.5, 0.5), Paint((1.0, 0.0, 0.0)), flat=True)
    above = Polygon(rectangle(-0.5, -0.5, 0.0, 0.5), Paint((0.0, 1.0, 0.0)))
    layer = drawn([below, above])
    assert set(np.unique(layer.part)) == {0, 1, 2}
    assert layer.colour[1].max() == pytest.approx(1.0)
    middle = layer.coverage.shape[0] // 2
    assert layer.colour[0, middle, 5] == 0.0
    assert layer.colour[0, middle, -5] == pytest.approx(1.0)


def test_a_sphere_is_lit_by_lamberts_law():
    light = Light(0.6, 0.0, 0.8, 0.25)
    layer = drawn([Ellipse((0.0, 0.0), (0.5, 0.5), WHITE)], scale=200.0, light=light)
    height, width = layer.coverage.shape
    for share in (-0.6, 0.0, 0.5):
        normal_x = share
        expected = 0.25 + 0.75 * max(0.0, 0.6 * normal_x + 0.8 * math.sqrt(1 - normal_x**2))
        column = round((width - 1) / 2 + share * 100)
        assert layer.colour[0, height // 2, column] == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize(("degrees", "mirror"), [(0.0, False), (90.0, False), (0.0, True), (40.0, True)])
def test_turning_an_object_leaves_the_light_where_it_is(degrees, mirror):
    light = Light(0.6, 0.0, 0.8, 0.25)
    upright = drawn([Ellipse((0.0, 0.0), (0.5, 0.5), WHITE)], light=light)
    turned = drawn([Ellipse((0.0, 0.0), (0.5, 0.5), WHITE)], light=light, degrees=degrees, mirror=mirror)
    for layer in (upright, turned):
        ratio = layer.colour[0].sum() / layer.coverage.sum()
        columns = np.arange(layer.coverage.shape[1]) - (layer.coverage.shape[1] - 1) / 2
        assert (layer.colour[0] * columns).sum() > 0
        assert ratio == pytest.approx(upright.colour[0].sum() / upright.coverage.sum(), rel=0.01)


def test_a_pattern_without_a_second_colour_leaves_the_rest_open():
    half = Paint((1.0, 1.0, 1.0), pattern=lambda s, t: s > 0.0)
    assert drawn([Ellipse((0.0, 0.0), (0.5, 0.5), half)]).coverage.sum() == pytest.approx(math.pi / 8 * 2500, rel=0.03)


def test_a_frame_and_its_inverse():
    frame = Frame.at(12.5, 40.25, 33.0, 25.0, mirror=True)
    x, y = frame.to_picture(0.3, -0.7)
    u, v = frame.to_local(np.array([[x]]), np.array([[y]]))
    # The cosine is rounded to 1/4096, so the rotation is orthogonal to that only.
    assert (u.item(), v.item()) == pytest.approx((0.3, -0.7), abs=1e-3)


def test_colours():
    assert hsv(0.0, 1.0, 1.0) == (1.0, 0.0, 0.0)
    assert hsv(2.0, 1.0, 0.5) == (0.0, 0.5, 0.0)
    assert hsv(4.0, 0.5, 1.0) == (0.5, 0.5, 1.0)
    assert brightness((1.0, 1.0, 1.0)) == pytest.approx(1.0)
    assert cos_sin(60.0) == (0.5, round(math.sqrt(0.75) * 4096) / 4096)


def test_a_persons_joints_lie_within_its_parts():
    for seed in range(20):
        parts, keypoints = draw_person(np.random.default_rng(seed))
        bounds = joint_bounds(parts)
        assert len(keypoints) == 17
        assert 0.6 < bounds.bottom - bounds.top < 1.4
        for keypoint in keypoints:
            u, v = keypoint.point
            assert bounds.left <= u <= bounds.right
            assert bounds.top <= v <= bounds.bottom


def test_a_clock_has_twelve_ticks_and_its_hands():
    limbs = [part for part in draw_clock(np.random.default_rng(0)) if isinstance(part, Limb)]
    assert len(limbs) in (14, 15)
