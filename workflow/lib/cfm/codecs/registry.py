"""Codecs by name: one protocol, and what identifies a codec down to its weights and libraries."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

from cfm.codecs.picture import Picture
from cfm.errors import ConfigurationError, WeightsError
from cfm.provenance import sha256_of

EXTERNAL = ("x264", "x265", "kvazaar", "vvenc")
LEARNED = ("cheng2020-attn", "elic")
LIBRARIES = ("av", "imageio-ffmpeg", "compressai", "torch")


class Codec(Protocol):
    """What every codec does; deterministic. `layout` is what pictures are converted to for it."""

    name: str
    layout: str

    @property
    def points(self) -> tuple[int, ...]:
        """The rate points that can be asked for: QPs, or indices of trained networks."""
        ...

    def encode(self, picture: Picture, point: int, **guidance: object) -> bytes:
        """Code a picture; all bytes count in the rate."""
        ...

    def decode(self, stream: bytes) -> Picture:
        """Decode a stream; raises `BitstreamError` on a broken one."""
        ...


def make_codec(name: str, **options: Any) -> Codec:
    """Make a codec.

    Parameters
    ----------
    name : str
        "x264", "x265", "kvazaar", "vvenc", "cheng2020-attn" or "elic".
    **options
        Of standard codecs: `preset`. Of learned codecs: `manifest`, the path of a manifest.json that names the weights
        of every point beside it; or `weights`, a list of paths, and `architecture`, a mapping that builds the network
        where the files do not describe it, and `sha256`, a list of checksums.

    Raises
    ------
    ConfigurationError
        If the name or an option is unknown.
    WeightsError
        If a manifest is absent or unusable.
    """
    if name in EXTERNAL:
        _only(name, options, ("preset",))
        return _external(name, options.get("preset", ""))
    if name in LEARNED:
        _only(name, options, ("manifest", "weights", "architecture", "sha256"))
        return _learned(name, **options)
    raise ConfigurationError(f"unknown codec {name!r}; known: {', '.join(EXTERNAL + LEARNED)}")


def codec_digest(name: str, **options: Any) -> str:
    """64 hexadecimal digits that change with the codec's name, options, weights and the libraries that code."""
    identity = {"name": name, "options": options, "libraries": {library: version(library) for library in LIBRARIES}}
    if name in LEARNED:
        identity["weights"] = [sha256_of(path) for path, _ in _point_files(name, **options)]
    return hashlib.sha256(json.dumps(identity, sort_keys=True, default=str).encode()).hexdigest()


def _only(name: str, options: Mapping[str, Any], known: Sequence[str]) -> None:
    unknown = sorted(options.keys() - set(known))
    if unknown:
        raise ConfigurationError(f"codec {name} has no option {unknown[0]!r}; known: {', '.join(known)}")


def _external(name: str, preset: str) -> Codec:
    # Imported here: each of these brings libraries that the others do not need.
    from cfm.codecs.external import ffmpeg, pyav

    kinds = {"x264": pyav.X264, "x265": pyav.X265, "kvazaar": ffmpeg.Kvazaar, "vvenc": ffmpeg.Vvenc}
    return kinds[name](preset)


def _learned(name: str, architecture: Mapping[str, Any] | None = None, **files: Any) -> Codec:
    from cfm.codecs.learned.architecture import Architecture
    from cfm.codecs.learned.codec import LearnedCodec, PointFile

    try:
        built = None if architecture is None else Architecture(family=name, **architecture)
    except TypeError as error:
        raise ConfigurationError(f"codec {name}: architecture: {error}") from None
    return LearnedCodec(name, [PointFile(*file) for file in _point_files(name, **files)], built)


def _point_files(
    name: str,
    manifest: Path | str | None = None,
    weights: Sequence[Path | str] = (),
    sha256: Sequence[str] = (),
    **_architecture: Any,
) -> list[tuple[Path, str | None]]:
    """Path and checksum of every point's weights."""
    if (manifest is None) == (not weights):
        raise ConfigurationError(f"codec {name}: give either a manifest or a list of weights")
    if manifest is None:
        if sha256 and len(sha256) != len(weights):
            raise ConfigurationError(f"codec {name}: {len(sha256)} checksums for {len(weights)} weights")
        return [(Path(path), sha256[index] if sha256 else None) for index, path in enumerate(weights)]
    manifest = Path(manifest)
    try:
        content = json.loads(manifest.read_text())
        family, models = content["family"], content["models"]
        files = [(manifest.parent / model["file"], model["sha256"]) for model in models]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{manifest}: not a usable manifest ({error}); train the codec or fetch it anew") from None
    if family != name:
        raise ConfigurationError(f"{manifest}: weights of {family}, not of {name}; correct the codec's name")
    return files
