"""Configurations: what is refused, in one line, and what is generated from the models."""

from pathlib import Path

import pytest
import yaml

from cfm import documentation
from cfm.configuration.reading import parse_configuration, read_configuration, sections
from cfm.errors import ConfigurationError

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture
def demo():
    return yaml.safe_load((REPOSITORY / "config/demo.yaml").read_text(encoding="utf-8"))


def message_of(values):
    with pytest.raises(ConfigurationError) as caught:
        parse_configuration(values, "some.yaml")
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith("some.yaml: ")
    return text


def test_the_shipped_configurations_fit():
    documentation.check()


def test_a_misspelt_key_is_refused_with_the_nearest_known_one(demo):
    demo["image_coding"]["ancor"] = demo["image_coding"].pop("anchor")
    text = message_of(demo)
    assert "image_coding.ancor" in text
    assert "'anchor'" in text


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (["data", "pictures"], 0, ["data.pictures", "0"]),
        (["data", "pictures"], 10_000, ["scenes.val"]),
        (["image_coding", "codecs", "x265", "points"], [33, 52], ["x265", "52", "51"]),
        (["image_coding", "codecs", "x265", "points"], [33, 33], ["points", "twice"]),
        (["image_coding", "anchor"], "x266", ["x266", "x265"]),
        (["image_coding", "codecs", "x265", "rdo"], ["idse"], ["rdo", "x265", "avc, hevc"]),
        (["image_coding", "codecs", "x265", "delta_qp"], [-2, 0, 2], ["delta_qp", "avc, hevc"]),
        (["image_coding", "codecs", "hevc"], {"points": [33, 52]}, ["hevc", "52", "51"]),
        (["image_coding", "codecs", "hevc"], {"points": [33, 37], "preset": "slow"}, ["hevc", "preset"]),
        (["image_coding", "codecs", "hevc"], {"points": [33, 37], "effort": 6}, ["effort", "6"]),
        (["image_coding", "codecs", "x265", "downsample"], 0.5, ["downsample", "0.5"]),
        (
            ["image_coding", "codecs", "avc"],
            {"points": [33, 37], "downsample": 2, "rdo": ["idse"]},
            ["avc", "downsample"],
        ),
        (["image_coding", "codecs", "cheng2020-attn", "downsample"], 2, ["distillation.base", "downsamples"]),
        (["feature_coding", "codecs", "vvenc", "downsample"], 1.5, ["vvenc", "downsample", "features"]),
        (["image_coding", "sketch", "guide"], "keypoints", ["guide", "keypoints"]),
        (["feature_coding", "allocation", "lambda_sweep"], [0.1, -1], ["lambda_sweep", "-1"]),
        (["feature_coding", "codecs", "elic", "points"], [0, 9], ["point 9"]),
        (["feature_coding", "importance"], {"reference": "labels"}, ["reference"]),
        (["distillation", "lagrangians"], [1.0], ["lagrangians"]),
        (["distillation", "weightings"], ["objectnes"], ["weightings"]),
        (["tasks", "detection", "network"], "fasterrcnn", ["tasks.detection.network"]),
        (["feature_coding", "sensitivity", "codecs"], ["elci"], ["elci", "elic"]),
        (["distillation", "lagrangians"], [5.0, 2.0, 1.0, 0.5], ["ascend"]),
        (["data", "train_split"], "val2017", ["train_split"]),
        (["data", "classification_pictures"], 4000, ["objects_val"]),
        (["run"], "../elsewhere", ["run"]),
        (["device"], "gpu", ["device"]),
    ],
)
def test_values_out_of_range_are_refused(demo, path, value, words):
    section = demo
    for key in path[:-1]:
        section = section[key]
    section[path[-1]] = value
    text = message_of(demo)
    assert all(word in text for word in words), text


DIGEST = "0123456789abcdef" * 4
FILES = [{"url": "https://example.org/ELIC_0004.pth.tar", "sha256": DIGEST}, {"path": "/data/b.pth", "sha256": DIGEST}]


def test_published_weights_take_few_keys(demo):
    image, features = demo["image_coding"]["codecs"], demo["feature_coding"]["codecs"]
    image["cheng2020-attn"] = {"points": [0, 1, 2, 3, 4, 5], "models": {"zoo": "mse"}}
    image["lic-tcm"] = {"points": [0, 1], "models": {"checkpoints": FILES}}
    features["elic"] = {"points": [0, 1], "models": {"lagrangians": [0.004, 0.008], "checkpoints": FILES}}
    apart = [FILES[0] | {"lagrangian": 0.004}, FILES[1] | {"lagrangian": 0.008}]
    features["lic-tcm"] = {"points": [0, 1], "models": {"checkpoints": apart}}
    demo["feature_coding"]["sensitivity"] = {}
    read = parse_configuration(demo)
    models = read.feature_coding.codecs
    assert models["elic"].models.known_lagrangians == models["lic-tcm"].models.known_lagrangians == [0.004, 0.008]
    assert read.image_coding.codecs["cheng2020-attn"].models.count == 6


TRAINED = {"folder": "train", "n": 24, "lagrangians": [0.1, 0.2], "train": {"iterations": 1, "finetune_iterations": 1}}


@pytest.mark.parametrize(
    ("models", "words"),
    [
        ({}, ["name one of `folder`, `checkpoints` and `zoo`"]),
        ({"zoo": "mse"}, ["zoo", "cheng2020-attn alone"]),
        ({"zoo": "psnr"}, ["models.zoo", "psnr"]),
        ({"checkpoints": FILES}, ["feature_coding.codecs.elic", "lagrangians", "rate-phi"]),
        ({"checkpoints": FILES, "folder": "a", "n": 8, "lagrangians": [1]}, ["not `folder` and `checkpoints`"]),
        ({"checkpoints": FILES, "n": 192, "lagrangians": [1, 2]}, ["`n` does not go with `checkpoints`"]),
        ({"checkpoints": FILES, "lagrangians": [1]}, ["1 values for 2 models"]),
        ({"checkpoints": FILES[:1], "lagrangians": [1]}, ["point 1", "models.checkpoints"]),
        ({"checkpoints": FILES, "lagrangians": [2, 1]}, ["ascend"]),
        ({"checkpoints": [FILES[0] | {"lagrangian": 1}, FILES[1]]}, ["λ of all checkpoints"]),
        ({"checkpoints": [{"path": "a.pth"}, FILES[1]]}, ["models.checkpoints.0.sha256", "missing"]),
        ({"checkpoints": [{"sha256": DIGEST}, FILES[1]]}, ["models.checkpoints.0", "`path` or `url`"]),
        ({"checkpoints": [FILES[0] | FILES[1], FILES[1]]}, ["models.checkpoints.0", "`path` or `url`"]),
        (
            {"checkpoints": [{"url": "ftp://a/b", "sha256": DIGEST}, FILES[1]]},
            ["models.checkpoints.0.url", "ftp://a/b"],
        ),
        ({"checkpoints": [{"path": "a.pth", "sha256": "12"}, FILES[1]]}, ["models.checkpoints.0.sha256", "12"]),
        ({"folder": "a", "lagrangians": [1, 2]}, ["`n` is needed with `folder`"]),
        ({"folder": "a", "n": 8}, ["`lagrangians` is needed with `folder`"]),
        (TRAINED | {"train": TRAINED["train"] | {"initial": {"path": "a"}}}, ["models.train.initial.sha256"]),
        (
            TRAINED | {"train": TRAINED["train"] | {"initial": FILES[0] | {"lagrangian": 1}}},
            ["`train.initial` has no `lagrangian`"],
        ),
    ],
)
def test_published_weights_that_are_not_named_well(demo, models, words):
    demo["feature_coding"]["codecs"]["elic"] = {"points": [0, 1], "models": models}
    text = message_of(demo)
    assert all(word in text for word in words), text


def test_the_zoo_has_six_points(demo):
    demo["image_coding"]["codecs"]["cheng2020-attn"] = {"points": [0, 6], "models": {"zoo": "mse"}}
    assert "point 6 has no entry in `models.zoo`" in message_of(demo)


def test_a_missing_section_is_named():
    assert "'data'" in message_of({"run": "x", "tasks": {"detection": {"network": "a:b"}}})


def test_a_scored_task_needs_its_network(demo):
    del demo["tasks"]["keypoints"]
    assert "keypoints" in message_of(demo)


def test_a_configuration_without_a_study_is_refused(demo):
    for study in ("image_coding", "distillation", "feature_coding"):
        del demo[study]
    assert "no study" in message_of(demo)


def test_only_the_demos_networks_are_trained_here(demo):
    demo["tasks"]["detection"] |= {"network": "torchvision:fasterrcnn_resnet50_fpn", "weights": "train"}
    demo["tasks"]["detection"]["train"] = {"iterations": 1}
    assert "cfm.tasks.demo:detection" in message_of(demo)


def test_two_trained_codecs_need_two_names(demo):
    steps = {"iterations": 1, "finetune_iterations": 1}
    models = {"folder": "train", "n": 24, "m": 48, "lagrangians": [0.1, 0.2], "train": steps}
    demo["image_coding"]["codecs"]["elic"] = {"points": [0, 1], "models": models}
    demo["feature_coding"]["codecs"]["elic"] = {"points": [0, 1], "models": models}
    demo["feature_coding"]["dataset"] = {"tasks": ["detection"], "pictures": 1}
    assert "'elic'" in message_of(demo)


def test_files_that_are_no_configuration(tmp_path):
    for name, content, words in [
        ("absent.yaml", None, "absent.yaml"),
        ("broken.yaml", "a: [1", "not YAML"),
        ("list.yaml", "- 1", "no mapping"),
    ]:
        path = tmp_path / name
        if content is not None:
            path.write_text(content)
        with pytest.raises(ConfigurationError, match=words):
            read_configuration(path)


def test_every_key_is_described():
    page = documentation.page_text()
    for section in sections():
        for key, field in section.model_fields.items():
            assert field.description, f"{section.__name__}.{key}"
            assert f"| `{key}` |" in page


def test_a_stale_page_is_noticed(monkeypatch, tmp_path):
    stale = tmp_path / "README.md"
    stale.write_text("old")
    monkeypatch.setattr(documentation, "PAGE", stale)
    with pytest.raises(ConfigurationError, match="make docs"):
        documentation.check()
