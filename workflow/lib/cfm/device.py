"""Which device a job computes on."""

from __future__ import annotations

import torch

from cfm.errors import ConfigurationError


def resolve_device(name: str) -> torch.device:
    """The device that a configuration names: "auto", "cpu", "cuda" or "cuda:<index>".

    Raises
    ------
    ConfigurationError
        If a GPU is asked for that is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigurationError(f"device: {name} is asked for, there are {torch.cuda.device_count()} GPUs; use auto")
    return device
