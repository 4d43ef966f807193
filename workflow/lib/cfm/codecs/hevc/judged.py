"""The search over the coding quadtree with a judge's choice of partition and QPs; see `cfm.codecs.judge`.

It does what `cfm.codecs.hevc.tree_search` and `cfm.codecs.hevc.refinement` do, with the same kernels for all below a
coding unit. Costs of nodes are bits here; distortions come from the judge, which sees samples before any filter.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from cfm.codecs.cabac import BIT, COST
from cfm.codecs.hevc.coding_tree import code_split, start_group
from cfm.codecs.hevc.local import Local
from cfm.codecs.hevc.refinement import SLOT, count_group, recode_group
from cfm.codecs.hevc.snapshots import keep, restore, unit_at
from cfm.codecs.hevc.state import (
    BEFORE,
    HAS_DELTAS,
    HEIGHT,
    LOG2_CTU,
    LOG2_GROUP,
    SPLIT,
    START,
    WHOLE,
    WIDTH,
    Frame,
)
from cfm.codecs.hevc.tree_search import decide, search_unit
from cfm.codecs.judge import Block, Judge, cropped, judged_costs


class Walk(NamedTuple):
    """What the search of a coding tree block works with.

    Attributes
    ----------
    frame, tree, work, local, settings
        See `cfm.codecs.hevc.state`, `cfm.codecs.hevc.measure` and `cfm.codecs.hevc.encoder`.
    judge : Judge
        Who chooses.
    size : tuple of int
        Height and width of the picture.
    """

    frame: Frame
    tree: np.record
    work: np.record
    local: Local
    settings: NamedTuple
    judge: Judge
    size: tuple[int, int]

    def standing(self, y: int, x: int, log2: int) -> Block:
        """What stands in the frame in a block, inside the picture."""
        side = 1 << log2
        planes = self.frame.coded
        corners = (planes[0][y:, x:], planes[1][y >> 1 :, x >> 1 :], planes[2][y >> 1 :, x >> 1 :])
        return cropped(corners, min(side, self.size[0] - y), min(side, self.size[1] - x))

    def costs(self, y: int, x: int, candidates: list[Block], bits: list[float]) -> np.ndarray:
        """Distortion plus lambda times bits."""
        return judged_costs(self.judge, y, x, candidates, bits, self.settings.lambda_)


def judged_by(judge: Judge, size: tuple[int, int]) -> Callable[..., None]:
    """What does the same as `cfm.codecs.hevc.tree_search.search_tree` with a judge, in a picture of (height, width).

    The trials of levels that effort adds are left out.
    """

    def search(frame, tree, work, local, settings, y, x):
        walk = Walk(frame, tree, work, local, settings, judge, size)
        _search_node(walk, y, x, 6 - int(frame.options[LOG2_CTU]))

    return search


def _search_node(walk: Walk, y: int, x: int, depth: int) -> float:
    """Search a node and all below; returns its bits. What is chosen stands in the frame and the tree."""
    frame, tree, log2 = walk.frame, walk.tree, 6 - depth
    options, side, states = frame.options, 1 << log2, tree.states[depth]
    if y >= options[HEIGHT] or x >= options[WIDTH]:
        return 0.0
    fits = y + side <= options[HEIGHT] and x + side <= options[WIDTH]
    if log2 >= options[LOG2_GROUP]:
        start_group(frame, y, x)
    slice_states = tree.slice_states[depth]
    slice_states[START] = frame.slice_state
    whole = _search_whole(walk, y, x, depth) if fits else None
    if log2 == 3:
        states[SPLIT] = states[START]
        bits = _search_unit(walk, y, x, log2, 1, states[SPLIT])
    else:
        bits = _search_parts(walk, y, x, depth)
    if whole is None:
        decide(frame, tree, y, x, depth, np.inf, 0.0)
        walk.judge.commit(y, x, walk.standing(y, x, log2))
        return bits
    way, whole_bits = whole
    split = walk.standing(y, x, log2)
    costs = walk.costs(y, x, [way, split], [whole_bits, bits])
    decide(frame, tree, y, x, depth, float(costs[0]), float(costs[1]))
    chosen = int(costs[1] < costs[0])
    walk.judge.commit(y, x, (way, split)[chosen])
    return (whole_bits, bits)[chosen]


def _search_whole(walk: Walk, y: int, x: int, depth: int) -> tuple[Block, float]:
    """Search a node as one coding unit and put it aside; returns what is decoded of it, and its bits."""
    frame, tree, log2 = walk.frame, walk.tree, 6 - depth
    states, slice_states = tree.states[depth], tree.slice_states[depth]
    states[WHOLE] = states[START]
    flag = _count_split(walk, y, x, log2, False, states[WHOLE])
    states[BEFORE] = states[WHOLE]
    bits = _search_unit(walk, y, x, log2, 0, states[WHOLE])
    if log2 >= frame.options[LOG2_GROUP]:
        bits = _choose_qp(walk, y, x, log2, bits, states[BEFORE], states[WHOLE])
    keep(frame, tree, depth, unit_at(frame, y, x), y, x, log2)
    slice_states[WHOLE] = frame.slice_state
    frame.slice_state[:] = slice_states[START]
    return walk.standing(y, x, log2), flag + bits


def _search_parts(walk: Walk, y: int, x: int, depth: int) -> float:
    """Search the four parts of a node; returns their bits."""
    frame, tree, log2 = walk.frame, walk.tree, 6 - depth
    states, below, half = tree.states[depth], tree.states[depth + 1], 1 << (5 - depth)
    below[START] = states[START]
    flag = _count_split(walk, y, x, log2, True, below[START])
    has_group = frame.options[HAS_DELTAS] and log2 == frame.options[LOG2_GROUP]
    if has_group:
        states[BEFORE] = below[START]
    bits = sum(_search_node(walk, y + half * (part >> 1), x + half * (part & 1), depth + 1) for part in range(4))
    states[SPLIT] = below[START]
    if has_group:
        # The parts have one QP.
        bits = _choose_qp(walk, y, x, log2, bits, states[BEFORE], states[SPLIT])
    return flag + bits


def _count_split(walk: Walk, y: int, x: int, log2: int, split: bool, states: np.ndarray) -> float:
    """Bits of what says whether a node is split; `states` follow."""
    coder = walk.work.coders[0]
    coder[COST] = 0
    code_split(coder, walk.work.outputs[0], states, walk.frame, y, x, log2, split)
    return coder[COST] / BIT


def _search_unit(walk: Walk, y: int, x: int, log2: int, parts: int, states: np.ndarray) -> float:
    """Search a coding unit; returns its bits, `states` follow."""
    frame, settings = walk.frame, walk.settings
    z, qp = unit_at(frame, y, x), settings.qp + settings.deltas[0]
    search_unit(frame, walk.tree, walk.work, walk.local, settings, z, y, x, log2, parts, qp, states, np.inf)
    return walk.work.coders[0, COST] / BIT


def _choose_qp(walk: Walk, y: int, x: int, log2: int, bits: float, before: np.ndarray, states: np.ndarray) -> float:
    """Have the judge choose the QP of a block of coding units, which stand in the frame; returns their bits.

    before, states: contexts before and after them; the latter are written.
    """
    frame, tree, settings = walk.frame, walk.tree, walk.settings
    if len(settings.deltas) == 1:
        return bits
    z, begin = unit_at(frame, y, x), tree.slice_states[6 - log2, START]
    keep(frame, tree, SLOT, z, y, x, log2)
    blocks, found, charged = [walk.standing(y, x, log2)], [bits], [bits]

    def recode(delta: int) -> float:
        frame.slice_state[:], states[:] = begin, before
        qp, share = settings.qp + delta, settings.level_shares[0]
        group = (z, y, x, log2, qp, share, states)
        return recode_group(frame, tree, walk.work, walk.local, settings, *group)[1] / BIT

    for delta in settings.deltas[1:]:
        found.append(recode(delta))
        # Whoever leaves the first QP has to come back to it.
        charged.append(found[-1] + settings.return_bits)
        blocks.append(walk.standing(y, x, log2))
    best = int(np.argmin(walk.costs(y, x, blocks, charged)))
    if best == 0:
        restore(frame, tree, SLOT, z, y, x, log2)
        frame.slice_state[:], states[:] = begin, before
        count_group(frame, tree, walk.work, z, y, x, log2, states)
    elif best < len(found) - 1:
        recode(settings.deltas[best])
    return found[best]
