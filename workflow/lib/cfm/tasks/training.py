"""Training of the demo's task networks on the synthetic scenes, resumable to the same result."""

from __future__ import annotations

import csv
import dataclasses
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.detection.image_list import ImageList

from cfm.errors import ConfigurationError, WeightsError
from cfm.progress import Progress
from cfm.provenance import atomic_path
from cfm.tasks.classifier import PyramidClassifier, normalise
from cfm.tasks.demo_models import CATEGORY_IDS, ModelSize, demo_model
from cfm.tasks.scene_batches import ObjectBatches, SceneBatches, batch_indices
from cfm.tasks.weights import read_weights, save_weights

REDUCED_SCALE = 0.75
PRECISIONS = {"float32": None, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class TaskTraining:
    """How a task network is trained: AdamW, a linear warm-up, then a half cosine down to zero.

    Attributes
    ----------
    iterations, batch : int
        Steps, and pictures a step.
    learning_rate, weight_decay : float
        The highest learning rate, and AdamW's decay.
    warmup : int
        Steps of the warm-up.
    gradient_norm : float
        Longer gradients are shortened to this length.
    seed : int
        Of the weights, the order of pictures, their augmentation and the regions drawn.
    initial : str or None
        A weights file of another task's network to start from; tensors of the same name and shape are taken over.
    precision : str
        "float32", or "bfloat16" for mixed precision.
    checkpoint_every : int
        Steps between checkpoints.
    reduced_part : float
        The first part of the steps, 0 to 1, sees pictures at 3/4 of their size, at little more than half the cost.
    """

    iterations: int
    batch: int = 8
    learning_rate: float = 1e-3
    weight_decay: float = 0.02
    warmup: int = 200
    gradient_norm: float = 5.0
    seed: int = 1
    initial: str | None = None
    precision: str = "bfloat16"
    checkpoint_every: int = 500
    reduced_part: float = 0.6

    def __post_init__(self) -> None:
        for key in ("iterations", "batch", "checkpoint_every"):
            if getattr(self, key) < 1:
                raise ConfigurationError(f"task training: {key} is {getattr(self, key)}; it must be at least 1")
        if self.precision not in PRECISIONS:
            raise ConfigurationError(f"task training: precision is {self.precision!r}; known: {', '.join(PRECISIONS)}")
        if not 0 <= self.reduced_part <= 1:
            raise ConfigurationError(f"task training: reduced_part is {self.reduced_part}; it must be from 0 to 1")
        if not self.learning_rate > 0:
            raise ConfigurationError(f"task training: learning_rate is {self.learning_rate}; it must be positive")

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> TaskTraining:
        """From a section of the configuration; unknown keys raise `ConfigurationError`."""
        known = {field.name for field in dataclasses.fields(cls)}
        for key in mapping:
            if key not in known:
                raise ConfigurationError(f"task training: unknown key {key!r}; known: {', '.join(sorted(known))}")
        return cls(**mapping)

    def learning_rate_at(self, iteration: int) -> float:
        """Learning rate of a step, counted from 0."""
        warm = min(1.0, (iteration + 1) / max(self.warmup, 1))
        return self.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * iteration / self.iterations))


@dataclass
class _State:
    """What a checkpoint holds: the task, the model, its optimiser, steps done, seconds spent, and the log's rows."""

    task: str
    model: nn.Module
    optimiser: torch.optim.Optimizer
    iteration: int
    training_s: float
    rows: list[dict[str, float]]


def train_task(
    task: str,
    scenes_root: Path | str,
    settings: TaskTraining,
    checkpoint: Path | str,
    weights: Path | str,
    log: Path | str,
    device: str = "cpu",
    split: str = "train2017",
    size: ModelSize | None = None,
) -> float:
    """Train a demo network and write its weights; a killed training goes on from its last checkpoint.

    Parameters
    ----------
    task : str
        "detection", "segmentation", "keypoints" (scenes in COCO's layout) or "classification" (one folder a class).
    scenes_root : path
        Folder of the scenes.
    settings : TaskTraining
        How to train.
    checkpoint, weights, log : path
        The checkpoint to write and go on from; the weights, safetensors; the losses, CSV.
    device : str
        Where to train.
    split : str
        Which pictures to train on.
    size : ModelSize, optional
        Of the network, by default the demo's.

    Returns
    -------
    float
        Seconds spent in training steps, those before a kill included.

    Raises
    ------
    ConfigurationError
        The checkpoint is of other settings.
    WeightsError
        The initial weights cannot be used, or the loss is no longer finite.
    InputError
        The scenes cannot be used.
    """
    if task == "classification":
        batches: SceneBatches | ObjectBatches = ObjectBatches(scenes_root, split)
    else:
        batches = SceneBatches(scenes_root, split, task, CATEGORY_IDS[task])
    state = _start(task, settings, Path(checkpoint), device, size)
    progress = Progress(settings.iterations, "steps", f"training {task}", interval_s=30)
    progress.step(count=state.iteration)
    while state.iteration < settings.iterations:
        started_s = time.monotonic()
        losses = _step(state, batches, settings, device)
        state.training_s += time.monotonic() - started_s
        _record(state, losses, settings)
        progress.step()
        if state.iteration % settings.checkpoint_every == 0 and state.iteration < settings.iterations:
            _save(state, settings, Path(checkpoint))
            _write_log(state.rows, log)
    save_weights(state.model, weights)
    _write_log(state.rows, log)
    return state.training_s


def training_losses(model: nn.Module, pictures: Tensor, targets: Any, dtype: torch.dtype | None) -> dict[str, Tensor]:
    """The parts of the training loss on a batch (B, 3, H, W) in [0, 1], `dtype` being that of mixed precision or None.

    R-CNNs: torchvision's own parts, on pictures as they are, without scaling. Classifier: cross-entropy.
    """
    pictures = normalise(pictures).contiguous(memory_format=torch.channels_last)
    with torch.autocast(pictures.device.type, dtype, enabled=dtype is not None):
        if isinstance(model, PyramidClassifier):
            return {"classification": F.cross_entropy(model.logits(model.pyramid(pictures)).float(), targets)}
        scales = {key: scale.float() for key, scale in model.backbone(pictures).items()}
        sizes = [tuple(pictures.shape[2:])] * len(pictures)
        proposals, proposal_losses = model.rpn(ImageList(pictures, sizes), scales, targets)
        _, region_losses = model.roi_heads(scales, proposals, sizes, targets)
    return {key.removeprefix("loss_"): value for key, value in {**proposal_losses, **region_losses}.items()}


def transfer(model: nn.Module, state: Mapping[str, Tensor], task: str) -> int:
    """Take over what another task's network has learnt; returns how many tensors.

    Tensors of the same name and shape are copied. A box predictor of other classes gives the rows of the categories
    that both networks know.
    """
    own = model.state_dict()
    taken = {key: value for key, value in state.items() if key in own and own[key].shape == value.shape}
    shared = [CATEGORY_IDS["detection"].index(i) for i in CATEGORY_IDS[task] if i in CATEGORY_IDS["detection"]]
    for key, width in (("cls_score", 1), ("bbox_pred", 4)):
        for part in ("weight", "bias"):
            name = f"roi_heads.box_predictor.{key}.{part}"
            if name in own and name in state and name not in taken:
                rows = state[name].unflatten(0, (-1, width))[shared].flatten(0, 1)
                if rows.shape == own[name].shape:
                    taken[name] = rows
    model.load_state_dict({**own, **taken})
    return len(taken)


def _start(task: str, settings: TaskTraining, checkpoint: Path, device: str, size: ModelSize | None) -> _State:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        model = demo_model(task, size)
    if settings.initial is not None and transfer(model, read_weights(settings.initial), task) == 0:
        raise WeightsError(f"{settings.initial}: has no tensor of the {task} network; give a demo network's weights")
    model = model.to(device, memory_format=torch.channels_last).train()
    optimiser = torch.optim.AdamW(model.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
    state = _State(task, model, optimiser, 0, 0.0, [])
    if checkpoint.is_file():
        saved = torch.load(checkpoint, map_location=device, weights_only=True)
        if saved["task"] != task or saved["settings"] != dataclasses.asdict(settings):
            raise ConfigurationError(f"{checkpoint}: is of another task or other settings; delete it to train anew")
        model.load_state_dict(saved["model"])
        optimiser.load_state_dict(saved["optimiser"])
        state.iteration, state.training_s, state.rows = saved["iteration"], saved["training_s"], saved["rows"]
    return state


def _step(
    state: _State, batches: SceneBatches | ObjectBatches, settings: TaskTraining, device: str
) -> dict[str, float]:
    """One step; torchvision draws regions from torch's global generator, which is seeded anew for every step."""
    indices = batch_indices(state.iteration, settings.batch, len(batches), settings.seed)
    rng = np.random.default_rng([settings.seed, 1, state.iteration])
    reduced = state.iteration < settings.reduced_part * settings.iterations
    pictures, targets = batches.batch(indices, rng, REDUCED_SCALE if reduced else 1.0)
    if isinstance(targets, Tensor):
        targets = targets.to(device)
    else:
        targets = [{key: value.to(device) for key, value in target.items()} for target in targets]
    for group in state.optimiser.param_groups:
        group["lr"] = settings.learning_rate_at(state.iteration)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed * 1_000_003 + state.iteration)
        losses = training_losses(state.model, pictures.to(device), targets, PRECISIONS[settings.precision])
        total = sum(losses.values())
        if not torch.isfinite(total):
            raise WeightsError(f"training: the loss of step {state.iteration} is not finite; lower learning_rate")
        state.optimiser.zero_grad(set_to_none=True)
        # On processors with AVX2 alone, oneDNN's weight gradient of 1x1 convolutions hangs, aborts or differs from run
        # to run (torch 2.14.0).
        with torch.backends.mkldnn.flags(enabled=torch.backends.cpu.get_cpu_capability() != "AVX2"):
            total.backward()
    nn.utils.clip_grad_norm_(state.model.parameters(), settings.gradient_norm)
    state.optimiser.step()
    state.iteration += 1
    return {"loss": total.item(), **{key: value.item() for key, value in losses.items()}}


def _record(state: _State, losses: dict[str, float], settings: TaskTraining) -> None:
    """Average the losses of every hundredth part of the training into one row of the log."""
    span = max(settings.iterations // 100, 1)
    if (state.iteration - 1) % span == 0:
        state.rows.append({"iteration": 0, "learning_rate": 0.0, "training_s": 0.0, **dict.fromkeys(losses, 0.0)})
    row = state.rows[-1]
    steps = (state.iteration - 1) % span
    for key, value in losses.items():
        row[key] = (row[key] * steps + value) / (steps + 1)
    row["iteration"], row["training_s"] = state.iteration, round(state.training_s, 1)
    row["learning_rate"] = settings.learning_rate_at(state.iteration - 1)


def _save(state: _State, settings: TaskTraining, checkpoint: Path) -> None:
    content = {
        "task": state.task,
        "settings": dataclasses.asdict(settings),
        "model": state.model.state_dict(),
        "optimiser": state.optimiser.state_dict(),
        "iteration": state.iteration,
        "training_s": state.training_s,
        "rows": state.rows,
    }
    with atomic_path(checkpoint) as temporary:
        torch.save(content, temporary)


def _write_log(rows: list[dict[str, float]], log: Path | str) -> None:
    with atomic_path(log) as temporary, open(temporary, "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
