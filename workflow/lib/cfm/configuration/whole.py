"""The whole configuration: its sections, and what must hold between them."""

from __future__ import annotations

from pydantic import Field, model_validator

from cfm.configuration.sections import Data, Name, Section, TaskName, TaskNetwork
from cfm.configuration.studies import Distillation, Evaluation, FeatureCoding, ImageCoding, trained_codecs


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
        for name, codec in self.feature_coding.codecs.items() if self.feature_coding else ():
            if codec.models and not codec.models.known_lagrangians:
                raise ValueError(f"feature_coding.codecs.{name}: `models.lagrangians` is needed for the rate-phi model")
        if self.distillation:
            base = self.image_coding.codecs.get(self.distillation.base) if self.image_coding else None
            if base is None or base.models is None:
                raise ValueError(f"distillation starts from {self.distillation.base!r}: add it to image_coding.codecs")
            if base.downsample != 1:
                raise ValueError(f"distillation.base: {self.distillation.base!r} downsamples; name one that does not")
            if self.distillation.lagrangians != sorted(set(self.distillation.lagrangians)):
                raise ValueError("distillation.lagrangians must ascend")
            if not 2 <= len(self.distillation.lagrangians) <= len(base.points):
                raise ValueError("distillation.lagrangians needs 2 values or more, and at most one a point of its base")
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
