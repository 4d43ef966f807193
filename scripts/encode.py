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
        guide, options = None, {}
        if params.guidance:
            # Imported here: most encoding jobs need no guidance, and no digest of its code.
            from cfm.sensitivity.guidance import guide_of

            files = given.get("calibration", []), given.get("sketches", [])
            guide, options = guide_of(params.guidance, *files, params.network)
        codec = make_codec(**params.codec | options)
        streams = encode_pictures(codec, params.point, pictures, Path(made.pack), guide and guide.guidance)
        write_table(streams, made.streams, "streams")


if __name__ == "__main__":
    main()
