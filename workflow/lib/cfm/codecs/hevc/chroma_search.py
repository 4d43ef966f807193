"""Search over the mode and the levels of a coding unit's chroma."""

from __future__ import annotations

import numpy as np

from cfm.codecs.cabac import BIN_COST, BIT
from cfm.codecs.hevc.blocks import commit_block, count_block, gather, predict_gathered, try_block, weigh
from cfm.codecs.hevc.coding_tree import chroma_mode, chroma_scan
from cfm.codecs.hevc.luma_search import TRIAL
from cfm.codecs.hevc.mode_search import lowest, satd
from cfm.codecs.hevc.state import CBF, CHROMA, CHROMA_OFFSET, HALF, HIDES, MODE, PREDICTION, SKIPPED, TRANSFORM
from cfm.codecs.hevc.tables import CBF_CHROMA, CHROMA_MODE, CHROMA_QP, DERIVED, UNIT_X, UNIT_Y
from cfm.codecs.kernels import copy_line, general
from cfm.codecs.metric import MODES

CHOICES = 5


@general
def choose_chroma_levels(frame, tree, work, local, decision, settings, z_unit, y, x, log2_unit, mode, qp, level_lambda):
    """Choose the levels of a unit's chroma in a mode, along its transform tree; (y, x) in luma samples.

    Writes them into the frame and the tree; `work.states[0]` follows. Returns cost and weighted distortion, as a
    decision has it.
    """
    units, states, hides = tree.units, work.states[0], frame.options[HIDES] != 0
    cost = total = 0.0
    z, end = z_unit, z_unit + (1 << (2 * log2_unit - 4))
    while z < end:
        # The chroma of four luma blocks of 4x4 belongs to the first.
        log2 = max(3, np.int64(units[z, TRANSFORM]))
        top, left = (y + UNIT_Y[z] - UNIT_Y[z_unit]) >> 1, (x + UNIT_X[z] - UNIT_X[z_unit]) >> 1
        scan, flag = chroma_scan(mode, log2 - 1), CBF_CHROMA + log2_unit - log2
        side, count = 1 << (log2 - 1), 1 << (2 * log2 - 4)
        for plane in (1, 2):
            gather(frame, work, plane, top, left, side)
            predict_gathered(work, plane, mode, side)
            weigh(work, local, plane, top, left, log2 - 1, False, False)
            error, coded = try_block(
                work,
                local,
                decision,
                frame.source[plane],
                plane,
                top,
                left,
                log2 - 1,
                False,
                False,
                scan,
                qp,
                hides,
                level_lambda / settings.chroma_weight,
                states,
                flag,
                TRIAL,
            )
            bits = count_block(work, states, TRIAL, log2 - 1, 1, scan, 0, hides, flag, coded)
            commit_block(frame, tree, work, plane, top, left, log2 - 1, z, TRIAL)
            total += settings.chroma_weight * error
            cost += settings.chroma_weight * error + settings.lambda_ * bits / BIT
            whole = units[z, TRANSFORM] > 2
            for unit in range(z, z + count):
                units[unit, CBF + plane] = 1 if coded and (whole or unit == z) else 0
                units[unit, SKIPPED + plane] = 0
        z += count
    return cost, total


@general
def rank_choices(frame, work, y, x, side, luma_mode, costs):
    """Hadamard errors of the chroma modes of a unit; (y, x) and side in chroma samples."""
    for choice in range(CHOICES):
        costs[choice] = 0
    for plane in (1, 2):
        gather(frame, work, plane, y, x, side)
        for choice in range(CHOICES):
            predict_gathered(work, plane, chroma_mode(choice, luma_mode), side)
            costs[choice] += satd(frame.source[plane], y, x, work.integers[PREDICTION], side, work.integers[HALF])


@general
def chroma_qp_of(frame, qp):
    """QP of chroma (8.6.1)."""
    return CHROMA_QP[min(57, max(0, qp + frame.options[CHROMA_OFFSET]))]


@general
def search_chroma(frame, tree, work, local, settings, z, y, x, log2, qp, states):
    """Choose the mode and the levels of a unit's chroma; `states` are those before it. Returns weighted distortion."""
    units, side = tree.units, 1 << (log2 - 1)
    luma_mode, chroma_qp = np.int64(units[z, MODE]), chroma_qp_of(frame, qp)
    costs = work.costs[0]
    rank_choices(frame, work, y >> 1, x >> 1, side, luma_mode, costs)
    state = states[CHROMA_MODE]
    for choice in range(CHOICES):
        rate = BIN_COST[state] if choice == DERIVED else BIN_COST[state ^ 1] + 2 * BIT
        costs[choice] += settings.root_lambda * rate / BIT
    least, best, last, chosen_error = np.inf, DERIVED, -1, 0.0
    for _ in range(settings.tried_chroma):
        choice = lowest(costs, CHOICES)
        costs[choice] = np.inf
        copy_line(states, work.states[0])
        rate = BIN_COST[state] if choice == DERIVED else BIN_COST[state ^ 1] + 2 * BIT
        mode = chroma_mode(choice, luma_mode)
        cost, error = choose_chroma_levels(
            frame, tree, work, local, MODES, settings, z, y, x, log2, mode, chroma_qp, settings.level_lambda
        )
        cost += settings.lambda_ * rate / BIT
        last = choice
        if cost < least:
            least, best, chosen_error = cost, choice, error
    if best != last:
        copy_line(states, work.states[0])
        mode = chroma_mode(best, luma_mode)
        choose_chroma_levels(
            frame, tree, work, local, MODES, settings, z, y, x, log2, mode, chroma_qp, settings.level_lambda
        )
    for unit in range(z, z + (1 << (2 * log2 - 4))):
        units[unit, CHROMA] = best
    return chosen_error
