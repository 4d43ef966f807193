"""Value noise on integer lattices: textures with natural statistics and the same bits on every machine.

Only elementwise + - * and integer draws of PCG64 are used, because transforms, reductions and transcendental functions
differ between builds of numpy in their last bits.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

GRAIN_SIZE = 512


def _lattice_steps(length: int, cell: int, phase: int) -> tuple[np.ndarray, np.ndarray]:
    """Lattice index (length,) and smoothstep weight (length,) float32 of every sample along one axis."""
    position = np.arange(length) + phase
    index = position // cell
    t = (position - index * cell).astype(np.float32) / np.float32(cell)
    return index, t * t * (3.0 - 2.0 * t)


def value_noise(rng: np.random.Generator, height: int, width: int, cell: int) -> np.ndarray:
    """Random values every `cell` samples, interpolated by smoothstep: (height, width) float32 in [-1, 1)."""
    phase_y, phase_x = (int(phase) for phase in rng.integers(0, cell, 2))
    rows, weight_y = _lattice_steps(height, cell, phase_y)
    columns, weight_x = _lattice_steps(width, cell, phase_x)
    lattice = rng.random((int(rows[-1]) + 2, int(columns[-1]) + 2), dtype=np.float32) * 2.0 - 1.0
    left = lattice[:, columns]
    wide = left + (lattice[:, columns + 1] - left) * weight_x
    top = wide[rows]
    return top + (wide[rows + 1] - top) * weight_y[:, None]


def fractal_noise(
    rng: np.random.Generator, height: int, width: int, coarsest: int, finest: int, gain: float
) -> np.ndarray:
    """Octaves of value noise from cells of `coarsest` samples down to `finest`, each `gain` times the one before.

    Octaves of equal strength (gain 1) have the power per octave of a 1/f amplitude spectrum, the statistics of natural
    pictures (Field 1987, "Relations between the statistics of natural images and the response properties of cortical
    cells"); a smaller gain is smoother.

    Returns
    -------
    ndarray
        (height, width) float32 with zero mean on average and a variance of about 0.1, whatever the octaves.
    """
    total = np.zeros((height, width), np.float32)
    amplitude, power, cell = 1.0, 0.0, coarsest
    while cell >= finest:
        total += value_noise(rng, height, width, cell) * amplitude
        power += amplitude * amplitude
        amplitude *= gain
        cell //= 2
    return total * (0.75 / math.sqrt(power))


@lru_cache(maxsize=1)
def grain() -> np.ndarray:
    """A fixed field of fine texture, (512, 512) float32 around 0, from which surfaces take their roughness."""
    field = fractal_noise(np.random.default_rng(20170512), GRAIN_SIZE, GRAIN_SIZE, 32, 2, 1.0)
    field.setflags(write=False)
    return field


def grain_window(top: int, left: int, height: int, width: int) -> np.ndarray:
    """A (height, width) window of `grain`, continued periodically."""
    rows = (np.arange(height) + top) % GRAIN_SIZE
    columns = (np.arange(width) + left) % GRAIN_SIZE
    return grain()[rows[:, None], columns]
