"""Weights of learned codecs on disk: safetensors that describe themselves, and other people's torch files."""

from __future__ import annotations

import json
import pickle
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from cfm.codecs.learned.architecture import FAMILIES, Architecture, build_model
from cfm.codecs.learned.backend import CompressionModel, EntropyBottleneck
from cfm.codecs.learned.recognition import infer_architecture, recognise_family
from cfm.errors import ConfigurationError, WeightsError
from cfm.provenance import atomic_path, sha256_of

ARCHITECTURE_KEY = "architecture"
BOTTLENECK = {"matr": "matrices", "bias": "biases", "fact": "factors"}
OLD_BOTTLENECK = re.compile(r"(.*)\._(matrix|matrices\.|bias|biases\.|factor|factors\.)(\d+)")
"""compressai named parameters of the entropy bottleneck `_matrices.0` once, then `_matrix0`, now `matrices.0`."""

ELIC_MARK = "latent_codec.y."
ELIC_RENAMES = (
    ("cc_transforms.", "latent_codec.y.channel_context.y", 1, ""),
    ("context_prediction.", "latent_codec.y.latent_codec.y", 0, ".context_prediction"),
    ("ParamAggregation.", "latent_codec.y.latent_codec.y", 0, ".entropy_parameters"),
)
"""How the public ELIC re-implementation's names with a group number map to compressai's: prefix, new prefix, offset of
the number, what follows the number."""


WIDEST_QUANTILES = 4096
"""Integers that a table of the hyper-latent's entropy model may span."""


@dataclass(frozen=True)
class LoadedModel:
    """A network ready to code, and a digest of its file, from which that of streams is made."""

    model: CompressionModel
    architecture: Architecture
    digest: bytes


def save_weights(path: Path | str, model: CompressionModel, architecture: Architecture) -> None:
    """Write a network's parameters as 16-bit floats; its tables are computed anew from these when it is loaded.

    Encoder and decoder both load the rounded values, so they agree.
    """
    tensors = {name: value.detach().cpu().to(torch.float16).contiguous() for name, value in model.named_parameters()}
    if not all(torch.isfinite(tensor).all() for tensor in tensors.values()):
        raise WeightsError(f"{path}: weights do not fit 16-bit floats; the training diverged, lower its learning rate")
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata={ARCHITECTURE_KEY: json.dumps(architecture.as_dict())})


def load_model(
    path: Path | str, architecture: Architecture | None = None, sha256: str | None = None, family: str | None = None
) -> LoadedModel:
    """Load a network and compute its entropy coding tables.

    Parameters
    ----------
    path : Path or str
        A .safetensors file, or a torch file (a state dictionary, alone or under "state_dict").
    architecture : Architecture, optional
        Of a file that does not describe itself, or what it must describe; told by names and shapes where absent.
    sha256 : str, optional
        What the file's checksum must begin with.
    family : str, optional
        What the network must be of.

    Returns
    -------
    LoadedModel
        In evaluation mode, 32-bit floats, tables updated; `digest` is the first 4 bytes of the file's SHA-256.

    Raises
    ------
    WeightsError
        If the file is absent, damaged, a pickle with code, or of another family or shape.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsError(f"{path}: no such weights file; train the codec or correct the path")
    digest = sha256_of(path)
    if sha256 is not None and not digest.startswith(sha256.lower()):
        raise WeightsError(f"{path}: checksum {digest[:12]} where {sha256[:12]} is expected; fetch or train it anew")
    tensors, described = read_tensors(path)
    if described is not None and architecture is not None and described != architecture:
        raise WeightsError(f"{path}: holds {described}, but the configuration says {architecture}; correct one of them")
    architecture = described or architecture or architecture_of(tensors, path, family)
    if family not in (None, architecture.family):
        raise WeightsError(f"{path}: weights of {architecture.family}, not of {family}; correct the codec or the path")
    model = build_model(architecture)
    _fill(model, tensors, path)
    _check_quantiles(model, path)
    model.eval().requires_grad_(False)
    model.update(force=True)
    return LoadedModel(model, architecture, bytes.fromhex(digest[:8]))


def _check_quantiles(model: CompressionModel, path: Path) -> None:
    """Refuse a hyper-latent's model whose tables could not be made; a training that diverged leaves such."""
    for module in model.modules():
        if isinstance(module, EntropyBottleneck):
            low, middle, high = module.quantiles.detach()[:, 0].T
            if not ((low <= middle) & (middle <= high) & (high - low < WIDEST_QUANTILES)).all():
                raise WeightsError(f"{path}: entropy_bottleneck.quantiles span no range of symbols; train it anew")


def copy_parameters(model: CompressionModel, path: Path | str) -> None:
    """Start a network from the weights of another training; raises `WeightsError` where they do not fit."""
    path = Path(path)
    if not path.is_file():
        raise WeightsError(f"{path}: no such weights file to start from; train it first or correct the path")
    _fill(model, read_tensors(path)[0], path)


def read_tensors(path: Path) -> tuple[dict[str, torch.Tensor], Architecture | None]:
    """The tensors of a file under compressai's names, and what network it says they are of, where it does.

    Raises
    ------
    WeightsError
        If the file is damaged, holds more than tensors, or none.
    """
    tensors, described = _read_safetensors(path) if path.suffix == ".safetensors" else (_read_torch(path), None)
    renamed = {_compressai_name(name): value for name, value in tensors.items()}
    if not renamed or len(renamed) < len(tensors):
        what = "two tensors for one name" if renamed else "no tensors"
        raise WeightsError(f"{path}: holds {what}; save the state_dict of one network")
    if any(name.startswith(ELIC_MARK) for name in renamed):
        renamed = {_nested(name): value for name, value in renamed.items()}
    return renamed, described


def architecture_of(tensors: dict[str, torch.Tensor], path: Path, family: str | None = None) -> Architecture:
    """What network tensors are of, by their names and shapes; raises `WeightsError` where that cannot be told."""
    family = family or recognise_family(tensors)
    if family is None:
        raise WeightsError(f"{path}: not weights of {', '.join(FAMILIES)}; correct the path")
    return infer_architecture(family, tensors, path)


def _read_safetensors(path: Path) -> tuple[dict[str, torch.Tensor], Architecture | None]:
    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
            metadata = file.metadata() or {}
        text = metadata.get(ARCHITECTURE_KEY)
        return tensors, Architecture(**json.loads(text)) if text else None
    except (SafetensorError, OSError, json.JSONDecodeError, TypeError, ConfigurationError) as error:
        raise WeightsError(f"{path}: not a usable safetensors file ({error}); fetch or train it anew") from None


def _read_torch(path: Path) -> dict[str, torch.Tensor]:
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what is read is anybody's: its damage surfaces as nearly any error
        code = isinstance(error, pickle.UnpicklingError) and "global" in str(error).lower()
        what = "objects that could run code" if code else "not a whole torch file"
        cure = "save the state_dict without them, or as safetensors" if code else "fetch it anew or correct the path"
        raise WeightsError(f"{path}: not a file of weights alone ({what}); {cure}") from None
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    named = isinstance(content, dict) and all(isinstance(name, str) for name in content)
    if not named or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise WeightsError(f"{path}: holds no dictionary of tensors; save the model's state_dict")
    return content


def _compressai_name(name: str) -> str:
    """compressai's name of a parameter: wrappers stripped, old names and the public ELIC's names translated."""
    name = name.removeprefix("module.").replace(".downsample.", ".skip.")
    if "entropy_bottleneck" in name and (old := OLD_BOTTLENECK.fullmatch(name)):
        name = f"{old[1]}.{BOTTLENECK[old[2][:4]]}.{old[3]}"
    for prefix, new_prefix, offset, after in ELIC_RENAMES:
        number, dot, rest = name.removeprefix(prefix).partition(".")
        if name.startswith(prefix) and number.isdigit():
            return f"{new_prefix}{int(number) + offset}{after}{dot}{rest}"
    return name


def _nested(name: str) -> str:
    """compressai's name of the public ELIC's hyper parts, which that has at the top."""
    return f"latent_codec.hyper.{name}" if name.split(".")[0] in ("h_a", "h_s", "entropy_bottleneck") else name


def _fill(model: CompressionModel, tensors: dict[str, torch.Tensor], path: Path) -> None:
    """Copy tensors into the parameters of the same names; buffers are tables and constants that the model makes."""
    expected = dict(model.named_parameters())
    buffers = {name for name, _ in model.named_buffers()}
    absent = sorted(expected.keys() - tensors.keys())
    foreign = sorted(name for name in tensors.keys() - expected.keys() - buffers if "gaussian_conditional" not in name)
    if absent or foreign:
        what = f"lacks {absent[0]}" if absent else f"has an unknown {foreign[0]}"
        raise WeightsError(f"{path}: {what}: weights of another network; correct the codec's family or the path")
    with torch.no_grad():
        for name, parameter in expected.items():
            parameter.copy_(_fitting(tensors[name], parameter, f"{path}: {name}"))


def _fitting(value: torch.Tensor, parameter: torch.Tensor, what: str) -> torch.Tensor:
    """A tensor that can take the place of a parameter; raises `WeightsError` about any other."""
    if value.shape != parameter.shape:
        raise WeightsError(
            f"{what} has shape {tuple(value.shape)} where {tuple(parameter.shape)} belongs; "
            "correct the path or the configured channels"
        )
    if not value.is_floating_point() or value.layout != torch.strided or value.device.type != "cpu":
        raise WeightsError(f"{what} is no plain array of floats; save the network as it was trained")
    if not torch.isfinite(value.float()).all():
        raise WeightsError(f"{what} is not finite; fetch or train it anew")
    return value
