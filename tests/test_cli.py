"""The command line: what it prints, and one line for what a user gets wrong."""

from pathlib import Path

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


@pytest.mark.parametrize(("codec", "option"), [("avc", ["--entropy", "cavlc"]), ("hevc", ["--ctu", "16"])])
def test_a_picture_is_coded_decoded_and_inspected(codec, option, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    y, x = np.indices((37, 51))
    Image.fromarray(np.stack([3 * y, 2 * x, y + x], -1).astype(np.uint8)).save("a.png")
    encode = ["encode", "--codec", codec, "--qp", 20]
    status, out, _ = run(monkeypatch, capsys, *encode, "a.png", "-o", "a.bin")
    assert status == 0
    size_bytes = (tmp_path / "a.bin").stat().st_size
    assert f"{codec}, 51x37, {size_bytes} bytes, {8 * size_bytes / (37 * 51):.4f} bpp" in out
    assert run(monkeypatch, capsys, "decode", "a.bin", "-o", "b.png")[0] == 0
    error = np.asarray(Image.open("b.png"), float) - np.asarray(Image.open("a.png"), float)
    assert error.shape == (37, 51, 3)
    assert np.sqrt(np.square(error).mean()) < 6
    assert f"{codec}, Annex B" in run(monkeypatch, capsys, "inspect", "a.bin")[1]
    # Planes that go through y4m are not converted, and options reach the encoder.
    assert run(monkeypatch, capsys, "decode", "a.bin", "-o", "c.y4m")[0] == 0
    assert run(monkeypatch, capsys, *encode, "c.y4m", "-o", "c.bin")[0] == 0
    assert run(monkeypatch, capsys, *encode, "c.y4m", "-o", "d.bin", *option)[0] == 0
    assert (tmp_path / "c.bin").read_bytes() != (tmp_path / "d.bin").read_bytes()
    assert run(monkeypatch, capsys, "decode", "d.bin", "-o", "d.y4m")[0] == 0
    assert (tmp_path / "d.y4m").stat().st_size == (tmp_path / "c.y4m").stat().st_size


def test_a_sketch_guides_the_encoder(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plugin.py").write_text(PLUGIN)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)).save("a.png")
    assert run(monkeypatch, capsys, "sketch", "a.png", "--network", "plugin.py:network", "-o", "a.npz")[0] == 0
    plain, guided = ["encode", "a.png", "--qp", 40, "-o"], ["--rdo", "idse", "--sketch", "a.npz", "--delta-qp=-2,0,2"]
    assert run(monkeypatch, capsys, *plain, "a.264")[0] == 0
    assert run(monkeypatch, capsys, *plain, "b.264", *guided)[0] == 0
    assert (tmp_path / "a.264").read_bytes() != (tmp_path / "b.264").read_bytes()
    Image.new("RGB", (48, 48)).save("larger.png")
    status, _, error = run(monkeypatch, capsys, "encode", "larger.png", "--qp", 40, "-o", "c.264", *guided)
    assert status == 1
    assert "48x32" in error
    Image.new("RGB", (48, 32)).save("other.png")
    status, _, error = run(monkeypatch, capsys, "encode", "other.png", "--qp", 40, "-o", "c.264", *guided)
    assert (status, "another picture" in error) == (1, True)
    assert not (tmp_path / "c.264").exists()


def test_a_scheme_is_calibrated_sketched_and_coded(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plugin.py").write_text(PLUGIN)
    rng = np.random.default_rng(0)
    for number in range(3):
        Path("train").mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (32, 48, 3), dtype=np.uint8)).save(f"train/{number}.png")
    network = ["--network", "plugin.py:network"]
    assert run(monkeypatch, capsys, "calibrate", "train", *network, "--pictures", "3", "-o", "cal.npz")[0] == 0
    status, out, _ = run(monkeypatch, capsys, "inspect", "cal.npz")
    assert (status, "3 pictures" in out, "chroma QP offset" in out) == (0, True, True)
    scheme = ["sketch", "train/0.png", *network, "--scheme", "idse", "-o", "d.npz"]
    status, out, _ = run(monkeypatch, capsys, *scheme, "--calibration", "cal.npz")
    assert (status, "--chroma-qp-offset=" in out) == (0, True)
    options = ["--rdo", "idse", "--sketch", "d.npz", out.split()[-1]]
    assert run(monkeypatch, capsys, "encode", "train/0.png", "--qp", 40, "-o", "a.264", *options)[0] == 0
    assert run(monkeypatch, capsys, "encode", "train/0.png", "--qp", 40, "-o", "b.264")[0] == 0
    assert Path("a.264").read_bytes() != Path("b.264").read_bytes()
    status, _, error = run(monkeypatch, capsys, *scheme)
    assert (status, "needs a calibration" in error) == (1, True)
    status, _, error = run(monkeypatch, capsys, "calibrate", "train", *network, "--pictures", "4", "-o", "cal.npz")
    assert (status, "lower --pictures" in error) == (1, True)
    encode = ["encode", "train/0.png", "--qp", 40, "-o", "c.264", *options, "--tau", 1]
    status, _, error = run(monkeypatch, capsys, *encode)
    assert (status, "mixed already" in error) == (1, True)
    made = {Path("d.npz").read_bytes()}
    for option in (["--tau", 9], ["--normalise", "picture"], ["--probes", 5]):
        assert run(monkeypatch, capsys, *scheme, "--calibration", "cal.npz", *option)[0] == 0
        made.add(Path("d.npz").read_bytes())
    assert len(made) == 4
    status, _, error = run(monkeypatch, capsys, *scheme, "--calibration", "cal.npz", "--objectness")
    assert (status, "idse_objectness" in error) == (2, True)
    status, _, error = run(monkeypatch, capsys, *scheme[:4], "-o", "d.npz", "--tau", 1)
    assert (status, "--scheme" in error) == (2, True)
    status, _, error = run(monkeypatch, capsys, "calibrate", "absent", *network, "-o", "cal.npz")
    assert (status, "absent: no such folder" in error) == (1, True)
    (tmp_path / "plugin.py").write_text(PLUGIN + "\n# another network\n")
    status, _, error = run(monkeypatch, capsys, *scheme, "--calibration", "cal.npz")
    assert (status, "digests differ" in error) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["encode", "a.png", "--qp", "52", "-o", "a.264"], 2, "52"),
        (["encode", "a.png", "--qp", "30", "-o", "a.264"], 1, "a.png"),
        (["encode", "a.png", "--qp", "30", "--rdo", "idse", "-o", "a.264"], 2, "--sketch"),
        (["encode", "a.png", "--qp", "30", "--delta-qp", "a", "-o", "a.264"], 2, "whole numbers"),
        (["encode", "a.png", "--qp", "30", "--codec", "hevc", "--entropy", "cavlc", "-o", "a.265"], 2, "--entropy"),
        (["encode", "a.png", "--qp", "30", "--ctu", "16", "-o", "a.264"], 2, "--ctu"),
        (["encode", "a.png", "--qp", "30", "--codec", "hevc", "--ctu", "8", "-o", "a.265"], 2, "--ctu"),
        (["decode", "none.264", "-o", "a.png"], 1, "none.264"),
    ],
)
def test_bad_use_of_the_encoder(arguments, status, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    found, _, error = run(monkeypatch, capsys, *arguments)
    assert found == status
    assert words in error
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_stream_is_one_line_and_no_picture(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (32, 32), "red").save("a.png")
    assert run(monkeypatch, capsys, "encode", "a.png", "-o", "a.264", "--qp", 30)[0] == 0
    stream = bytearray((tmp_path / "a.264").read_bytes())
    stream[40] ^= 4
    (tmp_path / "a.264").write_bytes(stream)
    status, _, error = run(monkeypatch, capsys, "decode", "a.264", "-o", "b.png")
    assert status == 1
    assert error.startswith("error: a.264: ")
    assert not (tmp_path / "b.png").exists()
