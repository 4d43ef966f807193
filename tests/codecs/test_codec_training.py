"""Training of learned codecs: sources, the loss, schedules, and a stopped training that ends as an unbroken one."""

import csv
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from PIL import Image

from cfm.codecs.learned import training
from cfm.codecs.learned.architecture import Architecture
from cfm.codecs.learned.sources import PictureCrops, ShardCrops
from cfm.codecs.learned.training import (
    PRECISIONS,
    CodecTraining,
    initial_model,
    mean_squared_error_cost,
    train_codec,
)
from cfm.codecs.learned.weights import load_model
from cfm.errors import ConfigurationError, InputError, WeightsError

ARCHITECTURES = [
    Architecture("cheng2020-attn", 8),
    Architecture("elic", 8, 12),
    Architecture("lic-tcm", 8, 16, (8, 8), (12, 8)),
]


@pytest.fixture
def shards(tmp_path):
    rng = np.random.default_rng(0)
    for index in range(2):
        coarse = rng.integers(0, 256, (3 + index, 3, 10, 12)).astype(np.uint8)
        np.save(tmp_path / f"shard-{index}.npy", coarse.repeat(8, 2).repeat(8, 3))
    return ShardCrops.of_folder(tmp_path)


def run(folder, architecture, settings, source, initial=None):
    paths = (folder / "checkpoint.pt", folder / "weights.safetensors", folder / "log.csv")
    train_codec(architecture, settings, source, *paths, initial)
    return paths


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=lambda architecture: architecture.family)
def test_a_stopped_training_ends_as_an_unbroken_one(tmp_path, shards, architecture, precision):
    settings = CodecTraining(
        0.01, 5, batch=2, crop=architecture.stride, checkpoint_every=2, seed=4, precision=precision
    )
    whole = run(tmp_path / "whole", architecture, settings, shards)

    class Stopped(Exception):
        pass

    class Stopping:
        drawn = 0

        def crops(self, *arguments):
            self.drawn += 1
            if self.drawn == 4:
                raise Stopped
            return shards.crops(*arguments)

    with pytest.raises(Stopped):
        run(tmp_path / "broken", architecture, settings, Stopping())
    assert not (tmp_path / "broken" / "weights.safetensors").exists()
    torch.manual_seed(99)
    broken = run(tmp_path / "broken", architecture, settings, shards)
    assert broken[1].read_bytes() == whole[1].read_bytes()
    assert broken[2].read_text() == whole[2].read_text()


def test_a_killed_process_is_continued_to_the_same_bytes(tmp_path, shards):
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "import torch\n"
        "from cfm.codecs.learned.architecture import Architecture\n"
        "from cfm.codecs.learned.sources import ShardCrops\n"
        "from cfm.codecs.learned.training import CodecTraining, train_codec\n"
        "torch.set_num_threads(1)\n"
        "folder = Path(sys.argv[2])\n"
        "settings = CodecTraining(0.01, 40, batch=2, crop=64, checkpoint_every=4, seed=4)\n"
        "paths = (folder / 'checkpoint.pt', folder / 'weights.safetensors', folder / 'log.csv')\n"
        "train_codec(Architecture('elic', 8, 12), settings, ShardCrops.of_folder(sys.argv[1]), *paths)\n"
    )

    def start(folder):
        return subprocess.Popen([sys.executable, "-c", program, str(tmp_path), str(folder)], stderr=subprocess.DEVNULL)

    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert start(whole).wait() == 0
    process = start(broken)
    while not (broken / "checkpoint.pt").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not (broken / "weights.safetensors").exists()
    assert start(broken).wait() == 0
    for name in ("weights.safetensors", "log.csv"):
        assert (broken / name).read_bytes() == (whole / name).read_bytes()


def test_bfloat16_is_of_the_transforms_alone(shards):
    """Weights, latents and likelihoods stay in single precision, and training in it learns as well."""
    model = initial_model(ARCHITECTURES[1], 0, None)
    pictures = torch.from_numpy(shards.crops(np.random.default_rng(0), 2, 64)).float() / 255
    with torch.no_grad():
        exact = model.g_a(pictures)
        training._use_bfloat16([*model.g_a, *model.g_s])
        rough = model.g_a(pictures)
    assert rough.dtype == torch.float32
    assert 0 < (rough - exact).abs().max() < 0.05 * exact.abs().max()
    output = model(pictures)
    assert {value.dtype for value in (output["x_hat"], *output["likelihoods"].values())} == {torch.float32}
    mean_squared_error_cost(output, pictures, 0.01).loss.backward()
    assert {parameter.grad.dtype for parameter in model.g_a.parameters()} == {torch.float32}


def test_crops_fit_the_architecture(tmp_path, shards):
    with pytest.raises(ConfigurationError, match="128"):
        run(tmp_path, ARCHITECTURES[2], CodecTraining(0.01, 1, batch=1, crop=64), shards)


def test_training_lowers_the_loss_and_leaves_the_global_generator(tmp_path, shards, monkeypatch):
    monkeypatch.setattr(training, "LOG_EVERY", 1)
    torch.manual_seed(7)
    state = torch.random.get_rng_state()
    settings = CodecTraining(0.01, 25, batch=2, crop=64, learning_rate=3e-3)
    _, weights, log = run(tmp_path, ARCHITECTURES[0], settings, shards)
    assert torch.equal(state, torch.random.get_rng_state())
    with open(log, newline="") as file:
        losses = [float(row["loss"]) for row in csv.DictReader(file)]
    assert len(losses) == 25
    assert np.mean(losses[-4:]) < 0.7 * np.mean(losses[:4])
    loaded = load_model(weights)
    assert loaded.architecture == ARCHITECTURES[0]
    assert loaded.model.entropy_bottleneck.quantized_cdf.numel()


def test_initial_weights_are_those_of_the_file(tmp_path, shards):
    settings = CodecTraining(0.01, 1, batch=1, crop=64)
    _, weights, _ = run(tmp_path, ARCHITECTURES[1], settings, shards)
    model = initial_model(ARCHITECTURES[1], 5, weights)
    for value, other in zip(model.parameters(), load_model(weights).model.parameters(), strict=True):
        assert torch.equal(value, other)
    with pytest.raises(WeightsError, match=r"weights\.safetensors"):
        initial_model(ARCHITECTURES[0], 5, weights)


def test_foreign_and_damaged_checkpoints_are_refused(tmp_path, shards):
    settings = CodecTraining(0.01, 1, batch=1, crop=64)
    checkpoint, _, _ = run(tmp_path, ARCHITECTURES[0], settings, shards)
    with pytest.raises(WeightsError, match="other settings"):
        run(tmp_path, ARCHITECTURES[0], CodecTraining(0.02, 1, batch=1, crop=64), shards)
    checkpoint.write_bytes(checkpoint.read_bytes()[:999])
    with pytest.raises(WeightsError, match=r"checkpoint\.pt"):
        run(tmp_path, ARCHITECTURES[0], settings, shards)


def test_cost_is_the_formula():
    pictures = torch.zeros(2, 3, 4, 8)
    output = {
        "x_hat": torch.full((2, 3, 4, 8), 2 / 255),
        "likelihoods": {"y": torch.full((2, 5, 1, 2), 0.25), "z": torch.full((2, 1, 1, 1), 0.5)},
    }
    cost = mean_squared_error_cost(output, pictures, 0.5)
    assert float(cost.rate_bpp) == pytest.approx((20 * 2 + 2) / 64)
    assert float(cost.distortion) == pytest.approx(4)
    assert float(cost.loss) == pytest.approx((20 * 2 + 2) / 64 + 0.5 * 4)


def test_schedules():
    cosine = CodecTraining(1.0, 1000, learning_rate=2.0)
    assert cosine.warmup == 50
    assert cosine.learning_rate_at(0) == pytest.approx(2.0 / 50)
    assert cosine.learning_rate_at(500) == pytest.approx(1.01, abs=1e-9)
    assert cosine.learning_rate_at(999) == pytest.approx(0.02, rel=0.01)
    step = CodecTraining(1.0, 100, learning_rate=1e-4, schedule="step", warmup=0)
    assert [step.learning_rate_at(i) for i in (0, 79, 80, 99)] == pytest.approx([1e-4, 1e-4, 1e-5, 1e-5])
    for wrong in ({"schedule": "linear"}, {"crop": 100}):
        with pytest.raises(ConfigurationError):
            CodecTraining(1.0, 10, **wrong)


def test_pictures_are_cut_and_mirrored_but_not_changed(tmp_path):
    rng = np.random.default_rng(2)
    picture = rng.integers(0, 256, (70, 90, 3)).astype(np.uint8)
    Image.fromarray(picture).save(tmp_path / "a.png")
    source = PictureCrops.of_folder(tmp_path, cache_bytes=0)
    crops = source.crops(np.random.default_rng(1), 12, 64)
    assert crops.shape == (12, 3, 64, 64)
    windows = np.lib.stride_tricks.sliding_window_view(picture.transpose(2, 0, 1), (3, 64, 64))[0]
    mirrored = 0
    for crop in crops:
        plain, turned = ((windows == view).all((2, 3, 4)).any() for view in (crop, crop[:, :, ::-1]))
        assert plain or turned
        mirrored += turned
    assert 0 < mirrored < 12
    again = PictureCrops.of_folder(tmp_path).crops(np.random.default_rng(1), 12, 64)
    assert np.array_equal(crops, again)
    assert source.crops(np.random.default_rng(1), 1, 128).shape == (1, 3, 128, 128)


def test_unusable_sources(tmp_path):
    with pytest.raises(InputError, match="no PNG"):
        PictureCrops.of_folder(tmp_path)
    with pytest.raises(InputError, match="empty"):
        ShardCrops.of_folder(tmp_path)
    (tmp_path / "b.jpg").write_bytes(b"\xff\xd8nothing")
    with pytest.raises(InputError, match=r"b\.jpg"):
        PictureCrops.of_folder(tmp_path).crops(np.random.default_rng(0), 1, 64)
    np.save(tmp_path / "c.npy", np.zeros((2, 64, 64, 3), np.uint8))
    with pytest.raises(InputError, match=r"c\.npy"):
        ShardCrops.of_folder(tmp_path)


def test_all_shards_are_drawn_from(tmp_path):
    for index in range(3):
        np.save(tmp_path / f"{index}.npy", np.full((index + 1, 3, 64, 64), index, np.uint8))
    values = ShardCrops.of_folder(tmp_path).crops(np.random.default_rng(0), 300, 64)[:, 0, 0, 0]
    assert np.bincount(values) / 300 == pytest.approx([1 / 6, 2 / 6, 3 / 6], abs=0.08)
