"""The point of the codec that every scale of every picture gets at each operating point of a scheme."""

import sys
from typing import Any

import pandas as pd

from cfm.allocation.allocate import lambda_range
from cfm.allocation.fit_tables import check_same, loss_rate_model, phi_of_points, rate_phi_model
from cfm.allocation.schemes import (
    PrecodedRates,
    Snapping,
    allocate_mfiba,
    allocate_saba,
    allocate_uniform,
    precoded_rates,
    report_clamps,
)
from cfm.job import job
from cfm.reporting.tables import read_table, read_tables, write_table
from cfm.sensitivity.losses import loss_cube
from cfm.sensitivity.weights import scheme_weights


def allocate_scheme(
    scheme: str,
    settings: dict[str, Any],
    precoded: PrecodedRates,
    tables: dict[str, pd.DataFrame],
    phi: dict[str, Any],
    reference: str,
) -> pd.DataFrame:
    """Rows of one scheme.

    `settings` are the keys of the configuration's section `allocation` that the scheme uses, `tables` its `losses`,
    `rate_phi` and `loss_rate`; phi holds `kinds`, the first of which is the rate-phi model that budgets are snapped
    with, and `values` by point; `reference` is what the losses were measured against.
    """
    if scheme == "uniform":
        return allocate_uniform(precoded)
    cube = loss_cube(tables["losses"])
    check_same(cube, precoded)
    weights = scheme_weights(cube, scheme, reference)
    model = rate_phi_model(tables["rate_phi"], phi["kinds"][0])
    snapping = Snapping(settings["snap"], model, phi_of_points(precoded, phi["values"]))
    if scheme == "saba":
        return allocate_saba(precoded, weights, snapping)
    ratio, scales = settings["scale_ratio"], weights.shape[1]
    loss_model = loss_rate_model(tables["loss_rate"], scales, settings["loss_rate"])
    low, high = lambda_range(weights.mean(0), loss_model, precoded.pooled_rates, ratio)
    print(f"the trained rates answer to lambda' from {low:.3g} to {high:.3g}", file=sys.stderr)
    return allocate_mfiba(precoded, weights, loss_model, settings["lambda_sweep"], ratio, snapping)


def main() -> None:
    """Hand over what the rule gives; a scheme's rule names the tables that it needs."""
    given, params = snakemake.input, snakemake.params
    with job(snakemake.log[0], snakemake.threads):
        tables = {}
        if given.get("losses"):
            losses = given.get("losses")
            tables["losses"] = read_tables([losses] if isinstance(losses, str) else losses, "losses")
        for name in ("rate_phi", "loss_rate"):
            if given.get(name):
                tables[name] = read_table(given.get(name), f"{name}_fit")
        precoded = precoded_rates(read_tables(given.streams, "streams"))
        allocation = allocate_scheme(params.scheme, params.allocation, precoded, tables, params.phi, params.reference)
        report_clamps(allocation)
        table = allocation.assign(task=params.task, codec=params.codec)
        write_table(table, snakemake.output.allocation, "allocation")


if __name__ == "__main__":
    main()
