"""How the encoders' kernels are compiled: without the interpreter's lock, and cached by a digest of their source.

numba notices an edit of the module that a kernel stands in, not of those whose kernels it calls. The cache's folder
therefore carries a digest of all modules of the encoders, so that an edit of any of them compiles anew; and nothing
else does, so that all checkouts of the same source share what is compiled, which takes minutes.
"""

from __future__ import annotations

import hashlib
import os
from functools import cache
from pathlib import Path

import numba
import numpy as np
from numba.core import config
from numba.core.caching import UserProvidedCacheLocator
from numba.core.types import unliteral

SOURCES = ("kernels.py", "cabac.py", "distortion.py", "metric.py", "block_distortion.py", "avc/*.py", "hevc/*.py")


@cache
def source_digest() -> str:
    """16 hexadecimal digits that change with the source of any kernel."""
    folder = Path(__file__).parent
    files = [path for pattern in SOURCES for path in sorted(folder.glob(pattern))]
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()[:16]


def cache_folder() -> Path:
    """Where compiled kernels are kept: below NUMBA_CACHE_DIR, else below the user's cache folder."""
    base = os.environ.get("NUMBA_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "cfm-kernels" / source_digest()


def numbers(text: str) -> np.ndarray:
    """The integers of a table that is written as text."""
    return np.array(text.split(), np.int64)


class DigestLocator(UserProvidedCacheLocator):
    """Where numba keeps the compiled kernels of this package, whatever its own folder and its files' times."""

    def __init__(self, function, path):
        super().__init__(function, path)
        self._cache_path = str(Path(config.CACHE_DIR) / Path(path).parent.name)

    def get_source_stamp(self):
        """What numba compares to find out whether the source was edited: the folder's name says that."""
        return source_digest()

    @classmethod
    def from_function(cls, function, path):
        """The locator of a function; None for those of other packages."""
        here = Path(path).is_relative_to(Path(__file__).parent)
        return super().from_function(function, path) if here else None


config.CACHE_DIR = str(cache_folder())
config.CACHE_LOCATOR_CLASSES = f"{__name__}.{DigestLocator.__name__},UserProvidedCacheLocator"
_options = {"cache": True, "nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}
# Kernels do not count references to arrays, which costs two atomic operations for every array that is handed to a
# function and took more than half of the time. They cannot make arrays therefore; those that do are `allocating`.
kernel = numba.njit(**_options, _nrt=False)
inlined = numba.njit(**_options, _nrt=False, forceinline=True)  # small ones of inner loops
allocating = numba.njit(**_options)


def general(function):
    """A kernel that is compiled once for all values of its arguments.

    Of the others numba makes another one for every constant that is handed to them. That is faster code where a loop
    depends on it, and minutes of compiling where large kernels call each other.
    """
    made = kernel(function)
    if config.DISABLE_JIT:
        return made
    template_of = made.get_call_template

    def get_call_template(args, kws):
        return template_of(tuple(map(unliteral, args)), {name: unliteral(kind) for name, kind in kws.items()})

    made.get_call_template = get_call_template
    return made


@inlined
def copy_line(source, target):
    """Copy a 1-D array; several times faster than `target[:] = source`, which looks out for overlaps."""
    for k in range(source.shape[0]):
        target[k] = source[k]
