"""What every task network offers, and the check that a plug-in offers it."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from cfm.errors import ConfigurationError

TASKS = ("detection", "segmentation", "keypoints", "classification")
METHODS = ("prepare", "features", "predict", "task_losses", "objectness")


@runtime_checkable
class TaskNetwork(Protocol):
    """A frozen network split at its feature pyramid.

    ::

        picture --prepare--> prepared --features--> pyramid --predict--> boxes, scores, labels, masks | keypoints
                                                          \\--task_losses, objectness

    Attributes
    ----------
    name : str
        Name for tables and files.
    task : str
        One of `TASKS`.
    strides : tuple of int
        Pixels of the network's input per feature sample, one a scale, finest first.
    category_ids : tuple of int or None
        Label l means the category id `category_ids[l]`; without it labels count the annotation file's sorted ids.
    """

    name: str
    task: str
    strides: tuple[int, ...]

    def prepare(self, image: Tensor) -> Any:
        """From (3, H, W) RGB float in [0, 1] to the network's input and geometry; differentiable."""

    def features(self, prepared: Any) -> list[Tensor]:
        """The pyramid, finest scale first, each (1, C, h, w) float32; differentiable."""

    def predict(self, features: list[Tensor], prepared: Any) -> dict[str, Tensor]:
        """Results in pixels of the original picture."""

    def task_losses(self, features: list[Tensor], reference: list[Tensor], prepared: Any) -> dict[str, Tensor]:
        """Scalars: what the heads lose on `features` against the lossless `reference`; 0 where they are equal."""

    def objectness(self, features: list[Tensor]) -> list[Tensor]:
        """Per scale (1, 1, h, w) in [0, 1]."""


def check_contract(network: object, spec: str) -> None:
    """Raise `ConfigurationError`, in one line, where `network` does not offer what a task network must."""
    for method in METHODS:
        if not callable(getattr(network, method, None)):
            raise ConfigurationError(f"{spec}: the network has no method {method}(); see the task network contract")
    if not isinstance(getattr(network, "name", None), str) or not network.name:
        raise ConfigurationError(f"{spec}: the network's attribute name must be a non-empty string")
    task = getattr(network, "task", None)
    if task not in TASKS:
        raise ConfigurationError(
            f"{spec}: the network's attribute task is {task!r}; it must be one of {', '.join(TASKS)}"
        )
    strides = getattr(network, "strides", None)
    if not isinstance(strides, tuple) or not strides or not all(isinstance(s, int) and s > 0 for s in strides):
        raise ConfigurationError(f"{spec}: the network's attribute strides must be a tuple of positive integers")
    category_ids = getattr(network, "category_ids", None)
    if category_ids is not None and not all(isinstance(i, int) for i in category_ids):
        raise ConfigurationError(f"{spec}: the network's attribute category_ids must be integers or None")
