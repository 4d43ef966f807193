"""The list of the feature dataset's shards, which a training of a feature codec reads."""

import sys
from pathlib import Path

from cfm.features.dataset import gather_shards
from cfm.job import job


def main() -> None:
    """Hand over what the rule gives."""
    manifest, settings = Path(snakemake.output.manifest), snakemake.params.settings
    with job(snakemake.log[0]):
        crops = gather_shards(manifest, [Path(path) for path in snakemake.input.shards], settings["crop"], settings)
        print(f"{manifest}: {crops} crops in {len(snakemake.input.shards)} shards", file=sys.stderr)


if __name__ == "__main__":
    main()
