"""Draw one figure of the report from tables."""

from cfm.job import job
from cfm.reporting.coding_figures import bit_shares_by_scheme, decisions_bars
from cfm.reporting.curve_figures import rate_accuracy, scheme_curves, size_sensitivity_curves
from cfm.reporting.drawing import save_figure
from cfm.reporting.fit_figures import allocation_weights, loss_rate_fits, rate_phi_fits
from cfm.reporting.sensitivity_figures import idse_scatter
from cfm.reporting.tables import read_table, read_tables
from cfm.reporting.training_figures import training_curves
from cfm.reporting.training_logs import read_training


def draw(kind, paths, labels):
    """The figure `kind` of the tables `paths`, lists of files by name; `labels` are those of the plan."""
    if kind == "rate_accuracy":
        return rate_accuracy(read_table(paths.curves, "curves"), labels["study"], labels["shown"])
    if kind == "scheme_curves":
        return scheme_curves(read_table(paths.curves, "curves"), labels["name"])
    if kind == "idse":
        distances = read_tables(paths.distances, "distances")
        return idse_scatter(distances, read_table(paths.correlation, "idse_correlation"), labels["task"])
    if kind == "loss_rate":
        points, fits = read_tables(paths.points, "loss_rate_points"), read_tables(paths.fits, "loss_rate_fit")
        return loss_rate_fits(points, fits, read_tables(paths.importance, "importance"))
    if kind == "rate_phi":
        return rate_phi_fits(read_tables(paths.points, "rate_phi_points"), read_tables(paths.fits, "rate_phi_fit"))
    if kind == "size_sensitivity":
        table = read_table(paths.sensitivity, "sensitivity_by_size")
        return size_sensitivity_curves(table, labels["task"], labels["codec"])
    if kind == "allocation":
        return allocation_weights(read_tables(paths.importance, "importance"))
    if kind == "bit_shares":
        return bit_shares_by_scheme(read_tables(paths.shares, "bit_shares"))
    if kind == "decisions":
        return decisions_bars(read_table(paths.bd_rate, "bd_rate"), labels["task"], labels["schemes"])
    if kind == "training_curves":
        return training_curves([read_training(model) for model in labels["models"]], labels["study"])
    raise ValueError(f"no figure {kind!r}")


def main() -> None:
    """Write `output.svg` and the .png beside it."""
    save_figure(draw(snakemake.params.kind, snakemake.input, snakemake.params.labels), snakemake.output.svg)


if __name__ == "__main__":
    with job(snakemake.log[0]):
        main()
