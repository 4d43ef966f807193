"""The syntax of a macroblock of an intra slice in CABAC (H.264 7.3.5 and 9.3.3.1.1)."""

from __future__ import annotations

from cfm.codecs.avc.residual import code_levels
from cfm.codecs.avc.state import CBP, CHROMA, I4, I8, I16, KIND, MODE16, PREVIOUS_DELTA, PREVIOUS_QP, QP
from cfm.codecs.avc.tables import (
    AC16,
    BLOCK_X,
    BLOCK_Y,
    CBP_CHROMA,
    CBP_LUMA,
    CHROMA_AC,
    CHROMA_DC,
    CHROMA_MODE,
    CODED_BLOCK,
    DC16,
    LUMA4,
    LUMA8,
    MB_TYPE,
    MODE_IS_PREDICTED,
    MODE_REST,
    QP_DELTA,
    TRANSFORM8,
)
from cfm.codecs.cabac import encode_bin, encode_terminate
from cfm.codecs.kernels import allocating, inlined, kernel

DC_MODE = 2


@kernel
def predicted_mode(modes, row, column):
    """The mode that a block's neighbours suggest (8.3.1.1); row and column in units of 4 samples."""
    beside, above = modes[row + 1, column], modes[row, column + 1]
    return DC_MODE if beside < 0 or above < 0 else min(beside, above)


@kernel
def code_mode(coder, out, states, mode, predicted):
    """Code the mode of a 4x4 or 8x8 block."""
    encode_bin(coder, out, states, MODE_IS_PREDICTED, 1 if mode == predicted else 0)
    if mode != predicted:
        rest = mode if mode < predicted else mode - 1
        for bit in range(3):
            encode_bin(coder, out, states, MODE_REST, (rest >> bit) & 1)


@inlined
def any_level(levels):
    """Whether a level is not 0."""
    some = 0
    for k in range(levels.shape[0]):
        some |= levels[k]
    return some != 0


@kernel
def code_flagged(coder, out, states, levels, category, flags, row, column):
    """Code a block's coded_block_flag, with the flags of its neighbours as context, and its levels."""
    coded = any_level(levels)
    context = CODED_BLOCK + 4 * category + flags[row + 1, column] + 2 * flags[row, column + 1]
    encode_bin(coder, out, states, context, 1 if coded else 0)
    flags[row + 1, column + 1] = coded
    if coded:
        code_levels(coder, out, states, levels, category)


@kernel
def code_macroblock(coder, out, states, frame, mb, my, mx):
    """Code a macroblock at row my and column mx of macroblocks, and enter it into the frame's maps."""
    kind, cbp = mb.head[KIND], mb.head[CBP]
    _code_type(coder, out, states, frame, mb, my, mx)
    if kind == I16:
        for block in range(16):
            frame.modes[4 * my + BLOCK_Y[block] + 1, 4 * mx + BLOCK_X[block] + 1] = DC_MODE
    else:
        _code_modes(coder, out, states, frame, mb, my, mx)
    _code_chroma_mode(coder, out, states, frame, mb.head[CHROMA], my, mx)
    if kind != I16:
        _code_cbp(coder, out, states, frame, cbp, my, mx)
    frame.kinds[my + 1, mx + 1], frame.cbps[my + 1, mx + 1] = kind, cbp
    if kind == I16 or cbp:
        _code_delta(coder, out, states, frame, mb.head[QP])
    else:
        frame.slice_state[PREVIOUS_DELTA] = 0
    _code_luma(coder, out, states, frame, mb, my, mx)
    _code_chroma(coder, out, states, frame, mb, my, mx)


@kernel
def _code_type(coder, out, states, frame, mb, my, mx):
    kind, cbp = mb.head[KIND], mb.head[CBP]
    beside, above = frame.kinds[my + 1, mx], frame.kinds[my, mx + 1]
    context = MB_TYPE + (beside == I16) + (above == I16)
    encode_bin(coder, out, states, context, 1 if kind == I16 else 0)
    if kind != I16:
        encode_bin(coder, out, states, TRANSFORM8 + (beside == I8) + (above == I8), 1 if kind == I8 else 0)
        return
    encode_terminate(coder, out, 0)  # no samples are sent as they are
    encode_bin(coder, out, states, MB_TYPE + 3, 1 if cbp & 15 else 0)
    encode_bin(coder, out, states, MB_TYPE + 4, 1 if cbp >> 4 else 0)
    if cbp >> 4:
        encode_bin(coder, out, states, MB_TYPE + 5, 1 if cbp >> 4 == 2 else 0)
    encode_bin(coder, out, states, MB_TYPE + 6, mb.head[MODE16] >> 1)
    encode_bin(coder, out, states, MB_TYPE + 7, mb.head[MODE16] & 1)


@allocating
def _code_modes(coder, out, states, frame, mb, my, mx):
    size = 2 if mb.head[KIND] == I8 else 1
    for block in range(0, 16, size * size):
        row, column = 4 * my + BLOCK_Y[block], 4 * mx + BLOCK_X[block]
        code_mode(coder, out, states, mb.modes[block], predicted_mode(frame.modes, row, column))
        frame.modes[row + 1 : row + 1 + size, column + 1 : column + 1 + size] = mb.modes[block]


@kernel
def _code_chroma_mode(coder, out, states, frame, mode, my, mx):
    context = CHROMA_MODE + (frame.chroma_modes[my + 1, mx] != 0) + (frame.chroma_modes[my, mx + 1] != 0)
    frame.chroma_modes[my + 1, mx + 1] = mode
    encode_bin(coder, out, states, context, 1 if mode > 0 else 0)
    if mode > 0:
        encode_bin(coder, out, states, CHROMA_MODE + 3, 1 if mode > 1 else 0)
    if mode > 1:
        encode_bin(coder, out, states, CHROMA_MODE + 3, 1 if mode > 2 else 0)


@kernel
def _code_cbp(coder, out, states, frame, cbp, my, mx):
    beside, above = frame.cbps[my + 1, mx], frame.cbps[my, mx + 1]
    for block in range(4):
        # The 8x8 block to the left is this macroblock's own for the right ones; likewise above.
        left = cbp >> (block - 1) if block & 1 else beside >> (block + 1)
        top = cbp >> (block - 2) if block & 2 else above >> (block + 2)
        context = CBP_LUMA + (left & 1 == 0) + 2 * (top & 1 == 0)
        encode_bin(coder, out, states, context, (cbp >> block) & 1)
    context = CBP_CHROMA + (beside >> 4 != 0) + 2 * (above >> 4 != 0)
    encode_bin(coder, out, states, context, 1 if cbp >> 4 else 0)
    if cbp >> 4:
        context = CBP_CHROMA + 4 + (beside >> 4 == 2) + 2 * (above >> 4 == 2)
        encode_bin(coder, out, states, context, 1 if cbp >> 4 == 2 else 0)


@kernel
def _code_delta(coder, out, states, frame, qp):
    delta = (qp - frame.slice_state[PREVIOUS_QP] + 78) % 52 - 26
    context = QP_DELTA + (frame.slice_state[PREVIOUS_DELTA] != 0)
    value = 2 * delta - 1 if delta > 0 else -2 * delta
    for index in range(value):
        encode_bin(coder, out, states, context, 1)
        context = QP_DELTA + (2 if index == 0 else 3)
    encode_bin(coder, out, states, context, 0)
    frame.slice_state[PREVIOUS_QP], frame.slice_state[PREVIOUS_DELTA] = qp, delta


@kernel
def _code_luma(coder, out, states, frame, mb, my, mx):
    kind, cbp = mb.head[KIND], mb.head[CBP]
    frame.dc_flags[0, my + 1, mx + 1] = 0
    if kind == I16:
        code_flagged(coder, out, states, mb.dc, DC16, frame.dc_flags[0], my, mx)
    for block in range(16):
        row, column = 4 * my + BLOCK_Y[block], 4 * mx + BLOCK_X[block]
        coded = (cbp >> (block >> 2)) & 1
        if kind == I8 and coded and block & 3 == 0:
            code_levels(coder, out, states, mb.levels8[block >> 2], LUMA8)
        if kind == I8 or not coded:
            frame.flags[row + 1, column + 1] = coded
        elif kind == I4:
            code_flagged(coder, out, states, mb.levels[block], LUMA4, frame.flags, row, column)
        else:
            code_flagged(coder, out, states, mb.levels[block, :15], AC16, frame.flags, row, column)


@kernel
def _code_chroma(coder, out, states, frame, mb, my, mx):
    coded = mb.head[CBP] >> 4
    for plane in range(2):
        frame.dc_flags[1 + plane, my + 1, mx + 1] = 0
        if coded:
            code_flagged(coder, out, states, mb.chroma_dc[plane], CHROMA_DC, frame.dc_flags[1 + plane], my, mx)
    for plane in range(2):
        flags = frame.chroma_flags[plane]
        for block in range(4):
            row, column = 2 * my + (block >> 1), 2 * mx + (block & 1)
            flags[row + 1, column + 1] = 0
            if coded == 2:
                code_flagged(coder, out, states, mb.chroma_ac[plane, block, :15], CHROMA_AC, flags, row, column)
