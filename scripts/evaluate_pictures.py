"""Decode a shard's streams, run the task network on the decoded pictures and compare features."""

from cfm.codecs.registry import make_codec
from cfm.data.shards import source_pictures
from cfm.device import resolve_device
from cfm.evaluation.average_precision import load_annotations
from cfm.evaluation.detections import label_categories
from cfm.evaluation.pictures import evaluate_pictures
from cfm.job import job
from cfm.reporting.tables import read_table, write_table
from cfm.tasks.loading import load_network


def main() -> None:
    """Hand over what the rule gives."""
    files, out, params = snakemake.input, snakemake.output, snakemake.params
    with job(snakemake.log[0], snakemake.threads):
        network = load_network(device=str(resolve_device(params.device)), **params.network)
        pictures = source_pictures(read_table(files.subset, "subset"), params.shard, params.pictures)
        annotated = load_annotations(files.annotations).getCatIds()
        categories = label_categories(getattr(network, "category_ids", None), annotated)
        codec, packs = make_codec(**params.codec), dict(zip(params.points, files.packs, strict=True))
        seen = next(iter(files.get("seen", [])), None)
        found = evaluate_pictures(network, codec, pictures, packs, files.sketches, params.block, categories, seen)
        write_table(found.predictions, out.detections, "point_detections")
        write_table(found.distances.assign(**params.setting), out.distances, "distances")


if __name__ == "__main__":
    main()
