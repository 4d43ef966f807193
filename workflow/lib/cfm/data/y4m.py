"""One-frame YUV4MPEG2 files: the planes of a picture as they are, without a conversion."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cfm.codecs.picture import Picture, plane_shapes
from cfm.errors import InputError
from cfm.provenance import atomic_path

MAGIC, FRAME = b"YUV4MPEG2", b"FRAME"
LAYOUTS = ("420", "420jpeg", "420mpeg2", "420paldv")  # they differ in where the chroma samples sit
LARGEST_LINE = 4096


def read_y4m(path: Path | str) -> Picture:
    """Read the first frame of an 8-bit 4:2:0 file.

    Raises
    ------
    InputError
        If the file is absent, cut, of another kind or of another layout.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; name an existing picture") from None
    end = content.find(b"\n", 0, LARGEST_LINE)
    fields = content[:end].split() if end > 0 else []
    if not fields or fields[0] != MAGIC:
        raise InputError(f"{path}: not a YUV4MPEG2 file; write it with `-f yuv4mpegpipe`")
    values = {chr(field[0]): field[1:].decode("ascii", "replace") for field in fields[1:]}
    if values.get("C", "420") not in LAYOUTS:
        raise InputError(f"{path}: colour space {values['C']}; convert it to 8-bit 4:2:0")
    try:
        height, width = int(values["H"]), int(values["W"])
    except (KeyError, ValueError):
        raise InputError(f"{path}: its header has no width and height; write it anew") from None
    start = content.find(b"\n", end + 1, end + LARGEST_LINE) + 1
    if content[end + 1 : end + 1 + len(FRAME)] != FRAME or not start or height < 1 or width < 1:
        raise InputError(f"{path}: no frame where the first one belongs; write it anew")
    planes = []
    for shape in plane_shapes("yuv420", height, width):
        stop = start + shape[0] * shape[1]
        if stop > len(content):
            raise InputError(f"{path}: the file ends within its first frame; fetch or write it anew")
        planes.append(np.frombuffer(content[start:stop], np.uint8).reshape(shape))
        start = stop
    return Picture(tuple(planes), "yuv420", 8)


def write_y4m(path: Path | str, picture: Picture) -> None:
    """Write a picture of 8-bit 4:2:0 as a file of one frame, full range."""
    header = f"{MAGIC.decode()} W{picture.width} H{picture.height} F25:1 Ip A1:1 C420jpeg XCOLORRANGE=FULL\n"
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        file.write(header.encode() + FRAME + b"\n")
        for plane in picture.planes:
            file.write(np.ascontiguousarray(plane).tobytes())
