"""Every scale of every picture of a shard, coded at one point."""

from pathlib import Path

from cfm.codecs.registry import make_codec
from cfm.data.shards import source_pictures
from cfm.device import resolve_device
from cfm.features.precoding import precode
from cfm.job import job
from cfm.reporting.tables import read_table, write_table
from cfm.tasks.loading import load_network


def main() -> None:
    params = snakemake.params
    with job(snakemake.log[0], snakemake.threads):
        network = load_network(device=str(resolve_device(params.device)), **params.network)
        pictures = source_pictures(read_table(snakemake.input.subset, "subset"), params.shard, params.pictures)
        streams = precode(network, make_codec(**params.codec), pictures, params.point, Path(snakemake.output.pack))
        write_table(streams, snakemake.output.streams, "streams")


if __name__ == "__main__":
    main()
