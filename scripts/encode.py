"""Encode a shard of pictures with one codec at one operating point."""

from pathlib import Path

from cfm.codecs.registry import make_codec
from cfm.data.shards import source_pictures
from cfm.evaluation.coding import encode_pictures
from cfm.job import job
from cfm.reporting.tables import read_table, write_table


def main() -> None:
    """Hand over what the rule gives."""
    given, made, params = snakemake.input, snakemake.output, snakemake.params
    with job(snakemake.log[0], snakemake.threads):
        pictures = source_pictures(read_table(given.subset, "subset"), params.shard, params.pictures)
        streams = encode_pictures(make_codec(**params.codec), params.point, pictures, Path(made.pack))
        write_table(streams, made.streams, "streams")


if __name__ == "__main__":
    main()
