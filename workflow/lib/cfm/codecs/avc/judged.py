"""The choice of a macroblock's QP and kind by a judge; see `cfm.codecs.judge`."""

from __future__ import annotations

import numpy as np

from cfm.codecs.avc.deblocking import AREA, BESIDE, deblock_area, fill_area
from cfm.codecs.avc.measure import Local
from cfm.codecs.avc.search import BITS, KINDS, PARTITION_COST, search_macroblock
from cfm.codecs.avc.settings import Settings
from cfm.codecs.avc.state import CBP, I8, I16, KIND, PREVIOUS_QP, QP, Frame, Macroblock, copy_macroblock, new_macroblock
from cfm.codecs.cabac import BIT
from cfm.codecs.judge import Block, Judge, cropped, judged_costs


def judge_macroblock(
    frame: Frame,
    local: Local,
    candidates: tuple[Macroblock, ...],
    my: int,
    mx: int,
    states: np.ndarray,
    settings: Settings,
    judge: Judge,
    size: tuple[int, int],
) -> float:
    """Have a judge choose among all QPs and kinds of a macroblock, into the last candidate; returns what its bits cost.

    The judge sees luma as filtered so far, with the 4 samples to the left and above that this macroblock's edges
    change, and chroma before the filter. The trials of levels that effort adds are left out.

    size: the picture's, in luma samples.
    """
    ways, costs_in_bits, bits, blocks = [], [], [], []
    y, x = (max(0, 16 * place - BESIDE) for place in (my, mx))
    for delta in settings.deltas:
        costs = np.zeros((BITS + 1, KINDS))
        qp, share = settings.qp + delta, settings.level_shares[0]
        search_macroblock(frame, local, candidates, my, mx, qp, share, states, settings, settings.tried, -1, costs)
        for kind in np.flatnonzero(np.isfinite(costs[PARTITION_COST])):
            way = new_macroblock()
            copy_macroblock(candidates[kind], way)
            ways.append(way)
            bits.append(costs[BITS, kind])
            costs_in_bits.append(costs[BITS, kind] / BIT + (settings.return_bits if delta else 0.0))
            blocks.append(cropped(_region(frame, way, my, mx, settings.deblocking), size[0] - y, size[1] - x))
    best = int(np.argmin(judged_costs(judge, y, x, blocks, costs_in_bits, settings.lambda_)))
    copy_macroblock(ways[best], candidates[-1])
    judge.commit(y, x, blocks[best])
    return bits[best]


def _region(frame: Frame, mb: Macroblock, my: int, mx: int, deblocking: bool) -> Block:
    """A macroblock with the samples to its left and above, up to `BESIDE` of luma, as far as there are."""
    area, qp = np.zeros(AREA * AREA, np.int32), mb.head[QP]
    if mb.head[KIND] != I16 and not mb.head[CBP]:
        qp = frame.slice_state[PREVIOUS_QP]  # nothing is coded that would say otherwise
    fill_area(frame.shown, mb.luma, my, mx, area)
    if deblocking:
        deblock_area(area, frame.qps, my, mx, qp, bool(mb.head[KIND] == I8))
    area = area.reshape(AREA, AREA)
    luma = frame.shown[max(0, 16 * my - BESIDE) : 16 * my + 16, max(0, 16 * mx - BESIDE) : 16 * mx + 16].copy()
    luma[-16:, -16:] = area[BESIDE:, BESIDE:]
    if my:
        luma[:BESIDE, -16:] = area[:BESIDE, BESIDE:]
    if mx:
        luma[-16:, :BESIDE] = area[BESIDE:, :BESIDE]
    chroma, half = [], BESIDE // 2
    for plane in range(2):
        coded = frame.coded[1 + plane]
        region = coded[max(0, 8 * my - half) : 8 * my + 8, max(0, 8 * mx - half) : 8 * mx + 8].copy()
        region[-8:, -8:] = mb.chroma[plane]
        chroma.append(region)
    return luma, *chroma
