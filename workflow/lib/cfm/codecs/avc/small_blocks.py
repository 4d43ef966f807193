"""4x4 blocks of larger predictions: the AC levels of 16x16 macroblocks and of chroma, whose DC levels stand apart."""

from __future__ import annotations

from cfm.codecs.avc.macroblock_cavlc import put_counted
from cfm.codecs.avc.measure import level_weights
from cfm.codecs.avc.residual import choose_levels, code_levels
from cfm.codecs.avc.tables import CODED_BLOCK, LEVEL4, ZIGZAG4
from cfm.codecs.avc.transform import dequantise4, inverse4
from cfm.codecs.block_distortion import block_distortion
from cfm.codecs.cabac import BIN_COST, COST
from cfm.codecs.kernels import inlined
from cfm.codecs.metric import MODES


@inlined
def flag_costs(states, category, flags, row, column, out):
    """Costs of coded_block_flag 0 and 1 of a block; row and column count blocks."""
    state = states[CODED_BLOCK + 4 * category + flags[row + 1, column] + 2 * flags[row, column + 1]]
    out[0], out[1] = BIN_COST[state], BIN_COST[state ^ 1]


@inlined
def block_residual(source, prediction, side, row, column, out):
    """Source less prediction (of that side, in raster order) of the 4x4 block at row and column of blocks."""
    for i in range(4):
        for j in range(4):
            y, x = 4 * row + i, 4 * column + j
            out[4 * i + j] = source[y, x] - prediction[side * y + x]


@inlined
def choose_ac(
    coder,
    no_output,
    states,
    category,
    flags,
    counts,
    row,
    column,
    cabac,
    coefficients,
    diagonal,
    qp,
    lambda_,
    levels,
    buffer,
):
    """Choose the AC levels of a block of coefficients and count their bits; whether one is not 0.

    Parameters
    ----------
    coder, no_output : arrays
        A counting coder, whose cost begins at 0, and nothing to write into.
    states : array of uint8
        Contexts, which move on.
    category, flags, counts, row, column : int, arrays, int, int
        Of the block, where its flag and its number of levels stand, and its place there.
    cabac : bool
        Whether bits are counted in CABAC, else in CAVLC.
    coefficients, diagonal : arrays (16,)
        In raster order, and their weights.
    qp, lambda_ : int, float
        Quantiser and distortion a bit.
    levels : array (16,) int32
        The first 15 are written, in scan order.
    buffer : array (3, 16)
        Overwritten.
    """
    values, weights, costs = buffer[0], buffer[1], buffer[2]
    level_weights(diagonal, qp, 1, weights)
    scale, halving = LEVEL4[qp % 6], 0.5 ** (qp // 6)
    for k in range(15):
        values[k] = coefficients[ZIGZAG4[k + 1]] * scale[ZIGZAG4[k + 1]] * halving
    flag_costs(states, category, flags, row, column, costs)
    coded = choose_levels(values, weights, category, states, costs, lambda_, levels)
    flags[row + 1, column + 1] = coded
    coder[COST] = 0
    if not cabac:
        put_counted(coder, no_output, levels, 0, 1, 15, counts, row, column)
    else:
        coder[COST] += int(costs[1 if coded else 0])
        if coded:
            code_levels(coder, no_output, states, levels, category)
    return coded


@inlined
def reconstruct_ac(levels, dc, qp, prediction, buffer, out):
    """Samples of a block from its AC levels in scan order and its dequantised DC coefficient; buffer: (2, 16)."""
    raster, coefficients = buffer[0], buffer[1]
    raster[0] = 0
    for k in range(15):
        raster[ZIGZAG4[k + 1]] = levels[k]
    dequantise4(raster, qp, coefficients)
    coefficients[0] = dc
    inverse4(coefficients, prediction, out)


@inlined
def reconstruct_dc(dc, prediction, buffer, out):
    """Samples of a block that has its dequantised DC coefficient alone; buffer: (2, 16)."""
    buffer[0] = 0
    buffer[0, 0] = dc
    inverse4(buffer[0], prediction, out)


@inlined
def store_block(local, plane, place, source, block, row, column, buffer, out):
    """Put a 4x4 block into a larger one, at row and column of blocks; returns its distortion in the choice of modes.

    place: number of the block in the plane's part of the macroblock; buffer: (2, 16).
    """
    error, scratch = buffer[0], buffer[1]
    for i in range(4):
        for j in range(4):
            y, x = 4 * row + i, 4 * column + j
            out[y, x] = block[4 * i + j]
            error[4 * i + j] = source[y, x] - block[4 * i + j]
    frequency, samples, rows = local.frequency[plane], local.samples[plane, place], local.rows[plane]
    flags, sse = local.flags[MODES], local.sse[MODES, plane]
    return block_distortion(flags, sse, frequency, samples, rows[place], error, scratch)
