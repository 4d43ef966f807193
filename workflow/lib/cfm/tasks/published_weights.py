"""Weights of torchvision's networks: published ones, which are downloaded once, or a file of them."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.error import URLError

from torch import Tensor
from torchvision.models import get_model_weights
from torchvision.models._api import WeightsEnum

from cfm.errors import WeightsError
from cfm.tasks.weights import read_weights

PUBLISHED = "DEFAULT"
HASH_IN_NAME = re.compile(r"-([0-9a-f]{8,})\.pth$")


def published_weights(name: str) -> WeightsEnum:
    """torchvision's entry for the published weights of a model: it holds their address."""
    return get_model_weights(name).DEFAULT


def file_name(entry: WeightsEnum) -> str:
    """Name of the file that published weights come in; it ends with digits of the file's SHA-256."""
    return entry.url.rsplit("/", 1)[-1]


def fetched(entry: WeightsEnum) -> tuple[dict[str, Tensor], str]:
    """Published weights and the name of their file.

    Raises
    ------
    WeightsError
        They cannot be downloaded, or the file has another digest than its name says.
    """
    file = file_name(entry)
    try:
        return entry.get_state_dict(progress=True, check_hash=True), file
    except (URLError, OSError) as error:
        raise WeightsError(
            f"{file}: cannot be downloaded ({error}); fetch it elsewhere and give its path as the option weights"
        ) from None
    except RuntimeError as error:
        raise WeightsError(f"{file}: {error}; delete it from torch's hub folder and start again") from None


def of_file(weights: str, sha256: str | None) -> tuple[dict[str, Tensor], str]:
    """The tensors of a file, whose name may end with digits of its digest as torchvision's do, and its path.

    Raises
    ------
    WeightsError
        As `read_weights`.
    """
    named = HASH_IN_NAME.search(Path(weights).name)
    return read_weights(weights, sha256 or (named.group(1) if named else None)), weights
