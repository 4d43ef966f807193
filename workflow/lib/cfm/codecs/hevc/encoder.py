"""An intra encoder of HEVC, Main profile, whose decisions weigh rate against a distortion of one's choice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from cfm.codecs.cabac import BIT, COST, POSITION, encode_terminate, new_coder
from cfm.codecs.distortion import DECISIONS, Distortion
from cfm.codecs.encoded import EncodedPicture, padded
from cfm.codecs.hevc.coding_tree import code_tree
from cfm.codecs.hevc.judged import judged_by
from cfm.codecs.hevc.local import localise, new_local
from cfm.codecs.hevc.state import (
    CHROMA_OFFSET,
    HAS_DELTAS,
    HEIGHT,
    HIDES,
    LOG2,
    LOG2_CTU,
    LOG2_GROUP,
    MOST_SPLITS,
    OPTIONS,
    PARTS,
    START,
    TREE,
    WIDTH,
    new_frame,
    new_record,
    new_work,
)
from cfm.codecs.hevc.syntax import (
    SLICE_IDR,
    level_of,
    nal_unit,
    picture_parameters,
    sequence_parameters,
    slice_header,
    video_parameters,
)
from cfm.codecs.hevc.tables import CHROMA_QP, LARGEST_QP, Z_ORDER, initial_states
from cfm.codecs.hevc.tree_search import search_tree
from cfm.codecs.judge import Judge
from cfm.codecs.kernels import general
from cfm.codecs.metric import metric_of
from cfm.codecs.picture import Picture
from cfm.errors import ConfigurationError

# Set by BD-rate against x265.
LAMBDA = 0.57  # of 2^((QP - 12) / 3)
CHROMA_WEIGHT = 1.2
LEVEL_SHARES = (1.0, 0.7, 1.3, 0.5, 1.6)  # of lambda, in the choice of levels: one after the other, by effort
RETURN_BITS = 8.0  # that a quantisation group of another QP than the first is charged
SPLITS = 1  # of a transform tree
GROUP = 4  # log2 of the side of a quantisation group
TRIED = (6, 4, 3, 2)  # modes of blocks of 4, 8, 16, 32 that are tried in full
TRIED_CHROMA = 2
LARGEST_EFFORT = 5
BYTES_A_UNIT = 600  # of 8x8; random samples of 0 and 255 take less at QP 0


class Settings(NamedTuple):
    """What the search is told of the picture as a whole.

    Attributes
    ----------
    qp : int
        QP of the slice.
    lambda_, level_lambda : float
        Distortion that a bit is worth, in decisions and in the choice of levels.
    root_lambda : float
        Hadamard error that a bit is worth.
    return_bits : float
        Bits that are added where a quantisation group leaves the first QP.
    chroma_weight : float
        What distortion of chroma is multiplied by.
    tried4, tried8, tried16, tried32, tried_chroma : int
        Modes that are tried in full.
    deltas : array of int64
        What may be added to the QP in a quantisation group, the nearest to 0 first; the sums are QPs that there are.
    level_shares : array
        Shares of lambda in the choice of levels, each for a trial of a coding unit at the first QP.
    """

    qp: int
    lambda_: float
    level_lambda: float
    root_lambda: float
    return_bits: float
    chroma_weight: float
    tried4: int
    tried8: int
    tried16: int
    tried32: int
    tried_chroma: int
    deltas: np.ndarray
    level_shares: np.ndarray


def lambda_of(qp: int) -> float:
    """Squared error that a bit is worth at a QP."""
    return LAMBDA * 2 ** ((qp - 12) / 3)


def settings_of(qp: int, deltas: Sequence[int], effort: int, chroma_offset: int, weighs_chroma: bool) -> Settings:
    """Settings with the lambda of a QP.

    Raises `ConfigurationError` where no delta gives a QP that there is.
    """
    possible = {delta for delta in deltas if 0 <= qp + delta <= LARGEST_QP}
    if not possible:
        raise ConfigurationError(f"no QP within 0 to {LARGEST_QP}: {qp} with the delta QPs {list(deltas)}; name others")
    chroma_qp = int(CHROMA_QP[min(57, max(0, qp + chroma_offset))])
    lambda_ = lambda_of(qp)
    return Settings(
        qp,
        lambda_,
        LEVEL_SHARES[0] * lambda_,
        lambda_**0.5,
        RETURN_BITS,
        1.0 if weighs_chroma else CHROMA_WEIGHT * 2 ** ((qp - chroma_qp) / 3),
        *TRIED,
        TRIED_CHROMA,
        np.array(sorted(possible, key=lambda delta: (abs(delta), delta)), np.int64),
        np.array(LEVEL_SHARES[:effort]),
    )


def encode_picture(
    picture: Picture,
    qp: int,
    distortion: Distortion | None = None,
    deltas: Sequence[int] = (0,),
    chroma_offset: int = 0,
    ctu: int = 64,
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
        What may be added to the QP in each quantisation group of 16x16.
    chroma_offset : int
        pps_cb_qp_offset and pps_cr_qp_offset, -12 to 12.
    ctu : int
        Side of coding tree blocks: 16, 32 or 64.
    deblocking : bool
        Whether the decoder filters the edges of blocks.
    effort : int
        1 to `LARGEST_EFFORT`.
    decisions : sequence of str
        Those of `DECISIONS` that use the distortion's data, others the squared error weighted by `Distortion.plain`:
        "partition" is the split of coding and prediction units and of transforms, "mode" the choice of luma and chroma
        modes, "levels" that of levels, "delta_qp" that of the QP, with the trials of `effort`. Whether a transform is
        skipped belongs to the partition, and to the QP where levels are chosen anew for it.
    judge : Judge or None
        Who chooses the split into coding and prediction units and the QPs in place of the distortion, see
        `cfm.codecs.hevc.judged`; for a few pictures.

    Raises
    ------
    InputError
        If the distortion is of another size, the picture larger than HEVC allows, or a judge gives no distortions.
    ConfigurationError
        If no delta gives a QP that there is, or there is no decision of a name.
    """
    if distortion is not None:
        distortion.check_fits(picture)
    planes = tuple(padded(plane, 4 if index else 8) for index, plane in enumerate(picture.planes))
    height, width = planes[0].shape
    weighs_chroma = distortion is not None and distortion.weighs_chroma
    settings = settings_of(qp, deltas, effort, chroma_offset, weighs_chroma)
    log2_ctu, several = ctu.bit_length() - 1, len(set(deltas)) > 1 or deltas[0] != 0
    parameters = (
        video_parameters(level_of(height, width))
        + sequence_parameters(picture.height, picture.width, log2_ctu, SPLITS)
        + picture_parameters(log2_ctu - GROUP if several else None, chroma_offset)
    )
    options = np.zeros(OPTIONS, np.int64)
    options[HEIGHT], options[WIDTH], options[LOG2_CTU] = height, width, log2_ctu
    options[LOG2_GROUP], options[HAS_DELTAS] = GROUP if several else log2_ctu, several
    options[HIDES], options[CHROMA_OFFSET], options[MOST_SPLITS] = 1, chroma_offset, SPLITS
    frame = new_frame(planes, qp, options)
    metric = metric_of(distortion, picture.height, picture.width, decisions)
    header = np.frombuffer(slice_header(qp, deblocking), np.uint8)
    out = np.zeros(len(header) + 64 + BYTES_A_UNIT * (height * width // 64), np.uint8)
    out[: len(header)] = header
    coder = new_coder(counting=False)
    coder[POSITION] = 8 * len(header)
    sides = np.zeros((height // 4, width // 4), np.uint8)
    bits = np.zeros((-(-height // 16), -(-width // 16)), np.float32)
    counted = encode_slice(
        frame,
        sides,
        bits,
        metric,
        new_local(metric),
        new_record(TREE),
        new_work(),
        coder,
        out,
        initial_states(qp),
        settings,
        search_tree if judge is None else judged_by(judge, (picture.height, picture.width)),
    )
    data = out[: -(-int(coder[POSITION]) // 8)].tobytes()
    coded = tuple(plane.astype(np.uint8) for plane in frame.coded)
    last = [np.minimum(np.arange(1, count + 1, 2), count - 1) for count in frame.qps.shape]
    return EncodedPicture(
        parameters + nal_unit(SLICE_IDR, data),
        coded,
        None,
        counted,
        frame.qps[np.ix_(*last)],
        sides[: -(-picture.height // 4), : -(-picture.width // 4)],
        bits,
    )


def encode_slice(frame, sides, bits, metric, local, tree, work, coder, out, states, settings, search) -> float:
    """Search and code all coding tree blocks; returns the bits that the search counted.

    sides: those of the prediction blocks of 4x4 units, written; bits: those of groups of 16x16, written; search:
    `search_tree` or what does the same.
    """
    height, width, log2 = (int(frame.options[name]) for name in (HEIGHT, WIDTH, LOG2_CTU))
    side, counted, begin = 1 << log2, 0, frame.slice_state.copy()
    trial, counter = tree.states[0, 3], work.coders[0]
    for y in range(0, height, side):
        for x in range(0, width, side):
            if not metric.plain:
                localise(metric, y, x, side, local)
            begin[:] = frame.slice_state
            tree.states[6 - log2, START] = trial[:] = states
            search(frame, tree, work, local, settings, y, x)
            frame.slice_state[:] = begin
            counter[COST] = 0
            code_tree(counter, work.outputs[0], trial, frame, tree, y, x)
            counted += int(counter[COST])
            groups = bits[y // 16 : (y + side) // 16, x // 16 : (x + side) // 16]
            groups[:] = counter[COST] / (BIT * groups.size)
            frame.slice_state[:] = begin
            code_tree(coder, out, states, frame, tree, y, x)
            fill_sides(tree, y, x, side, sides)
            end_block(coder, out, y + side >= height and x + side >= width)
    return counted / BIT


def fill_sides(tree: np.record, y: int, x: int, side: int, sides: np.ndarray) -> None:
    """Write the sides of a coding tree block's luma prediction blocks."""
    area = sides[y // 4 : (y + side) // 4, x // 4 : (x + side) // 4]
    z = Z_ORDER[: area.shape[0], : area.shape[1]]
    area[:] = 1 << (tree.units[z, LOG2] - tree.units[z, PARTS])


@general
def end_block(coder, out, last):
    """Code end_of_slice_segment_flag."""
    encode_terminate(coder, out, 1 if last else 0)
