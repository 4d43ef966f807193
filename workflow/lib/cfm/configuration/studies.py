"""Sections of the three studies and of their evaluation."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from cfm.configuration.sections import (
    Codec,
    Name,
    PictureTask,
    PositiveFloats,
    Section,
    TaskName,
    check_codec,
)


class Sketch(Section):
    """Sketches of the network's Jacobian (IDSE-RDO)."""

    probes: int = Field(4, ge=1, le=64, description="Random vectors K a picture.")
    block: int = Field(16, ge=4, multiple_of=4, description="Side of a luma block, samples.")
    objectness: bool = Field(False, description="Scale the features by the square root of the objectness.")
    guide: PictureTask | None = Field(
        None,
        description="Task whose network guides `rdo: idse`; the first of the study's where absent. The classifier "
        "guides where pictures of the classification set are coded.",
    )


class ImageCoding(Section):
    """Image coding study: pictures through codecs, then through the networks."""

    tasks: Annotated[list[TaskName], Field(min_length=1)] = Field(
        description="Tasks that are scored; `classification` codes the pictures of the classification set too."
    )
    anchor: Name = Field(description="Codec that the BD-rates compare with.")
    codecs: dict[Name, Codec] = Field(min_length=1, description="Codecs.")
    sketch: Sketch = Field(default_factory=Sketch, description="Jacobian sketches.")

    @model_validator(mode="after")
    def _anchor(self) -> ImageCoding:
        if self.anchor not in self.codecs:
            raise ValueError(f"`anchor` {self.anchor!r} is not among the codecs {', '.join(self.codecs)}")
        if self.sketch.guide and self.sketch.guide not in self.tasks:
            raise ValueError(f"sketch.guide {self.sketch.guide!r} is not among the study's tasks")
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
            if (codec.codec or name) not in ("elic", "vvenc", "x265"):
                raise ValueError(f"{name} does not code feature mosaics; elic, vvenc and x265 do")
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
