"""Best class of every uncompressed picture of a shard of the classification set."""

import pandas as pd

from cfm.data.shards import source_pictures
from cfm.device import resolve_device
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
        pictures = source_pictures(read_table(files.subset, "subset"), params.shard, params.pictures)
        found = [
            classification_from_prediction(image_id, scores) for image_id, scores in predictions(network, pictures)
        ]
        write_table(pd.concat(found, ignore_index=True), snakemake.output.classes, "classifications")


if __name__ == "__main__":
    main()
