"""What a configuration asks for: files, settings and parameters of the rules.

Snakemake's files stay free of logic by asking here; nothing here imports Snakemake, PyTorch or a codec.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from cfm.checkpoints import Published, published_point
from cfm.code_digest import code_digest
from cfm.configuration.sections import LEARNED, OWN, Codec
from cfm.configuration.whole import Configuration

ANNOTATIONS = {"detection": "instances", "segmentation": "instances", "keypoints": "person_keypoints"}
KINDS = ("detections", "streams")
DISTANCES = "distances"
STREAMS, OBJECT_STREAMS = "streams", "object_streams"
STUDIES = ("image_coding", "distillation", "feature_coding")
GUIDANCE_CODE = "cfm.sensitivity.guidance"
LEARNED_CODE = "cfm.codecs.learned"
DOWNSAMPLED_CODE = "cfm.codecs.downsampled"
OWN_CODE = tuple(f"cfm.codecs.{name}" for name in OWN)
ENCODERS_CODE = ("cfm.codecs.external.pyav", "cfm.codecs.external.ffmpeg")


class Setting(NamedTuple):
    """One operating point of one scheme of one codec."""

    codec: str
    scheme: str
    point: int


class PictureSet(NamedTuple):
    """Pictures that some tasks are scored on.

    Attributes
    ----------
    table : str
        Those that were chosen, a table of the schema `subset`.
    folder : str
        Folder of their files.
    streams : str
        Name of the folder of their streams in a study's.
    shards : list of str
        Parts that the jobs work on.
    """

    table: str
    folder: str
    streams: str
    shards: list[str]


class Plan:
    """Files and parameters of one run.

    Parameters
    ----------
    configuration : Configuration
        Checked configuration.
    repository : path
        The checkout: scripts are looked up in it.
    """

    def __init__(self, configuration: Configuration, repository: Path | str):
        self.configuration, self.repository = configuration, Path(repository)
        self._digests: dict[tuple[Any, ...], str] = {}
        self.results = f"results/{configuration.run}"
        self.shards = shard_names(configuration.data.shards)
        # Snakemake hands this out to jobs that need a GPU; where the device is "cpu" none asks for it.
        self.gpus = 0 if configuration.device == "cpu" else 1

    def code(self, script: str, *specs: str, without: tuple[str, ...] = ()) -> str:
        """Digest of `scripts/<script>.py` and what it imports, and of modules of the library that specs name."""
        modules = tuple(sorted({spec.split(":")[0] for spec in specs if spec.startswith("cfm.")}))
        key = (script, modules, without)
        if key not in self._digests:
            self._digests[key] = code_digest(self.repository / "scripts" / f"{script}.py", modules, without)
        return self._digests[key]

    # Data

    @property
    def data_root(self) -> str:
        """Folder in COCO's layout."""
        data = self.configuration.data
        return f"{self.results}/data/scenes" if data.source == "scenes" else str(data.root)

    @property
    def writes_scenes(self) -> bool:
        """Whether the run makes its own pictures."""
        return self.configuration.data.source == "scenes"

    @property
    def pictures_folder(self) -> str:
        """Folder of the pictures that are coded."""
        return f"{self.data_root}/{self.configuration.data.split}"

    @property
    def objects_root(self) -> str:
        """Folder of the classification set."""
        return self.configuration.data.classification_root or f"{self.results}/data/objects"

    def picture_set(self, task: str) -> PictureSet:
        """The pictures that a task is scored on."""
        data = self.configuration.data
        if task == "classification":
            shards = shard_names(data.classification_shards)
            folder = f"{self.objects_root}/{data.split}"
            return PictureSet(f"{self.results}/data/objects.parquet", folder, OBJECT_STREAMS, shards)
        return PictureSet(f"{self.results}/data/subset.parquet", self.pictures_folder, STREAMS, self.shards)

    def coded_set(self, streams: str) -> PictureSet:
        """The pictures whose streams lie in a folder of this name."""
        return self.picture_set("classification" if streams == OBJECT_STREAMS else "detection")

    @property
    def picture_tasks(self) -> list[str]:
        """Tasks whose results are scored on the chosen pictures, not on the classification set."""
        scored = {task for study in self.studies for task in self.tasks(study)} - {"classification"}
        return [task for task in self.configuration.tasks if task in scored]

    @property
    def classifies(self) -> bool:
        """Whether a classifier is configured."""
        return "classification" in self.configuration.tasks

    def annotations(self, split: str) -> list[str]:
        """The annotation files of a split that the tasks need."""
        kinds = sorted({ANNOTATIONS[task] for task in self.picture_tasks})
        return [f"{self.data_root}/annotations/{kind}_{split}.json" for kind in kinds]

    def truth(self, study: str, task: str) -> dict[str, Any]:
        """What a task is scored with: the chosen pictures, and their annotations where they are not in their table.

        Studies that code pictures are scored against the detections in the uncompressed ones, too.
        """
        pictures = self.picture_set(task)
        found: dict[str, Any] = {"subset": pictures.table}
        if task in ANNOTATIONS:
            found["annotations"] = self.subset_annotations(task)
            if study in self.picture_studies:
                found["uncompressed"] = [f"{self.results}/original/{task}/{shard}.parquet" for shard in pictures.shards]
        return found

    def subset_annotations(self, task: str) -> str:
        """The annotations of the chosen pictures for a task."""
        return f"{self.results}/data/{ANNOTATIONS[task]}.json"

    @property
    def all_subset_annotations(self) -> list[str]:
        """The annotations of the chosen pictures for all tasks."""
        return sorted({self.subset_annotations(task) for task in self.picture_tasks})

    # Task networks

    def spec(self, task: str) -> str:
        """What names a task's network."""
        return self.configuration.tasks[task].network

    @property
    def specs(self) -> list[str]:
        """What names the networks of all tasks."""
        return [network.network for network in self.configuration.tasks.values()]

    def network_weights(self, task: str) -> str | None:
        """The weights file of a task's network; None where its factory has its own."""
        network = self.configuration.tasks[task]
        trained = network.weights == "train"
        return f"{self.results}/models/tasks/{task}.safetensors" if trained else network.weights

    def network(self, task: str) -> dict[str, Any]:
        """Arguments of `load_network` for a task."""
        network = self.configuration.tasks[task]
        arguments = {"spec": network.network, **network.options}
        if network.weights:
            arguments["weights"] = self.network_weights(task)
        if network.sha256:
            arguments["sha256"] = network.sha256
        return arguments

    def feature_network(self, task: str) -> dict[str, Any]:
        """Arguments of `load_network` for a task in the feature coding study, whose pooled level may be coded too."""
        arguments = self.network(task)
        return arguments if self.configuration.feature_coding.derive_pool else arguments | {"derive_pool": False}

    def network_files(self, task: str) -> list[str]:
        """Files that a task's network is made of: the plug-in's source and the weights."""
        source = self.spec(task).rpartition(":")[0]
        weights = self.network_weights(task)
        return [source] * source.endswith(".py") + [weights] * (weights is not None and weights != "DEFAULT")

    # Codecs

    @property
    def base_name(self) -> str:
        """Name of the codec that the distillation study fine-tunes."""
        return self.configuration.distillation.base

    def section(self, study: str, name: str) -> Codec:
        """The configuration of a codec of a study; in the distillation study the base codec's of the points used."""
        if study != "distillation":
            return getattr(self.configuration, study).codecs[name]
        base = self.configuration.image_coding.codecs[name]
        points = sorted(base.points)[: len(self.configuration.distillation.lagrangians)]
        return base.model_copy(update={"points": points})

    def codec_kind(self, study: str, name: str) -> str:
        """Name of a codec in the library, which may differ from that of its section."""
        return self.section(study, name).codec or name

    def models_folder(self, study: str, name: str, scheme: str) -> str:
        """Folder of a learned codec's weights: the run's own where it trains them."""
        models = self.section(study, name).models
        if study == "distillation":
            folder = self.configuration.distillation.folder
            return f"{self.results}/models/distillation/{scheme}" if folder == "train" else f"{folder}/{scheme}"
        return f"{self.results}/models/codecs/{name}" if models.folder == "train" else models.folder

    def codec_weights(self, study: str, name: str, scheme: str, point: int) -> list[str]:
        """The weights file of a learned codec at a point, as a list; empty for the others."""
        models = self.section(study, name).models
        if models is None:
            return []
        if study != "distillation" and not models.folder:
            return [self.checkpoint(study, name, point).file]
        return [f"{self.models_folder(study, name, scheme)}/{point}.safetensors"]

    @property
    def fetched_folder(self) -> str:
        """Folder of the weights that others published and the run fetches."""
        return f"{self.results}/models/checkpoints"

    def checkpoint(self, study: str, name: str, point: int) -> Published:
        """The published weights of a learned codec at a point."""
        key, family = f"{study}.codecs.{name}", self.codec_kind(study, name)
        return published_point(self.fetched_folder, key, family, self.section(study, name).models, point)

    def codec(self, study: str, name: str, scheme: str = "sse", points: Iterable[int] | None = None) -> dict[str, Any]:
        """Arguments of `make_codec` for a codec of a study, with the weights of `points` (all where absent)."""
        section = self.section(study, name)
        arguments: dict[str, Any] = {"name": self.codec_kind(study, name)}
        if section.preset:
            arguments["preset"] = section.preset
        if section.downsample != 1:
            arguments["downsample"] = section.downsample
        if arguments["name"] in OWN:
            arguments |= {"deltas": section.delta_qp, "effort": section.effort}
        if section.models:
            used = section.points if points is None else points
            arguments["weights"] = {point: self.codec_weights(study, name, scheme, point)[0] for point in used}
            if section.models.folder:
                architecture = section.models.architecture(arguments["name"])
                arguments["architecture"] = {key: value for key, value in architecture.items() if key != "family"}
            arguments |= {"portable": section.models.portable, "precision": section.models.precision}
            arguments["device"] = self.configuration.device
        return arguments

    def encoding_gpus(self, wildcards: Any) -> int:
        """GPUs of a job that encodes pictures: learned codecs compute where the configuration says."""
        return self.gpus if self.codec_kind(wildcards.study, wildcards.codec) in LEARNED else 0

    def codec_code(self, script: str, study: str, name: str, *specs: str, without: tuple[str, ...] = ()) -> str:
        """Digest of a script that runs a codec, without the modules of other codecs; external ones share theirs."""
        left_out, kind = without, self.codec_kind(study, name)
        if kind in LEARNED:
            without = ("cfm.codecs.external", *OWN_CODE, GUIDANCE_CODE)
        elif kind in OWN:
            others = (code for code in OWN_CODE if code != f"cfm.codecs.{kind}")
            without = (*ENCODERS_CODE, LEARNED_CODE, *others)
        else:
            without = (*OWN_CODE, LEARNED_CODE, GUIDANCE_CODE)
        if self.section(study, name).downsample == 1:
            without = (*without, DOWNSAMPLED_CODE)
        return self.code(script, *specs, without=(*without, *left_out))

    def phi(self, name: str) -> dict[str, Any]:
        """What the rate-phi model of a feature codec is fitted on: `kinds`, and phi of each point."""
        section = self.section("feature_coding", name)
        if section.models is None:
            return {"kinds": ["log_rate_qp"], "values": {point: float(point) for point in section.points}}
        lagrangians = section.models.known_lagrangians
        return {"kinds": ["phi", "log_phi"], "values": {point: lagrangians[point] for point in section.points}}

    # Studies

    @property
    def studies(self) -> list[str]:
        """Names of the studies that the configuration has."""
        return [name for name in STUDIES if getattr(self.configuration, name) is not None]

    @property
    def picture_studies(self) -> list[str]:
        """Studies that code pictures."""
        return [study for study in self.studies if study != "feature_coding"]

    def labels(self, wildcards: Any) -> dict[str, Any]:
        """The columns that name a curve in result tables, from a job's wildcards."""
        return {name: getattr(wildcards, name) for name in ("study", "task", "codec", "scheme")}

    def tasks(self, study: str) -> list[str]:
        """Tasks that a study scores."""
        return list(getattr(self.configuration, study).tasks)

    def settings(self, study: str) -> list[Setting]:
        """All operating points of the image coding or the distillation study."""
        if study == "distillation":
            points = self.section(study, self.base_name).points
            weightings = self.configuration.distillation.weightings
            return [Setting(self.base_name, *pair) for pair in product(weightings, points)]
        return [
            Setting(name, scheme, point)
            for name, codec in self.configuration.image_coding.codecs.items()
            for scheme, point in product(codec.rdo, codec.points)
        ]

    def feature_settings(self) -> list[tuple[str, str, str]]:
        """Task, codec and scheme of every allocation of the feature coding study."""
        study = self.configuration.feature_coding
        return list(product(study.tasks, study.codecs, study.allocation.schemes)) if study else []

    def sensitivity_settings(self) -> list[tuple[str, str]]:
        """Task and codec of the sensitivity curves by object size."""
        study = self.configuration.feature_coding
        return list(product(study.sensitivity.tasks, study.sensitivity.codecs)) if study else []

    @property
    def importance_reference(self) -> str:
        """What the losses behind the importance of scales refer to."""
        study = self.configuration.feature_coding
        return study.importance.reference if study else ""

    def importance_annotations(self, task: str) -> list[str]:
        """The labels that the importance of scales refers to, where it does."""
        return [self.subset_annotations(task)] if self.importance_reference == "ground_truth" else []

    def precoded_streams(self, task: str, name: str) -> list[str]:
        """Tables of the precoded streams of all points and shards."""
        folder = f"{self.results}/feature_coding/precode/{task}/{name}"
        points = self.section("feature_coding", name).points
        return [f"{folder}/{point}/{shard}.parquet" for point, shard in product(points, self.shards)]

    def precoded(self, wildcards: Any, kind: str) -> list[str]:
        """Packs ("zip") or tables ("parquet") of a job's shard at all points."""
        folder = f"{self.results}/feature_coding/precode/{wildcards.task}/{wildcards.codec}"
        points = self.section("feature_coding", wildcards.codec).points
        return [f"{folder}/{point}/{wildcards.shard}.{kind}" for point in points]

    def allocation(self, scheme: str) -> dict[str, Any]:
        """Settings of an allocation: those that the scheme uses, so that the others rerun nothing."""
        allocation = self.configuration.feature_coding.allocation
        used = {"uniform": [], "saba": ["snap"], "mfiba": ["lambda_sweep", "loss_rate", "scale_ratio", "snap"]}[scheme]
        return {key: getattr(allocation, key) for key in used}

    def allocation_inputs(self, wildcards: Any) -> dict[str, Any]:
        """What a scheme's allocation is made from: the uniform one needs no importance, SABA no loss-rate model."""
        task, codec, scheme = wildcards.task, wildcards.codec, wildcards.scheme
        folder = f"{self.results}/feature_coding"
        inputs: dict[str, Any] = {"streams": self.precoded_streams(task, codec)}
        if scheme != "uniform":
            losses = [f"{folder}/importance/{task}/{codec}/{shard}.parquet" for shard in self.shards]
            inputs |= {"losses": losses, "rate_phi": f"{folder}/models/{task}/{codec}/rate_phi.parquet"}
        if scheme == "mfiba":
            inputs["loss_rate"] = f"{folder}/models/{task}/{codec}/loss_rate.parquet"
        return inputs

    # Scores

    def curves(self) -> list[tuple[str, str, str, str]]:
        """Study, task, codec and scheme of every curve, and of the uncompressed reference of every study and task."""
        curves = [(study, task, "none", "uncompressed") for study in self.studies for task in self.tasks(study)]
        for study in ("image_coding", "distillation"):
            pairs = dict.fromkeys((s.codec, s.scheme) for s in self.settings(study)) if study in self.studies else ()
            curves += [(study, task, *pair) for pair in pairs for task in self.tasks(study)]
        curves += [("feature_coding", *setting) for setting in self.feature_settings()]
        # A classifier is scored on uncompressed pictures where no study codes any for it, too.
        if self.classifies and "image_coding" in self.studies:
            curves.append(("image_coding", "classification", "none", "uncompressed"))
        return list(dict.fromkeys(curves))

    @staticmethod
    def curve(wildcards: Any) -> tuple[str, str, str, str]:
        """Study, task, codec and scheme of a score job."""
        return wildcards.any_study, wildcards.task, wildcards.codec, wildcards.scheme

    def score_files(self, study: str, task: str, codec: str, scheme: str) -> list[dict[str, Any]]:
        """The tables that make up a curve, one mapping an operating point (or one for all): see `score_entries`."""
        labels, pictures = {"codec": codec, "scheme": scheme}, self.picture_set(task)
        if scheme == "uncompressed":
            tables = [f"{self.results}/original/{task}/{shard}.parquet" for shard in pictures.shards]
            return [labels | {"point": 0, "detections": tables, "streams": []}]
        folder = f"{self.results}/{study}/results/{task}/{codec}/{scheme}"
        if study == "feature_coding":
            tables = {kind: [f"{folder}/{shard}.{kind}.parquet" for shard in self.shards] for kind in KINDS}
            return [labels | {"point": None, **tables}]
        found = "classifications" if task == "classification" else "detections"
        tables = {
            kind: [f"{folder}/{shard}.{kind}.parquet" for shard in pictures.shards] for kind in (found, DISTANCES)
        }
        streams = self.stream_tables(study, task, codec, scheme)
        return [labels | {"point": None, KINDS[0]: tables[found], KINDS[1]: streams, DISTANCES: tables[DISTANCES]}]

    def stream_tables(self, study: str, task: str, codec: str, scheme: str) -> list[str]:
        """Tables of the streams of all operating points and shards that a task is scored on."""
        pictures = self.picture_set(task)
        folder, points = (
            f"{self.results}/{study}/{pictures.streams}/{codec}/{scheme}",
            self.section(study, codec).points,
        )
        return [f"{folder}/{point}/{shard}.parquet" for point, shard in product(points, pictures.shards)]

    def packs(self, wildcards: Any) -> list[str]:
        """The packs of a job's shard, one an operating point."""
        study, codec, streams = wildcards.study, wildcards.codec, self.picture_set(wildcards.task).streams
        folder = f"{self.results}/{study}/{streams}/{codec}/{wildcards.scheme}"
        return [f"{folder}/{point}/{wildcards.shard}.zip" for point in self.section(study, codec).points]

    def score_tables(self, *curve: str) -> list[str]:
        """All files of `score_files`."""
        entries = self.score_files(*curve)
        return [file for entry in entries for kind in (*KINDS, DISTANCES) for file in entry.get(kind, [])]

    def distances(self, study: str) -> list[str]:
        """Tables of feature distances of a study."""
        folder = f"{self.results}/{study}/results"
        return [
            f"{folder}/{task}/{codec}/{scheme}/{shard}.distances.parquet"
            for task in self.tasks(study)
            for codec, scheme in dict.fromkeys((codec, scheme) for codec, scheme, _ in self.settings(study))
            for shard in self.picture_set(task).shards
        ]

    @property
    def anchors(self) -> dict[str, list[str]]:
        """What the curves of each study are compared with, as `bd_rate_table` takes it."""
        anchors = {}
        if image := self.configuration.image_coding:
            anchors["image_coding"] = [f"{image.anchor}/{image.codecs[image.anchor].rdo[0]}"]
        if distillation := self.configuration.distillation:
            anchors["distillation"] = [f"{self.base_name}/{distillation.anchor}"]
        if features := self.configuration.feature_coding:
            anchors["feature_coding"] = [f"*/{features.allocation.anchor}"]
        return anchors


def shard_names(count: int) -> list[str]:
    """Names of so many shards: "0000" and on."""
    return [f"{shard:04d}" for shard in range(count)]
