"""Crops of feature mosaics on which a learned feature codec is trained."""

from pathlib import Path

import numpy as np

from cfm.errors import one_line_errors
from cfm.features.dataset import write_feature_dataset
from cfm.tasks.loading import load_network


def main() -> None:
    params = snakemake.params
    networks = [load_network(**network) for network in params.networks]
    with one_line_errors():
        write_feature_dataset(
            networks,
            [Path(path) for path in params.pictures],
            crop=params.crop,
            rng=np.random.default_rng(params.seed),
            folder=Path(snakemake.output.manifest).parent,
            crops_per_scale=params.crops_per_scale,
            pictures_per_shard=params.pictures_per_shard,
        )


if __name__ == "__main__":
    main()
