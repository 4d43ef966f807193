"""Codecs by name: one protocol, and what identifies a codec down to its weights and libraries."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

from cfm.codecs.container import EXTERNAL_CODECS as EXTERNAL
from cfm.codecs.container import LEARNED_FAMILIES as LEARNED
from cfm.codecs.picture import Picture
from cfm.errors import ConfigurationError
from cfm.provenance import sha256_of

OWN = {
    "avc": ("deltas", "chroma_offset", "cabac", "effort", "decisions"),
    "hevc": ("deltas", "chroma_offset", "ctu", "effort", "decisions"),
}
LIBRARIES = ("av", "imageio-ffmpeg", "compressai", "torch", "numba")


class Codec(Protocol):
    """What every codec does; deterministic. `layout` is what pictures are converted to for it."""

    name: str
    layout: str

    @property
    def points(self) -> tuple[int, ...]:
        """The rate points that can be asked for: QPs, or indices of trained networks."""
        ...

    def warm_up(self) -> None:
        """Do now what the first picture would wait for, such as to compile kernels or to load networks."""
        ...

    def encode(self, picture: Picture, point: int, **guidance: object) -> bytes:
        """Code a picture; all bytes count in the rate."""
        ...

    def decode(self, stream: bytes) -> Picture:
        """Decode a stream; raises `BitstreamError` on a broken one."""
        ...


def make_codec(name: str, downsample: float = 1, **options: Any) -> Codec:
    """Make a codec.

    Parameters
    ----------
    name : str
        "avc", "hevc", "x264", "x265", "kvazaar", "vvenc", "cheng2020-attn", "elic" or
        "lic-tcm".
    downsample : float
        What the sides of a picture are divided by before it is coded; 1 leaves it as it is.
    **options
        Of our own encoders: `deltas`, `chroma_offset`, `effort` and `decisions`, `cabac` of "avc", `ctu` of "hevc"; see
        `cfm.codecs.avc.codec` and `cfm.codecs.hevc.codec`. Of other encoders: `preset`. Of learned codecs: `weights`,
        the path of every point's file by the point's number (checked against the manifest beside it, if there is one);
        and `architecture`, a mapping with the arguments of `cfm.codecs.learned.architecture.Architecture`, where the
        files do not describe their network; `portable`, `precision` and `device` of `cfm.codecs.learned.codec`.

    Raises
    ------
    ConfigurationError
        If the name or an option is unknown.
    WeightsError
        If a manifest is unusable.
    """
    if downsample != 1:
        from cfm.codecs.downsampled import DownsampledCodec

        return DownsampledCodec(make_codec(name, **options), downsample)
    if name in OWN:
        _only(name, options, OWN[name])
        return _own(name, options)
    if name in EXTERNAL:
        _only(name, options, ("preset",))
        return _external(name, options.get("preset", ""))
    if name in LEARNED:
        _only(name, options, ("weights", "architecture", "portable", "precision", "device"))
        return _learned(name, **options)
    raise ConfigurationError(f"unknown codec {name!r}; known: {', '.join((*OWN, *EXTERNAL, *LEARNED))}")


def codec_digest(name: str, **options: Any) -> str:
    """64 hexadecimal digits that change with the codec's name, options, weights and the libraries that code."""
    identity = {"name": name, "options": options, "libraries": {library: version(library) for library in LIBRARIES}}
    if name in LEARNED:
        identity["weights"] = {point: sha256_of(path) for point, path in options.get("weights", {}).items()}
        identity["options"] = {key: value for key, value in options.items() if key != "weights"}
    return hashlib.sha256(json.dumps(identity, sort_keys=True, default=str).encode()).hexdigest()


def _only(name: str, options: Mapping[str, Any], known: Sequence[str]) -> None:
    unknown = sorted(options.keys() - set(known))
    if unknown:
        raise ConfigurationError(f"codec {name} has no option {unknown[0]!r}; known: {', '.join(known)}")


def _own(name: str, options: Mapping[str, Any]) -> Codec:
    # Imported here: each of these brings the compiler of its kernels.
    if name == "avc":
        from cfm.codecs.avc.codec import Avc

        return Avc(**options)
    from cfm.codecs.hevc.codec import Hevc

    return Hevc(**options)


def _external(name: str, preset: str) -> Codec:
    # Imported here: each of these brings libraries that the others do not need.
    from cfm.codecs.external import ffmpeg, pyav

    kinds = {"x264": pyav.X264, "x265": pyav.X265, "kvazaar": ffmpeg.Kvazaar, "vvenc": ffmpeg.Vvenc}
    return kinds[name](preset)


def _learned(
    name: str,
    weights: Mapping[int, Path | str] | None = None,
    architecture: Mapping[str, Any] | None = None,
    **options: Any,
) -> Codec:
    from cfm.codecs.learned.architecture import Architecture
    from cfm.codecs.learned.codec import LearnedCodec
    from cfm.codecs.learned.manifest import expected_sha256

    try:
        built = None if architecture is None else Architecture(**{"family": name, **architecture})
    except TypeError as error:
        raise ConfigurationError(f"codec {name}: architecture: {error}") from None
    files = {int(point): (Path(path), expected_sha256(path)) for point, path in (weights or {}).items()}
    return LearnedCodec(name, files, built, **options)
