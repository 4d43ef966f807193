"""Residual blocks in CABAC (H.264 7.3.5.3.3, 9.3.3.1.3) and the choice of their levels by rate and distortion.

Levels are in scan order, from the lowest frequency. A block of category `AC16` or `CHROMA_AC` has 15 of them, one of
`CHROMA_DC` 4, of `LUMA8` 64, the others 16.
"""

from __future__ import annotations

import numpy as np

from cfm.codecs.avc.tables import CHROMA_DC, LAST, LAST8, LEVEL, LUMA8, SIGNIFICANT, SIGNIFICANT8
from cfm.codecs.cabac import BIN_COST, BIT, encode_bin, encode_bypass
from cfm.codecs.kernels import inlined, kernel

LARGEST_PREFIX = 14  # of a level's magnitude less 1; above it Exp-Golomb of order 0
COUNTS = np.array([16, 15, 16, 4, 15, 64])


@inlined
def significance_context(category, position):
    """Context of the flag that the level at a position is not 0."""
    if category == LUMA8:
        return SIGNIFICANT[category] + SIGNIFICANT8[position]
    return SIGNIFICANT[category] + (min(position, 2) if category == CHROMA_DC else position)


@inlined
def last_context(category, position):
    """Context of the flag that no level after this one is not 0."""
    if category == LUMA8:
        return LAST[category] + LAST8[position]
    return LAST[category] + (min(position, 2) if category == CHROMA_DC else position)


@kernel
def code_levels(coder, out, states, levels, category):
    """Code a block that has a level other than 0: significance map, then magnitudes and signs from the last level."""
    count = COUNTS[category]
    last = count - 1
    while levels[last] == 0:
        last -= 1
    for position in range(min(last + 1, count - 1)):
        significant = levels[position] != 0
        encode_bin(coder, out, states, significance_context(category, position), 1 if significant else 0)
        if significant:
            encode_bin(coder, out, states, last_context(category, position), 1 if position == last else 0)
    ones, larger, base = 0, 0, LEVEL[category]
    most_larger = 3 if category == CHROMA_DC else 4
    for position in range(last, -1, -1):
        level = levels[position]
        if level == 0:
            continue
        rest = abs(level) - 1
        encode_bin(coder, out, states, base + (0 if larger else min(4, 1 + ones)), 1 if rest else 0)
        if rest:
            context = base + 5 + min(most_larger, larger)
            for _ in range(min(rest, LARGEST_PREFIX) - 1):
                encode_bin(coder, out, states, context, 1)
            if rest < LARGEST_PREFIX:
                encode_bin(coder, out, states, context, 0)
            else:
                _code_exp_golomb(coder, out, rest - LARGEST_PREFIX)
            larger += 1
        else:
            ones += 1
        encode_bypass(coder, out, 1 if level < 0 else 0)


@kernel
def _code_exp_golomb(coder, out, value):
    """Exp-Golomb code of order 0 in bypass bins (9.3.2.3)."""
    order = 0
    while value >= 1 << order:
        encode_bypass(coder, out, 1)
        value -= 1 << order
        order += 1
    encode_bypass(coder, out, 0)
    for bit in range(order - 1, -1, -1):
        encode_bypass(coder, out, (value >> bit) & 1)


@inlined
def magnitude_cost(states, base, magnitude, ones, larger, most_larger):
    """Cost of a level's magnitude and sign, contexts as they are."""
    state = states[base + (0 if larger else min(4, 1 + ones))]
    if magnitude == 1:
        return BIN_COST[state] + BIT
    cost = BIN_COST[state ^ 1] + BIT
    state = states[base + 5 + min(most_larger, larger)]
    cost += (min(magnitude - 1, LARGEST_PREFIX) - 1) * BIN_COST[state ^ 1]
    if magnitude - 1 < LARGEST_PREFIX:
        return cost + BIN_COST[state]
    value, order = magnitude - 1 - LARGEST_PREFIX, 0
    while value >= 1 << order:
        value -= 1 << order
        order += 1
    return cost + (2 * order + 1) * BIT


@kernel
def choose_levels(values, weights, category, states, flag_costs, lambda_, levels):
    """Levels of least distortion plus lambda times rate, with the contexts as they are; whether one is not 0.

    Every level is taken from the nearest integer, the one below it and 0, from the highest frequency down; then the
    place of the last one is chosen, and whether the block is coded at all.

    Parameters
    ----------
    values : array (n,) float
        Coefficients in scan order, in units of the quantiser's step.
    weights : array (n,) float
        Distortion of an error of 1 in each of them.
    category : int
        Block category, which tells n.
    states : array of uint8
        Contexts.
    flag_costs : array (2,)
        Costs of coded_block_flag 0 and 1; zeros where none is sent.
    lambda_ : float
        Distortion a bit.
    levels : array (n,) int
        Written.
    """
    count, base = COUNTS[category], LEVEL[category]
    most_larger = 3 if category == CHROMA_DC else 4
    per_cost = lambda_ / BIT
    # Costs of the positions passed so far: where all are 0, and as chosen while a later level follows.
    none, coded = 0.0, 0.0
    best, best_last, best_level = 0.0, -1, 0
    ones = larger = 0
    for position in range(count - 1, -1, -1):
        value = abs(values[position])
        zero = weights[position] * value * value
        nearest = int(value + 0.5)
        levels[position] = 0
        if nearest == 0 and best_last < 0:
            none += zero
            continue
        insignificant = significant = further = final = 0
        if position < count - 1:
            state = states[significance_context(category, position)]
            insignificant, significant = BIN_COST[state], BIN_COST[state ^ 1]
            state = states[last_context(category, position)]
            further, final = BIN_COST[state], BIN_COST[state ^ 1]
        level, cost = 0, zero + per_cost * insignificant
        last_level, last_cost = 0, np.inf
        for candidate in range(nearest, max(nearest - 2, 0), -1):
            distortion = weights[position] * (value - candidate) ** 2
            rate = significant + further + magnitude_cost(states, base, candidate, ones, larger, most_larger)
            if distortion + per_cost * rate < cost:
                level, cost = candidate, distortion + per_cost * rate
            rate = significant + final + magnitude_cost(states, base, candidate, 0, 0, most_larger)
            if distortion + per_cost * rate < last_cost:
                last_level, last_cost = candidate, distortion + per_cost * rate
        coded += cost
        if last_level:
            # What the levels below cost is the same for every place of the last one, so it is left out: `coded` has
            # the places that would not be coded any more, and this one as it would be without being the last.
            ended = none + last_cost - coded
            if best_last < 0 or ended < best:
                best, best_last, best_level = ended, position, last_level
        if level == 1:
            ones += 1
        elif level:
            larger += 1
        levels[position] = level
        none += zero
    if best_last < 0 or none + per_cost * flag_costs[0] <= coded + best + per_cost * flag_costs[1]:
        for position in range(count):
            levels[position] = 0
        return False
    levels[best_last] = best_level
    for position in range(best_last + 1, count):
        levels[position] = 0
    for position in range(best_last + 1):
        if values[position] < 0:
            levels[position] = -levels[position]
    return True
