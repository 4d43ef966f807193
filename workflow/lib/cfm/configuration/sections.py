"""Sections that do not depend on a study: data, task networks, codecs."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Name = Annotated[str, Field(pattern="^[A-Za-z0-9][A-Za-z0-9_-]*$")]
SchemeName = Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$")]
TaskName = Literal["detection", "segmentation", "keypoints", "classification"]
CodecName = Literal["avc", "hevc", "x264", "x265", "kvazaar", "vvenc", "cheng2020-attn", "elic", "lic-tcm"]
PictureTask = Literal["detection", "segmentation", "keypoints"]
PositiveFloats = Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1)]
LEARNED = ("cheng2020-attn", "elic", "lic-tcm")
OWN = ("avc", "hevc")  # encoders with a replaceable distortion
EXTERNAL = ("x264", "x265", "kvazaar", "vvenc")
ZOO, ZOO_POINTS = "cheng2020-attn", 6  # the learned codec of ours that compressai's zoo has, and its qualities


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
        None,
        description="Folder `<split>/<class>/<picture>` for classification, as ImageNet has it: labels count the class "
        "folders, sorted. The embedded set where absent.",
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

    @property
    def classification_shards(self) -> int:
        """How many shards the pictures of the classification set fill."""
        return -(-self.classification_pictures // self.shard_size)


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


class Checkpoint(Section):
    """Weights that others published: a `.pth`, `.pt`, `.tar` or `.safetensors` file, from which the sizes are read."""

    path: str | None = Field(None, min_length=1, description="Path of the file.")
    url: str | None = Field(
        None, pattern="^https?://", description="Address of the file, in place of `path`; fetched when it is needed."
    )
    sha256: Sha256 = Field(description="Checksum of the file.")
    lagrangian: float | None = Field(
        None, gt=0, description="λ that it was trained with, of a codec's checkpoint; or all in `models.lagrangians`."
    )

    @model_validator(mode="after")
    def _place(self) -> Checkpoint:
        if (self.path is None) == (self.url is None):
            raise ValueError("a checkpoint needs either `path` or `url`")
        return self


class CodecTraining(Section):
    """How a rule trains the models of a learned codec."""

    iterations: int = Field(ge=1, description="Optimiser steps of the first model (the highest Lagrangian).")
    finetune_iterations: int = Field(ge=1, description="Steps of the others, which start from the first.")
    batch: int = Field(8, ge=1, description="Crops a step.")
    crop: int = Field(128, ge=64, multiple_of=64, description="Width and height of a crop, samples.")
    learning_rate: float = Field(1e-4, gt=0, description="Initial learning rate.")
    precision: Literal["float32", "bfloat16"] = Field(
        "float32",
        description="`bfloat16`: the transforms' mixed precision, for GPUs; what estimates the rate stays in float32.",
    )
    seed: int | None = Field(None, ge=0, description="Seed of the training; the run's where absent.")
    initial: Checkpoint | None = Field(
        None, description="Weights that the first model starts from, of the same sizes; random ones where absent."
    )


class LearnedModels(Section):
    """The trained models of a learned codec, one for each operating point: of `folder`, `checkpoints` or `zoo`."""

    folder: str | None = Field(
        None,
        description="Folder of the weights, one file a point, and their manifest; `train` for the workflow's training.",
    )
    checkpoints: list[Checkpoint] = Field(
        default_factory=list, description="Published weights in place of `folder`, one a point."
    )
    zoo: Literal["mse", "ms-ssim"] | None = Field(
        None,
        description="compressai's published weights of cheng2020-attn in place of `folder`, trained for that metric: "
        "points 0 to 5 are its qualities 1 to 6.",
    )
    n: int | None = Field(
        None, ge=8, multiple_of=2, description="Channels of the transforms (N); needed with `folder`, and only there."
    )
    m: int | None = Field(
        None, ge=8, description="Channels of the latent (M); N, or 320 in ELIC and LIC-TCM, where absent."
    )
    groups: list[Annotated[int, Field(ge=1)]] = Field(
        default_factory=list,
        description="Channel groups of ELIC and LIC-TCM, which sum to M; the paper's where absent.",
    )
    context_channels: list[Annotated[int, Field(ge=1)]] = Field(
        default_factory=list, max_length=2, description="Widths of the networks that predict a group; likewise."
    )
    hyper_channels: int | None = Field(None, ge=8, description="Channels of LIC-TCM's hyper-latent; likewise.")
    gate_channels: int | None = Field(
        None, ge=8, multiple_of=8, description="Channels of the attention in LIC-TCM's entropy model; likewise."
    )
    lagrangians: list[Annotated[float, Field(gt=0)]] = Field(
        default_factory=list,
        description="λ of `λ·255²·MSE + bpp`, one a point, ascending; needed with `folder`, and in the feature coding "
        "study, whose rate–φ model is fitted on them.",
    )
    portable: bool = Field(
        True,
        description="Predict what the entropy coder needs in double precision, so that streams decode on other "
        "devices. `false` is faster, and streams decode on the same processor type, libraries and number of threads "
        "alone; a checksum tells where they do not.",
    )
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="Of the transforms; `bfloat16` is faster on processors and GPUs that have it."
    )
    train: CodecTraining | None = Field(None, description="Training, used with `folder: train`.")

    @model_validator(mode="after")
    def _source(self) -> LearnedModels:
        named = [f"`{name}`" for name in ("folder", "checkpoints", "zoo") if getattr(self, name)]
        if len(named) != 1:
            also = f", not {' and '.join(named)}" if named else ""
            raise ValueError(f"name one of `folder`, `checkpoints` and `zoo`{also}")
        if self.folder and not (self.n and self.lagrangians):
            raise ValueError(f"`{'n' if self.n is None else 'lagrangians'}` is needed with `folder`")
        owned = ("n", "m", "groups", "context_channels", "hyper_channels", "gate_channels", "train")
        given = [name for name in owned if getattr(self, name)]
        if given and not self.folder:
            raise ValueError(f"`{given[0]}` does not go with {named[0]}: published weights are taken as they are")
        return self

    @model_validator(mode="after")
    def _training(self) -> LearnedModels:
        if self.folder == "train" and self.train is None:
            raise ValueError("`folder: train` needs the section `train`")
        if self.train and self.train.initial and self.train.initial.lagrangian:
            raise ValueError("`train.initial` has no `lagrangian`: the model that starts from it has its own")
        apart = [checkpoint.lagrangian for checkpoint in self.checkpoints if checkpoint.lagrangian]
        if apart and (self.lagrangians or len(apart) < len(self.checkpoints)):
            raise ValueError("give the λ of all checkpoints, in `lagrangians` or with each of them")
        if self.known_lagrangians != sorted(set(self.known_lagrangians)):
            raise ValueError("`lagrangians` must ascend")
        if self.lagrangians and len(self.lagrangians) != self.count:
            raise ValueError(f"`lagrangians` has {len(self.lagrangians)} values for {self.count} models")
        return self

    @property
    def count(self) -> int:
        """How many models there are."""
        return ZOO_POINTS if self.zoo else len(self.checkpoints or self.lagrangians)

    @property
    def known_lagrangians(self) -> list[float]:
        """λ of the models, one a point; empty where the configuration does not tell."""
        return self.lagrangians or [point.lagrangian for point in self.checkpoints if point.lagrangian]

    def architecture(self, family: str) -> dict[str, Any]:
        """Arguments of the library's `Architecture` of a family."""
        sizes = {"family": family, "channels": self.n, "latent_channels": self.m}
        names = ("groups", "context_channels", "hyper_channels", "gate_channels")
        optional = {name: getattr(self, name) for name in names}
        return sizes | {key: value for key, value in optional.items() if value}


class Codec(Section):
    """A codec and its operating points."""

    codec: CodecName | None = Field(None, description="Which codec; the section's own name where absent.")
    points: Annotated[list[Annotated[int, Field(ge=0, le=63)]], Field(min_length=2)] = Field(
        description="Operating points: QPs, or indices of the learned models."
    )
    preset: str | None = Field(None, description="The encoder's preset, for x264, x265 and vvenc.")
    rdo: Annotated[list[SchemeName], Field(min_length=1)] = Field(
        ["sse"], description="Schemes of the encoder's decisions, for our own encoders: rows of `image_coding.schemes`."
    )
    delta_qp: list[Annotated[int, Field(ge=-12, le=12)]] = Field(
        [0],
        min_length=1,
        description="What a macroblock or quantisation group adds to the QP, for our own encoders, in schemes that do "
        "not say it themselves.",
    )
    effort: int = Field(1, ge=1, le=5, description="How much is tried in a block, for our own encoders.")
    models: LearnedModels | None = Field(None, description="Models of a learned codec.")
    downsample: float = Field(
        1,
        ge=1,
        le=16,
        description="What a picture's sides are divided by before it is coded; decoded ones have them again.",
    )

    @model_validator(mode="after")
    def _distinct(self) -> Codec:
        if len(set(self.points)) != len(self.points):
            raise ValueError("`points` names a point twice")
        if self.models and max(self.points) >= self.models.count:
            where = "zoo" if self.models.zoo else "checkpoints" if self.models.checkpoints else "lagrangians"
            raise ValueError(f"point {max(self.points)} has no entry in `models.{where}`")
        return self


def check_codec(name: str, codec: Codec) -> None:
    """Raise ValueError where a codec is unknown or its models are missing."""
    kind = codec.codec or name
    if kind not in (*OWN, *EXTERNAL, *LEARNED):
        raise ValueError(f"unknown codec {name!r}: name one of {', '.join((*OWN, *EXTERNAL, *LEARNED))}")
    if (kind in LEARNED) != (codec.models is not None):
        raise ValueError(f"{name}: `models` " + ("is needed" if kind in LEARNED else "goes with a learned codec"))
    if codec.models and codec.models.zoo and kind != ZOO:
        raise ValueError(f"{name}: `models.zoo` has {ZOO} alone; name `checkpoints`")
    if kind not in LEARNED and max(codec.points) > (63 if kind == "vvenc" else 51):
        raise ValueError(f"{name}: QP {max(codec.points)} is above {63 if kind == 'vvenc' else 51}")
    if kind not in OWN and (codec.rdo != ["sse"] or codec.delta_qp != [0] or codec.effort != 1):
        raise ValueError(f"{name}: `rdo`, `delta_qp` and `effort` are for our own encoders, {', '.join(OWN)}")
    if codec.downsample != 1 and codec.rdo != ["sse"]:
        raise ValueError(f"{name}: `downsample` goes with `rdo: [sse]`: what guides an encoder is of the whole picture")
    if kind in OWN and codec.preset:
        raise ValueError(f"{name}: `preset` is for the encoders of others")
