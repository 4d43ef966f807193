"""Published checkpoints of the learned codecs: whole layouts load as they are; anything else ends in one line."""

import hashlib
import os
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from scripts.fetch_checkpoint import fetch_checkpoint
from scripts.preflight import preflight
from tests.codecs.published_layouts import lic_tcm, public_elic, state, zoo_cheng

from cfm.codecs.learned.architecture import Architecture, build_model
from cfm.codecs.learned.recognition import recognise_family
from cfm.codecs.learned.training import initial_model
from cfm.codecs.learned.weights import load_model, read_tensors, save_weights
from cfm.codecs.learned.zoo import zoo_address
from cfm.errors import ConfigurationError, DownloadError, WeightsError
from cfm.inspection import describe
from cfm.provenance import sha256_of

SMALL = {
    "cheng2020-attn": Architecture("cheng2020-attn", 8, 12),
    "elic": Architecture("elic", 8, 12),
    "lic-tcm": Architecture("lic-tcm", 8, 40),
}


def parameter_count(shapes):
    return sum(torch.Size(shape).numel() for shape in shapes.values())


def loads_whole(path, family, shapes):
    """The architecture of a file that loads, after a look at what came where."""
    loaded = load_model(path, family=family)
    tensors, _ = read_tensors(path)
    assert sum(parameter.numel() for parameter in loaded.model.parameters()) == parameter_count(shapes)
    for name, parameter in loaded.model.named_parameters():
        assert parameter.flatten()[0] == tensors[name].flatten()[0], name
    assert load_model(path).architecture == loaded.architecture
    return loaded.architecture


@pytest.mark.parametrize(("n", "millions"), [(64, 45.18), (128, 76.57)])
def test_lic_tcm_as_released(tmp_path, n, millions):
    shapes = lic_tcm(n)
    assert round(parameter_count(shapes) / 1e6, 2) == millions
    beside = {"epoch": 3, "loss": torch.tensor(1.5), "optimizer": {"state": {}, "param_groups": [{"lr": 1e-4}]}}
    content = {"state_dict": state(shapes, "module."), **beside}
    torch.save(content, tmp_path / "tcm.pth.tar")
    found = loads_whole(tmp_path / "tcm.pth.tar", "lic-tcm", shapes)
    assert found == Architecture("lic-tcm", n)
    assert (found.latent_channels, len(found.groups), found.hyper_channels, found.gate_channels) == (320, 5, 192, 128)


def test_elic_of_the_public_re_implementation(tmp_path):
    shapes = public_elic()
    torch.save(state(shapes), tmp_path / "elic.pth")
    found = loads_whole(tmp_path / "elic.pth", "elic", shapes)
    assert found == Architecture("elic")
    assert (found.channels, found.groups, found.context_channels) == (192, (16, 16, 32, 64, 192), (224, 128))


@pytest.mark.parametrize(("n", "style"), [(128, "_{}.{}"), (128, "_{}{}"), (192, "{}.{}")])
def test_cheng2020_of_the_zoo_in_all_styles_of_names(tmp_path, n, style):
    shapes = zoo_cheng(n, style)
    torch.save(state(shapes), tmp_path / "cheng.pth.tar")
    assert loads_whole(tmp_path / "cheng.pth.tar", "cheng2020-attn", shapes) == Architecture("cheng2020-attn", n)


@pytest.mark.parametrize("metric", ["mse", "ms-ssim"])
def test_the_zoo_has_six_qualities_with_digits(metric):
    addresses = [zoo_address("cheng2020-attn", metric, quality) for quality in range(1, 7)]
    assert all(address.url.endswith(f"-{address.sha256}.pth.tar") for address in addresses)
    assert all(f"_attn-{metric}-{quality}-" in address.url for quality, address in enumerate(addresses, 1))
    assert len({address.sha256 for address in addresses}) == 6
    for wrong in (("cheng2020-attn", metric, 7), ("elic", metric, 1), ("cheng2020-attn", "psnr", 1)):
        with pytest.raises(ConfigurationError, match="zoo"):
            zoo_address(*wrong)


@pytest.mark.parametrize("family", SMALL)
def test_sizes_are_read_from_shapes(tmp_path, family):
    model = initial_model(SMALL[family], 1, None)
    model.update()
    torch.save({"state_dict": model.state_dict()}, tmp_path / "small.pt")
    loaded = load_model(tmp_path / "small.pt", family=family)
    assert loaded.architecture == SMALL[family]
    assert loaded.digest.hex() == sha256_of(tmp_path / "small.pt")[:8]
    for (name, value), other in zip(model.named_parameters(), loaded.model.parameters(), strict=True):
        assert torch.equal(value, other), name
    started = initial_model(SMALL[family], 2, tmp_path / "small.pt")
    assert all(torch.equal(*pair) for pair in zip(model.parameters(), started.parameters(), strict=True))


def one_line(path, family, *words, sha256=None):
    with pytest.raises(WeightsError) as caught:
        load_model(path, family=family, sha256=sha256)
    message = str(caught.value)
    assert "\n" not in message
    assert "weights_only" not in message
    assert all(word in message for word in (path.name, *words)), message


class RunsCode:
    """A pickle that would write a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.fixture(scope="module")
def tcm(tmp_path_factory):
    """A small LIC-TCM's state dictionary, and its file."""
    path = tmp_path_factory.mktemp("tcm") / "good.pth"
    tensors = {f"module.{name}": value for name, value in build_model(SMALL["lic-tcm"]).state_dict().items()}
    torch.save({"state_dict": tensors}, path)
    return tensors, path


@pytest.mark.parametrize("cut", [0, 10, 5000, -2000, -100])
def test_truncated_files(tmp_path, tcm, cut):
    path = tmp_path / "cut.pth"
    path.write_bytes(tcm[1].read_bytes()[:cut])
    one_line(path, "lic-tcm", "not a whole torch file", "fetch")
    (tmp_path / "cut.safetensors").write_bytes(tcm[1].read_bytes()[:cut])
    one_line(tmp_path / "cut.safetensors", "lic-tcm", "safetensors")


def test_files_that_are_something_else(tmp_path):
    for name, content in {"page.pth": b"<html>404</html>", "text.pt": b"hello world", "x.tar": bytes(2048)}.items():
        (tmp_path / name).write_bytes(content)
        one_line(tmp_path / name, "elic", "not a whole torch file")


@pytest.mark.parametrize("beside", [False, True])
def test_code_in_a_pickle_does_not_run(tmp_path, tcm, beside):
    code = RunsCode(tmp_path / "ran")
    torch.save({"state_dict": tcm[0], "arguments": code} if beside else code, tmp_path / "code.pth")
    one_line(tmp_path / "code.pth", "lic-tcm", "could run code", "safetensors")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([torch.zeros(2)], "no dictionary of tensors"),
        ({}, "no tensors"),
        ({"state_dict": {}}, "no tensors"),
        ({"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"lr": 0.1}]}, "no dictionary of tensors"),
        ({0: torch.zeros(2)}, "no dictionary of tensors"),
        ({"conv1.weight": torch.zeros(64, 3, 7, 7)}, "lacks g_a.9.weight"),
        ({"g_a.0.conv1.weight": torch.zeros(2).expand(10**9, 2), "g_a.9.weight": torch.zeros(9)}, "shape"),
        ({"module.a": torch.zeros(1), "a": torch.zeros(1)}, "two tensors"),
    ],
)
def test_other_contents(tmp_path, content, words):
    torch.save(content, tmp_path / "other.pth")
    one_line(tmp_path / "other.pth", "lic-tcm", words)


@pytest.mark.filterwarnings("ignore:Validating sparse")
def test_spoilt_tensors(tmp_path, tcm):
    name = "module.g_a.0.conv1.weight"
    good = tcm[0][name]
    for spoilt, words in (
        (good.fill_(1).div(0), ("g_a.0.conv1.weight", "finite")),
        (good[:, :2], ("g_a.0.conv1.weight", "shape (16, 2, 3, 3)", "(16, 3, 3, 3)")),
        (good[:-1], ("channels", "7")),
        (good.int(), ("plain array of floats",)),
        (good.to_sparse(), ("plain array of floats",)),
        (None, ("lacks g_a.0.conv1.weight",)),
    ):
        rest = {key: value for key, value in tcm[0].items() if key != name}
        torch.save(rest if spoilt is None else rest | {name: spoilt}, tmp_path / "spoilt.pth")
        one_line(tmp_path / "spoilt.pth", "lic-tcm", *words)
    torch.save(tcm[0] | {"more.weight": good}, tmp_path / "more.pth")
    one_line(tmp_path / "more.pth", "lic-tcm", "unknown more.weight")


def test_other_families_and_checksums(tmp_path, tcm):
    one_line(tcm[1], "elic", "weights of lic-tcm, not of elic")
    one_line(tcm[1], "lic-tcm", "checksum", sha256="0" * 64)
    save_weights(tmp_path / "own.safetensors", build_model(SMALL["elic"]), SMALL["elic"])
    one_line(tmp_path / "own.safetensors", "cheng2020-attn", "weights of elic, not of cheng2020-attn")
    torch.save({"conv1.weight": torch.zeros(64, 3, 7, 7)}, tmp_path / "resnet.pth")
    with pytest.raises(WeightsError, match=r"resnet\.pth: not weights of cheng2020-attn, elic, lic-tcm"):
        load_model(tmp_path / "resnet.pth")
    assert recognise_family(read_tensors(tmp_path / "resnet.pth")[0]) is None


def test_a_checkpoint_is_inspected(tmp_path, tcm):
    lines = describe(tcm[1])
    assert f"  sha256: {sha256_of(tcm[1])}" in lines
    assert "  family: lic-tcm" in lines
    assert "  sizes: N 8, M 40" in lines
    assert f"  parameters: {sum(p.numel() for p in build_model(SMALL['lic-tcm']).parameters())}" in lines
    torch.save({"conv1.weight": torch.zeros(64, 3, 7, 7)}, tmp_path / "resnet.pth")
    assert "no learned codec" in describe(tmp_path / "resnet.pth")[-1]
    torch.save(tcm[0] | {"more.weight": torch.zeros(2)}, tmp_path / "more.pt")
    assert describe(tmp_path / "more.pt")[-1].startswith("  does not load: has an unknown more.weight")


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder and counts its answers."""

    asked = 0

    def do_GET(self):
        type(self).asked += 1
        super().do_GET()

    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path):
    handler = type("Counting", (Quiet,), {})
    (tmp_path / "served").mkdir()
    http = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=tmp_path / "served"))
    threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
    handler.url = f"http://127.0.0.1:{http.server_port}"
    yield handler
    http.shutdown()
    http.server_close()


def test_a_checkpoint_is_fetched_once_for_all_runs(tmp_path, tcm, server):
    (tmp_path / "served/tcm.pth.tar").write_bytes(tcm[1].read_bytes())
    source = {"family": "lic-tcm", "url": f"{server.url}/tcm.pth.tar", "sha256": sha256_of(tcm[1])}
    for run in ("first", "second"):
        made = tmp_path / run / "lic-tcm-0123.pth"
        fetch_checkpoint(source, tmp_path / "kept", made)
        assert made.read_bytes() == tcm[1].read_bytes()
    assert server.asked == 1


def test_what_is_fetched_must_be_what_was_named(tmp_path, tcm, server):
    (tmp_path / "served/tcm.pth").write_bytes(tcm[1].read_bytes())
    made = tmp_path / "run" / "a.pth"
    source = {"family": "lic-tcm", "url": f"{server.url}/tcm.pth", "sha256": "0" * 64}
    with pytest.raises(DownloadError, match=r"sha256 .* where 0000"):
        fetch_checkpoint(source, tmp_path / "kept", made)
    with pytest.raises(WeightsError, match=r"of lic-tcm, not of elic.*\(fetched from http://127"):
        fetch_checkpoint(source | {"family": "elic", "sha256": sha256_of(tcm[1])}, tmp_path / "kept", made)
    assert not made.exists()


def test_the_zoo_is_checked_by_the_digits_in_its_names(tmp_path, server, monkeypatch):
    torch.save(state(zoo_cheng(128, "_{}.{}")), tmp_path / "served/weights")
    digits = hashlib.sha256((tmp_path / "served/weights").read_bytes()).hexdigest()[:8]
    name = f"cheng2020_attn-mse-2-{digits}.pth.tar"
    (tmp_path / "served/weights").rename(tmp_path / "served" / name)
    table = {"cheng2020-attn": {"mse": {2: f"{server.url}/{name}", 3: f"{server.url}/{name}".replace(digits, "0" * 8)}}}
    monkeypatch.setattr("cfm.codecs.learned.zoo.model_urls", table)
    (tmp_path / "served" / name.replace(digits, "0" * 8)).write_bytes((tmp_path / "served" / name).read_bytes())
    source = {"family": "cheng2020-attn", "zoo": "mse", "quality": 2}
    fetch_checkpoint(source, tmp_path / "kept", tmp_path / "made.pth")
    assert load_model(tmp_path / "made.pth").architecture.channels == 128
    with pytest.raises(DownloadError, match="where 00000000 is published"):
        fetch_checkpoint(source | {"quality": 3}, tmp_path / "kept", tmp_path / "other.pth")


def test_preflight_compares_checksums_and_loads_what_trainings_start_from(tcm):
    nothing = {"networks": [], "learned": [], "standard": [], "classes": None}
    good = ["image_coding.codecs.lic-tcm.models.checkpoints.0.path", str(tcm[1]), sha256_of(tcm[1])]
    initial = {"path": str(tcm[1]), "architecture": SMALL["lic-tcm"].as_dict()}
    preflight(**nothing, checkpoints=[good], initials=[initial])
    with pytest.raises(WeightsError, match=r"good\.pth: its SHA-256 is .*checkpoints\.0\.path"):
        preflight(**nothing, checkpoints=[[*good[:2], "0" * 64]], initials=[])
    other = initial | {"architecture": Architecture("lic-tcm", 16, 40).as_dict()}
    with pytest.raises(WeightsError, match="correct the path or the configured channels"):
        preflight(**nothing, checkpoints=[], initials=[other])
