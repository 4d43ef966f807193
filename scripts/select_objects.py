"""Choose the pictures of the classification set, and decode every one of them to see that it is whole."""

from pathlib import Path

import numpy as np
import pandas as pd

from cfm.data.classification import list_classification
from cfm.data.images import read_rgb
from cfm.data.subset import choose
from cfm.job import job
from cfm.reporting.tables import write_table

COLUMNS = ["image_id", "file_name", "width", "height", "shard", "label"]


def select_objects(root: Path, split: str, count: int, seed: int, shard_size: int, minimum_side: int) -> pd.DataFrame:
    """A seeded choice of `count` pictures with their sizes and shards: schema `subset`."""
    listing = list_classification(root, split)
    chosen = choose(list(listing["image_id"]), count, seed, str(root / split), "random")
    listing = listing[listing["image_id"].isin(chosen)].reset_index(drop=True)
    shapes = [read_rgb(root / split / name, minimum_side).shape for name in listing["file_name"]]
    sizes = {"width": [width for _, width, _ in shapes], "height": [height for height, _, _ in shapes]}
    return listing.assign(**sizes, shard=np.arange(len(listing)) // shard_size)[COLUMNS]


def main() -> None:
    """Hand over what the rule gives."""
    params = snakemake.params
    with job(snakemake.log[0], snakemake.threads):
        settings = (params.picture_count, params.seed, params.shard_size, params.minimum_side)
        chosen = select_objects(Path(params.root), params.split, *settings)
        write_table(chosen, snakemake.output.subset, "subset")


if __name__ == "__main__":
    main()
