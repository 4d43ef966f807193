"""Zip archives unpacked safely: no member leaves the folder, none is left half-written."""

from __future__ import annotations

import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from cfm.errors import DownloadError
from cfm.progress import Progress
from cfm.provenance import atomic_path

SPARE_BYTES = 1 << 24
DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)


def extract_zip(archive: Path | str, root: Path | str, members_prefix: str = "") -> int:
    """Unpack the members whose names start with `members_prefix` under `root`, keeping their relative paths.

    Every member's checksum is verified while it is written. Members that are there in their full size are skipped, so
    that a killed extraction continues.

    Parameters
    ----------
    archive : path
        A zip file.
    root : path
        The folder to unpack into.
    members_prefix : str
        Such as "annotations/"; all members by default.

    Returns
    -------
    int
        How many files were written.

    Raises
    ------
    DownloadError
        If the archive is missing, damaged or encrypted, if a member's name leaves `root` or is a link, if no member has
        the prefix, or if the disk is too small. Nothing is written if a name is refused.
    """
    archive, root = Path(archive), Path(root)
    try:
        with zipfile.ZipFile(archive) as file:
            members = [entry for entry in file.infolist() if entry.filename.startswith(members_prefix)]
            for member in members:
                _check_member(archive, member)
            files = [member for member in members if not member.is_dir()]
            if not files:
                raise DownloadError(f"{archive}: holds no file named {members_prefix}*; name another archive or prefix")
            missing = [member for member in files if not _is_there(root, member)]
            _check_space(archive, root, missing)
            progress = Progress(len(missing), "files", f"unpacking {archive.name}")
            for member in missing:
                _extract(archive, file, member, root)
                progress.step()
    except FileNotFoundError:
        raise DownloadError(f"{archive}: no such archive; fetch it first") from None
    except DAMAGED as error:
        raise DownloadError(f"{archive}: not a whole zip archive ({error}); delete it and fetch it anew") from None
    return len(missing)


def _check_member(archive: Path, member: zipfile.ZipInfo) -> None:
    name = member.orig_filename
    pure = PurePosixPath(name)
    leaves = pure.is_absolute() or ".." in pure.parts or "\\" in name or ":" in name or "\0" in name
    if leaves or stat.S_ISLNK(member.external_attr >> 16):
        raise DownloadError(
            f"{archive}: member {name!r} is a link or would be written outside the folder; fetch the official archive"
        )


def _is_there(root: Path, member: zipfile.ZipInfo) -> bool:
    target = root / member.filename
    return target.is_file() and target.stat().st_size == member.file_size


def _check_space(archive: Path, root: Path, members: list[zipfile.ZipInfo]) -> None:
    root.mkdir(parents=True, exist_ok=True)
    needed = sum(member.file_size for member in members) + SPARE_BYTES
    free = shutil.disk_usage(root).free
    if free < needed:
        raise DownloadError(
            f"{archive}: unpacking into {root} needs {needed} bytes and {free} are free; "
            "make room or choose another folder"
        )


def _extract(archive: Path, file: zipfile.ZipFile, member: zipfile.ZipInfo, root: Path) -> None:
    try:
        with (
            atomic_path(root / member.filename) as temporary,
            open(temporary, "wb") as target,
            file.open(member) as source,
        ):
            shutil.copyfileobj(source, target, 1 << 18)
    except DAMAGED as error:
        raise DownloadError(
            f"{archive}: member {member.filename} is damaged ({error}); delete the archive and fetch it anew"
        ) from None
    except OSError as error:
        raise DownloadError(
            f"{root / member.filename}: cannot be written ({error.strerror}); make room or choose another folder"
        ) from None
