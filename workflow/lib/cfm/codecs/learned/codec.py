"""Learned codecs behind the codec contract: a point is a trained network, a stream is our container."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from cfm.codecs.container import LearnedStream, read_learned, write_learned
from cfm.codecs.learned.architecture import Architecture
from cfm.codecs.learned.entropy import CodedLatent, LatentCoder
from cfm.codecs.learned.transforms import PRECISIONS, Transforms
from cfm.codecs.learned.weights import LoadedModel, load_model
from cfm.codecs.picture import Picture
from cfm.device import resolve_device
from cfm.errors import BitstreamError, ConfigurationError, InputError

HYPER_STRIDE = 64
"""Samples of a picture that one of the hyper-latent stands for."""

LARGEST_PIXELS = 2**25
"""Of a coded picture, so that a forged header cannot ask for much memory: six times the mosaic of an 800x1200
input's finest scale."""


class _Network:
    """A loaded network, prepared for coding.

    `digest` (4 bytes) is of its weights and of the tables that this machine computed from them.
    """

    def __init__(self, loaded: LoadedModel, precision: str, device: str):
        self._model, self._architecture = loaded.model.to(device), loaded.architecture
        self.stride = loaded.architecture.stride
        self.transforms = Transforms(self._model, precision)
        self._coders: dict[bool, LatentCoder] = {}
        tables = self.coder(False).tables_digest()
        self.digest = zlib.crc32(tables, int.from_bytes(loaded.digest, "little")).to_bytes(4, "little")

    def coder(self, portable: bool) -> LatentCoder:
        """The entropy coder with predictions in double or in single precision, made when first asked for."""
        if portable not in self._coders:
            self._coders[portable] = LatentCoder(self._model, self._architecture.latent_channels, portable)
        return self._coders[portable]


class LearnedCodec:
    """A family's trained networks as one codec.

    Parameters
    ----------
    family : str
        "cheng2020-attn", "elic" or "lic-tcm".
    files : mapping of int to (Path, str or None)
        Of every point, by ascending rate: its weights, and what their checksum must begin with, if known. Loaded when
        first used.
    architecture : Architecture, optional
        For weights that do not describe themselves.
    portable : bool
        Whether what the entropy coder needs is predicted in double precision, so that streams decode on other devices
        and with any number of threads. Else it is in single precision, which is faster, and streams decode where the
        device, the processor type, the library versions and the number of threads are those of the encoder.
    precision : str
        Of the transforms, "float32" or "bfloat16".
    device : str
        "auto", "cpu", "cuda" or "cuda:<index>".
    """

    layout = "rgb"

    def __init__(
        self,
        family: str,
        files: Mapping[int, tuple[Path, str | None]],
        architecture: Architecture | None = None,
        portable: bool = True,
        precision: str = "float32",
        device: str = "cpu",
    ):
        if not files:
            raise ConfigurationError(f"{family}: no weights are configured; name a file for every point")
        if precision not in PRECISIONS:
            raise ConfigurationError(f"{family}: unknown precision {precision!r}; known: {', '.join(PRECISIONS)}")
        self.name = family
        self.portable, self.precision, self.device = portable, precision, str(resolve_device(device))
        self.points = tuple(sorted(files))
        self._files = dict(files)
        self._architecture = architecture
        self._networks: dict[int, _Network] = {}

    def warm_up(self) -> None:
        """Load the networks of all points now, so that unusable weights are found before a long stage."""
        for point in self.points:
            self._network(point)

    def encode(self, picture: Picture, point: int, **guidance: object) -> bytes:
        """Code a picture with the network of a point.

        Parameters
        ----------
        picture : Picture
            Layout "rgb", 8 or 16 bit; continued by replication to multiples of 64, or 128 in LIC-TCM.
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
        network = self._network(point)
        with torch.inference_mode():
            latent = network.transforms.analyse(self._padded(picture, network.stride))
            coded, _ = network.coder(self.portable).encode(latent)
        return self._stream(network, point, picture, coded)

    def size_bytes(self, picture: Picture, point: int) -> int:
        """About how many bytes `encode` would give, without entropy coding; errors are those of `encode`."""
        network = self._network(point)
        coder = network.coder(self.portable)
        with torch.inference_mode():
            string_bytes = coder.string_bytes(network.transforms.analyse(self._padded(picture, network.stride)))
        without = CodedLatent(bytes(string_bytes), (), (0,) * (coder.slices + 1))
        return len(self._stream(network, point, picture, without))

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
        if parsed.height * parsed.width > LARGEST_PIXELS:
            raise BitstreamError(f"the stream's header says {parsed.width}x{parsed.height}: it is no stream of ours")
        network = self._network(parsed.point)
        if network.digest != parsed.digest:
            raise BitstreamError(
                f"made with model {parsed.digest.hex()}, but {self._files[parsed.point][0]} gives "
                f"{network.digest.hex()}; use the weights and the libraries of the encoder"
            )
        coded = CodedLatent(parsed.string, parsed.sides, parsed.checks)
        height, width = (
            -(-side // network.stride) * network.stride // HYPER_STRIDE for side in (parsed.height, parsed.width)
        )
        with torch.inference_mode():
            latent = network.coder(parsed.portable).decode(coded, height, width)
            samples = network.transforms.synthesise(latent.float())
        return _picture(samples, parsed.height, parsed.width, parsed.bit_depth)

    def _stream(self, network: _Network, point: int, picture: Picture, coded: CodedLatent) -> bytes:
        return write_learned(
            LearnedStream(
                self.name,
                point,
                network.digest,
                self.portable,
                picture.bit_depth,
                picture.height,
                picture.width,
                coded.string,
                coded.sides,
                coded.checks,
            )
        )

    def _network(self, point: int) -> _Network:
        if point not in self.points:
            raise ConfigurationError(f"{self.name} has {self._known()}, not point {point}")
        if point not in self._networks:
            path, sha256 = self._files[point]
            loaded = load_model(path, self._architecture, sha256, self.name)
            self._networks[point] = _Network(loaded, self.precision, self.device)
        return self._networks[point]

    def _padded(self, picture: Picture, stride: int) -> torch.Tensor:
        """(1, 3, H, W) in [0, 1], H and W multiples of the stride, continued by replication below and to the right."""
        if picture.layout != "rgb" or picture.bit_depth not in (8, 16):
            form = f"{picture.bit_depth}-bit {picture.layout}"
            raise InputError(f"{self.name} codes rgb pictures of 8 or 16 bit, not {form}")
        if picture.pixels > LARGEST_PIXELS:
            raise InputError(f"{self.name} codes pictures of up to {LARGEST_PIXELS} pixels: cut or scale the picture")
        samples = np.stack(picture.planes).astype(np.float32) / np.float32(2**picture.bit_depth - 1)
        padding = ((0, 0), (0, -picture.height % stride), (0, -picture.width % stride))
        return torch.from_numpy(np.pad(samples, padding, mode="edge"))[None].to(self.device)

    def _known(self) -> str:
        return f"points {', '.join(map(str, self.points))}"


def _picture(samples: torch.Tensor, height: int, width: int, bit_depth: int) -> Picture:
    dtype = np.uint8 if bit_depth == 8 else np.uint16
    scaled = torch.round(samples[0, :, :height, :width].clamp(0, 1) * (2**bit_depth - 1)).cpu().numpy().astype(dtype)
    return Picture(tuple(np.ascontiguousarray(plane) for plane in scaled), "rgb", bit_depth)
