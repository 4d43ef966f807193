"""Random numbers and colours for drawing, from integer draws only."""

from __future__ import annotations

import math

import numpy as np

Colour = tuple[float, float, float]

SKINS: tuple[Colour, ...] = (
    (0.96, 0.80, 0.69),
    (0.89, 0.67, 0.52),
    (0.76, 0.54, 0.38),
    (0.58, 0.39, 0.26),
    (0.40, 0.27, 0.19),
)
HAIRS: tuple[Colour, ...] = (
    (0.10, 0.08, 0.07),
    (0.28, 0.17, 0.10),
    (0.52, 0.33, 0.15),
    (0.83, 0.68, 0.38),
    (0.62, 0.60, 0.58),
)


def uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """A draw from [low, high) on a grid of 1/1024 of the interval."""
    return low + (high - low) * (int(rng.integers(0, 1024)) / 1024)


def chance(rng: np.random.Generator, percent: int) -> bool:
    """True in `percent` of 100 draws."""
    return int(rng.integers(0, 100)) < percent


def pick(rng: np.random.Generator, items):
    """One of `items`, all alike likely."""
    return items[int(rng.integers(0, len(items)))]


def cos_sin(degrees: float) -> tuple[float, float]:
    """Cosine and sine on a grid of 1/4096, so that the last bits of a machine's libm never reach a pixel."""
    angle = math.radians(degrees)
    return round(math.cos(angle) * 4096) / 4096, round(math.sin(angle) * 4096) / 4096


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """A colour from hue in [0, 6), saturation and value in [0, 1]."""

    def channel(offset: float) -> float:
        k = (offset + hue) % 6
        return value - value * saturation * max(0.0, min(k, 4 - k, 1.0))

    return channel(5), channel(3), channel(1)


def vivid(rng: np.random.Generator) -> Colour:
    """A saturated colour of any hue, as clothes, cars and toys have."""
    return hsv(uniform(rng, 0, 6), uniform(rng, 0.45, 0.95), uniform(rng, 0.4, 1.0))


def muted(rng: np.random.Generator) -> Colour:
    """A dull colour of any hue and brightness, as walls, soil and stone have."""
    return hsv(uniform(rng, 0, 6), uniform(rng, 0.05, 0.4), uniform(rng, 0.2, 0.85))


def any_colour(rng: np.random.Generator) -> Colour:
    """A vivid colour, or now and then white, grey or black."""
    if chance(rng, 70):
        return vivid(rng)
    value = uniform(rng, 0.08, 0.95)
    return value, value, value


def scaled(colour: Colour, factor: float) -> Colour:
    """The colour, brighter or darker by a factor and kept within [0, 1]."""
    return tuple(min(1.0, component * factor) for component in colour)


def brightness(colour: Colour) -> float:
    """Luma of a colour, BT.601 weights."""
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]
