"""The way from decoded planes to RGB in torch, for derivatives with respect to what is coded."""

from __future__ import annotations

import torch

from cfm.data.colour import CB_TO_BLUE, CB_TO_GREEN, CR_TO_GREEN, CR_TO_RED


def planes_to_rgb(y: torch.Tensor, cb: torch.Tensor, cr: torch.Tensor) -> torch.Tensor:
    """Convert planes to RGB, differentiably: `cfm.data.colour.yuv420_to_rgb` before its rounding.

    Values are clipped to [0, 1] as a viewer clips them, but the gradient passes the clipping unchanged: chroma
    subsampling pushes saturated colours just out of range, and an error there that points inwards is still seen.

    Parameters
    ----------
    y : Tensor (H, W)
        Luma, 0 to 255, any floating type.
    cb, cr : Tensor (ceil(H / 2), ceil(W / 2))
        Chroma, 0 to 255.

    Returns
    -------
    Tensor (3, H, W)
        Red, green, blue in [0, 1].

    Raises
    ------
    ValueError
        If the shapes of the planes do not fit each other.
    """
    height, width = y.shape
    expected = ((height + 1) // 2, (width + 1) // 2)
    if cb.shape != expected or cr.shape != expected:
        raise ValueError(f"chroma of shapes {tuple(cb.shape)} and {tuple(cr.shape)} where {expected} belongs")
    cb, cr = (_double(_double(plane, 0), 1)[:height, :width] - 128 for plane in (cb, cr))
    rgb = torch.stack([y + CR_TO_RED * cr, y + CB_TO_GREEN * cb + CR_TO_GREEN * cr, y + CB_TO_BLUE * cb]) / 255
    return rgb + (rgb.clamp(0, 1) - rgb).detach()


def _double(plane: torch.Tensor, dim: int) -> torch.Tensor:
    """Interpolation to twice the samples along one dimension, of slices only: vmap batches no more."""
    count = plane.shape[dim]
    before = torch.cat([plane.narrow(dim, 0, 1), plane.narrow(dim, 0, count - 1)], dim)
    after = torch.cat([plane.narrow(dim, 1, count - 1), plane.narrow(dim, count - 1, 1)], dim)
    pair = torch.stack([0.75 * plane + 0.25 * before, 0.75 * plane + 0.25 * after], dim + 1)
    return pair.flatten(dim, dim + 1)
