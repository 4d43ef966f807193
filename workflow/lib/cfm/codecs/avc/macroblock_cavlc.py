"""The syntax of a macroblock of an intra slice in CAVLC (H.264 7.3.5 and 9.1, 9.2)."""

from __future__ import annotations

from cfm.codecs.avc.cavlc import CHROMA_DC_CLASS, code_block, put_bits, put_se, put_ue, token_class
from cfm.codecs.avc.macroblock import DC_MODE, predicted_mode
from cfm.codecs.avc.state import CBP, CHROMA, I8, I16, KIND, MODE16, PREVIOUS_QP, QP
from cfm.codecs.avc.tables import BLOCK_X, BLOCK_Y, CODE_OF_CBP
from cfm.codecs.kernels import allocating, kernel


@kernel
def put_mode(coder, out, mode, predicted):
    """Write, or count, the mode of a 4x4 or 8x8 block."""
    put_bits(coder, out, 1 if mode == predicted else 0, 1)
    if mode != predicted:
        put_bits(coder, out, mode if mode < predicted else mode - 1, 3)


@kernel
def put_counted(coder, out, levels, first, stride, count, counts, row, column):
    """Write, or count, a 4x4 block and enter how many levels it has."""
    counts[row + 1, column + 1] = code_block(coder, out, levels, first, stride, count, token_class(counts, row, column))


@allocating
def put_macroblock(coder, out, frame, mb, my, mx):
    """Write, or count, a macroblock at row my and column mx of macroblocks, and enter it into the frame's maps."""
    kind, cbp = mb.head[KIND], mb.head[CBP]
    if kind == I16:
        put_ue(coder, out, 1 + mb.head[MODE16] + 4 * (cbp >> 4) + (12 if cbp & 15 else 0))
        for block in range(16):
            frame.modes[4 * my + BLOCK_Y[block] + 1, 4 * mx + BLOCK_X[block] + 1] = DC_MODE
    else:
        put_ue(coder, out, 0)
        put_bits(coder, out, 1 if kind == I8 else 0, 1)
        size = 2 if kind == I8 else 1
        for block in range(0, 16, size * size):
            row, column = 4 * my + BLOCK_Y[block], 4 * mx + BLOCK_X[block]
            put_mode(coder, out, mb.modes[block], predicted_mode(frame.modes, row, column))
            frame.modes[row + 1 : row + 1 + size, column + 1 : column + 1 + size] = mb.modes[block]
    put_ue(coder, out, mb.head[CHROMA])
    if kind != I16:
        put_ue(coder, out, CODE_OF_CBP[cbp])
    frame.kinds[my + 1, mx + 1] = kind
    if kind == I16 or cbp:
        put_se(coder, out, (mb.head[QP] - frame.slice_state[PREVIOUS_QP] + 78) % 52 - 26)
        frame.slice_state[PREVIOUS_QP] = mb.head[QP]
    _put_luma(coder, out, frame, mb, my, mx)
    _put_chroma(coder, out, frame, mb, my, mx)


@kernel
def _put_luma(coder, out, frame, mb, my, mx):
    kind, cbp = mb.head[KIND], mb.head[CBP]
    if kind == I16:
        # As the block in the corner would be; how many DC levels there are is not entered.
        code_block(coder, out, mb.dc, 0, 1, 16, token_class(frame.counts, 4 * my, 4 * mx))
    for block in range(16):
        row, column = 4 * my + BLOCK_Y[block], 4 * mx + BLOCK_X[block]
        if not (cbp >> (block >> 2)) & 1:
            frame.counts[row + 1, column + 1] = 0
        elif kind == I8:
            # The levels of an 8x8 block go to its four 4x4 blocks in turn.
            put_counted(coder, out, mb.levels8[block >> 2], block & 3, 4, 16, frame.counts, row, column)
        else:
            count = 15 if kind == I16 else 16
            put_counted(coder, out, mb.levels[block], 0, 1, count, frame.counts, row, column)


@kernel
def _put_chroma(coder, out, frame, mb, my, mx):
    coded = mb.head[CBP] >> 4
    for plane in range(2):
        if coded:
            code_block(coder, out, mb.chroma_dc[plane], 0, 1, 4, CHROMA_DC_CLASS)
    for plane in range(2):
        for block in range(4):
            row, column, counts = 2 * my + (block >> 1), 2 * mx + (block & 1), frame.chroma_counts[plane]
            counts[row + 1, column + 1] = 0
            if coded == 2:
                put_counted(coder, out, mb.chroma_ac[plane, block], 0, 1, 15, counts, row, column)
