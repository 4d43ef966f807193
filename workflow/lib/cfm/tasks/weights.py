"""Weights files of task networks: safetensors with 16-bit floats, read only where they are whole and fit."""

from __future__ import annotations

import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from cfm.errors import WeightsError
from cfm.provenance import atomic_path, sha256_of

COUNTER = "num_batches_tracked"  # of batch normalisation: says nothing about a network in use


def stored_state(module: nn.Module) -> dict[str, Tensor]:
    """What a weights file of `module` holds: parameters and running statistics, without training's counters."""
    return {key: value for key, value in module.state_dict().items() if not key.endswith(COUNTER)}


def save_weights(module: nn.Module, path: Path | str) -> None:
    """Write the weights of `module` as safetensors; floats are rounded to 16 bit.

    Raises
    ------
    WeightsError
        A value is not finite in 16 bit: the training diverged.
    """
    state = {}
    for key, value in stored_state(module).items():
        value = value.detach().cpu().contiguous()
        state[key] = value.half() if value.is_floating_point() else value
        if not torch.isfinite(state[key]).all():
            raise WeightsError(
                f"{path}: the tensor {key} is not finite in 16 bit; train again at a lower learning rate"
            )
    with atomic_path(path) as temporary:
        save_file(state, temporary)


def read_weights(path: Path | str, sha256: str | None = None) -> dict[str, Tensor]:
    """The tensors of a weights file, floats as float32.

    Parameters
    ----------
    path : path
        A safetensors file, or a PyTorch state dict (.pth, .pt), which is read with `weights_only=True`.
    sha256 : str, optional
        The file's expected digest, or its first digits.

    Raises
    ------
    WeightsError
        The file is absent, has another digest, is damaged, or holds more than tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsError(f"{path}: no such weights file; give its path or train the network")
    if sha256 and not (found := sha256_of(path)).startswith(sha256.lower()):
        raise WeightsError(f"{path}: its SHA-256 is {found}, expected {sha256}; fetch or train the file again")
    state = _read_torch(path) if path.suffix in (".pth", ".pt") else _read_safetensors(path)
    return {key: value.float() if value.is_floating_point() else value for key, value in state.items()}


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise WeightsError(f"{path}: not a whole safetensors file ({error}); fetch or train it again") from None


def _read_torch(path: Path) -> dict[str, Tensor]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise WeightsError(f"{path}: holds more than tensors and is not loaded; save its state dict alone") from None
    except (OSError, RuntimeError, EOFError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WeightsError(f"{path}: not a whole PyTorch file ({reason}); fetch it again") from None
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsError(f"{path}: not a state dict; save the network's state dict alone")
    return state


def apply_weights(module: nn.Module, state: dict[str, Tensor], path: Path | str) -> None:
    """Put tensors into a module that has exactly these.

    Raises
    ------
    WeightsError
        A tensor is missing, not known to the network, or of another shape; the first one is named.
    """
    expected = stored_state(module)
    state = {key: value for key, value in state.items() if not key.endswith(COUNTER)}
    for key, value in expected.items():
        if key not in state:
            raise WeightsError(f"{path}: lacks the tensor {key}; give the weights of this network")
        if state[key].shape != value.shape:
            found, wanted = tuple(state[key].shape), tuple(value.shape)
            raise WeightsError(f"{path}: the tensor {key} is {found}, not {wanted}; give the weights of this network")
    for key in state:
        if key not in expected:
            raise WeightsError(
                f"{path}: has the tensor {key} that this network lacks; give the weights of this network"
            )
    module.load_state_dict(state, strict=False)
