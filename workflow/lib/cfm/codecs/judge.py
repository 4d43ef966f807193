"""A judge that a caller puts in the place of the distortion where the partition and the QPs are chosen.

For distances that no data describe, such as that of a network's features: a judge sees the decoded samples of every
alternative. That takes a call from Python for each choice, so it is meant for a few pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from cfm.errors import InputError

Block = tuple[np.ndarray, np.ndarray, np.ndarray]  # samples of Y, Cb and Cr, uint8


class Judge(Protocol):
    """What our encoders ask of a judge.

    Regions lie inside the picture; y and x are even, and those of Cb and Cr begin at y / 2 and x / 2. They may overlap
    with earlier ones, whose samples they replace.
    """

    def distortions(self, y: int, x: int, candidates: list[Block]) -> np.ndarray:
        """Distortion of every way to decode the region at luma (y, x), given what was committed before.

        In units of the squared error, up to a constant that all candidates of a call share; chroma as the judge weighs
        it. All candidates have the same size.
        """
        ...

    def commit(self, y: int, x: int, candidate: Block) -> None:
        """Take note that the region is decoded so; until a later call says otherwise."""
        ...


def judged_costs(
    judge: Judge, y: int, x: int, candidates: list[Block], bits: Sequence[float], lambda_: float
) -> np.ndarray:
    """Distortion plus lambda times bits of the candidates; raises `InputError` where the judge gives none."""
    found = np.asarray(judge.distortions(y, x, candidates), np.float64)
    if found.shape != (len(candidates),) or not np.isfinite(found).all():
        raise InputError(
            f"judge: {found.tolist()} for the region at {y}, {x}, not {len(candidates)} finite distortions; mend it"
        )
    return found + lambda_ * np.asarray(bits)


def cropped(planes: Sequence[np.ndarray], height: int, width: int) -> Block:
    """The corner of planes that belongs to so many luma samples down and across, which may exceed them; copied."""
    tall, wide = (height + 1) // 2, (width + 1) // 2
    luma, cb, cr = (
        plane[: max(0, rows), : max(0, columns)].astype(np.uint8)
        for plane, rows, columns in zip(planes, (height, tall, tall), (width, wide, wide), strict=True)
    )
    return luma, cb, cr
