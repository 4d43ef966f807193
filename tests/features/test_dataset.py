"""The feature dataset: sound crops, shards that do not depend on each other, and no array beside the listed ones."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from cfm.codecs.learned.sources import ShardCrops
from cfm.data.images import read_rgb
from cfm.errors import InputError
from cfm.features import dataset
from cfm.features.dataset import gather_shards, random_crop, shard_generator, training_pictures, write_shard
from cfm.features.extraction import extract
from cfm.features.mosaic import pack_scale
from cfm.provenance import sha256_of


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


def write(path, pictures, seed=1, shard=0, crop=32):
    write_shard(path, [TwoScales()], pictures, crop, shard_generator(seed, shard))
    return path


@pytest.fixture
def shards(pictures, tmp_path):
    """Three shards of two pictures, of two and of one."""
    parts = (pictures[:2], pictures[2:4], pictures[4:])
    return [write(tmp_path / "set" / f"{n:04d}.npy", part, shard=n) for n, part in enumerate(parts)]


def test_every_scale_of_every_picture_gives_a_crop_that_is_part_of_its_mosaic(pictures, tmp_path):
    crops = np.load(write(tmp_path / "0000.npy", pictures[:2], crop=16))
    assert crops.shape == (4, 3, 16, 16)
    assert crops.dtype == np.uint8
    scales = [scale for path in pictures[:2] for scale in extract(TwoScales(), read_rgb(path)).features]
    for crop, scale in zip(crops, scales, strict=True):
        mosaic = np.stack(pack_scale(scale, "rgb").picture.planes)
        mosaic = np.pad(mosaic, ((0, 0), *((0, max(0, 16 - side)) for side in mosaic.shape[1:])), mode="symmetric")
        places = np.lib.stride_tricks.sliding_window_view(mosaic, (3, 16, 16)).reshape(-1, 3, 16, 16)
        assert (np.abs(places / 257 - crop).max((1, 2, 3)) <= 0.5).any()


def test_the_bytes_of_a_shard_depend_on_seed_and_number_alone(pictures, shards, tmp_path):
    again = write(tmp_path / "again.npy", pictures[2:4], shard=1)  # no other was written before it
    assert again.read_bytes() == shards[1].read_bytes()
    for other in ({"shard": 2}, {"shard": 1, "seed": 2}):
        assert write(tmp_path / "other.npy", pictures[2:4], **other).read_bytes() != shards[1].read_bytes()
    chosen, first = np.random.default_rng(1), shard_generator(1, 0)
    assert chosen.bit_generator.state != first.bit_generator.state


def test_a_killed_job_leaves_no_shard(pictures, tmp_path, monkeypatch):
    def killed_at_the_second(path):
        if path == pictures[1]:
            raise KeyboardInterrupt
        return read_rgb(path)

    monkeypatch.setattr(dataset, "read_rgb", killed_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "set" / "0000.npy", pictures)
    assert not (tmp_path / "set").exists() or not list((tmp_path / "set").iterdir())


def test_the_manifest_lists_what_a_training_takes(shards, tmp_path):
    folder = tmp_path / "set"
    for stale in ("0003.npy", "shard-00000.npy", ".0001.999999999.part.npy"):
        np.save(folder / stale, np.zeros((7, 3, 64, 64), np.uint8))
    assert gather_shards(folder / "dataset.json", shards, 32, {"seed": 1}) == 10
    content = json.loads((folder / "dataset.json").read_text())
    assert (content["settings"], content["crops"]) == ({"seed": 1}, 10)
    assert [entry["crops"] for entry in content["shards"]] == [4, 4, 2]
    assert [entry["sha256"] for entry in content["shards"]] == [sha256_of(path) for path in shards]
    assert sorted(path.name for path in folder.glob("*.npy")) == ["0000.npy", "0001.npy", "0002.npy"]
    assert ShardCrops.of_folder(folder).crops(np.random.default_rng(0), 40, 32).shape == (40, 3, 32, 32)


def test_a_damaged_shard_and_one_of_another_side_are_refused(shards, tmp_path):
    manifest = tmp_path / "set" / "dataset.json"
    with pytest.raises(InputError, match=r"0000\.npy: .* not crops of side 64; delete it and run again"):
        gather_shards(manifest, shards, 64, {})
    shards[1].write_bytes(shards[1].read_bytes()[:-1])
    with pytest.raises(InputError, match=r"0001\.npy: not a readable shard .* delete it and run again"):
        gather_shards(manifest, shards, 32, {})
    assert not manifest.exists()


def test_a_crop_is_the_mosaic_in_8_bits():
    planes = np.arange(3 * 4 * 4, dtype=np.uint16).reshape(3, 4, 4) * 257
    crop = random_crop(planes, 4, np.random.default_rng(0))
    np.testing.assert_array_equal(crop, planes // 257)
    assert random_crop(np.full((3, 1, 2), 65535, np.uint16), 8, np.random.default_rng(0)).min() == 255


def test_pictures_are_chosen_at_random_and_too_few_are_one_clear_line(pictures, tmp_path):
    (tmp_path / "notes.txt").write_text("no picture")
    chosen = training_pictures(tmp_path, 4, np.random.default_rng(0))
    assert len(set(chosen)) == 4
    assert set(chosen) < set(pictures)
    assert chosen == training_pictures(tmp_path, 4, np.random.default_rng(0))
    assert chosen == training_pictures(tmp_path, 5, np.random.default_rng(0))[:4]
    with pytest.raises(InputError, match="5 pictures where 6"):
        training_pictures(tmp_path, 6, np.random.default_rng(0))
