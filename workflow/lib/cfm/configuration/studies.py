"""Sections of the three studies and of their evaluation."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import Field, model_validator

from cfm.configuration.sections import (
    Codec,
    Name,
    PictureTask,
    PositiveFloats,
    SchemeName,
    Section,
    TaskName,
    check_codec,
)

DECISIONS = ("partition", "mode", "levels", "delta_qp")  # of our encoders, that can use the distortion
DELTA_QPS = [-2, 0, 2]
LITERAL_PROBES, LITERAL_TAU = 8, 0.5
MOST_SHARDS = 10_000  # their names have four digits
DELTAS = "_dqp"  # end of the names of built-in schemes that try delta-QPs


class Scheme(Section):
    """What our own encoders minimise beside the rate: a row of the table of schemes."""

    distortion: Literal[
        "sse", "sse_chroma", "static", "idse_pixel", "idse_sketch", "idse", "idse_objectness", "feature_distance"
    ] = Field(
        description="`sse`: squared error; `sse_chroma`: with chroma weighted as the network sees it; `static`: one "
        "matrix on 4x4 blocks for all pictures; `idse_pixel`: weights of single samples; `idse_sketch`: raw sketches, "
        "the paper's method as it stands; `idse`: matrices of the picture's macroblocks; `idse_objectness`: scalars of "
        "the macroblocks times the static matrix, features scaled by the root of the objectness; `feature_distance`: "
        "the network itself in partition and delta-QP, `idse` in the others, minutes a picture.",
    )
    probes: int = Field(2, ge=1, le=64, description="Random vectors K of the sketches that guide.")
    tau: float = Field(0.25, gt=0, description="τ: weight of what a picture's own form is mixed with.")
    normalise: Literal["picture", "dataset"] = Field(
        "dataset",
        description="What IDSE is divided by: its mean in the picture, or in the calibration's pictures, so that "
        "pictures that the network feels more have more bits; the paper's two forms always by the picture.",
    )
    delta_qp: list[Annotated[int, Field(ge=-12, le=12)]] | None = Field(
        None, min_length=1, description="What a block adds to the QP; the codec's where absent."
    )
    chroma_qp_offset: Annotated[int, Field(ge=-12, le=12)] | None = Field(
        None, description="Chroma's QP offset in the picture header; where absent, what fits chroma's weight."
    )
    decisions: list[Literal["partition", "mode", "levels", "delta_qp"]] = Field(
        list(DECISIONS),
        min_length=1,
        description="Decisions that use the distortion; the others use the squared error with chroma weighted alike.",
    )


def built_in_schemes() -> dict[str, Scheme]:
    """Rows that every table of schemes has: each distortion under its own name, and with delta-QPs as `<name>_dqp`.

    The paper's two have more probes, whose null space an encoder finds, and a larger τ (METHODS §1).
    """
    rows = {}
    for name in get_args(Scheme.model_fields["distortion"].annotation):
        literal = {"probes": LITERAL_PROBES, "tau": LITERAL_TAU} if name in ("idse_pixel", "idse_sketch") else {}
        rows[name] = Scheme(distortion=name, **literal)
        rows[f"{name}{DELTAS}"] = Scheme(distortion=name, delta_qp=DELTA_QPS, **literal)
    return rows


class Calibration(Section):
    """What the network sees of training pictures: the static matrix and chroma's weights."""

    pictures: int = Field(100, ge=1, description="Training pictures, a random choice.")
    probes: int = Field(2, ge=1, le=64, description="Random vectors K a picture.")
    split: Name | None = Field(None, description="Split that they are of; `data.train_split` where absent.")


class Sketch(Section):
    """Sketches of the network's Jacobian (IDSE-RDO)."""

    probes: int = Field(4, ge=1, le=64, description="Random vectors K a picture.")
    block: int = Field(16, ge=4, multiple_of=4, description="Side of a luma block, samples.")
    objectness: bool = Field(False, description="Scale the features by the square root of the objectness.")
    guide: PictureTask | None = Field(
        None,
        description="Task whose network calibrates and guides our own encoders; the first of the study's where absent. "
        "The classifier does where pictures of the classification set are coded.",
    )


class ImageCoding(Section):
    """Image coding study: pictures through codecs, then through the networks."""

    tasks: Annotated[list[TaskName], Field(min_length=1)] = Field(
        description="Tasks that are scored; `classification` codes the pictures of the classification set too."
    )
    anchor: Name = Field(description="Codec that the BD-rates compare with.")
    codecs: dict[Name, Codec] = Field(min_length=1, description="Codecs.")
    sketch: Sketch = Field(default_factory=Sketch, description="Jacobian sketches.")
    schemes: dict[SchemeName, Scheme] = Field(
        default_factory=dict,
        description="Rows of the table of schemes beside the built-in ones, which are each distortion under its own "
        "name, and `<name>_dqp` with the delta-QPs -2, 0 and 2; a row of a built-in's name replaces it.",
    )
    calibration: Calibration = Field(default_factory=Calibration, description="Calibration by training pictures.")

    @property
    def scheme_rows(self) -> dict[str, Scheme]:
        """All rows of the table of schemes."""
        return built_in_schemes() | self.schemes

    @model_validator(mode="after")
    def _anchor(self) -> ImageCoding:
        if self.anchor not in self.codecs:
            raise ValueError(f"`anchor` {self.anchor!r} is not among the codecs {', '.join(self.codecs)}")
        if self.sketch.guide and self.sketch.guide not in self.tasks:
            raise ValueError(f"sketch.guide {self.sketch.guide!r} is not among the study's tasks")
        for name, codec in self.codecs.items():
            check_codec(name, codec)
            unknown = [scheme for scheme in codec.rdo if scheme not in self.scheme_rows]
            if unknown:
                raise ValueError(
                    f"{name}: `rdo` names {unknown[0]!r}, which is no row of `image_coding.schemes`; the built-in ones "
                    f"are {', '.join(built_in_schemes())}"
                )
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
    lagrangians: PositiveFloats = Field(
        description="λ of `R + λ·D`, ascending: one for each point of the base codec, or for the first of them."
    )
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
    pooled_level: bool = Field(
        False,
        description="Take crops of the pooled level too where `derive_pool` codes none: five scales of torchvision's "
        "networks, as in the MFIBA paper. The networks must have the option `derive_pool`.",
    )
    shard_size: int = Field(100, ge=1, description="Pictures a job, whose crops share a file.")

    @model_validator(mode="after")
    def _shards(self) -> FeatureDataset:
        if self.shards > MOST_SHARDS:
            raise ValueError(f"`shard_size` makes {self.shards} shards, more than {MOST_SHARDS}: raise it")
        return self

    @property
    def shards(self) -> int:
        """How many shards the pictures fill."""
        return -(-self.pictures // self.shard_size)


class Importance(Section):
    """MFIP: predicted importance of the scales."""

    reference: Literal["lossless", "detections", "ground_truth"] = Field(
        "lossless",
        description="What a scale's loss is: that of the heads against their outputs for the lossless features, the "
        "drop of average precision against the detections in the uncompressed picture, or that against the labels, "
        "which an encoder does not have: a bound, not a result.",
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
            if (codec.codec or name) not in ("elic", "lic-tcm", "vvenc", "x265"):
                raise ValueError(f"{name} does not code feature mosaics; elic, lic-tcm, vvenc and x265 do")
            if codec.downsample != 1:
                raise ValueError(f"{name}: `downsample` is for pictures: features are coded as they are")
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


def trained_codecs(study: ImageCoding | FeatureCoding | None) -> list[str]:
    """Names of the codecs that a study trains."""
    codecs = study.codecs if study else {}
    return [name for name, codec in codecs.items() if codec.models and codec.models.folder == "train"]
