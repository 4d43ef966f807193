"""The car, from the side and from the front or back."""

from __future__ import annotations

import numpy as np

from cfm.data.scenes.palette import any_colour, chance, pick, scaled, uniform
from cfm.data.scenes.shapes import Ellipse, Limb, Paint, Part, Point, Polygon, rectangle

_GLASS = (0.16, 0.21, 0.27)
_TYRE = Paint((0.07, 0.07, 0.08))
_BLACK = Paint((0.09, 0.09, 0.10))

# Roof line from the windscreen's foot to the rear: (u, share of the cabin's height), per body style.
_ROOFS: tuple[tuple[Point, ...], ...] = (
    ((-0.22, 0.0), (-0.08, 1.0), (0.18, 1.0), (0.33, 0.08)),
    ((-0.24, 0.0), (-0.10, 0.96), (0.30, 1.0), (0.43, 0.15)),
    ((-0.32, 0.0), (-0.24, 1.0), (0.42, 1.0), (0.47, 0.10)),
    ((-0.14, 0.0), (0.0, 0.9), (0.12, 0.9), (0.28, 0.0)),
)


def _wheel(u: float, v: float, radius: float, rim: Paint) -> list[Part]:
    hub = radius * 0.6
    return [
        Ellipse((u, v), (radius, radius), _TYRE, flat=True),
        Ellipse((u, v), (hub, hub), rim, flat=True),
        Ellipse((u, v), (hub * 0.35, hub * 0.35), _BLACK, flat=True),
    ]


def _windows(roof: list[Point], belt: float, split: float) -> list[Part]:
    """Two panes inside the cabin, the cabin's outline drawn in towards its middle."""
    middle = sum(u for u, _ in roof) / len(roof)
    inner = [(middle + (u - middle) * 0.86, belt + (v - belt) * 0.82 - 0.006) for u, v in roof]
    glass = Paint(_GLASS, 0.25)
    glare = Paint((0.62, 0.70, 0.76), pattern=lambda s, t: (s + t * 0.8 > 0.0) & (s + t * 0.8 < 0.05))
    outline = tuple(inner)
    tilt = (0.0, -0.5)
    return [Polygon(outline, glass, tilt), Polygon(outline, glare, tilt), Polygon(_pillar(split, belt), _BLACK)]


def _pillar(u: float, belt: float) -> tuple[Point, ...]:
    return rectangle(u - 0.008, belt - 0.125, u + 0.008, belt)


def _side_view(rng: np.random.Generator) -> list[Part]:
    body = Paint(any_colour(rng), 0.35)
    dark = Paint(scaled(body.colour, 0.7), 0.1)
    roof_style = pick(rng, _ROOFS)
    cabin = uniform(rng, 0.12, 0.17)
    belt, sill = -0.02, uniform(rng, 0.10, 0.13)
    nose, tail = uniform(rng, 0.02, 0.05), uniform(rng, 0.0, 0.03)
    roof = [(u, belt - cabin * share) for u, share in roof_style]
    outline = (
        (-0.50, sill - 0.01), (-0.50, belt + nose + 0.02), (-0.47, belt + nose), *roof,
        (0.48, belt + tail), (0.50, belt + tail + 0.03), (0.50, sill - 0.01), (0.48, sill), (-0.48, sill),
    )  # fmt: skip
    radius = uniform(rng, 0.075, 0.092)
    front, back = uniform(rng, -0.33, -0.29), uniform(rng, 0.28, 0.32)
    rim = Paint(pick(rng, ((0.75, 0.76, 0.78), (0.45, 0.46, 0.5), (0.2, 0.2, 0.22))), 0.3)
    parts: list[Part] = [
        Polygon(outline, body, (0.0, -0.25)),
        Polygon(((-0.50, sill - 0.06), (0.50, sill - 0.06), (0.48, sill), (-0.48, sill)), dark, (0.0, 0.4)),
        *_windows(roof, belt, uniform(rng, 0.04, 0.12)),
        Polygon(rectangle(0.075, belt, 0.083, sill - 0.02), dark),
        Limb((0.10, belt + 0.025), (0.15, belt + 0.025), 0.007, 0.007, _BLACK),
        Ellipse((-0.475, belt + nose + 0.03), (0.022, 0.018), Paint((0.95, 0.93, 0.8), emission=0.6), flat=True),
        Polygon(rectangle(0.475, belt + tail + 0.02, 0.50, belt + tail + 0.06), Paint((0.8, 0.08, 0.08), emission=0.4)),
    ]
    for u in (front, back):
        parts.append(Ellipse((u, sill - 0.005), (radius * 1.15, radius * 1.15), _BLACK, flat=True))
        parts += _wheel(u, sill + 0.008, radius, rim)
    return parts


def _end_view(rng: np.random.Generator) -> list[Part]:
    """From the front, or from the back with red lights."""
    rear = chance(rng, 50)
    body = Paint(any_colour(rng), 0.35)
    dark = Paint(scaled(body.colour, 0.7), 0.1)
    height = uniform(rng, 0.27, 0.36)
    top = uniform(rng, 0.20, 0.26)
    lamp = Paint((0.85, 0.10, 0.10), emission=0.5) if rear else Paint((0.97, 0.96, 0.86), emission=0.6)
    cabin = ((-0.32, -0.02), (-top, -height), (top, -height), (0.32, -0.02))
    pane = tuple((u * 0.87, v * 0.88 - 0.012) for u, v in cabin)
    glare = Paint((0.62, 0.70, 0.76), pattern=lambda s, t: (s + t > -0.2) & (s + t < -0.12))
    return [
        Limb((-0.27, 0.12), (-0.27, 0.24), 0.06, 0.06, _TYRE, cap=0.4),
        Limb((0.27, 0.12), (0.27, 0.24), 0.06, 0.06, _TYRE, cap=0.4),
        Polygon(cabin, body, (0.0, -0.3)),
        Polygon(pane, Paint(_GLASS, 0.25), (0.0, -0.5)),
        Polygon(pane, glare, (0.0, -0.5)),
        Limb((-0.30, 0.09), (0.30, 0.09), 0.11, 0.11, body, cap=0.5),
        Limb((-0.31, 0.175), (0.31, 0.175), 0.035, 0.035, dark, cap=0.8),
        Limb((-0.12, 0.10), (0.12, 0.10), 0.03, 0.03, dark if rear else _BLACK, cap=0.5),
        Ellipse((-0.265, 0.07), (0.052, 0.034), lamp, flat=True),
        Ellipse((0.265, 0.07), (0.052, 0.034), lamp, flat=True),
        Polygon(rectangle(-0.075, 0.155, 0.075, 0.195), Paint((0.92, 0.92, 0.88))),
        Limb((-0.38, -0.03), (-0.33, -0.03), 0.02, 0.02, dark),
        Limb((0.33, -0.03), (0.38, -0.03), 0.02, 0.02, dark),
    ]


def draw_car(rng: np.random.Generator) -> list[Part]:
    """A car of a random make, its parts from back to front: 1 unit long from the side, 0.8 wide from an end."""
    return _end_view(rng) if chance(rng, 25) else _side_view(rng)
