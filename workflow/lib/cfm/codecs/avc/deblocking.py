"""The deblocking filter of H.264 8.7 on the luma of intra macroblocks, for decisions by what a decoder shows.

A macroblock is filtered in an area of its samples and the four columns and rows of its neighbours to the left and
above, one array of AREA * AREA in raster order. Filters of the macroblocks to the right and below change it once more.
"""

from __future__ import annotations

from cfm.codecs.kernels import inlined, kernel, numbers

BESIDE = 4  # samples of the neighbours
AREA = BESIDE + 16

# Thresholds alpha and beta (table 8-16) and clipping at the strength of inner edges, 3 (table 8-17), by QP.
ALPHA = numbers(
    """0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 4 4 5 6 7 8 9 10 12 13 15 17 20 22 25 28 32 36 40 45 50 56 63 71 80 90 101 113
    127 144 162 182 203 226 255 255"""
)
BETA = numbers(
    """0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 2 2 2 3 3 3 3 4 4 4 6 6 7 7 8 8 9 9 10 10 11 11 12 12 13 13 14 14 15 15 16 16 17
    17 18 18"""
)
CLIP = numbers(
    """0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 1 1 1 1 1 1 1 1 1 1 2 2 2 2 3 3 3 4 4 4 5 6 6 7 8 9 10 11 13 14 16 18 20 23
    25"""
)


@kernel
def fill_area(shown, decoded, my, mx, area):
    """Put a macroblock's decoded luma (16, 16) into an area, with its neighbours as shown so far."""
    for i in range(16):
        for j in range(16):
            area[(BESIDE + i) * AREA + BESIDE + j] = decoded[i, j]
    for i in range(BESIDE):
        for j in range(16):
            if my:
                area[i * AREA + BESIDE + j] = shown[16 * my - BESIDE + i, 16 * mx + j]
            if mx:
                area[(BESIDE + j) * AREA + i] = shown[16 * my + j, 16 * mx - BESIDE + i]


@kernel
def show_area(area, my, mx, shown):
    """Put a filtered area back into the plane."""
    for i in range(16):
        for j in range(16):
            shown[16 * my + i, 16 * mx + j] = area[(BESIDE + i) * AREA + BESIDE + j]
    for i in range(BESIDE):
        for j in range(16):
            if my:
                shown[16 * my - BESIDE + i, 16 * mx + j] = area[i * AREA + BESIDE + j]
            if mx:
                shown[16 * my + j, 16 * mx - BESIDE + i] = area[(BESIDE + j) * AREA + i]


@kernel
def deblock_area(area, qps, my, mx, qp, large):
    """Filter the edges of a macroblock of a QP, those to the left first; large: whether its transforms are 8x8.

    qps: those of the macroblocks so far, (rows, columns).
    """
    first, step = BESIDE * AREA + BESIDE, 8 if large else 4
    if mx:
        _filter_edge(area, first, 1, AREA, (qp + qps[my, mx - 1] + 1) >> 1, True)
    for x in range(step, 16, step):
        _filter_edge(area, first + x, 1, AREA, qp, False)
    if my:
        _filter_edge(area, first, AREA, 1, (qp + qps[my - 1, mx] + 1) >> 1, True)
    for y in range(step, 16, step):
        _filter_edge(area, first + AREA * y, AREA, 1, qp, False)


@kernel
def _filter_edge(area, first, across, along, qp, strong):
    """Filter 16 samples to both sides of an edge: of strength 4 between macroblocks, else of 3 (8.7.2)."""
    alpha, beta, clip = ALPHA[qp], BETA[qp], CLIP[qp]
    if alpha == 0:
        return
    for i in range(16):
        q = first + i * along
        p = q - across
        p0, p1, p2 = area[p], area[p - across], area[p - 2 * across]
        q0, q1, q2 = area[q], area[q + across], area[q + 2 * across]
        if abs(p0 - q0) >= alpha or abs(p1 - p0) >= beta or abs(q1 - q0) >= beta:
            continue
        smooth_p, smooth_q = abs(p2 - p0) < beta, abs(q2 - q0) < beta
        if strong:
            near = abs(p0 - q0) < (alpha >> 2) + 2
            _smooth_side(area, p, -across, p0, p1, p2, q0, q1, near and smooth_p)
            _smooth_side(area, q, across, q0, q1, q2, p0, p1, near and smooth_q)
            continue
        limit = clip + (1 if smooth_p else 0) + (1 if smooth_q else 0)
        change = _clipped((((q0 - p0) << 2) + (p1 - q1) + 4) >> 3, limit)
        middle = (p0 + q0 + 1) >> 1
        if smooth_p:
            area[p - across] = p1 + _clipped((p2 + middle - 2 * p1) >> 1, clip)
        if smooth_q:
            area[q + across] = q1 + _clipped((q2 + middle - 2 * q1) >> 1, clip)
        area[p] = min(255, max(0, p0 + change))
        area[q] = min(255, max(0, q0 - change))


@inlined
def _smooth_side(area, place, outwards, a0, a1, a2, b0, b1, all_three):
    """Filter the samples a of one side of an edge of strength 4; b are those of the other."""
    if all_three:
        a3 = area[place + 3 * outwards]
        area[place] = (a2 + 2 * a1 + 2 * a0 + 2 * b0 + b1 + 4) >> 3
        area[place + outwards] = (a2 + a1 + a0 + b0 + 2) >> 2
        area[place + 2 * outwards] = (2 * a3 + 3 * a2 + a1 + a0 + b0 + 4) >> 3
    else:
        area[place] = (2 * a1 + a0 + b1 + 2) >> 2


@inlined
def _clipped(value, limit):
    return min(limit, max(-limit, value))
