"""Sketches of a feature extractor's Jacobian with respect to the coded planes, and what they predict (IDSE).

    Y, Cb, Cr (4:2:0) -> RGB -> network.prepare -> network.features = f(x)
    g_k = J^T s_k,  k = 1 ... K,  s_k Rademacher of variance 1/K:  sum_k (g_k . e)^2 has the mean e^T J^T J e

METHODS §1, steps 1 to 4; IDSE-RDO (arXiv:2504.02216).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cfm.codecs.picture import Picture
from cfm.data.differentiable_colour import planes_to_rgb
from cfm.errors import InputError
from cfm.tasks.contract import TaskNetwork


@dataclass(frozen=True)
class Sketch:
    """K vector-Jacobian products of one picture, one array a plane.

    Attributes
    ----------
    y : array (K, H, W) float32
        d(s_k . f) / dY, feature units per luma step of 1/255.
    cb, cr : array (K, ceil(H/2), ceil(W/2)) float32
        The same for the chroma planes.
    image_id : int
        The picture.
    network : str
        Name of the network.
    picture_sha256 : str
        Digest of the planes, 64 hexadecimal digits.
    objectness : bool
        Whether the features were scaled by the square root of the objectness.
    """

    y: np.ndarray
    cb: np.ndarray
    cr: np.ndarray
    image_id: int
    network: str
    picture_sha256: str
    objectness: bool

    @property
    def planes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Y, Cb, Cr."""
        return self.y, self.cb, self.cr

    @property
    def probes(self) -> int:
        """K."""
        return len(self.y)

    @property
    def mean_weights(self) -> tuple[float, ...]:
        """Per plane: the mean over its samples of sum_k g_k^2, the w of METHODS §1, step 5."""
        return tuple(float(np.square(plane, dtype=np.float64).sum(0).mean()) for plane in self.planes)


def probe_generator(seed: int, image_id: int, device: torch.device | str = "cpu") -> torch.Generator:
    """The generator of a picture's probes: independent of the order in which pictures are done."""
    state = np.random.SeedSequence([seed, image_id]).generate_state(1, np.uint64)[0]
    return torch.Generator(device=device).manual_seed(int(state >> np.uint64(1)))


def sketch_picture(
    network: TaskNetwork,
    picture: Picture,
    image_id: int,
    probes: int,
    generator: torch.Generator,
    objectness: bool = False,
    batched: bool | None = None,
) -> Sketch:
    """Sketch the Jacobian of a network's pyramid at a picture.

    Parameters
    ----------
    network : TaskNetwork
        Its `prepare` and `features` are differentiated.
    picture : Picture
        Layout "yuv420", 8 bits.
    image_id : int
        Noted in the sketch.
    probes : int
        K.
    generator : torch.Generator
        Draws the probes, on the CPU; see `probe_generator`.
    objectness : bool
        Scale the features by the square root of the network's own objectness, which is held constant.
    batched : bool, optional
        All probes in one batched product, which takes K times the memory and pays on an accelerator; otherwise one
        after the other on one retained graph. None: batched where the features are not on the CPU.

    Raises
    ------
    InputError
        If the features or the gradient are not finite.
    ValueError
        If the picture is not 8-bit "yuv420".
    """
    if picture.layout != "yuv420" or picture.bit_depth != 8:
        raise ValueError(f"an 8-bit yuv420 picture expected, not {picture.bit_depth}-bit {picture.layout}")
    planes = [torch.from_numpy(plane.astype(np.float32)).requires_grad_() for plane in picture.planes]
    features = network.features(network.prepare(planes_to_rgb(*planes)))
    if not all(bool(torch.isfinite(scale).all()) for scale in features):
        raise InputError(f"picture {image_id}: the features of {network.name} are not finite: check its weights")
    weights = objectness_roots(network, features) if objectness else [1.0] * len(features)
    drawn = [
        weight * rademacher((probes, *scale.shape), generator).to(scale.device)
        for weight, scale in zip(weights, features, strict=True)
    ]
    if batched is None:
        batched = features[0].device.type != "cpu"
    products = jacobian_products(features, planes, drawn, batched)
    if not all(np.isfinite(product).all() for product in products):
        raise InputError(f"picture {image_id}: the gradient of {network.name} is not finite: leave this picture out")
    return Sketch(*products, image_id, network.name, picture_digest(picture), objectness)


def objectness_roots(network: TaskNetwork, features: Sequence[Tensor]) -> list[Tensor]:
    """Square roots of the objectness of each scale, (1, 1, h_i, w_i), constants of the differentiation."""
    with torch.no_grad():
        return [scale.sqrt() for scale in network.objectness([feature.detach() for feature in features])]


def rademacher(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Random signs times 1/sqrt(K), K = shape[0]: entries of variance 1/K, float32."""
    signs = torch.randint(0, 2, shape, generator=generator, dtype=torch.int8, device=generator.device)
    return (2 * signs.float() - 1) / shape[0] ** 0.5


def jacobian_products(
    features: Sequence[Tensor], planes: Sequence[Tensor], probes: Sequence[Tensor], batched: bool
) -> list[np.ndarray]:
    """J^T s_k for K probes.

    Parameters
    ----------
    features : sequence of Tensor (1, C_i, h_i, w_i)
        Outputs, on the graph of `planes`.
    planes : sequence of Tensor
        Inputs that require gradients.
    probes : sequence of Tensor (K, 1, C_i, h_i, w_i)
        The vectors s_k, split by scale.
    batched : bool
        One batched product, or K products on one retained graph.

    Returns
    -------
    list of arrays (K, *plane.shape) float32
    """
    if batched:
        products = torch.autograd.grad(features, planes, list(probes), is_grads_batched=True)
        return [product.cpu().numpy().astype(np.float32) for product in products]
    count = len(probes[0])
    rows = [
        torch.autograd.grad(features, planes, [probe[k] for probe in probes], retain_graph=k + 1 < count)
        for k in range(count)
    ]
    return [torch.stack(column).cpu().numpy().astype(np.float32) for column in zip(*rows, strict=True)]


def picture_digest(picture: Picture) -> str:
    """SHA-256 of a picture's geometry and samples, 64 hexadecimal digits."""
    digest = hashlib.sha256(f"{picture.layout} {picture.bit_depth} {picture.height} {picture.width}".encode())
    for plane in picture.planes:
        digest.update(np.ascontiguousarray(plane).tobytes())
    return digest.hexdigest()


def block_sums(plane: np.ndarray, block: int) -> np.ndarray:
    """Sums over blocks of the last two axes: (..., H, W) to (..., ceil(H/block), ceil(W/block)), float64."""
    rows = np.add.reduceat(plane, range(0, plane.shape[-2], block), axis=-2, dtype=np.float64)
    return np.add.reduceat(rows, range(0, plane.shape[-1], block), axis=-1, dtype=np.float64)


def importance_map(sketch: Sketch, block: int = 16) -> np.ndarray:
    """How much the features feel an error in each block.

    Per block: sum_k g_k^2 over the block's samples of all three planes, divided by its number of luma samples. White
    error of unit variance in all planes moves the features by this much a pixel, in the mean over probes.

    Parameters
    ----------
    sketch : Sketch
        Of a picture of (H, W) luma samples.
    block : int
        Side in luma samples, even; chroma blocks have half of it.

    Returns
    -------
    array (ceil(H/block), ceil(W/block)) float64
    """
    energy = sum(
        block_sums(np.square(plane, dtype=np.float64).sum(0), side)
        for plane, side in zip(sketch.planes, _sides(block), strict=True)
    )
    return energy / block_sums(np.ones(sketch.y.shape[1:]), block)


def idse(sketch: Sketch, errors: Sequence[np.ndarray], block: int = 16) -> float:
    """Input-dependent squared error: the predicted squared feature distance of an error, block by block.

    sum_b sum_k (g_k,b . e_b)^2 (METHODS §1, step 3). The dot product of a block runs over its luma samples and the
    chroma samples of the same place together; what couples different blocks is left out. A block that holds the whole
    picture gives the Taylor term of step 1.

    Parameters
    ----------
    sketch : Sketch
        Of the original picture.
    errors : sequence of arrays (H, W), (ceil(H/2), ceil(W/2)) twice
        Decoded minus original, steps of 1/255.
    block : int
        Side in luma samples, even.

    Raises
    ------
    ValueError
        If shapes do not fit or `block` is odd.
    """
    shapes = [plane.shape[1:] for plane in sketch.planes]
    if [error.shape for error in errors] != shapes:
        raise ValueError(f"errors of shapes {[error.shape for error in errors]} where the sketch has {shapes}")
    dots = sum(
        block_sums(plane * error.astype(np.float64), side)
        for plane, error, side in zip(sketch.planes, errors, _sides(block), strict=True)
    )
    return float(np.square(dots).sum())


def picture_error(decoded: Picture, original: Picture) -> tuple[np.ndarray, ...]:
    """Decoded minus original, per plane, float64."""
    return tuple(
        after.astype(np.float64) - before for after, before in zip(decoded.planes, original.planes, strict=True)
    )


def feature_distance(features: Sequence[Tensor], reference: Sequence[Tensor]) -> float:
    """Squared distance of two pyramids, summed over all scales (METHODS §1, step 1)."""
    with torch.no_grad():
        return sum(
            float((after.double() - before.double()).square().sum())
            for after, before in zip(features, reference, strict=True)
        )


def _sides(block: int) -> tuple[int, int, int]:
    if block < 2 or block % 2:
        raise ValueError(f"a block of {block} luma samples has no chroma block: give an even side")
    return block, block // 2, block // 2
