"""The choice among the ways to code a macroblock, by rate and by the distortion of what a decoder shows."""

from __future__ import annotations

import numpy as np

from cfm.codecs.avc.blocks import search_blocks
from cfm.codecs.avc.chroma_search import search_chroma
from cfm.codecs.avc.deblocking import AREA, BESIDE, deblock_area, fill_area
from cfm.codecs.avc.macroblock import code_macroblock
from cfm.codecs.avc.macroblock_cavlc import put_macroblock
from cfm.codecs.avc.state import CBP, CHROMA, I4, I8, I16, PREVIOUS_QP, QP
from cfm.codecs.avc.tables import CHROMA_QP, CONTEXTS
from cfm.codecs.avc.whole_search import search16
from cfm.codecs.block_distortion import block_distortion
from cfm.codecs.cabac import BIT, COST, COUNTING, FIELDS
from cfm.codecs.kernels import allocating, copy_line
from cfm.codecs.metric import DELTA_QP, MODES, PARTITION

TRIED16 = 2  # of the four modes of 16x16 prediction
KINDS = 3
PARTITION_COST, QP_COST, BITS = range(3)  # rows of the costs of kinds
SPARE = 1.05  # a search is given up where a part costs so many times the best found


@allocating
def luma_distortion(frame, local, decision, my, mx, area):
    """Distortion of a macroblock's luma in an area, in a decision, and what the filter did to that of its neighbours.

    Theirs is their squared error times their mean weight.
    """
    error, scratch = np.empty(16, np.int32), np.empty(16, np.int32)
    flags, sse, rows = local.flags[decision], local.sse[decision, 0], local.rows[0]
    frequency, samples = local.frequency[0], local.samples[0]
    source, shown, luma_weights = frame.source[0], frame.shown, frame.luma_weights[decision]
    total = 0.0
    for block in range(16):
        for k in range(16):
            row, column = 4 * (block >> 2) + (k >> 2), 4 * (block & 3) + (k & 3)
            error[k] = source[16 * my + row, 16 * mx + column] - area[AREA * (BESIDE + row) + BESIDE + column]
        total += block_distortion(flags, sse, frequency, samples[block], rows[block], error, scratch)
    above = beside = 0
    for i in range(1, BESIDE):
        for j in range(16):
            if my:
                y, x = 16 * my - BESIDE + i, 16 * mx + j
                after, before = source[y, x] - area[AREA * i + BESIDE + j], source[y, x] - shown[y, x]
                above += after * after - before * before
            if mx:
                y, x = 16 * my + j, 16 * mx - BESIDE + i
                after, before = source[y, x] - area[AREA * (BESIDE + j) + i], source[y, x] - shown[y, x]
                beside += after * after - before * before
    if my:
        total += above * luma_weights[my - 1, mx]
    if mx:
        total += beside * luma_weights[my, mx - 1]
    return total


@allocating
def chroma_distortion(frame, local, decision, my, mx, mb):
    """Distortion of a macroblock's chroma in a decision."""
    error, scratch = np.empty(16, np.int32), np.empty(16, np.int32)
    total = 0.0
    for plane in range(2):
        flags, sse, rows = local.flags[decision], local.sse[decision, 1 + plane], local.rows[1 + plane]
        frequency, samples = local.frequency[1 + plane], local.samples[1 + plane]
        for block in range(4):
            for k in range(16):
                row, column = 4 * (block >> 1) + (k >> 2), 4 * (block & 1) + (k & 3)
                error[k] = frame.source[1 + plane][8 * my + row, 8 * mx + column] - mb.chroma[plane, row, column]
            total += block_distortion(flags, sse, frequency, samples[block], rows[block], error, scratch)
    return total


@allocating
def search_macroblock(frame, local, candidates, my, mx, qp, share, states, settings, tried, chroma_mode, costs):
    """Choose how a macroblock is coded at a QP.

    Parameters
    ----------
    frame, local, candidates : Frame, Local, tuple of Macroblock
        The picture, the distortion, and a macroblock for each kind to write into.
    my, mx, qp : int
        Where, and at which QP.
    share : float
        Of lambda, in the choice of levels.
    states : array of uint8
        Contexts at the begin of the macroblock.
    settings : Settings
        Of the picture.
    tried : int
        Modes of a 4x4 or 8x8 block that are tried in full.
    chroma_mode : int
        The one that is tried; -1 for all.
    costs : array (3, KINDS)
        By kind of macroblock: kinds whose cost is infinite are left out; the costs of the others are written, as the
        choice of the kind and as that of the QP has them, and what their bits cost.

    Returns
    -------
    int
        The best kind.
    """
    coder, no_output = np.zeros(FIELDS, np.int64), np.empty(0, np.uint8)
    coder[COUNTING] = 1
    trial = np.empty(CONTEXTS, np.uint8)
    area = np.zeros(AREA * AREA, np.int32)
    kept = frame.slice_state.copy()
    lambda_, first, cabac = settings.lambda_, candidates[0], settings.cabac
    level_lambda = share * lambda_
    chroma_qp = CHROMA_QP[min(51, max(0, qp + settings.chroma_offset))]
    weight = settings.chroma_weight
    chroma_pattern, chroma_error = search_chroma(
        frame, local, first, my, mx, chroma_qp, lambda_ / weight, level_lambda / weight, states, cabac, chroma_mode
    )
    # Costs of different distortions do not compare.
    uses = local.uses
    gives_up = settings.gives_up and uses[MODES] == uses[PARTITION]
    apart = uses[DELTA_QP] != uses[PARTITION] or uses[DELTA_QP] != uses[MODES]
    best, chosen = np.inf, 0
    # The cheapest search first: the others can be given up by its cost.
    for kind in (I16, I8, I4):
        if costs[PARTITION_COST, kind] == np.inf:
            continue
        mb = candidates[kind]
        if kind == I16:
            pattern = search16(frame, local, mb, my, mx, qp, lambda_, level_lambda, states, TRIED16, cabac)
        else:
            limit = SPARE * (best - weight * chroma_error) if gives_up else np.inf
            pattern = search_blocks(
                frame, local, mb, my, mx, qp, lambda_, level_lambda, states, kind + 1, tried, cabac, limit
            )
            if pattern < 0:
                costs[:, kind] = np.inf
                continue
        mb.head[QP], mb.head[CBP] = qp, pattern | chroma_pattern << 4
        if kind:
            mb.head[CHROMA] = first.head[CHROMA]
            mb.chroma[:] = first.chroma
            mb.chroma_dc[:] = first.chroma_dc
            mb.chroma_ac[:] = first.chroma_ac
        copy_line(states, trial)
        coder[COST] = 0
        if cabac:
            code_macroblock(coder, no_output, trial, frame, mb, my, mx)
        else:
            put_macroblock(coder, no_output, frame, mb, my, mx)
        fill_area(frame.shown, mb.luma, my, mx, area)
        if settings.deblocking:
            deblock_area(area, frame.qps, my, mx, frame.slice_state[PREVIOUS_QP], kind == I8)
        frame.slice_state[:] = kept
        luma_error = luma_distortion(frame, local, PARTITION, my, mx, area)
        costs[:, kind] = luma_error + weight * chroma_error + lambda_ * coder[COST] / BIT
        costs[BITS, kind] = coder[COST]
        if apart:
            luma_error = luma_distortion(frame, local, DELTA_QP, my, mx, area)
            own_error = chroma_distortion(frame, local, DELTA_QP, my, mx, mb)
            costs[QP_COST, kind] = luma_error + weight * own_error + lambda_ * coder[COST] / BIT
        if costs[PARTITION_COST, kind] < best:
            best, chosen = costs[PARTITION_COST, kind], kind
    return chosen
