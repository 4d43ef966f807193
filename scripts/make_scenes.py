"""The synthetic scenes of one split, in COCO's layout."""

from pathlib import Path

from cfm.data.scenes.write import write_scenes
from cfm.job import job


def main() -> None:
    """Hand over what the rule gives."""
    params = snakemake.params
    with job(snakemake.log[0], snakemake.threads):
        write_scenes(Path(params.root), params.split, params.picture_count, params.seed, params.width, params.height)


if __name__ == "__main__":
    main()
