"""Where bits went, and errors: the shares of them inside the masks of annotated objects."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from pycocotools.coco import COCO

from cfm.codecs.picture import Picture
from cfm.evaluation.guided_coding import Coded, GuidedEncoder
from cfm.sensitivity.sketch import block_sums

GROUP = 16  # side of what an encoder knows the bits of, luma samples


class Shares(NamedTuple):
    """Shares that are inside objects.

    Attributes
    ----------
    area, bits, error : float
        0 to 1; `error` is NaN where luma is exact.
    """

    area: float
    bits: float
    error: float


def object_mask(annotations: COCO, image_id: int, height: int, width: int) -> np.ndarray:
    """Where annotated objects are, crowds too: (height, width) bool; the box of those that have no mask."""
    mask = np.zeros((height, width), bool)
    for annotation in annotations.imgToAnns[image_id]:
        if annotation.get("segmentation"):
            mask |= annotations.annToMask(annotation).astype(bool)
        else:
            x, y, w, h = annotation["bbox"]
            mask[max(round(y), 0) : max(round(y + h), 0), max(round(x), 0) : max(round(x + w), 0)] = True
    return mask


def shares(mask: np.ndarray, bits: np.ndarray, squared_error: np.ndarray) -> Shares:
    """Shares of a picture inside objects.

    Parameters
    ----------
    mask : array (h, w) bool
        Where objects are.
    bits : array (ceil(h / 16), ceil(w / 16))
        Of `EncodedPicture`; they count inside by the share of the group's samples of the picture that are.
    squared_error : array (h, w)
        Of luma.
    """
    inside = block_sums(mask, GROUP) / block_sums(np.ones(mask.shape), GROUP)
    error = float(squared_error.sum())
    return Shares(
        float(mask.mean()),
        float((inside * bits).sum() / bits.sum()),
        float(squared_error[mask].sum() / error) if error else float("nan"),
    )


def mean_shares(encoder: GuidedEncoder, coded: Iterable[Coded], annotations: COCO) -> tuple[Shares, int]:
    """Mean shares over the pictures that have annotated objects, and how many these are; NaN where none has."""
    found = []
    for image_id, picture, encoded in coded:
        mask = object_mask(annotations, image_id, picture.height, picture.width)
        if mask.any():
            found.append(shares(mask, encoded.bits, luma_error(encoder.codec.decode(encoded.stream), picture)))
    columns = np.array(found, float).reshape(-1, len(Shares._fields)).T
    means = [float(np.mean(column[np.isfinite(column)])) if np.isfinite(column).any() else np.nan for column in columns]
    return Shares(*means), len(found)


def luma_error(decoded: Picture, picture: Picture) -> np.ndarray:
    """Squared error of luma, (h, w)."""
    return np.square(decoded.planes[0].astype(np.float64) - picture.planes[0])
