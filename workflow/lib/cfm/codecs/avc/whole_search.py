"""Search over the modes and levels of a macroblock's luma with 16x16 prediction."""

from __future__ import annotations

import numpy as np

from cfm.codecs.avc.blocks import satd
from cfm.codecs.avc.cavlc import code_block, token_class
from cfm.codecs.avc.residual import choose_levels, code_levels
from cfm.codecs.avc.small_blocks import (
    block_residual,
    choose_ac,
    flag_costs,
    reconstruct_ac,
    reconstruct_dc,
    store_block,
)
from cfm.codecs.avc.state import I16, KIND, MODE16
from cfm.codecs.avc.tables import AC16, BLOCK_X, BLOCK_Y, CONTEXTS, DC16, SCALE4, ZIGZAG4
from cfm.codecs.avc.transform import dequantise_dc16, hadamard4
from cfm.codecs.avc.whole_prediction import predict16
from cfm.codecs.block_distortion import forward4
from cfm.codecs.cabac import BIT, COST, COUNTING, FIELDS
from cfm.codecs.kernels import allocating, copy_line

MODES16 = 4


@allocating
def search16(frame, local, mb, my, mx, qp, lambda_, level_lambda, states, tried, cabac):
    """Choose the mode and the levels of a macroblock with 16x16 prediction.

    Parameters
    ----------
    frame, local, mb : Frame, Local, Macroblock
        The picture, the distortion, and the macroblock to write into.
    my, mx, qp : int
        Where, and at which QP.
    lambda_, level_lambda : float
        Distortion a bit, in the choice of the mode and in that of levels.
    states : array of uint8
        Contexts at the begin of the macroblock.
    tried : int
        How many modes, of the least Hadamard costs, are tried in full.
    cabac : bool
        Whether bits are counted in CABAC, else in CAVLC.

    Returns
    -------
    int
        Luma bits of its pattern: 15 where it has AC levels, else 0.
    """
    source = frame.source[0][16 * my : 16 * my + 16, 16 * mx : 16 * mx + 16]
    predictions, costs = np.empty((MODES16, 256), np.int32), np.empty(MODES16)
    residual = np.empty(16, np.int32)
    for mode in range(MODES16):
        costs[mode] = np.inf
        if predict16(mode, frame.coded[0], 16 * my, 16 * mx, predictions[mode]):
            costs[mode] = 0
            for block in range(16):
                block_residual(source, predictions[mode], 16, BLOCK_Y[block], BLOCK_X[block], residual)
                costs[mode] += satd(residual, 4)
    coefficients = np.empty((16, 16), np.int32)
    transformed, raster, dc = np.empty(16, np.int32), np.empty(16, np.int32), np.empty(16, np.int32)
    dc_values, dc_weights, dc_costs = np.empty(16), np.empty(16), np.zeros(2)
    mean = 0.0
    for block in range(16):
        mean += local.level4[0, block, 0] / 16
    dc_weights[:] = mean * (SCALE4[qp % 6, 0] * 2.0 ** (qp // 6) / 16) ** 2
    levels, decoded = np.zeros((16, 16), np.int32), np.empty((2, 16, 16), np.int32)
    dc_coefficients, part, out = np.empty(16, np.int32), np.empty(16, np.int32), np.empty(16, np.int32)
    buffer, numbers = np.empty((2, 16), np.int32), np.empty((3, 16))
    trial = np.empty(CONTEXTS, np.uint8)
    coder, no_output = np.zeros(FIELDS, np.int64), np.empty(0, np.uint8)
    coder[COUNTING] = 1
    best, pattern = np.inf, 0
    for _ in range(tried):
        mode = np.argmin(costs)
        if costs[mode] == np.inf:
            break
        costs[mode] = np.inf
        prediction = predictions[mode]
        copy_line(states, trial)
        for block in range(16):
            block_residual(source, prediction, 16, BLOCK_Y[block], BLOCK_X[block], coefficients[block])
            forward4(coefficients[block], coefficients[block])
            transformed[4 * BLOCK_Y[block] + BLOCK_X[block]] = coefficients[block, 0]
        hadamard4(transformed)
        for k in range(16):
            dc_values[k] = transformed[ZIGZAG4[k]] * 0.5 ** (qp // 6) / SCALE4[qp % 6, 0]
        coder[COST] = 0
        flag_costs(trial, DC16, frame.dc_flags[0], my, mx, dc_costs)
        coded = choose_levels(dc_values, dc_weights, DC16, trial, dc_costs, level_lambda, dc)
        if not cabac:
            code_block(coder, no_output, dc, 0, 1, 16, token_class(frame.counts, 4 * my, 4 * mx))
        else:
            coder[COST] += int(dc_costs[1 if coded else 0])
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
            place = 4 * row + column
            coded = choose_ac(
                coder,
                no_output,
                trial,
                AC16,
                frame.flags,
                frame.counts,
                4 * my + row,
                4 * mx + column,
                cabac,
                coefficients[block],
                local.level4[0, place],
                qp,
                level_lambda,
                levels[block],
                numbers,
            )
            ac_cost += coder[COST]
            some |= coded
            for i in range(4):
                for j in range(4):
                    part[4 * i + j] = prediction[16 * (4 * row + i) + 4 * column + j]
            reconstruct_dc(dc_coefficients[place], part, buffer, out)
            error_without += store_block(local, 0, place, source, out, row, column, buffer, decoded[0])
            if coded:
                reconstruct_ac(levels[block], dc_coefficients[place], qp, part, buffer, out)
            error_with += store_block(local, 0, place, source, out, row, column, buffer, decoded[1])
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
