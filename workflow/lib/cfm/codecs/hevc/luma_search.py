"""Search over the modes, the transform tree and the levels of a coding unit's luma."""

from __future__ import annotations

import numpy as np

from cfm.codecs.cabac import BIN_COST, BIT, NEXT_STATE
from cfm.codecs.hevc.blocks import (
    commit_block,
    count_block,
    gather,
    predict_gathered,
    standing_distortion,
    try_block,
    weigh,
)
from cfm.codecs.hevc.coding_tree import likely_modes, luma_scan
from cfm.codecs.hevc.measure import alike
from cfm.codecs.hevc.mode_search import rank_modes
from cfm.codecs.hevc.state import (
    CBF,
    HIDES,
    LOG2_CTU,
    MODE,
    MOST_SPLITS,
    SKIPPED,
    TRANSFORM,
)
from cfm.codecs.hevc.tables import CBF_LUMA, DC, MODE_IS_LIKELY, PLANAR, SPLIT_TRANSFORM, UNIT_X, UNIT_Y
from cfm.codecs.kernels import copy_line, general
from cfm.codecs.metric import DELTA_QP, MODES, PARTITION

WHOLE, PART, SPLIT, TRIAL = range(1, 5)  # rows of trials and their contexts; row 0 has those of the unit so far


@general
def mode_cost(states, mode, likely):
    """Cost of a luma mode."""
    state = states[MODE_IS_LIKELY]
    if mode == likely[0]:
        return BIN_COST[state ^ 1] + BIT
    if mode == likely[1] or mode == likely[2]:
        return BIN_COST[state ^ 1] + 2 * BIT
    return BIN_COST[state] + 5 * BIT


@general
def choose_mode(frame, work, local, settings, y, x, log2, qp, states, tried, depth):
    """Choose the mode of a luma block of up to 32x32 without splitting its transform; from contexts `states`.

    Returns the mode, and what `try_levels` says of it, as the choice of modes has it; the trial and the contexts after
    it stand in row `WHOLE`. Where one mode is to be tried, it is the best by its rough cost, and is not tried.
    """
    source, side, hides = frame.source[0], 1 << log2, frame.options[HIDES] != 0
    likely = likely_modes(frame.modes, frame.options[LOG2_CTU], y, x)
    gather(frame, work, 0, y, x, side)
    chosen = work.chosen[0]
    count = rank_modes(work, source, y, x, side, likely, settings.root_lambda, tried, chosen)
    sine, flag = log2 == 2, CBF_LUMA + (0 if depth else 1)
    weigh(work, local, 0, y, x, log2, sine, False)
    least, best = np.inf, chosen[0]
    best_cost, best_error, best_coded = np.inf, np.inf, False
    if count == 1:
        return best, best_cost, best_error, best_coded
    for place in range(count):
        mode = chosen[place]
        predict_gathered(work, 0, mode, side)
        scan = luma_scan(mode, log2)
        cost, error, coded = try_levels(
            work,
            local,
            MODES,
            source,
            y,
            x,
            log2,
            sine,
            False,
            scan,
            qp,
            hides,
            settings.lambda_,
            settings.level_lambda,
            states,
            flag,
            TRIAL,
        )
        total = cost + settings.lambda_ * mode_cost(states, mode, likely) / BIT
        if total < least:
            least, best = total, mode
            best_cost, best_error, best_coded = cost, error, coded
            take_trial(work, log2, WHOLE)
    return best, best_cost, best_error, best_coded


@general
def try_whole(frame, work, local, decision, settings, y, x, log2, depth, mode, qp, level_lambda, states, row):
    """Choose the levels of a luma block that is not split further, into trial `row`; `work.states[row]` follows.

    decision: which one the distortion is for; it tells whether to skip the transform, too.

    Returns (cost without what says that it is not split, distortion, whether it has levels, whether its transform is
    skipped).
    """
    side, hides, flag = 1 << log2, frame.options[HIDES] != 0, CBF_LUMA + (0 if depth else 1)
    source, scan, sine = frame.source[0], luma_scan(mode, log2), log2 == 2
    gather(frame, work, 0, y, x, side)
    predict_gathered(work, 0, mode, side)
    weigh(work, local, 0, y, x, log2, sine, False)
    cost, error, coded = try_levels(
        work,
        local,
        decision,
        source,
        y,
        x,
        log2,
        sine,
        False,
        scan,
        qp,
        hides,
        settings.lambda_,
        level_lambda,
        states,
        flag,
        row,
    )
    if log2 > 2 or not coded:
        return cost, error, coded, False
    return try_skip(
        work, local, decision, source, settings, y, x, scan, qp, hides, level_lambda, states, flag, row, cost, error
    )


@general
def try_skip(
    work, local, decision, source, settings, y, x, scan, qp, hides, level_lambda, states, flag, row, cost, error
):
    """Skip the transform of a predicted 4x4 block that has levels, if that is better than trial `row`.

    cost, error: of trial `row`. Returns what `try_whole` does.
    """
    weigh(work, local, 0, y, x, 2, True, True)
    other, other_error, other_coded = try_levels(
        work,
        local,
        decision,
        source,
        y,
        x,
        2,
        True,
        True,
        scan,
        qp,
        hides,
        settings.lambda_,
        level_lambda,
        states,
        flag,
        TRIAL,
    )
    if not other_coded or other >= cost:
        return cost, error, True, False
    take_trial(work, 2, row)
    return other, other_error, True, True


@general
def try_levels(
    work, local, decision, source, y, x, log2, sine, skip, scan, qp, hides, lambda_, level_lambda, states, flag, row
):
    """Choose the levels of a predicted luma block into trial `row`; `work.states[row]` follows `states`.

    Returns (cost of distortion, levels and the flag that tells whether there are any, distortion, whether there are).
    """
    error, coded = try_block(
        work, local, decision, source, 0, y, x, log2, sine, skip, scan, qp, hides, level_lambda, states, flag, row
    )
    copy_line(states, work.states[row])
    bits = count_block(work, work.states[row], row, log2, 0, scan, 1 if skip else 0, hides, flag, coded)
    return error + lambda_ * bits / BIT, error, coded


@general
def take_trial(work, log2, row):
    """Copy row `TRIAL` of a block, and the contexts after it, to another."""
    copy_line(work.states[TRIAL], work.states[row])
    levels, samples, other_levels, other_samples = (
        work.levels[TRIAL],
        work.samples[TRIAL],
        work.levels[row],
        work.samples[row],
    )
    for k in range(1 << (2 * log2)):
        other_levels[k], other_samples[k] = levels[k], samples[k]


@general
def commit_whole(frame, tree, work, z, y, x, log2, row, coded, skipped):
    """Write a luma block that is not split further into the frame and the tree."""
    commit_block(frame, tree, work, 0, y, x, log2, z, row)
    units = tree.units
    for unit in range(z, z + (1 << (2 * log2 - 4))):
        units[unit, TRANSFORM] = log2
        units[unit, CBF] = 1 if coded else 0
        units[unit, SKIPPED] = 1 if skipped else 0


@general
def search_transform(frame, tree, work, local, settings, z, y, x, log2, depth, may_split, mode, qp, states):
    """Choose whether to split a luma block's transform and its levels, and write them into the frame and the tree.

    See `search_split`.
    """
    cost, error, coded, skipped = try_whole(
        frame, work, local, PARTITION, settings, y, x, log2, depth, mode, qp, settings.level_lambda, states, WHOLE
    )
    return search_split(
        frame,
        tree,
        work,
        local,
        settings,
        z,
        y,
        x,
        log2,
        depth,
        may_split,
        mode,
        qp,
        states,
        cost,
        error,
        coded,
        skipped,
    )


@general
def search_mode(frame, tree, work, local, settings, z, y, x, log2, depth, may_split, qp, states, tried):
    """Choose the mode of a luma block of up to 32x32 as well; so many are tried, more than one.

    Returns mode, cost without the mode's, and distortion.
    """
    mode, cost, error, coded = choose_mode(frame, work, local, settings, y, x, log2, qp, states, tried, depth)
    if not alike(local, MODES, PARTITION):
        cost, error = search_transform(
            frame, tree, work, local, settings, z, y, x, log2, depth, may_split, mode, qp, states
        )
        return mode, cost, error
    # The trial of the mode is that of the block as a whole.
    skipped = False
    if log2 == 2 and coded:
        predict_gathered(work, 0, mode, 4)
        hides, flag = frame.options[HIDES] != 0, CBF_LUMA + (0 if depth else 1)
        scan, level_lambda = luma_scan(mode, 2), settings.level_lambda
        cost, error, coded, skipped = try_skip(
            work,
            local,
            PARTITION,
            frame.source[0],
            settings,
            y,
            x,
            scan,
            qp,
            hides,
            level_lambda,
            states,
            flag,
            WHOLE,
            cost,
            error,
        )
    cost, error = search_split(
        frame,
        tree,
        work,
        local,
        settings,
        z,
        y,
        x,
        log2,
        depth,
        may_split,
        mode,
        qp,
        states,
        cost,
        error,
        coded,
        skipped,
    )
    return mode, cost, error


@general
def search_split(
    frame, tree, work, local, settings, z, y, x, log2, depth, may_split, mode, qp, states, cost, error, coded, skipped
):
    """Choose whether to split the transform of a luma block that stands in trial `WHOLE`, and write what is better.

    Parameters
    ----------
    frame, tree, work, local, settings
        The picture, where to write, room, the distortion, and lambda.
    z, y, x, log2 : int
        The block, of up to 32x32.
    depth, may_split : int, bool
        Its depth in the transform tree, and whether it may be split.
    mode, qp : int
        Its mode and QP.
    states : array of uint8
        Contexts before it; those after it take their place.
    cost, error, coded, skipped
        What `try_whole` says of the trial.

    Returns
    -------
    tuple
        Cost and distortion.
    """
    if may_split and log2 > 2:
        context, split_states = SPLIT_TRANSFORM + 5 - log2, work.states[SPLIT]
        state = states[context]
        cost += settings.lambda_ * BIN_COST[state] / BIT
        if coded:
            copy_line(states, split_states)
            split_states[context] = NEXT_STATE[state, 1]
            split_cost, split_error = settings.lambda_ * BIN_COST[state ^ 1] / BIT, 0.0
            half, step = 1 << (log2 - 1), 1 << (2 * log2 - 6)
            for part in range(4):
                top, left, first = y + half * (part >> 1), x + half * (part & 1), z + part * step
                part_cost, part_error, part_coded, part_skipped = try_whole(
                    frame,
                    work,
                    local,
                    PARTITION,
                    settings,
                    top,
                    left,
                    log2 - 1,
                    depth + 1,
                    mode,
                    qp,
                    settings.level_lambda,
                    split_states,
                    PART,
                )
                commit_whole(frame, tree, work, first, top, left, log2 - 1, PART, part_coded, part_skipped)
                copy_line(work.states[PART], split_states)
                split_cost, split_error = split_cost + part_cost, split_error + part_error
                if split_cost >= cost:
                    break
            if split_cost < cost:
                copy_line(split_states, states)
                return split_cost, split_error
        work.states[WHOLE, context] = NEXT_STATE[state, 0]
    copy_line(work.states[WHOLE], states)
    commit_whole(frame, tree, work, z, y, x, log2, WHOLE, coded, skipped)
    return cost, error


@general
def search_quarters(frame, tree, work, local, settings, z, y, x, mode, qp, states):
    """The same of a block of 64x64, whose four quarters have a transform each."""
    cost = error = 0.0
    for part in range(4):
        top, left = y + 32 * (part >> 1), x + 32 * (part & 1)
        a, b = search_transform(
            frame, tree, work, local, settings, z + 64 * part, top, left, 5, 1, False, mode, qp, states
        )
        cost, error = cost + a, error + b
    return cost, error


@general
def search_luma(frame, tree, work, local, settings, z, y, x, log2, parts, qp, states, limit):
    """Choose modes, transform tree and levels of a unit's luma; `states` are those before it.

    Returns the distortion; infinity where four predictions together cost `limit` or more, when nothing that was written
    is of use. Writes the modes into the frame as well.
    """
    units, modes = tree.units, frame.modes
    copy_line(states, work.states[0])
    if parts:
        error = total = 0.0
        for part in range(4):
            top, left = y + 4 * (part >> 1), x + 4 * (part & 1)
            likely = likely_modes(frame.modes, frame.options[LOG2_CTU], top, left)
            mode, cost, part_error = search_mode(
                frame,
                tree,
                work,
                local,
                settings,
                z + part,
                top,
                left,
                2,
                1,
                False,
                qp,
                work.states[0],
                settings.tried4,
            )
            units[z + part, MODE] = mode
            modes[1 + (top >> 2), 1 + (left >> 2)] = mode
            error += part_error
            total += cost + settings.lambda_ * mode_cost(states, mode, likely) / BIT
            if total >= limit:
                return np.inf
        return error
    if log2 > 5:
        ranked = choose_mode(frame, work, local, settings, y, x, 5, qp, states, 1, 0)[0]
        least, mode, last, error = np.inf, ranked, -1, 0.0
        for candidate in (ranked, DC, PLANAR):
            if candidate == last:
                continue
            copy_line(states, work.states[0])
            cost, last_error = search_quarters(
                frame, tree, work, local, settings, z, y, x, candidate, qp, work.states[0]
            )
            last = candidate
            if not alike(local, MODES, PARTITION):
                cost += standing_distortion(frame, work, local, MODES, 0, y, x, 64)
                cost -= standing_distortion(frame, work, local, PARTITION, 0, y, x, 64)
            if cost < least:
                least, mode, error = cost, candidate, last_error
        if mode != last:
            copy_line(states, work.states[0])
            error = search_quarters(frame, tree, work, local, settings, z, y, x, mode, qp, work.states[0])[1]
    else:
        tried = settings.tried8 if log2 == 3 else settings.tried16 if log2 == 4 else settings.tried32
        may_split = frame.options[MOST_SPLITS] > 0
        found = search_mode(frame, tree, work, local, settings, z, y, x, log2, 0, may_split, qp, work.states[0], tried)
        mode, error = found[0], found[2]
    side = 1 << log2
    for unit in range(z, z + (side * side >> 4)):
        units[unit, MODE] = mode
    for row in range(1 + (y >> 2), 1 + ((y + side) >> 2)):
        for column in range(1 + (x >> 2), 1 + ((x + side) >> 2)):
            modes[row, column] = mode
    return error


@general
def recode_luma(frame, tree, work, local, settings, z_unit, y, x, log2_unit, qp, level_lambda):
    """Choose the levels of a unit's luma anew, in its modes and transform tree; `work.states[0]` follows.

    Returns the distortion.
    """
    units, states, error = tree.units, work.states[0], 0.0
    z, end = z_unit, z_unit + (1 << (2 * log2_unit - 4))
    while z < end:
        log2, mode = np.int64(units[z, TRANSFORM]), np.int64(units[z, MODE])
        top, left = y + UNIT_Y[z] - UNIT_Y[z_unit], x + UNIT_X[z] - UNIT_X[z_unit]
        part_error, coded, skipped = try_whole(
            frame,
            work,
            local,
            DELTA_QP,
            settings,
            top,
            left,
            log2,
            log2_unit - log2,
            mode,
            qp,
            level_lambda,
            states,
            PART,
        )[1:]
        commit_whole(frame, tree, work, z, top, left, log2, PART, coded, skipped)
        copy_line(work.states[PART], states)
        error += part_error
        z += 1 << (2 * log2 - 4)
    return error
