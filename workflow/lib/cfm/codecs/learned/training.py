"""Training of learned codecs by rate and distortion, which continues from its checkpoint to the same result."""

from __future__ import annotations

import csv
import math
import os
import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from cfm.codecs.learned.architecture import Architecture, bits, build_model
from cfm.codecs.learned.backend import CompressionModel, EntropyBottleneck
from cfm.codecs.learned.sources import CropSource
from cfm.codecs.learned.transforms import ANALYSIS_TAIL, HEAD, SYNTHESIS_TAIL
from cfm.codecs.learned.weights import copy_parameters, save_weights
from cfm.errors import ConfigurationError, WeightsError
from cfm.progress import Progress
from cfm.provenance import atomic_path

AUXILIARY_LEARNING_RATE = 1e-3
LOG_COLUMNS = ("iteration", "loss", "rate_bpp", "distortion", "learning_rate")
LOG_EVERY = 20
PRECISIONS = ("float32", "bfloat16")


class RateDistortion(NamedTuple):
    """What a step is judged by: the loss R + lambda * D, and its parts, scalars."""

    loss: torch.Tensor
    rate_bpp: torch.Tensor
    distortion: torch.Tensor


@dataclass(frozen=True)
class CodecTraining:
    """Settings of a training.

    Attributes
    ----------
    lambda_ : float
        Lagrangian: the loss is bits per pixel plus `lambda_` times the distortion.
    iterations, batch, crop : int
        Steps, crops a step, and the crops' side in pixels (a multiple of 64).
    learning_rate : float
        Of Adam, at the start.
    schedule : str
        "cosine" (to 1 % of the start), or "step" (times 0.1 at 80 % of the iterations).
    warmup : int or None
        Steps over which the learning rate rises linearly; None for a twentieth of all, at most 100.
    clip_norm : float
        Largest norm of the gradient.
    precision : str
        "float32", or "bfloat16": the transforms in it, but weights and all that estimates the rate in single precision.
    seed : int
        Of initial weights, crops and quantisation noise.
    checkpoint_every : int
        Steps between checkpoints.
    """

    lambda_: float
    iterations: int
    batch: int = 8
    crop: int = 128
    learning_rate: float = 1e-4
    schedule: str = "cosine"
    warmup: int | None = None
    clip_norm: float = 1.0
    precision: str = "float32"
    seed: int = 0
    checkpoint_every: int = 200

    def __post_init__(self) -> None:
        if self.schedule not in ("cosine", "step"):
            raise ConfigurationError(f"unknown learning rate schedule {self.schedule!r}; known: cosine, step")
        if self.precision not in PRECISIONS:
            raise ConfigurationError(f"unknown precision {self.precision!r}; known: {', '.join(PRECISIONS)}")
        if self.crop % 64:
            raise ConfigurationError(f"crop {self.crop} is not a multiple of 64")
        if self.warmup is None:
            object.__setattr__(self, "warmup", min(100, self.iterations // 20))

    def learning_rate_at(self, iteration: int) -> float:
        """The learning rate of a step, counted from zero."""
        done = iteration / self.iterations
        factor = 0.1 if done >= 0.8 else 1.0
        if self.schedule == "cosine":
            factor = 0.01 + 0.99 * (1 + math.cos(math.pi * done)) / 2
        return self.learning_rate * factor * min(1.0, (iteration + 1) / max(self.warmup, 1))


def train_codec(
    architecture: Architecture,
    settings: CodecTraining,
    source: CropSource,
    checkpoint: Path,
    weights: Path,
    log: Path,
    initial: Path | None = None,
    device: str = "cpu",
) -> None:
    """Train one rate point on lambda * 255^2 * MSE + bpp and write its weights.

    Parameters
    ----------
    architecture : Architecture
    settings : CodecTraining
    source : CropSource
        Of pictures or feature mosaics, 8 bit.
    checkpoint, weights, log : Path
        The state to resume from; the result (safetensors, 16 bit); a table of losses (CSV).
    initial : Path, optional
        Weights to start from, else random ones.
    device : str
        torch's name of it.

    Raises
    ------
    ConfigurationError
        If the architecture cannot take crops of that size.
    WeightsError, InputError
        If the initial weights or the checkpoint do not fit, or a picture cannot be read.
    """

    def batch_of(rng: np.random.Generator) -> torch.Tensor:
        crops = source.crops(rng, settings.batch, settings.crop)
        return torch.from_numpy(crops).to(device).float() / 255

    def judge(output: dict[str, Any], batch: torch.Tensor) -> RateDistortion:
        return mean_squared_error_cost(output, batch, settings.lambda_)

    if settings.crop % architecture.stride:
        raise ConfigurationError(
            f"{architecture.family}: crop {settings.crop} is not a multiple of {architecture.stride}; correct `crop`"
        )
    model = initial_model(architecture, settings.seed, initial).to(device)
    optimise(model, settings, batch_of, judge, checkpoint, log)
    save_weights(weights, model, architecture)


def initial_model(architecture: Architecture, seed: int, initial: Path | None) -> CompressionModel:
    """A network with seeded random weights, or with those of a file."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build_model(architecture)
    if initial is not None:
        copy_parameters(model, initial)
    return model


def mean_squared_error_cost(output: dict[str, Any], pictures: torch.Tensor, lambda_: float) -> RateDistortion:
    """bpp + lambda * 255^2 * MSE of what a network's forward pass gave for pictures (B, 3, H, W) in [0, 1]."""
    pixels = pictures.shape[0] * pictures.shape[2] * pictures.shape[3]
    rate_bpp = bits(output["likelihoods"]) / pixels
    distortion = 255**2 * torch.nn.functional.mse_loss(output["x_hat"], pictures)
    return RateDistortion(rate_bpp + lambda_ * distortion, rate_bpp, distortion)


def optimise(
    model: CompressionModel,
    settings: CodecTraining,
    batch_of: Callable[[np.random.Generator], Any],
    judge: Callable[[dict[str, Any], Any], RateDistortion],
    checkpoint: Path,
    log: Path,
    identity: Mapping[str, Any] | None = None,
) -> None:
    """Train a network in place; what an iteration draws depends on the seed and its number alone, so it can resume.

    Parameters
    ----------
    model : CompressionModel
    settings : CodecTraining
    batch_of : callable
        Draws a batch with the generator of the iteration: the pictures (B, 3, H, W) in [0, 1], or a tuple that begins
        with them.
    judge : callable
        Takes the network's output and the batch.
    checkpoint, log : Path
        Written every `settings.checkpoint_every` steps and at the end.
    identity : mapping, optional
        What else than the settings tells this training from others, so that no foreign checkpoint is continued.
    """
    identity = {**asdict(settings), **(identity or {})}
    quantiles = {id(module.quantiles) for module in model.modules() if isinstance(module, EntropyBottleneck)}
    main = [parameter for parameter in model.parameters() if id(parameter) not in quantiles]
    tails = [parameter for parameter in model.parameters() if id(parameter) in quantiles]
    optimizers = (torch.optim.Adam(main), torch.optim.Adam(tails, lr=AUXILIARY_LEARNING_RATE))
    rows = _restore(checkpoint, model, optimizers, identity)
    start = int(rows[-1][0]) if rows else 0
    progress = Progress(settings.iterations, "steps", f"training {checkpoint.stem}")
    progress.done = start
    model.train()
    if settings.precision == "bfloat16":
        _use_bfloat16([*model.g_a[HEAD:-ANALYSIS_TAIL], *model.g_s[HEAD:-SYNTHESIS_TAIL]])
    with _repeatable(next(model.parameters()).device), torch.random.fork_rng(devices=[]):
        for iteration in range(start, settings.iterations):
            rng = np.random.default_rng([settings.seed, iteration])
            torch.manual_seed(int(rng.integers(2**62)))
            optimizers[0].param_groups[0]["lr"] = settings.learning_rate_at(iteration)
            cost = _step(model, optimizers, batch_of(rng), judge, settings.clip_norm)
            done, last = iteration + 1, iteration + 1 == settings.iterations
            saves = last or done % settings.checkpoint_every == 0
            if saves or done % LOG_EVERY == 0:
                rows.append([done, *(float(part) for part in cost), settings.learning_rate_at(iteration)])
            if saves:
                _save(checkpoint, model, optimizers, identity, rows)
                _write_log(log, rows)
            progress.step()
    _write_log(log, rows)
    model.eval()
    model.update(force=True, update_quantiles=True)


@contextmanager
def _repeatable(device: torch.device) -> Iterator[None]:
    """On a GPU, only algorithms that give the same result every time; those of a processor do."""
    if device.type != "cuda":
        yield
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS sums in a varying order
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


def _use_bfloat16(layers: Iterable[torch.nn.Module]) -> None:
    """Let layers compute in bfloat16 where that is safe, from and to single precision."""

    def mixed(x: torch.Tensor, forward: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        with torch.autocast(x.device.type, torch.bfloat16):
            return forward(x).float()

    for layer in layers:
        layer.forward = partial(mixed, forward=layer.forward)


def _step(
    model: CompressionModel,
    optimizers: tuple[torch.optim.Optimizer, torch.optim.Optimizer],
    batch: Any,
    judge: Callable[[dict[str, Any], Any], RateDistortion],
    clip_norm: float,
) -> RateDistortion:
    """One step of both optimizers: of the weights, and of the quantiles that bound the hyper-latent's tables."""
    for optimizer in optimizers:
        optimizer.zero_grad()
    cost = judge(model(batch[0] if isinstance(batch, tuple) else batch), batch)
    if not torch.isfinite(cost.loss):
        raise WeightsError("the training diverged (the loss is not finite); lower its learning rate")
    # On processors with AVX2 alone, oneDNN's weight gradient of 1x1 convolutions hangs, aborts or differs from run to
    # run (torch 2.14.0).
    affected = torch.backends.cpu.get_cpu_capability() == "AVX2"
    with torch.backends.mkldnn.flags(enabled=False) if affected else nullcontext():
        cost.loss.backward()
    torch.nn.utils.clip_grad_norm_(optimizers[0].param_groups[0]["params"], clip_norm)
    optimizers[0].step()
    model.aux_loss().backward()
    optimizers[1].step()
    return RateDistortion(*(part.detach() for part in cost))


def _save(
    checkpoint: Path,
    model: CompressionModel,
    optimizers: tuple[torch.optim.Optimizer, torch.optim.Optimizer],
    identity: dict[str, Any],
    rows: list[list[float]],
) -> None:
    state = {
        "settings": identity,
        "parameters": dict(model.named_parameters()),
        "optimizers": [optimizer.state_dict() for optimizer in optimizers],
        "log": rows,
    }
    with atomic_path(checkpoint) as temporary:
        torch.save(state, temporary)


def _restore(
    checkpoint: Path,
    model: CompressionModel,
    optimizers: tuple[torch.optim.Optimizer, torch.optim.Optimizer],
    identity: dict[str, Any],
) -> list[list[float]]:
    """Load the state that a stopped training left, if any, and give back its log; its last row is that of the state."""
    if not checkpoint.exists():
        return []
    try:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        same = state["settings"] == identity
        with torch.no_grad():
            for name, parameter in model.named_parameters() if same else ():
                parameter.copy_(state["parameters"][name])
        for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, KeyError, ValueError, TypeError) as error:
        reason = str(error).split("\n")[0]
        raise WeightsError(f"{checkpoint}: not a checkpoint of this training ({reason}); remove it") from None
    if not same:
        raise WeightsError(f"{checkpoint}: left by a training with other settings; remove it to train anew")
    return state["log"]


def _write_log(path: Path, rows: list[list[float]]) -> None:
    with atomic_path(path) as temporary, open(temporary, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(LOG_COLUMNS)
        writer.writerows([row[0], *(f"{value:.6g}" for value in row[1:])] for row in rows)
