"""Which form of the network's small matrix suffices, and what it is mixed with: `make bench-matrix`.

The static matrix of 4x4 blocks as it is, as low rank plus diagonal, and as its diagonal in the transform's domain; and
`idse` with a base that has a share of the squared error. BD-rates by the true feature distance, on training pictures
that lie beside the checkout, apart from those that calibrate, with the standard error of a jackknife over the pictures.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from tests.benchmarks.figures import Figure, at_most, report
from tests.benchmarks.own_encoder import HEIGHT, WIDTH

from cfm.codecs.distortion import Distortion
from cfm.codecs.external.decoding import decode_annex_b
from cfm.codecs.picture import Picture
from cfm.data.colour import rgb_to_yuv420
from cfm.data.differentiable_colour import planes_to_rgb
from cfm.data.images import read_rgb
from cfm.evaluation.bd_rate import compare
from cfm.progress import Progress
from cfm.sensitivity.calibration import Calibration, calibrate
from cfm.sensitivity.gauss_newton import low_rank
from cfm.sensitivity.jacobian import feature_distance, probe_generator, sketch_picture
from cfm.sensitivity.schemes import Mixing, scheme_distortion, static_frequency
from cfm.sensitivity.sketch import Sketch
from cfm.tasks.contract import TaskNetwork
from cfm.tasks.loading import load_network

COMMAND = "make bench-matrix"
PICTURES, CALIBRATING, PROBES = Path("../shared/coco-mini/train2017"), 40, 2
NETWORK = "../shared/nanodet/nanodet.py:network"
MEASURED = {"avc": 16, "hevc": 8}  # pictures
QPS = (34, 39, 44, 49)
DECODERS = {"avc": "h264", "hevc": "hevc"}
RANKS = (1, 2, 6, 16)
DIAGONAL, SHARED = "static, diagonal of the transform", "idse, a fifth of its base the squared error"
PLAIN_SHARE = 0.2  # of the squared error in the base of METHODS §1


class Known(NamedTuple):
    """What a form may look at."""

    calibration: Calibration
    sketch: Sketch
    size: tuple[int, int]


class Points(NamedTuple):
    """Bits and feature distances (pictures, QPs), and seconds a picture."""

    bits: np.ndarray
    distances: np.ndarray
    encode_s: float


def of_rank(rank: int) -> Callable[[Known], Distortion]:
    """The static matrix as so many rows and a diagonal of samples."""

    def form(known: Known) -> Distortion:
        calibration = known.calibration
        factors, samples = zip(
            *(low_rank(matrix, rank) for matrix in calibration.matrices4 / calibration.weights[0]), strict=True
        )
        data = {"factors": np.stack(factors), "samples": np.stack(samples)}
        return Distortion(*known.size, sse=np.zeros(3), plain=calibration.chroma, weighs_chroma=True, **data)

    return form


def idse_with_plain_share(known: Known) -> Distortion:
    """`idse` whose base is 0.8 G_s + 0.2 of the mean weight of each plane in all frequencies."""
    tau = Mixing().tau
    made = scheme_distortion("idse", *known.size, known.calibration, known.sketch)
    static = static_frequency(known.calibration)
    even = np.broadcast_to(static.mean(1, keepdims=True), static.shape)
    change = PLAIN_SHARE * (even - static) * tau / (1 + tau)
    return Distortion(
        *known.size,
        sse=np.zeros(3),
        plain=known.calibration.chroma,
        weighs_chroma=True,
        frequency=made.frequency + change[:, None, None],
    )


FORMS: dict[str, Callable[[Known], Distortion | None]] = {
    "sse": lambda known: None,
    DIAGONAL: lambda known: scheme_distortion("static", *known.size, known.calibration),
    **{f"static, rank {rank} and a diagonal of samples": of_rank(rank) for rank in RANKS},
    "idse": lambda known: scheme_distortion("idse", *known.size, known.calibration, known.sketch),
    SHARED: idse_with_plain_share,
}


def measure(
    codec: str, form: Callable[[Known], Distortion | None], network: TaskNetwork, pairs: Sequence[tuple[Picture, Known]]
) -> Points:
    """Code pictures under a form at all QPs."""
    encode = import_module(f"cfm.codecs.{codec}.encoder").encode_picture
    bits, distances, times = np.zeros((len(pairs), len(QPS))), np.zeros((len(pairs), len(QPS))), []
    for row, (picture, known) in enumerate(pairs):
        data, reference = form(known), features(network, picture.planes)
        offset = known.calibration.chroma_qp_offset if data is not None else 0
        for column, qp in enumerate(QPS):
            start = time.perf_counter()
            stream = encode(picture, qp, data, chroma_offset=offset).stream
            times.append(time.perf_counter() - start)
            bits[row, column] = 8 * len(stream)
            shown = features(network, decode_annex_b(stream, DECODERS[codec], "yuv420p"))
            distances[row, column] = feature_distance(shown, reference)
    return Points(bits, distances, float(np.mean(times)))


def features(network: TaskNetwork, planes: Sequence[np.ndarray]) -> list[torch.Tensor]:
    """The network's pyramid at some planes."""
    with torch.no_grad():
        tensors = [torch.from_numpy(plane.astype(np.float32)) for plane in planes]
        return network.features(network.prepare(planes_to_rgb(*tensors)))


def bd_rate(anchor: Points, test: Points, kept: np.ndarray) -> float:
    """BD-rate, percent, of the pictures that are kept, together."""
    curves = [(points.bits[kept].sum(0), -10 * np.log10(points.distances[kept].mean(0))) for points in (anchor, test)]
    return compare(*curves[0], *curves[1]).bd_rate_percent


def figures_of(codec: str, network: TaskNetwork, pairs: Sequence[tuple[Picture, Known]]) -> list[Figure]:
    """BD-rates of every form against the squared error, and of forms of the matrix against its diagonal; times."""
    progress, measured = Progress(len(FORMS), "forms", f"{codec}: forms of the matrix"), {}
    for name, form in FORMS.items():
        measured[name] = measure(codec, form, network, pairs)
        progress.step()
    figures, plain = [], measured["sse"]
    for name, points in measured.items():
        if name == "sse":
            continue
        figures += compared(f"{codec}, {name}: BD-rate by feature distance", plain, points)
        if name.startswith("static, rank"):
            figures += compared("  against the diagonal", measured[DIAGONAL], points)
        if name == SHARED:
            figures += compared("  against idse", measured["idse"], points)
        figures.append(at_most("  search over sse", points.encode_s / plain.encode_s, "ratio", None, COMMAND))
    return figures


def compared(name: str, anchor: Points, test: Points) -> list[Figure]:
    """BD-rate over all pictures and its standard error, by leaving out one picture after the other."""
    count = len(anchor.bits)
    parts = [bd_rate(anchor, test, np.arange(count) != left_out) for left_out in range(count)]
    error = ((count - 1) / count * np.square(np.array(parts) - np.mean(parts)).sum()) ** 0.5
    return [
        at_most(name, bd_rate(anchor, test, np.ones(count, bool)), "%", None, COMMAND),
        at_most("  standard error", error, "%", None, COMMAND),
    ]


def main() -> None:
    """Calibrate, measure and report."""
    torch.set_num_threads(1)
    if not PICTURES.is_dir():
        sys.exit(f"error: {PICTURES}: no such folder; put the validation data beside the checkout")
    network = load_network(NETWORK)
    read = (rgb_to_yuv420(read_rgb(path)) for path in sorted(PICTURES.glob("*.jpg")))
    chosen = [picture for picture in read if (picture.height, picture.width) == (HEIGHT, WIDTH)]
    sketches = [
        sketch_picture(network, picture, index, PROBES, probe_generator(0, index))
        for index, picture in enumerate(chosen[: CALIBRATING + max(MEASURED.values())])
    ]
    calibration = calibrate(sketches[:CALIBRATING])
    pairs = [
        (picture, Known(calibration, sketch, (HEIGHT, WIDTH)))
        for picture, sketch in list(zip(chosen, sketches, strict=False))[CALIBRATING:]
    ]
    figures = []
    for codec, count in MEASURED.items():
        figures += figures_of(codec, network, pairs[:count])
    report("matrix", figures)


if __name__ == "__main__":
    main()
