"""The classifier behind the contract, against closed forms of its linear head."""

import pytest
import torch

from cfm.tasks.classifier import ClassifierNetwork
from cfm.tasks.contract import check_contract
from cfm.tasks.demo_models import CATEGORY_IDS, ModelSize, demo_model

TINY = ModelSize((4, 6, 8, 10), (1, 1, 1, 1), 8, 12, 8)


@pytest.fixture
def network() -> ClassifierNetwork:
    with torch.random.fork_rng():
        torch.manual_seed(2)
        model = demo_model("classification", TINY)
    return ClassifierNetwork(model, "tiny-classification", CATEGORY_IDS["classification"])


def picture(height: int = 64, width: int = 96) -> torch.Tensor:
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(1))


def test_contract_and_shapes(network):
    check_contract(network, "tiny")
    prepared = network.prepare(picture(50, 75))
    assert prepared.tensor.shape == (1, 3, 64, 96)
    features = network.features(prepared)
    assert [tuple(f.shape) for f in features] == [(1, 8, 64 // s, 96 // s) for s in network.strides]


def test_prediction_is_a_sorted_distribution_of_the_linear_head(network):
    prepared = network.prepare(picture())
    features = network.features(prepared)
    found = network.predict(features, prepared)
    pooled = torch.cat([f.mean((2, 3)) for f in features], 1)
    expected = (pooled @ network.model.head.weight.T + network.model.head.bias)[0].softmax(0)
    torch.testing.assert_close(found["scores"], expected[found["labels"]])
    assert found["scores"].sum() == pytest.approx(1, abs=1e-5)
    assert (found["scores"].diff() <= 0).all()


def test_evidence_adds_up_to_the_logits(network):
    features = network.features(network.prepare(picture()))
    evidence = network.model.evidence(features)
    total = sum(e.mean((2, 3)) for e in evidence) + network.model.head.bias
    torch.testing.assert_close(total, network.model.logits(features), rtol=1e-4, atol=1e-4)


def test_objectness_is_in_range_and_higher_where_the_class_is_seen(network):
    features = network.features(network.prepare(picture()))
    maps = network.objectness(features)
    assert [m.shape for m in maps] == [(1, 1, *f.shape[2:]) for f in features]
    assert all(0 <= m.min() <= m.max() <= 1 for m in maps)
    blank = [torch.zeros_like(f) for f in features]
    assert all(torch.all(m == 0.5) for m in network.objectness(blank))


def test_task_loss_is_zero_at_the_reference_and_grows_with_noise(network):
    prepared = network.prepare(picture())
    reference = network.features(prepared)
    assert network.task_losses(reference, reference, prepared)["classification"] == 0
    generator = torch.Generator().manual_seed(3)
    noise = [f.std() * torch.randn(f.shape, generator=generator) + f.std() for f in reference]
    values = []
    for amount in (0.1, 1.0):
        features = [f + amount * n for f, n in zip(reference, noise, strict=True)]
        values.append(float(network.task_losses(features, reference, prepared)["classification"]))
    assert 0 < values[0] < values[1]


def test_features_are_differentiable_through_prepare(network):
    network.model.double()
    image = picture().double().requires_grad_()
    total = sum((f * f).sum() for f in network.features(network.prepare(image)))
    (gradient,) = torch.autograd.grad(total, image)
    direction = torch.randn(image.shape, generator=torch.Generator().manual_seed(4), dtype=torch.float64)

    def value(step: float) -> float:
        return float(sum((f * f).sum() for f in network.features(network.prepare(image.detach() + step * direction))))

    assert (value(1e-6) - value(-1e-6)) / 2e-6 == pytest.approx(float((gradient * direction).sum()), rel=1e-4)
