"""Published weights of compressai's zoo: where they are, and the digits of their checksums that their names end in."""

from __future__ import annotations

import re
from typing import NamedTuple

from cfm.codecs.learned.backend import model_urls
from cfm.errors import ConfigurationError

DIGITS_IN_NAME = re.compile(r"-([0-9a-f]{8,64})\.pth\.tar$")


class Address(NamedTuple):
    """Where a file can be fetched, and what its SHA-256 is or begins with."""

    url: str
    sha256: str


def zoo_address(family: str, metric: str, quality: int) -> Address:
    """The address of a network's weights in the table of the installed compressai.

    Parameters
    ----------
    family : str
        As compressai names it, such as "cheng2020-attn".
    metric : str
        "mse" or "ms-ssim": what it was trained for.
    quality : int
        From 1.

    Raises
    ------
    ConfigurationError
        If the zoo has no such weights.
    """
    url = model_urls.get(family, {}).get(metric, {}).get(quality)
    named = DIGITS_IN_NAME.search(url or "")
    if named is None:
        raise ConfigurationError(
            f"compressai's zoo has no checked weights of {family} for {metric} at quality {quality}; name `checkpoints`"
        )
    return Address(url, named[1])
