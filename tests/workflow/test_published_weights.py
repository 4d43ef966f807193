"""Published weights in the workflow: what is planned, and what is found out before a long stage."""

import hashlib
import http.server
import threading
from functools import partial

import pytest
import torch
import yaml

from cfm.codecs.learned.architecture import Architecture
from cfm.codecs.learned.training import initial_model
from cfm.codecs.learned.weights import load_model

ARCHITECTURE = Architecture("cheng2020-attn", 16, 24)


def configured(checkout, models, **sections):
    """The tiny configuration of the image coding study with other models, in the checkout."""
    values = yaml.safe_load((checkout.folder / "tests/config/tiny.yaml").read_text(encoding="utf-8"))
    del values["distillation"], values["feature_coding"]
    values["image_coding"]["codecs"]["cheng2020-attn"]["models"] = models
    (checkout.folder / "published.yaml").write_text(yaml.safe_dump(values | sections), encoding="utf-8")
    return "published.yaml"


@pytest.fixture
def weights(checkout):
    """A checkpoint of two small networks each, and their checksums."""
    (checkout.folder / "served").mkdir()
    digests = []
    for point in range(2):
        path = checkout.folder / f"served/{point}.pth"
        torch.save({"state_dict": initial_model(ARCHITECTURE, point, None).state_dict()}, path)
        digests.append(hashlib.sha256(path.read_bytes()).hexdigest())
    return digests


@pytest.fixture
def address(checkout, weights):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=checkout.folder / "served"))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_the_zoo_is_fetched_where_a_stage_needs_it(checkout):
    configuration = configured(checkout, {"zoo": "mse"})
    assert "fetch_checkpoint" in checkout.pending(configuration=configuration)
    streams = "results/tiny/image_coding/streams/cheng2020-attn/sse/1/0000.zip"
    done = checkout.run("--dry-run", streams, configuration=configuration)
    assert "results/tiny/models/checkpoints/cheng2020-attn-mse-2.pth" in done.stdout + done.stderr
    assert "cheng2020-attn-mse-1.pth" not in done.stdout + done.stderr
    assert "fetch_checkpoint" not in checkout.pending(
        streams.replace("cheng2020-attn/sse/1", "x264/sse/33"), configuration=configuration
    )


def test_addresses_and_files_are_coded_with_and_distilled(checkout, weights, address):
    checkpoints = [
        {"url": f"{address}/0.pth", "sha256": weights[0]},
        {"path": "served/1.pth", "sha256": weights[1]},
    ]
    distillation = {
        "tasks": ["detection"],
        "weightings": ["none"],
        "lagrangians": [0.5, 1.0],
        "folder": "train",
        "train": {"iterations": 1, "batch": 1},
    }
    configuration = configured(checkout, {"checkpoints": checkpoints}, distillation=distillation)
    files = [
        "results/tiny/image_coding/streams/cheng2020-attn/sse/1/0000.zip",
        "results/tiny/models/distillation/none/0.safetensors",
    ]
    done = checkout.run(*files, configuration=configuration)
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    made = checkout.folder / f"results/tiny/models/checkpoints/cheng2020-attn-{weights[0][:12]}.pth"
    assert made.read_bytes() == (checkout.folder / "served/0.pth").read_bytes()
    assert load_model(checkout.folder / files[1]).architecture == ARCHITECTURE
    assert not checkout.pending(*files, configuration=configuration)


@pytest.mark.parametrize("damage", ["absent", "checksum", "family"])
def test_a_file_that_is_not_what_it_should_be(checkout, weights, damage):
    if damage == "family":
        other = initial_model(Architecture("elic", 8, 12), 0, None)
        torch.save(other.state_dict(), checkout.folder / "served/1.pth")
        weights[1] = hashlib.sha256((checkout.folder / "served/1.pth").read_bytes()).hexdigest()
    digests = [weights[0], "0" * 64 if damage == "checksum" else weights[1]]
    names = ["served/0.pth", "absent.pth" if damage == "absent" else "served/1.pth"]
    checkpoints = [{"path": name, "sha256": digest} for name, digest in zip(names, digests, strict=True)]
    done = checkout.run(configuration=configured(checkout, {"checkpoints": checkpoints}))
    text = done.stdout + done.stderr
    (line,) = [line for line in text.splitlines() if line.startswith("error: ")]
    assert names[1] in line
    assert ("weights of elic" if damage == "family" else "codecs.cheng2020-attn.models.checkpoints.1.path") in line
    assert not list((checkout.folder / "results").rglob("*.parquet"))
