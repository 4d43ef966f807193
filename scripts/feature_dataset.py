"""Crops of feature mosaics on which a learned feature codec is trained."""

from pathlib import Path

import numpy as np

from cfm.device import resolve_device
from cfm.features.dataset import training_pictures, write_feature_dataset
from cfm.job import job
from cfm.provenance import identified
from cfm.tasks.loading import load_network


def main() -> None:
    params = snakemake.params
    with job(snakemake.log[0], snakemake.threads):
        device = str(resolve_device(params.device))
        rng = np.random.default_rng(params.seed)
        write_feature_dataset(
            [load_network(device=device, **network) for network in params.networks],
            training_pictures(Path(params.root) / params.split, params.dataset["pictures"], rng),
            crop=params.dataset["crop"],
            rng=rng,
            folder=Path(snakemake.output.manifest).parent,
            identity=identified("dataset", params.code, snakemake.input.networks).name,
        )


if __name__ == "__main__":
    main()
