"""The configuration: one typed model a section, read and checked before anything runs.

`workflow/schemas/config.schema.json` and the table in `config/README.md` are generated from these models.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from cfm.errors import ConfigurationError

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Name = Annotated[str, Field(pattern="^[A-Za-z0-9][A-Za-z0-9_-]*$")]
TaskName = Literal["detection", "segmentation", "keypoints", "classification"]
PictureTask = Literal["detection", "segmentation", "keypoints"]
PositiveFloats = Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1)]


class Section(BaseModel):
    """A section: unknown keys are refused, values do not change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Scenes(Section):
    """The embedded synthetic data set."""

    width: int = Field(320, ge=64, le=4096, description="Width of a scene, pixels.")
    height: int = Field(256, ge=64, le=4096, description="Height of a scene, pixels.")
    train: int = Field(3000, ge=1, description="Scenes of the training split; written only when something is trained.")
    val: int = Field(48, ge=1, description="Scenes of the validation split.")
    objects_train: int = Field(6000, ge=1, description="Pictures of the classification training split.")
    objects_val: int = Field(300, ge=1, description="Pictures of the classification validation split.")
    object_size: int = Field(96, ge=32, le=512, description="Width and height of a classification picture, pixels.")


class RemoteFile(Section):
    """A file to download."""

    url: str = Field(pattern="^https?://", description="Address.")
    size_bytes: int | None = Field(None, ge=1, description="Published size, bytes.")
    md5: str | None = Field(None, pattern="^[0-9a-f]{32}$", description="Published MD5.")
    sha256: Sha256 | None = Field(None, description="Published SHA-256; the first download's is recorded where absent.")


class Data(Section):
    """Pictures and annotations."""

    source: Literal["scenes", "coco"] = Field(
        description="`scenes`: the embedded set; `coco`: a folder in COCO's layout."
    )
    root: str | None = Field(
        None, description="Folder in COCO's official layout (`annotations/`, `val2017/`, `train2017/`)."
    )
    split: Name = Field("val2017", description="Split that is coded and scored.")
    train_split: Name = Field("train2017", description="Split that models are trained on.")
    pictures: int = Field(ge=1, description="Pictures coded and scored, chosen from the split.")
    selection: Literal["random", "annotated", "person", "first"] = Field(
        "random", description="Which pictures: any, with objects, with labelled persons, or the first by id."
    )
    shard_size: int = Field(50, ge=1, description="Pictures a job.")
    minimum_side: int = Field(32, ge=16, description="Least width and height of a picture, pixels.")
    scenes: Scenes = Field(default_factory=Scenes, description="Settings of the embedded set.")
    classification_root: str | None = Field(
        None, description="Folder `<split>/<class>/<picture>` for classification; the embedded one where absent."
    )
    classification_pictures: int = Field(200, ge=1, description="Pictures of the classification set that are scored.")
    download: dict[Name, RemoteFile] = Field(
        default_factory=dict, description="Zip files to download and extract into `root` first."
    )

    @model_validator(mode="after")
    def _folder(self) -> Data:
        if self.source == "coco" and not self.root:
            raise ValueError("`root` is needed with `source: coco`: the folder of annotations/ and the pictures")
        if self.source == "scenes" and self.download:
            raise ValueError("`download` goes with `source: coco`")
        if self.split == self.train_split:
            raise ValueError("`split` and `train_split` are the same: pictures to train on must not be scored")
        if self.classification_root is None and self.classification_pictures > self.scenes.objects_val:
            raise ValueError(f"`classification_pictures` is more than `scenes.objects_val`, {self.scenes.objects_val}")
        if self.source == "scenes" and self.pictures > self.scenes.val:
            raise ValueError(f"`pictures` is {self.pictures}, but `scenes.val` makes only {self.scenes.val}")
        return self

    @property
    def shards(self) -> int:
        """How many shards the pictures fill."""
        return -(-self.pictures // self.shard_size)


class TaskTraining(Section):
    """How a rule trains a task network on the scenes."""

    iterations: int = Field(ge=1, description="Optimiser steps.")
    batch: int = Field(8, ge=1, description="Pictures a step.")
    learning_rate: float = Field(2e-3, gt=0, description="Peak learning rate.")
    warmup: int = Field(200, ge=0, description="Steps of linear warm-up.")
    reduced_part: float = Field(0.6, ge=0, le=1, description="Share of the steps, the first, at 3/4 of the size.")
    seed: int | None = Field(None, ge=0, description="Seed of the training; the run's where absent.")
    initial: TaskName | None = Field(None, description="Task whose trained network the weights start from.")


class TaskNetwork(Section):
    """A network whose features and results are to be kept."""

    network: str = Field(
        description="`torchvision:<model>`, `package.module:factory` or `path/to/file.py:factory`.",
        pattern=r"^(torchvision:\w+|[\w.]+:\w+|.+\.py:\w+)$",
    )
    weights: str | None = Field(
        None, description="Weights file; `train` for the workflow's own training; absent: the factory's own."
    )
    sha256: Sha256 | None = Field(None, description="Checksum of the weights file; a manifest beside it serves too.")
    options: dict[str, Any] = Field(default_factory=dict, description="Further arguments of the factory.")
    train: TaskTraining | None = Field(None, description="Training, used with `weights: train`.")

    @model_validator(mode="after")
    def _training(self) -> TaskNetwork:
        if self.weights == "train" and self.train is None:
            raise ValueError("`weights: train` needs the section `train`")
        return self


class CodecTraining(Section):
    """How a rule trains the models of a learned codec."""

    iterations: int = Field(ge=1, description="Optimiser steps of the first model (the highest Lagrangian).")
    finetune_iterations: int = Field(ge=1, description="Steps of the others, which start from the first.")
    batch: int = Field(8, ge=1, description="Crops a step.")
    crop: int = Field(128, ge=64, multiple_of=64, description="Width and height of a crop, samples.")
    learning_rate: float = Field(1e-4, gt=0, description="Initial learning rate.")
    seed: int | None = Field(None, ge=0, description="Seed of the training; the run's where absent.")


class LearnedModels(Section):
    """The trained models of a learned codec: one for each operating point."""

    folder: str = Field(
        description="Folder of the weights, one file a point, and their manifest; `train` for the workflow's training."
    )
    n: int = Field(ge=8, multiple_of=2, description="Channels of the transforms (N).")
    m: int | None = Field(None, ge=8, description="Channels of the latent (M); N, or 320 in ELIC, where absent.")
    groups: list[Annotated[int, Field(ge=1)]] = Field(
        default_factory=list, description="ELIC's channel groups, which sum to M; the paper's where absent."
    )
    context_channels: list[Annotated[int, Field(ge=1)]] = Field(
        default_factory=list, max_length=2, description="Widths of ELIC's channel-context networks; likewise."
    )
    lagrangians: PositiveFloats = Field(description="λ of `λ·255²·MSE + bpp`, one a point, ascending.")
    train: CodecTraining | None = Field(None, description="Training, used with `folder: train`.")

    @model_validator(mode="after")
    def _training(self) -> LearnedModels:
        if self.folder == "train" and self.train is None:
            raise ValueError("`folder: train` needs the section `train`")
        if self.lagrangians != sorted(set(self.lagrangians)):
            raise ValueError("`lagrangians` must ascend")
        return self

    def architecture(self, family: str) -> dict[str, Any]:
        """Arguments of the library's `Architecture` of a family."""
        sizes = {"family": family, "channels": self.n, "latent_channels": self.m}
        optional = {"groups": self.groups, "context_channels": self.context_channels}
        return sizes | {key: value for key, value in optional.items() if value}


class Codec(Section):
    """A codec and its operating points."""

    codec: Literal["x264", "x265", "kvazaar", "vvenc", "cheng2020-attn", "elic"] | None = Field(
        None, description="Which codec; the section's own name where absent."
    )
    points: Annotated[list[Annotated[int, Field(ge=0, le=63)]], Field(min_length=2)] = Field(
        description="Operating points: QPs, or indices of the learned models."
    )
    preset: str | None = Field(None, description="The encoder's preset, for x264, x265 and vvenc.")
    rdo: list[Literal["sse"]] = Field(["sse"], min_length=1, description="Distortion in the encoder's decisions.")
    models: LearnedModels | None = Field(None, description="Models of a learned codec.")

    @model_validator(mode="after")
    def _distinct(self) -> Codec:
        if len(set(self.points)) != len(self.points):
            raise ValueError("`points` names a point twice")
        if self.models and max(self.points) >= len(self.models.lagrangians):
            raise ValueError(f"point {max(self.points)} has no entry in `models.lagrangians`")
        return self


class Sketch(Section):
    """Sketches of the network's Jacobian (IDSE-RDO)."""

    probes: int = Field(4, ge=1, le=64, description="Random vectors K a picture.")
    block: int = Field(16, ge=4, multiple_of=4, description="Side of a luma block, samples.")
    objectness: bool = Field(False, description="Scale the features by the square root of the objectness.")


class ImageCoding(Section):
    """Image coding study: pictures through codecs, then through the networks."""

    tasks: Annotated[list[PictureTask], Field(min_length=1)] = Field(description="Tasks that are scored.")
    anchor: Name = Field(description="Codec that the BD-rates compare with.")
    codecs: dict[Name, Codec] = Field(min_length=1, description="Codecs.")
    sketch: Sketch = Field(default_factory=Sketch, description="Jacobian sketches.")

    @model_validator(mode="after")
    def _anchor(self) -> ImageCoding:
        if self.anchor not in self.codecs:
            raise ValueError(f"`anchor` {self.anchor!r} is not among the codecs {', '.join(self.codecs)}")
        for name, codec in self.codecs.items():
            check_codec(name, codec)
        return self


class DistillationTraining(Section):
    """How a rule fine-tunes the codec."""

    iterations: int = Field(ge=1, description="Optimiser steps for each weighting and point.")
    batch: int = Field(4, ge=1, description="Pictures a step.")
    learning_rate: float = Field(1e-4, gt=0, description="Initial learning rate; a tenth of it in the last fifth.")
    seed: int | None = Field(None, ge=0, description="Seed of the training; the run's where absent.")


class Distillation(Section):
    """Distillation study: cheng2020-attn fine-tuned on weighted feature error."""

    task: PictureTask = Field("detection", description="Task network whose features are distilled.")
    tasks: Annotated[list[PictureTask], Field(min_length=1)] = Field(description="Tasks that are scored.")
    base: Name = Field("cheng2020-attn", description="Codec of the image coding study that the models start from.")
    weightings: Annotated[list[Literal["none", "ground_truth", "objectness"]], Field(min_length=1)] = Field(
        description="Weights W of the feature error."
    )
    anchor: Literal["none", "ground_truth", "objectness"] = Field("none", description="Weighting to compare with.")
    lagrangians: PositiveFloats = Field(description="λ of `R + λ·D`, one for each point of the base codec, ascending.")
    folder: str = Field(description="Folder of the fine-tuned weights; `train` for the workflow's own training.")
    train: DistillationTraining | None = Field(None, description="Training, used with `folder: train`.")

    @model_validator(mode="after")
    def _training(self) -> Distillation:
        if self.folder == "train" and self.train is None:
            raise ValueError("`folder: train` needs the section `train`")
        if self.anchor not in self.weightings:
            raise ValueError(f"`anchor` {self.anchor!r} is not among the weightings")
        return self


class FeatureDataset(Section):
    """The feature data set that feature codecs are trained on."""

    tasks: Annotated[list[PictureTask], Field(min_length=1)] = Field(description="Networks whose features are taken.")
    pictures: int = Field(ge=1, description="Training pictures for each network.")
    crop: int = Field(128, ge=64, multiple_of=64, description="Width and height of a crop, samples.")


class Importance(Section):
    """MFIP: predicted importance of the scales."""

    reference: Literal["lossless", "detections"] = Field(
        "lossless",
        description="What a scale's loss is: that of the heads against their outputs for the lossless features, or the "
        "drop of average precision against the detections in the uncompressed picture. Neither needs labels.",
    )


class Allocation(Section):
    """MFIBA: bits among the scales."""

    schemes: Annotated[list[Literal["uniform", "mfiba", "saba"]], Field(min_length=1)] = Field(
        description="Allocations that are compared."
    )
    anchor: Literal["uniform", "mfiba", "saba"] = Field("uniform", description="Allocation that BD-rates compare with.")
    lambda_sweep: PositiveFloats = Field(description="λ' of eq. 5, one for each operating point.")
    loss_rate: Literal["shared", "per_scale"] = Field(
        "shared", description="One (α, β) for all scales, as in the paper, or one a scale."
    )
    scale_ratio: float = Field(4.0, gt=0, description="k of eq. 5: samples of a scale over those of the next.")
    snap: Literal["own_rates", "log_phi"] = Field(
        "own_rates", description="Nearest trained point by the picture's own rates, or by log φ of the rate–φ model."
    )

    @model_validator(mode="after")
    def _anchor(self) -> Allocation:
        if self.anchor not in self.schemes:
            raise ValueError(f"`anchor` {self.anchor!r} is not among the schemes")
        return self


class SizeSensitivity(Section):
    """Accuracy by object size when one scale alone is coded (figure 1 of the MFIBA paper)."""

    tasks: list[PictureTask] = Field(default_factory=list, description="Tasks.")
    codecs: list[Name] = Field(default_factory=list, description="Feature codecs.")


class FeatureCoding(Section):
    """Feature coding study: pyramids through codecs, then through the heads."""

    tasks: Annotated[list[PictureTask], Field(min_length=1)] = Field(description="Tasks that are scored.")
    codecs: dict[Name, Codec] = Field(min_length=1, description="Feature codecs.")
    derive_pool: bool = Field(True, description="Derive the pooled level in the decoder instead of coding it.")
    dataset: FeatureDataset | None = Field(None, description="Feature data set, needed where a codec is trained.")
    importance: Importance = Field(default_factory=Importance, description="Predicted importance.")
    allocation: Allocation = Field(description="Bit allocation.")
    sensitivity: SizeSensitivity = Field(default_factory=SizeSensitivity, description="Sensitivity by object size.")

    @model_validator(mode="after")
    def _codecs(self) -> FeatureCoding:
        for name, codec in self.codecs.items():
            check_codec(name, codec)
            if (codec.codec or name) not in ("elic", "vvenc", "x265"):
                raise ValueError(f"{name} does not code feature mosaics; elic, vvenc and x265 do")
        unknown = set(self.sensitivity.codecs) - set(self.codecs)
        if unknown:
            raise ValueError(f"sensitivity.codecs names {min(unknown)!r}, which is not among {', '.join(self.codecs)}")
        trained = trained_codecs(self)
        if trained and not self.dataset:
            raise ValueError("training a feature codec needs the section `dataset`")
        if any(self.codecs[name].models.train.crop > self.dataset.crop for name in trained):
            raise ValueError("dataset.crop is smaller than the crops that a codec is trained on")
        return self


class Evaluation(Section):
    """Scores and intervals."""

    bootstrap: int = Field(200, ge=20, description="Resamplings of the pictures for intervals.")
    minimum_overlap: float = Field(0.2, gt=0, le=1, description="Least overlap of two curves' quality for a BD-rate.")


class Configuration(Section):
    """The whole configuration."""

    run: Name = Field(description="Name of the run; its results are under `results/<run>`.")
    title: str = Field("Coding for machines", description="Title of the report.")
    demo: bool = Field(False, description="Whether the report says that its numbers are a demonstration's.")
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Seed of every random choice.")
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$", description="`auto` takes a GPU where one is.")
    data: Data = Field(description="Pictures and annotations.")
    tasks: dict[TaskName, TaskNetwork] = Field(min_length=1, description="Task networks.")
    image_coding: ImageCoding | None = Field(None, description="Image coding study.")
    distillation: Distillation | None = Field(None, description="Distillation study.")
    feature_coding: FeatureCoding | None = Field(None, description="Feature coding study.")
    evaluation: Evaluation = Field(default_factory=Evaluation, description="Scores and intervals.")

    @model_validator(mode="after")
    def _references(self) -> Configuration:
        if not (self.image_coding or self.feature_coding):
            raise ValueError("no study: name image_coding, distillation or feature_coding")
        for key, task in self.named_tasks():
            if task not in self.tasks:
                raise ValueError(f"{key} names the task {task!r}, which the section `tasks` does not have")
        for task, network in self.tasks.items():
            if network.weights == "train" and network.network != f"cfm.tasks.demo:{task}":
                raise ValueError(f"tasks.{task}: `weights: train` trains cfm.tasks.demo:{task}, not {network.network}")
        trained = [set(trained_codecs(study)) for study in (self.image_coding, self.feature_coding)]
        if trained[0] & trained[1]:
            raise ValueError(
                f"two trained codecs are named {min(trained[0] & trained[1])!r}: name one otherwise, with `codec`"
            )
        if self.distillation:
            base = self.image_coding.codecs.get(self.distillation.base) if self.image_coding else None
            if base is None or base.models is None:
                raise ValueError(f"distillation starts from {self.distillation.base!r}: add it to image_coding.codecs")
            if self.distillation.lagrangians != sorted(set(self.distillation.lagrangians)):
                raise ValueError("distillation.lagrangians must ascend")
            if len(self.distillation.lagrangians) != len(base.points):
                raise ValueError("distillation.lagrangians needs one value for each point of its base codec")
        return self

    def named_tasks(self) -> list[tuple[str, str]]:
        """Every key that names a task, with what it names."""
        named = [(f"tasks.{name}.train.initial", task.train.initial) for name, task in self.tasks.items() if task.train]
        for section in ("image_coding", "distillation", "feature_coding"):
            if study := getattr(self, section):
                named += [(f"{section}.tasks", task) for task in study.tasks]
        if self.distillation:
            named.append(("distillation.task", self.distillation.task))
        if features := self.feature_coding:
            named += [("feature_coding.sensitivity.tasks", task) for task in features.sensitivity.tasks]
            named += [
                ("feature_coding.dataset.tasks", task) for task in (features.dataset.tasks if features.dataset else [])
            ]
        return [(key, task) for key, task in named if task is not None]


def trained_codecs(study: ImageCoding | FeatureCoding | None) -> list[str]:
    """Names of the codecs that a study trains."""
    codecs = study.codecs if study else {}
    return [name for name, codec in codecs.items() if codec.models and codec.models.folder == "train"]


LEARNED = ("cheng2020-attn", "elic")


def check_codec(name: str, codec: Codec) -> None:
    """Raise ValueError where a codec is unknown or its models are missing."""
    kind = codec.codec or name
    if kind not in ("x264", "x265", "kvazaar", "vvenc", *LEARNED):
        raise ValueError(f"unknown codec {name!r}: name one of x264, x265, kvazaar, vvenc, {', '.join(LEARNED)}")
    if (kind in LEARNED) != (codec.models is not None):
        raise ValueError(f"{name}: `models` " + ("is needed" if kind in LEARNED else "goes with a learned codec"))
    if kind not in LEARNED and max(codec.points) > (63 if kind == "vvenc" else 51):
        raise ValueError(f"{name}: QP {max(codec.points)} is above {63 if kind == 'vvenc' else 51}")


def parse_configuration(values: dict[str, Any], name: str = "the configuration") -> Configuration:
    """Check a configuration.

    Parameters
    ----------
    values : dict
        What the YAML file and the command line gave.
    name : str
        The file's name, for messages.

    Raises
    ------
    ConfigurationError
        One line with the key, what is wrong, and for a misspelt key the nearest known one.
    """
    try:
        return Configuration.model_validate(values)
    except ValidationError as error:
        raise ConfigurationError(f"{name}: {explain(error)}") from None


def explain(error: ValidationError) -> str:
    """The first problem of a failed validation, in one line."""
    first = min(error.errors(), key=lambda problem: problem["type"] != "extra_forbidden")
    where = ".".join(str(part) for part in first["loc"])
    more = f" ({error.error_count() - 1} more problems)" if error.error_count() > 1 else ""
    if first["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(first["loc"][-1]), known_keys(), n=1, cutoff=0.6)
        hint = f"; did you mean {near[0]!r}?" if near else "; config/README.md lists the keys"
        return f"unknown key {where!r}{hint}{more}"
    if first["type"] == "missing":
        return f"the key {where!r} is missing; config/README.md describes it{more}"
    message = first["msg"].removeprefix("Value error, ")
    given = "" if isinstance(first["input"], dict) or not where else f" (given: {first['input']!r})"
    return f"{where + ': ' if where else ''}{message}{given}{more}"


def known_keys() -> list[str]:
    """Every key of every section."""
    return sorted({key for section in sections() for key in section.model_fields})


def sections() -> list[type[Section]]:
    """All sections, in the order in which they are defined."""
    return [value for value in globals().values() if isinstance(value, type) and issubclass(value, Section)]


def read_configuration(path: Path | str) -> Configuration:
    """Read and check a YAML file.

    Raises
    ------
    ConfigurationError
        If the file is absent, not YAML, or does not fit.
    """
    import yaml

    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}; name an existing configuration file") from None
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path}: not YAML ({error}); mend the file") from None
    if not isinstance(values, dict):
        raise ConfigurationError(f"{path}: holds no mapping of keys; see config/demo.yaml")
    return parse_configuration(values, str(path))
