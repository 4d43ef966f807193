"""Rough choice of intra modes by the Hadamard transform of the prediction's error."""

from __future__ import annotations

import numpy as np

from cfm.codecs.hevc.prediction import predict, uses_filtered
from cfm.codecs.hevc.state import HALF, PREDICTION
from cfm.codecs.hevc.tables import MODES
from cfm.codecs.kernels import general, inlined, kernel

FIRST_ANGLE, COARSE = 2, 2


def _make_satd(side, step):
    """For blocks of a side, by Hadamard transforms of a side of 4 or 8."""

    @kernel
    def satd(source, y, x, prediction, half):
        for top in range(0, side, step):
            for j in range(side):
                for i in range(step):
                    place = (top + i) * side + j
                    half[place] = np.int32(np.int32(source[y + top + i, x + j]) - prediction[place])
        if step == 4:
            for j in range(4):
                a, b, c, d = half[j], half[4 + j], half[8 + j], half[12 + j]
                e, f, g, h = np.int32(a + b), np.int32(a - b), np.int32(c + d), np.int32(c - d)
                half[j], half[4 + j] = np.int32(e + g), np.int32(f + h)
                half[8 + j], half[12 + j] = np.int32(e - g), np.int32(f - h)
            total = 0
            for i in range(0, 16, 4):
                a, b, c, d = half[i], half[i + 1], half[i + 2], half[i + 3]
                e, f, g, h = a + b, a - b, c + d, c - d
                total += abs(e + g) + abs(e - g) + abs(f + h) + abs(f - h)
            return 0.5 * total
        for top in range(0, side, 8):
            row = top * side
            for j in range(side):
                k = row + j
                a0, a1, a2, a3 = half[k], half[k + side], half[k + 2 * side], half[k + 3 * side]
                a4, a5, a6, a7 = half[k + 4 * side], half[k + 5 * side], half[k + 6 * side], half[k + 7 * side]
                b0, b1, b2, b3 = np.int32(a0 + a4), np.int32(a1 + a5), np.int32(a2 + a6), np.int32(a3 + a7)
                b4, b5, b6, b7 = np.int32(a0 - a4), np.int32(a1 - a5), np.int32(a2 - a6), np.int32(a3 - a7)
                a0, a1, a2, a3 = np.int32(b0 + b2), np.int32(b1 + b3), np.int32(b0 - b2), np.int32(b1 - b3)
                a4, a5, a6, a7 = np.int32(b4 + b6), np.int32(b5 + b7), np.int32(b4 - b6), np.int32(b5 - b7)
                half[k], half[k + side] = np.int32(a0 + a1), np.int32(a0 - a1)
                half[k + 2 * side], half[k + 3 * side] = np.int32(a2 + a3), np.int32(a2 - a3)
                half[k + 4 * side], half[k + 5 * side] = np.int32(a4 + a5), np.int32(a4 - a5)
                half[k + 6 * side], half[k + 7 * side] = np.int32(a6 + a7), np.int32(a6 - a7)
        total = 0
        for k in range(0, side * side, 8):
            a0, a1, a2, a3 = half[k], half[k + 1], half[k + 2], half[k + 3]
            a4, a5, a6, a7 = half[k + 4], half[k + 5], half[k + 6], half[k + 7]
            b0, b1, b2, b3 = a0 + a4, a1 + a5, a2 + a6, a3 + a7
            b4, b5, b6, b7 = a0 - a4, a1 - a5, a2 - a6, a3 - a7
            a0, a1, a2, a3 = b0 + b2, b1 + b3, b0 - b2, b1 - b3
            a4, a5, a6, a7 = b4 + b6, b5 + b7, b4 - b6, b5 - b7
            total += abs(a0 + a1) + abs(a0 - a1) + abs(a2 + a3) + abs(a2 - a3)
            total += abs(a4 + a5) + abs(a4 - a5) + abs(a6 + a7) + abs(a6 - a7)
        return 0.25 * total

    return satd


_SATD4, _SATD8, _SATD16, _SATD32 = _make_satd(4, 4), _make_satd(8, 8), _make_satd(16, 8), _make_satd(32, 8)


@general
def satd(source, y, x, prediction, side, half):
    """Sum of the magnitudes of the Hadamard transform of a block's error, as twice the orthonormal one's."""
    if side == 4:
        return _SATD4(source, y, x, prediction, half)
    if side == 8:
        return _SATD8(source, y, x, prediction, half)
    if side == 16:
        return _SATD16(source, y, x, prediction, half)
    return _SATD32(source, y, x, prediction, half)


@inlined
def lowest(costs, count):
    """Index of the first of the lowest of so many costs."""
    found = 0
    for k in range(1, count):
        if costs[k] < costs[found]:
            found = k
    return found


@inlined
def lowest_angle(costs, other):
    """The angular mode of the lowest cost but one."""
    found = FIRST_ANGLE if other != FIRST_ANGLE else FIRST_ANGLE + 1
    for mode in range(found + 1, MODES):
        if mode != other and costs[mode] < costs[found]:
            found = mode
    return found


@general
def rank_mode(work, source, y, x, side, likely, root_lambda, mode):
    """Write the rough cost of a mode into `work.costs`, unless it is there."""
    costs = work.costs[0]
    if costs[mode] < np.inf:
        return
    row = 1 if uses_filtered(mode, side, 0) else 0
    predict(mode, work.references[row], side, side < 32, work.line[0], work.integers[PREDICTION])
    bits = 2.0 if mode == likely[0] else 3.0 if mode == likely[1] or mode == likely[2] else 6.0
    costs[mode] = satd(source, y, x, work.integers[PREDICTION], side, work.integers[HALF]) + root_lambda * bits


@general
def rank_modes(work, source, y, x, side, likely, root_lambda, count, chosen):
    """The modes of a luma block of least rough cost, and the most probable one, from the gathered neighbours.

    Angles are looked at from coarse to fine: every fourth, then those between beside the best two.

    Parameters
    ----------
    work : structure WORK
        With the neighbours.
    source : array (h, w)
        Luma.
    y, x, side : int
        The block.
    likely : tuple of int
        Its three most probable modes.
    root_lambda : float
        Hadamard error a bit.
    count : int
        How many modes to choose by their costs.
    chosen : array
        Written; the best first.

    Returns
    -------
    int
        How many were chosen.
    """
    costs = work.costs[0]
    for mode in range(MODES + 1):
        costs[mode] = np.inf
    for mode in range(2):
        rank_mode(work, source, y, x, side, likely, root_lambda, mode)
    for mode in range(FIRST_ANGLE, MODES, 2 * COARSE):
        rank_mode(work, source, y, x, side, likely, root_lambda, mode)
    for place in range(3):
        rank_mode(work, source, y, x, side, likely, root_lambda, likely[place])
    step = COARSE
    while step:
        first = lowest_angle(costs, -1)
        second = lowest_angle(costs, first)
        for middle in (first, second):
            for mode in (middle - step, middle + step):
                if FIRST_ANGLE <= mode < MODES:
                    rank_mode(work, source, y, x, side, likely, root_lambda, mode)
        step >>= 1
    has_likely = False
    for place in range(count):
        mode = lowest(costs, MODES)
        costs[mode] = np.inf
        chosen[place] = mode
        has_likely |= mode == likely[0]
    if not has_likely:
        chosen[count] = likely[0]
        return count + 1
    return count
