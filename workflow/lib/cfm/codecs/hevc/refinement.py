"""The choice of QPs and of levels again, once the partition and the modes of a coding tree block are known.

What is best for a block by itself need not be best for those that are predicted from it. Every coding unit, or group of
them that has one QP, is therefore coded in several ways: at other QPs, and with levels chosen by other lambdas.
"""

from __future__ import annotations

import numpy as np

from cfm.codecs.cabac import BIT, COST
from cfm.codecs.hevc.chroma_search import choose_chroma_levels, chroma_qp_of
from cfm.codecs.hevc.coding_tree import chroma_mode, code_unit, start_group
from cfm.codecs.hevc.luma_search import recode_luma
from cfm.codecs.hevc.state import CHROMA, DEPTHS, HAS_DELTAS, HEIGHT, LOG2, LOG2_CTU, LOG2_GROUP, MODE, QP, WIDTH
from cfm.codecs.hevc.tables import UNIT_X, UNIT_Y
from cfm.codecs.hevc.tree_search import keep, restore
from cfm.codecs.kernels import copy_line, general

SLOT = DEPTHS - 1  # of what is put aside
NOW = 1  # row of contexts


@general
def refine_tree(frame, tree, work, local, settings, y, x, states):
    """Choose QPs and levels of the coding tree block at (y, x); `states` are the contexts before it and follow."""
    options, units = frame.options, tree.units
    slice_state, begin, now = frame.slice_state, tree.slice_states[SLOT, 0], tree.states[SLOT, NOW]
    deltas, shares = settings.deltas, settings.level_shares
    smallest = options[LOG2_GROUP] if options[HAS_DELTAS] else 3
    trials = deltas.shape[0] + shares.shape[0] - 1
    z = 0
    while z < 1 << (2 * options[LOG2_CTU] - 4):
        top, left = y + UNIT_Y[z], x + UNIT_X[z]
        log2 = max(smallest, np.int64(units[z, LOG2]))
        if top >= options[HEIGHT] or left >= options[WIDTH]:
            z += 4
            continue
        if options[HAS_DELTAS]:
            start_group(frame, top, left)
        copy_line(slice_state, begin)
        least, best = np.inf, 0
        for trial in range(trials):
            delta = deltas[trial if trial < deltas.shape[0] else 0]
            share = shares[max(0, trial - deltas.shape[0] + 1)]
            copy_line(begin, slice_state)
            copy_line(states, now)
            error = recode_group(frame, tree, work, local, settings, z, y, x, log2, settings.qp + delta, share, now)
            if least == np.inf or error < least:
                least, best = error, trial
                keep(frame, tree, SLOT, z, top, left, log2)
        if best != trials - 1:
            restore(frame, tree, SLOT, z, top, left, log2)
            copy_line(begin, slice_state)
            copy_line(states, now)
            count_group(frame, tree, work, z, y, x, log2, now)
        copy_line(now, states)
        z += 1 << (2 * log2 - 4)


@general
def recode_group(frame, tree, work, local, settings, z_group, y, x, log2_group, qp, share, states):
    """Choose the levels of the coding units of a block at a QP, by a share of lambda; returns the cost.

    (y, x): of the coding tree block. `states` and the slice's state follow.
    """
    options, units, error = frame.options, tree.units, 0.0
    z, end = z_group, z_group + (1 << (2 * log2_group - 4))
    level_lambda = share * settings.lambda_
    chroma_qp, bits = chroma_qp_of(frame, qp), 0
    while z < end:
        top, left = y + UNIT_Y[z], x + UNIT_X[z]
        if top >= options[HEIGHT] or left >= options[WIDTH]:
            z += 4
            continue
        log2 = np.int64(units[z, LOG2])
        count = 1 << (2 * log2 - 4)
        for unit in range(z, z + count):
            units[unit, QP] = qp
        copy_line(states, work.states[0])
        error += recode_luma(frame, tree, work, local, settings, z, top, left, log2, qp, level_lambda)
        mode = chroma_mode(units[z, CHROMA], np.int64(units[z, MODE]))
        copy_line(states, work.states[0])
        error += choose_chroma_levels(
            frame, tree, work, local, settings, z, top, left, log2, mode, chroma_qp, level_lambda
        )[1]
        work.coder[COST] = 0
        code_unit(work.coder, work.no_output, states, frame, tree, z, top, left, log2)
        bits += work.coder[COST]
        z += count
    return error + settings.lambda_ * bits / BIT


@general
def count_group(frame, tree, work, z_group, y, x, log2_group, states):
    """Code the coding units of a block without output, so that `states` and the frame follow."""
    options, units = frame.options, tree.units
    z, end = z_group, z_group + (1 << (2 * log2_group - 4))
    while z < end:
        top, left = y + UNIT_Y[z], x + UNIT_X[z]
        if top >= options[HEIGHT] or left >= options[WIDTH]:
            z += 4
            continue
        log2 = np.int64(units[z, LOG2])
        code_unit(work.coder, work.no_output, states, frame, tree, z, top, left, log2)
        z += 1 << (2 * log2 - 4)
