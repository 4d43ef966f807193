"""The syntax of a coding tree block of an intra slice in CABAC (H.265 7.3.8)."""

from __future__ import annotations

import numpy as np

from cfm.codecs.cabac import encode_bin, encode_bypass
from cfm.codecs.hevc.residual import code_bits, code_residual
from cfm.codecs.hevc.snapshots import fill_qps
from cfm.codecs.hevc.state import (
    CBF,
    CHROMA,
    DELTA_CODED,
    HAS_DELTAS,
    HEIGHT,
    HIDES,
    LOG2,
    LOG2_CTU,
    LOG2_GROUP,
    MODE,
    MOST_SPLITS,
    PARTS,
    PLANE_FIRST,
    PREDICTED_QP,
    PREVIOUS_QP,
    QP,
    SKIPPED,
    TRANSFORM,
    WIDTH,
)
from cfm.codecs.hevc.tables import (
    CBF_CHROMA,
    CBF_LUMA,
    CHROMA_CHOICES,
    CHROMA_MODE,
    DC,
    DERIVED,
    DIAGONAL,
    MODE_IS_LIKELY,
    PART_MODE,
    PLANAR,
    QP_DELTA,
    SCAN_OF_MODE,
    SPLIT_CU,
    SPLIT_TRANSFORM,
    UNIT_X,
    UNIT_Y,
    VERTICAL,
)
from cfm.codecs.kernels import general, inlined


@inlined
def likely_modes(modes, log2_ctu, y, x):
    """The three most probable modes of a luma block (8.4.2)."""
    row, column = y >> 2, x >> 2
    left = np.int64(modes[row + 1, column])
    above = np.int64(modes[row, column + 1]) if y & ((1 << log2_ctu) - 1) else DC
    if left == above:
        if left < 2:
            return PLANAR, DC, VERTICAL
        return left, 2 + ((left + 29) & 31), 2 + ((left - 1) & 31)
    if left != PLANAR and above != PLANAR:
        return left, above, PLANAR
    if left != DC and above != DC:
        return left, above, DC
    return left, above, VERTICAL


@inlined
def chroma_mode(choice, luma_mode):
    """Mode of chroma by intra_chroma_pred_mode (8.4.3)."""
    if choice == DERIVED:
        return luma_mode
    mode = CHROMA_CHOICES[choice]
    return DIAGONAL if mode == luma_mode else mode


@inlined
def chroma_scan(mode, log2):
    """Scan of a chroma block of a side of 2^log2."""
    return SCAN_OF_MODE[mode] if log2 == 2 else 0


@inlined
def luma_scan(mode, log2):
    """Scan of a luma block of a side of 2^log2."""
    return SCAN_OF_MODE[mode] if log2 <= 3 else 0


@general
def start_group(frame, y, x):
    """Begin a quantisation group: predict its QP (8.6.1)."""
    inside, qps, state = (1 << frame.options[LOG2_CTU]) - 1, frame.qps, frame.slice_state
    left = above = state[PREVIOUS_QP]
    if x & inside:
        left = np.int64(qps[y >> 3, (x >> 3) - 1])
    if y & inside:
        above = np.int64(qps[(y >> 3) - 1, x >> 3])
    state[PREDICTED_QP] = (left + above + 1) >> 1
    state[DELTA_CODED] = 0


@general
def code_tree(coder, out, states, frame, tree, y, x):
    """Code the coding tree block at (y, x) in luma samples as decided.

    The quadtree is walked unit by unit; numba's cache does not hold functions that call themselves.
    """
    options, units = frame.options, tree.units
    largest = options[LOG2_CTU]
    z = 0
    while z < 1 << (2 * largest - 4):
        top, left = y + UNIT_Y[z], x + UNIT_X[z]
        if top >= options[HEIGHT] or left >= options[WIDTH]:
            z += 4
            continue
        log2 = np.int64(units[z, LOG2])
        # All nodes that begin here, the largest first.
        for node in range(largest, log2 - 1, -1):
            if z & ((1 << (2 * node - 4)) - 1) == 0:
                code_split(coder, out, states, frame, top, left, node, node > log2)
                if node >= options[LOG2_GROUP]:
                    start_group(frame, top, left)
        code_unit(coder, out, states, frame, tree, z, top, left, log2)
        z += 1 << (2 * log2 - 4)


@general
def code_split(coder, out, states, frame, y, x, log2, split):
    """Code whether a node is split, where it is not inferred."""
    options, side = frame.options, 1 << log2
    if log2 > 3 and y + side <= options[HEIGHT] and x + side <= options[WIDTH]:
        depth, depths = options[LOG2_CTU] - log2, frame.depths
        context = 1 if depths[1 + (y >> 3), x >> 3] > depth else 0
        context += 1 if depths[y >> 3, 1 + (x >> 3)] > depth else 0
        encode_bin(coder, out, states, SPLIT_CU + context, 1 if split else 0)


@general
def code_unit(coder, out, states, frame, tree, z, y, x, log2):
    """Code a coding unit; its modes have to stand in the frame. Writes its QP into the frame."""
    units, options = tree.units, frame.options
    parts = units[z, PARTS]
    if log2 == 3:
        encode_bin(coder, out, states, PART_MODE, 1 - parts)
    code_modes(coder, out, states, frame, units, z, y, x, parts)
    code_chroma_choice(coder, out, states, units[z, CHROMA])
    code_transform(coder, out, states, frame, tree, z, log2)
    state = frame.slice_state
    qp = units[z, QP] if state[DELTA_CODED] or not options[HAS_DELTAS] else state[PREDICTED_QP]
    state[PREVIOUS_QP] = qp
    fill_qps(frame, y, x, log2)


@general
def code_modes(coder, out, states, frame, units, z, y, x, parts):
    """Code the luma modes of a unit."""
    count, log2_ctu = (4 if parts else 1), frame.options[LOG2_CTU]
    for part in range(count):
        likely = likely_modes(frame.modes, log2_ctu, y + 4 * (part >> 1), x + 4 * (part & 1))
        mode = np.int64(units[z + part, MODE])
        is_likely = mode == likely[0] or mode == likely[1] or mode == likely[2]
        encode_bin(coder, out, states, MODE_IS_LIKELY, 1 if is_likely else 0)
    for part in range(count):
        first, second, third = likely_modes(frame.modes, log2_ctu, y + 4 * (part >> 1), x + 4 * (part & 1))
        mode = np.int64(units[z + part, MODE])
        if mode == first:
            code_bits(coder, out, 0, 1)
        elif mode == second:
            code_bits(coder, out, 2, 2)
        elif mode == third:
            code_bits(coder, out, 3, 2)
        else:
            code_bits(coder, out, mode - (mode > first) - (mode > second) - (mode > third), 5)


@general
def code_chroma_choice(coder, out, states, choice):
    """Code intra_chroma_pred_mode."""
    encode_bin(coder, out, states, CHROMA_MODE, 0 if choice == DERIVED else 1)
    if choice != DERIVED:
        code_bits(coder, out, np.int64(choice), 2)


@inlined
def any_coded(units, z, log2, plane):
    """Whether a plane has levels in one of the units of a block of luma side 2^log2."""
    some = 0
    for unit in range(z, z + (1 << (2 * log2 - 4))):
        some |= units[unit, CBF + plane]
    return some != 0


@general
def code_transform(coder, out, states, frame, tree, z_unit, log2_unit):
    """Code the transform tree of a coding unit, block by block."""
    units, options = tree.units, frame.options
    parts = np.int64(units[z_unit, PARTS])
    most_splits = options[MOST_SPLITS] + parts
    # Whether Cb and Cr have levels below the node of each depth: a bit a depth, after the one that stands for all.
    some_cb = some_cr = 1
    z, end = z_unit, z_unit + (1 << (2 * log2_unit - 4))
    while z < end:
        log2 = np.int64(units[z, TRANSFORM])
        for node in range(log2_unit, log2 - 1, -1):
            if z & ((1 << (2 * node - 4)) - 1):
                continue
            depth = log2_unit - node
            if 2 < node <= 5 and depth < most_splits and not (depth == 0 and parts):
                encode_bin(coder, out, states, SPLIT_TRANSFORM + 5 - node, 1 if node > log2 else 0)
            some_cb = code_chroma_flag(coder, out, states, units, z, node, 1, depth, some_cb)
            some_cr = code_chroma_flag(coder, out, states, units, z, node, 2, depth, some_cr)
        depth = log2_unit - log2
        has_chroma = ((some_cb | some_cr) >> (depth + 1)) & 1 != 0
        code_block(coder, out, states, frame, tree, z, z_unit, log2, depth, has_chroma)
        z += 1 << (2 * log2 - 4)


@general
def code_chroma_flag(coder, out, states, units, z, node, plane, depth, some):
    """Code whether a plane of chroma has levels below a node, where its parent has; returns `some` with its bit."""
    has = (some >> depth) & 1
    if node > 2 and has:
        has = 1 if any_coded(units, z, node, plane) else 0
        encode_bin(coder, out, states, CBF_CHROMA + depth, has)
    return (some & ~(1 << (depth + 1))) | has << (depth + 1)


@general
def code_block(coder, out, states, frame, tree, z, z_unit, log2, depth, has_chroma):
    """Code a transform unit."""
    units, options, state = tree.units, frame.options, frame.slice_state
    luma = units[z, CBF]
    encode_bin(coder, out, states, CBF_LUMA + (0 if depth else 1), luma)
    if not (luma or has_chroma):
        return
    if options[HAS_DELTAS] and not state[DELTA_CODED]:
        code_qp_delta(coder, out, states, units[z_unit, QP] - state[PREDICTED_QP])
        state[DELTA_CODED] = 1
    hides = options[HIDES] != 0
    if luma:
        scan = luma_scan(units[z, MODE], log2)
        code_residual(coder, out, states, tree.levels, 16 * z, log2, 0, scan, units[z, SKIPPED], hides)
    # The chroma of four luma blocks of 4x4 follows the last of them.
    if log2 > 2 or z & 3 == 3:
        first, log2_chroma = (z, log2 - 1) if log2 > 2 else (z - 3, 2)
        mode = chroma_mode(units[z_unit, CHROMA], np.int64(units[z_unit, MODE]))
        for plane in (1, 2):
            if units[first, CBF + plane]:
                code_residual(
                    coder,
                    out,
                    states,
                    tree.levels,
                    PLANE_FIRST[plane] + 4 * first,
                    log2_chroma,
                    1,
                    chroma_scan(mode, log2_chroma),
                    units[first, SKIPPED + plane],
                    hides,
                )


@general
def code_qp_delta(coder, out, states, delta):
    """Code CuQpDeltaVal (9.3.3.10)."""
    magnitude = abs(delta)
    for i in range(min(magnitude, 5)):
        encode_bin(coder, out, states, QP_DELTA + (1 if i else 0), 1)
    if magnitude < 5:
        encode_bin(coder, out, states, QP_DELTA + (1 if magnitude else 0), 0)
    else:
        value, order = magnitude - 5, 0
        while value >= 1 << order:
            encode_bypass(coder, out, 1)
            value -= 1 << order
            order += 1
        encode_bypass(coder, out, 0)
        code_bits(coder, out, value, order)
    if delta:
        encode_bypass(coder, out, 1 if delta < 0 else 0)
