"""The feature dataset: sound crops, and a killed run that ends at the same bytes."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from cfm.errors import ConfigurationError, InputError
from cfm.features import dataset
from cfm.features.dataset import random_crop, training_pictures, write_feature_dataset


class TwoScales:
    """Six and four channels at strides 2 and 8."""

    name = "two-scales"

    def prepare(self, image):
        return image[None]

    def features(self, prepared):
        mixed = torch.cat([prepared, 1 - prepared], 1)
        pool = torch.nn.functional.avg_pool2d
        return [pool(mixed, 2), pool(mixed[:, :4], 8)]


@pytest.fixture
def pictures(tmp_path):
    rng = np.random.default_rng(0)
    paths = [tmp_path / f"{index}.png" for index in range(5)]
    for path in paths:
        Image.fromarray(rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)).save(path)
    return paths


def write(pictures, folder, seed=1, **options):
    options = {"crop": 32, "pictures_per_shard": 2} | options
    return write_feature_dataset([TwoScales()], pictures, rng=np.random.default_rng(seed), folder=folder, **options)


def test_every_scale_of_every_picture_gives_its_crops(pictures, tmp_path):
    shards = write(pictures, tmp_path / "set", crops_per_scale=3)
    assert [np.load(path).shape for path in shards] == [(12, 3, 32, 32), (12, 3, 32, 32), (6, 3, 32, 32)]
    assert all(np.load(path).dtype == np.uint8 for path in shards)
    manifest = json.loads((tmp_path / "set" / "dataset.json").read_text())
    assert [entry["crops"] for entry in manifest["shards"]] == [12, 12, 6]


def test_a_killed_run_continues_to_the_same_bytes(pictures, tmp_path, monkeypatch):
    whole = [path.read_bytes() for path in write(pictures, tmp_path / "whole")]
    real = dataset.read_rgb

    def killed_at_the_third(path):
        if path.name == "3.png":
            raise KeyboardInterrupt
        return real(path)

    monkeypatch.setattr(dataset, "read_rgb", killed_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        write(pictures, tmp_path / "broken")
    left = sorted(path.name for path in (tmp_path / "broken").iterdir())
    assert left == ["settings.json", "shard-00000.npy"]
    untouched = (tmp_path / "broken" / "shard-00000.npy").stat().st_mtime_ns
    monkeypatch.setattr(dataset, "read_rgb", real)
    assert [path.read_bytes() for path in write(pictures, tmp_path / "broken")] == whole
    assert (tmp_path / "broken" / "shard-00000.npy").stat().st_mtime_ns == untouched


def test_shards_of_other_settings_are_written_anew(pictures, tmp_path):
    first = [path.read_bytes() for path in write(pictures, tmp_path / "set")]
    second = [path.read_bytes() for path in write(pictures, tmp_path / "set", seed=2)]
    assert first != second


def test_a_crop_is_the_mosaic_in_8_bits():
    planes = np.arange(3 * 4 * 4, dtype=np.uint16).reshape(3, 4, 4) * 257
    crop = random_crop(planes, 4, np.random.default_rng(0))
    np.testing.assert_array_equal(crop, planes // 257)
    assert random_crop(np.full((3, 1, 2), 65535, np.uint16), 8, np.random.default_rng(0)).min() == 255


def test_nothing_to_do_is_said(tmp_path):
    with pytest.raises(ConfigurationError, match="needs pictures"):
        write([], tmp_path)


def test_pictures_are_chosen_at_random_and_too_few_are_one_clear_line(pictures, tmp_path):
    (tmp_path / "notes.txt").write_text("no picture")
    chosen = training_pictures(tmp_path, 4, np.random.default_rng(0))
    assert len(set(chosen)) == 4
    assert set(chosen) < set(pictures)
    assert chosen == training_pictures(tmp_path, 4, np.random.default_rng(0))
    with pytest.raises(InputError, match="5 pictures where 6"):
        training_pictures(tmp_path, 6, np.random.default_rng(0))
