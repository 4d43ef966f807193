"""One shard of the feature dataset: crops of the feature mosaics of some training pictures."""

from pathlib import Path

import numpy as np

from cfm.device import resolve_device
from cfm.features.dataset import shard_generator, training_pictures, write_shard
from cfm.job import job
from cfm.tasks.loading import load_network


def main() -> None:
    """Hand over what the rule gives: of all `params.picture_count` pictures those of the slice `params.pictures`."""
    params = snakemake.params
    with job(snakemake.log[0], snakemake.threads):
        rng = np.random.default_rng(params.seed)
        pictures = training_pictures(Path(params.root) / params.split, params.picture_count, rng)
        device = str(resolve_device(params.device))
        write_shard(
            Path(snakemake.output.crops),
            [load_network(device=device, **network) for network in params.networks],
            pictures[slice(*params.pictures)],
            params.crop,
            shard_generator(params.seed, params.shard),
        )


if __name__ == "__main__":
    main()
