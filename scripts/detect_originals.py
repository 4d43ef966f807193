"""Detections of a task network on the uncompressed pictures of a shard."""

from cfm.data.shards import source_pictures
from cfm.device import resolve_device
from cfm.evaluation.average_precision import load_annotations
from cfm.evaluation.detections import label_categories
from cfm.evaluation.pictures import detect_originals
from cfm.job import job
from cfm.reporting.tables import read_table, write_table
from cfm.tasks.loading import load_network


def main() -> None:
    """Hand over what the rule gives."""
    files, params = snakemake.input, snakemake.params
    with job(snakemake.log[0], snakemake.threads):
        network = load_network(device=str(resolve_device(params.device)), **params.network)
        pictures = source_pictures(read_table(files.subset, "subset"), params.shard, params.pictures)
        annotated = load_annotations(files.annotations).getCatIds()
        categories = label_categories(getattr(network, "category_ids", None), annotated)
        write_table(detect_originals(network, pictures, categories), snakemake.output.detections, "detections")


if __name__ == "__main__":
    main()
