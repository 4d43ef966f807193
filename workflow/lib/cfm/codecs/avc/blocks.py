"""Search over the modes and levels of the 4x4 or 8x8 blocks of a macroblock's luma."""

from __future__ import annotations

import numpy as np

from cfm.codecs.avc.macroblock import code_flagged, code_mode, predicted_mode
from cfm.codecs.avc.macroblock_cavlc import put_counted, put_mode
from cfm.codecs.avc.measure import level_weights, level_weights8
from cfm.codecs.avc.prediction import DC, filter_edge8, gather_edge, mode_is_possible, predict_block
from cfm.codecs.avc.residual import choose_levels, code_levels
from cfm.codecs.avc.state import I4, I8, KIND
from cfm.codecs.avc.tables import (
    BLOCK_X,
    BLOCK_Y,
    CODED_BLOCK,
    CONTEXTS,
    LEVEL4,
    LEVEL8,
    LUMA4,
    LUMA8,
    ZIGZAG4,
    ZIGZAG8,
)
from cfm.codecs.avc.transform import dequantise4, dequantise8, forward8, inverse4, inverse8
from cfm.codecs.block_distortion import block_distortion, forward4
from cfm.codecs.cabac import BIN_COST, BIT, COST, COUNTING, FIELDS
from cfm.codecs.kernels import allocating, copy_line, kernel
from cfm.codecs.metric import MODES as CHOICE

MODES = 9


@allocating
def satd(residual, side):
    """Sum of absolute 4x4 Hadamard coefficients, halved, of a residual of 4x4 or 8x8 in raster order."""
    total = 0
    line = np.empty(16, np.int32)
    for y0 in range(0, side, 4):
        for x0 in range(0, side, 4):
            for i in range(4):
                base = (y0 + i) * side + x0
                a, b, c, d = residual[base], residual[base + 1], residual[base + 2], residual[base + 3]
                s0, s1, d0, d1 = a + b, c + d, a - b, c - d
                line[4 * i], line[4 * i + 1], line[4 * i + 2], line[4 * i + 3] = s0 + s1, s0 - s1, d0 + d1, d0 - d1
            for i in range(4):
                a, b, c, d = line[i], line[4 + i], line[8 + i], line[12 + i]
                s0, s1, d0, d1 = a + b, c + d, a - b, c - d
                total += abs(s0 + s1) + abs(s0 - s1) + abs(d0 + d1) + abs(d0 - d1)
    return total >> 1


@kernel
def right_is_coded(block, size, my, mx, columns):
    """Whether the samples above and to the right of a block are decoded before it; block counts 4x4 blocks."""
    column, row = BLOCK_X[block], BLOCK_Y[block]
    if row == 0:
        return my > 0 and (column + size < 4 or mx < columns - 1)
    if size == 2:
        return column == 0
    return not (column == 3 or (column == 1 and row & 1 == 1))


@kernel
def quantise_block(residual, size, qp, lambda_, weights, states, flag_costs, values, scanned, levels):
    """Transform a residual and choose its levels; writes them in scan order and in raster order."""
    if size == 1:
        forward4(residual, residual)
        scale = LEVEL4[qp % 6]
        halving = 0.5 ** (qp // 6)
        for k in range(16):
            values[k] = residual[ZIGZAG4[k]] * scale[ZIGZAG4[k]] * halving
        coded = choose_levels(values, weights, LUMA4, states, flag_costs, lambda_, scanned)
        for k in range(16):
            levels[ZIGZAG4[k]] = scanned[k]
        return coded
    forward8(residual, residual)
    scale = LEVEL8[qp % 6]
    halving = 0.5 ** (qp // 6)
    for k in range(64):
        values[k] = residual[ZIGZAG8[k]] * scale[ZIGZAG8[k]] * halving
    coded = choose_levels(values, weights, LUMA8, states, flag_costs, lambda_, scanned)
    for k in range(64):
        levels[ZIGZAG8[k]] = scanned[k]
    return coded


@kernel
def reconstruct(levels, size, qp, prediction, buffer, out):
    """Samples of a block from its levels in raster order."""
    if size == 1:
        dequantise4(levels, qp, buffer)
        inverse4(buffer, prediction, out)
    else:
        dequantise8(levels, qp, buffer)
        inverse8(buffer, prediction, out)


@allocating
def search_blocks(frame, local, mb, my, mx, qp, lambda_, level_lambda, start, size, tried, cabac, limit):
    """Choose the modes and levels of a macroblock with 4x4 (size 1) or 8x8 (size 2) blocks, one after the other.

    The samples of `frame.coded` and the maps of flags and modes are overwritten in the macroblock.

    Parameters
    ----------
    frame : Frame
        The picture.
    local : Local
        The distortion in the macroblock.
    mb : Macroblock
        Modes, levels, luma and kind are written.
    my, mx : int
        Row and column of the macroblock.
    qp, lambda_, level_lambda : int, float, float
        Quantiser, and distortion a bit, in the choice of modes and in that of levels.
    start : array of uint8
        Contexts at the begin of the macroblock.
    size : int
        1 or 2.
    tried : int
        How many modes, of the least Hadamard costs, are tried in full.
    cabac : bool
        Whether bits are counted in CABAC, else in CAVLC; levels are chosen with CABAC's costs in both.

    limit : float
        Cost at which the search is given up.

    Returns
    -------
    int
        Bits of coded_block_pattern: the 8x8 blocks that have levels; -1 where it was given up.
    """
    side, samples = 4 * size, 16 * size * size
    columns = frame.kinds.shape[1] - 1
    source, coded = frame.source[0], frame.coded[0]
    edge, plain = np.empty(3 * side + 1, np.int32), np.empty(3 * side + 1, np.int32)
    predictions = np.empty((MODES, samples), np.int32)
    costs = np.empty(MODES)
    residual, buffer = np.empty(samples, np.int32), np.empty(samples, np.int32)
    scanned, levels = np.empty(samples, np.int32), np.empty(samples, np.int32)
    decoded, best_decoded = np.empty(samples, np.int32), np.empty(samples, np.int32)
    best_scanned = np.empty(samples, np.int32)
    values, flag_costs = np.empty(samples), np.zeros(2)
    weights = np.empty(samples)
    error, scratch = np.empty(16, np.int32), np.empty(16, np.int32)
    flags, sse, rows = local.flags[CHOICE], local.sse[CHOICE, 0], local.rows[0]
    frequency, sample_weights = local.frequency[0], local.samples[0]
    running, trial, chosen = start.copy(), np.empty(CONTEXTS, np.uint8), np.empty(CONTEXTS, np.uint8)
    coder, no_output = np.zeros(FIELDS, np.int64), np.empty(0, np.uint8)
    coder[COUNTING] = 1
    root = np.sqrt(lambda_)
    pattern, total = 0, 0.0
    for block in range(0, 16, size * size):
        row, column = 4 * my + BLOCK_Y[block], 4 * mx + BLOCK_X[block]
        y, x = 4 * row, 4 * column
        top, left = y > 0, x > 0
        gather_edge(coded, y, x, side, right_is_coded(block, size, my, mx, columns), plain)
        if size == 2:
            filter_edge8(plain, top, left, edge)
        else:
            copy_line(plain, edge)
        if size == 1:
            level_weights(local.level4[0, 4 * BLOCK_Y[block] + BLOCK_X[block]], qp, 0, weights)
        else:
            level_weights8(local.level8[block >> 2], qp, weights)
        expected = predicted_mode(frame.modes, row, column)
        for mode in range(MODES):
            costs[mode] = np.inf
            if not mode_is_possible(mode, top, left):
                continue
            predict_block(mode, edge, side, top, left, predictions[mode])
            for i in range(side):
                for j in range(side):
                    residual[i * side + j] = source[y + i, x + j] - predictions[mode, i * side + j]
            costs[mode] = satd(residual, side) + root * (1 if mode == expected else 4)
        best, best_mode = np.inf, DC
        for _ in range(tried):
            mode = np.argmin(costs)
            if costs[mode] == np.inf:
                break
            costs[mode] = np.inf
            for i in range(side):
                for j in range(side):
                    residual[i * side + j] = source[y + i, x + j] - predictions[mode, i * side + j]
            copy_line(running, trial)
            coder[COST] = 0
            if cabac:
                code_mode(coder, no_output, trial, mode, expected)
            else:
                put_mode(coder, no_output, mode, expected)
            if size == 1:
                context = CODED_BLOCK + 4 * LUMA4 + frame.flags[row + 1, column] + 2 * frame.flags[row, column + 1]
                flag_costs[0], flag_costs[1] = BIN_COST[trial[context]], BIN_COST[trial[context] ^ 1]
            has_levels = quantise_block(
                residual, size, qp, level_lambda, weights, trial, flag_costs, values, scanned, levels
            )
            if not cabac:
                _count_block(coder, no_output, frame.counts, scanned, row, column, size)
            elif size == 1:
                code_flagged(coder, no_output, trial, scanned, LUMA4, frame.flags, row, column)
            elif has_levels:
                code_levels(coder, no_output, trial, scanned, LUMA8)
            if has_levels:
                reconstruct(levels, size, qp, predictions[mode], buffer, decoded)
            else:
                copy_line(predictions[mode], decoded)
            distortion = 0.0
            for i in range(0, side, 4):
                for j in range(0, side, 4):
                    for k in range(16):
                        line, place = i + (k >> 2), j + (k & 3)
                        error[k] = source[y + line, x + place] - decoded[line * side + place]
                    part = 4 * BLOCK_Y[block] + i + BLOCK_X[block] + (j >> 2)
                    distortion += block_distortion(
                        flags, sse, frequency, sample_weights[part], rows[part], error, scratch
                    )
            cost = distortion + lambda_ * coder[COST] / BIT
            if cost < best:
                best, best_mode = cost, mode
                copy_line(decoded, best_decoded)
                copy_line(scanned, best_scanned)
                copy_line(trial, chosen)
        total += best
        if total > limit:
            return -1
        copy_line(chosen, running)
        if not cabac:
            _count_block(coder, no_output, frame.counts, best_scanned, row, column, size)
        has_levels = False
        for k in range(samples):
            has_levels |= best_scanned[k] != 0
        if size == 1:
            mb.levels[block] = best_scanned
        else:
            mb.levels8[block >> 2] = best_scanned
        mb.modes[block : block + size * size] = best_mode
        frame.modes[row + 1 : row + 1 + size, column + 1 : column + 1 + size] = best_mode
        frame.flags[row + 1 : row + 1 + size, column + 1 : column + 1 + size] = has_levels
        pattern |= has_levels << (block >> 2)
        for i in range(side):
            for j in range(side):
                coded[y + i, x + j] = best_decoded[i * side + j]
    mb.head[KIND] = I4 if size == 1 else I8
    mb.luma[:] = coded[16 * my : 16 * my + 16, 16 * mx : 16 * mx + 16]
    return pattern


@kernel
def _count_block(coder, no_output, counts, levels, row, column, size):
    """Count a block's levels in CAVLC, and enter how many there are."""
    if size == 1:
        put_counted(coder, no_output, levels, 0, 1, 16, counts, row, column)
        return
    for part in range(4):
        put_counted(coder, no_output, levels, part, 4, 16, counts, row + (part >> 1), column + (part & 1))
