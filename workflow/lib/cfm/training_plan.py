"""What a configuration asks for where models are trained: data, initial weights and settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cfm.checkpoints import Published, published_file
from cfm.errors import ConfigurationError
from cfm.guidance_plan import GuidancePlan
from cfm.plan import ANNOTATIONS, shard_names

DISTILLED_CROP = 256  # pixels a side: objects and their surroundings stay whole


class TrainingPlan(GuidancePlan):
    """A plan with the parameters of the training rules."""

    def training_root(self, task: str) -> str:
        """Folder of the training pictures of a task's network."""
        return self.objects_root if task == "classification" else self.data_root

    def training_data(self, task: str) -> list[str]:
        """Files and folders that training a task's network, or a codec, reads."""
        split = self.configuration.data.train_split
        if task == "classification":
            return [f"{self.objects_root}/{part}" for part in (split, self.configuration.data.split)]
        annotations = [f"{self.data_root}/annotations/{ANNOTATIONS[task]}_{split}.json"]
        return annotations + self.scored_data(task)

    def scored_data(self, task: str) -> list[str]:
        """Annotations that a trained network is scored on."""
        return [f"{self.data_root}/annotations/{ANNOTATIONS[task]}_{self.configuration.data.split}.json"]

    def downloaded_annotations(self) -> list[str]:
        """Annotation files that the download must bring: of the coded split, and of training pictures if any."""
        split = self.configuration.data.train_split
        trained = [f"{self.data_root}/annotations/instances_{split}.json"] if self.trained_models else []
        return sorted({*self.annotations(self.configuration.data.split), *trained})

    def task_training(self, task: str) -> dict[str, Any]:
        """Settings of a network's training, without its initial weights."""
        return self.seeded(self.configuration.tasks[task].train.model_dump(exclude={"initial"}))

    def seeded(self, training: dict[str, Any]) -> dict[str, Any]:
        """Settings of a training with the run's seed where they have none."""
        return training | {"seed": self.configuration.seed if training["seed"] is None else training["seed"]}

    def initial_weights(self, task: str) -> list[str]:
        """The weights that a network's training starts from: none or one."""
        training = self.configuration.tasks[task].train
        if training is None:
            raise ConfigurationError(f"tasks.{task}: `weights: train` needs the section `train`")
        return [self.network_weights(training.initial)] if training.initial else []

    def codec_section(self, name: str) -> tuple[str, Any]:
        """The study that has a trained codec of this name, and its models."""
        for study in ("image_coding", "feature_coding"):
            codecs = getattr(self.configuration, study).codecs if study in self.studies else {}
            if name in codecs and codecs[name].models and codecs[name].models.train:
                return study, codecs[name].models
        raise ConfigurationError(f"codec {name!r}: no section `models.train` says how to train it")

    def codec_training_data(self, name: str) -> list[str]:
        """What a codec's training reads: pictures, or the feature data set."""
        study, _ = self.codec_section(name)
        if study == "feature_coding":
            return [f"{self.results}/features/dataset/dataset.json"]
        return [f"{self.data_root}/annotations/instances_{self.configuration.data.train_split}.json"]

    def codec_initial(self, name: str, point: int) -> list[str]:
        """The weights a point's training starts from: the highest Lagrangian's, and for that a checkpoint, if any."""
        study, models = self.codec_section(name)
        last = len(models.lagrangians) - 1
        if point != last:
            return self.codec_weights(study, name, "", last)
        return [self.initial_checkpoint(study, name).file] if models.train.initial else []

    def initial_checkpoint(self, study: str, name: str) -> Published:
        """The published weights that a codec's training starts from."""
        key = f"{study}.codecs.{name}.models.train.initial"
        initial = self.section(study, name).models.train.initial
        return published_file(self.fetched_folder, key, self.codec_kind(study, name), initial)

    def checkpoints(self) -> list[Published]:
        """All published weights that the configuration names: those of codecs, and those that trainings start from."""
        found = []
        for study in ("image_coding", "feature_coding"):
            for name, codec in getattr(self.configuration, study).codecs.items() if study in self.studies else ():
                if codec.models and not codec.models.folder:
                    found += [self.checkpoint(study, name, point) for point in codec.points]
                elif codec.models and codec.models.folder == "train" and codec.models.train.initial:
                    found.append(self.initial_checkpoint(study, name))
        return found

    def checkpoint_source(self, name: str) -> dict[str, Any]:
        """Where a file of the folder of fetched checkpoints comes from; see `Published.source`."""
        sources = {Path(checkpoint.file).name: checkpoint.source for checkpoint in self.checkpoints()}
        if not sources.get(name):
            raise ConfigurationError(f"{self.fetched_folder}/{name}: the configuration names no such checkpoint")
        return sources[name]

    def codec_training(self, name: str, point: int) -> dict[str, Any]:
        """Family, channels and settings of a point's training."""
        study, models = self.codec_section(name)
        first = point == len(models.lagrangians) - 1
        settings = self.seeded(models.train.model_dump(exclude={"initial"}))
        finetune_iterations = settings.pop("finetune_iterations")
        if not first:
            settings["iterations"] = finetune_iterations
        architecture = models.architecture(self.codec_kind(study, name))
        return {"architecture": architecture, "lambda_": models.lagrangians[point], **settings}

    @property
    def dataset_tasks(self) -> list[str]:
        """Networks whose features make up the feature data set."""
        study = self.configuration.feature_coding
        return list(study.dataset.tasks) if study and study.dataset else []

    @property
    def dataset_networks(self) -> list[dict[str, Any]]:
        """Arguments of `load_network` of those networks, with the pooled level where the data set has it."""
        pooled = {"derive_pool": False} if self.configuration.feature_coding.dataset.pooled_level else {}
        return [self.feature_network(task) | pooled for task in self.dataset_tasks]

    @property
    def dataset(self) -> dict[str, Any]:
        """What decides the crops of the feature data set, beside the weights of the networks."""
        if not self.dataset_tasks:
            return {}
        settings = self.configuration.feature_coding.dataset.model_dump(exclude={"tasks"})
        origin = {"split": self.configuration.data.train_split, "seed": self.configuration.seed}
        return {"networks": [self.spec(task) for task in self.dataset_tasks], **origin, **settings}

    @property
    def dataset_shards(self) -> list[str]:
        """Files of the feature data set's shards."""
        dataset = self.configuration.feature_coding.dataset if self.dataset_tasks else None
        names = shard_names(dataset.shards if dataset else 0)
        return [f"{self.results}/features/dataset/{shard}.npy" for shard in names]

    def dataset_slice(self, shard: int) -> tuple[int, int]:
        """First and end of a shard's pictures among the chosen ones."""
        dataset = self.configuration.feature_coding.dataset
        return shard * dataset.shard_size, min((shard + 1) * dataset.shard_size, dataset.pictures)

    def distillation_training(self, point: int) -> dict[str, Any]:
        """Settings of the fine-tuning at a point of the base codec."""
        study = self.configuration.distillation
        index = self.section("distillation", study.base).points.index(point)
        training = self.seeded(study.train.model_dump())
        return {"lambda_": study.lagrangians[index], "crop": DISTILLED_CROP, "schedule": "step", **training}

    @property
    def trained_models(self) -> list[str]:
        """Every weights file that the run trains."""
        files = [self.network_weights(t) for t, n in self.configuration.tasks.items() if n.weights == "train"]
        for study in ("image_coding", "feature_coding"):
            for name, codec in getattr(self.configuration, study).codecs.items() if study in self.studies else ():
                if codec.models and codec.models.folder == "train":
                    files += [self.codec_weights(study, name, "", point)[0] for point in codec.points]
        if "distillation" in self.studies and self.configuration.distillation.folder == "train":
            files += [self.codec_weights("distillation", *setting)[0] for setting in self.settings("distillation")]
        return files

    # Shipping

    def shipped_models(self) -> list[str]:
        """The manifests of everything that `ship_models` copies into the checkout."""
        shipped = f"{self.results}/shipped"
        tasks = [f"{shipped}/tasks/{t}.json" for t, n in self.configuration.tasks.items() if n.weights == "train"]
        codecs = [f"{shipped}/codecs/{name}/manifest.json" for name in self.trained_codecs()]
        distillation = self.configuration.distillation
        weightings = distillation.weightings if distillation and distillation.folder == "train" else []
        return tasks + codecs + [f"{shipped}/codecs/distillation/{name}/manifest.json" for name in weightings]

    def trained_codecs(self) -> list[str]:
        """Names of the codecs that the run trains."""
        studies = [study for study in ("image_coding", "feature_coding") if study in self.studies]
        codecs = [
            (name, codec) for study in studies for name, codec in getattr(self.configuration, study).codecs.items()
        ]
        return [name for name, codec in codecs if codec.models and codec.models.folder == "train"]

    def shipped_points(self, folder: str) -> list[int]:
        """Points of a folder of models, such as "elic" or "distillation/none"."""
        kind, name = model_kind(folder)
        study, codec = (kind, self.base_name) if kind == "distillation" else (self.codec_section(name)[0], name)
        return list(self.section(study, codec).points)

    def shipped_files(self, folder: str) -> dict[str, list[str]]:
        """Weights, logs and benchmarks of the points of a folder of models."""
        kind, name = model_kind(folder)
        rule = "distill" if kind == "distillation" else "train_codec"
        points = self.shipped_points(folder)
        return {
            "weights": [f"{self.results}/models/{kind}/{name}/{point}.safetensors" for point in points],
            "training_logs": [f"{self.results}/models/{kind}/{name}/{point}.csv" for point in points],
            "benchmarks": [f"{self.results}/benchmarks/{rule}/{name}/{point}.tsv" for point in points],
        }

    def shipped_trainings(self, folder: str) -> list[dict[str, Any]]:
        """Settings of the trainings of a folder of models, one a point."""
        kind, name = model_kind(folder)
        points = self.shipped_points(folder)
        if kind == "distillation":
            return [self.distillation_training(point) for point in points]
        return [self.codec_training(name, point) for point in points]

    def shipped_origins(self, folder: str) -> list[dict[str, Any]]:
        """What decided the points of a folder of models beside the settings of their trainings, one a point."""
        kind, name = model_kind(folder)
        data = f"scenes of seed {self.configuration.seed}, {self.configuration.data.train_split}"
        shared: dict[str, Any] = {"data": data, "command": "make retrain"}
        if kind == "distillation":
            shared |= {"weighting": name, "network": self.spec(self.configuration.distillation.task)}
            initial = [
                self.codec_weights("image_coding", self.base_name, "", point) for point in self.shipped_points(folder)
            ]
        else:
            initial = [self.codec_initial(name, point) for point in self.shipped_points(folder)]
        return [shared | {"initial": "/".join(Path(file).parts[-2:]) if file else None} for file in map(first, initial)]

    def shipped_networks(self, folder: str) -> list[dict[str, Any]]:
        """Networks whose features a codec is scored on; none for a codec of pictures."""
        kind, name = model_kind(folder)
        if kind == "distillation" or self.codec_section(name)[0] == "image_coding":
            return []
        return [self.feature_network(task) for task in self.dataset_tasks]


def first(files: list[str]) -> str | None:
    """The first of some files, if there is one."""
    return files[0] if files else None


def model_kind(folder: str) -> tuple[str, str]:
    """("codecs", name) or ("distillation", weighting) of a folder of shipped models."""
    kind, _, name = folder.rpartition("/")
    return kind or "codecs", name
