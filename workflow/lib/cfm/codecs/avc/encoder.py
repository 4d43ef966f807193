"""An intra encoder of AVC, High profile, whose decisions weigh rate against a distortion of one's choice."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cfm.codecs.avc.macroblock import code_macroblock
from cfm.codecs.avc.search import search_macroblock
from cfm.codecs.avc.state import CBP, I16, KIND, Frame, Macroblock, new_frame, new_macroblock
from cfm.codecs.avc.syntax import SLICE_IDR, nal_unit, picture_parameters, sequence_parameters, slice_header
from cfm.codecs.avc.tables import CHROMA_QP, CONTEXTS, initial_states
from cfm.codecs.cabac import BIT, COST, COUNTING, FIELDS, POSITION, encode_terminate, new_coder
from cfm.codecs.kernels import kernel
from cfm.codecs.picture import Picture

LAMBDA = 0.85  # of 2^((QP - 12) / 3)
TRIED = 3


class EncodedPicture(NamedTuple):
    """A stream and what the encoder knows of it.

    Attributes
    ----------
    stream : bytes
        Annex B.
    planes : tuple of arrays uint8
        What a decoder makes of it without deblocking, of the coded size: multiples of 16 (luma) and 8 (chroma).
    counted_bits : float
        Bits of the slice's macroblocks as the decisions counted them.
    """

    stream: bytes
    planes: tuple[np.ndarray, np.ndarray, np.ndarray]
    counted_bits: float


def lambda_of(qp: int) -> float:
    """Squared error that a bit is worth at a QP."""
    return LAMBDA * 2 ** ((qp - 12) / 3)


def padded(plane: np.ndarray, multiple: int) -> np.ndarray:
    """A plane extended to multiples of a side by its last row and column."""
    height, width = plane.shape
    return np.pad(plane, ((0, -height % multiple), (0, -width % multiple)), mode="edge")


def encode_picture(picture: Picture, qp: int, deblocking: bool = True) -> EncodedPicture:
    """Code a picture of 8-bit 4:2:0 at a QP."""
    planes = tuple(padded(plane, 8 if index else 16) for index, plane in enumerate(picture.planes))
    frame = new_frame(planes, qp)
    candidates = tuple(new_macroblock() for _ in range(3))
    header = slice_header(qp, deblocking).aligned(1)
    out = np.zeros(len(header) + 64 + 800 * (planes[0].size // 256), np.uint8)
    out[: len(header)] = np.frombuffer(header, np.uint8)
    coder = new_coder(counting=False)
    coder[POSITION] = 8 * len(header)
    counted = encode_slice(frame, candidates, coder, out, initial_states(qp), qp, int(CHROMA_QP[qp]), lambda_of(qp), TRIED)
    data = out[: -(-int(coder[POSITION]) // 8)].tobytes()
    stream = sequence_parameters(picture.height, picture.width) + picture_parameters(True, 0) + nal_unit(SLICE_IDR, data)
    return EncodedPicture(stream, tuple(plane.astype(np.uint8) for plane in frame.coded), counted)


@kernel
def encode_slice(frame, candidates, coder, out, states, qp, chroma_qp, lambda_, tried):
    """Search and code all macroblocks; returns the bits that the search counted."""
    rows, columns = frame.kinds.shape[0] - 1, frame.kinds.shape[1] - 1
    counter, no_output = np.zeros(FIELDS, np.int64), np.empty(0, np.uint8)
    counter[COUNTING] = 1
    trial = np.empty(CONTEXTS, np.uint8)
    for my in range(rows):
        for mx in range(columns):
            _, chosen = search_macroblock(frame, candidates, my, mx, qp, chroma_qp, lambda_, states, tried)
            mb = candidates[chosen]
            kept = frame.slice_state.copy()
            trial[:] = states
            code_macroblock(counter, no_output, trial, frame, mb, my, mx)
            frame.slice_state[:] = kept
            code_macroblock(coder, out, states, frame, mb, my, mx)
            encode_terminate(coder, out, 1 if my == rows - 1 and mx == columns - 1 else 0)
            frame.coded[0][16 * my : 16 * my + 16, 16 * mx : 16 * mx + 16] = mb.luma
            for plane in range(2):
                frame.coded[1 + plane][8 * my : 8 * my + 8, 8 * mx : 8 * mx + 8] = mb.chroma[plane]
    return counter[COST] / BIT
