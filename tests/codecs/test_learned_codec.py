"""Learned codecs: coding against compressai's own, every byte checked, weights that do not fit refused in one line."""

import dataclasses
import json
import pickle
import zlib

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.codecs.direct_tcm import DirectTcm

from cfm.codecs.container import read_learned, write_learned
from cfm.codecs.learned import entropy
from cfm.codecs.learned.architecture import Architecture, build_model
from cfm.codecs.learned.entropy import MOST_BYTES_A_SYMBOL, LatentCoder
from cfm.codecs.learned.manifest import Score, add_to_manifest, expected_sha256, score_codec
from cfm.codecs.learned.tcm import LicTcm
from cfm.codecs.learned.training import CodecTraining, initial_model
from cfm.codecs.learned.weights import load_model, save_weights
from cfm.codecs.picture import Picture
from cfm.codecs.registry import codec_digest, make_codec
from cfm.errors import BitstreamError, CfmError, ConfigurationError, InputError, WeightsError

ARCHITECTURES = {
    "cheng2020-attn": Architecture("cheng2020-attn", 8),
    "elic": Architecture("elic", 8, 12),
    "lic-tcm": Architecture("lic-tcm", 8, 16, (8, 8), (12, 8)),
}


def spread(model, factor=40):
    """Make an untrained network's latents large, so that its streams hold many symbols."""
    halving = [part for part in model.g_a.modules() if isinstance(part, torch.nn.Conv2d) and part.stride == (2, 2)]
    with torch.no_grad():
        halving[-1].weight.mul_(factor)
    return model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights")
    for family, architecture in ARCHITECTURES.items():
        for point in range(2):
            model = spread(initial_model(architecture, point, None))
            save_weights(path / family / f"{point}.safetensors", model, architecture)
    return path


def codec_of(folder, family, points=(0, 1), **options):
    weights = {point: folder / family / f"{point}.safetensors" for point in points}
    return make_codec(family, weights=weights, **options)


def picture_of(height, width, bit_depth=8, seed=0):
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    waves = [
        0.5 + 0.4 * np.sin(columns / (5 + k)) * np.cos(rows / 7) + rng.normal(0, 0.03, rows.shape) for k in range(3)
    ]
    dtype = np.uint8 if bit_depth == 8 else np.uint16
    planes = tuple((np.clip(wave, 0, 1) * (2**bit_depth - 1)).astype(dtype) for wave in waves)
    return Picture(planes, "rgb", bit_depth)


def tensor_of(picture, stride):
    samples = torch.from_numpy(np.stack(picture.planes).astype(np.float32) / (2**picture.bit_depth - 1))[None]
    padding = (0, -picture.width % stride, 0, -picture.height % stride)
    return torch.nn.functional.pad(samples, padding, mode="replicate")


def reference_of(model, samples):
    """What the family's own loop codes and decodes, as its authors or compressai wrote it."""
    if isinstance(model, LicTcm):
        direct = DirectTcm(model.state_dict(), model.slices, model.entropy_bottleneck, model.gaussian_conditional)
        string, hyper_strings = direct.compress(samples)
        shape = [side // 64 for side in samples.shape[2:]]
        return direct.decompress(string, hyper_strings, shape), len(string) + len(hyper_strings[0])
    coded = model.compress(samples)
    decoded = model.decompress(coded["strings"], coded["shape"])["x_hat"]
    return decoded, sum(len(string) for (string,) in coded["strings"])


@pytest.mark.parametrize("portable", [True, False])
@pytest.mark.parametrize("family", ARCHITECTURES)
@pytest.mark.parametrize(("size", "bit_depth"), [((1, 1), 8), ((17, 23), 16), ((64, 64), 8), ((67, 143), 8)])
def test_decoded_pictures_are_those_of_the_reference(folder, family, size, bit_depth, portable):
    picture = picture_of(*size, bit_depth)
    codec = codec_of(folder, family, portable=portable)
    stream = codec.encode(picture, 1)
    decoded = codec.decode(stream)
    model = load_model(folder / family / "1.safetensors").model
    with torch.inference_mode():
        reference, size_bytes = reference_of(model, tensor_of(picture, ARCHITECTURES[family].stride))
    expected = reference[0, :, : size[0], : size[1]].clamp(0, 1).numpy() * (2**bit_depth - 1)
    assert (decoded.layout, decoded.bit_depth, decoded.planes[0].shape) == ("rgb", bit_depth, size)
    # Sums in another order: a latent at a half may fall to the other side.
    difference = np.abs(np.stack(decoded.planes) - expected)
    assert np.quantile(difference, 0.98) <= 2 ** (bit_depth - 8)
    assert len(stream) < 1.01 * size_bytes + 32


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


@pytest.mark.parametrize("family", ARCHITECTURES)
def test_sizes_are_estimated_without_entropy_coding(folder, family):
    codec = codec_of(folder, family)
    for seed in range(3):
        picture = picture_of(90, 150, seed=seed)
        assert codec.size_bytes(picture, 1) == pytest.approx(len(codec.encode(picture, 1)), rel=0.005)


def model_and_latent(folder, family):
    """A network, the channels of its latents, and a latent (1, M, 8, 16) of many different symbols."""
    channels = ARCHITECTURES[family].latent_channels
    latent = 6 * torch.randn(1, channels, 8, 16, generator=torch.Generator().manual_seed(3))
    return load_model(folder / family / "0.safetensors").model, channels, latent


@pytest.mark.parametrize("family", ARCHITECTURES)
@pytest.mark.parametrize("portable", [True, False])
def test_the_coder_returns_the_latent_that_it_coded(folder, family, portable):
    model, channels, latent = model_and_latent(folder, family)
    with torch.inference_mode():
        coder = LatentCoder(model, channels, portable)
        coded, quantised = coder.encode(latent)
        assert torch.equal(coder.decode(coded, 2, 4), quantised)
    assert (quantised - latent).abs().max() <= (1 if family == "lic-tcm" else 0.5) + 1e-4
    assert len(coded.checks) == coder.slices + 1


def test_the_serial_coder_predicts_as_the_network_does(folder):
    model = load_model(folder / "cheng2020-attn" / "0.safetensors").model
    latent = 6 * torch.randn(1, 8, 8, 12, generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        coder = LatentCoder(model, 8, False)
        _, quantised = coder.encode(latent)
        hyper_latent = torch.round(model.h_a(latent) - coder.medians) + coder.medians
        context = torch.cat((model.h_s(hyper_latent), model.context_prediction(quantised)), 1)
        _, means = model.entropy_parameters(context).chunk(2, 1)
    symbols = quantised - means
    assert torch.allclose(symbols, symbols.round(), atol=1e-4)


@pytest.mark.parametrize("family", ARCHITECTURES)
def test_close_decisions_are_coded_and_followed(folder, family, monkeypatch):
    """A decoder whose scales differ by less than the guard takes the encoder's tables, also across a boundary."""
    monkeypatch.setattr(entropy, "GUARD", 0.02)
    model, channels, latent = model_and_latent(folder, family)
    with torch.inference_mode():
        coder = LatentCoder(model, channels, True)
        coded, quantised = coder.encode(latent)
        assert len(coded.sides) > 20
        decoder = LatentCoder(model, channels, True)
        decoder.prediction = Disturbed(decoder.prediction, 0.01)
        assert torch.equal(decoder.decode(coded, 2, 4), quantised)
        without = dataclasses.replace(coded, sides=())
        with pytest.raises(BitstreamError, match="portable"):
            decoder.decode(without, 2, 4)


class Disturbed:
    """A prediction whose scales are off by up to a factor of 1 + `error`."""

    def __init__(self, prediction, error):
        self.prediction, self.error, self.slices, self.dtype = prediction, error, prediction.slices, prediction.dtype

    def walk(self, hyper_latent):
        walk, rng = self.prediction.walk(hyper_latent), torch.Generator().manual_seed(1)
        part = next(walk)
        while True:
            wrong = 1 + self.error * (2 * torch.rand(part.scales.shape, generator=rng, dtype=torch.float64) - 1)
            quantised = yield part._replace(scales=part.scales * wrong)
            try:
                part = walk.send(quantised)
            except StopIteration as end:
                return end.value


@pytest.mark.parametrize("family", ARCHITECTURES)
def test_symbols_that_come_out_otherwise_are_an_error(folder, family):
    model, channels, latent = model_and_latent(folder, family)
    with torch.inference_mode():
        coder = LatentCoder(model, channels, True)
        coded, _ = coder.encode(latent)
        coder.prediction = Disturbed(coder.prediction, 0.1)
        with pytest.raises(BitstreamError, match=r"slice \d of"):
            coder.decode(coded, 2, 4)


def test_a_forged_stream_cannot_run_the_range_decoder_beyond_its_end(folder):
    for family in ARCHITECTURES:
        codec = codec_of(folder, family)
        real = read_learned(codec.encode(picture_of(8, 8), 0))
        for string, side in ((b"\xff" * 64, 100), (b"", 90), (bytes(64), 90), (b"\xff" * 1_000_000, 8)):
            with pytest.raises(BitstreamError, match=r"hyper-latent|cannot be"):
                codec.decode(write_learned(dataclasses.replace(real, string=string, height=side, width=side)))
        # As much of it as is let through.
        longest = b"\xff" * min(MOST_BYTES_A_SYMBOL * 16, 4000)
        with pytest.raises(BitstreamError, match="hyper-latent"):
            codec.decode(write_learned(dataclasses.replace(real, string=longest)))
        with pytest.raises(BitstreamError, match="more than its picture"):
            codec.decode(write_learned(dataclasses.replace(real, sides=((10**6, True),))))
        with pytest.raises(BitstreamError, match="checksums"):
            codec.decode(write_learned(dataclasses.replace(real, checks=real.checks[1:])))
        with pytest.raises(BitstreamError, match="65535x65535"):
            codec.decode(write_learned(dataclasses.replace(real, height=65535, width=65535)))


def damaged(streams, rng, count):
    """Streams flipped, cut, overwritten, or of noise; half of them with a checksum that fits, as a forger makes it."""
    for _ in range(count):
        stream = bytearray(streams[rng.integers(len(streams))])
        kind = rng.integers(4)
        if kind == 0:
            for _ in range(rng.integers(1, 4)):
                stream[rng.integers(len(stream))] ^= 1 << rng.integers(8)
        elif kind == 1:
            del stream[rng.integers(len(stream)) :]
        elif kind == 2:
            stream = bytearray(rng.bytes(rng.integers(200)))
        else:
            place = rng.integers(len(stream))
            stream[place : place + rng.integers(8)] = rng.bytes(rng.integers(8))
        if rng.integers(2) and len(stream) > 4:
            stream[-4:] = zlib.crc32(stream[:-4]).to_bytes(4, "little")
        if bytes(stream) not in streams:
            yield bytes(stream)


@pytest.mark.parametrize("family", ARCHITECTURES)
def test_ten_thousand_damaged_files_are_errors(folder, family):
    codec, rng = codec_of(folder, family), np.random.default_rng(8)
    streams = [codec.encode(picture_of(40, 50, seed=seed), seed % 2) for seed in range(4)]
    errors = 0
    for stream in damaged(streams, rng, 10_000 // len(ARCHITECTURES) + 1):
        try:
            decoded = codec.decode(stream)
        except BitstreamError:
            errors += 1
            continue
        # What a forger may change and still have a picture: its bit depth and its size within the padding.
        forged = read_learned(stream)
        assert forged.checks in [read_learned(other).checks for other in streams]
        assert decoded.planes[0].shape == (forged.height, forged.width)
    assert errors > 3000


def test_other_weights_and_other_families_are_told(folder, tmp_path):
    stream = codec_of(folder, "elic").encode(picture_of(16, 16), 0)
    with pytest.raises(BitstreamError, match="elic"):
        codec_of(folder, "cheng2020-attn").decode(stream)
    with pytest.raises(BitstreamError, match="weights"):
        make_codec("elic", weights={0: folder / "elic" / "1.safetensors"}).decode(stream)
    with pytest.raises(BitstreamError, match="point 0"):
        codec_of(folder, "elic", (1,)).decode(stream)
    with pytest.raises(WeightsError, match="not of elic"):
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
    quantiles = next(name for name in tensors if name.endswith("quantiles"))
    save_file(tensors | {quantiles: 3e4 * tensors[quantiles]}, tmp_path / "wide.safetensors")
    yield tmp_path / "wide.safetensors", "quantiles"
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
        {"family": "elic", "context_channels": (8,)},
        {"family": "elic", "hyper_channels": 8},
        {"family": "lic-tcm", "channels": 24},
        {"family": "lic-tcm", "channels": 40},
        {"family": "lic-tcm", "channels": 64, "gate_channels": 24},
        {"family": "lic-tcm", "channels": 64, "groups": (160, 150, 10)},
    ):
        with pytest.raises(ConfigurationError):
            Architecture(**wrong)
