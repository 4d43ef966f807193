"""Best class of every uncompressed picture of the classification set."""

import pandas as pd

from cfm.device import resolve_device
from cfm.evaluation.coding import read_shard
from cfm.evaluation.detections import classification_from_prediction
from cfm.evaluation.pictures import predictions
from cfm.job import job
from cfm.reporting.tables import read_table, write_table
from cfm.tasks.loading import load_network


def main() -> None:
    """Hand over what the rule gives."""
    files, params = snakemake.input, snakemake.params
    with job(snakemake.log[0], snakemake.threads):
        network = load_network(device=str(resolve_device(params.device)), **params.network)
        shard = read_shard(read_table(files.subset, "subset"), params.pictures, 0)
        found = [classification_from_prediction(image_id, scores) for image_id, scores in predictions(network, shard)]
        write_table(pd.concat(found, ignore_index=True), snakemake.output.classes, "classifications")


if __name__ == "__main__":
    main()
