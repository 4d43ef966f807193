"""Coding of single files for the command line: a picture to a stream, a stream to a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image

from cfm.codecs.distortion import Distortion, is_distortion, load_distortion
from cfm.codecs.picture import Picture
from cfm.codecs.registry import make_codec
from cfm.codecs.sealed import codec_of
from cfm.data.colour import rgb_to_yuv420, yuv420_to_rgb
from cfm.data.images import read_rgb
from cfm.data.y4m import read_y4m, write_y4m
from cfm.errors import BitstreamError, ConfigurationError, InputError
from cfm.provenance import atomic_path

Y4M = ".y4m"


def read_picture(path: Path) -> Picture:
    """The planes of a picture: those of a .y4m as they are, else converted from what Pillow reads."""
    return read_y4m(path) if path.suffix.lower() == Y4M else rgb_to_yuv420(read_rgb(path, minimum_side=1))


def write_picture(path: Path, picture: Picture) -> None:
    """Write a picture as .y4m, or converted to RGB in a format that Pillow knows by the suffix."""
    if path.suffix.lower() == Y4M:
        write_y4m(path, picture)
        return
    if path.suffix.lower() not in Image.registered_extensions():
        raise ConfigurationError(f"{path}: no picture format of this name is known; write .png or .y4m")
    with atomic_path(path) as temporary:
        Image.fromarray(yuv420_to_rgb(picture)).save(temporary)


def read_guidance(path: Path, tau: float | None = None) -> Distortion:
    """The distortion of a file: the paper's of the one sketch that it holds, or a distortion as it is.

    Raises
    ------
    InputError
        If the file is neither, holds the sketches of several pictures, or is a distortion and `tau` is given.
    """
    if is_distortion(path):
        if tau is not None:
            raise InputError(f"{path}: a distortion is mixed already; leave --tau out, or give it to `cfm sketch`")
        return load_distortion(path)
    # Imported here: coding by the squared error needs none of it.
    from cfm.configuration.studies import LITERAL_TAU
    from cfm.sensitivity.schemes import Mixing, scheme_distortion
    from cfm.sensitivity.sketch_file import load_sketch, sketched_ids

    found = sketched_ids(path)
    if len(found) != 1:
        raise InputError(f"{path}: {len(found)} sketches where one belongs; sketch this picture with `cfm sketch`")
    sketch = load_sketch(path, found[0])
    return scheme_distortion(
        "idse_sketch", *sketch.y.shape[1:], sketch=sketch, mixing=Mixing(LITERAL_TAU if tau is None else tau)
    )


def encode_file(
    source: Path, target: Path, name: str, qp: int, sketch: Path | None, tau: float | None, **options: Any
) -> tuple[Picture, int]:
    """Code a picture with one of our encoders and its options; returns the picture and the bytes of its stream."""
    codec, picture = make_codec(name, **options), read_picture(source)
    stream = codec.encode(picture, qp, **({"distortion": read_guidance(sketch, tau)} if sketch else {}))
    with atomic_path(target) as temporary:
        temporary.write_bytes(stream)
    return picture, len(stream)


def decode_file(source: Path, target: Path) -> Picture:
    """Decode a stream's file into a picture's.

    Raises
    ------
    BitstreamError
        If the stream is damaged; nothing is written.
    """
    try:
        stream = source.read_bytes()
        picture = make_codec(codec_of(stream)).decode(stream)
    except BitstreamError as error:
        raise BitstreamError(f"{source}: {error}") from None
    except OSError as error:
        raise InputError(f"{source}: {error.strerror}; name an existing stream") from None
    write_picture(target, picture)
    return picture
