"""The stop sign, the sports ball, the bottle and the clock."""

from __future__ import annotations

import math

import numpy as np

from cfm.data.scenes.palette import any_colour, brightness, chance, cos_sin, hsv, pick, scaled, uniform, vivid
from cfm.data.scenes.shapes import Ellipse, Lathe, Limb, Paint, Part, Pattern, Point, Polygon, rectangle

Vector = tuple[float, float, float]

# Letters as strokes on a 2 x 4 grid, v down.
_LETTERS: dict[str, tuple[tuple[Point, Point], ...]] = {
    "S": (((2, 0), (0, 0)), ((0, 0), (0, 2)), ((0, 2), (2, 2)), ((2, 2), (2, 4)), ((2, 4), (0, 4))),
    "T": (((0, 0), (2, 0)), ((1, 0), (1, 4))),
    "O": (((0, 0), (2, 0)), ((2, 0), (2, 4)), ((2, 4), (0, 4)), ((0, 4), (0, 0))),
    "P": (((0, 4), (0, 0)), ((0, 0), (2, 0)), ((2, 0), (2, 2)), ((2, 2), (0, 2))),
}


def _octagon(radius: float, squeeze: float) -> tuple[Point, ...]:
    corners = (cos_sin(22.5 + 45 * k) for k in range(8))
    return tuple((radius * cos * squeeze, radius * sin) for cos, sin in corners)


def draw_stop_sign(rng: np.random.Generator) -> list[Part]:
    """A red octagon with a white border and the word, half the time on a pole; the plate is 1 unit high."""
    squeeze = uniform(rng, 0.7, 1.0)
    tilt = (uniform(rng, -0.4, 0.4), uniform(rng, -0.2, 0.2))
    white = Paint((0.95, 0.95, 0.93), 0.1)
    red = Paint((uniform(rng, 0.68, 0.9), uniform(rng, 0.03, 0.14), uniform(rng, 0.05, 0.16)), 0.1)
    parts: list[Part] = []
    if chance(rng, 50):
        pole = Paint((0.55, 0.56, 0.58), 0.3)
        parts.append(Limb((0.0, 0.2), (0.0, uniform(rng, 0.8, 1.4)), 0.04, 0.04, pole, cap=0.2))
    parts += [
        Polygon(_octagon(0.54, squeeze), white, tilt),
        Polygon(_octagon(0.48, squeeze), red, tilt),
    ]
    step = 0.062
    for place, letter in enumerate("STOP"):
        left = (place - 1.5) * 0.205 - step
        for (u0, v0), (u1, v1) in _LETTERS[letter]:
            start = ((left + u0 * step) * squeeze, (v0 - 2) * step)
            end = ((left + u1 * step) * squeeze, (v1 - 2) * step)
            parts.append(Limb(start, end, 0.024, 0.024, white, cap=0.6))
    return parts


def _random_rotation(rng: np.random.Generator) -> tuple[Vector, Vector, Vector]:
    """Rows of a rotation from a random integer quaternion: no trigonometry, so no last bits to differ."""
    w, x, y, z = (int(value) for value in rng.integers(-8, 9, 4))
    w = w or 1
    n = w * w + x * x + y * y + z * z
    return (
        ((w * w + x * x - y * y - z * z) / n, 2 * (x * y - w * z) / n, 2 * (x * z + w * y) / n),
        (2 * (x * y + w * z) / n, (w * w - x * x + y * y - z * z) / n, 2 * (y * z - w * x) / n),
        (2 * (x * z - w * y) / n, 2 * (y * z + w * x) / n, (w * w - x * x - y * y + z * z) / n),
    )


def _on_sphere(rotation: tuple[Vector, Vector, Vector], rule) -> Pattern:
    """The pattern rule(x, y, z) of a ball's own axes, as a pattern over its disc."""

    def pattern(s: np.ndarray, t: np.ndarray) -> np.ndarray:
        depth = np.sqrt(np.maximum(1.0 - s * s - t * t, 0.0))
        return rule(*(s * a + t * b + depth * c for a, b, c in rotation))

    return pattern


def _football_patches(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Twelve dark patches around the corners of an icosahedron."""
    golden = (1.0 + math.sqrt(5.0)) / 2.0
    norm = math.sqrt(1.0 + golden * golden)
    a, b = 1.0 / norm, golden / norm
    x, y, z = np.abs(x), np.abs(y), np.abs(z)
    return np.maximum(np.maximum(y * a + z * b, x * a + y * b), z * a + x * b) > 0.92


def _basketball_seams(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    curved = np.abs(np.abs(x) - 0.55 - 0.25 * y * y) < 0.035
    return curved | (np.abs(y) < 0.035) | (np.abs(z) < 0.035)


def _tennis_seam(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    return np.abs(z - 0.85 * (x * x - y * y)) < 0.075


def _sectors(first: bool):
    """Every second (or, with `first`, third) of six sectors between three planes through the z axis."""

    def rule(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        p, q, r = x > 0.0, x * 0.5 + y * 0.866 > 0.0, y * 0.866 - x * 0.5 > 0.0
        return (p & ~q) | (q & ~p & ~r) if first else p ^ q ^ r

    return rule


def draw_sports_ball(rng: np.random.Generator) -> list[Part]:
    """A football, basketball, tennis ball or beach ball of radius 0.5."""
    rotation = _random_rotation(rng)
    dark = (0.08, 0.07, 0.07)
    kind = int(rng.integers(0, 4))
    if kind == 0:
        base = scaled((0.95, 0.95, 0.93), uniform(rng, 0.85, 1.0))
        patch = dark if chance(rng, 70) else scaled(vivid(rng), 0.6)
        paints = [Paint(base, 0.2, _on_sphere(rotation, _football_patches), patch)]
    elif kind == 1:
        base = hsv(uniform(rng, 0.25, 0.5), uniform(rng, 0.75, 0.95), uniform(rng, 0.75, 0.95))
        paints = [Paint(base, 0.1, _on_sphere(rotation, _basketball_seams), dark)]
    elif kind == 2:
        base = hsv(uniform(rng, 1.0, 1.35), uniform(rng, 0.6, 0.8), uniform(rng, 0.85, 1.0))
        paints = [Paint(base, 0.05, _on_sphere(rotation, _tennis_seam), (0.95, 0.95, 0.92))]
    else:
        paints = [
            Paint(vivid(rng), 0.35, _on_sphere(rotation, _sectors(False)), (0.95, 0.95, 0.95)),
            Paint(vivid(rng), 0.35, _on_sphere(rotation, _sectors(True))),
        ]
    return [Ellipse((0.0, 0.0), (0.5, 0.5), paint, name="ball") for paint in paints]


def draw_bottle(rng: np.random.Generator) -> list[Part]:
    """A bottle with cap and label, 1 unit high, of glass or plastic."""
    radius = uniform(rng, 0.13, 0.19)
    neck = uniform(rng, 0.045, 0.06)
    shoulder, foot = uniform(rng, -0.22, -0.02), 0.5
    glass = pick(rng, ((0.10, 0.38, 0.16), (0.42, 0.22, 0.07), (0.55, 0.75, 0.82), (0.14, 0.2, 0.55), any_colour(rng)))
    paint = Paint(scaled(glass, uniform(rng, 0.85, 1.2)), 0.75)
    profile = (
        (-0.44, neck),
        (shoulder - 0.16, neck * 1.1),
        (shoulder - 0.06, neck + (radius - neck) * 0.62),
        (shoulder, radius * 0.94),
        (shoulder + 0.06, radius),
        (foot - 0.03, radius),
        (foot, radius * 0.9),
    )
    cap = Lathe(((-0.5, neck * 1.2), (-0.43, neck * 1.25)), Paint(any_colour(rng), 0.3), name="cap")
    top, bottom = uniform(rng, shoulder + 0.08, shoulder + 0.18), uniform(rng, 0.3, 0.42)
    label, mark = any_colour(rng), any_colour(rng)
    if abs(brightness(label) - brightness(paint.colour)) < 0.15:
        label = (0.93, 0.92, 0.86)
    band = top + (bottom - top) * uniform(rng, 0.2, 0.5)
    printed = Paint(label, 0.1, lambda s, t: (t > band) & (t < band + 0.08) & (s * s < 0.5), mark)
    return [
        Lathe(profile, paint, name="glass"),
        Lathe(((top, radius * 1.01), (bottom, radius * 1.01)), printed, name="label"),
        cap,
    ]


def _hand(degrees: float, length: float, radius: float, paint: Paint) -> Limb:
    cos, sin = cos_sin(degrees)
    return Limb((-0.12 * length * sin, 0.12 * length * cos), (length * sin, -length * cos), radius, radius, paint)


def draw_clock(rng: np.random.Generator) -> list[Part]:
    """A round, or now and then square, wall clock 1 unit across with ticks and two or three hands."""
    rim = Paint(any_colour(rng), 0.4)
    dial_colour = (0.94, 0.93, 0.88) if chance(rng, 75) else (0.10, 0.11, 0.14)
    ink = Paint((0.08, 0.08, 0.09) if brightness(dial_colour) > 0.5 else (0.93, 0.92, 0.85))
    width = uniform(rng, 0.04, 0.09)
    dial = Paint(dial_colour, 0.05)
    inner = 0.5 - width
    if chance(rng, 25):
        parts: list[Part] = [
            Polygon(rectangle(-0.5, -0.5, 0.5, 0.5), rim, (0.0, -0.2)),
            Polygon(rectangle(-inner, -inner, inner, inner), dial),
        ]
    else:
        parts = [
            Ellipse((0.0, 0.0), (0.5, 0.5), rim),
            Ellipse((0.0, 0.0), (inner, inner), dial, flat=True),
        ]
    for hour in range(12):
        cos, sin = cos_sin(30 * hour)
        outer, depth = inner - 0.03, 0.09 if hour % 3 == 0 else 0.05
        tick = 0.018 if hour % 3 == 0 else 0.012
        inward = outer - depth
        parts.append(Limb((outer * sin, -outer * cos), (inward * sin, -inward * cos), tick, tick, ink, cap=0.5))
    minutes = int(rng.integers(0, 720))
    parts += [_hand(minutes * 0.5, 0.23, 0.024, ink), _hand(minutes * 6.0, 0.34, 0.017, ink)]
    if chance(rng, 40):
        parts.append(_hand(6.0 * int(rng.integers(0, 60)), 0.36, 0.009, Paint((0.85, 0.1, 0.1))))
    parts.append(Ellipse((0.0, 0.0), (0.035, 0.035), ink, flat=True))
    return parts
