"""Gather all scores into curves, and compare the curves."""

from cfm.evaluation.comparison import bd_rate_table, curves_table, load_draws
from cfm.job import job
from cfm.reporting.tables import read_tables, write_table


def main() -> None:
    """Write `output.curves` and `output.bd_rate` from `input.scores`, `input.draws` and `input.distances`.

    `params.anchors` maps a study to its anchors, `params.minimum_overlap` is the least overlap of qualities.
    """
    paths = snakemake.input
    distances = read_tables(paths.distances, "distances") if paths.get("distances") else None
    curves = curves_table(read_tables(paths.scores, "scores"), distances)
    compared = bd_rate_table(
        curves, load_draws(paths.draws), snakemake.params.anchors, snakemake.params.minimum_overlap
    )
    write_table(compared, snakemake.output.bd_rate, "bd_rate", csv=True)
    write_table(curves, snakemake.output.curves, "curves", csv=True)


if __name__ == "__main__":
    with job(snakemake.log[0]):
        main()
