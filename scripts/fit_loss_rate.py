"""Task loss over rate, and the weights of the scales of every picture, from the precoded set."""

from cfm.allocation.fit_tables import loss_rate_tables
from cfm.allocation.schemes import precoded_rates
from cfm.job import job
from cfm.reporting.tables import read_tables, write_table
from cfm.sensitivity.losses import loss_cube
from cfm.sensitivity.weights import weights_table


def main() -> None:
    params, output = snakemake.params, snakemake.output
    labels = {"task": params.task, "codec": params.codec}
    with job(snakemake.log[0], snakemake.threads):
        cube = loss_cube(read_tables(snakemake.input.losses, "losses"))
        fitted = loss_rate_tables(cube, precoded_rates(read_tables(snakemake.input.streams, "streams")))
        write_table(fitted.fits.assign(**labels), output.fits, "loss_rate_fit", csv=True)
        write_table(fitted.points.assign(**labels), output.points, "loss_rate_points", csv=True)
        write_table(weights_table(cube, params.reference).assign(**labels), output.importance, "importance", csv=True)


if __name__ == "__main__":
    main()
