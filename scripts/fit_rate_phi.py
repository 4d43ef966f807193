"""Rate of every scale over the codec's parameter phi, from the precoded set."""

from cfm.allocation.fit_tables import rate_phi_tables
from cfm.allocation.schemes import precoded_rates
from cfm.job import job
from cfm.reporting.tables import read_tables, write_table


def main() -> None:
    params, output = snakemake.params, snakemake.output
    labels = {"task": params.task, "codec": params.codec}
    with job(snakemake.log[0], snakemake.threads):
        precoded = precoded_rates(read_tables(snakemake.input.streams, "streams"))
        fitted = rate_phi_tables(precoded, params.phi["values"], params.phi["kinds"])
        write_table(fitted.fits.assign(**labels), output.fits, "rate_phi_fit", csv=True)
        write_table(fitted.points.assign(**labels), output.points, "rate_phi_points", csv=True)


if __name__ == "__main__":
    main()
