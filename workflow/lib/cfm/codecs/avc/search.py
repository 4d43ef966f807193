"""Search over the ways to code a macroblock, by rate and distortion."""

from __future__ import annotations

import numpy as np

from cfm.codecs.avc.blocks import satd, search_blocks
from cfm.codecs.avc.cavlc import CHROMA_DC_CLASS, code_block, token_class
from cfm.codecs.avc.macroblock import code_macroblock
from cfm.codecs.avc.macroblock_cavlc import put_counted, put_macroblock
from cfm.codecs.avc.measure import block_distortion, level_weights
from cfm.codecs.avc.residual import choose_levels, code_levels
from cfm.codecs.avc.state import CBP, CHROMA, I16, KIND, MODE16, QP
from cfm.codecs.avc.tables import (
    AC16,
    BLOCK_X,
    BLOCK_Y,
    CHROMA_AC,
    CHROMA_DC,
    CHROMA_QP,
    CODED_BLOCK,
    CONTEXTS,
    DC16,
    LEVEL4,
    SCALE4,
    ZIGZAG4,
)
from cfm.codecs.avc.transform import (
    dequantise4,
    dequantise_chroma_dc,
    dequantise_dc16,
    forward4,
    hadamard2,
    hadamard4,
    inverse4,
)
from cfm.codecs.avc.whole_prediction import predict16, predict_chroma
from cfm.codecs.cabac import BIN_COST, BIT, COST, COUNTING, FIELDS
from cfm.codecs.kernels import kernel

MODES16 = CHROMA_MODES = 4


@kernel
def search16(frame, local, mb, my, mx, qp, lambda_, states, tried, cabac):
    """Choose the mode and the levels of a macroblock with 16x16 prediction; returns luma bits of its pattern."""
    source = frame.source[0][16 * my : 16 * my + 16, 16 * mx : 16 * mx + 16]
    predictions, costs = np.empty((MODES16, 256), np.int32), np.empty(MODES16)
    residual = np.empty(16, np.int32)
    for mode in range(MODES16):
        costs[mode] = np.inf
        if predict16(mode, frame.coded[0], 16 * my, 16 * mx, predictions[mode]):
            costs[mode] = 0
            for block in range(16):
                _residual(source, predictions[mode], 16, BLOCK_Y[block], BLOCK_X[block], residual)
                costs[mode] += satd(residual, 4)
    coefficients = np.empty((16, 16), np.int32)
    scratch = np.empty(16, np.int32)
    dc_values, values = np.empty(16), np.empty(16)
    dc_weights, weights = np.empty(16), np.empty(16)
    mean = 0.0
    for block in range(16):
        mean += local.diagonal4[0, block, 0] / 16
    dc_weights[:] = mean * (SCALE4[qp % 6, 0] * 2.0 ** (qp // 6) / 16) ** 2
    dc, raster = np.empty(16, np.int32), np.empty(16, np.int32)
    levels, decoded = np.zeros((16, 16), np.int32), np.empty((2, 16, 16), np.int32)
    dc_coefficients, out = np.empty(16, np.int32), np.empty(16, np.int32)
    part = np.empty(16, np.int32)
    flag_costs = np.zeros(2)
    trial = np.empty(CONTEXTS, np.uint8)
    coder, no_output = np.zeros(FIELDS, np.int64), np.empty(0, np.uint8)
    coder[COUNTING] = 1
    scale, halving = LEVEL4[qp % 6], 0.5 ** (qp // 6)
    flags, sse, rows = local.flags, local.sse[0], local.rows[0]
    frequency, samples = local.frequency[0], local.samples[0]
    best, pattern = np.inf, 0
    for _ in range(tried):
        mode = np.argmin(costs)
        if costs[mode] == np.inf:
            break
        costs[mode] = np.inf
        prediction = predictions[mode]
        trial[:] = states
        for block in range(16):
            _residual(source, prediction, 16, BLOCK_Y[block], BLOCK_X[block], coefficients[block])
            forward4(coefficients[block], coefficients[block])
            scratch[4 * BLOCK_Y[block] + BLOCK_X[block]] = coefficients[block, 0]
        hadamard4(scratch)
        for k in range(16):
            dc_values[k] = scratch[ZIGZAG4[k]] * halving / SCALE4[qp % 6, 0]
        coder[COST] = 0
        _flag_costs(trial, DC16, frame.dc_flags[0], my, mx, flag_costs)
        coded = choose_levels(dc_values, dc_weights, DC16, trial, flag_costs, lambda_, dc)
        if not cabac:
            code_block(coder, no_output, dc, 0, 1, 16, token_class(frame.counts, 4 * my, 4 * mx))
        else:
            coder[COST] += int(flag_costs[1 if coded else 0])
            if coded:
                code_levels(coder, no_output, trial, dc, DC16)
        for k in range(16):
            raster[ZIGZAG4[k]] = dc[k]
        dequantise_dc16(raster, qp, dc_coefficients)
        dc_cost, ac_cost = coder[COST], 0
        error_without = error_with = 0.0
        some = False
        for block in range(16):
            row, column = BLOCK_Y[block], BLOCK_X[block]
            for i in range(4):
                for j in range(4):
                    part[4 * i + j] = prediction[16 * (4 * row + i) + 4 * column + j]
            level_weights(local.diagonal4[0, 4 * row + column], qp, 1, weights)
            for k in range(15):
                values[k] = coefficients[block, ZIGZAG4[k + 1]] * scale[ZIGZAG4[k + 1]] * halving
            _flag_costs(trial, AC16, frame.flags, 4 * my + row, 4 * mx + column, flag_costs)
            coded = choose_levels(values, weights, AC16, trial, flag_costs, lambda_, levels[block])
            frame.flags[4 * my + row + 1, 4 * mx + column + 1] = coded
            coder[COST] = 0
            if not cabac:
                put_counted(coder, no_output, levels[block], 0, 1, 15, frame.counts, 4 * my + row, 4 * mx + column)
            else:
                coder[COST] += int(flag_costs[1 if coded else 0])
                if coded:
                    code_levels(coder, no_output, trial, levels[block], AC16)
            ac_cost += coder[COST]
            some |= coded
            scratch[:] = 0
            scratch[0] = dc_coefficients[4 * row + column]
            inverse4(scratch, part, out)
            error_without += _store(
                flags,
                sse,
                frequency,
                samples,
                rows[4 * row + column],
                source,
                out,
                row,
                column,
                decoded[0],
                residual,
                scratch,
            )
            if coded:
                raster[0] = 0
                for k in range(15):
                    raster[ZIGZAG4[k + 1]] = levels[block, k]
                dequantise4(raster, qp, scratch)
                scratch[0] = dc_coefficients[4 * row + column]
                inverse4(scratch, part, out)
            error_with += _store(
                flags,
                sse,
                frequency,
                samples,
                rows[4 * row + column],
                source,
                out,
                row,
                column,
                decoded[1],
                residual,
                scratch,
            )
        without = error_without + lambda_ * dc_cost / BIT
        with_ac = error_with + lambda_ * (dc_cost + ac_cost) / BIT if some else np.inf
        if min(without, with_ac) < best:
            best = min(without, with_ac)
            pattern = 15 if with_ac < without else 0
            mb.head[MODE16] = mode
            mb.dc[:] = dc
            mb.levels[:] = 0
            if pattern:
                mb.levels[:] = levels
            mb.luma[:] = decoded[1 if pattern else 0]
    mb.head[KIND] = I16
    return pattern


@kernel
def _flag_costs(states, category, flags, row, column, out):
    state = states[CODED_BLOCK + 4 * category + flags[row + 1, column] + 2 * flags[row, column + 1]]
    out[0], out[1] = BIN_COST[state], BIN_COST[state ^ 1]


@kernel
def _residual(source, prediction, side, row, column, out):
    """Source less prediction of the 4x4 block at row and column of blocks of a larger one."""
    for i in range(4):
        for j in range(4):
            y, x = 4 * row + i, 4 * column + j
            out[4 * i + j] = source[y, x] - prediction[side * y + x]


@kernel
def _store(flags, sse, frequency, samples, rows, source, block, row, column, out, error, scratch):
    """Put a 4x4 block into a larger one, at row and column of blocks; returns its distortion."""
    for i in range(4):
        for j in range(4):
            y, x = 4 * row + i, 4 * column + j
            out[y, x] = block[4 * i + j]
            error[4 * i + j] = source[y, x] - block[4 * i + j]
    return block_distortion(flags, sse, frequency, samples, rows, error, scratch)


@kernel
def search_chroma(frame, local, mb, my, mx, qp, lambda_, states, cabac, only):
    """Choose the chroma mode and levels at a chroma QP; returns the chroma part of the pattern and its distortion.

    only: the one mode that is tried; -1 for all.
    """
    prediction = np.empty(64, np.int32)
    coefficients = np.empty((2, 4, 16), np.int32)
    scratch, raster, part, out = (
        np.empty(16, np.int32),
        np.empty(16, np.int32),
        np.empty(16, np.int32),
        np.empty(16, np.int32),
    )
    values, weights, dc_values = np.empty(16), np.empty(16), np.empty(4)
    dc_weights = np.empty(4)
    error = np.empty(16, np.int32)
    dc, ac = np.zeros((2, 4), np.int32), np.zeros((2, 4, 16), np.int32)
    dc_coefficients = np.empty(4, np.int32)
    decoded = np.empty((3, 2, 8, 8), np.int32)
    flag_costs = np.zeros(2)
    trial = np.empty(CONTEXTS, np.uint8)
    coder, no_output = np.zeros(FIELDS, np.int64), np.empty(0, np.uint8)
    coder[COUNTING] = 1
    scale, halving = LEVEL4[qp % 6], 0.5 ** (qp // 6)
    errors, costs = np.zeros(3), np.zeros(3, np.int64)
    best, pattern, distortion = np.inf, 0, 0.0
    for mode in range(CHROMA_MODES):
        if only >= 0 and mode != only:
            continue
        errors[:] = 0
        costs[:] = 0
        trial[:] = states
        some_dc = some_ac = possible = False
        for plane in range(2):
            source = frame.source[1 + plane][8 * my : 8 * my + 8, 8 * mx : 8 * mx + 8]
            possible = predict_chroma(mode, frame.coded[1 + plane], 8 * my, 8 * mx, prediction)
            if not possible:
                break
            for block in range(4):
                _residual(source, prediction, 8, block >> 1, block & 1, coefficients[plane, block])
                forward4(coefficients[plane, block], coefficients[plane, block])
                scratch[block] = coefficients[plane, block, 0]
            hadamard2(scratch)
            for k in range(4):
                dc_values[k] = 2 * scratch[k] * halving / SCALE4[qp % 6, 0]
            mean = 0.0
            for block in range(4):
                mean += local.diagonal4[1 + plane, block, 0] / 4
            flags, sse, rows = local.flags, local.sse[1 + plane], local.rows[1 + plane]
            frequency, samples = local.frequency[1 + plane], local.samples[1 + plane]
            dc_weights[:] = mean * (SCALE4[qp % 6, 0] * 2.0 ** (qp // 6) / 16) ** 2
            _flag_costs(trial, CHROMA_DC, frame.dc_flags[1 + plane], my, mx, flag_costs)
            coded = choose_levels(dc_values, dc_weights, CHROMA_DC, trial, flag_costs, lambda_, dc[plane])
            coder[COST] = 0
            some_dc |= coded
            if not cabac:
                code_block(coder, no_output, dc[plane], 0, 1, 4, CHROMA_DC_CLASS)
            else:
                coder[COST] += int(flag_costs[1 if coded else 0])
                if coded:
                    code_levels(coder, no_output, trial, dc[plane], CHROMA_DC)
            costs[1] += coder[COST]
            dequantise_chroma_dc(dc[plane], qp, dc_coefficients)
            for block in range(4):
                row, column = block >> 1, block & 1
                level_weights(local.diagonal4[1 + plane, block], qp, 1, weights)
                for i in range(4):
                    for j in range(4):
                        part[4 * i + j] = prediction[8 * (4 * row + i) + 4 * column + j]
                errors[0] += _store(
                    flags,
                    sse,
                    frequency,
                    samples,
                    rows[block],
                    source,
                    part,
                    row,
                    column,
                    decoded[0, plane],
                    error,
                    scratch,
                )
                scratch[:] = 0
                scratch[0] = dc_coefficients[block]
                inverse4(scratch, part, out)
                errors[1] += _store(
                    flags,
                    sse,
                    frequency,
                    samples,
                    rows[block],
                    source,
                    out,
                    row,
                    column,
                    decoded[1, plane],
                    error,
                    scratch,
                )
                for k in range(15):
                    values[k] = coefficients[plane, block, ZIGZAG4[k + 1]] * scale[ZIGZAG4[k + 1]] * halving
                ac_flags = frame.chroma_flags[plane]
                _flag_costs(trial, CHROMA_AC, ac_flags, 2 * my + row, 2 * mx + column, flag_costs)
                coded = choose_levels(values, weights, CHROMA_AC, trial, flag_costs, lambda_, ac[plane, block])
                ac_flags[2 * my + row + 1, 2 * mx + column + 1] = coded
                coder[COST] = 0
                if not cabac:
                    counts = frame.chroma_counts[plane]
                    put_counted(coder, no_output, ac[plane, block], 0, 1, 15, counts, 2 * my + row, 2 * mx + column)
                else:
                    coder[COST] += int(flag_costs[1 if coded else 0])
                    if coded:
                        code_levels(coder, no_output, trial, ac[plane, block], CHROMA_AC)
                costs[2] += coder[COST]
                if coded:
                    some_ac = True
                    raster[0] = 0
                    for k in range(15):
                        raster[ZIGZAG4[k + 1]] = ac[plane, block, k]
                    dequantise4(raster, qp, scratch)
                    scratch[0] = dc_coefficients[block]
                    inverse4(scratch, part, out)
                errors[2] += _store(
                    flags,
                    sse,
                    frequency,
                    samples,
                    rows[block],
                    source,
                    out,
                    row,
                    column,
                    decoded[2, plane],
                    error,
                    scratch,
                )
        if not possible:
            continue
        costs[2] += costs[1]
        mode_cost = BIT * (1 if mode == 0 else 2 if mode == 1 else 3)
        for choice in range(3):
            if (choice == 1 and not some_dc) or (choice == 2 and not some_ac):
                continue
            cost = errors[choice] + lambda_ * (costs[choice] + mode_cost) / BIT
            if cost < best:
                best, pattern, distortion = cost, choice, errors[choice]
                mb.head[CHROMA] = mode
                mb.chroma[:] = decoded[choice]
                mb.chroma_dc[:] = 0
                mb.chroma_ac[:] = 0
                if choice:
                    mb.chroma_dc[:] = dc
                if choice == 2:
                    mb.chroma_ac[:] = ac
    return pattern, distortion


@kernel
def luma_distortion(frame, local, my, mx, decoded):
    """Distortion of a macroblock's decoded luma, (16, 16)."""
    error, scratch = np.empty(16, np.int32), np.empty(16, np.int32)
    flags, sse, rows = local.flags, local.sse[0], local.rows[0]
    frequency, samples = local.frequency[0], local.samples[0]
    source = frame.source[0]
    total = 0.0
    for block in range(16):
        for k in range(16):
            row, column = 4 * (block >> 2) + (k >> 2), 4 * (block & 3) + (k & 3)
            error[k] = source[16 * my + row, 16 * mx + column] - decoded[row, column]
        total += block_distortion(flags, sse, frequency, samples, rows[block], error, scratch)
    return total


@kernel
def search_macroblock(frame, local, candidates, my, mx, qp, states, settings, tried, chroma_mode, costs):
    """Choose how a macroblock is coded at a QP.

    Parameters
    ----------
    frame, local, candidates : Frame, Local, tuple of Macroblock
        The picture, the distortion, and a macroblock for each kind to write into.
    my, mx, qp : int
        Where, and at which QP.
    states : array of uint8
        Contexts at the begin of the macroblock.
    settings : Settings
        Of the picture.
    tried : int
        Modes of a 4x4 or 8x8 block that are tried in full.
    chroma_mode : int
        The one that is tried; -1 for all.
    costs : array (3,)
        By kind of macroblock: kinds whose cost is infinite are left out; the costs of the others are written.

    Returns
    -------
    int, float
        The best kind, and what its bits cost.
    """
    coder, no_output = np.zeros(FIELDS, np.int64), np.empty(0, np.uint8)
    coder[COUNTING] = 1
    trial = np.empty(CONTEXTS, np.uint8)
    kept = frame.slice_state.copy()
    lambda_, first, cabac = settings.lambda_, candidates[0], settings.cabac
    chroma_qp = CHROMA_QP[min(51, max(0, qp + settings.chroma_offset))]
    chroma_pattern, chroma_error = search_chroma(
        frame, local, first, my, mx, chroma_qp, lambda_ / settings.chroma_weight, states, cabac, chroma_mode
    )
    best, chosen, bits = np.inf, 0, 0
    for kind in range(3):
        if costs[kind] == np.inf:
            continue
        mb = candidates[kind]
        if kind == I16:
            pattern = search16(frame, local, mb, my, mx, qp, lambda_, states, 2, cabac)
        else:
            pattern = search_blocks(frame, local, mb, my, mx, qp, lambda_, states, kind + 1, tried, cabac)
        mb.head[QP], mb.head[CBP] = qp, pattern | chroma_pattern << 4
        if kind:
            mb.head[CHROMA] = first.head[CHROMA]
            mb.chroma[:] = first.chroma
            mb.chroma_dc[:] = first.chroma_dc
            mb.chroma_ac[:] = first.chroma_ac
        trial[:] = states
        coder[COST] = 0
        if cabac:
            code_macroblock(coder, no_output, trial, frame, mb, my, mx)
        else:
            put_macroblock(coder, no_output, frame, mb, my, mx)
        frame.slice_state[:] = kept
        distortion = luma_distortion(frame, local, my, mx, mb.luma) + settings.chroma_weight * chroma_error
        costs[kind] = distortion + lambda_ * coder[COST] / BIT
        if costs[kind] < best:
            best, chosen, bits = costs[kind], kind, coder[COST]
    return chosen, bits
