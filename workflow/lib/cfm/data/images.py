"""Pictures read from files, as the annotations mean them: stored pixels, RGB, 8 bits."""

from __future__ import annotations

import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from cfm.errors import InputError

MINIMUM_SIDE = 16
EIGHT_BIT_MODES = {"RGB", "L", "1", "P", "PA", "LA", "La", "RGBA", "RGBa", "RGBX"}
SIXTEEN_BIT_MODES = {"I;16", "I;16L", "I;16B", "I;16N", "I"}
UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error)


def read_rgb(path: Path | str, minimum_side: int = MINIMUM_SIDE) -> np.ndarray:
    """Read a picture whole.

    Grey and palette pictures become RGB, 16-bit grey is scaled to 8 bits, alpha is dropped. The EXIF orientation is
    ignored: COCO's boxes and sizes refer to the pixels as they are stored.

    Parameters
    ----------
    path : path
        Any format that Pillow reads; the content decides, not the name. Of several frames the first is taken.
    minimum_side : int
        Least width and height, pixels; by default one 16x16 block.

    Returns
    -------
    array (h, w, 3) of uint8

    Raises
    ------
    InputError
        If the file is missing, truncated, damaged, not a picture, CMYK or another colour space, too small, or large
        enough to exhaust the memory.
    """
    path = Path(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                _check_header(path, image, minimum_side)
                image.load()
                return _to_rgb(path, image)
    except FileNotFoundError:
        raise InputError(f"{path}: no such picture; put it there or take it out of the annotations") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise InputError(
            f"{path}: more than {Image.MAX_IMAGE_PIXELS} pixels, too large to decode safely; scale it down"
        ) from None
    except UNREADABLE as error:
        reason = "not a picture" if isinstance(error, UnidentifiedImageError) else error
        raise InputError(f"{path}: cannot be decoded ({reason}); replace it with a whole copy") from None


def _check_header(path: Path, image: Image.Image, minimum_side: int) -> None:
    """Refuse what the header alone shows to be unusable, before the pixels are decoded."""
    if image.mode not in EIGHT_BIT_MODES | SIXTEEN_BIT_MODES:
        raise InputError(
            f"{path}: the picture is {image.mode}, not RGB or grey; convert it, such as by "
            f"`magick {path.name} -colorspace sRGB {path.stem}.png`"
        )
    if min(image.size) < minimum_side:
        raise InputError(
            f"{path}: {image.width}x{image.height} pixels, smaller than a block of {minimum_side}x{minimum_side}; "
            "leave it out or scale it up"
        )


def _to_rgb(path: Path, image: Image.Image) -> np.ndarray:
    if image.mode in SIXTEEN_BIT_MODES:
        grey = np.asarray(image).astype(np.int64)
        if grey.min() < 0 or grey.max() > 65535:
            raise InputError(f"{path}: grey values beyond 16 bits; convert it to 8 or 16 bits")
        return np.repeat(((grey * 255 + 32767) // 65535).astype(np.uint8)[..., None], 3, axis=2)
    if image.mode in ("LA", "La", "PA"):
        image = image.convert("RGBA")
    return np.array(image.convert("RGB"))
