"""The rules that train the shipped models, in miniature."""

import json
import re

import numpy as np
import pytest
import yaml
from safetensors import safe_open

TASKS = {
    "detection": {"iterations": 2, "batch": 2},
    "keypoints": {"iterations": 2, "batch": 2, "initial": "detection"},
    "classification": {"iterations": 2, "batch": 4, "initial": "detection"},
}


@pytest.fixture
def configuration(checkout):
    """The tiny configuration with every model trained for two steps."""
    values = yaml.safe_load((checkout.folder / "tests/config/tiny.yaml").read_text(encoding="utf-8"))
    values["run"] = "trained"
    values["tasks"]["keypoints"] = {"network": "cfm.tasks.demo:keypoints"}
    for task, training in TASKS.items():
        values["tasks"][task] |= {"weights": "train", "train": training}
    steps = {"iterations": 2, "finetune_iterations": 2, "batch": 2, "crop": 64}
    models = values["image_coding"]["codecs"]["cheng2020-attn"]["models"]
    models |= {"folder": "train", "lagrangians": [0.01, 0.05], "train": steps}
    values["distillation"] |= {"folder": "train", "train": {"iterations": 2, "batch": 1}}
    features = values["feature_coding"]
    features["tasks"] = ["detection", "keypoints"]
    features["dataset"] = {"tasks": ["detection"], "pictures": 2, "crop": 64, "pooled_level": True, "shard_size": 1}
    # So far apart that two steps from the other's weights lower the rate: allocation needs one that follows λ.
    elic = {"folder": "train", "n": 24, "m": 48, "lagrangians": [1e-6, 0.05], "train": steps}
    features["codecs"] = {"elic": {"points": [0, 1], "models": elic}}
    features["allocation"]["schemes"] = ["uniform"]  # no loss of two steps' models need fall with the rate
    features["sensitivity"] = {"tasks": [], "codecs": []}
    path = checkout.folder / "trained.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path.name


@pytest.mark.slow
def test_every_model_is_trained_scored_described_and_used(checkout, configuration):
    done = checkout.run("ship_models", "all", configuration=configuration)
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    shipped = checkout.folder / "workflow/models/demo"
    for task, training in TASKS.items():
        manifest = json.loads((shipped / f"tasks/{task}.json").read_text())
        assert manifest["configuration"]["iterations"] == training["iterations"]
    for name in ("cheng2020-attn", "elic", "distillation/none", "distillation/objectness"):
        models = json.loads((shipped / "codecs" / name / "manifest.json").read_text())["models"]
        assert {"0.safetensors", "1.safetensors"} <= set(models)
    with safe_open(shipped / "codecs/elic/0.safetensors", "pt") as file:
        assert all(file.get_slice(name).get_dtype() == "F16" for name in file.offset_keys())
    assert ">this run<" in (checkout.folder / "results/trained/report/index.html").read_text(encoding="utf-8")
    curves = checkout.folder / "results/trained/figures/training_curves"
    assert {"feature_coding-elic.svg", "distillation-none.png"} <= {path.name for path in curves.iterdir()}


def test_the_feature_dataset_grows_and_shrinks_by_whole_shards(checkout):
    values = yaml.safe_load((checkout.folder / "tests/config/tiny.yaml").read_text(encoding="utf-8"))
    del values["image_coding"], values["distillation"], values["tasks"]["classification"]
    dataset = {"tasks": ["detection"], "crop": 64, "pooled_level": True, "shard_size": 1}
    folder = checkout.folder / "results/tiny/features/dataset"

    def jobs(pictures, *arguments):
        values["feature_coding"]["dataset"] = dataset | {"pictures": pictures}
        (checkout.folder / "dataset.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
        target = "results/tiny/features/dataset/dataset.json"
        done = checkout.run(*arguments, "--", target, configuration="dataset.yaml")
        text = done.stdout + done.stderr
        assert done.returncode == 0, text[-4000:]
        return {name: int(count) for name, count in re.findall(r"^(feature_\w+) +(\d+)$", text, re.MULTILINE)}

    assert jobs(2) == {"feature_shard": 2, "feature_dataset": 1}
    first = [(folder / f"{shard:04d}.npy").read_bytes() for shard in range(2)]
    assert [np.load(folder / f"{shard:04d}.npy").shape for shard in range(2)] == [(5, 3, 64, 64)] * 2
    assert first[0] != first[1]
    assert jobs(3, "--dry-run") == {"feature_shard": 1, "feature_dataset": 1}
    assert jobs(1) == {"feature_dataset": 1}
    content = json.loads((folder / "dataset.json").read_text())
    assert [entry["file"] for entry in content["shards"]] == ["0000.npy"]
    assert [path.name for path in folder.glob("*.npy")] == ["0000.npy"]  # a training takes all that there are
    assert jobs(2) == {"feature_shard": 1, "feature_dataset": 1}
    assert (folder / "0001.npy").read_bytes() == first[1]
