"""Choose the pictures of the classification set, after looking at every one of them."""

from pathlib import Path

from cfm.data.checks import check_files
from cfm.data.subset import select_classification
from cfm.job import job
from cfm.reporting.tables import write_table


def main() -> None:
    """Hand over what the rule gives."""
    params = snakemake.params
    with job(snakemake.log[0], snakemake.threads):
        chosen = select_classification(
            params.root, params.split, params.picture_count, params.seed, "random", params.picture_count
        )
        folder = Path(params.root) / params.split
        check_files([folder / name for name in chosen["file_name"]], params.minimum_side)
        columns = ["image_id", "file_name", "width", "height", "shard", "label"]
        write_table(chosen[columns], snakemake.output.subset, "subset")


if __name__ == "__main__":
    main()
