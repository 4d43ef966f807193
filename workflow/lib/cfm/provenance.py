"""Files written whole or not at all, and digests of what went into a result."""

from __future__ import annotations

import glob
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """Yield a temporary sibling of `path` that takes its name on success and vanishes on an error.

    The temporary name keeps the suffix, because writers choose a format by it. What killed processes left of earlier
    attempts goes first.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(glob.escape(f".{path.stem}.") + "*" + glob.escape(f".part{path.suffix}")):
        process = left.name.removeprefix(f".{path.stem}.").removesuffix(f".part{path.suffix}")
        if process.isdecimal() and not _is_running(int(process)):
            _remove(left)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        _remove(temporary)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def identified(path: Path | str, code: str, files: Iterable[Path | str]) -> Path:
    """`path` with a digest of code and files in its name: a checkpoint is continued only by what began it.

    Parameters
    ----------
    path : path
        Such as "checkpoints/detection.pt".
    code : str
        Digest of the code.
    files : iterable of paths
        Inputs whose content decides the result.
    """
    digest = hashlib.sha256(code.encode())
    for file in files:
        digest.update(sha256_of(file).encode())
    path = Path(path)
    return path.with_name(f"{path.stem}-{digest.hexdigest()[:12]}{path.suffix}")


def sha256_of(path: Path | str) -> str:
    """The SHA-256 of a file, as 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def commit_of(folder: Path | str) -> str:
    """The commit that a checkout is at, with "+ changes" where files differ from it; empty outside of git."""
    command = ["git", "-C", str(folder), "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty= + changes"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
