"""The R-CNNs behind the contract: against torchvision's own forward pass, finite differences and closed forms."""

import pytest
import torch
from torchvision.models.detection.image_list import ImageList

from cfm.tasks.contract import check_contract
from cfm.tasks.demo_models import CATEGORY_IDS, ModelSize, demo_model
from cfm.tasks.rcnn import RcnnNetwork
from cfm.tasks.rcnn_losses import binary_divergence, divergence, weighted_distance

TINY = ModelSize((4, 6, 8, 10), (1, 1, 1, 1), 8, 12, 8)
RCNN_TASKS = ("detection", "segmentation", "keypoints")
PARTS = {"objectness", "rpn_box", "classification", "box"}
EXTRA = {"segmentation": {"mask"}, "keypoints": {"keypoints"}, "detection": set()}


def tiny_network(task: str, derive_pool: bool = True) -> RcnnNetwork:
    """A random network for small pictures whose heads are lively enough to detect something."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = demo_model(task, TINY)
        model.transform.min_size, model.transform.max_size = (64,), 96
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                torch.nn.init.uniform_(module.running_mean, -0.2, 0.2)
                torch.nn.init.uniform_(module.running_var, 0.5, 2)
        for parameter in (*model.rpn.parameters(), *model.roi_heads.parameters()):
            parameter.data *= 2.5
    return RcnnNetwork(model, f"tiny-{task}", task, CATEGORY_IDS[task], derive_pool)


def picture(height: int = 64, width: int = 96, seed: int = 0) -> torch.Tensor:
    """Smooth noise, (3, height, width) in [0, 1]."""
    coarse = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")[0]


def noisy(features: list[torch.Tensor], amount: float) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(7)
    return [f + amount * f.std() * torch.randn(f.shape, generator=generator) for f in features]


@pytest.mark.parametrize("task", RCNN_TASKS)
@pytest.mark.parametrize("size", [(64, 96), (50, 75), (33, 40)])
def test_features_then_predict_equals_the_models_own_forward_pass(task, size):
    network = tiny_network(task)
    image = picture(*size)
    prepared = network.prepare(image)
    found = network.predict(network.features(prepared), prepared)
    with torch.no_grad():
        own = network.model([image])[0]
    assert len(found["boxes"]) == len(own["boxes"]) > 0
    for key in ("boxes", "scores", "labels"):
        torch.testing.assert_close(found[key], own[key], atol=1e-4, rtol=1e-4)
    if task == "segmentation":
        assert found["masks"].dtype == torch.bool
        assert found["masks"].shape == (len(own["boxes"]), *size)
        assert torch.equal(found["masks"], own["masks"][:, 0] >= 0.5)
    if task == "keypoints":
        assert found["keypoints"].shape == (len(own["boxes"]), 17, 3)
        torch.testing.assert_close(found["keypoints"][..., :2], own["keypoints"][..., :2])
        torch.testing.assert_close(found["keypoints"][..., 2], own["keypoints_scores"])


def test_region_scales_do_not_depend_on_the_first_picture():
    image = picture(40, 96)
    first, second = tiny_network("detection"), tiny_network("detection")
    second.predict(second.features(p := second.prepare(picture(33, 34))), p)
    results = [n.predict(n.features(p := n.prepare(image)), p)["boxes"] for n in (first, second)]
    assert torch.equal(*results)


@pytest.mark.parametrize("task", RCNN_TASKS)
def test_contract_attributes_and_shapes(task):
    network = tiny_network(task)
    check_contract(network, "tiny")
    assert network.strides == (4, 8, 16, 32)
    assert network.category_ids[1] == 1
    features = network.features(network.prepare(picture()))
    assert [tuple(f.shape) for f in features] == [(1, 8, 64 // s, 96 // s) for s in network.strides]
    assert not any(p.requires_grad for p in network.model.parameters())
    assert not network.model.training


def test_the_derived_pool_is_the_models_pooled_scale():
    derived, given = tiny_network("detection"), tiny_network("detection", derive_pool=False)
    prepared = given.prepare(picture())
    with_pool, without = given.features(prepared), derived.features(prepared)
    assert given.strides == (4, 8, 16, 32, 64)
    assert torch.equal(derived.named_scales(without)["pool"], with_pool[-1])
    a, b = given.predict(with_pool, prepared), derived.predict(without, prepared)
    assert torch.equal(a["boxes"], b["boxes"])
    assert [o.shape[2:] for o in given.objectness(with_pool)] == [f.shape[2:] for f in with_pool]


def test_gradient_through_prepare_and_features_matches_finite_differences():
    network = tiny_network("detection")
    network.model.double()
    image = picture(50, 75).double()
    generator = torch.Generator().manual_seed(1)

    def weighted(x):
        g = generator.manual_seed(2)
        return sum(
            (f * torch.randn(f.shape, generator=g, dtype=f.dtype)).sum() for f in network.features(network.prepare(x))
        )

    variable = image.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(weighted(variable), variable)
    direction = torch.randn(image.shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    step = 1e-6
    difference = (weighted(image + step * direction) - weighted(image - step * direction)) / (2 * step)
    torch.testing.assert_close((gradient * direction).sum(), difference, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("task", RCNN_TASKS)
def test_task_losses_are_zero_at_the_reference_and_grow_with_noise(task):
    network = tiny_network(task)
    prepared = network.prepare(picture())
    reference = network.features(prepared)
    at_zero = network.task_losses(reference, reference, prepared)
    assert set(at_zero) == PARTS | EXTRA[task]
    assert all(float(value) == 0 for value in at_zero.values())
    previous = at_zero
    for amount in (0.02, 0.2, 2.0):
        losses = network.task_losses(noisy(reference, amount), reference, prepared)
        assert all(losses[key] > previous[key] for key in losses), amount
        previous = losses


def test_task_losses_are_deterministic_and_do_not_remember_another_picture():
    network = tiny_network("detection")
    prepared = [network.prepare(picture(seed=seed)) for seed in (0, 1)]
    reference = [network.features(p) for p in prepared]
    distorted = [noisy(r, 0.3) for r in reference]
    order = (0, 1, 1, 0)
    values = [network.task_losses(distorted[i], reference[i], prepared[i]) for i in order]
    fresh = tiny_network("detection")
    for i, value in zip(order, values, strict=True):
        expected = fresh.task_losses(distorted[i], [r.clone() for r in reference[i]], prepared[i])
        assert value == expected


def test_the_reference_is_computed_once_for_many_questions(monkeypatch):
    network = tiny_network("detection")
    prepared = network.prepare(picture())
    reference = network.features(prepared)
    calls = []
    rpn = network.model.rpn.forward
    monkeypatch.setattr(network.model.rpn, "forward", lambda *a, **k: calls.append(1) or rpn(*a, **k))
    for amount in (0.1, 0.2, 0.3):
        network.task_losses(noisy(reference, amount), reference, prepared)
    assert len(calls) == 1


def test_task_losses_are_differentiable():
    network = tiny_network("segmentation")
    prepared = network.prepare(picture())
    reference = network.features(prepared)
    distorted = [f.requires_grad_() for f in noisy(reference, 0.3)]
    sum(network.task_losses(distorted, reference, prepared).values()).backward()
    assert all(torch.isfinite(f.grad).all() and f.grad.abs().sum() > 0 for f in distorted)


def test_objectness_is_the_proposal_networks_highest_probability():
    network = tiny_network("detection")
    features = network.features(network.prepare(picture()))
    logits, _ = network.model.rpn.head(features)
    for objectness, feature, scale in zip(network.objectness(features), features, logits, strict=True):
        assert objectness.shape == (1, 1, *feature.shape[2:])
        assert objectness.min() >= 0
        assert objectness.max() <= 1
        torch.testing.assert_close(objectness[0, 0], torch.sigmoid(scale[0]).max(0).values)


def test_a_picture_without_detections_gives_empty_results():
    network = tiny_network("keypoints")
    network.model.roi_heads.score_thresh = 1.1
    prepared = network.prepare(picture())
    features = network.features(prepared)
    found = network.predict(features, prepared)
    assert found["boxes"].shape == (0, 4)
    assert found["keypoints"].shape == (0, 17, 3)
    losses = network.task_losses(noisy(features, 1.0), features, prepared)
    assert losses["keypoints"] == 0


def test_divergences_against_torch_distributions():
    generator = torch.Generator().manual_seed(4)
    p, q = (torch.randn(6, 5, generator=generator) for _ in range(2))
    expected = torch.distributions.kl_divergence(
        torch.distributions.Categorical(logits=q), torch.distributions.Categorical(logits=p)
    ).mean()
    torch.testing.assert_close(divergence(p, q), expected)
    expected = torch.distributions.kl_divergence(
        torch.distributions.Bernoulli(logits=q), torch.distributions.Bernoulli(logits=p)
    ).mean()
    torch.testing.assert_close(binary_divergence(p, q), expected)


def test_weighted_distance_in_closed_form():
    deltas, zero = torch.tensor([[1.0, 0, 0, 0], [0, 2.0, 0, 0]]), torch.zeros(2, 4)
    linear = torch.tensor([1 - 1 / 18, 2 - 1 / 18])  # smooth L1 beyond beta = 1/9 is |x| - beta / 2
    weights = torch.tensor([1.0, 3.0])
    torch.testing.assert_close(weighted_distance(deltas, zero, weights), (linear * weights).sum() / 4)
    assert weighted_distance(deltas, zero, torch.zeros(2)) == 0


def test_prepare_pads_as_torchvision_does():
    network = tiny_network("detection")
    image = picture(50, 75)
    prepared = network.prepare(image)
    images, _ = network.model.transform([image])
    assert isinstance(images, ImageList)
    assert torch.equal(prepared.tensor, images.tensors)
    assert prepared.input_size == (64, 96)
    assert prepared.original_size == (50, 75)
