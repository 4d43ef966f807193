"""LIC-TCM: its network against one that is written down a second time, and in all ways that it is computed."""

import pytest
import torch
from tests.codecs.direct_tcm import DirectTcm

from cfm.codecs.learned import tcm
from cfm.codecs.learned.architecture import Architecture, build_model
from cfm.codecs.learned.training import initial_model
from cfm.codecs.learned.transforms import Transforms

SMALL = Architecture("lic-tcm", 16, 24, (8, 8, 8), (12, 8))
MODELS = {
    "lic-tcm": SMALL,
    "elic": Architecture("elic", 16, 24),
    "cheng2020-attn": Architecture("cheng2020-attn", 16),
}


@pytest.fixture(scope="module")
def model():
    model = initial_model(SMALL, 3, None).double().eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "relative_position" in name or "ln" in name:
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(len(name))))
    return model


def picture(height, width, dtype=torch.float64):
    return torch.rand(2, 3, height, width, dtype=dtype, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("size", [(128, 128), (256, 384)])
@pytest.mark.parametrize("piece_bytes", [1, 2**20, 2**40])
def test_transforms_are_those_written_down_a_second_time(model, size, piece_bytes, monkeypatch):
    """With gradients in one go, without in pieces of any size: a window, the cache's, everything."""
    monkeypatch.setattr(tcm, "PIECE_BYTES", piece_bytes)
    direct = DirectTcm(model.state_dict(), model.slices, model.entropy_bottleneck, model.gaussian_conditional)
    x = picture(*size)
    with torch.no_grad():
        latent = direct.analyse(x)
        samples = direct.synthesise(latent)
        hyper = direct.hyper_analyse(latent)
        pairs = [(model.g_a(x), latent), (model.g_s(latent), samples), (model.h_a(latent), hyper)]
        pairs.append((model.h_scale_s(hyper), direct.hyper_synthesise(hyper, "h_scale_s")))
    if piece_bytes == 1:
        pairs += [(model.g_a(x), latent), (model.g_s(latent), samples)]
        assert pairs[-1][0].requires_grad
    for ours, theirs in pairs:
        assert torch.allclose(ours, theirs, rtol=1e-9, atol=1e-10)


def test_forward_gives_the_likelihoods_of_its_own_rounding(model):
    output = model(picture(128, 128))
    assert output["x_hat"].shape == (2, 3, 128, 128)
    assert output["likelihoods"]["y"].shape == (2, 24, 8, 8)
    assert output["likelihoods"]["z"].shape == (2, 32, 2, 2)
    assert all(((part > 0) & (part <= 1)).all() for part in output["likelihoods"].values())
    output["x_hat"].sum().backward()
    assert model.lrp_transforms[2][4].weight.grad.abs().sum() > 0
    model.zero_grad()


def test_what_is_far_apart_does_not_meet_in_a_shifted_window():
    """Opposite edges share a window after the shift; a change at one must not reach the other."""
    block = tcm.TransformerBlock(8, 4, 4, True).double()
    x = torch.randn(1, 8, 12, 8, dtype=torch.float64)
    changed = x.clone()
    changed[0, 0] += torch.randn(12, 8)
    for context in (torch.enable_grad, torch.no_grad):
        with context():
            difference = (block(changed) - block(x)).abs().amax((0, 2, 3))
        assert difference[:2].min() > 1e-6
        assert difference[2:].max() < 1e-12


def test_published_sizes():
    counts = {
        channels: sum(p.numel() for p in build_model(Architecture("lic-tcm", channels)).parameters())
        for channels in (64, 128)
    }
    assert {channels: round(count / 1e6, 2) for channels, count in counts.items()} == {64: 45.18, 128: 76.57}


@pytest.mark.parametrize("family", MODELS)
def test_prepared_transforms_are_the_networks(family):
    """Fused, channels last: the same up to the order of sums; in bfloat16 up to its 8 bits."""
    network = initial_model(MODELS[family], 2, None).eval()
    x = picture(128, 256, torch.float32)[:1]
    with torch.inference_mode():
        latent = network.g_a(x)
        samples = network.g_s(latent)
        for precision, tolerance in (("float32", 1e-5), ("bfloat16", 3e-2)):
            prepared = Transforms(network, precision)
            for ours, theirs in ((prepared.analyse(x), latent), (prepared.synthesise(latent), samples)):
                assert ours.dtype == torch.float32
                assert (ours - theirs).abs().max() < tolerance * theirs.abs().max()
