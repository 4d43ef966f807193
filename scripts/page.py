"""The report as one self-contained HTML page."""

import hashlib
from pathlib import Path

from cfm.job import job
from cfm.reporting.page import PageFigure, Run, write_page
from cfm.reporting.tables import read_tables
from cfm.reporting.times import rule_times
from cfm.reporting.training_logs import read_training

TABLES = ("curves", "bd_rate", "idse_correlation", "overhead", "bit_shares", "loss_rate_fit", "rate_phi_fit")


def main() -> None:
    """Write `output.page` from the tables of `input` (by schema name), `params.figures` and `params.configuration`.

    `params.figures` lists mappings of `study`, `kind`, `title` and `path`, `params.models` those of
    `ReportPlan.learned_models`; `params.benchmarks` is the folder of Snakemake's benchmark files.
    """
    paths, params = snakemake.input, snakemake.params
    tables = {name: read_tables(files(paths, name), name) for name in TABLES if files(paths, name)}
    run = Run(
        name=params.run,
        title=params.title,
        demo=params.demo,
        configuration=params.configuration,
        digest=hashlib.sha256(params.configuration.encode()).hexdigest(),
        seed=params.seed,
        commit=params.commit,
    )
    figures = [PageFigure(**figure | {"path": Path(figure["path"])}) for figure in params.figures]
    trainings = [read_training(model) for model in params.models]
    write_page(snakemake.output.page, run, tables, figures, rule_times(params.benchmarks), trainings)


def files(paths, name: str) -> list[str]:
    """The input files of a name, which may be one, several or none."""
    found = paths.get(name, [])
    return [found] if isinstance(found, str) else list(found)


if __name__ == "__main__":
    with job(snakemake.log[0]):
        main()
