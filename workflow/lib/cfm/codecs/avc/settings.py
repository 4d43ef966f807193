"""What the search of our AVC encoder is told of a picture as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from cfm.codecs.avc.tables import CHROMA_QP
from cfm.errors import ConfigurationError

# Set by BD-rate against x264.
LAMBDA = 0.6  # of 2^((QP - 12) / 3)
CHROMA_WEIGHT = 1.4
# Modes of a block that are tried in full, in the first trial of a macroblock (one more for every two of effort) and in
# others.
TRIED, TRIED_AGAIN = 4, 3
LEVEL_SHARES = (0.8, 0.65, 1.0, 0.5, 1.25)  # of lambda, in the choice of levels: one after the other, by effort
RETURN_BITS = 4.0  # that a macroblock of another QP than the slice's is charged
LARGEST_QP, LARGEST_EFFORT = 51, len(LEVEL_SHARES)


def lambda_of(qp: int) -> float:
    """Squared error that a bit is worth at a QP."""
    return LAMBDA * 2 ** ((qp - 12) / 3)


class Settings(NamedTuple):
    """What the search is told of the picture as a whole.

    Attributes
    ----------
    qp : int
        QP of the slice.
    deltas : array of int64
        What may be added to it in a macroblock, the nearest to 0 first; the sums are QPs that there are.
    level_shares : array
        Shares of lambda in the choice of levels, each for a trial of a macroblock at the first QP.
    lambda_ : float
        Distortion that a bit is worth.
    return_bits : float
        Bits that are added where a macroblock leaves the slice's QP.
    chroma_weight : float
        What distortion of chroma is multiplied by.
    chroma_offset : int
        chroma_qp_index_offset.
    tried, tried_again : int
        Modes of a block that are tried in full, in the first trial of a macroblock and in the others.
    gives_up : bool
        Whether the search of a kind of macroblock ends where it gets dearer than another.
    cabac : bool
        Whether the entropy coder is CABAC, else CAVLC.
    deblocking : bool
        Whether the decoder filters the edges of blocks.
    """

    qp: int
    deltas: np.ndarray
    level_shares: np.ndarray
    lambda_: float
    return_bits: float
    chroma_weight: float
    chroma_offset: int
    tried: int
    tried_again: int
    gives_up: bool
    cabac: bool
    deblocking: bool


def settings_of(
    qp: int,
    deltas: Sequence[int],
    effort: int,
    chroma_offset: int,
    cabac: bool,
    deblocking: bool,
    weighs_chroma: bool,
    gives_up: bool = True,
) -> Settings:
    """Settings with the lambda of a QP.

    Raises `ConfigurationError` where no delta gives a QP that there is.

    Chroma's quantiser grows less than luma's; its error weighs more by as much, so that both are worth their bits,
    unless the distortion weighs chroma itself.
    """
    chroma_qp = int(CHROMA_QP[min(LARGEST_QP, max(0, qp + chroma_offset))])
    chroma_weight = 1.0 if weighs_chroma else CHROMA_WEIGHT * 2 ** ((qp - chroma_qp) / 3)
    possible = {delta for delta in deltas if 0 <= qp + delta <= LARGEST_QP}
    if not possible:
        raise ConfigurationError(f"no QP within 0 to {LARGEST_QP}: {qp} with the delta QPs {list(deltas)}; name others")
    nearest_first = np.array(sorted(possible, key=lambda delta: (abs(delta), delta)), np.int64)
    lambda_ = lambda_of(qp)
    return Settings(
        qp,
        nearest_first,
        np.array(LEVEL_SHARES[:effort]),
        lambda_,
        RETURN_BITS,
        chroma_weight,
        chroma_offset,
        TRIED + effort // 2,
        TRIED_AGAIN,
        gives_up,
        cabac,
        deblocking,
    )
