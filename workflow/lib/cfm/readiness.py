"""Whether everything that a configuration names is there and usable, before anything runs."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from cfm.checkpoints import Published
from cfm.configuration.sections import Codec
from cfm.errors import ConfigurationError
from cfm.provenance import atomic_path, sha256_of
from cfm.training_plan import TrainingPlan

SCRIPT = "preflight"


class Readiness:
    """What a run needs and does not make: networks, codecs, files.

    Parameters
    ----------
    plan : TrainingPlan
        The run.
    """

    def __init__(self, plan: TrainingPlan):
        self.plan, self.configuration = plan, plan.configuration
        self.report = Path(plan.results, f"{SCRIPT}.json")

    @property
    def tasks(self) -> list[str]:
        """Tasks whose network is there before the run, so that it can be looked at first."""
        return [task for task, network in self.configuration.tasks.items() if network.weights != "train"]

    @property
    def networks(self) -> list[tuple[str, dict[str, Any]]]:
        """Task and arguments of `load_network` of all networks that are there, as the studies will make them."""
        networks = [(task, self.plan.network(task)) for task in self.tasks]
        coded = self.plan.tasks("feature_coding") if "feature_coding" in self.plan.studies else []
        extra = [(task, self.plan.feature_network(task)) for task in coded if task in self.tasks]
        return networks + [entry for entry in extra if entry not in networks]

    @property
    def standard_codecs(self) -> list[dict[str, Any]]:
        """Arguments of `make_codec` for all codecs without trained models."""
        return [self.plan.codec(study, name) for study, name, section in self._codecs() if section.models is None]

    @property
    def learned_codecs(self) -> list[dict[str, Any]]:
        """Arguments of `make_codec` for all learned codecs whose weights are there before the run."""
        codecs = [
            self.plan.codec(study, name, points=points)
            for study, name, section in self._codecs()
            if section.models and (points := self._ready_points(study, name, section))
        ]
        distillation = self.configuration.distillation
        if distillation and distillation.folder != "train":
            codecs += [self.plan.codec("distillation", self.plan.base_name, name) for name in distillation.weightings]
        return codecs

    @property
    def class_folder(self) -> str | None:
        """The split's folder of a classification set that the run does not make, where the run classifies."""
        given = self.configuration.data.classification_root is not None and self.plan.classifies
        return self.plan.picture_set("classification").folder if given else None

    def class_folders(self) -> dict[str, Any] | None:
        """That folder and how many folders it holds: others make the check anew."""
        folder = self.class_folder
        return folder and {"folder": folder, "count": sum(entry.is_dir() for entry in Path(folder).iterdir())}

    @property
    def checkpoints(self) -> list[Published]:
        """Published weights that the configuration names by path."""
        return [checkpoint for checkpoint in self.plan.checkpoints() if not checkpoint.source]

    @property
    def initials(self) -> list[dict[str, Any]]:
        """Path and `architecture` of the weights, named by path, that trainings of codecs start from."""
        return [
            {"path": initial.file, "architecture": section.models.architecture(self.plan.codec_kind(study, name))}
            for study, name, section in self._codecs()
            if section.models and section.models.folder == "train" and section.models.train.initial
            if not (initial := self.plan.initial_checkpoint(study, name)).source
        ]

    @property
    def files(self) -> list[str]:
        """Weights and plug-ins that the configuration names and the run does not make."""
        networks = [file for task in self.tasks for file in self.plan.network_files(task)]
        codecs = [file for codec in self.learned_codecs for file in codec["weights"].values()]
        return networks + codecs + [initial["path"] for initial in self.initials]

    def check_files(self) -> None:
        """Look for every file that the configuration names.

        Raises
        ------
        ConfigurationError
            One line that names the file, the key and the cure.
        """
        data = self.configuration.data
        if data.source == "coco" and not data.download and not Path(data.root).is_dir():
            raise ConfigurationError(
                f"{data.root}: no such folder (key data.root); put COCO's layout there or correct the key"
            )
        if (folder := self.class_folder) and not Path(folder).is_dir():
            raise ConfigurationError(
                f"{folder}: no such folder (key data.classification_root); put one sub-folder a class there"
            )
        for checkpoint in self.checkpoints:
            if not Path(checkpoint.file).is_file():
                raise ConfigurationError(f"{checkpoint.file}: no such file (key {checkpoint.key}); correct the key")
        for file in self.files:
            if not Path(file).is_file():
                raise ConfigurationError(
                    f"{file}: the configuration names it, but it is not there; correct the path, or `make retrain`"
                )

    def check_models(self) -> None:
        """Make every network and codec once, in a process of its own; not again while nothing has changed.

        Writes `preflight.json` into the run's folder: what was made, and the SHA-256 of every file.

        Raises
        ------
        SystemExit
            With the status of the check, which has printed its one line.
        """
        wanted = {"networks": self.networks, "learned": self.learned_codecs, "standard": self.standard_codecs}
        wanted |= {"classes": self.class_folders(), "initials": self.initials}
        wanted["checkpoints"] = [[entry.key, entry.file, entry.sha256] for entry in self.checkpoints]
        arguments = json.dumps(wanted, indent=1)
        code = self.plan.code(SCRIPT, *self.plan.specs)
        files = {file: sha256_of(file) for file in sorted(set(self.files))}
        checked = {"arguments": hashlib.sha256(f"{code} {arguments}".encode()).hexdigest(), "files": files}
        text = json.dumps(checked, indent=1) + "\n"
        if self.report.is_file() and self.report.read_text(encoding="utf-8") == text:
            return
        script = self.plan.repository / "scripts" / f"{SCRIPT}.py"
        done = subprocess.run([sys.executable, str(script)], input=arguments, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.returncode)
        with atomic_path(self.report) as temporary:
            temporary.write_text(text, encoding="utf-8")

    def _ready_points(self, study: str, name: str, section: Codec) -> list[int]:
        """Operating points of a learned codec whose weights are there before the run."""
        if section.models.folder:
            return [] if section.models.folder == "train" else section.points
        return [point for point in section.points if not self.plan.checkpoint(study, name, point).source]

    def _codecs(self) -> list[tuple[str, str, Codec]]:
        """Study, name and section of every codec of the image and the feature coding studies."""
        studies = [study for study in self.plan.studies if study != "distillation"]
        return [(study, *item) for study in studies for item in getattr(self.configuration, study).codecs.items()]
