"""Encode a shard of pictures with one codec at one operating point."""

from collections.abc import Callable
from pathlib import Path

from cfm.codecs.distortion import Distortion
from cfm.codecs.registry import make_codec
from cfm.data.shards import source_pictures
from cfm.evaluation.coding import encode_pictures
from cfm.job import job
from cfm.reporting.tables import read_table, write_table


def guided_by(sketches: str, tau: float) -> Callable[[int], Distortion]:
    """The distortion of every picture, by its id: IDSE of its sketch and the squared error."""
    # Imported here: sketches bring torch, which most encoding jobs do not need.
    from cfm.sensitivity.idse import idse_distortion
    from cfm.sensitivity.sketch_file import load_sketch

    return lambda image_id: idse_distortion(load_sketch(Path(sketches), image_id), tau)


def main() -> None:
    """Hand over what the rule gives."""
    given, made, params = snakemake.input, snakemake.output, snakemake.params
    with job(snakemake.log[0], snakemake.threads):
        pictures = source_pictures(read_table(given.subset, "subset"), params.shard, params.pictures)
        guide = guided_by(given.guides[0], **params.guidance) if params.guidance else None
        streams = encode_pictures(make_codec(**params.codec), params.point, pictures, Path(made.pack), guide)
        write_table(streams, made.streams, "streams")


if __name__ == "__main__":
    main()
