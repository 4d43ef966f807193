"""The training rule's script: weights, log and manifest; and what the shipped networks score on fresh scenes."""

import dataclasses
import json

import pytest
from scripts.train_task import score, train_and_describe

from cfm.data.scenes.write import write_objects, write_scenes
from cfm.tasks.demo import SHIPPED
from cfm.tasks.loading import load_network
from cfm.tasks.training import TaskTraining

QUICK = TaskTraining(iterations=1, batch=2, warmup=0, precision="float32", seed=5)
SEED = 20260101
TARGETS = {
    "detection": ("box_AP", 0.5),
    "segmentation": ("mask_AP", 0.45),
    "keypoints": ("keypoint_AP", 0.45),
    "classification": ("top1", 0.9),
}


def test_training_ends_with_weights_log_and_a_manifest_that_fit(rectangle_scenes, tmp_path):
    weights, log = tmp_path / "segmentation.safetensors", tmp_path / "segmentation.csv"
    weights.with_suffix(".json").write_text('{"sha256": "that of older weights"}')
    splits = ("train2017", "train2017")
    train_and_describe("segmentation", rectangle_scenes, splits, QUICK, tmp_path / "c.pt", weights, log, "cpu")
    content = json.loads(weights.with_suffix(".json").read_text())
    assert content["score"]["split"] == "train2017"
    assert content["score"]["all"]["pictures"] == 4
    assert 0 <= content["score"]["all"]["mask_AP"] <= 1
    assert content["configuration"] == dataclasses.asdict(QUICK)
    assert load_network("cfm.tasks.demo:segmentation", weights=str(weights)).task == "segmentation"


@pytest.mark.slow
@pytest.mark.parametrize("task", sorted(TARGETS))
def test_shipped_networks_reach_their_targets_on_scenes_that_are_drawn_now(task, tmp_path):
    if task == "classification":
        write_objects(tmp_path, "val2017", 60, SEED, 96)
    else:
        write_scenes(tmp_path, "val2017", 12, SEED, 320, 256)
    found = score(task, SHIPPED / f"{task}.safetensors", tmp_path, "val2017", "cpu")
    metric, target = TARGETS[task]
    assert found.get("all", found)[metric] >= target
