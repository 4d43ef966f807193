"""From the name of a task network in a configuration to the network."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import json
import sys
import traceback
import zlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from cfm.errors import CfmError, ConfigurationError
from cfm.provenance import sha256_of
from cfm.tasks import torchvision_networks
from cfm.tasks.contract import TaskNetwork, check_contract


def load_network(spec: str, device: str = "cpu", **options: Any) -> TaskNetwork:
    """Make a task network.

    Parameters
    ----------
    spec : str
        "torchvision:<model>", such as "torchvision:fasterrcnn_resnet50_fpn"; "<module>:<factory>", such as
        "cfm.tasks.demo:detection"; or "<path to a .py file>:<factory>". A factory is called as
        `factory(device=..., **options)`.
    device : str
        Where the network runs.
    **options
        The factory's own, such as `weights` or `derive_pool`.

    Returns
    -------
    TaskNetwork
        Checked for the attributes and methods of the contract.

    Raises
    ------
    ConfigurationError
        The name, factory or an option is not known, or the network does not keep the contract.
    WeightsError
        Its weights cannot be used.
    """
    origin, _, name = spec.rpartition(":")
    if not origin or not name:
        raise ConfigurationError(
            f"network {spec!r}: name it torchvision:<model>, <module>:<factory> or <path>.py:<factory>"
        )
    if origin == "torchvision":
        network: Any = _call(torchvision_networks.factory(name), spec, device, options)
    else:
        module = _module_of_file(origin, spec) if origin.endswith(".py") else _module_of_name(origin, spec)
        factory = getattr(module, name, None)
        if not callable(factory):
            raise ConfigurationError(
                f"network {spec}: {origin} has no factory {name!r}; check the name after the colon"
            )
        network = _call(factory, spec, device, options)
    check_contract(network, spec)
    return network


def network_digest(spec: str, **options: Any) -> str:
    """64 hexadecimal digits that change with what a configuration says of a network, and the files that it names.

    Parameters
    ----------
    spec, **options
        As in `load_network`, without the device. The content of a plug-in's file and of the weights counts, the folders
        where they lie do not. Weights that a plug-in finds by itself are not seen.
    """
    origin, _, name = spec.rpartition(":")
    identity = {key: value for key, value in options.items() if key != "weights"}
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True, default=str).encode())
    digest.update(name.encode() if origin.endswith(".py") else spec.encode())
    for path in [origin] * origin.endswith(".py") + [str(options.get("weights") or "")]:
        digest.update(bytes.fromhex(sha256_of(path)) if Path(path).is_file() else path.encode())
    return digest.hexdigest()


def _module_of_name(name: str, spec: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ConfigurationError(f"network {spec}: cannot import {name} ({error}); check the module's name") from None


def _module_of_file(file: str, spec: str) -> ModuleType:
    path = Path(file)
    if not path.is_file():
        raise ConfigurationError(f"network {spec}: {path} does not exist; give the path of the plug-in's file")
    name = f"cfm_plugin_{path.stem}_{zlib.crc32(str(path.resolve()).encode()):08x}"
    plugin = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(plugin)
    sys.modules[name] = module  # dataclasses look their module up there
    try:
        plugin.loader.exec_module(module)
    except Exception as error:  # whatever a plug-in does when it is read
        del sys.modules[name]
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        told = f"{type(error).__name__}: {' '.join(str(error).split())}" + (f", line {lines[-1]}" if lines else "")
        raise ConfigurationError(f"network {spec}: {path} cannot be imported ({told}); mend the plug-in") from None
    return module


def _call(factory: Callable[..., Any], spec: str, device: str, options: dict[str, Any]) -> Any:
    """Call a factory; options that it does not take are the configuration's fault, other errors the plug-in's."""
    try:
        inspect.signature(factory).bind(device=device, **options)
    except TypeError as error:
        raise ConfigurationError(f"network {spec}: {error}; check its options in the configuration") from None
    try:
        return factory(device=device, **options)
    except CfmError:
        raise
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"network {spec}: {error.filename} is missing; put it where the network looks"
        ) from None
