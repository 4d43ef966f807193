"""Weighted feature distances: what a codec is distilled by (objectness-based distillation, eq. 2 to 4)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

WEIGHTINGS = ("none", "ground_truth", "objectness")
BACKGROUND = 0.1
"""Weight of positions outside all boxes, against 1 inside them, in the supervised variant."""


def weighted_feature_distortion(
    features: Sequence[Tensor], reference: Sequence[Tensor], weights: Sequence[Tensor]
) -> Tensor:
    """D = (1/N) sum_i of the mean over channels and positions of W_i * (F_i - F^_i)^2 (eq. 3 and 4).

    Parameters
    ----------
    features : sequence of Tensor (1, C_i, h_i, w_i)
        Of the decoded picture.
    reference : sequence of Tensor (1, C_i, h_i, w_i)
        Of the original.
    weights : sequence of Tensor (1, 1, h_i, w_i)
        W_i, such as `normalised` gives them.

    Returns
    -------
    Tensor
        A scalar.

    Raises
    ------
    ValueError
        If the scales do not correspond.
    """
    parts = [
        (weight * (feature - original) ** 2).mean()
        for feature, original, weight in zip(features, reference, weights, strict=True)
    ]
    return torch.stack(parts).mean()


def uniform_weights(reference: Sequence[Tensor]) -> list[Tensor]:
    """W_i = 1: plain feature distillation."""
    return [torch.ones_like(scale[:, :1]) for scale in reference]


def box_weights(
    reference: Sequence[Tensor], boxes: Tensor, height: int, width: int, background: float = BACKGROUND
) -> list[Tensor]:
    """W_i from ground-truth boxes: 1 where a position's cell touches a box, `background` elsewhere; mean 1 after all.

    Parameters
    ----------
    reference : sequence of Tensor (1, C_i, h_i, w_i)
        Gives the sizes; the cells of a scale are taken to divide the picture evenly.
    boxes : Tensor (n, 4)
        x1, y1, x2, y2, pixels.
    height, width : int
        Of the picture, pixels.
    background : float
        Weight outside the boxes.

    Returns
    -------
    list of Tensor (1, 1, h_i, w_i)
    """
    maps = []
    for scale in reference:
        rows, columns = scale.shape[2:]
        inside = _touched(boxes[:, 1], boxes[:, 3], height, rows)[:, :, None]
        inside = inside & _touched(boxes[:, 0], boxes[:, 2], width, columns)[:, None, :]
        weight = torch.where(inside.any(0), 1.0, background)
        maps.append(weight[None, None].to(scale))
    return normalised(maps)


def objectness_weights(objectness: Sequence[Tensor]) -> list[Tensor]:
    """W_i = O_i (eq. 4), without gradient, mean 1 over the picture."""
    return normalised([scale.detach() for scale in objectness])


def normalised(maps: Sequence[Tensor]) -> list[Tensor]:
    """Scale weight maps (1, 1, h_i, w_i) by one factor so that the mean over scales of their means is 1.

    Lambda then has the same scale in all variants, and the balance between the scales stays the maps' own. Maps that
    are zero everywhere become 1.
    """
    mean = torch.stack([weights.mean() for weights in maps]).mean()
    if mean <= 0:
        return [torch.ones_like(weights) for weights in maps]
    return [weights / mean for weights in maps]


def _touched(start: Tensor, end: Tensor, length: int, cells: int) -> Tensor:
    """(n, cells) bool: which of the equal cells of `length` pixels the interval from `start` to `end` touches."""
    edges = torch.linspace(0, length, cells + 1, device=start.device)
    return (start[:, None] < edges[None, 1:]) & (end[:, None] > edges[None, :-1])
