"""Loading networks: names, plug-ins, and weights that are absent, damaged, foreign or dangerous."""

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from cfm.errors import CfmError, ConfigurationError, WeightsError
from cfm.provenance import sha256_of
from cfm.tasks import demo
from cfm.tasks.contract import TaskNetwork, check_contract
from cfm.tasks.demo_models import MODELS, ModelSize, demo_model
from cfm.tasks.loading import load_network
from cfm.tasks.published_weights import published_weights
from cfm.tasks.torchvision_networks import freeze_batch_norms, network
from cfm.tasks.weights import apply_weights, read_weights, save_weights

TINY = ModelSize((4, 6, 8, 10), (1, 1, 1, 1), 8, 12, 8)
NANODET = Path(__file__).parents[3] / "shared" / "nanodet" / "nanodet.py"

PLUGIN = """
class Network:
    name, task, strides = "mine", "detection", (4,)
    def __init__(self, threshold): self.threshold = threshold
    def prepare(self, image): return image
    def features(self, prepared): return [prepared]
    def predict(self, features, prepared): return {}
    def task_losses(self, features, reference, prepared): return {}
    def objectness(self, features): return []

def make(device="cpu", threshold=0.5): return Network(threshold)
def without_method(device="cpu"):
    network = Network(0)
    network.predict = None
    return network
def of_task(device="cpu", task="walking", strides=(4,)):
    network = Network(0)
    network.task, network.strides = task, strides
    return network
"""


@pytest.fixture
def plugin(tmp_path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(PLUGIN)
    return path


@pytest.fixture
def weights(tmp_path, monkeypatch) -> Path:
    """A tiny detector's weights; the demo's factory builds networks of that size."""
    monkeypatch.setattr(demo, "demo_model", lambda task: demo_model(task, TINY))
    path = tmp_path / "detection.safetensors"
    save_weights(demo_model("detection", TINY), path)
    return path


def one_line(error: pytest.ExceptionInfo[CfmError]) -> bool:
    return "\n" not in str(error.value)


def test_a_plugin_is_loaded_with_its_options(plugin):
    network = load_network(f"{plugin}:make", threshold=0.25)
    assert network.threshold == 0.25
    assert isinstance(network, TaskNetwork)


@pytest.mark.parametrize(
    ("spec", "options", "message"),
    [
        ("no-colon", {}, "name it"),
        ("torchvision:resnet5000", {}, "known: fasterrcnn"),
        ("no.such.module:factory", {}, "cannot import"),
        ("cfm.tasks.demo:walking", {}, "no factory 'walking'"),
        ("absent.py:make", {}, "does not exist"),
        ("{plugin}:absent", {}, "no factory 'absent'"),
        ("{plugin}:make", {"threshhold": 1}, "threshhold"),
        ("{plugin}:without_method", {}, r"no method predict\(\)"),
        ("{plugin}:of_task", {}, "'walking'"),
        ("{plugin}:of_task", {"task": "detection", "strides": (0,)}, "strides"),
        ("{plugin}:Network", {}, "options"),
    ],
)
def test_bad_names_and_plugins_give_one_line(spec, options, message, plugin):
    with pytest.raises(ConfigurationError, match=message) as error:
        load_network(spec.format(plugin=plugin), **options)
    assert one_line(error)


def test_a_plugin_with_a_syntax_error_is_named(tmp_path):
    (tmp_path / "broken.py").write_text("def make(:\n")
    with pytest.raises(ConfigurationError, match=r"broken\.py cannot be imported") as error:
        load_network(f"{tmp_path / 'broken.py'}:make")
    assert one_line(error)


def test_a_plugin_that_fails_when_it_is_read_is_named_with_the_line(tmp_path):
    (tmp_path / "broken.py").write_text("a = 1\nb = {}['weights\\nof mine']\n")
    with pytest.raises(ConfigurationError, match=r"broken\.py cannot be imported \(KeyError: .*, line 2\)") as error:
        load_network(f"{tmp_path / 'broken.py'}:make")
    assert one_line(error)


def test_two_plugins_of_one_name_stay_apart(tmp_path, plugin):
    (tmp_path / "other").mkdir()
    other = tmp_path / "other" / "mine.py"
    other.write_text(PLUGIN.replace('"mine"', '"other"'))
    names = [load_network(f"{path}:make").name for path in (plugin, other, plugin)]
    assert names == ["mine", "other", "mine"]


@pytest.mark.shared
def test_nanodet_keeps_the_contract():
    if not NANODET.is_file():
        pytest.skip("../shared/nanodet is not beside this checkout")
    assert load_network(f"{NANODET}:network").strides == (8, 16, 32)


def test_saved_weights_come_back_to_16_bit(weights):
    network = load_network("cfm.tasks.demo:detection", weights=str(weights))
    stored = load_file(weights)
    assert {value.dtype for value in stored.values()} == {torch.float16}
    state = network.model.state_dict()
    assert all(torch.equal(state[key], value.float()) for key, value in stored.items())


@pytest.mark.parametrize("damage", ["absent", "truncated", "garbage", "empty", "header"])
def test_damaged_safetensors_give_one_line_with_the_file(weights, damage):
    data = weights.read_bytes()
    if damage == "absent":
        weights.unlink()
    else:
        weights.write_bytes(
            {"truncated": data[:-100], "garbage": b"abc" * 100, "empty": b"", "header": b"\xff" * 8 + data[8:]}[damage]
        )
    with pytest.raises(WeightsError, match=r"detection\.safetensors") as error:
        load_network("cfm.tasks.demo:detection", weights=str(weights))
    assert one_line(error)


def test_the_checksum_in_the_configuration_or_the_manifest_is_checked(weights):
    spec = "cfm.tasks.demo:detection"
    digest = sha256_of(weights)
    load_network(spec, weights=str(weights), sha256=digest)
    with pytest.raises(WeightsError, match="SHA-256"):
        load_network(spec, weights=str(weights), sha256="0" * 64)
    manifest = weights.with_suffix(".json")
    manifest.write_text(json.dumps({"sha256": digest}))
    load_network(spec, weights=str(weights))
    manifest.write_text(json.dumps({"sha256": "1" * 64}))
    with pytest.raises(WeightsError, match="SHA-256"):
        load_network(spec, weights=str(weights))
    manifest.write_text("{}")
    with pytest.raises(WeightsError, match="not a manifest"):
        load_network(spec, weights=str(weights))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda s: s.update({"rpn.head.cls_logits.bias": torch.zeros(9)}),
            r"rpn\.head\.cls_logits\.bias is \(9,\), not",
        ),
        (lambda s: s.pop("rpn.head.cls_logits.bias"), r"lacks the tensor rpn\.head\.cls_logits\.bias"),
        (lambda s: s.update({"extra": torch.zeros(1)}), "has the tensor extra"),
    ],
)
def test_weights_of_another_network_are_named(weights, change, message):
    state = load_file(weights)
    change(state)
    save_file(state, weights)
    with pytest.raises(WeightsError, match=message) as error:
        load_network("cfm.tasks.demo:detection", weights=str(weights))
    assert one_line(error)


class Trap:
    """Unpickling this would make a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_a_pickle_with_code_is_refused_and_not_run(tmp_path):
    path, sprung = tmp_path / "trap.pth", tmp_path / "sprung"
    torch.save({"weight": torch.zeros(1), "trap": Trap(str(sprung))}, path)
    with pytest.raises(WeightsError, match="more than tensors") as error:
        read_weights(path)
    assert one_line(error)
    assert not sprung.exists()


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 broken"])
def test_broken_torch_files_give_one_line(tmp_path, content):
    path = tmp_path / "broken.pth"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"broken\.pth") as error:
        read_weights(path)
    assert one_line(error)


def test_a_checkpoint_that_is_no_state_dict_is_refused(tmp_path):
    torch.save({"model": {"a": torch.zeros(1)}}, tmp_path / "nested.pth")
    with pytest.raises(WeightsError, match="not a state dict"):
        read_weights(tmp_path / "nested.pth")


def test_weights_beyond_16_bit_are_not_written(tmp_path):
    layer = torch.nn.Linear(1, 1)
    layer.weight.data.fill_(1e6)
    with pytest.raises(WeightsError, match="not finite"):
        save_weights(layer, tmp_path / "w.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_torchvision_names_hold_the_digits_of_their_digest():
    for name in ("fasterrcnn_resnet50_fpn", "maskrcnn_resnet50_fpn", "keypointrcnn_resnet50_fpn"):
        assert published_weights(name).url.rsplit("-", 1)[1].removesuffix(".pth").isalnum()


def test_a_torchvision_file_with_other_content_fails_its_checksum(tmp_path):
    path = tmp_path / "fasterrcnn_mobilenet_v3_large_fpn-fb6a3cc7.pth"
    torch.save({"a": torch.zeros(1)}, path)
    with pytest.raises(WeightsError, match="expected fb6a3cc7"):
        network("fasterrcnn_mobilenet_v3_large_fpn", weights=str(path))


def test_a_torchvision_network_of_random_weights_keeps_the_contract():
    found = load_network("torchvision:fasterrcnn_mobilenet_v3_large_320_fpn", weights=None)
    check_contract(found, "torchvision")
    assert found.category_ids == tuple(range(91))
    features = found.features(found.prepare(torch.rand(3, 60, 80)))
    assert len(features) == len(found.strides) == 2


def test_frozen_batch_norms_compute_the_published_formula():
    layers = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 1), torch.nn.BatchNorm2d(3))
    norm = layers[1]
    for tensor in (norm.weight.data, norm.bias.data, norm.running_mean, norm.running_var):
        torch.nn.init.uniform_(tensor, 0.5, 1.5)
    state = {k: v for k, v in layers.state_dict().items() if not k.endswith("num_batches_tracked")}
    freeze_batch_norms(layers)
    apply_weights(layers, state, "file")
    x = torch.randn(1, 2, 4, 4)
    middle = layers[0](x)
    shape = (1, 3, 1, 1)
    expected = (middle - state["1.running_mean"].view(shape)) / state["1.running_var"].view(shape).sqrt()
    expected = expected * state["1.weight"].view(shape) + state["1.bias"].view(shape)
    torch.testing.assert_close(layers(x), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("task", sorted(MODELS))
def test_shipped_weights_load_and_fit_their_manifest(task):
    network = load_network(f"cfm.tasks.demo:{task}")
    content = json.loads((demo.SHIPPED / f"{task}.json").read_text())
    assert network.task == content["task"] == task
    assert content["sha256"] == sha256_of(demo.SHIPPED / f"{task}.safetensors")
    assert content["bytes"] == (demo.SHIPPED / f"{task}.safetensors").stat().st_size
    assert {"configuration", "seed", "iterations", "training_s", "device", "log", "score", "command"} <= set(content)
