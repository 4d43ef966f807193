"""Packs: the streams of one shard of pictures in one file, a zip archive whose bytes depend on the streams alone."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType

from cfm.errors import BitstreamError, InputError
from cfm.provenance import atomic_path

TIMESTAMP = (1980, 1, 1, 0, 0, 0)
UNIX, FILE_MODE = 3, 0o644


class PackWriter:
    """Context manager that writes a pack whole or not at all; members are stored, with a fixed time, in sorted order.

    Parameters
    ----------
    path : Path or str
        Of the pack.
    """

    def __init__(self, path: Path | str):
        self.path = Path(path)
        self._streams: dict[str, bytes] = {}

    def __enter__(self) -> PackWriter:
        return self

    def add(self, name: str, stream: bytes) -> None:
        """Add a stream, named `{image_id:012d}` or `{image_id:012d}/{scale}`; raises ValueError on a second one."""
        if name in self._streams:
            raise ValueError(f"{self.path}: two streams named {name}")
        self._streams[name] = bytes(stream)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            return
        with atomic_path(self.path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
            for name, stream in sorted(self._streams.items()):
                member = zipfile.ZipInfo(name, TIMESTAMP)
                member.create_system, member.external_attr = UNIX, FILE_MODE << 16
                archive.writestr(member, stream)


class Pack(Mapping[str, bytes]):
    """The streams of a pack by name, each read and checked when asked for."""

    def __init__(self, path: Path | str):
        self.path = Path(path)
        if not self.path.is_file():
            raise InputError(f"{self.path}: no such pack; run the stage that encodes it")
        try:
            with zipfile.ZipFile(self.path) as archive:
                self._names = archive.namelist()
        except (zipfile.BadZipFile, OSError, ValueError) as error:
            raise self._damaged(error) from None

    def __getitem__(self, name: str) -> bytes:
        if name not in self._names:
            raise KeyError(name)
        try:
            with zipfile.ZipFile(self.path) as archive:
                return archive.read(name)
        except (zipfile.BadZipFile, OSError, ValueError, EOFError, NotImplementedError, RuntimeError) as error:
            raise self._damaged(error) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def _damaged(self, error: Exception) -> BitstreamError:
        return BitstreamError(f"{self.path}: a damaged pack ({error}); remove it and encode its pictures anew")


def read_pack(path: Path | str) -> Mapping[str, bytes]:
    """Open a pack.

    Raises
    ------
    InputError
        If there is no such file.
    BitstreamError
        If it is damaged; a damaged member is found when it is read.
    """
    return Pack(path)
