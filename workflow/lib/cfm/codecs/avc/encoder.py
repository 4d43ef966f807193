"""An intra encoder of AVC, High profile, whose decisions weigh rate against a distortion of one's choice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cfm.codecs.avc.cavlc import put_bits
from cfm.codecs.avc.deblocking import AREA, deblock_area, fill_area, show_area
from cfm.codecs.avc.judged import judge_macroblock
from cfm.codecs.avc.macroblock import code_macroblock
from cfm.codecs.avc.macroblock_cavlc import put_macroblock
from cfm.codecs.avc.measure import localise, new_local
from cfm.codecs.avc.search import BITS, KINDS, QP_COST, search_macroblock
from cfm.codecs.avc.settings import settings_of
from cfm.codecs.avc.state import CHROMA, I8, KIND, PREVIOUS_QP, copy_macroblock, new_frame, new_macroblock
from cfm.codecs.avc.syntax import SLICE_IDR, nal_unit, picture_parameters, sequence_parameters, slice_header
from cfm.codecs.avc.tables import initial_states
from cfm.codecs.cabac import BIT, POSITION, encode_terminate, new_coder
from cfm.codecs.distortion import DECISIONS, Distortion
from cfm.codecs.encoded import EncodedPicture, padded
from cfm.codecs.judge import Judge
from cfm.codecs.kernels import allocating
from cfm.codecs.metric import metric_of
from cfm.codecs.picture import Picture

BEST = KINDS  # place of the best so far among the candidates
SIDE_OF_KIND = np.array([4, 8, 16], np.uint8)  # I4, I8, I16
BYTES_A_MACROBLOCK = 1600  # random samples of 0 and 255 take 770 at QP 0


def encode_picture(
    picture: Picture,
    qp: int,
    distortion: Distortion | None = None,
    deltas: Sequence[int] = (0,),
    chroma_offset: int = 0,
    cabac: bool = True,
    deblocking: bool = True,
    effort: int = 1,
    decisions: Sequence[str] = DECISIONS,
    judge: Judge | None = None,
) -> EncodedPicture:
    """Code a picture of 8-bit 4:2:0.

    Parameters
    ----------
    picture : Picture
        Layout "yuv420", 8 bits.
    qp : int
        0 to 51.
    distortion : Distortion or None
        What the decisions minimise; the squared error where absent.
    deltas : sequence of int
        What may be added to the QP in each macroblock.
    chroma_offset : int
        chroma_qp_index_offset, -12 to 12.
    cabac : bool
        Whether the entropy coder is CABAC, else CAVLC.
    deblocking : bool
        Whether the decoder filters the edges of blocks.
    effort : int
        1 to `LARGEST_EFFORT`: how many ways to choose its levels are tried in a macroblock, with more modes.
    decisions : sequence of str
        Those of `DECISIONS` that use the distortion's data, others the squared error weighted by `Distortion.plain`:
        "partition" is the kind of macroblock, "mode" the choice of luma and chroma modes, "levels" that of levels,
        "delta_qp" that of the QP, with the trials of `effort`. What is coded of a macroblock's chroma or of its AC
        levels is decided with the mode.
    judge : Judge or None
        Who chooses the kind of macroblock and the QP in place of the distortion, see `cfm.codecs.avc.judged`; for a few
        pictures.

    Raises
    ------
    InputError
        If the distortion is of another size, the picture larger than AVC allows, or a judge gives no distortions.
    ConfigurationError
        If no delta gives a QP that there is, or there is no decision of a name.
    """
    if distortion is not None:
        distortion.check_fits(picture)
    parameters = sequence_parameters(picture.height, picture.width) + picture_parameters(cabac, chroma_offset)
    planes = tuple(padded(plane, 8 if index else 16) for index, plane in enumerate(picture.planes))
    frame = new_frame(planes, qp)
    metric = metric_of(distortion, picture.height, picture.width, decisions)
    writer = slice_header(qp, deblocking)
    header = np.frombuffer(writer.aligned(1 if cabac else 0), np.uint8)
    out = np.zeros(len(header) + 64 + BYTES_A_MACROBLOCK * (planes[0].size // 256), np.uint8)
    out[: len(header)] = header
    coder = new_coder(counting=False)
    coder[POSITION] = 8 * len(header) if cabac else len(writer.bits)
    candidates = tuple(new_macroblock() for _ in range(KINDS + 1))
    settings = settings_of(
        qp,
        deltas,
        effort,
        chroma_offset,
        cabac,
        deblocking,
        weighs_chroma=distortion is not None and distortion.weighs_chroma,
        gives_up=judge is None,
    )
    costs = np.zeros(frame.qps.shape)
    slice_ = (frame, metric, new_local(metric), candidates, coder, out, initial_states(qp), settings, costs)
    if judge is None:
        encode_slice(*slice_)
    else:
        encode_judged(*slice_, judge, picture)
    data = out[: -(-int(coder[POSITION]) // 8)].tobytes()
    coded = tuple(plane.astype(np.uint8) for plane in frame.coded)
    shown = frame.shown.astype(np.uint8)
    sides = SIDE_OF_KIND[frame.kinds[1:, 1:]].repeat(4, 0).repeat(4, 1)
    return EncodedPicture(
        parameters + nal_unit(SLICE_IDR, data),
        coded,
        shown,
        costs.sum() / BIT,
        frame.qps.astype(np.int8),
        sides[: -(-picture.height // 4), : -(-picture.width // 4)],
        (costs / BIT).astype(np.float32),
    )


@allocating
def encode_slice(frame, metric, local, candidates, coder, out, states, settings, costs):
    """Search and code all macroblocks.

    candidates: one for each kind of macroblock, and one for the best so far; costs: what the bits of each macroblock
    cost as the search counted them, written.
    """
    for my in range(frame.qps.shape[0]):
        for mx in range(frame.qps.shape[1]):
            begin_macroblock(frame, metric, local, my, mx)
            costs[my, mx] = choose_macroblock(frame, local, candidates, my, mx, states, settings)
            end_macroblock(frame, candidates[BEST], coder, out, states, settings, my, mx)


def encode_judged(
    frame, metric, local, candidates, coder, out, states, settings, costs, judge: Judge, picture: Picture
) -> None:
    """The same with a judge."""
    for my, mx in np.ndindex(frame.qps.shape):
        begin_macroblock(frame, metric, local, my, mx)
        size = (picture.height, picture.width)
        costs[my, mx] = judge_macroblock(frame, local, candidates, my, mx, states, settings, judge, size)
        end_macroblock(frame, candidates[BEST], coder, out, states, settings, my, mx)


@allocating
def begin_macroblock(frame, metric, local, my, mx):
    """Bring the distortion to a macroblock."""
    if not metric.plain:
        localise(metric, my, mx, local)
    with_data, without = local.diagonal4[0].mean(), local.plain4[0].mean()
    for decision in range(len(metric.uses)):
        frame.luma_weights[decision, my, mx] = with_data if metric.uses[decision] else without


@allocating
def end_macroblock(frame, mb, coder, out, states, settings, my, mx):
    """Code a macroblock as chosen and enter it into the frame."""
    area = np.zeros(AREA * AREA, np.int32)
    last = my == frame.qps.shape[0] - 1 and mx == frame.qps.shape[1] - 1
    if settings.cabac:
        code_macroblock(coder, out, states, frame, mb, my, mx)
        encode_terminate(coder, out, 1 if last else 0)
    else:
        put_macroblock(coder, out, frame, mb, my, mx)
        if last:
            put_bits(coder, out, 1, 1)
    frame.coded[0][16 * my : 16 * my + 16, 16 * mx : 16 * mx + 16] = mb.luma
    for plane in range(2):
        frame.coded[1 + plane][8 * my : 8 * my + 8, 8 * mx : 8 * mx + 8] = mb.chroma[plane]
    qp = frame.slice_state[PREVIOUS_QP]
    frame.qps[my, mx] = qp
    fill_area(frame.shown, mb.luma, my, mx, area)
    if settings.deblocking:
        deblock_area(area, frame.qps, my, mx, qp, mb.head[KIND] == I8)
    show_area(area, my, mx, frame.shown)


@allocating
def choose_macroblock(frame, local, candidates, my, mx, states, settings):
    """Choose QP, kind, modes and levels of a macroblock, into the last candidate; returns what its bits cost.

    The first trial, at the QP nearest to the slice's, decides which kind and which chroma mode the others keep. Those
    have other QPs, or the first QP and levels chosen by another lambda: what is best for a block by itself need not be
    best for the macroblock, whose later blocks are predicted from it and whose edges are filtered.
    """
    least, bits = np.inf, 0.0
    costs = np.zeros((BITS + 1, KINDS))
    tried, chroma_mode = settings.tried, -1
    deltas = len(settings.deltas)
    for trial in range(deltas + len(settings.level_shares) - 1):
        delta = settings.deltas[trial if trial < deltas else 0]
        share = settings.level_shares[max(0, trial - deltas + 1)]
        chosen = search_macroblock(
            frame, local, candidates, my, mx, settings.qp + delta, share, states, settings, tried, chroma_mode, costs
        )
        # Whoever leaves the slice's QP has to come back to it.
        cost = costs[QP_COST, chosen] + (settings.lambda_ * settings.return_bits if delta else 0.0)
        if cost < least:
            least, bits = cost, costs[BITS, chosen]
            copy_macroblock(candidates[chosen], candidates[BEST])
        if chroma_mode < 0:
            tried, chroma_mode = settings.tried_again, candidates[chosen].head[CHROMA]
            for kind in range(KINDS):
                if kind != chosen:
                    costs[:, kind] = np.inf
    return bits
