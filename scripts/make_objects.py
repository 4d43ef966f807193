"""The synthetic classification set of one split, one object a picture."""

from pathlib import Path

from cfm.data.scenes.write import write_objects
from cfm.job import job


def main() -> None:
    """Hand over what the rule gives."""
    params = snakemake.params
    with job(snakemake.log[0], snakemake.threads):
        write_objects(Path(params.root), params.split, params.picture_count, params.seed, params.size)


if __name__ == "__main__":
    main()
