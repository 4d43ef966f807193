"""The choice of levels by rate and distortion, with the contexts as they are, and the hiding of signs in them.

Distortions are counted from that of a block without levels, so that coefficients that stay 0 cost nothing.
"""

from __future__ import annotations

import numpy as np

from cfm.codecs.cabac import BIN_COST, BIT
from cfm.codecs.hevc.residual import (
    HIDING,
    MOST_GREATER1,
    last_contexts,
    remaining_bits,
    significance_base,
    significance_context,
)
from cfm.codecs.hevc.tables import (
    DOWN,
    GREATER1,
    GREATER2,
    GROUP,
    GROUPS,
    INSIDE,
    LAST_PREFIX,
    LAST_X,
    LAST_Y,
    PREFIX_BITS,
)
from cfm.codecs.kernels import general, inlined

PREFIXES = 10


@inlined
def magnitude_cost(states, chroma, context_set, greater, flags, has_greater2, rice, magnitude):
    """Cost of a magnitude and its sign, after `flags` magnitudes of its group."""
    if flags >= MOST_GREATER1:
        return BIT * (1 + remaining_bits(magnitude - 1, rice))
    state = states[GREATER1 + 16 * chroma + 4 * context_set + greater]
    if magnitude == 1:
        return BIN_COST[state] + BIT
    cost = BIN_COST[state ^ 1] + BIT
    if has_greater2:
        return cost + BIT * remaining_bits(magnitude - 2, rice)
    state = states[GREATER2 + 4 * chroma + context_set]
    if magnitude == 2:
        return cost + BIN_COST[state]
    return cost + BIN_COST[state ^ 1] + BIT * remaining_bits(magnitude - 3, rice)


@general
def _cost_last(states, log2, chroma, costs):
    """Costs of a last position's prefix and suffix, (2, PREFIXES): across and down."""
    first, shift = last_contexts(log2, chroma)
    for axis in range(2):
        base, passed = (LAST_Y if axis else LAST_X) + first, 0
        for prefix in range(2 * log2):
            state = states[base + (prefix >> shift)]
            end = 0 if prefix == 2 * log2 - 1 else BIN_COST[state]
            costs[axis, prefix] = passed + end + BIT * PREFIX_BITS[prefix]
            passed += BIN_COST[state ^ 1]


@inlined
def _near(coded, group_y, group_x, groups):
    """Which neighbouring groups are coded: 1 the right one, 2 the one below; of `groups` a side."""
    near, place = 0, np.uint64(8 * group_y + group_x)
    if group_x + 1 < groups:
        near |= np.int64((coded >> (place + np.uint64(1))) & np.uint64(1))
    if group_y + 1 < groups:
        near |= np.int64((coded >> (place + np.uint64(8))) & np.uint64(1)) << 1
    return near


@inlined
def _is_significant(coefficients, corner, side, least):
    """Whether a coefficient of a group reaches a magnitude."""
    most = np.float32(0)
    for y in range(4):
        for x in range(4):
            most = max(most, abs(coefficients[corner + y * side + x]))
    return most >= least


@general
def choose_levels(
    coefficients, weights, step, log2, chroma, scan, states, cost_none, cost_some, lambda_, hiding, levels, last_costs
):
    """Levels of least distortion plus lambda times rate; returns whether one is not 0.

    Every level is taken from the nearest integer, the one below it and 0, from the highest frequency down; groups may
    be left out; then the place of the last level is chosen, and whether the block is coded at all.

    Parameters
    ----------
    coefficients, weights : arrays (n * n,) float32
        Orthonormal coefficients, and the distortion of an error of 1 in each, in raster order.
    step : float
        Of the quantiser.
    log2, chroma, scan : int
        Log2 of n, 1 in chroma else 0, and which scan.
    states : array of uint8
        Contexts.
    cost_none, cost_some : int
        Costs of the flag that the block is coded: 0 and 1.
    lambda_ : float
        Distortion a bit.
    hiding : bool
        Whether signs are hidden.
    levels : array (n * n,) of integers
        Written.
    last_costs : array (2, PREFIXES)
        Overwritten.
    """
    side = 1 << log2
    for k in range(side * side):
        levels[k] = 0
    least, inverse = np.float32(0.5 * step), 1 / step
    per_cost, squared_step = lambda_ / BIT, step * step
    coded = np.uint64(0)
    passed = 0.0  # cost of all that was passed, as it would be with a later last level
    best, best_group, best_position, best_level = np.inf, -1, -1, 0
    started = greater_before = False
    for group in range((1 << (2 * log2 - 4)) - 1, -1, -1):
        group_y, group_x = GROUPS[log2, scan, group, 0], GROUPS[log2, scan, group, 1]
        corner = 4 * (group_y * side + group_x)
        significant = _is_significant(coefficients, corner, side, least)
        if not started and not significant:
            continue
        near = _near(coded, group_y, group_x, side >> 2)
        flag = states[GROUP + 2 * chroma + (1 if near else 0)]
        if not significant and group:
            passed += per_cost * BIN_COST[flag]
            continue
        if not started:
            _cost_last(states, log2, chroma, last_costs)
        base = significance_base(log2, chroma, scan, group_y, group_x)
        context_set = (2 if group and not chroma else 0) + (1 if greater_before else 0)
        greater, flags, has_greater2, rice = 1, 0, False, 0
        cost, group_best, group_position, group_level = 0.0, np.inf, -1, 0
        counts = started
        for position in range(15, -1, -1):
            y, x = INSIDE[scan, position, 0], INSIDE[scan, position, 1]
            place = corner + y * side + x
            value = abs(coefficients[place]) * inverse
            nearest = int(value + 0.5)
            if not counts:
                if nearest == 0:
                    continue
                counts = True
            zero_cost = one_cost = 0
            if position or group == 0 or flags or not started:
                context = significance_context(log2, chroma, base, near, y, x, position == 0 and group == 0)
                zero_cost, one_cost = BIN_COST[states[context]], BIN_COST[states[context] ^ 1]
            if nearest == 0:
                cost += per_cost * zero_cost
                continue
            weight = weights[place] * squared_step
            level, least_cost = 0, np.inf
            for candidate in range(nearest, max(nearest - 2, 0), -1):
                rate = magnitude_cost(states, chroma, context_set, greater, flags, has_greater2, rice, candidate)
                candidate_cost = weight * candidate * (candidate - 2 * value) + per_cost * rate
                if candidate_cost < least_cost:
                    level, least_cost = candidate, candidate_cost
            column, row = 4 * group_x + x, 4 * group_y + y
            if scan == DOWN:
                column, row = row, column
            as_last = least_cost + per_cost * (last_costs[0, LAST_PREFIX[column]] + last_costs[1, LAST_PREFIX[row]])
            last_level = level
            if least_cost + per_cost * one_cost < per_cost * zero_cost:
                cost += least_cost + per_cost * one_cost
                levels[place] = level
                if flags < MOST_GREATER1:
                    if level > 1:
                        greater, has_greater2 = 0, True
                    elif 0 < greater < 3:
                        greater += 1
                flags += 1
                if level > 3 << rice and rice < 4:
                    rice += 1
            else:
                cost += per_cost * zero_cost
            if as_last - cost < group_best:
                group_best, group_position, group_level = as_last - cost, position, last_level
        added = cost
        if started and group:
            with_levels = cost + per_cost * BIN_COST[flag ^ 1]
            without = per_cost * BIN_COST[flag]
            if flags and with_levels < without:
                added = with_levels
                coded |= np.uint64(1) << np.uint64(8 * group_y + group_x)
                greater_before = greater == 0
            else:
                added = without
        else:
            coded |= np.uint64(1) << np.uint64(8 * group_y + group_x)
            if flags:
                greater_before = greater == 0
        passed += added
        started = True
        if group_best + cost - passed < best:
            best, best_group = group_best + cost - passed, group
            best_position, best_level = group_position, group_level
    if best_group < 0 or per_cost * cost_none <= per_cost * cost_some + passed + best:
        for k in range(side * side):
            levels[k] = 0
        return False
    _finish_levels(coefficients, log2, scan, coded, best_group, best_position, best_level, levels)
    if hiding:
        hide_signs(
            coefficients, weights, inverse, squared_step, log2, chroma, scan, states, per_cost, best_group, levels
        )
    return True


@general
def _finish_levels(coefficients, log2, scan, coded, last_group, last_position, last_level, levels):
    """Clear what is behind the last level and in groups that are left out; give the others their signs."""
    side = 1 << log2
    for group in range(1 << (2 * log2 - 4)):
        group_y, group_x = GROUPS[log2, scan, group, 0], GROUPS[log2, scan, group, 1]
        corner = 4 * (group_y * side + group_x)
        kept = group == last_group or (coded >> np.uint64(8 * group_y + group_x)) & np.uint64(1)
        for position in range(16):
            place = corner + INSIDE[scan, position, 0] * side + INSIDE[scan, position, 1]
            if group > last_group or not kept or (group == last_group and position > last_position):
                levels[place] = 0
            else:
                if group == last_group and position == last_position:
                    levels[place] = last_level
                if coefficients[place] < 0:
                    levels[place] = -levels[place]


@general
def hide_signs(coefficients, weights, inverse, squared_step, log2, chroma, scan, states, per_cost, last_group, levels):
    """Change a level by 1 in every group whose sum's parity is not its first level's sign, where that costs least.

    The costs of bits are those of the group's first magnitude, which is close enough to compare changes.
    """
    side = 1 << log2
    coded = np.uint64(0)
    for group in range(last_group, -1, -1):
        group_y, group_x = GROUPS[log2, scan, group, 0], GROUPS[log2, scan, group, 1]
        corner = 4 * (group_y * side + group_x)
        first, last, total = -1, -1, 0
        for position in range(16):
            level = levels[corner + INSIDE[scan, position, 0] * side + INSIDE[scan, position, 1]]
            if level:
                first, last = position if first < 0 else first, position
                total += abs(level)
        if last < 0:
            continue
        near = _near(coded, group_y, group_x, side >> 2)
        coded |= np.uint64(1) << np.uint64(8 * group_y + group_x)
        place = corner + INSIDE[scan, first, 0] * side + INSIDE[scan, first, 1]
        negative = 1 if levels[place] < 0 else 0
        if last - first < HIDING or total & 1 == negative:
            continue
        base = significance_base(log2, chroma, scan, group_y, group_x)
        context_set = 2 if group and not chroma else 0
        best, best_place, best_change = np.inf, -1, 0
        for position in range(last if group == last_group else 15, -1, -1):
            y, x = INSIDE[scan, position, 0], INSIDE[scan, position, 1]
            place = corner + y * side + x
            value, level = abs(coefficients[place]) * inverse, abs(levels[place])
            if level == 0 and value < 0.2:
                continue
            context = significance_context(log2, chroma, base, near, y, x, position == 0 and group == 0)
            weight = weights[place] * squared_step
            now = 0.0
            if level:
                now = magnitude_cost(states, chroma, context_set, 1, 0, False, 0, level)
            change = 1 if value > level else -1
            if change < 0 and level == 1:
                # The first level's place tells whose sign is hidden.
                if position == first:
                    continue
                rate = BIN_COST[states[context]] - BIN_COST[states[context] ^ 1] - now
            else:
                if level == 0 and position < first and (coefficients[place] < 0) != (negative == 1):
                    continue
                rate = magnitude_cost(states, chroma, context_set, 1, 0, False, 0, level + change) - now
                if level == 0:
                    rate += BIN_COST[states[context] ^ 1] - BIN_COST[states[context]]
            cost = weight * (change * change + 2 * change * (level - value)) + per_cost * rate
            if cost < best:
                best, best_place, best_change = cost, place, change
        sign = -1 if coefficients[best_place] < 0 else 1
        levels[best_place] += sign * best_change
