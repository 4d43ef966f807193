"""Make every network and every codec that the configuration names, before any long stage starts."""

import json
from pathlib import Path

from cfm.codecs.registry import make_codec
from cfm.errors import ConfigurationError
from cfm.job import job
from cfm.progress import Progress
from cfm.provenance import atomic_path, sha256_of
from cfm.tasks.loading import load_network


def preflight(networks: list[tuple[str, dict]], learned: list[dict], standard: list[dict]) -> None:
    """Raise the first problem of networks (task and arguments), learned codecs with their weights, and other codecs."""
    progress = Progress(len(networks) + len(learned) + len(standard), "networks and codecs", "loading")
    for task, arguments in networks:
        network = load_network(**arguments)
        if network.task != task:
            raise ConfigurationError(
                f"tasks.{task}: {arguments['spec']} makes a network for {network.task}; name one for {task}"
            )
        progress.step()
    for arguments in standard:
        make_codec(**arguments)
        progress.step()
    for arguments in learned:
        make_codec(**arguments).load()
        progress.step()


def main() -> None:
    """Hand over what the rule gives."""
    params = snakemake.params
    with job(snakemake.log[0], snakemake.threads):
        preflight(params.networks, params.learned_codecs, params.standard_codecs)
        digests = {path: sha256_of(path) for path in sorted(set(snakemake.input.get("weights", [])))}
        with atomic_path(snakemake.output.report) as temporary:
            Path(temporary).write_text(json.dumps(digests, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
