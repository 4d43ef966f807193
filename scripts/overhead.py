"""What guidance costs our own encoders, of every scheme."""

from cfm.evaluation.overhead import TimedScheme, overhead_table
from cfm.job import job
from cfm.reporting.tables import read_tables, write_table


def main() -> None:
    """Write `output.overhead`.

    `params.schemes` lists mappings of `codec`, `scheme`, `streams` and `sketches`, the last two lists of tables; those
    of sketches are empty where none guide.
    """
    schemes = [
        TimedScheme(
            entry["codec"],
            entry["scheme"],
            read_tables(entry["streams"], "streams"),
            read_tables(entry["sketches"], "sketches") if entry["sketches"] else None,
        )
        for entry in snakemake.params.schemes
    ]
    write_table(overhead_table(schemes), snakemake.output.overhead, "overhead", csv=True)


if __name__ == "__main__":
    with job(snakemake.log[0]):
        main()
