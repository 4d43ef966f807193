"""Errors that a user can cause: one line each, naming the file and the cure."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


class CfmError(Exception):
    """Base of all errors whose message is meant for the user, in one line."""

    exit_status = 1


class InputError(CfmError):
    """A picture, annotation file or table that cannot be used as it is."""


class ConfigurationError(CfmError):
    """A configuration key that is misspelt, missing or out of range."""

    exit_status = 2


class WeightsError(CfmError):
    """A weights file that is absent, damaged, of another network or not safe to load."""


class BitstreamError(CfmError):
    """A stream or pack that is truncated, damaged or not of this codec."""


class DownloadError(CfmError):
    """A file that could not be fetched whole and verified."""


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn a `CfmError` into one line on standard error and its exit status; let programming errors show in full."""
    try:
        yield
    except CfmError as error:
        message = " ".join(str(error).split())
        print(f"error: {message}", file=sys.stderr)
        raise SystemExit(error.exit_status) from None
