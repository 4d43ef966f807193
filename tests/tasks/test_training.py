"""Training: it learns, it resumes to the same weights, and its batches are what the annotations say."""

import csv
import dataclasses
import json

import numpy as np
import pytest
import torch

from cfm.errors import ConfigurationError, InputError, WeightsError
from cfm.provenance import sha256_of
from cfm.tasks import training
from cfm.tasks.demo_models import CATEGORY_IDS, ModelSize, demo_model
from cfm.tasks.manifest import expected_sha256, write_manifest
from cfm.tasks.scene_batches import MIRRORED, ObjectBatches, SceneBatches, batch_indices
from cfm.tasks.training import TaskTraining, train_task, transfer
from cfm.tasks.weights import read_weights

TINY = ModelSize((4, 6, 8, 10), (1, 1, 1, 1), 8, 12, 8)
QUICK = TaskTraining(iterations=6, batch=2, warmup=2, checkpoint_every=2, precision="float32", seed=5)


def outputs(folder) -> dict:
    return {
        key: folder / name for key, name in (("checkpoint", "c.pt"), ("weights", "w.safetensors"), ("log", "l.csv"))
    }


@pytest.mark.parametrize("task", ["detection", "segmentation", "keypoints", "classification"])
def test_every_task_trains_and_writes_its_files(task, rectangle_scenes, rectangle_objects, tmp_path):
    root = rectangle_objects if task == "classification" else rectangle_scenes
    settings = dataclasses.replace(QUICK, iterations=2)
    training_s = train_task(task, root, settings, **outputs(tmp_path), size=TINY)
    assert training_s > 0
    state = read_weights(tmp_path / "w.safetensors")
    assert set(state) == {k for k in demo_model(task, TINY).state_dict() if not k.endswith("num_batches_tracked")}
    with open(tmp_path / "l.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["iteration"]) for row in rows] == [1, 2]
    assert all(np.isfinite(float(value)) for row in rows for value in row.values())


def test_a_detector_learns_two_pictures(rectangle_scenes, tmp_path):
    settings = TaskTraining(iterations=40, batch=4, learning_rate=3e-3, warmup=5, precision="float32", seed=5)
    train_task("detection", rectangle_scenes, settings, **outputs(tmp_path), size=TINY)
    with open(tmp_path / "l.csv", newline="") as file:
        losses = [float(row["loss"]) for row in csv.DictReader(file)]
    assert np.mean(losses[-5:]) < 0.6 * np.mean(losses[:5])


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_resumed_training_ends_as_an_unbroken_one(precision, rectangle_scenes, tmp_path, monkeypatch):
    settings = dataclasses.replace(QUICK, precision=precision)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    train_task("detection", rectangle_scenes, settings, **outputs(whole), size=TINY)
    step = training._step

    def killed(state, *arguments):
        if state.iteration == 5:
            raise KeyboardInterrupt
        return step(state, *arguments)

    monkeypatch.setattr(training, "_step", killed)
    with pytest.raises(KeyboardInterrupt):
        train_task("detection", rectangle_scenes, settings, **outputs(broken), size=TINY)
    assert not (broken / "w.safetensors").exists()
    monkeypatch.setattr(training, "_step", step)
    train_task("detection", rectangle_scenes, settings, **outputs(broken), size=TINY)
    assert sha256_of(whole / "w.safetensors") == sha256_of(broken / "w.safetensors")


def test_a_checkpoint_of_other_settings_is_refused(rectangle_scenes, tmp_path):
    train_task("detection", rectangle_scenes, QUICK, **outputs(tmp_path), size=TINY)
    with pytest.raises(ConfigurationError, match=r"c\.pt.*delete it"):
        train_task("detection", rectangle_scenes, dataclasses.replace(QUICK, seed=6), **outputs(tmp_path), size=TINY)


def test_a_diverging_training_stops_with_one_line(rectangle_scenes, tmp_path):
    settings = dataclasses.replace(QUICK, learning_rate=1e30, warmup=0)
    with pytest.raises(WeightsError, match="lower"):
        train_task("detection", rectangle_scenes, settings, **outputs(tmp_path), size=TINY)
    assert not (tmp_path / "w.safetensors").exists()


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"iterations": 5, "lerning_rate": 1}, "lerning_rate"),
        ({"iterations": 0}, "iterations"),
        ({"iterations": 5, "precision": "half"}, "precision"),
        ({"iterations": 5, "learning_rate": -1.0}, "learning_rate"),
    ],
)
def test_bad_settings_are_named(mapping, message):
    with pytest.raises(ConfigurationError, match=message):
        TaskTraining.from_mapping(mapping)


def test_learning_rate_warms_up_and_falls_to_zero():
    settings = TaskTraining(iterations=1000, warmup=100, learning_rate=0.01)
    rates = [settings.learning_rate_at(i) for i in range(1000)]
    assert rates[0] == pytest.approx(1e-4)
    assert np.argmax(rates) in range(95, 101)
    assert np.all(np.diff(rates[100:]) <= 0)
    assert rates[500] == pytest.approx(0.005)
    assert rates[-1] < 1e-7


def test_every_epoch_holds_every_picture_once():
    taken = np.concatenate([batch_indices(i, 3, 7, seed=2) for i in range(7)])
    for epoch in taken.reshape(3, 7):
        assert sorted(epoch) == list(range(7))
    assert list(taken[:7]) != list(taken[7:14])


def test_flipped_targets_describe_the_flipped_picture(rectangle_scenes):
    batches = SceneBatches(rectangle_scenes, "train2017", "segmentation", CATEGORY_IDS["segmentation"])
    objects = batches.objects[0]
    plain, flipped = batches._target(objects, False), batches._target(objects, True)
    for target in (plain, flipped):
        for box, mask in zip(target["boxes"], target["masks"], strict=True):
            rows, columns = torch.where(mask > 0)
            tight = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            assert box.tolist() == [float(v) for v in tight]
    assert torch.equal(plain["masks"].flip(2), flipped["masks"])


def test_flipping_exchanges_left_and_right_keypoints(rectangle_scenes):
    batches = SceneBatches(rectangle_scenes, "train2017", "keypoints", CATEGORY_IDS["keypoints"])
    plain, flipped = (batches._target(batches.objects[0], flip)["keypoints"] for flip in (False, True))
    assert MIRRORED[:3] == [0, 2, 1]
    assert [MIRRORED[m] for m in MIRRORED] == list(range(17))
    torch.testing.assert_close(flipped[:, 1, 0], 96 - plain[:, 2, 0])
    torch.testing.assert_close(flipped[:, 1, 1], plain[:, 2, 1])


def test_object_batches_label_by_sorted_class_names(rectangle_objects):
    batches = ObjectBatches(rectangle_objects, "train2017")
    pictures, labels = batches.batch(np.arange(12), np.random.default_rng(0))
    assert pictures.shape == (12, 3, 32, 32)
    assert labels.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]  # bottle, car, clock, person, sports ball, stop sign
    assert 0 <= pictures.min() < pictures.max() <= 1


def test_pictures_of_several_sizes_are_refused(rectangle_objects, tmp_path):
    from PIL import Image

    for name, side in (("bottle", 32), ("car", 48)):
        (tmp_path / "train2017" / name).mkdir(parents=True)
        Image.new("RGB", (side, side)).save(tmp_path / "train2017" / name / "0.png")
    with pytest.raises(InputError, match="several sizes"):
        ObjectBatches(tmp_path, "train2017")


def test_transfer_takes_the_shared_categories_of_the_box_predictor():
    detector, target = demo_model("detection", TINY), demo_model("keypoints", TINY)
    state = detector.state_dict()
    taken = transfer(target, state, "keypoints")
    assert taken == len([k for k in target.state_dict() if "keypoint" not in k])
    own = target.state_dict()
    for key, width in (("cls_score", 1), ("bbox_pred", 4)):
        name = f"roi_heads.box_predictor.{key}.weight"
        assert torch.equal(own[name], state[name][: 2 * width])  # background and person come first in both
    with pytest.raises(AssertionError):
        torch.testing.assert_close(
            own["roi_heads.keypoint_head.0.weight"],
            demo_model("keypoints", TINY).state_dict()["roi_heads.keypoint_head.0.weight"],
        )


def test_manifest_names_digest_log_and_score(rectangle_objects, tmp_path):
    files = outputs(tmp_path)
    training_s = train_task("classification", rectangle_objects, QUICK, **files, size=TINY)
    score = {"top1": 0.5, "pictures": 12, "split": "train2017"}
    path = write_manifest(files["weights"], "classification", QUICK, training_s, "cpu", files["log"], score, "make")
    content = json.loads(path.read_text())
    assert content["sha256"] == sha256_of(files["weights"]) == expected_sha256(files["weights"])
    assert content["parameters"] == sum(v.numel() for v in read_weights(files["weights"]).values())
    assert content["score"] == score
    assert content["configuration"]["iterations"] == 6
    assert content["log"][-1]["iteration"] == 6
