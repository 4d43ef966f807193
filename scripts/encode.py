"""Encode a shard of pictures with one codec at one operating point."""

from pathlib import Path
from typing import Any

from cfm.codecs.registry import make_codec
from cfm.data.shards import source_pictures
from cfm.evaluation.coding import encode_pictures
from cfm.job import job
from cfm.reporting.tables import read_table, write_table


def guide_of(
    guidance: dict[str, Any], network: dict[str, Any], calibration: list[str], sketches: list[str]
) -> tuple[Any, dict[str, int]]:
    """What guides the encoder, and the options of the codec that follow from it; nothing where nothing does."""
    if not guidance:
        return None, {}
    # Imported here: most encoding jobs need no guidance, and no digest of its code.
    from cfm.sensitivity.guidance import Guide
    from cfm.sensitivity.schemes import Mixing

    files = [Path(names[0]) if names else None for names in (calibration, sketches)]
    guide = Guide(guidance["scheme"], Mixing(guidance["tau"], guidance["normalise"]), *files, network)
    return guide, ({"chroma_offset": guide.chroma_qp_offset} if guidance["own_offset"] else {})


def main() -> None:
    """Hand over what the rule gives."""
    given, made, params = snakemake.input, snakemake.output, snakemake.params
    with job(snakemake.log[0], snakemake.threads):
        pictures = source_pictures(read_table(given.subset, "subset"), params.shard, params.pictures)
        files = given.get("calibration", []), given.get("sketches", [])
        guide, options = guide_of(params.guidance, params.network, *files)
        codec = make_codec(**params.codec | options)
        streams = encode_pictures(codec, params.point, pictures, Path(made.pack), guide and guide.guidance)
        write_table(streams, made.streams, "streams")


if __name__ == "__main__":
    main()
