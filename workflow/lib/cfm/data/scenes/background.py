"""Backgrounds: fields of 1/f texture and gradients, and the clutter that stands on them."""

from __future__ import annotations

import numpy as np

from cfm.data.scenes.palette import Colour, any_colour, chance, hsv, muted, pick, scaled, uniform
from cfm.data.scenes.shapes import Ellipse, Limb, Paint, Part, Point, Polygon, rectangle
from cfm.data.scenes.texture import fractal_noise


def _ramp(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A linear ramp in a random direction, (height, width) float32 in [-1, 1]."""
    along_x, along_y = uniform(rng, -1, 1), uniform(rng, -1, 1)
    total = abs(along_x) + abs(along_y) + 1e-3
    x = np.arange(width, dtype=np.float32) * (2.0 / width) - 1.0
    y = np.arange(height, dtype=np.float32) * (2.0 / height) - 1.0
    return x[None, :] * (along_x / total) + y[:, None] * (along_y / total)


def _field(luma: np.ndarray, chroma: np.ndarray, ramp: np.ndarray, colour: Colour, contrast: float) -> np.ndarray:
    """A surface of one base colour: (3, height, width) float32."""
    light = 1.0 + luma * contrast + ramp * 0.35
    warm = chroma * (0.5 * contrast)
    tints = (warm, warm * -0.2, -warm)
    return np.stack([(light + tint) * component for tint, component in zip(tints, colour, strict=True)])


def _skyline(rng: np.random.Generator, luma: np.ndarray, height: int, width: int) -> np.ndarray:
    """True below a rough, slanted horizon, (height, width)."""
    level = uniform(rng, 0.25, 0.7) * height
    slant = uniform(rng, -0.12, 0.12)
    ridge = uniform(rng, 0, 30) * (1 if chance(rng, 60) else 0)
    x = np.arange(width, dtype=np.float32) - 0.5 * width
    line = x * slant + luma[height // 2] * ridge + level
    return np.arange(height, dtype=np.float32)[:, None] > line[None, :]


def background(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A wall, a landscape, a room or foliage, without clutter.

    Parameters
    ----------
    rng : numpy.random.Generator
    height, width : int
        Pixels.

    Returns
    -------
    ndarray
        (3, height, width) float32, reflectances about [0, 1], not clipped.
    """
    luma = fractal_noise(rng, height, width, 128, 1, uniform(rng, 0.75, 0.95))
    chroma = fractal_noise(rng, height, width, 128, 8, 0.8)
    ramp = _ramp(rng, height, width)
    colour, contrast = muted(rng), uniform(rng, 0.3, 0.85)
    field = _field(luma, chroma, ramp, colour, contrast)
    kind = int(rng.integers(0, 4))
    if kind == 0:
        return field
    if kind == 1:
        sky = hsv(uniform(rng, 3.1, 3.7), uniform(rng, 0.05, 0.5), uniform(rng, 0.7, 0.98))
        above = _field(chroma, chroma, ramp, sky, uniform(rng, 0.05, 0.3))
        ground = hsv(uniform(rng, 0.5, 2.2), uniform(rng, 0.1, 0.5), uniform(rng, 0.3, 0.65))
        below = _field(luma, chroma, ramp, ground, contrast)
        return np.where(_skyline(rng, luma, height, width), below, above)
    if kind == 2:
        floor = _field(luma[::-1], chroma, -ramp, muted(rng), uniform(rng, 0.2, 0.8))
        return np.where(_skyline(rng, luma * 0.0, height, width), floor, field)
    leaf = hsv(uniform(rng, 1.2, 2.4), uniform(rng, 0.3, 0.7), uniform(rng, 0.3, 0.7))
    leaves = _field(luma[:, ::-1], chroma, ramp, leaf, contrast)
    return np.where(luma + 0.4 * chroma > 0.05, leaves, field * 0.7)


def _quadrilateral(rng: np.random.Generator, colour: Paint) -> list[Part]:
    """A slanted box with a lighter top side."""
    wide, high, lean = uniform(rng, 0.3, 0.5), uniform(rng, 0.2, 0.5), uniform(rng, -0.2, 0.2)
    depth = uniform(rng, 0.05, 0.2)
    front = rectangle(-wide, -high, wide, high)
    roof = (-wide, -high), (-wide + lean, -high - depth), (wide + lean, -high - depth), (wide, -high)
    return [Polygon(front, colour, (0.0, 0.3)), Polygon(roof, colour, (0.0, -0.6))]


def _building(rng: np.random.Generator, colour: Paint) -> list[Part]:
    """A front with rows of windows."""
    columns, rows = int(rng.integers(2, 6)), int(rng.integers(3, 8))

    def panes(s: np.ndarray, t: np.ndarray) -> np.ndarray:
        across, down = (s + 0.4) * (columns / 0.8), (t + 0.7) * (rows / 1.4)
        across, down = across - np.floor(across), down - np.floor(down)
        return (across > 0.25) & (across < 0.75) & (down > 0.2) & (down < 0.7)

    front = Paint(colour.colour, pattern=panes, second=scaled(muted(rng), 0.5))
    return [Polygon(rectangle(-0.4, -0.7, 0.4, 0.7), front, (uniform(rng, -0.4, 0.4), 0.1))]


def _planks(rng: np.random.Generator, colour: Paint) -> list[Part]:
    """Parallel bars: a fence, a railing, a branch."""
    count = int(rng.integers(1, 5))
    thickness = uniform(rng, 0.02, 0.05)
    return [
        Limb((-0.7, 0.22 * k), (0.7, 0.22 * k + uniform(rng, -0.05, 0.05)), thickness, thickness * 0.8, colour, cap=0.3)
        for k in range(count)
    ]


def _bush(rng: np.random.Generator, colour: Paint) -> list[Part]:
    """A heap of blobs of like colour."""
    parts: list[Part] = []
    for _ in range(int(rng.integers(4, 9))):
        shade = Paint(scaled(colour.colour, uniform(rng, 0.7, 1.25)))
        centre: Point = (uniform(rng, -0.4, 0.4), uniform(rng, -0.25, 0.25))
        radii = (uniform(rng, 0.12, 0.3), uniform(rng, 0.1, 0.22))
        parts.append(Ellipse(centre, radii, shade, degrees=float(rng.integers(0, 180))))
    return parts


def _shard(rng: np.random.Generator, colour: Paint) -> list[Part]:
    """A triangle or a lopsided quadrilateral."""
    corners = [(uniform(rng, -0.5, 0.0), uniform(rng, -0.5, 0.0)), (uniform(rng, 0.1, 0.5), uniform(rng, -0.5, 0.1))]
    corners.append((uniform(rng, 0.0, 0.5), uniform(rng, 0.1, 0.5)))
    if chance(rng, 50):
        corners.append((uniform(rng, -0.5, -0.1), uniform(rng, 0.1, 0.5)))
    tilt = (uniform(rng, -0.5, 0.5), uniform(rng, -0.5, 0.5))
    return [Polygon(tuple(corners), colour, tilt)]


_CLUTTER = (_quadrilateral, _building, _planks, _bush, _shard)


def draw_clutter(rng: np.random.Generator) -> list[Part]:
    """Something of no category, about 1 unit across."""
    colour = muted(rng) if chance(rng, 75) else any_colour(rng)
    gloss = 0.2 if chance(rng, 25) else 0.0
    return pick(rng, _CLUTTER)(rng, Paint(colour, gloss))
