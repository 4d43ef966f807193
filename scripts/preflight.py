"""Make every network and every codec that the configuration names, before any job starts.

Standard input: a JSON object of `networks` (task and arguments of `load_network`), `learned` and `standard` (arguments
of `make_codec`), `classes` (`folder` and `count` of a classification set's class folders, or null), `checkpoints` (key,
path and SHA-256 of published weights) and `initials` (`path` and `architecture` of weights that trainings start from).
Ends with one line on standard error and a status other than 0 where something cannot be made.
"""

import json
import sys

from cfm.codecs.learned.architecture import Architecture
from cfm.codecs.learned.weights import load_model
from cfm.codecs.registry import make_codec
from cfm.data.classification import check_classes
from cfm.errors import ConfigurationError, WeightsError, one_line_errors
from cfm.progress import Progress
from cfm.provenance import sha256_of
from cfm.tasks.loading import load_network


def preflight(
    networks: list[tuple[str, dict]],
    learned: list[dict],
    standard: list[dict],
    classes: dict | None,
    checkpoints: list[tuple[str, str, str]],
    initials: list[dict],
) -> None:
    """Raise the first problem of networks (task and arguments), learned codecs with their weights, and other codecs.

    A classifier that says how many classes it knows must find as many folders in a classification set.
    """
    for key, path, sha256 in checkpoints:
        if (found := sha256_of(path)) != sha256:
            raise WeightsError(f"{path}: its SHA-256 is {found}, not the one beside the key {key}; correct one of them")
    count = len(networks) + len(learned) + len(standard) + len(initials)
    progress = Progress(count, "networks and codecs", "loading")
    for task, arguments in networks:
        network = load_network(**arguments)
        if network.task != task:
            raise ConfigurationError(
                f"tasks.{task}: {arguments['spec']} makes a network for {network.task}; name one for {task}"
            )
        if task == "classification" and classes and getattr(network, "category_ids", None):
            check_classes(classes["folder"], len(network.category_ids))
        progress.step()
    for arguments in standard:
        make_codec(**arguments).warm_up()  # once, not in each of the jobs that start side by side
        progress.step()
    for arguments in learned:
        weights = {int(point): path for point, path in arguments["weights"].items()}  # JSON's keys are strings
        make_codec(**arguments | {"weights": weights, "device": "cpu"}).warm_up()  # no GPU where jobs are submitted
        progress.step()
    for initial in initials:
        load_model(initial["path"], Architecture(**initial["architecture"]))
        progress.step()


if __name__ == "__main__":
    with one_line_errors():
        preflight(**json.load(sys.stdin))
