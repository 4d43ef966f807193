"""The command line: what it prints, and one line for what a user gets wrong."""

import numpy as np
import pytest
from PIL import Image

from cfm.cli import main
from cfm.codecs.container import ExternalStream, write_external
from cfm.codecs.pack import PackWriter

PLUGIN = """
import torch

class Network:
    name, task, strides = "tiny", "detection", (4,)

    def prepare(self, image):
        return image[None]

    def features(self, prepared):
        return [torch.nn.functional.avg_pool2d(prepared, 4)]

    def predict(self, features, prepared):
        return {}

    def task_losses(self, features, reference, prepared):
        return {}

    def objectness(self, features):
        return [f.mean(1, keepdim=True).clamp(0, 1) for f in features]


def network(device="cpu"):
    return Network()
"""


def run(monkeypatch, capsys, *arguments):
    """Exit status, standard output and standard error of a call."""
    monkeypatch.setattr("sys.argv", ["cfm", *map(str, arguments)])
    status = 0
    try:
        main()
    except SystemExit as stop:
        status = stop.code
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def curve(path, factor):
    rates = [0.1, 0.2, 0.4, 0.8]
    rows = [f"{factor * rate},{quality}" for rate, quality in zip(rates, (0.2, 0.3, 0.38, 0.42), strict=True)]
    path.write_text("rate_bpp,quality\n" + "\n".join(rows) + "\n")
    return path


def test_bd_rate_of_a_scaled_curve_is_the_scale(monkeypatch, capsys, tmp_path):
    status, out, _ = run(monkeypatch, capsys, "bd-rate", curve(tmp_path / "a.csv", 1.0), curve(tmp_path / "b.csv", 0.9))
    assert status == 0
    assert out.startswith("BD-rate -10.00 %")
    assert "overlap 100 %" in out


def test_curves_that_cannot_be_compared_give_a_reason_and_no_number(monkeypatch, capsys, tmp_path):
    (tmp_path / "b.csv").write_text("rate_bpp,quality\n0.1,0.2\n0.2,0.3\n")
    status, out, _ = run(monkeypatch, capsys, "bd-rate", curve(tmp_path / "a.csv", 1.0), tmp_path / "b.csv")
    assert status == 0
    assert out.startswith("not comparable: ")
    assert "%" not in out.split(";")[0]


def test_inspect_tells_what_a_pack_holds(monkeypatch, capsys, tmp_path):
    stream = write_external(ExternalStream("x265", "yuv420", 8, 43, 67, b"payload"))
    with PackWriter(tmp_path / "a.zip") as writer:
        writer.add("000000000007", stream)
    status, out, _ = run(monkeypatch, capsys, "inspect", tmp_path / "a.zip")
    assert status == 0
    assert out.splitlines() == [
        f"a.zip: 1 streams, {len(stream)} bytes",
        f"000000000007: x265, yuv420, 8 bit, 67x43, {len(stream)} bytes",
    ]


def test_a_damaged_stream_is_one_line(monkeypatch, capsys, tmp_path):
    stream = bytearray(write_external(ExternalStream("x265", "yuv420", 8, 43, 67, b"payload")))
    stream[9] ^= 4
    (tmp_path / "a.bin").write_bytes(bytes(stream))
    status, out, err = run(monkeypatch, capsys, "inspect", tmp_path / "a.bin")
    assert (status, out) == (1, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("arguments", [["inspect", "absent.bin"], ["bd-rate", "absent.csv", "absent.csv"]])
def test_an_absent_file_is_named(monkeypatch, capsys, arguments):
    status, _, err = run(monkeypatch, capsys, *arguments)
    assert status == 1
    assert err.startswith("error: absent.")
    assert err.count("\n") == 1


def test_bad_usage_ends_with_status_2(monkeypatch, capsys):
    assert run(monkeypatch, capsys, "bd-rate", "only-one.csv")[0] == 2
    assert run(monkeypatch, capsys, "no-such-command")[0] == 2


def test_a_sketch_is_written_and_inspected(monkeypatch, capsys, tmp_path):
    (tmp_path / "plugin.py").write_text(PLUGIN)
    samples = np.random.default_rng(1).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    Image.fromarray(samples).save(tmp_path / "a.png")
    network = f"{tmp_path / 'plugin.py'}:network"
    arguments = ["sketch", tmp_path / "a.png", "--network", network, "--probes", "3", "-o", tmp_path / "a.npz"]
    assert run(monkeypatch, capsys, *arguments)[0] == 0
    status, out, _ = run(monkeypatch, capsys, "inspect", tmp_path / "a.npz")
    assert status == 0
    assert out.startswith("picture 0: 3 probes of tiny, 32x24")
