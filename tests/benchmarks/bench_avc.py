"""Our AVC encoder: rate and distortion against x264, times, memory. `make bench-avc`.

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
from pathlib import Path

import bjontegaard
import numpy as np
from tests.benchmarks.figures import Figure, at_least, at_most, report

from cfm.codecs.avc.encoder import encode_picture
from cfm.codecs.container import read_external
from cfm.codecs.distortion import Distortion
from cfm.codecs.external.decoding import decode_annex_b
from cfm.codecs.external.pyav import X264
from cfm.codecs.picture import Picture, plane_shapes
from cfm.data.colour import rgb_to_yuv420
from cfm.data.images import read_rgb
from cfm.data.scenes.compose import generate_scene

COMMAND = "make bench-avc"
QPS = (33, 37, 41, 45)
DELTAS, EFFORT = (-2, -1, 0, 1, 2), 5
SETTINGS = (
    ("one QP", {}, -2.0),
    (f"one QP, effort {EFFORT}", {"effort": EFFORT}, None),
    (f"five delta-QPs, effort {EFFORT}", {"deltas": DELTAS, "effort": EFFORT}, -5.0),
)
HEIGHT, WIDTH = 480, 640
PICTURES = 24
REAL = Path("../shared/coco-mini/val2017")


def pictures() -> tuple[str, list[Picture]]:
    """What they are, and the pictures."""
    if REAL.is_dir():
        found = (read_rgb(path) for path in sorted(REAL.glob("*.jpg")))
        return "COCO", [rgb_to_yuv420(rgb) for rgb in found if rgb.shape[:2] == (HEIGHT, WIDTH)][:PICTURES]
    scenes = (generate_scene(1, "val2017", index, WIDTH, HEIGHT) for index in range(PICTURES))
    return "scenes", [rgb_to_yuv420(scene.image) for scene in scenes]


def psnr_db(picture: Picture, planes) -> float:
    """(6 Y + Cb + Cr) / 8."""
    errors = (np.square(a.astype(float) - b).mean() for a, b in zip(picture.planes, planes, strict=True))
    values = [10 * np.log10(255**2 / max(error, 1e-6)) for error in errors]
    return (6 * values[0] + values[1] + values[2]) / 8


def curve(picture: Picture, encode) -> tuple[list[float], list[float]]:
    """Bits and PSNR at the QPs, of decoded streams."""
    streams = [encode(picture, qp) for qp in QPS]
    decoded = [decode_annex_b(stream, "h264", "yuv420p") for stream in streams]
    return [8 * len(stream) for stream in streams], [psnr_db(picture, planes) for planes in decoded]


def rate_distortion(kind: str, chosen: list[Picture]) -> list[Figure]:
    """BD-rate against x264, mean and standard error over pictures."""
    x264 = X264("veryslow")
    anchors = [curve(picture, lambda p, qp: read_external(x264.encode(p, qp)).payload) for picture in chosen]
    figures = []
    for name, options, target in SETTINGS:
        rates = []
        for picture, anchor in zip(chosen, anchors, strict=True):
            test = curve(picture, lambda p, qp, o=options: encode_picture(p, qp, **o).stream)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                rates.append(bjontegaard.bd_rate(*anchor, *test, method="akima"))
        figures.append(at_most(f"BD-rate against x264, {name}, {kind}", np.mean(rates), "%", target, COMMAND))
        error = np.std(rates, ddof=1) / len(rates) ** 0.5
        figures.append(at_most(f"  its standard error over {len(rates)} pictures", error, "%", None, COMMAND))
    return figures


def seconds(work, repetitions: int = 3) -> float:
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


def times(chosen: list[Picture]) -> list[Figure]:
    """Seconds a picture, and ratios to the squared error."""
    few = chosen[:4]

    def all_of(**options) -> float:
        return seconds(lambda: [encode_picture(picture, qp, **options) for picture in few for qp in QPS]) / (
            len(few) * len(QPS)
        )

    plain = all_of()
    figures = [
        at_most("time a picture, one QP", plain, "s", 0.25, COMMAND),
        at_most(f"time a picture, five delta-QPs, effort {EFFORT}", all_of(**SETTINGS[2][1]), "s", 0.8, COMMAND),
    ]
    limits = {"weights and a diagonal": 1.15, "a rank-6 matrix": 1.4, "16 sketches": 2.2}
    for name, data in distortions().items():
        ratio = all_of(distortion=data) / plain
        figures.append(
            at_most(f"time with {name} over that with the squared error", ratio, "ratio", limits[name], COMMAND)
        )
    single = seconds(lambda: [encode_picture(picture, 37) for picture in few[:2]])
    double = seconds(lambda: in_threads(few[:2]))
    return [
        *figures,
        at_least("two threads, pictures a second over one thread", single / double, "ratio", 1.7, COMMAND),
    ]


def in_threads(few: list[Picture]) -> None:
    """Encode every picture in a thread of its own."""
    threads = [threading.Thread(target=encode_picture, args=(picture, 37)) for picture in few]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def memory_mib(height: int, width: int) -> float:
    """Peak resident memory of a process that encodes a picture, its kernels compiled before."""
    program = (
        "import numpy as np\n"
        "from cfm.codecs.avc.encoder import encode_picture\n"
        "from cfm.codecs.picture import Picture\n"
        f"y = (np.add.outer(np.arange({height}), np.arange({width})) % 251).astype(np.uint8)\n"
        "encode_picture(Picture((y, y[::2, ::2].copy(), y[1::2, 1::2].copy()), 'yuv420', 8), 37)\n"
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    return float(done.stdout) / 1024


def main() -> None:
    """Measure everything and report."""
    kind, chosen = pictures()
    encode_picture(chosen[0], 37)
    figures = [*times(chosen), *rate_distortion(kind, chosen)]
    figures.append(at_most("memory of a process, 640x480", memory_mib(HEIGHT, WIDTH), "MiB", 300, COMMAND))
    for height, width in ((960, 1280), (1920, 2560), (3000, 4000)):
        figures.append(at_most(f"  {width}x{height}", memory_mib(height, width), "MiB", None, COMMAND))
    report("avc", figures)


if __name__ == "__main__":
    main()
