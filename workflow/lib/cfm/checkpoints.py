"""Weights that others published: which files a configuration's codecs are made of, and which of them are fetched."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from cfm.configuration.sections import Checkpoint, LearnedModels


class Published(NamedTuple):
    """A file of published weights.

    Attributes
    ----------
    key : str
        What names it in the configuration.
    file : str
        Where it lies: the user's path, or what the rule `fetch_checkpoint` makes.
    source : dict
        For that rule: `family`, and `url` and `sha256`, or `zoo` (the metric) and `quality`; empty for a user's path.
    sha256 : str or None
        What is configured.
    """

    key: str
    file: str
    source: dict[str, Any]
    sha256: str | None


def published_point(folder: str, key: str, family: str, models: LearnedModels, point: int) -> Published:
    """The weights of a codec's operating point.

    Parameters
    ----------
    folder : str
        Of what is fetched.
    key : str
        Of the codec's section.
    family : str
        Of its networks.
    models : LearnedModels
        With `checkpoints` or `zoo`.
    point : int
        Index of the operating point.
    """
    if models.zoo:
        source = {"family": family, "zoo": models.zoo, "quality": point + 1}
        return Published(f"{key}.models.zoo", f"{folder}/{family}-{models.zoo}-{point + 1}.pth", source, None)
    return published_file(folder, f"{key}.models.checkpoints.{point}", family, models.checkpoints[point])


def published_file(folder: str, key: str, family: str, checkpoint: Checkpoint) -> Published:
    """A checkpoint that a configuration names by path or by address; `folder`, `key` and `family` as above."""
    if checkpoint.path:
        return Published(f"{key}.path", checkpoint.path, {}, checkpoint.sha256)
    source = {"family": family, "url": checkpoint.url, "sha256": checkpoint.sha256}
    safe = PurePosixPath(urlsplit(checkpoint.url).path).suffix == ".safetensors"
    name = f"{family}-{checkpoint.sha256[:12]}.{'safetensors' if safe else 'pth'}"
    return Published(f"{key}.url", f"{folder}/{name}", source, checkpoint.sha256)
