"""The demo's shipped codec weights: whole, described, within their size, and rates that ascend with the point."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from cfm.codecs.learned.entropy import GUARD, LatentCoder
from cfm.codecs.learned.tables import SMALLEST_SCALE
from cfm.codecs.learned.weights import load_model
from cfm.codecs.picture import Picture
from cfm.codecs.registry import make_codec

MODELS = Path(__file__).parents[2] / "workflow" / "models"
SHIPPED = MODELS / "demo" / "codecs"
LARGEST_BYTES = 60_000_000
POINTS = {
    "cheng2020-attn": 4,
    "elic": 4,
    "elic-pictures": 4,
    "lic-tcm": 4,
    "lic-tcm-pictures": 4,
    "distillation/none": 3,
    "distillation/ground_truth": 3,
    "distillation/objectness": 3,
}


def manifest_of(folder):
    return json.loads((SHIPPED / folder / "manifest.json").read_text())


def textured(height, width):
    rows, columns = np.mgrid[:height, :width]
    waves = [127 + 90 * np.sin(columns / (4 + k)) * np.cos(rows / (9 - k)) for k in range(3)]
    return Picture(tuple(wave.astype(np.uint8) for wave in waves), "rgb", 8)


@pytest.mark.parametrize("folder", POINTS)
def test_points_load_against_their_manifest_and_code(folder):
    content = manifest_of(folder)
    weights = {point: SHIPPED / folder / f"{point}.safetensors" for point in range(POINTS[folder])}
    assert sorted(content["models"]) == [path.name for path in weights.values()]
    codec = make_codec(content["family"], weights=weights)
    codec.warm_up()
    assert load_model(weights[0]).architecture.as_dict() == {
        key: tuple(value) if isinstance(value, list) else value for key, value in content["architecture"].items()
    }
    picture = textured(70, 100)
    sizes = [len(codec.encode(picture, point)) for point in codec.points]
    assert sizes[0] < sizes[-1]
    decoded = codec.decode(codec.encode(picture, codec.points[-1]))
    assert np.mean((np.stack(decoded.planes).astype(float) - np.stack(picture.planes)) ** 2) < 1500


def scales_of(coder, latent, symbols=None):
    """All scales of a walk, and the symbols; those given are followed instead of the latent."""
    walk = coder.prediction.walk(torch.round(coder.hyper_analysis(latent) - coder.medians) + coder.medians.double())
    part, scales, taken = next(walk), [], []
    while True:
        chosen = torch.round(part.pick(latent.double()) - part.means) if symbols is None else symbols[len(taken)]
        scales.append(part.scales.flatten())
        taken.append(chosen)
        try:
            part = walk.send(chosen + part.means)
        except StopIteration:
            return torch.cat(scales), taken


@pytest.mark.parametrize("folder", ["cheng2020-attn", "elic", "elic-pictures", "lic-tcm", "lic-tcm-pictures"])
def test_rounding_of_double_precision_stays_far_below_the_guard(folder):
    """Disturbing every weight by the last bit of double precision is worse than adding in another order."""
    loaded = load_model(SHIPPED / folder / "3.safetensors")
    picture = textured(128, 192)
    samples = torch.from_numpy(np.stack(picture.planes)).float()[None] / 255
    samples = torch.nn.functional.pad(samples, (0, 64, 0, 0))
    with torch.inference_mode():
        latent = loaded.model.g_a(samples)
        coder, other = (LatentCoder(loaded.model, loaded.architecture.latent_channels, True) for _ in range(2))
        scales, symbols = scales_of(coder, latent)
        generator = torch.Generator().manual_seed(0)
        for tensor in tensors_within(other.prediction):
            tensor.mul_(1 + 2.0**-52 * torch.randint(-1, 2, tensor.shape, generator=generator).double())
        disturbed, _ = scales_of(other, latent, symbols)
    change = (disturbed - scales).abs() / scales.clamp(min=SMALLEST_SCALE)
    assert 0 < change.max() < GUARD / 1000


def tensors_within(value, depth=4):
    """Every tensor that an object, its modules or its lists hold."""
    if isinstance(value, torch.nn.Module):
        yield from value.parameters()
    elif isinstance(value, torch.Tensor):
        if value.is_floating_point():
            yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from tensors_within(item, depth)
    elif depth and hasattr(value, "__dict__"):
        for item in vars(value).values():
            yield from tensors_within(item, depth - 1)


@pytest.mark.parametrize("folder", POINTS)
def test_manifests_say_how_the_points_were_trained_and_what_they_score(folder):
    models = [model for _, model in sorted(manifest_of(folder)["models"].items())]
    rates = [model["score"]["rate_bpp"] for model in models]
    assert rates == sorted(rates)
    lambdas = [model["settings"]["lambda_"] for model in models]
    assert lambdas == sorted(lambdas)
    for model in models:
        assert {"seed", "iterations", "learning_rate"} <= model["settings"].keys()
        assert {"data", "initial", "device", "command"} <= model.keys()
        assert model["training_s"] > 0
        assert 5 < len(model["log"]) < 50


def test_all_together_stay_small():
    assert sum(path.stat().st_size for path in MODELS.rglob("*") if path.is_file()) < LARGEST_BYTES
