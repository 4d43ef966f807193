"""What the encoder keeps: of the picture, of a coding tree block, and room to work in.

Decisions of a coding tree block are stored by its 4x4 units in z-order, so that those of any coding unit stand
together. Fields that only the coding unit has (its side, modes, QP) are repeated in all its units.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

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


class Tree(NamedTuple):
    """Decisions of a coding tree block, and those put aside by depth.

    Attributes
    ----------
    units : array (UNITS, FIELDS) int8
        Decisions by unit.
    levels : array (LEVELS,) int16
        Those of the unit z begin at 16 z in luma, at 4 z in chroma.
    kept_units, kept_levels, kept_samples : arrays (DEPTHS, ...)
        Put aside.
    states : array (DEPTHS, 4, CONTEXTS) uint8
        Contexts by depth: for the alternatives of a search.
    slice_states : array (DEPTHS, 4, SLICE_STATE) int64
        Slice states by depth.
    part, tops, lefts : arrays (4,) int64
        Of the nodes that are being searched, by depth: the part that is, and where they are.
    whole, split : arrays (4,) float64
        Costs of those as one coding unit, and of their parts so far.
    split_flag : array (1,) float64
        What of the latter the flag costs that splits a quantisation group.
    """

    units: np.ndarray
    levels: np.ndarray
    kept_units: np.ndarray
    kept_levels: np.ndarray
    kept_samples: np.ndarray
    states: np.ndarray
    slice_states: np.ndarray
    part: np.ndarray
    tops: np.ndarray
    lefts: np.ndarray
    whole: np.ndarray
    split: np.ndarray
    split_flag: np.ndarray


def new_tree() -> Tree:
    """Room for a coding tree block of 64x64."""
    return Tree(
        units=np.zeros((UNITS, FIELDS), np.int8),
        levels=np.zeros(LEVELS, np.int16),
        kept_units=np.zeros((DEPTHS, UNITS, FIELDS), np.int8),
        kept_levels=np.zeros((DEPTHS, LEVELS), np.int16),
        kept_samples=np.zeros((DEPTHS, LEVELS), np.int16),
        states=np.zeros((DEPTHS, 4, CONTEXTS), np.uint8),
        slice_states=np.zeros((DEPTHS, 4, SLICE_STATE), np.int64),
        part=np.zeros(4, np.int64),
        tops=np.zeros(4, np.int64),
        lefts=np.zeros(4, np.int64),
        whole=np.zeros(4),
        split=np.zeros(4),
        split_flag=np.zeros(1),
    )


class Work(NamedTuple):
    """Room for one block at a time; see the kernels that use it.

    Attributes
    ----------
    references : array (2, LARGEST_REFERENCES) int32
        Neighbours, as they are and filtered.
    line : array int32
        For prediction.
    prediction, block, half, out : arrays (1024,) int32
    residual, half_float, coefficients, weights : arrays (1024,) float32
    last_costs : array (2, PREFIXES)
    levels, samples : arrays (ROWS, 1024) int16
        Of trials.
    states : array (ROWS, CONTEXTS) uint8
        Contexts of trials.
    coder : array int64
        A coder that counts.
    no_output : array (0,) uint8
    error, scratch : arrays (16,) int32
        For the distortion.
    costs, chosen : arrays (MODES + 1,) float64 and int64
        Rough costs of modes, and the modes of the least.
    """

    references: np.ndarray
    line: np.ndarray
    prediction: np.ndarray
    block: np.ndarray
    half: np.ndarray
    out: np.ndarray
    residual: np.ndarray
    half_float: np.ndarray
    coefficients: np.ndarray
    weights: np.ndarray
    last_costs: np.ndarray
    levels: np.ndarray
    samples: np.ndarray
    states: np.ndarray
    coder: np.ndarray
    no_output: np.ndarray
    error: np.ndarray
    scratch: np.ndarray
    costs: np.ndarray
    chosen: np.ndarray


def new_work(coder: np.ndarray) -> Work:
    """Room to work in, with a coder that counts."""
    integers, reals = (lambda: np.zeros(1024, np.int32)), (lambda: np.zeros(1024, np.float32))
    return Work(
        references=np.zeros((2, LARGEST_REFERENCES), np.int32),
        line=np.zeros(128, np.int32),
        prediction=integers(),
        block=integers(),
        half=integers(),
        out=integers(),
        residual=reals(),
        half_float=reals(),
        coefficients=reals(),
        weights=reals(),
        last_costs=np.zeros((2, PREFIXES), np.int64),
        levels=np.zeros((ROWS, 1024), np.int16),
        samples=np.zeros((ROWS, 1024), np.int16),
        states=np.zeros((ROWS, CONTEXTS), np.uint8),
        coder=coder,
        no_output=np.zeros(0, np.uint8),
        error=np.zeros(16, np.int32),
        scratch=np.zeros(16, np.int32),
        costs=np.zeros(MODES + 1),
        chosen=np.zeros(MODES + 1, np.int64),
    )
