"""Load every network and every learned codec that the configuration names, before any long stage starts."""

import json
from pathlib import Path

from cfm.codecs.registry import make_codec
from cfm.job import job
from cfm.progress import Progress
from cfm.provenance import atomic_path, sha256_of
from cfm.tasks.loading import load_network


def preflight(networks: dict[str, dict], codecs: list[dict], weights: list[str], report: Path) -> None:
    """Raise the first problem of weights or plug-ins; otherwise note their digests in `report`."""
    progress = Progress(len(networks) + len(codecs), "models", "loading")
    for network in networks.values():
        load_network(**network)
        progress.step()
    for arguments in codecs:
        make_codec(**arguments).load()
        progress.step()
    with atomic_path(report) as temporary:
        temporary.write_text(json.dumps({path: sha256_of(path) for path in sorted(set(weights))}, indent=1) + "\n")


def main() -> None:
    """Hand over what the rule gives."""
    params = snakemake.params
    with job(snakemake.log[0], snakemake.threads):
        weights = list(snakemake.input.get("weights", []))
        preflight(params.networks, params.codecs, weights, Path(snakemake.output.report))


if __name__ == "__main__":
    main()
