"""Encode a shard of pictures with one codec at one operating point."""

from pathlib import Path

from cfm.codecs.registry import make_codec
from cfm.evaluation.coding import encode_pictures, read_shard
from cfm.job import job
from cfm.reporting.tables import read_table, write_table


def encode(pack: Path, streams: Path, subset: Path, pictures: str, shard: int, codec: dict, point: int) -> None:
    """Write the streams of a shard and the table of their sizes."""
    chosen = read_shard(read_table(subset, "subset"), pictures, shard)
    write_table(encode_pictures(make_codec(**codec), point, chosen, pack), streams, "streams")


def main() -> None:
    """Hand over what the rule gives."""
    files, params = (snakemake.input, snakemake.output), snakemake.params
    with job(snakemake.log[0], snakemake.threads):
        encode(
            Path(files[1].pack),
            Path(files[1].streams),
            files[0].subset,
            params.pictures,
            params.shard,
            params.codec,
            params.point,
        )


if __name__ == "__main__":
    main()
