"""The pictures of one job."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pandas as pd


class SourcePicture(NamedTuple):
    """A picture of the subset.

    Attributes
    ----------
    image_id : int
        COCO id.
    path : Path
        Its file.
    """

    image_id: int
    path: Path


def source_pictures(subset: pd.DataFrame, shard: int, folder: Path | str) -> list[SourcePicture]:
    """The pictures of one shard of a subset table (columns image_id, file_name, shard), in the table's order."""
    rows = subset[subset["shard"] == shard]
    return [
        SourcePicture(int(image_id), Path(folder) / name)
        for image_id, name in zip(rows["image_id"], rows["file_name"], strict=True)
    ]
