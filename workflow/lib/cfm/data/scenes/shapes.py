"""Parts that objects are drawn from: outlines with a surface, in an object's own coordinates (u right, v down)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from cfm.data.scenes.palette import Colour, cos_sin

Point = tuple[float, float]
Pattern = Callable[[np.ndarray, np.ndarray], np.ndarray]


class Bounds(NamedTuple):
    """A rectangle in an object's own coordinates."""

    left: float
    top: float
    right: float
    bottom: float


class Cover(NamedTuple):
    """What a part covers of a grid of samples, each (m, n).

    `inside` is boolean; `normal_u`, `normal_v` are the surface normal's components in the picture plane; `s`, `t` are
    the coordinates in which patterns are drawn on this part.
    """

    inside: np.ndarray
    normal_u: np.ndarray | float
    normal_v: np.ndarray | float
    s: np.ndarray
    t: np.ndarray


@dataclass(frozen=True)
class Paint:
    """A surface: a colour, perhaps a pattern, and how glossy it is.

    Where `pattern(s, t)` is true, `second` replaces `colour`; without a `second`, only there is anything painted.
    `emission` in [0, 1] is the share of the colour that needs no light.
    """

    colour: Colour
    gloss: float = 0.0
    pattern: Pattern | None = None
    second: Colour | None = None
    emission: float = 0.0


@dataclass(frozen=True)
class Limb:
    """A tapered bar with rounded ends from `start` to `end`; s in [0, 1] along it, t in [-1, 1] across it.

    `cap` flattens the ends: 1 is a half circle, small values are nearly straight cuts.
    """

    start: Point
    end: Point
    start_radius: float
    end_radius: float
    paint: Paint
    cap: float = 1.0
    name: str = ""

    def bounds(self) -> Bounds:
        radius = max(self.start_radius, self.end_radius)
        (u0, v0), (u1, v1) = self.start, self.end
        return Bounds(min(u0, u1) - radius, min(v0, v1) - radius, max(u0, u1) + radius, max(v0, v1) + radius)

    def cover(self, u: np.ndarray, v: np.ndarray) -> Cover:
        du, dv = self.end[0] - self.start[0], self.end[1] - self.start[1]
        length = max(math.sqrt(du * du + dv * dv), 1e-3)
        du, dv = du / length, dv / length
        ru, rv = u - self.start[0], v - self.start[1]
        along = ru * du + rv * dv
        across = rv * du - ru * dv
        clamped = np.clip(along, 0.0, length)
        beyond = (along - clamped) * (1.0 / self.cap)
        inverse = 1.0 / (self.start_radius + (self.end_radius - self.start_radius) / length * clamped)
        t = across * inverse
        e = beyond * inverse
        inside = t * t + e * e <= 1.0
        bulge = e * self.cap
        return Cover(inside, bulge * du - t * dv, bulge * dv + t * du, clamped * (1.0 / length), t)


@dataclass(frozen=True)
class Ellipse:
    """An ellipsoid seen from the front (or a flat disc); s, t in [-1, 1] along its axes.

    `degrees` turns it clockwise. `flat` discs are lit like the picture plane.
    """

    centre: Point
    radii: Point
    paint: Paint
    degrees: float = 0.0
    flat: bool = False
    name: str = ""

    def bounds(self) -> Bounds:
        (u, v), radius = self.centre, max(self.radii)
        ru, rv = self.radii if self.degrees == 0.0 else (radius, radius)
        return Bounds(u - ru, v - rv, u + ru, v + rv)

    def cover(self, u: np.ndarray, v: np.ndarray) -> Cover:
        ru, rv = u - self.centre[0], v - self.centre[1]
        cos, sin = cos_sin(self.degrees)
        s, t = (ru * cos + rv * sin) * (1.0 / self.radii[0]), (rv * cos - ru * sin) * (1.0 / self.radii[1])
        inside = s * s + t * t <= 1.0
        if self.flat:
            return Cover(inside, 0.0, 0.0, s, t)
        return Cover(inside, s * cos - t * sin, s * sin + t * cos, s, t)


@dataclass(frozen=True)
class Polygon:
    """A flat polygon (even-odd rule) that may lean out of the picture plane; s, t are u, v."""

    points: tuple[Point, ...]
    paint: Paint
    tilt: Point = (0.0, 0.0)
    name: str = ""

    def bounds(self) -> Bounds:
        us, vs = zip(*self.points, strict=True)
        return Bounds(min(us), min(vs), max(us), max(vs))

    def cover(self, u: np.ndarray, v: np.ndarray) -> Cover:
        inside = np.zeros(u.shape, bool)
        u0, v0 = self.points[-1]
        for u1, v1 in self.points:
            if v0 != v1:
                crosses = (v >= v0) != (v >= v1)
                inside ^= crosses & (u < (v - v0) * ((u1 - u0) / (v1 - v0)) + u0)
            u0, v0 = u1, v1
        return Cover(inside, self.tilt[0], self.tilt[1], u, v)


@dataclass(frozen=True)
class Lathe:
    """A body turned on a vertical axis at u = 0: `profile` lists (v, radius) downwards; s in [-1, 1] across, t is v."""

    profile: tuple[Point, ...]
    paint: Paint
    name: str = ""

    def bounds(self) -> Bounds:
        radius = max(radius for _, radius in self.profile)
        return Bounds(-radius, self.profile[0][0], radius, self.profile[-1][0])

    def cover(self, u: np.ndarray, v: np.ndarray) -> Cover:
        radius = np.full(v.shape, 1e-6, np.float32)
        slope = np.zeros(v.shape, np.float32)
        for (v0, r0), (v1, r1) in pairwise(self.profile):
            band = (v >= v0) & (v < v1)
            step = (r1 - r0) / (v1 - v0)
            np.copyto(radius, (v - v0) * step + r0, where=band)
            slope[band] = min(0.8, max(-0.8, -0.6 * step))
        s = u / np.maximum(radius, 1e-6)
        inside = (s * s <= 1.0) & (v >= self.profile[0][0]) & (v < self.profile[-1][0])
        return Cover(inside, s * 0.95, slope, s, v)


Part = Limb | Ellipse | Polygon | Lathe


def rectangle(left: float, top: float, right: float, bottom: float) -> tuple[Point, ...]:
    """The corners of an upright rectangle."""
    return (left, top), (right, top), (right, bottom), (left, bottom)


def joint_bounds(parts: list[Part]) -> Bounds:
    """The rectangle around all parts."""
    boxes = [part.bounds() for part in parts]
    return Bounds(
        min(box.left for box in boxes),
        min(box.top for box in boxes),
        max(box.right for box in boxes),
        max(box.bottom for box in boxes),
    )
