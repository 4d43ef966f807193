"""What the encoder keeps: of the picture, of a coding tree block, and room to work in.

Decisions of a coding tree block are stored by its 4x4 units in z-order, so that those of any coding unit stand
together. Fields that only the coding unit has (its side, modes, QP) are repeated in all its units.

What has a fixed size is a structure of numpy's, which is handed to kernels as one pointer. Each array apart is seven or
more arguments to every call, of which a search makes millions. Where a kernel takes arrays of several origins, rows of
such a field are of the same type as other arrays, the field as a whole is not.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cfm.codecs.cabac import FIELDS as CODER_FIELDS
from cfm.codecs.cabac import new_coder
from cfm.codecs.hevc.prediction import LARGEST_REFERENCES
from cfm.codecs.hevc.quantise import PREFIXES
from cfm.codecs.hevc.tables import CONTEXTS, DC, MODES

# Fields of a unit. LOG2: of the coding unit's side; PARTS: 1 where it has four predictions; TRANSFORM: log2 of the
# transform block's side in luma; CBF_* and SKIP_*: of Y, Cb and Cr one after the other.
LOG2, PARTS, MODE, CHROMA, TRANSFORM, CBF, SKIPPED, QP, FIELDS = 0, 1, 2, 3, 4, 5, 8, 11, 12
UNITS = 256
LEVELS = 6144
PLANE_FIRST = np.array([0, 4096, 5120])  # of a plane's levels

# Entries of the slice's state.
PREVIOUS_QP, PREDICTED_QP, DELTA_CODED, SLICE_STATE = range(4)

# Entries of the options.
(HEIGHT, WIDTH, LOG2_CTU, LOG2_GROUP, HAS_DELTAS, HIDES, CHROMA_OFFSET, MOST_SPLITS, OPTIONS) = range(9)

DEPTHS = 5
START, WHOLE, SPLIT, BEFORE = range(4)  # rows of contexts of a depth
ROWS = 5  # of trial blocks, see `cfm.codecs.hevc.luma_search`


class Frame(NamedTuple):
    """The picture, padded to whole units of 8x8.

    Attributes
    ----------
    source, coded : tuples of three arrays (h, w) int16
        Samples of Y, Cb and Cr.
    modes : array (1 + h / 4, 1 + w / 4) int8
        Luma modes of 4x4 units, after a row and a column of DC.
    depths : array (1 + h / 8, 1 + w / 8) int8
        Depths of coding units of 8x8 units, after a row and a column of 0.
    qps : array (h / 8, w / 8) int8
        QPs of 8x8 units.
    options : array (OPTIONS,) int64
        Of the picture.
    slice_state : array (SLICE_STATE,) int64
        What CABAC's contexts do not know.
    """

    source: tuple[np.ndarray, np.ndarray, np.ndarray]
    coded: tuple[np.ndarray, np.ndarray, np.ndarray]
    modes: np.ndarray
    depths: np.ndarray
    qps: np.ndarray
    options: np.ndarray
    slice_state: np.ndarray


def new_frame(planes, qp: int, options: np.ndarray) -> Frame:
    """The frame of planes (h, w), multiples of 8 in luma and 4 in chroma, before it is coded."""
    height, width = planes[0].shape
    slice_state = np.zeros(SLICE_STATE, np.int64)
    slice_state[PREVIOUS_QP] = slice_state[PREDICTED_QP] = qp
    return Frame(
        source=tuple(plane.astype(np.int16) for plane in planes),
        coded=tuple(np.zeros(plane.shape, np.int16) for plane in planes),
        modes=np.full((1 + height // 4, 1 + width // 4), DC, np.int8),
        depths=np.zeros((1 + height // 8, 1 + width // 8), np.int8),
        qps=np.full((height // 8, width // 8), qp, np.int8),
        options=options,
        slice_state=slice_state,
    )


def new_record(kind: np.dtype) -> np.record:
    """Arrays of fixed shapes as one structure, which kernels take as one pointer; all zeros."""
    return np.zeros(1, kind).view(np.recarray)[0]


# Decisions of a coding tree block, and what is put aside.
TREE = np.dtype(
    [
        ("units", np.int8, (UNITS, FIELDS)),  # decisions by unit
        ("levels", np.int16, (LEVELS,)),  # those of the unit z begin at 16 z in luma, at 4 z in chroma
        ("kept_units", np.int8, (DEPTHS, UNITS, FIELDS)),
        ("kept_levels", np.int16, (DEPTHS, LEVELS)),
        ("kept_samples", np.int16, (DEPTHS, LEVELS)),
        ("states", np.uint8, (DEPTHS, 4, CONTEXTS)),  # contexts by depth, for the alternatives of a search
        ("slice_states", np.int64, (DEPTHS, 4, SLICE_STATE)),
        # The nodes that are being searched, by depth: which of their parts is, and where they are.
        ("part", np.int64, (4,)),
        ("tops", np.int64, (4,)),
        ("lefts", np.int64, (4,)),
        # Their costs as one coding unit and of their parts so far, and what of the latter the flag costs that splits a
        # quantisation group.
        ("whole", np.float64, (4,)),
        ("split", np.float64, (4,)),
        ("split_flag", np.float64, (1,)),
    ]
)

# Room for one block at a time; see the kernels that use it.
WORK = np.dtype(
    [
        ("references", np.int32, (2, LARGEST_REFERENCES)),  # neighbours, as they are and filtered
        ("line", np.int32, (1, 128)),
        ("integers", np.int32, (4, 1024)),
        ("reals", np.float32, (4, 1024)),
        ("last_costs", np.int64, (1, 2, PREFIXES)),
        ("levels", np.int16, (ROWS, 1024)),  # of trials
        ("samples", np.int16, (ROWS, 1024)),
        ("states", np.uint8, (ROWS, CONTEXTS)),  # contexts of trials
        ("coders", np.int64, (1, CODER_FIELDS)),  # a coder that counts
        ("outputs", np.uint8, (1, 1)),  # where it does not write
        ("errors", np.int32, (2, 16)),
        ("costs", np.float64, (1, MODES + 1)),  # rough costs of modes
        ("chosen", np.int64, (1, MODES + 1)),  # and the modes of the least
    ]
)
PREDICTION, BLOCK, HALF, OUT = range(4)  # rows of `integers`
RESIDUAL, HALF_REAL, COEFFICIENTS, WEIGHTS = range(4)  # rows of `reals`


def new_work() -> np.record:
    """Room to work in, with a coder that counts."""
    work = new_record(WORK)
    work.coders[0] = new_coder(counting=True)
    return work
