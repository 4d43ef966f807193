"""What `make bench` measures of every encoder of ours: rate and distortion against another's, times, memory.

Pictures of 640x480: COCO ones where the validation data lies beside the checkout, else the embedded scenes. Every time
is the median of repetitions in this one process, after the kernels are compiled.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import bjontegaard
import numpy as np
from tests.benchmarks.figures import Figure, at_least, at_most

from cfm.codecs.container import read_external
from cfm.codecs.distortion import Distortion
from cfm.codecs.encoded import EncodedPicture
from cfm.codecs.external.decoding import decode_annex_b
from cfm.codecs.external.standard import StandardCodec
from cfm.codecs.picture import Picture, plane_shapes
from cfm.data.colour import rgb_to_yuv420
from cfm.data.images import read_rgb
from cfm.data.scenes.compose import generate_scene

QPS = (33, 37, 41, 45)
DELTAS = (-2, -1, 0, 1, 2)
HEIGHT, WIDTH = 480, 640
LARGER = ((960, 1280), (1920, 2560), (3000, 4000))
PICTURES, TIMED = 24, 4
REAL = Path("../shared/coco-mini/val2017")


class Setting(NamedTuple):
    """Options of an encoder under a name, and what they should reach; None where they only inform."""

    name: str
    options: Mapping[str, Any]
    target: float | None


class OwnEncoder(NamedTuple):
    """An encoder to measure.

    Attributes
    ----------
    name : str
        Of its package in `cfm.codecs`.
    encode : callable
        Its `encode_picture`.
    anchor : StandardCodec
        What it is compared with, which makes streams of the same standard.
    command : str
        What measures it again.
    """

    name: str
    encode: Callable[..., EncodedPicture]
    anchor: StandardCodec
    command: str

    def decode(self, stream: bytes) -> list[np.ndarray]:
        """Planes by a decoder that is not ours."""
        return decode_annex_b(stream, self.anchor.decoder, "yuv420p")

    def at_most(self, figure: str, value: float, unit: str, target: float | None) -> Figure:
        """A figure that should not exceed its target."""
        return at_most(figure, value, unit, target, self.command)

    def at_least(self, figure: str, value: float, unit: str, target: float | None) -> Figure:
        """A figure that should not fall below its target."""
        return at_least(figure, value, unit, target, self.command)


def pictures() -> tuple[str, list[Picture]]:
    """What they are, and the pictures."""
    if REAL.is_dir():
        found = (read_rgb(path) for path in sorted(REAL.glob("*.jpg")))
        return "COCO", [rgb_to_yuv420(rgb) for rgb in found if rgb.shape[:2] == (HEIGHT, WIDTH)][:PICTURES]
    scenes = (generate_scene(1, "val2017", index, WIDTH, HEIGHT) for index in range(PICTURES))
    return "scenes", [rgb_to_yuv420(scene.image) for scene in scenes]


def psnr_db(picture: Picture, planes: Sequence[np.ndarray]) -> float:
    """(6 Y + Cb + Cr) / 8."""
    errors = (np.square(a.astype(float) - b).mean() for a, b in zip(picture.planes, planes, strict=True))
    values = [10 * np.log10(255**2 / max(error, 1e-6)) for error in errors]
    return (6 * values[0] + values[1] + values[2]) / 8


def curve(encoder: OwnEncoder, picture: Picture, encode: Callable[[int], bytes]) -> tuple[list[float], list[float]]:
    """Bits and PSNR at the QPs, of decoded streams."""
    streams = [encode(qp) for qp in QPS]
    return [8 * len(stream) for stream in streams], [psnr_db(picture, encoder.decode(stream)) for stream in streams]


def rate_distortion(
    encoder: OwnEncoder, settings: Sequence[Setting], kind: str, chosen: Sequence[Picture]
) -> list[Figure]:
    """BD-rate against the anchor, mean and standard error over pictures."""
    anchors = [
        curve(encoder, picture, lambda qp, p=picture: read_external(encoder.anchor.encode(p, qp)).payload)
        for picture in chosen
    ]
    figures = []
    for name, options, target in settings:
        rates = []
        for picture, anchor in zip(chosen, anchors, strict=True):
            test = curve(encoder, picture, lambda qp, p=picture, o=options: encoder.encode(p, qp, **o).stream)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                rates.append(bjontegaard.bd_rate(*anchor, *test, method="akima"))
        title = f"BD-rate against {encoder.anchor.name}, {name}, {kind}"
        figures.append(encoder.at_most(title, np.mean(rates), "%", target))
        error = np.std(rates, ddof=1) / len(rates) ** 0.5
        figures.append(encoder.at_most(f"  its standard error over {len(rates)} pictures", error, "%", None))
    return figures


def seconds(work: Callable[[], object], repetitions: int = 3) -> float:
    """Median wall-clock time."""
    times = []
    for _ in range(repetitions):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def distortions() -> dict[str, Distortion]:
    """Data of the sizes that the targets name."""
    rng = np.random.default_rng(0)
    share = {"sse": np.full(3, 0.3), "weights": rng.uniform(0.5, 2, (3, HEIGHT // 16, WIDTH // 16))}
    shapes = plane_shapes("yuv420", HEIGHT, WIDTH)
    return {
        "weights and a diagonal": Distortion(HEIGHT, WIDTH, **share, frequency=rng.uniform(0.2, 1.5, (3, 16))),
        "a rank-6 matrix": Distortion(
            HEIGHT, WIDTH, **share, samples=np.full((3, 16), 0.2), factors=rng.normal(0, 0.3, (3, 6, 16))
        ),
        "16 sketches": Distortion(
            HEIGHT,
            WIDTH,
            sse=np.full(3, 0.3),
            sketches=tuple(rng.normal(0, 0.25, (16, *shape)).astype(np.float32) for shape in shapes),
        ),
    }


def times(
    encoder: OwnEncoder, settings: Sequence[Setting], ratios: Mapping[str, float | None], chosen: Sequence[Picture]
) -> list[Figure]:
    """Seconds a picture by setting, of which the first is plain, and ratios to it by the name of a distortion."""
    few = chosen[:TIMED]

    def a_picture(**options: object) -> float:
        work = seconds(lambda: [encoder.encode(picture, qp, **options) for picture in few for qp in QPS])
        return work / (len(few) * len(QPS))

    measured = [a_picture(**options) for _, options, _ in settings]
    figures = [
        encoder.at_most(f"time a picture, {name}", value, "s", target)
        for (name, _, target), value in zip(settings, measured, strict=True)
    ]
    for name, data in distortions().items():
        ratio = a_picture(distortion=data) / measured[0]
        figures.append(
            encoder.at_most(f"time with {name} over that with the squared error", ratio, "ratio", ratios[name])
        )
    return figures


def threads(encoder: OwnEncoder, target: float | None, chosen: Sequence[Picture]) -> Figure:
    """How much faster two threads are than one."""

    def in_threads() -> None:
        started = [threading.Thread(target=encoder.encode, args=(picture, 37)) for picture in chosen[:2]]
        for thread in started:
            thread.start()
        for thread in started:
            thread.join()

    ratio = seconds(lambda: [encoder.encode(picture, 37) for picture in chosen[:2]]) / seconds(in_threads)
    return encoder.at_least("two threads, pictures a second over one thread", ratio, "ratio", target)


def memory(encoder: OwnEncoder, target_mib: float) -> list[Figure]:
    """Peak memory of processes that encode a picture each, of the size that has a target and of larger ones."""
    title = f"memory of a process, {WIDTH}x{HEIGHT}"
    figures = [encoder.at_most(title, memory_mib(encoder.name, HEIGHT, WIDTH), "MiB", target_mib)]
    for height, width in LARGER:
        figures.append(encoder.at_most(f"  {width}x{height}", memory_mib(encoder.name, height, width), "MiB", None))
    return figures


def memory_mib(name: str, height: int, width: int) -> float:
    """Peak resident memory of a process that encodes a picture, its kernels compiled before."""
    program = (
        "import numpy as np\n"
        f"from cfm.codecs.{name}.encoder import encode_picture\n"
        "from cfm.codecs.picture import Picture\n"
        f"y = (np.add.outer(np.arange({height}), np.arange({width})) % 251).astype(np.uint8)\n"
        "encode_picture(Picture((y, y[::2, ::2].copy(), y[1::2, 1::2].copy()), 'yuv420', 8), 37)\n"
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    return float(done.stdout) / 1024
