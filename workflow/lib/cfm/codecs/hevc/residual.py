"""Residual blocks in CABAC (H.265 7.3.8.11, 9.3.3 and 9.3.4.2).

Levels are in raster order; a group is a square of 16 of them.
"""

from __future__ import annotations

import numpy as np

from cfm.codecs.cabac import COST, COST_BITS, COUNTING, encode_bin, encode_bypass
from cfm.codecs.hevc.tables import (
    DOWN,
    GREATER1,
    GREATER2,
    GROUP,
    GROUPS,
    IN_SMALLEST,
    INSIDE,
    LAST_PREFIX,
    LAST_X,
    LAST_Y,
    NEAR,
    PREFIX_BITS,
    PREFIX_FIRST,
    SIGNIFICANT,
    SKIP,
    UP_RIGHT,
)
from cfm.codecs.kernels import general, inlined

MOST_GREATER1 = 8  # flags of a group
HIDING = 4  # places between the first and the last level of a group whose first sign is hidden


@inlined
def significance_base(log2, chroma, scan, group_y, group_x):
    """What is added to the pattern's context of a group's significance flags, blocks of 4x4 aside."""
    if chroma:
        return SIGNIFICANT + 27 + (9 if log2 == 3 else 12)
    later = 3 if group_y + group_x else 0
    return SIGNIFICANT + later + ((9 if scan == UP_RIGHT else 15) if log2 == 3 else 21)


@inlined
def significance_context(log2, chroma, base, near, y, x, first):
    """Context of a level's significance flag; y, x: in its group; first: whether it is the block's lowest."""
    if log2 == 2:
        return SIGNIFICANT + (27 if chroma else 0) + IN_SMALLEST[y, x]
    if first:
        return SIGNIFICANT + (27 if chroma else 0)
    return base + NEAR[near, y, x]


@inlined
def last_contexts(log2, chroma):
    """First context of a last position's prefix, and the shift of its bins to contexts."""
    if chroma:
        return 15, log2 - 2
    return 3 * (log2 - 2) + ((log2 - 1) >> 2), (log2 + 1) >> 2


@general
def code_last(coder, out, states, log2, chroma, scan, y, x):
    """Code the place of the last level other than 0."""
    if scan == DOWN:
        y, x = x, y
    first, shift = last_contexts(log2, chroma)
    most = 2 * log2 - 1
    for context, value in ((LAST_X, x), (LAST_Y, y)):
        prefix = LAST_PREFIX[value]
        for i in range(prefix):
            encode_bin(coder, out, states, context + first + (i >> shift), 1)
        if prefix < most:
            encode_bin(coder, out, states, context + first + (prefix >> shift), 0)
    for value in (x, y):
        prefix = LAST_PREFIX[value]
        code_bits(coder, out, value - PREFIX_FIRST[prefix], PREFIX_BITS[prefix])


@general
def code_bits(coder, out, value, count):
    """A number in bypass bins."""
    if coder[COUNTING]:
        coder[COST] += count << COST_BITS
    else:
        for bit in range(count - 1, -1, -1):
            encode_bypass(coder, out, (value >> bit) & 1)


@inlined
def remaining_bits(value, rice):
    """Bits of coeff_abs_level_remaining."""
    if value < 3 << rice:
        return (value >> rice) + 1 + rice
    value, length = value - (3 << rice), rice
    while value >= 1 << length:
        value -= 1 << length
        length += 1
    return 4 + 2 * length - rice


@general
def _code_remaining(coder, out, value, rice):
    """coeff_abs_level_remaining (9.3.3.11): a unary prefix of up to 3 ones, else Exp-Golomb."""
    if coder[COUNTING]:
        coder[COST] += remaining_bits(value, rice) << COST_BITS
        return
    if value < 3 << rice:
        for _ in range(value >> rice):
            encode_bypass(coder, out, 1)
        encode_bypass(coder, out, 0)
        code_bits(coder, out, value & ((1 << rice) - 1), rice)
        return
    value, length = value - (3 << rice), rice
    while value >= 1 << length:
        value -= 1 << length
        length += 1
    for _ in range(3 + length - rice):
        encode_bypass(coder, out, 1)
    encode_bypass(coder, out, 0)
    code_bits(coder, out, value, length)


@general
def code_residual(coder, out, states, levels, first, log2, chroma, scan, skip, hiding):
    """Code a block that has a level other than 0.

    Parameters
    ----------
    coder, out, states
        The arithmetic coder; see `cfm.codecs.cabac`.
    levels : array of integers
        The block's begin at entry `first`.
    log2, chroma, scan : int
        Of the block's side, 1 in chroma else 0, and which scan.
    skip : int
        1 where a 4x4 block's transform is skipped.
    hiding : bool
        Whether signs are hidden.
    """
    side = 1 << log2
    if log2 == 2:
        encode_bin(coder, out, states, SKIP + chroma, skip)
    groups = 1 << (2 * log2 - 4)
    coded = np.uint64(0)  # a bit a group, by place
    last_group = -1
    for group in range(groups - 1, -1, -1):
        group_y, group_x = GROUPS[log2, scan, group, 0], GROUPS[log2, scan, group, 1]
        corner = first + 4 * (group_y * side + group_x)
        some = 0
        for y in range(4):
            for x in range(4):
                some |= levels[corner + y * side + x]
        if some:
            coded |= np.uint64(1) << np.uint64(8 * group_y + group_x)
            if last_group < 0:
                last_group = group
    greater_before = False
    for group in range(last_group, -1, -1):
        group_y, group_x = GROUPS[log2, scan, group, 0], GROUPS[log2, scan, group, 1]
        corner = first + 4 * (group_y * side + group_x)
        place = np.uint64(8 * group_y + group_x)
        near = 0
        if group_x + 1 < side >> 2:
            near |= np.int64((coded >> (place + np.uint64(1))) & np.uint64(1))
        if group_y + 1 < side >> 2:
            near |= np.int64((coded >> (place + np.uint64(8))) & np.uint64(1)) << 1
        has_levels = np.int64((coded >> place) & np.uint64(1))
        start = 15
        if group == last_group:
            while levels[corner + INSIDE[scan, start, 0] * side + INSIDE[scan, start, 1]] == 0:
                start -= 1
            y, x = INSIDE[scan, start, 0], INSIDE[scan, start, 1]
            code_last(coder, out, states, log2, chroma, scan, 4 * group_y + y, 4 * group_x + x)
            start -= 1
        elif group:
            encode_bin(coder, out, states, GROUP + 2 * chroma + (1 if near else 0), has_levels)
            if not has_levels:
                continue
        base = significance_base(log2, chroma, scan, group_y, group_x)
        # The flag of the first place is inferred where it is the only one that can be set.
        alone = group != last_group and group > 0
        for position in range(start, -1, -1):
            y, x = INSIDE[scan, position, 0], INSIDE[scan, position, 1]
            value = 1 if levels[corner + y * side + x] else 0
            if position or not alone:
                context = significance_context(log2, chroma, base, near, y, x, position == 0 and group == 0)
                encode_bin(coder, out, states, context, value)
            if value:
                alone = False
        if has_levels:
            greater_before = _code_magnitudes(
                coder, out, states, levels, corner, side, chroma, scan, group, greater_before, hiding
            )


@general
def _code_magnitudes(coder, out, states, levels, corner, side, chroma, scan, group, greater_before, hiding):
    """Code magnitudes and signs of a group; returns whether one of its flags says that a magnitude is above 1."""
    context_set = (2 if group and not chroma else 0) + (1 if greater_before else 0)
    flags, greater, with_greater2 = 0, 1, -1
    last, lowest, signs, count = -1, 0, 0, 0
    for position in range(15, -1, -1):
        level = levels[corner + INSIDE[scan, position, 0] * side + INSIDE[scan, position, 1]]
        if level == 0:
            continue
        if last < 0:
            last = position
        lowest = position
        signs = signs << 1 | (1 if level < 0 else 0)
        count += 1
        if flags < MOST_GREATER1:
            above = 1 if abs(level) > 1 else 0
            encode_bin(coder, out, states, GREATER1 + 16 * chroma + 4 * context_set + greater, above)
            flags += 1
            if above:
                greater = 0
                if with_greater2 < 0:
                    with_greater2 = position
            elif 0 < greater < 3:
                greater += 1
    if with_greater2 >= 0:
        y, x = INSIDE[scan, with_greater2, 0], INSIDE[scan, with_greater2, 1]
        above = 1 if abs(levels[corner + y * side + x]) > 2 else 0
        encode_bin(coder, out, states, GREATER2 + 4 * chroma + context_set, above)
    if hiding and last - lowest >= HIDING:
        code_bits(coder, out, signs >> 1, count - 1)
    else:
        code_bits(coder, out, signs, count)
    flags = rice = 0
    for position in range(last, -1, -1):
        magnitude = abs(levels[corner + INSIDE[scan, position, 0] * side + INSIDE[scan, position, 1]])
        if magnitude == 0:
            continue
        known = 1
        if flags < MOST_GREATER1:
            known = 2
            # Only the first magnitude above 1 has a flag that tells whether it is above 2.
            if position == with_greater2:
                known = 3
        flags += 1
        if magnitude >= known:
            _code_remaining(coder, out, magnitude - known, rice)
            if magnitude > 3 << rice:
                rice = min(rice + 1, 4)
    return greater == 0
