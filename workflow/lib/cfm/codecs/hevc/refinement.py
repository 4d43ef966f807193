"""Other QPs and other levels for coding units whose modes and transform trees are chosen.

What is best for a transform block by itself need not be best for the coding unit, whose later blocks are predicted from
it. Every coding unit, or group of them that has one QP, is therefore coded in several ways.
"""

from __future__ import annotations

import numpy as np

from cfm.codecs.cabac import BIT, COST
from cfm.codecs.hevc.blocks import unit_distortion
from cfm.codecs.hevc.chroma_search import choose_chroma_levels, chroma_qp_of
from cfm.codecs.hevc.coding_tree import chroma_mode, code_unit
from cfm.codecs.hevc.luma_search import recode_luma
from cfm.codecs.hevc.measure import alike
from cfm.codecs.hevc.snapshots import keep, restore
from cfm.codecs.hevc.state import CHROMA, DEPTHS, HEIGHT, LOG2, MODE, QP, START, WIDTH
from cfm.codecs.hevc.tables import UNIT_X, UNIT_Y
from cfm.codecs.kernels import copy_line, general
from cfm.codecs.metric import DELTA_QP, PARTITION

SLOT = DEPTHS - 1  # of what is put aside


@general
def refine(frame, tree, work, local, settings, z, y, x, log2, cost, before, states, with_deltas, with_shares):
    """Try other QPs and levels for the coding units of a block, which stand in the frame, and keep the best.

    Parameters
    ----------
    frame, tree, work, local, settings
        The picture, where to write, room, the distortion, and what to try.
    z, y, x, log2 : int
        The block.
    cost : float
        Of the coding units as they are, as the choice of the partition has it.
    before, states : arrays of uint8
        Contexts before and after them; the latter are written.
    with_deltas, with_shares : bool
        Whether QPs are tried, and shares of lambda in the choice of levels.

    Returns
    -------
    float
        The least cost, as the choice of the partition has it.
    """
    deltas, shares = settings.deltas, settings.level_shares
    with_deltas = with_deltas and deltas.shape[0] > 1
    if not with_deltas and (not with_shares or shares.shape[0] == 1):
        return cost
    slice_state, begin = frame.slice_state, tree.slice_states[6 - log2, START]
    if not alike(local, DELTA_QP, PARTITION):
        cost += unit_distortion(frame, work, local, settings, DELTA_QP, y, x, log2)
        cost -= unit_distortion(frame, work, local, settings, PARTITION, y, x, log2)
    keep(frame, tree, SLOT, z, y, x, log2)
    least, last = cost, True
    for trial in range(1, deltas.shape[0] + shares.shape[0] - 1):
        is_delta = trial < deltas.shape[0]
        if (is_delta and not with_deltas) or not (is_delta or with_shares):
            continue
        delta = deltas[trial if is_delta else 0]
        share = shares[max(0, trial - deltas.shape[0] + 1)]
        copy_line(begin, slice_state)
        copy_line(before, states)
        qp = settings.qp + delta
        error, bits = recode_group(frame, tree, work, local, settings, z, y, x, log2, qp, share, states)
        found = error + settings.lambda_ * bits / BIT
        # Whoever leaves the first QP has to come back to it.
        found += settings.lambda_ * settings.return_bits if is_delta else 0.0
        last = found < least
        if last:
            least = found
            keep(frame, tree, SLOT, z, y, x, log2)
    if not last:
        restore(frame, tree, SLOT, z, y, x, log2)
        copy_line(begin, slice_state)
        copy_line(before, states)
        count_group(frame, tree, work, z, y, x, log2, states)
    if not alike(local, DELTA_QP, PARTITION):
        least += unit_distortion(frame, work, local, settings, PARTITION, y, x, log2)
        least -= unit_distortion(frame, work, local, settings, DELTA_QP, y, x, log2)
    return least


@general
def recode_group(frame, tree, work, local, settings, z_group, y, x, log2_group, qp, share, states):
    """Choose the levels of the coding units of a block at a QP, by a share of lambda.

    Returns the distortion, as the choice of the QP has it, and what the bits cost.

    `states` and the slice's state follow.
    """
    options, units, error = frame.options, tree.units, 0.0
    z, end = z_group, z_group + (1 << (2 * log2_group - 4))
    level_lambda = share * settings.lambda_
    chroma_qp, bits = chroma_qp_of(frame, qp), 0
    while z < end:
        top, left = y + UNIT_Y[z] - UNIT_Y[z_group], x + UNIT_X[z] - UNIT_X[z_group]
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
            frame, tree, work, local, DELTA_QP, settings, z, top, left, log2, mode, chroma_qp, level_lambda
        )[1]
        work.coders[0, COST] = 0
        code_unit(work.coders[0], work.outputs[0], states, frame, tree, z, top, left, log2)
        bits += work.coders[0, COST]
        z += count
    return error, bits


@general
def count_group(frame, tree, work, z_group, y, x, log2_group, states):
    """Code the coding units of a block without output, so that `states` and the frame follow."""
    options, units = frame.options, tree.units
    z, end = z_group, z_group + (1 << (2 * log2_group - 4))
    while z < end:
        top, left = y + UNIT_Y[z] - UNIT_Y[z_group], x + UNIT_X[z] - UNIT_X[z_group]
        if top >= options[HEIGHT] or left >= options[WIDTH]:
            z += 4
            continue
        log2 = np.int64(units[z, LOG2])
        code_unit(work.coders[0], work.outputs[0], states, frame, tree, z, top, left, log2)
        z += 1 << (2 * log2 - 4)
