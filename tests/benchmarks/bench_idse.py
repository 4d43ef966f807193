"""The image coding study of IDSE: what each scheme is worth, and what it costs. `make bench-idse`.

The curves come from the workflow itself, run with tests/config/idse.yaml (or what the command line names); it goes on
where it was stopped, and the wall time of all its parts is summed up. Times of single steps are medians of repetitions
in this one process. Needs the validation data beside the checkout.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import yaml
from tests.benchmarks.figures import FOLDER, Figure, at_least, at_most, report
from tests.benchmarks.own_encoder import HEIGHT, WIDTH

from cfm.codecs.distortion import Distortion
from cfm.codecs.picture import Picture
from cfm.data.colour import rgb_to_yuv420
from cfm.data.differentiable_colour import planes_to_rgb
from cfm.data.images import read_rgb
from cfm.provenance import atomic_path
from cfm.reporting.tables import read_table
from cfm.sensitivity.calibration import load_calibration
from cfm.sensitivity.gauss_newton import MACROBLOCK, pooled_matrices
from cfm.sensitivity.jacobian import probe_generator, sketch_picture
from cfm.sensitivity.schemes import Mixing, scheme_distortion
from cfm.sensitivity.sketch import Sketch
from cfm.tasks.loading import load_network, network_digest

COMMAND = "make bench-idse"
CONFIGURATION = Path("tests/config/idse.yaml")
CORES, WALL_LIMIT_MIN = 2, 60
NOTED_S = 10  # between two notes of the time that was spent
PICTURES, QPS, REPETITIONS = 4, (33, 41), 5
# By the true feature distance, percent, against each baseline; and the same by AP against `sse`.
FIDELITY_TARGETS = {"avc": {"sse": -22, "sse_chroma": -13, "static": -4}}
FIDELITY_TARGETS["hevc"] = {"sse": -18, "sse_chroma": -11, "static": -4}
AP_TARGET = -20
SEARCH_TARGETS = {"avc": 1.25, "hevc": 1.15}
SKETCH_TARGET_S, TOTAL_TARGET_S = 0.1, 0.2
METRICS = {"fidelity_db": "feature distance", "AP": "AP", "AP_agreement": "AP against the uncompressed detections"}


def run_workflow(configuration: Path, run: str) -> Figure:
    """Run the study, or what is left of it, and tell the wall time of all its parts, those that were broken off too."""
    wall, results = FOLDER / f"{run}_wall.json", Path("results", run)
    wall.parent.mkdir(parents=True, exist_ok=True)
    before_s = json.loads(wall.read_text())["wall_s"] if wall.is_file() and results.is_dir() else 0.0
    start = time.perf_counter()
    command = [sys.executable, "-m", "snakemake", "--nolock", "--cores", str(CORES), "--configfile", str(configuration)]
    process, status = subprocess.Popen(command), None
    try:
        while status is None:
            with suppress(subprocess.TimeoutExpired):
                status = process.wait(timeout=NOTED_S)
            spent_s = before_s + time.perf_counter() - start
            with atomic_path(wall) as temporary:
                temporary.write_text(json.dumps({"wall_s": spent_s}) + "\n", encoding="utf-8")
    finally:
        if status is None:
            process.wait()
    if status:
        raise SystemExit(status)
    return at_most(f"the whole study on {CORES} cores, wall time", spent_s / 60, "min", WALL_LIMIT_MIN, COMMAND)


def rate_figures(table: pd.DataFrame) -> list[Figure]:
    """BD-rates of the schemes of our encoders against their baselines, with the ends of their intervals."""
    figures = []
    for codec, targets in FIDELITY_TARGETS.items():
        for metric, title in METRICS.items():
            for anchor in targets:
                rows = table[(table["metric"] == metric) & (table["anchor"] == f"{codec}/{anchor}")]
                rows = rows[rows["test"].str.startswith(f"{codec}/")]
                best = _best(rows, codec)
                for row in rows.to_dict("records"):
                    scheme = row["test"].split("/")[1]
                    target = _target(metric, anchor, targets) if row["test"] == best else None
                    name = f"{codec} {scheme} against {anchor} by {title}, BD-rate"
                    value = row["bd_rate_percent"] if row["comparable"] else np.nan
                    figures.append(at_most(name, value, "%", target, COMMAND))
                    figures.append(at_most("  from", row["low"], "%", None, COMMAND))
                    # An interval that holds 0 shows nothing.
                    figures.append(at_most("  to", row["high"], "%", None if target is None else 0, COMMAND))
    return figures


def _best(rows: pd.DataFrame, codec: str) -> str | None:
    """The better of `idse` and `idse_objectness` at one QP a picture: either may meet the targets."""
    ours = rows[rows["test"].isin([f"{codec}/idse", f"{codec}/idse_objectness"])]
    return None if ours.empty else ours.sort_values("bd_rate_percent")["test"].iloc[0]


def _target(metric: str, anchor: str, targets: dict[str, float]) -> float | None:
    """The target of a comparison, where it has one."""
    if metric == "fidelity_db":
        return targets[anchor]
    return AP_TARGET if metric == "AP" and anchor == "sse" else None


def rivals(table: pd.DataFrame) -> list[Figure]:
    """BD-rates of all others against x265."""
    rows = table[(table["anchor"] == "x265/sse") & table["metric"].isin(METRICS)]
    return [
        at_most(
            f"{row['test']} against x265 by {METRICS[row['metric']]}, BD-rate",
            row["bd_rate_percent"],
            "%",
            None,
            COMMAND,
        )
        for row in rows.sort_values(["metric", "test"]).to_dict("records")
        if row["comparable"]
    ]


def seconds(work: Callable[[], object]) -> float:
    """Median wall-clock time."""
    times = []
    for _ in range(REPETITIONS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def sketch_times(network: Any, chosen: Sequence[Picture], arguments: dict[str, Any]) -> tuple[list[Figure], float]:
    """Seconds a picture of the sketch of K = 2 and its matrices beyond one forward pass; the figures, and the sum."""

    def forward(picture: Picture) -> None:
        with torch.no_grad():
            planes = [torch.from_numpy(plane.astype(np.float32)) for plane in picture.planes]
            network.features(network.prepare(planes_to_rgb(*planes)))

    def sketched(picture: Picture) -> Sketch:
        return sketch_picture(network, picture, 0, 2, probe_generator(0, 0), network_sha256=network_digest(**arguments))

    made = sketched(chosen[0])
    forward_s = statistics.mean(seconds(lambda p=picture: forward(p)) for picture in chosen)
    sketch_s = statistics.mean(seconds(lambda p=picture: sketched(p)) for picture in chosen)
    matrices_s = seconds(lambda: [pooled_matrices(p, 4, a) for p, a in zip(made.planes, MACROBLOCK, strict=True)])
    beyond_s = sketch_s - forward_s + matrices_s
    return [
        at_most("one forward pass", forward_s, "s", None, COMMAND),
        at_most("sketches and matrices, K = 2, beyond it", beyond_s, "s", SKETCH_TARGET_S, COMMAND),
        at_most("  of which matrices", matrices_s, "s", None, COMMAND),
    ], beyond_s


def search_times(codec: str, pairs: Sequence[tuple[Picture, Distortion]], offset: int, sketch_s: float) -> list[Figure]:
    """Time of the search with `idse` over that with `sse`, and what IDSE adds to a picture in total."""
    encode = import_module(f"cfm.codecs.{codec}.encoder").encode_picture
    encode(pairs[0][0], QPS[0])
    plain, guided = [], []
    for picture, distortion in pairs:
        for qp in QPS:  # one after the other, so that both see the same machine
            plain.append(seconds(lambda p=picture, q=qp: encode(p, q)))
            guided.append(seconds(lambda p=picture, q=qp, d=distortion: encode(p, q, d, chroma_offset=offset)))
    ratio, added_s = sum(guided) / sum(plain), (sum(guided) - sum(plain)) / len(plain) + sketch_s
    return [
        at_most(f"{codec}: search with idse over that with sse", ratio, "ratio", SEARCH_TARGETS[codec], COMMAND),
        at_most(f"{codec}: what idse adds to a picture, sketches and search", added_s, "s", TOTAL_TARGET_S, COMMAND),
    ]


def exactness(codec: str, chosen: Sequence[Picture]) -> list[Figure]:
    """Streams of the scheme `sse` that equal those without any data.

    The same with data that say the squared error by frequency weights, whose sums are rounded otherwise.
    """
    encode = import_module(f"cfm.codecs.{codec}.encoder").encode_picture
    equal = bytes_ = plain_bytes = 0
    for picture in chosen:
        size = (picture.height, picture.width)
        said = Distortion(*size, sse=np.zeros(3), frequency=np.ones((3, 16)))
        for qp in QPS:
            plain = encode(picture, qp).stream
            ways = (scheme_distortion("sse", *size), Distortion(*size))
            equal += all(encode(picture, qp, data).stream == plain for data in ways)
            bytes_, plain_bytes = bytes_ + len(encode(picture, qp, said).stream), plain_bytes + len(plain)
    count = len(chosen) * len(QPS)
    name = f"{codec}: streams of sse that equal those without data, of {count}"
    return [
        at_least(name, equal, "streams", count, COMMAND),
        at_most("  bytes with the squared error as frequency weights", bytes_ / plain_bytes, "ratio", None, COMMAND),
    ]


def main() -> None:
    """Run the study, measure and report."""
    torch.set_num_threads(1)
    configuration = Path(sys.argv[1]) if len(sys.argv) > 1 else CONFIGURATION
    values = yaml.safe_load(configuration.read_text(encoding="utf-8"))
    results = Path("results", values["run"])
    figures = [run_workflow(configuration, values["run"])]
    table = read_table(results / "tables/bd_rate.parquet", "bd_rate")
    figures += [*rate_figures(table), *rivals(table)]
    arguments = {"spec": values["tasks"]["detection"]["network"]}
    network = load_network(**arguments)
    read = (read_rgb(path) for path in sorted(Path(values["data"]["root"], "val2017").glob("*.jpg")))
    chosen = [rgb_to_yuv420(rgb) for rgb in read if rgb.shape[:2] == (HEIGHT, WIDTH)][:PICTURES]
    found, sketch_s = sketch_times(network, chosen, arguments)
    figures += found
    calibration = load_calibration(results / "image_coding/calibration/detection/plain.npz")
    digest = network_digest(**arguments)
    pairs = []
    for index, picture in enumerate(chosen):
        sketch = sketch_picture(network, picture, index, 2, probe_generator(0, index), network_sha256=digest)
        size = (picture.height, picture.width)
        pairs.append((picture, scheme_distortion("idse", *size, calibration, sketch, Mixing())))
    for codec in SEARCH_TARGETS:
        figures += search_times(codec, pairs, calibration.chroma_qp_offset, sketch_s)
        figures += exactness(codec, chosen)
    report("idse", figures)


if __name__ == "__main__":
    main()
