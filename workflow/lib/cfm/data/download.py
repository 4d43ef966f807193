"""Files fetched over HTTP: resumed after breaks, verified before they take their name."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import re
import shutil
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import NamedTuple

from cfm.errors import DownloadError
from cfm.progress import Progress
from cfm.provenance import atomic_path

CHUNK_BYTES = 1 << 18
SPARE_BYTES = 1 << 24
LONGEST_PAUSE_S = 60.0
PASSING_STATUSES = {408, 425, 429, 500, 502, 503, 504}


class Expected(NamedTuple):
    """What is published about a file; None where nothing is."""

    size_bytes: int | None
    sha256: str | None
    md5: str | None


class Downloaded(NamedTuple):
    """A file that is whole: `sha256` as measured, `fetched` False where it lay there already."""

    path: Path
    size_bytes: int
    sha256: str
    fetched: bool


class _BrokenOffError(Exception):
    """A failure that another attempt may mend."""


def download(
    url: str,
    destination: Path | str,
    size_bytes: int | None = None,
    sha256: str | None = None,
    md5: str | None = None,
    timeout_s: float = 30.0,
    retries: int = 5,
    pause_s: float = 1.0,
    progress: bool = True,
) -> Downloaded:
    """Fetch a file, or continue a fetch that broke off, and verify it.

    The bytes gather in `<destination>.part`; the file takes its name once its size and checksums are right. A file that
    is there and right is left alone; one that is there and wrong is fetched anew.

    Parameters
    ----------
    url : str
        http or https.
    destination : path
        The file to make.
    size_bytes, sha256, md5 : optional
        What is published about the file; of its SHA-256, the first digits serve too.
    timeout_s : float
        Longest silence of the server, seconds.
    retries : int
        How many attempts in a row may fail to gain a byte after the first one.
    pause_s : float
        Pause after a failure, seconds; doubles with every further one in a row, up to a minute.
    progress : bool
        Whether lines on standard error say how far it is.

    Returns
    -------
    Downloaded
        With the SHA-256 as measured, for the run's manifest where none is published.

    Raises
    ------
    DownloadError
        If the server refuses, stalls, lies about sizes or ranges, if a checksum is wrong, or if the disk is too small.
    """
    destination = Path(destination)
    if not url.startswith(("http://", "https://")):
        raise DownloadError(f"{destination}: cannot be fetched from {url}; give an http or https address")
    expected = Expected(size_bytes, sha256 and sha256.lower(), md5 and md5.lower())
    if destination.is_file():
        measured = measure(destination)
        if mismatch(measured, expected) is None:
            return Downloaded(destination, measured.size_bytes, measured.sha256, False)
        print(f"{destination}: not the published file; fetching it anew", file=sys.stderr)
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        return _fetch_verified(PartFile(destination, url), expected, timeout_s, retries, pause_s, progress)
    except OSError as error:
        raise DownloadError(
            f"{destination}: cannot be written ({error.strerror}); make room or choose another folder"
        ) from None


def measure(path: Path) -> Expected:
    """Size and checksums of a file, in one pass."""
    sha256, md5, size_bytes = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            sha256.update(chunk)
            md5.update(chunk)
            size_bytes += len(chunk)
    return Expected(size_bytes, sha256.hexdigest(), md5.hexdigest())


def mismatch(measured: Expected, expected: Expected) -> str | None:
    """The first difference from what is published, naming both values, or None."""
    for name, found, published in zip(("size", "sha256", "md5"), measured, expected, strict=True):
        same = found.startswith(published) if name == "sha256" and published else found == published
        if published is not None and not same:
            return f"{name} {found} where {published} is published"
    return None


class PartFile:
    """The bytes fetched so far, and the server's mark of the version that they belong to (its ETag or date)."""

    def __init__(self, destination: Path, url: str):
        self.destination, self.url = destination, url
        self.path = destination.with_name(destination.name + ".part")
        self.mark_path = destination.with_name(destination.name + ".part.json")

    @property
    def size_bytes(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def mark(self) -> str | None:
        """For `If-Range`; None where the server gave none, or another address did."""
        try:
            kept = json.loads(self.mark_path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return kept.get("mark") if isinstance(kept, dict) and kept.get("url") == self.url else None

    def begin(self, headers: http.client.HTTPMessage) -> None:
        """Start from the first byte of the version that `headers` describe."""
        self.drop()
        etag = headers.get("ETag")
        mark = etag if etag and not etag.startswith("W/") else headers.get("Last-Modified")
        with atomic_path(self.mark_path) as temporary:
            temporary.write_text(json.dumps({"url": self.url, "mark": mark}), encoding="utf-8")

    def drop(self) -> None:
        self.path.unlink(missing_ok=True)
        self.mark_path.unlink(missing_ok=True)

    def finish(self) -> None:
        os.replace(self.path, self.destination)
        self.mark_path.unlink(missing_ok=True)


def _fetch_verified(
    part: PartFile, expected: Expected, timeout_s: float, retries: int, pause_s: float, progress: bool
) -> Downloaded:
    """Fill the part file, verify it and give it its name."""
    _fetch(part, expected, timeout_s, retries, pause_s, progress)
    measured = measure(part.path)
    problem = mismatch(measured, expected)
    if problem:
        part.drop()
        raise DownloadError(
            f"{part.destination}: what {part.url} sent has {problem}; it is removed: "
            "run again, or correct what the configuration publishes"
        )
    part.finish()
    return Downloaded(part.destination, measured.size_bytes, measured.sha256, True)


def _fetch(part: PartFile, expected: Expected, timeout_s: float, retries: int, pause_s: float, progress: bool) -> None:
    """Fill the part file, with as many attempts as gain bytes and `retries` more that do not."""
    if part.size_bytes and part.mark is None and expected.sha256 is None and expected.md5 is None:
        part.drop()  # nothing could tell whether the rest belongs to the same version
    most_bytes, failures = part.size_bytes, 0
    while True:
        try:
            return _attempt(part, expected, timeout_s, progress)
        except _BrokenOffError as error:
            gained, most_bytes = part.size_bytes > most_bytes, max(most_bytes, part.size_bytes)
            failures = 1 if gained else failures + 1
            if failures > retries:
                raise DownloadError(
                    f"{part.destination}: fetching {part.url} failed {failures} times in a row ({error}); "
                    f"run again: it resumes after {part.size_bytes} bytes"
                ) from None
            time.sleep(min(pause_s * 2 ** (failures - 1), LONGEST_PAUSE_S))


def _attempt(part: PartFile, expected: Expected, timeout_s: float, progress: bool) -> None:
    """One request, which continues the part file where the server can."""
    if expected.size_bytes is not None and part.size_bytes > expected.size_bytes:
        part.drop()
    start = part.size_bytes
    if start and start == expected.size_bytes:
        return
    with _open(part, start, timeout_s) as response:
        total_bytes = _begin(part, response, start, expected)
        _check_space(part, total_bytes)
        _receive(part, response, total_bytes, timeout_s, progress)
    if total_bytes is not None and part.size_bytes < total_bytes:
        raise _BrokenOffError(f"the server broke off after {part.size_bytes} of {total_bytes} bytes")


def _open(part: PartFile, start: int, timeout_s: float) -> http.client.HTTPResponse:
    """Send the request; a refusal that a later attempt will not mend is a `DownloadError`."""
    headers = {"Accept-Encoding": "identity", "User-Agent": "cfm"}
    if start:
        headers["Range"] = f"bytes={start}-"
        if part.mark:
            headers["If-Range"] = part.mark
    try:
        return urllib.request.urlopen(urllib.request.Request(part.url, headers=headers), timeout=timeout_s)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416:
            part.drop()
            raise _BrokenOffError("the server has no bytes beyond those fetched; starting over") from None
        if error.code in PASSING_STATUSES:
            raise _BrokenOffError(f"the server answered {error.code}") from None
        raise DownloadError(
            f"{part.destination}: {part.url} answered {error.code} {error.reason}; "
            "correct the address, or put the file there yourself"
        ) from None
    except (http.client.HTTPException, OSError) as error:
        raise _BrokenOffError(_reason(error, timeout_s)) from None


def _begin(part: PartFile, response: http.client.HTTPResponse, start: int, expected: Expected) -> int | None:
    """Check what the server announces; return the whole file's size in bytes, or None where it does not say."""
    if response.status == 206:
        first, last, total_bytes = _content_range(response.headers.get("Content-Range", ""))
        announced = response.length is None or response.length == last - first + 1
        if not start or first != start or not announced or (total_bytes is not None and last >= total_bytes):
            part.drop()
            raise _BrokenOffError(
                f"the server sent bytes {first} to {last} where those from {start} were asked for; starting over"
            )
    elif response.status == 200:
        total_bytes = response.length
    else:
        raise DownloadError(f"{part.destination}: {part.url} answered {response.status}; correct the address")
    if expected.size_bytes is not None and total_bytes not in (None, expected.size_bytes):
        raise DownloadError(
            f"{part.destination}: {part.url} has {total_bytes} bytes where {expected.size_bytes} are published; "
            "correct the address or the size"
        )
    if response.status == 200:
        part.begin(response.headers)
    return total_bytes if total_bytes is not None else expected.size_bytes


def _content_range(value: str) -> tuple[int, int, int | None]:
    match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", value.strip())
    if match is None:
        return -1, -1, None
    first, last, total = match.groups()
    return int(first), int(last), None if total == "*" else int(total)


def _check_space(part: PartFile, total_bytes: int | None) -> None:
    needed = (total_bytes or 0) - part.size_bytes + SPARE_BYTES
    free = shutil.disk_usage(part.path.parent).free
    if free < needed:
        raise DownloadError(
            f"{part.destination}: {needed} bytes are needed and {free} are free; make room or choose another folder"
        )


def _receive(
    part: PartFile, response: http.client.HTTPResponse, total_bytes: int | None, timeout_s: float, progress: bool
) -> None:
    """Append what comes to the part file, chunk by chunk, so that a break costs next to nothing."""
    if total_bytes is None and not response.chunked:
        raise DownloadError(
            f"{part.destination}: {part.url} does not say how long it is; give its size in the configuration"
        )
    left = None if total_bytes is None else total_bytes - part.size_bytes
    meter = Progress(left, "bytes", f"fetching {part.destination.name}") if progress and left else None
    with open(part.path, "ab") as file:
        while chunk := _read(response, CHUNK_BYTES if left is None else min(CHUNK_BYTES, left + 1), timeout_s):
            if left is not None:
                left -= len(chunk)
                if left < 0:
                    part.drop()
                    raise _BrokenOffError(f"the server sent more than the {total_bytes} bytes announced")
            file.write(chunk)
            if meter:
                meter.step(count=len(chunk))


def _read(response: http.client.HTTPResponse, count: int, timeout_s: float) -> bytes:
    try:
        return response.read1(count)
    except (http.client.HTTPException, OSError) as error:
        raise _BrokenOffError(_reason(error, timeout_s)) from None


def _reason(error: Exception, timeout_s: float) -> str:
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, TimeoutError):
        return f"no byte for {timeout_s:g} s"
    return f"{type(cause).__name__}: {cause}"
