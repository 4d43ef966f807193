"""Decode a shard's streams of the classification set, classify the decoded pictures and compare features."""

from cfm.codecs.registry import make_codec
from cfm.data.shards import source_pictures
from cfm.device import resolve_device
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
        codec, packs = make_codec(**params.codec), dict(zip(params.points, files.packs, strict=True))
        seen = next(iter(files.get("seen", [])), None)
        found = evaluate_pictures(network, codec, pictures, packs, files.sketches, params.block, None, seen)
        write_table(found.predictions, out.classes, "point_classifications")
        write_table(found.distances.assign(**params.setting), out.distances, "distances")


if __name__ == "__main__":
    main()
