"""torchvision's residual networks behind the contract, against torchvision's own preprocessing and forward pass."""

import pytest
import torch
from torchvision.models import ResNet50_Weights, get_model, get_model_weights

from cfm.errors import ConfigurationError, WeightsError
from cfm.tasks.contract import check_contract
from cfm.tasks.loading import load_network
from cfm.tasks.torchvision_classifiers import NAMES, network, published_entry
from cfm.tasks.weights import save_weights


def picture(height=90, width=140):
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def resnet18():
    return network("resnet18", weights=None)


def disturbed(features):
    generator = torch.Generator().manual_seed(3)
    return [f + f.std() * torch.randn(f.shape, generator=generator) for f in features]


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_logits_are_those_of_torchvisions_own_network(name, tmp_path):
    with torch.random.fork_rng():
        torch.manual_seed(5)
        reference = get_model(name, weights=None).eval()
    torch.save(reference.state_dict(), tmp_path / "own.pth")
    found = load_network(f"torchvision:{name}", weights=str(tmp_path / "own.pth"))
    check_contract(found, name)
    assert (found.task, found.name, len(found.category_ids)) == ("classification", name, 1000)
    for size in [(90, 140), (256, 256), (301, 227)]:
        prepared = found.prepare(picture(*size))
        whole = ResNet50_Weights.IMAGENET1K_V1.transforms()(picture(*size))[None]
        torch.testing.assert_close(prepared.tensor, whole)
        with torch.no_grad():
            expected = reference(whole)
            features = found.features(prepared)
            torch.testing.assert_close(found.model.logits(features), expected)
        assert [tuple(f.shape[2:]) for f in features] == [(224 // s, 224 // s) for s in found.strides]
        result = found.predict(features, prepared)
        assert result["labels"][0] == expected.argmax()
        torch.testing.assert_close(result["scores"], expected[0].softmax(0)[result["labels"]])


def test_gradients_flow_to_every_pixel_of_the_cut_centre(resnet18):
    image = picture(100, 150).requires_grad_()
    value = sum((f * f).sum() for f in resnet18.features(resnet18.prepare(image)))
    (gradient,) = torch.autograd.grad(value, image)
    used = gradient.abs().sum(0) > 0
    # 100 rows become 256, of which the central 224 are used: 6 at each end are out of reach but for the filter's.
    assert not used[:5].any()
    assert not used[:, :30].any()
    assert used[8:-8, 34:-34].all()


def test_the_gradient_is_that_of_finite_differences():
    double = network("resnet18", weights=None)
    double.model.double()
    image = picture().double().requires_grad_()
    total = sum((f * f).mean() for f in double.features(double.prepare(image)))
    (gradient,) = torch.autograd.grad(total, image)
    direction = torch.randn(image.shape, generator=torch.Generator().manual_seed(4), dtype=torch.float64)

    def value(step):
        scales = double.features(double.prepare(image.detach() + step * direction))
        return float(sum((f * f).mean() for f in scales))

    # A step so small that no sign of a rectified unit changes.
    assert (value(1e-8) - value(-1e-8)) / 2e-8 == pytest.approx(float((gradient * direction).sum()), rel=1e-4)


def test_task_loss_is_the_divergence_of_the_class_distributions(resnet18):
    prepared = resnet18.prepare(picture())
    reference = resnet18.features(prepared)
    features = disturbed(reference)
    true, found = (resnet18.model.logits(scales)[0].softmax(0) for scales in (reference, features))
    expected = (true * (true / found).log()).sum()
    losses = resnet18.task_losses(features, reference, prepared)
    torch.testing.assert_close(losses["classification"], expected, rtol=1e-3, atol=1e-5)
    assert resnet18.task_losses(reference, reference, prepared)["classification"] == 0


def test_objectness_is_the_activation_map_of_the_found_class(resnet18):
    features = disturbed(resnet18.features(resnet18.prepare(picture())))
    maps = resnet18.objectness(features)
    assert [m.shape for m in maps] == [(1, 1, *f.shape[2:]) for f in features]
    assert all(0 <= m.min() <= m.max() <= 1 for m in maps)
    weight, bias = resnet18.model.head.weight, resnet18.model.head.bias
    evidence = torch.einsum("kc,chw->khw", weight, features[-1][0])
    logits = evidence.mean((1, 2)) + bias
    found = int(logits.argmax())
    others = (evidence.sum(0) - evidence[found]) / 999
    torch.testing.assert_close(maps[-1][0, 0], (evidence[found] - others).sigmoid(), rtol=1e-4, atol=1e-5)


def test_each_weights_file_has_its_own_preprocessing():
    sizes = {
        version: network("resnet50", weights=None, version=version).preset.resize_size
        for version in ("IMAGENET1K_V1", "IMAGENET1K_V2")
    }
    assert sizes == {"IMAGENET1K_V1": [256], "IMAGENET1K_V2": [232]}
    for name in NAMES:
        for entry in get_model_weights(name):
            file = entry.url.rsplit("/", 1)[1]
            assert published_entry(name, f"some/{file}", None) is entry
        assert published_entry(name, "DEFAULT", None) is get_model_weights(name).DEFAULT
        assert published_entry(name, "mine.pth", None).name == "IMAGENET1K_V1"
        assert published_entry(name, None, None).name == "IMAGENET1K_V1"


def test_weights_and_versions_that_do_not_fit(tmp_path, resnet18):
    with pytest.raises(ConfigurationError, match=r"no version 'V3'; known: IMAGENET1K_V1, IMAGENET1K_V2"):
        load_network("torchvision:resnet50", weights=None, version="V3")
    save_weights(resnet18.model.resnet, tmp_path / "18.safetensors")
    assert load_network("torchvision:resnet18", weights=str(tmp_path / "18.safetensors")).name == "resnet18"
    with pytest.raises(WeightsError, match="give the weights of this network"):
        load_network("torchvision:resnet34", weights=str(tmp_path / "18.safetensors"))
    torch.save({"a": torch.zeros(1)}, tmp_path / "resnet18-f37072fd.pth")
    with pytest.raises(WeightsError, match="expected f37072fd"):
        load_network("torchvision:resnet18", weights=str(tmp_path / "resnet18-f37072fd.pth"))
    with pytest.raises(ConfigurationError, match=r"known: fasterrcnn.*resnet18"):
        load_network("torchvision:resnet9")
