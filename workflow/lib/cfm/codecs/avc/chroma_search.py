"""Search over the modes and levels of a macroblock's chroma."""

from __future__ import annotations

import numpy as np

from cfm.codecs.avc.cavlc import CHROMA_DC_CLASS, code_block
from cfm.codecs.avc.residual import choose_levels, code_levels
from cfm.codecs.avc.small_blocks import (
    block_residual,
    choose_ac,
    flag_costs,
    reconstruct_ac,
    reconstruct_dc,
    store_block,
)
from cfm.codecs.avc.state import CHROMA
from cfm.codecs.avc.tables import CHROMA_AC, CHROMA_DC, CONTEXTS, SCALE4
from cfm.codecs.avc.transform import dequantise_chroma_dc, hadamard2
from cfm.codecs.avc.whole_prediction import predict_chroma
from cfm.codecs.block_distortion import forward4
from cfm.codecs.cabac import BIT, COST, COUNTING, FIELDS
from cfm.codecs.kernels import allocating, copy_line

CHROMA_MODES = 4
NOTHING, DC_ALONE, ALL = range(3)  # chroma parts of the coded block pattern


@allocating
def search_chroma(frame, local, mb, my, mx, qp, lambda_, level_lambda, states, cabac, only):
    """Choose the chroma mode and levels.

    Parameters
    ----------
    frame, local, mb : Frame, Local, Macroblock
        The picture, the distortion, and the macroblock to write into.
    my, mx, qp : int
        Where, and at which QP of chroma.
    lambda_, level_lambda : float
        Distortion of chroma a bit, in the choice of the mode and in that of levels.
    states : array of uint8
        Contexts at the begin of the macroblock.
    cabac : bool
        Whether bits are counted in CABAC, else in CAVLC.
    only : int
        The one mode that is tried; -1 for all.

    Returns
    -------
    int, float
        The chroma part of the pattern, and the distortion as the choice of the mode has it.
    """
    prediction = np.empty(64, np.int32)
    coefficients = np.empty((2, 4, 16), np.int32)
    transformed, part, out = np.empty(4, np.int32), np.empty(16, np.int32), np.empty(16, np.int32)
    dc_values, dc_weights, dc_costs = np.empty(4), np.empty(4), np.zeros(2)
    dc, ac = np.zeros((2, 4), np.int32), np.zeros((2, 4, 16), np.int32)
    dc_coefficients = np.empty(4, np.int32)
    decoded = np.empty((3, 2, 8, 8), np.int32)
    buffer, numbers = np.empty((2, 16), np.int32), np.empty((3, 16))
    trial = np.empty(CONTEXTS, np.uint8)
    coder, no_output = np.zeros(FIELDS, np.int64), np.empty(0, np.uint8)
    coder[COUNTING] = 1
    errors, costs = np.zeros(3), np.zeros(3, np.int64)
    best, pattern, distortion = np.inf, NOTHING, 0.0
    for mode in range(CHROMA_MODES):
        if only >= 0 and mode != only:
            continue
        errors[:] = 0
        costs[:] = 0
        copy_line(states, trial)
        some_dc = some_ac = possible = False
        for plane in range(2):
            source = frame.source[1 + plane][8 * my : 8 * my + 8, 8 * mx : 8 * mx + 8]
            possible = predict_chroma(mode, frame.coded[1 + plane], 8 * my, 8 * mx, prediction)
            if not possible:
                break
            mean = 0.0
            for block in range(4):
                block_residual(source, prediction, 8, block >> 1, block & 1, coefficients[plane, block])
                forward4(coefficients[plane, block], coefficients[plane, block])
                transformed[block] = coefficients[plane, block, 0]
                mean += local.level4[1 + plane, block, 0] / 4
            hadamard2(transformed)
            for k in range(4):
                dc_values[k] = 2 * transformed[k] * 0.5 ** (qp // 6) / SCALE4[qp % 6, 0]
            dc_weights[:] = mean * (SCALE4[qp % 6, 0] * 2.0 ** (qp // 6) / 16) ** 2
            flag_costs(trial, CHROMA_DC, frame.dc_flags[1 + plane], my, mx, dc_costs)
            coded = choose_levels(dc_values, dc_weights, CHROMA_DC, trial, dc_costs, level_lambda, dc[plane])
            coder[COST] = 0
            some_dc |= coded
            if not cabac:
                code_block(coder, no_output, dc[plane], 0, 1, 4, CHROMA_DC_CLASS)
            else:
                coder[COST] += int(dc_costs[1 if coded else 0])
                if coded:
                    code_levels(coder, no_output, trial, dc[plane], CHROMA_DC)
            costs[DC_ALONE] += coder[COST]
            dequantise_chroma_dc(dc[plane], qp, dc_coefficients)
            for block in range(4):
                row, column = block >> 1, block & 1
                for i in range(4):
                    for j in range(4):
                        part[4 * i + j] = prediction[8 * (4 * row + i) + 4 * column + j]
                errors[NOTHING] += store_block(
                    local, 1 + plane, block, source, part, row, column, buffer, decoded[NOTHING, plane]
                )
                reconstruct_dc(dc_coefficients[block], part, buffer, out)
                errors[DC_ALONE] += store_block(
                    local, 1 + plane, block, source, out, row, column, buffer, decoded[DC_ALONE, plane]
                )
                coded = choose_ac(
                    coder,
                    no_output,
                    trial,
                    CHROMA_AC,
                    frame.chroma_flags[plane],
                    frame.chroma_counts[plane],
                    2 * my + row,
                    2 * mx + column,
                    cabac,
                    coefficients[plane, block],
                    local.level4[1 + plane, block],
                    qp,
                    level_lambda,
                    ac[plane, block],
                    numbers,
                )
                costs[ALL] += coder[COST]
                if coded:
                    some_ac = True
                    reconstruct_ac(ac[plane, block], dc_coefficients[block], qp, part, buffer, out)
                errors[ALL] += store_block(
                    local, 1 + plane, block, source, out, row, column, buffer, decoded[ALL, plane]
                )
        if not possible:
            continue
        costs[ALL] += costs[DC_ALONE]
        mode_cost = BIT * (1 if mode == 0 else 2 if mode == 1 else 3)
        for choice in range(3):
            if (choice == DC_ALONE and not some_dc) or (choice == ALL and not some_ac):
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
                if choice == ALL:
                    mb.chroma_ac[:] = ac
    return pattern, distortion
