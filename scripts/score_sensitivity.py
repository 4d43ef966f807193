"""Accuracy by object size when one scale alone is coded."""

from cfm.evaluation.scoring import load_truth
from cfm.evaluation.size_sensitivity import size_sensitivity
from cfm.job import job
from cfm.reporting.tables import read_table, read_tables, write_table


def main() -> None:
    """Write `output.sensitivity` from `input.coded`, `input.uncoded` and `input.streams` (one table a shard each)."""
    paths, params = snakemake.input, snakemake.params
    table = size_sensitivity(
        params.task,
        params.codec,
        load_truth(read_table(paths.subset, "subset"), paths.annotations),
        read_tables(paths.coded, "scale_detections"),
        read_tables(paths.uncoded, "detections"),
        read_tables(paths.streams, "streams"),
    )
    write_table(table, snakemake.output.sensitivity, "sensitivity_by_size", csv=True)


if __name__ == "__main__":
    with job(snakemake.log[0]):
        main()
