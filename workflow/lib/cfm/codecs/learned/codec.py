"""Learned codecs behind the codec contract: a point is a trained network, a stream is our container."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from cfm.codecs.container import LearnedStream, read_learned, write_learned
from cfm.codecs.learned.architecture import Architecture
from cfm.codecs.learned.autoregressive import LatentCoder
from cfm.codecs.learned.backend import Cheng2020Attention, CompressionModel
from cfm.codecs.learned.weights import LoadedModel, load_model
from cfm.codecs.picture import Picture
from cfm.errors import BitstreamError, ConfigurationError, InputError

STRIDE, LATENT_STRIDE = 64, 16
GUARD_BYTES_A_SYMBOL = 8
"""Zeros given to the range decoder after a string: it checks no bounds, and a forged string must not run it beyond."""


class LearnedCodec:
    """A family's trained networks as one codec.

    Parameters
    ----------
    family : str
        "cheng2020-attn" or "elic".
    files : mapping of int to (Path, str or None)
        Of every point, by ascending rate: its weights, and what their checksum must begin with, if known. Loaded when
        first used.
    architecture : Architecture, optional
        For weights that do not describe themselves.
    """

    layout = "rgb"

    def __init__(
        self, family: str, files: Mapping[int, tuple[Path, str | None]], architecture: Architecture | None = None
    ):
        if not files:
            raise ConfigurationError(f"{family}: no weights are configured; name a file for every point")
        self.name = family
        self.points = tuple(sorted(files))
        self._files = dict(files)
        self._architecture = architecture
        self._loaded: dict[int, LoadedModel] = {}

    def warm_up(self) -> None:
        """Load the networks of all points now, so that unusable weights are found before a long stage."""
        for point in self.points:
            self._model(point)

    def encode(self, picture: Picture, point: int, **guidance: object) -> bytes:
        """Code a picture with the network of a point.

        Parameters
        ----------
        picture : Picture
            Layout "rgb", 8 or 16 bit; continued by replication to multiples of 64.
        point : int
            Index of the network.

        Returns
        -------
        bytes
            The container; all of it counts.

        Raises
        ------
        InputError, ConfigurationError, WeightsError
            If the picture's layout is another, the point unknown, guidance is given, or the weights are unusable.
        """
        if guidance:
            raise ConfigurationError(f"{self.name} takes no guidance, but got {', '.join(sorted(guidance))}")
        if picture.layout != "rgb" or picture.bit_depth not in (8, 16):
            form = f"{picture.bit_depth}-bit {picture.layout}"
            raise InputError(f"{self.name} codes rgb pictures of 8 or 16 bit, not {form}")
        loaded = self._model(point)
        with _deterministic():
            strings = _compress(loaded.model, _padded_tensor(picture))
        return write_learned(
            LearnedStream(
                self.name, point, loaded.digest, picture.bit_depth, picture.height, picture.width, tuple(strings)
            )
        )

    def decode(self, stream: bytes) -> Picture:
        """Decode a stream of this codec.

        Raises
        ------
        BitstreamError
            If the stream is damaged, or was made by another family or other weights.
        """
        parsed = read_learned(stream)
        if parsed.family != self.name:
            raise BitstreamError(f"a stream of {parsed.family}, not of {self.name}; name the codec that made it")
        if parsed.point not in self.points:
            raise BitstreamError(f"made with point {parsed.point}, but {self.name} has {self._known()} here")
        loaded = self._model(parsed.point)
        if loaded.digest != parsed.digest:
            raise BitstreamError(
                f"made with weights {parsed.digest.hex()}, but {self._files[parsed.point][0]} is "
                f"{loaded.digest.hex()}; use the weights that the encoder used"
            )
        with _deterministic():
            samples = _decompress(loaded.model, parsed.strings, parsed.height, parsed.width)
        return _picture(samples, parsed.height, parsed.width, parsed.bit_depth)

    def _model(self, point: int) -> LoadedModel:
        if point not in self.points:
            raise ConfigurationError(f"{self.name} has {self._known()}, not point {point}")
        if point not in self._loaded:
            path, sha256 = self._files[point]
            loaded = load_model(path, self._architecture, sha256)
            if loaded.architecture.family != self.name:
                raise ConfigurationError(f"{path}: weights of {loaded.architecture.family}, not of {self.name}")
            self._loaded[point] = loaded
        return self._loaded[point]

    def _known(self) -> str:
        return f"points {', '.join(map(str, self.points))}"


@contextmanager
def _deterministic() -> Iterator[None]:
    """One thread and no autograd: the order of additions, and so the coded bytes, depend on no setting of torch."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            yield
    finally:
        torch.set_num_threads(threads)


def _padded_tensor(picture: Picture) -> torch.Tensor:
    """(1, 3, H, W) in [0, 1], H and W multiples of `STRIDE`, continued by replication to the bottom and the right."""
    samples = np.stack(picture.planes).astype(np.float32) / np.float32(2**picture.bit_depth - 1)
    padding = ((0, 0), (0, -picture.height % STRIDE), (0, -picture.width % STRIDE))
    return torch.from_numpy(np.pad(samples, padding, mode="edge"))[None]


def _picture(samples: torch.Tensor, height: int, width: int, bit_depth: int) -> Picture:
    dtype = np.uint8 if bit_depth == 8 else np.uint16
    scaled = torch.round(samples[0, :, :height, :width].clamp(0, 1) * (2**bit_depth - 1)).numpy().astype(dtype)
    return Picture(tuple(np.ascontiguousarray(plane) for plane in scaled), "rgb", bit_depth)


def _compress(model: CompressionModel, samples: torch.Tensor) -> list[bytes]:
    """The strings of a picture: those of the latent, then that of the hyper-latent."""
    if not isinstance(model, Cheng2020Attention):
        return [string for (string,) in model.compress(samples)["strings"]]
    latent = model.g_a(samples)
    hyper_latent = model.h_a(latent)
    strings = model.entropy_bottleneck.compress(hyper_latent)
    decoded = model.entropy_bottleneck.decompress(strings, hyper_latent.shape[-2:])
    return [LatentCoder(model).encode(latent, model.h_s(decoded)), strings[0]]


def _decompress(model: CompressionModel, strings: Sequence[bytes], height: int, width: int) -> torch.Tensor:
    """Decoded samples (1, 3, H, W) of the padded picture."""
    hyper_shape = (-(-height // STRIDE), -(-width // STRIDE))
    rows, columns = (side * (STRIDE // LATENT_STRIDE) for side in hyper_shape)
    serial = isinstance(model, Cheng2020Attention)
    groups = (model.M,) if serial else model.latent_codec.y.groups
    expected = 2 if serial else 2 * len(groups) + 1
    if len(strings) != expected:
        raise BitstreamError(f"the stream has {len(strings)} parts where the network has {expected}")
    guarded = [string + bytes(GUARD_BYTES_A_SYMBOL * max(groups) * rows * columns) for string in strings]
    if not serial:
        shape = {"y": [(group, rows, columns) for group in groups], "hyper": hyper_shape}
        return model.decompress([[string] for string in guarded], shape)["x_hat"]
    hyper_parameters = model.h_s(model.entropy_bottleneck.decompress([guarded[1]], hyper_shape))
    return model.g_s(LatentCoder(model).decode(guarded[0], hyper_parameters))
