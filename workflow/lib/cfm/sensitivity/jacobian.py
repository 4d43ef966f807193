"""Sketches of a feature extractor's Jacobian with respect to the coded planes.

    Y, Cb, Cr (4:2:0) -> RGB -> network.prepare -> network.features = f(x)
    g_k = J^T s_k,  k = 1 ... K,  s_k Rademacher of variance 1/K:  sum_k (g_k . e)^2 has the mean e^T J^T J e

METHODS §1, steps 1 to 4; IDSE-RDO (arXiv:2504.02216).
"""

from __future__ import annotations

import gc
from collections.abc import Sequence
from contextlib import suppress

import numpy as np
import torch
from torch import Tensor

from cfm.codecs.picture import Picture
from cfm.data.differentiable_colour import planes_to_rgb
from cfm.errors import ConfigurationError, InputError
from cfm.sensitivity.sketch import Sketch, picture_digest
from cfm.tasks.contract import TaskNetwork


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
    network_sha256: str = "",
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
    network_sha256 : str
        Digest of the network, noted in the sketch.

    Raises
    ------
    InputError
        If the network cannot take the picture, such as one smaller than its stride, runs out of memory, or the features
        or the gradient are not finite.
    ConfigurationError
        If the features cannot be differentiated by the picture, or its objectness is not a map a scale.
    ValueError
        If the picture is not 8-bit "yuv420".
    """
    if picture.layout != "yuv420" or picture.bit_depth != 8:
        raise ValueError(f"an 8-bit yuv420 picture expected, not {picture.bit_depth}-bit {picture.layout}")
    planes = [torch.from_numpy(plane.astype(np.float32)).requires_grad_() for plane in picture.planes]
    features = differentiable_features(network, planes, image_id)
    if not all(bool(torch.isfinite(scale).all()) for scale in features):
        raise InputError(f"picture {image_id}: the features of {network.name} are not finite: check its weights")
    weights = objectness_roots(network, features) if objectness else [1.0] * len(features)
    drawn = [
        weight * rademacher((probes, *scale.shape), generator).to(scale.device)
        for weight, scale in zip(weights, features, strict=True)
    ]
    if batched is None:
        batched = features[0].device.type != "cpu"
    try:
        products = jacobian_products(features, planes, drawn, batched)
    except torch.OutOfMemoryError:
        raise out_of_memory(network, image_id) from None
    except RuntimeError as error:
        raise not_differentiable(network, error) from None
    if not all(np.isfinite(product).all() for product in products):
        raise InputError(f"picture {image_id}: the gradient of {network.name} is not finite: leave this picture out")
    # A network that keeps its tensors in a cycle of references would fill the memory with graphs.
    del features, drawn
    gc.collect(1)
    return Sketch(*products, image_id, network.name, network_sha256, picture_digest(picture), objectness)


def differentiable_features(network: TaskNetwork, planes: Sequence[Tensor], image_id: int) -> list[Tensor]:
    """The pyramid of planes (H, W) and (ceil(H/2), ceil(W/2)) twice, on their graph; raises as `sketch_picture`."""
    height, width = planes[0].shape

    def pyramid() -> list[Tensor]:
        return list(network.features(network.prepare(planes_to_rgb(*planes))))

    try:
        features = pyramid()
    except torch.OutOfMemoryError:
        raise out_of_memory(network, image_id) from None
    except RuntimeError as error:
        # What works without differentiation is not the picture's fault.
        with suppress(RuntimeError), torch.no_grad():
            pyramid()
            raise not_differentiable(network, error) from None
        raise InputError(
            f"picture {image_id} of {width}x{height}: {network.name} cannot take it ({first_line(error)}); its "
            f"coarsest stride is {max(network.strides)}: leave smaller pictures out with data.minimum_side"
        ) from None
    if not features or not all(scale.numel() for scale in features):
        raise InputError(
            f"picture {image_id} of {width}x{height} has no features in {network.name}, whose coarsest stride is "
            f"{max(network.strides)}: leave smaller pictures out with data.minimum_side"
        )
    fixed = [index for index, scale in enumerate(features) if not depends_on(scale, planes)]
    if fixed:
        raise ConfigurationError(
            f"{network.name}: scale {fixed[0]} of its features has no gradient by the picture; let prepare() and "
            "features() compute with tensors, without detach(), no_grad() or numpy"
        )
    return features


def depends_on(output: Tensor, inputs: Sequence[Tensor]) -> bool:
    """Whether any of the inputs, which are leaves, is on the graph of an output, on which parameters may be, too."""
    seen, waiting = set(), [output.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        leaf = getattr(node, "variable", None)
        if leaf is not None and any(leaf is tensor for tensor in inputs):
            return True
        waiting += [before for before, _ in node.next_functions]
    return False


def not_differentiable(network: TaskNetwork, error: Exception) -> ConfigurationError:
    """What to say of a network through which there is no gradient."""
    return ConfigurationError(
        f"{network.name}: its features cannot be differentiated by the picture ({first_line(error)}); let prepare() "
        "and features() compute with tensors, without detach(), numpy or changes in place"
    )


def out_of_memory(network: TaskNetwork, image_id: int) -> InputError:
    """What to say where the device's memory does not suffice."""
    return InputError(f"picture {image_id}: {network.name} runs out of memory; run it with `device: cpu`")


def first_line(error: Exception) -> str:
    """The first line of an error's text."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def objectness_roots(network: TaskNetwork, features: Sequence[Tensor]) -> list[Tensor]:
    """Square roots of the objectness of each scale, (1, 1, h_i, w_i), constants of the differentiation.

    Raises
    ------
    ConfigurationError
        If the network gives anything but a map of numbers of 0 or more for each scale.
    """
    with torch.no_grad():
        given = network.objectness([feature.detach() for feature in features])
        found = list(given) if isinstance(given, Sequence) else []
        sizes = [scale.shape[-2:] for scale in found if isinstance(scale, Tensor)]
        fit = sizes == [feature.shape[-2:] for feature in features] and len(sizes) == len(found)
        if not fit or not all(bool((torch.isfinite(scale) & (scale >= 0)).all()) for scale in found):
            raise ConfigurationError(
                f"{network.name}: its objectness() gives no map (1, 1, h, w) of numbers of 0 or more for every scale; "
                "mend it, or use features without objectness"
            )
        return [scale.sqrt() for scale in found]


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


def feature_distance(
    features: Sequence[Tensor], reference: Sequence[Tensor], weights: Sequence[Tensor] | None = None
) -> float:
    """Squared distance of two pyramids, summed over all scales (METHODS §1, step 1).

    `weights`, such as the objectness (1, 1, h_i, w_i) of each scale, multiply the squares where they are given.
    """
    with torch.no_grad():
        squares = [
            (after.double() - before.double()).square() for after, before in zip(features, reference, strict=True)
        ]
        if weights is not None:
            squares = [weight * square for weight, square in zip(weights, squares, strict=True)]
        return sum(float(square.sum()) for square in squares)
