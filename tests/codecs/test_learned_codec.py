"""Learned codecs: coding against compressai's own, every byte checked, weights that do not fit refused in one line."""

import json
import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from cfm.codecs.container import LearnedStream, read_learned, write_learned
from cfm.codecs.learned.architecture import Architecture, build_model
from cfm.codecs.learned.autoregressive import LatentCoder
from cfm.codecs.learned.manifest import Score, add_to_manifest, expected_sha256, score_codec
from cfm.codecs.learned.training import CodecTraining, initial_model
from cfm.codecs.learned.weights import load_model, save_weights
from cfm.codecs.picture import Picture
from cfm.codecs.registry import codec_digest, make_codec
from cfm.errors import BitstreamError, CfmError, ConfigurationError, InputError, WeightsError

ARCHITECTURES = {
    "cheng2020-attn": Architecture("cheng2020-attn", 8),
    "elic": Architecture("elic", 8, 12),
}


def spread(model):
    """Make an untrained network's latents large, so that its streams hold many symbols."""
    with torch.no_grad():
        list(model.g_a.parameters())[-2].mul_(40)
    return model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights")
    for family, architecture in ARCHITECTURES.items():
        for point in range(2):
            model = spread(initial_model(architecture, point, None))
            save_weights(path / family / f"{point}.safetensors", model, architecture)
    return path


def codec_of(folder, family, points=(0, 1)):
    return make_codec(family, weights={point: folder / family / f"{point}.safetensors" for point in points})


def picture_of(height, width, bit_depth=8, seed=0):
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    waves = [
        0.5 + 0.4 * np.sin(columns / (5 + k)) * np.cos(rows / 7) + rng.normal(0, 0.03, rows.shape) for k in range(3)
    ]
    dtype = np.uint8 if bit_depth == 8 else np.uint16
    planes = tuple((np.clip(wave, 0, 1) * (2**bit_depth - 1)).astype(dtype) for wave in waves)
    return Picture(planes, "rgb", bit_depth)


def tensor_of(picture):
    samples = torch.from_numpy(np.stack(picture.planes).astype(np.float32) / (2**picture.bit_depth - 1))[None]
    padding = (0, -picture.width % 64, 0, -picture.height % 64)
    return torch.nn.functional.pad(samples, padding, mode="replicate")


@pytest.mark.parametrize("family", ARCHITECTURES)
@pytest.mark.parametrize(("size", "bit_depth"), [((1, 1), 8), ((17, 23), 16), ((64, 64), 8), ((67, 143), 8)])
def test_decoded_pictures_are_those_of_compressai(folder, family, size, bit_depth):
    picture = picture_of(*size, bit_depth)
    codec = codec_of(folder, family)
    decoded = codec.decode(codec.encode(picture, 1))
    model = load_model(folder / family / "1.safetensors").model
    with torch.inference_mode():
        coded = model.compress(tensor_of(picture))
        reference = model.decompress(coded["strings"], coded["shape"])["x_hat"]
    expected = reference[0, :, : size[0], : size[1]].clamp(0, 1).numpy() * (2**bit_depth - 1)
    assert (decoded.layout, decoded.bit_depth, decoded.planes[0].shape) == ("rgb", bit_depth, size)
    # The folded first layer adds in another order: a latent at a half may fall to the other side.
    difference = np.abs(np.stack(decoded.planes) - expected)
    assert np.median(difference) <= 2 ** (bit_depth - 8)


@pytest.mark.parametrize("family", ARCHITECTURES)
def test_streams_repeat_and_every_byte_is_checked(folder, family):
    codec, picture = codec_of(folder, family), picture_of(33, 70)
    stream = codec.encode(picture, 0)
    assert stream == codec_of(folder, family).encode(picture, 0)
    assert stream != codec.encode(picture, 1)
    first = codec.decode(stream)
    assert all(np.array_equal(a, b) for a, b in zip(first.planes, codec.decode(stream).planes, strict=True))
    for position in range(0, len(stream), max(len(stream) // 60, 1)):
        broken = bytearray(stream)
        broken[position] ^= 0x10
        with pytest.raises(BitstreamError):
            codec.decode(bytes(broken))
        with pytest.raises(BitstreamError):
            codec.decode(stream[:position])


def test_bytes_do_not_depend_on_torch_threads(folder):
    picture, codec = picture_of(70, 130), codec_of(folder, "cheng2020-attn")
    threads = torch.get_num_threads()
    stream = codec.encode(picture, 0)
    try:
        torch.set_num_threads(2)
        assert codec.encode(picture, 0) == stream
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def test_serial_coder_returns_the_latent_that_it_coded_and_predicts_as_the_network_does(folder):
    model = load_model(folder / "cheng2020-attn" / "0.safetensors").model
    generator = torch.Generator().manual_seed(3)
    latent = 6 * torch.randn(1, 8, 8, 12, generator=generator)
    hyper = torch.randn(1, 16, 8, 12, generator=generator)
    with torch.inference_mode():
        coder = LatentCoder(model)
        quantised = coder.decode(coder.encode(latent, hyper), hyper)
        context = model.context_prediction(quantised)
        _, means = model.entropy_parameters(torch.cat((hyper, context), 1)).chunk(2, 1)
    symbols = quantised - means
    assert torch.allclose(symbols, symbols.round(), atol=1e-4)
    assert (quantised - latent).abs().max() <= 0.5 + 1e-4


def test_a_forged_stream_cannot_run_the_range_decoder_beyond_its_end(folder):
    for family, parts in (("cheng2020-attn", 2), ("elic", 5)):
        codec = codec_of(folder, family)
        digest = read_learned(codec.encode(picture_of(8, 8), 0)).digest
        strings = tuple(b"\xff" * 4 for _ in range(parts))
        decoded = codec.decode(write_learned(LearnedStream(family, 0, digest, 8, 100, 90, strings)))
        assert decoded.planes[0].shape == (100, 90)
        with pytest.raises(BitstreamError, match="parts"):
            codec.decode(write_learned(LearnedStream(family, 0, digest, 8, 100, 90, strings[1:])))


def test_other_weights_and_other_families_are_told(folder, tmp_path):
    stream = codec_of(folder, "elic").encode(picture_of(16, 16), 0)
    with pytest.raises(BitstreamError, match="elic"):
        codec_of(folder, "cheng2020-attn").decode(stream)
    with pytest.raises(BitstreamError, match="weights"):
        make_codec("elic", weights={0: folder / "elic" / "1.safetensors"}).decode(stream)
    with pytest.raises(BitstreamError, match="point 0"):
        codec_of(folder, "elic", (1,)).decode(stream)
    with pytest.raises(ConfigurationError, match="not of elic"):
        make_codec("elic", weights={0: folder / "cheng2020-attn" / "0.safetensors"}).warm_up()


def test_wrong_use(folder):
    codec = codec_of(folder, "elic")
    with pytest.raises(ConfigurationError, match="point 2"):
        codec.encode(picture_of(8, 8), 2)
    with pytest.raises(ConfigurationError, match="guidance"):
        codec.encode(picture_of(8, 8), 0, sketch=None)
    with pytest.raises(InputError, match="grey"):
        codec.encode(Picture((np.zeros((8, 8), np.uint8),), "grey", 8), 0)
    with pytest.raises(ConfigurationError, match="no weights"):
        make_codec("elic")


def broken_files(tmp_path, good):
    tensors = load_file(good)
    yield tmp_path / "absent.safetensors", "no such"
    (tmp_path / "cut.safetensors").write_bytes(good.read_bytes()[:1000])
    yield tmp_path / "cut.safetensors", "safetensors"
    name = next(name for name in tensors if name.endswith("g_a.0.weight"))
    save_file(tensors | {name: torch.zeros(3, 3)}, tmp_path / "shape.safetensors")
    yield tmp_path / "shape.safetensors", "shape"
    save_file({key: value for key, value in tensors.items() if key != name}, tmp_path / "lacks.safetensors")
    yield tmp_path / "lacks.safetensors", "lacks"
    save_file(tensors | {"more": torch.zeros(1)}, tmp_path / "more.safetensors")
    yield tmp_path / "more.safetensors", "unknown more"
    save_file(tensors | {name: tensors[name] * float("nan")}, tmp_path / "nan.safetensors")
    yield tmp_path / "nan.safetensors", "finite"
    (tmp_path / "code.pth").write_bytes(pickle.dumps(NeedsCode(), protocol=2))
    yield tmp_path / "code.pth", "weights alone"


class NeedsCode:
    """Anything that a pickle needs code for."""


def test_unusable_weights_are_one_line_that_names_the_file(folder, tmp_path):
    for path, words in broken_files(tmp_path, folder / "elic" / "0.safetensors"):
        with pytest.raises(WeightsError) as caught:
            load_model(path, ARCHITECTURES["elic"])
        message = str(caught.value)
        assert path.name in message
        assert words in message
        assert "\n" not in message


def test_torch_files_load_and_compressai_buffers_are_ignored(folder, tmp_path):
    model = build_model(ARCHITECTURES["cheng2020-attn"])
    model.update()
    torch.save(
        {"state_dict": {f"module.{key}": value for key, value in model.state_dict().items()}}, tmp_path / "w.pth"
    )
    loaded = load_model(tmp_path / "w.pth", ARCHITECTURES["cheng2020-attn"]).model
    for (name, value), other in zip(model.named_parameters(), loaded.parameters(), strict=True):
        assert torch.equal(value, other), name


def test_names_of_the_public_elic_are_translated(tmp_path):
    model = build_model(ARCHITECTURES["elic"])
    public = {}
    for name, value in model.named_parameters():
        name = name.removeprefix("latent_codec.hyper.")
        if name.startswith("latent_codec.y.channel_context.y"):
            number, _, rest = name.removeprefix("latent_codec.y.channel_context.y").partition(".")
            name = f"cc_transforms.{int(number) - 1}.{rest}"
        elif name.startswith("latent_codec.y.latent_codec.y"):
            number, part, rest = name.removeprefix("latent_codec.y.latent_codec.y").split(".", 2)
            name = {"context_prediction": "context_prediction", "entropy_parameters": "ParamAggregation"}[part]
            name = f"{name}.{number}.{rest}"
        public[name] = value.detach().clone()
    torch.save(public, tmp_path / "elic.pth")
    loaded = load_model(tmp_path / "elic.pth", ARCHITECTURES["elic"]).model
    for (name, value), other in zip(model.named_parameters(), loaded.parameters(), strict=True):
        assert torch.equal(value, other), name


def test_manifest_and_digest(folder, tmp_path):
    architecture = ARCHITECTURES["elic"]
    weights = tmp_path / "0.safetensors"
    save_weights(weights, build_model(architecture), architecture)
    assert expected_sha256(weights) is None
    before = codec_digest("elic", weights={0: weights})
    log = tmp_path / "0.csv"
    log.write_text("iteration,loss\n1,2.5\n2,2.25\n")
    pictures = [picture_of(20, 30, seed=seed) for seed in range(2)]
    codec = make_codec("elic", weights={0: weights})
    score = score_codec(codec, 0, pictures, "waves")
    sizes = [len(codec.encode(picture, 0)) for picture in pictures]
    assert score.rate_bpp == pytest.approx(8 * sum(sizes) / 1200, abs=1e-4)
    assert isinstance(score, Score)
    settings = CodecTraining(0.01, 2)
    path = add_to_manifest(weights, "elic", architecture.as_dict(), settings, log, score, 1.0, {"device": "cpu"})
    entry = json.loads(path.read_text())["models"]["0.safetensors"]
    assert entry["sha256"] == expected_sha256(weights)
    assert entry["log"][-1] == {"iteration": 2, "loss": 2.25}
    make_codec("elic", weights={0: weights}).warm_up()
    save_weights(weights, build_model(architecture), architecture)
    assert codec_digest("elic", weights={0: weights}) != before
    with pytest.raises(WeightsError, match="checksum"):
        make_codec("elic", weights={0: weights}).warm_up()
    with pytest.raises(CfmError, match="does not list"):
        make_codec("elic", weights={0: tmp_path / "1.safetensors"})


def test_architectures_are_completed_or_refused():
    assert Architecture("elic").groups == (16, 16, 32, 64, 192)
    assert Architecture("elic").context_channels == (224, 128)
    assert Architecture("elic", 24, 48).groups == (16, 32)
    assert Architecture(**Architecture("elic", 24, 48).as_dict()) == Architecture("elic", 24, 48)
    for wrong in (
        {"family": "elc"},
        {"family": "elic", "groups": (4, 4)},
        {"family": "cheng2020-attn", "groups": (1, 2)},
    ):
        with pytest.raises(ConfigurationError):
            Architecture(**wrong)
