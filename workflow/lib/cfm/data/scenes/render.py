"""Rasterising parts into a layer: 2x2 samples a pixel, lit by one distant light."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from cfm.data.scenes.palette import cos_sin
from cfm.data.scenes.shapes import Bounds, Cover, Paint, Part
from cfm.data.scenes.texture import grain_window


class Light(NamedTuple):
    """A distant light: unit vector towards it (x right, y down, z to the viewer) and the ambient share in [0, 1]."""

    x: float
    y: float
    z: float
    ambient: float


class Window(NamedTuple):
    """Pixels [top, bottom) x [left, right) of the picture plane; may reach beyond the picture."""

    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True)
class Frame:
    """Where an object's own coordinates lie in the picture: pixel = (x, y) + scale * rotation * (mirror * u, v)."""

    x: float
    y: float
    scale: float
    cos: float
    sin: float
    mirror: int

    @classmethod
    def at(cls, x: float, y: float, scale: float, degrees: float = 0.0, mirror: bool = False) -> Frame:
        """A frame at (x, y) pixels, `scale` pixels a unit, turned clockwise by `degrees`, perhaps mirrored first."""
        cos, sin = cos_sin(degrees)
        grid = [round(value * 64) / 64 for value in (x, y, scale)]
        return cls(*grid, cos, sin, -1 if mirror else 1)

    def to_picture(self, u: float, v: float) -> tuple[float, float]:
        """Pixel coordinates of a point."""
        u *= self.mirror
        return (
            self.x + self.scale * (u * self.cos - v * self.sin),
            self.y + self.scale * (u * self.sin + v * self.cos),
        )

    def to_local(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Own coordinates (m, n) of the pixel coordinates x (1, n) and y (m, 1)."""
        cos, sin = self.cos / self.scale, self.sin / self.scale
        rx, ry = x - self.x, y - self.y
        return (rx * cos + ry * sin) * float(self.mirror), ry * cos - rx * sin

    def light_within(self, light: Light) -> Light:
        """The light's direction in own coordinates."""
        u = (light.x * self.cos + light.y * self.sin) * self.mirror
        return Light(u, light.y * self.cos - light.x * self.sin, light.z, light.ambient)

    def window(self, bounds: Bounds) -> Window:
        """The whole pixels that a rectangle of own coordinates touches."""
        corners = [self.to_picture(u, v) for u in (bounds.left, bounds.right) for v in (bounds.top, bounds.bottom)]
        xs, ys = zip(*corners, strict=True)
        return Window(int(min(xs) // 1), int(min(ys) // 1), int(max(xs) // 1) + 1, int(max(ys) // 1) + 1)


@dataclass(frozen=True)
class Layer:
    """A drawn object: colours times coverage (3, h, w), coverage (h, w) in [0, 1], and the part on top of each sample.

    `part` (2h, 2w) int16 holds 1 + the index of the part, 0 where there is none.
    """

    window: Window
    colour: np.ndarray
    coverage: np.ndarray
    part: np.ndarray

    @property
    def mask(self) -> np.ndarray:
        """Pixels at least half covered, (h, w) bool."""
        return self.coverage >= 0.5


def _shade(cover: Cover, paint: Paint, light: Light) -> tuple[np.ndarray, np.ndarray | float]:
    """Diffuse factor and highlight of every sample."""
    nu, nv = cover.normal_u, cover.normal_v
    depth = np.sqrt(np.maximum(1.0 - (nu * nu + nv * nv), 0.0))
    facing = np.maximum(nu * light.x + nv * light.y + depth * light.z, 0.0)
    diffuse = light.ambient + (1.0 - light.ambient) * facing
    diffuse = diffuse * (1.0 - paint.emission) + paint.emission
    if paint.gloss == 0.0:
        return diffuse, 0.0
    # Half vector between the light and the viewer, whose direction is (0, 0, 1).
    half_z = math.sqrt((1.0 + light.z) * 0.5)
    half_x, half_y = light.x / (2.0 * half_z), light.y / (2.0 * half_z)
    # Samples outside the part have normals beyond the unit circle: bounded here, never drawn.
    highlight = np.clip(nu * half_x + nv * half_y + depth * half_z, 0.0, 1.0)
    for _ in range(5):
        highlight = highlight * highlight
    return diffuse, highlight * paint.gloss


def _paint_part(
    part: Part, number: int, frame: Frame, light: Light, window: Window, colour: np.ndarray, top: np.ndarray
) -> None:
    """Draw one part over the samples of a layer (`colour` (3, 2h, 2w), `top` (2h, 2w)), in its own window only."""
    box = frame.window(part.bounds())
    rows = slice(2 * (box.top - window.top), 2 * (box.bottom - window.top))
    columns = slice(2 * (box.left - window.left), 2 * (box.right - window.left))
    x = (np.arange(2 * box.left, 2 * box.right, dtype=np.float32) + 0.5) * 0.5
    y = (np.arange(2 * box.top, 2 * box.bottom, dtype=np.float32) + 0.5) * 0.5
    cover = part.cover(*frame.to_local(x[None, :], y[:, None]))
    paint, inside = part.paint, cover.inside
    marked = None if paint.pattern is None else paint.pattern(cover.s, cover.t)
    if marked is not None and paint.second is None:
        inside = inside & marked
        marked = None
    diffuse, highlight = _shade(cover, paint, light)
    for channel in range(3):
        base = paint.colour[channel]
        if marked is not None:
            base = np.where(marked, np.float32(paint.second[channel]), np.float32(base))
        np.copyto(colour[channel, rows, columns], base * diffuse + highlight, where=inside, casting="same_kind")
    top[rows, columns][inside] = number


def render(
    parts: list[Part], frame: Frame, bounds: Bounds, light: Light, roughness: float, grain_at: tuple[int, int]
) -> Layer:
    """Draw parts in order, the last on top.

    Parameters
    ----------
    parts : list of Part
        In the object's own coordinates.
    frame : Frame
        Where the object is.
    bounds : Bounds
        Rectangle around all parts.
    light : Light
        In picture coordinates.
    roughness : float
        Contrast of the surface's fine texture.
    grain_at : (int, int)
        Row and column of the texture field from which the surface takes its texture.
    """
    window = frame.window(bounds)
    height, width = window.bottom - window.top, window.right - window.left
    colour = np.zeros((3, 2 * height, 2 * width), np.float32)
    top = np.zeros((2 * height, 2 * width), np.int16)
    local_light = frame.light_within(light)
    for number, part in enumerate(parts, start=1):
        _paint_part(part, number, frame, local_light, window, colour, top)
    covered = (top > 0).astype(np.float32)
    coverage = _mean_of_four(covered)
    shaded = _mean_of_four(colour)
    if roughness > 0.0:
        shaded *= 1.0 + grain_window(*grain_at, height, width) * roughness
    return Layer(window, shaded, coverage, top)


def _mean_of_four(samples: np.ndarray) -> np.ndarray:
    """Means of 2x2 samples over the last two axes."""
    even, odd = samples[..., 0::2, :], samples[..., 1::2, :]
    return ((even[..., 0::2] + even[..., 1::2]) + (odd[..., 0::2] + odd[..., 1::2])) * np.float32(0.25)
