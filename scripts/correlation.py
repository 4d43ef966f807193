"""How well IDSE predicts the feature distance, for every operating point."""

import numpy as np

from cfm.evaluation.correlation import correlation_table
from cfm.job import job
from cfm.reporting.tables import read_tables, write_table


def main() -> None:
    """Write `output.correlation` from the tables `input.distances`; the bootstrap has `params.seed` and `.repeats`."""
    distances = read_tables(snakemake.input.distances, "distances")
    table = correlation_table(distances, np.random.default_rng(snakemake.params.seed), snakemake.params.repeats)
    write_table(table, snakemake.output.correlation, "idse_correlation", csv=True)


if __name__ == "__main__":
    with job(snakemake.log[0]):
        main()
