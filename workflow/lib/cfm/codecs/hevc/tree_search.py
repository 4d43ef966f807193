"""Search over the coding quadtree of a coding tree block."""

from __future__ import annotations

import numpy as np

from cfm.codecs.cabac import BIT, COST
from cfm.codecs.hevc.blocks import unit_distortion
from cfm.codecs.hevc.chroma_search import search_chroma
from cfm.codecs.hevc.coding_tree import code_split, code_unit, start_group
from cfm.codecs.hevc.luma_search import search_luma
from cfm.codecs.hevc.measure import alike
from cfm.codecs.hevc.refinement import refine
from cfm.codecs.hevc.snapshots import fill_depth, fill_maps, fill_qps, keep, restore, unit_at
from cfm.codecs.hevc.state import (
    BEFORE,
    HAS_DELTAS,
    HEIGHT,
    LOG2,
    LOG2_CTU,
    LOG2_GROUP,
    PARTS,
    QP,
    SPLIT,
    START,
    WHOLE,
    WIDTH,
)
from cfm.codecs.kernels import copy_line, general
from cfm.codecs.metric import MODES, PARTITION


@general
def search_unit(frame, tree, work, local, settings, z, y, x, log2, parts, qp, states, limit):
    """Choose all of a coding unit, and write it into the frame and the tree.

    Returns its cost; `states` and the slice's state follow. A unit of four predictions whose luma alone costs `limit`
    is given up: infinity is returned, the states stay as they are.
    """
    units = tree.units
    for unit in range(z, z + (1 << (2 * log2 - 4))):
        units[unit, LOG2], units[unit, PARTS], units[unit, QP] = log2, parts, qp
    fill_depth(frame, y, x, log2)
    error = search_luma(frame, tree, work, local, settings, z, y, x, log2, parts, qp, states, limit)
    if error == np.inf:
        return error
    error += search_chroma(frame, tree, work, local, settings, z, y, x, log2, qp, states)
    if not alike(local, MODES, PARTITION):
        error = unit_distortion(frame, work, local, settings, PARTITION, y, x, log2)
    work.coders[0, COST] = 0
    code_unit(work.coders[0], work.outputs[0], states, frame, tree, z, y, x, log2)
    return error + settings.lambda_ * work.coders[0, COST] / BIT


@general
def search_tree(frame, tree, work, local, settings, y, x):
    """Choose the partition of the coding tree block at (y, x) and all below.

    The contexts before it stand in `tree.states` at its depth. The quadtree is walked with a stack of its own; numba's
    cache does not hold functions that call themselves.
    """
    first = 6 - frame.options[LOG2_CTU]
    part, tops, lefts, whole, split = tree.part, tree.tops, tree.lefts, tree.whole, tree.split
    depth = first
    tops[depth], lefts[depth] = y, x
    while True:
        # Go down, to the first part of each node.
        cost = search_node(frame, tree, work, local, settings, tops[depth], lefts[depth], depth, whole, split)
        if depth < 3 and cost == np.inf:
            part[depth] = 0
            depth += 1
            tops[depth], lefts[depth] = tops[depth - 1], lefts[depth - 1]
            continue
        # Go up from nodes that are done, to the next part of one that is not.
        while True:
            if depth == first:
                return
            depth -= 1
            split[depth] += cost
            part[depth] += 1
            if part[depth] < 4 and split[depth] < whole[depth]:
                half = 32 >> depth
                tops[depth + 1] = tops[depth] + half * (part[depth] >> 1)
                lefts[depth + 1] = lefts[depth] + half * (part[depth] & 1)
                depth += 1
                break
            states = tree.states[depth]
            copy_line(tree.states[depth + 1, START], states[SPLIT])
            y, x = tops[depth], lefts[depth]
            if frame.options[HAS_DELTAS] and 6 - depth == frame.options[LOG2_GROUP] and split[depth] < whole[depth]:
                # The parts have one QP.
                flag, z = tree.split_flag[0], unit_at(frame, y, x)
                split[depth] = flag + refine(
                    frame,
                    tree,
                    work,
                    local,
                    settings,
                    z,
                    y,
                    x,
                    6 - depth,
                    split[depth] - flag,
                    states[BEFORE],
                    states[SPLIT],
                    True,
                    False,
                )
            cost = decide(frame, tree, y, x, depth, whole[depth], split[depth])


@general
def search_node(frame, tree, work, local, settings, y, x, depth, whole, split):
    """Search a node as one coding unit, and one of 8x8 as one with four predictions.

    Parameters
    ----------
    depth : int
        Of a coding tree block of 64.
    whole, split : arrays (4,)
        Costs by depth: of the coding unit, and of what splitting the node costs before its parts. Written.

    Returns
    -------
    float
        Cost of the node, or infinity where its parts have to be searched first.
    """
    options, log2, qp = frame.options, 6 - depth, settings.qp + settings.deltas[0]
    side = 1 << log2
    if y >= options[HEIGHT] or x >= options[WIDTH]:
        return 0.0
    states, coder, slice_state = tree.states[depth], work.coders[0], frame.slice_state
    z, fits = unit_at(frame, y, x), y + side <= options[HEIGHT] and x + side <= options[WIDTH]
    if log2 >= options[LOG2_GROUP]:
        start_group(frame, y, x)
    slice_states = tree.slice_states[depth]
    copy_line(slice_state, slice_states[START])
    whole[depth] = np.inf
    if fits:
        copy_line(states[START], states[WHOLE])
        coder[COST] = 0
        code_split(coder, work.outputs[0], states[WHOLE], frame, y, x, log2, False)
        whole[depth] = settings.lambda_ * coder[COST] / BIT
        copy_line(states[WHOLE], states[BEFORE])
        cost = search_unit(frame, tree, work, local, settings, z, y, x, log2, 0, qp, states[WHOLE], np.inf)
        own_group = log2 >= options[LOG2_GROUP]
        whole[depth] += refine(
            frame, tree, work, local, settings, z, y, x, log2, cost, states[BEFORE], states[WHOLE], own_group, True
        )
        keep(frame, tree, depth, z, y, x, log2)
        copy_line(slice_state, slice_states[WHOLE])
        copy_line(slice_states[START], slice_state)
    if log2 == 3:
        copy_line(states[START], states[SPLIT])
        copy_line(states[START], states[BEFORE])
        # Other shares of lambda may still make what costs more at first the cheaper.
        limit = whole[depth] if settings.level_shares.shape[0] == 1 else np.inf
        cost = search_unit(frame, tree, work, local, settings, z, y, x, log2, 1, qp, states[SPLIT], limit)
        if cost == np.inf:
            return decide(frame, tree, y, x, depth, whole[depth], cost)
        split[depth] = refine(
            frame, tree, work, local, settings, z, y, x, log2, cost, states[BEFORE], states[SPLIT], False, True
        )
        return decide(frame, tree, y, x, depth, whole[depth], split[depth])
    below = tree.states[depth + 1, START]
    copy_line(states[START], below)
    coder[COST] = 0
    code_split(coder, work.outputs[0], below, frame, y, x, log2, True)
    split[depth] = settings.lambda_ * coder[COST] / BIT
    if options[HAS_DELTAS] and log2 == options[LOG2_GROUP]:
        copy_line(below, states[BEFORE])
        tree.split_flag[0] = split[depth]
    return np.inf


@general
def decide(frame, tree, y, x, depth, whole, split):
    """Keep the cheaper of a node as a whole and as split, which stands in the frame; returns its cost."""
    states = tree.states[depth]
    if split < whole:
        copy_line(states[SPLIT], states[START])
        return split
    copy_line(states[WHOLE], states[START])
    copy_line(tree.slice_states[depth, WHOLE], frame.slice_state)
    restore(frame, tree, depth, unit_at(frame, y, x), y, x, 6 - depth)
    fill_maps(frame, tree, y, x, 6 - depth)
    fill_qps(frame, y, x, 6 - depth)
    return whole
